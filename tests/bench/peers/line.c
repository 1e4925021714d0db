// SPDX-License-Identifier: MIT
/*
 * The limit: memory that one process writes and the other reads, and nothing besides. A
 * message of up to 64 bytes is a cache line, of which the first word says whose turn it is;
 * one of more is followed by that line.
 */
#include <stdint.h>
#include <string.h>

#include "peer.h"

#define LINE	64

struct way {
	uint64_t turn;
	char rest[4096 - sizeof(uint64_t)];
	char text[1 << 20];
};

static struct way *ways, *own;
static const struct way *other;
static uint64_t sent, received;

static void make(size_t length)
{
	ways = peer_memory(2 * sizeof(*ways));
}

static void open_end(int side, size_t length)
{
	own = &ways[side];
	other = &ways[!side];
	sent = 0;
	received = 0;
}

static void send_one(const void *message, size_t length)
{
	if (length > LINE)
		memcpy(own->text, message, length);
	else if (length == LINE)
		memcpy(own->rest, message, LINE - sizeof(own->turn));
	__atomic_store_n(&own->turn, ++sent, __ATOMIC_RELEASE);
}

static const void *receive(size_t length)
{
	received++;
	while (__atomic_load_n(&other->turn, __ATOMIC_ACQUIRE) != received)
		;
	return length > LINE ? other->text : other->rest - sizeof(other->turn);
}

const struct peer peer = {
	.name = "line", .make = make, .open = open_end, .send = send_one, .receive = receive,
};
