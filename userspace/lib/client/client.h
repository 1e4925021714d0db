/* SPDX-License-Identifier: MIT */
/*
 * This process as a client of an ivshmem server: the connection, what came over it, and
 * which peers there are.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <pthread.h>
#include <stdbool.h>

#include "system/system.h"

#include "backlog.h"
#include "message_socket.h"
#include "protocol.h"

/**
 * struct ivshmem_connection - The server behind a "unix:" region.
 * @heir: What a child of fork(2) does with it.
 * @lock: Guards all of it but descriptors, which stay as they are until the end.
 * @server: Its socket. It stays open when the connection has ended, so that who
 *	polls it in another thread sees that.
 * @protocol: What came over it.
 * @path: Where that is, free of symbolic links.
 * @fd_folder: /proc/self/fd, which tells what the server's descriptors are, also once
 *	the program has changed its root.
 * @ended: Why nothing more comes, a negative errno; or 0.
 * @joins: How often this peer has joined; read also without the lock.
 * @told: Where a wait for this vector has told that the connection has ended.
 * @deaf_until: Until when the server is not listened to, since there was no room
 *	for its descriptors.
 * @backlog: News that came while nobody asked for them.
 * @news_fd: An epoll(7) descriptor over the socket and the backlog.
 */
struct ivshmem_connection {
	struct ivshmem_heir heir;
	pthread_mutex_t lock;
	struct ivshmem_message_socket server;
	struct ivshmem_protocol protocol;
	char *path;
	int fd_folder;
	int ended;
	unsigned int joins;
	bool told[IVSHMEM_MAX_VECTORS];
	int64_t deaf_until;
	struct ivshmem_backlog backlog;
	int news_fd;
};

/* join.c */
int ivshmem_connection_open(struct ivshmem_connection **out, const char *path);

/* connection.c: for join.c */
int ivshmem_connection_init(struct ivshmem_connection *connection);
int ivshmem_connection_take(struct ivshmem_connection *connection, unsigned int *peer);
int ivshmem_connection_wait(const struct ivshmem_connection *connection, int64_t deadline);

/* rejoin.c */
int ivshmem_connection_copy(struct ivshmem_connection *connection,
			    int copies[IVSHMEM_MAX_VECTORS]);
void ivshmem_connection_renew(struct ivshmem_connection *connection,
			      struct ivshmem_connection *fresh, const int *copies, int count);

static inline unsigned int ivshmem_connection_joins(const struct ivshmem_connection *connection)
{
	return __atomic_load_n(&connection->joins, __ATOMIC_ACQUIRE);
}

/* connection.c: for all */
void ivshmem_connection_close(struct ivshmem_connection *connection);
int ivshmem_connection_next(struct ivshmem_connection *connection, int64_t deadline,
			    struct ivshmem_cancel *cancel, unsigned int *peer);
int ivshmem_connection_news_fd(struct ivshmem_connection *connection);
void ivshmem_connection_hear(struct ivshmem_connection *connection);
bool ivshmem_connection_has_ended(struct ivshmem_connection *connection);
bool ivshmem_connection_lacks(struct ivshmem_connection *connection, unsigned int peer);
int ivshmem_connection_listen(struct ivshmem_connection *connection, unsigned int vector,
			      int64_t *until);
int ivshmem_connection_tell_end(struct ivshmem_connection *connection, unsigned int vector);

#endif /* CLIENT_H */
