// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "service.h"

struct seats *ivshmem_seats_new(unsigned int count)
{
	struct seats *seats = calloc(1, sizeof(*seats) + count * sizeof(seats->seats[0]));

	if (seats)
		seats->users = 1;
	return seats;
}

void ivshmem_seats_use(struct seats *seats)
{
	__atomic_fetch_add(&seats->users, 1, __ATOMIC_RELAXED);
}

void ivshmem_seats_drop(struct seats *seats)
{
	if (seats && !__atomic_sub_fetch(&seats->users, 1, __ATOMIC_ACQ_REL))
		free(seats);
}

/* Of an end that is attached, as it says now: it is asked once. */
void ivshmem_peer_of(struct peer *peer, const struct ivshmem_slot_end *end,
		     const struct ivshmem *shm)
{
	const volatile struct ivshmem_slot_end *said = end;

	memset(peer, 0, sizeof(*peer));
	memcpy(peer->boot_id, (const void *)end->boot_id, sizeof(peer->boot_id));
	peer->pid = ivshmem_end_is_local(end, shm) ? said->pid : 0;
	peer->peer_id = said->wake & WAKE_CAN_RING ? said->peer_id : UINT32_MAX;
}

unsigned int ivshmem_seats_count(const struct seats *seats, unsigned int slots,
				 const struct peer *peer)
{
	unsigned int i, count = 0;

	for (i = 0; i < slots; i++)
		count += __atomic_load_n(&seats->seats[i].taken, __ATOMIC_ACQUIRE) &&
			 !memcmp(&seats->seats[i].peer, peer, sizeof(*peer));
	return count;
}
