#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The command's channels between the host and a guest, on a plain region and on one
# with a doorbell.

load helper
load both_kinds

# readme_types: the lines that README.md types on both sides, and on which, but for the
# benchmark
readme_types() {
	sed -nE 's/^(ivshmem|echo|seq) (.*[^ ]) +# (host|guest)$/\3 \1 \2/p' README.md | grep -v ' bench '
}

@test "what README types on host and guest works" {
	guest 'head -c 1000000 /dev/urandom >/tmp/picture.raw'
	while read -r side line; do
		echo "$side: $line"
		line=${line//\/dev\/shm\/my-little-shared-memory/$REGIONS\/plain}
		# The region holds the text of the lines before.
		[[ $line != *' send '*numbers ]] || host format --force --label demo "$REGIONS/plain"
		if [ "$side" = guest ]; then
			# Who needs the other side for that waits in the background.
			[[ ! $line =~ ' send '|' recv '|' call ' ]] || background='& sleep 0.2'
			guest "cd /tmp; { $line; } >>/run/typed 2>&1 ${background-}"
			unset background
		else
			PATH="$PWD/build:$PATH" timeout $((60 * VM_PATIENCE)) bash -o pipefail -c "$line" </dev/null >>"$REGIONS/typed" 3>&-
		fi
	done < <(readme_types) >"$REGIONS/log"
	cat "$REGIONS/log"
	[ "$(wc -l <"$REGIONS/log")" -ge 9 ]
	guest 'cat /run/typed; until grep -qx "HELLO, HOST" /run/typed; do sleep 0.1; done'
	guest 'grep -q "0000:00:04.0 /dev/ivshmem0" /run/typed && grep -qx "Hello world!" /run/typed'
	[ "$(cat "$REGIONS/typed")" = "$(seq 5; guest 'sha256sum </tmp/picture.raw')" ]
	head -c 4M /dev/zero | host write "$REGIONS/plain"
}

format_and_compare() {
	host format --label messages --objects 8 "$1"
	[ "$(host info --json "$1" | jq -r '.label, .uuid')" = \
		"$(guest "ivshmem info --json $2" | jq -r '.label, .uuid')" ]
}

@test "what the host has formatted is formatted in the guest" {
	each format_and_compare
}

to_guest() {
	seq 1 20000 | host send "$1" to-guest 3>&- &
	[ "$(guest "timeout $((50 * VM_PATIENCE)) ivshmem recv $2 to-guest | sha256sum")" = "$(seq 1 20000 | sha256sum)" ]
	wait $!
}

@test "messages from the host arrive in the guest" {
	each to_guest
}

to_host() {
	guest "seq 1 20000 | timeout $((50 * VM_PATIENCE)) ivshmem send $2 to-host >/dev/null 2>&1 &"
	[ "$(host recv "$1" to-host | sha256sum)" = "$(seq 1 20000 | sha256sum)" ]
}

@test "messages from the guest arrive on the host" {
	each to_host
}

stream_both_ways() {
	head -c 8000000 /dev/urandom >"$REGIONS/noise"
	guest "timeout $((50 * VM_PATIENCE)) ivshmem recv --whole $2 down >/tmp/noise 2>&1 & echo \$! >/run/receiver"
	host send --whole "$1" down <"$REGIONS/noise"
	guest 'while kill -0 $(cat /run/receiver) 2>/dev/null; do sleep 0.1; done'
	guest "timeout $((50 * VM_PATIENCE)) ivshmem send --whole $2 up </tmp/noise >/dev/null 2>&1 &"
	host recv --whole "$1" up | cmp - "$REGIONS/noise"
	rm "$REGIONS/noise"
}

@test "a stream goes into the guest and comes back as it was" {
	each stream_both_ways
}

measure() {
	guest "timeout $((50 * VM_PATIENCE)) ivshmem bench --serve $2 >/dev/null 2>&1 & echo \$! >/run/bench"
	run host bench --time 0.3 --size 8 --json "$1"
	guest 'kill $(cat /run/bench)'
	[ "$status" -eq 0 ]
	case $1 in
	unix:*) wakeup=doorbell ;;
	*) wakeup=backoff ;;
	esac
	[ "$(jq -r '.wakeup, (.tests | length)' <<<"$output")" = "$wakeup"$'\n2' ]
	jq -e 'all(.tests[]; .messages > 0)' <<<"$output"
}

@test "bench measures, and tells how it is woken" {
	each measure
}

examples() {
	guest "timeout $((50 * VM_PATIENCE)) /tests/answer $2 >/tmp/answer 2>&1 &"
	[ "$(timeout $((60 * VM_PATIENCE)) build/examples/ask "$1" | tail -n 1)" = '5 squared is 25' ]
	guest 'until grep -q "the other side has closed the channel" /tmp/answer; do sleep 0.1; done'
}

@test "the examples talk" {
	each examples
}

killed() {
	end='.objects[] | select(.name == "killed").creator.state'
	guest "ivshmem recv --create $2 killed >/dev/null 2>&1 & echo \$! >/run/receiver
		until ivshmem info --json $2 | grep -q killed; do sleep 0.1; done
		kill -KILL \$(cat /run/receiver)"
	[ "$(host info --json "$1" | jq -r "$end")" = attached ]
	[ "$(guest "ivshmem info --json $2" | jq -r "$end")" = dead ]
	run host send --timeout 1 "$1" killed </dev/null
	[ "$status" -eq 1 ]
	[[ "$output" == *'another program has this end'* ]]
	guest "timeout $((50 * VM_PATIENCE)) ivshmem recv $2 killed >/tmp/out 2>&1 &"
	echo hello | host send --take-over "$1" killed
	guest 'until grep -qx hello /tmp/out; do sleep 0.1; done; rm /tmp/out'
}

@test "a killed program's end is dead in its own machine, and taken over from another" {
	each killed
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
