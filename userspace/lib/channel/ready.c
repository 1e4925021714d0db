// SPDX-License-Identifier: MIT
/*
 * Of both directions of an open channel, those that somebody waits for by other means than a
 * call of the channel.
 */
#include "ready.h"
#include "transfer.h"
#include "waiting.h"

/* Which of @events are there: the next call of that direction returns at once. */
unsigned int ivshmem_look_at_both(struct ivshmem_channel *channel, unsigned int events,
				  uint64_t record)
{
	unsigned int ready = 0;

	if (events & IVSHMEM_CAN_RECV && ivshmem_can_receive(channel))
		ready |= IVSHMEM_CAN_RECV;
	if (events & IVSHMEM_CAN_SEND &&
	    (channel->room.failed || ivshmem_look(channel, ivshmem_room_is_there, record)))
		ready |= IVSHMEM_CAN_SEND;
	return ready;
}

void ivshmem_announce_both(struct ivshmem_channel *channel, unsigned int events,
			   enum waiting_state state)
{
	if (events & IVSHMEM_CAN_RECV)
		ivshmem_waiter_announce(&channel->news, state);
	if (events & IVSHMEM_CAN_SEND)
		ivshmem_waiter_announce(&channel->room, state);
}
