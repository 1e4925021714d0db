# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154
#
# publish and subscribe.

load helper

# with_topic LAYOUT
with_topic() {
	ivshmem create "$region" --size 16M
	ivshmem format --label x --topic "t:$1" "$region"
}


@test "lines that are published come to each subscriber" {
	with_topic 64
	for i in 1 2 3; do
		timeout 30 ivshmem subscribe --count 100 "$region" t >"$dir/out$i" 3>&- &
	done
	sleep 0.5
	seq 1 50 | ivshmem publish "$region" t
	sleep 0.2
	seq 51 100 | ivshmem publish "$region" t
	wait
	for i in 1 2 3; do
		[ "$(sha1sum <"$dir/out$i")" = "$(seq 1 100 | sha1sum)" ]
	done
}

@test "who comes late gets the history that it asks for, without write access" {
	with_topic 64
	seq 1 200 | ivshmem publish "$region" t
	run -0 ivshmem subscribe --history 3 --count 3 "$region" t
	[ "$output" = $'198\n199\n200' ]
	chmod 0400 "$region"
	run -0 --separate-stderr without_override "$IVSHMEM_BUILD/ivshmem" subscribe --read-only --history 1000 --count 64 "$region" t
	[ "$output" = "$(seq 137 200)" ]
	[ -z "$stderr" ]
	run -1 --separate-stderr ivshmem subscribe --timeout 0.1 "$region" t
	says "ivshmem: $region: "
}

@test "frames come whole, as bytes" {
	with_topic 1M,history=4,subscribers=2,holds=1,lossless
	head -c 5500000 /dev/urandom >"$dir/in"
	timeout 30 ivshmem subscribe --raw --count 6 "$region" t >"$dir/out" 3>&- &
	sleep 0.5
	ivshmem publish --frame 1M "$region" t <"$dir/in"
	wait $!
	cmp "$dir/in" "$dir/out"
}

@test "a time that is longer than a call can wait for does not end at once" {
	with_topic 64
	run timeout 3 ivshmem subscribe --timeout 4294967.5 "$region" t
	[ "$status" -eq 124 ]
}

@test "all of the input is one message, and comes so" {
	with_topic 1M,history=4
	head -c 700000 /dev/urandom >"$dir/in"
	ivshmem publish --whole "$region" t <"$dir/in"
	timeout 30 ivshmem subscribe --whole --history 1 "$region" t >"$dir/out"
	cmp "$dir/in" "$dir/out"
	ivshmem publish --whole "$region" t </dev/null
	timeout 30 ivshmem subscribe --whole --latest --history 2 "$region" t >"$dir/out"
	[ ! -s "$dir/out" ]
	head -c 1048576 /dev/urandom | ivshmem publish --whole "$region" t
	[ "$(ivshmem info --json "$region" | jq '.objects[0].publishers[0].sent')" = 3 ]
	run -1 --separate-stderr ivshmem publish --whole "$region" t < <(head -c 1048577 /dev/urandom)
	says "ivshmem: $region: topic 't' takes messages of up to 1048576 bytes, and standard input has more"
	[ "$(ivshmem info --json "$region" | jq '.objects[0].publishers[0].sent')" = 3 ]
	run -2 --separate-stderr ivshmem publish --whole --frame 8 "$region" t </dev/null
	says "give one of --whole and --frame"
	run -2 --separate-stderr ivshmem subscribe --whole --count 2 "$region" t
	says "leave --count away"
}

@test "a slow subscriber of a lossless topic is waited for, then dropped and told" {
	with_topic 64,history=4,lossless
	"$IVSHMEM_BUILD/ivshmem" subscribe --timeout 30 "$region" t >"$dir/out" 2>"$dir/told" 3>&- &
	subscriber=$!
	sleep 0.5
	kill -STOP $subscriber
	seq 1 4 | timeout 10 ivshmem publish --timeout 0.2 "$region" t
	seq 5 30 | timeout 10 ivshmem publish --timeout 0.2 "$region" t
	kill -CONT $subscriber
	eventually grep -q "was too slow for a lossless topic" "$dir/told"
	eventually grep -qx 30 "$dir/out"
	kill $subscriber
	wait $subscriber || true
}

