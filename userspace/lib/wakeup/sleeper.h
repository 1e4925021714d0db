/* SPDX-License-Identifier: MIT */
/*
 * One sleeper, many wakers: who has a topic, a service or a wait set open sleeps until any of
 * several programs has something for it. Why no wake-up is lost: wakeup.h. What differs from
 * two ends of a channel:
 *
 * - The sleeper says in its end how it is woken (the WAY_ bits in the field processor),
 *   by what all those can do who are there. Who wakes does what it is told there, and knows
 *   the sleeper by nothing but its end.
 * - Who sleeps by a futex sleeps on one word, to which all wakers add. So that is an atomic
 *   addition, while an end's bell is written by that end alone.
 * - One ring wakes a whole peer: who wakes several at a time remembers which it has rung.
 *
 * Services and wait sets have many things to look at, and hints that say at which. Who has
 * something writes a hint, passes a full fence, and looks at the sleeper's waiting word. The
 * sleeper says that it is asleep, passes a full fence, and looks at the hints. So one of both
 * sees the other. A hint is no more than that: it is checked whether there is anything. Where
 * one is lost, as by a program that may write to the region and is not honest, what it was for
 * is found when all is looked at, after LATER_SLEEP_NS.
 *
 * A thing that is in a wait set has a waiting word of its own, which says so once the set has
 * looked at it and found nothing. Whoever has something for it looks there first, as at all
 * waiting words, so that nothing is paid for a set as long as the word says awake.
 *
 *	place.c		takes an end for a sleeper, and gives it back
 *	sleeper.c	waits
 *	waker.c		wakes
 *	hints.c		writes hints, and takes them
 */
#ifndef SLEEPER_H
#define SLEEPER_H

/* How a sleeper is woken, in the field processor of its end; 0: it looks again by itself. */
#define WAY_DOORBELL	(1u << 0)
#define WAY_FUTEX	(1u << 1)
#define WAY_UNSURE	(1u << 2)	/* not all can wake it so: it also looks by itself */

struct ivshmem_sleeper;

/* Is what is waited for there? 1, 0, or a negative errno. */
typedef int (*ivshmem_sleeper_ready_fn)(struct ivshmem_sleeper *sleeper);

/**
 * struct ivshmem_sleeper_ops - What differs from one kind of sleeper to the next.
 * @check: Now and then: 0, or a negative errno if nothing will ever come.
 * @choose_way: Of the WAY_ bits, those by which all who are there can wake it; see
 *	ivshmem_ways_of_waker(). WAY_UNSURE alone: nothing wakes it, but it is to be announced.
 * @announce: Says that it is in this state now, as ivshmem_waiter_announce() does.
 * @gives_way: To spin keeps others from the processor that this one waits for; or NULL.
 */
struct ivshmem_sleeper_ops {
	int (*check)(struct ivshmem_sleeper *sleeper);
	unsigned int (*choose_way)(struct ivshmem_sleeper *sleeper);
	void (*announce)(struct ivshmem_sleeper *sleeper, enum waiting_state state);
	bool (*gives_way)(struct ivshmem_sleeper *sleeper);
};

/**
 * struct ivshmem_sleeper - One of this program's.
 * @ops: What kind it is.
 * @link: How it is woken, and wakes.
 * @waiter: How it sleeps: @word and @other_bell.
 * @end: Its end, written here; NULL: none, it only reads and so can't be woken.
 * @slot: Of the object that the end is of.
 * @epoch: Of that end.
 * @byte: Where in the region's file the lock of that end lies.
 * @longest: How long it sleeps at the most, but for the first time.
 * @spin_ns: How long it looks before it sleeps.
 */
struct ivshmem_sleeper {
	const struct ivshmem_sleeper_ops *ops;
	struct ivshmem_link link;
	struct ivshmem_waiter waiter;
	struct ivshmem_slot_end *end;
	unsigned int slot;
	uint32_t epoch;
	uint64_t byte;
	int64_t longest;
	int64_t spin_ns;
};

/* place.c */
int ivshmem_place_take(struct ivshmem_sleeper *sleeper, struct ivshmem_holder *holder,
		       struct ivshmem_slot_end *end, uint64_t byte,
		       const struct ivshmem_object *object);
int ivshmem_place_in_slot(struct ivshmem_sleeper *sleeper, struct ivshmem_holder *holder,
			  const struct ivshmem_directory *directory,
			  const struct ivshmem_object *object);
bool ivshmem_place_enter(struct ivshmem_sleeper *sleeper);
void ivshmem_place_leave(struct ivshmem_sleeper *sleeper, struct ivshmem_holder *holder);

/* Has no other program taken it? */
static inline bool ivshmem_place_is_own(const struct ivshmem_sleeper *sleeper)
{
	return __atomic_load_n(&sleeper->end->epoch, __ATOMIC_RELAXED) == sleeper->epoch;
}

/* sleeper.c */
void ivshmem_sleeper_init(struct ivshmem_sleeper *sleeper, struct ivshmem *shm,
			  const struct ivshmem_sleeper_ops *ops);
unsigned int ivshmem_ways(struct ivshmem_sleeper *sleeper);
unsigned int ivshmem_ways_of_waker(const struct ivshmem_sleeper *sleeper,
				   const struct ivshmem_slot_end *waker);
int ivshmem_sleeper_wait(struct ivshmem_sleeper *sleeper, ivshmem_sleeper_ready_fn is_ready,
			 int timeout_ms, int64_t *deadline);

#define RUNG_REMEMBERED	8

/**
 * struct ivshmem_rung - Whom a program has rung for one thing that it has passed on.
 * @pairs: Peers in the high half, vectors in the low one.
 * @count: How many, of which the last RUNG_REMEMBERED are remembered.
 * @futex: Somebody sleeps on the word that all share.
 * @own: The end of who rings, which counts it; NULL: it has none.
 */
struct ivshmem_rung {
	uint32_t pairs[RUNG_REMEMBERED];
	unsigned int count;
	bool futex;
	struct ivshmem_slot_end *own;
};

/* Does the waiting word say that its owner has to be woken? */
static inline bool ivshmem_word_sleeps(uint32_t word)
{
	return word % 4 >= WAITING_ASLEEP;
}

/* waker.c */
void ivshmem_wake_end(const struct ivshmem_directory *directory,
		      const struct ivshmem_slot_end *end, uint32_t word,
		      struct ivshmem_rung *rung);
void ivshmem_wake_futex(const struct ivshmem_rung *rung, uint32_t *bell);
void ivshmem_tell_slot(const struct ivshmem_directory *directory, struct ivshmem_slot *slot,
		       unsigned int hint, struct ivshmem_rung *rung);

/* hints.c */
void ivshmem_hint_write(struct ivshmem_slot *slot, unsigned int hint);
unsigned int ivshmem_hint_take(struct ivshmem_slot *slot, unsigned int from);

#endif /* SLEEPER_H */
