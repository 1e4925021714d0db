// SPDX-License-Identifier: MIT
/*
 * Peer IDs, given in turn: one that was given back comes again only after all
 * others, so that a late message to its old owner does not reach the new one.
 *
 * 0 is the exception. QEMU takes a device with master=on only where it is peer 0, so
 * that ID is kept for QEMU, see may_be_master() in peer.c.
 */

#include <errno.h>

#include "server.h"

#define BITS	64

/* The lowest free ID in [@from, end of the word that holds @from], or -1. */
static int free_in_word(const struct ids *ids, unsigned int from)
{
	uint64_t free = ~ids->used[from / BITS] & (UINT64_MAX << from % BITS);

	return free ? (int)(from / BITS * BITS) + __builtin_ctzll(free) : -1;
}

static int take(struct ids *ids, unsigned int id)
{
	ids->used[id / BITS] |= 1ull << id % BITS;
	return id;
}

/* It is free: whoever calls knows that. */
int ids_take_master(struct ids *ids)
{
	return take(ids, SERVER_MASTER_ID);
}

/* Any but the master's; -ENOSPC where all are in use. */
int ids_take(struct ids *ids)
{
	unsigned int from = ids->next ?: 1, words;
	int id = -1;

	/* The first word may hold free IDs on both sides of the start. */
	for (words = 0; id < 0 && words <= SERVER_IDS_MAX / BITS; words++) {
		id = free_in_word(ids, from);
		from = (from / BITS + 1) * BITS % SERVER_IDS_MAX ?: 1;
	}
	if (id < 0)
		return -ENOSPC;
	ids->next = (id + 1) % SERVER_IDS_MAX;
	return take(ids, id);
}

void ids_give_back(struct ids *ids, unsigned int id)
{
	ids->used[id / BITS] &= ~(1ull << id % BITS);
}
