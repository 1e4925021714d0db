#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Sequences of calls to the module, made at random, kept and changed where they reach code
# that none reached before. Needs a kernel with KCOV, and a module that is built for it.
# How many there are is fixed: nothing depends on how fast the machine is.

load ../vm/helper

# The kernel tells of allocations that were made to fail.
export VM_EXPECTED='Call Trace'

boot() {
	start_server 8M 4
	VM_CPUS=2 vm_start -object "$(region a 4M)" -device ivshmem-plain,memdev=a,addr=4 \
		-chardev "socket,id=server,path=$REGIONS/server" \
		-device ivshmem-doorbell,chardev=server,vectors=4,addr=5 \
		-object "$(region b 64K)" -device ivshmem-plain,memdev=b,addr=6
	# Whoever else opens the nodes would be in the way.
	guest 'udevadm control --exit
		insmod /tests/import_dmabuf.ko
		echo 1 >/sys/kernel/debug/tracing/events/ivshmem/enable
		cd /sys/kernel/debug
		[ -e failslab ] || exit 0
		for fault in failslab fail_page_alloc; do echo N >$fault/ignore-gfp-wait; done
		for fault in failslab fail_page_alloc fail_usercopy; do echo 0 >$fault/verbose; done
		echo N >fail_page_alloc/ignore-gfp-highmem
		echo 0 >fail_page_alloc/min-order'
}

# fuzz OPTION...: one run over all devices
fuzz() {
	run guest_within 600 "/tests/fuzz_calls $* 0000:00:04.0 0000:00:05.0 0000:00:06.0"
	printf '# %s\n' "${lines[@]}" >&3
	[ "$status" -eq 0 ]
}

# points: how many places the module has that tell when they are reached
points() {
	objdump -dr "build/kmod/$(tests/vm/guest-kernel release)/ivshmem.ko" |
		grep -c __sanitizer_cov_trace_pc
}

# KCSAN looks at every access then, and for long.
@test "attributes are read while pinning is allowed and forbidden" {
	guest_within 600 'watch=/sys/module/kcsan/parameters
		[ ! -e $watch ] || { echo 1 >$watch/skip_watch; echo 1000 >$watch/udelay_task; }
		cd /sys/bus/pci/devices/0000:00:04.0/ivshmem/ivshmem*
		(i=0
		while [ $i -lt 300 ]; do
			for attribute in mapping cache page_size pinning; do read -r _ <$attribute; done
			i=$((i + 1))
		done) &
		while kill -0 $! 2>/dev/null; do echo 1 >pinning; echo 0 >pinning; done
		[ ! -e $watch ] || { echo 100 >$watch/skip_watch; echo 100 >$watch/udelay_task; }'
}

@test "calls by one thread, which reach half of the module" {
	fuzz -n 2000
	reached=$(sed -n 's/^points reached: //p' <<<"$output")
	echo "# of $(points)" >&3
	((reached * 100 >= $(points) * 50))
}

@test "calls by two threads at once" {
	fuzz -r -n 500
}

@test "the devices work after that" {
	for slot in 4 5 6; do
		guest "echo again | ivshmem write /dev/\$(ls /sys/bus/pci/devices/0000:00:0$slot.0/ivshmem)"
	done
}

@test "the guest powers off, nothing leaked, and its kernel log is clean" {
	vm_stop
}
