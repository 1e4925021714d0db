// SPDX-License-Identifier: MIT
/* Those who have an object open without an end or a place of it. */
#include <errno.h>

#include "lockers.h"
#include "status.h"

static bool is_known(const struct status_members *members, uint32_t pid)
{
	unsigned int i;

	for (i = 0; i < members->count; i++)
		if (members->list[i].known >> IVSHMEM_DETAIL_PID & 1 &&
		    members->list[i].details[IVSHMEM_DETAIL_PID] == pid)
			return true;
	return false;
}

static int add(struct status_members *members, uint32_t pid)
{
	struct status_member *member = ivshmem_status_add(members, IVSHMEM_ROLE_USER, 0,
							  IVSHMEM_END_ATTACHED);

	if (!member)
		return -ENOMEM;
	if (pid)
		status_tell(member, IVSHMEM_DETAIL_PID, pid);
	return 0;
}

/* Each once. A member is no user beside that. */
int ivshmem_status_add_users(struct status_members *members,
			     const struct status_lockers *lockers, unsigned int slot)
{
	size_t from = 0;
	uint32_t pid;
	int err = 0;

	while (!err && (pid = ivshmem_locker_of(lockers, ivshmem_slot_byte(slot), &from)))
		if (!is_known(members, pid))
			err = add(members, pid);
	return err;
}

/* Where none is known, but somebody is there. */
int ivshmem_status_add_unknown_user(struct status_members *members,
				    const struct ivshmem_directory *directory, unsigned int slot)
{
	if (members->count || !ivshmem_slot_is_locked(directory->shm, slot))
		return 0;
	return add(members, 0);
}
