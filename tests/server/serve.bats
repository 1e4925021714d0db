# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154

load helper

# misused TEXT OPTION...: refused as wrong use, and nothing is made
misused() {
	run -2 --separate-stderr ivshmem serve "${@:2}"
	says "$1"
	stderr_has "see 'ivshmem serve --help'"
	[ -z "$(ls -A "$dir")" ]
}

# fails TEXT OPTION...: refused, and nothing is left
fails() {
	run -1 --separate-stderr ivshmem serve --socket "$socket" "${@:2}"
	says "$1"
	[ ! -e "$socket" ] && [ ! -e "$socket.lock" ] && [ ! -e "$socket.status" ]
}

root_only() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
}

@test "serve says what it needs" {
	misused "--socket is missing" --size 64K
	misused "--size is missing" --socket "$socket"
	misused "'more' is too many" --socket "$socket" --size 64K more
}

@test "serve refuses what is no value for an option" {
	for value in 0 257 -1 1.5 x "" 4294967297; do
		misused "--vectors '$value' is not a number from 1 to 256" \
			--socket "$socket" --size 64K --vectors "$value"
	done
	for value in 0 65537 many; do
		misused "--max-peers '$value' is not a number from 1 to 65536" \
			--socket "$socket" --size 64K --max-peers "$value"
	done
	misused "--max-peers-per-user '0' is not a number from 1 to 65536" \
		--socket "$socket" --size 64K --max-peers-per-user 0
	for value in 0800 1000 rw "" -1; do
		misused "--mode '$value' is not a mode" \
			--socket "$socket" --size 64K --mode "$value"
	done
	for value in "" a/b .. .; do
		misused "--shm '$value' is not a name" --socket "$socket" --size 64K --shm "$value"
	done
	misused "not a power of two" --socket "$socket" --size 48M
	misused "is not a number of bytes" --socket "$socket" --size lots
	misused "--file is empty" --socket "$socket" --file ""
}

@test "serve refuses users and groups that do not exist" {
	misused "--allow-user 'no-such-user': there is no such user" \
		--socket "$socket" --size 64K --allow-user no-such-user
	misused "--allow-group 'no-such-group': there is no such group" \
		--socket "$socket" --size 64K --allow-group no-such-group
	misused "--group 'no-such-group': there is no such group" \
		--socket "$socket" --size 64K --group no-such-group
	misused "--allow-user '4294967295' is not a number" \
		--socket "$socket" --size 64K --allow-user 4294967295
}

@test "serve refuses paths that are no socket's" {
	long=$dir/$(printf 'x%.0s' {1..108})
	misused "--socket is empty" --socket "" --size 64K
	misused "is too long" --socket "$long" --size 64K
	misused "leaves no room for '.status'" --socket "${long:0:105}" --size 64K
	misused "are the same path" --socket "$socket" --status-socket "$socket" --size 64K
	run -1 --separate-stderr ivshmem serve --socket "$dir/absent/s" --size 64K
	says "ivshmem: $dir/absent/s: the folder does not exist"
}

@test "serve takes one place for the region" {
	for second in "--hugepages" "--file $dir/f" "--shm y"; do
		# shellcheck disable=SC2086
		misused "the region lies in one place" --socket "$socket" --size 64K --shm x $second
	done
}

@test "serve takes the longest path there can be" {
	socket=$dir/$(printf 'x%.0s' {1..107})
	socket=${socket:0:107}
	ivshmem serve --socket "$socket" --status-socket "$dir/status" --size 64K \
		2>>"$dir/log" 3>&- &
	servers+=($!)
	eventually ivshmem peers --status-socket "$dir/status"
	run -0 ivshmem info "unix:$socket"
}

@test "the sockets are the owner's alone, whatever the umask" {
	umask 0
	start --size 64K
	[ "$(stat -c %a "$socket" "$socket.status" "$socket.lock" | xargs)" = "600 600 600" ]
	stop "$server"
	umask 0777
	start --size 64K
	[ "$(stat -c %a "$socket" "$socket.status" | xargs)" = "600 600" ]
}

@test "--mode and --group hold for both sockets" {
	group=$(id -gn)
	if [ "$(id -u)" -eq 0 ]; then
		group=daemon
	fi
	umask 0
	start --size 64K --mode 0640
	[ "$(stat -c %a "$socket" "$socket.status" | xargs)" = "640 640" ]
	stop "$server"
	start --size 64K --group "$group"
	[ "$(stat -c '%G %a' "$socket" "$socket.status" | xargs)" = "$group 660 $group 660" ]
}

