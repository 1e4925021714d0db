# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sourced after vm.bash: what page-table entries programs get, looked at from
# outside of the guest.

# entry_size BYTES: "4K", "2M" or "1G"
entry_size() {
	numfmt --to=iec --format=%.0f "$1"
}

# user_pte ADDRESS [all|unaligned]: size and cache type of the page-table entries
# that a program has for the region of the device, of which it has mapped the first
# page, or all, or all of it at an address where no huge entry fits, and has touched
# the first page: "2M write-back". A line for each kind of entry.
user_pte() {
	local start size entries='' gdb=$VM_DIR/gdb kib type
	size=$(guest "awk 'NR == 3 { print \$1, \$2 }' /sys/bus/pci/devices/$1/resource")
	read -r start size <<<"$size"
	guest "/tests/hold /dev/ivshmem/by-path/pci-$1 /run/ready ${2-} >/dev/null 2>&1 & echo \$! >/run/hold
		until [ -e /run/ready ]; do kill -0 \$! || exit 1; sleep 0.1; done; rm /run/ready" || return
	[[ -S $gdb ]] || hmp "gdbserver unix:$gdb,server=on,wait=off" >/dev/null
	# Another program may be running.
	for _ in {1..100}; do
		entries=$(tests/vm/page-entries "$gdb" "$start" "$((size + 1 - start))") || break
		[[ -z $entries ]] || break
	done
	guest 'kill $(cat /run/hold)'
	[[ -n $entries ]] || { echo "no entry"; return 1; }
	while read -r _ kib type; do
		echo "$(entry_size $((kib << 10))) $type"
	done <<<"$entries"
}
