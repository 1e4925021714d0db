// SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>
#include <time.h>

#include "internal.h"

int64_t ivshmem_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t now_ms(void)
{
	return ivshmem_now_us() / 1000;
}

/* A negative timeout never ends. */
int64_t ivshmem_deadline(int timeout_ms)
{
	return timeout_ms < 0 ? IVSHMEM_NEVER : now_ms() + timeout_ms;
}

static int left_ms(int64_t deadline)
{
	int64_t left;

	if (deadline == IVSHMEM_NEVER)
		return -1;
	left = deadline - now_ms();
	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

bool ivshmem_deadline_passed(int64_t deadline)
{
	return !left_ms(deadline);
}

/* 0 once there is something; -ETIMEDOUT, -EINTR. */
int ivshmem_poll_until(struct pollfd *pollers, nfds_t count, int64_t deadline)
{
	int ready = poll(pollers, count, left_ms(deadline));

	if (ready < 0)
		return -errno;
	return ready ? 0 : -ETIMEDOUT;
}
