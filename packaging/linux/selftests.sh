#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs the tests of a device /dev/ivshmem0, which other programs must not use: a guest
# of QEMU with -device ivshmem-plain has one.

[ -c /dev/ivshmem0 ] || {
	echo "1..0 # SKIP no device /dev/ivshmem0"
	exit 4
}
cd "$(dirname "$0")" || exit 1
status=0
set -- @PROGRAMS@
for program; do
	"./$program" || status=1
done
exit "$status"
