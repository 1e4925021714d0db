// SPDX-License-Identifier: MIT
#include <errno.h>

#include "waitset.h"

/*
 * How often a member that is awake is looked at, and not only glanced at: after so much time at
 * the latest if a call begins, and after so many glances while it spins.
 */
#define LOOK_NS		20000
#define GLANCES		64

/* When a member has had nothing for so long, it is armed even if others keep the set busy. */
#define SETTLE_NS	50000

static void report(struct ivshmem_waitset *set, struct ivshmem_member *member,
		   unsigned int events)
{
	set->ready[set->found++] = (struct ivshmem_ready) {
		.data = member->data,
		.events = events,
	};
	set->told++;
	ivshmem_set_awaken(set, member);
}

/* Whoever took the hint's ticket, too, is looked at in vain. */
static void take_hints(struct ivshmem_waitset *set)
{
	struct ivshmem_slot *slot = waitset_slot(set);
	unsigned int hint = 0, i;

	while ((hint = ivshmem_hint_take(slot, hint)) < SLOT_HINTS)
		for (i = hint; i < set->end; i += SLOT_HINTS)
			if (set->members[i] && set->members[i]->state == WAITING_IN_SET)
				ivshmem_set_awaken(set, set->members[i]);
}

/* Others keep the set from its sleep, by which all would be armed. */
static void settle(struct ivshmem_waitset *set, struct ivshmem_member *member)
{
	int64_t quiet = set->now - member->had;
	unsigned int events;

	if (member->state == WAITING_AWAKE && quiet > SETTLE_NS) {
		ivshmem_set_drowse(set, member);
	} else if (member->state == WAITING_DROWSY && quiet > DROWSY_NS) {
		ivshmem_set_arm(set, member);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		events = member->ops->look(member);
		if (events)
			report(set, member, events);
	}
}

/* What the member has. Mostly that is nothing, and a glance tells. */
static unsigned int events_of(struct ivshmem_waitset *set, struct ivshmem_member *member)
{
	bool is_due = set->settles ? set->now - member->seen >= LOOK_NS :
				     set->glances % GLANCES == 0;

	if (member->ops->glance && member->seen && !is_due && !member->ops->glance(member))
		return 0;
	member->seen = set->now;
	return member->ops->look(member);
}

/* Those that are reported go to the list's end, so that each has its turn. */
static void look_at_awake(struct ivshmem_waitset *set)
{
	struct ivshmem_member *last = TAILQ_LAST(&set->awake, ivshmem_member_list);
	struct ivshmem_member *member, *next = TAILQ_FIRST(&set->awake);
	unsigned int events;

	while (next && set->found < set->most) {
		member = next;
		next = member == last ? NULL : TAILQ_NEXT(member, in);
		events = events_of(set, member);
		if (events)
			report(set, member, events);
		else if (set->settles)
			settle(set, member);
	}
}

/* For the last look before a sleep. */
static void look_at_just_armed(struct ivshmem_waitset *set)
{
	struct ivshmem_member *member;

	while ((member = set->just_armed)) {
		if (member->ops->look(member))
			ivshmem_set_awaken(set, member);
		else
			set->just_armed = TAILQ_NEXT(member, in);
	}
}

/*
 * The members' drowsy time may have ended early, or the processor was slow: they are looked at
 * once more when a first sleep is over.
 */
static void look_at_fresh(struct ivshmem_waitset *set)
{
	struct ivshmem_member *member;

	while ((member = TAILQ_FIRST(&set->fresh)) && set->woke - member->had >= FIRST_SLEEP_NS) {
		if (member->ops->look(member)) {
			ivshmem_set_awaken(set, member);
			continue;
		}
		TAILQ_REMOVE(&set->fresh, member, in);
		member->list = NULL;
	}
	set->woke = 0;
}

int ivshmem_set_look(struct ivshmem_sleeper *sleeper)
{
	struct ivshmem_waitset *set = waitset_of(sleeper);

	if (likely(sleeper->end))
		take_hints(set);
	if (set->just_armed)
		look_at_just_armed(set);
	if (set->woke)
		look_at_fresh(set);
	look_at_awake(set);
	set->settles = false;
	set->glances++;
	return set->found > 0;
}

