#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A guest goes from one QEMU to another and back, MIGRATIONS times, with a plain device
# and one with a doorbell, and with a generation counter, without which no ring reaches it on
# KVM. Each QEMU has a file and a server of its own, as on two hosts:
# "here" and "there". Programs of both exchange messages with the guest before and after.

load helper

MIGRATIONS=${MIGRATIONS:-3}
ROUNDS=60
# Each vector counts as rung in a VM that has a generation counter, as virt has not.
genid=(-device "vmgenid,guid=auto") rings=2
[ "$(vm_machine)" != virt ] || genid=() rings=1
plain=/dev/ivshmem/by-path/pci-0000:00:04.0
doorbell=/dev/ivshmem/by-path/pci-0000:00:05.0

# serve_at here|there: its server, its file, and a program that joins before QEMU and stays
serve_at() {
	build/ivshmem create "$REGIONS/$1.plain" --size 4M
	build/ivshmem serve --socket "$REGIONS/$1.socket" --size 4M --vectors 2 \
		3>&- 2>"$REGIONS/$1.log" &
	echo $! >>"$REGIONS/pids"
	listens "$REGIONS/$1.socket" "$REGIONS/$1.log"
	build/ivshmem wait --count 1000000 "unix:$REGIONS/$1.socket" 0 >/dev/null 2>&1 3>&- &
	echo $! >>"$REGIONS/pids"
	within 30 grep -q 'event=joined' "$REGIONS/$1.log"
}

# devices here|there MASTER: QEMU's arguments, quoted
devices() {
	echo "$(build/ivshmem qemu --id plain --master "$2" "$REGIONS/$1.plain"),addr=4" \
		"$(build/ivshmem qemu --id doorbell --master "$2" --doorbell --vectors 2 \
			--socket "$REGIONS/$1.socket"),addr=5" \
		"${genid[@]}"
}

# run_at here|there COMMAND [ARGUMENT...]: starts QEMU there
run_at() {
	local where=$1 status=0
	shift
	eval "set -- \"\$@\" $(devices "$where" on)"
	"$@" || status=$?
	echo "$VM_DIR" | tee "$REGIONS/vm" >>"$REGIONS/vms"
	echo "$where" >"$REGIONS/where"
	return $status
}

# What formats the region is a command that joins before QEMU, and has left.
boot() {
	serve_at here
	serve_at there
	build/ivshmem format --label plain "$REGIONS/here.plain"
	build/ivshmem format --label doorbell "unix:$REGIONS/here.socket"
	run_at here vm_start
}

setup() {
	VM_DIR=$(<"$REGIONS/vm")
	where=$(<"$REGIONS/where")
}

teardown_file() {
	while read -r VM_DIR; do
		vm_kill
	done <"$REGIONS/vms"
	while read -r pid; do
		kill "$pid" 2>/dev/null || true
	done <"$REGIONS/pids"
	rm -rf "$REGIONS"
}

other() {
	case $where in
	here) echo there ;;
	there) echo here ;;
	esac
}

has_ended() {
	qmp query-migrate >"$REGIONS/migration" && jq -e '.status | . == "completed" or . == "failed"' "$REGIONS/migration" >/dev/null
}

# migrate: to the other side, where QEMU is started
migrate() {
	local source=$VM_DIR
	run_at "$(other)" vm_launch -incoming "unix:$REGIONS/incoming" || return
	where=$(<"$REGIONS/where")
	VM_DIR=$source qmp migrate "{\"uri\": \"unix:$REGIONS/incoming\"}" || return
	VM_DIR=$source within 120 has_ended || return
	cat "$REGIONS/migration"
	[ "$(jq -r .status "$REGIONS/migration")" = completed ] || return
	VM_DIR=$source vm_kill
	guest true
}

on_host() {
	timeout $((60 * VM_PATIENCE)) build/tests/messages "$@"
}

# guest_program COMMAND: runs on in the guest; what it says goes to /run/said
guest_program() {
	guest "$1 >/run/said 2>&1 & echo \$! >/run/program"
}

