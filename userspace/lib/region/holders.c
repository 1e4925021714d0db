// SPDX-License-Identifier: MIT
/*
 * What hangs on a handle. It lives until its opener has closed it and all of these have
 * let it go, so that they may be closed in any order.
 */
#include <errno.h>

#include "kinds.h"

void ivshmem_hold(struct ivshmem *shm, struct ivshmem_holder *holder)
{
	holder->byte = 0;
	pthread_mutex_lock(&shm->lock);
	holder->next = shm->holders;
	shm->holders = holder;
	pthread_mutex_unlock(&shm->lock);
}

void ivshmem_drop(struct ivshmem *shm, struct ivshmem_holder *holder)
{
	struct ivshmem_holder **link = &shm->holders;
	bool is_last;

	pthread_mutex_lock(&shm->lock);
	while (*link != holder)
		link = &(*link)->next;
	*link = holder->next;
	is_last = shm->is_closed && !shm->holders;
	pthread_mutex_unlock(&shm->lock);
	if (is_last)
		ivshmem_free(shm);
}

void ivshmem_close(struct ivshmem *shm)
{
	bool is_last;

	if (!shm)
		return;
	ivshmem_unmap(shm);
	pthread_mutex_lock(&shm->lock);
	shm->is_closed = true;
	is_last = !shm->holders;
	pthread_mutex_unlock(&shm->lock);
	if (is_last)
		ivshmem_free(shm);
}

/* -EBUSY: another one of this handle has it, whose lock the kernel would not tell of. */
int ivshmem_claim(struct ivshmem *shm, struct ivshmem_holder *holder, uint64_t byte)
{
	const struct ivshmem_holder *other;
	int err = 0;

	pthread_mutex_lock(&shm->lock);
	for (other = shm->holders; other && !err; other = other->next)
		if (other->byte == byte)
			err = -EBUSY;
	if (!err)
		holder->byte = byte;
	pthread_mutex_unlock(&shm->lock);
	return err;
}

void ivshmem_unclaim(struct ivshmem *shm, struct ivshmem_holder *holder)
{
	pthread_mutex_lock(&shm->lock);
	holder->byte = 0;
	pthread_mutex_unlock(&shm->lock);
}
