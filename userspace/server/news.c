// SPDX-License-Identifier: MIT
/*
 * What each client knows, and what it is to be told next.
 *
 * Nothing is queued. The peers stand in the order in which they joined, and each
 * client has a place among them: it knows all who are there up to that place. So
 * what it is still to be told of is whoever stands behind, and one who comes and
 * goes in between leaves no trace. Only of those that it knows, and that left, a
 * note is kept for it.
 *
 * It is told of all leaves before the next join. An ID that was given anew is thus
 * never announced before its old owner's leave.
 *
 * Whoever leaves looks only at clients that know it, for which the places with
 * clients on them are a list of their own. Each of these clients was once sent a
 * message about the one that leaves, so clients that do not read cost nothing.
 */

#include <stddef.h>

#include "server.h"

static struct peer *peer_at(struct place *place)
{
	return (struct peer *)((char *)place - offsetof(struct peer, place));
}

void news_init(struct server *server)
{
	TAILQ_INIT(&server->peers);
	TAILQ_INIT(&server->places);
	TAILQ_INIT(&server->start.clients);
	TAILQ_INSERT_HEAD(&server->places, &server->start, occupied);
}

/* The first one behind @place, or NULL. */
static struct peer *next_peer(const struct server *server, struct place *place)
{
	return place == &server->start ? TAILQ_FIRST(&server->peers)
				       : TAILQ_NEXT(peer_at(place), all);
}

static struct place *place_before(struct server *server, struct peer *peer)
{
	struct peer *before = TAILQ_PREV(peer, peer_list, all);

	return before ? &before->place : &server->start;
}

/* The start is always in the list of places. */
static bool is_listed(const struct server *server, const struct place *place)
{
	return place == &server->start || !TAILQ_EMPTY(&place->clients);
}

static void step_off(struct peer *client)
{
	struct place *place = client->knows;

	TAILQ_REMOVE(&place->clients, client, beside);
	if (!is_listed(client->server, place))
		TAILQ_REMOVE(&client->server->places, place, occupied);
}

/* To the next place: none of the occupied ones lies in between. */
static void step_forward(struct peer *client, struct place *to)
{
	struct server *server = client->server;

	if (!is_listed(server, to))
		TAILQ_INSERT_AFTER(&server->places, client->knows, to, occupied);
	step_off(client);
	client->knows = to;
	client->record->knows = to->number;
	TAILQ_INSERT_TAIL(&to->clients, client, beside);
}

/* The same, the other way. What @client knew of the place that it leaves is moot. */
static void step_back(struct peer *client, struct place *to)
{
	struct server *server = client->server;

	if (!is_listed(server, to))
		TAILQ_INSERT_BEFORE(client->knows, to, occupied);
	step_off(client);
	client->knows = to;
	/* In this order, should the process be killed: see book.c. */
	client->record->vectors_told = server->vectors;
	book_order();
	client->record->knows = to->number;
	TAILQ_INSERT_TAIL(&to->clients, client, beside);
}

static void stand_in_line(struct peer *peer)
{
	peer->place.number = peer->record->number;
	TAILQ_INIT(&peer->place.clients);
	TAILQ_INSERT_TAIL(&peer->server->peers, peer, all);
	peer->server->n_peers++;
}

/* From now on it is there. It knows nobody yet, not even itself. */
void news_joined(struct peer *peer)
{
	struct server *server = peer->server;
	struct record *record = peer->record;

	record->number = ++server->book.header->joins;
	record->vectors_told = server->vectors;
	record->knows = 0;
	book_order();
	record->state = RECORD_PEER;
	stand_in_line(peer);
	peer->knows = &server->start;
	TAILQ_INSERT_TAIL(&server->start.clients, peer, beside);
}

