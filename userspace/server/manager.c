// SPDX-License-Identifier: MIT
/*
 * One message to the service manager, with descriptors or without.
 *
 * sd_pid_notify_with_fds(3) waits where the service manager does not read, and with it
 * all peers and a signal that is to end the server. The protocol is stable.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server.h"

#define MAX_FDS		253	/* SCM_MAX_FD of the kernel */

static bool address_of(struct sockaddr_un *address, socklen_t *length)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t size = path ? strlen(path) : 0;

	if (!size || size >= sizeof(address->sun_path) || !strchr("/@", *path))
		return false;
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(address->sun_path, path, size);
	if (*path == '@')
		address->sun_path[0] = '\0';
	*length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
	return true;
}

static ssize_t send_to(int socket, struct msghdr *header, const int *fds, size_t count)
{
	union {
		char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct cmsghdr *rights;

	if (count) {
		header->msg_control = control.bytes;
		header->msg_controllen = CMSG_SPACE(count * sizeof(int));
		memset(control.bytes, 0, header->msg_controllen);
		rights = CMSG_FIRSTHDR(header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
	}
	return sendmsg(socket, header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Whether @socket, which is connected, takes a message within so much time. */
static bool takes_within(int socket, int patience_ms)
{
	struct pollfd room = { .fd = socket, .events = POLLOUT };

	return poll(&room, 1, patience_ms) > 0 && room.revents & POLLOUT;
}

/* @count: at most MAX_FDS. */
static bool send_message(const char *text, const int *fds, size_t count, int patience_ms)
{
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct sockaddr_un address;
	socklen_t length;
	ssize_t sent = -1;
	int fd;

	if (!address_of(&address, &length))
		return true;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (!connect(fd, (struct sockaddr *)&address, length)) {
		sent = send_to(fd, &header, fds, count);
		if (sent < 0 && errno == EAGAIN && takes_within(fd, patience_ms))
			sent = send_to(fd, &header, fds, count);
	}
	close(fd);
	return sent >= 0 || (errno != EAGAIN && errno != ETOOMANYREFS && errno != ENOBUFS &&
			     errno != ENOMEM);
}

/*
 * False where it was not told within so much time, and is to be told again. It may get
 * @fds in parts.
 */
bool manager_tell(const char *text, const int *fds, size_t count, int patience_ms)
{
	size_t done = 0, part;

	do {
		part = count - done < MAX_FDS ? count - done : MAX_FDS;
		if (!send_message(text, part ? fds + done : NULL, part, patience_ms))
			return false;
		done += part;
	} while (done < count);
	return true;
}
