// SPDX-License-Identifier: MIT
/*
 * A client's queue. A peer that leaves is taken out of all queues, so what
 * stands in one names peers that are there, and never holds a descriptor back.
 * A queue has thus at most two messages for each ID, whoever comes and goes.
 */

#include <errno.h>
#include <stdlib.h>

#include "server.h"

#define ROOM_MIN	16

static struct message *queue_at(const struct queue *queue, size_t index)
{
	return &queue->ring[(queue->head + index) & (queue->room - 1)];
}

/* NULL where it is empty. */
struct message *queue_first(const struct queue *queue)
{
	return queue->length ? queue_at(queue, 0) : NULL;
}

static int grow(struct queue *queue)
{
	size_t room = queue->room ? 2 * queue->room : ROOM_MIN;
	struct message *ring = calloc(room, sizeof(*ring));
	size_t i;

	if (!ring)
		return -ENOMEM;
	for (i = 0; i < queue->length; i++)
		ring[i] = *queue_at(queue, i);
	free(queue->ring);
	queue->ring = ring;
	queue->room = room;
	queue->head = 0;
	return 0;
}

int queue_push(struct queue *queue, struct message message)
{
	int ret = 0;

	if (queue->length == queue->room)
		ret = grow(queue);
	if (!ret)
		*queue_at(queue, queue->length++) = message;
	return ret;
}

/* Most clients read at once: an empty queue takes no memory. */
void queue_pop(struct queue *queue)
{
	queue->head = (queue->head + 1) & (queue->room - 1);
	queue->length--;
	queue->vector = 0;
	if (!queue->length)
		queue_clear(queue);
}

static void delete_at(struct queue *queue, size_t index)
{
	if (!index) {
		queue_pop(queue);
		return;
	}
	for (; index + 1 < queue->length; index++)
		*queue_at(queue, index) = *queue_at(queue, index + 1);
	queue->length--;
}

/*
 * Takes out what is still to be told about @peer, which leaves. Returns whether
 * the client was told anything of it, and is to learn that it left.
 */
bool queue_forget(struct queue *queue, const struct peer *peer)
{
	bool told;
	size_t i;

	for (i = 0; i < queue->length; i++) {
		if (queue_at(queue, i)->peer != peer)
			continue;
		told = !i && queue->vector;
		delete_at(queue, i);
		return told;
	}
	return true;
}

void queue_clear(struct queue *queue)
{
	free(queue->ring);
	*queue = (struct queue){ 0 };
}
