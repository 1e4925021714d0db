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
	topic->waiter.epoll = -1;
	topic->link.shm = shm;
	topic->link.cancels[0] = &shm->cancel;
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

/* -EBUSY: another program has it. The place is attaching then. */
static int try_place(struct topic *topic, unsigned int place)
{
	unsigned int index = member_index(topic, place);
	struct ivshmem_slot_end *member = topic_member(topic, index);
	uint64_t byte = member_byte(topic, index);
	uint32_t epoch = __atomic_load_n(&member->epoch, __ATOMIC_ACQUIRE);
	uint32_t attaching = ((epoch ?: (uint32_t)ivshmem_now()) & ~3u) + 4 + END_ATTACHING;
	int err;

	if (ivshmem_end_state_by(member, byte, topic->shm) == IVSHMEM_END_ATTACHED &&
	    ivshmem_end_is_for(member, epoch, topic->object.generation))
		return -EBUSY;
	err = ivshmem_claim(topic->shm, &topic->holder, byte);
	if (err)
		return err;
	err = ivshmem_byte_lock(topic->shm, byte);
	if (err != -EBUSY &&
	    __atomic_compare_exchange_n(&member->epoch, &epoch, attaching, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
	    ivshmem_end_tell_purpose(member, attaching, topic->object.generation)) {
		ivshmem_link_tell(&topic->link, member, topic->object.slot, !err);
		topic->place = place;
		topic->member = member;
		topic->epoch = attaching - END_ATTACHING + END_ATTACHED;
		return 0;
	}
	if (!err)
		ivshmem_byte_unlock(topic->shm, byte);
	ivshmem_unclaim(topic->shm, &topic->holder);
	return -EBUSY;
}

/* What a place says is not looked at until enter(). -EBUSY: all are taken. */
static int take_place(struct topic *topic)
{
	const struct ivshmem_topic_layout *layout = &topic->geometry.layout;
	unsigned int count = topic->is_publisher ? layout->publishers : layout->subscribers;
	unsigned int place;
	int err = -EBUSY;

	for (place = 0; place < count && err == -EBUSY; place++)
		err = try_place(topic, place);
	if (err)
		return err;
	topic->waiter.word = topic->is_publisher ? &topic->member->sender :
						   &topic->member->receiver;
	topic->waiter.other_bell = topic->is_publisher ? &topic->member->receiver_bell :
							 &topic->head->bell;
	/* It counts on: publishers know how far they have woken whoever had the place before. */
	topic->waiter.waits = __atomic_load_n(topic->waiter.word, __ATOMIC_RELAXED);
	ivshmem_waiter_announce(&topic->waiter, WAITING_AWAKE);
	return 0;
}

static void leave_place(struct topic *topic)
{
	uint32_t epoch = topic->epoch;

	__atomic_compare_exchange_n(&topic->member->epoch, &epoch,
				    epoch - END_ATTACHED + END_CLOSED, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	if (topic->link.can & WAKE_LOCKED)
		ivshmem_byte_unlock(topic->shm,
				    member_byte(topic, member_index(topic, topic->place)));
	ivshmem_unclaim(topic->shm, &topic->holder);
	topic->member = NULL;
}

/*
 * From here on the others reckon with it, and see all that it has stored before. False: one
 * under another kernel, who can't see its lock, was quicker.
 */
static bool enter(struct topic *topic)
{
	uint32_t attaching = topic->epoch - END_ATTACHED + END_ATTACHING;
	bool entered = __atomic_compare_exchange_n(&topic->member->epoch, &attaching,
						   topic->epoch, false, __ATOMIC_SEQ_CST,
						   __ATOMIC_SEQ_CST);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return entered;
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
		if (enter(topic))
			return 0;
		leave_place(topic);
	}
	return -EBUSY;
}

/* 0; -ECONNRESET: the place or the topic is another's by now. Not for each message. */
int ivshmem_topic_check(struct topic *topic)
{
	if (topic->failed)
		return topic->failed;
	if (!topic_has_place(topic) ||
	    !ivshmem_slot_has_object(&topic->directory, &topic->object) ||
	    ivshmem_directory_has_layout(&topic->directory))
		topic->failed = -ECONNRESET;
	return topic->failed;
}

/* A child's copy is only forgotten: the place is the parent's. */
void ivshmem_topic_close(struct topic *topic)
{
	if (!topic->shm)
		return;
	if (topic->member && !topic->shm->inherited)
		leave_place(topic);
	ivshmem_waiter_close(&topic->waiter);
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
