// SPDX-License-Identifier: MIT
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "message_socket.h"

#define KERNEL_MAX_FDS	253	/* SCM_MAX_FD: no message carries more */

void ivshmem_message_socket_init(struct ivshmem_message_socket *from, int socket)
{
	*from = (struct ivshmem_message_socket){ .socket = socket, .fd = -1 };
}

void ivshmem_message_socket_close(struct ivshmem_message_socket *from)
{
	if (from->socket >= 0)
		close(from->socket);
	if (from->fd >= 0)
		close(from->fd);
	ivshmem_message_socket_init(from, -1);
}

static int keep_one(struct ivshmem_message_socket *from, const struct cmsghdr *rights)
{
	size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int err = 0;
	size_t i;
	int fd;

	for (i = 0; i < count; i++) {
		memcpy(&fd, CMSG_DATA(rights) + i * sizeof(fd), sizeof(fd));
		if (from->fd < 0) {
			from->fd = fd;
		} else {
			close(fd);
			err = -EPROTO;
		}
	}
	return err;
}

/* All descriptors are looked at, even after an error: none may be leaked. */
static int keep_descriptor(struct ivshmem_message_socket *from, struct msghdr *header)
{
	struct cmsghdr *control;
	int err = 0;

	for (control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control))
		if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS)
			err = keep_one(from, control) ?: err;
	if (!err && header->msg_flags & MSG_CTRUNC)	/* one was lost after all */
		err = -ENOMEM;
	return err;
}

/*
 * A descriptor that finds no room in this process is lost, and its message with
 * it: rather leave both in the socket for later.
 */
static int check_room(const struct ivshmem_message_socket *from)
{
	int spare = fcntl(from->socket, F_DUPFD_CLOEXEC, 0);

	if (spare < 0)
		return -EMFILE;
	close(spare);
	return 0;
}

/* Never reads past the message: a descriptor must be told from the next one's. */
static int receive_some(struct ivshmem_message_socket *from)
{
	union {
		char bytes[CMSG_SPACE(KERNEL_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec data = {
		.iov_base = from->bytes + from->length,
		.iov_len = sizeof(from->bytes) - from->length,
	};
	struct msghdr header = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t length;

	length = recvmsg(from->socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (length < 0)
		return -errno;
	if (!length)
		return from->length ? -EPROTO : -ECONNRESET;
	from->length += (size_t)length;
	return keep_descriptor(from, &header);
}

/*
 * The next message, whose descriptor is then the caller's. -EAGAIN: it has not
 * come, or not all of it; -EMFILE: there is no room for its descriptor;
 * -ECONNRESET: the stream has ended; -EPROTO: it ended within a message, or a
 * message had several descriptors.
 */
int ivshmem_message_socket_receive(struct ivshmem_message_socket *from,
				   struct ivshmem_message *message)
{
	uint64_t value;
	int err;

	err = check_room(from);
	while (!err && from->length < sizeof(from->bytes))
		err = receive_some(from);
	if (err)
		return err;
	memcpy(&value, from->bytes, sizeof(value));
	message->value = (int64_t)le64toh(value);
	message->fd = from->fd;
	from->fd = -1;
	from->length = 0;
	return 0;
}
