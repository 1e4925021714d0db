/* SPDX-License-Identifier: MIT */
/*
 * The two ends of a ring of records, as format.h describes them. A ring is mapped
 * twice in a row: whatever starts in it and is no longer than it can be read and
 * written in one piece.
 *
 * All that steers a ring is private to its end. What comes from the other side is
 * read once: a header, and how much was consumed. Both are checked.
 *
 * Small enough to be inlined: a message takes ten nanoseconds.
 */
#ifndef IVSHMEM_RING_H
#define IVSHMEM_RING_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "format.h"

/**
 * struct ivshmem_sender - The writing end.
 * @data: The ring.
 * @size: Its size in bytes.
 * @position: Bytes written since the session began, held back ones included.
 * @offset: @position within the ring.
 * @passed: Of @position, what the other end may have seen.
 * @consumed: Of @passed, what the other end is known to have taken.
 * @count: Records written.
 * @held: Where the header belongs that holds all later records back; NULL where
 *        there is none.
 * @held_header: The header.
 * @stale: A bit for each 64 bytes of the ring: what lies there may look like a
 *         header. Only messages' insides can, so small ones leave no work.
 */
struct ivshmem_sender {
	char *data;
	uint64_t size;
	uint64_t position;
	uint64_t offset;
	uint64_t passed;
	uint64_t consumed;
	uint32_t count;
	uint64_t *held;
	uint64_t held_header;
	uint64_t *stale;
};

/**
 * struct ivshmem_receiver - The reading end.
 * @data: The ring.
 * @size: Its size in bytes.
 * @position: Bytes looked at since the session began.
 * @offset: @position within the ring.
 * @released: Of @position, what is done with.
 * @told: Of @released, what the other end was told.
 * @count: Records looked at.
 */
struct ivshmem_receiver {
	const char *data;
	uint64_t size;
	uint64_t position;
	uint64_t offset;
	uint64_t released;
	uint64_t told;
	uint32_t count;
};

static inline uint64_t ivshmem_record_size(uint64_t length)
{
	return (length + RECORD_HEADER + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

/* Two of the longest fit, so that one can be written while the other is read. */
static inline uint64_t ivshmem_ring_max_length(uint64_t size)
{
	return size / 2 - RECORD_HEADER;
}

static inline uint64_t record_header(uint32_t number, uint32_t length)
{
	return (uint64_t)(number | RECORD_MARK) << 32 | length;
}

static inline uint64_t ring_advance(uint64_t offset, uint64_t record, uint64_t size)
{
	offset += record;
	return offset >= size ? offset - size : offset;
}

static inline bool sender_is_stale(const struct ivshmem_sender *sender, uint64_t offset)
{
	return sender->stale[offset / RECORD_ALIGN / 64] >> (offset / RECORD_ALIGN % 64) & 1;
}

static inline bool sender_has_room(const struct ivshmem_sender *sender, uint64_t record)
{
	return sender->position + record - sender->consumed <= sender->size;
}

/* -EPROTO: that can't have been consumed. */
static inline int sender_learn(struct ivshmem_sender *sender, const uint64_t *consumed)
{
	uint64_t now = __atomic_load_n(consumed, __ATOMIC_ACQUIRE);

	if (now - sender->consumed > sender->passed - sender->consumed || now % RECORD_ALIGN)
		return -EPROTO;
	sender->consumed = now;
	return 0;
}

/* What is about to be written behind the first 64 bytes may look like headers. */
void ivshmem_sender_spoil(struct ivshmem_sender *sender, uint64_t record);

static inline char *sender_reserve(struct ivshmem_sender *sender, uint64_t record)
{
	if (record > RECORD_ALIGN)
		ivshmem_sender_spoil(sender, record);
	return sender->data + sender->offset + RECORD_HEADER;
}

/* The message that was written to what was reserved; not passed on yet. */
static inline void sender_commit(struct ivshmem_sender *sender, uint32_t length)
{
	uint64_t *header = (uint64_t *)(sender->data + sender->offset);
	uint64_t record = ivshmem_record_size(length);

	sender->offset = ring_advance(sender->offset, record, sender->size);
	sender->position += record;
	sender->count++;
	if (sender_is_stale(sender, sender->offset)) {
		__atomic_store_n((uint64_t *)(sender->data + sender->offset), 0,
				 __ATOMIC_RELAXED);
		sender->stale[sender->offset / RECORD_ALIGN / 64] &=
			~(1ull << (sender->offset / RECORD_ALIGN % 64));
	}
	if (sender->held) {
		__atomic_store_n(header, record_header(sender->count, length),
				 __ATOMIC_RELAXED);
	} else {
		sender->held = header;
		sender->held_header = record_header(sender->count, length);
	}
}

/* The first header of those that were held back, so all are seen or none is. */
static inline void sender_pass(struct ivshmem_sender *sender)
{
	if (!sender->held)
		return;
	__atomic_store_n(sender->held, sender->held_header, __ATOMIC_RELEASE);
	sender->held = NULL;
	sender->passed = sender->position;
}

static inline uint64_t receiver_look(const struct ivshmem_receiver *receiver)
{
	return __atomic_load_n((const uint64_t *)(receiver->data + receiver->offset),
			       __ATOMIC_ACQUIRE);
}

static inline bool receiver_is_next(const struct ivshmem_receiver *receiver, uint64_t header)
{
	return header >> 32 == ((receiver->count + 1) | RECORD_MARK);
}

/* The length; -EPROTO: there can't be such a message. */
static inline int64_t receiver_check(const struct ivshmem_receiver *receiver, uint64_t header)
{
	uint64_t length = header & UINT32_MAX;
	uint64_t ahead = receiver->position - receiver->released;

	if (length > ivshmem_ring_max_length(receiver->size) ||
	    ahead + ivshmem_record_size(length) > receiver->size)
		return -EPROTO;
	return (int64_t)length;
}

static inline const char *receiver_take(struct ivshmem_receiver *receiver, uint64_t length)
{
	const char *message = receiver->data + receiver->offset + RECORD_HEADER;
	uint64_t record = ivshmem_record_size(length);

	receiver->offset = ring_advance(receiver->offset, record, receiver->size);
	receiver->position += record;
	receiver->count++;
	return message;
}

static inline void receiver_tell(struct ivshmem_receiver *receiver, uint64_t *consumed)
{
	__atomic_store_n(consumed, receiver->released, __ATOMIC_RELEASE);
	receiver->told = receiver->released;
}

int ivshmem_sender_init(struct ivshmem_sender *sender, char *data, uint64_t size);
void ivshmem_sender_reset(struct ivshmem_sender *sender);
void ivshmem_sender_free(struct ivshmem_sender *sender);
void ivshmem_receiver_init(struct ivshmem_receiver *receiver, const char *data, uint64_t size);

#endif /* IVSHMEM_RING_H */
