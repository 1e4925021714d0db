#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Steps that fail, one by one, on a kernel without fault injection: what was there before
# is there still, and a program is told. (On the debug kernel every allocation fails, see
# tests/kernels/faults.bats.) Of a region below 4 GiB, under an uncached MTRR, where the
# module makes write-back entries by hand.

load helper

ADDRESS=0000:00:04.0
DRIVER=/sys/bus/pci/drivers/ivshmem
DEVICE=/sys/class/ivshmem/ivshmem0
NODE=/dev/ivshmem0

boot() {
	vm_start -object "$(region a 256M)" -device ivshmem-plain,memdev=a,addr=4
}

# failing "FUNCTION [PARAMETER...]" SCRIPT: runs a script while calls of a function of
# the kernel fail; they have to.
failing() {
	guest "insmod /tests/fail_call.ko function=$1 || exit 9
		$2
		failed=\$(cat /sys/module/fail_call/parameters/failed)
		rmmod fail_call
		[ \"\$failed\" -gt 0 ]"
}

rebind() {
	guest "udevadm settle; echo $ADDRESS >$DRIVER/unbind; echo $ADDRESS >$DRIVER/bind; udevadm settle"
}

# is_mapped METHOD CACHE EXPORT: the device works, and all that is told of it agrees
is_mapped() {
	[ "$(guest "cat $DEVICE/mapping $DEVICE/cache")" = "$1"$'\n'"$2" ]
	[ "$(guest "/tests/export $NODE")" = "$3" ]
	[ "$(guest "cat $DEVICE/pinning")" = "$([[ $1 == pages ]] && echo 1 || echo 0)" ]
	guest "echo again | ivshmem write $NODE"
	[ "$(guest "head -c 5 $NODE")" = again ]
	[ "$(head -c 5 "$REGIONS/a")" = again ]
}

@test "pinning that gets no struct pages: page frames, as before, and no dma-bufs" {
	failing 'memremap_pages value=-12' "echo 1 >$DEVICE/pinning && exit 8; true"
	is_mapped pfn write-back 'Operation not supported'
	allow_pinning $ADDRESS 1
	is_mapped pages write-back exported
	allow_pinning $ADDRESS 0
	is_mapped pfn write-back 'Operation not supported'
}

@test "no mapping by hand when it is bound: a slow one, which is told" {
	failing vmap_pfn "echo $ADDRESS >$DRIVER/unbind; echo $ADDRESS >$DRIVER/bind; udevadm settle"
	is_mapped pfn uncached-minus 'Operation not supported'
	guest 'dmesg | tail -n 1 | grep -q "or see CACHING"'
}

@test "then, struct pages that the kernel can't map write-back: as before, and no dma-bufs" {
	failing vmap "echo 1 >$DEVICE/pinning && exit 8; true"
	is_mapped pfn uncached-minus 'Operation not supported'
	allow_pinning $ADDRESS 1
	is_mapped pages write-back exported
	rebind
	is_mapped pfn write-back 'Operation not supported'
}

@test "no memory for a part of the kernel's mapping: read() fails ENOMEM, and the next works" {
	rebind
	failing 'vmap_pfn comm=dd' "dd if=$NODE bs=16 count=1 skip=200M iflag=skip_bytes >/dev/null 2>/run/said && exit 8
		grep -qi 'cannot allocate memory\|out of memory' /run/said"
	guest "dd if=$NODE bs=16 count=1 skip=200M iflag=skip_bytes >/dev/null"
}

# 2 MiB for each GiB: 128 KiB for each part. udev reads the first part for the label.
@test "the kernel's mapping has no page tables before it is used, and then those of its part" {
	areas() {
		guest "grep -c '\\[ivshmem\\]' /proc/vmallocinfo || true"
	}
	local label
	rebind
	guest 'udevadm settle'
	label=$(areas)
	((label <= 1))
	guest "dd if=$NODE bs=16 count=1 skip=200M iflag=skip_bytes >/dev/null 2>&1"
	[ "$(areas)" -eq $((label + 1)) ]
	guest "dd if=$NODE bs=1M of=/dev/null 2>&1"
	[ "$(areas)" -eq 4 ]
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
