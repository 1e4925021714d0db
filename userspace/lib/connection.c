// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"
#include "internal.h"

#define INTRODUCTION_MS	5000
#define CONNECT_PAUSE_NS	(10 * 1000000L)

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

static void release_fd(int fd)
{
	close(fd);
}

void ivshmem_connection_close(struct ivshmem_connection *connection)
{
	ivshmem_stream_close(&connection->stream);
	ivshmem_protocol_free(&connection->protocol);
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
	struct ivshmem_message message;
	int event;

	event = ivshmem_stream_receive(&connection->stream, &message);
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
	struct pollfd poller = { .fd = connection->stream.socket, .events = POLLIN };

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
		ivshmem_stream_close(&connection->stream);
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
		    !ivshmem_stream_next_is(&connection->stream, peer) ||
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

int ivshmem_connection_open(struct ivshmem_connection **out, const char *path)
{
	int64_t deadline = ivshmem_deadline(INTRODUCTION_MS);
	struct ivshmem_connection *connection;
	int fd, err;

	connection = calloc(1, sizeof(*connection));
	if (!connection)
		return -ENOMEM;
	fd = connect_to(path, deadline, &connection->path);
	ivshmem_stream_init(&connection->stream, fd);
	ivshmem_protocol_init(&connection->protocol, release_fd);
	err = fd < 0 ? fd : introduce(connection, deadline);
	if (err) {
		ivshmem_connection_close(connection);
		return err;
	}
	*out = connection;
	return 0;
}

void ivshmem_connection_refresh(struct ivshmem_connection *connection)
{
	(void)connection;
}
