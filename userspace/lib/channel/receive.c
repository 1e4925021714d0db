// SPDX-License-Identifier: MIT
#include <errno.h>

#include "system/system.h"
#include "channel.h"
#include "found.h"
#include "loss.h"
#include "session.h"
#include "transfer.h"
#include "waiting.h"

/* How often to look before anything else is done; the answer may be on its way. */
#define QUICK_LOOKS	256

/* So much of a growing message is read at a time, so that the sender does not decide how often. */
#define LEAST_PART	4096
#define MORE_TO_COME	(1ll << 62)	/* with a length, which thus is more than fits anywhere */

static bool is_growing(const struct found *found)
{
	return !found->mailed && record_is_growing(found->header);
}

/* Goes to the ring's start where the sender has gone there. */
static struct found look_in_ring(struct ivshmem_channel *channel)
{
	struct found found = look_for_message(channel);

	if (!found.mailed && record_is_elsewhere(found.header) &&
	    ivshmem_receiver_turn(&channel->receiver))
		found = look_for_message(channel);
	return found;
}

/* Or a message that is there in part. */
static int start_is_there(struct ivshmem_channel *channel, uint64_t unused)
{
	return look_in_ring(channel).header != 0;
}

static int news_is_there(struct ivshmem_channel *channel, uint64_t unused)
{
	struct found found = look_in_ring(channel);
	uint32_t length = (uint32_t)(found.header & ~RECORD_GROWING);

	return found.header && (!is_growing(&found) || grown_so_far(channel) >= length);
}

/* Of a growing message, than was before. */
static int more_is_there(struct ivshmem_channel *channel, uint64_t unused)
{
	uint64_t grown = grown_so_far(channel);

	grown = grown < channel->growing ? grown / LEAST_PART * LEAST_PART : channel->growing;
	if (grown <= channel->grown)
		return 0;
	channel->grown = grown;
	return 1;
}

/* Would a receiving call return at once? */
bool ivshmem_can_receive(struct ivshmem_channel *channel)
{
	return channel->reading || channel->news.failed ||
	       ivshmem_look(channel, news_is_there, 0);
}

void ivshmem_tell_released(struct ivshmem_channel *channel)
{
	struct ivshmem_receiver *receiver = &channel->receiver;

	if (receiver->told == receiver->released || !receiver_is_right(receiver))
		return;
	receiver_tell(receiver, &channel->own->consumed);
	ivshmem_wake_other(&channel->link, &channel->news);
}

/*
 * Each time that the sender's cache line is written costs both sides, so it is not
 * for each message, but once this end has nothing left to do, and at once where the
 * sender waits for it.
 */
static inline void tell_if_due(struct ivshmem_channel *channel)
{
	struct ivshmem_receiver *receiver = &channel->receiver;

	if (unlikely(receiver->released - receiver->told >= receiver->size / 8 ||
		     __atomic_load_n(&channel->other->sender, __ATOMIC_RELAXED) % 4 !=
		     WAITING_AWAKE))
		ivshmem_tell_released(channel);
}

/* Who does not want to wait looks once. */
static inline unsigned int quick_looks(int timeout_ms)
{
	return timeout_ms ? QUICK_LOOKS : 1;
}

static noinline int wait_for_message(struct ivshmem_channel *channel, ivshmem_ready_fn is_ready,
				     unsigned int looks, int timeout_ms)
{
	int64_t until;
	int err;

	if (receiver_is_beyond_warm(&channel->receiver))
		ivshmem_tell_released(channel);
	while (looks--)
		if (is_ready(channel, 0))
			return 0;
	ivshmem_tell_released(channel);
	until = timeout_ms > 0 ? ivshmem_deadline(timeout_ms) : IVSHMEM_NEVER;
	err = ivshmem_wait_for(channel, &channel->news, is_ready, 0, timeout_ms);
	channel->awaited = err ? 0 : channel->receiver.count + 1;
	channel->until = until;
	return ivshmem_waiter_fail(&channel->news, err);
}

/*
 * Has this end not lost its session while the message was read? The region may have become
 * another under it: what was read counts only if this end's own word is there still.
 */
static inline bool is_sound(const struct ivshmem_channel *channel)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return receiver_is_right(&channel->receiver);
}

static noinline int tell_lost(struct ivshmem_channel *channel)
{
	return ivshmem_waiter_fail(&channel->news, ivshmem_session_lose(channel));
}

