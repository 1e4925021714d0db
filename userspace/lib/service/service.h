/* SPDX-License-Identifier: MIT */
/*
 * A service: a slot with one end, the listener's, and hints.
 *
 * A client makes a channel for itself, an object that nobody keeps, whose facts name the service
 * by its slot and generation. It takes the creator's end, hints at the channel, and wakes the
 * listener, which looks at the channel, and takes the connector's end. Both agree on a session as
 * all channels do; the client hints whenever it has done its part. So a listener that sleeps
 * is never waited for, and one that looks at a client never waits for it.
 *
 * Whoever dies amid that leaves ends that are known to be dead, or of which nobody knows more
 * than of a channel's; what nobody uses is freed when somebody needs the room, and by the
 * listener when it looks at all slots. A hint that is lost makes a client late, for it does that
 * each SWEEP_NS. Clients with which it has begun it looks after each CHECK_NS: they may have died.
 *
 *	listen.c	becomes the server
 *	listener.c	looks whether it still is, and tells it that there is something
 *	accept.c	looks for clients, and gives them out
 *	in_set.c	is waited for by a wait set
 *	seats.c		counts the clients of each peer
 *	connect.c	is a client
 *	call.c		asks and answers, over any channel
 */
#ifndef SERVICE_H
#define SERVICE_H

#include <ivshmem/service.h>

#include "channel/channel.h"
#include "wakeup/wakeup.h"

#define SLOT_BITS	64
#define LISTENER_SLEEP_NS (20 * NS_PER_MS)	/* who can't wake a listener is so much late */

/**
 * struct peer - Whose client it is, as it says.
 * @boot_id: Its kernel.
 * @pid: Its process, if it runs under this kernel; else 0.
 * @peer_id: If it has one; else UINT32_MAX.
 */
struct peer {
	uint8_t boot_id[16];
	uint32_t pid;
	uint32_t peer_id;
};

/**
 * struct seat - The channel of one slot.
 * @taken: This program has the server's end. Set by the listener, cleared by the channel.
 * @peer: Whose it is.
 * @generation: Of the last object here with which a channel was open.
 * @epoch: Of the client then. As long as it is the same, the client has not begun anew.
 */
struct seat {
	bool taken;
	struct peer peer;
	uint32_t generation;
	uint32_t epoch;
};

/**
 * struct seats - All that a listener has accepted. Channels outlive their listener.
 * @users: The listener and its channels; by __atomic_.
 * @seats: By slot.
 */
struct seats {
	unsigned int users;
	struct seat seats[];
};

/**
 * struct ivshmem_listener - A service that this program serves.
 * @shm: The region.
 * @holder: Keeps it, and has the claim to the listener's end.
 * @directory: Of the region.
 * @object: The service in it.
 * @sleeper: The listener's end, and how it sleeps.
 * @member: For wait sets.
 * @limit: How many clients a peer may have.
 * @seats: Of its clients.
 * @begun: By slot: channels that are not open yet, or not given out; NULL: none.
 * @agreeing: How many of these are not open yet.
 * @ready: How many are.
 * @turn: The slot that is given out first, if it is ready.
 * @pending: Slots to be looked at, a bit each.
 * @swept: When all slots were looked at.
 * @checked: When those were that are agreeing.
 * @failed: What all calls return from now on; 0 as long as all is well.
 */
struct ivshmem_listener {
	struct ivshmem *shm;
	struct ivshmem_holder holder;
	struct ivshmem_directory directory;
	struct ivshmem_object object;
	struct ivshmem_sleeper sleeper;
	struct ivshmem_member member;
	unsigned int limit;
	struct seats *seats;
	struct ivshmem_channel **begun;
	unsigned int agreeing;
	unsigned int ready;
	unsigned int turn;
	uint64_t pending[IVSHMEM_MAX_OBJECTS / SLOT_BITS];
	int64_t swept;
	int64_t checked;
	int failed;
};

static inline struct ivshmem_listener *listener_of(struct ivshmem_sleeper *sleeper)
{
	return container_of(sleeper, struct ivshmem_listener, sleeper);
}

/* listener.c */
int ivshmem_listener_check(struct ivshmem_sleeper *sleeper);
void ivshmem_service_hint(const struct ivshmem_directory *directory,
			  const struct ivshmem_object *service, unsigned int slot);

/* in_set.c */
struct ivshmem_member *ivshmem_listener_member(struct ivshmem_listener *listener);

/* accept.c */
int ivshmem_listener_look(struct ivshmem_sleeper *sleeper);

/* seats.c */
struct seats *ivshmem_seats_new(unsigned int count);
void ivshmem_seats_use(struct seats *seats);
void ivshmem_seats_drop(struct seats *seats);
void ivshmem_peer_of(struct peer *peer, const struct ivshmem_slot_end *end,
		     const struct ivshmem *shm);
unsigned int ivshmem_seats_count(const struct seats *seats, unsigned int slots,
				 const struct peer *peer);

#endif /* SERVICE_H */
