// SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>

#include "system.h"

/* As for poll(2), which does not end before its time: a part of a millisecond is one. */
static int left_ms(int64_t deadline)
{
	int64_t left;

	if (deadline == IVSHMEM_NEVER)
		return -1;
	left = (ivshmem_time_left(deadline) + NS_PER_MS - 1) / NS_PER_MS;
	return left > INT_MAX ? INT_MAX : (int)left;
}

/* 0 once there is something; -ETIMEDOUT, -EINTR. */
int ivshmem_poll_until(struct pollfd *pollers, nfds_t count, int64_t deadline)
{
	int ready = poll(pollers, count, left_ms(deadline));

	if (ready < 0)
		return -errno;
	return ready ? 0 : -ETIMEDOUT;
}

/*
 * Sleeps, twice as long the next time. @cancels: up to two, then NULL. -ETIMEDOUT once the
 * deadline has passed; -ECANCELED; -EINTR.
 */
int ivshmem_pause(int64_t *pause, int64_t longest, int64_t deadline,
		  struct ivshmem_cancel *const *cancels)
{
	int64_t left = ivshmem_time_left(deadline);
	int64_t ns = *pause < longest ? *pause : longest;
	struct ivshmem_futex futexes[MAX_FUTEXES];
	unsigned int count;
	int err;

	if (!left)
		return -ETIMEDOUT;
	for (count = 0; cancels[count]; count++) {
		if (ivshmem_is_cancelled(cancels[count]))
			return -ECANCELED;
		futexes[count] = (struct ivshmem_futex) { &cancels[count]->raised, 0, false };
	}
	err = ivshmem_futex_wait(futexes, count, ns < left ? ns : left);
	if (*pause < longest)
		*pause *= 2;
	return err == -ETIMEDOUT ? 0 : err;
}