/* Of what was found: the length, or a negative errno. */
static always_inline int64_t check_found(struct ivshmem_channel *channel, const struct found *found)
{
	if (unlikely(!found->header))
		return -EPROTO;		/* What was there has been taken back. */
	if (found->mailed)
		return mailbox_check(&channel->mailbox, found->header);
	return receiver_check(&channel->receiver, found->header);
}

/*
 * What was found is no message. 0: it says where that will be, and this end goes there. What
 * can't be there may have come with another time of the region.
 */
static noinline int refuse_found(struct ivshmem_channel *channel, uint64_t header, bool mailed,
				 int err)
{
	if (!receiver_is_right(&channel->receiver))
		return tell_lost(channel);
	if (header && !mailed && record_is_elsewhere(header) &&
	    ivshmem_receiver_turn(&channel->receiver))
		return 0;
	return ivshmem_waiter_fail(&channel->news, ivshmem_session_check(channel) ?: err);
}

/*
 * The length of a growing message. If its start will not do, or nobody is to wait, all of it
 * is there, too; else MORE_TO_COME is added.
 */
static noinline int64_t find_growing(struct ivshmem_channel *channel, uint64_t header, bool start,
				     int timeout_ms)
{
	int64_t length = receiver_check(&channel->receiver, header & ~(uint64_t)RECORD_GROWING);
	int err;

	if (length < 0)
		return refuse_found(channel, header, false, (int)length);
	if (start && timeout_ms)
		return length | MORE_TO_COME;
	err = ivshmem_wait_for(channel, &channel->news, news_is_there, 0, timeout_ms);
	return ivshmem_waiter_fail(&channel->news, err) ?: length;
}

/*
 * The length of the next message, or a negative errno. @start: One that grows will do. @looks:
 * before all else.
 */
static always_inline int64_t find_next(struct ivshmem_channel *channel, struct found *found,
				       bool start, unsigned int looks, int timeout_ms)
{
	int64_t length;
	int err;

	if (unlikely(channel->news.failed < 0))
		return ivshmem_waiter_tell(&channel->news);
	do {
		*found = look_for_message(channel);
		if (unlikely(!found->header)) {
			err = wait_for_message(channel, start ? start_is_there : news_is_there,
					       looks, timeout_ms);
			if (err < 0)
				return err;
			*found = look_for_message(channel);
		}
		length = check_found(channel, found);
		if (likely(length >= 0))
			return length;
		if (is_growing(found))
			return find_growing(channel, found->header, start, timeout_ms);
		err = refuse_found(channel, found->header, found->mailed, (int)length);
	} while (!err);
	return err;
}

/*
 * Of a message in place, after it was read. -ESTALE: that may not have been what was sent.
 * Where more was released than this end knows, the message may be among it.
 */
int ivshmem_check_kept(struct ivshmem_channel *channel)
{
	bool is_released = __atomic_load_n(&channel->own->consumed, __ATOMIC_RELAXED) !=
			   channel->receiver.told;
	int err = is_sound(channel) && !is_released ? 0 : ivshmem_session_lose(channel);

	return err == -ESTALE ? ivshmem_waiter_fail(&channel->news, err) : 0;
}

/* False: this end has lost its session. */
static inline bool take_mail(struct ivshmem_channel *channel, void *buffer, uint64_t length)
{
	copy_short(buffer, (const char *)channel->mailbox.other->message, length);
	if (unlikely(!is_sound(channel)))
		return false;
	mailbox_count(&channel->mailbox);
	receiver_count(&channel->receiver);
	return true;
}

static inline bool take_record(struct ivshmem_channel *channel, void *buffer, uint64_t length)
{
	copy_message(buffer, receiver_message(&channel->receiver), (size_t)length);
	if (unlikely(!is_sound(channel)))
		return false;
	receiver_take(&channel->receiver, length);
	receiver_done(&channel->receiver);
	return true;
}

/* As far as it is there, while the rest is written. */
static int copy_growing(struct ivshmem_channel *channel, char *buffer, int timeout_ms,
			int64_t until)
{
	const char *message = receiver_message(&channel->receiver);
	uint64_t copied = 0;
	int err;

	while (copied < channel->growing) {
		if (!more_is_there(channel, 0)) {
			ivshmem_tell_released(channel);
			err = ivshmem_wait_for(channel, &channel->news, more_is_there, 0,
					       ivshmem_left_of(timeout_ms, until));
			if (err)
				return err == -EAGAIN ? -ETIMEDOUT : err;
		}
		memcpy(buffer + copied, message + copied, (size_t)(channel->grown - copied));
		copied = channel->grown;
	}
	return 0;
}

