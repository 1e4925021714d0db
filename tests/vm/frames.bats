#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The tests of mappings above 4 GiB, where the kernel makes the entries of page frames, and
# not the module by hand as it does below.

load helper

# Each test has a guest of its own.
setup_file() {
	REGIONS=$(mktemp -d /dev/shm/ivshmem-test.XXXXXX)
	export REGIONS
}

teardown_file() {
	rm -rf "$REGIONS"
}

teardown() {
	vm_kill
}

# The second region takes the first along.
@test "above 4 GiB, where the kernel makes the entries" {
	truncate -s 16M "$REGIONS/disk" "$REGIONS/slow"
	vm_start -object "$(region a 64M)" -device ivshmem-plain,memdev=a,addr=4 \
		-object "$(region b 4G)" -device ivshmem-plain,memdev=b,addr=5 \
		-drive "if=none,id=disk,format=raw,file=$REGIONS/disk" -device virtio-blk-pci,drive=disk,addr=10 \
		-drive "if=none,id=slow,format=raw,file=$REGIONS/slow,throttling.bps-total=131072" \
		-device virtio-blk-pci,drive=slow,addr=11
	(($(guest "awk 'NR == 3 { print \$1 }' /sys/bus/pci/devices/0000:00:04.0/resource") >= 0x100000000))
	[ "$(guest 'cat /sys/class/ivshmem/ivshmem0/mapping')" = pfn ]
	for program in huge mmap read_write removal; do
		run guest_within 150 "/tests/$program"
		grep -E '^not ok|Expected|no answer' <<<"$output" || true
		[ "$status" -eq 0 ]
	done
	vm_stop
}
