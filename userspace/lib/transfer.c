// SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "channel.h"

/* How often to look before anything else is done; the answer may be on its way. */
#define QUICK_LOOKS	64

#define unlikely(x)	__builtin_expect(!!(x), 0)

/* --- sending --- */

int ivshmem_room_is_there(struct ivshmem_channel *channel, uint64_t record)
{
	struct ivshmem_sender *sender = &channel->sender;

	return sender_learn(sender, &channel->other->consumed) ?:
	       sender_has_room(sender, record);
}

/* What is told once is told by another name from then on. */
static int fail(struct ivshmem_waiter *waiter, int err)
{
	if (err == -ECONNRESET)
		waiter->failed = -ENOTCONN;
	else if (err == -EPIPE || err == -EPROTO || err == -ENODEV)
		waiter->failed = err;
	return err;
}

static int end_of_session(struct ivshmem_channel *channel)
{
	int err = ivshmem_session_check(channel);

	if (err)
		return fail(&channel->room, err);
	ivshmem_wake_other(channel, &channel->room);
	return 0;
}

/* No fence here: see waiting.c. */
static inline int pass_on(struct ivshmem_channel *channel)
{
	uint64_t quiet = (uint64_t)channel->room.handled << 32 | channel->other_epoch;

	sender_pass(&channel->sender);
	__atomic_store_n(&channel->own->messages, channel->messages, __ATOMIC_RELAXED);
	if (unlikely(__atomic_load_n(&channel->other->epoch_and_receiver, __ATOMIC_RELAXED) !=
		     quiet))
		return end_of_session(channel);
	return 0;
}

static int wait_for_room(struct ivshmem_channel *channel, uint64_t record, int timeout_ms)
{
	int err = 0;

	if (channel->sender.held)
		err = pass_on(channel);
	if (!err)
		err = ivshmem_wait_for(channel, &channel->room, ivshmem_room_is_there, record,
				       timeout_ms);
	return fail(&channel->room, err);
}

static inline int find_room(struct ivshmem_channel *channel, size_t length, int timeout_ms)
{
	uint64_t record = ivshmem_record_size(length);

	if (unlikely(channel->room.failed))
		return channel->room.failed;
	if (unlikely(length > channel->max_length))
		return -EMSGSIZE;
	if (unlikely(!sender_has_room(&channel->sender, record)))
		return wait_for_room(channel, record, timeout_ms);
	return 0;
}

int ivshmem_channel_send(struct ivshmem_channel *channel, const void *buffer, size_t length,
			 int timeout_ms)
{
	char *room;
	int err;

	if (unlikely(!channel || (!buffer && length)))
		return -EINVAL;
	if (unlikely(channel->reserved))
		return -EBUSY;
	err = find_room(channel, length, timeout_ms);
	if (unlikely(err))
		return err;
	room = sender_reserve(&channel->sender, ivshmem_record_size(length));
	if (length)
		memcpy(room, buffer, length);
	sender_commit(&channel->sender, (uint32_t)length);
	channel->messages++;
	return pass_on(channel);
}

int ivshmem_channel_reserve(struct ivshmem_channel *channel, void **buffer, size_t length,
			    int timeout_ms)
{
	int err;

	if (unlikely(!channel || !buffer))
		return -EINVAL;
	err = find_room(channel, length, timeout_ms);
	if (unlikely(err))
		return err;
	*buffer = sender_reserve(&channel->sender, ivshmem_record_size(length));
	channel->reserved = true;
	channel->reserved_length = length;
	return 0;
}

int ivshmem_channel_commit(struct ivshmem_channel *channel, size_t length, unsigned int flags)
{
	if (unlikely(!channel || !channel->reserved || length > channel->reserved_length ||
		     flags & ~IVSHMEM_MORE))
		return -EINVAL;
	channel->reserved = false;
	if (unlikely(channel->room.failed))
		return channel->room.failed;
	sender_commit(&channel->sender, (uint32_t)length);
	channel->messages++;
	return flags & IVSHMEM_MORE ? 0 : pass_on(channel);
}

/* --- receiving --- */

int ivshmem_news_is_there(struct ivshmem_channel *channel, uint64_t unused)
{
	return receiver_is_next(&channel->receiver, receiver_look(&channel->receiver));
}

static void tell(struct ivshmem_channel *channel)
{
	receiver_tell(&channel->receiver, &channel->own->consumed);
	ivshmem_wake_other(channel, &channel->news);
}

