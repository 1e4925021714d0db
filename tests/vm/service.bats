#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The command's services between the host and a guest, on a plain region and on one with a
# doorbell.

load helper
load both_kinds

# start_in_guest NAME COMMAND: with a time limit, in the background, its output in /run/NAME
start_in_guest() {
	guest "timeout $((50 * VM_PATIENCE)) $2 >/run/$1 2>/run/$1.err & echo \$! >/run/$1.pid"
}

# Its process ID is in $server. As a job of this shell, timeout passes a signal on.
start_on_host() {
	timeout $((60 * VM_PATIENCE)) build/ivshmem "$@" 3>&- &
	server=$!
}

stop_on_host() {
	kill "$server"
	wait "$server" || true
}

from_guest() {

	host format --force --label services --ring 4K "$1"
	start_on_host answer "$1" echo cat
	[ "$(guest "ivshmem call $2 echo hello")" = hello ]
	[ "$(guest "seq 200 | ivshmem call $2 echo | sha256sum")" = "$(seq 200 | sha256sum)" ]
	[ "$(host call "$1" echo here)" = here ]
	stop_on_host
}

@test "the host answers a guest, and a program of its own" {
	each from_guest
}

from_host() {
	host format --force --label services --ring 4K "$1"
	start_in_guest server "ivshmem answer --count 202 $2 echo cat"
	[ "$(host call "$1" echo hello)" = hello ]
	[ "$(seq 200 | host call "$1" echo | sha256sum)" = "$(seq 200 | sha256sum)" ]
	[ "$(guest "ivshmem call $2 echo here")" = here ]
	guest 'until ! kill -0 $(cat /run/server.pid) 2>/dev/null; do sleep 0.1; done'
	[ -z "$(guest 'cat /run/server.err')" ]
}

@test "a guest answers the host, and a program of its own" {
	each from_host
}

many() {
	local i clients=()

	host format --force --label services --objects 32 --ring 4K "$1"
	start_on_host answer --clients 32 "$1" echo cat
	guest "for i in 1 2 3 4 5; do seq \$i 40 | ivshmem call $2 echo >/run/out\$i & done; wait"
	for i in 1 2 3 4 5; do
		seq "$i" 40 | host call "$1" echo >"$REGIONS/out$i" 3>&- &
		clients+=($!)
	done
	wait "${clients[@]}"
	for i in 1 2 3 4 5; do
		[ "$(sha256sum <"$REGIONS/out$i")" = "$(seq "$i" 40 | sha256sum)" ]
		[ "$(guest "sha256sum </run/out$i")" = "$(seq "$i" 40 | sha256sum)" ]
	done
	stop_on_host
	[[ $(host info "$1") == *"objects   0 of 32"* ]]
}

@test "one server serves clients of the guest and of the host, and nothing is left of them" {
	each many
}

dies() {
	host format --force --label services --ring 4K "$1"
	guest "ivshmem answer $2 echo cat >/dev/null 2>&1 & echo \$! >/run/server.pid"
	[ "$(host call "$1" echo hello)" = hello ]
	guest 'kill -KILL $(cat /run/server.pid)'
	# Nobody can tell from here that it is dead.
	run host answer --timeout 1 "$1" echo cat
	[ "$status" -eq 1 ]
	start_on_host answer --take-over --count 1 "$1" echo cat
	[ "$(guest "ivshmem call $2 echo again")" = again ]
	wait "$server"
}

@test "the service of a program that died in the guest is taken over on the host" {
	each dies
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
