#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Machine q35: a device that is reset through sysfs, or by the kernel since its bus has met
# an error, which drops the interrupts of that time. SeaBIOS, since QEMU reports errors of a
# port only where SERR# is on (PCI_COMMAND), which OVMF leaves off.

load helper

node=/dev/ivshmem/by-path/pci-0000:01:00.0
device=/sys/bus/pci/devices/0000:01:00.0

boot() {
	start_server 4M 2
	VM_FIRMWARE='' VM_MACHINE=q35 vm_start -device pcie-root-port,id=slot1,bus=pcie.0,addr=4,chassis=1,slot=1 \
		-chardev "socket,id=server,path=$REGIONS/server" \
		-device ivshmem-doorbell,chardev=server,vectors=2,bus=slot1
	guest "printf 'from before' | ivshmem write $node"
}

# start_waiter: waits for a ring of vector 1 that has not come yet; what it says goes to
# /run/rings
start_waiter() {
	guest "ivshmem wait --timeout 0 $node 1 >/dev/null 2>&1
		ivshmem wait $node 1 >/run/rings 2>&1 & waiter=\$!
		until grep -qs eventfd /proc/\$waiter/fdinfo/*; do sleep 0.02; done"
}

waiter_was_rung() {
	[ "$(guest 'until [ -s /run/rings ]; do sleep 0.05; done; cat /run/rings')" -ge 1 ]
}

# works: the doorbell both ways, and the memory
works() {
	local id
	id=$(guest "cat $device/ivshmem/ivshmem*/peer_id")
	guest "ivshmem wait --timeout 0 $node 0 >/dev/null 2>&1; ivshmem notify $node $id 0; ivshmem wait --timeout 20 $node 0" || return
	build/ivshmem notify "unix:$REGIONS/server" "$id" 0
	guest "ivshmem wait --timeout 20 $node 0" || return
	[ "$(guest "ivshmem read --length 11 $node")" = 'from before' ]
}

@test "a reset wakes who waits, since a ring may be lost, and what comes later arrives" {
	start_waiter
	guest "echo 1 >$device/reset"
	waiter_was_rung
	works
}

# ended_recoveries COUNT: so many have ended, well or not
ended_recoveries() {
	[ "$(guest 'dmesg | grep -c "AER: device recovery \(successful\|failed\)"')" = "$1" ]
}

# Twice: what the first recovery has used up is there again for the second.
@test "an error of the bus is recovered from, twice, and wakes who waits" {
	for round in 1 2; do
		start_waiter
		hmp 'pcie_aer_inject_error slot1 DLP' >"$REGIONS/injected"
		within 20 ended_recoveries $round
		guest '! dmesg | grep "AER: device recovery failed"'
		waiter_was_rung
		works
	done
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