static void look_at_impatient(struct ivshmem_waitset *set)
{
	struct ivshmem_member *member;

	TAILQ_FOREACH(member, &set->impatient, impatient) {
		if (set->now - member->looked < member->ops->longest)
			continue;
		member->looked = set->now;
		if (member->state == WAITING_IN_SET && member->ops->look(member))
			ivshmem_set_awaken(set, member);
	}
}

/* Where a hint was lost, or a death rings nobody, what there is comes to light here. */
static void look_closely(struct ivshmem_waitset *set)
{
	struct ivshmem_member *member;
	unsigned int i;

	set->now = ivshmem_now();
	look_at_impatient(set);
	if (set->now - set->looked < LATER_SLEEP_NS)
		return;
	set->looked = set->now;
	for (i = 0; i < set->end; i++) {
		member = set->members[i];
		if (!member)
			continue;
		if (member->ops->look_closely(member) ||
		    (member->state == WAITING_IN_SET &&
		     (member->ops->ways(member, &set->sleeper) & WAYS) != member->ways))
			ivshmem_set_awaken(set, member);
	}
}

static bool has_something(const struct ivshmem_waitset *set)
{
	struct ivshmem_member *member;

	TAILQ_FOREACH(member, &set->awake, in)
		if (member->ops->look(member))
			return true;
	return false;
}

/*
 * The slot was removed, by force. The next sleep arms all members anew. In a region that was
 * formatted anew they tell that first.
 */
static int claim_again(struct ivshmem_waitset *set)
{
	unsigned int i;
	int err;

	ivshmem_set_give_back(set);
	for (i = 0; i < set->end; i++)
		if (set->members[i])
			ivshmem_set_awaken(set, set->members[i]);
	err = ivshmem_directory_is_current(&set->directory) ?: ivshmem_set_claim(set);
	return err && has_something(set) ? 0 : err;
}

static int check(struct ivshmem_sleeper *sleeper)
{
	struct ivshmem_waitset *set = waitset_of(sleeper);

	look_closely(set);
	if (likely(ivshmem_set_has_slot(set)))
		return 0;
	return claim_again(set);
}

static unsigned int choose_way(struct ivshmem_sleeper *sleeper)
{
	return ivshmem_set_ways(waitset_of(sleeper));
}

static void drowse_all(struct ivshmem_waitset *set)
{
	struct ivshmem_member *member;

	TAILQ_FOREACH(member, &set->awake, in)
		ivshmem_set_drowse(set, member);
}

static void arm_all(struct ivshmem_waitset *set)
{
	struct ivshmem_member *member, *next;

	for (member = TAILQ_FIRST(&set->awake); member; member = next) {
		next = TAILQ_NEXT(member, in);
		if (ivshmem_set_arm(set, member))
			ivshmem_set_freshen(set, member);
	}
}

static void announce(struct ivshmem_sleeper *sleeper, enum waiting_state state)
{
	struct ivshmem_waitset *set = waitset_of(sleeper);

	ivshmem_waiter_announce(&sleeper->waiter, state);
	if (state == WAITING_DROWSY)
		drowse_all(set);
	else if (state == WAITING_ASLEEP)
		arm_all(set);
	else
		set->woke = ivshmem_now();
}

static bool gives_way(struct ivshmem_sleeper *sleeper)
{
	struct ivshmem_waitset *set = waitset_of(sleeper);
	struct ivshmem_member *member;

	TAILQ_FOREACH(member, &set->awake, in)
		if (member->ops->gives_way && member->ops->gives_way(member))
			return true;
	return false;
}

const struct ivshmem_sleeper_ops ivshmem_set_sleeps = {
	.check = check,
	.choose_way = choose_way,
	.announce = announce,
	.gives_way = gives_way,
};

/* Before the first look of a call. */
void ivshmem_set_begin(struct ivshmem_waitset *set, struct ivshmem_ready *ready,
		       unsigned int most)
{
	set->ready = ready;
	set->most = most;
	set->found = 0;
	set->settles = true;
	look_closely(set);
}

int ivshmem_waitset_wait(struct ivshmem_waitset *set, struct ivshmem_ready *ready,
			 unsigned int most, int timeout_ms)
{
	int64_t deadline = 0;
	int err;

	if (!set || !ready || !most)
		return -EINVAL;
	if (set->failed)
		return set->failed;
	ivshmem_set_begin(set, ready, most);
	err = ivshmem_sleeper_wait(&set->sleeper, ivshmem_set_look, timeout_ms, &deadline);
	if (err == -ENODEV)
		set->failed = err;
	return err ?: (int)set->found;
}
