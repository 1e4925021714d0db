#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What a machine of two nodes does with the region behind a program's back.

load helper

DEVICE=0000:00:04.0

boot() {
	local half=$((${VM_MEMORY:-768} / 2))
	VM_MEMORY=$((2 * half)) VM_CPUS=2,sockets=2 vm_start \
		-object "$(region a 64M)" -device ivshmem-plain,memdev=a,addr=4 \
		-object "memory-backend-ram,id=low,size=${half}M" -numa node,memdev=low,cpus=0 \
		-object "memory-backend-ram,id=high,size=${half}M" -numa node,memdev=high,cpus=1
	guest '[ ! -e /sys/devices/system/node ] || [ -d /sys/devices/system/node/node1 ]'
}

# balance: what tests/vm/programs/balance.c counts, in $count. Its own MiB is marked in any
# case.
balance() {
	local name number
	guest 'grep -qx 1 /proc/sys/kernel/numa_balancing' || skip 'a kernel without NUMA balancing'
	guest_within 300 "/tests/balance /dev/ivshmem/by-path/pci-$DEVICE" >"$BATS_TEST_TMPDIR/counts"
	cat "$BATS_TEST_TMPDIR/counts"
	declare -gA count
	while read -r name number; do
		count[$name]=$number
	done <"$BATS_TEST_TMPDIR/counts"
	((count[numa_pte_updates] - count[numa_huge_pte_updates] * 512 >= 256))
}

@test "NUMA balancing leaves a region alone that can't be pinned, and it counts for nobody" {
	balance
	# The region has 32 huge entries; a stack may have one.
	((count[numa_huge_pte_updates] < 32))
	((count[RssFile] < 8192))
}

@test "NUMA balancing moves no region that may be pinned, and it counts as the program's own" {
	allow_pinning $DEVICE 1 || skip 'this device can have no pages'
	balance
	[ "$(tail -c 4096 "$REGIONS/a" | head -c 1 | od -An -tu1)" -eq "${count[value]}" ]
	((count[RssFile] >= 65536))
	allow_pinning $DEVICE 0
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
