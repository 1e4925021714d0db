// SPDX-License-Identifier: MIT
/*
 * The directory: finding an object by its name, making it, and taking it away.
 *
 * A slot is claimed first, then given its name, its facts and its blocks, then its key says
 * that it is named. Nobody attaches to a slot that is only claimed, and everybody may take
 * a claim away: who was too slow finds out by its next compare-and-swap, and looks again.
 * A slot that nobody seems to use is doomed first, and freed by whoever looks once more
 * and still finds nobody; if there is somebody, it is named again. So a program can be
 * stopped for any time, or die, at any step.
 *
 * - What a slow program still writes can't damage anything newer: names and facts (slot.c),
 *   blocks (blocks.c), and the purpose of an end (end.c) carry the slot's generation.
 * - Whoever has an end, and has seen its object after that, keeps it: the look that must
 *   come between dooming and freeing sees the end. Each change of the key counts, so that
 *   an old look can't free what was saved since.
 * - Two programs may claim a slot each for the same name. Each of them writes the name, then
 *   looks at all other slots, and takes away any other claim with that name. So at most
 *   one of the two gets as far as a named slot.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "blocks.h"
#include "slot.h"

#define CLAIM_TRIES	8
#define STAY_TRIES	1000

/* Is it the one that others open, too? A server that has ended is no fault here. */
static int check_file(struct ivshmem *shm)
{
	return shm->backend->check(shm) == -ESTALE ? -ESTALE : 0;
}

int ivshmem_directory_open(struct ivshmem_directory *directory, struct ivshmem *shm)
{
	struct ivshmem_superblock *superblock = &directory->superblock;
	int err;

	*directory = (struct ivshmem_directory) { .shm = shm };
	err = check_file(shm);
	if (!err)
		err = ivshmem_superblock_read(shm, superblock);
	if (!err)
		err = ivshmem_region_reserve(shm, 0, ivshmem_directory_end(superblock));
	if (!err)
		err = ivshmem_window_share(&directory->window, shm, SLOTS_OFFSET,
					   ivshmem_directory_end(superblock) - SLOTS_OFFSET);
	if (err)
		return err;
	directory->slots = directory->window.data;
	directory->blocks = (uint64_t *)(directory->slots + superblock->slots);
	return 0;
}

/* 0; -ESTALE: the region was formatted anew, so that no object of before is there. */
int ivshmem_directory_has_layout(const struct ivshmem_directory *directory)
{
	struct ivshmem_superblock superblock;
	int err;

	err = ivshmem_superblock_read(directory->shm, &superblock);
	if (err)
		return err;
	return memcmp(superblock.uuid, directory->superblock.uuid, sizeof(superblock.uuid)) ?
	       -ESTALE : 0;
}

/* The same, and it is the file that others open, too. */
int ivshmem_directory_is_current(const struct ivshmem_directory *directory)
{
	return check_file(directory->shm) ?: ivshmem_directory_has_layout(directory);
}

void ivshmem_directory_close(struct ivshmem_directory *directory)
{
	ivshmem_window_unshare(&directory->window, directory->shm);
}

/* --- is it in use? --- */

/* An end that is there for another object has attached too late, and is about to leave. */
static bool has_end(const struct ivshmem_directory *directory, unsigned int slot,
		    unsigned int side, uint32_t generation)
{
	const struct ivshmem_slot_end *end = &directory->slots[slot].ends[side];
	uint32_t epoch = __atomic_load_n(&end->epoch, __ATOMIC_SEQ_CST);

	return ivshmem_end_state_of(directory->slots, slot, side, directory->shm) ==
	       IVSHMEM_END_ATTACHED && ivshmem_end_is_for(end, epoch, generation);
}

static uint32_t kind_of(const struct ivshmem_slot *slot, uint32_t generation)
{
	uint32_t kind;

	return ivshmem_slot_fact(slot, generation, FACT_KIND, &kind) ? kind : IVSHMEM_CHANNEL;
}

static bool has_one_end(uint32_t kind)
{
	return (kind & ~FACT_KEPT) == IVSHMEM_SERVICE || (kind & ~FACT_KEPT) == IVSHMEM_WAITSET;
}

static unsigned int ends_of(const struct ivshmem_slot *slot, uint32_t generation)
{
	return has_one_end(kind_of(slot, generation)) ? 1 : 2;
}

static uint32_t members_of(const struct ivshmem_directory *directory,
			   const struct ivshmem_object *object)
{
	uint32_t kind, members;

	if (ivshmem_object_fact(directory, object, FACT_KIND, &kind) ||
	    (kind & ~FACT_KEPT) != IVSHMEM_TOPIC ||
	    ivshmem_object_fact(directory, object, FACT_TOPIC_MEMBERS, &members))
		return 0;
	return (members & 0xffff) + (members >> 16);
}

