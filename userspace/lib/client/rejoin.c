// SPDX-License-Identifier: MIT
/*
 * A connection that has ended, and becomes that to the next server. Who uses it in
 * another thread meanwhile goes on: the connection stays where it is, under its lock, and
 * the descriptors that were given out keep their numbers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "client.h"

/* @fd, whose number becomes that of @old. It takes no other: that can't fail. */
static void take_number(int fd, int old)
{
	dup3(fd, old, O_CLOEXEC);
	close(fd);
}

/*
 * Rings may have been missed, so each vector is rung. The new descriptor first: poll(2) of
 * a thread that sleeps on the one before looks at the new one when it wakes, but does not
 * wait for it.
 */
static void ring_both(int before, int now)
{
	const uint64_t one = 1;

	if (write(now, &one, sizeof(one)) < 0 || write(before, &one, sizeof(one)) < 0)
		return;
}

/*
 * Copies of the own eventfds, for ivshmem_connection_renew(), which then can't fail: how
 * many; or -EMFILE.
 */
int ivshmem_connection_copy(struct ivshmem_connection *connection,
			    int copies[IVSHMEM_MAX_VECTORS])
{
	const struct ivshmem_peer *self = &connection->protocol.self;
	int count = 0, err = 0;

	pthread_mutex_lock(&connection->lock);
	while (!err && count < self->vectors) {
		copies[count] = fcntl(self->fds[count], F_DUPFD_CLOEXEC, 0);
		if (copies[count] < 0)
			err = -EMFILE;
		else
			count++;
	}
	pthread_mutex_unlock(&connection->lock);
	while (err && count)
		close(copies[--count]);
	return err ?: count;
}

/* Vectors that both have keep their numbers; @copies are of those before. */
static void renew_vectors(const struct ivshmem_peer *before, struct ivshmem_peer *now,
			  const int *copies)
{
	const uint64_t one = 1;
	unsigned int i;

	for (i = 0; i < before->vectors; i++) {
		if (i < now->vectors) {
			take_number(now->fds[i], before->fds[i]);
			now->fds[i] = before->fds[i];
			ring_both(copies[i], now->fds[i]);
		} else {
			close(before->fds[i]);
		}
	}
	for (; i < now->vectors; i++)
		if (write(now->fds[i], &one, sizeof(one)) < 0)
			break;
}

static void renew_news(struct ivshmem_connection *connection, struct ivshmem_connection *fresh)
{
	unsigned int peer;
	int event;

	while (ivshmem_backlog_take(&connection->backlog, &peer) != IVSHMEM_EVENT_NONE)
		;
	while ((event = ivshmem_backlog_take(&fresh->backlog, &peer)) != IVSHMEM_EVENT_NONE)
		ivshmem_backlog_add(&connection->backlog, event, peer);
}

/* It was polled until its end was told. */
static void renew_socket(struct ivshmem_connection *connection, struct ivshmem_connection *fresh)
{
	struct epoll_event event = { .events = EPOLLIN };
	int number = connection->server.socket;

	epoll_ctl(connection->news_fd, EPOLL_CTL_DEL, number, NULL);
	take_number(fresh->server.socket, number);
	if (connection->server.fd >= 0)
		close(connection->server.fd);
	connection->server = fresh->server;
	connection->server.socket = number;
	ivshmem_message_socket_init(&fresh->server, -1);
	epoll_ctl(connection->news_fd, EPOLL_CTL_ADD, number, &event);
}

static void renew_protocol(struct ivshmem_connection *connection,
			   struct ivshmem_connection *fresh, const int *copies)
{
	struct ivshmem_protocol before = connection->protocol;

	renew_vectors(&before.self, &fresh->protocol.self, copies);
	connection->protocol = fresh->protocol;
	ivshmem_protocol_init(&fresh->protocol, before.release);
	before.self.vectors = 0;	/* closed already, or in use */
	ivshmem_protocol_free(&before);
}

/*
 * Makes @connection, which has ended, what @fresh is, and closes @fresh and the @copies.
 * Where another thread was faster, it stays as it is.
 */
void ivshmem_connection_renew(struct ivshmem_connection *connection,
			      struct ivshmem_connection *fresh, const int *copies, int count)
{
	pthread_mutex_lock(&connection->lock);
	if (connection->ended) {
		renew_socket(connection, fresh);
		renew_protocol(connection, fresh, copies);
		renew_news(connection, fresh);
		memset(connection->told, 0, sizeof(connection->told));
		connection->deaf_until = 0;
		connection->ended = fresh->ended;
		__atomic_store_n(&connection->joins, connection->joins + 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&connection->lock);
	ivshmem_connection_close(fresh);
	while (count)
		close(copies[--count]);
}
