// SPDX-License-Identifier: MIT
/*
 * The IDs of those who left, as long as one client is not yet told. A client that
 * reads has no more than one of them at a time. Else there is a bit for each ID, in
 * memory that is there only while it is needed: 8 KiB, however many come and go.
 *
 * All is in the book, and true at each moment: to add what is there already, or to
 * remove what is not, changes nothing, so whoever was killed meanwhile does it again.
 */

#include <sys/mman.h>

#include "server.h"

#define BITS		64
#define WORDS		(LEAVES_SIZE / sizeof(uint64_t))

/* The set that lies in the book. */
void leaves_open(struct leaves *leaves, struct kept_leaves *kept, uint64_t *bits)
{
	unsigned int word;

	*leaves = (struct leaves){ .count = kept->single != 0, .kept = kept, .bits = bits };
	for (word = 0; kept->has_bits && word < WORDS; word++)
		leaves->count += __builtin_popcountll(bits[word]);
}

static bool has_bit(const struct leaves *leaves, unsigned int id)
{
	return leaves->kept->has_bits && leaves->bits[id / BITS] & 1ull << id % BITS;
}

void leaves_add(struct leaves *leaves, unsigned int id)
{
	struct kept_leaves *kept = leaves->kept;

	if (kept->single == id + 1 || has_bit(leaves, id))
		return;
	if (!leaves->count) {
		kept->single = id + 1;
	} else {
		kept->has_bits = 1;
		book_order();
		leaves->bits[id / BITS] |= 1ull << id % BITS;
	}
	leaves->count++;
}

/* The one to be told first, or -1. */
int leaves_first(const struct leaves *leaves)
{
	unsigned int word;

	if (leaves->kept->single)
		return (int)leaves->kept->single - 1;
	for (word = 0; leaves->count && word < WORDS; word++)
		if (leaves->bits[word])
			return (int)(word * BITS) + __builtin_ctzll(leaves->bits[word]);
	return -1;
}

/* The memory goes back: to read it afterwards gives zeroes. */
static void free_bits(struct leaves *leaves)
{
	if (!leaves->kept->has_bits)
		return;
	madvise(leaves->bits, LEAVES_SIZE, MADV_REMOVE);
	book_order();
	leaves->kept->has_bits = 0;
}

void leaves_remove(struct leaves *leaves, unsigned int id)
{
	struct kept_leaves *kept = leaves->kept;

	if (kept->single == id + 1)
		kept->single = 0;
	else if (has_bit(leaves, id))
		leaves->bits[id / BITS] &= ~(1ull << id % BITS);
	else
		return;
	if (!--leaves->count)
		free_bits(leaves);
}

void leaves_clear(struct leaves *leaves)
{
	if (!leaves->kept)
		return;
	leaves->kept->single = 0;
	free_bits(leaves);
	leaves->count = 0;
}
