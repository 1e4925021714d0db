/* SPDX-License-Identifier: MIT */
/*
 * A client that keeps a table of the peers, and fails the test where a message
 * is not allowed: a leave of a peer that is not there, one vector too many.
 */

#ifndef CLIENT_H
#define CLIENT_H

#include "fixture.h"

#define IDS	65536

struct client {
	int socket;
	int id;			/* -1 until it was told */
	int region;
	unsigned int vectors;	/* of every peer */
	unsigned int messages;	/* how many came */
	bool keep;		/* the descriptors of others, too */
	uint16_t told[IDS];	/* vectors of each peer, 0: not there */
	int *fds[IDS];
};

static inline struct client *client_new(unsigned int vectors, bool keep)
{
	struct client *client = calloc(1, sizeof(*client));

	assert_non_null(client);
	client->socket = connect_to(fixture.socket);
	client->id = -1;
	client->region = -1;
	client->vectors = vectors;
	client->keep = keep;
	return client;
}

static inline void forget(struct client *client, int64_t id)
{
	unsigned int i;

	for (i = 0; client->fds[id] && i < client->told[id]; i++)
		close(client->fds[id][i]);
	free(client->fds[id]);
	client->fds[id] = NULL;
	client->told[id] = 0;
}

static inline void client_free(struct client *client)
{
	int id;

	close(client->socket);
	if (client->region >= 0)
		close(client->region);
	for (id = 0; id < IDS; id++)
		forget(client, id);
	free(client);
}

static inline void learn(struct client *client, int64_t id, int fd)
{
	bool keep;

	assert_true(id >= 0 && id < IDS);
	if (fd < 0) {
		assert_true(client->told[id] > 0);
		assert_true(id != client->id);
		forget(client, id);
		return;
	}
	assert_true(client->told[id] < client->vectors);
	keep = client->keep || id == client->id;
	if (keep && !client->fds[id])
		client->fds[id] = calloc(client->vectors, sizeof(int));
	if (keep)
		client->fds[id][client->told[id]] = fd;
	else
		close(fd);
	client->told[id]++;
}

/* Takes one message. Returns as take() does. */
static inline int client_take(struct client *client, int timeout_ms)
{
	int64_t value;
	int fd, ret;

	ret = take(client->socket, &value, &fd, timeout_ms);
	if (ret <= 0)
		return ret;
	switch (client->messages++) {
	case 0:
		assert_true(value == 0 && fd < 0);
		break;
	case 1:
		assert_true(value >= 0 && value < IDS && fd < 0);
		client->id = value;
		break;
	case 2:
		assert_true(value == -1 && fd >= 0);
		client->region = fd;
		break;
	default:
		learn(client, value, fd);
	}
	return ret;
}

/* Until all of the introduction is there. */
static inline void client_meet(struct client *client)
{
	while (client->id < 0 || client->told[client->id] < client->vectors)
		assert_int_equal(client_take(client, PATIENCE_MS), 1);
}

/* Whatever is there by now. */
static inline void client_drain(struct client *client)
{
	while (client_take(client, 0) > 0)
		;
}

static inline void client_until_told(struct client *client, int id, unsigned int vectors)
{
	while (client->told[id] != vectors)
		assert_int_equal(client_take(client, PATIENCE_MS), 1);
}

static inline struct client *client_join(unsigned int vectors, bool keep)
{
	struct client *client = client_new(vectors, keep);

	client_meet(client);
	return client;
}

/* A peer without a table: its socket. It reads no more than its ID. */
static inline int passer_join(int *id)
{
	int socket = connect_to(fixture.socket), fd;
	int64_t value;

	assert_int_equal(take(socket, &value, &fd, PATIENCE_MS), 1);
	assert_int_equal(take(socket, &value, &fd, PATIENCE_MS), 1);
	assert_in_range(value, 0, IDS - 1);
	*id = value;
	return socket;
}

#endif /* CLIENT_H */
