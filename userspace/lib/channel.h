/* SPDX-License-Identifier: MIT */
/*
 * A channel of this process. slot.c finds its slot, channel.c takes an end of it,
 * session.c agrees with the other side on a fresh start, transfer.c sends and receives
 * by way of ring.c and mailbox.h, waiting.c sleeps and wakes.
 */
#ifndef IVSHMEM_CHANNEL_H
#define IVSHMEM_CHANNEL_H

#include <stdalign.h>

#include "format.h"
#include "mailbox.h"
#include "ring.h"
#include "window.h"

enum wakeup {
	WAKEUP_BACKOFF,
	WAKEUP_FUTEX,
	WAKEUP_DOORBELL,
};

/**
 * struct ivshmem_waiter - One direction's way to sleep, and to wake the other end.
 * @word: Own waiting word, written by this end.
 * @waits: What was last written there.
 * @other_word: The waiting word of the other end that goes with it.
 * @handled: What was last seen there, and needs nothing more.
 * @bell: Changed by this end with each ring of the other by futex.
 * @other_bell: The other end's, which this end sleeps on.
 * @epoll: Signalled when this end is rung; -1 until needed.
 * @failed: What the calls return from now on, a negative errno; 0 as long as all
 *          is well.
 * @life_seen: When the other end was last looked at for life, nanoseconds.
 */
struct ivshmem_waiter {
	uint32_t *word;
	uint32_t waits;
	const uint32_t *other_word;
	uint32_t handled;
	uint32_t *bell;
	const uint32_t *other_bell;
	int epoll;
	int failed;
	int64_t life_seen;
};

/**
 * struct ivshmem_channel - One end of a channel.
 * @shm: The region, owned by the caller.
 * @next: The next channel of the same handle.
 * @slot: Which slot.
 * @side: Which end of it, an enum ivshmem_end.
 * @uuid: The region's, as it was when the channel was opened.
 * @key: The slot's.
 * @header: Where the slot is mapped.
 * @rings: Where the rings are mapped, by who writes.
 * @own: This end, written here.
 * @other: The other end, read here.
 * @epoch: Of this end.
 * @wake: Of the WAKE_ flags, what this end can do.
 * @vector: Where this end is rung.
 * @other_epoch: Of the other end in this session.
 * @other_died: Its program ended without closing it.
 * @wakeup: How the other end wakes this one.
 * @wakes_other: How this end wakes the other.
 * @other_peer: Where to ring, for WAKEUP_DOORBELL.
 * @other_vector: The same.
 * @spin_us: How long to spin before sleeping.
 * @together: Both ends run under one kernel.
 * @backoff_us: The longest sleep without wake-up.
 * @max_length: The longest message.
 * @loop_fd: For ivshmem_channel_fd(), with @loop_timer in it; -1 until asked for.
 * @loop_timer: See waiting.c; -1 likewise.
 * @loop_moved: How many messages had been sent and received when it was set.
 * @read_at: The rest of a message that ivshmem_channel_read() has begun.
 * @read_left: Its length.
 *
 * The two directions can be in use by a thread each, so they share no cache line.
 */
struct ivshmem_channel {
	struct ivshmem *shm;
	struct ivshmem_channel *next;
	unsigned int slot;
	unsigned int side;
	uint8_t uuid[16];
	uint64_t key;
	struct ivshmem_window header;
	struct ivshmem_window rings[2];
	struct ivshmem_slot_end *own;
	const struct ivshmem_slot_end *other;
	uint32_t epoch;
	uint32_t wake;
	unsigned int vector;
	uint32_t other_epoch;
	bool other_died;
	enum wakeup wakeup;
	enum wakeup wakes_other;
	uint16_t other_peer;
	uint16_t other_vector;
	unsigned int spin_us;
	bool together;
	unsigned int backoff_us;
	size_t max_length;
	int loop_fd;
	int loop_timer;
	uint64_t loop_moved;

