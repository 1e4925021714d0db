/* SPDX-License-Identifier: MIT */
/*
 * Who uses the objects of a formatted region, and what goes on there: for those who watch.
 *
 * Nothing here writes to the region, and nobody who uses it notices.
 *
 * Trust: all numbers are what the programs say of themselves, or what follows from it.
 */
#ifndef IVSHMEM_STATUS_H
#define IVSHMEM_STATUS_H

#include <ivshmem/base.h>
#include <ivshmem/format.h>
#include <ivshmem/region.h>
#include <ivshmem/topic.h>

#include <stdint.h>

IVSHMEM_BEGIN_DECLS

struct ivshmem_status;

/**
 * enum ivshmem_role - What a member is in its object.
 * @IVSHMEM_ROLE_NONE: There is no such member.
 * @IVSHMEM_ROLE_CREATOR: Of a channel, the end that called ivshmem_channel_create().
 * @IVSHMEM_ROLE_CONNECTOR: Of a channel, the one that called ivshmem_channel_connect().
 * @IVSHMEM_ROLE_PUBLISHER: Of a topic, a publisher.
 * @IVSHMEM_ROLE_SUBSCRIBER: Of a topic, a subscriber.
 * @IVSHMEM_ROLE_USER: Of an area, a program under this kernel that has it open, or all of them;
 *                     of a topic, one that only reads. See IVSHMEM_STATUS_USERS.
 * @IVSHMEM_ROLE_LISTENER: Of a service, the program that serves it.
 * @IVSHMEM_ROLE_WAITER: Of a wait set, the program that waits with it.
 */
enum ivshmem_role {
	IVSHMEM_ROLE_NONE,
	IVSHMEM_ROLE_CREATOR,
	IVSHMEM_ROLE_CONNECTOR,
	IVSHMEM_ROLE_PUBLISHER,
	IVSHMEM_ROLE_SUBSCRIBER,
	IVSHMEM_ROLE_USER,
	IVSHMEM_ROLE_LISTENER,
	IVSHMEM_ROLE_WAITER,
};

/**
 * enum ivshmem_detail - What may be known of a member.
 * @IVSHMEM_DETAIL_PID: Its process ID as it sees it itself, in its own machine; of a user that
 *                      was found in /proc, as this program sees it.
 * @IVSHMEM_DETAIL_PEER: Its peer ID, where others can ring it.
 * @IVSHMEM_DETAIL_SENT: Messages that it has passed on: of an end of a channel, in its last
 *                       session; of a publisher, the number of its place's newest message.
 * @IVSHMEM_DETAIL_RECEIVED: Messages that it has taken: of an end of a channel, in its last
 *                           session; of a subscriber, since it came.
 * @IVSHMEM_DETAIL_WAITING: Messages that are there for it, and that it has not taken yet.
 * @IVSHMEM_DETAIL_HELD: Of a subscriber, long messages that it holds.
 * @IVSHMEM_DETAIL_BYTES: Of an end of a channel, how much of the other's ring the messages took
 *                        that it is done with, in its last session. A message takes a multiple
 *                        of 64 bytes; one of up to 16 bytes may need none.
 * @IVSHMEM_DETAIL_SKIPPED: Of a subscriber, messages that it did not get since it came.
 * @IVSHMEM_DETAIL_DROPPED: Of a publisher, subscribers that it has dropped since it came.
 * @IVSHMEM_DETAIL_WAKEUPS: How often it has woken others since it came.
 * @IVSHMEM_DETAIL_CLIENTS: Of a listener, clients that have a channel.
 * @IVSHMEM_DETAIL_WATCHED: Of a wait set, what is in it and has been idle at least once.
 * @IVSHMEM_DETAIL_ASLEEP: 1 while it sleeps until a message comes, or a client, or anything that
 *                         it waits for; 2 while it sleeps until there is room for a message; 3
 *                         while two of its threads do both; 0 while it is awake.
 * @IVSHMEM_DETAIL_LENGTH: Of a publisher, the mean length of its newest messages, up to 16, in
 *                         bytes.
 * @IVSHMEM_DETAIL_TIME: Of a publisher, CLOCK_REALTIME of its newest message, in nanoseconds, by
 *                       its own clock. Only known where it says that with its messages: see
 *                       IVSHMEM_STAMP.
 */
enum ivshmem_detail {
	IVSHMEM_DETAIL_PID,
	IVSHMEM_DETAIL_PEER,
	IVSHMEM_DETAIL_SENT,
	IVSHMEM_DETAIL_RECEIVED,
	IVSHMEM_DETAIL_WAITING,
	IVSHMEM_DETAIL_HELD,
	IVSHMEM_DETAIL_BYTES,
	IVSHMEM_DETAIL_SKIPPED,
	IVSHMEM_DETAIL_DROPPED,
	IVSHMEM_DETAIL_WAKEUPS,
	IVSHMEM_DETAIL_CLIENTS,
	IVSHMEM_DETAIL_WATCHED,
	IVSHMEM_DETAIL_ASLEEP,
	IVSHMEM_DETAIL_LENGTH,
	IVSHMEM_DETAIL_TIME,
};

