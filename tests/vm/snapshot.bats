#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Snapshots of a guest that has the region in them: master=on.

load helper

# job COMMAND ARGUMENTS: one that QEMU does in the background
job() {
	qmp "$1" "$(jq -c '. + {"job-id": "job"}' <<<"$2")" >/dev/null
	within 60 job_has_ended
	qmp query-jobs | jq -e '.[0] | has("error") | not' >/dev/null
	qmp job-dismiss '{"id": "job"}' >/dev/null
}

job_has_ended() {
	qmp query-jobs | jq -e '.[0].status == "concluded"' >/dev/null
}

boot() {
	build/ivshmem create "$REGIONS/a" --size 4M
	build/ivshmem format "$REGIONS/a" --label a --objects 1
	VM_MEMORY=512 vm_start -object "$(region a 4M)" \
		-device ivshmem-plain,memdev=a,master=on,addr=4
	job blockdev-create "{\"options\": {\"driver\": \"file\", \"filename\": \"$REGIONS/state\", \"size\": 0}}"
	qmp blockdev-add "{\"driver\": \"file\", \"filename\": \"$REGIONS/state\", \"node-name\": \"file\"}"
	job blockdev-create '{"options": {"driver": "qcow2", "file": "file", "size": 1048576}}'
	qmp blockdev-add '{"driver": "qcow2", "file": "file", "node-name": "state"}'
}

# snapshot save|load
snapshot() {
	job "snapshot-$1" '{"tag": "before", "vmstate": "state", "devices": ["state"]}'
}

# count_in_guest: sends 1, 2, 3 and so on to the host, until it can't
count_in_guest() {
	guest '(i=0; while echo $((i += 1)); do sleep 0.01; done) 2>/dev/null |
		ivshmem send --connect /dev/ivshmem0 count >/run/sent 2>&1 &'
}

# receive_on_host FILE
receive_on_host() {
	build/ivshmem recv --create "$REGIONS/a" count 3>&- >"$1" 2>"$1.log" &
	receiver=$!
}

has_lines() {
	[ "$(wc -l <"$1")" -ge "$2" ]
}

assert_counted() {
	seq "$(wc -l <"$1")" | cmp - "$1"
}

@test "after a snapshot is loaded both ends of a channel are told, and no message came twice or was left out" {
	receive_on_host "$REGIONS/got"
	count_in_guest
	within 60 has_lines "$REGIONS/got" 20
	snapshot save
	lines=$(wc -l <"$REGIONS/got")
	within 60 has_lines "$REGIONS/got" $((lines + 20))
	snapshot load
	status=0
	wait "$receiver" || status=$?
	cat "$REGIONS/got.log"
	[ "$status" -eq 1 ]
	grep -q 'went back in time' "$REGIONS/got.log"
	assert_counted "$REGIONS/got"
	guest_within 60 'until grep "went back in time" /run/sent; do sleep 0.1; done'
}

@test "after a snapshot was loaded both ends open the channel anew" {
	receive_on_host "$REGIONS/again"
	count_in_guest
	within 60 has_lines "$REGIONS/again" 20
	kill "$receiver"
	assert_counted "$REGIONS/again"
}
