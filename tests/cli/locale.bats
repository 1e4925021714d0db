# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154
#
# What is typed means the same, and what programs read looks the same, whatever the
# language of the user is.

load helper

setup_file() {
	export LOCPATH=$BATS_FILE_TMPDIR/locales
	mkdir "$LOCPATH"
	localedef --no-archive -i tr_TR -f UTF-8 "$LOCPATH/tr_TR.UTF-8"
	localedef --no-archive -i tr_TR -f ISO-8859-9 "$LOCPATH/tr_TR.ISO-8859-9"
	localedef --no-archive -i de_DE -f UTF-8 "$LOCPATH/de_DE.UTF-8"
	build_fake_devices
}

locales=(tr_TR.UTF-8 tr_TR.ISO-8859-9 de_DE.UTF-8 C)

@test "the locales of these tests are in force" {
	[ "$(LC_ALL=de_DE.UTF-8 locale decimal_point)" = , ]
	[ "$(LC_ALL=tr_TR.UTF-8 locale charmap)" = UTF-8 ]
	[ "$(LC_ALL=tr_TR.ISO-8859-9 locale charmap)" = ISO-8859-9 ]
}

@test "a unit is taken in either case in every locale" {
	for LC_ALL in "${locales[@]}"; do
		for size in 1MIB 1mib 1MiB 1miB 1M 1m 1024KIB 1024kib; do
			ivshmem create "$region" --size "$size"
			[ "$(stat -c %s "$region")" = 1048576 ]
			rm "$region"
		done
		for size in 1MI 1MB 1MIBS 1iB $'1M\xddB'; do
			run -2 --separate-stderr ivshmem create "$region" --size "$size"
			stderr_has "is not a number of bytes"
		done
	done
}

@test "a fraction of a second has a point in every locale" {
	ivshmem serve --socket "$dir/server" --size 4K 2>/dev/null 3>&- &
	server=$!
	eventually test -S "$dir/server"
	for LC_ALL in "${locales[@]}"; do
		run -1 --separate-stderr ivshmem wait --timeout 0.01 "unix:$dir/server" 0
		[ "$output" = 0 ]
		stderr_has "was not rung in time"
		run -2 --separate-stderr ivshmem wait --timeout 0,01 "unix:$dir/server" 0
		says "is not a number of seconds"
	done
	kill $server
	wait $server
}

@test "numbers in tables and in JSON have a point in every locale" {
	ivshmem create "$region" --size 1M
	ivshmem format "$region" --label x
	ivshmem bench --serve "$region" 3>&- &
	answers=$!
	for LC_ALL in "${locales[@]}"; do
		run -0 ivshmem bench --time 0.01 --size 8 --json "$region"
		jq -e '.tests | length == 2' <<<"$output"
		run -0 ivshmem bench --time 0.01 --size 8 "$region" latency
		[[ "$output" =~ [0-9]\.[0-9] ]]
		[[ "$output" != *,* ]]
	done
	kill $answers
	wait $answers || true
}

@test "JSON is UTF-8 in every locale" {
	for LC_ALL in "${locales[@]}"; do
		run -0 with_devices "0000:00:04.0,/dev/null,4096,plain,größe" loaded ivshmem list --json
		[ "$(LC_ALL=C.UTF-8 jq -r '.devices[0].driver' <<<"$output")" = größe ]
		ivshmem create "$dir/größe" --size 4K
		run -0 ivshmem info --json "$dir/größe"
		[ "$(LC_ALL=C.UTF-8 jq -r .path <<<"$output")" = "$dir/größe" ]
		rm "$dir/größe"
	done
}

@test "a PCI address is taken in either case in every locale" {
	for LC_ALL in "${locales[@]}"; do
		run -1 --separate-stderr with_devices "0000:fa:1d.3,-,4096,plain,-" installed ivshmem info 0000:FA:1D.3
		stderr_has "modprobe ivshmem"
	done
}
