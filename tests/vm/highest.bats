#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Regions at addresses beyond what the kernel maps directly, 64 TiB with four levels
# of page tables, or less with KASLR: there can be no struct pages. With SeaBIOS, which
# marks nothing uncached there, and with OVMF, which does.

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

start() {
	guest "awk 'NR == 3 { print \$1 }' /sys/bus/pci/devices/$DEVICE/resource"
}

mapping() {
	guest "cat /sys/bus/pci/devices/$DEVICE/ivshmem/ivshmem*/mapping"
}

# A mapping of bare page frames, write-back for programs and for the kernel alike.
check_region() {
	[ "$(mapping)" = pfn ]
	[ "$(cache_of $DEVICE)" = write-back ]
	[ "$(user_pte $DEVICE)" = '4K write-back' ]
	[ "$(user_pte $DEVICE all)" = "$(page_size_of $DEVICE) write-back" ]
	(($(numfmt --from=iec "$(page_size_of $DEVICE)") >= $(numfmt --from=iec "$(huge 2M)")))
	[ "$(guest "dmesg | grep -c 'or see CACHING'")" = 0 ]
}

# check_no_pages: the region can have none, and is as it was
check_no_pages() {
	run allow_pinning $DEVICE 1
	[ "$status" -ne 0 ]
	[[ $output == *'out of range'* ]]
	[ "$(mapping)" = pfn ]
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
	vm_start -cpu qemu64,phys-bits=48 -m "${VM_MEMORY:-768},slots=1,maxmem=66T" \
		-object "$(region a 4G)" -device ivshmem-plain,memdev=a,addr=4
	(($(start) >= LIMIT))
	check_region
	check_contents
	check_no_pages
	vm_stop
}

@test "OVMF, 64 MiB above 64 TiB, under an uncached MTRR: bare page frames, write-back" {
	need_ovmf
	rm -f "$REGIONS/a"
	VM_MACHINE=q35 VM_FIRMWARE=/usr/share/ovmf/OVMF.fd vm_start -cpu qemu64,phys-bits=48,+pdpe1gb \
		-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=67108864 \
		-object "$(region a 64M)" -device ivshmem-plain,memdev=a,addr=4
	guest 'grep -q "base=0x[4-9a-f]00000000000 .*uncachable" /proc/mtrr'
	(($(start) >= LIMIT))
	check_region
	check_contents
	check_no_pages
	vm_stop
}

@test "OVMF, 64 MiB above 4 GiB, under an uncached MTRR: write-back, 2 MiB, pinned or not" {
	need_ovmf
	rm -f "$REGIONS/a"
	VM_MACHINE=q35 VM_FIRMWARE=/usr/share/ovmf/OVMF.fd vm_start \
		-object "$(region a 64M)" -device ivshmem-plain,memdev=a,addr=4
	guest 'grep -q "base=0xe000000000 .*uncachable" /proc/mtrr'
	check_region
	check_contents
	allow_pinning $DEVICE 1
	[ "$(mapping)" = pages ]
	[ "$(cache_of $DEVICE)" = write-back ]
	[ "$(user_pte $DEVICE all)" = "$(huge_pages 2M) write-back" ]
	check_contents
	vm_stop
}

# value_of SYMBOL: a variable of the guest's kernel, looked at from outside
value_of() {
	hmp "x/1gx 0x$(guest "awk '\$3 == \"$1\" { print \$1 }' /proc/kallsyms")" |
		sed -n 's/.*: \(0x[0-9a-f]*\).*/\1/p'
}

# Where KASLR trims the direct map, its end is between 10 TiB and 36 TiB, and another one
# each time. A kernel with struct pages for devices may leave it at 64 TiB.
@test "KASLR, 4 GiB above 4 TiB and above 40 TiB: pages if the direct map reaches so far" {
	local at limit end
	for at in 4 40; do
		rm -f "$REGIONS/a"
		VM_KERNEL=$(vm_kernel) vm_start -cpu qemu64,phys-bits=48 -m "1024,slots=1,maxmem=${at}T" \
			-object "$(region a 4G)" -device ivshmem-plain,memdev=a,addr=4
		limit=$(($(value_of vmalloc_base) - $(value_of page_offset_base)))
		end=$(($(start) + (4 << 30)))
		((end > at << 40))
		echo "# 4 GiB end at $((end >> 30)) GiB, the direct map at $((limit >> 30)) GiB" >&3
		if ((end <= limit && end <= 64 << 40)); then
			allow_pinning $DEVICE 1
			[ "$(mapping)" = pages ]
			check_contents
			allow_pinning $DEVICE 0
		else
			check_no_pages
			check_contents
		fi
		vm_stop
	done
}
