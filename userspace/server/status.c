// SPDX-License-Identifier: MIT
/*
 * The status socket: whoever connects gets a snapshot of the peers, one JSON
 * object a line, and then the end of the file. The first line tells how many
 * follow.
 *
 * A snapshot is made after its readers have come, and takes the longer the more peers
 * there are. So all who wait for one share it, and the next one waits until nine times
 * as long has passed: whoever asks in a loop gets a tenth of the server's time. Each
 * reader takes it at its own pace. Where there are too many readers, one of the user
 * who has most goes.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

#define READERS_MAX	8

/* What the kernel keeps of a snapshot that is not taken. */
#define SEND_BUFFER	8192

/* How many times as long as the last snapshot took the next one waits. */
#define PAUSE_TIMES	9

struct snapshot {
	unsigned int readers;
	char *text;
	size_t length;
};

/**
 * struct status_reader - Whoever asks.
 * @all: In struct server's readers, in the order in which they came.
 * @server: The server.
 * @uid: Whose it is.
 * @socket: The connection.
 * @io: The event source of @socket, off until there is a snapshot.
 * @snapshot: What it is sent, NULL until that is made.
 * @sent: How much of it.
 */
struct status_reader {
	TAILQ_ENTRY(status_reader) all;
	struct server *server;
	uid_t uid;
	int socket;
	sd_event_source *io;
	struct snapshot *snapshot;
	size_t sent;
};

static void free_snapshot(struct snapshot *snapshot)
{
	free(snapshot->text);
	free(snapshot);
}

static void free_reader(struct status_reader *reader)
{
	TAILQ_REMOVE(&reader->server->readers, reader, all);
	reader->server->n_readers--;
	sd_event_source_disable_unref(reader->io);
	close(reader->socket);
	if (reader->snapshot && !--reader->snapshot->readers)
		free_snapshot(reader->snapshot);
	free(reader);
}

static uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static void print_peer(FILE *stream, const struct peer *peer)
{
	const struct record *record = peer->record;

	fprintf(stream, "{\"peer\":%u,\"uid\":%u,\"gid\":%u,\"pid\":%d,\"vectors\":%u,\"queue\":%u,\"since\":%llu}\n",
		record->id, record->credentials.uid, record->credentials.gid,
		record->credentials.pid, peer->server->vectors,
		peer->untold, (unsigned long long)record->since);
}

static int print_all(FILE *stream, struct server *server)
{
	const struct peer *peer;

	fprintf(stream, "{\"peers\":%u,\"max_peers\":%u,\"max_peers_per_user\":%u,\"vectors\":%u,\"size\":%llu,\"steps\":%llu}\n",
		server->n_peers, limits_max_peers(server), server->max_peers_of_user,
		server->vectors, (unsigned long long)server->region.size,
		(unsigned long long)server->steps);
	news_count(server);
	TAILQ_FOREACH(peer, &server->peers, all)
		print_peer(stream, peer);
	return fclose(stream) ? -ENOMEM : 0;
}

/* NULL where there is no memory. */
static struct snapshot *new_snapshot(struct server *server)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	FILE *stream;

	if (!snapshot)
		return NULL;
	stream = open_memstream(&snapshot->text, &snapshot->length);
	if (stream && !print_all(stream, server))
		return snapshot;
	free_snapshot(snapshot);
	return NULL;
}

static int on_reader(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct status_reader *reader = data;
	const struct snapshot *snapshot = reader->snapshot;
	ssize_t sent;

	sent = send(fd, snapshot->text + reader->sent, snapshot->length - reader->sent,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (sent > 0)
		reader->sent += sent;
	if (sent < 0 || reader->sent == snapshot->length)
		free_reader(reader);
	return 0;
}

/* Without a snapshot there is nothing to be had: it goes, and may come again. */
static void give(struct status_reader *reader, struct snapshot *snapshot)
{
	if (!snapshot || sd_event_source_set_enabled(reader->io, SD_EVENT_ON) < 0) {
		free_reader(reader);
		return;
	}
	reader->snapshot = snapshot;
	snapshot->readers++;
}

/* One for all who wait. */
static int on_snapshot(sd_event_source *source, uint64_t now, void *data)
{
	struct server *server = data;
	uint64_t start = clock_us(), end;
	struct snapshot *snapshot = new_snapshot(server);
	struct status_reader *reader, *next;

	for (reader = TAILQ_FIRST(&server->readers); reader; reader = next) {
		next = TAILQ_NEXT(reader, all);
		if (!reader->snapshot)
			give(reader, snapshot);
	}
	if (snapshot && !snapshot->readers)
		free_snapshot(snapshot);
	end = clock_us();
	server->next_snapshot_us = end + PAUSE_TIMES * (end - start);
	return 0;
}

/* The oldest one of the user with most readers. */
static struct status_reader *who_must_go(const struct server *server)
{
	struct status_reader *reader, *other, *found = NULL;
	unsigned int count, most = 0;

	TAILQ_FOREACH(reader, &server->readers, all) {
		count = 0;
		TAILQ_FOREACH(other, &server->readers, all)
			count += other->uid == reader->uid;
		if (count > most) {
			most = count;
			found = reader;
		}
	}
	return found;
}

/* Who runs the server may look, too, whoever the peers are. */
static bool may_read(const struct server *server, int socket,
		     const struct credentials *credentials)
{
	return !credentials->uid || credentials->uid == geteuid() ||
	       access_allowed(&server->options->access, socket, credentials);
}

/* NULL where it may not read, or there is no memory; @socket is then the caller's. */
static struct status_reader *new_reader(struct server *server, int socket)
{
	const int buffer = SEND_BUFFER;
	struct credentials credentials;
	struct status_reader *reader;

	if (credentials_get(socket, &credentials) < 0 ||
	    !may_read(server, socket, &credentials))
		return NULL;
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return NULL;
	reader->server = server;
	reader->socket = socket;
	reader->uid = credentials.uid;
	if (sd_event_add_io(server->event, &reader->io, socket, EPOLLOUT, on_reader, reader) < 0) {
		free(reader);
		return NULL;
	}
	sd_event_source_set_enabled(reader->io, SD_EVENT_OFF);
	setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	return reader;
}

/* Soon, or when the last one is long enough ago. */
static int want_snapshot(struct server *server)
{
	int state = SD_EVENT_OFF;

	sd_event_source_get_enabled(server->snapshot, &state);
	if (state != SD_EVENT_OFF)
		return 0;
	sd_event_source_set_time(server->snapshot, server->next_snapshot_us);
	return sd_event_source_set_enabled(server->snapshot, SD_EVENT_ONESHOT);
}

int status_on_connection(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct server *server = data;
	struct status_reader *reader;
	int socket;

	socket = accept_connection(server, fd);
	if (socket < 0)
		return 0;
	server->steps++;
	reader = new_reader(server, socket);
	if (!reader) {
		close(socket);
		return 0;
	}
	TAILQ_INSERT_TAIL(&server->readers, reader, all);
	if (++server->n_readers > READERS_MAX)
		free_reader(who_must_go(server));
	return want_snapshot(server);
}

int status_start(struct server *server)
{
	int ret;

	ret = sd_event_add_time(server->event, &server->snapshot, CLOCK_MONOTONIC, 0, 1,
				on_snapshot, server);
	if (ret < 0)
		return ret;
	return sd_event_source_set_enabled(server->snapshot, SD_EVENT_OFF);
}

void status_stop(struct server *server)
{
	while (!TAILQ_EMPTY(&server->readers))
		free_reader(TAILQ_FIRST(&server->readers));
	server->snapshot = sd_event_source_disable_unref(server->snapshot);
}
