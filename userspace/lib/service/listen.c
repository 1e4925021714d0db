// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "service.h"

#define TRIES	1000	/* while other programs make and remove objects */

int ivshmem_make_service(struct ivshmem *shm, const char *name, uint64_t client_ring,
			 uint64_t server_ring)
{
	return ivshmem_make_with_rings(shm, name, ivshmem_spec_service, client_ring, server_ring);
}

/* Who is to come may be able to do neither: see LISTENER_SLEEP_NS. */
static unsigned int choose_way(struct ivshmem_sleeper *sleeper)
{
	return ivshmem_ways(sleeper);
}

static void announce(struct ivshmem_sleeper *sleeper, enum waiting_state state)
{
	ivshmem_waiter_announce(&sleeper->waiter, state);
}

static const struct ivshmem_sleeper_ops ops = {
	.check = ivshmem_listener_check,
	.choose_way = choose_way,
	.announce = announce,
};

static void disown(struct ivshmem_holder *holder)
{
	struct ivshmem_listener *listener = container_of(holder, struct ivshmem_listener, holder);

	listener->failed = -ECHILD;
}

/* Of a program under this kernel the lock tells whether it lives: that one keeps the service. */
static void take_over(struct ivshmem_listener *listener)
{
	struct ivshmem_slot_end *end = &listener->directory.slots[listener->object.slot].end;
	unsigned int slot = listener->object.slot;

	if (ivshmem_end_is_alive(end, slot, IVSHMEM_END_CREATOR, listener->shm) == -ENOTSUP)
		ivshmem_end_evict(end, listener->object.generation);
}

/* -EAGAIN: the slot was given to another object meanwhile. */
static int take_end(struct ivshmem_listener *listener, unsigned int flags)
{
	if (flags & IVSHMEM_LISTEN_TAKE_OVER)
		take_over(listener);
	return ivshmem_place_in_slot(&listener->sleeper, &listener->holder, &listener->directory,
				     &listener->object);
}

static int try_to_listen(struct ivshmem_listener *listener, const char *name, unsigned int flags)
{
	struct ivshmem_spec spec;
	int err;

	ivshmem_spec_service(&spec, &listener->directory.superblock, 0, 0);
	err = ivshmem_object_claim(&listener->directory, name, &spec, &listener->object);
	return err ? err : take_end(listener, flags);
}

static int start(struct ivshmem_listener *listener, const char *name, unsigned int flags)
{
	unsigned int tries, slots;
	int err;

	err = ivshmem_directory_open(&listener->directory, listener->shm);
	if (err)
		return err;
	slots = listener->directory.superblock.slots;
	listener->limit = slots > 1 ? slots / 2 : 1;
	listener->seats = ivshmem_seats_new(slots);
	listener->begun = calloc(slots, sizeof(*listener->begun));
	if (!listener->seats || !listener->begun)
		return -ENOMEM;
	err = -EAGAIN;
	for (tries = 0; tries < TRIES && err == -EAGAIN; tries++) {
		if (tries)
			sched_yield();
		err = try_to_listen(listener, name, flags);
	}
	return err;
}

int ivshmem_listen(struct ivshmem_listener **out, struct ivshmem *shm, const char *name,
		   unsigned int flags)
{
	struct ivshmem_listener *listener;
	int err = ivshmem_object_check(shm, name, true);

	if (err || !out || flags & ~IVSHMEM_LISTEN_TAKE_OVER)
		return err ? err : -EINVAL;
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return -ENOMEM;
	listener->shm = shm;
	listener->holder.disown = disown;
	ivshmem_hold(shm, &listener->holder);
	ivshmem_sleeper_init(&listener->sleeper, shm, &ops);
	listener->sleeper.longest = LISTENER_SLEEP_NS;
	err = start(listener, name, flags);
	if (err) {
		ivshmem_listener_close(listener);
		return err;
	}
	*out = listener;
	return 0;
}

int ivshmem_listener_set_limit(struct ivshmem_listener *listener, unsigned int clients)
{
	if (!listener || !clients)
		return -EINVAL;
	if (listener->failed == -ECHILD)
		return -ECHILD;
	listener->limit = clients;
	return 0;
}

static void leave(struct ivshmem_listener *listener)
{
	ivshmem_place_leave(&listener->sleeper, &listener->holder);
	ivshmem_object_drop(&listener->directory, &listener->object);
}

/* A child's copy is only forgotten: the end is the parent's. */
void ivshmem_listener_close(struct ivshmem_listener *listener)
{
	unsigned int i;

	if (!listener)
		return;
	ivshmem_member_leave(&listener->member);
	for (i = 0; listener->begun && i < listener->directory.superblock.slots; i++)
		ivshmem_channel_close(listener->begun[i]);
	if (listener->sleeper.end && !listener->shm->inherited &&
	    listener->shm->backend->check(listener->shm) != -ENODEV)
		leave(listener);
	ivshmem_waiter_close(&listener->sleeper.waiter);
	ivshmem_directory_close(&listener->directory);
	ivshmem_unclaim(listener->shm, &listener->holder);
	ivshmem_drop(listener->shm, &listener->holder);
	ivshmem_seats_drop(listener->seats);
	free(listener->begun);
	free(listener);
}
