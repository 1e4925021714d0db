/* SPDX-License-Identifier: MIT */
/*
 * What sending and receiving have in common, and what others ask them.
 */
#ifndef TRANSFER_H
#define TRANSFER_H

#include <errno.h>

#include "channel.h"

/*
 * What is told once is told by another name from then on. That the VM has left is told
 * once, and ends nothing.
 */
static inline int ivshmem_waiter_fail(struct ivshmem_waiter *waiter, int err)
{
	if (err == -ECONNRESET || err == -ESTALE)
		waiter->failed = -ENOTCONN;
	else if (err == -EPIPE || err == -EPROTO || err == -ENODEV)
		waiter->failed = err;
	else if (err == -EHOSTDOWN)
		waiter->told_left = true;
	return err;
}

/* The error that a direction has failed with. */
static inline int ivshmem_waiter_tell(struct ivshmem_waiter *waiter)
{
	return ivshmem_waiter_fail(waiter, waiter->failed);
}

/* This call returns something else: what would be told only once, the next one tells. */
static inline void ivshmem_waiter_tell_later(struct ivshmem_waiter *waiter, int err)
{
	if (err == -ECONNRESET || err == -ESTALE)
		waiter->failed = err;
	else if (err == -EHOSTDOWN)
		waiter->told_left = false;
}

/* For a call that has nothing to work on; a child's copy never has. */
static inline int ivshmem_refuse(const struct ivshmem_channel *channel)
{
	return channel && channel->shm->inherited ? -ECHILD : -EINVAL;
}

/* send.c: is there room for a record of so many bytes? */
int ivshmem_room_is_there(struct ivshmem_channel *channel, uint64_t record);

/* receive.c */
bool ivshmem_can_receive(struct ivshmem_channel *channel);
void ivshmem_forget_messages(struct ivshmem_channel *channel);
void ivshmem_tell_released(struct ivshmem_channel *channel);
int ivshmem_check_kept(struct ivshmem_channel *channel);

#endif /* TRANSFER_H */
