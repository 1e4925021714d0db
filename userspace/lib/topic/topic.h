/* SPDX-License-Identifier: MIT */
/*
 * A topic, as a publisher or a subscriber has it open.
 *
 *	layout.c	says where all lies
 *	member.c	opens the topic, and takes a place in it
 *	sleep.c		waits, and wakes
 *	publish.c	publishes
 *	subscribe.c	receives, and holds
 *	in_set.c	is waited for by a wait set
 *	copy.c		copies it for who only looks
 */
#ifndef TOPIC_H
#define TOPIC_H

#include <ivshmem/topic.h>

#include "wakeup/wakeup.h"

#include "layout.h"

/**
 * struct topic - What both kinds of members have.
 * @shm: The region.
 * @holder: Keeps it, and has the claim to the place.
 * @user: Shares the topic's lock.
 * @directory: Of the region.
 * @object: The topic in it.
 * @window: Where its blocks are mapped.
 * @offset: Where they lie in the region.
 * @geometry: Of the blocks.
 * @head: The head.
 * @is_publisher: Which kind this one is.
 * @place: Among those of its kind.
 * @sleeper: How this one is woken; its end is the place.
 * @handled: Of a publisher: what @sleeps of the head was when it woke whoever slept, and none was
 *           drowsy.
 * @drowsy_until: Of a publisher: until then it looks at those that were drowsy.
 * @woken: Of a publisher: the waiting word of each subscriber that it has woken, or seen drowsy.
 * @failed: What all calls return from now on; 0 as long as all is well.
 */
struct topic {
	struct ivshmem *shm;
	struct ivshmem_holder holder;
	struct ivshmem_holder user;
	struct ivshmem_directory directory;
	struct ivshmem_object object;
	struct ivshmem_window window;
	uint64_t offset;
	struct topic_geometry geometry;
	struct topic_head *head;
	bool is_publisher;
	unsigned int place;
	struct ivshmem_sleeper sleeper;
	uint32_t handled;
	int64_t drowsy_until;
	uint32_t *woken;
	int failed;
};

static inline struct topic *topic_of(struct ivshmem_sleeper *sleeper)
{
	return container_of(sleeper, struct topic, sleeper);
}

static inline void *topic_at(const struct topic *topic, uint64_t offset)
{
	return (char *)topic->window.data + offset;
}

/* Publishers come first. */
static inline struct ivshmem_slot_end *topic_member(const struct topic *topic, unsigned int index)
{
	return (struct ivshmem_slot_end *)topic_at(topic, topic->geometry.members) + index;
}

static inline struct ivshmem_slot_end *topic_subscriber(const struct topic *topic,
							unsigned int place)
{
	return topic_member(topic, topic->geometry.layout.publishers + place);
}

/* Of a publisher: how many messages it has published. */
static inline uint64_t *topic_published(const struct topic *topic, unsigned int publisher)
{
	return topic_at(topic, topic->geometry.publishers +
			       publisher * topic->geometry.publisher_size);
}

/* Of a publisher: which object that count is of. */
static inline uint64_t *topic_counts_for(const struct topic *topic, unsigned int publisher)
{
	return topic_published(topic, publisher) + 1;
}

/* The same object at the same place of a region that was formatted anew is another one. */
static inline uint64_t topic_identity(const struct topic *topic)
{
	return (uint64_t)topic->object.generation << 32 |
	       (uint32_t)(topic->directory.superblock.crc + topic->object.slot);
}

/* Has there been a publisher of this topic? Before, count and entries may be anything. */
static inline bool topic_has_count(const struct topic *topic, unsigned int publisher)
{
	return __atomic_load_n(topic_counts_for(topic, publisher), __ATOMIC_ACQUIRE) ==
	       topic_identity(topic);
}

/* Of a subscriber: changed each time that publishers are to wait for it again; never 0. */
static inline uint32_t *topic_entered(const struct topic *topic, unsigned int subscriber)
{
	return &topic_subscriber(topic, subscriber)->ready;
}

/* Of a publisher: what topic_entered() of a subscriber was when it was dropped. */
static inline uint32_t *topic_dropped(const struct topic *topic, unsigned int publisher,
				      unsigned int subscriber)
{
	return (uint32_t *)((char *)topic_published(topic, publisher) + 64) + subscriber;
}

/* Of a subscriber: how many of a publisher's messages it needs no more. */
static inline uint64_t *topic_taken(const struct topic *topic, unsigned int subscriber,
				    unsigned int publisher)
{
	return (uint64_t *)topic_at(topic, topic->geometry.subscribers +
					   subscriber * topic->geometry.subscriber_size) +
	       publisher;
}

/* Of a subscriber: what it holds; in the high half the publisher, in the low a buffer + 1. */
static inline uint64_t *topic_hold(const struct topic *topic, unsigned int subscriber,
				   unsigned int index)
{
	return topic_taken(topic, subscriber, topic->geometry.layout.publishers) + index;
}

static inline struct topic_entry *topic_entry(const struct topic *topic, unsigned int publisher,
					      uint64_t number)
{
	return topic_at(topic, topic_entry_offset(&topic->geometry, publisher, number));
}

static inline char *topic_buffer(const struct topic *topic, unsigned int publisher,
				 uint32_t buffer)
{
	return topic_at(topic, topic->geometry.buffers +
			((uint64_t)publisher * topic->geometry.buffer_count + buffer) *
			topic->geometry.buffer_size);
}

static inline bool topic_is_lossless(const struct topic *topic)
{
	return topic->geometry.layout.flags & IVSHMEM_TOPIC_LOSSLESS;
}

/* Has no other program taken the place, and nobody removed the topic? */
static inline bool topic_has_place(const struct topic *topic)
{
	return (!topic->sleeper.end || ivshmem_place_is_own(&topic->sleeper)) &&
	       ivshmem_object_seems_there(&topic->directory, &topic->object);
}

/* member.c */
int ivshmem_topic_open(struct topic *topic, struct ivshmem *shm, const char *name,
		       bool is_publisher);
int ivshmem_topic_join(struct topic *topic, void (*prepare)(struct topic *topic));
void ivshmem_topic_close(struct topic *topic);
bool ivshmem_topic_lives(const struct topic *topic, unsigned int index);
enum ivshmem_end_state ivshmem_topic_state(const struct topic *topic, unsigned int index);

/* copy.c */
int ivshmem_topic_copy(struct topic *topic, const struct ivshmem_directory *directory,
		       const struct ivshmem_object *object);
void ivshmem_topic_free_copy(struct topic *topic);
int ivshmem_topic_copy_entry(const struct topic *topic, unsigned int publisher, uint64_t number,
			     struct topic_entry *entry);

/* sleep.c */
extern const struct ivshmem_sleeper_ops ivshmem_topic_sleeps;

int ivshmem_topic_check(struct topic *topic);
unsigned int ivshmem_topic_ways(const struct topic *topic, const struct ivshmem_sleeper *sleeper);
void ivshmem_topic_wake_subscribers(struct topic *topic);
void ivshmem_topic_wake_publisher(struct topic *topic, unsigned int publisher);

/* in_set.c */
struct ivshmem_member *ivshmem_subscriber_member(struct ivshmem_subscriber *subscriber);

#endif /* TOPIC_H */
