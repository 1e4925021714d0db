// SPDX-License-Identifier: MIT

#include <limits.h>
#include <time.h>

#include "cli.h"

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Milliseconds until @end, as ivshmem_wait() and poll(2) take them; negative @end: for ever. */
int remaining_ms(int64_t end)
{
	int64_t left;

	if (end < 0)
		return -1;
	left = end - now_ms();
	if (left < 0)
		return 0;
	return left < INT_MAX ? left : INT_MAX;
}
