#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2154
#
# A server that is killed again and again, while guests and host programs ring each other
# and others join and leave. KILLS says how often, GUESTS how many guests (0 to 2).

load ../vm/helper

KILLS=${KILLS:-100}
GUESTS=${GUESTS:-2}
PLAYERS=8
VISITORS=2

# Each test starts what it needs.
boot() {
	:
}

teardown_file() {
	local VM_DIR guest

	[ ! -e "$REGIONS/keeper.pid" ] || kill "$(<"$REGIONS/keeper.pid")" 2>/dev/null || true
	for guest in "$REGIONS"/guest.*; do
		[ -e "$guest" ] || continue
		VM_DIR=$(<"$guest")
		vm_kill
	done
	rm -rf "$REGIONS"
}

start_keeper() {
	mkfifo "$REGIONS/keeper.in" "$REGIONS/keeper.out"
	build/asan/server-tests/keeper 4 <"$REGIONS/keeper.in" >"$REGIONS/keeper.out" 3>&- &
	keeper=$!
	echo $keeper >"$REGIONS/keeper.pid"
	exec {to_keeper}>"$REGIONS/keeper.in" {from_keeper}<"$REGIONS/keeper.out"
	read -r -t 60 -u "$from_keeper" socket
}

tell_keeper() {
	echo "$1" >&"$to_keeper"
	read -r -t $((120 * VM_PATIENCE)) -u "$from_keeper" answer
}

start_players() {
	local i

	for ((i = 0; i < PLAYERS; i++)); do
		build/tests/players "unix:$socket" play $i >"$REGIONS/player.$i" 2>&1 3>&- &
		players+=($!)
	done
	for ((i = 0; i < VISITORS; i++)); do
		build/tests/players "unix:$socket" visit >"$REGIONS/visitor.$i" 2>&1 3>&- &
		players+=($!)
	done
}

# start_guest_player N: a guest, and in it a player
start_guest_player() {
	vm_start -chardev "socket,id=server0,path=$socket" \
		-device "ivshmem-doorbell,chardev=server0,vectors=4,addr=4,id=doorbell0"
	echo "$VM_DIR" >"$REGIONS/guest.$1"
	guest_within 3000 "/tests/players /dev/ivshmem0 play $((PLAYERS + $1)) >/run/player 2>&1; echo \$? >/run/status" &
	guest_players+=($!)
}

# The guests' shell is busy with the player: its end is awaited.
await_guest_players() {
	local i VM_DIR

	for ((i = 0; i < GUESTS; i++)); do
		wait "${guest_players[i]}"
		VM_DIR=$(<"$REGIONS/guest.$i")
		[ "$(guest 'cat /run/status')" = 0 ] || guest 'cat /run/player'
		echo "# guest $i: $(guest 'cat /run/player') answers" >&3
		vm_stop
	done
}

@test "kills at random moments lose nothing" {
	local players=() guest_players=() i answers=0 visits=0

	start_keeper
	for ((i = 0; i < GUESTS; i++)); do
		start_guest_player $i
	done
	start_players
	for ((i = 0; i < KILLS; i++)); do
		sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
		tell_keeper kill
		[ "$answer" = ready ]
	done
	build/tests/players "unix:$socket" end
	for i in "${players[@]}"; do
		wait "$i" || { cat "$REGIONS"/player.* "$REGIONS"/visitor.*; grep -C4 -E "dropped|unkept" "${socket%/s}/log"; return 1; }
	done
	await_guest_players
	for i in "$REGIONS"/player.*; do answers=$((answers + $(<"$i"))); done
	for i in "$REGIONS"/visitor.*; do visits=$((visits + $(<"$i"))); done
	tell_keeper stop
	echo "# host programs: $answers answers, $visits visits; keeper: $answer" >&3
	wait "$keeper"
	[[ $answer == "kills $KILLS starts $((KILLS + 1)) "*" dropped 0 status 0" ]]
}
