// SPDX-License-Identifier: MIT
/*
 * libFuzzer: an ivshmem server that says anything. The input is a sequence of
 * pieces, each a byte of flags and then bytes of the stream:
 *	bits 0-2	number of bytes, less one
 *	bits 3-4	descriptors that travel with them
 *	bit 5		a whole message: two bytes, extended to eight; with bit 0 by sign
 *
 * The pieces go over a real socket into the stream, and its messages into the
 * parser. Nothing may crash; the table stays in order; every descriptor that was
 * received is closed in the end, and none twice.
 */

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/protocol.h"
#include "client/message_socket.h"

#define MAX_PIECE_FDS	3
#define FIRST_FD	64
#define MAX_SAID	8192
#define MAX_UNREAD	64
#define check(condition) do {						\
	if (!(condition)) {						\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
		abort();						\
	}								\
} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct piece {
	uint8_t bytes[IVSHMEM_MESSAGE_SIZE];
	size_t length;
	size_t fd_count;
};

static int event = -1;

/* What was said so far, and how many descriptors with the message at each index. */
static uint8_t said[MAX_SAID + IVSHMEM_MESSAGE_SIZE];
static size_t said_length;
static uint8_t said_fds[MAX_SAID / IVSHMEM_MESSAGE_SIZE + 1];
static size_t heard;

static void release(int fd)
{
	check(fd >= FIRST_FD);
	check(!close(fd));
}

/* All descriptors below FIRST_FD are in use from here on, and none above. */
static void make_event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	check(!close_range(FIRST_FD, UINT_MAX, 0));
	while (fd < FIRST_FD - 1) {
		event = fd;
		fd = dup(event);
		check(fd >= 0);
	}
}

static void check_closed(size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		check(fcntl(FIRST_FD + (int)i, F_GETFD) < 0);
}

static size_t next_piece(const uint8_t *data, size_t size, struct piece *piece)
{
	uint8_t flags = data[0];
	size_t used;

	piece->fd_count = flags >> 3 & 3;
	if (flags & 0x20) {
		if (size < 3)
			return 0;
		piece->length = sizeof(piece->bytes);
		memset(piece->bytes, data[2] & 0x80 ? 0xff : 0, sizeof(piece->bytes));
		memcpy(piece->bytes, data + 1, 2);
		/* High IDs look negative in two bytes: bit 0 tells. */
		if (data[2] & 0x80 && !(flags & 1))
			memset(piece->bytes + 2, 0, sizeof(piece->bytes) - 2);
		return 3;
	}
	used = (size_t)(flags & 7) + 1;
	if (size < 1 + used)
		return 0;
	piece->length = used;
	memcpy(piece->bytes, data + 1, used);
	return 1 + used;
}

/* A descriptor belongs to the message of the first byte that it travels with. */
static void remember(const struct piece *piece)
{
	memcpy(said + said_length, piece->bytes, piece->length);
	said_fds[said_length / IVSHMEM_MESSAGE_SIZE] += piece->fd_count;
	said_length += piece->length;
}

static void check_heard(const struct ivshmem_message *message)
{
	uint64_t value;

	memcpy(&value, said + heard * sizeof(value), sizeof(value));
	check((heard + 1) * sizeof(value) <= said_length);
	check((uint64_t)message->value == le64toh(value));
	check(said_fds[heard] == (message->fd >= 0));
	heard++;
}

static void send_piece(int socket, struct piece *piece)
{
	union {
		char bytes[CMSG_SPACE(MAX_PIECE_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec bytes = { piece->bytes, piece->length };
	struct msghdr header = { .msg_iov = &bytes, .msg_iovlen = 1 };
	struct cmsghdr *rights;
	size_t i;

	if (piece->fd_count) {
		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(piece->fd_count * sizeof(int));
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(piece->fd_count * sizeof(int));
		for (i = 0; i < piece->fd_count; i++)
			memcpy(CMSG_DATA(rights) + i * sizeof(int), &event, sizeof(int));
	}
	check(sendmsg(socket, &header, MSG_NOSIGNAL) == (ssize_t)piece->length);
}

static void check_peer(const struct ivshmem_protocol *protocol, const struct ivshmem_peer *peer)
{
	uint16_t i;

	check(peer->vectors <= IVSHMEM_MAX_VECTORS);
	check(ivshmem_protocol_find(protocol, peer->id) == peer);
	for (i = 0; i < peer->vectors; i++)
		check(peer->fds[i] >= FIRST_FD);
}

static void check_table(const struct ivshmem_protocol *protocol)
{
	size_t i;

	check(protocol->count <= protocol->room);
	check((protocol->state > IVSHMEM_AWAIT_REGION) == (protocol->region >= 0));
	check(protocol->state > IVSHMEM_AWAIT_REGION || !protocol->count);
	if (protocol->state >= IVSHMEM_AWAIT_REGION)
		check_peer(protocol, &protocol->self);
	for (i = 0; i < protocol->count; i++) {
		check(protocol->peers[i].vectors >= 1);
		check(protocol->peers[i].id != protocol->self.id);
		check(!i || protocol->peers[i - 1].id < protocol->peers[i].id);
		check_peer(protocol, &protocol->peers[i]);
	}
}

static int take(struct ivshmem_protocol *protocol, const struct ivshmem_message *message)
{
	size_t count = protocol->count;
	int result = ivshmem_protocol_feed(protocol, message->value, message->fd);

	if (result < 0) {
		check(result == -EPROTO);
		check(protocol->count == count);
		if (message->fd >= 0)
			close(message->fd);
		return result;
	}
	check(protocol->count == count + (result == IVSHMEM_EVENT_JOINED) -
				 (result == IVSHMEM_EVENT_LEFT));
	if (result != IVSHMEM_EVENT_NONE)
		check(!ivshmem_protocol_find(protocol, (unsigned int)message->value) ==
		      (result == IVSHMEM_EVENT_LEFT));
	return 0;
}

/* A wrong message does not end it here: so what it left behind is seen as well. */
static int receive_all(struct ivshmem_message_socket *stream, struct ivshmem_protocol *protocol)
{
	struct ivshmem_message message;
	int err;

	while (!(err = ivshmem_message_socket_receive(stream, &message))) {
		check_heard(&message);
		take(protocol, &message);
		check_table(protocol);
	}
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ivshmem_protocol protocol;
	struct ivshmem_message_socket stream;
	int sockets[2];
	struct piece piece;
	size_t used, opened = 2, unread = 0;
	int err = -EAGAIN;

	if (event < 0)
		make_event();
	check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	ivshmem_message_socket_init(&stream, sockets[0]);
	ivshmem_protocol_init(&protocol, release);
	memset(said_fds, 0, sizeof(said_fds));
	said_length = heard = 0;
	while (size && err == -EAGAIN && said_length < MAX_SAID) {
		used = next_piece(data, size, &piece);
		if (!used)
			break;
		data += used;
		size -= used;
		send_piece(sockets[1], &piece);
		remember(&piece);
		opened += piece.fd_count;
		/* Odd sizes let pieces meet in the socket, but not fill it. */
		if (!(size & 1) || !(++unread % MAX_UNREAD))
			err = receive_all(&stream, &protocol);
	}
	close(sockets[1]);
	if (err == -EAGAIN)
		err = receive_all(&stream, &protocol);
	check(err == (said_fds[heard] > 1 || said_length % IVSHMEM_MESSAGE_SIZE ?
		      -EPROTO : -ECONNRESET));
	ivshmem_message_socket_close(&stream);
	ivshmem_protocol_free(&protocol);
	check_closed(opened);
	return 0;
}
