// SPDX-License-Identifier: MIT
/*
 * What a server's messages mean, and which are not allowed. What follows then is decided
 * in connection.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol.h"

void ivshmem_protocol_init(struct ivshmem_protocol *protocol, void (*release)(int fd))
{
	*protocol = (struct ivshmem_protocol){ .release = release, .region = -1 };
}

static void release_peer(struct ivshmem_protocol *protocol, struct ivshmem_peer *peer)
{
	uint16_t i;

	for (i = 0; i < peer->vectors; i++)
		protocol->release(peer->fds[i]);
	free(peer->fds);
}

void ivshmem_protocol_free(struct ivshmem_protocol *protocol)
{
	size_t i;

	for (i = 0; i < protocol->count; i++)
		release_peer(protocol, &protocol->peers[i]);
	free(protocol->peers);
	release_peer(protocol, &protocol->self);
	if (protocol->region >= 0)
		protocol->release(protocol->region);
	ivshmem_protocol_init(protocol, protocol->release);
}

/* Where the peer is, or where it would have to be inserted. */
static size_t search(const struct ivshmem_protocol *protocol, unsigned int id)
{
	size_t low = 0, high = protocol->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (protocol->peers[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct ivshmem_protocol *protocol, size_t index, unsigned int id)
{
	return index < protocol->count && protocol->peers[index].id == id;
}

/* This peer itself included, once it has an ID. */
const struct ivshmem_peer *
ivshmem_protocol_find(const struct ivshmem_protocol *protocol, unsigned int id)
{
	size_t index = search(protocol, id);

	if (protocol->state >= IVSHMEM_AWAIT_REGION && id == protocol->self.id)
		return &protocol->self;
	return is_at(protocol, index, id) ? &protocol->peers[index] : NULL;
}

/* The vectors that came for it were all. */
void ivshmem_protocol_complete(struct ivshmem_protocol *protocol, uint16_t id)
{
	size_t index = search(protocol, id);

	if (id == protocol->self.id)
		protocol->self.is_complete = true;
	else if (is_at(protocol, index, id))
		protocol->peers[index].is_complete = true;
}

/* Room doubles: whenever the count is a power of two, it is used up. */
static int add_vector(struct ivshmem_peer *peer, int fd)
{
	int *fds = peer->fds;

	if (peer->vectors == IVSHMEM_MAX_VECTORS)
		return -EPROTO;
	if (!(peer->vectors & (peer->vectors - 1))) {
		fds = reallocarray(fds, peer->vectors ? 2u * peer->vectors : 1, sizeof(*fds));
		if (!fds)
			return -ENOMEM;
		peer->fds = fds;
	}
	fds[peer->vectors++] = fd;
	return 0;
}

static int make_room(struct ivshmem_protocol *protocol)
{
	size_t room = protocol->room ? 2 * protocol->room : 8;
	struct ivshmem_peer *peers;

	if (protocol->count < protocol->room)
		return 0;
	peers = reallocarray(protocol->peers, room, sizeof(*peers));
	if (!peers)
		return -ENOMEM;
	protocol->peers = peers;
	protocol->room = room;
	return 0;
}

static int insert(struct ivshmem_protocol *protocol, size_t index, uint16_t id, int fd)
{
	struct ivshmem_peer peer = { .id = id };
	int err;

	err = make_room(protocol);
	if (!err)
		err = add_vector(&peer, fd);
	if (err)
		return err;
	memmove(&protocol->peers[index + 1], &protocol->peers[index],
		(protocol->count - index) * sizeof(peer));
	protocol->peers[index] = peer;
	protocol->count++;
	return IVSHMEM_EVENT_JOINED;
}

static int take_vector(struct ivshmem_protocol *protocol, uint16_t id, int fd)
{
	size_t index = search(protocol, id);

	if (id == protocol->self.id)
		return add_vector(&protocol->self, fd);
	if (is_at(protocol, index, id))
		return add_vector(&protocol->peers[index], fd);
	return insert(protocol, index, id, fd);
}

static int take_leave(struct ivshmem_protocol *protocol, uint16_t id)
{
	size_t index = search(protocol, id);

	if (!is_at(protocol, index, id))
		return -EPROTO;
	release_peer(protocol, &protocol->peers[index]);
	protocol->count--;
	memmove(&protocol->peers[index], &protocol->peers[index + 1],
		(protocol->count - index) * sizeof(*protocol->peers));
	return IVSHMEM_EVENT_LEFT;
}

static bool is_id(int64_t value)
{
	return value >= 0 && value <= IVSHMEM_MAX_PEER;
}

/*
 * One message, with its descriptor or -1: an enum ivshmem_protocol_event, about
 * the peer that @value names. Takes @fd over unless it fails, with -EPROTO or
 * -ENOMEM; then the message has changed nothing.
 */
int ivshmem_protocol_feed(struct ivshmem_protocol *protocol, int64_t value, int fd)
{
	switch (protocol->state) {
	case IVSHMEM_AWAIT_VERSION:
		if (value != IVSHMEM_PROTOCOL_VERSION || fd >= 0)
			return -EPROTO;
		protocol->state = IVSHMEM_AWAIT_ID;
		return IVSHMEM_EVENT_NONE;
	case IVSHMEM_AWAIT_ID:
		if (!is_id(value) || fd >= 0)
			return -EPROTO;
		protocol->self.id = (uint16_t)value;
		protocol->state = IVSHMEM_AWAIT_REGION;
		return IVSHMEM_EVENT_NONE;
	case IVSHMEM_AWAIT_REGION:
		if (value != IVSHMEM_PROTOCOL_REGION || fd < 0)
			return -EPROTO;
		protocol->region = fd;
		protocol->state = IVSHMEM_AWAIT_PEERS;
		return IVSHMEM_EVENT_NONE;
	default:
		if (!is_id(value))
			return -EPROTO;
		return fd < 0 ? take_leave(protocol, (uint16_t)value)
			      : take_vector(protocol, (uint16_t)value, fd);
	}
}
