// SPDX-License-Identifier: MIT
/*
 * Opening a topic, and taking a place in it, as channels take an end. What lies in the blocks
 * of a new topic may be anything: a place counts only if it says that it is for this object.
 */
#include <errno.h>
#include <sched.h>

#include "topic.h"

#define JOIN_TRIES	16

static unsigned int member_index(const struct topic *topic, unsigned int place)
{
	return topic->is_publisher ? place : topic->geometry.layout.publishers + place;
}

static uint64_t member_byte(const struct topic *topic, unsigned int index)
{
	return topic->offset + topic->geometry.members +
	       index * sizeof(struct ivshmem_slot_end);
}

/* Is a program there that is not known to be dead? */
bool ivshmem_topic_lives(const struct topic *topic, unsigned int index)
{
	const struct ivshmem_slot_end *member = topic_member(topic, index);
	uint32_t epoch = __atomic_load_n(&member->epoch, __ATOMIC_ACQUIRE);

	return epoch % 4 == END_ATTACHED &&
	       ivshmem_end_is_for(member, epoch, topic->object.generation) &&
	       ivshmem_end_lives(member, member_byte(topic, index), topic->shm);
}

/* IVSHMEM_END_FREE also where it does not count. */
enum ivshmem_end_state ivshmem_topic_state(const struct topic *topic, unsigned int index)
{
	const struct ivshmem_slot_end *member = topic_member(topic, index);
	uint32_t epoch = __atomic_load_n(&member->epoch, __ATOMIC_ACQUIRE);

	if (!ivshmem_end_is_for(member, epoch, topic->object.generation))
		return IVSHMEM_END_FREE;
	return ivshmem_end_state_by(member, member_byte(topic, index), topic->shm);
}

static int map_topic(struct topic *topic)
{
	struct ivshmem_extent extent;
	int err;

	err = ivshmem_object_extent(&topic->directory, &topic->object, &extent);
	if (!err)
		err = ivshmem_topic_read(&topic->geometry, &topic->directory, &topic->object,
					 extent.size);
	if (!err && topic->shm->readonly && topic_is_lossless(topic))
		err = -EACCES;
	if (!err && !topic->shm->readonly)
		err = ivshmem_region_reserve(topic->shm, extent.offset, topic->geometry.size);
	if (!err)
		err = ivshmem_window_map(&topic->window, topic->shm, extent.offset,
					 topic->geometry.size);
	topic->offset = extent.offset;
	topic->head = topic->window.data;
	return err;
}

static void disown(struct ivshmem_holder *holder)
{
	struct topic *topic = container_of(holder, struct topic, holder);

	topic->failed = -ECHILD;
}

/* Without a place. ivshmem_topic_close() undoes it, also where it fails. */
int ivshmem_topic_open(struct topic *topic, struct ivshmem *shm, const char *name,
		       bool is_publisher)
{
	int err = ivshmem_object_check(shm, name, is_publisher);

	*topic = (struct topic) { .is_publisher = is_publisher };
	if (err)
		return err;
	topic->shm = shm;
	ivshmem_sleeper_init(&topic->sleeper, shm, &ivshmem_topic_sleeps);
	topic->holder.disown = disown;
	ivshmem_hold(shm, &topic->holder);
	ivshmem_hold(shm, &topic->user);
	err = ivshmem_directory_open(&topic->directory, shm);
	if (!err)
		err = ivshmem_object_find(&topic->directory, name, IVSHMEM_TOPIC, &topic->object);
	if (err)
		return err;
	/* The lock first, then a look whether it was in time: see directory.c. */
	ivshmem_share(shm, &topic->user, ivshmem_slot_byte(topic->object.slot));
	err = ivshmem_object_stays(&topic->directory, &topic->object);
	return err ? err : map_topic(topic);
}

/* -EBUSY: another program has it. */
static int try_place(struct topic *topic, unsigned int place)
{
	unsigned int index = member_index(topic, place);

	topic->place = place;
	return ivshmem_place_take(&topic->sleeper, &topic->holder, topic_member(topic, index),
				  member_byte(topic, index), &topic->object);
}

/* What a place says is not looked at until ivshmem_place_enter(). -EBUSY: all are taken. */
static int take_place(struct topic *topic)
{
	const struct ivshmem_topic_layout *layout = &topic->geometry.layout;
	unsigned int count = topic->is_publisher ? layout->publishers : layout->subscribers;
	struct ivshmem_waiter *waiter = &topic->sleeper.waiter;
	struct ivshmem_slot_end *end;
	unsigned int place;
	int err = -EBUSY;

	for (place = 0; place < count && err == -EBUSY; place++)
		err = try_place(topic, place);
	if (err)
		return err;
	end = topic->sleeper.end;
	waiter->word = topic->is_publisher ? &end->sender : &end->receiver;
	waiter->other_bell = topic->is_publisher ? &end->receiver_bell : &topic->head->bell;
	/* It counts on: publishers know how far they have woken whoever had the place before. */
	waiter->waits = __atomic_load_n(waiter->word, __ATOMIC_RELAXED);
	ivshmem_waiter_announce(waiter, WAITING_AWAKE);
	return 0;
}

/* Takes a place, has @prepare write what others will see there, and enters. -EBUSY: no place. */
int ivshmem_topic_join(struct topic *topic, void (*prepare)(struct topic *topic))
{
	int err, tries;

	for (tries = 0; tries < JOIN_TRIES; tries++) {
		err = take_place(topic);
		if (err)
			return err;
		prepare(topic);
		if (ivshmem_place_enter(&topic->sleeper))
			return 0;
		ivshmem_place_leave(&topic->sleeper, &topic->holder);
	}
	return -EBUSY;
}

/* A child's copy is only forgotten: the place is the parent's. */
void ivshmem_topic_close(struct topic *topic)
{
	if (!topic->shm)
		return;
	if (topic->sleeper.end && !topic->shm->inherited)
		ivshmem_place_leave(&topic->sleeper, &topic->holder);
	ivshmem_waiter_close(&topic->sleeper.waiter);
	ivshmem_window_unmap(&topic->window);
	ivshmem_directory_close(&topic->directory);
	ivshmem_unclaim(topic->shm, &topic->holder);
	ivshmem_unshare(topic->shm, &topic->user);
	ivshmem_drop(topic->shm, &topic->user);
	ivshmem_drop(topic->shm, &topic->holder);
}

int ivshmem_make_topic(struct ivshmem *shm, const char *name,
		       const struct ivshmem_topic_layout *layout)
{
	struct topic_geometry geometry;
	struct ivshmem_spec spec;
	int err = ivshmem_object_check(shm, name, true);

	if (err)
		return err;
	if (!layout || !ivshmem_topic_measure(&geometry, layout))
		return -EINVAL;
	ivshmem_topic_spec(&spec, &geometry);
	return ivshmem_make_object(shm, name, &spec);
}
