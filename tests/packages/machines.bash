# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Machines of Debian suites, each with a kernel, a boot loader and systemd of its own,
# that boot from a disk. Sourced; the working folder is the tree's. vm.bash, which is
# sourced here, talks with them. They have no network: packages come on a second disk,
# /srv in the machine.
#
#   machine_new SUITE FOLDER...         a fresh disk, and one with the packages of these folders
#   machine_boot [QEMU-OPTION...]       boot it; MACHINE_SECURE=1: with Secure Boot on
#   machine_off                         shut it down; fails where the kernel complained
#   machine_apt FOLDER                  let its apt know the packages of a folder
#
# MACHINE is the folder where disks, and what the firmware stores, are kept. What
# takes long to make is kept in IVSHMEM_CACHE.

. tests/kernels/roots.bash

# Compilers run in them, under TCG.
VM_TIME_LIMIT=${VM_TIME_LIMIT:-7200}
. tests/vm/vm.bash

export VM_CPU=max VM_CPUS=2 VM_MEMORY=2048 VM_BOOT=disk

machine_image() {
	local suite=$1 folder=$IVSHMEM_CACHE/machines/$1
	[[ ! -e $folder/disk ]] || return 0
	root_make "$suite" "$folder/root" --variant=important \
		--include=gcc,make,dpkg-dev,patch,mokutil,dbus,initramfs-tools,zstd \
		--customize-hook=tests/packages/machine-root || return
	rm -rf "$folder"/{esp,base,updates,upgrade}
	mv "$folder/root"/{esp,base,updates,upgrade} "$folder" &&
		machine_disk machine 8G "$folder/root" "$folder/disk.part" &&
		rm -rf "$folder/root" &&
		mv "$folder/disk.part" "$folder/disk"
}

# machine_disk LABEL SIZE FOLDER FILE
machine_disk() {
	rm -f "$4"
	tests/as-root mke2fs -q -t ext4 -L "$1" -d "$3" "$4" "$2"
}

# machine_repository FROM TO
machine_repository() {
	mkdir -p "$2" &&
		find "$1" -maxdepth 1 -name '*.deb' ! -name '*-dbgsym_*' -exec cp -t "$2" {} + &&
		(cd "$2" && apt-ftparchive packages . >Packages)
}

machine_new() {
	local suite=$1 folder
	machine_image "$suite" || return
	shift
	for folder; do
		machine_repository "$folder" "$MACHINE/packages/${folder##*/}" || return
	done
	cp tests/packages/in-root "$MACHINE/packages"
	machine_disk packages 1G "$MACHINE/packages" "$MACHINE/packages.disk" &&
		rm -rf "$MACHINE/packages" &&
		qemu-img create -q -f qcow2 -b "$IVSHMEM_CACHE/machines/$suite/disk" -F raw "$MACHINE/disk" &&
		echo "$suite" >"$MACHINE/suite"
}

machine_boot() {
	local suite firmware=/usr/share/OVMF/OVMF_CODE_4M.fd secure=()
	local store=$MACHINE/firmware keys=/usr/share/OVMF/OVMF_VARS_4M.fd
	suite=$(<"$MACHINE/suite")
	if [[ -n ${MACHINE_SECURE-} ]]; then
		firmware=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd
		store=$MACHINE/firmware-secure keys=/usr/share/OVMF/OVMF_VARS_4M.ms.fd
		secure=(-global "driver=cfi.pflash01,property=secure,value=on")
	fi
	[[ -e $store ]] || cp "$keys" "$store"
	VM_MACHINE=q35${MACHINE_SECURE:+,smm=on} vm_launch "${secure[@]}" \
		-drive "if=pflash,unit=0,format=raw,readonly=on,file=$firmware" \
		-drive "if=pflash,unit=1,format=raw,file=$store" \
		-drive "if=virtio,format=raw,readonly=on,file=fat:$IVSHMEM_CACHE/machines/$suite/esp" \
		-drive "if=virtio,format=qcow2,cache=unsafe,file=$MACHINE/disk" \
		-drive "if=virtio,format=raw,readonly=on,file=$MACHINE/packages.disk" "$@" || return
	echo "$VM_DIR" >"$MACHINE/vm"
}

# machine_ready: until all of the machine's units are started
machine_ready() {
	guest_within 900 'systemctl is-system-running --wait || systemctl --failed'
}

machine_off() {
	local status=0
	guest 'dmesg' >"$VM_DIR/dmesg" || status=1
	guest 'systemctl poweroff --no-block' || status=1
	within 120 vm_gone || status=1
	if vm_complaints "$VM_DIR/dmesg" "$VM_DIR/console" >&2; then
		vm_say "the kernel complained"
		status=1
	fi
	vm_kill
	rm -f "$MACHINE/vm"
	return "$status"
}

machine_apt() {
	guest_within 600 "echo 'deb [trusted=yes] file:/srv/$1 ./' >>/etc/apt/sources.list.d/test.list
		apt-get update -qq"
}
