# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154
#
# read and write, which are each other's test. What was written is looked at
# with cmp(1), too.

load helper

@test "all byte values survive a round trip through files" {
	ivshmem create "$region" --size 64K
	all_bytes >"$dir/in"
	ivshmem write "$region" <"$dir/in"
	cmp "$dir/in" "$region"
	ivshmem read "$region" >"$dir/out"
	cmp "$dir/in" "$dir/out"
}

@test "all byte values survive a round trip through pipes" {
	ivshmem create "$region" --size 64K
	all_bytes >"$dir/in"
	# shellcheck disable=SC2002
	cat "$dir/in" | ivshmem write "$region"
	ivshmem read "$region" | cat >"$dir/out"
	cmp "$dir/in" "$dir/out"
}

@test "64 MiB of noise survive pipes" {
	ivshmem create "$region" --size 64M
	head -c 64M /dev/urandom >"$dir/in"
	# shellcheck disable=SC2002
	cat "$dir/in" | ivshmem write "$region"
	cmp "$dir/in" "$region"
	sum=$(sha256sum <"$dir/in")
	[ "$(ivshmem read "$region" | sha256sum)" = "$sum" ]
}

@test "a pipe in small and odd pieces arrives whole" {
	ivshmem create "$region" --size 64K
	all_bytes >"$dir/in"
	dd if="$dir/in" bs=777 status=none | ivshmem write "$region"
	cmp "$dir/in" "$region"
	ivshmem read "$region" | dd of="$dir/out" ibs=333 obs=1000 status=none
	cmp "$dir/in" "$dir/out"
}

@test "write leaves alone what the input does not reach" {
	ivshmem create "$region" --size 8K
	printf hello | ivshmem write "$region"
	printf J | ivshmem write "$region"
	printf '!' | ivshmem write "$region" --offset 5
	[ "$(head -c 6 "$region")" = "Jello!" ]
	cmp -n 8186 -i 6:0 "$region" /dev/zero
	[ "$(stat -c %s "$region")" -eq 8192 ]
}

@test "write of nothing does nothing" {
	ivshmem create "$region" --size 4K
	printf hello | ivshmem write "$region"
	run -0 --separate-stderr ivshmem write "$region" </dev/null
	[ -z "$output$stderr" ]
	[ "$(head -c 5 "$region")" = hello ]
}

@test "offset and length pick the bytes" {
	ivshmem create "$region" --size 8K
	printf '0123456789' | ivshmem write "$region" --offset 4091
	while read -r offset length want; do
		run -0 ivshmem read "$region" --offset "$offset" --length "$length"
		[ "$output" = "$want" ]
	done <<-CASES
		4091 10 0123456789
		4096 3 567
		0x1000 1 5
		4K 0x2 56
		4k 1 5
	CASES
	run -0 bash -c 'ivshmem read -o 8191 "$region" | wc -c'
	[ "$output" -eq 1 ]
	run -0 bash -c 'ivshmem read -o 4K -l 4K "$region" | wc -c'
	[ "$output" -eq 4096 ]
	run -0 ivshmem read "$region" --length 0
	[ -z "$output" ]
}

@test "offsets beyond 4 GiB work" {
	ivshmem create "$region" --size 8G
	printf marker | ivshmem write "$region" --offset 5G
	run -0 ivshmem read "$region" --offset 5G --length 6
	[ "$output" = marker ]
	run -0 ivshmem read "$region" --offset 1G --length 6
	[ "$output" != marker ]
}

@test "the last byte can be written, and not the next one" {
	ivshmem create "$region" --size 4K
	printf x | ivshmem write "$region" --offset 4095
	[ "$(tail -c 1 "$region")" = x ]
	run -1 --separate-stderr bash -c 'printf x | ivshmem write "$region" --offset 4096'
	says "offset 4K lies past the end: the region has 4K, offsets go from 0 to 4095"
	[ "$(stat -c %s "$region")" -eq 4096 ]
}

@test "an offset past the end fails before anything is copied" {
	ivshmem create "$region" --size 4K
	cp "$region" "$dir/before"
	for offset in 4097 1T 18446744073709551615; do
		run -1 --separate-stderr bash -c 'printf x | ivshmem write "$region" --offset "$1"' - "$offset"
		says "past the end: the region has 4K"
		run -1 --separate-stderr ivshmem read "$region" --offset "$offset" --length 1
		says "past the end: the region has 4K"
	done
	cmp "$dir/before" "$region"
}

