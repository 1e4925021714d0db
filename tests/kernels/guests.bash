# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
#
# The guests of "make check-kernels". Each function chooses a machine by the
# variables of vm.bash, and may choose other tests.

GUEST_TESTS=(tests/vm/kselftest.sh tests/vm/*.bats)

# guest_without NAME...: leave tests of a guest out
guest_without() {
	local name kept=() test
	for test in "${GUEST_TESTS[@]}"; do
		for name; do
			[[ ${test##*/} != "$name" ]] || continue 2
		done
		kept+=("$test")
	done
	GUEST_TESTS=("${kept[@]}")
}

# Machine pc with SeaBIOS, the machine's own QEMU.
guest_default() {
	:
}

# With all tests of the library: for what it needs of the kernel.
guest_library() {
	export GUEST_LIBRARY=all
}

guest_newest_qemu() {
	root_add forky qemu-system-x86 && export QEMU=tests/kernels/qemu-newest
}

# PCIe: hot-plug is for root ports only, which rootport.bats has. OVMF wakes no guest
# that was booted without a disk, and places all above 4 GiB, where cache.bats and
# frames.bats want it below; highest.bats chooses a firmware itself.
guest_q35() {
	export VM_MACHINE=q35 VM_FIRMWARE=/usr/share/ovmf/OVMF.fd
	guest_without removal.bats power.bats unplug.bats plug.bats doorbell.bats \
		cache.bats frames.bats highest.bats
}

# Not only the module, all is made in the suite's root: for another architecture.
# Machine virt has one bus, without hot-plug, ACPI indices, suspend and a generation
# counter, nothing below 4 GiB, no MTRRs, and vectors for all. (cache.bats, frames.bats,
# highest.bats and windows.bats are about x86, advice.bats has its IOMMU, reset.bats its
# machine; doorbell.bats unplugs, and its vectors are too many for x86.)
guest_arm64() {
	export QEMU=qemu-system-aarch64 GUEST_BUILD=$out/build
	guest_library
	guest_without removal.bats power.bats udev.bats cache.bats rootport.bats \
		unplug.bats plug.bats frames.bats highest.bats windows.bats doorbell.bats advice.bats \
		reset.bats restore.bats
	prepare() { arm64_prepare; }
	build() { arm64_build; }
}

arm64_libraries=(libc6-dev libudev-dev libsmartcols-dev libjson-c-dev libkmod-dev libncurses-dev libsystemd-dev
	libcmocka-dev libacl1 libblkid1 libselinux1 libasan8 libubsan1)
arm64_programs=(busybox-static kmod systemd-standalone-sysusers udev)

# Programs are unpacked in /opt/arm64, beside this machine's.
arm64_prepare() {
	root_add "$suite" linux-headers-amd64 || return
	release=$(release_of "$suite" linux-headers-amd64)
	release=${release%-amd64}-arm64
	export GUEST_KERNEL=$IVSHMEM_CACHE/kernels/$release VM_INITRD=$GUEST_BUILD/tests/initramfs
	root_run "$suite" sh -c 'dpkg --print-foreign-architectures | grep -q arm64 || {
		dpkg --add-architecture arm64; apt-get update -qq; }' &&
		root_add "$suite" gcc-aarch64-linux-gnu cpio pkg-config scdoc "${arm64_programs[@]}" \
			"${arm64_libraries[@]/%/:arm64}" &&
		root_run "$suite" bash -ec '[[ ! -e /opt/arm64 ]] || exit 0
			rm -rf /opt/part; mkdir -p /opt/part/usr/{bin,sbin,lib}; cd /opt/part
			for folder in bin sbin lib; do ln -s usr/$folder $folder; done
			release=$1; shift
			apt-get -o APT::Sandbox::User=root download -qq "$@"
			for package in *.deb; do
				where=/opt/part; [[ $package != linux-headers-* ]] || where=/
				dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C $where
			done
			mv /opt/part /opt/arm64' bash "$release" "linux-headers-$release:arm64" "${arm64_programs[@]/%/:arm64}" >&2 &&
		root_kernel "$suite" "$release:arm64" "$GUEST_KERNEL"
}

arm64_build() {
	local -x ROOT_BUILD=$PWD/$GUEST_BUILD
	local cross=(KDIR="/usr/src/linux-headers-$release" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-)
	make -s build/kernel-scripts/tools/testing/selftests/kselftest_harness.h userspace >"$out/rest.log" 2>&1 &&
		mkdir -p "$ROOT_BUILD/kernel-scripts" &&
		cp -ru build/kernel-scripts/tools "$ROOT_BUILD/kernel-scripts" &&
		root_enter "$suite" make "${cross[@]}" modules guest-modules >"$out/build.log" 2>&1 &&
		root_enter "$suite" env GUEST_ROOT=/opt/arm64 GUEST_KERNEL="/srv/$release" \
			PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig \
			make -s KDIR="/usr/src/linux-headers-$release" CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar KSELFTESTS_32= \
			build/tests/initramfs >>"$out/rest.log" 2>&1
}
