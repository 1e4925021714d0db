// SPDX-License-Identifier: MIT
/*
 * Going on where another process was killed, or has handed over: from its book, and
 * the descriptors that it left.
 *
 * Wherever that process was stopped, what is missing is done here: a message that was
 * sent is noted as told, a peer that was leaving leaves. All of it may be done again by
 * yet another process, should this one be killed meanwhile.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "text/text.h"
#include "server.h"

/* The message that was being sent: it was, or it was not. */
static void finish_outbox(struct book *book)
{
	const struct outbox *outbox = &book->header->outbox;
	unsigned int slot = outbox->to - 1;
	struct record *record;
	struct leaves leaves;

	if (!outbox->to || !outbox->wire.msg_len || slot >= book->header->top)
		return;
	record = book_record(book, slot);
	switch (outbox->kind) {
	case NEWS_INTRODUCTION:
		record->introduced = outbox->step + 1;
		break;
	case NEWS_VECTOR:
		record->knows = outbox->number;
		record->vectors_told = outbox->step + 1;
		break;
	case NEWS_LEAVE:
		leaves_open(&leaves, &record->leaves, book_leaves(book, slot));
		leaves_remove(&leaves, outbox->value);
		break;
	}
}

/* The book of the process before, where there is one: else all that it left is moot. */
void resume_book(struct server *server)
{
	struct book *book = &server->book;
	int fd = kept_take(&server->kept, KEPT_BOOK);

	if (fd >= 0 && book_open(book, fd) < 0) {
		/* So that it is forgotten, too. */
		if (kept_add(&server->kept, kept_names[KEPT_BOOK], fd) < 0)
			close(fd);
	}
	if (book->fd < 0) {
		store_forget_all(server);
		return;
	}
	finish_outbox(book);
	book_sent(book);
	server->vectors = book->header->vectors;
}

/* -1: it is no slot's. */
static long slot_of(const struct server *server, const char *name)
{
	char *end;
	unsigned long slot = strtoul(name, &end, 16);

	return *name && !*end && slot < server->book.header->top ? (long)slot : -1;
}

static bool is_socket(int fd)
{
	socklen_t length = sizeof(int);
	int type;

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
}

/* False where the peer has no such vector yet, or not any more. */
static bool take_vector(struct peer *peer, int fd)
{
	unsigned int i;
	uint32_t number;

	if (store_number_of(fd, &number) < 0)
		return false;
	for (i = 0; i < peer->server->vectors; i++) {
		if (peer->record->vectors[i] != number || peer->vectors[i] >= 0)
			continue;
		peer->vectors[i] = fd;
		return true;
	}
	return false;
}

static int resume_waiting(struct server *server, unsigned int slot, int socket)
{
	int ret = 0;

	if (socket >= 0)
		ret = accept_wait(server, socket, slot);
	if (socket < 0 || ret < 0)
		store_forget(server, slot);
	else
		store_socket(server, slot, socket);
	return ret;
}

static int resume_peer(struct server *server, unsigned int slot, int socket, struct peer **out)
{
	const struct record *record = book_record(&server->book, slot);
	struct user *user = users_count_in(server, record->credentials.uid);

	*out = user ? peers_new(server, slot, socket, user) : NULL;
	if (!*out)
		return -ENOMEM;
	server->n_qemus += !record->credentials.is_program;
	server->ids.used[record->id / 64] |= 1ull << record->id % 64;
	return 0;
}

/* Takes over @socket where it succeeds. */
static int resume_slot(struct server *server, unsigned int slot, int socket, struct peer **out)
{
	switch (book_record(&server->book, slot)->state) {
	case RECORD_WAITING:
		return resume_waiting(server, slot, socket);
	case RECORD_PEER:
	case RECORD_LEAVING:
		return resume_peer(server, slot, socket, out);
	case RECORD_GONE:
		store_forget(server, slot);
	}
	return -ENOENT;
}

static bool has_all_vectors(const struct peer *peer)
{
	unsigned int i;

	for (i = 0; i < peer->server->vectors; i++)
		if (peer->vectors[i] < 0)
			return false;
	return true;
}

/* It stands in line already. */
static int go_on(struct peer *peer)
{
	int ret;

	waits_join(peer);
	if (peer->record->state == RECORD_LEAVING || peer->socket < 0) {
		waits_to_end(peer, NULL);
		return 0;
	}
	if (!has_all_vectors(peer)) {
		waits_to_end(peer, "the service manager had not all of its descriptors");
		return 0;
	}
	ret = peers_watch(peer);
	waits_over(peer);
	store_vectors(peer);
	return ret;
}

static int by_number(const void *a, const void *b)
{
	uint64_t left = (*(struct peer *const *)a)->record->number;
	uint64_t right = (*(struct peer *const *)b)->record->number;

	return left < right ? -1 : left > right;
}

/*
 * Those of @found, which has a place for each slot, that are there. Who has no number yet
 * was not told of to anybody.
 */
static int line_up(struct server *server, struct peer **found)
{
	unsigned int slot, count = 0, i;
	int ret = 0;

	for (slot = 0; slot < server->book.header->top; slot++)
		if (found[slot])
			found[count++] = found[slot];
	qsort(found, count, sizeof(*found), by_number);
	news_resumed(server, found, count);
	for (i = 0; i < count && !ret; i++)
		ret = go_on(found[i]);
	if (!ret)
		log_event(server, LOG_NOTICE, "resumed", NULL,
			  "goes on with %u peer%s of the process before", count,
			  count == 1 ? "" : "s");
	return ret;
}

/* Sockets first: what the eventfds belong to. */
static int resume_slots(struct server *server, struct peer **found)
{
	unsigned int top = server->book.header->top, slot;
	int *sockets = malloc((top + 1) * sizeof(*sockets)), ret = 0;
	struct kept *kept = &server->kept;
	size_t i;
	long of;

	if (!sockets)
		return -ENOMEM;
	for (slot = 0; slot < top; slot++)
		sockets[slot] = -1;
	for (i = 0; i < kept->count; i++) {
		of = slot_of(server, kept->fds[i].name);
		if (of < 0 || !is_socket(kept->fds[i].fd) || sockets[of] >= 0)
			continue;
		sockets[of] = kept->fds[i].fd;
		kept->fds[i].fd = -1;
	}
	for (slot = 0; slot < top && ret != -ENOMEM; slot++) {
		ret = resume_slot(server, slot, sockets[slot], &found[slot]);
		if (ret < 0 && sockets[slot] >= 0)
			close(sockets[slot]);
	}
	free(sockets);
	return ret == -ENOMEM ? ret : 0;
}

static void take_vectors(struct server *server, struct peer **found)
{
	struct kept *kept = &server->kept;
	size_t i;
	long of;

	for (i = 0; i < kept->count; i++) {
		of = slot_of(server, kept->fds[i].name);
		if (of >= 0 && found[of] && kept->fds[i].fd >= 0 &&
		    take_vector(found[of], kept->fds[i].fd))
			kept->fds[i].fd = -1;
	}
	kept_free(kept);
}

/* After a message where it fails. */
int resume_peers(struct server *server)
{
	struct peer **found = calloc(server->book.header->top + 1, sizeof(*found));
	int ret = found ? 0 : -ENOMEM;

	server->ids.next = server->book.header->next_id;
	if (!ret)
		ret = resume_slots(server, found);
	if (!ret) {
		take_vectors(server, found);
		ret = line_up(server, found);
	}
	free(found);
	if (ret < 0)
		complain(server->peers_at.path, "the peers of the process before can't be taken over: %s",
			 strerror(-ret));
	return ret;
}
