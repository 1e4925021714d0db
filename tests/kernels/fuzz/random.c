// SPDX-License-Identifier: MIT
/* Numbers that are the same in each run with the same seed: xorshift64*. */

#include "fuzz.h"

static uint64_t state;

void random_seed(uint64_t seed)
{
	state = seed * 0x9e3779b97f4a7c15 + 1;
}

uint32_t random_number(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1d) >> 32;
}

uint32_t random_below(uint32_t limit)
{
	return random_number() % limit;
}

bool random_once_in(uint32_t times)
{
	return !random_below(times);
}