/* The place of the last one of @peers that joined before, or with, @number. */
static struct place *place_up_to(struct server *server, struct peer *const *peers, size_t count,
				 uint64_t number)
{
	size_t low = 0, high = count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (peers[middle]->record->number <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &peers[low - 1]->place : &server->start;
}

/* All who are there, in the order in which they joined, when a server comes back. */
void news_resumed(struct server *server, struct peer *const *peers, size_t count)
{
	struct record *record;
	size_t i;

	for (i = 0; i < count; i++)
		stand_in_line(peers[i]);
	for (i = 0; i < count; i++) {
		record = peers[i]->record;
		peers[i]->knows = place_up_to(server, peers, count, record->knows);
		/* The last one that it was told of left: what it knew of that is moot. */
		if (peers[i]->knows->number != record->knows)
			record->vectors_told = server->vectors;
		TAILQ_INSERT_TAIL(&peers[i]->knows->clients, peers[i], beside);
	}
	for (i = 0; i < count; i++)
		if (!TAILQ_EMPTY(&peers[i]->place.clients))
			TAILQ_INSERT_TAIL(&server->places, &peers[i]->place, occupied);
}

static void note_leave(struct peer *client, const struct peer *left)
{
	client->server->steps++;
	leaves_add(&client->leaves, left->record->id);
	waits_over(client);
}

/* From now on it is not there: a note for each client that knows it. */
void news_left(struct peer *peer)
{
	struct server *server = peer->server;
	struct place *place, *before = place_before(server, peer);
	struct peer *client;

	peer->record->state = RECORD_LEAVING;
	book_order();
	step_off(peer);
	leaves_clear(&peer->leaves);
	TAILQ_FOREACH_REVERSE(place, &server->places, place_list, occupied) {
		if (place->number < peer->place.number)
			break;
		TAILQ_FOREACH(client, &place->clients, beside)
			note_leave(client, peer);
	}
	while ((client = TAILQ_FIRST(&peer->place.clients)))
		step_back(client, before);
	TAILQ_REMOVE(&server->peers, peer, all);
	server->n_peers--;
}

static struct message introduction(const struct peer *client)
{
	struct message message = { .kind = NEWS_INTRODUCTION, .fd = -1 };

	switch (client->record->introduced) {
	case 0:
		break;		/* the protocol's version, 0 */
	case 1:
		message.value = client->record->id;
		break;
	default:
		message.value = -1;
		message.fd = client->server->region.fd;
	}
	return message;
}

static struct message vector_of(struct peer *peer, unsigned int vector)
{
	return (struct message){
		.kind = NEWS_VECTOR, .value = peer->record->id, .fd = peer->vectors[vector],
		.peer = peer, .vector = vector,
	};
}

/* What @client is to be told next, in @message; false where it knows all. */
bool news_next(const struct peer *client, struct message *message)
{
	const struct record *record = client->record;
	struct peer *next;

	if (record->introduced < NEWS_INTRODUCTIONS) {
		*message = introduction(client);
		return true;
	}
	if (record->vectors_told < client->server->vectors) {
		*message = vector_of(peer_at(client->knows), record->vectors_told);
		return true;
	}
	if (client->leaves.count) {
		*message = (struct message){
			.kind = NEWS_LEAVE, .value = leaves_first(&client->leaves), .fd = -1,
		};
		return true;
	}
	next = next_peer(client->server, client->knows);
	if (next)
		*message = vector_of(next, 0);
	return next;
}

/* It was told what news_next() said. Each store can be made again: see resume.c. */
void news_told(struct peer *client, const struct message *message)
{
	switch (message->kind) {
	case NEWS_INTRODUCTION:
		client->record->introduced++;
		break;
	case NEWS_LEAVE:
		leaves_remove(&client->leaves, message->value);
		break;
	case NEWS_VECTOR:
		if (client->knows != &message->peer->place)
			step_forward(client, &message->peer->place);
		client->record->vectors_told = message->vector + 1;
		break;
	}
}

/* Sets how much each is still to be told: for one it would take as long. */
void news_count(struct server *server)
{
	unsigned int rank = 0;
	struct peer *peer;

	TAILQ_FOREACH(peer, &server->peers, all)
		peer->place.rank = ++rank;
	TAILQ_FOREACH(peer, &server->peers, all)
		peer->untold = NEWS_INTRODUCTIONS - peer->record->introduced + peer->leaves.count +
			       rank - peer->knows->rank;
}
