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

@test "the node is a unit of systemd, for services to wait for" {
	guest 'udevadm info --query=property --property=TAGS --value /dev/ivshmem0 | grep -q :systemd:'
}

@test "a subsystem ID of the vendor's is a name, QEMU's own is none" {
	guest '! test -e /dev/ivshmem/by-subsystem
		for device in 4 5; do
			cd /sys/bus/pci/devices/0000:00:0$device.0
			echo 0x1234 >/run/vendor.$device; mount --bind /run/vendor.$device subsystem_vendor
			echo 0xab0$device >/run/id.$device; mount --bind /run/id.$device subsystem_device
		done
		udevadm trigger --action=change --subsystem-match=ivshmem; udevadm settle'
	[ "$(guest 'cd /dev/ivshmem/by-subsystem; for name in *; do
			echo $name $(cat /sys/class/ivshmem/$(basename $(readlink -f $name))/size); done')" = \
		$'0x1234:0xab04 1048576\n0x1234:0xab05 2097152' ]
	# Only the vendor's, or only the device's, is QEMU's.
	guest 'cd /run; echo 0x1af4 >vendor.4; echo 0x1100 >id.5
		udevadm trigger --action=change --subsystem-match=ivshmem; udevadm settle'
	[ "$(guest 'cd /dev/ivshmem/by-subsystem; echo *')" = '0x1234:0x1100 0x1af4:0xab04' ]
	guest 'umount /sys/bus/pci/devices/0000:00:0[45].0/subsystem_*
		udevadm trigger --action=change --subsystem-match=ivshmem; udevadm settle
		! test -e /dev/ivshmem/by-subsystem'
}

@test "two devices of one subsystem share its name, which leads to one of them" {
	guest 'echo 0x1234 >/run/vendor
		for device in 4 5; do
			mount --bind /run/vendor /sys/bus/pci/devices/0000:00:0$device.0/subsystem_vendor
		done
		udevadm trigger --action=change --subsystem-match=ivshmem; udevadm settle
		test -c /dev/ivshmem/by-subsystem/0x1234:0x1100 &&
		test "$(ls /dev/ivshmem/by-subsystem)" = 0x1234:0x1100
		umount /sys/bus/pci/devices/0000:00:0[45].0/subsystem_vendor
		udevadm trigger --action=change --subsystem-match=ivshmem; udevadm settle'
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

# names: each stable name, and the size of the device behind it
names() {
	guest 'udevadm settle
		cd /dev/ivshmem
		for name in by-path/* by-index/*; do
			[ -L "$name" ] || continue
			node=$(readlink -f $name)
			echo "$name $(cat /sys/class/ivshmem/${node##*/}/size)"
		done'
}

# expected_names [SLOT...]: the same of the devices in these slots. QEMU gives devices
# on the root bus of q35 no ACPI index.
expected_names() {
	local slot
	for slot; do
		echo "by-path/pci-0000:00:0$slot.0 $(((slot - 3) * 1048576))"
	done
	[[ ${VM_MACHINE-} == q35 ]] && return
	[[ "$*" != *5* ]] || echo 'by-index/3 2097152'
	[[ "$*" != *4* ]] || echo 'by-index/7 1048576'
}

@test "the stable names lead to the same devices whatever the order of binding" {
	[ "$(names)" = "$(expected_names 4 5)" ]
	[ "$(guest 'cat /sys/class/ivshmem/ivshmem0/size')" = 1048576 ]
	guest 'cd /sys/bus/pci/drivers/ivshmem
		echo 0000:00:04.0 >unbind; echo 0000:00:05.0 >unbind
		echo 0000:00:05.0 >bind; echo 0000:00:04.0 >bind'
	[ "$(guest 'cat /sys/class/ivshmem/ivshmem0/size')" = 2097152 ]
	[ "$(names)" = "$(expected_names 4 5)" ]
}

@test "symlinks vanish with the device" {
	guest 'echo 0000:00:04.0 >/sys/bus/pci/drivers/ivshmem/unbind'
	[ "$(names)" = "$(expected_names 5)" ]
	guest 'echo 0000:00:05.0 >/sys/bus/pci/drivers/ivshmem/unbind; udevadm settle; ! test -e /dev/ivshmem'
	guest 'cd /sys/bus/pci/drivers/ivshmem; echo 0000:00:04.0 >bind; echo 0000:00:05.0 >bind'
	[ "$(names)" = "$(expected_names 4 5)" ]
}

