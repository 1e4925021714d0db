// SPDX-License-Identifier: MIT
#include <sys/random.h>

#include "system.h"

/* For names and numbers that are not to meet by chance: no secret. Never waits. */
uint64_t ivshmem_random(void)
{
	uint64_t number = 0;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
		number = (uint64_t)ivshmem_now();
	return number;
}
