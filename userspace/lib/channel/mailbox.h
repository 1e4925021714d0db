/* SPDX-License-Identifier: MIT */
/*
 * A short message may go through a channel's mailbox: one cache line that both ends
 * write to, half of it each. Who answers a message that came through it already has
 * the line, so that question and answer cost two transfers of a cache line, where two
 * rings cost four.
 *
 * A half is free again once the other end has told that it is done with what was there:
 * with a message of its own through the mailbox, or, where that is not free because both
 * have written to it, before it sends a short message through the ring. So messages that
 * nobody answers, or only at length, or in place, go through the ring, all but the first.
 * Their numbers keep them in order.
 *
 * What is looked at in place is copied, so that it may be answered before it is released.
 * There are two places for that. While both are in use the other end is not told that
 * the second message is done with, so that it goes on by the ring.
 */
#ifndef MAILBOX_H
#define MAILBOX_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

#define PLACES		2
#define ALL_IN_USE	((1u << PLACES) - 1)

/**
 * struct ivshmem_mailbox - This process's view of the line.
 * @own: The half that this end writes.
 * @other: The half that it reads.
 * @sent: Messages sent through it.
 * @taken: Messages of the other end that are done with. Written by the thread that
 *         receives, read by the one that sends.
 * @in_use: A bit for each place that has a message which is not released. While all are
 *          in use, the last of these messages is not among @taken.
 * @places: Those messages.
 */
struct ivshmem_mailbox {
	struct ivshmem_mail *own;
	const struct ivshmem_mail *other;
	uint32_t sent;
	uint32_t taken;
	unsigned int in_use;
	uint64_t places[PLACES][2];
};

/* A message of up to 16 bytes as two words, filled with zeroes. */
struct mail_text {
	uint64_t word[2];
};

static inline uint64_t load_word(const char *from)
{
	uint64_t word;

	memcpy(&word, from, sizeof(word));
	return word;
}

static inline struct mail_text mail_text(const void *message, size_t length)
{
	struct mail_text text = { { 0, 0 } };
	const char *from = message;

	if (length >= 8) {
		text.word[0] = load_word(from);
		if (length > 8)
			text.word[1] = load_word(from + length - 8) >> 8 * (16 - length);
		return text;
	}
	while (length--)
		text.word[0] = text.word[0] << 8 | (unsigned char)from[length];
	return text;
}

/* The low half of a header. */
static inline uint32_t mail_length(uint32_t mail, size_t length)
{
	return mail << MAIL_COUNT_SHIFT | (uint32_t)length;
}

/*
 * False: the other end is not done with the one before. All that goes into the line is
 * known before it is written to: between two stores the other end, which looks at it
 * all the time, could fetch it, and it would have to be fetched back.
 */
static inline bool mailbox_send(struct ivshmem_mailbox *box, uint64_t number,
				const void *message, size_t length)
{
	struct ivshmem_mail *own = box->own;
	uint32_t sent = box->sent;
	struct mail_text text;
	uint64_t header;
	uint32_t taken;

	if (__atomic_load_n(&box->other->taken, __ATOMIC_ACQUIRE) != sent++)
		return false;
	box->sent = sent;
	header = record_header(number, mail_length(sent, length));
	text = mail_text(message, length);
	taken = __atomic_load_n(&box->taken, __ATOMIC_ACQUIRE);
	__atomic_store_n(&own->message[0], text.word[0], __ATOMIC_RELAXED);
	__atomic_store_n(&own->message[1], text.word[1], __ATOMIC_RELAXED);
	/* Release: what was there has been read. */
	__atomic_store_n(&own->taken, taken, __ATOMIC_RELEASE);
	__atomic_store_n(&own->header, header, __ATOMIC_RELEASE);
	return true;
}

/* Of what has been received; a message through the mailbox does so, too. */
static inline void mailbox_tell(struct ivshmem_mailbox *box)
{
	uint32_t taken = __atomic_load_n(&box->taken, __ATOMIC_ACQUIRE);

	if (__atomic_load_n(&box->own->taken, __ATOMIC_RELAXED) != taken)
		__atomic_store_n(&box->own->taken, taken, __ATOMIC_RELEASE);
}

/* The low half of the next header, but for the length. */
static inline uint32_t mailbox_next(const struct ivshmem_mailbox *box)
{
	return mail_length(box->taken + (box->in_use == ALL_IN_USE) + 1, 0);
}

/*
 * Of a header and what it must be but for the length. Mail that nobody answers lies
 * there for so long that its number may come again; as mail it is none the less the
 * last. So the low half is compared as well.
 */
static inline bool mail_is_next(uint64_t header, uint64_t next)
{
	return (header ^ next) < 1u << MAIL_COUNT_SHIFT;
}

/* The length; -EPROTO: there can't be such a message. */
static inline int64_t mailbox_check(const struct ivshmem_mailbox *box, uint64_t header)
{
	uint64_t length = header & ((1u << MAIL_COUNT_SHIFT) - 1);

	if (length > sizeof(box->other->message) || box->in_use == ALL_IN_USE)
		return -EPROTO;
	return (int64_t)length;
}

/* The next one is done with. */
static inline void mailbox_count(struct ivshmem_mailbox *box)
{
	__atomic_store_n(&box->taken, box->taken + 1, __ATOMIC_RELEASE);
}

/* Into a place that is free: see mailbox_check(). */
static inline const char *mailbox_keep(struct ivshmem_mailbox *box)
{
	unsigned int place = box->in_use & 1;

	memcpy(box->places[place], box->other->message, sizeof(box->places[place]));
	box->in_use |= 1u << place;
	if (box->in_use != ALL_IN_USE)
		mailbox_count(box);
	return (const char *)box->places[place];
}

/* @places: a bit for each. */
static inline void mailbox_free(struct ivshmem_mailbox *box, unsigned int places)
{
	if (box->in_use == ALL_IN_USE && places)
		mailbox_count(box);
	box->in_use &= ~places;
}

/* The bit of the place that has this message, or 0. */
static inline unsigned int mailbox_place(const struct ivshmem_mailbox *box, const void *message)
{
	unsigned int place;

	for (place = 0; place < PLACES; place++)
		if (message == box->places[place])
			return box->in_use & 1u << place;
	return 0;
}

static inline void mailbox_reset(struct ivshmem_mailbox *box)
{
	box->sent = 0;
	box->taken = 0;
	box->in_use = 0;
	__atomic_store_n(&box->own->taken, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&box->own->header, 0, __ATOMIC_RELAXED);
}

#endif /* MAILBOX_H */
