// SPDX-License-Identifier: MIT
/*
 * A channel in an event loop: its descriptor, and arming it.
 *
 * The descriptor stays the same whatever the other end is and however it wakes this one:
 * by the doorbell, or by a futex that io_uring waits for. Where it does neither, a timer
 * makes the descriptor readable after a while. A timer also does what the limits of a
 * sleep do: see wakeup/wakeup.h.
 */
#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "system/system.h"
#include "channel.h"
#include "transfer.h"
#include "waiting.h"

#define FIRST_PAUSE_NS	50000

enum { NEWS, ROOM };	/* which futex is whose */

void ivshmem_loop_close(struct ivshmem_loop *loop)
{
	if (loop->epoll < 0)
		return;
	ivshmem_futex_fd_close(loop->futex);
	close(loop->timer);
	close(loop->epoll);
	loop->epoll = -1;
}

static int open_loop(struct ivshmem_loop *loop)
{
	int timer, epoll, err;

	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer < 0)
		return -errno;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	err = epoll < 0 ? -errno : ivshmem_watch(epoll, timer, EPOLLIN | EPOLLET);
	if (err) {
		close(timer);
		if (epoll >= 0)
			close(epoll);
		return err;
	}
	loop->timer = timer;
	loop->epoll = epoll;
	loop->moved = UINT64_MAX;
	loop->pause = FIRST_PAUSE_NS;
	return 0;
}

static int add_doorbell(struct ivshmem_loop *loop, const struct ivshmem_link *link)
{
	bool is_watched = loop->rung && loop->joins == link->joins;
	int err = is_watched ? 0 : ivshmem_watch_doorbell(loop->epoll, link);

	if (err)
		return err;
	loop->rung = true;
	loop->joins = link->joins;
	return 0;
}

static bool is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOSPC ||
	       err == -EAGAIN;
}

/* Where there is none, the timer has to do; after a shortage the next call tries again. */
static void add_futex(struct ivshmem_loop *loop)
{
	struct ivshmem_futex_fd *futex;
	int err;

	if (loop->futex || loop->no_futex)
		return;
	err = ivshmem_futex_fd_open(&futex);
	if (err) {
		loop->no_futex = !is_shortage(err);
		return;
	}
	err = ivshmem_watch(loop->epoll, ivshmem_futex_fd_poll_fd(futex), EPOLLIN | EPOLLET);
	if (err)
		ivshmem_futex_fd_close(futex);
	else
		loop->futex = futex;
}

/* The other end may be another one, and wake in another way, than the last time. */
static int prepare(struct ivshmem_channel *channel)
{
	int err = channel->loop.epoll < 0 ? open_loop(&channel->loop) : 0;

	if (err || channel->stage != CHANNEL_IS_OPEN)
		return err;
	if (channel->link.wakeup == WAKEUP_DOORBELL)
		return add_doorbell(&channel->loop, &channel->link);
	if (channel->link.wakeup == WAKEUP_FUTEX)
		add_futex(&channel->loop);
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
		ivshmem_loop_pace(channel, FIRST_PAUSE_NS);
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

/* -ENODEV: the device is gone. */
static int take_signals(struct ivshmem_channel *channel)
{
	struct ivshmem_loop *loop = &channel->loop;
	int err = ivshmem_wakeup_take(&channel->link, loop->epoll, loop->timer);

	if (loop->futex)
		ivshmem_futex_fd_take(loop->futex);
	return err;
}

static uint64_t messages_moved(const struct ivshmem_channel *channel)
{
	return channel->receiver.count + channel->sender.count;
}

/* Readable after a while, which doubles each time up to @longest, unless something moves. */
void ivshmem_loop_pace(struct ivshmem_channel *channel, int64_t longest)
{
	struct ivshmem_loop *loop = &channel->loop;
	struct itimerspec time = { .it_interval = { .tv_sec = 0 } };

	if (loop->epoll < 0)
		return;
	take_signals(channel);
	if (loop->moved != messages_moved(channel))
		loop->pause = FIRST_PAUSE_NS;
	loop->moved = messages_moved(channel);
	if (loop->pause > longest)
		loop->pause = longest;
	time.it_value.tv_sec = loop->pause / NS_PER_S;
	time.it_value.tv_nsec = loop->pause % NS_PER_S;
	timerfd_settime(loop->timer, 0, &time, NULL);
	loop->pause *= 2;
}

/* Only the first time after something has moved: an idle loop stays idle. */
static void limit_sleep(struct ivshmem_channel *channel)
{
	const struct itimerspec time = {
		.it_value = { .tv_nsec = FIRST_SLEEP_NS },
		.it_interval = { .tv_sec = LATER_SLEEP_NS / NS_PER_S },
	};

	if (messages_moved(channel) == channel->loop.moved)
		return;
	channel->loop.moved = messages_moved(channel);
	timerfd_settime(channel->loop.timer, 0, &time, NULL);
}

static unsigned int look_at_both(struct ivshmem_channel *channel, unsigned int events,
				 uint64_t record)
{
	unsigned int ready = 0;

	if (events & IVSHMEM_CAN_RECV && ivshmem_can_receive(channel))
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

	announce_both(channel, events, WAITING_DROWSY);
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
		limit_sleep(channel);
	else
		ivshmem_loop_pace(channel, ivshmem_longest_pause(channel));
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
	err = prepare(channel);
	if (err)
		return err;
	if (channel->stage != CHANNEL_IS_OPEN)
		return (int)events;
	if (take_signals(channel) == -ENODEV) {
		fail_both(channel, events, -ENODEV);
		return (int)events;
	}
	ivshmem_tell_released(channel);
	ivshmem_look_for_life(channel, events & IVSHMEM_CAN_RECV ? &channel->news : &channel->room,
			      ivshmem_now());
	return (int)arm(channel, events, ivshmem_record_size(length));
}
