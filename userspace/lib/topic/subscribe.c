// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "subscriber.h"
#include "topic.h"

#define TRIES	64	/* to get a message, before it is looked whether it may go on */

/* No more than that can have been: numbers are counted. */
static uint64_t published(const struct topic *topic, unsigned int publisher)
{
	uint64_t count;

	if (!topic_has_count(topic, publisher))
		return 0;
	count = __atomic_load_n(topic_published(topic, publisher), __ATOMIC_ACQUIRE);
	return count > UINT64_MAX / 2 ? 0 : count;
}

static uint64_t number_at(const struct topic *topic, unsigned int publisher, uint64_t number)
{
	return __atomic_load_n(&topic_entry(topic, publisher, number)->number, __ATOMIC_ACQUIRE);
}

/* For display. */
static void tell_skipped(const struct ivshmem_subscriber *subscriber)
{
	struct ivshmem_slot_end *member = subscriber->topic.sleeper.end;

	if (member)
		__atomic_store_n(&member->missed, subscriber->skipped, __ATOMIC_RELAXED);
}

static void skip_to(struct ivshmem_subscriber *subscriber, struct stream *stream, uint64_t next)
{
	stream->skipped += next - stream->next;
	subscriber->skipped += next - stream->next;
	stream->next = next;
	tell_skipped(subscriber);
}

/*
 * Is the next message of that publisher there? What was overwritten is skipped: the oldest that
 * is there comes next. The loop ends after all that the publisher keeps.
 */
static bool find_next(struct ivshmem_subscriber *subscriber, unsigned int publisher)
{
	struct stream *stream = &subscriber->streams[publisher];
	struct topic *topic = &subscriber->topic;
	uint64_t history = topic->geometry.layout.history, count, left;

	if (unlikely(!stream->has_count)) {
		stream->has_count = topic_has_count(topic, publisher);
		if (!stream->has_count)
			return false;
	}
	if (likely(number_at(topic, publisher, stream->next) == stream->next))
		return true;
	count = published(topic, publisher);
	if (count < stream->next)
		return false;
	if (count - stream->next >= history)
		skip_to(subscriber, stream, count - history + 1);
	for (left = history; left && stream->next <= count; left--) {
		if (number_at(topic, publisher, stream->next) == stream->next)
			return true;
		skip_to(subscriber, stream, stream->next + 1);
	}
	return false;
}

/* --- lossless topics: what is needed no more --- */

/* As in wakeup/wakeup.h: a publisher that is awake looks itself. */
static inline void tell_taken(struct ivshmem_subscriber *subscriber, unsigned int publisher)
{
	struct stream *stream = &subscriber->streams[publisher];
	struct topic *topic = &subscriber->topic;

	if (!topic_is_lossless(topic) || stream->told == stream->next - 1)
		return;
	stream->told = stream->next - 1;
	__atomic_store_n(topic_taken(topic, topic->place, publisher), stream->told,
			 __ATOMIC_RELEASE);
	if (unlikely(__atomic_load_n(&topic_member(topic, publisher)->sender, __ATOMIC_RELAXED) %
		     4 != WAITING_AWAKE))
		ivshmem_topic_wake_publisher(topic, publisher);
}

/* It counts on from whoever had the place before, as publishers remember whom they dropped. */
static void next_entry(struct ivshmem_subscriber *subscriber)
{
	struct topic *topic = &subscriber->topic;
	uint32_t *entered = topic_entered(topic, topic->place);

	subscriber->entered = (__atomic_load_n(entered, __ATOMIC_RELAXED) + 1) ?: 1;
	__atomic_store_n(entered, subscriber->entered, __ATOMIC_SEQ_CST);
}

/*
 * Publishers that find this look for those whom they have to wait for. They look before each
 * message, without a fence between that look and what they have published before: as in
 * wakeup/wakeup.h, that has arrived after DROWSY_NS. So none of those who have not found this
 * yet publishes more than one message beyond what is to be seen here then.
 */
