// SPDX-License-Identifier: MIT
/*
 * Is a session still on?
 *
 * The region may go back in time: it is part of a VM's snapshot, or of a file that was
 * replaced. So may the private memory of an end. Nobody tells the programs. So each end
 * stores with each message how many it has sent and received (sent, received), and looks
 * before the next whether that is there still. Where it is on both sides, both find their
 * ends as they left them, which is as if nothing had happened. Where it is not, the end gives
 * the session up, and tells the other (lost): by a new epoch, since it may know no better.
 *
 * That costs each message a store and a look at each end, in a cache line that no other
 * end writes: up to a twentieth of its instructions, as tests/bench/instructions counts.
 */
#include <errno.h>
#include <unistd.h>

#include "system/system.h"
#include "found.h"
#include "loss.h"
#include "session.h"

void ivshmem_end_clear(struct ivshmem_slot_end *own)
{
	__atomic_store_n(&own->seen, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&own->ready, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&own->receiver, WAITING_AWAKE, __ATOMIC_RELAXED);
	__atomic_store_n(&own->sender, WAITING_AWAKE, __ATOMIC_RELAXED);
	__atomic_store_n(&own->received, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&own->sent, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&own->begun, 0, __ATOMIC_RELAXED);
}

static bool is_older(uint32_t epoch, uint32_t than)
{
	return !epoch || (int32_t)(epoch - than) < 0;
}

/* An end that went back in time must not get an epoch again that it had in between. */
uint32_t ivshmem_next_attaching(const struct ivshmem_channel *channel, uint32_t epoch)
{
	uint32_t last = is_older(epoch, channel->epoch) && channel->epoch ? channel->epoch : epoch;

	/*
	 * After a new format the epochs must not be those of before: a program that has not
	 * looked meanwhile would take them for its own.
	 */
	return ((last ?: (uint32_t)ivshmem_random()) & ~3u) + 4 + END_ATTACHING;
}

/*
 * Of an end with an epoch that is not this program's last one. Is it an earlier one of its
 * own, or nobody's? Whoever has the lock is the only one under this kernel who is alive.
 */
bool ivshmem_session_keeps_end(const struct ivshmem_channel *channel, uint32_t epoch)
{
	const struct ivshmem_slot_end *own = channel->own;
	bool has_lock = channel->link.can & WAKE_LOCKED;
	bool older = is_older(epoch, channel->epoch);

	if (epoch == channel->epoch || (channel->lost && epoch == channel->lost_epoch))
		return true;
	if (epoch % 4 == END_ATTACHED && has_lock)
		return ivshmem_end_lock_is_here(own, channel->shm);
	if (epoch % 4 == END_ATTACHED)
		return older && ivshmem_end_is_local(own, channel->shm) &&
		       __atomic_load_n(&own->pid, __ATOMIC_RELAXED) == (uint32_t)getpid();
	return older && (epoch % 4 != END_ATTACHING || has_lock);
}

