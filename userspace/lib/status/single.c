// SPDX-License-Identifier: MIT
#include <errno.h>

#include "status.h"

int ivshmem_status_add_single(struct status_members *members,
			      const struct ivshmem_directory *directory, unsigned int slot,
			      enum ivshmem_role role)
{
	const struct ivshmem_slot_end *end = &directory->slots[slot].end;
	enum ivshmem_end_state state = ivshmem_end_state_of(directory->slots, slot, 0,
							    directory->shm);
	struct status_member *member;

	if (state == IVSHMEM_END_FREE)
		return 0;
	member = ivshmem_status_add(members, role, 0, state);
	if (!member)
		return -ENOMEM;
	ivshmem_status_add_program(member, end);
	/* Its other waiting word is no such word. */
	if (state == IVSHMEM_END_ATTACHED)
		status_tell(member, IVSHMEM_DETAIL_ASLEEP, end->receiver % 4 >= WAITING_ASLEEP);
	status_tell(member, role == IVSHMEM_ROLE_LISTENER ? IVSHMEM_DETAIL_CLIENTS :
							    IVSHMEM_DETAIL_WATCHED, 0);
	return 0;
}

/* One more, if the slot that is meant has a member of which that is told. */
static void count(struct status_members *members, const struct ivshmem_directory *directory,
		  uint32_t slot, uint32_t generation, enum ivshmem_detail detail)
{
	if (slot >= directory->superblock.slots || !members[slot].count ||
	    !(members[slot].list[0].known >> detail & 1) ||
	    ivshmem_object_at(directory, slot).generation != generation)
		return;
	members[slot].list[0].details[detail]++;
}

/* Channels say whose client they were made for. */
void ivshmem_status_add_clients(struct status_members *members,
				const struct ivshmem_directory *directory)
{
	uint32_t service, generation;
	unsigned int i;

	for (i = 0; i < directory->superblock.slots; i++) {
		const struct ivshmem_object object = ivshmem_object_at(directory, i);

		if (members[i].count && members[i].list[0].role == IVSHMEM_ROLE_CREATOR &&
		    !ivshmem_object_fact(directory, &object, FACT_SERVICE, &service) && service &&
		    !ivshmem_object_fact(directory, &object, FACT_SERVICE_GENERATION,
					 &generation))
			count(members, directory, service - 1, generation,
			      IVSHMEM_DETAIL_CLIENTS);
	}
}

/* Ends and members say in which set they are. */
void ivshmem_status_add_watched(struct status_members *members,
				const struct ivshmem_directory *directory)
{
	unsigned int i, k;

	for (i = 0; i < directory->superblock.slots; i++) {
		for (k = 0; k < members[i].count; k++) {
			const struct status_member *member = &members[i].list[k];

			if (member->set)
				count(members, directory, member->set - 1,
				      member->set_generation, IVSHMEM_DETAIL_WATCHED);
		}
	}
}