static void call_publishers(const struct topic *topic)
{
	int64_t until;

	if (topic_is_lossless(topic)) {
		__atomic_fetch_add(&topic->head->joins, 1, __ATOMIC_SEQ_CST);
		for (until = ivshmem_now() + DROWSY_NS; ivshmem_now() < until;)
			;
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void tell_all(struct ivshmem_subscriber *subscriber)
{
	unsigned int i;

	for (i = 0; i < subscriber->topic.geometry.layout.publishers; i++)
		tell_taken(subscriber, i);
}

/* The publisher does not wait for it until it has entered again. */
static bool was_dropped(const struct ivshmem_subscriber *subscriber)
{
	const struct topic *topic = &subscriber->topic;
	unsigned int i;

	for (i = 0; i < topic->geometry.layout.publishers; i++)
		if (topic_has_count(topic, i) &&
		    __atomic_load_n(topic_dropped(topic, i, topic->place), __ATOMIC_ACQUIRE) ==
		    subscriber->entered)
			return true;
	return false;
}

/*
 * With what it has taken, before. The place stays as it is: what is held stays held. A
 * publisher sees it before its next message, or while that is on its way.
 */
static int enter_again(struct ivshmem_subscriber *subscriber)
{
	struct topic *topic = &subscriber->topic;

	if (!topic_has_place(topic))
		return topic->failed = -ECONNRESET;
	tell_all(subscriber);
	next_entry(subscriber);
	call_publishers(topic);
	return 0;
}

/* --- receiving --- */

static int news_is_there(struct ivshmem_sleeper *sleeper)
{
	struct topic *topic = topic_of(sleeper);
	struct ivshmem_subscriber *subscriber = container_of(topic, struct ivshmem_subscriber,
							     topic);
	unsigned int count = topic->geometry.layout.publishers, i;

	if (!topic_has_place(topic))
		return -ECONNRESET;
	for (i = 0; i < count; i++) {
		unsigned int publisher = subscriber->turn + i;

		publisher -= publisher >= count ? count : 0;
		if (!find_next(subscriber, publisher))
			continue;
		subscriber->turn = publisher;
		return 1;
	}
	return 0;
}

static void skip_to_latest(struct ivshmem_subscriber *subscriber)
{
	unsigned int i;

	for (i = 0; i < subscriber->topic.geometry.layout.publishers; i++) {
		uint64_t count = published(&subscriber->topic, i);

		if (count > subscriber->streams[i].next)
			skip_to(subscriber, &subscriber->streams[i], count);
	}
}

static int wait_for_news(struct ivshmem_subscriber *subscriber, int timeout_ms,
			 int64_t *deadline)
{
	tell_all(subscriber);
	if (timeout_ms)
		ivshmem_member_awaken(&subscriber->member);
	return ivshmem_sleeper_wait(&subscriber->topic.sleeper, news_is_there, timeout_ms,
				    deadline);
}

/* Looked for only where something was skipped since the last look: without that it lost nothing. */
static int check_dropped(struct ivshmem_subscriber *subscriber)
{
	if (!topic_is_lossless(&subscriber->topic))
		return 0;
	subscriber->checked = subscriber->skipped;
	return was_dropped(subscriber) ? enter_again(subscriber) ?: -EPIPE : 0;
}

/* 0: @turn says whose message is there. @deadline: as for ivshmem_sleeper_wait(). */
static int find_message(struct ivshmem_subscriber *subscriber, unsigned int flags,
			int timeout_ms, int64_t *deadline)
{
	struct topic *topic = &subscriber->topic;
	int err;

	if (unlikely(topic->failed))
		return topic->failed;
	if (flags & IVSHMEM_LATEST)
		skip_to_latest(subscriber);
	err = news_is_there(&topic->sleeper);
	if (err < 0)
		return ivshmem_topic_check(topic) ?: -ECONNRESET;
	err = err ? 0 : wait_for_news(subscriber, timeout_ms, deadline);
	if (likely(subscriber->skipped == subscriber->checked) ||
	    (err && err != -EAGAIN && err != -ETIMEDOUT))
		return err;
	return check_dropped(subscriber) ?: err;
}

/* After its message was looked at: is it there still, and so was it all the time? */
static inline bool is_unchanged(const struct topic_entry *entry, uint64_t number)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&entry->number, __ATOMIC_RELAXED) == number;
}

static inline const struct topic_entry *next_entry_of(const struct ivshmem_subscriber *subscriber)
{
	return topic_entry(&subscriber->topic, subscriber->turn,
			   subscriber->streams[subscriber->turn].next);
}

