// SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "waitset.h"

/* In a child that fork(2) made: the slot is the parent's. */
static void disown(struct ivshmem_holder *holder)
{
	struct ivshmem_waitset *set = container_of(holder, struct ivshmem_waitset, holder);

	set->failed = -ECHILD;
}

int ivshmem_waitset_open(struct ivshmem_waitset **out, struct ivshmem *shm)
{
	struct ivshmem_waitset *set;
	int err;

	if (!out || !shm)
		return -EINVAL;
	if (shm->inherited)
		return -ECHILD;
	if (shm->readonly)
		return -EACCES;
	set = calloc(1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	set->shm = shm;
	set->cancel = IVSHMEM_CANCEL_INIT;
	set->loop.epoll = -1;
	TAILQ_INIT(&set->awake);
	TAILQ_INIT(&set->fresh);
	TAILQ_INIT(&set->impatient);
	ivshmem_sleeper_init(&set->sleeper, shm, &ivshmem_set_sleeps);
	set->sleeper.link.cancels[1] = &set->cancel;
	set->holder.disown = disown;
	ivshmem_hold(shm, &set->holder);
	err = ivshmem_directory_open(&set->directory, shm);
	if (!err)
		err = ivshmem_set_claim(set);
	if (err) {
		ivshmem_waitset_close(set);
		return err;
	}
	*out = set;
	return 0;
}

/* A child's copy is only forgotten. Of a device that is gone there is no memory to write to. */
void ivshmem_waitset_close(struct ivshmem_waitset *set)
{
	if (!set)
		return;
	if (set->shm->backend->check(set->shm) == -ENODEV)
		set->failed = -ENODEV;
	ivshmem_set_remove_all(set);
	if (!set->failed)
		ivshmem_set_give_back(set);
	ivshmem_waiter_close(&set->sleeper.waiter);
	ivshmem_loop_close(&set->loop);
	ivshmem_cancel_close(&set->cancel);
	ivshmem_directory_close(&set->directory);
	ivshmem_unclaim(set->shm, &set->holder);
	ivshmem_drop(set->shm, &set->holder);
	free(set->members);
	free(set);
}

static int check(const struct ivshmem_waitset *set)
{
	if (!set)
		return -EINVAL;
	return set->shm->inherited ? -ECHILD : 0;
}

int ivshmem_waitset_cancel(struct ivshmem_waitset *set)
{
	int err = check(set);

	if (!err)
		ivshmem_cancel_raise(&set->cancel);
	return err;
}

int ivshmem_waitset_uncancel(struct ivshmem_waitset *set)
{
	int err = check(set);

	if (!err)
		ivshmem_cancel_lower(&set->cancel);
	return err;
}

int ivshmem_waitset_set_spin(struct ivshmem_waitset *set, unsigned int microseconds)
{
	int err = check(set);

	if (!err)
		set->sleeper.spin_ns = microseconds == UINT_MAX ? INT64_MAX / 2 :
					microseconds * NS_PER_US;
	return err;
}
