// SPDX-License-Identifier: MIT
/*
 * Joining: from a path to a connection whose server has introduced this peer.
 *
 * The introduction ends with this peer's own vectors, one after the other, and the
 * protocol does not say how many there are. They were all
 *
 *   - when there are as many as another peer has, whose vectors came before;
 *   - when this peer is alone, and the last of them is marked as such;
 *   - when a message about another peer comes.
 *
 * Where none of this is so, silence has to do.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "system/system.h"
#include "client.h"

#define INTRODUCTION_MS	5000
#define JOIN_TRIES	3
#define CONNECT_PAUSE_NS	(10 * NS_PER_MS)

/*
 * How many waits without a message are silence: where another peer has more vectors,
 * and where there is no other. Several short waits, not one long one: a machine that
 * stood still meanwhile is no silent server.
 */
#define SILENCE_WAIT_MS		5
#define SILENCE_FEW_VECTORS	100
#define SILENCE_ALONE		10

static unsigned int most_vectors(const struct ivshmem_protocol *protocol)
{
	unsigned int most = 0;
	size_t i;

	for (i = 0; i < protocol->count; i++)
		if (protocol->peers[i].vectors > most)
			most = protocol->peers[i].vectors;
	return most;
}

/* Another peer can change a mark: with another one there, only the number counts. */
static bool has_all(const struct ivshmem_protocol *protocol)
{
	unsigned int most = most_vectors(protocol);

	return protocol->self.vectors >= most && (most || protocol->self.is_complete);
}

/* Silence is an end only after the first own vector. */
static bool is_silent(const struct ivshmem_protocol *protocol, int waits)
{
	return protocol->self.vectors &&
	       waits >= (protocol->count ? SILENCE_FEW_VECTORS : SILENCE_ALONE);
}

/* The next message. 1: it ends the introduction; 0: it is a part of it. */
static int take_introduction(struct ivshmem_connection *connection)
{
	const struct ivshmem_protocol *protocol = &connection->protocol;
	bool has_own = protocol->self.vectors;
	unsigned int peer = 0;
	int event;

	event = ivshmem_connection_take(connection, &peer);
	if (event < 0)
		return event == -ECONNRESET && has_own ? 1 : event;
	if (!has_own || peer == protocol->self.id)
		return 0;
	if (event != IVSHMEM_EVENT_NONE)
		ivshmem_backlog_add(&connection->backlog, event, peer);
	return 1;
}

/*
 * What is there is taken even where it is more than expected. A signal does not make
 * a wait longer.
 */
static int introduce(struct ivshmem_connection *connection, int64_t deadline)
{
	const struct ivshmem_protocol *protocol = &connection->protocol;
	int64_t end = 0;
	int waits = 0, err;

	while (!ivshmem_deadline_passed(deadline)) {
		err = take_introduction(connection);
		if (!err) {
			waits = 0;
			end = 0;
			continue;
		}
		if (err != -EAGAIN)
			return err < 0 ? err : 0;
		if (has_all(protocol) || is_silent(protocol, waits))
			return 0;
		if (!end)
			end = ivshmem_deadline(SILENCE_WAIT_MS);
		if (ivshmem_connection_wait(connection, end) == -ETIMEDOUT) {
			waits++;
			end = 0;
		}
	}
	return protocol->self.vectors ? 0 : -ETIMEDOUT;
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
 * A name that the kernel chooses. QEMU's sockets have none, so that a server can tell
 * QEMU, which must be peer 0 for a device with master=on, from programs, to which any
 * ID is right. Where it can't be had, all else works.
 */
static void take_name(int fd)
{
	const struct sockaddr address = { .sa_family = AF_UNIX };

	bind(fd, &address, sizeof(address.sa_family));
}

/*
 * By way of /proc: a link that ivshmem_open() does not trust is not followed, and
 * the path may be longer than a socket's address.
 */
static int connect_to(int fd, const char *path, int64_t deadline, char **resolved)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int path_fd, err;

	path_fd = ivshmem_path_resolve(path);
	if (path_fd < 0)
		return path_fd;
	ivshmem_path_link(path_fd, address.sun_path);
	take_name(fd);
	err = connect_until(fd, &address, deadline);
	if (!err)
		err = ivshmem_path_of(path_fd, resolved);
	close(path_fd);
	return err;
}

/* Where it fails, *@lost says whether the server had not said a word. */
static int join(struct ivshmem_connection **out, const char *path, int64_t deadline, bool *lost)
{
	struct ivshmem_connection *connection;
	int err;

	*lost = false;
	connection = calloc(1, sizeof(*connection));
	if (!connection)
		return -ENOMEM;
	err = ivshmem_connection_init(connection);
	if (!err)
		err = connect_to(connection->server.socket, path, deadline, &connection->path);
	if (!err)
		err = introduce(connection, deadline);
	if (!err) {
		*out = connection;
		return 0;
	}
	*lost = err == -ECONNRESET && connection->protocol.state == IVSHMEM_AWAIT_VERSION;
	ivshmem_connection_close(connection);
	return err;
}

/*
 * A server that is killed may lose a connection that it has just accepted, and go on with
 * all others when it is started again. One that refuses a peer tells the version first; or
 * if it is of another kind, refuses it again.
 */
int ivshmem_connection_open(struct ivshmem_connection **out, const char *path)
{
	int64_t deadline = ivshmem_deadline(INTRODUCTION_MS);
	int tries = JOIN_TRIES, err;
	bool lost;

	do {
		err = join(out, path, deadline, &lost);
	} while (lost && --tries);
	return err;
}
