#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# One device of 64 MiB: binding, contents, loading and unloading.

load helper

boot() {
	VM_CPUS=2 vm_start -object "$(region a 64M)" -device ivshmem-plain,memdev=a,addr=4 \
		-device pci-testdev,addr=5 -device pci-testdev,addr=6,membar=2K
}

@test "the modalias loads the module when the device appears" {
	guest 'lsmod | grep -q ^ivshmem && test -c /dev/ivshmem0'
}

@test "one line says what was bound, one warning that it is not write-back" {
	run guest 'dmesg'
	[ "$(grep -c 'ivshmem0: plain, 65536 KiB at' <<<"$output")" = 1 ]
	cache=$(guest 'cat /sys/class/ivshmem/ivshmem0/cache')
	if [ "$cache" = write-back ]; then
		[ "$(grep -c 'or see CACHING' <<<"$output")" = 0 ]
	else
		[ "$(grep -c 'or see CACHING' <<<"$output")" = 1 ]
	fi
}

@test "modinfo is complete" {
	run guest 'modinfo ivshmem'
	for field in 'license: *GPL' 'description: *Inter-VM' 'author: ' 'version: ' \
		'alias: *pci:v00001AF4d00001110sv' 'vermagic: '; do
		grep -q "^$field" <<<"$output"
	done
}

@test "what the host wrote at every page, the guest reads through the file and the mapping" {
	head -c 64M /dev/urandom >"$REGIONS/a"
	expected=$(sha256sum <"$REGIONS/a")
	[ "$(guest 'sha256sum </dev/ivshmem0')" = "$expected" ]
	[ "$(guest 'ivshmem read /dev/ivshmem0 | sha256sum')" = "$expected" ]
}

@test "what the guest wrote at every page, the host reads" {
	head -c 64M /dev/urandom >"$REGIONS/a"
	cp "$REGIONS/a" "$REGIONS/expected"
	guest 'cat /dev/ivshmem0 >/tmp/was'
	for write in 'ivshmem write /dev/ivshmem0' 'dd of=/dev/ivshmem0 bs=1M iflag=fullblock'; do
		{ tail -c +5001 "$REGIONS/expected" && head -c 5000 "$REGIONS/expected"; } >"$REGIONS/turned"
		mv "$REGIONS/turned" "$REGIONS/expected"
		guest "{ tail -c +5001 /tmp/was && head -c 5000 /tmp/was; } | $write
			cat /dev/ivshmem0 >/tmp/was"
		cmp "$REGIONS/expected" "$REGIONS/a"
	done
	guest 'rm /tmp/was'
	rm "$REGIONS/expected"
}

@test "dd to a full region fails with ENOSPC and writes all that fits" {
	run guest 'head -c 70000000 /dev/zero | dd of=/dev/ivshmem0 bs=64k iflag=fullblock'
	[ "$status" -ne 0 ]
	[[ "$output" == *'No space left on device'* ]]
	cmp -n 67108864 "$REGIONS/a" /dev/zero
}

@test "rmmod is refused while a file is open" {
	run guest 'exec 5</dev/ivshmem0; /usr/sbin/rmmod ivshmem'
	[ "$status" -ne 0 ]
	[[ "$output" == *'in use'* ]]
	guest 'test -c /dev/ivshmem0'
}

@test "rmmod is refused while only a mapping is left" {
	guest '/tests/hammer /dev/ivshmem0 /run/ready >/dev/null 2>&1 & echo $! >/run/hammer
		until [ -e /run/ready ]; do sleep 0.1; done; rm /run/ready
		! rmmod ivshmem; status=$?; kill $(cat /run/hammer); exit $status'
}

@test "100 rounds of loading and unloading" {
	guest_within 240 'for i in $(seq 100); do
			udevadm settle
			rmmod ivshmem || exit 1
			! test -e /dev/ivshmem0 || exit 2
			modprobe ivshmem || exit 3
			test -c /dev/ivshmem0 || exit 4
		done'
}

@test "nothing of the module is left after unloading" {
	guest 'udevadm settle; rmmod ivshmem
		! grep -q ivshmem /proc/iomem /proc/devices /proc/filesystems /proc/modules &&
		! test -e /sys/class/ivshmem && ! test -e /dev/ivshmem0
		status=$?; modprobe ivshmem; exit $status'
}

@test "a BAR that another driver holds fails with EBUSY and a message" {
	run guest 'set -- $(sed -n 3p /sys/class/ivshmem/ivshmem0/device/resource)
		udevadm settle; rmmod ivshmem
		insmod /tests/hold_bar.ko start=$1 size=4096
		modprobe ivshmem
		test -e /dev/ivshmem0 && echo bound anyway
		dmesg | tail -n 5
		rmmod ivshmem hold_bar
		modprobe ivshmem
		test -c /dev/ivshmem0 && echo bound again'
	[[ "$output" == *'BAR 2 is taken, see /proc/iomem'* ]]
	[[ "$output" == *'error -16'* || "$output" == *EBUSY* ]]
	[[ "$output" != *'bound anyway'* ]]
	[[ "$output" == *'bound again'* ]]
}

# force_bind ADDRESS: gives the driver a device that is no ivshmem
force_bind() {
	guest "echo ivshmem >/sys/bus/pci/devices/$1/driver_override
		echo $1 >/sys/bus/pci/drivers/ivshmem/bind
		test -e /dev/ivshmem1 && echo bound anyway
		dmesg | grep 'ivshmem $1' | tail -n 2"
}

@test "a device without BAR 2 fails with ENODEV and a message" {
	run force_bind 0000:00:05.0
	[[ "$output" == *'BAR 2 has no memory'* ]]
	[[ "$output" != *'bound anyway'* ]]
}

@test "a BAR 2 smaller than a page is refused with a message" {
	run force_bind 0000:00:06.0
	[[ "$output" == *'not made of pages'* ]]
	[[ "$output" != *'bound anyway'* ]]
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