@test "the end removes what was made" {
	start --size 64K --shm "$name"
	[ "$(stat -c '%s %a' "/dev/shm/$name")" = "65536 600" ]
	join
	stop "$server"
	[ ! -e "/dev/shm/$name" ]
	[ "$(ls -A "$dir")" = log ]
}

@test "the end leaves what was given" {
	ivshmem create --size 64K "$dir/region"
	echo precious | ivshmem write "$dir/region"
	start --file "$dir/region"
	run -0 ivshmem read --length 8 "unix:$socket"
	[ "$output" = precious ]
	stop "$server"
	[ "$(head -c 8 "$dir/region")" = precious ]
	[ "$(stat -c %s "$dir/region")" -eq 65536 ]
}

@test "--file makes a file that is not there, for its owner alone, and removes it" {
	umask 0
	start --file "$dir/region" --size 64K
	[ "$(stat -c '%s %a' "$dir/region")" = "65536 600" ]
	log_has "any peer may truncate"
	stop "$server"
	[ ! -e "$dir/region" ]
}

@test "info tells that a region is sealed, and that a file is not" {
	ivshmem create --size 64K "$dir/region"
	start --file "$dir/region"
	run -0 ivshmem info "unix:$socket"
	grep -qE '^sealed +no *$' <<<"$output"
	stop "$server"
	start --size 64K
	run -0 ivshmem info "unix:$socket"
	grep -qE '^sealed +yes *$' <<<"$output"
}

@test "--file refuses another size, no size, and what is no file" {
	ivshmem create --size 64K "$dir/region"
	fails "the file has 64K, not 128K" --file "$dir/region" --size 128K
	fails "say how large" --file "$dir/absent"
	fails "not a regular file" --file "$dir"
	fails "not a regular file" --file /dev/null
	head -c 12288 /dev/zero >"$dir/odd"
	fails "not a power of two" --file "$dir/odd"
}

@test "--file says why a file can't be looked at" {
	ln -s loop "$dir/loop"
	fails "can't be looked at: Too many levels of symbolic links" --file "$dir/loop" --size 64K
	touch "$dir/file"
	fails "can't be looked at: Not a directory" --file "$dir/file/region" --size 64K
	fails "can't be looked at: File name too long" --file "$dir/$(printf 'x%.0s' {1..256})" --size 64K
}

@test "--file without permission for the folder says so" {
	root_only
	chmod 755 "$dir"
	mkdir -m 700 "$dir/closed"
	mkdir -m 777 "$dir/open"
	cp -L "$IVSHMEM_BUILD/ivshmem" build/libivshmem.so.0 "$dir"
	LD_LIBRARY_PATH=$dir run -1 --separate-stderr setpriv --reuid 65534 --clear-groups \
		"$dir/ivshmem" serve --socket "$dir/open/s" --size 64K --file "$dir/closed/region"
	says "can't be looked at: Permission denied"
}

@test "--file and --shm say that a link leads nowhere" {
	ln -s absent "$dir/dangling"
	fails "a symbolic link to a file that is not there" --file "$dir/dangling" --size 64K
	[ -L "$dir/dangling" ]
	ln -s absent "/dev/shm/$name"
	fails "a symbolic link to a file that is not there" --shm "$name" --size 64K
	[ -L "/dev/shm/$name" ]
}

@test "--shm refuses a file that exists, and leaves it alone" {
	ivshmem create --size 64K "/dev/shm/$name"
	fails "/dev/shm/$name: the file exists" --shm "$name" --size 64K
	[ -e "/dev/shm/$name" ]
}

@test "--hugepages reserves them, or says that there are none" {
	free=$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages 2>/dev/null || echo 0)
	if ((free >= 2)); then
		start --size 4M --hugepages
		run -0 ivshmem info --json "unix:$socket"
		[ "$(jq .size <<<"$output")" -eq 4194304 ]
	else
		fails "huge pages" --size 1G --hugepages
	fi
}

@test "a NUMA node that is not there is named" {
	fails "there is no NUMA node 1023 with memory" --size 64K --numa-node 1023
	fails "there is no NUMA node 1023 with memory" --size 64K --numa-node 1023 --shm "$name"
	[ ! -e "/dev/shm/$name" ]
	misused "--numa-node '1024' is not a number from 0 to 1023" \
		--socket "$socket" --size 64K --numa-node 1024
}

