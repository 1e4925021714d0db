#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The tests of mappings, with bare page frames in place of struct pages.

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

# run_tests: the kselftests that do not ask for struct pages; shows what failed
run_tests() {
	reload_module pages=0
	[ "$(guest 'cat /sys/class/ivshmem/ivshmem0/mapping')" = pfn ]
	for program in huge mmap read_write removal; do
		run guest_within 150 "/tests/$program"
		grep -E '^not ok|Expected|no answer' <<<"$output" || true
		[ "$status" -eq 0 ]
	done
}

@test "below 4 GiB, where the module makes write-back entries by hand" {
	vm_start -object "$(region a 64M)" -device ivshmem-plain,memdev=a,addr=4
	(($(guest "awk 'NR == 3 { print \$1 }' /sys/bus/pci/devices/0000:00:04.0/resource") < 0x100000000))
	run_tests
	vm_stop
}

# The second region takes the first along.
@test "above 4 GiB, where the kernel makes the entries, huge ones if it can" {
	vm_start -object "$(region a 64M)" -device ivshmem-plain,memdev=a,addr=4 \
		-object "$(region b 4G)" -device ivshmem-plain,memdev=b,addr=5
	(($(guest "awk 'NR == 3 { print \$1 }' /sys/bus/pci/devices/0000:00:04.0/resource") >= 0x100000000))
	run_tests
	vm_stop
}
