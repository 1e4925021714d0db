// SPDX-License-Identifier: MIT
/* Concurrency Kit's ring, one producer and one consumer, messages in the ring itself. */
#include <ck_ring.h>
#include <string.h>

#include "peer.h"

#define SLOTS	64

/* A ring for messages of one length, and how to use it. */
#define RING(N) \
struct text##N { \
	char bytes[N]; \
}; \
CK_RING_PROTOTYPE(text##N, text##N) \
static void send_##N(struct ck_ring *ring, void *slots, const void *message) \
{ \
	while (!ck_ring_enqueue_spsc_text##N(ring, slots, (struct text##N *)message)) \
		; \
} \
static void receive_##N(struct ck_ring *ring, void *slots) \
{ \
	while (!ck_ring_dequeue_spsc_text##N(ring, slots, (struct text##N *)peer_buffer)) \
		; \
}

RING(8)
RING(64)
RING(8192)

struct way {
	struct ck_ring ring __attribute__((aligned(4096)));
	char slots[SLOTS * 8192] __attribute__((aligned(4096)));
};

static struct way *ways, *own, *other;
static void (*send_to)(struct ck_ring *ring, void *slots, const void *message);
static void (*receive_from)(struct ck_ring *ring, void *slots);

static void make(size_t length)
{
	ways = peer_memory(2 * sizeof(*ways));
	ck_ring_init(&ways[0].ring, SLOTS);
	ck_ring_init(&ways[1].ring, SLOTS);
	send_to = length == 8 ? send_8 : length == 64 ? send_64 : send_8192;
	receive_from = length == 8 ? receive_8 : length == 64 ? receive_64 : receive_8192;
}

static void open_end(int side, size_t length)
{
	own = &ways[side];
	other = &ways[!side];
}

static void send_one(const void *message, size_t length)
{
	send_to(&own->ring, own->slots, message);
}

static const void *receive(size_t length)
{
	receive_from(&other->ring, other->slots);
	return peer_buffer;
}

const struct peer peer = {
	.name = "ck", .make = make, .open = open_end, .send = send_one, .receive = receive,
};