@test "info shows who publishes and who subscribes, what was published, and when" {
	with_topic 64,lossless
	timeout 30 ivshmem subscribe "$region" t >"$dir/out" 3>&- &
	subscriber=$!
	eventually bash -c 'ivshmem info "$region" | grep -q subscriber'
	seq 1 5 | ivshmem publish --stamp "$region" t
	eventually grep -qx 5 "$dir/out"
	run -0 bash -c 'ivshmem info --json "$region" | jq -c ".objects[0] | [.max_length, .history, .max_publishers, .max_subscribers, .holds, .lossless],
		(.publishers[] | [.place, .state, .sent, .length, .pid]), (.time_ns > 0), (.subscribers[] | [.place, .state, .received, .skipped, .waiting, .held])"'
	[ "$output" = '[64,64,1,16,0,true]
[0,"free",5,1,null]
false
[0,"attached",5,0,0,0]' ]
	[ "$(ivshmem info --json "$region" | jq ".objects[0].publishers[0].time_ns / 1e9 - now | fabs < 600")" = true ]
	run -0 ivshmem info "$region"
	grep -Eq '^t +topic +[0-9]+K publisher 0 +free .* 5 .* [0-9.]+s$' <<<"$output"
	grep -Eq '^ +subscriber 0 attached +[0-9]+ ' <<<"$output"
	kill $subscriber
	wait $subscriber || true
	[ "$(ivshmem info --json "$region" | jq '.objects[0].subscribers | length')" = 0 ]
}

@test "info finds who only reads a topic" {
	with_topic 64
	timeout 30 ivshmem subscribe "$region" t >/dev/null 3>&- &
	"$IVSHMEM_BUILD/ivshmem" subscribe --read-only "$region" t >/dev/null 3>&- &
	reader=$!
	eventually bash -c 'ivshmem info --json "$region" | jq -e ".objects[0] | (.users | length == 1) and (.subscribers | length == 1)"'
	[ "$(ivshmem info --json "$region" | jq '.objects[0].users[0].pid')" = $reader ]
	run -0 ivshmem info "$region"
	grep -Eq "^ +user +attached +$reader " <<<"$output"
	kill $reader %1
	wait || true
}

@test "what can't be is told" {
	with_topic 8
	run -1 --separate-stderr ivshmem publish "$region" t <<<"longer than eight"
	says "ivshmem: $region: topic 't' takes messages of up to 8 bytes, and line 1 is longer"
	run -1 --separate-stderr ivshmem publish --frame 9 "$region" t <<<x
	says "takes messages of up to 8 bytes"
	run -1 --separate-stderr ivshmem publish "$region" nothing <<<x
	says "ivshmem: $region: topic 'nothing': there is no topic of that name"
	run -1 --separate-stderr ivshmem subscribe "$region" nothing
	says "ivshmem: $region: topic 'nothing': there is no topic of that name"
	run -1 --separate-stderr ivshmem subscribe --timeout 0.1 "$region" t
	says "nothing came in time"
	run -1 --separate-stderr ivshmem recv --timeout 0 "$region" t
	stderr_has "the object of that name is no channel"
	for topic in t t: t:x t:8,foo t:8,history=1 t:8,subscribers=0 t:8,lossless=1 :8; do
		run -2 --separate-stderr ivshmem make --topic "$topic" "$region"
	done
	for options in "--frame 0" "--type x" "--timeout x"; do
		run -2 --separate-stderr ivshmem publish $options "$region" t
	done
	run -2 --separate-stderr ivshmem subscribe --count 0 "$region" t
	run -2 --separate-stderr ivshmem subscribe "$region"
	says "give WHERE and NAME"
}
