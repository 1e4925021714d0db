// SPDX-License-Identifier: MIT
/*
 * A wait set in an event loop: one descriptor for all that is in it.
 */
#include <errno.h>

#include "waitset.h"

/* How others wake it may be another way than the last time. */
static int prepare(struct ivshmem_waitset *set, unsigned int ways)
{
	int err = ivshmem_loop_open(&set->loop);

	if (!err && ways & WAY_DOORBELL)
		err = ivshmem_loop_add_doorbell(&set->loop, &set->sleeper.link);
	else if (!err && ways & WAY_FUTEX)
		ivshmem_loop_add_futex(&set->loop);
	return err;
}

static int check(const struct ivshmem_waitset *set)
{
	return set ? set->failed : -EINVAL;
}

int ivshmem_waitset_fd(struct ivshmem_waitset *set)
{
	int err = check(set) ?: prepare(set, 0);

	return err ? err : set->loop.epoll;
}

/* As ivshmem_sleeper_wait() does. */
static int fall_asleep(struct ivshmem_waitset *set)
{
	struct ivshmem_sleeper *sleeper = &set->sleeper;
	int64_t until = ivshmem_now() + DROWSY_NS;
	int ready;

	sleeper->ops->announce(sleeper, WAITING_DROWSY);
	do {
		ready = ivshmem_set_look(sleeper);
	} while (!ready && ivshmem_now() < until);
	if (!ready) {
		sleeper->ops->announce(sleeper, WAITING_ASLEEP);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		ready = ivshmem_set_look(sleeper);
	}
	if (ready)
		sleeper->ops->announce(sleeper, WAITING_AWAKE);
	return ready;
}

static bool arm_futex(struct ivshmem_waitset *set, uint32_t bell)
{
	return set->loop.futex &&
	       !ivshmem_futex_fd_arm(set->loop.futex, 0, set->sleeper.waiter.other_bell, bell);
}

/* 1: something is there already. @ways: by which others wake it. */
static int arm(struct ivshmem_waitset *set, unsigned int ways)
{
	uint32_t bell = __atomic_load_n(set->sleeper.waiter.other_bell, __ATOMIC_ACQUIRE);
	bool woken;

	__atomic_store_n(&set->sleeper.end->processor, ways & WAYS, __ATOMIC_RELAXED);
	if (fall_asleep(set))
		return 1;
	woken = !(ways & WAY_UNSURE) && (ways == WAY_DOORBELL || arm_futex(set, bell));
	if (woken)
		ivshmem_loop_limit(&set->loop, set->told);
	else
		ivshmem_loop_pace(&set->loop, &set->sleeper.link, set->told, NS_PER_MS);
	return 0;
}

int ivshmem_waitset_arm(struct ivshmem_waitset *set)
{
	struct ivshmem_ready unused;
	unsigned int ways;
	int err = check(set) ?: prepare(set, 0);

	if (err)
		return err;
	if (ivshmem_loop_take(&set->loop, &set->sleeper.link) == -ENODEV)
		return set->failed = -ENODEV;
	ivshmem_set_begin(set, &unused, 1);
	set->woke = set->now;
	err = ivshmem_set_look(&set->sleeper);
	if (err)
		return err;
	err = set->sleeper.ops->check(&set->sleeper);
	ways = err || !set->sleeper.end ? 0 : ivshmem_set_ways(set);
	err = err ?: prepare(set, ways);
	return err ? err : set->sleeper.end ? arm(set, ways) : 1;
}
