// SPDX-License-Identifier: MIT
/*
 * What hangs on a handle. It lives until its opener has closed it and all of these have
 * let it go, so that they may be closed in any order.
 */
#include <errno.h>
#include <fcntl.h>

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

/* @lock is held. */
static bool is_held(const struct ivshmem *shm, uint64_t byte)
{
	const struct ivshmem_holder *other;

	for (other = shm->holders; other; other = other->next)
		if (other->byte == byte)
			return true;
	return false;
}

/* -EBUSY: another one of this handle has it, whose lock the kernel would not tell of. */
int ivshmem_claim(struct ivshmem *shm, struct ivshmem_holder *holder, uint64_t byte)
{
	int err;

	pthread_mutex_lock(&shm->lock);
	err = is_held(shm, byte) ? -EBUSY : 0;
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

static void set_lock(const struct ivshmem *shm, uint64_t byte, short type)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1,
	};

	fcntl(shm->lock_fd, F_OFD_SETLK, &lock);
}

/*
 * Any number of programs share it, and any number of objects of this handle, for which the
 * kernel counts one lock. Where it can't be had, nobody is told.
 */
void ivshmem_share(struct ivshmem *shm, struct ivshmem_holder *holder, uint64_t byte)
{
	pthread_mutex_lock(&shm->lock);
	if (!is_held(shm, byte))
		set_lock(shm, byte, F_RDLCK);
	holder->byte = byte;
	pthread_mutex_unlock(&shm->lock);
}

/* In a child that fork(2) made the lock is the parent's, too. */
void ivshmem_unshare(struct ivshmem *shm, struct ivshmem_holder *holder)
{
	uint64_t byte = holder->byte;

	pthread_mutex_lock(&shm->lock);
	holder->byte = 0;
	if (byte && !shm->inherited && !is_held(shm, byte))
		set_lock(shm, byte, F_UNLCK);
	pthread_mutex_unlock(&shm->lock);
}
