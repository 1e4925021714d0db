# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154

load helper

setup_file() {
	build_fake_devices
}

two="0000:00:04.0,/dev/null,67108864,plain,ivshmem;0000:08:01.0,/dev/zero,4294967296,doorbell,ivshmem"

@test "list without a device fails, and says what to do on both sides" {
	run -1 --separate-stderr with_devices "" missing ivshmem list
	says "ivshmem: list: there is no ivshmem PCI device in this machine"
	stderr_has "-device ivshmem-plain"
	stderr_has "on the host"
}

@test "list of this machine agrees with sysfs" {
	count=0
	for device in /sys/bus/pci/devices/*; do
		[ -e "$device/vendor" ] || continue
		[ "$(cat "$device/vendor" "$device/device")" = $'0x1af4\n0x1110' ] || continue
		count=$((count + 1))
	done
	run --separate-stderr ivshmem list --json
	[ "$status" -eq $((count == 0)) ]
	[ "$(jq '.devices | length' <<<"$output")" -eq "$count" ]
}

@test "list without a device is an empty array in JSON" {
	run -1 --separate-stderr with_devices "" missing ivshmem list --json
	[ "$(jq -c .devices <<<"$output")" = "[]" ]
	stderr_has "no ivshmem PCI device"
}

@test "list shows each device in a row" {
	run -0 --separate-stderr with_devices "$two" loaded ivshmem list
	[ -z "$stderr" ]
	[ "${#lines[@]}" -eq 3 ]
	read -ra cell <<<"${lines[0]}"
	[ "${cell[*]}" = "ADDRESS NODE SIZE KIND DRIVER" ]
	read -ra cell <<<"${lines[1]}"
	[ "${cell[*]}" = "0000:00:04.0 /dev/null 64M plain ivshmem" ]
	read -ra cell <<<"${lines[2]}"
	[ "${cell[*]}" = "0000:08:01.0 /dev/zero 4G doorbell ivshmem" ]
}

@test "list --json holds the same rows, with sizes in bytes" {
	run -0 --separate-stderr with_devices "$two" loaded ivshmem list --json
	[ -z "$stderr" ]
	[ "$(jq -c '.devices[0]' <<<"$output")" = '{"address":"0000:00:04.0","node":"/dev/null","size":67108864,"kind":"plain","driver":"ivshmem"}' ]
	[ "$(jq '.devices[1].size' <<<"$output")" = 4294967296 ]
	[ "$(jq '.devices | length' <<<"$output")" = 2 ]
}

@test "list --json shows what is not known as null" {
	run -0 --separate-stderr with_devices "0000:00:04.0,-,0,plain,-" installed ivshmem list --json
	[ "$(jq -c '.devices[0] | [.node, .size, .driver]' <<<"$output")" = "[null,null,null]" ]
}

@test "list names modprobe where the module is not loaded" {
	run -0 --separate-stderr with_devices "0000:00:04.0,-,4096,plain,-" installed ivshmem list
	stdout_has 0000:00:04.0
	stderr_has "ivshmem: 0000:00:04.0: the PCI device 0000:00:04.0 is there, but the kernel module is not loaded"
	stderr_has "modprobe ivshmem"
}

@test "list names the kernel where the module is not installed for it" {
	run -0 --separate-stderr with_devices "0000:00:04.0,-,4096,plain,-" missing ivshmem list
	stderr_has "not installed for kernel $(uname -r)"
	stderr_has "make install"
}

@test "list points to the kernel log where the module did not take the device" {
	run -0 --separate-stderr with_devices "0000:00:04.0,-,4096,plain,-" loaded ivshmem list
	stderr_has "is loaded: see 'dmesg"
}

@test "list names another driver, and how to take the device back" {
	run -0 --separate-stderr with_devices "0000:00:04.0,-,4096,plain,vfio-pci" installed ivshmem list
	stderr_has "the driver vfio-pci has the PCI device 0000:00:04.0"
	stderr_has "/sys/bus/pci/devices/0000:00:04.0/driver/unbind"
}

@test "list says what to mount where a device has its driver and no node" {
	for node in - /dev/ivshmem77; do
		run -0 --separate-stderr with_devices "0000:00:04.0,$node,4096,plain,ivshmem" loaded ivshmem list
		stderr_has "has its driver, but there is no /dev/ivshmem"
		stderr_has "mount -t devtmpfs devtmpfs /dev"
	done
}

@test "list names the installation, too, where the module is missing and another driver has the device" {
	run -0 --separate-stderr with_devices "0000:00:04.0,-,4096,plain,vfio-pci" missing ivshmem list
	stderr_has "the driver vfio-pci has"
	stderr_has "make install"
}

@test "list names the group where permission is missing" {
	: >"$dir/node"
	chmod 0440 "$dir/node"
	run -0 --separate-stderr without_override env USER=somebody \
		FAKE_DEVICES="0000:00:04.0,$dir/node,4096,plain,ivshmem" \
		FAKE_MODULE=loaded LD_PRELOAD="$fake" "$IVSHMEM_BUILD/ivshmem" list
	stderr_has "no permission to use $dir/node"
	stderr_has "usermod -aG ivshmem somebody"
}

@test "a node that is absent while a device lies idle names modprobe" {
	for verb in info read write; do
		run -1 --separate-stderr with_devices "0000:00:04.0,-,4096,plain,-" \
			installed ivshmem "$verb" /dev/ivshmem77 </dev/null
		says "ivshmem: /dev/ivshmem77: the PCI device 0000:00:04.0 is there"
		stderr_has "modprobe ivshmem"
	done
}

@test "a PCI address, short or long, is told about that device" {
	for where in 0000:7f:1f.7 7f:1f.7 7F:1F.7; do
		run -1 --separate-stderr with_devices \
			"0000:00:04.0,-,4096,plain,-;0000:7f:1f.7,-,4096,plain,vfio-pci" \
			installed ivshmem info "$where"
		says "ivshmem: $where: the driver vfio-pci has the PCI device 0000:7f:1f.7"
	done
}

@test "a device that is absent among others points to list" {
	for where in /dev/ivshmem77 0000:7f:1f.7; do
		run -1 --separate-stderr with_devices "$two" loaded ivshmem info "$where"
		says "ivshmem: $where: no such device: 'ivshmem list'"
	done
}

@test "a device that is absent where there is none says so" {
	for where in /dev/ivshmem77 0000:7f:1f.7 7f:1f.7; do
		run -1 --separate-stderr with_devices "" missing ivshmem info "$where"
		says "ivshmem: $where: there is no ivshmem PCI device in this machine"
	done
}

@test "list to a full disk fails" {
	run -1 --separate-stderr with_devices "$two" loaded bash -c "ivshmem list >/dev/full"
	says "standard output: No space left on device"
}
