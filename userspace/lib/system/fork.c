// SPDX-License-Identifier: MIT
/*
 * What becomes of a program's objects in a child that fork(2) made. The child has a copy
 * of all descriptors, and with them a share in what makes a program known to be alive:
 * its locks, which belong to the open file that both have, and its connection to a
 * server. A helper that lives on would keep its dead parent alive. So the child closes
 * these at once. That takes nothing away from the parent, whose own descriptors keep
 * them up.
 *
 * fork(2) waits until no thread is about to change an object, so that the child finds
 * each in order. The locks are held for moments only, and none under another.
 *
 * _Fork(3) and clone(2) run none of this: such a child may do nothing but execve(2),
 * which closes all descriptors, or end. The child of vfork(2) and posix_spawn(3) does.
 */
#include <pthread.h>

#include "system.h"

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ivshmem_heir *all;	/* under @all_lock, as the rest */
static bool watches;

static void before_fork(void)
{
	struct ivshmem_heir *heir;

	pthread_mutex_lock(&all_lock);
	for (heir = all; heir; heir = heir->next)
		if (heir->lock)
			pthread_mutex_lock(heir->lock);
}

static void after_fork(void)
{
	struct ivshmem_heir *heir;

	for (heir = all; heir; heir = heir->next)
		if (heir->lock)
			pthread_mutex_unlock(heir->lock);
	pthread_mutex_unlock(&all_lock);
}

static void in_child(void)
{
	struct ivshmem_heir *heir;

	for (heir = all; heir; heir = heir->next)
		heir->disown(heir);
	after_fork();
}

int ivshmem_fork_watch(struct ivshmem_heir *heir)
{
	int err = 0;

	pthread_mutex_lock(&all_lock);
	if (!watches)
		err = -pthread_atfork(before_fork, after_fork, in_child);
	if (!err) {
		watches = true;
		heir->next = all;
		all = heir;
	}
	pthread_mutex_unlock(&all_lock);
	return err;
}

void ivshmem_fork_unwatch(struct ivshmem_heir *heir)
{
	struct ivshmem_heir **link;

	pthread_mutex_lock(&all_lock);
	for (link = &all; *link; link = &(*link)->next) {
		if (*link == heir) {
			*link = heir->next;
			break;
		}
	}
	pthread_mutex_unlock(&all_lock);
}
