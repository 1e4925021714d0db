// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "ring.h"

/* So much of a message is copied before the other end is told. */
#define GROWS_BY	(32u << 10)

/* A bit for each line of a ring: see stale and keeps. */
static size_t words_of(uint64_t size)
{
	return (size_t)((size / RECORD_ALIGN + 63) / 64);
}

/* @sent, @begun, @progress: Where the region has what was sent, begun, and is under way. */
int ivshmem_sender_init(struct ivshmem_sender *sender, char *data, uint64_t size,
			uint64_t *sent, uint64_t *begun, uint64_t *progress)
{
	uint64_t *stale = malloc(words_of(size) * sizeof(*stale));

	if (!stale)
		return -ENOMEM;
	*sender = (struct ivshmem_sender) {
		.data = data, .size = size, .stale = stale, .sent = sent,
		.begun = begun, .progress = progress,
	};
	return 0;
}

/* What an earlier session has left is stale, all but what is cleared here. */
void ivshmem_sender_reset(struct ivshmem_sender *sender, uint64_t start)
{
	uint64_t *stale = sender->stale, *sent = sender->sent, *begun = sender->begun;
	uint64_t *progress = sender->progress;

	memset(stale, 0xff, words_of(sender->size) * sizeof(*stale));
	*sender = (struct ivshmem_sender) {
		.data = sender->data, .size = sender->size, .stale = stale, .sent = sent,
		.begun = begun, .count = start, .lap_count = start, .begun_count = start,
		.reach = RECORD_ALIGN, .progress = progress,
	};
	sender_tell(sender, start);
	sender_begin(sender);
	stale[0] &= ~1ull;
	__atomic_store_n((uint64_t *)sender->data, 0, __ATOMIC_RELAXED);
}

void ivshmem_sender_free(struct ivshmem_sender *sender)
{
	free(sender->stale);
	*sender = (struct ivshmem_sender) {
		.sent = sender->sent, .begun = sender->begun, .progress = sender->progress,
	};
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

	set_bits(sender->stale, offset / RECORD_ALIGN + 1, (offset + record) / RECORD_ALIGN);
}

/*
 * The lines behind are not written for any number of rounds, and what lies there may come
 * to look like the next header: it is stale.
 */
void ivshmem_sender_turn(struct ivshmem_sender *sender)
{
	uint64_t offset = sender->position - sender->lap;
	uint64_t *header = sender_at(sender, sender->position);
	uint64_t value = record_header(sender->count + 1, RECORD_ELSEWHERE);

	if (offset < sender->reach)
		set_bits(sender->stale, offset / RECORD_ALIGN + 1, sender->reach / RECORD_ALIGN);
	sender->reach = offset + RECORD_ALIGN;
	sender->lap += sender->size;
	sender->position = sender->lap;
	sender->lap_count = sender->count;
	sender_clear_next(sender);
	/* What is held back is before it: nobody looks here until that is passed on. */
	__atomic_store_n(header, value, __ATOMIC_RELEASE);
}

void ivshmem_sender_hold(struct ivshmem_sender *sender, uint64_t start, uint64_t *header,
			 uint64_t value)
{
	sender_begin(sender);
	if (sender->held_header) {
		__atomic_store_n(header, value, __ATOMIC_RELAXED);
		return;
	}
	sender->held = start;
	sender->held_count = sender->count;
	__atomic_store_n(&sender->held_header, value, __ATOMIC_RELEASE);
}

/*
 * The header comes before the message, and behind what says that none of it is there. Each
 * part is there before that is told; and before that it is looked whether memory went back, since
 * a part that was written before would be lost.
 */
bool ivshmem_sender_grow(struct ivshmem_sender *sender, const char *message, uint32_t length)
{
	uint64_t *header = sender_at(sender, sender->position);
	uint64_t number = sender->count + 1;
	uint64_t told = (uint64_t)(uint32_t)number << 32;
	char *to = (char *)header + RECORD_HEADER;
	uint32_t left, part;

	__atomic_store_n(sender->progress, told, __ATOMIC_RELEASE);
	sender_advance(sender, length, number);
	__atomic_store_n(header, record_header(number, length | RECORD_GROWING), __ATOMIC_RELEASE);
	for (left = length; left; left -= part) {
		part = left < GROWS_BY ? left : GROWS_BY;
		memcpy(to, message, part);
		if (!sender_is_unbroken(sender) ||
		    __atomic_load_n(sender->progress, __ATOMIC_RELAXED) != told)
			return false;
		told += part;
		__atomic_store_n(sender->progress, told, __ATOMIC_RELEASE);
		to += part;
		message += part;
	}
	sender_tell(sender, number);
	sender_count(sender, number);
	return true;
}

