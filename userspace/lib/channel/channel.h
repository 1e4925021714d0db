/* SPDX-License-Identifier: MIT */
/*
 * A channel of this process: one end of a slot, and two rings.
 *
 *	opening.c	opens it, in steps
 *	end.c		takes an end of a slot, and gives it back
 *	loss.c		finds out that a session is over
 *	session.c	agrees with the other side on a fresh start
 *	waiting.c	waits for the other side
 *	send.c, receive.c	pass messages, by way of ring.h and mailbox.h
 *	bytes.c		makes a stream of bytes of them
 *	loop.c		waits in an event loop of the caller's
 *	in_set.c	is waited for by a wait set
 *	ready.c		what both of these look at
 *	channel.c	the object
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdalign.h>

#include <ivshmem/channel.h>

#include "format/format.h"
#include "wakeup/wakeup.h"

#include "mailbox.h"
#include "ring.h"

enum channel_stage {
	CHANNEL_SEARCHES,	/* it has no slot yet */
	CHANNEL_AGREES,		/* with the other side, on a session */
	CHANNEL_IS_OPEN,	/* it was; whether it still is, the session tells */
	CHANNEL_HAS_LEFT,	/* the session, and no attempt to begin another is under way */
};

/**
 * struct ivshmem_origin - Where a channel comes from, if it is not found by its name.
 * @find: Sets the channel's object: 0; -EAGAIN: it is not there yet; or what opening fails with.
 * @missed: Its end of the object that was found could not be had.
 * @look: After each look at the other end, until the channel is open. -EAGAIN: the object will
 *	be of no use, so that another one is looked for.
 * @gone: What it means that the object went before the channel was open: -EAGAIN: another one
 *	is looked for; or what opening fails with.
 * @left: The channel no longer has its end of the object.
 * @free: The channel is closed, in this program or in a child's copy.
 */
struct ivshmem_origin {
	int (*find)(struct ivshmem_channel *channel);
	void (*missed)(struct ivshmem_channel *channel);
	int (*look)(struct ivshmem_channel *channel);
	int (*gone)(struct ivshmem_channel *channel);
	void (*left)(struct ivshmem_channel *channel);
	void (*free)(struct ivshmem_origin *origin);
};

/**
 * struct ivshmem_calls - The calls that a channel has made in a session; see service/call.c.
 * @session: The epochs of both ends.
 * @last: The number of the last one.
 * @unanswered: How many were given up, whose answers may still come.
 */
struct ivshmem_calls {
	uint64_t session;
	uint32_t last;
	uint32_t unanswered;
};

/**
 * struct ivshmem_channel - One end of a channel.
 * @shm: The region.
 * @holder: Keeps it, and has the claim to this end.
 * @directory: Of the region, as it was when the channel was opened.
 * @object: The channel in it.
 * @side: Which end of it, an enum ivshmem_end.
 * @stage: How far the opening has come.
 * @was_open: It has got there before.
 * @name: Of the channel, if it is found by that.
 * @origin: Where it comes from; NULL: it is found by its name.
 * @flags: It was opened with.
 * @lock_deadline: Until when whoever has this end's lock may be about to close it.
 * @cancel: Ends calls that wait.
 * @rings: Where the rings are mapped: the creator's, then the connector's.
 * @own: This end, written here.
 * @other: The other end, read here.
 * @epoch: Of this end.
 * @other_epoch: Of the other end in this session.
 * @reset_for: The epoch of the other end that this end is ready for.
 * @other_died: Its program ended without closing it.
 * @other_left: Its VM has left the server, as far as was heard.
 * @lost: The region is no longer what it was: this end has given the session up. Set by the
 *        thread that finds it.
 * @lost_epoch: The end was announced by it then, so that the other end gives up, too; or 0.
 * @link: How both wake each other.
 * @spin_us: How long to spin before sleeping.
 * @backoff_us: The longest sleep without wake-up.
 * @max_length: The longest message that this end can send.
 * @loop: For ivshmem_channel_fd().
 * @calls: For ivshmem_call().
 * @member: For wait sets.
 * @free_run: Up to which position of its ring the sender writes without looking at
 *	anything: there is room, and no look for life is due. See send.c.
 * @run_messages: How many messages that is.
 * @run_began: When.
 * @awaited: The number of the message that was waited for last, and that came; 0: none did.
 * @until: For how long that might have taken.
 * @growing: The length of a message that is received while it is written.
 * @grown: How many of its bytes are known to be there.
 * @reading: A message that ivshmem_channel_read() has begun, and keeps; NULL if none.
 * @read_at: Its rest.
 * @read_left: Its rest's length.
 *
 * The two directions can be in use by a thread each, so they share no cache line.
 */
struct ivshmem_channel {
	struct ivshmem *shm;
	struct ivshmem_holder holder;
	struct ivshmem_directory directory;
	struct ivshmem_object object;
	unsigned int side;
	enum channel_stage stage;
	bool was_open;
	char name[IVSHMEM_NAME_SIZE];
	struct ivshmem_origin *origin;
	unsigned int flags;
	int64_t lock_deadline;
	struct ivshmem_cancel cancel;
	struct ivshmem_window rings;
	struct ivshmem_slot_end *own;
	const struct ivshmem_slot_end *other;
	uint32_t epoch;
	uint32_t other_epoch;
	uint32_t reset_for;
	bool other_died;
	bool other_left;
	bool lost;
	uint32_t lost_epoch;
	struct ivshmem_link link;
	unsigned int spin_us;
	unsigned int backoff_us;
	size_t max_length;
	struct ivshmem_loop loop;
	struct ivshmem_calls calls;
	struct ivshmem_member member;

	alignas(128) struct ivshmem_sender sender;
	uint64_t free_run;
	unsigned int run_messages;
	int64_t run_began;
	struct ivshmem_waiter room;
	bool reserved;
	size_t reserved_length;

	alignas(128) struct ivshmem_receiver receiver;
	struct ivshmem_mailbox mailbox;		/* @sent belongs to the sending thread */
	struct ivshmem_waiter news;
	uint64_t awaited;
	int64_t until;
	uint64_t growing;
	uint64_t grown;
	const void *reading;
	const char *read_at;
	size_t read_left;
};

/* opening.c */
int ivshmem_channel_begin_from(struct ivshmem_channel **out, struct ivshmem *shm,
			       struct ivshmem_origin *origin, enum ivshmem_end end,
			       unsigned int flags);
int ivshmem_channel_complete(struct ivshmem_channel **out, struct ivshmem_channel *channel,
			     int err, int timeout_ms);

/* in_set.c */
struct ivshmem_member *ivshmem_channel_member(struct ivshmem_channel *channel);

#endif /* CHANNEL_H */
