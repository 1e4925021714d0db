// SPDX-License-Identifier: MIT
/*
 * Sending, and how who only sends learns that the other end's program has died.
 *
 * Nothing in the region changes then, so the clock has to be looked at, and once a second
 * the lock. For each message that would cost as much as all the rest. So it is done where
 * the quick path ends anyway: where it is not known that there is room. The sender does as
 * if there were room for one message only, looks, and goes on. While messages come faster
 * than every RUN_NS it doubles that number, up to RUN_MOST.
 *
 * Who sends at leisure, so once a second or a thousand times, thus looks at the clock for
 * each message: it is told by the first one that is sent a second after the last look.
 * Who sent faster when the other died is told after RUN_MOST more messages at the latest,
 * however slow it has become. Short messages by the mailbox don't count: the second that
 * nobody takes goes through the ring. What another call has found out is told at once.
 */
#include <errno.h>

#include "system/system.h"
#include "channel.h"
#include "loss.h"
#include "session.h"
#include "transfer.h"
#include "waiting.h"

#define RUN_NS		10000
#define RUN_MOST	64

/* From here on, to copy takes so long that the region may well go back meanwhile. */
#define LONG		1024

/* From here on, the other end reads a message while it is written: see ivshmem_sender_grow(). */
#define GROWING		(64u << 10)

int ivshmem_room_is_there(struct ivshmem_channel *channel, uint64_t record)
{
	struct ivshmem_sender *sender = &channel->sender;

	return sender_learn(sender, &channel->other->consumed) ?:
	       sender_has_room(sender, record);
}

/* Whoever has closed the other end has told before how much it took. */
static bool all_was_taken(struct ivshmem_channel *channel)
{
	return !sender_learn(&channel->sender, &channel->other->consumed) &&
	       channel->sender.consumed == channel->sender.position &&
	       __atomic_load_n(&channel->mailbox.other->taken, __ATOMIC_ACQUIRE) ==
	       channel->mailbox.sent;
}

/* After a message was passed on: if it was taken before the other end closed, all is well. */
static noinline int end_of_session(struct ivshmem_channel *channel)
{
	int err = ivshmem_session_check(channel);

	if (err) {
		ivshmem_waiter_fail(&channel->room, err);
		return err == -EPIPE && all_was_taken(channel) ? 0 : err;
	}
	ivshmem_wake_other(&channel->link, &channel->room);
	return 0;
}

/* After a message was passed on; no fence here: see wakeup.h. */
static inline int look_at_other(struct ivshmem_channel *channel)
{
	uint64_t quiet = (uint64_t)channel->room.handled << 32 | channel->other_epoch;

	if (unlikely(__atomic_load_n(&channel->other->epoch_and_receiver, __ATOMIC_RELAXED) !=
		     quiet))
		return end_of_session(channel);
	return 0;
}

/* What was written is no longer there. */
static noinline int tell_broken(struct ivshmem_channel *channel)
{
	return ivshmem_waiter_fail(&channel->room, ivshmem_session_lose(channel));
}

static inline int pass_on(struct ivshmem_channel *channel)
{
	if (unlikely(channel->sender.held_header && !sender_is_unbroken(&channel->sender)))
		return tell_broken(channel);
	sender_pass(&channel->sender);
	return look_at_other(channel);
}

/* Where the other end can't have taken what it says: was it once, or was it to be once? */
static bool is_of_another_time(const struct ivshmem_channel *channel)
{
	const struct ivshmem_sender *sender = &channel->sender;
	uint64_t consumed = __atomic_load_n(&channel->other->consumed, __ATOMIC_RELAXED);

	return (int64_t)(consumed - sender->consumed) < 0 ||
	       !(sender_is_right(sender) || sender_holds_right(sender));
}

static int wait_for_room(struct ivshmem_channel *channel, uint64_t record, int timeout_ms)
{
	int err = 0;

	if (channel->sender.held_header)
		err = pass_on(channel);
	if (!err)
		err = ivshmem_wait_for(channel, &channel->room, ivshmem_room_is_there, record,
				       timeout_ms);
	if (err == -EPROTO && is_of_another_time(channel))
		err = ivshmem_session_lose(channel);
	return ivshmem_waiter_fail(&channel->room, err);
}

/* -ECONNRESET: the other end's program has died. -EHOSTDOWN: its VM has left. */
static int begin_run(struct ivshmem_channel *channel)
{
	int64_t now = ivshmem_now();

	if (now - channel->run_began >= RUN_NS * (int64_t)channel->run_messages)
		channel->run_messages = 1;
	else if (channel->run_messages < RUN_MOST)
		channel->run_messages *= 2;
	channel->run_began = now;
	ivshmem_look_for_life(channel, &channel->room, now);
	if (likely(!__atomic_load_n(&channel->other_died, __ATOMIC_RELAXED)))
		return ivshmem_waiter_fail(&channel->room,
					   ivshmem_look_at_server(channel, &channel->room));
	return ivshmem_waiter_fail(&channel->room, ivshmem_session_check(channel));
}

/* What is there after the session, or of another time, was not said in it. */
static int learn(struct ivshmem_channel *channel)
{
	int err = sender_learn(&channel->sender, &channel->other->consumed);

	if (!err)
		return 0;
	err = is_of_another_time(channel) ? ivshmem_session_lose(channel) :
	      ivshmem_session_check(channel) ?: err;
	return ivshmem_waiter_fail(&channel->room, err);
}

