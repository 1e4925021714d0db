# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A machine with KVM where there is none: an outer guest under TCG, which emulates
# AMD's SVM with nested paging. Its root is this machine's, its folder this tree; what
# it writes is gone with it. Sourced after vm.bash.
#
#   outer_start                 boot it; OUTER_MEMORY chooses MiB, OUTER_QEMU the program
#   outer SECONDS COMMAND...    run a command there, in this tree, as root, where guests
#                               run on KVM; SECONDS without a line are too many.
#                               The status is 125 where the outer guest does not answer
#   outer_stop                  power off; fails where its kernel complained
#
# All is slower there: time limits are ten times as long as VM_PATIENCE makes them.
#
# QEMU 7.2 now and then delivers an interrupt that KVM injects a second time: VMRUN leaves
# its vector in cs->exception_index (helper_vmrun() in svm_helper.c, SVM_EVTINJ_TYPE_INTR),
# which is taken for an exception where the processor is kicked, as by the monitor, before
# it runs on. If the guest was in user mode, it then enters its kernel with the user's GS,
# and dies of a double fault in exc_page_fault(), whatever runs there: seen after 3,000 kicks,
# in a guest that has no ivshmem device. QEMU 11.1 did not in 10,000.

OUTER_INITRAMFS=${OUTER_INITRAMFS:-build/tests/outer-initramfs}

# Its guests get a plain processor: what they see of "host" is what TCG emulates, and
# its sizes of the extended state make kernels warn.
outer_environment=(HOME=/root LANG=C.UTF-8 TERM=dumb ACCEL=kvm VM_CPU=qemu64 VM_SVM_EMULATED=yes
	VM_PATIENCE=$((VM_PATIENCE * 10)))
for name in GUEST_KERNEL KDIR QEMU VM_INITRD VM_MACHINE VM_FIRMWARE BENCH_ROUNDS; do
	[[ -z ${!name-} ]] || outer_environment+=("$name=${!name}")
done

outer_start() {
	local VM_PATIENCE=$((VM_PATIENCE * 10))
	# What is slow to make is made here.
	tests/vm/guest-kernel image >/dev/null || return
	ACCEL=tcg QEMU=${OUTER_QEMU:-qemu-system-x86_64} VM_MACHINE=pc VM_FIRMWARE='' VM_CPU=EPYC-v1,phys-bits=48 VM_CPUS=2 \
		VM_MEMORY=${OUTER_MEMORY:-6144} VM_INITRD=$OUTER_INITRAMFS VM_TIME_LIMIT=36000 \
		VM_APPEND=mitigations=off vm_start \
		-virtfs local,path=/,mount_tag=below,security_model=none,readonly=on,multidevs=remap || return
	guest '[ -w /dev/kvm ] && grep -qw svm /proc/cpuinfo && grep -qw npt /proc/cpuinfo' || {
		vm_say "the outer guest has no KVM"
		return 1
	}
}

outer() {
	local limit=$1 VM_PATIENCE=1
	shift
	guest_within "$limit" "cd ${PWD@Q} && exec env ${outer_environment[*]@Q} ${*@Q}"
}

outer_stop() {
	VM_PATIENCE=$((VM_PATIENCE * 10)) vm_stop
}
