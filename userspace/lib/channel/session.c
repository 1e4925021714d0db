// SPDX-License-Identifier: MIT
/*
 * How two ends start afresh, whatever became of the ones before.
 *
 * An end announces itself by a new epoch. Each end then tells the epoch of the other
 * that it has seen: from there on it reads nothing that an earlier one wrote. Only
 * when the other has seen it does an end reset its ring and what it says it has
 * consumed, and tells so (ready). With both ready, both start at position 0.
 *
 * Every word is written by one end only, so that a program which dies between two
 * of these steps leaves nothing that the next one at its end does not overwrite.
 */
#include <errno.h>

#include "loss.h"
#include "session.h"
#include "transfer.h"

/* Nothing passes until the next session has begun. */
void ivshmem_session_leave(struct ivshmem_channel *channel)
{
	ivshmem_member_awaken(&channel->member);
	channel->room.failed = -ENOTCONN;
	channel->news.failed = -ENOTCONN;
	channel->reserved = false;
	ivshmem_forget_messages(channel);
}

/*
 * Takes the end over from whoever had it at that epoch. -EBUSY: somebody else was
 * faster. A program that ends in between leaves an end that is free.
 */
int ivshmem_session_attach(struct ivshmem_channel *channel, uint32_t from, bool locked)
{
	struct ivshmem_slot_end *own = channel->own;
	uint32_t attaching = ivshmem_next_attaching(channel, from);

	if (!__atomic_compare_exchange_n(&own->epoch, &from, attaching, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return -EBUSY;
	ivshmem_end_clear(own);
	if (!ivshmem_end_tell_purpose(own, attaching, channel->object.generation))
		return -EBUSY;
	ivshmem_link_tell(&channel->link, own, channel->object.slot, locked);
	channel->other_epoch = 0;
	channel->reset_for = 0;
	channel->lost = false;
	channel->lost_epoch = 0;
	channel->epoch = attaching - END_ATTACHING + END_ATTACHED;
	if (!__atomic_compare_exchange_n(&own->epoch, &attaching, channel->epoch, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return -EBUSY;
	return 0;
}

/*
 * What this end has received is 1 less in the region until it knows that the other end is
 * ready. Else the region could go back from there to where the other end is not, unnoticed.
 */
static void say_begun(struct ivshmem_channel *channel, bool has_begun)
{
	__atomic_store_n(&channel->own->received, channel->receiver.count - !has_begun,
			 __ATOMIC_SEQ_CST);
}

static void reset_own(struct ivshmem_channel *channel, uint32_t epoch)
{
	uint64_t start = ivshmem_session_start(channel->epoch, epoch);

	ivshmem_sender_reset(&channel->sender, start);
	mailbox_reset(&channel->mailbox);
	ivshmem_receiver_reset(&channel->receiver, start);
	say_begun(channel, false);
	__atomic_store_n(&channel->own->consumed, 0, __ATOMIC_RELAXED);
}

/* And does the region say so? What is reset may come back, with what was there before. */
static bool is_reset(const struct ivshmem_channel *channel, uint32_t epoch)
{
	return channel->reset_for == epoch && sender_is_right(&channel->sender) &&
	       __atomic_load_n(&channel->own->received, __ATOMIC_RELAXED) ==
		       channel->receiver.count - 1 &&
	       __atomic_load_n(&channel->own->ready, __ATOMIC_RELAXED) == epoch;
}

/* The private memory went back: the other end may be in a session with this one already. */
static bool was_further(const struct ivshmem_channel *channel, uint32_t epoch)
{
	const struct ivshmem_slot_end *own = channel->own;
	uint64_t sent = __atomic_load_n(&own->sent, __ATOMIC_RELAXED) - channel->sender.count;
	uint64_t received = __atomic_load_n(&own->received, __ATOMIC_RELAXED) -
			    (channel->receiver.count - 1);

	if (__atomic_load_n(&own->ready, __ATOMIC_RELAXED) != epoch)
		return false;
	return channel->reset_for != epoch || (sent && sent < MOST_AHEAD) ||
	       (received && received < MOST_AHEAD);
}

static void begin(struct ivshmem_channel *channel, uint32_t epoch)
{
	const struct ivshmem_slot_end *other = channel->other;
	struct ivshmem_slot_end *own = channel->own;

	channel->other_epoch = epoch;
	channel->free_run = 0;
	channel->run_messages = 0;
	__atomic_store_n(&channel->other_died, false, __ATOMIC_RELAXED);
	__atomic_store_n(&channel->other_left, false, __ATOMIC_RELAXED);
	ivshmem_link_learn(&channel->link, other);
	ivshmem_waiter_init(&channel->room, &own->sender, &other->receiver,
			    &own->receiver_bell, &other->sender_bell);
	ivshmem_waiter_init(&channel->news, &own->receiver, &other->sender,
			    &own->sender_bell, &other->receiver_bell);
}

/* Is it there for this channel? Or for another one, which had the slot before or wants it. */
static bool is_partner(const struct ivshmem_channel *channel, uint32_t epoch)
{
	return epoch % 4 == END_ATTACHED &&
	       ivshmem_end_is_for(channel->other, epoch, channel->object.generation);
}

/*
 * One look at the other end: 1 once both are ready; 0; -EREMCHG: the end is another
 * program's by now, or the slot another channel's.
 */
int ivshmem_session_advance(struct ivshmem_channel *channel)
{
	const struct ivshmem_slot_end *other = channel->other;
	struct ivshmem_slot_end *own = channel->own;
	uint32_t epoch = __atomic_load_n(&other->epoch, __ATOMIC_ACQUIRE);
	int err;

	if (!ivshmem_session_has_end(channel))
		return -EREMCHG;
	err = ivshmem_object_keep(&channel->directory, &channel->object);
	if (err)
		return err == -EAGAIN ? 0 : err;
	/* It began, and was closed before this end looked again: what it sent is there. */
	if (channel->reset_for && epoch != channel->reset_for &&
	    __atomic_load_n(&other->closed, __ATOMIC_RELAXED) == channel->reset_for) {
		say_begun(channel, true);
		begin(channel, channel->reset_for);
		return 1;
	}
	if (!is_partner(channel, epoch))
		return 0;
	if (__atomic_load_n(&own->seen, __ATOMIC_RELAXED) != epoch)
		__atomic_store_n(&own->seen, epoch, __ATOMIC_RELEASE);
	if (__atomic_load_n(&other->seen, __ATOMIC_ACQUIRE) != channel->epoch)
		return 0;
	if (was_further(channel, epoch)) {
		__atomic_store_n(&own->lost, channel->epoch, __ATOMIC_RELEASE);
		err = ivshmem_session_attach(channel, channel->epoch,
					     channel->link.can & WAKE_LOCKED);
		return err ? -EREMCHG : 0;
	}
	/* One that was too slow to attach here may still have written. */
	if (!is_reset(channel, epoch)) {
		reset_own(channel, epoch);
		__atomic_store_n(&own->ready, epoch, __ATOMIC_RELEASE);
		channel->reset_for = epoch;
	}
	if (__atomic_load_n(&other->ready, __ATOMIC_ACQUIRE) != channel->epoch)
		return 0;
	say_begun(channel, true);
	/* Only now is what this epoch has said known to be of this epoch. */
	if (__atomic_load_n(&other->ready, __ATOMIC_SEQ_CST) != channel->epoch ||
	    __atomic_load_n(&other->epoch, __ATOMIC_SEQ_CST) != epoch) {
		say_begun(channel, false);
		return 0;
	}
	begin(channel, epoch);
	return 1;
}

/* Else the other end is told by another word than that it was closed. */
static bool is_in_session(struct ivshmem_channel *channel)
{
	if (!channel->other_epoch)
		return false;
	if (ivshmem_session_has_end(channel) && receiver_is_right(&channel->receiver) &&
	    (sender_is_right(&channel->sender) || sender_holds_right(&channel->sender)))
		return true;
	ivshmem_session_lose(channel);
	return false;
}

/*
 * The other end takes what was sent, and is told that no more will come. It is told what
 * was taken, too: a message that was is no failure of who has sent it.
 */
void ivshmem_session_end(struct ivshmem_channel *channel)
{
	uint32_t epoch;

	if (is_in_session(channel)) {
		receiver_tell(&channel->receiver, &channel->own->consumed);
		mailbox_tell(&channel->mailbox);
		__atomic_store_n(&channel->own->closed, channel->epoch, __ATOMIC_RELEASE);
	}
	epoch = channel->lost_epoch ?: channel->epoch;
	__atomic_compare_exchange_n(&channel->own->epoch, &epoch,
				    epoch - END_ATTACHED + END_CLOSED, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	if (!channel->other_epoch)
		return;
	ivshmem_wake_other(&channel->link, &channel->room);
	ivshmem_wake_other(&channel->link, &channel->news);
}
