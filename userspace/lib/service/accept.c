// SPDX-License-Identifier: MIT
/*
 * Looking for clients, in steps that do not wait for them.
 */
#include <errno.h>
#include <stdlib.h>

#include "service.h"

#define SWEEP_NS	NS_PER_S
#define CHECK_NS	(20 * NS_PER_MS)

/**
 * struct accepted - Where a channel of the server comes from.
 * @origin: What the channel knows it by.
 * @seats: Of the listener.
 * @service: The service, as the listener has it.
 * @object: The client's channel.
 * @has_seat: It counts as one of its peer's clients.
 */
struct accepted {
	struct ivshmem_origin origin;
	struct seats *seats;
	struct ivshmem_object service;
	struct ivshmem_object object;
	bool has_seat;
};

static struct accepted *accepted_of(struct ivshmem_origin *origin)
{
	return container_of(origin, struct accepted, origin);
}

/* --- a channel of the server --- */

static int find(struct ivshmem_channel *channel)
{
	channel->object = accepted_of(channel->origin)->object;
	return ivshmem_slot_has_object(&channel->directory, &channel->object) ? 0 : -ENOTCONN;
}

/* It tries again, as long as the client is there. */
static void miss(struct ivshmem_channel *channel)
{
	(void)channel;
}

static int look(struct ivshmem_channel *channel)
{
	(void)channel;
	return 0;
}

static int is_gone(struct ivshmem_channel *channel)
{
	(void)channel;
	return -ENOTCONN;
}

static const struct ivshmem_slot_end *client_end(const struct ivshmem_directory *directory,
						 const struct ivshmem_object *object)
{
	return &directory->slots[object->slot].ends[IVSHMEM_END_CREATOR];
}

static const struct ivshmem_slot_end *server_end(const struct ivshmem_directory *directory,
						 const struct ivshmem_object *object)
{
	return &directory->slots[object->slot].ends[IVSHMEM_END_CONNECTOR];
}

static bool has_client(const struct ivshmem_directory *directory,
		       const struct ivshmem_object *object)
{
	const struct ivshmem_slot_end *end = client_end(directory, object);
	uint32_t epoch = __atomic_load_n(&end->epoch, __ATOMIC_ACQUIRE);

	return epoch % 4 == END_ATTACHED && ivshmem_end_is_for(end, epoch, object->generation) &&
	       ivshmem_end_is_alive(end, object->slot, IVSHMEM_END_CREATOR, directory->shm);
}

static void give_seat_back(struct accepted *accepted)
{
	if (accepted->has_seat)
		__atomic_store_n(&accepted->seats->seats[accepted->object.slot].taken, false,
				 __ATOMIC_RELEASE);
	accepted->has_seat = false;
}

/* A client that is still there may have begun anew, and waits for the next server. */
static void left(struct ivshmem_channel *channel)
{
	struct accepted *accepted = accepted_of(channel->origin);

	give_seat_back(accepted);
	if (has_client(&channel->directory, &accepted->object))
		ivshmem_service_hint(&channel->directory, &accepted->service,
				     accepted->object.slot);
	else
		ivshmem_object_drop(&channel->directory, &accepted->object);
}

static void free_accepted(struct ivshmem_origin *origin)
{
	struct accepted *accepted = accepted_of(origin);

	give_seat_back(accepted);
	ivshmem_seats_drop(accepted->seats);
	free(accepted);
}

static const struct ivshmem_origin accepted_origin = {
	.find = find,
	.missed = miss,
	.look = look,
	.gone = is_gone,
	.left = left,
	.free = free_accepted,
};

/* --- looking --- */

static void set_pending(struct ivshmem_listener *listener, unsigned int slot)
{
	listener->pending[slot / SLOT_BITS] |= 1ull << slot % SLOT_BITS;
}

static void clear_pending(struct ivshmem_listener *listener, unsigned int slot)
{
	listener->pending[slot / SLOT_BITS] &= ~(1ull << slot % SLOT_BITS);
}

/* Is that a channel of a client of this service? */
static bool is_for_service(const struct ivshmem_listener *listener, unsigned int slot,
			   struct ivshmem_object *object)
{
	const struct ivshmem_directory *directory = &listener->directory;
	uint32_t kind, service, generation;

