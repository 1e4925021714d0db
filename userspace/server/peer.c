// SPDX-License-Identifier: MIT
/*
 * Peers: how they join, what they are told, how they leave.
 *
 * A peer that must go is dropped first: served no more, but still in the list.
 * bury_dropped() then takes it out and tells the others, one peer after the
 * other, since telling may drop more of them.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

/*
 * A client that has so many messages queued without taking a single one is
 * dropped. Generous, for a VM that is stopped for a while.
 */
#define MISSED_MAX	4096

/* Messages to one client, before it is the turn of others. */
#define BATCH		256

/* Until the next try where the kernel refused a message. */
#define RETRY_US	20000

static void log_peer(const struct peer *peer, int priority, const char *event,
		     const char *message)
{
	const struct subject subject = { &peer->credentials, peer->id };

	log_event(peer->server, priority, event, &subject, "peer %u %s", peer->id,
		  message);
}

static void drop(struct peer *peer, int priority, const char *event,
		 const char *why)
{
	if (peer->is_dropped)
		return;
	log_peer(peer, priority, event, why);
	peer->is_dropped = true;
	queue_clear(&peer->queue);
	peer->io = sd_event_source_disable_unref(peer->io);
	TAILQ_INSERT_TAIL(&peer->server->dropped, peer, dropped);
}

/* The next message on the wire; moves on in the queue once it is sent. */
static int send_one(struct peer *peer)
{
	struct queue *queue = &peer->queue;
	struct message *message = queue_first(queue);
	int64_t value = message->id;
	int fd = -1, ret;

	switch (message->kind) {
	case MESSAGE_VERSION:
		value = 0;
		break;
	case MESSAGE_REGION:
		value = -1;
		fd = peer->server->region.fd;
		break;
	case MESSAGE_JOINED:
		fd = message->peer->vectors[queue->vector];
		break;
	case MESSAGE_ID:
	case MESSAGE_LEFT:
		break;
	}

	ret = wire_send(peer->socket, value, fd);
	if (ret < 0)
		return ret;
	peer->missed = 0;
	if (message->kind != MESSAGE_JOINED ||
	    ++queue->vector == peer->server->options->vectors)
		queue_pop(queue);
	return 0;
}

static void watch(struct peer *peer, bool for_room)
{
	sd_event_source_set_io_events(peer->io,
				      EPOLLIN | (for_room ? EPOLLOUT : 0));
}

/* Sends what the client takes now, and sees to the rest. */
static void flush(struct peer *peer)
{
	unsigned int i;
	int ret = 0;

	peer->stalled = false;
	for (i = 0; !ret && peer->queue.length && i < BATCH; i++)
		ret = send_one(peer);

	switch (ret) {
	case 0:
	case -EAGAIN:
		watch(peer, peer->queue.length);
		break;
	case -ETOOMANYREFS:
	case -ENOBUFS:
	case -ENOMEM:
		/* The socket says that it has room, so time has to tell. */
		watch(peer, false);
		peer->stalled = true;
		sd_event_source_set_time_relative(peer->server->retry, RETRY_US);
		sd_event_source_set_enabled(peer->server->retry, SD_EVENT_ONESHOT);
		break;
	case -EPIPE:
	case -ECONNRESET:
		drop(peer, LOG_INFO, "left", "left");
		break;
	default:
		drop(peer, LOG_WARNING, "dropped", "dropped: sending to it failed");
	}
}

/* Where the queue was empty, the message goes out at once. */
static void tell(struct peer *peer, struct message message)
{
	bool idle = !peer->queue.length;

	if (peer->is_dropped)
		return;
	if (queue_push(&peer->queue, message) < 0) {
		drop(peer, LOG_WARNING, "dropped", "dropped: no memory for its queue");
		return;
	}
	if (idle)
		flush(peer);
	if (!peer->is_dropped && peer->queue.length && ++peer->missed > MISSED_MAX)
		drop(peer, LOG_WARNING, "dropped", "dropped: it does not read");
}

static void free_peer(struct peer *peer)
{
	unsigned int i;

	sd_event_source_disable_unref(peer->io);
	queue_clear(&peer->queue);
	for (i = 0; i < peer->server->options->vectors; i++)
		if (peer->vectors[i] >= 0)
			close(peer->vectors[i]);
	if (peer->socket >= 0)
		close(peer->socket);
	free(peer);
}

static void bury(struct server *server, struct peer *peer)
{
	const struct message left = { MESSAGE_LEFT, peer->id, NULL };
	struct peer *other;

	TAILQ_REMOVE(&server->dropped, peer, dropped);
	TAILQ_REMOVE(&server->peers, peer, all);
	server->n_peers--;
	TAILQ_FOREACH(other, &server->peers, all)
		if (queue_forget(&other->queue, peer))
			tell(other, left);
	ids_give_back(&server->ids, peer->id);
	free_peer(peer);
}

