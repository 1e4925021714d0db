#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Two guests and host programs, peers of one server.

load helper
load peers

VECTORS=4

start_guest() {
	vm_start -chardev "socket,id=server0,path=$REGIONS/server" \
		-device "ivshmem-doorbell,chardev=server0,vectors=$VECTORS,addr=4,id=doorbell0"
}

boot() {
	start_server 4M $VECTORS --file "$REGIONS/served"
	boot_guest a
	boot_guest b
}

id_of() {
	on "$1" guest 'cat /sys/class/ivshmem/ivshmem0/peer_id'
}

# start_echo a|b|host VECTOR: sets echo_id. Its end is stop_echo.
start_echo() {
	echo_on=$1
	if [ "$1" = host ]; then
		rm -f "$REGIONS/echo.$2"
		build/tests/rounds "unix:$REGIONS/server" --echo "$2" 3>&- >"$REGIONS/echo.$2" &
		echo_pid=$!
		until [ -s "$REGIONS/echo.$2" ]; do sleep 0.05; done
		echo_id=$(<"$REGIONS/echo.$2")
	else
		on "$1" guest "rm -f /run/echo; /tests/rounds /dev/ivshmem0 --echo $2 >/run/echo 2>&1 & echo \$! >/run/echo.pid
			until [ -s /run/echo ]; do sleep 0.02; done"
		echo_id=$(id_of "$1")
	fi
}

stop_echo() {
	if [ "$echo_on" = host ]; then
		kill "$echo_pid"
	else
		on "$echo_on" guest 'kill $(cat /run/echo.pid)'
	fi
}

# ask a|b|host PEER VECTOR ROUNDS
ask() {
	if [ "$1" = host ]; then
		timeout $((60 * VM_PATIENCE)) build/tests/rounds "unix:$REGIONS/server" "$2" "$3" "$4"
	else
		on "$1" guest_within 60 "/tests/rounds /dev/ivshmem0 $2 $3 $4"
	fi
}

@test "each guest has an ID of its own and all vectors" {
	[ "$(id_of a)" != "$(id_of b)" ]
	[ "$(on a guest 'cat /sys/class/ivshmem/ivshmem0/vectors')" = $VECTORS ]
	[ "$(on b guest 'ivshmem info --json /dev/ivshmem0' | jq .vectors)" = $VECTORS ]
	run build/ivshmem peers --socket "$REGIONS/server" --json
	[ "$status" -eq 0 ]
	jq -e '[.. | objects | select(has("vectors"))] | length == 2' <<<"$output"
}

# readme_types: the lines that README.md types in its example of interrupts
readme_types() {
	awk '/^## /{ inside = /Interrupts/ } /^### /{ example = /Example/ }
		inside && example && sub(/^\$ /, "")' README.md
}

@test "README's example of interrupts works as it is typed, whatever ran before" {
	ln -s server "$REGIONS/ivshmem.sock"
	ln -s server.status "$REGIONS/ivshmem.sock.status"
	printf nothing | build/ivshmem write "unix:$REGIONS/server"
	on a guest "{ $(readme_types | head -n 1); } >/run/typed 2>&1 &"
	run env XDG_RUNTIME_DIR="$REGIONS" PATH="$PWD/build:$PATH" bash -e <<<"$(readme_types | tail -n +2)"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(on a guest 'until [ "$(wc -l </run/typed)" -ge 2 ]; do sleep 0.05; done; cat /run/typed')" = $'1\nHello world!' ]
	rm "$REGIONS"/ivshmem.sock*
}

# start_flood PEER: rings it without end, from the host, with what the guests leave it of
# the processors. Its end is stop_flood.
start_flood() {
	nice build/ivshmem notify --count 2000000000 "unix:$REGIONS/server" "$1" 0 3>&- 2>/dev/null &
	flood=$!
	sleep 0.2
}

stop_flood() {
	kill $flood 2>/dev/null || true
	wait $flood 2>/dev/null || true
}

