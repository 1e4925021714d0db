// SPDX-License-Identifier: MIT
/*
 * The least of an ivshmem server, on the host: peer_server SOCKET FILE VECTORS.
 *
 * Serves the region FILE to one QEMU, as peer 5 and the only one, until that
 * closes its connection. Protocol: docs/specs/ivshmem-spec.rst in QEMU.
 */

#include <endian.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PEER 5

static int send_message(int socket, int64_t value, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	int64_t message = htole64(value);
	struct iovec iov = { &message, sizeof(message) };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *rights;

	if (fd >= 0) {
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &fd, sizeof(int));
	}
	return sendmsg(socket, &header, 0) == sizeof(message) ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener, client, region, vectors;
	char byte;

	if (argc != 4)
		return 2;
	vectors = atoi(argv[3]);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
	region = open(argv[2], O_RDWR);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (region < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 1)) {
		perror("peer_server");
		return 1;
	}
	client = accept(listener, NULL, NULL);
	if (send_message(client, 0, -1) || send_message(client, PEER, -1) ||
	    send_message(client, -1, region)) {
		perror("peer_server");
		return 1;
	}
	while (vectors-- > 0)
		if (send_message(client, PEER, eventfd(0, 0)))
			return 1;
	return read(client, &byte, 1) == 0 ? 0 : 1;
}
