#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Machine q35: a device that comes and goes in a PCIe root port, by the port's own
# hot-plug. The time that a removal takes is the specification's.

load helper

boot() {
	VM_MACHINE=q35 vm_start -global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off \
		-device pcie-root-port,id=slot1,bus=pcie.0,addr=4,chassis=1,slot=1,pref64-reserve=256M
}

node=/dev/ivshmem/by-path/pci-0000:01:00.0

# A backend is not used twice: see plug in removal.bats.
plug() {
	qmp object-add "{\"qom-type\": \"memory-backend-file\", \"id\": \"backend$1\", \"share\": true,
		\"mem-path\": \"$REGIONS/a\", \"size\": 67108864}"
	qmp device_add "{\"driver\": \"ivshmem-plain\", \"memdev\": \"backend$1\", \"id\": \"device\", \"bus\": \"slot1\"}"
	guest "until [ -c $node ]; do sleep 0.1; done"
}

is_gone() {
	! qmp query-pci | jq -e '[.. | objects | .qdev_id? // empty] | index("device") != null' >/dev/null
}

# A press of the button starts a removal in five seconds, and the next one calls it
# off; and a port may miss one that comes soon after the device.
unplug() {
	for _ in {1..5}; do
		qmp device_del '{"id": "device"}' || true
		for _ in {1..20}; do
			! is_gone || return 0
			sleep 1
		done
	done
	return 1
}

@test "a device plugged into a root port is mapped write-back" {
	plug 0
	run guest "cd /sys/bus/pci/devices/0000:01:00.0/ivshmem/ivshmem*; echo \$(cat size mapping cache)"
	[ "$output" = '67108864 pfn write-back' ]
}

@test "its BAR is above 4 GiB where the firmware is UEFI" {
	[ -n "${VM_FIRMWARE-}" ] || skip "this firmware is SeaBIOS"
	start=$(guest "awk 'NR == 3 { print \$1 }' /sys/bus/pci/devices/0000:01:00.0/resource")
	((start >= 0x100000000))
}

@test "its contents are the region's, both ways" {
	printf 'to the guest' | dd of="$REGIONS/a" bs=1 seek=8192 conv=notrunc status=none
	[ "$(guest "ivshmem read --offset 8192 --length 12 $node")" = 'to the guest' ]
	guest "printf 'from the guest' | ivshmem write --offset 60000000 $node"
	[ "$(dd if="$REGIONS/a" bs=1 skip=60000000 count=14 status=none)" = 'from the guest' ]
}

@test "removal and return through the port under use, 3 rounds" {
	! guest 'grep -q PREEMPT_RT /proc/version' || skip 'pciehp of PREEMPT_RT 6.1 does not act on the button'
	for round in 1 2 3; do
		guest "/tests/hammer $node /run/ready >/run/hammer.log 2>&1 & echo \$! >/run/hammer
			until [ -e /run/ready ]; do sleep 0.1; done; rm /run/ready"
		unplug
		guest 'while kill -0 $(cat /run/hammer) 2>/dev/null; do sleep 0.1; done; cat /run/hammer.log; ! [ -s /run/hammer.log ]'
		guest "! [ -e $node ]"
		plug $round
	done
}

# Linux 6.1's pciehp takes its own reset_lock and pci_rescan_remove_lock in two orders,
# which lockdep tells before the module is loaded.
@test "the guest powers off and its kernel log is clean" {
	! guest 'dmesg | grep -q "reset_lock.*at: pciehp_configure_device"' ||
		VM_EXPECTED='possible circular locking dependency|Call Trace'
	vm_stop
}
