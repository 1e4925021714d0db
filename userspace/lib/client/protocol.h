/* SPDX-License-Identifier: MIT */
/*
 * What an ivshmem server's messages mean: docs/specs/ivshmem-spec.rst in QEMU.
 * Pure: descriptors are numbers here, that are kept and released.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IVSHMEM_PROTOCOL_VERSION	0
#define IVSHMEM_PROTOCOL_REGION		(-1)
#define IVSHMEM_MAX_PEER		65535
#define IVSHMEM_MAX_VECTORS		256

struct ivshmem_peer {
	uint16_t id;
	uint16_t vectors;
	bool is_complete;	/* its last vector was marked as such */
	int *fds;		/* one for each vector */
};

/* The message that must come next. */
enum ivshmem_protocol_state {
	IVSHMEM_AWAIT_VERSION,
	IVSHMEM_AWAIT_ID,
	IVSHMEM_AWAIT_REGION,
	IVSHMEM_AWAIT_PEERS,
};

/* What a message did. */
enum ivshmem_protocol_event {
	IVSHMEM_EVENT_NONE,
	IVSHMEM_EVENT_JOINED,
	IVSHMEM_EVENT_LEFT,
};

/**
 * struct ivshmem_protocol - What the server has told so far.
 * @release: Called for each descriptor that is needed no more.
 * @state: What must come next.
 * @region: The region's descriptor, -1 until it came.
 * @self: This peer, from IVSHMEM_AWAIT_REGION on.
 * @peers: The others, each with at least one vector; IDs ascend.
 * @count: Number of @peers.
 * @room: Number that @peers has room for.
 */
struct ivshmem_protocol {
	void (*release)(int fd);
	enum ivshmem_protocol_state state;
	int region;
	struct ivshmem_peer self;
	struct ivshmem_peer *peers;
	size_t count;
	size_t room;
};

void ivshmem_protocol_init(struct ivshmem_protocol *protocol, void (*release)(int fd));
void ivshmem_protocol_free(struct ivshmem_protocol *protocol);
int ivshmem_protocol_feed(struct ivshmem_protocol *protocol, int64_t value, int fd);
void ivshmem_protocol_complete(struct ivshmem_protocol *protocol, uint16_t id);
const struct ivshmem_peer *
ivshmem_protocol_find(const struct ivshmem_protocol *protocol, unsigned int id);

#endif /* PROTOCOL_H */