/* --- the reading end --- */

/* @received, @turned: Where the region has what was received, and left out. */
int ivshmem_receiver_init(struct ivshmem_receiver *receiver, const char *data, uint64_t size,
			  uint64_t *received, uint64_t *turned)
{
	uint64_t *keeps = calloc(words_of(size), sizeof(*keeps));

	if (!keeps)
		return -ENOMEM;
	*receiver = (struct ivshmem_receiver) {
		.data = data, .size = size, .keeps = keeps, .received = received,
		.turned = turned,
	};
	return 0;
}

void ivshmem_receiver_reset(struct ivshmem_receiver *receiver, uint64_t start)
{
	ivshmem_receiver_release_all(receiver, NULL);
	*receiver = (struct ivshmem_receiver) {
		.data = receiver->data, .size = receiver->size, .keeps = receiver->keeps,
		.received = receiver->received, .turned = receiver->turned, .count = start,
	};
	__atomic_store_n(receiver->received, start, __ATOMIC_RELAXED);
	__atomic_store_n(receiver->turned, 0, __ATOMIC_RELAXED);
}

/* No message is its own from now on. */
void ivshmem_receiver_free(struct ivshmem_receiver *receiver)
{
	free(receiver->keeps);
	*receiver = (struct ivshmem_receiver) {
		.received = receiver->received, .turned = receiver->turned,
	};
}

/* The position of a record that was taken and is in the ring still, by its place there. */
static uint64_t position_of(const struct ivshmem_receiver *receiver, uint64_t place)
{
	bool this_lap = place < receiver->position - receiver->lap;

	return receiver->lap + place - (this_lap ? 0 : receiver->size);
}

/* The place of the next record that is kept; there is one. */
static uint64_t next_kept(const struct ivshmem_receiver *receiver, uint64_t place)
{
	uint64_t line = place / RECORD_ALIGN, i = line / 64;
	uint64_t word = receiver->keeps[i] & ~0ull << (line % 64);

	while (!word) {
		i = (i + 1) % words_of(receiver->size);
		word = receiver->keeps[i];
	}
	return (i * 64 + (uint64_t)__builtin_ctzll(word)) * RECORD_ALIGN;
}

/* No bit is set but between what is released and what was taken. */
static void forget_kept(struct ivshmem_receiver *receiver)
{
	uint64_t taken = receiver->position - receiver->released;
	uint64_t left = taken / RECORD_ALIGN / 64 + 2, words = words_of(receiver->size);
	uint64_t i = receiver->released % receiver->size / RECORD_ALIGN / 64;

	for (left = left < words ? left : words; left; left--) {
		receiver->keeps[i] = 0;
		i = (i + 1) % words;
	}
}

/* Others are kept: what is released changes only if this was the oldest. */
void ivshmem_receiver_release_among(struct ivshmem_receiver *receiver, uint64_t place)
{
	if (position_of(receiver, place) == receiver->released)
		receiver->released = position_of(receiver, next_kept(receiver, place));
}

/* @but: stays if it is kept. */
void ivshmem_receiver_release_all(struct ivshmem_receiver *receiver, const void *but)
{
	uint64_t place = receiver_place(receiver, but);
	bool stays = receiver_keeps(receiver, place);

	if (!receiver->kept)
		return;
	forget_kept(receiver);
	receiver->kept = 0;
	receiver->released = receiver->position;
	if (stays) {
		receiver_keep(receiver, but);
		receiver->released = position_of(receiver, place);
	}
}

bool ivshmem_receiver_turn(struct ivshmem_receiver *receiver)
{
	uint64_t start = receiver->lap + receiver->size;

	if (receiver->position == receiver->lap || start - receiver->released > receiver->size)
		return false;
	__atomic_fetch_add(receiver->turned, start - receiver->position, __ATOMIC_RELAXED);
	receiver->position = start;
	receiver->lap = start;
	receiver_done(receiver);
	return true;
}
