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

# user_pte ADDRESS: flags of the page-table entry that maps the first page of
# the device's region for user space, as "info tlb" shows them: XGPDACTUW, where
# P is the PAT bit of a large page, C is PCD and T is PWT.
user_pte() {
	local base flags=
	base=$(guest "awk 'NR == 3 { print substr(\$1, 3) }' /sys/bus/pci/devices/$1/resource")
	guest "/tests/hold /dev/ivshmem/by-path/pci-$1 /run/ready >/dev/null 2>&1 & echo \$! >/run/hold
		until [ -e /run/ready ]; do sleep 0.1; done; rm /run/ready"
	for _ in {1..100}; do
		hmp stop >/dev/null
		flags=$(hmp 'info tlb' | tr -d '\r' | grep -E "^0000[0-9a-f]+: $base .*U" | head -n 1) || true
		hmp cont >/dev/null
		[ -z "$flags" ] || break
	done
	guest 'kill $(cat /run/hold)'
	echo "${flags##* }"
}

cache_of() {
	guest "cat /sys/bus/pci/devices/$1/ivshmem/ivshmem*/cache"
}
