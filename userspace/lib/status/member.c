// SPDX-License-Identifier: MIT
#include <stdlib.h>

#include "status.h"

/* NULL: out of memory. */
struct status_member *ivshmem_status_add(struct status_members *members, enum ivshmem_role role,
					 unsigned int place, enum ivshmem_end_state state)
{
	if (members->count == members->room) {
		unsigned int room = members->room ? 2 * members->room : 2;
		struct status_member *list = realloc(members->list, room * sizeof(*list));

		if (!list)
			return NULL;
		members->list = list;
		members->room = room;
	}
	members->list[members->count] = (struct status_member) {
		.role = role, .place = place, .state = state,
	};
	return &members->list[members->count++];
}

/* Of a program that has the end, or has died with it. */
void ivshmem_status_add_program(struct status_member *member, const struct ivshmem_slot_end *end)
{
	status_tell(member, IVSHMEM_DETAIL_PID, end->pid);
	if (end->wake & WAKE_RINGABLE)
		status_tell(member, IVSHMEM_DETAIL_PEER, end->peer_id);
	status_tell(member, IVSHMEM_DETAIL_WAKEUPS, end->wakeups);
	if (member->state != IVSHMEM_END_ATTACHED)
		return;
	member->set = end->set;
	member->set_generation = end->set_generation;
	status_tell(member, IVSHMEM_DETAIL_ASLEEP,
		    (end->receiver % 4 >= WAITING_ASLEEP ? 1 : 0) |
		    (end->sender % 4 >= WAITING_ASLEEP ? 2 : 0));
}

/* 0 also where the copies of both are of different times, or can't be. */
uint64_t ivshmem_status_difference(uint64_t more, uint64_t less)
{
	return more > less && more - less <= INT64_MAX ? more - less : 0;
}
