#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Eight devices at once, one of them of 4 GiB above the 32-bit space.

load helper

boot() {
	local n options=()
	for n in {1..7}; do
		options+=(-object "$(region "r$n" "$((1 << n))M")" -device "ivshmem-plain,memdev=r$n,addr=$((n + 2))")
	done
	vm_start "${options[@]}" -object "$(region big 4G)" -device ivshmem-plain,memdev=big,addr=a
}

# node_of ADDRESS
node_of() {
	guest "readlink -f /dev/ivshmem/by-path/pci-0000:00:$1"
}

@test "all eight devices have a node" {
	[ "$(guest 'ls /dev/ivshmem[0-9]* | wc -l')" = 8 ]
}

@test "each node shows its own region" {
	for n in {1..7}; do
		printf 'region %s' "$n" | dd of="$REGIONS/r$n" conv=notrunc status=none
		[ "$(guest "head -c 8 $(node_of "0$((n + 2)).0")")" = "region $n" ]
	done
}

@test "the region of 4 GiB lies above 4 GiB, and is cached write-back" {
	node=$(node_of 0a.0)
	[ "$(guest "cat /sys/class/ivshmem/${node#/dev/}/size")" = 4294967296 ]
	[ "$(guest "cat /sys/class/ivshmem/${node#/dev/}/cache")" = write-back ]
	start=$(guest "sed -n '3s/ .*//p' /sys/class/ivshmem/${node#/dev/}/device/resource")
	((start >= 0x100000000))
	[ "$(user_pte 0000:00:0a.0)" = '4K write-back' ]
	size=$(page_size_of 0000:00:0a.0)
	[ "$(user_pte 0000:00:0a.0 all)" = "$size write-back" ]
	# Of page frames from Linux 6.12 on.
	[ "$size" = "$(huge 2M)" ] || [ "$size" = "$(huge 1G)" ]
}

@test "the last bytes of 4 GiB are the last bytes of the file, both ways" {
	node=$(node_of 0a.0)
	printf 'the end' | dd of="$REGIONS/big" bs=1 seek=$((0x100000000 - 7)) conv=notrunc status=none
	[ "$(guest "ivshmem read --offset $((0x100000000 - 7)) $node")" = 'the end' ]
	[ "$(guest "tail -c 7 $node")" = 'the end' ]
	guest "echo -n guest | ivshmem write --offset $((0xfffff000)) $node"
	[ "$(dd if="$REGIONS/big" bs=1 skip=$((0xfffff000)) count=5 status=none)" = guest ]
	guest "echo -n middle | dd of=$node bs=1 seek=2147483648 2>/dev/null"
	[ "$(dd if="$REGIONS/big" bs=1 skip=2147483648 count=6 status=none)" = middle ]
}

@test "4 GiB are reached page by page without taking the guest's memory" {
	node=$(node_of 0a.0)
	guest_within 120 "/tests/sweep $node"
}

@test "the region of 4 GiB is cached write-back, whether it may be pinned or not" {
	local mapping=pfn
	for pinning in 0 1; do
		allow_pinning 0000:00:0a.0 $pinning
		[ "$(guest 'cat /sys/bus/pci/devices/0000:00:0a.0/ivshmem/ivshmem*/mapping')" = $mapping ]
		[ "$(cache_of 0000:00:0a.0)" = write-back ]
		[ "$(user_pte 0000:00:0a.0 all)" = "$(page_size_of 0000:00:0a.0) write-back" ]
		guest_within 120 "/tests/sweep $(node_of 0a.0)"
		mapping=pages
	done
}

@test "the region stays sparse on the host" {
	(($(du -k "$REGIONS/big" | cut -f1) < 65536))
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
