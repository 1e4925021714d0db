#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A guest that QEMU has restored: from a snapshot, and from another QEMU, whose server is
# another one as well. What was rung in between has gone to a guest that is no more, or to
# one that was not there yet. A generation counter tells the guest.

load helper

node=/dev/ivshmem/by-path/pci-0000:00:04.0

# options SOCKET: of QEMU
options() {
	options=(-device "vmgenid,guid=auto" -chardev "socket,id=server,path=$1"
		-device "ivshmem-doorbell,chardev=server,vectors=2,addr=4,master=on")
}

job_has_ended() {
	[ "$(qmp query-jobs | jq -r '.[0].status')" = concluded ]
}

# A disk that can take snapshots; the guest does not see it.
add_disk() {
	truncate -s 0 "$REGIONS/disk"
	qmp blockdev-add "{\"driver\": \"file\", \"node-name\": \"file\", \"filename\": \"$REGIONS/disk\"}"
	qmp blockdev-create '{"job-id": "create", "options": {"driver": "qcow2", "file": "file", "size": 1073741824}}'
	within 20 job_has_ended
	qmp job-dismiss '{"id": "create"}'
	qmp blockdev-add '{"driver": "qcow2", "node-name": "disk", "file": "file"}'
}

# start_waiter: waits for a ring of vector 1 that has not come yet; what it says goes to
# /run/rings
start_waiter() {
	guest "ivshmem wait --timeout 0 $node 1 >/dev/null 2>&1
		: >/run/rings; ivshmem wait $node 1 >/run/rings 2>&1 & waiter=\$!
		until grep -qs eventfd /proc/\$waiter/fdinfo/*; do sleep 0.02; done"
}

waiter_was_rung() {
	[ "$(guest 'until [ -s /run/rings ]; do sleep 0.05; done; cat /run/rings')" -ge 1 ]
}

boot() {
	start_server 4M 2
	options "$REGIONS/server"
	vm_start "${options[@]}"
}

teardown_file() {
	vm_kill
	[ ! -e "$REGIONS/vm-there" ] || VM_DIR=$(<"$REGIONS/vm-there") vm_kill
	[ ! -e "$REGIONS/there.pid" ] || kill "$(<"$REGIONS/there.pid")" || true
	end_server
	rm -rf "$REGIONS"
}

# The region is QEMU's to restore, since the device is the master.
@test "a ring after the snapshot was taken wakes the waiter that is in it, and the region is as it was then" {
	add_disk
	start_waiter
	printf before | build/ivshmem write --offset 8192 "unix:$REGIONS/server"
	[ -z "$(hmp 'savevm one')" ]
	printf after. | build/ivshmem write --offset 8192 "unix:$REGIONS/server"
	build/ivshmem notify "unix:$REGIONS/server" 0 1
	waiter_was_rung
	[ -z "$(hmp 'loadvm one')" ]
	waiter_was_rung
	[ "$(build/ivshmem read --offset 8192 --length 6 "unix:$REGIONS/server")" = before ]
}

# is_rung SOCKET: now, not only because each vector counts as rung
is_rung() {
	start_waiter
	build/ivshmem notify "unix:$1" 0 1
	waiter_was_rung
}

# QEMU connects the rings with KVM when a guest switches MSI-X on, and not when it restores a
# device that has it on. The first shows it where there is no KVM.
watch_interrupts() {
	[ -z "$(hmp 'trace-event msix_write_config on')" ]
}

were_switched() {
	[ "$(grep -o 'msix_write_config dev ivshmem-doorbell enabled .' "$VM_DIR/qemu.log" | grep -o '.$' | paste -sd ' ')" = '0 1' ]
}

@test "a guest that went back to a snapshot switches its interrupts off and on, and is rung" {
	watch_interrupts
	[ -z "$(hmp 'loadvm one')" ]
	waiter_was_rung
	were_switched
	is_rung "$REGIONS/server"
	qmp blockdev-del '{"node-name": "disk"}'
	qmp blockdev-del '{"node-name": "file"}'
}

has_migrated() {
	[ "$(qmp query-migrate | jq -r .status)" = completed ]
}

# Here is the ring of a program on the other host that finds the device, and no guest yet.
@test "a ring before the guest has come by migration wakes the waiter that comes with it" {
	start_waiter
	source=$VM_DIR
	build/ivshmem serve --socket "$REGIONS/there" --size 4M --vectors 2 3>&- 2>"$REGIONS/there.log" &
	echo $! >"$REGIONS/there.pid"
	listens "$REGIONS/there" "$REGIONS/there.log"
	options "$REGIONS/there"
	vm_launch "${options[@]}" -incoming "unix:$REGIONS/incoming"
	echo "$VM_DIR" >"$REGIONS/vm-there"
	watch_interrupts
	build/ivshmem notify "unix:$REGIONS/there" 0 1
	VM_DIR=$source qmp migrate "{\"uri\": \"unix:$REGIONS/incoming\"}"
	VM_DIR=$source within 120 has_migrated
	VM_DIR=$source vm_kill
	waiter_was_rung
}

@test "a guest that has come by migration switches its interrupts off and on, and is rung" {
	VM_DIR=$(<"$REGIONS/vm-there")
	were_switched
	is_rung "$REGIONS/there"
}

@test "the guest powers off and its kernel log is clean" {
	VM_DIR=$(<"$REGIONS/vm-there") vm_stop
}