@test "a socket that a killed server left is replaced" {
	start --size 64K
	kill -KILL "$server"
	wait "$server" || true
	servers=()
	[ -S "$socket" ]
	[ -e "$socket.lock" ]
	start --size 64K
	join
}

@test "a server that lives is not replaced" {
	start --size 64K
	join
	run -1 --separate-stderr ivshmem serve --socket "$socket" --size 64K
	says "ivshmem: $socket: an ivshmem server with process ID $server serves this socket"
	has_peers 1
	run -1 --separate-stderr ivshmem serve --socket "$dir/other" \
		--status-socket "$socket.status" --size 64K
	says "ivshmem: $socket.status: an ivshmem server with process ID $server serves"
	has_peers 1
	[ ! -e "$dir/other" ]
}

@test "of many that start at once, over a stale socket, one serves" {
	start --size 64K
	kill -KILL "$server"
	wait "$server" || true
	servers=()
	started=()
	for _ in {1..8}; do
		ivshmem serve --socket "$socket" --size 64K 2>>"$dir/many" 3>&- &
		started+=($!)
		peers+=($!)
	done
	eventually answers
	living() {
		living=()
		for pid in "${started[@]}"; do
			! kill -0 "$pid" 2>/dev/null || living+=("$pid")
		done
		[ "${#living[@]}" -eq 1 ]
	}
	eventually living
	# Occurrences, not lines: the eight write to one file, and may share a line.
	cat "$dir/many"
	[ "$(grep -o 'serves this socket' "$dir/many" | wc -l)" -eq 7 ]
	join
	kill "${living[0]}"
	wait "${living[0]}"
	[ ! -e "$socket.lock" ]
}

@test "a file that only has the name of a lock is left alone" {
	for content in 'version = 3' '12x' '1234567890123456' $'1\n2'; do
		printf %s "$content" >"$socket.lock"
		run -1 --separate-stderr ivshmem serve --socket "$socket" --size 64K
		says "'$socket.lock' is no lock that a server of this user left"
		[ "$(<"$socket.lock")" = "$content" ]
		[ ! -e "$socket" ]
	done
	echo 1 >"$dir/precious"
	ln -f "$dir/precious" "$socket.lock"
	run -1 --separate-stderr ivshmem serve --socket "$socket" --size 64K
	says "is no lock"
	[ "$(<"$dir/precious")" = 1 ]
	rm "$socket.lock"
	mkfifo "$socket.lock"
	run -1 --separate-stderr ivshmem serve --socket "$socket" --size 64K
	says "is no lock"
	[ -p "$socket.lock" ]
	rm "$socket.lock"
	touch "$socket.lock"
	[ "$(id -u)" != 0 ] || {
		chown nobody "$socket.lock"
		run -1 --separate-stderr ivshmem serve --socket "$socket" --size 64K
		says "is no lock"
		chown root "$socket.lock"
	}
	start --size 64K
}

@test "what is no socket is left alone" {
	echo precious >"$socket"
	run -1 --separate-stderr ivshmem serve --socket "$socket" --size 64K
	says "exists and is no socket"
	[ "$(cat "$socket")" = precious ]
	rm "$socket"
	ln -s absent "$socket"
	run -1 --separate-stderr ivshmem serve --socket "$socket" --size 64K
	says "exists and is no socket"
	[ -L "$socket" ]
}

@test "a folder without permission is named" {
	[ "$(id -u)" -ne 0 ] || skip "root may write everywhere"
	chmod 0555 "$dir"
	run -1 --separate-stderr ivshmem serve --socket "$socket" --size 64K
	chmod 0755 "$dir"
	says "lock file"
}

@test "--allow-user refuses others" {
	root_only
	chmod 755 "$dir"
	setpriv --reuid 65534 --clear-groups "$IVSHMEM_BUILD/ivshmem" --version ||
		skip "nobody can't read the build folder"
	start --size 64K --mode 666 --allow-user nobody
	run -1 ivshmem info "unix:$socket"
	eventually log_has "refused: neither its user nor its groups are among those allowed (--allow-user, --allow-group); event=refused uid=0"
	setpriv --reuid 65534 --clear-groups "$IVSHMEM_BUILD/ivshmem" info "unix:$socket"
	join setpriv --reuid 65534 --clear-groups
	run -0 ivshmem peers --socket "$socket"
	stdout_has nobody
	stop "$server"

	start --size 64K --mode 666 --allow-user 0
	run -1 setpriv --reuid 65534 --clear-groups "$IVSHMEM_BUILD/ivshmem" info "unix:$socket"
	run -1 --separate-stderr setpriv --reuid 65534 --clear-groups \
		"$IVSHMEM_BUILD/ivshmem" peers --socket "$socket"
	says "does not allow this user"
	ivshmem info "unix:$socket"
}