/* What find_message() would find at once, where nothing else is to be looked at. */
static inline bool message_is_there(const struct ivshmem_subscriber *subscriber,
				    unsigned int flags)
{
	const struct stream *stream = &subscriber->streams[subscriber->turn];

	return !flags && !subscriber->topic.failed && stream->has_count &&
	       subscriber->skipped == subscriber->checked &&
	       __atomic_load_n(&next_entry_of(subscriber)->number, __ATOMIC_ACQUIRE) ==
	       stream->next && topic_has_place(&subscriber->topic);
}

/* A copy of an entry, without the message; false: it was overwritten meanwhile. */
static inline bool read_entry(const struct ivshmem_subscriber *subscriber,
			      struct topic_entry *entry)
{
	const struct topic_entry *it = next_entry_of(subscriber);

	entry->length = __atomic_load_n(&it->length, __ATOMIC_RELAXED);
	entry->type = __atomic_load_n(&it->type, __ATOMIC_RELAXED);
	entry->time_ns = __atomic_load_n(&it->time_ns, __ATOMIC_RELAXED);
	entry->buffer = __atomic_load_n(&it->buffer, __ATOMIC_RELAXED);
	return is_unchanged(it, subscriber->streams[subscriber->turn].next);
}

static inline bool next_is_unchanged(const struct ivshmem_subscriber *subscriber)
{
	return is_unchanged(next_entry_of(subscriber),
			    subscriber->streams[subscriber->turn].next);
}

/* NULL: there can't be such a message. */
static inline const char *text_of(const struct ivshmem_subscriber *subscriber,
				  const struct topic_entry *entry)
{
	const struct topic *topic = &subscriber->topic;
	uint64_t number = subscriber->streams[subscriber->turn].next;

	if (entry->length > topic->geometry.layout.max_length)
		return NULL;
	if (entry->length <= INLINE_SIZE)
		return topic_entry(topic, subscriber->turn, number)->text;
	if (entry->buffer >= topic->geometry.buffer_count)
		return NULL;
	return topic_buffer(topic, subscriber->turn, entry->buffer);
}

static inline void take(struct ivshmem_subscriber *subscriber, const struct topic_entry *entry,
			struct ivshmem_message_info *info)
{
	unsigned int publisher = subscriber->turn;
	struct stream *stream = &subscriber->streams[publisher];

	if (info)
		*info = (struct ivshmem_message_info) {
			.number = stream->next, .skipped = stream->skipped,
			.time_ns = entry->time_ns, .type = entry->type, .publisher = publisher,
		};
	stream->skipped = 0;
	stream->next++;
	/* To nobody but who looks: its line is this one's. */
	__atomic_store_n(subscriber->tells, ++subscriber->received, __ATOMIC_RELAXED);
	tell_taken(subscriber, publisher);
	if (++subscriber->turn == subscriber->topic.geometry.layout.publishers)
		subscriber->turn = 0;
}

/* It has the number, and is none: the publisher is another's by now, or lies. */
static void skip_junk(struct ivshmem_subscriber *subscriber)
{
	struct stream *stream = &subscriber->streams[subscriber->turn];

	skip_to(subscriber, stream, stream->next + 1);
}

/* A publisher that is always quicker does not keep this one here. */
static int may_try_again(const struct ivshmem_subscriber *subscriber, unsigned int tries,
			 int timeout_ms, int64_t *deadline)
{
	if (tries % TRIES)
		return 0;
	if (!timeout_ms)
		return -EAGAIN;
	if (ivshmem_link_is_cancelled(&subscriber->topic.sleeper.link))
		return -ECANCELED;
	*deadline = *deadline ?: ivshmem_deadline(timeout_ms);
	return ivshmem_deadline_passed(*deadline) ? -ETIMEDOUT : 0;
}

