/* SPDX-License-Identifier: MIT */
#ifndef LOCKERS_H
#define LOCKERS_H

#include "format/format.h"

/**
 * struct status_locker - A lock on the region's file.
 * @first: The first byte that it covers.
 * @last: The last one.
 * @pid: The program that has it, as this program sees it.
 */
struct status_locker {
	uint64_t first;
	uint64_t last;
	uint32_t pid;
};

/**
 * struct status_lockers - All of them, as far as can be told.
 * @list: How many there are is @count, and for how many there is room @room.
 * @count: See @list.
 * @room: See @list.
 */
struct status_lockers {
	struct status_locker *list;
	size_t count;
	size_t room;
};

int ivshmem_lockers_find(struct status_lockers *lockers, const struct ivshmem *shm);
uint32_t ivshmem_locker_of(const struct status_lockers *lockers, uint64_t byte, size_t *from);

#endif /* LOCKERS_H */
