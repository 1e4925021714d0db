#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Unbind while a page fault waits half-way, wherever that is.

load helper

boot() {
	VM_CPUS=2 VM_APPEND="preempt=full isolcpus=1" vm_start -object "$(region a 4M)" \
		-device ivshmem-plain,memdev=a,addr=4
}

@test "no fault leaves a mapping behind" {
	run guest_within 300 '/tests/preempted_fault /dev/ivshmem0 0000:00:04.0'
	echo "$output"
	[ "$status" -ne 3 ] || skip "the guest's kernel preempts no fault"
	[ "$status" -eq 0 ]
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
