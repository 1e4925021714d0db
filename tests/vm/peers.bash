# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Loaded after the helper by tests of two guests, "a" and "b", and host programs, all
# peers of one server. A test has start_guest, which starts one.

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
	end_server
	rm -rf "$REGIONS"
}
