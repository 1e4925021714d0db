// SPDX-License-Identifier: MIT
#include "waitset.h"

static void leave_list(struct ivshmem_waitset *set, struct ivshmem_member *member)
{
	if (member == set->just_armed)
		set->just_armed = TAILQ_NEXT(member, in);
	if (member->list)
		TAILQ_REMOVE(member->list, member, in);
	member->list = NULL;
}

static void enter_list(struct ivshmem_member_list *list, struct ivshmem_member *member)
{
	TAILQ_INSERT_TAIL(list, member, in);
	member->list = list;
}

static void count_armed(struct ivshmem_waitset *set, struct ivshmem_member *member, bool is_armed)
{
	if (member->state == WAITING_IN_SET)
		set->armed[member->ways]--;
	if (is_armed)
		set->armed[member->ways = member->ops->ways(member, &set->sleeper) & WAYS]++;
}

/* Only in this process: its end is another's, or its memory is gone. */
void ivshmem_set_forget(struct ivshmem_waitset *set, struct ivshmem_member *member)
{
	count_armed(set, member, false);
	member->state = WAITING_AWAKE;
	leave_list(set, member);
}

/* It will be looked at each time. */
void ivshmem_set_awaken(struct ivshmem_waitset *set, struct ivshmem_member *member)
{
	if (member->state != WAITING_AWAKE)
		member->ops->announce(member, WAITING_AWAKE);
	ivshmem_set_forget(set, member);
	member->had = set->now;
	member->seen = 0;
	enter_list(&set->awake, member);
}

void ivshmem_set_drowse(struct ivshmem_waitset *set, struct ivshmem_member *member)
{
	if (member->state != WAITING_AWAKE || !member->ops->end(member) || !set->sleeper.end)
		return;
	member->ops->announce(member, WAITING_DROWSY);
	member->state = WAITING_DROWSY;
	member->had = set->now;
}

/*
 * One that has been drowsy for DROWSY_NS. Afterwards comes a full fence, and a look: one
 * that has something by then is awakened. False: it can't be armed.
 */
bool ivshmem_set_arm(struct ivshmem_waitset *set, struct ivshmem_member *member)
{
	struct ivshmem_slot_end *end = member->ops->end(member);

	if (member->state != WAITING_DROWSY || !end)
		return false;
	__atomic_store_n(&end->set, set->object.slot + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&end->set_generation, set->object.generation, __ATOMIC_RELAXED);
	__atomic_store_n(&end->ticket, member->index % SLOT_HINTS, __ATOMIC_RELAXED);
	count_armed(set, member, true);
	member->ops->announce(member, WAITING_IN_SET);
	member->state = WAITING_IN_SET;
	leave_list(set, member);
	return true;
}

/* It was armed before a sleep. */
void ivshmem_set_freshen(struct ivshmem_waitset *set, struct ivshmem_member *member)
{
	member->had = ivshmem_now();
	enter_list(&set->fresh, member);
	if (!set->just_armed)
		set->just_armed = member;
}

/*
 * By which all can wake the set who may have to: if there is no such way, those that there are,
 * and looks from time to time.
 */
unsigned int ivshmem_set_ways(struct ivshmem_waitset *set)
{
	unsigned int own = ivshmem_ways(&set->sleeper), counts[WAYS + 1], ways;
	struct ivshmem_member *member;
	bool is_restless = false;

	for (ways = 0; ways <= WAYS; ways++)
		counts[ways] = set->armed[ways];
	TAILQ_FOREACH(member, &set->awake, in) {
		is_restless |= !member->ops->end(member);
		if (member->ops->end(member))
			counts[member->ops->ways(member, &set->sleeper) & WAYS]++;
	}
	if (is_restless)
		return own | WAY_UNSURE;
	if (own & WAY_DOORBELL && !counts[0] && !counts[WAY_FUTEX])
		return WAY_DOORBELL;
	if (own & WAY_FUTEX && !counts[0] && !counts[WAY_DOORBELL])
		return WAY_FUTEX;
	return own | WAY_UNSURE;
}
