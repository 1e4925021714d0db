/* SPDX-License-Identifier: MIT */
/*
 * Who uses a region's objects, as the user of the library is shown it.
 *
 *	status.c	the snapshot
 *	member.c	adds a member, and what its program says of itself
 *	channel.c	adds the two ends of a channel
 *	topic.c		adds a topic's publishers and subscribers
 *	users.c		adds those who have an object open beside them
 *	lockers.c	looks in /proc for these
 *	single.c	adds the only end of a service or wait set, and what uses them
 *
 * All of it is taken from copies, which may be of a moment when something was changed: what
 * can't be is shown as nothing, or as 0.
 */
#ifndef STATUS_H
#define STATUS_H

#include <ivshmem/status.h>

#include "format/format.h"

#define DETAILS	(IVSHMEM_DETAIL_TIME + 1)

/**
 * struct status_member - See ivshmem/status.h.
 * @role: Its role.
 * @place: Among those with its role.
 * @state: Is its program there?
 * @set: The wait set that it is in, or was: as struct ivshmem_slot_end has it.
 * @set_generation: The same.
 * @known: A bit for each detail that is known.
 * @details: By enum ivshmem_detail.
 */
struct status_member {
	enum ivshmem_role role;
	unsigned int place;
	enum ivshmem_end_state state;
	uint32_t set;
	uint32_t set_generation;
	uint32_t known;
	uint64_t details[DETAILS];
};

/**
 * struct status_members - Those of one object.
 * @list: How many there are is @count, and for how many there is room @room.
 * @count: See @list.
 * @room: See @list.
 * @topic: How a topic was made.
 * @topic_error: What ivshmem_status_topic() returns.
 */
struct status_members {
	struct status_member *list;
	unsigned int count;
	unsigned int room;
	struct ivshmem_topic_layout topic;
	int topic_error;
};

static inline void status_tell(struct status_member *member, enum ivshmem_detail detail,
			       uint64_t value)
{
	member->known |= 1u << detail;
	member->details[detail] = value;
}

/* member.c */
struct status_member *ivshmem_status_add(struct status_members *members, enum ivshmem_role role,
					 unsigned int place, enum ivshmem_end_state state);
void ivshmem_status_add_program(struct status_member *member, const struct ivshmem_slot_end *end);
uint64_t ivshmem_status_difference(uint64_t more, uint64_t less);

/* channel.c */
int ivshmem_status_add_channel(struct status_members *members,
			       const struct ivshmem_directory *directory, unsigned int slot);

/* single.c */
int ivshmem_status_add_single(struct status_members *members,
			      const struct ivshmem_directory *directory, unsigned int slot,
			      enum ivshmem_role role);
void ivshmem_status_add_clients(struct status_members *members,
				const struct ivshmem_directory *directory);
void ivshmem_status_add_watched(struct status_members *members,
				const struct ivshmem_directory *directory);

/* users.c */
struct status_lockers;

int ivshmem_status_add_users(struct status_members *members,
			     const struct status_lockers *lockers, unsigned int slot);
int ivshmem_status_add_unknown_user(struct status_members *members,
				    const struct ivshmem_directory *directory, unsigned int slot);

/* topic.c */
int ivshmem_status_add_topic(struct status_members *members,
			     const struct ivshmem_directory *directory, unsigned int slot,
			     uint64_t *left);

#endif /* STATUS_H */
