// SPDX-License-Identifier: MIT
/*
 * The IDs of those who left, as long as one client is not yet told. A client that
 * reads has no more than one of them at a time, which needs no memory. Else there is
 * a bit for each ID, in pieces that are there only while they are needed: 8 KiB at
 * most, however many come and go.
 */

#include <errno.h>
#include <stdlib.h>

#include "server.h"

#define BITS		64
#define WORDS		(LEAVES_PIECE / BITS)

int leaves_add(struct leaves *leaves, unsigned int id)
{
	uint64_t **piece = &leaves->pieces[id / LEAVES_PIECE];

	if (!leaves->count) {
		leaves->count = 1;
		leaves->has_single = true;
		leaves->single = id;
		return 0;
	}
	if (!*piece)
		*piece = calloc(WORDS, sizeof(**piece));
	if (!*piece)
		return -ENOMEM;
	(*piece)[id % LEAVES_PIECE / BITS] |= 1ull << id % BITS;
	leaves->count++;
	return 0;
}

/* The lowest one that the words of a piece hold, or -1. */
static int first_in(const uint64_t *piece)
{
	unsigned int word;

	for (word = 0; word < WORDS; word++)
		if (piece[word])
			return (int)(word * BITS) + __builtin_ctzll(piece[word]);
	return -1;
}

/* The one to be told first, or -1. */
int leaves_first(const struct leaves *leaves)
{
	unsigned int i;
	int bit;

	if (leaves->has_single)
		return leaves->single;
	for (i = 0; leaves->count && i < LEAVES_PIECES; i++) {
		bit = leaves->pieces[i] ? first_in(leaves->pieces[i]) : -1;
		if (bit >= 0)
			return (int)(i * LEAVES_PIECE) + bit;
	}
	return -1;
}

void leaves_remove(struct leaves *leaves, unsigned int id)
{
	uint64_t **piece = &leaves->pieces[id / LEAVES_PIECE];

	leaves->count--;
	if (leaves->has_single && leaves->single == id) {
		leaves->has_single = false;
		return;
	}
	(*piece)[id % LEAVES_PIECE / BITS] &= ~(1ull << id % BITS);
	if (first_in(*piece) >= 0)
		return;
	free(*piece);
	*piece = NULL;
}

void leaves_clear(struct leaves *leaves)
{
	unsigned int i;

	for (i = 0; i < LEAVES_PIECES; i++)
		free(leaves->pieces[i]);
	*leaves = (struct leaves){ .count = 0 };
}