@test "a length past the end fails before anything is copied" {
	ivshmem create "$region" --size 4K
	for range in "0 4097" "1 4K" "4095 2" "1 18446744073709551615"; do
		read -r offset length <<<"$range"
		run -1 --separate-stderr ivshmem read "$region" --offset "$offset" --length "$length"
		says "reaches past the end: the region has 4K"
	done
}

@test "bad offsets and lengths are misuse" {
	ivshmem create "$region" --size 4K
	for number in "" x -1 1.5 1e3 16E 18446744073709551616 16777216T; do
		for option in --offset --length; do
			run -2 --separate-stderr ivshmem read "$region" "$option" "$number"
			says "$option '$number' is "
			stderr_has "see 'ivshmem read --help'"
		done
		run -2 --separate-stderr ivshmem write "$region" --offset "$number" </dev/null
		says "--offset '$number' is "
	done
}

@test "input that does not fit fails, and says how much was written" {
	ivshmem create "$region" --size 64K
	{ all_bytes; printf x; } >"$dir/in"
	run -1 --separate-stderr ivshmem write "$region" <"$dir/in"
	says "65536 bytes (64K) were written, up to the region's end, and the rest was not"
	cmp -n 65536 "$dir/in" "$region"
	[ "$(stat -c %s "$region")" -eq 65536 ]
	run -1 --separate-stderr bash -c 'cat "$dir/in" | ivshmem write "$region" -o 65530'
	says "6 bytes (6) were written"
}

@test "input that fits exactly succeeds" {
	ivshmem create "$region" --size 64K
	run -0 --separate-stderr bash -c 'head -c 65536 /dev/urandom | ivshmem write "$region"'
	[ -z "$output$stderr" ]
	run -0 --separate-stderr bash -c 'head -c 6 /dev/urandom | ivshmem write "$region" -o 65530'
}

@test "read to a full disk fails" {
	ivshmem create "$region" --size 4K
	run -1 --separate-stderr bash -c 'ivshmem read "$region" >/dev/full'
	says "ivshmem: standard output: No space left on device, after 0 bytes"
}

@test "read into a pipe that closes ends by SIGPIPE, or fails where that is ignored" {
	ivshmem create "$region" --size 8M
	run bash -c 'ivshmem read "$region" | head -c 1 | wc -c; exit "${PIPESTATUS[0]}"'
	[ "$status" -eq 141 ]
	run -1 --separate-stderr bash -c 'trap "" PIPE; ivshmem read "$region" | :; exit "${PIPESTATUS[0]}"'
	says "ivshmem: standard output: Broken pipe"
}

@test "write from what can't be read fails" {
	ivshmem create "$region" --size 4K
	run -1 --separate-stderr ivshmem write "$region" <"$dir"
	says "ivshmem: standard input: Is a directory, after 0 bytes"
}

@test "write from a closed stdin fails, and does not read the region itself" {
	ivshmem create "$region" --size 4K
	run -1 --separate-stderr bash -c 'ivshmem write "$region" <&-'
	says "ivshmem: standard input: Bad file descriptor"
}

@test "write to a region without permission fails" {
	ivshmem create "$region" --size 4K --mode 0400
	run -1 --separate-stderr without_override "$IVSHMEM_BUILD/ivshmem" write "$region" </dev/null
	says "ivshmem: $region: "
}

@test "read needs no permission to write" {
	ivshmem create "$region" --size 4K
	printf hello | ivshmem write "$region"
	chmod 0400 "$region"
	run -0 without_override "$IVSHMEM_BUILD/ivshmem" read "$region" --length 5
	[ "$output" = hello ]
}

@test "descriptors that do not block are waited for" {
	ivshmem create "$region" --size 1M
	head -c 1M /dev/urandom >"$dir/in"
	cat >"$dir/nonblocking" <<-'PERL'
		use Fcntl;
		open(my $h, "<&=", $ARGV[0]);
		fcntl($h, F_SETFL, fcntl($h, F_GETFL, 0) | O_NONBLOCK);
	PERL
	# Both ends share one open file: perl's flag is ivshmem's flag.
	bash -c '{ head -c 1000 "$dir/in"; sleep 0.3; tail -c +1001 "$dir/in"; } |
		{ perl "$dir/nonblocking" 0; ivshmem write "$region"; }'
	cmp "$dir/in" "$region"
	bash -c '{ perl "$dir/nonblocking" 1; ivshmem read "$region"; } |
		{ sleep 0.3; cat >"$dir/out"; }'
	cmp "$dir/in" "$dir/out"
}

