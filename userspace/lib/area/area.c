// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include <ivshmem/area.h>

#include "format/format.h"

/**
 * struct ivshmem_area - An area that is open.
 * @shm: The region.
 * @holder: Keeps it, and shares the area's lock.
 * @window: Where it is mapped.
 * @size: In bytes.
 */
struct ivshmem_area {
	struct ivshmem *shm;
	struct ivshmem_holder holder;
	struct ivshmem_window window;
	uint64_t size;
};

static int map(struct ivshmem_area *area, const struct ivshmem_directory *directory,
	       const struct ivshmem_object *object)
{
	struct ivshmem_extent extent;
	int err;

	err = ivshmem_object_extent(directory, object, &extent);
	if (!err && !extent.size)
		err = -EUCLEAN;
	if (!err)
		err = ivshmem_region_reserve(area->shm, extent.offset, extent.size);
	if (!err)
		err = ivshmem_window_map(&area->window, area->shm, extent.offset, extent.size);
	if (!err)
		area->size = extent.size;
	return err;
}

/* The lock first, then a look whether it was in time: see directory.c. */
static int find(struct ivshmem_area *area, const struct ivshmem_directory *directory,
		const char *name)
{
	struct ivshmem_object object;
	int err;

	err = ivshmem_object_find(directory, name, IVSHMEM_AREA, &object);
	if (err)
		return err;
	ivshmem_share(area->shm, &area->holder, ivshmem_slot_byte(object.slot));
	err = ivshmem_object_stays(directory, &object);
	return err ? err : map(area, directory, &object);
}

static void drop(struct ivshmem_area *area)
{
	ivshmem_window_unmap(&area->window);
	ivshmem_unshare(area->shm, &area->holder);
	ivshmem_drop(area->shm, &area->holder);
	free(area);
}

int ivshmem_area_open(struct ivshmem_area **out, struct ivshmem *shm, const char *name)
{
	struct ivshmem_directory directory;
	struct ivshmem_area *area;
	int err;

	err = out ? ivshmem_object_check(shm, name, false) : -EINVAL;
	if (!err)
		err = ivshmem_directory_open(&directory, shm);
	if (err)
		return err;
	area = calloc(1, sizeof(*area));
	if (area) {
		area->shm = shm;
		ivshmem_hold(shm, &area->holder);
		err = find(area, &directory, name);
		if (err)
			drop(area);
	} else {
		err = -ENOMEM;
	}
	ivshmem_directory_close(&directory);
	if (!err)
		*out = area;
	return err;
}

void *ivshmem_area_data(const struct ivshmem_area *area)
{
	return area ? area->window.data : NULL;
}

uint64_t ivshmem_area_size(const struct ivshmem_area *area)
{
	return area ? area->size : 0;
}

void ivshmem_area_close(struct ivshmem_area *area)
{
	if (area)
		drop(area);
}
