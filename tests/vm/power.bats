#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Suspend to RAM, kexec, reset and reboot with a mapping in use, or while a program waits
# for rings or messages.

load helper
load ends

# A guest that wakes up is reset, and QEMU loads what is no image anew then, over the
# kernel that sleeps.
boot() {
	start_server 4M 2
	build/ivshmem format --label doorbell "unix:$REGIONS/server" >/dev/null
	VM_MEMORY=1024 VM_KERNEL=$(vm_kernel) vm_start -global PIIX4_PM.disable_s3=0 \
		-object "$(region a 4M)" -device ivshmem-plain,memdev=a,addr=4 \
		-chardev "socket,id=server,path=$REGIONS/server" -device ivshmem-doorbell,chardev=server,vectors=2,addr=5 \
		-drive "if=none,id=kernel,format=raw,readonly=on,file=$(vm_kernel)" -device virtio-blk-pci,drive=kernel,serial=kernel \
		-drive "if=none,id=initrd,format=raw,readonly=on,file=$(vm_initramfs)" -device virtio-blk-pci,drive=initrd,serial=initrd
}

# use_mapping: a program of the guest that changes the first page for ever
use_mapping() {
	guest '/tests/hold /dev/ivshmem0 /run/ready >/dev/null 2>&1 & echo $! >/run/hold
		until [ -e /run/ready ]; do sleep 0.1; done; rm /run/ready'
}

is_suspended() {
	[ "$(qmp query-status | jq -r .status)" = suspended ]
}

# suspend: to RAM
suspend() {
	guest '(sleep 0.5; echo mem >/sys/power/state) >/dev/null 2>&1 &'
	within 10 is_suspended
}

# has_booted COUNT: so many kernels
has_booted() {
	[ "$(grep -c 'Starting systemd-udevd' "$VM_DIR/console")" -ge "$1" ]
}

# works: the doorbell both ways, for the peer that has this ID as before
works() {
	[ "$(guest 'cat /sys/bus/pci/devices/0000:00:05.0/ivshmem/ivshmem*/peer_id')" = "$1" ]
	guest "ivshmem wait --timeout 0 $doorbell 1 || true; ivshmem notify $doorbell $1 1; ivshmem wait --timeout 30 $doorbell 1"
	build/ivshmem notify "unix:$REGIONS/server" "$1" 1
	guest "ivshmem wait --timeout 30 $doorbell 1"
}

@test "a mapping in use survives suspend to RAM and resume" {
	use_mapping
	printf 'before the sleep' | dd of="$REGIONS/a" bs=1 seek=8192 conv=notrunc status=none
	suspend
	first=$(head -c 1 "$REGIONS/a" | od -An -tu1)
	sleep 0.3
	[ "$(head -c 1 "$REGIONS/a" | od -An -tu1)" = "$first" ]
	qmp system_wakeup
	[ "$(guest 'ivshmem read --offset 8192 --length 16 /dev/ivshmem0')" = 'before the sleep' ]
	guest 'kill -0 $(cat /run/hold) && kill $(cat /run/hold)'
}

doorbell=/dev/ivshmem/by-path/pci-0000:00:05.0

@test "rings while the guest is suspended to RAM wake who waits, and are kept for who comes" {
	id=$(guest 'cat /sys/bus/pci/devices/0000:00:05.0/ivshmem/ivshmem*/peer_id')
	guest "for vector in 0 1; do ivshmem wait --timeout 0 $doorbell \$vector >/dev/null 2>&1; done
		ivshmem wait $doorbell 1 >/run/rings 2>&1 & echo \$! >/run/waiter
		until grep -qs eventfd /proc/\$(cat /run/waiter)/fdinfo/*; do sleep 0.02; done
		(sleep 0.5; echo mem >/sys/power/state) >/dev/null 2>&1 &"
	within 10 is_suspended
	build/ivshmem notify "unix:$REGIONS/server" "$id" 0
	build/ivshmem notify "unix:$REGIONS/server" "$id" 1
	qmp system_wakeup
	[ "$(guest 'until [ -s /run/rings ]; do sleep 0.05; done; cat /run/rings')" -ge 1 ]
	[ "$(guest "ivshmem wait --timeout 30 $doorbell 0")" -ge 1 ]
}

@test "after suspend to RAM the doorbell works both ways" {
	id=$(guest 'cat /sys/bus/pci/devices/0000:00:05.0/ivshmem/ivshmem*/peer_id')
	guest "ivshmem wait --timeout 0 $doorbell 1 || true; ivshmem notify $doorbell $id 1; ivshmem wait --timeout 30 $doorbell 1"
}

@test "messages go on after suspend to RAM" {
	start_talk doorbell
	suspend
	sleep 0.3
	qmp system_wakeup
	within 30 host_has_sent doorbell $(($(sent_by_host doorbell) + 100))
	[ -z "$(guest 'cat /run/doorbell.said; kill $(cat /run/doorbell.end)')" ]
	end_host_end doorbell
}

@test "kexec leaves the region alone, and the next kernel binds the device" {
	head -c 4M /dev/urandom >"$REGIONS/a"
	start_talk doorbell
	guest_within 120 'touch /run/first-kernel
		modprobe virtio_blk; udevadm settle
		for disk in /sys/block/vd*; do cat /dev/${disk##*/} >/tmp/$(cat $disk/serial); done
		sleep 600 </dev/ivshmem0 >/dev/null 2>&1 &
		(sleep 0.2; /tests/kexec /tmp/kernel /tmp/initrd "console=ttyS0 loglevel=5 panic=-1 panic_on_warn=1") >/dev/console 2>&1 &'
	within 60 has_booted 2
	sleep 2
	guest '! test -e /run/first-kernel && test -c /dev/ivshmem0'
	[ "$(guest 'sha256sum </dev/ivshmem0')" = "$(sha256sum <"$REGIONS/a")" ]
}

@test "after kexec the guest is the same peer, and is rung" {
	works 0
}

@test "after kexec a program takes its end over, and the host's end is told then" {
	comes_back doorbell
	end_host_end doorbell
}

# -no-reboot would end QEMU.
@test "a reset leaves the region alone, and the next kernel binds the device" {
	before=$(sha256sum <"$REGIONS/a")
	start_talk doorbell
	qmp set-action '{"reboot": "reset"}'
	qmp system_reset
	within 60 has_booted 3
	sleep 2
	qmp set-action '{"reboot": "shutdown"}'
	guest 'test -c /dev/ivshmem0'
	[ "$(guest 'sha256sum </dev/ivshmem0')" = "$before" ]
}

@test "after a reset the guest is the same peer, and is rung" {
	works 0
}

@test "after a reset a program takes its end over, and the host's end is told then" {
	comes_back doorbell
	end_host_end doorbell
}

@test "reboot with a mapping in use ends well" {
	use_mapping
	guest '(sleep 0.2; reboot -f) >/dev/null 2>&1 &'
	within 10 vm_gone
	! vm_complaints "$VM_DIR/console"
}
