// SPDX-License-Identifier: MIT
/*
 * Waiting for the other end, and waking it.
 *
 * Who waits looks at memory for a while, then says that it grows drowsy, looks on
 * for DROWSY_NS, says that it is asleep, passes a full fence, looks a last time,
 * and sleeps. Who has passed something on looks at that word:
 *
 *   asleep: ring, once for each sleep.
 *   drowsy: pass a full fence, and look again. Either the word now says asleep; or
 *           it was not written yet when this end looked after its fence, so that
 *           the other end's last look, after its own fence, sees what was passed on.
 *   awake:  nothing. There is no fence on this path, and a processor may look at the
 *           word before its own store is visible to others. Then the store was on
 *           its way when the other end still was awake: it has at least DROWSY_NS to
 *           arrive before the last look. Stores do not stay in a processor for
 *           microseconds; they leave as soon as the cache line is there, whatever
 *           the thread does (Morrison and Afek, "Temporally bounding TSO for
 *           fence-free asymmetric synchronization", 2015, builds on the same).
 *
 * Before a first sleep, which is short, the drowsy time ends early while both ends are on
 * one processor: the other end does not run then, and what it stored before is visible.
 * Where it is said to be may be old; then a message can be late by that sleep.
 *
 * A ring that comes between the last look and the sleep is not lost: an eventfd keeps
 * it, and for a futex each ring changes the word that is slept on, which was read
 * before this end said that it is asleep.
 *
 * So that correctness does not hang on the length of that time, no sleep is for ever:
 * the first lasts FIRST_SLEEP_NS, later ones LATER_SLEEP_NS. A store that took
 * longer than DROWSY_NS makes a message late; none is lost. These looks also
 * notice what rings nobody: that the other end's program is dead, or was replaced.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "connection.h"

#define NS_PER_S		1000000000
#define DROWSY_NS		10000
#define FIRST_SLEEP_NS		(1 * NS_PER_MS)
#define LATER_SLEEP_NS		NS_PER_S
#define FIRST_PAUSE_NS		20000
#define LIFE_NS			NS_PER_S	/* between two looks for life */
#define LOOKS			128	/* between two looks at the clock */

typedef int (*ready_fn)(struct ivshmem_channel *channel, uint64_t need);

int64_t ivshmem_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t ivshmem_deadline_ns(int timeout_ms)
{
	return timeout_ms < 0 ? IVSHMEM_NEVER : ivshmem_now_ns() + (int64_t)timeout_ms * NS_PER_MS;
}

/* Elsewhere a hint is of no use: arm64's YIELD does nothing on most processors. */
static inline void relax(void)
{
#if __has_builtin(__builtin_ia32_pause)
	__builtin_ia32_pause();
#endif
}

/* Sleeps, twice as long the next time. -ETIMEDOUT once the deadline has passed; -EINTR. */
int ivshmem_pause(int64_t *pause_ns, int64_t longest_ns, int64_t deadline)
{
	int64_t left = deadline == IVSHMEM_NEVER ? INT64_MAX : deadline - ivshmem_now_ns();
	int64_t ns = *pause_ns < longest_ns ? *pause_ns : longest_ns;
	struct timespec pause;

	if (left <= 0)
		return -ETIMEDOUT;
	if (ns > left)
		ns = left;
	pause = (struct timespec) { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };
	if (nanosleep(&pause, NULL) < 0)
		return -errno;
	if (*pause_ns < longest_ns)
		*pause_ns *= 2;
	return 0;
}

void ivshmem_waiter_init(struct ivshmem_waiter *waiter, uint32_t *word,
			 const uint32_t *other_word, uint32_t *bell, const uint32_t *other_bell)
{
	waiter->word = word;
	waiter->other_word = other_word;
	waiter->bell = bell;
	waiter->other_bell = other_bell;
	waiter->waits = __atomic_load_n(word, __ATOMIC_RELAXED);
	waiter->handled = 0;
	waiter->failed = 0;
	waiter->life_seen = ivshmem_now_ns();
}

void ivshmem_waiter_close(struct ivshmem_waiter *waiter)
{
	if (waiter->epoll >= 0)
		close(waiter->epoll);
	waiter->epoll = -1;
}

static void announce(struct ivshmem_waiter *waiter, enum waiting_state state)
{
	if (state == WAITING_DROWSY)
		waiter->waits += 4;
	waiter->waits = (waiter->waits & ~3u) + state;
	__atomic_store_n(waiter->word, waiter->waits, __ATOMIC_RELEASE);
}

/* --- waking --- */