	*object = ivshmem_object_at(directory, slot);
	return ivshmem_slot_has_object(directory, object) &&
	       !ivshmem_object_fact(directory, object, FACT_KIND, &kind) &&
	       !ivshmem_object_fact(directory, object, FACT_SERVICE, &service) &&
	       !ivshmem_object_fact(directory, object, FACT_SERVICE_GENERATION, &generation) &&
	       kind == IVSHMEM_CHANNEL && service == listener->object.slot + 1 &&
	       generation == listener->object.generation;
}

static bool is_free(const struct ivshmem_directory *directory, const struct ivshmem_object *object)
{
	const struct ivshmem_slot_end *end = server_end(directory, object);
	uint32_t epoch = __atomic_load_n(&end->epoch, __ATOMIC_ACQUIRE);

	return ivshmem_end_check(directory, object, IVSHMEM_END_CONNECTOR, epoch) != -EBUSY;
}

/*
 * Has the client begun anew with a server under another kernel, which nobody can tell is there,
 * and does not answer? This program is the server now.
 */
static bool is_left_alone(const struct ivshmem_directory *directory,
			  const struct ivshmem_object *object)
{
	const struct ivshmem_slot_end *end = server_end(directory, object);
	uint32_t ready = __atomic_load_n(&client_end(directory, object)->ready, __ATOMIC_ACQUIRE);

	return ready != __atomic_load_n(&end->epoch, __ATOMIC_ACQUIRE) &&
	       ivshmem_end_is_alive(end, object->slot, IVSHMEM_END_CONNECTOR, directory->shm) ==
		       -ENOTSUP;
}

static bool is_of_want(int err)
{
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE || err == -ENODEV;
}

/* It is about to find out that the server has closed; until then it needs nothing. */
static bool was_served(const struct ivshmem_listener *listener,
		       const struct ivshmem_object *object)
{
	const struct seat *seat = &listener->seats->seats[object->slot];
	const struct ivshmem_slot_end *end = client_end(&listener->directory, object);

	return seat->generation == object->generation &&
	       seat->epoch == __atomic_load_n(&end->epoch, __ATOMIC_RELAXED);
}

static void count_ready(struct ivshmem_listener *listener, const struct ivshmem_channel *channel)
{
	struct seat *seat = &listener->seats->seats[channel->object.slot];

	seat->generation = channel->object.generation;
	seat->epoch = channel->other_epoch;
	listener->ready++;
}

/* 0; -ENOMEM, -EMFILE, -ENFILE, -ENODEV. What else fails is the client's own fault. */
static int begin(struct ivshmem_listener *listener, const struct ivshmem_object *object)
{
	struct seat *seat = &listener->seats->seats[object->slot];
	struct accepted *accepted;
	int err;

	accepted = calloc(1, sizeof(*accepted));
	if (!accepted)
		return -ENOMEM;
	accepted->origin = accepted_origin;
	accepted->seats = listener->seats;
	accepted->service = listener->object;
	accepted->object = *object;
	accepted->has_seat = true;
	ivshmem_seats_use(listener->seats);
	__atomic_store_n(&seat->taken, true, __ATOMIC_RELEASE);
	err = ivshmem_channel_begin_from(&listener->begun[object->slot], listener->shm,
					 &accepted->origin, IVSHMEM_END_CONNECTOR,
					 is_free(&listener->directory, object) ? 0 :
					 IVSHMEM_CHANNEL_TAKE_OVER);
	if (!err) {
		/* The client may have done its part already. */
		if (listener->begun[object->slot]->stage == CHANNEL_IS_OPEN)
			count_ready(listener, listener->begun[object->slot]);
		else
			listener->agreeing++;
		return 0;
	}
	if (is_of_want(err))
		return err;
	ivshmem_object_evict(&listener->directory, object);
	return 0;
}

static int admit(struct ivshmem_listener *listener, const struct ivshmem_object *object)
{
	const struct ivshmem_directory *directory = &listener->directory;
	struct peer *peer = &listener->seats->seats[object->slot].peer;

	ivshmem_peer_of(peer, client_end(directory, object), listener->shm);
	if (ivshmem_seats_count(listener->seats, directory->superblock.slots, peer) <
	    listener->limit)
		return begin(listener, object);
	ivshmem_object_evict(directory, object);
	return 0;
}

static void drop(struct ivshmem_listener *listener, unsigned int slot)
{
	ivshmem_channel_close(listener->begun[slot]);
	listener->begun[slot] = NULL;
	listener->agreeing--;
}

