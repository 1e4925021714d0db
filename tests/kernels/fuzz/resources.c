// SPDX-License-Identifier: MIT
/*
 * Descriptors and mappings that calls make and later ones use. Two threads may use them
 * at once, and close what the other one uses.
 */

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

/* Far from all that the C library and the kernel choose. */
#define MAPS_AT		((char *)0x100000000000)

static _Atomic int slots[RESOURCES][SLOTS];	/* descriptor + 1 */

/* At times one of another kind. */
int resource_get(enum resource resource, uint32_t arg)
{
	if (arg >> 28 == 0xf)
		resource = (arg >> 16) % RESOURCES;
	return atomic_load(&slots[resource][arg % SLOTS]) - 1;
}

void resource_put(enum resource resource, uint32_t arg, int fd)
{
	int old = atomic_exchange(&slots[resource][arg % SLOTS], fd + 1);

	if (old > 0)
		close(old - 1);
}

/*
 * What keeps pages of the region pinned goes when a thread has made its calls: the other
 * one may be unbinding the device, which waits for that.
 */
void resources_let_go(void)
{
	static const enum resource pinning[] = { IMPORTS, PIPE_READERS, PIPE_WRITERS };
	unsigned int i, slot;

	for (i = 0; i < sizeof(pinning) / sizeof(pinning[0]); i++)
		for (slot = 0; slot < SLOTS; slot++)
			resource_put(pinning[i], slot, -1);
}

void resources_close(void)
{
	unsigned int resource, slot;

	for (resource = 0; resource < RESOURCES; resource++)
		for (slot = 0; slot < SLOTS; slot++)
			resource_put(resource, slot, -1);
}

/* Nothing else may be mapped where a stale slot would take it away. */
void maps_reserve(void)
{
	if (mmap(MAPS_AT, MAPS * MAP_ROOM, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAPS_AT)
		die("room for mappings");
}

char *map_at(uint32_t arg)
{
	return MAPS_AT + arg % MAPS * MAP_ROOM;
}
