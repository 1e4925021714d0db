// SPDX-License-Identifier: MIT
/*
 * Waiting for a message, or for room, and waking who waits.
 *
 * As with channels (wakeup/wakeup.h): a waiting word says drowsy for DROWSY_NS, then asleep,
 * and no sleep is for ever. So a publisher needs no fence between a message and its look. It
 * looks at one word, which each subscriber changes when it gets drowsy and when it falls
 * asleep, and only if that has changed at each of them. One ring wakes a whole peer.
 */
#include <errno.h>
#include <sched.h>

#include "client/client.h"
#include "doorbell/doorbell.h"
#include "topic.h"

#define SPIN_NS		50000
#define LOOKS		64
#define FIRST_PAUSE_NS	20000
#define LONGEST_PAUSE_NS NS_PER_MS
#define REMEMBERED	8

/* How a member sleeps, in its field processor. */
enum { BY_PAUSE, BY_DOORBELL, BY_FUTEX };

static int look_on(struct topic *topic, topic_ready_fn is_ready)
{
	int ready = is_ready(topic);

	return ready || !ivshmem_link_is_cancelled(&topic->link) ? ready : -ECANCELED;
}

static int spin(struct topic *topic, topic_ready_fn is_ready, int64_t until)
{
	int i, ready;

	do {
		for (i = 0; i < LOOKS; i++) {
			ready = is_ready(topic);
			if (ready)
				return ready;
		}
		ready = look_on(topic, is_ready);
		if (ready)
			return ready;
	} while (ivshmem_now() < until);
	return 0;
}

/* By what all of those can wake this one who are there. */
static unsigned int choose_way(struct topic *topic)
{
	const struct ivshmem_topic_layout *layout = &topic->geometry.layout;
	unsigned int first = topic->is_publisher ? layout->publishers : 0;
	unsigned int end = first + (topic->is_publisher ? layout->subscribers :
							  layout->publishers);
	bool ring = topic->link.can & WAKE_RINGABLE, futex = topic->link.can & WAKE_FUTEX;
	unsigned int i;

	topic->link.wakeup = WAKEUP_DOORBELL;
	ring &= ivshmem_link_is_sure(&topic->link);

	for (i = first; i < end; i++) {
		const struct ivshmem_slot_end *other = topic_member(topic, i);
		uint32_t epoch = __atomic_load_n(&other->epoch, __ATOMIC_ACQUIRE);
		uint32_t wake = __atomic_load_n(&other->wake, __ATOMIC_RELAXED);

		if (epoch % 4 != END_ATTACHED ||
		    !ivshmem_end_is_for(other, epoch, topic->object.generation))
			continue;
		ring &= !!(wake & WAKE_CAN_RING);
		futex &= wake & WAKE_FUTEX && ivshmem_end_is_local(other, topic->shm);
	}
	return ring ? BY_DOORBELL : futex ? BY_FUTEX : BY_PAUSE;
}

static void announce(struct topic *topic, enum waiting_state state)
{
	ivshmem_waiter_announce(&topic->waiter, state);
	if (!topic->is_publisher && state != WAITING_AWAKE)
		__atomic_fetch_add(&topic->head->sleeps, 1, __ATOMIC_SEQ_CST);
}

static int sleep_once(struct topic *topic, topic_ready_fn is_ready, int64_t ns)
{
	uint32_t bell = __atomic_load_n(topic->waiter.other_bell, __ATOMIC_ACQUIRE);
	int ready;

	announce(topic, WAITING_DROWSY);
	ready = spin(topic, is_ready, ivshmem_now() + DROWSY_NS);
	if (!ready) {
		announce(topic, WAITING_ASLEEP);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		ready = look_on(topic, is_ready);
	}
	if (!ready)
		ready = ivshmem_sleep(&topic->link, &topic->waiter, bell, ns);
	announce(topic, WAITING_AWAKE);
	return ready;
}

static int sleep_somehow(struct topic *topic, topic_ready_fn is_ready, int64_t ns,
			 int64_t *pause, int64_t deadline)
{
	unsigned int way = topic->member ? choose_way(topic) : BY_PAUSE;

	if (way == BY_PAUSE)
		return ivshmem_pause(pause, LONGEST_PAUSE_NS, deadline, topic->link.cancels);
	__atomic_store_n(&topic->member->processor, way, __ATOMIC_RELAXED);
	topic->link.wakeup = way == BY_DOORBELL ? WAKEUP_DOORBELL : WAKEUP_FUTEX;
	return sleep_once(topic, is_ready, ns);
}

