/* SPDX-License-Identifier: MIT */
#ifndef FOUND_H
#define FOUND_H

#include "channel.h"

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
