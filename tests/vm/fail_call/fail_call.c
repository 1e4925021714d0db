// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lets calls of one function of the kernel fail, for tests on kernels without fault
 * injection: insmod fail_call.ko function=vmap from=1 count=1 makes it return NULL, or
 * value=, for the from'th call by a task that is named comm=, and for count of them. x86
 * only.
 */

#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/sched.h>

static char *function = "";
module_param(function, charp, 0444);
MODULE_PARM_DESC(function, "Function that fails");
static char *comm = "sh";
module_param(comm, charp, 0444);
MODULE_PARM_DESC(comm, "Name of the task whose calls count");
static int from = 1;
module_param(from, int, 0444);
MODULE_PARM_DESC(from, "The first call that fails, from 1 on");
static int count = 1;
module_param(count, int, 0444);
MODULE_PARM_DESC(count, "How many calls fail");
static long value;
module_param(value, long, 0444);
MODULE_PARM_DESC(value, "What they return");

static atomic_t calls = ATOMIC_INIT(0);

static int failed_get(char *buffer, const struct kernel_param *param)
{
	int failed = atomic_read(&calls) - from + 1;

	return sprintf(buffer, "%d\n", clamp(failed, 0, count));
}

static const struct kernel_param_ops failed_ops = { .get = failed_get };
module_param_cb(failed, &failed_ops, NULL, 0444);
MODULE_PARM_DESC(failed, "How many calls have failed");

/* Goes on in place of the function, at whose entry the return address is on the stack. */
static noinline notrace void fail_call_return(void)
{
	barrier();
}

static int fail_call_hit(struct kprobe *probe, struct pt_regs *regs)
{
	int call;

	if (strcmp(current->comm, comm))
		return 0;
	call = atomic_inc_return(&calls);
	if (call < from || call >= from + count)
		return 0;
#ifdef CONFIG_X86
	regs->ax = value;
	regs->ip = (unsigned long)fail_call_return;
	return 1;
#else
	return 0;
#endif
}

static struct kprobe fail_call_probe = { .pre_handler = fail_call_hit };

static int __init fail_call_init(void)
{
	fail_call_probe.symbol_name = function;
	return register_kprobe(&fail_call_probe);
}
module_init(fail_call_init);

static void __exit fail_call_exit(void)
{
	unregister_kprobe(&fail_call_probe);
}
module_exit(fail_call_exit);

MODULE_DESCRIPTION("Lets calls of a function fail, for tests");
MODULE_LICENSE("GPL");
