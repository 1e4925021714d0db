// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "end.h"
#include "object.h"
#include "loss.h"
#include "session.h"
#include "transfer.h"
#include "waiting.h"

#define SPIN_US			50
#define BACKOFF_US		1000

/* In a child that fork(2) made: what looks at these for every message fails. */
static void disown(struct ivshmem_holder *holder)
{
	struct ivshmem_channel *channel = container_of(holder, struct ivshmem_channel, holder);

	channel->room.failed = -ECHILD;
	channel->news.failed = -ECHILD;
	channel->reserved = false;
	ivshmem_forget_messages(channel);
}

/* Not open yet, and at no slot. */
struct ivshmem_channel *ivshmem_channel_new(struct ivshmem *shm, enum ivshmem_end side,
					    const char *name, unsigned int flags)
{
	struct ivshmem_channel *channel = aligned_alloc(alignof(struct ivshmem_channel),
							sizeof(*channel));

	if (!channel)
		return NULL;
	memset(channel, 0, sizeof(*channel));
	channel->shm = shm;
	channel->holder.disown = disown;
	ivshmem_hold(shm, &channel->holder);
	channel->side = side;
	channel->flags = flags;
	strcpy(channel->name, name);
	channel->cancel = IVSHMEM_CANCEL_INIT;
	channel->link.shm = shm;
	channel->link.directory = &channel->directory;
	channel->link.cancels[0] = &shm->cancel;
	channel->link.cancels[1] = &channel->cancel;
	channel->spin_us = SPIN_US;
	channel->backoff_us = BACKOFF_US;
	channel->loop.epoll = -1;
	channel->room.epoll = -1;
	channel->news.epoll = -1;
	ivshmem_session_leave(channel);
	return channel;
}

void ivshmem_channel_unmap_rings(struct ivshmem_channel *channel)
{
	ivshmem_sender_free(&channel->sender);
	ivshmem_receiver_free(&channel->receiver);
	ivshmem_window_unmap(&channel->rings);
	channel->max_length = 0;
}

void ivshmem_channel_close(struct ivshmem_channel *channel)
{
	if (!channel)
		return;
	ivshmem_member_leave(&channel->member);
	if (channel->stage != CHANNEL_SEARCHES)
		ivshmem_end_give_back(channel);
	ivshmem_waiter_close(&channel->room);
	ivshmem_waiter_close(&channel->news);
	ivshmem_loop_close(&channel->loop);
	ivshmem_cancel_close(&channel->cancel);
	ivshmem_channel_unmap_rings(channel);
	ivshmem_directory_close(&channel->directory);
	ivshmem_drop(channel->shm, &channel->holder);
	if (channel->origin)
		channel->origin->free(channel->origin);
	free(channel);
}

int ivshmem_channel_cancel(struct ivshmem_channel *channel)
{
	if (!channel)
		return -EINVAL;
	if (channel->shm->inherited)
		return -ECHILD;
	ivshmem_cancel_raise(&channel->cancel);
	return 0;
}

int ivshmem_channel_uncancel(struct ivshmem_channel *channel)
{
	if (!channel)
		return -EINVAL;
	if (channel->shm->inherited)
		return -ECHILD;
	ivshmem_cancel_lower(&channel->cancel);
	return 0;
}

int ivshmem_channel_alive(struct ivshmem_channel *channel)
{
	if (!channel)
		return -EINVAL;
	if (channel->shm->inherited)
		return -ECHILD;
	if (channel->stage != CHANNEL_IS_OPEN || ivshmem_session_check(channel))
		return 0;
	return ivshmem_look_at_life(channel);
}

size_t ivshmem_channel_max_length(const struct ivshmem_channel *channel)
{
	return channel ? channel->max_length : 0;
}

int ivshmem_channel_set_spin(struct ivshmem_channel *channel, unsigned int microseconds)
{
	if (!channel)
		return -EINVAL;
	if (channel->shm->inherited)
		return -ECHILD;
	channel->spin_us = microseconds;
	return 0;
}

int ivshmem_channel_set_backoff(struct ivshmem_channel *channel, unsigned int microseconds)
{
	if (!channel || !microseconds)
		return -EINVAL;
	if (channel->shm->inherited)
		return -ECHILD;
	channel->backoff_us = microseconds;
	return 0;
}

const char *ivshmem_channel_wakeup(const struct ivshmem_channel *channel)
{
	static const char *const names[] = {
		[WAKEUP_BACKOFF] = "backoff",
		[WAKEUP_FUTEX] = "futex",
		[WAKEUP_DOORBELL] = "doorbell",
	};

	return channel ? names[channel->link.wakeup] : NULL;
}
