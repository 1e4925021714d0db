#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What page-table entries a program gets below 4 GiB, looked at from outside: by each
# method and of each size. (For a region above it, larger than the guest's memory, see
# many.bats.)

load helper

TINY=0000:00:04.0 LOW=0000:00:05.0

boot() {
	vm_start -object "$(region tiny 1M)" -device ivshmem-plain,memdev=tiny,addr=4 \
		-object "$(region low 256M)" -device ivshmem-plain,memdev=low,addr=5
}

# start_of ADDRESS: physical address of the region
start_of() {
	guest "awk 'NR == 3 { print \$1 }' /sys/bus/pci/devices/$1/resource"
}

# attribute ADDRESS NAME
attribute() {
	guest "cat /sys/bus/pci/devices/$1/ivshmem/ivshmem*/$2"
}

# check_entries ADDRESS SIZE: entries that a program gets are write-back, and of this
# size where there is room.
check_entries() {
	[ "$(cache_of "$1")" = write-back ]
	[ "$(user_pte "$1")" = '4K write-back' ]
	[ "$(user_pte "$1" unaligned)" = '4K write-back' ]
	[ "$(user_pte "$1" all)" = "$2 write-back" ]
	[ "$(attribute "$1" page_size)" = "$(numfmt --from=iec "$2")" ]
}

# check_seams: one read() and one write() across each place where the kernel's own
# mapping, which is made in parts of 64 MiB, has a seam
check_seams() {
	local at node
	node=/dev/ivshmem/by-path/pci-$LOW
	for at in $((64 << 20)) $((128 << 20)) $((192 << 20)); do
		printf 'host %011d' "$at" | dd of="$REGIONS/low" bs=16 seek=$((at - 8)) oflag=seek_bytes conv=notrunc status=none
		[ "$(guest "dd if=$node bs=16 count=1 skip=$((at - 8)) iflag=skip_bytes 2>/dev/null")" = "host $(printf %011d $at)" ]
		guest "printf 'guest%011d' $at | dd of=$node bs=16 seek=$((at - 8)) oflag=seek_bytes conv=notrunc 2>/dev/null"
		[ "$(dd if="$REGIONS/low" bs=16 count=1 skip=$((at - 8)) iflag=skip_bytes status=none)" = "guest$(printf %011d $at)" ]
	done
}

@test "the regions lie below 4 GiB, under an uncached MTRR" {
	(($(start_of $TINY) < 0x100000000))
	(($(start_of $LOW) < 0x100000000))
	guest 'grep -q uncachable /proc/mtrr'
}

@test "1 MiB: bare page frames, write-back" {
	[ "$(attribute $TINY mapping)" = pfn ]
	check_entries $TINY 4K
}

@test "256 MiB: bare page frames, write-back, 2 MiB" {
	[ "$(attribute $LOW mapping)" = pfn ]
	check_entries $LOW "$(huge 2M)"
	check_seams
}

@test "256 MiB that may be pinned: pages, write-back, 2 MiB" {
	allow_pinning $LOW 1
	[ "$(attribute $LOW mapping)" = pages ]
	check_entries $LOW "$(huge_pages 2M)"
	check_seams
}

@test "256 MiB that may be pinned no longer: bare page frames, write-back, 2 MiB" {
	allow_pinning $LOW 0
	[ "$(attribute $LOW mapping)" = pfn ]
	check_entries $LOW "$(huge 2M)"
	check_seams
}

@test "nothing warns" {
	[ "$(guest "dmesg | grep -c 'or see CACHING'")" = 0 ]
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