/*
 * 0 once @is_ready says 1; what it says below 0; -EAGAIN if @timeout_ms is 0. @deadline: when
 * that has passed; 0: not known yet.
 */
int ivshmem_topic_wait(struct topic *topic, topic_ready_fn is_ready, int timeout_ms,
		       int64_t *deadline)
{
	int64_t longest = FIRST_SLEEP_NS, pause = FIRST_PAUSE_NS, until, left;
	int ready = is_ready(topic);

	if (ready || !timeout_ms)
		return ready < 0 ? ready : ready ? 0 : ivshmem_topic_check(topic) ?: -EAGAIN;
	*deadline = *deadline ?: ivshmem_deadline(timeout_ms);
	until = ivshmem_now() + SPIN_NS;
	ready = spin(topic, is_ready, until < *deadline ? until : *deadline);
	while (!ready) {
		left = ivshmem_time_left(*deadline);
		ready = left ? ivshmem_topic_check(topic) : -ETIMEDOUT;
		if (ready)
			break;
		ready = sleep_somehow(topic, is_ready, left < longest ? left : longest, &pause,
				      *deadline);
		longest = LATER_SLEEP_NS;
		if (topic->shm->connection)
			ivshmem_connection_hear(topic->shm->connection);
		if (!ready || ready == -ETIMEDOUT || ready == -EINTR || ready == -ECANCELED)
			ready = look_on(topic, is_ready) ?: ready;
	}
	return ready < 0 ? ready : 0;
}

/* --- waking --- */

/**
 * struct rung - Whom a publisher has rung for one message.
 * @pairs: Peers in the high half, vectors in the low one.
 * @count: How many, of which the last REMEMBERED are remembered.
 * @futex: Somebody sleeps on the bell.
 */
struct rung {
	uint32_t pairs[REMEMBERED];
	unsigned int count;
	bool futex;
};

static void ring(const struct topic *topic, const struct ivshmem_slot_end *member,
		 struct rung *rung)
{
	uint32_t peer = __atomic_load_n(&member->peer_id, __ATOMIC_RELAXED);
	uint32_t vector = __atomic_load_n(&member->vector, __ATOMIC_RELAXED);
	uint32_t pair = peer << 16 | vector;
	unsigned int i;

	if (peer > IVSHMEM_MAX_PEER || vector >= IVSHMEM_MAX_VECTORS)
		return;
	for (i = 0; i < rung->count && i < REMEMBERED; i++)
		if (rung->pairs[i] == pair)
			return;
	rung->pairs[rung->count++ % REMEMBERED] = pair;
	ivshmem_notify(topic->shm, (int)peer, vector);
}

static void wake_member(const struct topic *topic, const struct ivshmem_slot_end *member,
			struct rung *rung)
{
	switch (__atomic_load_n(&member->processor, __ATOMIC_RELAXED)) {
	case BY_DOORBELL:
		ring(topic, member, rung);
		break;
	case BY_FUTEX:
		rung->futex = true;
		break;
	}
}

/* After a message, where @sleeps of the head is not what it was. */
void ivshmem_topic_wake_subscribers(struct topic *topic)
{
	uint32_t sleeps = __atomic_load_n(&topic->head->sleeps, __ATOMIC_RELAXED);
	struct rung rung = { .count = 0 };
	unsigned int i;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (i = 0; i < topic->geometry.layout.subscribers; i++) {
		const struct ivshmem_slot_end *member = topic_subscriber(topic, i);
		uint32_t word = __atomic_load_n(&member->receiver, __ATOMIC_RELAXED);

		if (word % 4 != WAITING_ASLEEP || word == topic->woken[i])
			continue;
		topic->woken[i] = word;
		wake_member(topic, member, &rung);
	}
	topic->handled = sleeps;
	if (!rung.futex)
		return;
	__atomic_fetch_add(&topic->head->bell, 1, __ATOMIC_SEQ_CST);
	ivshmem_futex_wake(&topic->head->bell, true);
}

/* After a subscriber has said what it needs no more. */
void ivshmem_topic_wake_publisher(struct topic *topic, unsigned int publisher)
{
	struct ivshmem_slot_end *member = topic_member(topic, publisher);
	struct rung rung = { .count = 0 };

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&member->sender, __ATOMIC_RELAXED) % 4 != WAITING_ASLEEP)
		return;
	wake_member(topic, member, &rung);
	if (!rung.futex)
		return;
	__atomic_fetch_add(&member->receiver_bell, 1, __ATOMIC_SEQ_CST);
	ivshmem_futex_wake(&member->receiver_bell, true);
}
