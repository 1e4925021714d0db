// SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "topic.h"

#define NONE	UINT32_MAX

/**
 * struct ivshmem_publisher - A publisher.
 * @topic: The topic.
 * @entries: Its entries.
 * @published: What it tells the others of @count.
 * @count: Messages published.
 * @slowest: No subscriber of a lossless topic needs a message up to this number.
 * @joins: What @joins of the head was when that was found.
 * @dropped: Subscribers that were dropped.
 * @in_entry: The buffer of each entry, or NONE.
 * @free: Buffers that can be written.
 * @free_count: How many.
 * @retired: Those whose message is gone, that a subscriber may still hold.
 * @retired_count: How many.
 * @is_held: Of each buffer, while they are looked for.
 * @reserved: A buffer that is being written; NONE.
 * @scratch: In its place where a message is in its entry.
 * @is_reserved: A reserved message is open.
 */
struct ivshmem_publisher {
	struct topic topic;
	struct topic_entry *entries;
	uint64_t *published;
	uint64_t count;
	uint64_t slowest;
	uint32_t joins;
	uint64_t dropped;
	uint32_t *in_entry;
	uint32_t *free;
	uint32_t free_count;
	uint32_t *retired;
	uint32_t retired_count;
	bool *is_held;
	uint32_t reserved;
	char scratch[INLINE_SIZE];
	bool is_reserved;
};

/* --- buffers --- */

/* Also one that has died, as far as it was not noticed: that would take a system call each. */
static bool may_hold(const struct topic *topic, unsigned int subscriber)
{
	uint32_t epoch = __atomic_load_n(&topic_subscriber(topic, subscriber)->epoch,
					 __ATOMIC_SEQ_CST);

	return epoch % 4 == END_ATTACHING || epoch % 4 == END_ATTACHED;
}

static void mark_held(struct ivshmem_publisher *publisher)
{
	const struct topic *topic = &publisher->topic;
	const struct ivshmem_topic_layout *layout = &topic->geometry.layout;
	unsigned int s, i;

	memset(publisher->is_held, 0, topic->geometry.buffer_count);
	for (s = 0; s < layout->subscribers; s++) {
		if (!may_hold(topic, s))
			continue;
		for (i = 0; i < layout->holds; i++) {
			uint64_t hold = __atomic_load_n(topic_hold(topic, s, i), __ATOMIC_SEQ_CST);
			uint32_t buffer = (uint32_t)hold - 1;

			if (hold >> 32 == topic->place && buffer < topic->geometry.buffer_count)
				publisher->is_held[buffer] = true;
		}
	}
}

/* See layout.h: their entries have been changed. */
static void reclaim(struct ivshmem_publisher *publisher)
{
	uint32_t i, left = 0;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	mark_held(publisher);
	for (i = 0; i < publisher->retired_count; i++) {
		uint32_t buffer = publisher->retired[i];

		if (publisher->is_held[buffer])
			publisher->retired[left++] = buffer;
		else
			publisher->free[publisher->free_count++] = buffer;
	}
	publisher->retired_count = left;
}

/* There is always one: each hold is of one buffer, and all holds were reckoned with. */
static uint32_t take_buffer(struct ivshmem_publisher *publisher)
{
	if (!publisher->free_count)
		reclaim(publisher);
	return publisher->free[--publisher->free_count];
}

static void retire(struct ivshmem_publisher *publisher, uint32_t *in_entry)
{
	if (*in_entry != NONE)
		publisher->retired[publisher->retired_count++] = *in_entry;
	*in_entry = NONE;
}

/* --- the slowest subscriber --- */

/* @entered is read first: if another takes the place meanwhile, it is the one before's. */
static bool is_awaited(const struct topic *topic, unsigned int subscriber, uint32_t *entered)
{
	const struct ivshmem_slot_end *member = topic_subscriber(topic, subscriber);
	uint32_t epoch;

	*entered = __atomic_load_n(topic_entered(topic, subscriber), __ATOMIC_SEQ_CST);
	epoch = __atomic_load_n(&member->epoch, __ATOMIC_SEQ_CST);
	return epoch % 4 == END_ATTACHED &&
	       ivshmem_end_is_for(member, epoch, topic->object.generation) &&
	       __atomic_load_n(topic_dropped(topic, topic->place, subscriber),
			       __ATOMIC_RELAXED) != *entered;
}

static uint64_t taken_by(const struct ivshmem_publisher *publisher, unsigned int subscriber)
{
	const struct topic *topic = &publisher->topic;
	uint64_t taken = __atomic_load_n(topic_taken(topic, subscriber, topic->place),
					 __ATOMIC_ACQUIRE);

	return taken < publisher->count ? taken : publisher->count;
}

