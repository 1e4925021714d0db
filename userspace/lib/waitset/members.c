// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "channel/channel.h"
#include "service/service.h"
#include "topic/topic.h"
#include "waitset.h"

#define FIRST_ROOM	16

static void awaken(struct ivshmem_member *member)
{
	ivshmem_set_awaken(member->set, member);
}

/* It sleeps as long as the most impatient of its members. */
static void choose_pace(struct ivshmem_waitset *set)
{
	struct ivshmem_member *member;

	set->sleeper.longest = LATER_SLEEP_NS;
	TAILQ_FOREACH(member, &set->impatient, impatient)
		if (member->ops->longest < set->sleeper.longest)
			set->sleeper.longest = member->ops->longest;
}

static void take_out(struct ivshmem_waitset *set, struct ivshmem_member *member)
{
	struct ivshmem_slot_end *end;

	if (!set->failed) {
		ivshmem_set_awaken(set, member);
		end = member->ops->end(member);
		if (end)
			__atomic_store_n(&end->set, 0, __ATOMIC_RELAXED);
	}
	ivshmem_set_forget(set, member);
	if (member->ops->longest)
		TAILQ_REMOVE(&set->impatient, member, impatient);
	choose_pace(set);
	set->members[member->index] = NULL;
	member->set = NULL;
	while (set->end && !set->members[set->end - 1])
		set->end--;
}

static void leave(struct ivshmem_member *member)
{
	struct ivshmem_waitset *set = member->set;

	if (set->shm->backend->check(set->shm) == -ENODEV)
		set->failed = -ENODEV;
	take_out(set, member);
}

void ivshmem_set_remove_all(struct ivshmem_waitset *set)
{
	while (set->end)
		take_out(set, set->members[set->end - 1]);
}

static int make_room(struct ivshmem_waitset *set)
{
	unsigned int room = set->room ? 2 * set->room : FIRST_ROOM;
	struct ivshmem_member **members;

	if (set->end < set->room)
		return 0;
	members = reallocarray(set->members, room, sizeof(struct ivshmem_member *));
	if (!members)
		return -ENOMEM;
	memset(members + set->room, 0, (room - set->room) * sizeof(struct ivshmem_member *));
	set->members = members;
	set->room = room;
	return 0;
}

static unsigned int free_place(const struct ivshmem_waitset *set)
{
	unsigned int i;

	for (i = 0; i < set->end; i++)
		if (!set->members[i])
			break;
	return i;
}

static int put_in(struct ivshmem_waitset *set, struct ivshmem_member *member)
{
	int err = make_room(set);

	if (err)
		return err;
	member->index = free_place(set);
	member->state = WAITING_AWAKE;
	member->list = NULL;
	member->awaken = awaken;
	member->leave = leave;
	member->set = set;
	set->members[member->index] = member;
	if (member->ops->longest)
		TAILQ_INSERT_TAIL(&set->impatient, member, impatient);
	choose_pace(set);
	if (member->index == set->end)
		set->end++;
	return 0;
}

/* One that is there already is waited for anew. Its words say awake as long as it is changed. */
static int add(struct ivshmem_waitset *set, struct ivshmem_member *member, unsigned int events,
	       size_t length, void *data)
{
	int err = 0;

	if (member->shm != set->shm)
		return -EXDEV;
	if (member->set && member->set != set)
		return -EBUSY;
	if (member->set)
		ivshmem_set_awaken(set, member);
	else
		err = put_in(set, member);
	if (err)
		return err;
	member->events = events;
	member->length = length;
	member->data = data;
	ivshmem_set_awaken(set, member);
	return 0;
}

static int check(const struct ivshmem_waitset *set, const void *object)
{
	if (!set || !object)
		return -EINVAL;
	return set->failed;
}

static int drop(struct ivshmem_waitset *set, struct ivshmem_member *member)
{
	if (member->set != set)
		return -ENOENT;
	leave(member);
	return 0;
}

int ivshmem_waitset_add_channel(struct ivshmem_waitset *set, struct ivshmem_channel *channel,
				unsigned int events, size_t length, void *data)
{
	int err = check(set, channel);

	if (err)
		return err;
	if (!events || events & ~(IVSHMEM_CAN_RECV | IVSHMEM_CAN_SEND))
		return -EINVAL;
	if (channel->stage == CHANNEL_IS_OPEN && length > channel->max_length)
		return -EMSGSIZE;
	return add(set, ivshmem_channel_member(channel), events, length, data);
}

int ivshmem_waitset_remove_channel(struct ivshmem_waitset *set, struct ivshmem_channel *channel)
{
	return check(set, channel) ?: drop(set, ivshmem_channel_member(channel));
}

int ivshmem_waitset_add_subscriber(struct ivshmem_waitset *set,
				   struct ivshmem_subscriber *subscriber, void *data)
{
	return check(set, subscriber) ?:
	       add(set, ivshmem_subscriber_member(subscriber), IVSHMEM_CAN_RECV, 0, data);
}

int ivshmem_waitset_remove_subscriber(struct ivshmem_waitset *set,
				      struct ivshmem_subscriber *subscriber)
{
	return check(set, subscriber) ?: drop(set, ivshmem_subscriber_member(subscriber));
}

int ivshmem_waitset_add_listener(struct ivshmem_waitset *set, struct ivshmem_listener *listener,
				 void *data)
{
	return check(set, listener) ?:
	       add(set, ivshmem_listener_member(listener), IVSHMEM_CAN_RECV, 0, data);
}

int ivshmem_waitset_remove_listener(struct ivshmem_waitset *set,
				    struct ivshmem_listener *listener)
{
	return check(set, listener) ?: drop(set, ivshmem_listener_member(listener));
}
