// SPDX-License-Identifier: MIT
#include <errno.h>

#include "status.h"

/* The counts of two ends go together only then. Its state may have changed since. */
static bool is_ready_for(const struct ivshmem_slot_end *end, const struct ivshmem_slot_end *other)
{
	return end->ready && (end->ready & ~3u) == (other->epoch & ~3u);
}

/* In the session that it was ready for last; before the first one nothing was sent. */
static uint64_t count_of(const struct ivshmem_slot_end *end, uint64_t number)
{
	if (!end->ready || !number)
		return 0;
	return ivshmem_status_difference(number, ivshmem_session_start(end->epoch, end->ready));
}

static int add_end(struct status_members *members, const struct ivshmem_directory *directory,
		   unsigned int slot, unsigned int side)
{
	const struct ivshmem_slot_end *end = &directory->slots[slot].ends[side];
	const struct ivshmem_slot_end *other = &directory->slots[slot].ends[!side];
	enum ivshmem_end_state state = ivshmem_end_state_of(directory->slots, slot, side,
							    directory->shm);
	struct status_member *member;
	uint64_t received = count_of(end, end->received);

	member = ivshmem_status_add(members, side == IVSHMEM_END_CREATOR ? IVSHMEM_ROLE_CREATOR :
				    IVSHMEM_ROLE_CONNECTOR, 0, state);
	if (!member)
		return -ENOMEM;
	status_tell(member, IVSHMEM_DETAIL_SENT, count_of(end, end->sent));
	status_tell(member, IVSHMEM_DETAIL_RECEIVED, received);
	status_tell(member, IVSHMEM_DETAIL_BYTES,
		    end->ready ? ivshmem_status_difference(end->consumed, end->turned) : 0);
	if (state == IVSHMEM_END_FREE)
		return 0;
	ivshmem_status_add_program(member, end);
	status_tell(member, IVSHMEM_DETAIL_WAITING,
		    is_ready_for(end, other) && is_ready_for(other, end) ?
		    ivshmem_status_difference(count_of(other, other->sent), received) : 0);
	return 0;
}

int ivshmem_status_add_channel(struct status_members *members,
			       const struct ivshmem_directory *directory, unsigned int slot)
{
	int err = add_end(members, directory, slot, IVSHMEM_END_CREATOR);

	return err ? err : add_end(members, directory, slot, IVSHMEM_END_CONNECTOR);
}
