// SPDX-License-Identifier: MIT
#include <errno.h>

#include "channel.h"
#include "session.h"
#include "transfer.h"
#include "waiting.h"

/* How often to look before anything else is done; the answer may be on its way. */
#define QUICK_LOOKS	256

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
	ivshmem_wake_other(&channel->link, &channel->news);
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
	return ivshmem_waiter_fail(&channel->news, ivshmem_wait_for(channel, &channel->news,
						     ivshmem_news_is_there, 0, timeout_ms));
}

/* The length of the next message, or a negative errno. @looks: before all else. */
static inline int64_t find_next(struct ivshmem_channel *channel, struct found *found,
				unsigned int looks, int timeout_ms)
{
	int64_t length;
	int err;

	if (unlikely(channel->news.failed < 0))
		return ivshmem_waiter_tell(&channel->news);
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
		ivshmem_waiter_fail(&channel->news, (int)length);
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
