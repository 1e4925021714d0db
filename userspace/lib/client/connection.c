// SPDX-License-Identifier: MIT
/*
 * What comes from the server: taken, and put off for who asks. Whatever of the library
 * waits or rings takes it, so a program need not ask for news.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "system/system.h"
#include "client.h"

/* How long the further vectors of a peer that has joined are waited for. */
#define COMPLETE_MS	25

/* A server that never stops talking does not keep a peer from being rung. */
#define HEAR_MESSAGES	4096

/* Until the next try where there is no room for a descriptor. */
#define DEAF_MS		100

/* --- beginning and end --- */

static void release_fd(int fd)
{
	close(fd);
}

static int watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/*
 * In a child that fork(2) made: the server must not take it for its dead parent. Closing
 * is no farewell, as long as the parent has the socket, too.
 */
static void disown(struct ivshmem_heir *heir)
{
	struct ivshmem_connection *connection = container_of(heir, struct ivshmem_connection, heir);

	ivshmem_message_socket_close(&connection->server);
	connection->ended = -ECHILD;
}

/* Under the lock: a child that is forked meanwhile must know of it. */
static int open_socket(struct ivshmem_connection *connection)
{
	int fd, err;

	pthread_mutex_lock(&connection->lock);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	err = fd < 0 ? -errno : 0;
	ivshmem_message_socket_init(&connection->server, fd);
	pthread_mutex_unlock(&connection->lock);
	return err;
}

/* Not connected yet. Where it fails, ivshmem_connection_close() is in order, too. */
int ivshmem_connection_init(struct ivshmem_connection *connection)
{
	int err;

	pthread_mutex_init(&connection->lock, NULL);
	ivshmem_message_socket_init(&connection->server, -1);
	ivshmem_protocol_init(&connection->protocol, release_fd);
	connection->heir = (struct ivshmem_heir) { .lock = &connection->lock, .disown = disown };
	connection->news_fd = epoll_create1(EPOLL_CLOEXEC);
	err = connection->news_fd < 0 ? -errno : 0;
	err = ivshmem_backlog_init(&connection->backlog) ?: err;
	connection->fd_folder = ivshmem_path_folder();
	if (!err && connection->fd_folder < 0)
		err = connection->fd_folder;
	if (!err)
		err = ivshmem_fork_watch(&connection->heir);
	if (!err)
		err = open_socket(connection);
	if (!err)
		err = watch(connection->news_fd, connection->server.socket);
	return err ?: watch(connection->news_fd, connection->backlog.fd);
}

void ivshmem_connection_close(struct ivshmem_connection *connection)
{
	ivshmem_fork_unwatch(&connection->heir);
	ivshmem_message_socket_close(&connection->server);
	ivshmem_protocol_free(&connection->protocol);
	ivshmem_backlog_free(&connection->backlog);
	if (connection->fd_folder >= 0)
		close(connection->fd_folder);
	if (connection->news_fd >= 0)
		close(connection->news_fd);
	pthread_mutex_destroy(&connection->lock);
	free(connection->path);
	free(connection);
}

/* The server sees that this peer has left; who polls the socket, that it has ended. */
static void end(struct ivshmem_connection *connection, int err)
{
	connection->ended = err;
	shutdown(connection->server.socket, SHUT_RDWR);
}

/* --- messages --- */

/*
 * Whoever sent it may be hostile: a write to a pipe or a socket could raise
 * SIGPIPE, one to a file could fill a disk.
 *
 * "ivshmem serve" marks the last of a peer's eventfds with O_APPEND, which means
 * nothing to an eventfd: the protocol has no other way to say that these were all.
 */
