/* SPDX-License-Identifier: MIT */
#ifndef FOUND_H
#define FOUND_H

#include "channel.h"

/* Of the next message, which is growing: the bytes that are there; of one before another, all. */
static inline uint64_t grown_so_far(const struct ivshmem_channel *channel)
{
	uint64_t progress = __atomic_load_n(&channel->other->progress, __ATOMIC_ACQUIRE);
	uint32_t number = (uint32_t)channel->receiver.count + 1;
	int32_t ahead = (int32_t)((uint32_t)(progress >> 32) - number);

	if (ahead)
		return ahead > 0 ? UINT64_MAX : 0;
	return progress & UINT32_MAX;
}

/**
 * struct found - The next message, which is neither checked nor taken yet.
 * @header: Its header; 0: there is none.
 * @mailed: It is in the mailbox.
 */
struct found {
	uint64_t header;
	bool mailed;
};

/* One that says that the record lies elsewhere counts. */
static inline struct found look_for_message(const struct ivshmem_channel *channel)
{
	uint64_t next = receiver_next(&channel->receiver);
	uint64_t header = __atomic_load_n(receiver_at(&channel->receiver), __ATOMIC_ACQUIRE);

	if (record_is_next(header, next))
		return (struct found) { .header = header };
	header = __atomic_load_n(&channel->mailbox.other->header, __ATOMIC_ACQUIRE);
	if (mail_is_next(header, next + mailbox_next(&channel->mailbox)))
		return (struct found) { .header = header, .mailed = true };
	return (struct found) { .header = 0 };
}

#endif /* FOUND_H */
