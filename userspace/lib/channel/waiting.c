// SPDX-License-Identifier: MIT
/*
 * Waiting for the other end: look, spin, sleep. Why no wake-up is lost: wakeup.h.
 *
 * Before a first sleep, which is short, the drowsy time ends early while both ends are on
 * one processor: the other end does not run then, and what it stored before is visible.
 * Where it is said to be may be old; then a message can be late by that sleep.
 *
 * How long to spin is the channel's, at first SPIN_US of channel.c.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>

#include "client/client.h"
#include "system/system.h"
#include "loss.h"
#include "session.h"
#include "waiting.h"

#define FIRST_PAUSE_NS		20000
#define LIFE_NS			NS_PER_S	/* between two looks for life */
#define LOOKS			128	/* between two looks at the clock */

/* Elsewhere a hint is of no use: arm64's YIELD does nothing on most processors. */
static inline void relax(void)
{
#if __has_builtin(__builtin_ia32_pause)
	__builtin_ia32_pause();
#endif
}

/* -EHOSTDOWN: the other end's VM has left the server, which this direction was not told yet. */
int ivshmem_look_at_server(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter)
{
	bool has_left = __atomic_load_n(&channel->other_left, __ATOMIC_RELAXED);

	if (!has_left && waiter->told_left)
		waiter->told_left = false;
	return has_left && !waiter->told_left ? -EHOSTDOWN : 0;
}

/* For the thread that uses this direction: of a message if @need is 0, else of room. */
static int check(struct ivshmem_channel *channel, uint64_t need)
{
	const struct ivshmem_sender *sender = &channel->sender;
	bool right = need ? sender_is_right(sender) || sender_holds_right(sender)
			  : receiver_is_right(&channel->receiver);

	if (!right)
		return ivshmem_session_lose(channel);
	return ivshmem_session_check(channel) ?:
	       ivshmem_look_at_server(channel, need ? &channel->room : &channel->news);
}

/* What has come is taken before it is told that no more will. */
int ivshmem_look(struct ivshmem_channel *channel, ivshmem_ready_fn is_ready, uint64_t need)
{
	int ready = is_ready(channel, need);
	int err;

	if (ready)
		return ready;
	err = check(channel, need);
	if (!err)
		return 0;
	ready = is_ready(channel, need);
	return ready ? ready : err;
}

/*
 * 1, 0: then both directions are told; -ENOTSUP: it can't be told; -EHOSTDOWN: nor that,
 * but the VM has left the server, and both directions are told of that.
 */
int ivshmem_look_at_life(struct ivshmem_channel *channel)
{
	int lives = ivshmem_end_is_alive(channel->other, channel->object.slot, !channel->side,
					 channel->shm);
	bool has_left = lives == -ENOTSUP && ivshmem_link_other_has_left(&channel->link);

	if (!lives)
		__atomic_store_n(&channel->other_died, true, __ATOMIC_RELAXED);
	__atomic_store_n(&channel->other_left, has_left, __ATOMIC_RELAXED);
	return has_left ? -EHOSTDOWN : lives;
}

/*
 * After a look at memory that brought nothing, and while messages are sent, once in a
 * while: a program under this kernel that ended without closing is noticed.
 */
void ivshmem_look_for_life(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter,
			   int64_t now)
{
	if (now - waiter->life_seen < LIFE_NS)
		return;
	waiter->life_seen = now;
	if (channel->shm->connection)
		ivshmem_connection_hear(channel->shm->connection);
	ivshmem_look_at_life(channel);
	if (waiter == &channel->news && ivshmem_message_is_missing(channel))
		ivshmem_session_lose(channel);
}

/*
 * Then to spin keeps the other end from what is waited for. What it says may be old,
 * or wrong: a sleep too early, or a spin for nothing, is all that comes of it.
 */
bool ivshmem_shares_processor(struct ivshmem_channel *channel)
{
	uint32_t processor = (uint32_t)sched_getcpu() + 1;

	if (!channel->link.together || !processor)
		return false;
	if (__atomic_load_n(&channel->own->processor, __ATOMIC_RELAXED) != processor)
		__atomic_store_n(&channel->own->processor, processor, __ATOMIC_RELAXED);
	return __atomic_load_n(&channel->other->processor, __ATOMIC_RELAXED) == processor;
}

/* For calls that wait on: whoever cancelled them is heard after what has come. */
static int look_on(struct ivshmem_channel *channel, ivshmem_ready_fn is_ready, uint64_t need)
{
	int ready = ivshmem_look(channel, is_ready, need);

	return ready || !ivshmem_link_is_cancelled(&channel->link) ? ready : -ECANCELED;
}

