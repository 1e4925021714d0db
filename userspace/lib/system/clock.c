// SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>
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

/* Sleeps, twice as long the next time. -ETIMEDOUT once the deadline has passed; -EINTR. */
int ivshmem_pause(int64_t *pause, int64_t longest, int64_t deadline)
{
	int64_t left = ivshmem_time_left(deadline);
	int64_t ns = *pause < longest ? *pause : longest;
	struct timespec time;

	if (!left)
		return -ETIMEDOUT;
	if (ns > left)
		ns = left;
	time = (struct timespec) { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };
	if (nanosleep(&time, NULL) < 0)
		return -errno;
	if (*pause < longest)
		*pause *= 2;
	return 0;
}
