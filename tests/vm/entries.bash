# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sourced after vm.bash.
#
#   user_entries ADDRESS BYTES  the page-table entries of a program that has mapped
#                               a device of this size and touched its first page:
#                               lines "COUNT KIB CACHE-TYPE"

user_entries() {
	local start entries='' gdb=$VM_DIR/gdb
	start=$(guest "awk 'NR == 3 { print \$1 }' /sys/bus/pci/devices/$1/resource")
	guest "/tests/hold /dev/ivshmem/by-path/pci-$1 /run/ready all >/dev/null 2>&1 & echo \$! >/run/hold
		until [ -e /run/ready ]; do sleep 0.1; done; rm /run/ready" || return
	[[ -S $gdb ]] || hmp "gdbserver unix:$gdb,server=on,wait=off" >/dev/null
	# The processor may be at something else just then.
	for _ in {1..100}; do
		entries=$(tests/vm/page-entries "$gdb" "$start" "$2") || break
		[[ -z $entries ]] || break
	done
	guest 'kill $(cat /run/hold)'
	[[ -n $entries ]] && echo "$entries"
}
