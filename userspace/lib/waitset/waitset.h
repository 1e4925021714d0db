/* SPDX-License-Identifier: MIT */
/*
 * A wait set: it waits for any of its members at once. What that costs depends on how many
 * have something, and not on how many there are.
 *
 * A member is awake, or armed. Those that are awake are looked at each time. What they have is
 * reported, as long as it is there. One that has had nothing for a while is armed: its waiting
 * word says drowsy, then that it is in a set, and after a last look the set does not look
 * there again before it is hinted at. See wakeup/sleeper.h for why none is missed.
 *
 *	set.c		opens it, and closes it
 *	claim.c		has a slot for it
 *	members.c	puts members in, and takes them out
 *	arming.c	lets members sleep, and awakens them
 *	wait.c		looks, and waits
 *	event_loop.c	waits in an event loop of the caller's
 */
#ifndef WAITSET_H
#define WAITSET_H

#include <ivshmem/waitset.h>

#include "wakeup/wakeup.h"

#define WAYS	(WAY_DOORBELL | WAY_FUTEX)

/**
 * struct ivshmem_waitset - A wait set.
 * @shm: The region.
 * @holder: Keeps it, and has the claim to the slot's end.
 * @directory: Of the region.
 * @object: The set in it.
 * @name: Of that object.
 * @sleeper: How it is woken.
 * @cancel: Ends calls that wait.
 * @failed: What all calls return from now on; 0 as long as all is well.
 * @members: Those that are in it, by their index; NULL where there is none.
 * @room: Of that array.
 * @end: Behind the last one.
 * @awake: The members that are awake.
 * @fresh: Those that were armed before a sleep, and are to be looked at once more when
 *	FIRST_SLEEP_NS have passed since. The oldest first.
 * @impatient: Those that want to be looked at more often than every LATER_SLEEP_NS.
 * @just_armed: The first of these that was not looked at since it is armed; or NULL.
 * @woke: When the set woke from its last sleep, until it has looked at those of @fresh; or 0.
 * @looked: When all were looked at last.
 * @armed: How many are armed, by what ivshmem_member.ways says.
 * @now: When the call began that waits, or its last look closely.
 * @settles: Members that have had nothing for a while may be armed by this look.
 * @glances: How many looks there were.
 * @ready: Where the caller wants to be told.
 * @most: How many there is room for.
 * @found: How many were told.
 * @told: How many ever.
 * @loop: For ivshmem_waitset_fd().
 */
struct ivshmem_waitset {
	struct ivshmem *shm;
	struct ivshmem_holder holder;
	struct ivshmem_directory directory;
	struct ivshmem_object object;
	char name[IVSHMEM_NAME_SIZE];
	struct ivshmem_sleeper sleeper;
	struct ivshmem_cancel cancel;
	int failed;
	struct ivshmem_member **members;
	unsigned int room;
	unsigned int end;
	struct ivshmem_member_list awake;
	struct ivshmem_member_list fresh;
	struct ivshmem_member_list impatient;
	struct ivshmem_member *just_armed;
	int64_t woke;
	int64_t looked;
	unsigned int armed[WAYS + 1];
	int64_t now;
	bool settles;
	unsigned int glances;
	struct ivshmem_ready *ready;
	unsigned int most;
	unsigned int found;
	uint64_t told;
	struct ivshmem_loop loop;
};

static inline struct ivshmem_waitset *waitset_of(struct ivshmem_sleeper *sleeper)
{
	return container_of(sleeper, struct ivshmem_waitset, sleeper);
}

static inline struct ivshmem_slot *waitset_slot(const struct ivshmem_waitset *set)
{
	return &set->directory.slots[set->object.slot];
}

/* arming.c */
void ivshmem_set_awaken(struct ivshmem_waitset *set, struct ivshmem_member *member);
void ivshmem_set_forget(struct ivshmem_waitset *set, struct ivshmem_member *member);
void ivshmem_set_drowse(struct ivshmem_waitset *set, struct ivshmem_member *member);
bool ivshmem_set_arm(struct ivshmem_waitset *set, struct ivshmem_member *member);
void ivshmem_set_freshen(struct ivshmem_waitset *set, struct ivshmem_member *member);
unsigned int ivshmem_set_ways(struct ivshmem_waitset *set);

/* wait.c */
extern const struct ivshmem_sleeper_ops ivshmem_set_sleeps;

void ivshmem_set_begin(struct ivshmem_waitset *set, struct ivshmem_ready *ready,
		       unsigned int most);
int ivshmem_set_look(struct ivshmem_sleeper *sleeper);

/* claim.c */
int ivshmem_set_claim(struct ivshmem_waitset *set);
void ivshmem_set_give_back(struct ivshmem_waitset *set);
bool ivshmem_set_has_slot(const struct ivshmem_waitset *set);

/* members.c */
void ivshmem_set_remove_all(struct ivshmem_waitset *set);

#endif /* WAITSET_H */
