#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The command's topics between the host and a guest, on a plain region and on one with a
# doorbell.

load helper
load both_kinds

# start_in_guest NAME COMMAND: with a time limit, in the background, its output in /run/NAME
start_in_guest() {
	guest "timeout $((50 * VM_PATIENCE)) $2 >/run/$1 2>/run/$1.err &"
}

# Each message is waited for, so lines don't come faster than the guest can be told.
numbers_with_pauses() {
	local i

	for ((i = 1; i <= $1; i++)); do
		echo "$i"
		((i % 50)) || sleep 0.05
	done
}

lossless() {
	host format --force --label topics --topic down:64,history=16,subscribers=4,lossless \
		--topic up:64,history=16,subscribers=4,lossless "$1"
	start_in_guest one "ivshmem subscribe --count 500 $2 down"
	start_in_guest two "ivshmem subscribe --count 500 $2 down"
	host subscribe --count 500 "$1" down >"$REGIONS/here" 3>&- &
	sleep $((1 * VM_PATIENCE))
	numbers_with_pauses 500 | host publish "$1" down
	wait $!
	[ "$(sha256sum <"$REGIONS/here")" = "$(seq 500 | sha256sum)" ]
	guest 'until [ "$(wc -l </run/one)" -eq 500 ] && [ "$(wc -l </run/two)" -eq 500 ]; do sleep 0.1; done'
	[ "$(guest 'sha256sum </run/one')" = "$(seq 500 | sha256sum)" ]
	[ "$(guest 'sha256sum </run/two')" = "$(seq 500 | sha256sum)" ]
	[ -z "$(guest 'cat /run/one.err /run/two.err')" ]
}

@test "each subscriber, on the host and in the guest, gets all that the host publishes" {
	each lossless
}

from_guest() {
	host subscribe --count 300 "$1" up >"$REGIONS/here" 3>&- &
	sleep $((1 * VM_PATIENCE))
	start_in_guest publisher "sh -c 'seq 300 | ivshmem publish $2 up'"
	wait $!
	[ "$(sha256sum <"$REGIONS/here")" = "$(seq 300 | sha256sum)" ]
}

@test "the host gets all that the guest publishes" {
	each from_guest
}

late() {
	host format --force --label topics --topic state:64,history=8 "$1"
	seq 100 | host publish "$1" state
	[ "$(guest "ivshmem subscribe --read-only --history 3 --count 3 $2 state" | xargs)" = "98 99 100" ]
	[ "$(guest "ivshmem subscribe --latest --history 8 --count 1 $2 state")" = 100 ]
}

@test "a guest that comes late, and only reads, gets the newest" {
	each late
}

watched() {
	host format --force --label watched --topic t:64 "$1"
	guest "ivshmem subscribe $2 t >/dev/null 2>&1 & echo \$! >/run/watched.pid"
	until [ "$(host info --json "$1" | jq -r '.objects[0].subscribers[0].state')" = attached ]; do
		sleep 0.2
	done
	seq 100 | host publish "$1" t
	guest "ivshmem top --count 2 --delay 0.5 $2" >"$REGIONS/watched"
	[ "$(grep -c "'watched': .*; 1 of .* objects" "$REGIONS/watched")" = 2 ]
	[ "$(grep -c 'subscriber 0 attached' "$REGIONS/watched")" = 2 ]
	guest "ivshmem info $2" | tr -s ' ' | grep -q '^t topic .*K publisher 0 free 100 '
	guest 'kill $(cat /run/watched.pid); until ! kill -0 $(cat /run/watched.pid); do sleep 0.1; done' 2>/dev/null
	[ "$(host info --json "$1" | jq '.objects[0].subscribers | length')" = 0 ]
}

@test "top and info show in a guest what they show on the host" {
	each watched
}

dies() {
	host format --force --label topics --topic t:64,history=4,subscribers=1,lossless "$1"
	guest "ivshmem subscribe $2 t >/dev/null 2>&1 & echo \$! >/run/holder.pid"
	sleep $((1 * VM_PATIENCE))
	guest 'kill -KILL $(cat /run/holder.pid)'
	# That it is dead can't be told here: so it is waited for, and dropped.
	seq 20 | host publish --timeout 0.1 "$1" t
}

@test "a subscriber that dies in the guest holds up the host for its timeout only" {
	each dies
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