@test "the rule of ivshmem(4) allows pinning whenever the device comes, and for that device alone" {
	local rule
	rule=$(grep -o '^ACTION==.*ATTR{pinning}="1"' userspace/man/ivshmem.4.scd)
	guest "mkdir -p /etc/udev/rules.d
		echo '${rule/0000:00:04.0/0000:00:05.0}' >/etc/udev/rules.d/71-ivshmem-pinning.rules
		udevadm control --reload"
	for _ in 1 2; do
		guest 'cd /sys/bus/pci/drivers/ivshmem
			for device in 4 5; do echo 0000:00:0$device.0 >unbind; done
			for device in 4 5; do echo 0000:00:0$device.0 >bind; done
			udevadm settle'
		[ "$(guest 'cat /sys/bus/pci/devices/0000:00:0[45].0/ivshmem/*/pinning')" = $'0\n1' ]
	done
	guest 'rm /etc/udev/rules.d/71-ivshmem-pinning.rules
		echo 0 >/sys/bus/pci/devices/0000:00:05.0/ivshmem/ivshmem1/pinning'
}

# host COMMAND...: the command on this side
host() {
	build/ivshmem "$@"
}

# look_again N: udev looks at device N anew
look_again() {
	guest "udevadm trigger --action=change /dev/ivshmem$1 && udevadm settle"
}

labels() {
	guest 'ls /dev/ivshmem/by-label 2>/dev/null || true'
}

@test "a raw region has no name by label" {
	[ -z "$(labels)" ]
}

@test "a region that root formats in the guest has its name at once" {
	guest 'ivshmem format /dev/ivshmem0 --force --label inside && udevadm settle'
	[ "$(labels)" = inside ]
	[ "$(guest 'readlink -f /dev/ivshmem/by-label/inside')" = /dev/ivshmem0 ]
	guest 'ivshmem info /dev/ivshmem/by-label/inside | grep -q "^label *inside"'
	[ "$(guest 'udevadm info --query=property --property=IVSHMEM_UUID --value /dev/ivshmem0')" = \
		"$(guest 'ivshmem info --json /dev/ivshmem0' | jq -r .uuid)" ]
}

@test "a user who formats a region is told how root makes the name appear" {
	run guest 'su user -c "ivshmem format /dev/ivshmem0 --force --label users"'
	[ "$status" -eq 0 ]
	[[ "$output" == *'udevadm trigger --action=change /dev/ivshmem0'* ]]
	[ "$(labels)" = inside ]
	look_again 0
	[ "$(labels)" = users ]
}

@test "a region that the host formats has its name when udev looks again" {
	host format "$REGIONS/b" --label from-host.2
	look_again 0
	look_again 1
	[ "$(labels)" = $'from-host.2\nusers' ] || [ "$(labels)" = $'users\nfrom-host.2' ]
}

@test "a label from the host that is no proper name makes no name" {
	for label in ../escape .hidden a/b 'a b' 'a%nb' $'a\nb' "$(printf 'x%.0s' {1..64})"; do
		# In the superblock the label is at 56, and the CRC of all before at 120.
		{
			head -c 56 "$REGIONS/b"
			printf %s "$label"
			head -c "$((64 - ${#label}))" /dev/zero
		} >"$REGIONS/superblock"
		gzip -c "$REGIONS/superblock" | tail -c 8 | head -c 4 >>"$REGIONS/superblock"
		dd if="$REGIONS/superblock" of="$REGIONS/b" conv=notrunc status=none
		rm "$REGIONS/superblock"
		look_again 1
		[ "$(labels)" = users ]
		guest '! udevadm info --query=property /dev/ivshmem1 | grep -q IVSHMEM'
		[ -z "$(guest 'ls -d /dev/escape /dev/ivshmem/escape 2>/dev/null || true')" ]
	done
	host format "$REGIONS/b" --force --label proper
	look_again 1
	[[ "$(labels)" == *proper* ]]
}

@test "ivshmem list names both devices, and says what to do without the module" {
	[ "$(guest 'ivshmem list --json' | jq -r '.. | objects | .address? // empty' | sort | tr '\n' ' ')" = '0000:00:04.0 0000:00:05.0 ' ]
	guest 'udevadm settle; rmmod ivshmem'
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
