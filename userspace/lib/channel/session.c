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
#include <sys/random.h>

#include "system/system.h"
#include "session.h"
#include "transfer.h"

/*
 * After a new format the epochs must not be those of before: a program that has not
 * looked meanwhile would take them for its own.
 */
static uint32_t random_epoch(void)
{
	uint32_t epoch = 0;

	if (getrandom(&epoch, sizeof(epoch), GRND_NONBLOCK) != sizeof(epoch))
		epoch = (uint32_t)ivshmem_now();
	return epoch;
}

/* Nothing passes until the next session has begun. */
void ivshmem_session_leave(struct ivshmem_channel *channel)
{
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
	uint32_t attaching = ((from ?: random_epoch()) & ~3u) + 4 + END_ATTACHING;

	if (!__atomic_compare_exchange_n(&own->epoch, &from, attaching, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return -EBUSY;
	__atomic_store_n(&own->seen, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&own->ready, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&own->receiver, WAITING_AWAKE, __ATOMIC_RELAXED);
	__atomic_store_n(&own->sender, WAITING_AWAKE, __ATOMIC_RELAXED);
	__atomic_store_n(&own->messages, 0, __ATOMIC_RELAXED);
	if (!ivshmem_end_tell_purpose(own, attaching, channel->name_hash))
		return -EBUSY;
	ivshmem_link_tell(&channel->link, own, channel->slot, locked);
	channel->other_epoch = 0;
	channel->reset_for = 0;
	channel->epoch = attaching - END_ATTACHING + END_ATTACHED;
	if (!__atomic_compare_exchange_n(&own->epoch, &attaching, channel->epoch, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return -EBUSY;
	return 0;
}

static void reset_own(struct ivshmem_channel *channel)
{
	ivshmem_sender_reset(&channel->sender);
	mailbox_reset(&channel->mailbox);
	ivshmem_receiver_reset(&channel->receiver);
	__atomic_store_n(&channel->own->consumed, 0, __ATOMIC_RELAXED);
}

static void begin(struct ivshmem_channel *channel, uint32_t epoch)
{
	const struct ivshmem_slot_end *other = channel->other;
	struct ivshmem_slot_end *own = channel->own;

	channel->other_epoch = epoch;
	channel->free_run = 0;
	channel->run_messages = 0;
	__atomic_store_n(&channel->other_died, false, __ATOMIC_RELAXED);
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
	       ivshmem_end_is_for(channel->other, epoch, channel->name_hash);
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
	err = ivshmem_slot_keep(channel->header.data, channel->superblock.channels, channel->slot,
				channel->name);
	if (err)
		return err == -EAGAIN ? 0 : err;
	/* It began, and was closed before this end looked again: what it sent is there. */
	if (channel->reset_for && epoch != channel->reset_for &&
	    __atomic_load_n(&other->closed, __ATOMIC_RELAXED) == channel->reset_for) {
		begin(channel, channel->reset_for);
		return 1;
	}
	if (!is_partner(channel, epoch))
		return 0;
	if (__atomic_load_n(&own->seen, __ATOMIC_RELAXED) != epoch)
		__atomic_store_n(&own->seen, epoch, __ATOMIC_RELEASE);
	if (__atomic_load_n(&other->seen, __ATOMIC_ACQUIRE) != channel->epoch)
		return 0;
	if (channel->reset_for != epoch) {
		reset_own(channel);
		__atomic_store_n(&own->ready, epoch, __ATOMIC_RELEASE);
		channel->reset_for = epoch;
	}
	/* One that was too slow to attach here may still have written. */
	if (__atomic_load_n(&own->ready, __ATOMIC_RELAXED) != epoch)
		__atomic_store_n(&own->ready, epoch, __ATOMIC_RELEASE);
	if (__atomic_load_n(&other->ready, __ATOMIC_ACQUIRE) != channel->epoch)
		return 0;
	/* Only now is what this epoch has said known to be of this epoch. */
	if (__atomic_load_n(&other->epoch, __ATOMIC_ACQUIRE) != epoch)
		return 0;
	begin(channel, epoch);
	return 1;
}

/*
 * The other end takes what was sent, and is told that no more will come. It is told what
 * was taken, too: a message that was is no failure of who has sent it.
 */
void ivshmem_session_end(struct ivshmem_channel *channel)
{
	uint32_t epoch = channel->epoch;

	if (channel->other_epoch && ivshmem_session_has_end(channel)) {
		receiver_tell(&channel->receiver, &channel->own->consumed);
		mailbox_tell(&channel->mailbox);
		__atomic_store_n(&channel->own->closed, epoch, __ATOMIC_RELEASE);
	}
	__atomic_compare_exchange_n(&channel->own->epoch, &epoch,
				    epoch - END_ATTACHED + END_CLOSED, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	if (!channel->other_epoch)
		return;
	ivshmem_wake_other(&channel->link, &channel->room);
	ivshmem_wake_other(&channel->link, &channel->news);
}
