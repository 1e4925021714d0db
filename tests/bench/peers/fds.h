/* SPDX-License-Identifier: MIT */
/* What pipe.c and socket.c have in common: descriptors that are written and read. */
#ifndef PEER_FDS_H
#define PEER_FDS_H

#include <err.h>
#include <unistd.h>

#include "peer.h"

static int in, out;

static void send_one(const void *message, size_t length)
{
	const char *from = message;
	ssize_t part;

	for (; length; length -= (size_t)part, from += part) {
		part = write(out, from, length);
		if (part < 0)
			err(1, "%s: write", peer.name);
	}
}

static const void *receive(size_t length)
{
	size_t done = 0;
	ssize_t part;

	for (; done < length; done += (size_t)part) {
		part = read(in, peer_buffer + done, length - done);
		if (part <= 0)
			err(1, "%s: read", peer.name);
	}
	return peer_buffer;
}

#endif /* PEER_FDS_H */