static int prepare_event_fd(int folder, int fd, bool *is_last)
{
	int flags, err;
	char *path;
	bool is;

	err = ivshmem_path_in(folder, fd, &path);
	if (err)
		return err;
	is = !strcmp(path, "anon_inode:[eventfd]");
	free(path);
	if (!is)
		return -EPROTO;
	flags = fcntl(fd, F_GETFL);
	*is_last = flags & O_APPEND;
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* What ivshmem_protocol_feed() says of it. */
static int take_in(struct ivshmem_connection *connection, const struct ivshmem_message *message)
{
	struct ivshmem_protocol *protocol = &connection->protocol;
	bool is_last = false;
	int event = 0;

	if (message->fd >= 0 && message->value != IVSHMEM_PROTOCOL_REGION)
		event = prepare_event_fd(connection->fd_folder, message->fd, &is_last);
	if (!event)
		event = ivshmem_protocol_feed(protocol, message->value, message->fd);
	if (event < 0 && message->fd >= 0)
		close(message->fd);
	if (event >= 0 && is_last)
		ivshmem_protocol_complete(protocol, (uint16_t)message->value);
	return event;
}

/*
 * The next message: an enum ivshmem_protocol_event, about @peer. -EAGAIN: it has not
 * come; -EMFILE: there is no room for its descriptor, it stays in the socket. Any
 * other error leaves the table behind the server's, and ends the connection.
 */
int ivshmem_connection_take(struct ivshmem_connection *connection, unsigned int *peer)
{
	struct ivshmem_message message = { .fd = -1 };
	int event;

	if (connection->ended)
		return connection->ended;
	event = ivshmem_message_socket_receive(&connection->server, &message);
	if (event == -EAGAIN || event == -EMFILE)
		return event;
	if (!event)
		event = take_in(connection, &message);
	if (event < 0)
		end(connection, event);
	else
		*peer = (unsigned int)message.value;
	return event;
}

/* Until there are bytes, or the end. */
int ivshmem_connection_wait(const struct ivshmem_connection *connection, int64_t deadline)
{
	struct pollfd poller = { .fd = connection->server.socket, .events = POLLIN };

	return ivshmem_poll_until(&poller, 1, deadline);
}

/* Brings the table of peers up to date; ivshmem_peer_next() tells the news later. */
void ivshmem_connection_hear(struct ivshmem_connection *connection)
{
	unsigned int peer;
	int i, event = 0;

	if (ivshmem_connection_wait(connection, 0))
		return;
	pthread_mutex_lock(&connection->lock);
	for (i = 0; i < HEAR_MESSAGES && event >= 0; i++) {
		event = ivshmem_connection_take(connection, &peer);
		if (event > IVSHMEM_EVENT_NONE)
			ivshmem_backlog_add(&connection->backlog, event, peer);
	}
	if (event == -EMFILE)
		connection->deaf_until = ivshmem_deadline(DEAF_MS);
	pthread_mutex_unlock(&connection->lock);
}

/* --- for who waits --- */

/*
 * The socket, where a wait for this vector polls it: readable when there is something
 * to hear, and until the end was told there. Else -1; where that is for a while only,
 * *@until becomes its end.
 */
int ivshmem_connection_listen(struct ivshmem_connection *connection, unsigned int vector,
			      int64_t *until)
{
	int fd = connection->server.socket;

	pthread_mutex_lock(&connection->lock);
	if (connection->ended) {
		if (connection->told[vector])
			fd = -1;
	} else if (!ivshmem_deadline_passed(connection->deaf_until)) {
		fd = -1;
		if (connection->deaf_until < *until)
			*until = connection->deaf_until;
	}
	pthread_mutex_unlock(&connection->lock);
	return fd;
}

/* -ECONNRESET once for each vector after the connection has ended, else 0. */
int ivshmem_connection_tell_end(struct ivshmem_connection *connection, unsigned int vector)
{
	int err = 0;

	pthread_mutex_lock(&connection->lock);
	if (connection->ended && !connection->told[vector]) {
		connection->told[vector] = true;
		err = -ECONNRESET;
	}
	pthread_mutex_unlock(&connection->lock);
	return err;
}

/* As far as was heard. */
bool ivshmem_connection_has_ended(struct ivshmem_connection *connection)
{
	bool has_ended;

	pthread_mutex_lock(&connection->lock);
	has_ended = connection->ended;
	pthread_mutex_unlock(&connection->lock);
	return has_ended;
}

/* Is it sure, as far as was heard, that the server has no such peer? */
bool ivshmem_connection_lacks(struct ivshmem_connection *connection, unsigned int peer)
{
	const struct ivshmem_protocol *protocol = &connection->protocol;
	bool lacks;

	pthread_mutex_lock(&connection->lock);
	lacks = !connection->ended && ivshmem_deadline_passed(connection->deaf_until) &&
		peer != protocol->self.id && !ivshmem_protocol_find(protocol, peer);
	pthread_mutex_unlock(&connection->lock);
	return lacks;
}

/* --- for who asks --- */

/* All vectors of a peer come in one go: once there is other news, these were all. */
static bool lacks_vectors(struct ivshmem_connection *connection, unsigned int id)
{
	const struct ivshmem_protocol *protocol = &connection->protocol;
	const struct ivshmem_peer *peer;
	bool lacks;

	pthread_mutex_lock(&connection->lock);
	peer = ivshmem_protocol_find(protocol, id);
	lacks = peer && !peer->is_complete && peer->vectors < protocol->self.vectors &&
		!connection->ended && ivshmem_deadline_passed(connection->deaf_until) &&
		ivshmem_backlog_is_empty(&connection->backlog);
	pthread_mutex_unlock(&connection->lock);
	return lacks;
}

/*
 * A peer can be rung at its first vector, but whoever is told of it expects all
 * that it has: most likely as many as this end.
 */
static void complete(struct ivshmem_connection *connection, unsigned int peer)
{
	int64_t deadline = ivshmem_deadline(COMPLETE_MS);

	while (lacks_vectors(connection, peer) && !ivshmem_connection_wait(connection, deadline))
		ivshmem_connection_hear(connection);
}

/* Whoever polls @news_fd has no more to learn, once it was told the end. */
static int take_next(struct ivshmem_connection *connection, unsigned int *peer)
{
	int event;

	pthread_mutex_lock(&connection->lock);
	event = ivshmem_backlog_take(&connection->backlog, peer);
	if (event == IVSHMEM_EVENT_NONE)
		event = ivshmem_connection_take(connection, peer);
	if (connection->ended && event == connection->ended)
		epoll_ctl(connection->news_fd, EPOLL_CTL_DEL, connection->server.socket, NULL);
	pthread_mutex_unlock(&connection->lock);
	return event;
}

/* What has happened by then: an enum ivshmem_protocol_event, about @peer. */
int ivshmem_connection_next(struct ivshmem_connection *connection, int64_t deadline,
			    struct ivshmem_cancel *cancel, unsigned int *peer)
{
	struct pollfd pollers[] = {
		{ .fd = connection->news_fd, .events = POLLIN },
		{ .fd = ivshmem_cancel_fd(cancel), .events = POLLIN },
	};
	int event, err;

	if (pollers[1].fd < 0)
		return pollers[1].fd;
	for (;;) {
		event = take_next(connection, peer);
		if (event == IVSHMEM_EVENT_JOINED)
			complete(connection, *peer);
		if (event != -EAGAIN && event != IVSHMEM_EVENT_NONE)
			return event;
		err = event == -EAGAIN ? ivshmem_poll_until(pollers, 2, deadline) : 0;
		if (err)
			return err;
		if (pollers[1].revents && !pollers[0].revents)
			return -ECANCELED;
	}
}

/* Readable when there are news, or the end is to be told. Else why there will be none. */
int ivshmem_connection_news_fd(struct ivshmem_connection *connection)
{
	int fd = connection->news_fd;

	pthread_mutex_lock(&connection->lock);
	if (connection->ended && ivshmem_backlog_is_empty(&connection->backlog))
		fd = connection->ended;
	pthread_mutex_unlock(&connection->lock);
	return fd;
}
