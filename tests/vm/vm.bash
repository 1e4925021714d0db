# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Boots guests and talks with them. Sourced; the working folder is the tree's.
#
#   vm_start [QEMU-OPTION...]   boot; VM_MACHINE, VM_CPU, VM_MEMORY, VM_CPUS,
#                               VM_FIRMWARE, VM_APPEND, VM_KERNEL, VM_INITRD and VM_BOOT choose
#   vm_launch [QEMU-OPTION...]  the same, and don't wait for the guest, which may come from
#                               another QEMU (-incoming)
#   guest SCRIPT                run a shell script in the guest: its output, its status
#   guest_within SECONDS SCRIPT the same with another time limit than 60 s
#   within SECONDS COMMAND...   until a command succeeds; fails where that takes longer
#   qmp COMMAND [ARGUMENTS]     a QMP command, arguments in JSON: its result in JSON
#   hmp COMMAND                 a command of QEMU's human monitor: its output
#   vm_stop                     power off; fails where the kernel complained
#   vm_kill                     end it, whatever state it is in
#
# VM_DIR, which vm_start sets, says which guest is meant where there are several.
# A guest that panics or hangs answers no more, so it cannot pass.

VM_TIME_LIMIT=${VM_TIME_LIMIT:-600}
QEMU=${QEMU:-qemu-system-x86_64}
# How many times longer than usual all may take.
VM_PATIENCE=${VM_PATIENCE:-1}

vm_say() {
	echo "# vm: $*" >&2
}

# The accelerator. A /dev/kvm alone proves nothing: the processor must have it.
vm_accel() {
	if [[ -n ${ACCEL-} ]]; then
		echo "$ACCEL"
	elif [[ -w /dev/kvm ]] && grep -qwE 'vmx|svm' /proc/cpuinfo; then
		echo kvm
	else
		echo tcg
	fi
}

# The guest's kernel image.
vm_kernel() {
	echo "$(tests/vm/guest-kernel fetch)/boot/vmlinuz-$(tests/vm/guest-kernel release)"
}

# The file that QEMU boots: OVMF and other processors want the image itself.
vm_boot_image() {
	if [[ -n ${VM_KERNEL-} ]]; then
		echo "$VM_KERNEL"
	elif [[ -n ${VM_FIRMWARE-} || ${QEMU##*/} == *-aarch64 ]]; then
		vm_kernel
	else
		tests/vm/guest-kernel image
	fi
}

vm_initramfs() {
	echo "${VM_INITRD:-build/tests/initramfs}"
}

# What differs among QEMU's architectures: defaults for the variables, the console of the
# guest, and more for its kernel's command line.
vm_architecture() {
	case ${QEMU##*/} in
	*-aarch64)
		vm_machine=virt vm_cpu=cortex-a72 vm_console=ttyAMA0 vm_append=
		;;
	*)
		# On a busy machine the timer is late, and the kernel panics over that.
		vm_machine=pc vm_cpu=qemu64 vm_console=ttyS0 vm_append=no_timer_check
		;;
	esac
}

# What the guest boots: VM_BOOT=disk leaves that to its firmware.
vm_boot_options() {
	[[ ${VM_BOOT-} == disk ]] ||
		vm_boot=(-kernel "$(vm_boot_image)" -initrd "$(vm_initramfs)"
			-append "console=$vm_console loglevel=5 panic=-1 panic_on_warn=1 oops=panic $vm_append ${VM_APPEND-}")
}

# The machine that vm_start chooses, for a QEMU without a guest.
vm_machine() {
	local vm_machine vm_cpu vm_console vm_append
	vm_architecture
	echo "${VM_MACHINE:-$vm_machine}"
}

vm_launch() {
	local accel vm_machine vm_cpu vm_console vm_append vm_boot=()
	accel=$(vm_accel)
	vm_architecture
	vm_boot_options
	VM_DIR=$(mktemp -d)
	mkfifo "$VM_DIR"/{control,qmp}.{in,out}
	# QEMU holds both ends of its FIFOs from the start, so that none loses data.
	exec 5<>"$VM_DIR/control.in" 6<>"$VM_DIR/control.out" 7<>"$VM_DIR/qmp.in" 8<>"$VM_DIR/qmp.out"
	timeout --foreground -s KILL "$((VM_TIME_LIMIT * VM_PATIENCE))" "$QEMU" \
		-nodefaults -display none -no-reboot \
		-machine "$(vm_machine)" -accel "$accel" \
		-cpu "${VM_CPU:-$([[ $accel == kvm ]] && echo host || echo "$vm_cpu")}" \
		-m "${VM_MEMORY:-768}" -smp "${VM_CPUS:-1}" \
		"${vm_boot[@]}" \
		${VM_FIRMWARE:+-bios "$VM_FIRMWARE"} \
		-serial "file:$VM_DIR/console" \
		-chardev "pipe,id=control,path=$VM_DIR/control" \
		-device virtio-serial-pci,addr=1e \
		-device virtserialport,chardev=control,name=ivshmem.control \
		-chardev "pipe,id=qmp,path=$VM_DIR/qmp" -mon chardev=qmp,mode=control \
		"$@" >"$VM_DIR/qemu.log" 2>&1 3>&- 4>&- &
	echo $! >"$VM_DIR/pid"
	exec 5>&- 6>&- 7>&- 8>&-
	export VM_DIR
	qmp qmp_capabilities >/dev/null
}

vm_start() {
	vm_launch "$@" && guest true
}

vm_alive() {
	kill -0 "$(<"$VM_DIR/pid")" 2>/dev/null
}

within() {
	local deadline=$((SECONDS + $1 * VM_PATIENCE))
	shift
	until "$@"; do
		((SECONDS <= deadline)) || return 1
		sleep 0.1
	done
}

vm_gone() {
	! vm_alive
}

# One line from a FIFO that QEMU writes, within $2 seconds. QEMU alone has it open for
# writing, so it ends with QEMU. There is one read for a line, since one whose time runs out
# may have taken the newline (bash 5.2), on a busy machine that stops it there.
vm_read_line() {
	local fifo=$VM_DIR/$1 status=0
	exec 9<>"$fifo"
	exec 8<"$fifo" 9>&-
	IFS= read -r -t "$(($2 * VM_PATIENCE))" -u 8 vm_line || status=1
	exec 8<&-
	((status)) || return 0
	vm_say "no answer on $1; the end of the console and of QEMU's messages:"
	tail -n 30 "$VM_DIR/console" "$VM_DIR/qemu.log" | sed 's/^/# /' >&2
	return 1
}

# One that has not answered in time does not do so later: what it says then would be taken
# for the answer to something else.
guest_within() {
	local limit=$1 vm_line pending=() line
	[[ ! -e $VM_DIR/silent ]] || {
		vm_say "the guest has not answered before"
		return 125
	}
	printf '%s\n' "$(base64 -w0 <<<"$2")" 1<>"$VM_DIR/control.in"
	while vm_read_line control.out "$limit"; do
		if [[ $vm_line == '@@@ '* ]]; then
			printf %s "${pending[@]}"
			return "${vm_line#@@@ }"
		fi
		for line in "${pending[@]}"; do
			printf '%s\n' "$line"
		done
		pending=("$vm_line")
	done
	: >"$VM_DIR/silent"
	return 125
}

guest() {
	guest_within 60 "$1"
}

qmp() {
	local vm_line
	printf '{"execute": "%s", "arguments": %s}\n' "$1" "${2-"{}"}" 1<>"$VM_DIR/qmp.in"
	while vm_read_line qmp.out 60; do
		case $vm_line in
		*'"return":'*)
			jq -c .return <<<"$vm_line"
			return 0
			;;
		*'"error":'*)
			jq -r .error.desc <<<"$vm_line" >&2
			return 1
			;;
		*) printf '%s\n' "$vm_line" >>"$VM_DIR/events" ;;
		esac
	done
	return 125
}

