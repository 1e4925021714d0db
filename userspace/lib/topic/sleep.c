// SPDX-License-Identifier: MIT
/*
 * Waiting for a message, or for room, and waking who waits: see wakeup/sleeper.h.
 *
 * A publisher looks at one word, which each subscriber changes when it gets drowsy and when it
 * falls asleep, and only if that has changed at each of them. As long as one of them is drowsy it
 * looks at them after each message, since each needs a fence then: this one's last message may
 * have been taken before it looked, and the drowsiness is about the next one. But one that has
 * died stays drowsy: so that ends, long after anybody who lives is asleep. Who falls asleep later
 * yet, since it was stopped, has changed the word again.
 */
#include <errno.h>

#include "topic.h"

#define LONGEST_DROWSY_NS (100 * NS_PER_MS)

/* 0; -ECONNRESET: the place or the topic is another's by now. Not for each message. */
int ivshmem_topic_check(struct topic *topic)
{
	if (topic->failed)
		return topic->failed;
	if (!topic_has_place(topic) ||
	    !ivshmem_slot_has_object(&topic->directory, &topic->object) ||
	    ivshmem_directory_has_layout(&topic->directory))
		topic->failed = -ECONNRESET;
	return topic->failed;
}

static int check(struct ivshmem_sleeper *sleeper)
{
	return ivshmem_topic_check(topic_of(sleeper));
}

/* By what all of those can wake @sleeper who are there for this one. */
unsigned int ivshmem_topic_ways(const struct topic *topic, const struct ivshmem_sleeper *sleeper)
{
	const struct ivshmem_topic_layout *layout = &topic->geometry.layout;
	unsigned int first = topic->is_publisher ? layout->publishers : 0;
	unsigned int end = first + (topic->is_publisher ? layout->subscribers :
							  layout->publishers);
	unsigned int i, ways = WAY_DOORBELL | WAY_FUTEX;

	for (i = first; i < end; i++) {
		const struct ivshmem_slot_end *other = topic_member(topic, i);
		uint32_t epoch = __atomic_load_n(&other->epoch, __ATOMIC_ACQUIRE);

		if (epoch % 4 == END_ATTACHED &&
		    ivshmem_end_is_for(other, epoch, topic->object.generation))
			ways &= ivshmem_ways_of_waker(sleeper, other);
	}
	return ways;
}

static unsigned int choose_way(struct ivshmem_sleeper *sleeper)
{
	return ivshmem_ways(sleeper) & ivshmem_topic_ways(topic_of(sleeper), sleeper);
}

static void announce(struct ivshmem_sleeper *sleeper, enum waiting_state state)
{
	struct topic *topic = topic_of(sleeper);

	ivshmem_waiter_announce(&sleeper->waiter, state);
	if (!topic->is_publisher && state != WAITING_AWAKE)
		__atomic_fetch_add(&topic->head->sleeps, 1, __ATOMIC_SEQ_CST);
}

const struct ivshmem_sleeper_ops ivshmem_topic_sleeps = {
	.check = check,
	.choose_way = choose_way,
	.announce = announce,
};

/* False: it is drowsy for so long that it has died, or was stopped. */
static bool is_drowsy(struct topic *topic, unsigned int subscriber, uint32_t word)
{
	if (word % 4 != WAITING_DROWSY)
		return false;
	if (topic->woken[subscriber] != word)
		topic->drowsy_until = ivshmem_now() + LONGEST_DROWSY_NS;
	topic->woken[subscriber] = word;
	return ivshmem_now() < topic->drowsy_until;
}

/* After a message, where @sleeps of the head is not what it was. */
void ivshmem_topic_wake_subscribers(struct topic *topic)
{
	uint32_t sleeps = __atomic_load_n(&topic->head->sleeps, __ATOMIC_RELAXED);
	struct ivshmem_rung rung = { .own = topic->sleeper.end };
	bool any_drowsy = false;
	unsigned int i;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (i = 0; i < topic->geometry.layout.subscribers; i++) {
		const struct ivshmem_slot_end *member = topic_subscriber(topic, i);
		uint32_t word = __atomic_load_n(&member->receiver, __ATOMIC_RELAXED);

		any_drowsy |= is_drowsy(topic, i, word);
		if (!ivshmem_word_sleeps(word) || word == topic->woken[i])
			continue;
		topic->woken[i] = word;
		ivshmem_wake_end(&topic->directory, member, word, &rung);
	}
	if (!any_drowsy)
		topic->handled = sleeps;
	ivshmem_wake_futex(&rung, &topic->head->bell);
}

/* After a subscriber has said what it needs no more. */
void ivshmem_topic_wake_publisher(struct topic *topic, unsigned int publisher)
{
	struct ivshmem_slot_end *member = topic_member(topic, publisher);
	struct ivshmem_rung rung = { .own = topic->sleeper.end };
	uint32_t word;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	word = __atomic_load_n(&member->sender, __ATOMIC_RELAXED);
	if (!ivshmem_word_sleeps(word))
		return;
	ivshmem_wake_end(&topic->directory, member, word, &rung);
	ivshmem_wake_futex(&rung, &member->receiver_bell);
}
