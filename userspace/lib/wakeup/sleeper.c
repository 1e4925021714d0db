// SPDX-License-Identifier: MIT
/*
 * Waiting for any of several programs.
 *
 * As with channels a waiting word says drowsy for DROWSY_NS, then asleep, and no sleep is for
 * ever. So who has passed something on needs no fence between that and its look.
 */
#include <errno.h>

#include "client/client.h"
#include "wakeup.h"

#define SPIN_NS		50000
#define LOOKS		64
#define FIRST_PAUSE_NS	20000
#define LONGEST_PAUSE_NS NS_PER_MS

void ivshmem_sleeper_init(struct ivshmem_sleeper *sleeper, struct ivshmem *shm,
			  const struct ivshmem_sleeper_ops *ops)
{
	*sleeper = (struct ivshmem_sleeper) {
		.ops = ops,
		.link = { .shm = shm, .cancels = { &shm->cancel } },
		.waiter = { .epoll = -1 },
		.longest = LATER_SLEEP_NS,
		.spin_ns = SPIN_NS,
	};
}

/*
 * By which it can be woken, if others can wake so. Who has joined another server tells first
 * where it is rung now: others look there when they find it asleep.
 */
unsigned int ivshmem_ways(struct ivshmem_sleeper *sleeper)
{
	struct ivshmem_link link;
	unsigned int ways = 0;

	if (!sleeper->end)
		return 0;
	if (ivshmem_place_is_own(sleeper))
		ivshmem_link_tell_again(&sleeper->link, sleeper->slot);
	link = sleeper->link;
	link.wakeup = WAKEUP_DOORBELL;
	if (link.can & WAKE_RINGABLE && ivshmem_link_is_sure(&link))
		ways |= WAY_DOORBELL;
	if (link.can & WAKE_FUTEX)
		ways |= WAY_FUTEX;
	return ways;
}

/* By which an end that is attached can wake it, as far as that is for @waker to say. */
unsigned int ivshmem_ways_of_waker(const struct ivshmem_sleeper *sleeper,
				   const struct ivshmem_slot_end *waker)
{
	uint32_t wake = __atomic_load_n(&waker->wake, __ATOMIC_RELAXED);
	unsigned int ways = 0;

	if (wake & WAKE_CAN_RING)
		ways |= WAY_DOORBELL;
	if (wake & WAKE_FUTEX && ivshmem_end_is_local(waker, sleeper->link.shm))
		ways |= WAY_FUTEX;
	return ways;
}

static int look_on(struct ivshmem_sleeper *sleeper, ivshmem_sleeper_ready_fn is_ready)
{
	int ready = is_ready(sleeper);

	return ready || !ivshmem_link_is_cancelled(&sleeper->link) ? ready : -ECANCELED;
}

/* @gives_way: no longer than others can do without this processor. */
static int spin(struct ivshmem_sleeper *sleeper, ivshmem_sleeper_ready_fn is_ready, int64_t until,
		bool gives_way)
{
	int i, ready;

	gives_way &= !!sleeper->ops->gives_way;

	do {
		for (i = 0; i < LOOKS; i++) {
			ready = is_ready(sleeper);
			if (ready)
				return ready;
		}
		ready = look_on(sleeper, is_ready);
		if (ready)
			return ready;
	} while (ivshmem_now() < until && !(gives_way && sleeper->ops->gives_way(sleeper)));
	return 0;
}

/* @ways: of the WAY_ bits, none or one; @pause: as ivshmem_pause() has it, where there is none. */
static int sleep_by(struct ivshmem_sleeper *sleeper, unsigned int ways, uint32_t bell, int64_t ns,
		    int64_t *pause)
{
	if (!ways)
		return ivshmem_link_pause(&sleeper->link, pause, LONGEST_PAUSE_NS,
					  ivshmem_now() + ns);
	sleeper->link.wakeup = ways == WAY_DOORBELL ? WAKEUP_DOORBELL : WAKEUP_FUTEX;
	return ivshmem_sleep(&sleeper->link, &sleeper->waiter, bell, ns);
}

static int sleep_once(struct ivshmem_sleeper *sleeper, ivshmem_sleeper_ready_fn is_ready,
		      unsigned int ways, int64_t ns, int64_t *pause)
{
	uint32_t bell = __atomic_load_n(sleeper->waiter.other_bell, __ATOMIC_ACQUIRE);
	int ready;

	sleeper->ops->announce(sleeper, WAITING_DROWSY);
	ready = spin(sleeper, is_ready, ivshmem_now() + DROWSY_NS, ns <= FIRST_SLEEP_NS);
	if (!ready) {
		sleeper->ops->announce(sleeper, WAITING_ASLEEP);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		ready = look_on(sleeper, is_ready);
	}
	if (!ready)
		ready = sleep_by(sleeper, ways, bell, ns, pause);
	/* With the device its memory is gone. */
	if (ready != -ENODEV)
		sleeper->ops->announce(sleeper, WAITING_AWAKE);
	return ready;
}

static int sleep_somehow(struct ivshmem_sleeper *sleeper, ivshmem_sleeper_ready_fn is_ready,
			 int64_t ns, int64_t *pause, int64_t deadline)
{
	unsigned int ways = sleeper->end ? sleeper->ops->choose_way(sleeper) : 0;

	if (!ways)
		return ivshmem_link_pause(&sleeper->link, pause, LONGEST_PAUSE_NS, deadline);
	if (ways & WAY_UNSURE && ns > LONGEST_PAUSE_NS)
		ns = LONGEST_PAUSE_NS;
	ways &= ways & WAY_DOORBELL ? WAY_DOORBELL : WAY_FUTEX;
	__atomic_store_n(&sleeper->end->processor, ways, __ATOMIC_RELAXED);
	return sleep_once(sleeper, is_ready, ways, ns, pause);
}

/*
 * 0 once @is_ready says 1; what it says below 0; -EAGAIN if @timeout_ms is 0. @deadline: when
 * that has passed; 0: not known yet.
 */
int ivshmem_sleeper_wait(struct ivshmem_sleeper *sleeper, ivshmem_sleeper_ready_fn is_ready,
			 int timeout_ms, int64_t *deadline)
{
	struct ivshmem_connection *connection = sleeper->link.shm->connection;
	int64_t longest = FIRST_SLEEP_NS, pause = FIRST_PAUSE_NS, until, left;
	int ready = is_ready(sleeper);

	if (ready || !timeout_ms)
		return ready < 0 ? ready :
		       ready ? 0 : sleeper->ops->check(sleeper) ?: -EAGAIN;
	*deadline = *deadline ?: ivshmem_deadline(timeout_ms);
	until = ivshmem_now() + sleeper->spin_ns;
	ready = spin(sleeper, is_ready, until < *deadline ? until : *deadline, true);
	while (!ready) {
		left = ivshmem_time_left(*deadline);
		ready = left ? sleeper->ops->check(sleeper) : -ETIMEDOUT;
		if (ready)
			break;
		ready = sleep_somehow(sleeper, is_ready, left < longest ? left : longest, &pause,
				      *deadline);
		longest = sleeper->longest;
		if (connection)
			ivshmem_connection_hear(connection);
		if (!ready || ready == -ETIMEDOUT || ready == -EINTR || ready == -ECANCELED)
			ready = look_on(sleeper, is_ready) ?: ready;
	}
	return ready < 0 ? ready : 0;
}
