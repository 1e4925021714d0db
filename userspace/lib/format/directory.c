// SPDX-License-Identifier: MIT
/*
 * Which slot is whose: finding one by its name, and claiming one for a name.
 *
 * A slot's key is one word, changed by compare-and-swap only: it has a state, a hash
 * of the name, and a generation, which is another one after each change. A slot is
 * claimed first, then given its name, then its key says that it is named. Nobody
 * attaches to a slot that is only claimed, and everybody may take a claim away: who
 * was too slow finds out by its next compare-and-swap, and looks for a slot again. So
 * a program can be stopped for any time, or die, at any step.
 *
 * - The name has no lock, either. Each of its words carries the generation of the
 *   claim that wrote it, and is replaced by later generations only. What a slow
 *   program still writes can't damage a newer name.
 * - An end attaches, then looks whether the slot is still named as its channel. Who
 *   claims a slot that was left changes the key, then looks whether somebody has
 *   attached, and gives the slot back. Full fences are between, so at least one of
 *   both sees the other.
 * - Two programs may claim a slot each for the same name. Each of them looks at all
 *   other slots between its claim and the end of it, and takes away any other claim
 *   with the same hash. So at most one of the two gets as far as a named slot.
 */
#include <errno.h>
#include <string.h>

#include "format.h"

#define CLAIM_TRIES	8
#define WORD_TRIES	8

#define STATE_BITS	3ull
#define HASH_BITS	0xfffffffcu

static_assert(sizeof(((struct ivshmem_slot *)NULL)->name) / sizeof(uint64_t) * 4 ==
	      IVSHMEM_CHANNEL_NAME_SIZE, "format");

/* FNV-1a of 64 bits, folded. */
uint32_t ivshmem_name_hash(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3ull;
	return (uint32_t)(hash ^ hash >> 32);
}

static uint64_t read_key(const struct ivshmem_slot *slot)
{
	return __atomic_load_n(&slot->key, __ATOMIC_SEQ_CST);
}

/* What comes after @key. */
static uint64_t next_key(uint64_t key, uint32_t hash, enum slot_state state)
{
	return ((key >> 32) + 1) << 32 | (hash & HASH_BITS) | state;
}

