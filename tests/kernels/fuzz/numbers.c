// SPDX-License-Identifier: MIT
/* What the numbers of a call stand for: mostly what is right, or nearly so. */

#include <string.h>

#include "fuzz.h"

#define PAGE	4096UL
#define HUGE	(2UL << 20)

static uint64_t region_size(uint32_t arg)
{
	return fuzz.device[arg % fuzz.devices].size;
}

uint64_t number_offset(uint32_t arg)
{
	uint32_t rest = arg >> 4;

	switch (arg & 0xf) {
	case 0:
		return rest % 64;
	case 1:
		return region_size(rest) - rest % (2 * PAGE);
	case 2:
		return region_size(rest) + (rest & 7) * PAGE;
	case 3:
		return UINT64_MAX - rest % (2 * PAGE);
	case 4:
		return (uint64_t)rest << 20;
	case 5:
	case 6:
		return rest % 4 * HUGE;
	case 7:
	case 8:
	case 9:
		return rest % 2048 * PAGE;
	case 10:
		return rest % (8UL << 20);
	default:
		return 0;
	}
}

uint64_t number_length(uint32_t arg)
{
	uint32_t rest = arg >> 4;

	switch (arg & 0xf) {
	case 0:
		return rest % 16;
	case 1:
		return region_size(rest);
	case 2:
		return region_size(rest) + PAGE;
	case 3:
		return UINT64_MAX - rest % (2 * PAGE);
	case 4:
		return UINT64_MAX / PAGE * PAGE - rest % 4 * PAGE;
	case 5:
	case 6:
		return (1 + rest % 3) * HUGE;
	case 7:
	case 8:
		return rest % (128UL << 10);
	default:
		return (1 + rest % 64) * PAGE;
	}
}

/*
 * Where the kernel shall find @data of @size bytes; NULL: where it may put that many. In
 * good memory mostly; or where there is none, where only a part is there, in the kernel,
 * or in a mapping of the region.
 */
void *number_pointer(struct runner *me, uint32_t arg, const void *data, size_t size)
{
	char *at = me->memory + (arg >> 8) % PAGE / 8 * 8;

	if (size > MEMORY / 2)
		size = MEMORY / 2;
	switch (arg & 0x3f) {
	case 0:
		return NULL;
	case 1:
		return (void *)0xffff888000000000;
	case 2:
		at = me->memory + MEMORY - size / 2;
		size /= 2;
		break;
	case 3:
	case 4:
	case 5:
		return map_at(arg >> 6);
	}
	if (data)
		memcpy(at, data, size);
	return at;
}
