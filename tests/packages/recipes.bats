# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The release tarball, and the recipes for others than Debian, as far as Debian can
# try them.

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	name=$(<build/packages/name)
	version=${name#ivshmem-}
	tarball=$PWD/build/packages/$name.tar.gz
	cd "$BATS_TEST_TMPDIR" || return
}

unpacked() {
	tar -xf "$tarball"
	cd "$name" || return
}

# quietly COMMAND...: what it prints is shown if it fails
quietly() {
	"$@" >"$BATS_TEST_TMPDIR/log" 2>&1 || {
		tail -n 40 "$BATS_TEST_TMPDIR/log" | cut -c1-300
		return 1
	}
}

@test "the tarball, unpacked, makes the same tarball" {
	unpacked
	umask 077
	[[ $(TZ=Asia/Tokyo LC_ALL=C packaging/dist) == "build/dist/$name.tar.gz" ]]
	cmp "build/dist/$name.tar.gz" "$tarball"
}

@test "the tarball has nothing to be filled in, and one version" {
	unpacked
	run -1 grep -rE '@(VERSION|DATE|RPM_DATE)@' packaging --exclude=dist
	[[ $(sed -n '1s/.*(\([^-]*\)-.*/\1/p' packaging/debian/changelog) == "$version" ]]
	[[ $(sed -n 's/^Version: *//p' packaging/rpm/ivshmem.spec) == "$version" ]]
	[[ $(. packaging/arch/PKGBUILD && echo "$pkgver") == "$version" ]]
}

@test "the module built from the tarball tells the version" {
	unpacked
	quietly make modules KDIR="$("$BATS_TEST_DIRNAME/../vm/guest-kernel" headers)"
	[[ $(modinfo -F version build/kmod/*/ivshmem.ko) == "$version" ]]
}

@test "rpm builds the packages from the tarball, and installs them" {
	mkdir root
	quietly rpmbuild -ta --nodeps --define "_topdir $PWD/rpm" --with kmod \
		--define "kernel $("$BATS_TEST_DIRNAME/../vm/guest-kernel" release)" \
		--define "kdir $("$BATS_TEST_DIRNAME/../vm/guest-kernel" headers)" "$tarball"
	for package in ivshmem libivshmem libivshmem-devel ivshmem-{server,udev,dkms} kmod-ivshmem; do
		[[ -e $(echo rpm/RPMS/*/"$package-$version"-1.*.rpm) ]]
	done
	quietly rpm --root "$PWD/root" --initdb
	quietly rpm --root "$PWD/root" --install --nodeps --noscripts rpm/RPMS/*/*.rpm
	[[ -x root/usr/bin/ivshmem && -e root/usr/include/ivshmem.h ]]
	[[ -n $(find root/lib/modules/ -name 'ivshmem.ko*') ]]
	mapfile -t packages < <(rpm --root "$PWD/root" -qa)
	quietly rpm --root "$PWD/root" --erase --nodeps --noscripts "${packages[@]}"
	[[ -z $(find root -name '*ivshmem*') ]]
}

@test "rpmlint has nothing to complain of" {
	unpacked
	run rpmlint -c packaging/rpm/rpmlint.toml packaging/rpm/ivshmem.spec
	[[ $output == *' 0 errors, 0 warnings'* ]] || {
		echo "$output"
		return 1
	}
}

@test "makepkg builds the packages from the tarball" {
	mkdir arch
	tar -xOf "$tarball" "$name/packaging/arch/PKGBUILD" >arch/PKGBUILD
	cp "$tarball" "arch/$name.tar.gz"
	if ((EUID == 0)); then
		work=$(mktemp -d)
		mv arch "$work"
		ln -s "$work/arch" .
		chmod 755 "$work"
		chown -R nobody "$work/arch"
		as_user=(runuser -u nobody --)
	fi
	quietly "${as_user[@]}" env -C arch HOME=/nonexistent PKGEXT=.pkg.tar makepkg --nodeps --nocheck
	[[ $(tar -tf arch/ivshmem-"$version"-1-*.pkg.tar) == *usr/bin/ivshmem* ]]
	[[ $(tar -tf arch/ivshmem-dkms-"$version"-1-any.pkg.tar) == *"usr/src/ivshmem-$version/dkms.conf"* ]]
}

teardown() {
	[[ -z ${work-} ]] || rm -rf "$work"
}

@test "nix parses its recipe" {
	unpacked
	quietly nix-instantiate --parse packaging/nix/default.nix
}

@test "AppArmor compiles its rules" {
	unpacked
	{ echo 'profile p {'; cat packaging/apparmor/libvirt-qemu; echo '}'; } >profile
	quietly apparmor_parser --skip-kernel-load --skip-cache profile
}

@test "a region of tmpfiles.d gets its size from QEMU" {
	unpacked
	sed "s|/dev/shm|$PWD|; s/ root kvm / - - /" packaging/tmpfiles.d/ivshmem.conf >regions.conf
	quietly systemd-tmpfiles --create "$PWD/regions.conf"
	[[ $(stat -c '%a %s' ivshmem/first) == '660 0' ]]
	echo quit | quietly timeout 60 qemu-system-x86_64 -accel tcg -S -display none -nodefaults -monitor stdio \
		-object memory-backend-file,id=m,share=on,mem-path="$PWD/ivshmem/first",size=1M -device ivshmem-plain,memdev=m
	[[ $(stat -c %s ivshmem/first) == 1048576 ]]
}
