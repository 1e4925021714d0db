#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A region in the 32-bit hole. (For one above it see many.bats.)

load helper

boot() {
	vm_start -object "$(region low 1M)" -device ivshmem-plain,memdev=low,addr=4
}

@test "user space gets page-table entries of the type that sysfs tells" {
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
