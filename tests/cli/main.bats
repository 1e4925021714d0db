# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154

load helper

verbs=(list info create read write format send recv bench notify wait serve peers qemu libvirt)

@test "help names every verb" {
	run -0 --separate-stderr ivshmem --help
	[ -z "$stderr" ]
	for verb in "${verbs[@]}"; do
		stdout_has "  $verb "
	done
}

@test "every verb has help, on stdout, whatever else is given" {
	for verb in "${verbs[@]}"; do
		run -0 --separate-stderr ivshmem "$verb" --help too many
		[ -z "$stderr" ]
		[[ "$output" == "Usage: ivshmem $verb "* ]]
		run -0 ivshmem "$verb" -h
	done
}

@test "version is one line" {
	run -0 --separate-stderr ivshmem --version
	[[ "$output" =~ ^ivshmem\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "no verb is misuse" {
	run -2 --separate-stderr ivshmem
	says "ivshmem: no verb given"
}

@test "an unknown verb is misuse" {
	run -2 --separate-stderr ivshmem frobnicate "$region"
	says "ivshmem: frobnicate: no such verb"
	run -2 --separate-stderr ivshmem ""
	says "no such verb"
}

@test "an unknown option is misuse, and points to the help" {
	run -2 --separate-stderr ivshmem --frobnicate
	says "ivshmem: unrecognized option '--frobnicate'"
	for verb in "${verbs[@]}"; do
		run -2 --separate-stderr ivshmem "$verb" --frobnicate
		says "ivshmem: $verb: unrecognized option '--frobnicate'"
		stderr_has "see 'ivshmem $verb --help'"
	done
}

@test "an option without its value is misuse" {
	for command in "create --size" "read --offset" "read --length" \
		       "write --offset" "format --label" "format --objects" "send --timeout" \
		       "recv --count" "bench --size" "bench --spin" "qemu --size" "qemu --id" "libvirt --size"; do
		read -r verb option <<<"$command"
		run -2 --separate-stderr ivshmem "$verb" "$option"
		says "ivshmem: $verb: option '$option' requires an argument"
	done
}

@test "a missing, empty or second WHERE is misuse" {
	for verb in info read write qemu libvirt "create --size=4K" "format --label=x"; do
		# shellcheck disable=SC2086
		run -2 --separate-stderr ivshmem $verb </dev/null
		says "is missing"
		# shellcheck disable=SC2086
		run -2 --separate-stderr ivshmem $verb "" </dev/null
		says "is missing"
		# shellcheck disable=SC2086
		run -2 --separate-stderr ivshmem $verb "$region" again </dev/null
		says "'again' is too many"
	done
	run -2 --separate-stderr ivshmem list again
	says "'again' is too many"
	[ ! -e "$region" ]
}

@test "a full disk behind stdout is a failure" {
	ivshmem create "$region" --size 4K
	for verb in --help --version "info $region" "info --json $region" \
		    "qemu $region" "read --help"; do
		# shellcheck disable=SC2086
		run -1 --separate-stderr bash -c "ivshmem $verb >/dev/full"
		says "ivshmem: standard output: No space left on device"
	done
}

@test "a closed stdout is a failure" {
	ivshmem create "$region" --size 4K
	for verb in info read qemu; do
		run -1 --separate-stderr bash -c "ivshmem $verb '$region' >&-"
		says "ivshmem: standard output: Bad file descriptor"
	done
}

@test "names with spaces, leading dashes and beyond ASCII work" {
	for name in "a region" "-size" "größe ∞" "new
line"; do
		cd "$dir"
		ivshmem create --size 4K -- "$name"
		printf hello | ivshmem write -- "$name"
		run -0 ivshmem read --length 5 -- "$name"
		[ "$output" = hello ]
		run -0 bash -c 'ivshmem info --json -- "$1" | jq -r .path' - "$name"
		[ "$output" = "$dir/$name" ]
	done
}