# start_waiter: a program of guest b that waits for interrupts without end
start_waiter='ivshmem wait --count 2000000000 /dev/ivshmem0 0 >/run/wait 2>&1 & waiter=$!
	until grep -qs eventfd /proc/$waiter/fdinfo/*; do sleep 0.02; done'

@test "all share the server's region" {
	on a guest 'printf "from a" | ivshmem write --offset 8192 /dev/ivshmem0'
	[ "$(on b guest 'ivshmem read --offset 8192 --length 6 /dev/ivshmem0')" = 'from a' ]
	[ "$(build/ivshmem read --offset 8192 --length 6 "unix:$REGIONS/server")" = 'from a' ]
}

@test "a served file that is replaced stays the region of all peers, newcomers too" {
	rm "$REGIONS/served"
	build/ivshmem create "$REGIONS/served" --size 4M
	printf 'from the host' | build/ivshmem write --offset 8192 "unix:$REGIONS/server"
	[ "$(on a guest 'ivshmem read --offset 8192 --length 13 /dev/ivshmem0')" = 'from the host' ]
	build/ivshmem notify "unix:$REGIONS/server" "$(id_of a)" 3
	on a guest 'ivshmem wait --timeout 30 /dev/ivshmem0 3'
}

@test "/proc/interrupts names each line" {
	for ((v = 0; v < VECTORS; v++)); do
		on a guest "grep -q 'ivshmem0-$v\$' /proc/interrupts"
	done
}

@test "each rings each on every vector, 10,000 rings and as many answers, none lost" {
	for pair in a:b b:a a:host b:host host:a host:b; do
		for ((v = 0; v < VECTORS; v++)); do
			start_echo "${pair#*:}" $v
			run ask "${pair%:*}" "$echo_id" $v 420
			echo "$pair vector $v: $output"
			[ "$status" -eq 0 ]
			stop_echo
		done
	done
}

@test "host programs ring each other" {
	start_echo host 1
	ask host "$echo_id" 1 1000
	stop_echo
}

@test "rings in a burst arrive at least once after the last, and never more often" {
	on a guest 'ivshmem wait --timeout 0 /dev/ivshmem0 2 >/dev/null 2>&1
		ivshmem wait --timeout 20 /dev/ivshmem0 2 >/run/count 2>&1 &
		sleep 0.5'
	build/ivshmem notify --count 10000 "unix:$REGIONS/server" "$(id_of a)" 2
	first=$(on a guest 'wait; until [ -s /run/count ]; do sleep 0.05; done; cat /run/count')
	rest=$(on a guest 'sleep 0.2; ivshmem wait --timeout 0 /dev/ivshmem0 2 2>/dev/null || true')
	[ "$first" -ge 1 ]
	[ $((first + rest)) -le 10000 ]
}

@test "a ring before anybody waits is kept" {
	build/ivshmem notify "unix:$REGIONS/server" "$(id_of b)" 3
	[ "$(on b guest 'sleep 0.2; ivshmem wait --timeout 10 /dev/ivshmem0 3')" -ge 1 ]
	run on b guest 'ivshmem wait --timeout 0.2 /dev/ivshmem0 3'
	[ "$status" -eq 1 ]
}

@test "tracepoints show rings and interrupts" {
	on a guest 'mount -t tracefs none /sys/kernel/tracing 2>/dev/null
		echo 1 >/sys/kernel/tracing/events/ivshmem/enable'
	start_echo a 0
	ask host "$echo_id" 0 10
	stop_echo
	run on a guest 'echo 0 >/sys/kernel/tracing/events/ivshmem/enable; cat /sys/kernel/tracing/trace'
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
	stop_echo
}

count_peers() {
	build/ivshmem peers --socket "$REGIONS/server" --json | jq '[.. | objects | select(has("vectors"))] | length'
}

@test "a guest leaves and comes back" {
	first=$(id_of b)
	on b vm_stop
	until [ "$(count_peers)" = 1 ]; do sleep 0.05; done
	boot_guest b
	[ "$(id_of b)" != "$first" ]
	start_echo b 1
	ask a "$echo_id" 1 200
	stop_echo
}

@test "removal while interrupts pour in wakes the waiter with ENODEV, 10 rounds" {
	id=$(id_of b)
	start_flood "$id"
	on b guest_within 120 "for i in \$(seq 10); do
			$start_waiter
			echo 1 >/sys/bus/pci/devices/0000:00:04.0/remove || exit 2
			wait \$waiter
			grep -q gone /run/wait || { cat /run/wait; exit 3; }
			echo 1 >/sys/bus/pci/rescan || exit 4
			until [ -c /dev/ivshmem0 ]; do sleep 0.02; done
		done"
	stop_flood
}

@test "unbind under interrupts, 50 rounds" {
	id=$(id_of b)
	start_flood "$id"
	on b guest_within 300 "cd /sys/bus/pci/drivers/ivshmem
		for i in \$(seq 50); do
			$start_waiter
			echo 0000:00:04.0 >unbind || exit 2
			wait \$waiter
			grep -q gone /run/wait || { cat /run/wait; exit 3; }
			echo 0000:00:04.0 >bind || exit 4
		done"
	stop_flood
	start_echo b 2
	ask a "$echo_id" 2 100
	stop_echo
}

@test "the server is killed, and everything else goes on" {
	start_echo host 3
	kill -KILL "$(<"$REGIONS/server.pid")"
	sleep 0.3
	ask a "$echo_id" 3 200
	stop_echo
	start_echo b 3
	ask a "$echo_id" 3 200
	stop_echo
	on a guest 'printf "still here" | ivshmem write --offset 4096 /dev/ivshmem0'
	[ "$(on b guest 'ivshmem read --offset 4096 --length 10 /dev/ivshmem0')" = 'still here' ]
}

@test "the guests power off and their kernel logs are clean" {
	on a vm_stop
	on b vm_stop
}