/* Each time the sender's cache line is written costs both sides: so not for each. */
static inline void release(struct ivshmem_channel *channel)
{
	struct ivshmem_receiver *receiver = &channel->receiver;

	receiver->released = receiver->position;
	if (unlikely(receiver->released - receiver->told >= receiver->size / 8))
		tell(channel);
}

static int wait_for_news(struct ivshmem_channel *channel, int timeout_ms)
{
	const struct ivshmem_receiver *receiver = &channel->receiver;
	int i;

	if (channel->news.failed)
		return channel->news.failed;
	for (i = 0; i < QUICK_LOOKS; i++)
		if (receiver_is_next(receiver, receiver_look(receiver)))
			return 0;
	if (receiver->told != receiver->released)
		tell(channel);
	return fail(&channel->news, ivshmem_wait_for(channel, &channel->news,
						     ivshmem_news_is_there, 0, timeout_ms));
}

/* The length of the next message, which is not taken yet. */
static inline int64_t next_length(struct ivshmem_channel *channel, int timeout_ms)
{
	struct ivshmem_receiver *receiver = &channel->receiver;
	uint64_t header = receiver_look(receiver);
	int64_t length;
	int err;

	if (unlikely(!receiver_is_next(receiver, header) || channel->news.failed)) {
		err = wait_for_news(channel, timeout_ms);
		if (err)
			return err;
		header = receiver_look(receiver);
		if (!receiver_is_next(receiver, header))
			return fail(&channel->news, -EPROTO);
	}
	length = receiver_check(receiver, header);
	return unlikely(length < 0) ? fail(&channel->news, (int)length) : length;
}

ssize_t ivshmem_channel_recv(struct ivshmem_channel *channel, void *buffer, size_t length,
			     int timeout_ms)
{
	const char *message;
	int64_t found;

	if (unlikely(!channel || (!buffer && length)))
		return -EINVAL;
	found = next_length(channel, timeout_ms);
	if (unlikely(found < 0))
		return (ssize_t)found;
	if (unlikely((uint64_t)found > length))
		return -EMSGSIZE;
	message = receiver_take(&channel->receiver, (uint64_t)found);
	if (found)
		memcpy(buffer, message, (size_t)found);
	release(channel);
	return (ssize_t)found;
}

ssize_t ivshmem_channel_peek(struct ivshmem_channel *channel, const void **buffer,
			     int timeout_ms)
{
	int64_t found;

	if (unlikely(!channel || !buffer))
		return -EINVAL;
	found = next_length(channel, timeout_ms);
	if (unlikely(found < 0))
		return (ssize_t)found;
	*buffer = receiver_take(&channel->receiver, (uint64_t)found);
	return (ssize_t)found;
}

int ivshmem_channel_release(struct ivshmem_channel *channel)
{
	if (unlikely(!channel))
		return -EINVAL;
	release(channel);
	return 0;
}

/* --- streams --- */

/* Several parts fit, so that both sides copy at the same time. */
static size_t part_length(const struct ivshmem_channel *channel)
{
	return channel->sender.size / 8 - RECORD_HEADER;
}

ssize_t ivshmem_channel_write(struct ivshmem_channel *channel, const void *buffer,
			      size_t length, int timeout_ms)
{
	const char *from = buffer;
	size_t sent = 0, part;
	int err = 0;

	if (!channel || !buffer || length > SSIZE_MAX)
		return -EINVAL;
	while (sent < length && !err) {
		part = length - sent;
		if (part > part_length(channel))
			part = part_length(channel);
		err = ivshmem_channel_send(channel, from + sent, part, timeout_ms);
		if (!err)
			sent += part;
	}
	return err && !sent ? err : (ssize_t)sent;
}

ssize_t ivshmem_channel_read(struct ivshmem_channel *channel, void *buffer, size_t length,
			     int timeout_ms)
{
	const void *message;
	ssize_t found;

	if (!channel || !buffer || !length)
		return -EINVAL;
	while (!channel->read_left) {
		found = ivshmem_channel_peek(channel, &message, timeout_ms);
		if (found < 0)
			return found;
		channel->read_at = message;
		channel->read_left = (size_t)found;
		if (!found)
			release(channel);
	}
	if (length > channel->read_left)
		length = channel->read_left;
	memcpy(buffer, channel->read_at, length);
	channel->read_at += length;
	channel->read_left -= length;
	if (!channel->read_left)
		release(channel);
	return (ssize_t)length;
}
