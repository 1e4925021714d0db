// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "system/system.h"
#include "client.h"

#define INTRODUCTION_MS	5000
#define CONNECT_PAUSE_NS	(10 * NS_PER_MS)

/*
 * The protocol has no mark for "that was all", so silence is taken for it: for so
 * many waits where this peer has no vector yet, where it has fewer than another,
 * and where it is likely to have all. Several short waits, not one long one: a
 * machine that stood still meanwhile is no silent server.
 */
#define SILENCE_WAIT_MS		5
#define SILENCE_NO_VECTOR	200
#define SILENCE_FEW_VECTORS	50
#define SILENCE			10

/* How long the further vectors of a peer that has joined are waited for. */
#define COMPLETE_MS	25

/* A server that never stops talking does not keep a peer from being rung. */
#define REFRESH_MESSAGES	4096

static void release_fd(int fd)
{
	close(fd);
}

void ivshmem_connection_close(struct ivshmem_connection *connection)
{
	ivshmem_message_socket_close(&connection->server);
	ivshmem_protocol_free(&connection->protocol);
	if (connection->backlog_fd >= 0)
		close(connection->backlog_fd);
	if (connection->news_fd >= 0)
		close(connection->news_fd);
	pthread_mutex_destroy(&connection->lock);
	free(connection->backlog);
	free(connection->path);
	free(connection);
}

/*
 * Whoever sent it may be hostile: a write to a pipe or a socket could raise
 * SIGPIPE, one to a file could fill a disk.
 */
