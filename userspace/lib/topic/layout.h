/* SPDX-License-Identifier: MIT */
/*
 * What a topic's blocks hold:
 *
 *	head				128 bytes
 *	members				384 bytes each: publishers, then subscribers
 *	progress of publishers		64 bytes each, then a word for each subscriber
 *	progress of subscribers		a word for each publisher, then one for each hold
 *	entries				128 bytes, so many for each publisher as its history
 *	buffers				for messages of more than INLINE_SIZE bytes
 *
 * A publisher writes its entries in turn: the message with number n has entry n modulo
 * history. A short message is in the entry itself, a longer one in a buffer that the entry
 * names. The number is written last, and is 0 while anything else is changed: who reads looks
 * at it before and after. Then the publisher counts the message. One that has died between
 * both may have shown it to somebody: who takes the place goes on with the number after that.
 *
 * The count goes with the topic, not with who has the place: beside it is which object it
 * is of, written once. So it holds wherever a publisher dies, and no junk is taken for one.
 *
 * A buffer is used again when its entry has another message, unless a subscriber holds it.
 * There are so many of them that all subscribers may hold as many as they are allowed to, dead
 * ones and such as lie included, and some are left. Who holds stores that, then looks whether
 * the entry still has the message. Who wants the buffer changes the entry, then looks who
 * holds. Full fences are between, so at least one of both sees the other.
 */
#ifndef TOPIC_LAYOUT_H
#define TOPIC_LAYOUT_H

#include <ivshmem/topic.h>

#include "format/format.h"

#define INLINE_SIZE		104
#define MAX_LENGTH		(1ull << 30)
#define MAX_HISTORY		65536
#define MAX_PUBLISHERS		16
#define MAX_SUBSCRIBERS		1024
#define MAX_HOLDS		64
#define LOSSLESS_FACT		(1u << 16)	/* of FACT_TOPIC_HOLDS */

/**
 * struct topic_head - What all have in common.
 * @sleeps: Changed by each subscriber that is about to sleep, twice: a publisher that finds
 *          it as it was needs to look no further.
 * @joins: Of a lossless topic: changed by each subscriber that is to be waited for from now
 *         on. A publisher that finds it as it was knows of all.
 * @bell: Slept on by subscribers, and changed by who wakes them.
 */
struct topic_head {
	uint32_t sleeps;
	uint32_t joins;
	uint8_t reserved_8[56];
	uint32_t bell;
	uint8_t reserved_68[60];
};

/**
 * struct topic_entry - A message.
 * @number: Its number; 0 while the rest is written.
 * @length: In bytes.
 * @type: Of the user.
 * @time_ns: CLOCK_REALTIME, or 0.
 * @text: The message, or in its first four bytes the index of its buffer.
 */
struct topic_entry {
	uint64_t number;
	uint32_t length;
	uint32_t type;
	uint64_t time_ns;
	union {
		char text[INLINE_SIZE];
		uint32_t buffer;
	};
};

static_assert(sizeof(struct topic_head) == TOPIC_HEAD_SIZE, "format");
static_assert(offsetof(struct topic_head, bell) == 64, "format");
static_assert(sizeof(struct topic_entry) == 128, "format");
static_assert(offsetof(struct topic_entry, text) == 24, "format");

/**
 * struct topic_geometry - Where all that lies, in bytes from the start of the blocks.
 * @layout: As it was made, checked; @history is a power of two.
 * @members: See above.
 * @publishers: Progress of publishers.
 * @publisher_size: Of each.
 * @subscribers: Progress of subscribers.
 * @subscriber_size: Of each.
 * @entries: See above.
 * @buffers: See above.
 * @buffer_size: Of each; 0 where there are none.
 * @buffer_count: For each publisher.
 * @size: Of all.
 */
struct topic_geometry {
	struct ivshmem_topic_layout layout;
	uint64_t members;
	uint64_t publishers;
	uint64_t publisher_size;
	uint64_t subscribers;
	uint64_t subscriber_size;
	uint64_t entries;
	uint64_t buffers;
	uint64_t buffer_size;
	uint32_t buffer_count;
	uint64_t size;
};

static inline uint64_t topic_entry_offset(const struct topic_geometry *geometry,
					  unsigned int publisher, uint64_t number)
{
	uint64_t history = geometry->layout.history;

	return geometry->entries + (publisher * history + (number & (history - 1))) *
				   sizeof(struct topic_entry);
}

bool ivshmem_topic_measure(struct topic_geometry *geometry,
			   const struct ivshmem_topic_layout *layout);
void ivshmem_topic_spec(struct ivshmem_spec *spec, const struct topic_geometry *geometry);
int ivshmem_topic_read(struct topic_geometry *geometry,
		       const struct ivshmem_directory *directory,
		       const struct ivshmem_object *object, uint64_t size);

#endif /* TOPIC_LAYOUT_H */
