// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service.h"

#define RANDOM_DIGITS	16
#define NAME_TRIES	8

/**
 * struct client - Where a client's channel comes from.
 * @origin: What the channel knows it by.
 * @name: Of the service.
 * @service: The service that the channel was made for.
 * @epoch: Of the client's end, when the server was told of it last.
 * @seen: What this end had seen then.
 * @ready: What it was ready for.
 */
struct client {
	struct ivshmem_origin origin;
	char name[IVSHMEM_NAME_SIZE];
	struct ivshmem_object service;
	uint32_t epoch;
	uint32_t seen;
	uint32_t ready;
};

static struct client *client_of(const struct ivshmem_channel *channel)
{
	return container_of(channel->origin, struct client, origin);
}

/* For people: what counts are the facts. */
static void make_name(char name[IVSHMEM_NAME_SIZE], const char *service)
{
	snprintf(name, IVSHMEM_NAME_SIZE, "%.*s.%0*llx", IVSHMEM_NAME_SIZE - RANDOM_DIGITS - 2,
		 service, RANDOM_DIGITS, (unsigned long long)ivshmem_random());
}

static bool has_listener(const struct ivshmem_directory *directory,
			 const struct ivshmem_object *service)
{
	const struct ivshmem_slot_end *end = &directory->slots[service->slot].end;
	uint32_t epoch = __atomic_load_n(&end->epoch, __ATOMIC_ACQUIRE);

	return ivshmem_end_state_of(directory->slots, service->slot, IVSHMEM_END_CREATOR,
				    directory->shm) == IVSHMEM_END_ATTACHED &&
	       ivshmem_end_is_for(end, epoch, service->generation);
}

/* What the service says of the rings: anybody may have written it. */
static int read_rings(const struct ivshmem_directory *directory,
		      const struct ivshmem_object *service, uint64_t rings[2])
{
	uint32_t units = 0;
	unsigned int i;
	int err = 0;

	for (i = 0; i < 2 && !err; i++) {
		err = ivshmem_object_fact(directory, service, FACT_CREATOR_RING + i, &units);
		rings[i] = (uint64_t)units * BLOCK_UNIT;
		if (!err && (!rings[i] || rings[i] > MAX_RING_SIZE))
			err = -EUCLEAN;
	}
	return err == -ENOENT ? -EAGAIN : err;
}

static int make_channel(const struct client *client, const struct ivshmem_directory *directory,
			struct ivshmem_object *object)
{
	struct ivshmem_spec spec;
	char name[IVSHMEM_NAME_SIZE];
	uint64_t rings[2];
	unsigned int tries;
	int err;

	err = read_rings(directory, &client->service, rings);
	if (err)
		return err;
	ivshmem_spec_channel(&spec, &directory->superblock, rings[0], rings[1]);
	spec.must_be_new = true;
	spec.facts[FACT_SERVICE - FACT_CREATOR_RING] = client->service.slot + 1;
	spec.facts[FACT_SERVICE_GENERATION - FACT_CREATOR_RING] = client->service.generation;
	err = -EEXIST;
	for (tries = 0; tries < NAME_TRIES && err == -EEXIST; tries++) {
		make_name(name, client->name);
		err = ivshmem_object_claim(directory, name, &spec, object);
	}
	return err == -EEXIST ? -EAGAIN : err;
}

static int find(struct ivshmem_channel *channel)
{
	const struct ivshmem_directory *directory = &channel->directory;
	struct client *client = client_of(channel);
	int err;

	err = ivshmem_object_find(directory, client->name, IVSHMEM_SERVICE, &client->service);
	if (err)
		return err == -ENOENT ? -EAGAIN : err;
	if (!has_listener(directory, &client->service))
		return -EAGAIN;
	return make_channel(client, directory, &channel->object);
}

/* The server is told whenever it may have to do something. -EAGAIN: the service is gone. */
static int look(struct ivshmem_channel *channel)
{
	uint32_t seen = __atomic_load_n(&channel->own->seen, __ATOMIC_RELAXED);
	struct client *client = client_of(channel);

	if (!ivshmem_object_seems_there(&channel->directory, &client->service))
		return -EAGAIN;
	if (client->epoch == channel->epoch && client->seen == seen &&
	    client->ready == channel->reset_for)
		return 0;
	client->epoch = channel->epoch;
	client->seen = seen;
	client->ready = channel->reset_for;
	ivshmem_service_hint(&channel->directory, &client->service, channel->object.slot);
	return 0;
}

/* Nobody but the server takes a client's channel away, and as long as there is that service. */
static int is_gone(struct ivshmem_channel *channel)
{
	return ivshmem_object_seems_there(&channel->directory, &client_of(channel)->service) ?
	       -ECONNREFUSED : -EAGAIN;
}

static void left(struct ivshmem_channel *channel)
{
	ivshmem_object_drop(&channel->directory, &channel->object);
}

static void free_client(struct ivshmem_origin *origin)
{
	free(container_of(origin, struct client, origin));
}

static const struct ivshmem_origin client_origin = {
	.find = find,
	.missed = left,
	.look = look,
	.gone = is_gone,
	.left = left,
	.free = free_client,
};

int ivshmem_connect_begin(struct ivshmem_channel **channel, struct ivshmem *shm,
			  const char *name)
{
	struct client *client;
	int err = ivshmem_object_check(shm, name, true);

	if (err || !channel)
		return err ? err : -EINVAL;
	client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	client->origin = client_origin;
	strcpy(client->name, name);
	return ivshmem_channel_begin_from(channel, shm, &client->origin, IVSHMEM_END_CREATOR, 0);
}

int ivshmem_connect(struct ivshmem_channel **out, struct ivshmem *shm, const char *name,
		    int timeout_ms)
{
	struct ivshmem_channel *channel = NULL;
	int err;

	err = out ? ivshmem_connect_begin(&channel, shm, name) : -EINVAL;
	return ivshmem_channel_complete(out, channel, err, timeout_ms);
}
