// SPDX-License-Identifier: MIT
/*
 * Sends each client its news, as far as it takes them.
 *
 * What has happened is told a slice at a time, between events, so that nobody waits
 * for a long round of it. In a slice users take turns, however many clients of a user
 * have something to be told. A client whose socket is full is left alone until it has
 * taken something: it costs nothing meanwhile.
 */

#include <errno.h>
#include <sys/epoll.h>

#include "server.h"

/* Messages to one client, before it is the turn of others. */
#define BATCH		64

/* Messages to all, before it is the turn of events. */
#define SLICE		32

/* Of these to one user's clients, before it is the turn of another user. */
#define QUANTUM		8

/* Until the next try where the kernel refused a message. */
#define RETRY_US	20000

static void watch(struct peer *client, bool for_room)
{
	uint32_t now = 0, events = PEER_EVENTS | (for_room ? EPOLLOUT : 0);

	sd_event_source_get_io_events(client->io, &now);
	if (now != events)
		sd_event_source_set_io_events(client->io, events);
}

/* The first one sets the time: others that come meanwhile do not put it off. */
static void stall(struct peer *client)
{
	struct server *server = client->server;
	bool is_first = TAILQ_EMPTY(&server->waits[WAIT_TIME]);

	/* The socket says that it has room, so time has to tell. */
	watch(client, false);
	waits_for(client, WAIT_TIME);
	if (!is_first)
		return;
	sd_event_source_set_time_relative(server->retry, RETRY_US);
	sd_event_source_set_enabled(server->retry, SD_EVENT_ONESHOT);
}

static void wait_for_room(struct peer *client)
{
	watch(client, true);
	waits_for(client, WAIT_ROOM);
}

static void rest(struct peer *client)
{
	watch(client, false);
	waits_for(client, WAIT_NEWS);
}

/* At most so many messages; how many there were, in @sent. -ENODATA: it knows all. */
static int send_some(struct peer *client, unsigned int most, unsigned int *sent)
{
	struct book *book = &client->server->book;
	struct message message;
	int ret = 0;

	for (*sent = 0; !ret && *sent < most; ++*sent) {
		if (!news_next(client, &message))
			return -ENODATA;
		client->server->steps++;
		book_send(book, client, &message);
		ret = wire_send(&book->header->outbox.wire, client->socket, message.value,
				message.fd);
		if (!ret)
			news_told(client, &message);
		book_sent(book);
	}
	return ret;
}

/* Returns how many messages went out. */
static unsigned int tell_some(struct peer *client, unsigned int most)
{
	unsigned int sent = 0;

	switch (send_some(client, most, &sent)) {
	case -ENODATA:
		rest(client);
		break;
	case 0:
		waits_for(client, WAIT_TURN);
		break;
	case -EAGAIN:
		wait_for_room(client);
		break;
	case -ETOOMANYREFS:
	case -ENOBUFS:
	case -ENOMEM:
		stall(client);
		break;
	case -EPIPE:
	case -ECONNRESET:
		waits_to_end(client, NULL);
		break;
	default:
		waits_to_end(client, "sending to it failed");
	}
	return sent;
}

/* What it takes now. */
void tell_now(struct peer *client)
{
	tell_some(client, BATCH);
}

/* It has taken something. */
void tell_room(struct peer *client)
{
	if (client->wait == WAIT_ROOM)
		waits_for(client, WAIT_TURN);
}

bool tell_pending(const struct server *server)
{
	return !TAILQ_EMPTY(&server->tells);
}

/* The turn of one user. Returns how many messages went out, and looks at clients. */
static unsigned int tell_user(struct server *server, struct user *user)
{
	unsigned int sent = 0;
	struct peer *client;

	while (sent < QUANTUM && (client = TAILQ_FIRST(&user->to_tell)))
		sent += 1 + tell_some(client, QUANTUM - sent);
	if (!TAILQ_EMPTY(&user->to_tell)) {
		TAILQ_REMOVE(&server->tells, user, tell);
		TAILQ_INSERT_TAIL(&server->tells, user, tell);
	}
	return sent;
}

/* One slice of what is to be told. */
void tell_turn(struct server *server)
{
	unsigned int sent = 0;
	struct user *user;

	while (sent < SLICE && (user = TAILQ_FIRST(&server->tells)))
		sent += tell_user(server, user);
}

/* Another try for those whom the kernel refused a message. */
static int on_retry(sd_event_source *source, uint64_t now, void *data)
{
	struct server *server = data;
	struct peer *client;

	while ((client = TAILQ_FIRST(&server->waits[WAIT_TIME])))
		waits_for(client, WAIT_TURN);
	return 0;
}

int tell_start(struct server *server)
{
	int ret;

	ret = sd_event_add_time_relative(server->event, &server->retry,
					 CLOCK_MONOTONIC, 0, RETRY_US / 4, on_retry, server);
	if (ret < 0)
		return ret;
	return sd_event_source_set_enabled(server->retry, SD_EVENT_OFF);
}

void tell_stop(struct server *server)
{
	server->retry = sd_event_source_disable_unref(server->retry);
}
