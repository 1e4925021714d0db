/* SPDX-License-Identifier: MIT */
#ifndef MESSAGE_SOCKET_H
#define MESSAGE_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IVSHMEM_MESSAGE_SIZE	sizeof(int64_t)

struct ivshmem_message {
	int64_t value;
	int fd;		/* -1 where it has none */
};

/**
 * struct ivshmem_message_socket - The receiving end of a server's connection.
 * @socket: The socket; -1 once it is closed.
 * @bytes: What has come of the next message.
 * @length: Number of those.
 * @fd: The descriptor that came with them, or -1.
 */
struct ivshmem_message_socket {
	int socket;
	unsigned char bytes[IVSHMEM_MESSAGE_SIZE];
	size_t length;
	int fd;
};

void ivshmem_message_socket_init(struct ivshmem_message_socket *from, int socket);
void ivshmem_message_socket_close(struct ivshmem_message_socket *from);
int ivshmem_message_socket_receive(struct ivshmem_message_socket *from,
				   struct ivshmem_message *message);

#endif /* MESSAGE_SOCKET_H */
