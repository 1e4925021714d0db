#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Two guests and host programs, peers of one server.

load helper

VECTORS=4
export LD_LIBRARY_PATH=build

start_server() {
	build/ivshmem serve --socket "$REGIONS/server" --size 4M --vectors $VECTORS 3>&- 2>"$REGIONS/server.log" &
	echo $! >"$REGIONS/server.pid"
	until [ -S "$REGIONS/server" ]; do sleep 0.05; done
}

boot() {
	start_server
	for name in a b; do
		VM_APPEND= vm_start -chardev "socket,id=server,path=$REGIONS/server" \
			-device "ivshmem-doorbell,chardev=server,vectors=$VECTORS,addr=4,id=doorbell"
		echo "$VM_DIR" >"$REGIONS/guest-$name"
	done
}

teardown_file() {
	local name
	for name in a b; do
		VM_DIR=$(<"$REGIONS/guest-$name") vm_kill
	done
	kill "$(<"$REGIONS/server.pid")" 2>/dev/null || true
	rm -rf "$REGIONS"
}

# in NAME COMMAND...: a command of vm.bash on one of the guests
in() {
	local VM_DIR
	VM_DIR=$(<"$REGIONS/guest-$1")
	shift
	"$@"
}

id_of() {
	in "$1" guest 'cat /sys/class/ivshmem/ivshmem0/peer_id'
}

# start_echo a|b|host VECTOR: sets echo_id, and echo_pid on the host
start_echo() {
	if [ "$1" = host ]; then
		build/tests/rounds "unix:$REGIONS/server" --echo "$2" 3>&- >"$REGIONS/echo.$2" &
		echo_pid=$!
		until [ -s "$REGIONS/echo.$2" ]; do sleep 0.05; done
		echo_id=$(<"$REGIONS/echo.$2")
	else
		in "$1" guest "rm -f /run/echo; /tests/rounds /dev/ivshmem0 --echo $2 >/run/echo 2>&1 &
			until [ -s /run/echo ]; do sleep 0.02; done"
		echo_id=$(id_of "$1")
	fi
}

# ask a|b|host PEER VECTOR ROUNDS
ask() {
	if [ "$1" = host ]; then
		timeout 60 build/tests/rounds "unix:$REGIONS/server" "$2" "$3" "$4"
	else
		in "$1" guest_within 60 "/tests/rounds /dev/ivshmem0 $2 $3 $4"
	fi
}

@test "each guest has an ID of its own and all vectors" {
	[ "$(id_of a)" != "$(id_of b)" ]
	[ "$(in a guest 'cat /sys/class/ivshmem/ivshmem0/vectors')" = $VECTORS ]
	[ "$(in b guest 'ivshmem info --json /dev/ivshmem0' | jq .vectors)" = $VECTORS ]
	run build/ivshmem peers --socket "$REGIONS/server" --json
	[ "$status" -eq 0 ]
	jq -e '[.. | objects | select(has("vectors"))] | length == 2' <<<"$output"
}

@test "all share the server's region" {
	in a guest 'printf "from a" | ivshmem write --offset 8192 /dev/ivshmem0'
	[ "$(in b guest 'ivshmem read --offset 8192 --length 6 /dev/ivshmem0')" = 'from a' ]
	[ "$(build/ivshmem read --offset 8192 --length 6 "unix:$REGIONS/server")" = 'from a' ]
}

@test "/proc/interrupts names each line" {
	for ((v = 0; v < VECTORS; v++)); do
		in a guest "grep -q 'ivshmem0-$v\$' /proc/interrupts"
	done
}

@test "each rings each on every vector, 10,000 rings and as many answers, none lost" {
	for pair in a:b b:a a:host b:host host:a host:b; do
		for ((v = 0; v < VECTORS; v++)); do
			start_echo "${pair#*:}" $v
			run ask "${pair%:*}" "$echo_id" $v 420
			echo "$pair vector $v: $output"
			[ "$status" -eq 0 ]
			[ "${pair#*:}" != host ] || kill "$echo_pid"
		done
	done
}

@test "host programs ring each other" {
	start_echo host 1
	ask host "$echo_id" 1 1000
	kill "$echo_pid"
}

@test "rings in a burst arrive at least once after the last, and never more often" {
	in a guest 'ivshmem wait --timeout 0 /dev/ivshmem0 2 >/dev/null 2>&1
		ivshmem wait --timeout 20 /dev/ivshmem0 2 >/run/count 2>&1 &
		sleep 0.5'
	build/ivshmem notify --count 10000 "unix:$REGIONS/server" "$(id_of a)" 2
	first=$(in a guest 'wait; until [ -s /run/count ]; do sleep 0.05; done; cat /run/count')
	rest=$(in a guest 'sleep 0.2; ivshmem wait --timeout 0 /dev/ivshmem0 2 2>/dev/null')
	[ "$first" -ge 1 ]
	[ $((first + rest)) -le 10000 ]
}