guest_program_ends() {
	guest_within 60 'while kill -0 $(cat /run/program) 2>/dev/null; do sleep 0.02; done; cat /run/said'
}

# host_asks PATH NODE WAKEUP, guest_asks PATH NODE WAKEUP
host_asks() {
	guest_program "/tests/messages $2 chat connect echo"
	[ "$(on_host "$1" chat create $ROUNDS)" = "$ROUNDS $3" ] && [ -z "$(guest_program_ends)" ]
}

guest_asks() {
	guest_program "/tests/messages $2 chat connect $ROUNDS"
	[ -z "$(on_host "$1" chat create echo)" ] && [ "$(guest_program_ends)" = "$ROUNDS $3" ]
}

exchange() {
	for asks in host_asks guest_asks; do
		$asks "$REGIONS/$where.plain" $plain backoff || return
		$asks "unix:$REGIONS/$where.socket" $doorbell doorbell || return
	done
}

@test "QEMU with master=on starts though a program has formatted the region and another stays" {
	[ "$(build/ivshmem peers --socket "$REGIONS/here.socket" --json | jq -c '[.peers[].peer]')" = '[1,0]' ]
	[ "$(guest "cat /sys/class/ivshmem/*/device/ivshmem/*/peer_id")" = $'0\n0' ]
}

@test "QEMU with master=on beside another QEMU ends, and the server's log says why" {
	eval "set -- $(devices here on)"
	run "$QEMU" -machine "$(vm_machine)" -nodefaults -display none "${@:5}"
	echo "$output"
	[ "$status" -ne 0 ]
	[[ "$output" == *'master must connect to the server before any peers'* ]]
	within 10 grep -q 'too late for a QEMU with master=on: peer 0 was there before' "$REGIONS/here.log"
}

@test "messages, a waiting program and raw memory before and after $MIGRATIONS migrations" {
	exchange
	guest "cp /sys/class/ivshmem/ivshmem1/peer_id /run/id
		ivshmem wait --count $((MIGRATIONS * rings)) $doorbell 0 >/run/waited 2>&1 & echo \$! >/run/waiter"
	for ((i = 1; i <= MIGRATIONS; i++)); do
		for node in $plain $doorbell; do
			guest "printf 'from the guest %3d' $i | ivshmem write --offset 4000000 $node"
		done
		migrate
		for path in "$REGIONS/$where.plain" "unix:$REGIONS/$where.socket"; do
			[ "$(build/ivshmem read --offset 4000000 --length 18 "$path")" = "$(printf 'from the guest %3d' $i)" ]
		done
		exchange
		guest 'cmp /run/id /sys/class/ivshmem/ivshmem1/peer_id && kill -0 $(cat /run/waiter)'
		[ "$(guest "awk '/ivshmem1-0/ { print \$2 }' /proc/interrupts")" -eq $((i - 1)) ]
		build/ivshmem notify "unix:$REGIONS/$where.socket" 0 0
		guest "until [ \"\$(awk '/ivshmem1-0/ { print \$2 }' /proc/interrupts)\" = $i ]; do sleep 0.02; done"
	done
	[ "$(guest_within 60 'while kill -0 $(cat /run/waiter) 2>/dev/null; do sleep 0.02; done; cat /run/waited')" = $((MIGRATIONS * rings)) ]
	echo "# $MIGRATIONS migrations, $((i * 4 * ROUNDS)) messages answered, $MIGRATIONS rings taken" >&3
}

path_of() {
	case $2 in
	plain) echo "$REGIONS/$1.plain" ;;
	doorbell) echo "unix:$REGIONS/$1.socket" ;;
	esac
}

# are_asked PATH: both ends of its channel "left" are at work
are_asked() {
	build/ivshmem info --json "$1" | jq -e '.objects[] | select(.name == "left") | .creator.sent > 5' >/dev/null
}

