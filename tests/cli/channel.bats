# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154
#
# send and recv, which are each other's test.

load helper

# formatted [SIZE [CHANNELS]]
formatted() {
	ivshmem create "$region" --size "${1-1M}"
	ivshmem format "$region" --label test --objects "${2-2}"
}

# states: who has the ends of the first channel
states() {
	ivshmem info --json "$region" | jq -r '.objects[0] | .creator.state, .connector.state' | xargs
}

states_are() {
	[ "$(states)" = "$1" ]
}

# exchange [SEND-OPTIONS [RECV-OPTIONS]]: $dir/in becomes $dir/out
exchange() {
	local send=${1-} recv=${2-}

	timeout 30 ivshmem send $send "$region" x <"$dir/in" &
	timeout 30 ivshmem recv $recv "$region" x >"$dir/out"
	wait $!
}

@test "lines arrive as they were sent" {
	formatted
	seq 1 100000 >"$dir/in"
	exchange
	cmp "$dir/in" "$dir/out"
}

@test "empty lines, NUL bytes and a last line without an end arrive" {
	formatted
	printf 'one\n\n\0two\0\n\n\n\377last' >"$dir/in"
	exchange
	{ cat "$dir/in" && echo; } | cmp - "$dir/out"
}

@test "nothing is sent of an empty input" {
	formatted
	: >"$dir/in"
	exchange
	[ ! -s "$dir/out" ]
	exchange --whole --whole
	[ ! -s "$dir/out" ]
}

@test "either side may come first, and either may create" {
	formatted
	seq 1 10 >"$dir/in"
	timeout 30 ivshmem recv "$region" x >"$dir/out" &
	sleep 0.2
	timeout 30 ivshmem send "$region" x <"$dir/in"
	wait $!
	cmp "$dir/in" "$dir/out"

	timeout 30 ivshmem recv --create "$region" x >"$dir/out" &
	eventually states_are "attached free"
	timeout 30 ivshmem send --connect "$region" x <"$dir/in"
	wait $!
	cmp "$dir/in" "$dir/out"
}

@test "noise arrives whole as a stream, whatever the sizes of pieces" {
	formatted
	head -c 20000000 /dev/urandom >"$dir/in"
	exchange --whole --whole
	cmp "$dir/in" "$dir/out"
	dd if="$dir/in" bs=777 status=none | head -c 5000000 >"$dir/part"
	dd if="$dir/part" ibs=777 obs=3001 status=none | timeout 30 ivshmem send --whole "$region" x &
	timeout 30 ivshmem recv --whole "$region" x | dd of="$dir/out" ibs=333 obs=1000 status=none
	wait $!
	cmp "$dir/part" "$dir/out"
}

@test "a stream is taken from what lines were sent as, without their ends" {
	formatted
	printf 'a\nb\n\nc' >"$dir/in"
	exchange '' --whole
	[ "$(cat "$dir/out")" = abc ]
}

@test "messages are passed on one by one" {
	formatted
	mkfifo "$dir/fifo"
	timeout 30 ivshmem send "$region" x <"$dir/fifo" &
	sender=$!
	exec 8>"$dir/fifo"
	timeout 30 ivshmem recv "$region" x >"$dir/out" 8>&- &
	receiver=$!
	echo first >&8
	eventually grep -qx first "$dir/out"
	echo second >&8
	eventually grep -qx second "$dir/out"
	exec 8>&-
	wait $sender
	wait $receiver
	[ "$(cat "$dir/out")" = $'first\nsecond' ]
}

@test "the longest line arrives, and one byte more is refused by its number" {
	formatted 1M 1
	ring=$(ivshmem info --json "$region" | jq .ring_size)
	head -c $((ring / 2 - 8)) /dev/zero | tr '\0' y >"$dir/in"
	exchange
	[ "$(stat -c %s "$dir/out")" -eq $((ring / 2 - 7)) ]
	{ echo short && cat "$dir/in" && echo y; } >"$dir/long"
	timeout 30 ivshmem recv "$region" x >"$dir/out" 3>&- &
	run -1 --separate-stderr timeout 30 ivshmem send "$region" x <"$dir/long"
	says "channel 'x' takes messages of up to $((ring / 2 - 8)) bytes, and line 2 is longer"
	wait $!
	[ "$(cat "$dir/out")" = short ]
}

