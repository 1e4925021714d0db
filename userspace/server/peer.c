// SPDX-License-Identifier: MIT
/*
 * Peers: how they join and how they leave.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

static void free_peer(struct peer *peer)
{
	unsigned int i;

	sd_event_source_disable_unref(peer->io);
	for (i = 0; i < peer->server->vectors; i++)
		if (peer->vectors[i] >= 0)
			close(peer->vectors[i]);
	if (peer->socket >= 0)
		close(peer->socket);
	free(peer);
}

static void log_end(const struct peer *peer)
{
	const struct record *record = peer->record;
	const struct subject subject = { &record->credentials, record->id };

	if (peer->end)
		log_event(peer->server, LOG_WARNING, "dropped", &subject,
			  "peer %u dropped: %s", record->id, peer->end);
	else
		log_event(peer->server, LOG_INFO, "left", &subject, "peer %u left", record->id);
}

static void end(struct peer *peer)
{
	struct server *server = peer->server;
	unsigned int slot = peer->slot;

	log_end(peer);
	waits_leave(peer);
	news_left(peer);
	server->n_qemus -= !peer->record->credentials.is_program;
	ids_give_back(&server->ids, peer->record->id);
	users_count_out(server, peer->user);
	store_forget(server, slot);
	free_peer(peer);
	notify_peers_changed(server);
}

/* Ends those that must go, and tells the others. No peer may be in use meanwhile. */
void peers_turn(struct server *server)
{
	struct peer *peer;

	while ((peer = TAILQ_FIRST(&server->waits[WAIT_END])))
		end(peer);
}

/* Whether it goes on. */
static bool listen_to(struct peer *peer)
{
	ssize_t got;
	char byte;

	do {
		got = recv(peer->socket, &byte, sizeof(byte), MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		return true;
	waits_to_end(peer, got > 0 ? "it sent something, and the protocol has nothing to send"
				   : NULL);
	return false;
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct peer *peer = data;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !listen_to(peer))
		return 0;
	if (events & EPOLLOUT)
		tell_room(peer);
	return 0;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

/* For the record in @slot; without vectors. NULL where there is no memory. */
struct peer *peers_new(struct server *server, unsigned int slot, int socket, struct user *user)
{
	unsigned int vectors = server->vectors, i;
	struct peer *peer = calloc(1, sizeof(*peer) + vectors * sizeof(int));

	if (!peer)
		return NULL;
	peer->server = server;
	peer->slot = slot;
	peer->record = book_record(&server->book, slot);
	peer->socket = socket;
	peer->user = user;
	leaves_open(&peer->leaves, &peer->record->leaves, book_leaves(&server->book, slot));
	for (i = 0; i < vectors; i++)
		peer->vectors[i] = -1;
	return peer;
}

/*
 * The protocol has no way to say which vector is a peer's last. O_APPEND means nothing
 * to an eventfd, so it marks that one for the library, which then need not wait for
 * another. QEMU does not look at it.
 */
static int open_vectors(struct peer *peer)
{
	unsigned int vectors = peer->server->vectors, i;
	int ret;

	for (i = 0; i < vectors; i++) {
		peer->vectors[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (peer->vectors[i] < 0)
			return -errno;
		ret = store_number_of(peer->vectors[i], &peer->record->vectors[i]);
		if (ret < 0 && peer->server->store.max)
			return ret;
	}
	return fcntl(peer->vectors[vectors - 1], F_SETFL, O_NONBLOCK | O_APPEND) < 0 ? -errno : 0;
}

/*
 * The kernel counts the descriptors that are in flight for a user, and lets
 * this process go on only below its limit of open ones. So a client that does
 * not read is to have few of them.
 */
static void limit_in_flight(int socket)
{
	const int least = 0;

	setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
}

int peers_watch(struct peer *peer)
{
	int ret = sd_event_add_io(peer->server->event, &peer->io, peer->socket, PEER_EVENTS,
				  on_socket, peer);

	return ret < 0 ? ret : 0;
}

static int prepare(struct peer *peer)
{
	int ret;

	limit_in_flight(peer->socket);
	ret = open_vectors(peer);
	return ret < 0 ? ret : peers_watch(peer);
}

/*
 * QEMU wants ID 0 for a master, and which QEMU has one can't be told: so each gets it
 * that joins while no other is there. Others don't survive that an ID is given anew: up
 * to QEMU 11.1 they keep what they knew of its old owner after they have freed it.
 */
static bool may_be_master(const struct peer *peer)
{
	return !peer->record->credentials.is_program && !peer->server->n_qemus;
}

static unsigned int first_qemu(const struct server *server)
{
	const struct peer *peer;

	TAILQ_FOREACH(peer, &server->peers, all)
		if (!peer->record->credentials.is_program)
			return peer->record->id;
	return SERVER_MASTER_ID;
}

/* QEMU's own message to one that comes too late does not say who was there. */
static void log_begin(const struct peer *peer)
{
	const struct record *record = peer->record;
	const struct subject subject = { &record->credentials, record->id };

	if (record->credentials.is_program || record->id == SERVER_MASTER_ID)
		log_event(peer->server, LOG_INFO, "joined", &subject, "peer %u joined", record->id);
	else
		log_event(peer->server, LOG_INFO, "joined", &subject,
			  "peer %u joined, too late for a QEMU with master=on: peer %u was there before",
			  record->id, first_qemu(peer->server));
}

/* All others are told, and it is told of all. */
static void begin(struct peer *peer)
{
	struct server *server = peer->server;

	log_begin(peer);
	server->n_qemus += !peer->record->credentials.is_program;
	waits_over_for_all(server);
	store_vectors(peer);
	news_joined(peer);
	waits_join(peer);
	tell_now(peer);
	notify_peers_changed(server);
}

/*
 * Takes over @socket, the record in @slot, and @user's account of it, on success only.
 * Returns 0, or a negative errno.
 */
int peers_join(struct server *server, unsigned int slot, int socket, struct user *user)
{
	struct peer *peer = peers_new(server, slot, socket, user);
	int id, ret;

	if (!peer)
		return -ENOMEM;
	id = may_be_master(peer) ? ids_take_master(&server->ids) : ids_take(&server->ids);
	if (id < 0) {
		ret = id;
		goto err_free_peer;
	}
	server->book.header->next_id = server->ids.next;
	peer->record->id = id;
	peer->record->since = now_us();
	ret = prepare(peer);
	if (ret < 0)
		goto err_give_back_id;
	begin(peer);
	return 0;

err_give_back_id:
	ids_give_back(&server->ids, id);
err_free_peer:
	peer->socket = -1;
	free_peer(peer);
	return ret;
}

/* When this process ends: the peers go on among themselves, told nothing. */
void peers_stop(struct server *server)
{
	struct peer *peer;

	while ((peer = TAILQ_FIRST(&server->peers))) {
		TAILQ_REMOVE(&server->peers, peer, all);
		users_count_out(server, peer->user);
		free_peer(peer);
	}
}
