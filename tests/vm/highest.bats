#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Regions at addresses beyond what the kernel maps directly, 64 TiB with four levels
# of page tables: there can be no struct pages. With SeaBIOS, which marks nothing
# uncached there, and with OVMF, which does.

load helper

DEVICE=0000:00:04.0
LIMIT=0x400000000000

# Each test has a guest of its own.
setup_file() {
	REGIONS=$(mktemp -d /dev/shm/ivshmem-test.XXXXXX)
	export REGIONS
}

teardown_file() {
	rm -rf "$REGIONS"
}

teardown() {
	vm_kill
}

# A mapping of bare page frames, write-back for programs and for the kernel alike.
# From Linux 6.12 on, it may have huge entries.
check_region() {
	(($(guest "awk 'NR == 3 { print \$1 }' /sys/bus/pci/devices/$DEVICE/resource") >= LIMIT))
	[ "$(guest "cat /sys/bus/pci/devices/$DEVICE/ivshmem/ivshmem*/mapping")" = pfn ]
	[ "$(cache_of $DEVICE)" = write-back ]
	[ "$(user_pte $DEVICE)" = '4K write-back' ]
	[ "$(user_pte $DEVICE all)" = "$(page_size_of $DEVICE) write-back" ]
	[ "$(guest "dmesg | grep -c 'or see CACHING'")" = 0 ]
}

# Both ways, through the file and through the mapping.
check_contents() {
	printf 'from the host' | dd of="$REGIONS/a" conv=notrunc status=none
	[ "$(guest 'head -c 13 /dev/ivshmem0')" = 'from the host' ]
	[ "$(guest 'ivshmem read /dev/ivshmem0 | head -c 13')" = 'from the host' ]
	guest 'echo -n "from the guest" | ivshmem write /dev/ivshmem0'
	[ "$(head -c 14 "$REGIONS/a")" = 'from the guest' ]
}

@test "SeaBIOS, 4 GiB above 64 TiB: bare page frames, write-back" {
	vm_start -cpu qemu64,phys-bits=48 -m "${VM_MEMORY:-512},slots=1,maxmem=66T" \
		-object "$(region a 4G)" -device ivshmem-plain,memdev=a,addr=4
	check_region
	check_contents
	vm_stop
}

@test "OVMF, 64 MiB above 64 TiB, under an uncached MTRR: bare page frames, write-back" {
	[ -e /usr/share/ovmf/OVMF.fd ] || skip 'no OVMF here'
	rm -f "$REGIONS/a"
	VM_MACHINE=q35 VM_FIRMWARE=/usr/share/ovmf/OVMF.fd vm_start -cpu qemu64,phys-bits=48,+pdpe1gb \
		-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=67108864 \
		-object "$(region a 64M)" -device ivshmem-plain,memdev=a,addr=4
	guest 'grep -q "base=0x[4-9a-f]00000000000 .*uncachable" /proc/mtrr'
	check_region
	check_contents
	vm_stop
}

@test "OVMF, 64 MiB above 4 GiB, under an uncached MTRR: pages, write-back, 2 MiB" {
	[ -e /usr/share/ovmf/OVMF.fd ] || skip 'no OVMF here'
	rm -f "$REGIONS/a"
	VM_MACHINE=q35 VM_FIRMWARE=/usr/share/ovmf/OVMF.fd vm_start \
		-object "$(region a 64M)" -device ivshmem-plain,memdev=a,addr=4
	guest 'grep -q "base=0xe000000000 .*uncachable" /proc/mtrr'
	[ "$(guest "cat /sys/bus/pci/devices/$DEVICE/ivshmem/ivshmem*/mapping")" = pages ]
	[ "$(cache_of $DEVICE)" = write-back ]
	[ "$(user_pte $DEVICE all)" = "$(huge 2M) write-back" ]
	check_contents
	vm_stop
}
