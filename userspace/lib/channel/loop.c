// SPDX-License-Identifier: MIT
/*
 * A channel in an event loop: its descriptor, which stays the same whatever the other end is and
 * however it wakes this one, and arming it.
 */
#include <errno.h>
#include <stdatomic.h>

#include "system/system.h"
#include "channel.h"
#include "loop.h"
#include "ready.h"
#include "transfer.h"
#include "waiting.h"

enum { NEWS, ROOM };	/* which futex is whose */

/* The other end may be another one, and wake in another way, than the last time. */
static int prepare(struct ivshmem_channel *channel)
{
	int err = ivshmem_loop_open(&channel->loop);

	if (err || channel->stage != CHANNEL_IS_OPEN)
		return err;
	if (channel->link.wakeup == WAKEUP_DOORBELL)
		return ivshmem_loop_add_doorbell(&channel->loop, &channel->link);
	if (channel->link.wakeup == WAKEUP_FUTEX)
		ivshmem_loop_add_futex(&channel->loop);
	return 0;
}

int ivshmem_channel_fd(struct ivshmem_channel *channel)
{
	bool is_new;
	int err;

	if (!channel)
		return -EINVAL;
	if (channel->shm->inherited)
		return -ECHILD;
	is_new = channel->loop.epoll < 0;
	err = prepare(channel);
	if (err)
		return err;
	if (is_new && channel->stage != CHANNEL_IS_OPEN)
		ivshmem_channel_pace(channel, LOOP_FIRST_PAUSE_NS);
	return channel->loop.epoll;
}

const char *ivshmem_channel_fd_wakeup(struct ivshmem_channel *channel)
{
	if (!channel || channel->shm->inherited || prepare(channel))
		return NULL;
	if (channel->stage == CHANNEL_IS_OPEN && channel->link.wakeup == WAKEUP_DOORBELL)
		return "doorbell";
	if (channel->stage == CHANNEL_IS_OPEN && channel->link.wakeup == WAKEUP_FUTEX &&
	    channel->loop.futex)
		return "futex";
	return "timer";
}

static uint64_t messages_moved(const struct ivshmem_channel *channel)
{
	return channel->receiver.count + channel->sender.count;
}

void ivshmem_channel_pace(struct ivshmem_channel *channel, int64_t longest)
{
	ivshmem_loop_pace(&channel->loop, &channel->link, messages_moved(channel), longest);
}

/* The next calls tell it. */
static void fail_both(struct ivshmem_channel *channel, unsigned int events, int err)
{
	if (events & IVSHMEM_CAN_RECV)
		ivshmem_waiter_fail(&channel->news, err);
	if (events & IVSHMEM_CAN_SEND)
		ivshmem_waiter_fail(&channel->room, err);
}

static int arm_futexes(struct ivshmem_channel *channel, unsigned int events,
		       const uint32_t bells[2])
{
	struct ivshmem_futex_fd *futex = channel->loop.futex;
	int err = 0;

	if (events & IVSHMEM_CAN_RECV)
		err = ivshmem_futex_fd_arm(futex, NEWS, channel->news.other_bell, bells[NEWS]);
	if (!err && events & IVSHMEM_CAN_SEND)
		err = ivshmem_futex_fd_arm(futex, ROOM, channel->room.other_bell, bells[ROOM]);
	return err;
}

/* As a thread that is about to sleep does: see wakeup/wakeup.h. */
static unsigned int fall_asleep(struct ivshmem_channel *channel, unsigned int events,
				uint64_t record)
{
	int64_t until = ivshmem_now() + DROWSY_NS;
	unsigned int ready;

	ivshmem_announce_both(channel, events, WAITING_DROWSY);
	do {
		ready = ivshmem_look_at_both(channel, events, record);
	} while (!ready && ivshmem_now() < until);
	if (!ready) {
		ivshmem_announce_both(channel, events, WAITING_ASLEEP);
		atomic_thread_fence(memory_order_seq_cst);
		ready = ivshmem_look_at_both(channel, events, record);
	}
	if (ready)
		ivshmem_announce_both(channel, events, WAITING_AWAKE);
	return ready;
}

/* Which of @events are there already; else the descriptor will become readable. */
static unsigned int arm(struct ivshmem_channel *channel, unsigned int events, uint64_t record)
{
	const uint32_t bells[2] = {
		[NEWS] = __atomic_load_n(channel->news.other_bell, __ATOMIC_ACQUIRE),
		[ROOM] = __atomic_load_n(channel->room.other_bell, __ATOMIC_ACQUIRE),
	};
	enum ivshmem_wakeup wakeup = channel->link.wakeup;
	unsigned int ready;
	bool woken;

	/* Also where nothing wakes it: who waits for room is told of it at once. */
	ready = fall_asleep(channel, events, record);
	if (ready)
		return ready;
	woken = (wakeup == WAKEUP_DOORBELL && ivshmem_link_is_sure(&channel->link)) ||
		(wakeup == WAKEUP_FUTEX && channel->loop.futex &&
		 !arm_futexes(channel, events, bells));
	if (woken)
		ivshmem_loop_limit(&channel->loop, messages_moved(channel));
	else
		ivshmem_channel_pace(channel, ivshmem_longest_pause(channel));
	return 0;
}

int ivshmem_channel_arm(struct ivshmem_channel *channel, unsigned int events, size_t length)
{
	int err;

	if (!channel || !events || events & ~(IVSHMEM_CAN_RECV | IVSHMEM_CAN_SEND))
		return -EINVAL;
	if (channel->shm->inherited)
		return -ECHILD;
	if (channel->stage == CHANNEL_IS_OPEN && length > channel->max_length)
		return -EMSGSIZE;
	if (channel->member.set)
		return -EBUSY;
	err = prepare(channel);
	if (err)
		return err;
	if (channel->stage != CHANNEL_IS_OPEN)
		return (int)events;
	if (ivshmem_loop_take(&channel->loop, &channel->link) == -ENODEV) {
		fail_both(channel, events, -ENODEV);
		return (int)events;
	}
	ivshmem_tell_released(channel);
	ivshmem_look_for_life(channel, events & IVSHMEM_CAN_RECV ? &channel->news : &channel->room,
			      ivshmem_now());
	return (int)arm(channel, events, ivshmem_record_size(length));
}
