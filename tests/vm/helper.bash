# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Loaded by every .bats file: the tree as working folder, a folder for regions,
# one guest a file.

cd "$BATS_TEST_DIRNAME/../.." || exit
. tests/vm/vm.bash

# region NAME SIZE: QEMU's option for a region backed by $REGIONS/NAME
region() {
	printf '%s\n' "memory-backend-file,id=$1,share=on,mem-path=$REGIONS/$1,size=$2"
}

setup_file() {
	REGIONS=$(mktemp -d /dev/shm/ivshmem-test.XXXXXX)
	export REGIONS
	boot
}

teardown_file() {
	vm_kill
	rm -rf "$REGIONS"
}

# guest_address NODE: the PCI address of a device
guest_address() {
	guest "basename \$(readlink /sys/class/ivshmem/${1#/dev/}/device)"
}