/**
 * IVSHMEM_STATUS_USERS - Look in /proc for programs that have an area open, or a topic for reading
 * only.
 */
#define IVSHMEM_STATUS_USERS	(1u << 0)

/**
 * ivshmem_status_read() - Look who uses a region's objects, and what goes on there.
 * @status: Set to a snapshot, to be freed with ivshmem_status_free().
 * @shm: Open handle; IVSHMEM_RDONLY will do.
 * @flags: 0 or IVSHMEM_STATUS_USERS. That looks at all descriptors of all programs, which takes
 *         some milliseconds for each thousand, and finds only programs that this one may look at.
 *
 * As ivshmem_layout_read() does, it reads the file or device, and maps nothing. Programs go on
 * meanwhile: numbers of two members may be of slightly different times.
 *
 * Context: Any thread.
 * Return: As for ivshmem_layout_read(); -EINVAL also for an unknown flag.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_status_read(struct ivshmem_status **status, struct ivshmem *shm, unsigned int flags);

/**
 * ivshmem_status_free() - Free a snapshot.
 * @status: Snapshot, or NULL.
 * Since: 0.1
 */
void ivshmem_status_free(struct ivshmem_status *status);

/**
 * ivshmem_status_layout() - How the region was laid out at that time.
 * @status: Snapshot.
 *
 * Return: A snapshot of the layout, owned by this one. NULL for NULL.
 * Since: 0.1
 */
const struct ivshmem_layout *ivshmem_status_layout(const struct ivshmem_status *status);

/**
 * ivshmem_status_topic() - How a topic was made.
 * @status: Snapshot.
 * @index: From 0 to ivshmem_layout_objects() - 1.
 * @layout: Set to what ivshmem_make_topic() was told, with the history rounded up.
 *
 * Return: 0; -ENOENT (there is no topic); -EUCLEAN (what it says can't be); -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_status_topic(const struct ivshmem_status *status, unsigned int index,
			 struct ivshmem_topic_layout *layout);

/**
 * ivshmem_status_members() - Of how many members of an object there is something to tell.
 * @status: Snapshot.
 * @index: From 0 to ivshmem_layout_objects() - 1.
 *
 * A channel has two: the creator, then the connector, also where nobody is there. A topic has
 * the publishers that are there, or were and have left messages, then the subscribers that are
 * there; those that opened the region for reading only can only be found in /proc. An area has
 * one, as long as programs under this kernel have it open, or one for each program that was found
 * in /proc; of other kernels' programs it can't be told. A
 * service or a wait set has one, unless nobody is there.
 *
 * Return: The count; 0 where there is no object.
 * Since: 0.1
 */
unsigned int ivshmem_status_members(const struct ivshmem_status *status, unsigned int index);

/**
 * ivshmem_status_role() - What a member is.
 * @status: Snapshot.
 * @index: From 0 to ivshmem_layout_objects() - 1.
 * @member: From 0 to ivshmem_status_members() - 1.
 *
 * Return: An enum ivshmem_role; IVSHMEM_ROLE_NONE where there is no such member.
 * Since: 0.1
 */
enum ivshmem_role ivshmem_status_role(const struct ivshmem_status *status, unsigned int index,
				      unsigned int member);

/**
 * ivshmem_status_place() - Which of those with its role a member is.
 * @status: Snapshot.
 * @index: As for ivshmem_status_role().
 * @member: The same.
 *
 * Return: Of a publisher or subscriber its place, from 0; 0 for all others.
 * Since: 0.1
 */
unsigned int ivshmem_status_place(const struct ivshmem_status *status, unsigned int index,
				  unsigned int member);

/**
 * ivshmem_status_state() - Is the member's program there?
 * @status: Snapshot.
 * @index: As for ivshmem_status_role().
 * @member: The same.
 *
 * Return: An enum ivshmem_end_state; IVSHMEM_END_FREE where there is no such member.
 * Since: 0.1
 */
enum ivshmem_end_state ivshmem_status_state(const struct ivshmem_status *status,
					    unsigned int index, unsigned int member);

/**
 * ivshmem_status_detail() - What else is known of a member.
 * @status: Snapshot.
 * @index: As for ivshmem_status_role().
 * @member: The same.
 * @detail: What is asked for.
 * @value: Set to it.
 *
 * Return: 0; -ENODATA (that is not known of this member, or there is no such member or detail);
 * -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_status_detail(const struct ivshmem_status *status, unsigned int index,
			  unsigned int member, enum ivshmem_detail detail, uint64_t *value);

IVSHMEM_END_DECLS

#endif /* IVSHMEM_STATUS_H */