hmp() {
	qmp human-monitor-command "$(jq -nc --arg line "$1" '{"command-line": $line}')" | jq -r .
}

# Lines of the kernel's log that no test may cause, but those of VM_EXPECTED.
vm_complaints() {
	grep -E 'BUG|WARNING|UBSAN|ODEBUG|Oops|general protection|refcount_t|INFO: task|possible recursive|possible circular|locking correctness validator|suspected memory leak|Call Trace|Bad page' "$@" |
		grep -vE "${VM_EXPECTED:-^$}"
}

# Memory that nothing refers to, where the kernel looks for it: it refuses to, once
# it had no memory itself. What is younger than five seconds does not count.
vm_leaks() {
	guest_within 300 'cd /sys/kernel/debug || exit
		[ -e kmemleak ] || exit 0
		sleep 6
		echo scan >kmemleak && sleep 1 && echo scan >kmemleak && cat kmemleak'
}

# vm_unexpected_leaks FILE: what it reports, but what VM_EXPECTED_LEAKS matches
vm_unexpected_leaks() {
	awk -v expected="${VM_EXPECTED_LEAKS:-^$}" '
		function report() { if (object !~ expected) printf "%s", object; object = "" }
		/^unreferenced object/ { report() }
		{ object = object $0 "\n" }
		END { report() }' "$1"
}

vm_stop() {
	local status=0
	vm_leaks >"$VM_DIR/leaks" || status=1
	if [[ -n $(vm_unexpected_leaks "$VM_DIR/leaks") ]]; then
		vm_unexpected_leaks "$VM_DIR/leaks" >&2
		vm_say "the kernel leaked memory"
		status=1
	fi
	guest 'dmesg' >"$VM_DIR/dmesg" || status=1
	printf '%s\n' "$(base64 -w0 <<<'poweroff -f')" 1<>"$VM_DIR/control.in"
	if ! within 10 vm_gone; then
		vm_say "the guest does not power off"
		status=1
	fi
	if vm_complaints "$VM_DIR/dmesg" "$VM_DIR/console" >&2; then
		vm_say "the kernel complained"
		status=1
	fi
	vm_kill
	return "$status"
}

vm_kill() {
	local pid
	[[ -n ${VM_DIR-} && -e $VM_DIR/pid ]] || return 0
	pid=$(<"$VM_DIR/pid")
	kill "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	rm -rf "$VM_DIR"
}
