// SPDX-License-Identifier: MIT
/*
 * A channel in an event loop: its descriptor, and arming it.
 */
#include <errno.h>
#include <stdatomic.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "system/system.h"
#include "channel.h"
#include "transfer.h"
#include "waiting.h"

/*
 * A poll(2) of the caller's is not woken now and then by itself, so a timer does
 * what the limits of a sleep do.
 */
static int open_loop(struct ivshmem_channel *channel)
{
	int timer, epoll;

	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer < 0)
		return -errno;
	epoll = ivshmem_wakeup_watch(&channel->link, timer);
	if (epoll < 0) {
		close(timer);
		return epoll;
	}
	channel->loop_timer = timer;
	channel->loop_fd = epoll;
	channel->loop_moved = UINT64_MAX;
	return 0;
}

int ivshmem_channel_fd(struct ivshmem_channel *channel)
{
	int err = 0;

	if (!channel)
		return -EINVAL;
	if (channel->link.wakeup != WAKEUP_DOORBELL)
		return -ENOTSUP;
	if (channel->loop_fd < 0)
		err = open_loop(channel);
	return err ? err : channel->loop_fd;
}

/* Only the first time after something has moved: an idle loop stays idle. */
static void set_timer(struct ivshmem_channel *channel)
{
	uint64_t moved = channel->receiver.count + channel->sender.count;
	const struct itimerspec time = {
		.it_value = { .tv_nsec = FIRST_SLEEP_NS },
		.it_interval = { .tv_sec = LATER_SLEEP_NS / NS_PER_S },
	};

	if (moved == channel->loop_moved)
		return;
	channel->loop_moved = moved;
	timerfd_settime(channel->loop_timer, 0, &time, NULL);
}

static unsigned int look_at_both(struct ivshmem_channel *channel, unsigned int events,
				 uint64_t record)
{
	unsigned int ready = 0;

	if (events & IVSHMEM_CAN_RECV &&
	    (channel->news.failed || ivshmem_look(channel, ivshmem_news_is_there, 0)))
		ready |= IVSHMEM_CAN_RECV;
	if (events & IVSHMEM_CAN_SEND &&
	    (channel->room.failed || ivshmem_look(channel, ivshmem_room_is_there, record)))
		ready |= IVSHMEM_CAN_SEND;
	return ready;
}

static void announce_both(struct ivshmem_channel *channel, unsigned int events,
			  enum waiting_state state)
{
	if (events & IVSHMEM_CAN_RECV)
		ivshmem_waiter_announce(&channel->news, state);
	if (events & IVSHMEM_CAN_SEND)
		ivshmem_waiter_announce(&channel->room, state);
}

int ivshmem_channel_arm(struct ivshmem_channel *channel, unsigned int events, size_t length)
{
	uint64_t record = ivshmem_record_size(length);
	unsigned int ready;
	int64_t until;
	int fd;

	if (!channel || !events || events & ~(IVSHMEM_CAN_RECV | IVSHMEM_CAN_SEND))
		return -EINVAL;
	if (length > channel->max_length)
		return -EMSGSIZE;
	fd = ivshmem_channel_fd(channel);
	if (fd < 0)
		return fd;
	if (ivshmem_wakeup_take(&channel->link, fd, channel->loop_timer, 0) == -ENODEV)
		return (int)events;
	ivshmem_tell_released(channel);
	ivshmem_look_for_life(channel, events & IVSHMEM_CAN_RECV ? &channel->news : &channel->room,
			      ivshmem_now());

	announce_both(channel, events, WAITING_DROWSY);
	until = ivshmem_now() + DROWSY_NS;
	do {
		ready = look_at_both(channel, events, record);
	} while (!ready && ivshmem_now() < until);
	if (!ready) {
		announce_both(channel, events, WAITING_ASLEEP);
		atomic_thread_fence(memory_order_seq_cst);
		ready = look_at_both(channel, events, record);
	}
	if (ready)
		announce_both(channel, events, WAITING_AWAKE);
	else
		set_timer(channel);
	return (int)ready;
}
