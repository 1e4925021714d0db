// SPDX-License-Identifier: MIT
/*
 * The slot of a wait set, which nobody finds by its name.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "waitset.h"

#define TRIES	8

static void choose_name(struct ivshmem_waitset *set)
{
	snprintf(set->name, sizeof(set->name), "waitset.%u.%016llx", (unsigned int)getpid(),
		 (unsigned long long)ivshmem_random());
}

/* -EAGAIN: it was taken away before it was used. */
static int claim_slot(struct ivshmem_waitset *set)
{
	const struct ivshmem_spec spec = { .kind = IVSHMEM_WAITSET, .must_be_new = true };
	int err;

	choose_name(set);
	err = ivshmem_object_claim(&set->directory, set->name, &spec, &set->object);
	if (!err)
		err = ivshmem_place_in_slot(&set->sleeper, &set->holder, &set->directory,
					    &set->object);
	return err == -EBUSY || err == -EEXIST ? -EAGAIN : err;
}

int ivshmem_set_claim(struct ivshmem_waitset *set)
{
	unsigned int tries;
	int err = -EAGAIN;

	for (tries = 0; tries < TRIES && err == -EAGAIN; tries++)
		err = claim_slot(set);
	return err;
}

/* What was claimed, and is not this program's any more, is left as it is. */
void ivshmem_set_give_back(struct ivshmem_waitset *set)
{
	if (!set->sleeper.end)
		return;
	ivshmem_place_leave(&set->sleeper, &set->holder);
	ivshmem_object_drop(&set->directory, &set->object);
}

bool ivshmem_set_has_slot(const struct ivshmem_waitset *set)
{
	return set->sleeper.end && ivshmem_place_is_own(&set->sleeper) &&
	       ivshmem_object_seems_there(&set->directory, &set->object);
}
