#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Runs the kselftests, the same as 32-bit programs, and those of the library's own tests
# that the guest has, with three devices, a disk and a slow disk: one stream of TAP.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit
. tests/vm/vm.bash

regions=$(mktemp -d /dev/shm/ivshmem-kselftest.XXXXXX)
build/ivshmem serve --socket "$regions/socket" --size 8M --vectors 4 2>"$regions/log" &
server=$!
trap 'vm_kill; kill $server; rm -rf "$regions"' EXIT
within 30 test -S "$regions/socket" || { cat "$regions/log" >&2; exit 1; }

run_all() {
	truncate -s 16M "$regions/disk" "$regions/slow"
	vm_start -chardev "socket,id=server,path=$regions/socket" \
		-device ivshmem-doorbell,chardev=server,vectors=4,addr=5 \
		-object "memory-backend-file,id=a,share=on,mem-path=$regions/a,size=64M" \
		-device ivshmem-plain,memdev=a,addr=4 \
		-object "memory-backend-file,id=b,share=on,mem-path=$regions/b,size=1M" \
		-device ivshmem-plain,memdev=b,addr=6 \
		-drive "if=none,id=disk,format=raw,file=$regions/disk" -device virtio-blk-pci,drive=disk,addr=10 \
		-drive "if=none,id=slow,format=raw,file=$regions/slow,throttling.bps-total=131072" -device virtio-blk-pci,drive=slow,addr=11 || return
	guest 'insmod /tests/import_dmabuf.ko; modprobe vgem || true'
	# doorbell.bats runs test_doorbell, with the device that it needs.
	for program in "${GUEST_BUILD:-build}"/kselftest/bin/* $(guest 'ls /tests/test_*'); do
		[[ $program != *.d && $program != */test_doorbell ]] || continue
		program=${program##*/}
		echo "# begin $program"
		guest_within 120 "echo '--- $program' >/dev/kmsg; /tests/$program"
		echo "# end $?"
	done
	echo "# begin kernel-log"
	echo 1..1
	vm_stop && echo 'ok 1 no complaint in the kernel log' || echo 'not ok 1 no complaint in the kernel log'
	echo "# end 0"
}

run_all | tests/vm/merge-tap