static int prepare_event_fd(int fd)
{
	int flags, err;
	char *path;
	bool is;

	err = ivshmem_path_of(fd, &path);
	if (err)
		return err;
	is = !strcmp(path, "anon_inode:[eventfd]");
	free(path);
	if (!is)
		return -EPROTO;
	flags = fcntl(fd, F_GETFL);
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* What ivshmem_protocol_feed() says of the next message, and of which peer. */
static int take_message(struct ivshmem_connection *connection, unsigned int *peer)
{
	struct ivshmem_message message = { .fd = -1 };
	int event;

	event = ivshmem_message_socket_receive(&connection->server, &message);
	if (event < 0)
		return event;
	if (message.fd >= 0 && message.value != IVSHMEM_PROTOCOL_REGION)
		event = prepare_event_fd(message.fd);
	if (!event)
		event = ivshmem_protocol_feed(&connection->protocol, message.value, message.fd);
	if (event < 0 && message.fd >= 0)
		close(message.fd);
	if (event >= 0)
		*peer = (unsigned int)message.value;
	return event;
}

static int wait_for_bytes(const struct ivshmem_connection *connection, int64_t deadline)
{
	struct pollfd poller = { .fd = connection->server.socket, .events = POLLIN };

	return ivshmem_poll_until(&poller, 1, deadline);
}

static bool is_passing(int err)
{
	return err == -ETIMEDOUT || err == -EINTR || err == -EMFILE;
}

/*
 * The next message by then: an enum ivshmem_protocol_event, about @peer. An
 * error that leaves the table behind the server's ends the connection.
 */
int ivshmem_connection_take(struct ivshmem_connection *connection, int64_t deadline,
			    unsigned int *peer)
{
	int event = connection->ended;

	if (event)
		return event;
	while ((event = take_message(connection, peer)) == -EAGAIN) {
		event = wait_for_bytes(connection, deadline);
		if (event)
			break;
	}
	if (event < 0 && !is_passing(event)) {
		connection->ended = event;
		ivshmem_message_socket_close(&connection->server);
	}
	return event;
}

/*
 * A peer can be rung at its first vector, but whoever is told of it expects all
 * that it has: most likely as many as this end.
 */
void ivshmem_connection_complete(struct ivshmem_connection *connection, unsigned int peer)
{
	const struct ivshmem_protocol *protocol = &connection->protocol;
	int64_t deadline = ivshmem_deadline(COMPLETE_MS);

	while (ivshmem_protocol_find(protocol, peer)->vectors < protocol->self.vectors) {
		if (wait_for_bytes(connection, deadline) ||
		    !ivshmem_message_socket_next_is(&connection->server, peer) ||
		    ivshmem_connection_take(connection, deadline, &peer) < 0)
			break;
	}
}

static int silence_needed(const struct ivshmem_protocol *protocol)
{
	size_t i;

	if (protocol->state < IVSHMEM_AWAIT_PEERS)
		return INT_MAX;
	if (!protocol->self.vectors)
		return SILENCE_NO_VECTOR;
	for (i = 0; i < protocol->count; i++)
		if (protocol->peers[i].vectors > protocol->self.vectors)
			return SILENCE_FEW_VECTORS;
	return SILENCE;
}

/* Own vectors come last: with one of them here, the server may go. */
static int introduction_ended(const struct ivshmem_protocol *protocol, int err)
{
	if (err == -ETIMEDOUT && protocol->state == IVSHMEM_AWAIT_PEERS)
		return 0;
	return err == -ECONNRESET && protocol->self.vectors ? 0 : err;
}

static int introduce(struct ivshmem_connection *connection, int64_t deadline)
{
	const struct ivshmem_protocol *protocol = &connection->protocol;
	unsigned int peer;
	int silence = 0;
	int err = 0;

	while (!ivshmem_deadline_passed(deadline)) {
		err = ivshmem_connection_take(connection, ivshmem_deadline(SILENCE_WAIT_MS),
					      &peer);
		if (err >= 0)
			silence = 0;
		else if (err == -ETIMEDOUT && ++silence >= silence_needed(protocol))
			break;
		else if (err != -ETIMEDOUT && err != -EINTR)
			break;
	}
	return introduction_ended(protocol, err < 0 && err != -EINTR ? err : -ETIMEDOUT);
}

/* A server that is busy accepting others has a full queue for a while. */
static int connect_until(int fd, const struct sockaddr_un *address, int64_t deadline)
{
	const struct timespec pause = { .tv_nsec = CONNECT_PAUSE_NS };

	while (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		if (errno == ENOENT)	/* no /proc */
			return -ENOSYS;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (ivshmem_deadline_passed(deadline))
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/*
 * By way of /proc: a link that ivshmem_open() does not trust is not followed, and
 * the path may be longer than a socket's address.
 */
static int connect_to(const char *path, int64_t deadline, char **resolved)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int path_fd, fd, err;

	path_fd = ivshmem_path_resolve(path);
	if (path_fd < 0)
		return path_fd;
	ivshmem_path_link(path_fd, address.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		err = -errno;
		goto err_close_path;
	}
	err = connect_until(fd, &address, deadline);
	if (!err)
		err = ivshmem_path_of(path_fd, resolved);
	if (err)
		goto err_close_fd;
	close(path_fd);
	return fd;

err_close_fd:
	close(fd);
err_close_path:
	close(path_fd);
	return err;
}

static int watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_news(struct ivshmem_connection *connection)
{
	int err = 0;

	connection->backlog_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	connection->news_fd = epoll_create1(EPOLL_CLOEXEC);
	if (connection->backlog_fd < 0 || connection->news_fd < 0)
		return -errno;
	if (connection->server.socket >= 0)
		err = watch(connection->news_fd, connection->server.socket);
	return err ?: watch(connection->news_fd, connection->backlog_fd);
}

int ivshmem_connection_open(struct ivshmem_connection **out, const char *path)
{
	int64_t deadline = ivshmem_deadline(INTRODUCTION_MS);
	struct ivshmem_connection *connection;
	int fd, err;

	connection = calloc(1, sizeof(*connection));
	if (!connection)
		return -ENOMEM;
	pthread_mutex_init(&connection->lock, NULL);
	fd = connect_to(path, deadline, &connection->path);
	ivshmem_message_socket_init(&connection->server, fd);
	ivshmem_protocol_init(&connection->protocol, release_fd);
	err = open_news(connection);
	if (!err)
		err = fd < 0 ? fd : introduce(connection, deadline);
	if (err) {
		ivshmem_connection_close(connection);
		return err;
	}
	*out = connection;
	return 0;
}

/* Whose joining nobody was told of need not be said to have left. */
static bool forget_joining(struct ivshmem_connection *connection, unsigned int peer)
{
	struct ivshmem_news *backlog = connection->backlog;
	size_t i;

	for (i = connection->backlog_count; i--;)
		if (backlog[i].peer == peer)
			break;
	if (i == SIZE_MAX || backlog[i].event != IVSHMEM_EVENT_JOINED)
		return false;
	connection->backlog_count--;
	memmove(backlog + i, backlog + i + 1,
		(connection->backlog_count - i) * sizeof(*backlog));
	return true;
}

static void put_off(struct ivshmem_connection *connection, enum ivshmem_protocol_event event,
		    unsigned int peer)
{
	const uint64_t one = 1;
	struct ivshmem_news *backlog;

	if (event == IVSHMEM_EVENT_LEFT && forget_joining(connection, peer))
		return;
	backlog = reallocarray(connection->backlog, connection->backlog_count + 1,
			       sizeof(*backlog));
	if (!backlog)
		return;	/* one event less is told, the table is right all the same */
	backlog[connection->backlog_count++] = (struct ivshmem_news) { event, peer };
	connection->backlog = backlog;
	if (write(connection->backlog_fd, &one, sizeof(one)) < 0)
		return;	/* the counter is full, so it is readable */
}

static int take_backlog(struct ivshmem_connection *connection, unsigned int *peer)
{
	struct ivshmem_news first;
	uint64_t count;

	if (!connection->backlog_count)
		return IVSHMEM_EVENT_NONE;
	first = connection->backlog[0];
	connection->backlog_count--;
	memmove(connection->backlog, connection->backlog + 1,
		connection->backlog_count * sizeof(first));
	if (!connection->backlog_count &&
	    read(connection->backlog_fd, &count, sizeof(count)) < 0)
		return -errno;
	*peer = first.peer;
	return (int)first.event;
}

static int take_next(struct ivshmem_connection *connection, unsigned int *peer)
{
	int event = take_backlog(connection, peer);

	if (event != IVSHMEM_EVENT_NONE)
		return event;
	event = ivshmem_connection_take(connection, ivshmem_deadline(0), peer);
	if (event == IVSHMEM_EVENT_JOINED)
		ivshmem_connection_complete(connection, *peer);
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
		pthread_mutex_lock(&connection->lock);
		event = take_next(connection, peer);
		pthread_mutex_unlock(&connection->lock);
		if (event != -ETIMEDOUT && event != IVSHMEM_EVENT_NONE)
			return event;
		err = event == -ETIMEDOUT ? ivshmem_poll_until(pollers, 2, deadline) : 0;
		if (err)
			return err;
		if (pollers[1].revents && !pollers[0].revents)
			return -ECANCELED;
	}
}

/* Brings the table of peers up to date; ivshmem_peer_next() tells the news later. */
void ivshmem_connection_refresh(struct ivshmem_connection *connection)
{
	unsigned int peer;
	int i, event;

	pthread_mutex_lock(&connection->lock);
	for (i = 0; i < REFRESH_MESSAGES; i++) {
		event = ivshmem_connection_take(connection, ivshmem_deadline(0), &peer);
		if (event < 0)
			break;
		if (event != IVSHMEM_EVENT_NONE)
			put_off(connection, event, peer);
	}
	pthread_mutex_unlock(&connection->lock);
}
