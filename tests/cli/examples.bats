# SPDX-License-Identifier: MIT
# shellcheck disable=SC2154
#
# The examples of topics, as their first lines say.

load helper

run_example() {
	timeout 60 "$IVSHMEM_BUILD/examples/$1" "${@:2}"
}

with_topic() {
	ivshmem create "$region" --size 128M
	ivshmem format --label x --topic "$1" "$region"
}

subscribers() {
	[ "$(ivshmem info --json "$region" | jq '[.objects[0].subscribers[] | select(.state == "attached")] | length')" = "$1" ]
}

# field FILE N: the number of that word
field() {
	awk -v n="$2" '{ print $n }' "$1"
}

@test "viewers of three speeds get whole frames, and the camera waits for none" {
	with_topic video:8294400,history=2,subscribers=3,holds=1
	pids=()
	for hz in 60 12 1; do
		run_example frames view "$region" $hz >"$dir/$hz" 3>&- &
		pids+=($!)
	done
	eventually subscribers 3
	run_example frames publish "$region" 120
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	for hz in 60 12 1; do
		grep -Eqx '[0-9]+ frames shown, [0-9]+ skipped, 0 torn' "$dir/$hz"
		# The end may have taken the place of some that nobody saw.
		[ $(($(field "$dir/$hz" 1) + $(field "$dir/$hz" 4))) -le 120 ]
	done
	[ "$(field "$dir/1" 1)" -ge 1 ]
	[ "$(field "$dir/1" 1)" -lt "$(field "$dir/60" 1)" ]
	subscribers 0
}

@test "a late joiner gets the last values of a sensor, then the next ones, without write access" {
	with_topic load:16,history=64
	run_example sensor measure "$region" 8
	chmod 0400 "$region"
	run -0 without_override timeout 60 "$IVSHMEM_BUILD/examples/sensor" watch "$region" 5
	[ "$(sed -E 's/: [0-9.]+, [0-9.]+ seconds ago$//' <<<"$output" | xargs)" = "4 5 6 7 8" ]
	chmod 0600 "$region"
	run_example sensor watch "$region" 8 >"$dir/out" 3>&- &
	watcher=$!
	eventually grep -q '^8: ' "$dir/out"
	run_example sensor measure "$region" 3
	wait $watcher
	[ "$(cut -d: -f1 "$dir/out" | xargs)" = "4 5 6 7 8 9 10 11" ]
}

@test "the examples say what is wrong" {
	run -1 --separate-stderr run_example frames
	says "frames: "
	run -1 --separate-stderr run_example sensor measure
	says "sensor: "
	ivshmem create "$region" --size 1M
	ivshmem format --label x "$region"
	run -1 --separate-stderr run_example sensor watch "$region" 1
	says "sensor: "
}

@test "each example of topics has at most eighty lines" {
	for example in frames sensor; do
		[ "$(wc -l <"$tree/userspace/examples/$example.c")" -le 80 ]
	done
}
