// SPDX-License-Identifier: MIT
/* ZeroMQ, PAIR sockets over a UNIX socket. */
#include <err.h>
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

#include "peer.h"

static char path[64], address[80];
static void *context, *pair;

static void make(size_t length)
{
	snprintf(path, sizeof(path), "/dev/shm/ivshmem-bench-zmq-%d", getpid());
	snprintf(address, sizeof(address), "ipc://%s", path);
}

static void open_end(int side, size_t length)
{
	context = zmq_ctx_new();
	pair = zmq_socket(context, ZMQ_PAIR);
	if (!pair || (side ? zmq_bind : zmq_connect)(pair, address))
		errx(1, "zmq: %s: %s", address, zmq_strerror(zmq_errno()));
}

static void send_one(const void *message, size_t length)
{
	if (zmq_send(pair, message, length, 0) != (int)length)
		errx(1, "zmq_send: %s", zmq_strerror(zmq_errno()));
}

static const void *receive(size_t length)
{
	if (zmq_recv(pair, peer_buffer, length, 0) != (int)length)
		errx(1, "zmq_recv: %s", zmq_strerror(zmq_errno()));
	return peer_buffer;
}

static void close_end(void)
{
	zmq_close(pair);
	zmq_ctx_term(context);
	unlink(path);
}

const struct peer peer = {
	.name = "zmq", .make = make, .open = open_end, .send = send_one, .receive = receive,
	.close = close_end,
};
