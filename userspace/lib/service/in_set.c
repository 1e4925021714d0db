// SPDX-License-Identifier: MIT
/* A listener in a wait set. */
#include "service.h"

static struct ivshmem_listener *listener_in(struct ivshmem_member *member)
{
	return container_of(member, struct ivshmem_listener, member);
}

/* An error is something to be told, too. */
static unsigned int look(struct ivshmem_member *member)
{
	return ivshmem_listener_look(&listener_in(member)->sleeper) ? member->events : 0;
}

static unsigned int look_closely(struct ivshmem_member *member)
{
	return ivshmem_listener_check(&listener_in(member)->sleeper) ? member->events :
								       look(member);
}

static void announce(struct ivshmem_member *member, enum waiting_state state)
{
	ivshmem_waiter_announce(&listener_in(member)->sleeper.waiter, state);
}

static struct ivshmem_slot_end *end(struct ivshmem_member *member)
{
	struct ivshmem_listener *listener = listener_in(member);

	return listener->failed ? NULL : listener->sleeper.end;
}

/* Who is to come may be able to do either, or neither: see LISTENER_SLEEP_NS. */
static unsigned int ways(struct ivshmem_member *member, const struct ivshmem_sleeper *sleeper)
{
	(void)member;
	(void)sleeper;
	return WAY_DOORBELL | WAY_FUTEX;
}

static const struct ivshmem_member_ops ops = {
	.look = look,
	.look_closely = look_closely,
	.announce = announce,
	.end = end,
	.ways = ways,
	.longest = LISTENER_SLEEP_NS,
};

struct ivshmem_member *ivshmem_listener_member(struct ivshmem_listener *listener)
{
	listener->member.ops = &ops;
	listener->member.shm = listener->shm;
	return &listener->member;
}