@test "a ring before anybody waits is kept" {
	build/ivshmem notify "unix:$REGIONS/server" "$(id_of b)" 3
	[ "$(in b guest 'sleep 0.2; ivshmem wait --timeout 10 /dev/ivshmem0 3')" -ge 1 ]
	run in b guest 'ivshmem wait --timeout 0.2 /dev/ivshmem0 3'
	[ "$status" -eq 1 ]
}

@test "tracepoints show rings and interrupts" {
	in a guest 'mount -t tracefs none /sys/kernel/tracing 2>/dev/null
		echo 1 >/sys/kernel/tracing/events/ivshmem/enable'
	start_echo a 0
	ask host "$echo_id" 0 10
	run in a guest 'echo 0 >/sys/kernel/tracing/events/ivshmem/enable; cat /sys/kernel/tracing/trace'
	[ "$(grep -c 'ivshmem_interrupt: ivshmem0 vector=0 bound' <<<"$output")" -ge 10 ]
	[ "$(grep -c 'ivshmem_ring: ivshmem0 peer=.* vector=0' <<<"$output")" -ge 10 ]
}

@test "a host program that is killed comes back with another ID" {
	start_echo host 0
	first=$echo_id
	ask a "$first" 0 100
	kill -KILL "$echo_pid"
	until ! build/ivshmem peers --socket "$REGIONS/server" --json | jq -e ".. | objects | select(.id? == $first)" >/dev/null; do
		sleep 0.05
	done
	start_echo host 0
	[ "$echo_id" != "$first" ]
	ask a "$echo_id" 0 100
	kill "$echo_pid"
}

# replug NAME BACKEND: the guest leaves the server and comes back
unplug() {
	in "$1" qmp device_del '{"id": "doorbell"}'
	until in "$1" qmp query-pci | jq -e '[.. | objects | .qdev_id? // empty] | index("doorbell") == null' >/dev/null; do
		sleep 0.05
	done
	in "$1" qmp chardev-remove '{"id": "server"}'
}

plug() {
	in "$1" qmp chardev-add "{\"id\": \"server\", \"backend\": {\"type\": \"socket\", \"data\":
		{\"server\": false, \"addr\": {\"type\": \"unix\", \"data\": {\"path\": \"$REGIONS/server\"}}}}}"
	in "$1" qmp device_add "{\"driver\": \"ivshmem-doorbell\", \"chardev\": \"server\", \"vectors\": $VECTORS,
		\"id\": \"doorbell\", \"addr\": \"4\"}"
	in "$1" guest 'until [ -c /dev/ivshmem0 ]; do sleep 0.02; done; udevadm settle'
}

@test "a guest leaves and comes back" {
	first=$(id_of b)
	unplug b
	[ "$(build/ivshmem peers --socket "$REGIONS/server" --json | jq '[.. | objects | select(has("vectors"))] | length')" = 1 ]
	plug b
	[ "$(id_of b)" != "$first" ]
	start_echo b 1
	ask a "$echo_id" 1 200
}

# Rings a guest without end, from the host.
flood() {
	while build/ivshmem notify --count 1000 "unix:$REGIONS/server" "$1" 0 2>/dev/null; do :; done
}

@test "hot-unplug while interrupts pour in wakes the waiter with ENODEV" {
	for _ in 1 2 3 4 5; do
		flood "$(id_of b)" 3>&- &
		flood=$!
		in b guest 'ivshmem wait --count 2000000000 /dev/ivshmem0 0 >/run/wait 2>&1 & echo $! >/run/waiter; sleep 0.3'
		unplug b
		in b guest 'while kill -0 $(cat /run/waiter) 2>/dev/null; do sleep 0.02; done; grep -q gone /run/wait'
		kill $flood 2>/dev/null || true
		wait $flood 2>/dev/null || true
		plug b
	done
}

@test "unbind under interrupts, 50 rounds" {
	flood "$(id_of b)" 3>&- &
	flood=$!
	in b guest_within 300 'cd /sys/bus/pci/drivers/ivshmem
		for i in $(seq 50); do
			ivshmem wait --count 2000000000 /dev/ivshmem0 0 >/run/wait 2>&1 & waiter=$!
			sleep 0.1
			echo 0000:00:04.0 >unbind || exit 2
			wait $waiter
			grep -q gone /run/wait || { cat /run/wait; exit 3; }
			echo 0000:00:04.0 >bind || exit 4
		done'
	kill $flood 2>/dev/null || true
	wait $flood 2>/dev/null || true
	start_echo b 2
	ask a "$echo_id" 2 100
}

@test "the server is killed, and everything else goes on" {
	start_echo host 3
	kill -KILL "$(<"$REGIONS/server.pid")"
	sleep 0.3
	ask a "$echo_id" 3 200
	kill "$echo_pid"
	start_echo b 3
	ask a "$echo_id" 3 200
	in a guest 'printf "still here" | ivshmem write --offset 4096 /dev/ivshmem0'
	[ "$(in b guest 'ivshmem read --offset 4096 --length 10 /dev/ivshmem0')" = 'still here' ]
}

@test "the guests power off and their kernel logs are clean" {
	in a vm_stop
	in b vm_stop
}