static bool has_member(const struct ivshmem_directory *directory,
		       const struct ivshmem_object *object, const struct ivshmem_slot_end *ends,
		       uint32_t count, uint64_t offset)
{
	uint32_t i, epoch;

	for (i = 0; i < count; i++) {
		epoch = __atomic_load_n(&ends[i].epoch, __ATOMIC_SEQ_CST);
		if (ivshmem_end_state_by(&ends[i], offset + i * sizeof(*ends), directory->shm) ==
		    IVSHMEM_END_ATTACHED &&
		    ivshmem_end_is_for(&ends[i], epoch, object->generation))
			return true;
	}
	return false;
}

/* The ends of a topic lie in its blocks. Under this kernel their programs have the lock, too. */
static bool has_members(const struct ivshmem_directory *directory, unsigned int slot,
			uint32_t generation)
{
	const struct ivshmem_object object = { .slot = slot, .generation = generation };
	uint32_t count = members_of(directory, &object);
	uint64_t size = count * sizeof(struct ivshmem_slot_end);
	struct ivshmem_extent extent;
	struct ivshmem_window window;
	bool has;

	if (!count || ivshmem_object_extent(directory, &object, &extent) ||
	    extent.size < TOPIC_HEAD_SIZE + size ||
	    ivshmem_window_map(&window, directory->shm, extent.offset + TOPIC_HEAD_SIZE, size))
		return false;
	has = has_member(directory, &object, window.data, count, extent.offset + TOPIC_HEAD_SIZE);
	ivshmem_window_unmap(&window);
	return has;
}

static bool is_used(const struct ivshmem_directory *directory, unsigned int slot,
		    uint32_t generation)
{
	unsigned int side, ends = ends_of(&directory->slots[slot], generation);

	for (side = 0; side < ends; side++)
		if (has_end(directory, slot, side, generation))
			return true;
	return ivshmem_slot_is_locked(directory->shm, slot) ||
	       has_members(directory, slot, generation);
}

/* It stays although nobody uses it, or nobody here knows how to tell. */
static bool is_kept(const struct ivshmem_slot *slot, uint32_t generation)
{
	uint32_t kind = kind_of(slot, generation);

	return kind & FACT_KEPT || (kind != IVSHMEM_CHANNEL && !has_one_end(kind));
}

/*
 * Of a slot that was seen to be doomed: it is named again, or freed. False: somebody else
 * has decided, or it is named.
 */
static bool decide(const struct ivshmem_directory *directory, unsigned int slot, uint64_t doomed)
{
	struct ivshmem_slot *it = &directory->slots[slot];
	uint32_t generation = slot_generation_of(doomed);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (is_kept(it, generation) || is_used(directory, slot, generation)) {
		ivshmem_slot_change(it, doomed, slot_next_key(doomed, SLOT_NAMED));
		return false;
	}
	return ivshmem_slot_change(it, doomed, slot_next_key(doomed, SLOT_FREE));
}

/* True: it is free now. */
static bool free_if_unused(const struct ivshmem_directory *directory, unsigned int slot)
{
	struct ivshmem_slot *it = &directory->slots[slot];
	uint64_t key = slot_key(it);
	uint32_t generation = slot_generation_of(key);

	if (slot_state_of(key) == SLOT_NAMED) {
		uint64_t doomed = slot_next_key(key, SLOT_DOOMED);

		if (is_kept(it, generation) || is_used(directory, slot, generation) ||
		    !ivshmem_slot_change(it, key, doomed))
			return false;
		key = doomed;
	}
	return slot_state_of(key) == SLOT_DOOMED && decide(directory, slot, key);
}

/* --- finding --- */

/*
 * Whoever has doomed it may have died: so who looks decides, but for one that only reads. That
 * one waits, in ivshmem_object_stays(). False: there is no such object.
 */
static bool is_object(const struct ivshmem_directory *directory, unsigned int slot,
		      const char *name, uint32_t *generation)
{
	struct ivshmem_slot *it = &directory->slots[slot];
	uint64_t key = slot_key(it);

	*generation = slot_generation_of(key);
	if (slot_state_of(key) < SLOT_NAMED || !ivshmem_slot_is_called(it, key, name))
		return false;
	if (slot_state_of(key) == SLOT_DOOMED && !directory->shm->readonly)
		decide(directory, slot, key);
	return ivshmem_slot_is_object(it, *generation);
}

