// SPDX-License-Identifier: MIT
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

/* @locked: this end holds the lock on its byte of the region's file. */
void ivshmem_link_tell(struct ivshmem_link *link, struct ivshmem_slot_end *own,
		       unsigned int slot, bool locked)
{
	int vectors = ivshmem_vectors(link->shm);
	int peer = ivshmem_peer_id(link->shm);

	link->can = locked ? WAKE_LOCKED : 0;
	ivshmem_end_tell_whereabouts(own, link->shm);
	if (peer >= 0)
		link->can |= WAKE_CAN_RING;
	if (peer >= 0 && vectors > 0) {
		link->can |= WAKE_RINGABLE;
		link->vector = slot % (unsigned int)vectors;
		own->peer_id = (uint32_t)peer;
		own->vector = link->vector;
	}
	if (futex_works(&own->receiver))
		link->can |= WAKE_FUTEX;
	own->wake = link->can;
	own->pid = (uint32_t)getpid();
	own->processor = 0;
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
	const volatile struct ivshmem_slot_end *said = other;
	bool together = ivshmem_end_is_local(other, link->shm);
	uint32_t wake = said->wake;
	uint32_t peer = said->peer_id;
	uint32_t vector = said->vector;

	if (peer > IVSHMEM_MAX_PEER || vector >= IVSHMEM_MAX_VECTORS)
		wake &= ~WAKE_RINGABLE;
	link->other_peer = (uint16_t)peer;
	link->other_vector = (uint16_t)vector;
	link->wakeup = choose(link->can, wake, together);
	link->wakes_other = choose(wake, link->can, together);
	link->together = together;
}
