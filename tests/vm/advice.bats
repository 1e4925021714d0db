#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What messages and README.md advise is typed here, as it was printed, and helps.

load helper

plain=0000:00:04.0
doorbell=0000:00:05.0

# vfio-pci takes a device only where there is an IOMMU.
boot() {
	start_server 4M 2
	# So that IDs are not what they are on a fresh server.
	build/ivshmem info "unix:$REGIONS/server" >/dev/null
	VM_MACHINE=q35 VM_APPEND='pci=nomsi intel_iommu=on' vm_start -device intel-iommu \
		-object "$(region a 4M)" -device ivshmem-plain,memdev=a,addr=4 \
		-chardev "socket,id=server,path=$REGIONS/server" \
		-device ivshmem-doorbell,chardev=server,vectors=2,addr=5
	drivers=vfio-pci
	guest 'modprobe vfio-pci'
	! guest 'modprobe uio_pci_generic 2>/dev/null' || drivers+=' uio_pci_generic'
	export drivers
}

# advice COMMAND: what the command, which runs in the guest, puts between single quotes, a
# line each
advice() {
	guest "$1 2>&1 >/dev/null || true" | grep -o "'[^']*'" | tr -d "'"
}

# type_line N: the Nth line of $said, in the guest
type_line() {
	local line
	line=$(sed -n "${1}p" <<<"$said")
	echo "typed: $line"
	[ -n "$line" ]
	guest "$line"
}

# works ADDRESS: the module serves it, and what one side writes the other reads
works() {
	guest "udevadm settle; ivshmem info $1 >/dev/null" &&
		[ "$(guest "ivshmem list 2>&1 | grep -c '^ivshmem:' || true")" = 0 ]
}

unload() {
	guest 'udevadm settle; ! lsmod | grep -q ^ivshmem || rmmod ivshmem'
}

# give_by_override DRIVER ADDRESS, give_by_id DRIVER ADDRESS: as people do
give_by_override() {
	guest "cd /sys/bus/pci/devices/$2; echo $1 >driver_override
		[ ! -e driver ] || echo $2 >driver/unbind
		echo $2 >/sys/bus/pci/drivers_probe"
	[ "$(guest "basename \$(readlink /sys/bus/pci/devices/$2/driver)")" = "$1" ]
}

give_by_id() {
	guest "[ ! -e /sys/bus/pci/devices/$2/driver ] || echo $2 >/sys/bus/pci/devices/$2/driver/unbind
		echo 1af4 1110 >/sys/bus/pci/drivers/$1/new_id 2>/dev/null || echo $2 >/sys/bus/pci/drivers/$1/bind"
	[ "$(guest "basename \$(readlink /sys/bus/pci/devices/$2/driver)")" = "$1" ]
}

# forget ADDRESS...: their driver_override, which is as it was at first
forget() {
	guest "for address in $*; do echo >/sys/bus/pci/devices/\$address/driver_override; done"
}

@test "nothing is advised where all is well" {
	works $plain
	works $doorbell
	[ -z "$(advice 'ivshmem list')" ]
}

@test "the module is not loaded: its resource2 can be used, and modprobe brings the node" {
	unload
	for command in 'ivshmem list' "ivshmem info $plain" "ivshmem read 04.0 --length 1 || ivshmem info 00:04.0" 'ivshmem info /dev/ivshmem0'; do
		said=$(advice "$command")
		[[ "$said" == *"modprobe ivshmem"*"ivshmem info --resource2 $plain"* ]]
	done
	said=$(advice "ivshmem info $plain")
	type_line 2
	type_line 1
	works $plain
}

@test "no driver has the device, though the module is loaded: probing brings it back" {
	guest "echo $plain >/sys/bus/pci/drivers/ivshmem/unbind"
	said=$(advice "ivshmem info $plain")
	type_line 1
	type_line 3
	type_line 2
	works $plain
}

@test "another driver has the device by driver_override: it is taken back" {
	for driver in $drivers; do
		for loaded in yes no; do
			give_by_override $driver $plain
			[ $loaded = yes ] || unload
			said=$(advice "ivshmem info $plain")
			type_line 1
			works $plain
			[ "$loaded" = yes ] || works $doorbell
			forget $plain
		done
	done
}

@test "another driver has the device by its new_id: it is taken back" {
	for driver in $drivers; do
		for loaded in yes no; do
			give_by_id $driver $plain
			[ $loaded = yes ] || unload
			said=$(advice "ivshmem info $plain")
			type_line 1
			works $plain
			forget $plain
		done
		guest "echo 1af4 1110 >/sys/bus/pci/drivers/$driver/remove_id"
	done
}

@test "driver_override keeps the device from the module: it is given back" {
	for loaded in yes no; do
		guest "echo no-such-driver >/sys/bus/pci/devices/$plain/driver_override
			echo $plain >/sys/bus/pci/drivers/ivshmem/unbind"
		[ $loaded = yes ] || unload
		said=$(advice "ivshmem info $plain")
		type_line 1
		works $plain
		forget $plain
	done
}

