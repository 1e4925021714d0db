/* SPDX-License-Identifier: MIT */
/*
 * A short message may go through a channel's mailbox: one cache line that both ends
 * write to, half of it each. Who answers a message that came through it already has
 * the line, so that question and answer cost two transfers of a cache line, where two
 * rings cost four.
 *
 * A half is free again once the other end has told, with a message of its own through
 * the mailbox, that it is done with what was there. So messages that nobody answers
 * go through the ring, all but the first. Their numbers keep them in order.
 */
#ifndef IVSHMEM_MAILBOX_H
#define IVSHMEM_MAILBOX_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

/**
 * struct ivshmem_mailbox - This process's view of the line.
 * @own: The half that this end writes.
 * @other: The half that it reads.
 * @sent: Messages sent through it.
 * @taken: Messages of the other end that are done with. Written by the thread that
 *         receives, read by the one that sends.
 * @open: There is one more that was looked at.
 */
struct ivshmem_mailbox {
	struct ivshmem_mail *own;
	const struct ivshmem_mail *other;
	uint32_t sent;
	uint32_t taken;
	bool open;
};

/* The low half of a header. */
static inline uint32_t mail_length(uint32_t mail, size_t length)
{
	return mail << MAIL_COUNT_SHIFT | (uint32_t)length;
}

static inline bool mailbox_is_free(const struct ivshmem_mailbox *box)
{
	return __atomic_load_n(&box->other->taken, __ATOMIC_ACQUIRE) == box->sent;
}

static inline void mailbox_send(struct ivshmem_mailbox *box, uint64_t number,
				const void *message, size_t length)
{
	uint32_t taken = __atomic_load_n(&box->taken, __ATOMIC_ACQUIRE);

	copy_message(box->own->message, message, length);
	__atomic_store_n(&box->own->taken, taken, __ATOMIC_RELEASE);
	__atomic_store_n(&box->own->header,
			 record_header(number, mail_length(++box->sent, length)), __ATOMIC_RELEASE);
}

static inline uint64_t mailbox_look(const struct ivshmem_mailbox *box)
{
	return __atomic_load_n(&box->other->header, __ATOMIC_ACQUIRE);
}

/*
 * Of a header with the number that comes next. Mail that nobody answers lies there
 * for so long that its number may come again; as mail it is none the less the last.
 */
static inline bool mailbox_is_new(const struct ivshmem_mailbox *box, uint64_t header)
{
	uint32_t next = box->taken + box->open + 1;

	return !(((uint32_t)header ^ mail_length(next, 0)) >> MAIL_COUNT_SHIFT);
}

/* The length; -EPROTO: there can't be such a message. */
static inline int64_t mailbox_check(const struct ivshmem_mailbox *box, uint64_t header)
{
	uint64_t length = header & ((1u << MAIL_COUNT_SHIFT) - 1);

	return length > sizeof(box->other->message) || box->open ? -EPROTO : (int64_t)length;
}

static inline const char *mailbox_take(struct ivshmem_mailbox *box)
{
	box->open = true;
	return (const char *)box->other->message;
}

static inline void mailbox_release(struct ivshmem_mailbox *box)
{
	if (!box->open)
		return;
	box->open = false;
	__atomic_store_n(&box->taken, box->taken + 1, __ATOMIC_RELEASE);
}

static inline void mailbox_reset(struct ivshmem_mailbox *box)
{
	box->sent = 0;
	box->taken = 0;
	box->open = false;
	__atomic_store_n(&box->own->taken, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&box->own->header, 0, __ATOMIC_RELAXED);
}

#endif /* IVSHMEM_MAILBOX_H */
