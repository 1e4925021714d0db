// SPDX-License-Identifier: MIT
/* DPDK's rte_ring, one producer and one consumer, messages in the ring itself. */
#include <err.h>
#include <rte_ring_elem.h>
#include <string.h>

#include "peer.h"

#define SLOTS	64

static struct rte_ring *rings[2], *own, *other;

static void make(size_t length)
{
	ssize_t size = rte_ring_get_memsize_elem((unsigned int)length, SLOTS);
	int i;

	if (size < 0)
		errx(1, "rte: no ring for messages of %zu bytes", length);
	for (i = 0; i < 2; i++) {
		rings[i] = peer_memory((size_t)size);
		if (rte_ring_init(rings[i], "way", SLOTS, RING_F_SP_ENQ | RING_F_SC_DEQ))
			errx(1, "rte_ring_init failed");
	}
}

static void open_end(int side, size_t length)
{
	own = rings[side];
	other = rings[!side];
}

static void send_one(const void *message, size_t length)
{
	while (rte_ring_sp_enqueue_elem(own, (void *)message, (unsigned int)length))
		;
}

static const void *receive(size_t length)
{
	while (rte_ring_sc_dequeue_elem(other, peer_buffer, (unsigned int)length))
		;
	return peer_buffer;
}

const struct peer peer = {
	.name = "rte", .make = make, .open = open_end, .send = send_one, .receive = receive,
};
