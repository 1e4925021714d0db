// SPDX-License-Identifier: MIT
/*
 * One message of the protocol: 8 bytes, little-endian, at most one descriptor.
 */

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "server.h"

/*
 * @wire: Its msg_len becomes positive in the moment in which the message is sent: no
 * signal, not even SIGKILL, comes between.
 * @fd: Descriptor, or -1. Returns 0, -EAGAIN where the socket is full, or
 * another negative errno. Never waits. A message is never split: one of 8 bytes
 * goes into a socket buffer of its own, or not at all.
 */
int wire_send(struct mmsghdr *wire, int socket, int64_t value, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	uint64_t bytes = htole64(value);
	struct iovec iov = { &bytes, sizeof(bytes) };
	struct msghdr *header = &wire->msg_hdr;
	struct cmsghdr *rights;
	int sent;

	wire->msg_len = 0;
	*header = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1 };
	if (fd >= 0) {
		header->msg_control = control.bytes;
		header->msg_controllen = sizeof(control.bytes);
		rights = CMSG_FIRSTHDR(header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &fd, sizeof(int));
	}
	do {
		sent = sendmmsg(socket, wire, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return wire->msg_len == sizeof(bytes) ? 0 : -EPROTO;
}
