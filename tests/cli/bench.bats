# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154

load helper

serving() {
	[ "$(ivshmem info --json "$region" | jq -r '.objects[0].creator.state')" = attached ]
}

serve() {
	ivshmem create "$region" --size 1M
	ivshmem format "$region" --label test --objects 2
	ivshmem bench --serve "$region" "$@" 2>"$dir/error" 3>&- &
	server=$!
	eventually serving
}

sent() {
	[ "$(ivshmem info --json "$region" | jq -r '.objects[0].connector.sent')" -gt 0 ]
}

teardown() {
	[ -z "${server-}" ] || kill "$server"
	rm -rf "$dir"
}

@test "both tests are made, at several sizes, one after the other" {
	serve
	for _ in 1 2; do
		run -0 --separate-stderr timeout 60 ivshmem bench --time 0.02 "$region"
		[ -z "$stderr" ]
		[[ "${lines[0]}" == TEST*SIZE*MESSAGES/S*BYTES/S*P50*P99*P99.9*MAX* ]]
		[ "$(grep -c ^latency <<<"$output")" -ge 3 ]
		[ "$(grep -c ^throughput <<<"$output")" -ge 3 ]
	done
	[ ! -s "$dir/error" ]
}

@test "JSON tells rates and times that fit each other" {
	serve
	run -0 timeout 60 ivshmem bench --time 0.1 --size 100 --json "$region"
	jq -e '.wakeup == "futex" and ([.tests[].test] == ["latency", "throughput"])' <<<"$output"
	jq -e '.tests[] | .size == 100 and .messages > 0 and .seconds > 0.05 and .seconds < 10 and
		((.messages / .seconds / .messages_per_second - 1) | fabs < 0.01) and
		((.messages_per_second * 100 / .bytes_per_second - 1) | fabs < 0.01)' <<<"$output"
	jq -e '.tests[0] | .p50_ns > 0 and .p50_ns <= .p99_ns and .p99_ns <= .p999_ns and
		.p999_ns <= .max_ns and .max_ns <= .seconds * 1e9' <<<"$output"
	jq -e '.tests[1] | has("p50_ns") | not' <<<"$output"
}

@test "one test alone, on a channel of another name" {
	serve --name other
	run -0 timeout 60 ivshmem bench --name other --time 0.02 --json "$region" throughput
	[ "$(jq -r '[.tests[].test] | unique | join(" ")' <<<"$output")" = throughput ]
	run -0 timeout 60 ivshmem bench --name other --time 0.02 --spin 0 --size 1 --json "$region" latency
	[ "$(jq -r '[.tests[] | .test, .size] | join(" ")' <<<"$output")" = 'latency 1' ]
}

@test "a size that the channel does not take is refused" {
	serve
	run -1 --separate-stderr timeout 60 ivshmem bench --size 1M "$region"
	says "channel 'bench' takes messages of up to"
}

@test "a killed client is followed by the next" {
	serve
	timeout 60 ivshmem bench --time 30 "$region" latency 3>&- &
	eventually sent
	client=$(ivshmem info --json "$region" | jq -r '.objects[0].connector.pid')
	kill -KILL "$client"
	wait $! || true
	run -0 timeout 60 ivshmem bench --time 0.02 --size 8 "$region"
}

@test "a signal ends either side in the middle of a test" {
	for test in latency throughput; do
		for victim in client server; do
			serve
			timeout 60 ivshmem bench --time 50 --size 8 "$region" $test 2>"$dir/error" 3>&- &
			client=$!
			eventually sent
			kill "${!victim}"
			ends_with 143 "${!victim}"
			if [ $victim = client ]; then
				kill "$server"
				ends_with 143 "$server"
			else
				ends_with 1 "$client"
			fi
			rm "$region"
		done
	done
	server=
}

@test "what is no bench on the other side is told, and the next one served" {
	serve
	echo hello | timeout 60 ivshmem send --connect "$region" bench
	eventually grep -q "the other side is no 'ivshmem bench'" "$dir/error"
	run -0 timeout 60 ivshmem bench --time 0.02 --size 8 "$region"
}

@test "nobody on the other side is told in time" {
	ivshmem create "$region" --size 1M
	ivshmem format "$region" --label test
	run -1 --separate-stderr timeout 60 ivshmem bench --timeout 0.1 "$region"
	says "channel 'bench': the other side did not come in time"
}

@test "misuse is told before anything is opened" {
	for size in x '' -1; do
		run -2 --separate-stderr ivshmem bench --size "$size" /nowhere
		says "is not a number of bytes"
	done
	run -2 --separate-stderr ivshmem bench --size 0 /nowhere
	says "must be more than 0"
	run -2 --separate-stderr ivshmem bench --time 0 /nowhere
	says "must be more than 0"
	run -2 --separate-stderr ivshmem bench --spin x /nowhere
	says "is not a number from 0"
	run -2 --separate-stderr ivshmem bench --spin 1000001 /nowhere
	says "is not a number from 0 to 1000000"
	run -2 --separate-stderr ivshmem bench /nowhere both
	says "'both' is neither latency nor throughput"
	run -2 --separate-stderr ivshmem bench
	says "give WHERE"
}

@test "quantiles are right to one part in 256" {
	"${CC:-cc}" -Wall -Wextra -Werror -D_GNU_SOURCE -I"$tree/userspace/include" \
		-I"$tree/userspace" -I"$tree/userspace/cli" -o "$dir/quantiles" \
		"$BATS_TEST_DIRNAME/quantiles.c" "$tree/userspace/cli/histogram.c"
	run -0 "$dir/quantiles"
}