/* Of a message that is growing, or that does not fit. It is received as a whole or stays. */
static noinline ssize_t recv_long(struct ivshmem_channel *channel, void *buffer, size_t size,
				  uint64_t length, int timeout_ms)
{
	bool was_awaited = channel->awaited == channel->receiver.count + 1;
	int err;

	length &= ~(uint64_t)MORE_TO_COME;
	if (length > size)
		return is_sound(channel) ? -EMSGSIZE : tell_lost(channel);
	channel->awaited = 0;
	channel->growing = length;
	channel->grown = 0;
	err = copy_growing(channel, buffer, timeout_ms,
			   was_awaited ? channel->until : ivshmem_deadline(timeout_ms));
	if (err)
		return ivshmem_waiter_fail(&channel->news, err);
	if (!is_sound(channel))
		return tell_lost(channel);
	receiver_take(&channel->receiver, length);
	receiver_done(&channel->receiver);
	tell_if_due(channel);
	return (ssize_t)length;
}

static noinline ssize_t recv_next(struct ivshmem_channel *channel, void *buffer, size_t size,
				  unsigned int looks, int timeout_ms)
{
	struct found found;
	int64_t length;
	bool sound;

	length = find_next(channel, &found, true, looks, timeout_ms);
	if (unlikely(length < 0))
		return (ssize_t)length;
	if (unlikely((uint64_t)length > size))
		return recv_long(channel, buffer, size, (uint64_t)length, timeout_ms);
	if (unlikely(found.mailed))
		sound = take_mail(channel, buffer, (uint64_t)length);
	else
		sound = take_record(channel, buffer, (uint64_t)length);
	if (unlikely(!sound))
		return tell_lost(channel);
	tell_if_due(channel);
	return (ssize_t)length;
}

/* Nothing is to be told of, kept, or wrong. */
static inline bool is_settled(const struct ivshmem_channel *channel)
{
	return channel->receiver.told == channel->receiver.position && !channel->mailbox.in_use &&
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
			if (unlikely(!take_mail(channel, buffer, length)))
				break;
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
	} else if (unlikely(channel->reading)) {
		return -EBUSY;
	}
	return recv_next(channel, buffer, size, looks, timeout_ms);
}

ssize_t ivshmem_channel_peek(struct ivshmem_channel *channel, const void **buffer,
			     int timeout_ms)
{
	const char *message;
	struct found found;
	int64_t length;

	if (unlikely(!channel || !buffer))
		return -EINVAL;
	if (unlikely(channel->reading))
		return -EBUSY;
	length = find_next(channel, &found, false, quick_looks(timeout_ms), timeout_ms);
	if (unlikely(length < 0))
		return (ssize_t)length;
	if (unlikely(!is_sound(channel)))
		return tell_lost(channel);
	if (found.mailed) {
		message = mailbox_keep(&channel->mailbox);
		receiver_count(&channel->receiver);
	} else {
		message = receiver_take(&channel->receiver, (uint64_t)length);
		receiver_keep(&channel->receiver, message);
	}
	*buffer = message;
	return (ssize_t)length;
}

int ivshmem_channel_release(struct ivshmem_channel *channel, const void *message)
{
	unsigned int place;

	if (unlikely(!channel || message == channel->reading))
		return ivshmem_refuse(channel);
	if (receiver_release(&channel->receiver, message)) {
		tell_if_due(channel);
		return 0;
	}
	place = mailbox_place(&channel->mailbox, message);
	mailbox_free(&channel->mailbox, place);
	return place ? 0 : ivshmem_refuse(channel);
}

static void release_all(struct ivshmem_channel *channel, const void *but)
{
	mailbox_free(&channel->mailbox, ALL_IN_USE & ~mailbox_place(&channel->mailbox, but));
	ivshmem_receiver_release_all(&channel->receiver, but);
}

int ivshmem_channel_release_all(struct ivshmem_channel *channel)
{
	if (unlikely(!channel))
		return -EINVAL;
	if (unlikely(channel->shm->inherited))
		return -ECHILD;
	release_all(channel, channel->reading);
	tell_if_due(channel);
	return 0;
}

void ivshmem_forget_messages(struct ivshmem_channel *channel)
{
	channel->reading = NULL;
	release_all(channel, NULL);
}
