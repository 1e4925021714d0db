/* SPDX-License-Identifier: MIT */
/*
 * This process as a client of an ivshmem server: the connection, what came over it, and
 * which peers there are.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <pthread.h>

#include "system/system.h"

#include "message_socket.h"
#include "protocol.h"

/**
 * struct ivshmem_news - What ivshmem_peer_next() has yet to tell.
 * @event: A peer joined or left.
 * @peer: Its ID.
 */
struct ivshmem_news {
	enum ivshmem_protocol_event event;
	unsigned int peer;
};

/**
 * struct ivshmem_connection - The server behind a "unix:" region.
 * @server: Its socket.
 * @protocol: What came over it.
 * @path: Where that is, free of symbolic links.
 * @ended: Why there is no socket any more, a negative errno; or 0.
 * @lock: Guards all of it where channels ring peers from any thread.
 * @backlog: News that came while a peer was rung.
 * @backlog_count: How many.
 * @backlog_fd: An eventfd, readable while there are some.
 * @news_fd: An epoll(7) descriptor over the socket and @backlog_fd.
 */
struct ivshmem_connection {
	struct ivshmem_message_socket server;
	struct ivshmem_protocol protocol;
	char *path;
	int ended;
	pthread_mutex_t lock;
	struct ivshmem_news *backlog;
	size_t backlog_count;
	int backlog_fd;
	int news_fd;
};

int ivshmem_connection_open(struct ivshmem_connection **out, const char *path);
void ivshmem_connection_close(struct ivshmem_connection *connection);
int ivshmem_connection_take(struct ivshmem_connection *connection, int64_t deadline,
			    unsigned int *peer);
void ivshmem_connection_complete(struct ivshmem_connection *connection, unsigned int peer);

int ivshmem_connection_next(struct ivshmem_connection *connection, int64_t deadline,
			    struct ivshmem_cancel *cancel, unsigned int *peer);
void ivshmem_connection_refresh(struct ivshmem_connection *connection);

#endif /* CLIENT_H */