	alignas(128) struct ivshmem_sender sender;
	struct ivshmem_waiter room;
	bool reserved;
	size_t reserved_length;

	alignas(128) struct ivshmem_receiver receiver;
	struct ivshmem_mailbox mailbox;		/* @sent belongs to the sending thread */
	struct ivshmem_waiter news;
	const char *read_at;
	size_t read_left;
};

/* slot.c */
uint64_t ivshmem_slot_key(const char *name);
int ivshmem_slot_lock_fd(const struct ivshmem *shm);
int ivshmem_slot_lock(int lock_fd, unsigned int slot, unsigned int side);
void ivshmem_slot_unlock(int lock_fd, unsigned int slot, unsigned int side);
void ivshmem_slot_tell_lock(struct ivshmem_slot_end *own, int lock_fd);
bool ivshmem_slot_is_dead(const struct ivshmem_slot_end *end, unsigned int slot,
			  unsigned int side, int lock_fd);
enum ivshmem_end_state ivshmem_slot_state(const struct ivshmem_slot *slots, unsigned int slot,
					  unsigned int side, int lock_fd);
int ivshmem_slot_find(const struct ivshmem_slot *slots, unsigned int count, const char *name);
int ivshmem_slot_claim(struct ivshmem_slot *slots, unsigned int count, const char *name,
		       const struct ivshmem *shm);

/* session.c */
void ivshmem_session_leave(struct ivshmem_channel *channel);
int ivshmem_session_attach(struct ivshmem_channel *channel, uint32_t from, bool locked);
int ivshmem_session_agree(struct ivshmem_channel *channel, int64_t deadline);
void ivshmem_session_end(struct ivshmem_channel *channel);
bool ivshmem_session_is_local(const struct ivshmem_slot_end *end);

/* Has no other program taken this end, and nobody formatted the region anew? */
static inline bool ivshmem_session_has_end(const struct ivshmem_channel *channel)
{
	return __atomic_load_n(&channel->own->epoch, __ATOMIC_RELAXED) == channel->epoch;
}

/**
 * ivshmem_session_check() - Is the session still on?
 * @channel: Channel.
 *
 * Return: 0; -EPIPE (the other end was closed); -ECONNRESET (the other end was
 * replaced, or is known to be dead, or this end was taken over).
 */
static inline int ivshmem_session_check(const struct ivshmem_channel *channel)
{
	uint32_t other = __atomic_load_n(&channel->other->epoch, __ATOMIC_ACQUIRE);

	if (!ivshmem_session_has_end(channel))
		return -ECONNRESET;
	if (other == channel->other_epoch)
		return __atomic_load_n(&channel->other_died, __ATOMIC_RELAXED) ? -ECONNRESET : 0;
	return __atomic_load_n(&channel->other->closed, __ATOMIC_RELAXED) ==
		       channel->other_epoch ? -EPIPE : -ECONNRESET;
}

/* waiting.c: points in time are nanoseconds of CLOCK_MONOTONIC */
#define NS_PER_MS	1000000

int64_t ivshmem_now_ns(void);
int64_t ivshmem_deadline_ns(int timeout_ms);
int ivshmem_pause(int64_t *pause_ns, int64_t longest_ns, int64_t deadline);
int ivshmem_wait_for(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter,
		     int (*is_ready)(struct ivshmem_channel *channel, uint64_t need),
		     uint64_t need, int timeout_ms);
void ivshmem_wake_other(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter);
void ivshmem_waiter_init(struct ivshmem_waiter *waiter, uint32_t *word,
			 const uint32_t *other_word, uint32_t *bell, const uint32_t *other_bell);
void ivshmem_waiter_close(struct ivshmem_waiter *waiter);

/* transfer.c */
void ivshmem_tell_released(struct ivshmem_channel *channel);
int ivshmem_room_is_there(struct ivshmem_channel *channel, uint64_t record);
int ivshmem_news_is_there(struct ivshmem_channel *channel, uint64_t unused);

#endif /* IVSHMEM_CHANNEL_H */
