# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Loaded by every .bats file: the tree as working folder, a folder for regions,
# one guest a file.

cd "$BATS_TEST_DIRNAME/../.." || exit
. tests/vm/vm.bash
. tests/vm/entries.bash

# region NAME SIZE: QEMU's option for a region backed by $REGIONS/NAME
region() {
	printf '%s\n' "memory-backend-file,id=$1,share=on,mem-path=$REGIONS/$1,size=$2"
}

setup_file() {
	REGIONS=$(mktemp -d /dev/shm/ivshmem-test.XXXXXX)
	export REGIONS
	boot
}

teardown_file() {
	vm_kill
	end_server
	rm -rf "$REGIONS"
}

# listens SOCKET LOG: a server that was just started
listens() {
	within 30 test -S "$1" || {
		cat "$2" >&2
		return 1
	}
}

# start_server SIZE VECTORS [OPTION...]: of doorbells, at $REGIONS/server
start_server() {
	# A server that was killed has left its own.
	rm -f "$REGIONS/server"
	build/ivshmem serve --socket "$REGIONS/server" --size "$1" --vectors "$2" "${@:3}" \
		3>&- 2>"$REGIONS/server.log" &
	echo $! >"$REGIONS/server.pid"
	listens "$REGIONS/server" "$REGIONS/server.log"
}

end_server() {
	[ ! -e "$REGIONS/server.pid" ] || kill "$(<"$REGIONS/server.pid")" 2>/dev/null || true
}

# reload_module [PARAMETER...]: udev's helper may have a node open from the last load
reload_module() {
	guest "udevadm settle; rmmod ivshmem && modprobe ivshmem $* && udevadm settle"
}

# huge SIZE: this size; or 4K, where the guest's kernel has no transparent huge pages, as
# PREEMPT_RT has none.
huge() {
	if guest '[ -e /sys/kernel/mm/transparent_hugepage ]'; then
		echo "$1"
	else
		echo 4K
	fi
}

# huge_pages SIZE: the same for struct pages, which no kernel before 5.17 maps so.
huge_pages() {
	if guest 'uname -r | grep -q "^5\."'; then
		echo 4K
	else
		huge "$1"
	fi
}

# allow_pinning ADDRESS 0|1: udev's helper may have the node open for a moment
allow_pinning() {
	guest "udevadm settle; cd /sys/bus/pci/devices/$1/ivshmem/ivshmem* && echo $2 >pinning"
}

# page_size_of ADDRESS: of the largest entry that the module promises, "2M"
page_size_of() {
	entry_size "$(guest "cat /sys/bus/pci/devices/$1/ivshmem/ivshmem*/page_size")"
}

cache_of() {
	guest "cat /sys/bus/pci/devices/$1/ivshmem/ivshmem*/cache"
}

# need_ovmf: skips a test where UEFI firmware is not to be had
need_ovmf() {
	[ -e /usr/share/ovmf/OVMF.fd ] || skip 'no OVMF here'
	[ -z "${VM_SVM_EMULATED-}" ] || skip 'a QEMU that emulates SVM aborts where OVMF runs (tcg_handle_interrupt)'
}
