// SPDX-License-Identifier: MIT
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream.h"

#define KERNEL_MAX_FDS	253	/* SCM_MAX_FD: no message carries more */

void ivshmem_stream_init(struct ivshmem_stream *stream, int socket)
{
	*stream = (struct ivshmem_stream){ .socket = socket, .fd = -1 };
}

void ivshmem_stream_close(struct ivshmem_stream *stream)
{
	if (stream->socket >= 0)
		close(stream->socket);
	if (stream->fd >= 0)
		close(stream->fd);
	ivshmem_stream_init(stream, -1);
}

static int keep_one(struct ivshmem_stream *stream, const struct cmsghdr *rights)
{
	size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int err = 0;
	size_t i;
	int fd;

	for (i = 0; i < count; i++) {
		memcpy(&fd, CMSG_DATA(rights) + i * sizeof(fd), sizeof(fd));
		if (stream->fd < 0) {
			stream->fd = fd;
		} else {
			close(fd);
			err = -EPROTO;
		}
	}
	return err;
}

/* All descriptors are looked at, even after an error: none may be leaked. */
static int keep_descriptor(struct ivshmem_stream *stream, struct msghdr *header)
{
	struct cmsghdr *control;
	int err = 0;

	for (control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control))
		if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS)
			err = keep_one(stream, control) ?: err;
	if (!err && header->msg_flags & MSG_CTRUNC)	/* one was lost after all */
		err = -ENOMEM;
	return err;
}

/*
 * A descriptor that finds no room in this process is lost, and its message with
 * it: rather leave both in the socket for later.
 */
static int check_room(const struct ivshmem_stream *stream)
{
	int spare = fcntl(stream->socket, F_DUPFD_CLOEXEC, 0);

	if (spare < 0)
		return -EMFILE;
	close(spare);
	return 0;
}

/* Never reads past the message: a descriptor must be told from the next one's. */
static int receive_some(struct ivshmem_stream *stream)
{
	union {
		char bytes[CMSG_SPACE(KERNEL_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec data = {
		.iov_base = stream->bytes + stream->length,
		.iov_len = sizeof(stream->bytes) - stream->length,
	};
	struct msghdr header = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t length;

	length = recvmsg(stream->socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (length < 0)
		return -errno;
	if (!length)
		return stream->length ? -EPROTO : -ECONNRESET;
	stream->length += (size_t)length;
	return keep_descriptor(stream, &header);
}

/*
 * The next message, whose descriptor is then the caller's. -EAGAIN: it has not
 * come, or not all of it; -EMFILE: there is no room for its descriptor;
 * -ECONNRESET: the stream has ended; -EPROTO: it ended within a message, or a
 * message had several descriptors.
 */
int ivshmem_stream_receive(struct ivshmem_stream *stream, struct ivshmem_message *message)
{
	uint64_t value;
	int err;

	err = check_room(stream);
	while (!err && stream->length < sizeof(stream->bytes))
		err = receive_some(stream);
	if (err)
		return err;
	memcpy(&value, stream->bytes, sizeof(value));
	message->value = (int64_t)le64toh(value);
	message->fd = stream->fd;
	ivshmem_stream_init(stream, stream->socket);
	return 0;
}

/*
 * Is the next message there, @value, and with a descriptor? Looks without
 * taking: with no room for descriptors given, the kernel says that there were.
 */
bool ivshmem_stream_next_is(const struct ivshmem_stream *stream, int64_t value)
{
	uint64_t expected = htole64((uint64_t)value), next;
	struct iovec data = { .iov_base = &next, .iov_len = sizeof(next) };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };

	return !stream->length &&
	       recvmsg(stream->socket, &header, MSG_DONTWAIT | MSG_PEEK) == sizeof(next) &&
	       next == expected && header.msg_flags & MSG_CTRUNC;
}
