/* SPDX-License-Identifier: MIT */
/*
 * The two ends of a ring of records, as format/format.h describes them. No record crosses
 * the ring's end: one that would lies at its start. So a message is always in one piece.
 *
 * A sender goes back to the start early as well, where the receiver keeps up: then traffic
 * stays within WARM_SIZE bytes, whose lines and pages are in the caches, however large the
 * ring is. How far this end goes without looking, its user says: see send.c.
 *
 * All that steers a ring is private to its end. What comes from the other side is
 * read once: a header, and how much was consumed. Both are checked.
 *
 * Small enough to be inlined: a message takes ten nanoseconds.
 */
#ifndef RING_H
#define RING_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "format/format.h"

/**
 * struct ivshmem_sender - The writing end.
 * @data: The ring.
 * @size: Its size in bytes.
 * @position: Bytes written since the session began, held back ones included.
 * @lap: The position at which the ring's first byte lay last.
 * @consumed: Of @position, what the other end is known to have taken.
 * @count: Records written.
 * @held: The position of the record that holds all later ones back.
 * @held_header: Its header; 0 where nothing is held back.
 * @stale: A bit for each 64 bytes of the ring: what lies there may look like a
 *         header. Only messages' insides can, so small ones leave no work.
 * @lap_count: What @count was at @lap.
 * @sent: In the region: what @count was when a message was passed on last. It is stored
 *        before @count, so that another thread never finds it behind.
 * @held_count: What it is while records are held back.
 * @begun: In the region: what @begun_count is.
 * @begun_count: Goes on before a message is written, and after one is held back.
 * @progress: In the region: how much is there of a message that is passed on while it is written.
 * @reach: From this offset on, all lines of the ring are stale, but for those that were
 *         written since it went back to the start.
 *
 * Each message changes two words of it, and @sent in the region, no more: stores wait in
 * the processor behind those to the ring, which wait for the other end's cache.
 */
struct ivshmem_sender {
	char *data;
	uint64_t size;
	uint64_t position;
	uint64_t count;
	uint64_t lap;
	uint64_t consumed;
	uint64_t held;
	uint64_t held_header;
	uint64_t *stale;
	uint64_t lap_count;
	uint64_t *sent;
	uint64_t held_count;
	uint64_t *begun;
	uint64_t begun_count;
	uint64_t reach;
	uint64_t *progress;
};

/**
 * struct ivshmem_receiver - The reading end.
 * @data: The ring.
 * @size: Its size in bytes.
 * @position: Bytes looked at since the session began.
 * @lap: The position at which the ring's first byte lay last.
 * @released: Of @position, what is done with: all before the oldest record that is kept.
 * @told: Of @released, what the other end was told.
 * @count: Records looked at.
 * @received: In the region: the same, stored before it.
 * @turned: In the region: bytes that were left out where the sender went back to the start.
 * @kept: How many records were looked at in place, and are still in use.
 * @keeps: A bit for each 64 bytes of the ring: a record that is kept begins there.
 */
struct ivshmem_receiver {
	const char *data;
	uint64_t size;
	uint64_t position;
	uint64_t count;
	uint64_t lap;
	uint64_t released;
	uint64_t told;
	uint64_t kept;
	uint64_t *keeps;
	uint64_t *received;
	uint64_t *turned;
};

#define WARM_SIZE	(64ull << 10)

