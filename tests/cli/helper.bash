# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
#
# For every file: the command under test, and a folder in /dev/shm that goes
# with the test. IVSHMEM_BUILD names another build folder than the tree's.

bats_require_minimum_version 1.5.0

tree=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
export IVSHMEM_BUILD=${IVSHMEM_BUILD:-$tree/build}
export PATH=$IVSHMEM_BUILD:$PATH
export LC_ALL=C.UTF-8

setup() {
	dir=$(mktemp -d /dev/shm/ivshmem-cli.XXXXXX)
	region=$dir/region
	export dir region
}

teardown() {
	rm -rf "$dir"
}

# stdout is empty, and stderr holds the text.
says() {
	[ -z "$output" ] && stderr_has "$1"
}

stderr_has() {
	if [[ "$stderr" != *"$1"* ]]; then
		printf 'no "%s" in: %s\n' "$1" "$stderr" >&2
		return 1
	fi
}

stdout_has() {
	if [[ "$output" != *"$1"* ]]; then
		printf 'no "%s" in: %s\n' "$1" "$output" >&2
		return 1
	fi
}

# Every byte value, in an order that no shift or swap keeps: 64 KiB.
all_bytes() {
	local hex i

	for ((i = 0; i < 256; i++)); do
		printf -v hex '\\x%02x' $((i * 167 % 256))
		printf '%b' "$hex"
	done >"$dir/bytes256"
	for ((i = 0; i < 256; i++)); do
		cat "$dir/bytes256"
	done
}

# ends_with STATUS PID: a program in the background, killed where it goes on for long
ends_with() {
	local status=0

	timeout 30 tail --pid="$2" -s 0.1 -f /dev/null || kill -KILL "$2"
	wait "$2" || status=$?
	[ "$status" -eq "$1" ]
}

# Until the command succeeds, for five seconds.
eventually() {
	local i

	for ((i = 0; i < 100; i++)); do
		"$@" && return 0
		sleep 0.05
	done
	return 1
}

# A program that runs with nobody's right to all files, even as root.
without_override() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --bounding-set=-dac_override,-dac_read_search \
			--inh-caps=-dac_override,-dac_read_search "$@"
	else
		"$@"
	fi
}

# Libraries that show devices this machine doesn't have: see fake_devices.c.
build_fake_devices() {
	fake=$BATS_FILE_TMPDIR/fake_devices.so
	"${CC:-cc}" -shared -fPIC -Wall -Wextra -Werror -D_GNU_SOURCE \
		-I"$tree/userspace/include" -o "$fake" \
		"$BATS_TEST_DIRNAME/fake_devices.c"
	export fake
}

# with_devices DEVICES MODULE-STATE COMMAND...
with_devices() {
	FAKE_DEVICES=$1 FAKE_MODULE=$2 LD_PRELOAD=$fake "${@:3}"
}
