#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Hot-unplug and unbind while programs are at it.

load helper

ROUNDS=50

boot() {
	VM_CPUS=2 vm_start -object "$(region a 4M)" \
		-device ivshmem-plain,memdev=a,addr=4,id=first
}

# Starts a hammer on the node, and leaves an open file behind as well.
start_hammer='rm -f /run/ready; udevadm settle
	/tests/hammer /dev/ivshmem0 /run/ready >/run/hammer.log 2>&1 & hammer=$!
	sleep 600 </dev/ivshmem0 >/dev/null 2>&1 & echo $! >>/run/sleepers
	until [ -e /run/ready ]; do kill -0 $hammer || exit 5; sleep 0.02; done'

end_sleepers='kill $(cat /run/sleepers); rm /run/sleepers'

@test "unbind under use, $ROUNDS rounds, files still open" {
	guest_within 300 "cd /sys/bus/pci/drivers/ivshmem
		for i in \$(seq $ROUNDS); do
			$start_hammer
			echo 0000:00:04.0 >unbind || exit 2
			wait \$hammer || { cat /run/hammer.log; exit 3; }
			echo 0000:00:04.0 >bind || exit 4
		done"
	guest "$end_sleepers"
}

@test "remove and rescan through sysfs under use, 10 rounds" {
	guest_within 120 "for i in \$(seq 10); do
			$start_hammer
			echo 1 >/sys/bus/pci/devices/0000:00:04.0/remove || exit 2
			wait \$hammer || { cat /run/hammer.log; exit 3; }
			echo 1 >/sys/bus/pci/rescan || exit 4
			until [ -c /dev/ivshmem0 ]; do sleep 0.02; done
		done"
	guest "$end_sleepers"
}

# plug REGION ID SLOT: plugs a device in, with a memory backend of its own: QEMU
# 7.2 aborts where a device takes the backend, or the backend's name, of one that
# was unplugged just before.
plug() {
	backends=$((backends + 1))
	qmp object-add "{\"qom-type\": \"memory-backend-file\", \"id\": \"backend$backends\", \"share\": true,
		\"mem-path\": \"$REGIONS/$1\", \"size\": 4194304}"
	qmp device_add "{\"driver\": \"ivshmem-plain\", \"memdev\": \"backend$backends\", \"id\": \"$2\", \"addr\": \"$3\"}"
}

@test "hot-unplug and hot-plug through QEMU under use, $ROUNDS rounds, files still open" {
	for ((i = 0; i < ROUNDS; i++)); do
		guest "$start_hammer
			echo \$hammer >/run/hammer"
		qmp device_del '{"id": "first"}'
		guest 'until ! kill -0 $(cat /run/hammer) 2>/dev/null; do sleep 0.02; done; cat /run/hammer.log
			! test -s /run/hammer.log && ! test -e /dev/ivshmem0'
		until qmp query-pci | jq -e '[.. | objects | .qdev_id? // empty] | index("first") == null' >/dev/null; do
			sleep 0.05
		done
		plug a first 4
		guest 'until [ -c /dev/ivshmem0 ]; do sleep 0.02; done'
	done
	guest "$end_sleepers"
}

@test "a device plugged in later gets its node, names and permissions" {
	backends=$ROUNDS plug b second 5
	guest 'until [ -L /dev/ivshmem/by-path/pci-0000:00:05.0 ]; do sleep 0.05; done
		[ "$(stat -L -c %G:%a /dev/ivshmem/by-path/pci-0000:00:05.0)" = ivshmem:660 ]'
	qmp device_del '{"id": "second"}'
	guest 'while [ -e /dev/ivshmem ] && [ -L /dev/ivshmem/by-path/pci-0000:00:05.0 ]; do sleep 0.05; done'
}

@test "nothing leaked: the module unloads" {
	guest 'udevadm settle; rmmod ivshmem && ! grep -q ivshmem /proc/iomem'
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
