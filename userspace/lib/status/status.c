// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lockers.h"
#include "status.h"

struct ivshmem_status {
	struct ivshmem_layout *layout;
	struct status_members members[];
};

/* Those under other kernels can't be seen. */
static int add_area(struct status_members *members, const struct ivshmem_directory *directory,
		    const struct status_lockers *lockers, unsigned int slot)
{
	int err = ivshmem_status_add_users(members, lockers, slot);

	return err ? err : ivshmem_status_add_unknown_user(members, directory, slot);
}

/* Who has no place only reads. */
static int add_topic(struct status_members *members, const struct ivshmem_directory *directory,
		     const struct status_lockers *lockers, unsigned int slot, uint64_t *left)
{
	int err = ivshmem_status_add_topic(members, directory, slot, left);

	return err ? err : ivshmem_status_add_users(members, lockers, slot);
}

static int add_members(struct ivshmem_status *status, const struct ivshmem_directory *directory,
		       const struct status_lockers *lockers, unsigned int slot, uint64_t *left)
{
	struct status_members *members = &status->members[slot];

	members->topic_error = -ENOENT;
	if (!ivshmem_layout_name(status->layout, slot))
		return 0;
	switch (ivshmem_layout_kind(status->layout, slot)) {
	case IVSHMEM_CHANNEL:
		return ivshmem_status_add_channel(members, directory, slot);
	case IVSHMEM_AREA:
		return add_area(members, directory, lockers, slot);
	case IVSHMEM_TOPIC:
		return add_topic(members, directory, lockers, slot, left);
	case IVSHMEM_SERVICE:
		return ivshmem_status_add_single(members, directory, slot,
						 IVSHMEM_ROLE_LISTENER);
	case IVSHMEM_WAITSET:
		return ivshmem_status_add_single(members, directory, slot, IVSHMEM_ROLE_WAITER);
	}
	return 0;
}

static int read_members(struct ivshmem_status *status, struct ivshmem *shm, unsigned int flags)
{
	struct status_lockers lockers = { .count = 0 };
	struct ivshmem_directory directory;
	uint64_t left = shm->size;
	unsigned int i;
	int err = 0;

	ivshmem_layout_directory(status->layout, &directory, shm);
	if (flags & IVSHMEM_STATUS_USERS)
		err = ivshmem_lockers_find(&lockers, shm);
	for (i = 0; i < ivshmem_layout_objects(status->layout) && !err; i++)
		err = add_members(status, &directory, &lockers, i, &left);
	free(lockers.list);
	if (err)
		return err;
	ivshmem_status_add_clients(status->members, &directory);
	ivshmem_status_add_watched(status->members, &directory);
	return 0;
}

int ivshmem_status_read(struct ivshmem_status **out, struct ivshmem *shm, unsigned int flags)
{
	struct ivshmem_layout *layout;
	struct ivshmem_status *status;
	int err;

	if (!out || flags & ~IVSHMEM_STATUS_USERS)
		return -EINVAL;
	err = ivshmem_layout_read(&layout, shm);
	if (err)
		return err;
	status = calloc(1, sizeof(*status) +
			   ivshmem_layout_objects(layout) * sizeof(status->members[0]));
	if (!status) {
		ivshmem_layout_free(layout);
		return -ENOMEM;
	}
	status->layout = layout;
	err = read_members(status, shm, flags);
	if (err) {
		ivshmem_status_free(status);
		return err;
	}
	*out = status;
	return 0;
}

void ivshmem_status_free(struct ivshmem_status *status)
{
	unsigned int i;

	if (!status)
		return;
	for (i = 0; i < ivshmem_layout_objects(status->layout); i++)
		free(status->members[i].list);
	ivshmem_layout_free(status->layout);
	free(status);
}

const struct ivshmem_layout *ivshmem_status_layout(const struct ivshmem_status *status)
{
	return status ? status->layout : NULL;
}

static const struct status_members *members_of(const struct ivshmem_status *status,
					       unsigned int index)
{
	static const struct status_members none = { .topic_error = -ENOENT };

	return index < ivshmem_layout_objects(ivshmem_status_layout(status)) ?
	       &status->members[index] : &none;
}

int ivshmem_status_topic(const struct ivshmem_status *status, unsigned int index,
			 struct ivshmem_topic_layout *layout)
{
	const struct status_members *members = members_of(status, index);

	if (!status || !layout)
		return -EINVAL;
	if (!members->topic_error)
		*layout = members->topic;
	return members->topic_error;
}

unsigned int ivshmem_status_members(const struct ivshmem_status *status, unsigned int index)
{
	return members_of(status, index)->count;
}

static const struct status_member *member_of(const struct ivshmem_status *status,
					     unsigned int index, unsigned int member)
{
	static const struct status_member none;
	const struct status_members *members = members_of(status, index);

	return member < members->count ? &members->list[member] : &none;
}

enum ivshmem_role ivshmem_status_role(const struct ivshmem_status *status, unsigned int index,
				      unsigned int member)
{
	return member_of(status, index, member)->role;
}

unsigned int ivshmem_status_place(const struct ivshmem_status *status, unsigned int index,
				  unsigned int member)
{
	return member_of(status, index, member)->place;
}

enum ivshmem_end_state ivshmem_status_state(const struct ivshmem_status *status,
					    unsigned int index, unsigned int member)
{
	return member_of(status, index, member)->state;
}

int ivshmem_status_detail(const struct ivshmem_status *status, unsigned int index,
			  unsigned int member, enum ivshmem_detail detail, uint64_t *value)
{
	const struct status_member *it = member_of(status, index, member);

	if (!status || !value)
		return -EINVAL;
	if ((unsigned int)detail >= DETAILS || !(it->known >> detail & 1))
		return -ENODATA;
	*value = it->details[detail];
	return 0;
}
