// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "ring.h"

static size_t stale_words(uint64_t size)
{
	return (size_t)((size / RECORD_ALIGN + 63) / 64);
}

int ivshmem_sender_init(struct ivshmem_sender *sender, char *data, uint64_t size)
{
	uint64_t *stale = malloc(stale_words(size) * sizeof(*stale));

	if (!stale)
		return -ENOMEM;
	*sender = (struct ivshmem_sender) { .data = data, .size = size, .stale = stale };
	return 0;
}

/* What an earlier session has left is stale, all but what is cleared here. */
void ivshmem_sender_reset(struct ivshmem_sender *sender)
{
	uint64_t *stale = sender->stale;

	memset(stale, 0xff, stale_words(sender->size) * sizeof(*stale));
	*sender = (struct ivshmem_sender) {
		.data = sender->data, .size = sender->size, .stale = stale,
	};
	stale[0] &= ~1ull;
	__atomic_store_n((uint64_t *)sender->data, 0, __ATOMIC_RELAXED);
}

void ivshmem_sender_free(struct ivshmem_sender *sender)
{
	free(sender->stale);
	sender->stale = NULL;
}

static void set_bits(uint64_t *words, uint64_t first, uint64_t end)
{
	for (; first < end && first % 64; first++)
		words[first / 64] |= 1ull << (first % 64);
	if (first < end)
		memset(words + first / 64, 0xff, (end - first) / 64 * sizeof(*words));
	for (first += (end - first) / 64 * 64; first < end; first++)
		words[first / 64] |= 1ull << (first % 64);
}

void ivshmem_sender_spoil(struct ivshmem_sender *sender, uint64_t record)
{
	uint64_t offset = sender->position - sender->lap;
	uint64_t first = offset / RECORD_ALIGN + 1;
	uint64_t end = (offset + record) / RECORD_ALIGN;
	uint64_t lines = sender->size / RECORD_ALIGN;

	if (end <= lines) {
		set_bits(sender->stale, first, end);
	} else {
		set_bits(sender->stale, first, lines);
		set_bits(sender->stale, 0, end - lines);
	}
}

void ivshmem_receiver_init(struct ivshmem_receiver *receiver, const char *data, uint64_t size)
{
	*receiver = (struct ivshmem_receiver) { .data = data, .size = size };
}
