// SPDX-License-Identifier: MIT
/*
 * A channel in a wait set.
 */
#include <errno.h>

#include "found.h"
#include "ready.h"
#include "transfer.h"
#include "waiting.h"

static struct ivshmem_channel *channel_of(struct ivshmem_member *member)
{
	return container_of(member, struct ivshmem_channel, member);
}

/* One that is not open is ready once ivshmem_channel_finish() has something to say. */
static unsigned int look(struct ivshmem_member *member)
{
	struct ivshmem_channel *channel = channel_of(member);
	unsigned int ready;

	if (unlikely(channel->shm->inherited))
		return member->events;
	if (unlikely(channel->stage != CHANNEL_IS_OPEN))
		return ivshmem_channel_finish(channel, 0) == -ETIMEDOUT ? 0 : member->events;
	ready = ivshmem_look_at_both(channel, member->events, ivshmem_record_size(member->length));
	if (!ready)
		ivshmem_tell_released(channel);
	return ready;
}

/* Whether there is a message. */
static bool glance(struct ivshmem_member *member)
{
	const struct ivshmem_channel *channel = channel_of(member);

	return member->events != IVSHMEM_CAN_RECV || channel->stage != CHANNEL_IS_OPEN ||
	       look_for_message(channel).header;
}

static unsigned int look_closely(struct ivshmem_member *member)
{
	struct ivshmem_channel *channel = channel_of(member);
	bool receives = member->events & IVSHMEM_CAN_RECV;

	if (channel->stage == CHANNEL_IS_OPEN)
		ivshmem_look_for_life(channel, receives ? &channel->news : &channel->room,
				      ivshmem_now());
	return look(member);
}

static void announce(struct ivshmem_member *member, enum waiting_state state)
{
	struct ivshmem_channel *channel = channel_of(member);

	if (channel->stage == CHANNEL_IS_OPEN)
		ivshmem_announce_both(channel, member->events, state);
}

static struct ivshmem_slot_end *end(struct ivshmem_member *member)
{
	const struct ivshmem_channel *channel = channel_of(member);

	return channel->stage == CHANNEL_IS_OPEN ? channel->own : NULL;
}

static unsigned int ways(struct ivshmem_member *member, const struct ivshmem_sleeper *sleeper)
{
	return ivshmem_ways_of_waker(sleeper, channel_of(member)->other);
}

static bool gives_way(struct ivshmem_member *member)
{
	struct ivshmem_channel *channel = channel_of(member);

	return channel->stage == CHANNEL_IS_OPEN && ivshmem_shares_processor(channel);
}

static const struct ivshmem_member_ops ops = {
	.look = look,
	.glance = glance,
	.look_closely = look_closely,
	.announce = announce,
	.end = end,
	.ways = ways,
	.gives_way = gives_way,
};

struct ivshmem_member *ivshmem_channel_member(struct ivshmem_channel *channel)
{
	channel->member.ops = &ops;
	channel->member.shm = channel->shm;
	return &channel->member;
}
