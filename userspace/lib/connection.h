/* SPDX-License-Identifier: MIT */
#ifndef IVSHMEM_CONNECTION_H
#define IVSHMEM_CONNECTION_H

#include "protocol.h"
#include "stream.h"

/**
 * struct ivshmem_connection - The server behind a "unix:" region.
 * @stream: Its socket.
 * @protocol: What came over it.
 * @path: Where that is, free of symbolic links.
 * @ended: Why there is no socket any more, a negative errno; or 0.
 */
struct ivshmem_connection {
	struct ivshmem_stream stream;
	struct ivshmem_protocol protocol;
	char *path;
	int ended;
};

int ivshmem_connection_open(struct ivshmem_connection **out, const char *path);
void ivshmem_connection_close(struct ivshmem_connection *connection);
int ivshmem_connection_take(struct ivshmem_connection *connection, int64_t deadline,
			    unsigned int *peer);
void ivshmem_connection_complete(struct ivshmem_connection *connection, unsigned int peer);

void ivshmem_connection_refresh(struct ivshmem_connection *connection);

#endif /* IVSHMEM_CONNECTION_H */
