/* SPDX-License-Identifier: MIT */
/* A wait set of channels, and their other ends. */

#ifndef WAITSETS_H
#define WAITSETS_H

#include "channels.h"

#include "waitset/waitset.h"

#define MOST	12

static struct world {
	struct ivshmem_waitset *set;
	struct ivshmem_channel *near[MOST], *far[MOST];
} world;

static inline int world_setup(void **state)
{
	memset(&world, 0, sizeof(world));
	return pair_setup(state);
}

static inline void close_world(void)
{
	int i;

	ivshmem_waitset_close(world.set);
	for (i = 0; i < MOST; i++) {
		ivshmem_channel_close(world.near[i]);
		ivshmem_channel_close(world.far[i]);
	}
}

static inline int world_teardown(void **state)
{
	close_world();
	return pair_teardown(state);
}

#endif /* WAITSETS_H */
