// SPDX-License-Identifier: MIT
/*
 * Waking sleepers, whose ends tell how. What they tell is checked: a wrong peer or vector
 * is rung in vain, or not at all.
 */
#include "client/client.h"
#include "doorbell/doorbell.h"
#include "wakeup.h"

static void ring(struct ivshmem *shm, const struct ivshmem_slot_end *end,
		 struct ivshmem_rung *rung)
{
	uint32_t peer = __atomic_load_n(&end->peer_id, __ATOMIC_RELAXED);
	uint32_t vector = __atomic_load_n(&end->vector, __ATOMIC_RELAXED);
	uint32_t pair = peer << 16 | vector;
	unsigned int i;

	if (peer > IVSHMEM_MAX_PEER || vector >= IVSHMEM_MAX_VECTORS)
		return;
	for (i = 0; i < rung->count && i < RUNG_REMEMBERED; i++)
		if (rung->pairs[i] == pair)
			return;
	rung->pairs[rung->count++ % RUNG_REMEMBERED] = pair;
	ivshmem_count_wakeup(rung->own);
	ivshmem_notify(shm, (int)peer, vector);
}

static void wake(struct ivshmem *shm, const struct ivshmem_slot_end *end,
		 struct ivshmem_rung *rung)
{
	uint32_t ways = __atomic_load_n(&end->processor, __ATOMIC_RELAXED);

	if (ways & WAY_DOORBELL)
		ring(shm, end, rung);
	if (ways & WAY_FUTEX)
		rung->futex = true;
}

/* @bell: what they sleep on; who is about to sleep, and has not yet, sees that it has changed. */
void ivshmem_wake_futex(const struct ivshmem_rung *rung, uint32_t *bell)
{
	if (!rung->futex)
		return;
	ivshmem_count_wakeup(rung->own);
	__atomic_fetch_add(bell, 1, __ATOMIC_SEQ_CST);
	ivshmem_futex_wake(bell, true);
}

static bool is_set(const struct ivshmem_directory *directory, const struct ivshmem_object *object)
{
	uint32_t kind;

	return object->slot < directory->superblock.slots &&
	       !ivshmem_object_fact(directory, object, FACT_KIND, &kind) &&
	       (kind & ~FACT_KEPT) == IVSHMEM_WAITSET;
}

/* What the end says of its set may be anything: it is to hit no object of another kind. */
static void tell_set(const struct ivshmem_directory *directory, const struct ivshmem_slot_end *end,
		     struct ivshmem_rung *rung)
{
	const struct ivshmem_object object = {
		.slot = __atomic_load_n(&end->set, __ATOMIC_RELAXED) - 1,
		.generation = __atomic_load_n(&end->set_generation, __ATOMIC_RELAXED),
	};
	uint32_t ticket = __atomic_load_n(&end->ticket, __ATOMIC_RELAXED);

	if (is_set(directory, &object))
		ivshmem_tell_slot(directory, &directory->slots[object.slot], ticket, rung);
}

/*
 * One that said in its waiting word @word that it sleeps. What it slept on besides, if others
 * sleep on it, too, is woken by ivshmem_wake_futex() after the last one.
 */
void ivshmem_wake_end(const struct ivshmem_directory *directory,
		      const struct ivshmem_slot_end *end, uint32_t word,
		      struct ivshmem_rung *rung)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (word % 4 == WAITING_IN_SET)
		tell_set(directory, end, rung);
	else
		wake(directory->shm, end, rung);
}

/*
 * There is something for the service or the wait set of that slot. Once for each of its sleeps
 * it is rung. That it was is written after the ring: who reads it can rely on it.
 */
void ivshmem_tell_slot(const struct ivshmem_directory *directory, struct ivshmem_slot *slot,
		       unsigned int hint, struct ivshmem_rung *rung)
{
	struct ivshmem_slot_end *end = &slot->end;
	struct ivshmem_rung own;
	uint32_t word;

	ivshmem_hint_write(slot, hint % SLOT_HINTS);
	word = __atomic_load_n(&end->receiver, __ATOMIC_RELAXED);
	if (!ivshmem_word_sleeps(word) ||
	    __atomic_load_n(&end->sender, __ATOMIC_RELAXED) == word)
		return;
	own = *rung;
	own.futex = false;
	ivshmem_wake_end(directory, end, word, &own);
	ivshmem_wake_futex(&own, &end->receiver_bell);
	own.futex = rung->futex;
	*rung = own;
	__atomic_store_n(&end->sender, word, __ATOMIC_RELEASE);
}
