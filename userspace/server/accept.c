// SPDX-License-Identifier: MIT
/*
 * Connections, and which of them become peers. One that does not is closed at
 * once, which a client sees as the end of the stream.
 *
 * They are taken out of the kernel's backlog as fast as they come, so that there is
 * room for everybody's. Then users take turns, and each turn makes one peer. Whoever
 * has gone by then was never a peer, and nobody is told.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "server.h"

#define PAUSE_US	100000

/* Connections that are taken, or found to be gone, in one turn. */
#define BATCH		8

/**
 * struct connection - Whoever waits for its turn to become a peer.
 * @next: In struct user's waiting, in the order in which they came.
 * @socket: The connection.
 * @slot: Of its record.
 */
struct connection {
	TAILQ_ENTRY(connection) next;
	int socket;
	unsigned int slot;
};

static void enable(struct server *server, int state)
{
	sd_event_source_set_enabled(server->accept_peers, state);
	sd_event_source_set_enabled(server->accept_readers, state);
}

/* The connection stays in the backlog, and would wake the loop for ever. */
static void pause_accepting(struct server *server, int error)
{
	log_event(server, LOG_WARNING, "paused", NULL,
		  "a connection waits, the system has no room for it: %s",
		  strerror(error));
	enable(server, SD_EVENT_OFF);
	sd_event_source_set_time_relative(server->resume, PAUSE_US);
	sd_event_source_set_enabled(server->resume, SD_EVENT_ONESHOT);
}

static int on_resume(sd_event_source *source, uint64_t now, void *data)
{
	enable(data, SD_EVENT_ON);
	return 0;
}

/* A socket, or a negative errno where there is nothing to be done now. */
int accept_connection(struct server *server, int listener)
{
	int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (socket >= 0)
		return socket;
	switch (errno) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		pause_accepting(server, errno);
	}
	return -errno;
}

/*
 * What is told first makes the difference to a connection that is closed since this
 * process was killed: who made that one may try again.
 */
static void refuse(struct server *server, int socket, const struct credentials *credentials,
		   const char *why)
{
	const struct subject subject = { credentials, -1 };
	struct mmsghdr wire;

	log_event(server, LOG_WARNING, "refused", &subject, "refused: %s", why);
	wire_send(&wire, socket, 0, -1);
	close(socket);
}

static bool is_gone(int socket)
{
	char byte;
	ssize_t got = recv(socket, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);

	return !got || (got < 0 && errno != EAGAIN && errno != EINTR);
}

/* Why it can't become a peer, in @why. */
static bool has_objection(struct server *server, int socket,
			  const struct credentials *credentials, char *why, size_t length)
{
	if (!access_allowed(&server->options->access, socket, credentials)) {
		snprintf(why, length, "neither its user nor its groups are among those allowed (--allow-user, --allow-group)");
		return true;
	}
	return limits_object(server, credentials->uid, why, length);
}

/* Takes over @socket and the record in @slot where it succeeds. */
int accept_wait(struct server *server, int socket, unsigned int slot)
{
	uid_t uid = book_record(&server->book, slot)->credentials.uid;
	struct connection *connection = malloc(sizeof(*connection));
	struct user *user = connection ? users_count_in(server, uid) : NULL;

	if (!user) {
		free(connection);
		return -ENOMEM;
	}
	connection->socket = socket;
	connection->slot = slot;
	if (TAILQ_EMPTY(&user->waiting))
		TAILQ_INSERT_TAIL(&server->turns, user, turn);
	TAILQ_INSERT_TAIL(&user->waiting, connection, next);
	server->n_waiting++;
	return 0;
}

/* Takes over @socket where it succeeds. */
static int take(struct server *server, int socket, const struct credentials *credentials)
{
	int slot = book_take(&server->book, credentials), ret;

	if (slot < 0)
		return slot;
	store_socket(server, slot, socket);
	ret = accept_wait(server, socket, slot);
	if (ret < 0)
		store_forget(server, slot);
	return ret;
}