static bool find(const struct ivshmem_directory *directory, const char *name,
		 struct ivshmem_object *object)
{
	unsigned int i;

	for (i = 0; i < directory->superblock.slots; i++) {
		if (!is_object(directory, i, name, &object->generation))
			continue;
		object->slot = i;
		return true;
	}
	return false;
}

/* 0; -ENOENT; -EPROTOTYPE: it is of another kind; -EUCLEAN: it does not say. */
int ivshmem_object_find(const struct ivshmem_directory *directory, const char *name,
			enum ivshmem_kind kind, struct ivshmem_object *object)
{
	uint32_t its;
	int err;

	if (!find(directory, name, object))
		return -ENOENT;
	err = ivshmem_object_fact(directory, object, FACT_KIND, &its);
	if (err)
		return err;
	return (its & ~FACT_KEPT) == kind ? 0 : -EPROTOTYPE;
}

/*
 * For who has an end of it: 0; -EAGAIN: look again; -EREMCHG: the slot has another object.
 * Whoever has doomed it may have died before it looked once more.
 */
int ivshmem_object_keep(const struct ivshmem_directory *directory,
			const struct ivshmem_object *object)
{
	struct ivshmem_slot *slot = &directory->slots[object->slot];
	uint64_t key = slot_key(slot);

	if (slot_generation_of(key) != object->generation || slot_state_of(key) < SLOT_NAMED)
		return -EREMCHG;
	if (slot_state_of(key) == SLOT_NAMED)
		return 0;
	return ivshmem_slot_change(slot, key, slot_next_key(key, SLOT_NAMED)) ? 0 : -EAGAIN;
}

/* Also where somebody has doomed it, and may free it yet. */
bool ivshmem_slot_has_object(const struct ivshmem_directory *directory,
			     const struct ivshmem_object *object)
{
	return ivshmem_slot_is_object(&directory->slots[object->slot], object->generation);
}

static int look_again(const struct ivshmem_directory *directory,
		      const struct ivshmem_object *object)
{
	uint64_t key = slot_key(&directory->slots[object->slot]);

	if (!directory->shm->readonly)
		return ivshmem_object_keep(directory, object);
	if (slot_generation_of(key) != object->generation || slot_state_of(key) < SLOT_NAMED)
		return -EREMCHG;
	return slot_state_of(key) == SLOT_NAMED ? 0 : -EAGAIN;
}

/*
 * For who has shared the slot's lock since the object was found: does it stay? Whoever has
 * doomed it may have looked before the lock was there, and is about to free it. So it is named
 * again; who only reads waits for what becomes of it. If it stays doomed, that program has
 * died, and the next one that looks finds the lock. 0; -ENOENT.
 */
int ivshmem_object_stays(const struct ivshmem_directory *directory,
			 const struct ivshmem_object *object)
{
	unsigned int tries;
	int err = -EAGAIN;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (tries = 0; tries < STAY_TRIES && err == -EAGAIN; tries++) {
		if (tries)
			sched_yield();
		err = look_again(directory, object);
	}
	return err == -EREMCHG ? -ENOENT : 0;
}

/* 0; -ENOENT: it was removed; -EUCLEAN: what is there was not written for it. */
int ivshmem_object_fact(const struct ivshmem_directory *directory,
			const struct ivshmem_object *object, enum slot_fact fact, uint32_t *value)
{
	if (ivshmem_slot_fact(&directory->slots[object->slot], object->generation, fact, value))
		return 0;
	return ivshmem_slot_has_object(directory, object) ? -EUCLEAN : -ENOENT;
}

/* Wherever it says that its blocks are, it is within the region's. */
int ivshmem_object_extent(const struct ivshmem_directory *directory,
			  const struct ivshmem_object *object, struct ivshmem_extent *extent)
{
	const struct ivshmem_superblock *superblock = &directory->superblock;
	uint32_t first, count;
	int err;

	err = ivshmem_object_fact(directory, object, FACT_FIRST_BLOCK, &first);
	if (!err)
		err = ivshmem_object_fact(directory, object, FACT_BLOCKS, &count);
	if (err)
		return err;
	if (first > superblock->blocks || count > superblock->blocks - first)
		return -EUCLEAN;
	extent->offset = superblock->blocks_offset + first * superblock->block_size;
	extent->size = count * superblock->block_size;
	return 0;
}

/* --- claiming --- */

/* Another one whenever a slot has changed. */
static uint64_t print_of(const struct ivshmem_directory *directory)
{
	uint64_t print = 0;
	unsigned int i;

	for (i = 0; i < directory->superblock.slots; i++)
		print = (print + slot_key(&directory->slots[i])) * 0x9e3779b97f4a7c15ull;
	return print;
}