/* @gives_way: no longer than the other end can do without this processor. */
static int spin(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter,
		ivshmem_ready_fn is_ready, uint64_t need, int64_t until, bool gives_way)
{
	int64_t now;
	int i, ready;

	do {
		for (i = 0; i < LOOKS; i++) {
			ready = is_ready(channel, need);
			if (ready)
				return ready;
		}
		ready = look_on(channel, is_ready, need);
		if (ready)
			return ready;
		relax();
		now = ivshmem_now();
		ivshmem_look_for_life(channel, waiter, now);
	} while (now < until && !(gives_way && ivshmem_shares_processor(channel)));
	return 0;
}

static int64_t spin_end(const struct ivshmem_channel *channel, int64_t deadline)
{
	int64_t until;

	if (channel->spin_us == UINT_MAX)
		return deadline;
	until = ivshmem_now() + (int64_t)channel->spin_us * 1000;
	return until < deadline ? until : deadline;
}

static int sleep_once(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter,
		      ivshmem_ready_fn is_ready, uint64_t need, int64_t ns)
{
	uint32_t bell = __atomic_load_n(waiter->other_bell, __ATOMIC_ACQUIRE);
	int ready;

	if (waiter == &channel->news || channel->member.events & IVSHMEM_CAN_SEND)
		ivshmem_member_awaken(&channel->member);
	ivshmem_waiter_announce(waiter, WAITING_DROWSY);
	ready = spin(channel, waiter, is_ready, need, ivshmem_now() + DROWSY_NS,
		     ns <= FIRST_SLEEP_NS);
	if (!ready) {
		ivshmem_waiter_announce(waiter, WAITING_ASLEEP);
		atomic_thread_fence(memory_order_seq_cst);
		ready = look_on(channel, is_ready, need);
	}
	if (!ready)
		ready = ivshmem_sleep(&channel->link, waiter, bell, ns);
	/* With the device its memory is gone. */
	if (ready != -ENODEV)
		ivshmem_waiter_announce(waiter, WAITING_AWAKE);
	return ready;
}

/* At the most, where it is not sure that somebody wakes this end. */
int64_t ivshmem_longest_pause(const struct ivshmem_channel *channel)
{
	int64_t pause = channel->backoff_us * NS_PER_US;

	if (channel->link.wakeup != WAKEUP_DOORBELL)
		return pause;
	return pause < LATER_SLEEP_NS / UNSURE_FACTOR ? pause * UNSURE_FACTOR : LATER_SLEEP_NS;
}

/* Who may not be rung sleeps longer each time; @last: how long it has slept. */
static int64_t later_sleep(const struct ivshmem_channel *channel, int64_t last)
{
	int64_t longest = ivshmem_longest_pause(channel);

	if (ivshmem_link_is_sure(&channel->link))
		return LATER_SLEEP_NS;
	return 2 * last < longest ? 2 * last : longest;
}

static int sleep_until(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter,
		       ivshmem_ready_fn is_ready, uint64_t need, int64_t deadline)
{
	int64_t pause = FIRST_PAUSE_NS, longest = FIRST_SLEEP_NS;
	int64_t left;
	int ready = 0;

	while (!ready) {
		left = ivshmem_time_left(deadline);
		if (!left)
			return -ETIMEDOUT;
		if (channel->link.wakeup == WAKEUP_BACKOFF)
			ready = ivshmem_link_pause(&channel->link, &pause,
						   ivshmem_longest_pause(channel), deadline);
		else
			ready = sleep_once(channel, waiter, is_ready, need,
					   left < longest ? left : longest);
		longest = later_sleep(channel, longest);
		if (!ready)
			ivshmem_look_for_life(channel, waiter, ivshmem_now());
		if (!ready || ready == -ETIMEDOUT || ready == -EINTR || ready == -ECANCELED)
			ready = look_on(channel, is_ready, need) ?: ready;
	}
	return ready;
}

/* 0 once @is_ready says 1; what it says below 0; -EAGAIN if @timeout_ms is 0. */
int ivshmem_wait_for(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter,
		     ivshmem_ready_fn is_ready, uint64_t need, int timeout_ms)
{
	int64_t deadline;
	int ready;

	ready = ivshmem_look(channel, is_ready, need);
	if (!ready && !timeout_ms) {
		ivshmem_look_for_life(channel, waiter, ivshmem_now());
		return -EAGAIN;
	}
	if (!ready) {
		deadline = ivshmem_deadline(timeout_ms);
		ready = spin(channel, waiter, is_ready, need, spin_end(channel, deadline), true);
	}
	if (!ready)
		ready = sleep_until(channel, waiter, is_ready, need, deadline);
	/* What is there after the session was not said in it. */
	if (ready == -EPROTO)
		ready = ivshmem_session_check(channel) ?: ready;
	return ready < 0 ? ready : 0;
}