@test "recv ends after so many messages, and the sender is told" {
	formatted
	yes | timeout 30 ivshmem send "$region" x 2>"$dir/error" 3>&- &
	run -0 --separate-stderr timeout 30 ivshmem recv --count 3 "$region" x
	[ "$output" = $'y\ny\ny' ]
	[ -z "$stderr" ]
	ends_with 1 $!
	grep -q "channel 'x': the other side has closed the channel; [0-9]* messages were sent, the rest was not" "$dir/error"
}

@test "fewer messages than were asked for are a failure" {
	formatted
	seq 1 2 >"$dir/in"
	timeout 30 ivshmem send "$region" x <"$dir/in" 3>&- &
	run -1 --separate-stderr timeout 30 ivshmem recv --count 3 "$region" x
	[ "$output" = $'1\n2' ]
	stderr_has "channel 'x': the other side has closed the channel; 2 messages were received"
}

@test "who waits gives up in time" {
	formatted
	run -1 --separate-stderr timeout 30 ivshmem recv --timeout 0.1 "$region" x
	says "channel 'x': the other side did not come in time: 'ivshmem info'"
	run -1 --separate-stderr timeout 30 ivshmem send --timeout 0.1 "$region" x
	says "channel 'x': the other side did not come in time: 'ivshmem info'"
	run -1 --separate-stderr timeout 30 ivshmem recv --timeout 0 "$region" x
	says "in time"
	[ "$(states)" = "free free" ]
}

@test "a receiver that nothing reaches, and a sender that nobody hears, give up" {
	formatted
	mkfifo "$dir/fifo"
	timeout 30 ivshmem send "$region" x <"$dir/fifo" 3>&- &
	exec 8>"$dir/fifo"
	echo one >&8
	run -1 --separate-stderr timeout 30 ivshmem recv --timeout 0.2 "$region" x
	[ "$output" = one ]
	stderr_has "channel 'x': no message came in time; 1 messages were received"
	exec 8>&-
	wait

	ivshmem recv "$region" x >"$dir/out" 3>&- &
	receiver=$!
	yes | timeout 30 ivshmem send --timeout 0.5 "$region" x 2>"$dir/error" 3>&- &
	eventually [ -s "$dir/out" ]
	kill -STOP $receiver
	ends_with 1 $!
	kill -KILL $receiver
	grep -q "channel 'x': there was no room in time: the other side does not receive; [0-9]* messages were sent" "$dir/error"
}

@test "a taken end is refused, and taken over when asked for" {
	formatted
	mkfifo "$dir/fifo"
	timeout 30 ivshmem send "$region" x <"$dir/fifo" 2>"$dir/error" 3>&- &
	sender=$!
	exec 8>"$dir/fifo"
	eventually states_are "attached free"
	run -1 --separate-stderr timeout 30 ivshmem send "$region" x </dev/null
	says "channel 'x': another program has this end: 'ivshmem info'"
	timeout 30 ivshmem recv "$region" x >"$dir/out" 3>&- &
	receiver=$!
	eventually states_are "attached attached"
	run -1 --separate-stderr timeout 30 ivshmem recv "$region" x
	says "channel 'x': another program has this end"
	echo lost >&8
	eventually grep -q lost "$dir/out"
	echo over | timeout 30 ivshmem send --take-over --timeout 2 "$region" x 2>/dev/null 8>&- || true
	echo more >&8 || true
	exec 8>&-
	ends_with 1 $sender
	grep -q "channel 'x': the other side is dead or was replaced, or this end was taken over" "$dir/error"
	ends_with 1 $receiver
}

@test "a region without room for one more channel is told" {
	formatted 1M 1
	timeout 30 ivshmem send "$region" x </dev/null 3>&- &
	sender=$!
	eventually states_are "attached free"
	run -1 --separate-stderr timeout 30 ivshmem send "$region" other </dev/null
	says "the region has no room for one more channel"
	kill $sender
	wait $sender || true
	eventually states_are "free free"
	timeout 30 ivshmem recv "$region" other 3>&- &
	timeout 30 ivshmem send "$region" other </dev/null
	wait $!
}