static bool free_unused(const struct ivshmem_directory *directory)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < directory->superblock.slots; i++)
		any |= free_if_unused(directory, i);
	return any;
}

/* All but @own, if that is one. Whoever has claimed a slot may have died. */
static bool free_claimed(const struct ivshmem_directory *directory, unsigned int own)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < directory->superblock.slots; i++) {
		uint64_t key = slot_key(&directory->slots[i]);

		if (i == own || slot_state_of(key) != SLOT_CLAIMED)
			continue;
		ivshmem_slot_change(&directory->slots[i], key, slot_next_key(key, SLOT_FREE));
		any = true;
	}
	return any;
}

/*
 * Makes room: -EAGAIN, try again; -ENOSPC: there is none. While others come and go a look at
 * one slot after the other may miss what is free. That there is nothing is known when
 * nothing has changed since @print, and nobody is about to make something.
 */
static int make_room(const struct ivshmem_directory *directory, unsigned int own, uint64_t print)
{
	if (free_unused(directory) || free_claimed(directory, own))
		return -EAGAIN;
	return print_of(directory) == print ? -ENOSPC : -EAGAIN;
}

/* The number of slots: there is none. */
static unsigned int find_free(const struct ivshmem_directory *directory)
{
	unsigned int i;

	for (i = 0; i < directory->superblock.slots; i++)
		if (slot_state_of(slot_key(&directory->slots[i])) == SLOT_FREE)
			break;
	return i;
}

/*
 * No other claim for the same name gets to its end, if it has not yet. -EEXIST: one has;
 * -EAGAIN: one has changed meanwhile.
 */
static int stop_others(const struct ivshmem_directory *directory, unsigned int own,
		       const char *name)
{
	uint32_t generation;
	unsigned int i;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (i = 0; i < directory->superblock.slots; i++) {
		uint64_t key = slot_key(&directory->slots[i]);

		if (i == own || !ivshmem_slot_is_called(&directory->slots[i], key, name))
			continue;
		if (slot_state_of(key) == SLOT_CLAIMED) {
			if (!ivshmem_slot_change(&directory->slots[i], key,
						 slot_next_key(key, SLOT_FREE)))
				return -EAGAIN;
		} else if (is_object(directory, i, name, &generation)) {
			return -EEXIST;
		}
	}
	return 0;
}

static uint32_t blocks_for(const struct ivshmem_superblock *superblock, uint64_t size)
{
	return (uint32_t)((size + superblock->block_size - 1) / superblock->block_size);
}

static bool write_facts(struct ivshmem_slot *slot, uint64_t claim, const struct ivshmem_spec *spec)
{
	unsigned int i;

	if (!ivshmem_slot_write_fact(slot, claim, FACT_KIND,
				     spec->kind | (spec->kept ? FACT_KEPT : 0)))
		return false;
	for (i = FACT_CREATOR_RING; i < FACTS; i++)
		if (!ivshmem_slot_write_fact(slot, claim, i, spec->facts[i - FACT_CREATOR_RING]))
			return false;
	return true;
}

/* Memory that is not there is told of now, and not by SIGBUS later. */
static int reserve(const struct ivshmem_directory *directory, uint32_t first, uint32_t count)
{
	const struct ivshmem_superblock *superblock = &directory->superblock;

	return ivshmem_region_reserve(directory->shm,
				      superblock->blocks_offset + first * superblock->block_size,
				      count * superblock->block_size);
}

/* All of the object but its key's state. */
static int fill(const struct ivshmem_directory *directory, const struct ivshmem_object *object,
		uint64_t claim, const char *name, const struct ivshmem_spec *spec, uint64_t print)
{
	struct ivshmem_slot *slot = &directory->slots[object->slot];
	uint32_t count = blocks_for(&directory->superblock, spec->size);
	uint32_t first;
	int err;

	if (!ivshmem_slot_write_name(slot, claim, name) || !write_facts(slot, claim, spec))
		return -EAGAIN;
	err = stop_others(directory, object->slot, name);
	if (err)
		return -EAGAIN;		/* it will be found, if it is there */
	if (!ivshmem_blocks_take(directory, object, count, &first))
		return make_room(directory, object->slot, print);
	if (!ivshmem_slot_write_fact(slot, claim, FACT_FIRST_BLOCK, first) ||
	    !ivshmem_slot_write_fact(slot, claim, FACT_BLOCKS, count))
		return -EAGAIN;
	/* As long as nobody can find the object, and remove it. */
	return count ? reserve(directory, first, count) : 0;
}