ssize_t ivshmem_subscriber_recv(struct ivshmem_subscriber *subscriber, void *buffer,
				size_t length, struct ivshmem_message_info *info,
				unsigned int flags, int timeout_ms)
{
	int64_t deadline = 0;
	unsigned int tries = 0;
	struct topic_entry entry;
	const char *text;
	int err;

	if (!subscriber || (!buffer && length) || flags & ~IVSHMEM_LATEST)
		return -EINVAL;
	for (;;) {
		err = message_is_there(subscriber, flags) ? 0 :
		      find_message(subscriber, flags, timeout_ms, &deadline);
		if (err)
			return err;
		if (unlikely(!read_entry(subscriber, &entry)))
			goto again;
		text = text_of(subscriber, &entry);
		if (unlikely(!text)) {
			skip_junk(subscriber);
			goto again;
		}
		if (unlikely(entry.length > length))
			return -EMSGSIZE;
		ivshmem_copy_shared(buffer, text, entry.length);
		if (likely(next_is_unchanged(subscriber)))
			break;
again:
		err = may_try_again(subscriber, ++tries, timeout_ms, &deadline);
		if (err)
			return err;
	}
	take(subscriber, &entry, info);
	return entry.length;
}

/* --- holding --- */

static struct held *find_held(struct ivshmem_subscriber *subscriber, const void *message)
{
	unsigned int i;

	for (i = 0; i < subscriber->topic.geometry.layout.holds; i++)
		if (subscriber->held[i].message == message)
			return &subscriber->held[i];
	return NULL;
}

static void set_hold(struct ivshmem_subscriber *subscriber, const struct held *held,
		     uint64_t value)
{
	unsigned int index = (unsigned int)(held - subscriber->held);

	__atomic_store_n(topic_hold(&subscriber->topic, subscriber->topic.place, index), value,
			 __ATOMIC_SEQ_CST);
}

/* False: it was overwritten, or is none. */
static bool try_hold(struct ivshmem_subscriber *subscriber, struct held *held,
		     struct topic_entry *entry)
{
	const char *text;

