#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A doorbell device is unplugged by QEMU while interrupts pour in.

load helper

ROUNDS=20

boot() {
	start_server 4M 2
}

teardown() {
	[ -z "${flood-}" ] || kill "$flood" 2>/dev/null || true
	vm_kill
}

# plug NUMBER: a device, with a connection to the server of its own
plug() {
	qmp chardev-add "{\"id\": \"server$1\", \"backend\": {\"type\": \"socket\", \"data\":
		{\"server\": false, \"addr\": {\"type\": \"unix\", \"data\": {\"path\": \"$REGIONS/server\"}}}}}"
	qmp device_add "{\"driver\": \"ivshmem-doorbell\", \"chardev\": \"server$1\", \"vectors\": 2,
		\"id\": \"doorbell$1\", \"addr\": \"4\"}"
}

# is_free CHARDEV: removes it, as QEMU frees the device a little later than it says
is_free() {
	vm_gone || qmp chardev-remove "{\"id\": \"$1\"}" 2>/dev/null
}

unplug() {
	qmp device_del "{\"id\": \"doorbell$1\"}" || return
	until qmp query-pci | jq -e "[.. | objects | .qdev_id? // empty] | index(\"doorbell$1\") == null" >/dev/null; do
		vm_alive || return
		sleep 0.02
	done
	within 5 is_free "server$1"
}

# one_round NUMBER: a device comes, is rung without end, and goes. Who rings is content
# with what the guest leaves it of the processors: on two it delays the guest otherwise.
one_round() {
	local id
	plug "$1" || return
	id=$(guest 'until [ -c /dev/ivshmem0 ]; do sleep 0.02; done; cat /sys/class/ivshmem/ivshmem0/peer_id') || return
	nice build/ivshmem notify --count 2000000000 "unix:$REGIONS/server" "$id" 0 3>&- 2>/dev/null &
	flood=$!
	guest 'ivshmem wait --count 2000000000 /dev/ivshmem0 0 >/run/wait 2>&1 & echo $! >/run/waiter
		until grep -qs eventfd /proc/$!/fdinfo/*; do sleep 0.02; done; sleep 0.2' || return
	unplug "$1" || return
	guest 'while kill -0 $(cat /run/waiter) 2>/dev/null; do sleep 0.02; done; cat /run/wait; grep -q gone /run/wait' || return
	kill "$flood"
	wait "$flood" || true
}

# QEMU up to 11.1 at least frees the device while its main loop still waits for the
# eventfds: close_peer_eventfds() and ivshmem_exit() in hw/misc/ivshmem-pci.c leave
# their handlers set. It crashes then, whatever the guest does.
skip_where_qemu_crashed() {
	local status=0
	! vm_alive || return 0
	wait "$(<"$VM_DIR/pid")" || status=$?
	[ "$status" -ne $((128 + $(kill -l SEGV))) ] ||
		skip "$("$QEMU" --version | sed -n 's/^QEMU.*version \([^ ]*\).*/QEMU \1/p') crashes by itself when a doorbell device that is rung is unplugged"
}

@test "hot-unplug through QEMU while interrupts pour in wakes the waiter with ENODEV, $ROUNDS rounds" {
	ulimit -c 0
	vm_start
	guest 'modprobe ivshmem'
	for ((i = 0; i < ROUNDS; i++)); do
		if ! one_round $i; then
			skip_where_qemu_crashed
			false
		fi
	done
	guest 'udevadm settle; rmmod ivshmem'
	vm_stop
}