@test "no permission: the group helps" {
	said=$(advice "su outsider -c 'ivshmem list'")
	type_line 1
	guest "su outsider -c 'ivshmem info $plain'"
}

@test "a user formats a region: what root types makes the name by label" {
	said=$(advice "su outsider -c 'ivshmem format --label typed $plain'")
	type_line 1
	guest 'udevadm settle; test -e /dev/ivshmem/by-label/typed'
}

@test "no node: devtmpfs has it" {
	guest 'cat >/run/no-node <<-"END"
		mount -t tmpfs none /dev
		ivshmem list 2>&1 >/dev/null | grep -o "'"'[^']*'"'" | tr -d "'"'"'" | head -n 1 >/run/said
		sh /run/said || exit
		ivshmem info '$plain'
		END
		unshare -m sh /run/no-node; status=$?; cat /run/said; exit $status'
}

@test "/sys is hidden: list says so, and mounting it helps" {
	guest 'cat >/run/no-sys <<-"END"
		mount -t tmpfs none /sys
		! ivshmem list 2>/run/message || exit
		grep "/sys is not mounted, or hidden" /run/message || exit
		ivshmem info /dev/ivshmem0 || exit
		grep -o "'"'[^']*'"'" /run/message | tr -d "'"'"'" >/run/said
		sh /run/said || exit
		ivshmem list
		END
		unshare -m sh /run/no-sys; status=$?; cat /run/said; exit $status'
}

@test "a resource2 is slow: modprobe and list lead to the node" {
	unload
	said=$(advice "ivshmem info --resource2 $plain")
	type_line 1
	type_line 2
	works $plain
}

@test "without the module, root uses channels, reads and writes by resource2, others are told" {
	host=build/ivshmem
	unload
	"$host" format --force --label direct "$REGIONS/a"
	guest "timeout 50 ivshmem recv --resource2 $plain x >/run/out 2>&1 & echo \$! >/run/receiver"
	echo hello | timeout $((60 * VM_PATIENCE)) "$host" send "$REGIONS/a" x
	guest 'until grep -qx hello /run/out; do kill -0 $(cat /run/receiver) || exit; sleep 0.1; done'
	guest "printf direct | ivshmem write --resource2 --offset 3M $plain &&
		[ \"\$(ivshmem read --resource2 --offset 3M --length 6 $plain)\" = direct ]"
	[ "$("$host" read --offset 3M --length 6 "$REGIONS/a")" = direct ]
	run guest "su outsider -c 'ivshmem info --resource2 $plain'"
	[ "$status" -eq 1 ]
	[[ "$output" == *'a resource2 needs root'* ]]
	guest 'modprobe ivshmem'
	works $plain
	[[ "$(guest "ivshmem info --json --resource2 $plain" | jq -r .path)" != *resource2 ]]
}

@test "hello without the module says what to do, and with --resource2 does it" {
	unload
	printf 'Hello world!\0' | build/ivshmem write "$REGIONS/a"
	run guest 'hello'
	[ "$status" -eq 1 ]
	[[ "$output" == *"the module does not serve this device"*"modprobe ivshmem"*"--resource2"* ]]
	run guest 'hello --resource2'
	[ "$status" -eq 0 ]
	[[ "$output" == *'Message from host: Hello world!'* ]]
	guest 'modprobe ivshmem'
	run guest 'hello --resource2'
	[[ "$output" == *'Device path: /dev/ivshmem0'*'Message from host: Hello world!'* ]]
}

@test "README's ways out of a resource2 that can't be mapped help" {
	resource2=/sys/bus/pci/devices/$plain/resource2
	for command in "ivshmem read $resource2" "ivshmem info $resource2" "ivshmem recv $resource2 x"; do
		run guest "$command"
		echo "$output"
		[ "$status" -eq 1 ]
		[[ "$output" == *"a driver has the device of this resource2: open the driver's /dev/ivshmemN"* ]]
	done
	guest 'ivshmem read --length 1 /dev/ivshmem0 >/dev/null'
	guest "$(grep -oE 'echo 0000:00:04.0 >[^`]*/unbind' README.md)"
	guest "ivshmem read --length 1 $resource2 >/dev/null"
	guest "echo $plain >/sys/bus/pci/drivers/ivshmem/bind"
	works $plain
}

@test "wait on a device without vectors names pci=nomsi" {
	run guest "ivshmem wait --timeout 1 $doorbell 0"
	[ "$status" -eq 1 ]
	[[ "$output" == *'the device has no vectors'*'pci=nomsi'* ]]
}

@test "a guest may ring itself, for its other programs" {
	guest "ivshmem notify $doorbell \$(cat /sys/bus/pci/devices/$doorbell/ivshmem/ivshmem*/peer_id) 0"
}

@test "the guest powers off and its kernel log is clean" {
	vm_stop
}