@test "a signal closes the channel, and is what the program dies of" {
	formatted
	for signal in INT TERM HUP; do
		# A program in the background ignores SIGINT, unless it has a session's own handler.
		env --default-signal="$signal" ivshmem recv --create "$region" x >"$dir/out" 3>&- &
		receiver=$!
		eventually states_are "attached free"
		kill -s $signal $receiver
		ends_with $((128 + $(kill -l $signal))) $receiver
		[ "$(states)" = "free free" ]
	done
	mkfifo "$dir/fifo"
	timeout 30 ivshmem send "$region" x <"$dir/fifo" 3>&- &
	sender=$!
	exec 8>"$dir/fifo"
	timeout 30 ivshmem recv "$region" x >"$dir/out" 3>&- &
	receiver=$!
	echo one >&8
	eventually grep -q one "$dir/out"
	kill -TERM $sender
	wait $receiver
	exec 8>&-
	[ "$(cat "$dir/out")" = one ]
}

@test "a signal that comes just before a call sleeps ends it" {
	early=$BATS_TEST_TMPDIR/early_signal.so
	"${CC:-cc}" -shared -fPIC -Wall -Wextra -Werror -D_GNU_SOURCE -I"$tree/userspace/include" \
		-o "$early" "$BATS_TEST_DIRNAME/early_signal.c"
	formatted
	# early CALL VERB [OPTION...]: it dies of the signal, says nothing, and has closed its end
	early() {
		start_early "$1" "${@:2}" "$region" x
		ends_early
	}
	start_early() {
		EARLY_SIGNAL=$1 LD_PRELOAD=$early ivshmem "${@:2}" >"$dir/out" 2>"$dir/error" 3>&- &
		early_pid=$!
	}
	ends_early() {
		ends_with 143 $early_pid
		[ ! -s "$dir/error" ]
	}
	early create send </dev/null
	early connect recv
	# The other end is there, and neither sends nor receives.
	mkfifo "$dir/fifo"
	for call in "peek recv" "peek recv --whole"; do
		timeout 60 ivshmem send "$region" x <"$dir/fifo" 2>/dev/null 3>&- &
		other=$!
		exec 8>"$dir/fifo"
		# shellcheck disable=SC2086
		early $call
		exec 8>&-
		ends_with 0 $other
	done
	for call in recv reconnect; do
		start_early $call bench --serve "$region"
		timeout 60 ivshmem bench --time 0.01 --size 8 "$region" latency >/dev/null 2>&1 3>&- || true
		ends_early
	done
	[ "$(states)" = "free free" ]
}

@test "a signal ends a stream that never pauses" {
	formatted
	for victim in send recv; do
		timeout 60 ivshmem send --whole "$region" x </dev/zero 2>"$dir/error" 3>&- &
		send=$!
		timeout 60 ivshmem recv --whole "$region" x >/dev/null 2>"$dir/error" 3>&- &
		recv=$!
		eventually states_are "attached attached"
		sleep 0.5
		kill "${!victim}"
		ends_with 143 "${!victim}"
		[ $victim = send ] && ends_with 0 $recv || ends_with 1 $send
	done
}

@test "a reader that goes away ends recv, and the sender is told" {
	formatted
	yes | timeout 30 ivshmem send "$region" x 2>"$dir/error" 3>&- &
	timeout 30 ivshmem recv "$region" x 2>"$dir/recv-error" | head -n 5 >"$dir/out"
	ends_with 1 $!
	[ ! -s "$dir/recv-error" ]
	grep -q "the other side has closed the channel" "$dir/error"
	[ "$(wc -l <"$dir/out")" -eq 5 ]
}

@test "a killed program leaves an end that the next one takes" {
	formatted
	ivshmem recv --create "$region" x >"$dir/out" 3>&- &
	eventually states_are "attached free"
	kill -KILL $!
	wait $! || true
	eventually states_are "dead free"
	seq 1 10 >"$dir/in"
	exchange
	cmp "$dir/in" "$dir/out"
}

