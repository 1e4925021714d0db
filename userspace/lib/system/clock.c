// SPDX-License-Identifier: MIT
#include <time.h>

#include "system.h"

int64_t ivshmem_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* A negative timeout never ends. */
int64_t ivshmem_deadline(int timeout_ms)
{
	return timeout_ms < 0 ? IVSHMEM_NEVER : ivshmem_now() + timeout_ms * NS_PER_MS;
}

/* At least 0. */
int64_t ivshmem_time_left(int64_t deadline)
{
	int64_t left;

	if (deadline == IVSHMEM_NEVER)
		return IVSHMEM_NEVER;
	left = deadline - ivshmem_now();
	return left > 0 ? left : 0;
}

bool ivshmem_deadline_passed(int64_t deadline)
{
	return !ivshmem_time_left(deadline);
}

/* Of @timeout_ms, what is left until @deadline. */
int ivshmem_left_of(int timeout_ms, int64_t deadline)
{
	if (timeout_ms <= 0)
		return timeout_ms;
	return (int)((ivshmem_time_left(deadline) + NS_PER_MS - 1) / NS_PER_MS);
}
