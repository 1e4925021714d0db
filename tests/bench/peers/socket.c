// SPDX-License-Identifier: MIT
/* A pair of UNIX sockets, SOCK_STREAM. */
#include <sys/socket.h>

#include "fds.h"

static int pair[2];

static void make(size_t length)
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		err(1, "socketpair");
}

static void open_end(int side, size_t length)
{
	in = pair[side];
	out = pair[side];
}

const struct peer peer = {
	.name = "socket", .make = make, .open = open_end, .send = send_one, .receive = receive,
};
