#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Channels between a host program and a guest whose device is unplugged and another is
# plugged in, or whose region's file is replaced.

load helper
load ends

boot() {
	build/ivshmem create "$REGIONS/plain" --size 16M
	start_server 16M 2
	build/ivshmem format --label plain "$REGIONS/plain" >/dev/null
	build/ivshmem format --label doorbell "unix:$REGIONS/server" >/dev/null
	vm_start -object "$(region plain 16M)" -device ivshmem-plain,memdev=plain,addr=4,id=plain-device \
		-chardev "socket,id=server,path=$REGIONS/server" \
		-device ivshmem-doorbell,chardev=server,vectors=2,addr=5,id=doorbell-device
}

# plug: the plain device; its backend is another: see plug in removal.bats
plug() {
	qmp object-add "{\"qom-type\": \"memory-backend-file\", \"id\": \"backend\", \"share\": true,
		\"mem-path\": \"$REGIONS/plain\", \"size\": 16777216}"
	qmp device_add '{"driver": "ivshmem-plain", "memdev": "backend", "id": "plain-device", "addr": "4"}'
	guest 'until [ -c /dev/ivshmem/by-label/plain ]; do sleep 0.05; done'
}

# unplug: both devices. QEMU frees them a little later than it says.
unplug() {
	qmp device_del '{"id": "plain-device"}'
	qmp device_del '{"id": "doorbell-device"}'
	guest 'while [ -e /dev/ivshmem0 ] || [ -e /dev/ivshmem1 ]; do sleep 0.05; done'
	within 20 is_free server
}

is_free() {
	qmp chardev-remove "{\"id\": \"$1\"}" 2>/dev/null
}

id_of_guest() {
	guest 'cat /sys/bus/pci/devices/0000:00:05.0/ivshmem/ivshmem*/peer_id'
}

# start COMMAND: in the guest, what it says and its status go to /run/ended.N
start() {
	started=$((started + 1))
	guest "($1; echo \"status \$?\") >/run/ended.$started 2>&1 &"
}

node_users_are() {
	[ "$(guest 'for process in /proc/[0-9]*; do ls -l $process/fd | grep -m 1 /dev/ivshmem; done 2>/dev/null | wc -l')" = "$1" ]
}

# One that is at the memory just then gets SIGBUS; so may others, where the machine is busy.
# Nobody rings meanwhile, and no peer has left: QEMU 7.2 would not survive it. Nor does it
# always survive another doorbell device after that.
@test "an unplugged device's programs are told by ENODEV where they wait" {
	for kind in plain doorbell; do
		host_end $kind echo
		start "ivshmem recv --take-over /dev/ivshmem/by-label/$kind chat"
		start "ivshmem recv /dev/ivshmem/by-label/$kind not-there"
	done
	start "ivshmem wait /dev/ivshmem/by-label/doorbell 1"
	id_of_guest >"$REGIONS/id"
	within 30 node_users_are $started
	sleep 1
	unplug
	guest "for i in \$(seq $started); do until grep -s status /run/ended.\$i; do sleep 0.05; done; cat /run/ended.\$i; done" >"$REGIONS/ended"
	cat "$REGIONS/ended"
	[ "$(grep -c 'the device is gone\|Bus error' "$REGIONS/ended")" = $started ]
	grep "channel .*the device is gone" "$REGIONS/ended"
}

@test "the ID of an unplugged device is nobody's" {
	run build/ivshmem notify "unix:$REGIONS/server" "$(<"$REGIONS/id")" 1
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *'there is no vector 1 of a peer 0'* ]]
}

@test "a device that is plugged in shows the region as it was and has become" {
	printf 'written meanwhile' | build/ivshmem write --offset 16000000 "$REGIONS/plain"
	plug
	[ "$(guest 'ivshmem read --offset 16000000 --length 17 /dev/ivshmem/by-label/plain')" = 'written meanwhile' ]
}

@test "after unplugging a program of the next device takes its end over; the host's end is told then, and on a server's region at once" {
	comes_back plain
	end_host_end plain
	within 20 grep -qx left "$REGIONS/doorbell.said"
}

replace_file() {
	rm "$REGIONS/plain"
	build/ivshmem create "$REGIONS/plain" --size 16M
	build/ivshmem format --label plain "$REGIONS/plain" >/dev/null
	printf 'the new file' | build/ivshmem write --offset 16000000 "$REGIONS/plain"
}

@test "a file that is replaced stays the guest's region, and who opens its path gets another one" {
	printf 'the old file' | build/ivshmem write --offset 16000000 "$REGIONS/plain"
	start_talk plain
	replace_file
	[ "$(guest 'ivshmem read --offset 16000000 --length 12 /dev/ivshmem/by-label/plain')" = 'the old file' ]
	[ "$(build/ivshmem read --offset 16000000 --length 12 "$REGIONS/plain")" = 'the new file' ]
}

@test "a channel goes on in a file that was replaced, and a newcomer finds nobody in the new one" {
	within 30 host_has_sent plain $(($(sent_by_host plain) + 100))
	run build/ivshmem recv --timeout 0.5 "$REGIONS/plain" chat
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *'the other side did not come in time'* ]]
}

has_ended() {
	! host_end_said "$1"
}

@test "a host program that lost the other end in a file that was replaced is told by ESTALE" {
	guest 'kill $(cat /run/plain.end)
		(/tests/messages /dev/ivshmem/by-label/plain chat connect 1 & echo $! >/run/plain.end) >/run/plain.said 2>&1'
	within 20 has_ended plain
	cat "$REGIONS/plain.said"
	grep 'replaced by another' "$REGIONS/plain.said"
	guest 'kill $(cat /run/plain.end)'
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
