#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every allocation that a call to the module makes fails once, and so does every
# copy to and from user space. Needs the debug kernel.
#
# While it sets up a mapping by pages, Linux 6.1 itself does not survive the failure
# of some allocations of pages (phys_pmd_init), and warns of others (add_pages). It
# warns, too, where /proc/irq lacks what it failed to make when it takes that down
# (remove_proc_entry), and of fields of trace events (event_define_fields). The name
# of a class that it failed to register leaks: the list of leaks is looked through.

load ../vm/helper

export VM_EXPECTED='Call Trace|WARNING: .* (add_pages|remove_proc_entry|event_define_fields)|kmemleak: .* suspected memory leaks'
export VM_EXPECTED_LEAKS='kobject_set_name[^]]*\\] __class_register'

boot() {
	start_server 8M 4
	VM_APPEND=panic_on_warn=0 vm_start -object "$(region a 4M)" -device ivshmem-plain,memdev=a,addr=4 \
		-chardev "socket,id=server,path=$REGIONS/server" \
		-device ivshmem-doorbell,chardev=server,vectors=4,addr=5
	# It would be busy with thousands of events for longer than all else takes.
	guest 'udevadm control --exit
		cd /sys/kernel/debug
		for fault in failslab fail_page_alloc; do echo N >$fault/ignore-gfp-wait; done
		for fault in failslab fail_page_alloc fail_usercopy; do echo 0 >$fault/verbose; done
		echo N >fail_page_alloc/ignore-gfp-highmem'
	pages_from_order 0
}

# pages_from_order ORDER: let only these allocations of pages fail
pages_from_order() {
	guest "echo $1 >/sys/kernel/debug/fail_page_alloc/min-order"
}

# node SLOT: the device node, as the guest's shell finds it
node() {
	echo "/dev/\$(ls /sys/bus/pci/devices/0000:00:0$1.0/ivshmem)"
}

# faults CALL SLOT: how many allocations the call has, and all failed well
faults() {
	local what
	case $1 in
	*-pinning) what=$(node "$2") ;;
	load | bind | unbind) what=0000:00:0$2.0 ;;
	*) what=$(node "$2") ;;
	esac
	run guest_within 120 "/tests/faults $1 $what"
	echo "$output"
	echo "# ${lines[-1]}" >&3
	[ "$status" -eq 0 ]
}

# The device works, after all that.
works() {
	guest "echo again | ivshmem write $(node "$1")"
}

@test "open" {
	faults open 4
}

@test "mmap, and the first touch of a mapping" {
	faults mmap 4
	faults touch 4
}

@test "read, write, poll and fsync" {
	for call in read write poll fsync; do
		faults $call 4
	done
}

@test "each ioctl" {
	for call in get-info ring-doorbell set-eventfd unset-eventfd; do
		faults $call 5
	done
	allow_pinning 0000:00:05.0 1
	faults export-dmabuf 5
	allow_pinning 0000:00:05.0 0
}

# After each failure nothing can be exported, and the device works.
@test "pinning, allowed and no longer" {
	pages_from_order 10
	for slot in 4 5; do
		faults allow-pinning $slot
		works $slot
		faults forbid-pinning $slot
		works $slot
	done
	pages_from_order 0
}

@test "binding and unbinding" {
	for slot in 4 5; do
		faults bind $slot
		works $slot
		faults unbind $slot
		works $slot
	done
}

# Without the devices, whose binding has tests of its own.
@test "loading the module" {
	guest 'rmmod ivshmem && echo 0 >/sys/bus/pci/drivers_autoprobe'
	faults load 4
	guest 'echo 1 >/sys/bus/pci/drivers_autoprobe && modprobe ivshmem'
	works 4
	works 5
}

@test "the guest powers off, nothing leaked, and its kernel log is clean" {
	vm_stop
}
