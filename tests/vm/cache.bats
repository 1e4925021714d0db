#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The cache type of user mappings, as the page table seen from outside has it.

load helper

boot() {
	vm_start -object "$(region low 1M)" -device ivshmem-plain,memdev=low,addr=4 \
		-object "$(region high 4G)" -device ivshmem-plain,memdev=high,addr=5
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
		hmp stop
		flags=$(hmp 'info tlb' | tr -d '\r' | grep -E "^0000[0-9a-f]+: $base .*U" | head -n 1) || true
		hmp cont
		[ -z "$flags" ] || break
	done
	guest 'kill $(cat /run/hold)'
	echo "${flags##* }"
}

cache_of() {
	guest "cat /sys/bus/pci/devices/$1/ivshmem/ivshmem*/cache"
}

@test "above 4 GiB user space gets write-back entries" {
	[ "$(cache_of 0000:00:05.0)" = write-back ]
	flags=$(user_pte 0000:00:05.0)
	[ "${flags:5:2}" = -- ]
}

@test "in the 32-bit hole the entries are of the type that sysfs tells" {
	flags=$(user_pte 0000:00:04.0)
	case $(cache_of 0000:00:04.0) in
	write-back) [ "${flags:5:2}" = -- ] ;;
	uncached-minus) [ "${flags:5:2}" = C- ] ;;
	*) false ;;
	esac
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
