// SPDX-License-Identifier: MIT
/* Two pipes. */
#include "fds.h"

static int to[2], back[2];

static void make(size_t length)
{
	if (pipe(to) || pipe(back))
		err(1, "pipe");
}

static void open_end(int side, size_t length)
{
	in = side ? to[0] : back[0];
	out = side ? back[1] : to[1];
}

const struct peer peer = {
	.name = "pipe", .make = make, .open = open_end, .send = send_one, .receive = receive,
};