@test "a file truncated while it is written into is told, not died of" {
	ivshmem create "$region" --size 1M
	mkfifo "$dir/fifo"
	ivshmem write "$region" <"$dir/fifo" 2>"$dir/stderr" 3>&- &
	writer=$!
	exec 9>"$dir/fifo"
	printf hello >&9
	eventually bash -c '[ "$(head -c 5 "$region" | tr -d "\0")" = hello ]'
	truncate -s 4096 "$region"
	# The writer may have ended before it took all of this.
	head -c 65536 /dev/zero >&9 || true
	exec 9>&-
	status=0
	wait "$writer" || status=$?
	[ "$status" -eq 1 ]
	grep -qF "ivshmem: $region: " "$dir/stderr"
	grep -q "truncated.*, after [0-9]* bytes" "$dir/stderr"
	[ "$(stat -c %s "$region")" -eq 4096 ]
}

@test "a file truncated while it is read is told, not died of" {
	ivshmem create "$region" --size 16M
	mkfifo "$dir/fifo"
	ivshmem read "$region" >"$dir/fifo" 2>"$dir/stderr" 3>&- &
	reader=$!
	exec 9<"$dir/fifo"
	head -c 4096 <&9 >/dev/null
	truncate -s 4096 "$region"
	cat <&9 >/dev/null
	exec 9<&-
	status=0
	wait "$reader" || status=$?
	[ "$status" -eq 1 ]
	grep -qF "ivshmem: $region: " "$dir/stderr"
	grep -q "truncated.*, after [0-9]* bytes" "$dir/stderr"
}

@test "a full filesystem behind a sparse region is told, not died of" {
	script='mount -t tmpfs -o size=256K none "$dir" || exit 99
		ivshmem create "$region" --size 1M || exit 98
		exec ivshmem write "$region" <"$0"'
	flags=-m
	[ "$(id -u)" -eq 0 ] || flags=-rm
	head -c 1M /dev/zero >"$BATS_TEST_TMPDIR/in"
	run --separate-stderr unshare "$flags" bash -c "$script" "$BATS_TEST_TMPDIR/in"
	[ "$status" -ne 99 ] && [[ "$stderr" != unshare:* ]] ||
		skip "no tmpfs can be mounted here: $stderr"
	[ "$status" -eq 1 ]
	says "is the filesystem that holds it full?"
}

@test "a slow copy tells its progress on a terminal, and cleans up" {
	command -v script >/dev/null || skip "no script(1): install bsdutils"
	ivshmem create "$region" --size 64M
	run -0 script -qec 'ivshmem read "$region" | { sleep 1.3; cat >/dev/null; }' /dev/null
	[[ "$output" =~ $region:\ +[0-9]+%\ of\ 64\.0\ MiB,\ [0-9.]+\ MiB/s ]]
	[[ "$output" == *$'\r\033[K' ]]

	run -0 script -qec '{ head -c 64K /dev/zero; sleep 1.3; head -c 64K /dev/zero; } | ivshmem write "$region"' /dev/null
	[[ "$output" =~ $region:\ 0\.1\ MiB,\ [0-9.]+\ MiB/s ]]
	[[ "$output" == *$'\r\033[K' ]]
}

@test "a quick copy, or one without a terminal, tells no progress" {
	command -v script >/dev/null || skip "no script(1): install bsdutils"
	ivshmem create "$region" --size 1M
	run -0 script -qec 'ivshmem read "$region" >/dev/null' /dev/null
	[ -z "$output" ]
	run -0 --separate-stderr bash -c 'ivshmem read "$region" | { sleep 1.3; cat >/dev/null; }'
	[ -z "$output$stderr" ]
}

@test "a terminal can be typed from" {
	command -v script >/dev/null || skip "no script(1): install bsdutils"
	ivshmem create "$region" --size 4K
	printf 'typed\n\004' | script -qec 'ivshmem write "$region"' /dev/null >/dev/null
	[ "$(head -c 5 "$region")" = typed ]
}
