# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
#
# On top of the command's own helper: servers and peers in the background, which
# end with the test, and whose end is checked.

load ../cli/helper

setup() {
	dir=$(mktemp -d /tmp/ivshmem-serve.XXXXXX)
	socket=$dir/s
	name=ivshmem-serve.$$.$RANDOM
	servers=()
	peers=()
	export dir socket name
}

teardown() {
	local pid

	for pid in "${peers[@]}"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	for pid in "${servers[@]}"; do
		stop "$pid"
	done
	rm -rf "$dir" "/dev/shm/$name"
}

answers() {
	ivshmem peers --socket "${1:-$socket}" >/dev/null 2>&1
}

# start OPTION...: a server on $socket, in the background; $server is its process
start() {
	start_as "" "$@"
}

# start_as COMMAND OPTION...: the same, under COMMAND
start_as() {
	# shellcheck disable=SC2086
	$1 "$IVSHMEM_BUILD/ivshmem" serve --socket "$socket" "${@:2}" 2>>"$dir/log" 3>&- &
	server=$!
	servers+=("$server")
	eventually answers || { cat "$dir/log" >&2; return 1; }
}

# stop PID: with SIGTERM, which is success
stop() {
	local pid status=0 left=()

	for pid in "${servers[@]}"; do
		[ "$pid" = "$1" ] || left+=("$pid")
	done
	servers=("${left[@]}")
	kill "$1"
	wait "$1" || status=$?
	[ "$status" -eq 0 ] || { cat "$dir/log" >&2; return 1; }
}

# join [COMMAND...]: a peer in the background, for as long as the test lasts
join() {
	local before

	before=$(count_peers)
	"$@" "$IVSHMEM_BUILD/ivshmem" wait "unix:$socket" 0 >/dev/null 2>&1 3>&- &
	peers+=("$!")
	eventually has_peers $((before + 1))
}

count_peers() {
	ivshmem peers --socket "$socket" --json | jq '.peers | length'
}

has_peers() {
	[ "$(count_peers)" -eq "$1" ]
}

log_has() {
	grep -qF -- "$1" "$dir/log"
}