@test "info shows who is attached, and how many messages were sent" {
	formatted
	mkfifo "$dir/fifo"
	ivshmem send "$region" x <"$dir/fifo" 3>&- &
	sender=$!
	exec 8>"$dir/fifo"
	timeout 30 ivshmem recv "$region" x >"$dir/out" 3>&- 8>&- &
	receiver=$!
	seq 1 7 >&8
	eventually grep -qx 7 "$dir/out"
	run -0 bash -c 'ivshmem info --json "$region" | jq -c ".objects[0] | .name, (.creator | { state, pid, sent }), (.connector | .state, .received)"'
	[ "$output" = "\"x\"
{\"state\":\"attached\",\"pid\":$sender,\"sent\":7}
\"attached\"
7" ]
	run -0 ivshmem info "$region"
	grep -qE "^x +channel +[0-9]+K +creator +attached +$sender +(message +)?7 " <<<"$output"
	grep -qE "^objects +1 of 2 *\$" <<<"$output"
	exec 8>&-
	wait $sender
	wait $receiver
}

@test "an unformatted region says how to format it" {
	ivshmem create "$region" --size 1M
	for verb in send recv; do
		run -1 --separate-stderr ivshmem $verb "$region" x </dev/null
		says "ivshmem: $region: channel 'x': the region is not formatted: 'ivshmem format'"
	done
	printf text | ivshmem write "$region"
	run -1 --separate-stderr ivshmem send "$region" x </dev/null
	says "and holds something else"
}

@test "what is no name for a channel is misuse" {
	formatted
	for name in .x a/b 'a b' '' "$(printf 'x%.0s' {1..56})"; do
		for verb in send recv; do
			run -2 --separate-stderr ivshmem $verb "$region" "$name" </dev/null
			says "a channel's name has 1 to 55 letters"
		done
	done
}

@test "options are checked before anything is opened" {
	for timeout in -1 x '' nan; do
		run -2 --separate-stderr ivshmem recv --timeout "$timeout" /nowhere x
		says "is not a number of seconds"
	done
	run -2 --separate-stderr ivshmem recv --count 0 /nowhere x
	says "is not a number from 1"
	run -2 --separate-stderr ivshmem recv --count 1 --whole /nowhere x
	says "leave it away with --whole"
	for verb in send recv; do
		run -2 --separate-stderr ivshmem $verb /nowhere </dev/null
		says "give WHERE and NAME"
		run -2 --separate-stderr ivshmem $verb /nowhere x y </dev/null
		says "give WHERE and NAME"
	done
}

@test "a full disk behind recv is a failure" {
	formatted
	seq 1 100000 >"$dir/in"
	for whole in '' --whole; do
		timeout 30 ivshmem send $whole "$region" x <"$dir/in" 2>/dev/null 3>&- &
		run -1 --separate-stderr bash -c "timeout 30 ivshmem recv $whole '$region' x >/dev/full"
		says "ivshmem: standard output: "
		wait $! || true
	done
}

@test "a full disk behind recv ends it, though nothing more comes" {
	formatted
	mkfifo "$dir/fifo"
	timeout 30 ivshmem send "$region" x <"$dir/fifo" 2>"$dir/error" 3>&- &
	exec 8>"$dir/fifo"
	echo one >&8
	run -1 --separate-stderr bash -c 'exec timeout 10 ivshmem recv "$region" x >/dev/full'
	says "ivshmem: standard output: No space left on device"
	exec 8>&-
	wait
}

@test "an input that can't be read is a failure" {
	formatted
	for whole in '' --whole; do
		timeout 30 ivshmem recv $whole "$region" x 3>&- &
		run -1 --separate-stderr timeout 30 ivshmem send $whole "$region" x <"$dir"
		says "ivshmem: standard input: Is a directory"
		wait $!
	done
}

@test "what one sender sends, and the next, is all received" {
	formatted
	for i in 1 2 3 4 5 6 7 8 9 10; do
		seq "${i}0000" "${i}9999" | timeout 30 ivshmem send "$region" x || echo failed >"$dir/error"
	done 3>&- &
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		timeout 30 ivshmem recv "$region" x >>"$dir/out"
	done
	wait $!
	[ ! -e "$dir/error" ]
	for i in 1 2 3 4 5 6 7 8 9 10; do
		seq "${i}0000" "${i}9999"
	done | cmp - "$dir/out"
}
