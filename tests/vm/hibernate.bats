#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Hibernation: the guest goes on in another QEMU, whose device is another peer of the same
# server.

load helper

node=/dev/ivshmem/by-path/pci-0000:00:04.0

start_guest() {
	VM_KERNEL=$(vm_kernel) vm_start -drive "if=none,id=swap,format=raw,file=$REGIONS/swap" \
		-device virtio-blk-pci,drive=swap,addr=6 \
		-chardev "socket,id=server,path=$REGIONS/server" \
		-device ivshmem-doorbell,chardev=server,vectors=2,addr=4
}

is_back() {
	grep -q 'the guest goes on' "$VM_DIR/console"
}

# take_id: another QEMU takes the ID of the one that has ended
take_id() {
	"$QEMU" -nodefaults -display none -machine "$(vm_machine)" -accel tcg -m 16 -S \
		-chardev "socket,id=server,path=$REGIONS/server" \
		-device ivshmem-doorbell,chardev=server,vectors=2 >/dev/null 2>&1 3>&- &
	echo $! >"$REGIONS/taker.pid"
	within 30 build/ivshmem notify "unix:$REGIONS/server" 0 0
}

# The first kernel of the second QEMU loads the image. It is replaced, and never answers.
hibernate_and_resume() {
	guest '(sleep 0.5; echo 0 >/sys/power/image_size; echo shutdown >/sys/power/disk
		echo disk >/sys/power/state; echo "the guest goes on" >/dev/console) >/dev/null 2>&1 &'
	within 120 vm_gone || return
	vm_kill
	printf 'written meanwhile' | build/ivshmem write --offset 16000000 "unix:$REGIONS/server" || return
	take_id || return
	start_guest || return
	printf '%s\n' "$(base64 -w0 <<<'modprobe virtio_blk; udevadm settle
		cat /sys/block/vda/dev >/sys/power/resume')" 1<>"$VM_DIR/control.in"
	within 120 is_back
}

# Programs that wait for rings, for news of the peer ID, for messages, for what is written
# to the region, and for events of udev, all of which go on after hibernation; and one on
# the host that sends messages.
boot() {
	start_server 16M 2
	truncate -s 1G "$REGIONS/swap"
	start_guest
	build/ivshmem format --label shared "unix:$REGIONS/server" >/dev/null
	guest "cat /sys/class/ivshmem/ivshmem0/peer_id >/run/id
		modprobe virtio_blk; udevadm settle; mkswap /dev/vda >/dev/null && swapon /dev/vda || exit
		udevadm monitor --udev --property --subsystem-match=ivshmem >/run/events 2>&1 &
		/tests/id_change $node >/run/ids 2>&1 &
		/tests/id_change /sys/class/ivshmem/ivshmem0/peer_id >/run/sysfs-ids 2>&1 &
		/tests/messages $node chat create echo >/run/echo 2>&1 &
		(until [ -e /run/look ]; do sleep 0.1; done; dd bs=1 skip=16000000 count=17) <$node >/run/seen 2>/run/dd &
		ivshmem wait $node 0 >/run/rings 2>&1 & waiter=\$!
		until grep -qs eventfd /proc/\$waiter/fdinfo/* && [ -s /run/ids ] && [ -s /run/sysfs-ids ]; do sleep 0.05; done"
	build/tests/messages "unix:$REGIONS/server" chat connect 2000000000 >"$REGIONS/ask" 2>&1 3>&- &
	echo $! >"$REGIONS/ask.pid"
	within 60 was_rung_more_often_than 5
	hibernate_and_resume
}

teardown_file() {
	for pid in ask taker; do
		[ ! -e "$REGIONS/$pid.pid" ] || kill "$(<"$REGIONS/$pid.pid")" 2>/dev/null || true
	done
	vm_kill
	end_server
	rm -rf "$REGIONS"
}

# interrupts: how often the vectors were rung, which in the end is what the channel does
interrupts() {
	guest 'cat /proc/interrupts' | awk '/ivshmem0-[01]$/ { count += $2 } END { print count }'
}

was_rung_more_often_than() {
	[ "$(interrupts)" -gt "$1" ]
}

@test "what was written while the guest was hibernated is read by who had the region open" {
	[ "$(guest 'touch /run/look; until [ -s /run/seen ]; do sleep 0.05; done; cat /run/seen')" = 'written meanwhile' ]
}

@test "who waits is woken after hibernation, since a ring may be lost" {
	[ "$(guest 'until [ -s /run/rings ]; do sleep 0.05; done; cat /run/rings')" -ge 1 ]
}

@test "a channel's other end rings the new ID" {
	before=$(interrupts)
	within 30 was_rung_more_often_than $((before + 5))
	kill -0 "$(<"$REGIONS/ask.pid")"
	kill "$(<"$REGIONS/ask.pid")"
	[ -z "$(guest 'cat /run/echo')" ]
}

@test "another peer ID after hibernation is told by poll(2) on node and attribute, and by udev, once" {
	id=$(guest 'cat /sys/class/ivshmem/ivshmem0/peer_id')
	first=$(guest 'cat /run/id')
	[ "$id" != "$first" ]
	[ "$(guest 'cat /run/ids')" = "$first"$'\n'"$id" ]
	[ "$(guest 'cat /run/sysfs-ids')" = "$first"$'\n'"$id" ]
	[ "$(guest 'udevadm settle; sleep 1; grep IVSHMEM_PEER_ID /run/events')" = "IVSHMEM_PEER_ID=$id" ]
	guest "dmesg | grep 'ivshmem0: peer ID $first became $id'"
	guest "test -c $node"
}

@test "a ring by the new ID arrives" {
	id=$(guest 'cat /sys/class/ivshmem/ivshmem0/peer_id')
	build/ivshmem notify "unix:$REGIONS/server" "$id" 0
	[ "$(guest "ivshmem wait --timeout 30 $node 0")" -ge 1 ]
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