static void drop(struct ivshmem_publisher *publisher, unsigned int subscriber, uint32_t entered)
{
	const struct topic *topic = &publisher->topic;

	__atomic_store_n(topic_dropped(topic, topic->place, subscriber), entered,
			 __ATOMIC_RELEASE);
	publisher->dropped++;
	__atomic_store_n(&topic->sleeper.end->missed, publisher->dropped, __ATOMIC_RELAXED);
}

/* Finds @slowest. Those who are behind @needed and dead are dropped, or all, if @force. */
static void find_slowest(struct ivshmem_publisher *publisher, uint64_t needed, bool force)
{
	struct topic *topic = &publisher->topic;
	const struct ivshmem_topic_layout *layout = &topic->geometry.layout;
	uint64_t slowest = publisher->count, taken;
	uint32_t entered;
	unsigned int s;

	publisher->joins = __atomic_load_n(&topic->head->joins, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (s = 0; s < layout->subscribers; s++) {
		if (!is_awaited(topic, s, &entered))
			continue;
		taken = taken_by(publisher, s);
		if (taken < needed &&
		    (force || !ivshmem_topic_lives(topic, layout->publishers + s))) {
			drop(publisher, s, entered);
			continue;
		}
		if (taken < slowest)
			slowest = taken;
	}
	publisher->slowest = slowest;
}

/* What the next message overwrites. */
static uint64_t next_victim(const struct ivshmem_publisher *publisher)
{
	uint64_t history = publisher->topic.geometry.layout.history;

	return publisher->count < history ? 0 : publisher->count + 1 - history;
}

static int room_is_there(struct ivshmem_sleeper *sleeper)
{
	struct topic *topic = topic_of(sleeper);
	struct ivshmem_publisher *publisher = container_of(topic, struct ivshmem_publisher, topic);

	find_slowest(publisher, next_victim(publisher), false);
	return publisher->slowest >= next_victim(publisher);
}

/* Who has joined since may need what nobody needed. */
static bool has_room(const struct ivshmem_publisher *publisher)
{
	return publisher->slowest >= next_victim(publisher) &&
	       __atomic_load_n(&publisher->topic.head->joins, __ATOMIC_RELAXED) ==
	       publisher->joins;
}

static int find_room(struct ivshmem_publisher *publisher, int timeout_ms)
{
	int64_t deadline = 0;
	int err;

	if (!topic_is_lossless(&publisher->topic) || has_room(publisher))
		return 0;
	err = ivshmem_sleeper_wait(&publisher->topic.sleeper, room_is_there, timeout_ms, &deadline);
	if (err != -EAGAIN && err != -ETIMEDOUT)
		return err;
	find_slowest(publisher, next_victim(publisher), true);
	return 0;
}

/* --- publishing --- */

static uint64_t time_of(unsigned int flags)
{
	struct timespec now;

	if (!(flags & IVSHMEM_STAMP))
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline void gather(char *to, const struct iovec *parts, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (parts[i].iov_len)
			ivshmem_copy_shared(to, parts[i].iov_base, parts[i].iov_len);
		to += parts[i].iov_len;
	}
}

/* @buffer: which has the message, or NONE: @parts have it, and it goes into the entry. */
static inline void pass_on(struct ivshmem_publisher *publisher, uint32_t buffer,
			   const struct iovec *parts, unsigned int count, size_t length,
			   uint32_t type, uint64_t time_ns)
{
	struct topic *topic = &publisher->topic;
	uint64_t number = publisher->count + 1;
	uint32_t index = (uint32_t)number & (topic->geometry.layout.history - 1);
	struct topic_entry *entry = &publisher->entries[index];

	__atomic_store_n(&entry->number, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	if (publisher->in_entry) {
		retire(publisher, &publisher->in_entry[index]);
		publisher->in_entry[index] = buffer;
	}
	__atomic_store_n(&entry->length, (uint32_t)length, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->type, type, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->time_ns, time_ns, __ATOMIC_RELAXED);
	if (buffer == NONE)
		gather(entry->text, parts, count);
	else
		__atomic_store_n(&entry->buffer, buffer, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->number, number, __ATOMIC_RELEASE);
	__atomic_store_n(publisher->published, number, __ATOMIC_RELEASE);
	publisher->count = number;
	if (unlikely(__atomic_load_n(&topic->head->sleeps, __ATOMIC_RELAXED) != topic->handled))
		ivshmem_topic_wake_subscribers(topic);
}

/* The length of a message in parts; -EMSGSIZE, -EINVAL. */
static inline int64_t length_of(const struct ivshmem_publisher *publisher,
				const struct iovec *parts, unsigned int count)
{
	uint64_t length = 0;
	unsigned int i;

	if (count && !parts)
		return -EINVAL;
	for (i = 0; i < count; i++) {
		if (!parts[i].iov_base && parts[i].iov_len)
			return -EINVAL;
		if (parts[i].iov_len > publisher->topic.geometry.layout.max_length - length)
			return -EMSGSIZE;
		length += parts[i].iov_len;
	}
	return (int64_t)length;
}

static inline int prepare(struct ivshmem_publisher *publisher, int timeout_ms)
{
	struct topic *topic = &publisher->topic;

	if (unlikely(topic->failed || !topic_has_place(topic)))
		return ivshmem_topic_check(topic);
	return find_room(publisher, timeout_ms);
}

int ivshmem_publish(struct ivshmem_publisher *publisher, const struct iovec *parts,
		    unsigned int count, uint32_t type, unsigned int flags, int timeout_ms)
{
	uint32_t buffer = NONE;
	int64_t length;
	int err;

	if (!publisher || flags & ~IVSHMEM_STAMP)
		return -EINVAL;
	if (publisher->is_reserved)
		return publisher->topic.failed ?: -EBUSY;
	length = length_of(publisher, parts, count);
	if (length < 0)
		return (int)length;
	err = prepare(publisher, timeout_ms);
	if (err)
		return err;
	if (length > INLINE_SIZE) {
		buffer = take_buffer(publisher);
		gather(topic_buffer(&publisher->topic, publisher->topic.place, buffer), parts,
		       count);
	}
	pass_on(publisher, buffer, parts, count, (size_t)length, type, time_of(flags));
	return 0;
}

int ivshmem_publisher_reserve(struct ivshmem_publisher *publisher, void **buffer)
{
	struct topic *topic;
	int err;

	if (!publisher || !buffer)
		return -EINVAL;
	topic = &publisher->topic;
	if (topic->failed || !topic_has_place(topic)) {
		err = ivshmem_topic_check(topic);
		if (err)
			return err;
	}
	if (!publisher->is_reserved && publisher->in_entry)
		publisher->reserved = take_buffer(publisher);
	publisher->is_reserved = true;
	*buffer = publisher->in_entry ? topic_buffer(topic, topic->place, publisher->reserved) :
					publisher->scratch;
	return 0;
}

int ivshmem_publisher_commit(struct ivshmem_publisher *publisher, size_t length, uint32_t type,
			     unsigned int flags, int timeout_ms)
{
	struct iovec part = { .iov_len = length };
	uint32_t buffer;
	int err;

	if (!publisher || flags & ~IVSHMEM_STAMP)
		return -EINVAL;
	if (publisher->topic.failed == -ECHILD)
		return -ECHILD;
	if (!publisher->is_reserved)
		return -EINVAL;
	if (length > publisher->topic.geometry.layout.max_length)
		return -EMSGSIZE;
	err = prepare(publisher, timeout_ms);
	if (err)
		return err;
	publisher->is_reserved = false;
	buffer = publisher->reserved;
	publisher->reserved = NONE;
	part.iov_base = publisher->scratch;
	if (buffer != NONE && length <= INLINE_SIZE) {
		part.iov_base = topic_buffer(&publisher->topic, publisher->topic.place, buffer);
		publisher->free[publisher->free_count++] = buffer;
		buffer = NONE;
	}
	pass_on(publisher, buffer, &part, 1, length, type, time_of(flags));
	return 0;
}

/* --- the object --- */

static int make_lists(struct ivshmem_publisher *publisher)
{
	const struct topic_geometry *geometry = &publisher->topic.geometry;
	uint32_t history = geometry->layout.history;

	publisher->topic.woken = calloc(geometry->layout.subscribers, sizeof(uint32_t));
	if (!publisher->topic.woken)
		return -ENOMEM;
	if (!geometry->buffer_count)
		return 0;
	publisher->in_entry = malloc(history * sizeof(uint32_t));
	publisher->free = malloc(geometry->buffer_count * sizeof(uint32_t));
	publisher->retired = malloc(geometry->buffer_count * sizeof(uint32_t));
	publisher->is_held = malloc(geometry->buffer_count);
	if (!publisher->in_entry || !publisher->free || !publisher->retired ||
	    !publisher->is_held)
		return -ENOMEM;
	return 0;
}

/* Of those before at this place; the last one may have died before it had counted it. */
static uint64_t last_number(const struct topic *topic)
{
	uint64_t count = __atomic_load_n(topic_published(topic, topic->place), __ATOMIC_ACQUIRE);

	if (count > UINT64_MAX / 2)
		return 0;
	return count + (__atomic_load_n(&topic_entry(topic, topic->place, count + 1)->number,
					__ATOMIC_ACQUIRE) == count + 1);
}

/*
 * Of an entry that those before have left: its message can still be had, and its buffer is in
 * use. False: it is none, or nothing that can be. @is_held: buffers that other entries have.
 */
static bool adopt_entry(struct ivshmem_publisher *publisher, uint32_t index)
{
	const struct topic_geometry *geometry = &publisher->topic.geometry;
	const struct topic_entry *entry = &publisher->entries[index];
	uint64_t number = __atomic_load_n(&entry->number, __ATOMIC_ACQUIRE);
	uint32_t length = __atomic_load_n(&entry->length, __ATOMIC_RELAXED);
	uint32_t buffer = __atomic_load_n(&entry->buffer, __ATOMIC_RELAXED);

	if (!number || number > publisher->count ||
	    publisher->count - number >= geometry->layout.history ||
	    (number & (geometry->layout.history - 1)) != index ||
	    length > geometry->layout.max_length)
		return false;
	if (length <= INLINE_SIZE)
		return true;
	if (buffer >= geometry->buffer_count || publisher->is_held[buffer])
		return false;
	publisher->is_held[buffer] = true;
	publisher->in_entry[index] = buffer;
	return true;
}

/* Subscribers may hold more: that is sorted out by the first reclaim(). */
static void retire_all_others(struct ivshmem_publisher *publisher)
{
	uint32_t i;

	publisher->free_count = publisher->retired_count = 0;
	for (i = 0; i < publisher->topic.geometry.buffer_count; i++)
		if (!publisher->is_held[i])
			publisher->retired[publisher->retired_count++] = i;
}

/* Messages of those before stay. */
static void adopt_entries(struct ivshmem_publisher *publisher)
{
	const struct topic_geometry *geometry = &publisher->topic.geometry;
	uint32_t i;

	if (publisher->is_held)
		memset(publisher->is_held, 0, geometry->buffer_count);
	for (i = 0; i < geometry->layout.history; i++) {
		if (publisher->in_entry)
			publisher->in_entry[i] = NONE;
		if (!adopt_entry(publisher, i))
			__atomic_store_n(&publisher->entries[i].number, 0, __ATOMIC_RELEASE);
	}
	retire_all_others(publisher);
}

/* In an order in which this one may die at any time, as the next one may then. */
static void prepare_place(struct topic *topic)
{
	struct ivshmem_publisher *publisher = container_of(topic, struct ivshmem_publisher, topic);
	bool has_count = topic_has_count(topic, topic->place);
	unsigned int i;

	publisher->count = has_count ? last_number(topic) : 0;
	publisher->entries = topic_entry(topic, topic->place, 0);
	publisher->published = topic_published(topic, topic->place);
	__atomic_store_n(publisher->published, publisher->count, __ATOMIC_RELEASE);
	adopt_entries(publisher);
	for (i = 0; !has_count && i < topic->geometry.layout.subscribers; i++)
		__atomic_store_n(topic_dropped(topic, topic->place, i), 0, __ATOMIC_RELAXED);
	__atomic_store_n(topic_counts_for(topic, topic->place), topic_identity(topic),
			 __ATOMIC_RELEASE);
	topic->handled = __atomic_load_n(&topic->head->sleeps, __ATOMIC_RELAXED) - 1;
}

int ivshmem_publisher_open(struct ivshmem_publisher **out, struct ivshmem *shm, const char *name)
{
	struct ivshmem_publisher *publisher;
	int err;

	if (!out)
		return -EINVAL;
	publisher = calloc(1, sizeof(*publisher));
	if (!publisher)
		return -ENOMEM;
	publisher->reserved = NONE;
	err = ivshmem_topic_open(&publisher->topic, shm, name, true);
	if (!err)
		err = make_lists(publisher);
	if (!err)
		err = ivshmem_topic_join(&publisher->topic, prepare_place);
	if (err) {
		ivshmem_publisher_close(publisher);
		return err;
	}
	find_slowest(publisher, 0, false);
	*out = publisher;
	return 0;
}

void ivshmem_publisher_close(struct ivshmem_publisher *publisher)
{
	if (!publisher)
		return;
	ivshmem_topic_close(&publisher->topic);
	free(publisher->topic.woken);
	free(publisher->in_entry);
	free(publisher->free);
	free(publisher->retired);
	free(publisher->is_held);
	free(publisher);
}

size_t ivshmem_publisher_max_length(const struct ivshmem_publisher *publisher)
{
	return publisher ? (size_t)publisher->topic.geometry.layout.max_length : 0;
}

int ivshmem_publisher_subscribers(struct ivshmem_publisher *publisher)
{
	const struct ivshmem_topic_layout *layout;
	unsigned int s;
	int count = 0;

	if (!publisher)
		return -EINVAL;
	if (publisher->topic.failed == -ECHILD)
		return -ECHILD;
	layout = &publisher->topic.geometry.layout;
	for (s = 0; s < layout->subscribers; s++)
		count += ivshmem_topic_lives(&publisher->topic, layout->publishers + s);
	return count;
}

uint64_t ivshmem_publisher_dropped(const struct ivshmem_publisher *publisher)
{
	return publisher ? publisher->dropped : 0;
}