/* Takes over @socket. */
static void receive(struct server *server, int socket)
{
	struct credentials credentials;
	char why[160];
	int ret;

	server->steps++;
	if (is_gone(socket) || credentials_get(socket, &credentials) < 0) {
		close(socket);
		return;
	}
	if (has_objection(server, socket, &credentials, why, sizeof(why))) {
		refuse(server, socket, &credentials, why);
		return;
	}
	ret = take(server, socket, &credentials);
	if (ret < 0)
		refuse(server, socket, &credentials, strerror(-ret));
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct server *server = data;
	int socket, i;

	for (i = 0; i < BATCH; i++) {
		socket = accept_connection(server, fd);
		if (socket < 0)
			break;
		receive(server, socket);
	}
	return 0;
}

/* The first one of @user: its socket, which nobody closes any more. */
static struct connection take_waiting(struct server *server, struct user *user)
{
	struct connection *first = TAILQ_FIRST(&user->waiting), taken = *first;

	TAILQ_REMOVE(&user->waiting, first, next);
	free(first);
	server->n_waiting--;
	return taken;
}

/* Why it did not become a peer, or NULL. */
static const char *join(struct server *server, struct user *user,
			const struct connection *connection)
{
	int ret;

	if (!region_is_whole(&server->region))
		return "the region's file was truncated";
	ret = peers_join(server, connection->slot, connection->socket, user);
	return ret ? strerror(-ret) : NULL;
}

/* False where it was gone already. */
static bool admit(struct server *server, struct user *user, struct connection *connection)
{
	const char *why = NULL;
	bool gone = is_gone(connection->socket);

	server->steps++;
	if (gone)
		close(connection->socket);
	else
		why = join(server, user, connection);
	if (why)
		refuse(server, connection->socket,
		       &book_record(&server->book, connection->slot)->credentials, why);
	if (gone || why) {
		store_forget(server, connection->slot);
		users_count_out(server, user);
	}
	return !gone;
}

bool accept_pending(const struct server *server)
{
	return !TAILQ_EMPTY(&server->turns);
}

/* The next user's turn: one peer more, and those on the way to it that are gone. */
void accept_turn(struct server *server)
{
	struct user *user = TAILQ_FIRST(&server->turns);
	struct connection connection;
	bool more = true, done = false;
	int i;

	if (!user)
		return;
	TAILQ_REMOVE(&server->turns, user, turn);
	for (i = 0; more && !done && i < BATCH; i++) {
		connection = take_waiting(server, user);
		more = !TAILQ_EMPTY(&user->waiting);
		/* May close the account of a user who has no more. */
		done = admit(server, user, &connection);
	}
	if (more)
		TAILQ_INSERT_TAIL(&server->turns, user, turn);
}

/* @on_reader: what to do when somebody connects to the status socket. */
int accept_start(struct server *server, sd_event_io_handler_t on_reader)
{
	int ret;

	ret = sd_event_add_time_relative(server->event, &server->resume,
					 CLOCK_MONOTONIC, 0, 0, on_resume, server);
	if (ret < 0)
		return ret;
	sd_event_source_set_enabled(server->resume, SD_EVENT_OFF);
	ret = sd_event_add_io(server->event, &server->accept_peers,
			      server->peers_at.fd, EPOLLIN, on_connection, server);
	if (ret < 0)
		return ret;
	return sd_event_add_io(server->event, &server->accept_readers,
			       server->status_at.fd, EPOLLIN, on_reader, server);
}

/* Stops where @action fails. */
int accept_for_all(struct server *server, kept_action *action, void *data)
{
	const struct connection *connection;
	char name[KEPT_NAME_SIZE];
	const struct user *user;
	int ret = 0;

	TAILQ_FOREACH(user, &server->turns, turn) {
		TAILQ_FOREACH(connection, &user->waiting, next) {
			kept_slot_name(name, connection->slot);
			ret = action(data, connection->socket, KEPT_PREFIX, name);
			if (ret)
				return ret;
		}
	}
	return 0;
}

void accept_stop(struct server *server)
{
	struct connection connection;
	struct user *user;

	while ((user = TAILQ_FIRST(&server->turns))) {
		connection = take_waiting(server, user);
		close(connection.socket);
		if (TAILQ_EMPTY(&user->waiting))
			TAILQ_REMOVE(&server->turns, user, turn);
		users_count_out(server, user);
	}
	server->accept_peers = sd_event_source_disable_unref(server->accept_peers);
	server->accept_readers = sd_event_source_disable_unref(server->accept_readers);
	server->resume = sd_event_source_disable_unref(server->resume);
}