static inline uint64_t ivshmem_record_size(uint64_t length)
{
	return (length + RECORD_HEADER + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

/* Two of the longest fit, so that one can be written while the other is read. */
static inline uint64_t ivshmem_ring_max_length(uint64_t size)
{
	return size / 2 - RECORD_HEADER;
}

static inline uint64_t record_header(uint64_t number, uint32_t length)
{
	return (uint64_t)((uint32_t)number | RECORD_MARK) << 32 | length;
}

static inline uint64_t *sender_at(const struct ivshmem_sender *sender, uint64_t position)
{
	return (uint64_t *)(sender->data + (position - sender->lap));
}

/* To the ring's end. */
static inline uint64_t sender_rest(const struct ivshmem_sender *sender)
{
	return sender->lap + sender->size - sender->position;
}

/* What a record takes of the ring: with the rest of it, if it lies at the start. */
static inline uint64_t sender_needs(const struct ivshmem_sender *sender, uint64_t record)
{
	uint64_t rest = sender_rest(sender);

	return record <= rest ? record : rest + record;
}

static inline bool sender_has_room(const struct ivshmem_sender *sender, uint64_t record)
{
	return sender->position + sender_needs(sender, record) - sender->consumed <= sender->size;
}

/* -EPROTO: that can't have been consumed. */
static inline int sender_learn(struct ivshmem_sender *sender, const uint64_t *consumed)
{
	uint64_t passed = sender->held_header ? sender->held : sender->position;
	uint64_t now = __atomic_load_n(consumed, __ATOMIC_ACQUIRE);

	if (now - sender->consumed > passed - sender->consumed || now % RECORD_ALIGN)
		return -EPROTO;
	sender->consumed = now;
	return 0;
}

/* The record that starts there is held back, by a header that is not written, or those before. */
void ivshmem_sender_hold(struct ivshmem_sender *sender, uint64_t start, uint64_t *header,
			 uint64_t value);

/* What is about to be written behind the first 64 bytes may look like headers. */
void ivshmem_sender_spoil(struct ivshmem_sender *sender, uint64_t record);

/* There is room, and the place was chosen: see sender_place(). */
static inline char *sender_reserve(struct ivshmem_sender *sender, uint64_t record)
{
	if (record > RECORD_ALIGN)
		ivshmem_sender_spoil(sender, record);
	return (char *)sender_at(sender, sender->position) + RECORD_HEADER;
}

/* The eight bytes where the next header will be must not look like it. */
static inline void sender_clear_next(struct ivshmem_sender *sender)
{
	uint64_t line = (sender->position - sender->lap) / RECORD_ALIGN;

	if (__builtin_expect(sender->stale[line / 64] >> (line % 64) & 1, 0)) {
		__atomic_store_n(sender_at(sender, sender->position), 0, __ATOMIC_RELAXED);
		sender->stale[line / 64] &= ~(1ull << (line % 64));
	}
}

/*
 * May a message go past the ring? What lies there is from the lap before, at the
 * most, and must not become 2^31 messages old: it would look like the next header.
 */
static inline bool sender_can_rest(const struct ivshmem_sender *sender)
{
	return sender->count - sender->lap_count < MAX_REST;
}

/*
 * What is written from now on counts only if the region still has this number afterwards:
 * else it may have gone back to what was there before.
 */
static inline void sender_begin(struct ivshmem_sender *sender)
{
	__atomic_store_n(sender->begun, ++sender->begun_count, __ATOMIC_RELEASE);
}

static inline bool sender_is_unbroken(const struct ivshmem_sender *sender)
{
	return __atomic_load_n(sender->begun, __ATOMIC_ACQUIRE) == sender->begun_count;
}

/* A message with this number was passed on. Release: who finds the number finds it, too. */
static inline void sender_tell(struct ivshmem_sender *sender, uint64_t number)
{
	__atomic_store_n(sender->sent, number, __ATOMIC_RELEASE);
}

static inline void sender_count(struct ivshmem_sender *sender, uint64_t number)
{
	__atomic_store_n(&sender->count, number, __ATOMIC_RELEASE);
}

/* Is what this end has told there, if it holds nothing back? Else memory went back in time. */
static inline bool sender_is_right(const struct ivshmem_sender *sender)
{
	return __atomic_load_n(sender->sent, __ATOMIC_RELAXED) == sender->count;
}

static inline bool sender_holds_right(const struct ivshmem_sender *sender)
{
	return sender->held_header && sender_is_unbroken(sender) &&
	       __atomic_load_n(sender->sent, __ATOMIC_RELAXED) == sender->held_count;
}

/* Behind the record, before its header is written. */
static inline void sender_advance(struct ivshmem_sender *sender, uint32_t length, uint64_t number)
{
	sender->position += ivshmem_record_size(length);
	if (__builtin_expect(sender->position - sender->lap >= sender->size, 0)) {
		sender->lap += sender->size;
		sender->lap_count = number;
		sender->reach = sender->size;
	}
	sender_clear_next(sender);
}

/*
 * The message that was written to what was reserved. Of those that are held back, the
 * first header is written last, so that all are seen or none is.
 */
static inline void sender_commit(struct ivshmem_sender *sender, uint32_t length, bool hold)
{
	uint64_t *header = sender_at(sender, sender->position);
	uint64_t number = sender->count + 1;
	uint64_t value = record_header(number, length);
	uint64_t start = sender->position;

	sender_advance(sender, length, number);
	if (__builtin_expect(!hold, 1)) {
		__atomic_store_n(header, value, __ATOMIC_RELEASE);
		sender_tell(sender, number);
	} else {
		ivshmem_sender_hold(sender, start, header, value);
	}
	sender_count(sender, number);
}

/*
 * Writes a message to what was reserved, and lets the other end read what is there meanwhile.
 * False: memory went back in time, and the message never was there as a whole.
 */
bool ivshmem_sender_grow(struct ivshmem_sender *sender, const char *message, uint32_t length);

/* Says that the next record lies at the ring's start, for which there is room. */
void ivshmem_sender_turn(struct ivshmem_sender *sender);

/* Before a record is reserved that has room: one that would cross the ring's end does not. */
static inline void sender_place(struct ivshmem_sender *sender, uint64_t record)
{
	if (record > sender_rest(sender))
		ivshmem_sender_turn(sender);
}

/*
 * Where all was taken, the next record can go to the start, though the ring goes on: what
 * was written there first is warm. Nothing is kept then that the ring would end at.
 */
static inline void sender_stay_warm(struct ivshmem_sender *sender, uint64_t record)
{
	if (sender->position - sender->lap >= WARM_SIZE && record <= WARM_SIZE &&
	    sender->position == sender->consumed)
		ivshmem_sender_turn(sender);
}

static inline void sender_pass(struct ivshmem_sender *sender)
{
	uint64_t *header;

	if (__builtin_expect(!sender->held_header, 1))
		return;
	header = (uint64_t *)(sender->data + sender->held % sender->size);
	__atomic_store_n(header, sender->held_header, __ATOMIC_RELEASE);
	sender_tell(sender, sender->count);
	__atomic_store_n(&sender->held_header, 0, __ATOMIC_RELEASE);
}

/* Where the next header will be. */
static inline const uint64_t *receiver_at(const struct ivshmem_receiver *receiver)
{
	return (const uint64_t *)(receiver->data + (receiver->position - receiver->lap));
}

/* The next message's header, but for the low half. */
static inline uint64_t receiver_next(const struct ivshmem_receiver *receiver)
{
	return record_header(receiver->count + 1, 0);
}

/* Of a header and one that has the right number. */
static inline bool record_is_next(uint64_t header, uint64_t next)
{
	return !((header ^ next) >> 32);
}

/*
 * Of a header that has the right number: does it say that the record lies at the ring's
 * start, and did this end go there? At the start itself nothing can say so.
 */
bool ivshmem_receiver_turn(struct ivshmem_receiver *receiver);

static inline bool record_is_elsewhere(uint64_t header)
{
	return (uint32_t)header == RECORD_ELSEWHERE;
}

/* The message may still be written: the length is without RECORD_GROWING. */
static inline bool record_is_growing(uint64_t header)
{
	return header & RECORD_GROWING && !record_is_elsewhere(header);
}

/* The length; -EPROTO: there can't be such a message. */
static inline int64_t receiver_check(const struct ivshmem_receiver *receiver, uint64_t header)
{
	uint64_t length = header & UINT32_MAX;
	uint64_t record = ivshmem_record_size(length);
	uint64_t end = receiver->position + record;

	if (length > ivshmem_ring_max_length(receiver->size) ||
	    end - receiver->released > receiver->size ||
	    end - receiver->lap > receiver->size)
		return -EPROTO;
	return (int64_t)length;
}

/* Is what this end has told of there still? Else memory went back in time. */
static inline bool receiver_is_right(const struct ivshmem_receiver *receiver)
{
	return __atomic_load_n(receiver->received, __ATOMIC_RELAXED) == receiver->count;
}

static inline void receiver_count(struct ivshmem_receiver *receiver)
{
	uint64_t number = receiver->count + 1;

	__atomic_store_n(receiver->received, number, __ATOMIC_RELAXED);
	__atomic_store_n(&receiver->count, number, __ATOMIC_RELEASE);
}

static inline const char *receiver_message(const struct ivshmem_receiver *receiver)
{
	return (const char *)receiver_at(receiver) + RECORD_HEADER;
}

static inline const char *receiver_take(struct ivshmem_receiver *receiver, uint64_t length)
{
	const char *message = receiver_message(receiver);

	receiver->position += ivshmem_record_size(length);
	if (__builtin_expect(receiver->position - receiver->lap >= receiver->size, 0))
		receiver->lap += receiver->size;
	receiver_count(receiver);
	return message;
}

/* What was taken is done with, unless an older record is kept. */
static inline void receiver_done(struct ivshmem_receiver *receiver)
{
	if (__builtin_expect(!receiver->kept, 1))
		receiver->released = receiver->position;
}

/* The message that was taken last stays in use. */
static inline void receiver_keep(struct ivshmem_receiver *receiver, const char *message)
{
	uint64_t line = (uint64_t)(message - receiver->data) / RECORD_ALIGN;

	receiver->keeps[line / 64] |= 1ull << (line % 64);
	receiver->kept++;
}

/* Of its record; beyond the ring for what lies elsewhere. */
static inline uint64_t receiver_place(const struct ivshmem_receiver *receiver, const void *message)
{
	return (uintptr_t)message - (uintptr_t)receiver->data - RECORD_HEADER;
}

static inline bool receiver_keeps(const struct ivshmem_receiver *receiver, uint64_t place)
{
	uint64_t line = place / RECORD_ALIGN;

	return place < receiver->size && place % RECORD_ALIGN == 0 &&
	       receiver->keeps[line / 64] >> (line % 64) & 1;
}

/* While others are kept. */
void ivshmem_receiver_release_among(struct ivshmem_receiver *receiver, uint64_t place);

/* The record that begins there; false if none is kept there. */
static inline bool receiver_release(struct ivshmem_receiver *receiver, const void *message)
{
	uint64_t place = receiver_place(receiver, message);
	uint64_t line = place / RECORD_ALIGN;

	if (!receiver_keeps(receiver, place))
		return false;
	receiver->keeps[line / 64] &= ~(1ull << (line % 64));
	if (__builtin_expect(!--receiver->kept, 1))
		receiver->released = receiver->position;
	else
		ivshmem_receiver_release_among(receiver, place);
	return true;
}

/* The sender goes back to the ring's start as soon as it knows that all was taken. */
static inline bool receiver_is_beyond_warm(const struct ivshmem_receiver *receiver)
{
	return receiver->position - receiver->lap >= WARM_SIZE;
}

static inline void receiver_tell(struct ivshmem_receiver *receiver, uint64_t *consumed)
{
	__atomic_store_n(consumed, receiver->released, __ATOMIC_RELEASE);
	__atomic_store_n(&receiver->told, receiver->released, __ATOMIC_RELEASE);
}

/* Up to 16 bytes. */
static inline void copy_short(char *to, const char *from, size_t length)
{
	if (length >= 8) {
		memcpy(to, from, 8);
		if (length > 8)
			memcpy(to + length - 8, from + length - 8, 8);
		return;
	}
	while (length--)
		*to++ = *from++;
}

/*
 * Messages in the cache line of their header are copied here, by two to four stores that do not
 * depend on each other: a call of memcpy(3) takes as long as all the rest. Where a second line
 * has to move, its wider accesses at both ends make up for that: a round trip of 64 bytes takes a
 * fifth less.
 */
static inline void copy_message(void *message, const void *source, size_t length)
{
	const char *from = source;
	char *to = message;

	if (length <= 16) {
		copy_short(to, from, length);
	} else if (length > RECORD_ALIGN - RECORD_HEADER) {
		memcpy(to, from, length);
	} else {
		memcpy(to, from, 16);
		if (length > 32) {
			memcpy(to + 16, from + 16, 16);
			memcpy(to + length - 32, from + length - 32, 16);
		}
		memcpy(to + length - 16, from + length - 16, 16);
	}
}

int ivshmem_sender_init(struct ivshmem_sender *sender, char *data, uint64_t size,
			uint64_t *sent, uint64_t *begun, uint64_t *progress);
void ivshmem_sender_reset(struct ivshmem_sender *sender, uint64_t start);
void ivshmem_sender_free(struct ivshmem_sender *sender);

int ivshmem_receiver_init(struct ivshmem_receiver *receiver, const char *data, uint64_t size,
			  uint64_t *received, uint64_t *turned);
void ivshmem_receiver_reset(struct ivshmem_receiver *receiver, uint64_t start);
void ivshmem_receiver_free(struct ivshmem_receiver *receiver);
void ivshmem_receiver_release_all(struct ivshmem_receiver *receiver, const void *but);

#endif /* RING_H */
