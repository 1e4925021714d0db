// SPDX-License-Identifier: MIT
/*
 * Objects that are made beforehand, and removed: what a user asks for by name.
 */
#include <errno.h>
#include <sched.h>

#include "format.h"

#define TRIES	1000	/* while other programs make and remove objects */

/* 0; -EINVAL; -ECHILD; -EACCES: @writes, and the handle is for reading only. */
int ivshmem_object_check(const struct ivshmem *shm, const char *name, bool writes)
{
	if (!shm || !name || !*name || !ivshmem_is_name(name, IVSHMEM_NAME_SIZE))
		return -EINVAL;
	if (shm->inherited)
		return -ECHILD;
	return writes && shm->readonly ? -EACCES : 0;
}

/* -EEXIST: it is there, of whatever kind. */
static int make(const struct ivshmem_directory *directory, const char *name,
		const struct ivshmem_spec *spec)
{
	struct ivshmem_object object;
	int err = -EAGAIN;
	unsigned int tries;

	for (tries = 0; tries < TRIES && err == -EAGAIN; tries++) {
		if (tries)
			sched_yield();
		err = ivshmem_object_claim(directory, name, spec, &object);
	}
	return err;
}

int ivshmem_make_object(struct ivshmem *shm, const char *name, const struct ivshmem_spec *spec)
{
	struct ivshmem_directory directory;
	int err;

	err = ivshmem_directory_open(&directory, shm);
	if (err)
		return err;
	err = make(&directory, name, spec);
	ivshmem_directory_close(&directory);
	return err;
}

/* What ivshmem_format() was told, where @ring is 0. */
void ivshmem_spec_channel(struct ivshmem_spec *spec, const struct ivshmem_superblock *superblock,
			  uint64_t creator_ring, uint64_t connector_ring)
{
	uint32_t units[2] = {
		(uint32_t)((creator_ring + BLOCK_UNIT - 1) / BLOCK_UNIT),
		(uint32_t)((connector_ring + BLOCK_UNIT - 1) / BLOCK_UNIT),
	};

	*spec = (struct ivshmem_spec) { .kind = IVSHMEM_CHANNEL };
	spec->facts[0] = units[0] ? units[0] : superblock->ring_units;
	spec->facts[1] = units[1] ? units[1] : superblock->ring_units;
	spec->size = ((uint64_t)spec->facts[0] + spec->facts[1]) * BLOCK_UNIT;
}

/* The rings of its clients' channels; it has no memory of its own. */
void ivshmem_spec_service(struct ivshmem_spec *spec, const struct ivshmem_superblock *superblock,
			  uint64_t client_ring, uint64_t server_ring)
{
	ivshmem_spec_channel(spec, superblock, client_ring, server_ring);
	spec->kind = IVSHMEM_SERVICE;
	spec->size = 0;
}

/* @specify: of which kind, and with what. */
int ivshmem_make_with_rings(struct ivshmem *shm, const char *name, ivshmem_specify_fn specify,
			    uint64_t creator_ring, uint64_t connector_ring)
{
	struct ivshmem_superblock superblock;
	struct ivshmem_spec spec;
	int err;

	err = ivshmem_object_check(shm, name, true);
	if (err)
		return err;
	if (creator_ring > MAX_RING_SIZE || connector_ring > MAX_RING_SIZE)
		return -EINVAL;
	err = ivshmem_superblock_read(shm, &superblock);
	if (err)
		return err;
	specify(&spec, &superblock, creator_ring, connector_ring);
	spec.kept = spec.must_be_new = true;
	return ivshmem_make_object(shm, name, &spec);
}

int ivshmem_make_channel(struct ivshmem *shm, const char *name, uint64_t creator_ring,
			 uint64_t connector_ring)
{
	return ivshmem_make_with_rings(shm, name, ivshmem_spec_channel, creator_ring,
				       connector_ring);
}

int ivshmem_make_area(struct ivshmem *shm, const char *name, uint64_t size)
{
	struct ivshmem_spec spec = {
		.kind = IVSHMEM_AREA, .kept = true, .must_be_new = true, .size = size,
	};
	int err;

	err = ivshmem_object_check(shm, name, true);
	if (err)
		return err;
	if (!size || size > shm->size)
		return size ? -ENOSPC : -EINVAL;
	return ivshmem_make_object(shm, name, &spec);
}

int ivshmem_remove(struct ivshmem *shm, const char *name, unsigned int flags)
{
	struct ivshmem_directory directory;
	unsigned int tries;
	int err;

	err = ivshmem_object_check(shm, name, true);
	if (err)
		return err;
	if (flags & ~IVSHMEM_REMOVE_FORCE)
		return -EINVAL;
	err = ivshmem_directory_open(&directory, shm);
	if (err)
		return err;
	err = -EAGAIN;
	for (tries = 0; tries < TRIES && err == -EAGAIN; tries++) {
		if (tries)
			sched_yield();
		err = ivshmem_object_remove(&directory, name, flags & IVSHMEM_REMOVE_FORCE);
	}
	ivshmem_directory_close(&directory);
	return err;
}