/* Tells the others of all that were dropped. No peer may be in use meanwhile. */
static void bury_dropped(struct server *server)
{
	if (TAILQ_EMPTY(&server->dropped))
		return;
	while (!TAILQ_EMPTY(&server->dropped))
		bury(server, TAILQ_FIRST(&server->dropped));
	notify_peers_changed(server);
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct peer *peer = data;
	struct server *server = peer->server;
	ssize_t got = -1;
	char byte;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		got = recv(fd, &byte, sizeof(byte), MSG_DONTWAIT);
		if (got > 0)
			drop(peer, LOG_WARNING, "dropped",
			     "dropped: it sent something, and the protocol has nothing to send");
		else if (!got || (errno != EAGAIN && errno != EINTR))
			drop(peer, LOG_INFO, "left", "left");
	}
	if (!peer->is_dropped && events & EPOLLOUT)
		flush(peer);
	bury_dropped(server);
	return 0;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static struct peer *new_peer(struct server *server,
			     const struct credentials *credentials)
{
	unsigned int vectors = server->options->vectors, i;
	struct peer *peer = calloc(1, sizeof(*peer) + vectors * sizeof(int));

	if (!peer)
		return NULL;
	peer->server = server;
	peer->socket = -1;
	peer->credentials = *credentials;
	peer->since = now_us();
	for (i = 0; i < vectors; i++)
		peer->vectors[i] = -1;
	return peer;
}

static int open_vectors(struct peer *peer)
{
	unsigned int i;

	for (i = 0; i < peer->server->options->vectors; i++) {
		peer->vectors[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (peer->vectors[i] < 0)
			return -errno;
	}
	return 0;
}

static struct message joined(struct peer *peer)
{
	return (struct message){ MESSAGE_JOINED, peer->id, peer };
}

/* All that a client is told when it comes, in the protocol's order. */
static int introduce(struct peer *peer)
{
	struct queue *queue = &peer->queue;
	struct peer *other;
	int ret;

	ret = queue_push(queue, (struct message){ .kind = MESSAGE_VERSION });
	if (!ret)
		ret = queue_push(queue, (struct message){ MESSAGE_ID, peer->id, NULL });
	if (!ret)
		ret = queue_push(queue, (struct message){ .kind = MESSAGE_REGION });
	TAILQ_FOREACH(other, &peer->server->peers, all) {
		if (!ret)
			ret = queue_push(queue, joined(other));
	}
	if (!ret)
		ret = queue_push(queue, joined(peer));
	return ret;
}

/*
 * The kernel counts the descriptors that are in flight for a user, and lets
 * this process go on only below its limit of open ones. So a client that does
 * not read is to have few of them: the rest waits in its queue.
 */
static void limit_in_flight(int socket)
{
	const int least = 0;

	setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
}

static int prepare(struct peer *peer, int socket)
{
	int ret;

	limit_in_flight(socket);
	ret = open_vectors(peer);
	if (!ret)
		ret = introduce(peer);
	if (!ret)
		ret = sd_event_add_io(peer->server->event, &peer->io, socket, EPOLLIN,
				      on_socket, peer);
	return ret < 0 ? ret : 0;
}

/* Takes over @socket on success only. Returns 0, or a negative errno. */
int peers_join(struct server *server, int socket,
	       const struct credentials *credentials)
{
	struct peer *peer = new_peer(server, credentials), *other;
	int id, ret;

	if (!peer)
		return -ENOMEM;
	id = ids_take(&server->ids);
	if (id < 0) {
		ret = id;
		goto err_free_peer;
	}
	peer->id = id;
	ret = prepare(peer, socket);
	if (ret < 0)
		goto err_give_back_id;

	peer->socket = socket;
	log_peer(peer, LOG_INFO, "joined", "joined");
	TAILQ_FOREACH(other, &server->peers, all)
		tell(other, joined(peer));
	TAILQ_INSERT_TAIL(&server->peers, peer, all);
	server->n_peers++;
	flush(peer);
	bury_dropped(server);
	notify_peers_changed(server);
	return 0;

err_give_back_id:
	ids_give_back(&server->ids, id);
err_free_peer:
	free_peer(peer);
	return ret;
}

/* Another try for those whom the kernel refused a message. */
static int on_retry(sd_event_source *source, uint64_t now, void *data)
{
	struct server *server = data;
	struct peer *peer;

	TAILQ_FOREACH(peer, &server->peers, all)
		if (peer->stalled && !peer->is_dropped)
			flush(peer);
	bury_dropped(server);
	return 0;
}

int peers_start(struct server *server)
{
	int ret;

	ret = sd_event_add_time_relative(server->event, &server->retry,
					 CLOCK_MONOTONIC, 0, 0, on_retry, server);
	if (ret < 0)
		return ret;
	return sd_event_source_set_enabled(server->retry, SD_EVENT_OFF);
}

/* When the server ends: the peers go on among themselves, told nothing. */
void peers_stop(struct server *server)
{
	struct peer *peer;

	while ((peer = TAILQ_FIRST(&server->peers))) {
		TAILQ_REMOVE(&server->peers, peer, all);
		free_peer(peer);
	}
	server->retry = sd_event_source_disable_unref(server->retry);
}
