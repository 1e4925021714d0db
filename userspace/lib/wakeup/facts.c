// SPDX-License-Identifier: MIT
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/client.h"
#include "doorbell/doorbell.h"
#include "wakeup.h"

static bool futex_works(uint32_t *word)
{
	return syscall(SYS_futex, word, FUTEX_WAKE, 0, NULL, NULL, 0) >= 0;
}

/* Vector 0 is left to the user's own rings, where there is another one. */
static unsigned int choose_vector(unsigned int slot, unsigned int vectors)
{
	return vectors > 1 ? 1 + slot % (vectors - 1) : 0;
}

/* Where this end is rung, and whether it can ring, as a peer of the server that it has joined. */
static void tell_joined(struct ivshmem_link *link, unsigned int slot)
{
	struct ivshmem_slot_end *own = link->own;
	const struct ivshmem_connection *connection = link->shm->connection;
	unsigned int joins = connection ? ivshmem_connection_joins(connection) : 0;
	int vectors = ivshmem_vectors(link->shm);
	int peer = ivshmem_peer_id(link->shm);

	link->joins = joins;	/* read first: where it has changed since, it shows */
	link->can &= ~(WAKE_CAN_RING | WAKE_RINGABLE);
	if (peer >= 0)
		link->can |= WAKE_CAN_RING;
	if (peer >= 0 && vectors > 0) {
		link->can |= WAKE_RINGABLE;
		link->vector = choose_vector(slot, (unsigned int)vectors);
		__atomic_store_n(&link->shm->peer_id, (uint32_t)peer, __ATOMIC_RELAXED);
		__atomic_store_n(&link->told, (uint32_t)peer, __ATOMIC_RELAXED);
		__atomic_store_n(&own->peer_id, (uint32_t)peer, __ATOMIC_RELAXED);
		__atomic_store_n(&own->vector, link->vector, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&own->wake, link->can, __ATOMIC_RELAXED);
}

/* @locked: this end holds the lock on its byte of the region's file. */
void ivshmem_link_tell(struct ivshmem_link *link, struct ivshmem_slot_end *own,
		       unsigned int slot, bool locked)
{
	link->own = own;
	link->can = locked ? WAKE_LOCKED : 0;
	if (link->shm->is_file)
		link->can |= WAKE_FILE;
	if (futex_works(&own->receiver))
		link->can |= WAKE_FUTEX;
	ivshmem_end_tell_whereabouts(own, link->shm);
	tell_joined(link, slot);
	__atomic_store_n(&own->pid, (uint32_t)getpid(), __ATOMIC_RELAXED);
	__atomic_store_n(&own->processor, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&own->wakeups, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&own->missed, 0, __ATOMIC_RELAXED);
}

/* Of an end that is still this program's: it may have joined another server since. */
void ivshmem_link_tell_again(struct ivshmem_link *link, unsigned int slot)
{
	const struct ivshmem_connection *connection = link->shm->connection;

	if (connection && ivshmem_connection_joins(connection) != link->joins)
		tell_joined(link, slot);
}

/*
 * Tells the other end which ID this one has now, unless another program has taken this
 * end, and says another one there. @changed: the handle has a new ID, as far as this end
 * was told; only one of those that share a handle is, so all compare with what it found.
 */
void ivshmem_link_tell_peer(struct ivshmem_link *link, bool changed)
{
	uint32_t told = __atomic_load_n(&link->told, __ATOMIC_RELAXED);
	uint32_t now;
	int peer;

	if (changed || link->shm->backend->side == IVSHMEM_HOST) {
		peer = ivshmem_peer_id(link->shm);
		if (peer >= 0)
			__atomic_store_n(&link->shm->peer_id, (uint32_t)peer, __ATOMIC_RELAXED);
	}
	now = __atomic_load_n(&link->shm->peer_id, __ATOMIC_RELAXED);
	if (now == told)
		return;
	__atomic_store_n(&link->told, now, __ATOMIC_RELAXED);
	__atomic_compare_exchange_n(&link->own->peer_id, &told, now, false,
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* -EPROTO: what it says is no ID. */
int ivshmem_link_other_peer(const struct ivshmem_link *link)
{
	uint32_t peer = __atomic_load_n(&link->other->peer_id, __ATOMIC_RELAXED);

	return peer > IVSHMEM_MAX_PEER ? -EPROTO : (int)peer;
}

static enum ivshmem_wakeup choose(uint32_t sleeper, uint32_t waker, bool together)
{
	if (sleeper & WAKE_RINGABLE && waker & WAKE_CAN_RING)
		return WAKEUP_DOORBELL;
	if (together && sleeper & waker & WAKE_FUTEX)
		return WAKEUP_FUTEX;
	return WAKEUP_BACKOFF;
}

void ivshmem_link_learn(struct ivshmem_link *link, const struct ivshmem_slot_end *other)
{
	bool together = ivshmem_end_is_local(other, link->shm);
	uint32_t wake = __atomic_load_n(&other->wake, __ATOMIC_RELAXED);
	uint32_t vector = __atomic_load_n(&other->vector, __ATOMIC_RELAXED);

	link->other = other;
	if (ivshmem_link_other_peer(link) < 0 || vector >= IVSHMEM_MAX_VECTORS)
		wake &= ~WAKE_RINGABLE;
	link->other_vector = (uint16_t)vector;
	link->wakeup = choose(link->can, wake, together);
	link->wakes_other = choose(wake, link->can, together);
	link->together = together;
}