/* So that the other end gives up, too. @epoch: by which it may know this one. */
static void announce_loss(struct ivshmem_channel *channel, uint32_t epoch)
{
	struct ivshmem_slot_end *own = channel->own;
	uint32_t attaching = ivshmem_next_attaching(channel, epoch);
	uint32_t attached = attaching - END_ATTACHING + END_ATTACHED;

	__atomic_store_n(&own->lost, epoch, __ATOMIC_RELEASE);
	if (!__atomic_compare_exchange_n(&own->epoch, &epoch, attaching, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	ivshmem_end_clear(own);
	if (!ivshmem_end_tell_purpose(own, attaching, channel->object.generation))
		return;
	__atomic_store_n(&channel->lost_epoch, attached, __ATOMIC_RELAXED);
	__atomic_compare_exchange_n(&own->epoch, &attaching, attached, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	ivshmem_wake_surely(&channel->link, own);
}

/*
 * What this end has stored is not there, or what the other has sent. -ESTALE: the region is
 * another than it was; -ECONNRESET: another program has taken the end, or formatted anew.
 */
int ivshmem_session_lose(struct ivshmem_channel *channel)
{
	uint32_t epoch = __atomic_load_n(&channel->own->epoch, __ATOMIC_ACQUIRE);

	if (__atomic_load_n(&channel->lost, __ATOMIC_ACQUIRE))
		return -ESTALE;
	if (ivshmem_directory_has_layout(&channel->directory))
		return -ECONNRESET;
	if (!ivshmem_session_keeps_end(channel, epoch))
		return is_older(epoch, channel->epoch) ? -ESTALE : -ECONNRESET;
	if (!__atomic_exchange_n(&channel->lost, true, __ATOMIC_ACQ_REL) &&
	    epoch % 4 == END_ATTACHED)
		announce_loss(channel, epoch);
	return -ESTALE;
}

/*
 * Is what this end has stored of its progress there still? Both threads' words, whichever of
 * them looks: a count is stored in the region before the private one.
 */
static bool is_whole(const struct ivshmem_channel *channel)
{
	const struct ivshmem_receiver *receiver = &channel->receiver;
	const struct ivshmem_sender *sender = &channel->sender;
	const struct ivshmem_slot_end *own = channel->own;
	uint64_t received = __atomic_load_n(&receiver->count, __ATOMIC_ACQUIRE);
	uint64_t told = __atomic_load_n(&receiver->told, __ATOMIC_ACQUIRE);
	uint64_t sent = __atomic_load_n(&sender->count, __ATOMIC_ACQUIRE);
	bool holds = __atomic_load_n(&sender->held_header, __ATOMIC_ACQUIRE);

	return __atomic_load_n(&own->received, __ATOMIC_RELAXED) - received < MOST_AHEAD &&
	       (int64_t)(__atomic_load_n(&own->consumed, __ATOMIC_RELAXED) - told) >= 0 &&
	       (holds || __atomic_load_n(&own->sent, __ATOMIC_RELAXED) - sent < MOST_AHEAD);
}

/**
 * ivshmem_session_check() - Is the session still on?
 * @channel: Channel.
 *
 * Return: 0; -EPIPE (the other end was closed); -ESTALE (the region went back in time, or was
 * moved, as this end or the other has found); -ECONNRESET (the other end was
 * replaced, or is known to be dead, or this end was taken over).
 */
int ivshmem_session_check(struct ivshmem_channel *channel)
{
	uint32_t other = __atomic_load_n(&channel->other->epoch, __ATOMIC_ACQUIRE);

	if (!ivshmem_session_has_end(channel) || !is_whole(channel))
		return ivshmem_session_lose(channel);
	if (other == channel->other_epoch)
		return __atomic_load_n(&channel->other_died, __ATOMIC_RELAXED) ? -ECONNRESET : 0;
	if (__atomic_load_n(&channel->other->lost, __ATOMIC_RELAXED) == channel->other_epoch)
		return -ESTALE;
	return __atomic_load_n(&channel->other->closed, __ATOMIC_RELAXED) ==
		       channel->other_epoch ? -EPIPE : -ECONNRESET;
}

/*
 * The other end says that it has sent more than was received, and the next is not there. What
 * another program at that end says comes after its epoch.
 */
bool ivshmem_message_is_missing(const struct ivshmem_channel *channel)
{
	uint64_t sent = __atomic_load_n(&channel->other->sent, __ATOMIC_ACQUIRE) -
			ivshmem_session_start(channel->other_epoch, channel->epoch);
	uint64_t received = channel->receiver.count -
			    ivshmem_session_start(channel->epoch, channel->other_epoch);

	return (int64_t)(sent - received) > 0 && !look_for_message(channel).header &&
	       __atomic_load_n(&channel->other->epoch, __ATOMIC_ACQUIRE) == channel->other_epoch;
}
