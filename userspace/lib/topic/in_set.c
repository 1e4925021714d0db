// SPDX-License-Identifier: MIT
/*
 * A subscriber in a wait set.
 */
#include "subscriber.h"

static struct ivshmem_subscriber *subscriber_of(struct ivshmem_member *member)
{
	return container_of(member, struct ivshmem_subscriber, member);
}

static unsigned int look(struct ivshmem_member *member)
{
	struct ivshmem_subscriber *subscriber = subscriber_of(member);

	return subscriber->topic.failed || ivshmem_subscriber_look(subscriber) ? member->events : 0;
}

static unsigned int look_closely(struct ivshmem_member *member)
{
	ivshmem_topic_check(&subscriber_of(member)->topic);
	return look(member);
}

static void announce(struct ivshmem_member *member, enum waiting_state state)
{
	struct ivshmem_subscriber *subscriber = subscriber_of(member);
	struct ivshmem_sleeper *sleeper = &subscriber->topic.sleeper;

	if (state == WAITING_DROWSY)
		ivshmem_subscriber_tell_all(subscriber);
	sleeper->ops->announce(sleeper, state);
}

static struct ivshmem_slot_end *end(struct ivshmem_member *member)
{
	return subscriber_of(member)->topic.sleeper.end;
}

static unsigned int ways(struct ivshmem_member *member, const struct ivshmem_sleeper *sleeper)
{
	return ivshmem_topic_ways(&subscriber_of(member)->topic, sleeper);
}

static const struct ivshmem_member_ops ops = {
	.look = look,
	.look_closely = look_closely,
	.announce = announce,
	.end = end,
	.ways = ways,
};

struct ivshmem_member *ivshmem_subscriber_member(struct ivshmem_subscriber *subscriber)
{
	subscriber->member.ops = &ops;
	subscriber->member.shm = subscriber->topic.shm;
	return &subscriber->member;
}
