#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Three guests and the host in one topic that loses nothing, on a plain region and on one with
# a doorbell; one of the guests is killed amid it.

load helper
load peers

GUESTS=(a b c)

start_guest() {
	vm_start -object "$(region plain 4M)" -device ivshmem-plain,memdev=plain,addr=4 \
		-chardev "socket,id=server,path=$REGIONS/server" \
		-device ivshmem-doorbell,chardev=server,vectors=2,addr=5
}

boot() {
	local name

	start_server 4M 2
	for name in "${GUESTS[@]}"; do
		boot_guest "$name"
	done
}

teardown_file() {
	local name

	for name in "${GUESTS[@]}"; do
		on "$name" vm_kill
	done
	end_server
	rm -rf "$REGIONS"
}

host() {
	timeout $((60 * VM_PATIENCE)) build/ivshmem "$@"
}

# Each kind of region: its path here, and its node in the guests.
each() {
	"$@" "$REGIONS/plain" /dev/ivshmem/by-path/pci-0000:00:04.0
	"$@" "unix:$REGIONS/server" /dev/ivshmem/by-path/pci-0000:00:05.0
}

make_topic() {
	host format --force --label topics \
		--topic t:64,history=16,publishers=4,subscribers=8,lossless "$1"
}

# subscribe_all COUNT WHERE NODE: all four, of whom all wait for so many messages
subscribe_all() {
	local name

	for name in "${GUESTS[@]}"; do
		on "$name" guest "timeout $((50 * VM_PATIENCE)) ivshmem subscribe --count $1 $3 t >/run/out 2>&1 &"
	done
	host subscribe --count "$1" "$2" t >"$REGIONS/out" 3>&- &
	subscriber=$!
	within 20 count_subscribers 4 "$2"
}

count_subscribers() {
	[ "$(host info --json "$2" | jq '.objects[0].subscribers | length')" -eq "$1" ]
}

# out_of NAME: what it has received
out_of() {
	if [ "$1" = host ]; then
		cat "$REGIONS/out"
	else
		on "$1" guest 'cat /run/out'
	fi
}

# has_lines NAME COUNT
has_lines() {
	[ "$(out_of "$1" | wc -l)" -ge "$2" ]
}

from_all() {
	local name publisher reader

	make_topic "$1"
	subscribe_all 400 "$1" "$2"
	for name in a b c; do
		on "$name" guest "seq 100 | sed 's/^/$name /' | timeout $((50 * VM_PATIENCE)) ivshmem publish $2 t >/run/publish 2>&1 &"
	done
	seq -f 'host %g' 100 | host publish "$1" t
	wait "$subscriber"
	for reader in "${GUESTS[@]}" host; do
		within 20 has_lines "$reader" 400
		out_of "$reader" >"$REGIONS/read"
		for publisher in "${GUESTS[@]}" host; do
			diff <(grep "^$publisher " "$REGIONS/read") <(seq -f "$publisher %g" 100)
		done
	done
	for name in "${GUESTS[@]}"; do
		[ -z "$(on "$name" guest 'cat /run/publish')" ]
	done
}

@test "three guests and the host all get what each of them publishes, in order" {
	each from_all
}

# The host waits for what the dead one did not take, until its time is over; nobody else loses
# anything.
kill_amid() {
	local reader

	make_topic "$1"
	subscribe_all 600 "$1" "$2"
	mkfifo "$REGIONS/lines"
	host publish --timeout 2 "$1" t <"$REGIONS/lines" 3>&- &
	publisher=$!
	exec {lines}>"$REGIONS/lines"
	rm "$REGIONS/lines"
	seq 1 300 >&"$lines"
	within 20 has_lines c 1
	on c vm_kill
	seq 301 600 >&"$lines"
	exec {lines}>&-
	wait "$publisher"
	wait "$subscriber"
	for reader in a b host; do
		within 20 has_lines "$reader" 600
		[ "$(out_of "$reader" | sha256sum)" = "$(seq 600 | sha256sum)" ]
	done
	boot_guest c
	[ "$(on c guest "ivshmem subscribe --history 1 --count 1 $2 t")" = 600 ]
}

@test "a guest that is killed costs the others nothing, and comes back" {
	each kill_amid
}

@test "the guests power off and their kernel logs are clean" {
	local name

	for name in "${GUESTS[@]}"; do
		on "$name" vm_stop
	done
}
