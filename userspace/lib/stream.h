/* SPDX-License-Identifier: MIT */
#ifndef IVSHMEM_STREAM_H
#define IVSHMEM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IVSHMEM_MESSAGE_SIZE	sizeof(int64_t)

struct ivshmem_message {
	int64_t value;
	int fd;		/* -1 where it has none */
};

/**
 * struct ivshmem_stream - The receiving end of a server's connection.
 * @socket: The socket; -1 once it is closed.
 * @bytes: What has come of the next message.
 * @length: Number of those.
 * @fd: The descriptor that came with them, or -1.
 */
struct ivshmem_stream {
	int socket;
	unsigned char bytes[IVSHMEM_MESSAGE_SIZE];
	size_t length;
	int fd;
};

void ivshmem_stream_init(struct ivshmem_stream *stream, int socket);
void ivshmem_stream_close(struct ivshmem_stream *stream);
int ivshmem_stream_receive(struct ivshmem_stream *stream, struct ivshmem_message *message);
bool ivshmem_stream_next_is(const struct ivshmem_stream *stream, int64_t value);

#endif /* IVSHMEM_STREAM_H */
