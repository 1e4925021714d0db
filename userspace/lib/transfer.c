// SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "channel.h"

/* How often to look before anything else is done; the answer may be on its way. */
#define QUICK_LOOKS	256

#define unlikely(x)	__builtin_expect(!!(x), 0)
#define noinline	__attribute__((noinline))

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

static noinline int end_of_session(struct ivshmem_channel *channel)
{
	int err = ivshmem_session_check(channel);

	if (err)
		return fail(&channel->room, err);
	ivshmem_wake_other(channel, &channel->room);
	return 0;
}

/* After a message was passed on; no fence here: see waiting.c. */
static inline int look_at_other(struct ivshmem_channel *channel)
{
	uint64_t quiet = (uint64_t)channel->room.handled << 32 | channel->other_epoch;

	__atomic_store_n(&channel->own->messages, channel->sender.count, __ATOMIC_RELAXED);
	if (unlikely(__atomic_load_n(&channel->other->epoch_and_receiver, __ATOMIC_RELAXED) !=
		     quiet))
		return end_of_session(channel);
	return 0;
}

static inline int pass_on(struct ivshmem_channel *channel)
{
	sender_pass(&channel->sender);
	return look_at_other(channel);
}

static int wait_for_room(struct ivshmem_channel *channel, uint64_t record, int timeout_ms)
{
	int err = 0;

	if (channel->sender.held_header)
		err = pass_on(channel);
	if (!err)
		err = ivshmem_wait_for(channel, &channel->room, ivshmem_room_is_there, record,
				       timeout_ms);
	return fail(&channel->room, err);
}

static inline int find_room(struct ivshmem_channel *channel, size_t length, int timeout_ms)
{
	uint64_t record = ivshmem_record_size(length);
	int err = 0;

	if (unlikely(channel->room.failed))
		return channel->room.failed;
	if (unlikely(length > channel->max_length))
		return -EMSGSIZE;
	if (unlikely(!sender_has_room(&channel->sender, record)))
		err = wait_for_room(channel, record, timeout_ms);
	if (unlikely(!err && !ivshmem_session_has_end(channel)))
		err = fail(&channel->room, -ECONNRESET);
	return err;
}

static inline bool is_idle(const struct ivshmem_channel *channel)
{
	return !channel->reserved && !channel->room.failed && !channel->sender.held_header &&
	       sender_can_rest(&channel->sender) && ivshmem_session_has_end(channel);
}

static noinline int send_record(struct ivshmem_channel *channel, const void *buffer, size_t length,
				int timeout_ms)
{
	char *room;
	int err;

	if (unlikely(channel->reserved))
		return -EBUSY;
	err = find_room(channel, length, timeout_ms);
	if (unlikely(err))
		return err;
	if (length <= sizeof(channel->mailbox.own->message))
		mailbox_tell(&channel->mailbox);
	room = sender_reserve(&channel->sender, ivshmem_record_size(length));
	copy_message(room, buffer, length);
	sender_commit(&channel->sender, (uint32_t)length, channel->sender.held_header);
	return pass_on(channel);
}

int ivshmem_channel_send(struct ivshmem_channel *channel, const void *buffer, size_t length,
			 int timeout_ms)
{
	if (unlikely(!channel || (!buffer && length)))
		return -EINVAL;
	if (length > sizeof(channel->mailbox.own->message) || !is_idle(channel) ||
	    !mailbox_send(&channel->mailbox, channel->sender.count + 1, buffer, length))
		return send_record(channel, buffer, length, timeout_ms);
	channel->sender.count++;
	return look_at_other(channel);
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
	if (unlikely(!ivshmem_session_has_end(channel)))
		return fail(&channel->room, -ECONNRESET);
	sender_commit(&channel->sender, (uint32_t)length,
		      flags & IVSHMEM_MORE || channel->sender.held_header);
	return flags & IVSHMEM_MORE ? 0 : pass_on(channel);
}

/* --- receiving --- */

/**
 * struct found - The next message, which is neither checked nor taken yet.
 * @header: Its header; 0: there is none.
 * @mailed: It is in the mailbox.
 */
struct found {
	uint64_t header;
	bool mailed;
};

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

int ivshmem_news_is_there(struct ivshmem_channel *channel, uint64_t unused)
{
	return look_for_message(channel).header != 0;
}

static void tell(struct ivshmem_channel *channel)
{
	if (!ivshmem_session_has_end(channel))
		return;
	receiver_tell(&channel->receiver, &channel->own->consumed);
	ivshmem_wake_other(channel, &channel->news);
}

void ivshmem_tell_released(struct ivshmem_channel *channel)
{
	if (channel->receiver.told != channel->receiver.released)
		tell(channel);
}

/*
 * Each time that the sender's cache line is written costs both sides, so it is not
 * for each message, but once this end has nothing left to do, and at once where the
 * sender waits for it.
 */
static inline void release(struct ivshmem_channel *channel)
{
	struct ivshmem_receiver *receiver = &channel->receiver;

	mailbox_release(&channel->mailbox);
	receiver->released = receiver->position;
	if (unlikely(receiver->released - receiver->told >= receiver->size / 8 ||
		     __atomic_load_n(&channel->other->sender, __ATOMIC_RELAXED) % 4 !=
		     WAITING_AWAKE))
		tell(channel);
}

/* Who does not want to wait looks once. */
static inline unsigned int quick_looks(int timeout_ms)
{
	return timeout_ms ? QUICK_LOOKS : 1;
}

static noinline int wait_for_message(struct ivshmem_channel *channel, unsigned int looks,
				     int timeout_ms)
{
	while (looks--)
		if (look_for_message(channel).header)
			return 0;
	ivshmem_tell_released(channel);
	return fail(&channel->news, ivshmem_wait_for(channel, &channel->news,
						     ivshmem_news_is_there, 0, timeout_ms));
}

