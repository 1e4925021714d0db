#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Channels between two guests and host programs: in the region of a server, which has
# doorbells, and in a plain one.

load helper
load peers

ROUNDS=500

start_guest() {
	vm_start -chardev "socket,id=server0,path=$REGIONS/server" \
		-device ivshmem-doorbell,chardev=server0,vectors=2,addr=4 \
		-object "$(region plain 16M)" -device ivshmem-plain,memdev=plain,addr=5
}

boot() {
	start_server 16M 2
	build/ivshmem create "$REGIONS/plain" --size 16M
	build/ivshmem format "$REGIONS/plain" --label plain
	build/ivshmem format "unix:$REGIONS/server" --label doorbell
	boot_guest a
	boot_guest b
}

# messages host|a|b plain|doorbell ARGUMENT...
messages() {
	local who=$1 where=$2
	shift 2
	case $who:$where in
	host:plain) timeout $((60 * VM_PATIENCE)) build/tests/messages "$REGIONS/plain" "$@" ;;
	host:doorbell) timeout $((60 * VM_PATIENCE)) build/tests/messages "unix:$REGIONS/server" "$@" ;;
	*) on "$who" guest_within 60 "/tests/messages /dev/ivshmem/by-label/$where $*" ;;
	esac
}

# exchange ASKING ECHOING plain|doorbell WAKEUP: the one creates the channel and asks,
# the other connects to it and echoes; then the other way round.
exchange() {
	local side
	for side in "create connect" "connect create"; do
		messages "$2" "$3" chat "${side#* }" echo 3>&- >"$REGIONS/echo" 2>&1 &
		echo_pid=$!
		run messages "$1" "$3" chat "${side% *}" $ROUNDS
		echo "$output"
		[ "$output" = "$ROUNDS $4" ]
		wait $echo_pid
	done
}

@test "a host program asks a guest, which rings back" {
	exchange host a doorbell doorbell
}

@test "a guest asks a host program, which rings back" {
	exchange a host doorbell doorbell
}

@test "a guest asks another guest, which rings back" {
	exchange a b doorbell doorbell
}

@test "a host program asks a guest, where nobody can ring" {
	exchange host a plain backoff
}

@test "a guest asks a host program, where nobody can ring" {
	exchange a host plain backoff
}

@test "a guest asks another guest, where nobody can ring" {
	exchange a b plain backoff
}

@test "a channel outlives a guest that is killed" {
	messages host doorbell life create echo 3>&- >"$REGIONS/echo" 2>&1 &
	echo_pid=$!
	on b guest "/tests/messages /dev/ivshmem/by-label/doorbell life connect 1000000 >/dev/null 2>&1 &"
	until on a guest 'ivshmem info --json /dev/ivshmem/by-label/doorbell' |
		jq -e '.objects[]? | select(.name == "life") | .connector.sent > 10' >/dev/null; do
		sleep 0.1
	done
	VM_DIR=$(<"$REGIONS/guest-b") vm_kill
	boot_guest b
	run messages b doorbell life connect $ROUNDS
	echo "$output"
	[ "$output" = "$ROUNDS doorbell" ]
	wait $echo_pid
	# It is told that the guest has gone, and then has its place taken by the next one.
	[ "$(tail -n 1 "$REGIONS/echo")" = reconnected ]
}

# sent_by_asker: messages of the host's end, as a guest sees them
sent_by_asker() {
	on a guest 'ivshmem info --json /dev/ivshmem/by-label/doorbell' |
		jq '.. | objects | select(.name? == "served") | .creator.sent'
}

asker_has_sent() {
	(($(sent_by_asker) >= $1))
}

@test "a channel goes on after the server was killed" {
	messages host doorbell served create 2000000000 3>&- >"$REGIONS/ask" 2>&1 &
	echo $! >"$REGIONS/ask.pid"
	on a guest "/tests/messages /dev/ivshmem/by-label/doorbell served connect echo >/run/echo 2>&1 &
		until ivshmem info --json /dev/ivshmem/by-label/doorbell | grep -q '\"served\"'; do sleep 0.1; done"
	within 30 asker_has_sent 100
	kill -KILL "$(<"$REGIONS/server.pid")"
	before=$(sent_by_asker)
	within 60 asker_has_sent $((before + 200))
	[ -z "$(on a guest 'cat /run/echo')" ]
	kill "$(<"$REGIONS/ask.pid")"
}

@test "the next server has another region, and no guest of the one before" {
	id=$(on a guest 'cat /sys/bus/pci/devices/0000:00:04.0/ivshmem/ivshmem*/peer_id')
	start_server 16M 2
	[ "$(build/ivshmem info --json "unix:$REGIONS/server" | jq -r .label)" = null ]
	run build/ivshmem notify "unix:$REGIONS/server" "$id" 0
	echo "$output"
	[ "$status" -eq 1 ]
}
