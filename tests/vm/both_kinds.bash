# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# For tests of the command between the host and a guest that has both kinds of devices.

boot() {
	start_server 4M 2
	vm_start -object "$(region plain 4M)" -device ivshmem-plain,memdev=plain,addr=4 \
		-chardev "socket,id=server,path=$REGIONS/server" \
		-device ivshmem-doorbell,chardev=server,vectors=2,addr=5
}

host() {
	timeout $((60 * VM_PATIENCE)) build/ivshmem "$@"
}

# Each kind of region: its path here, and its node there.
each() {
	"$@" "$REGIONS/plain" /dev/ivshmem/by-path/pci-0000:00:04.0
	"$@" "unix:$REGIONS/server" /dev/ivshmem/by-path/pci-0000:00:05.0
}