/* Who is about to sleep, and has not yet, sees that the bell has changed. */
static void ring_by_futex(uint32_t *bell)
{
	__atomic_store_n(bell, __atomic_load_n(bell, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void ring(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter)
{
	switch (channel->wakes_other) {
	case WAKEUP_DOORBELL:
		if (channel->shm->connection)
			ivshmem_connection_refresh(channel->shm->connection);
		ivshmem_notify(channel->shm, channel->other_peer, channel->other_vector);
		break;
	case WAKEUP_FUTEX:
		ring_by_futex(waiter->bell);
		break;
	case WAKEUP_BACKOFF:
		break;
	}
}

void ivshmem_wake_other(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter)
{
	uint32_t word = __atomic_load_n(waiter->other_word, __ATOMIC_RELAXED);

	if (word == waiter->handled)
		return;
	if (word % 4 == WAITING_DROWSY) {
		atomic_thread_fence(memory_order_seq_cst);
		word = __atomic_load_n(waiter->other_word, __ATOMIC_RELAXED);
		if (word % 4 == WAITING_DROWSY)
			return;
	}
	waiter->handled = word;
	if (word % 4 == WAITING_ASLEEP)
		ring(channel, waiter);
}

/* --- sleeping --- */

static int watch(int epoll, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/*
 * Each waiter is told of each ring (edge-triggered), and none takes it away from
 * another, as it would if it read the eventfd.
 */
static int watch_doorbell(const struct ivshmem_channel *channel)
{
	int event_fd = ivshmem_event_fd(channel->shm, channel->vector);
	int epoll, err;

	if (event_fd < 0)
		return event_fd;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		return -errno;
	err = watch(epoll, event_fd, EPOLLIN | EPOLLET);
	if (!err && channel->shm->backend->side == IVSHMEM_GUEST)
		err = watch(epoll, channel->shm->fd, EPOLLHUP);
	if (err) {
		close(epoll);
		return err;
	}
	return epoll;
}

/* A timer that is not read does not go on. */
static void take_expirations(int timer)
{
	uint64_t count;

	while (read(timer, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* Takes what was signalled. -ENODEV: the device is gone. */
static int take_signals(const struct ivshmem_channel *channel, int epoll, int timeout_ms)
{
	struct epoll_event events[4];
	int i, count;

	count = epoll_wait(epoll, events, 4, timeout_ms);
	if (count < 0)
		return -errno;
	for (i = 0; i < count; i++) {
		if (events[i].data.fd == channel->shm->fd)
			return -ENODEV;
		if (events[i].data.fd == channel->loop_timer)
			take_expirations(channel->loop_timer);
	}
	return 0;
}

static int sleep_by_doorbell(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter,
			     int64_t ns)
{
	if (waiter->epoll < 0) {
		int epoll = watch_doorbell(channel);

		if (epoll < 0)
			return epoll;
		waiter->epoll = epoll;
	}
	return take_signals(channel, waiter->epoll, (int)((ns + NS_PER_MS - 1) / NS_PER_MS));
}

/* @bell is what the other end's bell was before this end said that it is asleep. */
static int sleep_by_futex(const struct ivshmem_waiter *waiter, uint32_t bell, int64_t ns)
{
	struct timespec time = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };

	if (!syscall(SYS_futex, waiter->other_bell, FUTEX_WAIT, bell, &time, NULL, 0) ||
	    errno == ETIMEDOUT || errno == EAGAIN)
		return 0;
	return -errno;
}

/* --- both --- */

/* What has come is taken before it is told that no more will. */
static int look(struct ivshmem_channel *channel, ready_fn is_ready, uint64_t need)
{
	int ready = is_ready(channel, need);
	int err;

	if (ready)
		return ready;
	err = ivshmem_session_check(channel);
	if (!err)
		return 0;
	ready = is_ready(channel, need);
	return ready ? ready : err;
}

/*
 * After a look at memory that brought nothing, once in a while: a program under this
 * kernel that ended without closing is noticed, and both directions are told.
 */
static void look_for_life(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter,
			  int64_t now)
{
	if (now - waiter->life_seen < LIFE_NS)
		return;
	waiter->life_seen = now;
	if (ivshmem_slot_is_dead(channel->other, channel->slot, !channel->side,
				 channel->shm->look_fd))
		__atomic_store_n(&channel->other_died, true, __ATOMIC_RELAXED);
}

/*
 * Then to spin keeps the other end from what is waited for. What it says may be old,
 * or wrong: a sleep too early, or a spin for nothing, is all that comes of it.
 */
static bool shares_processor(struct ivshmem_channel *channel)
{
	uint32_t processor = (uint32_t)sched_getcpu() + 1;

	if (!channel->together || !processor)
		return false;
	if (__atomic_load_n(&channel->own->processor, __ATOMIC_RELAXED) != processor)
		__atomic_store_n(&channel->own->processor, processor, __ATOMIC_RELAXED);
	return __atomic_load_n(&channel->other->processor, __ATOMIC_RELAXED) == processor;
}

/* @gives_way: no longer than the other end can do without this processor. */
static int spin(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter,
		ready_fn is_ready, uint64_t need, int64_t until, bool gives_way)
{
	int64_t now;
	int i, ready;

	do {
		for (i = 0; i < LOOKS; i++) {
			ready = is_ready(channel, need);
			if (ready)
				return ready;
		}
		ready = look(channel, is_ready, need);
		if (ready)
			return ready;
		relax();
		now = ivshmem_now_ns();
		look_for_life(channel, waiter, now);
	} while (now < until && !(gives_way && shares_processor(channel)));
	return 0;
}

static int64_t spin_end(const struct ivshmem_channel *channel, int64_t deadline)
{
	int64_t until;

	if (channel->spin_us == UINT_MAX)
		return deadline;
	until = ivshmem_now_ns() + (int64_t)channel->spin_us * 1000;
	return until < deadline ? until : deadline;
}

static int sleep_once(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter,
		      ready_fn is_ready, uint64_t need, int64_t ns)
{
	uint32_t bell = __atomic_load_n(waiter->other_bell, __ATOMIC_ACQUIRE);
	int ready;

	announce(waiter, WAITING_DROWSY);
	ready = spin(channel, waiter, is_ready, need, ivshmem_now_ns() + DROWSY_NS,
		     ns <= FIRST_SLEEP_NS);
	if (!ready) {
		announce(waiter, WAITING_ASLEEP);
		atomic_thread_fence(memory_order_seq_cst);
		ready = look(channel, is_ready, need);
	}
	if (!ready && channel->wakeup == WAKEUP_DOORBELL)
		ready = sleep_by_doorbell(channel, waiter, ns);
	else if (!ready)
		ready = sleep_by_futex(waiter, bell, ns);
	announce(waiter, WAITING_AWAKE);
	return ready;
}

static int sleep_until(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter,
		       ready_fn is_ready, uint64_t need, int64_t deadline)
{
	int64_t pause = FIRST_PAUSE_NS, longest = FIRST_SLEEP_NS;
	int64_t left;
	int ready = 0;

	while (!ready) {
		left = deadline == IVSHMEM_NEVER ? INT64_MAX : deadline - ivshmem_now_ns();
		if (left <= 0)
			return -ETIMEDOUT;
		if (channel->wakeup == WAKEUP_BACKOFF)
			ready = ivshmem_pause(&pause, channel->backoff_us * 1000ll, deadline);
		else
			ready = sleep_once(channel, waiter, is_ready, need,
					   left < longest ? left : longest);
		longest = LATER_SLEEP_NS;
		if (!ready)
			look_for_life(channel, waiter, ivshmem_now_ns());
		if (!ready || ready == -ETIMEDOUT || ready == -EINTR)
			ready = look(channel, is_ready, need) ?: ready;
	}
	return ready;
}

/* 0 once @is_ready says 1; what it says below 0; -EAGAIN if @timeout_ms is 0. */
int ivshmem_wait_for(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter,
		     ready_fn is_ready, uint64_t need, int timeout_ms)
{
	int64_t deadline;
	int ready;

	ready = look(channel, is_ready, need);
	if (!ready && !timeout_ms) {
		look_for_life(channel, waiter, ivshmem_now_ns());
		return -EAGAIN;
	}
	if (!ready) {
		deadline = ivshmem_deadline_ns(timeout_ms);
		ready = spin(channel, waiter, is_ready, need, spin_end(channel, deadline), true);
	}
	if (!ready)
		ready = sleep_until(channel, waiter, is_ready, need, deadline);
	/* What is there after the session was not said in it. */
	if (ready == -EPROTO)
		ready = ivshmem_session_check(channel) ?: ready;
	return ready < 0 ? ready : 0;
}

/* --- event loops --- */

/*
 * A poll(2) of the caller's is not woken now and then by itself, so a timer does
 * what the limits of a sleep do.
 */
static int open_loop(struct ivshmem_channel *channel)
{
	int timer, epoll, err;

	epoll = watch_doorbell(channel);
	if (epoll < 0)
		return epoll;
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	err = timer < 0 ? -errno : watch(epoll, timer, EPOLLIN | EPOLLET);
	if (err) {
		if (timer >= 0)
			close(timer);
		close(epoll);
		return err;
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
	if (channel->wakeup != WAKEUP_DOORBELL)
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
	    (channel->news.failed || look(channel, ivshmem_news_is_there, 0)))
		ready |= IVSHMEM_CAN_RECV;
	if (events & IVSHMEM_CAN_SEND &&
	    (channel->room.failed || look(channel, ivshmem_room_is_there, record)))
		ready |= IVSHMEM_CAN_SEND;
	return ready;
}

static void announce_both(struct ivshmem_channel *channel, unsigned int events,
			  enum waiting_state state)
{
	if (events & IVSHMEM_CAN_RECV)
		announce(&channel->news, state);
	if (events & IVSHMEM_CAN_SEND)
		announce(&channel->room, state);
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
	if (take_signals(channel, fd, 0) == -ENODEV)
		return (int)events;
	ivshmem_tell_released(channel);
	look_for_life(channel, events & IVSHMEM_CAN_RECV ? &channel->news : &channel->room,
		      ivshmem_now_ns());

	announce_both(channel, events, WAITING_DROWSY);
	until = ivshmem_now_ns() + DROWSY_NS;
	do {
		ready = look_at_both(channel, events, record);
	} while (!ready && ivshmem_now_ns() < until);
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