/* Within the ring, and up to where it is looked whether to go back to its start. */
static uint64_t end_of_run(const struct ivshmem_channel *channel, uint64_t record)
{
	const struct ivshmem_sender *sender = &channel->sender;
	uint64_t warm = sender->lap + WARM_SIZE;
	uint64_t end = sender->lap + sender->size;
	uint64_t room = sender->consumed + sender->size;
	uint64_t run = sender->position + record * channel->run_messages;

	if (sender->position < warm && warm < end)
		end = warm;
	if (room < end)
		end = room;
	return run < end ? run : end;
}

static noinline int leave_quick_path(struct ivshmem_channel *channel, uint64_t record,
				     int timeout_ms)
{
	struct ivshmem_sender *sender = &channel->sender;
	int err;

	err = begin_run(channel);
	if (!err)
		err = learn(channel);
	if (err)
		return err;
	sender_stay_warm(sender, record);
	if (!sender_has_room(sender, record))
		err = wait_for_room(channel, record, timeout_ms);
	if (err)
		return err;
	sender_place(sender, record);
	channel->free_run = end_of_run(channel, record);
	return 0;
}

/*
 * As far as this end knows without looking at the other's words. What it has sent is not
 * there, either, after another program has taken the end or formatted the region.
 */
static inline bool is_lost(const struct ivshmem_channel *channel)
{
	return !sender_is_right(&channel->sender) ||
	       __atomic_load_n(&channel->other_died, __ATOMIC_RELAXED);
}

/* 0: it is not; messages that are held back are not told yet. */
static noinline int tell_lost(struct ivshmem_channel *channel)
{
	const struct ivshmem_sender *sender = &channel->sender;
	int err;

	if (sender_is_right(sender) || sender_holds_right(sender))
		err = ivshmem_session_check(channel);
	else
		err = ivshmem_session_lose(channel);
	return ivshmem_waiter_fail(&channel->room, err);
}

static inline int find_room(struct ivshmem_channel *channel, size_t length, int timeout_ms)
{
	uint64_t record = ivshmem_record_size(length);
	int err = 0;

	if (unlikely(channel->room.failed))
		return ivshmem_waiter_tell(&channel->room);
	if (unlikely(length > channel->max_length))
		return -EMSGSIZE;
	if (unlikely(channel->sender.position + record > channel->free_run))
		err = leave_quick_path(channel, record, timeout_ms);
	if (unlikely(!err && is_lost(channel)))
		err = tell_lost(channel);
	return err;
}

static inline bool is_idle(const struct ivshmem_channel *channel)
{
	return !channel->reserved && !channel->room.failed && !channel->sender.held_header &&
	       sender_can_rest(&channel->sender) && !is_lost(channel);
}

/* There is room for it, and nothing is held back. */
static noinline int send_growing(struct ivshmem_channel *channel, const char *message,
				 uint32_t length)
{
	if (!ivshmem_sender_grow(&channel->sender, message, length))
		return tell_broken(channel);
	return look_at_other(channel);
}

static noinline int send_record(struct ivshmem_channel *channel, const void *buffer, size_t length,
				int timeout_ms)
{
	bool is_long = length > LONG;
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
	if (is_long) {
		sender_begin(&channel->sender);
		if (length >= GROWING && !channel->sender.held_header)
			return send_growing(channel, buffer, (uint32_t)length);
	}
	copy_message(room, buffer, length);
	if (unlikely(is_long && !sender_is_unbroken(&channel->sender)))
		return tell_broken(channel);
	sender_commit(&channel->sender, (uint32_t)length, channel->sender.held_header);
	return pass_on(channel);
}

int ivshmem_channel_send(struct ivshmem_channel *channel, const void *buffer, size_t length,
			 int timeout_ms)
{
	uint64_t number;

	if (unlikely(!channel || (!buffer && length)))
		return -EINVAL;
	number = channel->sender.count + 1;
	if (length > sizeof(channel->mailbox.own->message) || !is_idle(channel) ||
	    !mailbox_send(&channel->mailbox, number, buffer, length))
		return send_record(channel, buffer, length, timeout_ms);
	sender_tell(&channel->sender, number);
	sender_count(&channel->sender, number);
	return look_at_other(channel);
}

int ivshmem_channel_reserve(struct ivshmem_channel *channel, void **buffer, size_t length,
			    int timeout_ms)
{
	int err;

	if (unlikely(!channel || !buffer))
		return -EINVAL;
	if (unlikely(channel->reserved && !sender_is_unbroken(&channel->sender)))
		return tell_broken(channel);
	err = find_room(channel, length, timeout_ms);
	if (unlikely(err))
		return err;
	*buffer = sender_reserve(&channel->sender, ivshmem_record_size(length));
	sender_begin(&channel->sender);
	channel->reserved = true;
	channel->reserved_length = length;
	return 0;
}

int ivshmem_channel_unreserve(struct ivshmem_channel *channel)
{
	if (unlikely(!channel || !channel->reserved))
		return ivshmem_refuse(channel);
	channel->reserved = false;
	return 0;
}

int ivshmem_channel_commit(struct ivshmem_channel *channel, size_t length, unsigned int flags)
{
	int err;

	if (unlikely(!channel || !channel->reserved || length > channel->reserved_length ||
		     flags & ~IVSHMEM_MORE))
		return ivshmem_refuse(channel);
	channel->reserved = false;
	if (unlikely(channel->room.failed))
		return ivshmem_waiter_tell(&channel->room);
	if (unlikely(is_lost(channel))) {
		err = tell_lost(channel);
		if (err)
			return err;
	}
	if (unlikely(!sender_is_unbroken(&channel->sender)))
		return tell_broken(channel);
	sender_commit(&channel->sender, (uint32_t)length,
		      flags & IVSHMEM_MORE || channel->sender.held_header);
	return flags & IVSHMEM_MORE ? 0 : pass_on(channel);
}
