#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Names and permissions, by the real systemd-udevd.

load helper

boot() {
	vm_start -object "$(region a 1M)" -device ivshmem-plain,memdev=a,addr=4,acpi-index=7,id=one \
		-object "$(region b 2M)" -device ivshmem-plain,memdev=b,addr=5,acpi-index=3,id=two
	guest 'sed -i "/^ivshmem:/{s/\$/,user/;s/:,/:/}" /etc/group && udevadm settle'
}

@test "sysusers.d made the group" {
	guest 'grep -q ^ivshmem: /etc/group'
}

@test "the node belongs to the group, with mode 0660" {
	[ "$(guest 'stat -c %U:%G:%a /dev/ivshmem0 /dev/ivshmem1')" = $'root:ivshmem:660\nroot:ivshmem:660' ]
}

@test "the node is tagged for uaccess" {
	guest 'udevadm info --query=property --property=TAGS --value /dev/ivshmem0 | grep -q :uaccess:'
}

@test "a user in the group maps the region" {
	guest 'echo from the user | su user -c "ivshmem write /dev/ivshmem0"'
	[ "$(guest 'su user -c "ivshmem read --length 13 /dev/ivshmem0"')" = 'from the user' ]
}

@test "a user outside gets EACCES, and is told of the group" {
	run guest 'su outsider -c "ivshmem read --length 1 /dev/ivshmem0"'
	[ "$status" -eq 1 ]
	[[ "$output" == *'ivshmem'*'group'* ]]
	run guest 'su outsider -c "cat /dev/ivshmem0"'
	[[ "$output" == *'Permission denied'* ]]
}

# names: what each stable name leads to, as the size of the device behind it
names() {
	guest 'udevadm settle
		for name in by-path/pci-0000:00:04.0 by-path/pci-0000:00:05.0 by-index/7 by-index/3; do
			node=$(readlink -f /dev/ivshmem/$name)
			echo "$name $(cat /sys/class/ivshmem/${node##*/}/size)"
		done'
}

@test "the stable names lead to the same devices whatever the order of binding" {
	expected='by-path/pci-0000:00:04.0 1048576
by-path/pci-0000:00:05.0 2097152
by-index/7 1048576
by-index/3 2097152'
	[ "$(names)" = "$expected" ]
	[ "$(guest 'cat /sys/class/ivshmem/ivshmem0/size')" = 1048576 ]
	guest 'cd /sys/bus/pci/drivers/ivshmem
		echo 0000:00:04.0 >unbind; echo 0000:00:05.0 >unbind
		echo 0000:00:05.0 >bind; echo 0000:00:04.0 >bind'
	[ "$(guest 'cat /sys/class/ivshmem/ivshmem0/size')" = 2097152 ]
	[ "$(names)" = "$expected" ]
}

@test "symlinks vanish with the device" {
	guest 'echo 0000:00:04.0 >/sys/bus/pci/drivers/ivshmem/unbind; udevadm settle
		! test -L /dev/ivshmem/by-path/pci-0000:00:04.0 && ! test -L /dev/ivshmem/by-index/7 &&
		test -L /dev/ivshmem/by-path/pci-0000:00:05.0 && test -L /dev/ivshmem/by-index/3'
	guest 'echo 0000:00:05.0 >/sys/bus/pci/drivers/ivshmem/unbind; udevadm settle; ! test -e /dev/ivshmem'
	guest 'cd /sys/bus/pci/drivers/ivshmem; echo 0000:00:04.0 >bind; echo 0000:00:05.0 >bind; udevadm settle'
	names
}

@test "ivshmem list names both devices, and says what to do without the module" {
	[ "$(guest 'ivshmem list --json' | jq -r '.. | objects | .address? // empty' | sort | tr '\n' ' ')" = '0000:00:04.0 0000:00:05.0 ' ]
	guest 'rmmod ivshmem'
	run guest 'ivshmem list'
	[[ "$output" == *'modprobe ivshmem'* ]]
	run guest 'ivshmem info /dev/ivshmem0'
	[ "$status" -eq 1 ]
	[[ "$output" == *'modprobe ivshmem'* ]]
	run guest 'ivshmem info 0000:00:04.0'
	[ "$status" -eq 1 ]
	[[ "$output" == *'modprobe ivshmem'* ]]
	guest 'modprobe ivshmem'
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