static bool change_key(struct ivshmem_slot *slot, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(&slot->key, &from, to, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* A state that there is not can only be junk, and is no better than a name of junk. */
static enum slot_state state_of(uint64_t key)
{
	return (key & STATE_BITS) < SLOT_NAMED ? key & STATE_BITS : SLOT_NAMED;
}

/* Of the name's four bytes from @index * 4 on. */
static uint64_t name_word(uint64_t key, const char padded[IVSHMEM_CHANNEL_NAME_SIZE],
			  unsigned int index)
{
	uint32_t bytes;

	memcpy(&bytes, padded + 4 * index, sizeof(bytes));
	return key >> 32 << 32 | bytes;
}

static bool is_newer(uint64_t word, uint64_t than)
{
	return (int32_t)((word >> 32) - (than >> 32)) > 0;
}

/*
 * Replaces what is older. What is newer comes from who has taken the claim away; or it
 * is junk, if the claim is still there.
 */
static bool write_word(struct ivshmem_slot *slot, uint64_t claim, unsigned int index,
		       uint64_t value)
{
	uint64_t *word = &slot->name[index];
	uint64_t there = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	unsigned int tries;

	for (tries = 0; tries < WORD_TRIES; tries++) {
		if (is_newer(there, value) && read_key(slot) != claim)
			return false;
		if (__atomic_compare_exchange_n(word, &there, value, false,
						__ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

/*
 * Of an end that is attaching. As with names, who has lost the end meanwhile damages
 * nothing newer: false then.
 */
bool ivshmem_end_tell_purpose(struct ivshmem_slot_end *own, uint32_t epoch, uint32_t name_hash)
{
	uint64_t value = (uint64_t)(epoch & ~3u) << 32 | name_hash;
	uint64_t there = __atomic_load_n(&own->purpose, __ATOMIC_ACQUIRE);
	unsigned int tries;

	for (tries = 0; tries < WORD_TRIES; tries++) {
		if (__atomic_load_n(&own->epoch, __ATOMIC_SEQ_CST) != epoch)
			return false;
		if (__atomic_compare_exchange_n(&own->purpose, &there, value, false,
						__ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

/* Of an end as it is, or was, at @epoch. */
bool ivshmem_end_is_for(const struct ivshmem_slot_end *end, uint32_t epoch, uint32_t name_hash)
{
	return __atomic_load_n(&end->purpose, __ATOMIC_ACQUIRE) ==
	       ((uint64_t)(epoch & ~3u) << 32 | name_hash);
}

static bool write_name(struct ivshmem_slot *slot, uint64_t claim, const char *name)
{
	char padded[IVSHMEM_CHANNEL_NAME_SIZE] = "";
	unsigned int i;

	strcpy(padded, name);
	for (i = 0; i < NAME_WORDS; i++)
		if (!write_word(slot, claim, i, name_word(claim, padded, i)))
			return false;
	return true;
}

/*
 * The name that belongs to @key, the slot's as it was read: false where it has none,
 * or has another key meanwhile.
 */
static bool read_name(const struct ivshmem_slot *slot, uint64_t key,
		      char name[IVSHMEM_CHANNEL_NAME_SIZE])
{
	unsigned int i;

	if (state_of(key) != SLOT_NAMED)
		return false;
	for (i = 0; i < NAME_WORDS; i++) {
		uint64_t word = __atomic_load_n(&slot->name[i], __ATOMIC_ACQUIRE);
		uint32_t bytes = (uint32_t)word;

		if (word >> 32 != key >> 32)
			return false;
		memcpy(name + 4 * i, &bytes, sizeof(bytes));
	}
	return true;
}

static bool is_named(const struct ivshmem_slot *slot, uint64_t key, const char *name)
{
	char its[IVSHMEM_CHANNEL_NAME_SIZE];

	return (key & HASH_BITS) == (ivshmem_name_hash(name) & HASH_BITS) &&
	       read_name(slot, key, its) && !strncmp(its, name, sizeof(its));
}

/* Who has attached an end looks here whether it was still in time. */
bool ivshmem_slot_is_named(const struct ivshmem_slot *slot, const char *name)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return is_named(slot, read_key(slot), name);
}

/* False where the slot has no name. What is no proper name reads as "?". */
bool ivshmem_slot_name(const struct ivshmem_slot *slot, char name[IVSHMEM_CHANNEL_NAME_SIZE])
{
	uint64_t key = read_key(slot);

	if (state_of(key) != SLOT_NAMED)
		return false;
	if (!read_name(slot, key, name) || !name[0] ||
	    !ivshmem_is_name(name, IVSHMEM_CHANNEL_NAME_SIZE))
		strcpy(name, "?");
	return true;
}

/* The slot's index; -ENOENT. */
int ivshmem_slot_find(const struct ivshmem_slot *slots, unsigned int count, const char *name)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (is_named(&slots[i], read_key(&slots[i]), name))
			return (int)i;
	return -ENOENT;
}

/*
 * May the end, seen at @epoch, be taken for a channel that had the slot? -EBUSY: a program
 * has it; -EAGAIN: look again. One that is there for another channel has attached too
 * late, if the slot still has the name, and is about to find that out.
 */
int ivshmem_end_check(const struct ivshmem_slot *slots, unsigned int slot, unsigned int side,
		      uint32_t epoch, const char *name, const struct ivshmem *shm)
{
	if (ivshmem_end_state_of(slots, slot, side, shm) != IVSHMEM_END_ATTACHED)
		return 0;
	if (epoch % 4 == END_ATTACHING)
		return -EAGAIN;
	if (ivshmem_end_is_for(&slots[slot].ends[side], epoch, ivshmem_name_hash(name)))
		return -EBUSY;
	return ivshmem_slot_is_named(&slots[slot], name) ? 0 : -EAGAIN;
}

/*
 * An end of a named slot counts if it is there for that name: another one has
 * attached too late, and is about to find that out.
 */
static bool is_used_by(const struct ivshmem_slot *slots, unsigned int slot, unsigned int side,
		       uint64_t key, const struct ivshmem *shm)
{
	const struct ivshmem_slot_end *end = &slots[slot].ends[side];
	uint32_t epoch = __atomic_load_n(&end->epoch, __ATOMIC_SEQ_CST);
	uint64_t purpose;

	if (ivshmem_end_state_of(slots, slot, side, shm) != IVSHMEM_END_ATTACHED)
		return false;
	if (state_of(key) != SLOT_NAMED)
		return true;
	purpose = __atomic_load_n(&end->purpose, __ATOMIC_ACQUIRE);
	return purpose >> 32 == (epoch & ~3u) && ((purpose ^ key) & HASH_BITS) == 0;
}

/* @key is the slot's, or was before it was claimed. */
static bool is_unused(const struct ivshmem_slot *slots, unsigned int slot, uint64_t key,
		      const struct ivshmem *shm)
{
	return !is_used_by(slots, slot, IVSHMEM_END_CREATOR, key, shm) &&
	       !is_used_by(slots, slot, IVSHMEM_END_CONNECTOR, key, shm);
}

/* What all slots looked like, one after the other. */
struct survey {
	int unused[SLOT_NAMED + 1];	/* one in each state; -1: none */
	bool unclear;			/* somebody is in a slot without a name */
	uint64_t print;			/* another one whenever something has changed */
};

static void look_at_slot(struct survey *survey, const struct ivshmem_slot *slots,
			 unsigned int slot, const struct ivshmem *shm)
{
	uint64_t key = read_key(&slots[slot]);
	enum slot_state state = state_of(key);
	unsigned int side;

	survey->print = (survey->print + key) * 0x9e3779b97f4a7c15ull;
	for (side = 0; side < 2; side++)
		survey->print = (survey->print +
				 __atomic_load_n(&slots[slot].ends[side].epoch, __ATOMIC_ACQUIRE)) *
				0x9e3779b97f4a7c15ull;
	if (!is_unused(slots, slot, key, shm)) {
		survey->unclear |= state != SLOT_NAMED;
	} else if (survey->unused[state] < 0 ||
		   (state == SLOT_FREE && (int)slot < survey->unused[state])) {
		survey->unused[state] = (int)slot;
	}
}

/* From @start on. */
static struct survey survey_slots(const struct ivshmem_slot *slots, unsigned int count,
				  unsigned int start, const struct ivshmem *shm)
{
	struct survey survey = { .unused = { -1, -1, -1 } };
	unsigned int i;

	for (i = 0; i < count; i++)
		look_at_slot(&survey, slots, (start + i) % count, shm);
	return survey;
}

/* One that is free, else one that was left, else one whose claimer may have died. */
static int choose_unused(const struct survey *survey)
{
	if (survey->unused[SLOT_FREE] >= 0)
		return survey->unused[SLOT_FREE];
	if (survey->unused[SLOT_NAMED] >= 0)
		return survey->unused[SLOT_NAMED];
	return survey->unused[SLOT_CLAIMED];
}

/*
 * Programs with different names begin at different slots, so that they seldom take
 * what another one has just named. While others open and close, a look at one slot
 * after the other may miss the one that is free: that there is none is known when two
 * looks have seen the same. -ENOSPC; -EAGAIN: look again.
 */
static int find_unused(const struct ivshmem_slot *slots, unsigned int count, const char *name,
		       const struct ivshmem *shm)
{
	unsigned int start = ivshmem_name_hash(name) / 4 % count;
	struct survey before, now;

	before = survey_slots(slots, count, start, shm);
	if (choose_unused(&before) >= 0)
		return choose_unused(&before);
	now = survey_slots(slots, count, start, shm);
	if (choose_unused(&now) >= 0)
		return choose_unused(&now);
	return now.unclear || now.print != before.print ? -EAGAIN : -ENOSPC;
}

/*
 * No other claim for the same name gets to its end, if it has not yet: the slot of
 * one that has; -ENOENT if there is none; -EAGAIN: one has changed meanwhile.
 */
static int stop_others(struct ivshmem_slot *slots, unsigned int count, unsigned int own,
		       const char *name)
{
	uint32_t hash = ivshmem_name_hash(name);
	unsigned int i;

	for (i = 0; i < count; i++) {
		uint64_t key = read_key(&slots[i]);

		if (i == own || (key & HASH_BITS) != (hash & HASH_BITS))
			continue;
		if (is_named(&slots[i], key, name))
			return (int)i;
		if (state_of(key) == SLOT_CLAIMED &&
		    !change_key(&slots[i], key, next_key(key, 0, SLOT_FREE)))
			return -EAGAIN;
	}
	return -ENOENT;
}

/*
 * Makes a named slot of a claimed one: the slot, or the one that has the name
 * already; -EAGAIN: somebody has taken the claim away. It ends in any case.
 */
static int finish_claim(struct ivshmem_slot *slots, unsigned int count, unsigned int slot,
			uint64_t claim, const char *name)
{
	int other = stop_others(slots, count, slot, name);

	if (other == -ENOENT && write_name(&slots[slot], claim, name) &&
	    change_key(&slots[slot], claim, claim - SLOT_CLAIMED + SLOT_NAMED))
		return (int)slot;
	change_key(&slots[slot], claim, next_key(claim, 0, SLOT_FREE));
	return other >= 0 ? other : -EAGAIN;
}

/* Somebody has attached before the slot was claimed: it keeps its name. */
static void give_back(struct ivshmem_slot *slots, unsigned int count, unsigned int slot,
		      uint64_t claim, const char *name)
{
	uint64_t again = next_key(claim, ivshmem_name_hash(name), SLOT_CLAIMED);

	if (!*name)
		change_key(&slots[slot], claim, next_key(claim, 0, SLOT_FREE));
	else if (change_key(&slots[slot], claim, again))
		finish_claim(slots, count, slot, again, name);
}

static int claim_slot(struct ivshmem_slot *slots, unsigned int count, unsigned int slot,
		      const char *name, const struct ivshmem *shm)
{
	uint64_t key = read_key(&slots[slot]);
	uint64_t claim = next_key(key, ivshmem_name_hash(name), SLOT_CLAIMED);
	char before[IVSHMEM_CHANNEL_NAME_SIZE] = "";

	if (!read_name(&slots[slot], key, before) || !ivshmem_is_name(before, sizeof(before)))
		before[0] = '\0';
	if (!is_unused(slots, slot, key, shm) || !change_key(&slots[slot], key, claim))
		return -EAGAIN;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!is_unused(slots, slot, key, shm)) {
		give_back(slots, count, slot, claim, before);
		return -EAGAIN;
	}
	return finish_claim(slots, count, slot, claim, name);
}

/* The slot of that name, a new one if there is none; -ENOSPC; -EAGAIN: try again. */
int ivshmem_slot_claim(struct ivshmem_slot *slots, unsigned int count, const char *name,
		       const struct ivshmem *shm)
{
	int slot = -EAGAIN, found = -ENOENT;
	unsigned int tries;

	for (tries = 0; tries < CLAIM_TRIES && slot == -EAGAIN; tries++) {
		slot = ivshmem_slot_find(slots, count, name);
		if (slot >= 0)
			return slot;
		slot = find_unused(slots, count, name, shm);
		if (slot >= 0)
			slot = claim_slot(slots, count, (unsigned int)slot, name, shm);
	}
	/* All are in use, but one of them may be so for this name by now. */
	if (slot == -ENOSPC)
		found = ivshmem_slot_find(slots, count, name);
	return found >= 0 ? found : slot;
}

/*
 * For who has an end of the slot, and has seen since that the slot has its channel's
 * name: whoever claims the slot now gives it back. It may die before it has, so the name
 * is put back from here. 0; -EAGAIN: look again; -EREMCHG: the name is elsewhere.
 */
int ivshmem_slot_keep(struct ivshmem_slot *slots, unsigned int count, unsigned int slot,
		      const char *name)
{
	uint64_t key = read_key(&slots[slot]);
	uint64_t claim = next_key(key, ivshmem_name_hash(name), SLOT_CLAIMED);
	int got = -EAGAIN;

	if (is_named(&slots[slot], key, name))
		return 0;
	if (state_of(key) == SLOT_NAMED)
		return -EREMCHG;
	if (change_key(&slots[slot], key, claim))
		got = finish_claim(slots, count, slot, claim, name);
	if (got < 0)
		return got;
	return got == (int)slot ? 0 : -EREMCHG;
}
