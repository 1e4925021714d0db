// SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "system.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv	449
#endif

/* Where the kernel knows one word at a time: how long a sleep may miss the others. */
#define BLIND_NS	(100 * NS_PER_MS)

/* As in linux/futex.h from 5.16 on, whose kernels wait for several words at a time. */
struct waitv {
	uint64_t value;
	uint64_t address;
	uint32_t flags;
	uint32_t reserved;
};

#define WAITV_SIZE_U32	2
#define WAITV_PRIVATE	FUTEX_PRIVATE_FLAG

static struct timespec to_timespec(int64_t ns)
{
	return (struct timespec) { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };
}

static long wait_for_all(const struct ivshmem_futex *futexes, unsigned int count, int64_t ns)
{
	struct timespec until = to_timespec(ivshmem_now() + ns);
	struct waitv waiters[MAX_FUTEXES];
	unsigned int i;

	for (i = 0; i < count; i++)
		waiters[i] = (struct waitv) {
			.value = futexes[i].value,
			.address = (uintptr_t)futexes[i].word,
			.flags = WAITV_SIZE_U32 | (futexes[i].shared ? 0 : WAITV_PRIVATE),
		};
	return syscall(SYS_futex_waitv, waiters, count, 0, &until, CLOCK_MONOTONIC);
}

static long wait_for_one(const struct ivshmem_futex *futex, int64_t ns)
{
	int operation = FUTEX_WAIT | (futex->shared ? 0 : FUTEX_PRIVATE_FLAG);
	struct timespec time = to_timespec(ns);

	return syscall(SYS_futex, futex->word, operation, futex->value, &time, NULL, 0);
}

/*
 * Sleeps until one of the words is woken, or is not what was expected: 0. -ETIMEDOUT
 * after @ns, or earlier where the kernel, or a filter of its calls, is from before 5.16
 * and there is more than one word; -EINTR.
 */
int ivshmem_futex_wait(const struct ivshmem_futex *futexes, unsigned int count, int64_t ns)
{
	static bool is_old;
	long woken;

	if (count == 1) {
		woken = wait_for_one(futexes, ns);
	} else if (__atomic_load_n(&is_old, __ATOMIC_RELAXED)) {
		woken = wait_for_one(futexes, ns < BLIND_NS ? ns : BLIND_NS);
	} else {
		woken = wait_for_all(futexes, count, ns);
		if (woken < 0 && (errno == ENOSYS || errno == EPERM)) {
			__atomic_store_n(&is_old, true, __ATOMIC_RELAXED);
			return ivshmem_futex_wait(futexes, count, ns);
		}
	}
	return woken >= 0 || errno == EAGAIN ? 0 : -errno;
}

void ivshmem_futex_wake(const uint32_t *word, bool shared)
{
	syscall(SYS_futex, word, FUTEX_WAKE | (shared ? 0 : FUTEX_PRIVATE_FLAG), INT_MAX, NULL,
		NULL, 0);
}