@test "--allow-group takes primary and supplementary groups" {
	root_only
	chmod 755 "$dir"
	setpriv --reuid 65534 --clear-groups "$IVSHMEM_BUILD/ivshmem" --version ||
		skip "nobody can't read the build folder"
	start --size 64K --mode 666 --allow-group 4242 --allow-group daemon
	as_nobody() {
		setpriv --reuid 65534 "$@" "$IVSHMEM_BUILD/ivshmem" info "unix:$socket"
	}
	run -0 as_nobody --regid 4242 --clear-groups
	run -0 as_nobody --regid 65534 --groups 7,4242,9
	run -0 as_nobody --regid 65534 --groups "$(getent group daemon | cut -d: -f3)"
	run -1 as_nobody --regid 65534 --groups 7,9
	run -1 as_nobody --regid 65534 --clear-groups
}

@test "without permission for the socket nobody connects" {
	root_only
	chmod 755 "$dir"
	start --size 64K
	# The tree may lie where nobody gets to.
	cp -L "$IVSHMEM_BUILD/ivshmem" build/libivshmem.so.0 "$dir"
	run -1 --separate-stderr setpriv --reuid 65534 --clear-groups \
		"$dir/ivshmem" peers --socket "$socket"
	says "no permission"
}

@test "a limit that leaves no room for a peer is named" {
	run -1 --separate-stderr bash -c 'ulimit -n 64; exec ivshmem serve --socket "$1" --size 64K --vectors 64' - "$socket"
	says "leaves no room for a peer: raise it"
	[ ! -e "$socket" ]
}

@test "a limit on the size of files is named" {
	run -1 --separate-stderr bash -c 'ulimit -f 10; exec "$@"' - ivshmem serve --socket "$socket" --size 1M
	says "--size 1M is beyond the file size limit"
	[ ! -e "$socket" ] && [ ! -e "$socket.lock" ]
}

@test "systemd-socket-activate works" {
	command -v systemd-socket-activate >/dev/null || skip "no systemd-socket-activate"
	systemd-socket-activate -l "$socket" "$IVSHMEM_BUILD/ivshmem" \
		serve --size 64K 2>>"$dir/log" 3>&- &
	server=$!
	servers+=("$server")
	eventually test -S "$socket"
	run -0 ivshmem info --json "unix:$socket"
	[ "$(jq .size <<<"$output")" -eq 65536 ]
	stop "$server"
	[ -S "$socket" ]
	[ ! -e "$socket.status" ]
}

# passed FDS NAME OPTION...: serve, as if a service manager had passed descriptors
passed() {
	# shellcheck disable=SC2016
	run --separate-stderr bash -c 'export LISTEN_PID=$$ LISTEN_FDS=$1 LISTEN_FDNAMES=$2
		exec "$0" serve --size 64K "${@:3}" 3<&-' "$IVSHMEM_BUILD/ivshmem" "$@"
}

@test "descriptors that were not passed after all are named" {
	passed 1 peers --socket "$socket"
	[ "$status" -eq 1 ]
	says "(LISTEN_FDS) can't be had"
	passed x peers --socket "$socket"
	[ "$status" -eq 1 ]
	says "(LISTEN_FDS) can't be had"
	passed 1 peers
	[ "$status" -eq 2 ]
	says "--socket is missing"
	[ ! -e "$socket" ]
}

@test "a status socket alone is not enough" {
	command -v systemd-socket-activate >/dev/null || skip "no systemd-socket-activate"
	systemd-socket-activate --fdname=status -l "$socket" "$IVSHMEM_BUILD/ivshmem" \
		serve --size 64K 2>>"$dir/log" 3>&- &
	server=$!
	eventually test -S "$socket"
	run -1 ivshmem peers --status-socket "$socket"
	run -1 wait "$server"
	log_has "only a status socket was passed"
}
