# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Loaded after the helper by tests of two guests, "a" and "b", and host programs, all
# peers of one server. A test has start_guest, which starts one.

export LD_LIBRARY_PATH=build

# start_server SIZE VECTORS: at $REGIONS/server
start_server() {
	build/ivshmem serve --socket "$REGIONS/server" --size "$1" --vectors "$2" 3>&- 2>"$REGIONS/server.log" &
	echo $! >"$REGIONS/server.pid"
	until [ -S "$REGIONS/server" ]; do sleep 0.05; done
}

# boot_guest NAME
boot_guest() {
	start_guest
	echo "$VM_DIR" >"$REGIONS/guest-$1"
}

# on NAME COMMAND...: a command of vm.bash on one of the guests
on() {
	local VM_DIR
	VM_DIR=$(<"$REGIONS/guest-$1")
	shift
	"$@"
}

teardown_file() {
	on a vm_kill
	on b vm_kill
	kill "$(<"$REGIONS/server.pid")" 2>/dev/null || true
	rm -rf "$REGIONS"
}