	if (!read_entry(subscriber, entry))
		return false;
	text = text_of(subscriber, entry);
	if (!text) {
		skip_junk(subscriber);
		return false;
	}
	if (entry->length <= INLINE_SIZE) {
		ivshmem_copy_shared(held->copy, text, entry->length);
		text = held->copy;
	} else {
		set_hold(subscriber, held, (uint64_t)subscriber->turn << 32 | (entry->buffer + 1));
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
	if (!next_is_unchanged(subscriber)) {
		set_hold(subscriber, held, 0);
		return false;
	}
	held->message = text;
	return true;
}

ssize_t ivshmem_subscriber_hold(struct ivshmem_subscriber *subscriber, const void **message,
				struct ivshmem_message_info *info, unsigned int flags,
				int timeout_ms)
{
	int64_t deadline = 0;
	unsigned int tries = 0;
	struct topic_entry entry;
	struct held *held;
	int err;

	if (!subscriber || !message || flags & ~IVSHMEM_LATEST)
		return -EINVAL;
	if (subscriber->topic.failed)
		return subscriber->topic.failed;
	if (!subscriber->topic.sleeper.end)
		return -EACCES;
	held = find_held(subscriber, NULL);
	if (!held)
		return -ENOBUFS;
	for (;;) {
		err = message_is_there(subscriber, flags) ? 0 :
		      find_message(subscriber, flags, timeout_ms, &deadline);
		if (err)
			return err;
		if (try_hold(subscriber, held, &entry))
			break;
		err = may_try_again(subscriber, ++tries, timeout_ms, &deadline);
		if (err)
			return err;
	}
	*message = held->message;
	take(subscriber, &entry, info);
	return entry.length;
}

int ivshmem_subscriber_release(struct ivshmem_subscriber *subscriber, const void *message)
{
	struct held *held;

	if (!subscriber || !message)
		return -EINVAL;
	if (subscriber->topic.failed == -ECHILD)
		return -ECHILD;
	held = find_held(subscriber, message);
	if (!held)
		return -EINVAL;
	held->message = NULL;
	if (message != held->copy && topic_has_place(&subscriber->topic))
		set_hold(subscriber, held, 0);
	return 0;
}

/* --- the object --- */

/* In a lossless topic all but the oldest that is there: see call_publishers(). */
static unsigned int history_of(const struct ivshmem_subscriber *subscriber)
{
	const struct topic *topic = &subscriber->topic;
	unsigned int most = topic->geometry.layout.history - topic_is_lossless(topic);

	return subscriber->history < most ? subscriber->history : most;
}

static void begin_at(struct ivshmem_subscriber *subscriber, unsigned int publisher)
{
	uint64_t count = published(&subscriber->topic, publisher);
	unsigned int history = history_of(subscriber);

	subscriber->streams[publisher].next = count > history ? count - history + 1 : 1;
}

/* For display: before which of all publishers' messages it begins. */
static void tell_begin(struct ivshmem_subscriber *subscriber)
{
	struct ivshmem_slot_end *member = subscriber->topic.sleeper.end;
	uint64_t before = 0;
	unsigned int i;

	for (i = 0; i < subscriber->topic.geometry.layout.publishers; i++)
		before += subscriber->streams[i].next - 1;
	__atomic_store_n(&member->consumed, before, __ATOMIC_RELAXED);
	__atomic_store_n(&member->received, 0, __ATOMIC_RELAXED);
	subscriber->tells = &member->received;
}

/* Publishers wait from what was published by now; no one is held up by a 0 in between. */
static void prepare_place(struct topic *topic)
{
	struct ivshmem_subscriber *subscriber = container_of(topic, struct ivshmem_subscriber,
							     topic);
	unsigned int i;

	for (i = 0; i < topic->geometry.layout.holds; i++)
		__atomic_store_n(topic_hold(topic, topic->place, i), 0, __ATOMIC_RELAXED);
	for (i = 0; i < topic->geometry.layout.publishers; i++) {
		begin_at(subscriber, i);
		subscriber->streams[i].told = subscriber->streams[i].next - 1;
		__atomic_store_n(topic_taken(topic, topic->place, i),
				 subscriber->streams[i].told, __ATOMIC_RELAXED);
	}
	tell_begin(subscriber);
	next_entry(subscriber);
}

/* The place first, then a look at what was published: see find_slowest() of publish.c. */
static int enter(struct ivshmem_subscriber *subscriber)
{
	struct topic *topic = &subscriber->topic;
	unsigned int i;
	int err = 0;

	if (!topic->shm->readonly)
		err = ivshmem_topic_join(topic, prepare_place);
	if (err)
		return err;
	if (topic->sleeper.end)
		call_publishers(topic);
	for (i = 0; i < topic->geometry.layout.publishers; i++) {
		begin_at(subscriber, i);
		/* What was gone before it came it has not missed. */
		find_next(subscriber, i);
		subscriber->streams[i].skipped = 0;
		tell_taken(subscriber, i);
	}
	subscriber->skipped = 0;
	tell_skipped(subscriber);
	if (topic->sleeper.end)
		tell_begin(subscriber);
	return 0;
}

int ivshmem_subscriber_open(struct ivshmem_subscriber **out, struct ivshmem *shm,
			    const char *name, unsigned int history)
{
	struct ivshmem_subscriber *subscriber;
	int err;

	if (!out)
		return -EINVAL;
	subscriber = calloc(1, sizeof(*subscriber));
	if (!subscriber)
		return -ENOMEM;
	subscriber->history = history;
	subscriber->tells = &subscriber->nowhere;
	err = ivshmem_topic_open(&subscriber->topic, shm, name, false);
	if (!err)
		err = enter(subscriber);
	if (err) {
		ivshmem_subscriber_close(subscriber);
		return err;
	}
	*out = subscriber;
	return 0;
}

void ivshmem_subscriber_close(struct ivshmem_subscriber *subscriber)
{
	if (!subscriber)
		return;
	ivshmem_member_leave(&subscriber->member);
	ivshmem_topic_close(&subscriber->topic);
	free(subscriber);
}

uint64_t ivshmem_subscriber_skipped(const struct ivshmem_subscriber *subscriber)
{
	return subscriber ? subscriber->skipped : 0;
}

size_t ivshmem_subscriber_max_length(const struct ivshmem_subscriber *subscriber)
{
	return subscriber ? (size_t)subscriber->topic.geometry.layout.max_length : 0;
}

/* For wait sets: as a receiving call does before it waits. */
int ivshmem_subscriber_look(struct ivshmem_subscriber *subscriber)
{
	return news_is_there(&subscriber->topic.sleeper);
}

void ivshmem_subscriber_tell_all(struct ivshmem_subscriber *subscriber)
{
	tell_all(subscriber);
}