/* The length of the next message, or a negative errno. @looks: before all else. */
static inline int64_t find_next(struct ivshmem_channel *channel, struct found *found,
				unsigned int looks, int timeout_ms)
{
	int64_t length;
	int err;

	if (unlikely(channel->news.failed < 0))
		return channel->news.failed;
	*found = look_for_message(channel);
	if (unlikely(!found->header)) {
		err = wait_for_message(channel, looks, timeout_ms);
		if (err < 0)
			return err;
		*found = look_for_message(channel);
	}
	if (unlikely(!found->header))
		length = -EPROTO;	/* What was there has been taken back. */
	else if (unlikely(!ivshmem_session_has_end(channel)))
		length = -ECONNRESET;
	else if (found->mailed)
		length = mailbox_check(&channel->mailbox, found->header);
	else
		length = receiver_check(&channel->receiver, found->header);
	if (unlikely(length < 0))
		fail(&channel->news, (int)length);
	return length;
}

static inline const char *take(struct ivshmem_channel *channel, struct found found,
			       uint64_t length)
{
	if (!found.mailed)
		return receiver_take(&channel->receiver, length);
	channel->receiver.count++;
	return mailbox_take(&channel->mailbox);
}

static noinline ssize_t recv_next(struct ivshmem_channel *channel, void *buffer, size_t size,
				  unsigned int looks, int timeout_ms)
{
	struct found found;
	int64_t length = find_next(channel, &found, looks, timeout_ms);

	if (unlikely(length < 0))
		return (ssize_t)length;
	if (unlikely((uint64_t)length > size))
		return -EMSGSIZE;
	copy_message(buffer, take(channel, found, (uint64_t)length), (size_t)length);
	release(channel);
	return (ssize_t)length;
}

/* Nothing is to be told of, or wrong. */
static inline bool is_settled(const struct ivshmem_channel *channel)
{
	return channel->receiver.told == channel->receiver.position && !channel->mailbox.open &&
	       !channel->news.failed;
}

/*
 * An answer is on its way, most likely through the mailbox. All that can be is done
 * before it comes. Whatever else comes, or is wrong with it: -EAGAIN.
 */
static inline ssize_t recv_answer(struct ivshmem_channel *channel, void *buffer, size_t size,
				  unsigned int looks)
{
	const struct ivshmem_mail *mail = channel->mailbox.other;
	const uint64_t *record = receiver_at(&channel->receiver);
	uint64_t next = receiver_next(&channel->receiver) + mailbox_next(&channel->mailbox);
	uint64_t most = size < sizeof(mail->message) ? size : sizeof(mail->message);
	uint64_t length;

	do {
		length = __atomic_load_n(&mail->header, __ATOMIC_ACQUIRE) ^ next;
		if (length <= most) {
			if (unlikely(!ivshmem_session_has_end(channel)))
				break;
			copy_short(buffer, (const char *)mail->message, length);
			mailbox_count(&channel->mailbox);
			channel->receiver.count++;
			return (ssize_t)length;
		}
	} while (!record_is_next(__atomic_load_n(record, __ATOMIC_ACQUIRE), next) && --looks);
	return -EAGAIN;
}

ssize_t ivshmem_channel_recv(struct ivshmem_channel *channel, void *buffer, size_t size,
			     int timeout_ms)
{
	unsigned int looks = quick_looks(timeout_ms);
	ssize_t length;

	if (unlikely(!channel || (!buffer && size)))
		return -EINVAL;
	if (is_settled(channel)) {
		length = recv_answer(channel, buffer, size, looks);
		if (length >= 0)
			return length;
		looks = 0;
	}
	return recv_next(channel, buffer, size, looks, timeout_ms);
}

ssize_t ivshmem_channel_peek(struct ivshmem_channel *channel, const void **buffer,
			     int timeout_ms)
{
	struct found found;
	int64_t length;

	if (unlikely(!channel || !buffer))
		return -EINVAL;
	length = find_next(channel, &found, quick_looks(timeout_ms), timeout_ms);
	if (unlikely(length < 0))
		return (ssize_t)length;
	*buffer = take(channel, found, (uint64_t)length);
	return (ssize_t)length;
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

/* Of @timeout_ms, what is left until @deadline. */
static int left_of(int timeout_ms, int64_t deadline)
{
	int64_t left;

	if (timeout_ms <= 0)
		return timeout_ms;
	left = (deadline - ivshmem_now_ns() + NS_PER_MS - 1) / NS_PER_MS;
	return left > 0 ? (int)left : 0;
}

/* The next message that is not empty. The other side does not decide for how long. */
static ssize_t next_part(struct ivshmem_channel *channel, const void **message, int timeout_ms)
{
	uint64_t most = channel->receiver.size / RECORD_ALIGN;
	int64_t deadline = ivshmem_deadline_ns(timeout_ms);
	int left = timeout_ms;
	ssize_t found;

	do {
		found = ivshmem_channel_peek(channel, message, left);
		if (found)
			break;
		release(channel);
		left = left_of(timeout_ms, deadline);
	} while (left || most--);
	if (found == 0 || found == -EAGAIN)
		return timeout_ms ? -ETIMEDOUT : -EAGAIN;
	return found;
}

ssize_t ivshmem_channel_read(struct ivshmem_channel *channel, void *buffer, size_t length,
			     int timeout_ms)
{
	const void *message;
	ssize_t found;

	if (!channel || !buffer || !length)
		return -EINVAL;
	if (!channel->read_left) {
		found = next_part(channel, &message, timeout_ms);
		if (found < 0)
			return found;
		channel->read_at = message;
		channel->read_left = (size_t)found;
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
