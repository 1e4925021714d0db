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

# page_walk ADDRESS: the page-table entry for a virtual address of the program that
# runs, with "4K", "2M" or "1G" before it. Read from the guest's memory.
page_walk() {
	local address=$1 shift entry=$(($(hmp 'info registers' | sed -n 's/.*CR3=\([0-9a-f]*\).*/0x\1/p')))
	for shift in 39 30 21 12; do
		entry=$((entry & 0xffffffffff000))
		entry=$(hmp "xp /1gx $((entry + (address >> shift & 511) * 8))" | tr -d '\r' | sed -n 's/.*: //p')
		((entry & 1)) || return
		case $shift:$((entry & 128)) in
		30:128) echo "1G $entry" && return ;;
		21:128) echo "2M $entry" && return ;;
		12:*) echo "4K $entry" ;;
		esac
	done
}

# user_pte ADDRESS [all|unaligned]: size and cache type of the page-table entry that
# maps the first page of the device's region for a program that has mapped this
# page, or all of the region, or all of it at an address where no huge entry fits:
# "2M write-back".
user_pte() {
	local base address size='' entry=0 pat
	base=$(guest "awk 'NR == 3 { print \$1 }' /sys/bus/pci/devices/$1/resource")
	guest "/tests/hold /dev/ivshmem/by-path/pci-$1 /run/ready ${2-} >/run/address 2>&1 & echo \$! >/run/hold
		until [ -e /run/ready ]; do sleep 0.1; done; rm /run/ready"
	address=$(guest 'cat /run/address')
	for _ in {1..100}; do
		hmp stop >/dev/null
		read -r size entry < <(page_walk "$address") || true
		hmp cont >/dev/null
		# Another program may have been running.
		(((entry & 0xffffffffff000) != base)) && (((entry & 0xfffffffffe000) != base)) || break
		entry=0
	done
	guest 'kill $(cat /run/hold)'
	pat=$([[ $size == 4K ]] && echo 7 || echo 12)
	case $((entry & 4)):$((entry >> pat & 1))$((entry >> 4 & 1))$((entry >> 3 & 1)) in
	4:000) echo "$size write-back" ;;
	4:001) echo "$size write-combining" ;;
	4:010) echo "$size uncached-minus" ;;
	4:011) echo "$size uncached" ;;
	4:111) echo "$size write-through" ;;
	*) echo "no entry: $size $entry" ;;
	esac
}

cache_of() {
	guest "cat /sys/bus/pci/devices/$1/ivshmem/ivshmem*/cache"
}
