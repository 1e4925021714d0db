// SPDX-License-Identifier: MIT
/*
 * The status socket: whoever connects gets a snapshot of the peers, one JSON
 * object a line, and then the end of the file. The first line tells how many
 * follow.
 *
 * The snapshot is made at once and sent as the reader takes it. A reader that
 * takes nothing goes when others come.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

#define READERS_MAX	8

/* What the kernel keeps of a snapshot that is not taken. */
#define SEND_BUFFER	8192

struct status_reader {
	TAILQ_ENTRY(status_reader) all;
	struct server *server;
	int socket;
	sd_event_source *io;
	char *text;
	size_t length;
	size_t sent;
};

static void free_reader(struct status_reader *reader)
{
	TAILQ_REMOVE(&reader->server->readers, reader, all);
	reader->server->n_readers--;
	sd_event_source_disable_unref(reader->io);
	close(reader->socket);
	free(reader->text);
	free(reader);
}

static void print_peer(FILE *stream, const struct peer *peer)
{
	fprintf(stream, "{\"peer\":%u,\"uid\":%u,\"gid\":%u,\"pid\":%d,\"vectors\":%u,\"queue\":%u,\"since\":%llu}\n",
		peer->id, peer->credentials.uid, peer->credentials.gid,
		peer->credentials.pid, peer->server->options->vectors,
		peer->untold, (unsigned long long)peer->since);
}

static int take_snapshot(struct status_reader *reader)
{
	struct server *server = reader->server;
	FILE *stream = open_memstream(&reader->text, &reader->length);
	const struct peer *peer;

	if (!stream)
		return -errno;
	fprintf(stream, "{\"peers\":%u,\"max_peers\":%u,\"max_peers_per_user\":%u,\"vectors\":%u,\"size\":%llu,\"steps\":%llu}\n",
		server->n_peers, limits_max_peers(server), server->max_peers_of_user,
		server->options->vectors, (unsigned long long)server->region.size,
		(unsigned long long)server->steps);
	news_count(server);
	TAILQ_FOREACH(peer, &server->peers, all)
		print_peer(stream, peer);
	return fclose(stream) ? -ENOMEM : 0;
}

static int on_reader(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct status_reader *reader = data;
	ssize_t sent;

	sent = send(fd, reader->text + reader->sent, reader->length - reader->sent,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (sent > 0)
		reader->sent += sent;
	if (sent < 0 || reader->sent == reader->length)
		free_reader(reader);
	return 0;
}

/* Who runs the server may look, too, whoever the peers are. */
static bool may_read(const struct server *server, int socket)
{
	struct credentials credentials;

	if (credentials_get(socket, &credentials) < 0)
		return false;
	return !credentials.uid || credentials.uid == geteuid() ||
	       access_allowed(&server->options->access, socket, &credentials);
}

int status_on_connection(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct server *server = data;
	const int buffer = SEND_BUFFER;
	struct status_reader *reader;
	int socket;

	socket = accept_connection(server, fd);
	if (socket < 0)
		return 0;
	reader = may_read(server, socket) ? calloc(1, sizeof(*reader)) : NULL;
	if (!reader) {
		close(socket);
		return 0;
	}
	reader->server = server;
	reader->socket = socket;
	setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	TAILQ_INSERT_TAIL(&server->readers, reader, all);
	if (++server->n_readers > READERS_MAX)
		free_reader(TAILQ_FIRST(&server->readers));
	if (take_snapshot(reader) < 0 ||
	    sd_event_add_io(server->event, &reader->io, socket, EPOLLOUT, on_reader,
			    reader) < 0)
		free_reader(reader);
	return 0;
}

void status_stop(struct server *server)
{
	while (!TAILQ_EMPTY(&server->readers))
		free_reader(TAILQ_FIRST(&server->readers));
}