# leave_behind KIND NODE: a program here that asks one in the guest; stopped, so that what it
# has written goes along as a whole
leave_behind() {
	guest "/tests/messages $2 left connect echo >/run/left.$1 2>&1 & echo \$! >/run/left.$1.pid"
	build/tests/messages "$(path_of "$where" "$1")" left create 2000000000 >"$REGIONS/left.$1" 2>&1 3>&- &
	echo $! | tee -a "$REGIONS/pids" >"$REGIONS/left.$1.pid"
	within 60 are_asked "$(path_of "$where" "$1")" || return
	kill -STOP "$(<"$REGIONS/left.$1.pid")"
}

@test "a channel whose other end was left behind is told so by the next program there, and goes on with it" {
	leave_behind plain $plain
	leave_behind doorbell $doorbell
	migrate
	for kind in plain doorbell; do
		kill -CONT "$(<"$REGIONS/left.$kind.pid")"
		[ -z "$(guest "cat /run/left.$kind")" ]
		TAKE_OVER=no on_host "$(path_of "$where" $kind)" left create $ROUNDS
		[ "$(guest_within 60 "while kill -0 \$(cat /run/left.$kind.pid) 2>/dev/null; do sleep 0.02; done; cat /run/left.$kind")" = reconnected ]
	done
}

@test "a program that was left behind is told that the guest has left the server, and on a plain region nothing" {
	within 30 grep -qx left "$REGIONS/left.doorbell"
	for kind in plain doorbell; do
		kill -0 "$(<"$REGIONS/left.$kind.pid")"
		kill "$(<"$REGIONS/left.$kind.pid")"
	done
	[ "$(sort -u "$REGIONS/left.doorbell")" = left ]
	[ -z "$(<"$REGIONS/left.plain")" ]
}

@test "a guest that moved and who stayed behind have a region each" {
	for kind in plain doorbell; do
		old=$(path_of "$(other)" $kind)
		printf 'in the old one' | build/ivshmem write --offset 4000000 "$old"
		guest "printf 'in the new one' | ivshmem write --offset 4000000 /dev/ivshmem/by-label/$kind"
		[ "$(build/ivshmem read --offset 4000000 --length 14 "$old")" = 'in the old one' ]
		[ "$(build/ivshmem read --offset 4000000 --length 14 "$(path_of "$where" $kind)")" = 'in the new one' ]
	done
}

@test "who stayed behind finds no peer to ring" {
	run build/ivshmem notify "unix:$REGIONS/$(other).socket" 0 1
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *'there is no vector 1 of a peer 0'* ]]
}

# start_paused PATH [QEMU-OPTION...]: a VM with this region, which does not run
start_paused() {
	local path=$1
	shift
	eval "set -- \"\$@\" $(build/ivshmem qemu --size 4M --master on "$path")"
	vm_launch -S "$@"
	echo "$VM_DIR" >>"$REGIONS/vms"
}

status_is() {
	[ "$(qmp query-migrate | jq -r .status)" = "$1" ]
}

@test "what a program writes after QEMU has copied the region does not go along" {
	start_paused "$REGIONS/to" -incoming "unix:$REGIONS/incoming.paused"
	start_paused "$REGIONS/from"
	printf before | build/ivshmem write "$REGIONS/from"
	qmp migrate-set-capabilities '{"capabilities": [{"capability": "pause-before-switchover", "state": true}]}'
	qmp migrate "{\"uri\": \"unix:$REGIONS/incoming.paused\"}"
	within 60 status_is pre-switchover
	printf after- | build/ivshmem write "$REGIONS/from"
	qmp migrate-continue '{"state": "pre-switchover"}'
	within 60 status_is completed
	[ "$(build/ivshmem read --length 6 "$REGIONS/to")" = before ]
}

@test "a guest whose device has no master=on is not migrated, and QEMU says why" {
	eval "set -- $(devices there off)"
	VM_DIR=
	vm_launch -S "${@:1:2}" "${@:3:2}"
	run qmp migrate '{"uri": "exec:cat >/dev/null"}'
	vm_kill
	echo "$output"
	[ "$status" -ne 0 ]
	[[ "$output" == *"Migration is disabled when using feature 'peer mode' in device 'ivshmem'"* ]]
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
