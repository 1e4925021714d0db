/* SPDX-License-Identifier: MIT */
#ifndef SUBSCRIBER_H
#define SUBSCRIBER_H

#include "topic.h"

/**
 * struct stream - What a subscriber has of one publisher's place.
 * @next: The number that comes next.
 * @told: Of a lossless topic: the publisher knows that all up to this is needed no more.
 * @skipped: Messages before @next that it did not get, since the last one that it got.
 * @has_count: A publisher is there, or was. Before, an entry may be what another object has left.
 */
struct stream {
	uint64_t next;
	uint64_t told;
	uint64_t skipped;
	bool has_count;
};

/**
 * struct held - A message that is held.
 * @message: Where it is; NULL: none.
 * @copy: Of a short one.
 */
struct held {
	const void *message;
	char copy[INLINE_SIZE] __attribute__((aligned(8)));
};

/**
 * struct ivshmem_subscriber - A subscriber.
 * @topic: The topic.
 * @history: How many messages it begins back.
 * @turn: Which publisher is looked at first.
 * @skipped: Messages that it did not get.
 * @received: Messages that it got.
 * @tells: Where it tells that: in its place.
 * @nowhere: In place of it, if it has none.
 * @checked: What that was when it was last looked whether this one was dropped.
 * @entered: Of a lossless topic: see topic_entered().
 * @streams: Of each publisher.
 * @held: As many as it may hold.
 * @member: For wait sets.
 */
struct ivshmem_subscriber {
	struct topic topic;
	unsigned int history;
	unsigned int turn;
	uint64_t skipped;
	uint64_t received;
	uint64_t *tells;
	uint64_t nowhere;
	uint64_t checked;
	uint32_t entered;
	struct stream streams[MAX_PUBLISHERS];
	struct held held[MAX_HOLDS];
	struct ivshmem_member member;
};

/* subscribe.c */
int ivshmem_subscriber_look(struct ivshmem_subscriber *subscriber);
void ivshmem_subscriber_tell_all(struct ivshmem_subscriber *subscriber);

#endif /* SUBSCRIBER_H */
