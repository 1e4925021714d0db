#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Machine q35 with SeaBIOS, and its hot-plug by ACPI, as it is by default: which regions
# find room in the window of a root port that was empty when the firmware looked.

load helper

# 3 GiB and a half, so that windows begin where nothing large is aligned.
boot() {
	start_server 64M 1
	eval "set -- $(port slot1 2M) $(port slot2 4M) $(port slot3 4G) $(port slot4)"
	VM_FIRMWARE='' VM_MACHINE=q35 VM_MEMORY=3584 vm_start "$@" \
		-device pcie-root-port,id=slot9,chassis=9
}

# port ID [SIZE]: the port alone, of what "ivshmem qemu" prints: for a region of a file, or
# the server's
port() {
	if [ -n "${2-}" ]; then
		build/ivshmem qemu --root-port "$1" --chassis "${1#slot}" --size "$2" "$REGIONS/$1"
	else
		build/ivshmem qemu --root-port "$1" --chassis "${1#slot}" --doorbell --socket "$REGIONS/server"
	fi | cut -d ' ' -f 1,2
}

# hot_plug PORT BYTES
hot_plug() {
	qmp object-add "{\"qom-type\": \"memory-backend-file\", \"id\": \"backend-$1\", \"share\": true,
		\"mem-path\": \"$REGIONS/$1\", \"size\": $2}"
	qmp device_add "{\"driver\": \"ivshmem-plain\", \"memdev\": \"backend-$1\", \"bus\": \"$1\"}"
}

# works_with BYTES: the module serves a device of this size
works_with() {
	guest "until cat /sys/class/ivshmem/*/size 2>/dev/null | grep -qx $1; do
			! dmesg | grep -E 'ivshmem.* error' || exit 1
			sleep 0.1
		done"
}

@test "regions of 2 MiB, 4 MiB and 4 GiB find room in the ports that ivshmem qemu printed" {
	for region in slot1:2097152 slot2:4194304 slot3:4294967296; do
		hot_plug "${region%:*}" "${region#*:}"
		works_with "${region#*:}"
	done
}

@test "a server's region finds room in the port that ivshmem qemu printed" {
	qmp chardev-add "{\"id\": \"server\", \"backend\": {\"type\": \"socket\", \"data\":
		{\"server\": false, \"addr\": {\"type\": \"unix\", \"data\": {\"path\": \"$REGIONS/server\"}}}}}"
	qmp device_add '{"driver": "ivshmem-doorbell", "chardev": "server", "id": "doorbell", "bus": "slot4"}'
	works_with 67108864
}

@test "4 MiB find no room in a port without pref64-reserve, and the log's words are those of the texts" {
	hot_plug slot9 4194304
	guest 'until dmesg | grep "BAR 2 has no memory, or was not assigned any"; do sleep 0.1; done'
	guest 'dmesg' >"$REGIONS/dmesg"
	words=$(grep -Eo "BAR 2.*: (can't assign; no space|no space for)" "$REGIONS/dmesg" | sed -n '1s/.*: //p')
	[ -n "$words" ]
	for text in "$words" 'BAR 2 has no memory, or was not assigned any'; do
		grep -qF "$text" README.md
		grep -qF "$text" userspace/man/ivshmem.4.scd
	done
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
