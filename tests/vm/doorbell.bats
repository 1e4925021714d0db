#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A doorbell device with more vectors than one processor has.

load helper

boot() {
	start_server 8M 256 --file "$REGIONS/shared"
	# So that the guest gets another ID than a plain device shows, which is 0: this is a
	# peer, too, and the first one.
	vm_start -chardev "socket,id=first,path=$REGIONS/server" \
		-chardev "socket,id=server,path=$REGIONS/server" \
		-device ivshmem-doorbell,chardev=server,vectors=256,addr=4,id=doorbell \
		-object "$(region a 1M)" -device ivshmem-plain,memdev=a,addr=5
}

@test "kind and peer ID tell a doorbell device from a plain one" {
	[ "$(guest 'cd /sys/bus/pci/devices/0000:00:04.0/ivshmem/ivshmem*; echo $(cat kind peer_id size)')" = 'doorbell 1 8388608' ]
	[ "$(guest 'cd /sys/bus/pci/devices/0000:00:05.0/ivshmem/ivshmem*; echo $(cat kind peer_id size)')" = 'plain 0 1048576' ]
}

@test "ivshmem list and info tell the kind" {
	run guest 'ivshmem list'
	[[ "$output" == *'0000:00:04.0'*'doorbell'* ]]
	run guest 'ivshmem info 0000:00:04.0'
	[[ "$output" == *'doorbell'* ]]
}

# Others than root can't read the capabilities.
@test "ivshmem list tells the kind of devices that no driver has, to anybody" {
	guest 'for device in 0000:00:04.0 0000:00:05.0; do echo $device >/sys/bus/pci/drivers/ivshmem/unbind; done'
	for user in root outsider; do
		guest "su $user -c 'ivshmem list --json' 2>/dev/null" >"$REGIONS/list" || true
		[ "$(jq -r '[.. | .kind? // empty] | join(" ")' "$REGIONS/list")" = 'doorbell plain' ]
		[ "$(jq -r '[.. | .driver? // empty] | join(" ")' "$REGIONS/list")" = '' ]
	done
	guest 'for device in 0000:00:04.0 0000:00:05.0; do echo $device >/sys/bus/pci/drivers/ivshmem/bind; done; udevadm settle'
}

@test "the memory of a doorbell device is the server's region, both ways" {
	printf 'to the peer' | dd of="$REGIONS/shared" bs=1 seek=8000000 conv=notrunc status=none
	[ "$(guest 'ivshmem read --offset 8000000 --length 11 0000:00:04.0')" = 'to the peer' ]
	guest 'printf "from the peer" | ivshmem write --offset 4096 0000:00:04.0'
	[ "$(dd if="$REGIONS/shared" bs=1 skip=4096 count=13 status=none)" = 'from the peer' ]
}

@test "vectors that the machine lacks are left out, with a message" {
	vectors=$(guest 'cat /sys/bus/pci/devices/0000:00:04.0/ivshmem/ivshmem*/vectors')
	[ "$vectors" -ge 64 ]
	[ "$vectors" -lt 256 ]
	guest "dmesg | grep -q ' $vectors of 256 vectors can be used'"
	node=$(guest 'readlink -f /dev/ivshmem/by-path/pci-0000:00:04.0')
	guest "ivshmem notify $node 1 $((vectors - 1)) &&
		[ \"\$(ivshmem wait --timeout 10 $node $((vectors - 1)))\" = 1 ]"
	run guest "ivshmem wait --timeout 1 $node $vectors"
	[ "$status" -ne 0 ]
}

@test "the library's tests of a doorbell pass" {
	run guest_within 120 '/tests/test_doorbell'
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(grep -c '^ok' <<<"$output")" -ge 5 ]
	! grep -q '^not ok\|SKIP' <<<"$output"
}

# QEMU 7.2 does not survive this while interrupts pour in, or once a peer has left:
# its device goes on to take interrupts when it is freed, and frees what it knew of
# that peer again. So this is a calm moment; peers.bats has removal by the guest
# while interrupts pour in.
@test "hot-unplug wakes the waiter with ENODEV" {
	guest 'ivshmem wait --count 2000000000 0000:00:04.0 0 >/run/wait 2>&1 & echo $! >/run/waiter
		until grep -qs eventfd /proc/$(cat /run/waiter)/fdinfo/*; do sleep 0.02; done'
	qmp device_del '{"id": "doorbell"}'
	guest 'while kill -0 $(cat /run/waiter) 2>/dev/null; do sleep 0.02; done; grep -q gone /run/wait'
	guest '! test -e /dev/ivshmem/by-path/pci-0000:00:04.0 && test -e /dev/ivshmem/by-path/pci-0000:00:05.0'
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
