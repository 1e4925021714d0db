# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What programs that were built for the last release need of the library.

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return
}

# changed EXPRESSION FILE: a copy of the tree, changed by sed, whose library is built
changed() {
	cp -r Makefile userspace kmod udev packaging "$BATS_TEST_TMPDIR"
	cd "$BATS_TEST_TMPDIR" || return
	sed -i "$1" "$2"
	run -1 cmp -s "$2" "$OLDPWD/$2"
	make -s KDIR=/nowhere CFLAGS='-O0 -g' "build/$(readlink "$OLDPWD/build/libivshmem.so.0")"
}

@test "the library offers what the last release did" {
	run packaging/abi
	[[ $status == 0 && -z $output ]]
}

@test "a member of an enum that has another value is found" {
	changed 's/^\tIVSHMEM_PEER_JOINED,/\tIVSHMEM_PEER_JOINED = 7,/' userspace/include/ivshmem/doorbell.h
	run packaging/abi
	[[ $status == 1 && $output == *ivshmem_peer_change* ]]
}

@test "a call that is missing is found" {
	changed '/^\tivshmem_size;$/d' userspace/lib/libivshmem.map
	run packaging/abi
	[[ $status == 1 && $output == *ivshmem_size* ]]
}