/* 0; -ENOSPC; -EAGAIN: try again. */
static int claim(const struct ivshmem_directory *directory, const char *name,
		 const struct ivshmem_spec *spec, struct ivshmem_object *object)
{
	uint64_t key, claimed, print = print_of(directory);
	struct ivshmem_slot *slot;
	int err;

	object->slot = find_free(directory);
	if (object->slot == directory->superblock.slots)
		return make_room(directory, object->slot, print);
	slot = &directory->slots[object->slot];
	key = slot_key(slot);
	claimed = slot_claim_key(key);
	object->generation = slot_generation_of(claimed);
	if (slot_state_of(key) != SLOT_FREE || !ivshmem_slot_change(slot, key, claimed))
		return -EAGAIN;
	err = fill(directory, object, claimed, name, spec, print_of(directory));
	if (!err && ivshmem_slot_change(slot, claimed, slot_next_key(claimed, SLOT_NAMED)))
		return 0;
	ivshmem_slot_change(slot, claimed, slot_next_key(claimed, SLOT_FREE));
	return err ? err : -EAGAIN;
}

/*
 * The object of that name, a new one if there is none: 0; -ENOSPC; -EPROTOTYPE: it is of
 * another kind; -EEXIST: it must be new; -EAGAIN: try again.
 */
int ivshmem_object_claim(const struct ivshmem_directory *directory, const char *name,
			 const struct ivshmem_spec *spec, struct ivshmem_object *object)
{
	int found, err = -EAGAIN;
	unsigned int tries;

	if (spec->size > directory->superblock.blocks * directory->superblock.block_size)
		err = -ENOSPC;
	for (tries = 0; tries < CLAIM_TRIES; tries++) {
		found = ivshmem_object_find(directory, name, spec->kind, object);
		if (found != -ENOENT && spec->must_be_new)
			return -EEXIST;
		if (found != -ENOENT || err != -EAGAIN)
			return found == -ENOENT ? err : found;
		err = claim(directory, name, spec, object);
		if (!err)
			return 0;
	}
	return err;
}

/* --- removing --- */

/* It was seen to be doomed by this program: -EBUSY, -EAGAIN, 0. */
static int finish_removal(const struct ivshmem_directory *directory, unsigned int slot,
			  uint64_t doomed, bool force)
{
	struct ivshmem_slot *it = &directory->slots[slot];
	uint32_t generation = slot_generation_of(doomed);
	unsigned int side, ends = ends_of(it, generation);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (force) {
		for (side = 0; side < ends; side++)
			ivshmem_end_evict(&it->ends[side], generation);
	} else if (is_used(directory, slot, generation)) {
		ivshmem_slot_change(it, doomed, slot_next_key(doomed, SLOT_NAMED));
		return -EBUSY;
	}
	return ivshmem_slot_change(it, doomed, slot_next_key(doomed, SLOT_FREE)) ? 0 : -EAGAIN;
}

/* It goes though programs use it, if it is still there. Who has an end of it is told. */
void ivshmem_object_evict(const struct ivshmem_directory *directory,
			  const struct ivshmem_object *object)
{
	struct ivshmem_slot *slot = &directory->slots[object->slot];
	uint64_t doomed, key = slot_key(slot);

	if (slot_generation_of(key) != object->generation || slot_state_of(key) < SLOT_NAMED)
		return;
	doomed = slot_next_key(key, SLOT_DOOMED);
	if (ivshmem_slot_change(slot, key, doomed))
		finish_removal(directory, object->slot, doomed, true);
}

/* For who uses it no more: it goes if it is not kept, and nobody else uses it. */
void ivshmem_object_drop(const struct ivshmem_directory *directory,
			 const struct ivshmem_object *object)
{
	if (slot_generation_of(slot_key(&directory->slots[object->slot])) == object->generation)
		free_if_unused(directory, object->slot);
}

/* 0; -ENOENT; -EBUSY: a program uses it; -EAGAIN: try again. */
int ivshmem_object_remove(const struct ivshmem_directory *directory, const char *name, bool force)
{
	struct ivshmem_object object;
	struct ivshmem_slot *slot;
	uint64_t key, doomed;

	if (!find(directory, name, &object))
		return -ENOENT;
	slot = &directory->slots[object.slot];
	key = slot_key(slot);
	if (slot_generation_of(key) != object.generation || slot_state_of(key) < SLOT_NAMED)
		return -EAGAIN;
	if (!force && is_used(directory, object.slot, object.generation))
		return -EBUSY;
	doomed = slot_next_key(key, SLOT_DOOMED);
	if (!ivshmem_slot_change(slot, key, doomed))
		return -EAGAIN;
	return finish_removal(directory, object.slot, doomed, force);
}