/* One that is ready stays so until it is given out, whatever becomes of the client. */
static void advance(struct ivshmem_listener *listener, unsigned int slot)
{
	struct ivshmem_channel *channel = listener->begun[slot];
	int err;

	if (channel->stage == CHANNEL_IS_OPEN)
		return;
	err = ivshmem_channel_finish(channel, 0);
	if (!err) {
		listener->agreeing--;
		count_ready(listener, channel);
	} else if (err != -ETIMEDOUT || !has_client(&listener->directory, &channel->object)) {
		drop(listener, slot);
	}
}

static int look_at(struct ivshmem_listener *listener, unsigned int slot)
{
	struct ivshmem_object object;
	int err = 0;

	clear_pending(listener, slot);
	if (!listener->begun[slot]) {
		if (!is_for_service(listener, slot, &object))
			return 0;
		if (!has_client(&listener->directory, &object)) {
			ivshmem_object_drop(&listener->directory, &object);
			return 0;
		}
		if (listener->seats->seats[slot].taken || was_served(listener, &object) ||
		    !(is_free(&listener->directory, &object) ||
		      is_left_alone(&listener->directory, &object)))
			return 0;
		err = admit(listener, &object);
	}
	if (err)
		set_pending(listener, slot);
	else if (listener->begun[slot])
		advance(listener, slot);
	return err;
}

/* A hint stands for each slot that leaves the same rest. */
static void take_hints(struct ivshmem_listener *listener)
{
	struct ivshmem_slot *it = &listener->directory.slots[listener->object.slot];
	unsigned int slot, hint = 0, slots = listener->directory.superblock.slots;

	while ((hint = ivshmem_hint_take(it, hint)) < SLOT_HINTS)
		for (slot = hint++; slot < slots; slot += SLOT_HINTS)
			set_pending(listener, slot);
}

/* Now and then all slots, and more often those of clients that are agreeing. */
static void sweep(struct ivshmem_listener *listener)
{
	int64_t now = ivshmem_now();
	bool all = !listener->swept || now - listener->swept >= SWEEP_NS;
	unsigned int i;

	if (!all && (!listener->agreeing || now - listener->checked < CHECK_NS))
		return;
	listener->checked = now;
	if (all)
		listener->swept = now;
	for (i = 0; i < listener->directory.superblock.slots; i++)
		if (all || listener->begun[i])
			set_pending(listener, i);
}

/* 1: a client can be given out; 0; a negative errno. */
int ivshmem_listener_look(struct ivshmem_sleeper *sleeper)
{
	struct ivshmem_listener *listener = listener_of(sleeper);
	unsigned int i, bit;
	int err = 0;

	if (listener->failed)
		return listener->failed;
	sweep(listener);
	take_hints(listener);
	for (i = 0; i < IVSHMEM_MAX_OBJECTS / SLOT_BITS && !err; i++) {
		uint64_t pending = listener->pending[i];

		while (pending && !err) {
			bit = (unsigned int)__builtin_ctzll(pending);
			pending &= pending - 1;
			err = look_at(listener, i * SLOT_BITS + bit);
		}
	}
	return listener->ready ? 1 : err;
}

/* Whoever is next after the last one. */
static struct ivshmem_channel *give_out(struct ivshmem_listener *listener)
{
	unsigned int i, slot, slots = listener->directory.superblock.slots;
	struct ivshmem_channel *channel;

	for (i = 0; i < slots; i++) {
		slot = (listener->turn + i) % slots;
		channel = listener->begun[slot];
		if (!channel || channel->stage != CHANNEL_IS_OPEN)
			continue;
		listener->begun[slot] = NULL;
		listener->ready--;
		listener->turn = slot + 1;
		return channel;
	}
	return NULL;
}

int ivshmem_accept(struct ivshmem_channel **channel, struct ivshmem_listener *listener,
		   int timeout_ms)
{
	int64_t deadline = 0;
	int err;

	if (!channel || !listener)
		return -EINVAL;
	if (timeout_ms)
		ivshmem_member_awaken(&listener->member);
	err = ivshmem_sleeper_wait(&listener->sleeper, ivshmem_listener_look, timeout_ms,
				   &deadline);
	if (!err)
		*channel = give_out(listener);
	else if (err == -ENODEV)
		listener->failed = err;
	return err;
}
