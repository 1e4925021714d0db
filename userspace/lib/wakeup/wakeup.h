/* SPDX-License-Identifier: MIT */
/*
 * How a program that sleeps is woken by the one that passes something on to it.
 *
 * Who waits looks at memory for a while, then says that it grows drowsy, looks on
 * for DROWSY_NS, says that it is asleep, passes a full fence, looks a last time,
 * and sleeps. Who has passed something on looks at that word:
 *
 *   asleep: ring, once for each sleep.
 *   drowsy: pass a full fence, and look again. Either the word now says asleep; or
 *           it was not written yet when this end looked after its fence, so that
 *           the other end's last look, after its own fence, sees what was passed on.
 *   awake:  nothing. There is no fence on this path, and a processor may look at the
 *           word before its own store is visible to others. Then the store was on
 *           its way when the other end still was awake: it has at least DROWSY_NS to
 *           arrive before the last look. Stores do not stay in a processor for
 *           microseconds; they leave as soon as the cache line is there, whatever
 *           the thread does (Morrison and Afek, "Temporally bounding TSO for
 *           fence-free asymmetric synchronization", 2015, builds on the same).
 *
 * A ring that comes between the last look and the sleep is not lost: an eventfd keeps
 * it, and for a futex each ring changes the word that is slept on, which was read
 * before this end said that it is asleep.
 *
 * A peer ID is not for ever: a guest that was hibernated goes on with another one. Its
 * module then signals all vectors, and says that there is a new ID to be read. Who wakes
 * by the doorbell tells it before it can sleep again, and who rings reads it each time.
 * So a ring to the ID of before is one that this signal stands for.
 *
 * So that correctness does not hang on the length of that time, no sleep is for ever:
 * the first lasts FIRST_SLEEP_NS, later ones LATER_SLEEP_NS. A store that took
 * longer than DROWSY_NS makes a message late; none is lost. These looks also
 * notice what rings nobody: that the other end's program is dead, or was replaced.
 */
#ifndef WAKEUP_H
#define WAKEUP_H

#include "format/format.h"

#define DROWSY_NS		10000
#define FIRST_SLEEP_NS		1000000ll
#define LATER_SLEEP_NS		1000000000ll
/*
 * Where a ring may not come, but mostly does, who sleeps looks again after up to so many
 * times what it was told to where nothing can wake it.
 */
#define UNSURE_FACTOR		16

/* Of a new one, loop.c, and loop.c and channel.c of channels have to know, and format.h. */
enum ivshmem_wakeup {
	WAKEUP_BACKOFF,
	WAKEUP_FUTEX,
	WAKEUP_DOORBELL,
};

/**
 * struct ivshmem_link - How two ends wake each other.
 * @shm: The region.
 * @directory: Of the region.
 * @cancels: What ends a wait besides, then NULL.
 * @can: Of the WAKE_ flags, what this end can do.
 * @vector: Where this end is rung.
 * @wakeup: How the other end wakes this one.
 * @wakes_other: How this end wakes the other.
 * @own: Where this end tells what its peer ID is.
 * @told: The ID that it has told last; written and read whole, by __atomic_.
 * @other: Where the other end does, and so where to ring, for WAKEUP_DOORBELL.
 * @other_vector: The same.
 * @together: Both ends run under one kernel.
 * @joins: Which time it was that this end joined its server, when it told where it is rung.
 */
struct ivshmem_link {
	struct ivshmem *shm;
	const struct ivshmem_directory *directory;
	struct ivshmem_cancel *cancels[3];
	uint32_t can;
	unsigned int vector;
	enum ivshmem_wakeup wakeup;
	enum ivshmem_wakeup wakes_other;
	struct ivshmem_slot_end *own;
	uint32_t told;
	const struct ivshmem_slot_end *other;
	uint16_t other_vector;
	bool together;
	unsigned int joins;
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
 * @joins: As struct ivshmem_link has it, when @epoll was made.
 * @failed: What the calls return from now on, a negative errno; 0 as long as all
 *          is well. What is told only once is here until it is told.
 * @life_seen: When the other end was last looked at for life.
 * @told_left: The user was told that the other end's VM has left, and it still has.
 */
struct ivshmem_waiter {
	uint32_t *word;
	uint32_t waits;
	const uint32_t *other_word;
	uint32_t handled;
	uint32_t *bell;
	const uint32_t *other_bell;
	int epoll;
	unsigned int joins;
	int failed;
	int64_t life_seen;
	bool told_left;
};

/* facts.c: what each end tells of itself */
void ivshmem_link_tell(struct ivshmem_link *link, struct ivshmem_slot_end *own,
		       unsigned int slot, bool locked);
void ivshmem_link_tell_again(struct ivshmem_link *link, unsigned int slot);
void ivshmem_link_tell_peer(struct ivshmem_link *link, bool changed);
int ivshmem_link_other_peer(const struct ivshmem_link *link);
void ivshmem_link_learn(struct ivshmem_link *link, const struct ivshmem_slot_end *other);

/* Before @own wakes somebody, which takes a system call or two; NULL: it has no end. */
static inline void ivshmem_count_wakeup(struct ivshmem_slot_end *own)
{
	if (own)
		__atomic_fetch_add(&own->wakeups, 1, __ATOMIC_RELAXED);
}

/* wakeup.c */
void ivshmem_waiter_init(struct ivshmem_waiter *waiter, uint32_t *word,
			 const uint32_t *other_word, uint32_t *bell, const uint32_t *other_bell);
void ivshmem_waiter_close(struct ivshmem_waiter *waiter);
void ivshmem_waiter_announce(struct ivshmem_waiter *waiter, enum waiting_state state);
void ivshmem_wake_other(const struct ivshmem_link *link, struct ivshmem_waiter *waiter);
void ivshmem_wake_surely(const struct ivshmem_link *link, struct ivshmem_slot_end *own);
int ivshmem_watch(int epoll, int fd, uint32_t events);
int ivshmem_watch_doorbell(int epoll, const struct ivshmem_link *link);
int ivshmem_wakeup_take(struct ivshmem_link *link, int epoll, int timer);
int ivshmem_sleep(struct ivshmem_link *link, struct ivshmem_waiter *waiter,
		  uint32_t bell, int64_t ns);

int ivshmem_link_pause(const struct ivshmem_link *link, int64_t *pause, int64_t longest,
		       int64_t deadline);

bool ivshmem_link_is_cancelled(const struct ivshmem_link *link);
bool ivshmem_link_other_has_left(const struct ivshmem_link *link);
bool ivshmem_link_is_sure(const struct ivshmem_link *link);

/*
 * futex_fd.c: a descriptor that becomes readable when a futex is woken, where the kernel
 * has that: io_uring waits for futexes from Linux 6.7 on, if it is not forbidden.
 */
#define FUTEX_FD_WORDS	2

struct ivshmem_futex_fd;

int ivshmem_futex_fd_open(struct ivshmem_futex_fd **out);
void ivshmem_futex_fd_close(struct ivshmem_futex_fd *futex_fd);
int ivshmem_futex_fd_poll_fd(const struct ivshmem_futex_fd *futex_fd);
int ivshmem_futex_fd_arm(struct ivshmem_futex_fd *futex_fd, unsigned int index,
			 const uint32_t *word, uint32_t value);
void ivshmem_futex_fd_take(struct ivshmem_futex_fd *futex_fd);

#include "loop.h"
#include "member.h"
#include "sleeper.h"

#endif /* WAKEUP_H */
