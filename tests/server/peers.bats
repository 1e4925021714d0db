# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154

load helper

@test "peers prints nothing where there is nobody, and an empty list as JSON" {
	start --size 64K
	run -0 --separate-stderr ivshmem peers --socket "$socket"
	[ -z "$output$stderr" ]
	run -0 ivshmem peers --socket "$socket" --json
	[ "$(jq -c . <<<"$output")" = '{"peers":[]}' ]
}

@test "peers lists ID, user, vectors, queue and time of each" {
	start --size 64K --vectors 3
	join
	join
	run -0 --separate-stderr ivshmem peers --socket "$socket"
	[ -z "$stderr" ]
	[ "${#lines[@]}" -eq 3 ]
	[[ "${lines[0]}" =~ ^PEER\ +USER\ +UID\ +GID\ +PID\ +VECTORS\ +QUEUE\ +SINCE ]]
	[[ "${lines[1]}" =~ ^\ *1\ +$(id -un)\ +$(id -u)\ +$(id -g)\ +${peers[0]}\ +3\ +0\ +20 ]]
	[[ "${lines[2]}" =~ ^\ *2\ +$(id -un)\ +$(id -u)\ +$(id -g)\ +${peers[1]}\ +3\ +0\ +20 ]]
}

@test "peers --json has the same rows, numbers as numbers" {
	start --size 64K --vectors 3
	join
	run -0 ivshmem peers --socket "$socket" --json
	[ "$(jq -c '.peers[0] | del(.since)' <<<"$output")" = \
		"{\"peer\":1,\"user\":\"$(id -un)\",\"uid\":$(id -u),\"gid\":$(id -g),\"pid\":${peers[0]},\"vectors\":3,\"queue\":0}" ]
	since=$(date +%s -d "$(jq -r '.peers[0].since' <<<"$output")")
	(($(date +%s) - since <= 10 && since <= $(date +%s)))
}

@test "peers shows who left and who came" {
	start --size 64K
	join
	join
	kill "${peers[0]}"
	eventually has_peers 1
	join
	[ "$(ivshmem peers --socket "$socket" --json | jq -c '[.peers[].peer]')" = "[2,3]" ]
}

@test "wait says that the server was killed, and waits on" {
	start --size 64K
	"$IVSHMEM_BUILD/ivshmem" wait --timeout 3 "unix:$socket" 0 >"$dir/out" 2>"$dir/err" 3>&- &
	waiter=$!
	eventually has_peers 1
	kill -KILL "$server"
	wait "$server" || true
	servers=()
	! wait "$waiter" || false
	[ "$(<"$dir/out")" = 0 ]
	grep -q 'the server has ended, or dropped this peer' "$dir/err"
	grep -q 'vector 0 was not rung in time' "$dir/err"
}

@test "peers finds a status socket that has a path of its own" {
	start_elsewhere() {
		ivshmem serve --socket "$socket" --status-socket "$dir/elsewhere" --size 64K \
			2>>"$dir/log" 3>&- &
		server=$!
		servers+=("$server")
		eventually ivshmem peers --status-socket "$dir/elsewhere"
	}
	start_elsewhere
	[ ! -e "$socket.status" ]
	run -1 --separate-stderr ivshmem peers --socket "$socket"
	says "it has no status socket here"
}

@test "peers says what is wrong" {
	run -2 --separate-stderr ivshmem peers
	says "--socket is missing"
	run -2 --separate-stderr ivshmem peers --socket ""
	says "--socket is missing"
	run -2 --separate-stderr ivshmem peers --socket "$(printf 'x%.0s' {1..101})"
	says "too long"
	run -2 --separate-stderr ivshmem peers --socket "$socket" more
	says "'more' is too many"
	run -1 --separate-stderr ivshmem peers --socket "$socket"
	says "ivshmem: $socket.status: no ivshmem server answers here"
	start --size 64K
	run -1 --separate-stderr ivshmem peers --status-socket "$socket"
	says "not the answer of an ivshmem server"
}

@test "peers does not wait for ever" {
	start --size 64K
	kill -STOP "$server"
	run -1 --separate-stderr ivshmem peers --socket "$socket"
	kill -CONT "$server"
	says "the server does not answer"
}
