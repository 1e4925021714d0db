#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Unbind while a page fault waits half-way, wherever that is.

load helper

boot() {
	VM_CPUS=2 VM_APPEND="preempt=full isolcpus=1" vm_start -object "$(region a 4M)" \
		-device ivshmem-plain,memdev=a,addr=4
}

# no_mapping_left PINNING
no_mapping_left() {
	run guest_within 300 "/tests/preempted_fault /dev/ivshmem0 0000:00:04.0 $1"
	echo "$output"
	[ "$status" -ne 3 ] || skip "the guest's kernel preempts no fault"
	[ "$status" -eq 0 ]
}

@test "no fault leaves a mapping behind" {
	no_mapping_left 0
}

@test "no fault leaves a mapping behind where pages may be pinned" {
	guest 'grep -q 1 /sys/class/ivshmem/ivshmem0/pinning || echo 1 >/sys/class/ivshmem/ivshmem0/pinning' ||
		skip 'this device can have no pages'
	no_mapping_left 1
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
