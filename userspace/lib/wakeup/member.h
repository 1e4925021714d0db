/* SPDX-License-Identifier: MIT */
/*
 * What can be in a wait set: a channel, a subscriber, a listener. Each of them has a struct
 * ivshmem_member, and a table of what the set has to ask it. The set, which is above them,
 * has put into the member what they have to tell it.
 *
 * All that is here is for the thread that waits with the set.
 */
#ifndef MEMBER_H
#define MEMBER_H

#include <sys/queue.h>

struct ivshmem;
struct ivshmem_member;
struct ivshmem_sleeper;
struct ivshmem_slot_end;

/**
 * struct ivshmem_member_ops - What a set asks.
 * @look: Of the member's @events, those that are there: the user's next call would return
 *	at once. Called often. No fence.
 * @glance: Looks for what comes most often, and quickly: whether @look would say more, if this
 *	says no, comes to light a moment later. NULL: @look is quick enough.
 * @look_closely: As @look, once a second: it also looks whether the others live.
 * @announce: Says in the waiting words that go with @events: WAITING_DROWSY,
 *	WAITING_IN_SET or WAITING_AWAKE.
 * @end: The end where the set is told, and that has those words; NULL: at the moment nobody
 *	can tell a set of this one, which is looked at again and again.
 * @ways: By which of the WAY_ bits all of those can wake the set's sleeper who may have to.
 * @gives_way: To look again and again keeps another program from the processor, which
 *	this one waits for. NULL: that is not known.
 * @longest: After which time the set looks at it by itself; 0: LATER_SLEEP_NS.
 */
struct ivshmem_member_ops {
	unsigned int (*look)(struct ivshmem_member *member);
	bool (*glance)(struct ivshmem_member *member);
	unsigned int (*look_closely)(struct ivshmem_member *member);
	void (*announce)(struct ivshmem_member *member, enum waiting_state state);
	struct ivshmem_slot_end *(*end)(struct ivshmem_member *member);
	unsigned int (*ways)(struct ivshmem_member *member,
			     const struct ivshmem_sleeper *sleeper);
	bool (*gives_way)(struct ivshmem_member *member);
	int64_t longest;
};

/**
 * struct ivshmem_member - One that is in a set, or may be.
 * @ops: What kind it is.
 * @shm: By which handle it was opened.
 * @awaken: Set by the set: the waiting words will say something else than the set has said.
 * @leave: Set by the set: the member is about to go.
 * @set: The set that it is in; NULL: none.
 * @events: What the set waits for, of IVSHMEM_CAN_RECV and IVSHMEM_CAN_SEND.
 * @length: For IVSHMEM_CAN_SEND.
 * @data: The user's.
 * @index: Its place in the set.
 * @state: What the set has had it announce.
 * @had: When something was there last, and from when on it is drowsy.
 * @seen: When ops->look() was called last, of one that is awake; 0: not since it is.
 * @ways: Of an armed one, what ops->ways() has said.
 * @in: In the list of those that are looked at each time, or of those that fell asleep last.
 * @list: Which of these, NULL: neither.
 * @impatient: In the list of those that have ops->longest.
 * @looked: Of these: when it was looked at last by its own wish.
 */
struct ivshmem_member {
	const struct ivshmem_member_ops *ops;
	struct ivshmem *shm;
	void (*awaken)(struct ivshmem_member *member);
	void (*leave)(struct ivshmem_member *member);
	struct ivshmem_waitset *set;
	unsigned int events;
	size_t length;
	void *data;
	unsigned int index;
	enum waiting_state state;
	int64_t had;
	int64_t seen;
	unsigned int ways;

	TAILQ_ENTRY(ivshmem_member) in;
	struct ivshmem_member_list *list;

	TAILQ_ENTRY(ivshmem_member) impatient;
	int64_t looked;
};

TAILQ_HEAD(ivshmem_member_list, ivshmem_member);

/* Before the member's own calls sleep, or its session goes. */
static inline void ivshmem_member_awaken(struct ivshmem_member *member)
{
	if (member->set)
		member->awaken(member);
}

/* Before it is closed. */
static inline void ivshmem_member_leave(struct ivshmem_member *member)
{
	if (member->set)
		member->leave(member);
}

#endif /* MEMBER_H */
