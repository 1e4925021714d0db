// SPDX-License-Identifier: MIT
/*
 * What the service manager keeps for the process that comes after this one, should it
 * be killed: the book, the region, the listening sockets and their locks, and of each
 * connection the socket and the eventfds. See FileDescriptorStoreMax= in
 * systemd.service(5).
 *
 * Each has a name. Those of one connection have the same, its slot, and so are
 * forgotten together. Which eventfd is which vector's stands in the book, by the number
 * that the kernel has for it.
 *
 * A service manager that does not read is waited for by half a second, and then no more
 * until it has read. What it has not got stands in the book, and is tried again.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

#include "text/text.h"
#include "server.h"

#define RETRY_US	100000

/* Once, when it has not read for a while; then it is left alone until it reads. */
#define PATIENCE_MS	500

/* systemd gives all names in one variable, which has 128 KiB at most. */
#define NAMES_MAX	131000

/* What stands in /proc/self/fdinfo: the kernel tells it since Linux 5.2. */
int store_number_of(int eventfd, uint32_t *number)
{
	char path[sizeof("/proc/self/fdinfo/") + 11], line[64];
	int ret = -ENOTSUP;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", eventfd);
	info = fopen(path, "re");
	if (!info)
		return -errno;
	while (ret && fgets(line, sizeof(line), info))
		if (sscanf(line, "eventfd-id: %u", number) == 1)
			ret = 0;
	fclose(info);
	return ret;
}

static bool can_tell_eventfds_apart(void)
{
	int fd = eventfd(0, EFD_CLOEXEC), ret;
	uint32_t number;

	if (fd < 0)
		return true;	/* another call will say why */
	ret = store_number_of(fd, &number);
	close(fd);
	return !ret;
}

static bool forget(const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=" KEPT_PREFIX "%s", name);
	return manager_tell(text, NULL, 0, 0);
}

/* Before anything else has such a name. */
static bool forget_old(struct kept *old)
{
	while (old->count) {
		if (!forget(old->fds[old->count - 1].name))
			return false;
		free(old->fds[--old->count].name);
	}
	return true;
}

static bool put(struct server *server, const char *name, const int *fds, size_t count)
{
	char text[64];

	if (!forget_old(&server->store.old))
		return false;
	/* Not polled: who has left is told by this server, and for a reason. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=" KEPT_PREFIX "%s", name);
	if (manager_tell(text, fds, count, server->store.is_late ? 0 : PATIENCE_MS))
		return true;
	if (!server->store.is_late)
		log_event(server, LOG_WARNING, "unkept", NULL,
			  "the service manager does not read: who joins now is lost if the server is killed now");
	server->store.is_late = true;
	return false;
}

static void try_later(struct server *server)
{
	int state = SD_EVENT_OFF;

	sd_event_source_get_enabled(server->store.retry, &state);
	if (state != SD_EVENT_OFF)
		return;
	sd_event_source_set_time_relative(server->store.retry, RETRY_US);
	sd_event_source_set_enabled(server->store.retry, SD_EVENT_ONESHOT);
}

/* What there is once. That the service manager has it already does no harm. */
static bool put_base(struct server *server)
{
	unsigned int i;
	int fd;

	for (i = 0; i < KEPT_ONCE; i++) {
		fd = kept_own_fd(server, i);
		if (fd >= 0 && !put(server, kept_names[i], &fd, 1))
			return false;
	}
	return true;
}

void store_base(struct server *server)
{
	if (server->store.max && !server->store.has_base)
		server->store.has_base = put_base(server);
	if (server->store.max && !server->store.has_base)
		try_later(server);
}

/* How many peers there may be, if all of them are to be kept. */
uint64_t store_max_peers(const struct server *server)
{
	uint64_t of_peer = server->vectors + 1;
	uint64_t reserve = KEPT_ONCE + of_peer;	/* see resume.c */

	if (!server->store.max)
		return UINT64_MAX;
	return server->store.max < reserve ? 0 : (server->store.max - reserve) / of_peer;
}

static bool put_socket(struct server *server, unsigned int slot, int socket)
{
	struct record *record = book_record(&server->book, slot);
	char name[KEPT_NAME_SIZE];

	kept_slot_name(name, slot);
	if (record->stored < STORED_SOCKET && put(server, name, &socket, 1))
		record->stored = STORED_SOCKET;
	return record->stored >= STORED_SOCKET;
}

/* Of a connection that has just come. */
void store_socket(struct server *server, unsigned int slot, int socket)
{
	if (server->store.max && !put_socket(server, slot, socket))
		try_later(server);
}

static bool put_vectors(struct peer *peer)
{
	struct server *server = peer->server;
	char name[KEPT_NAME_SIZE];

	kept_slot_name(name, peer->slot);
	if (!put_socket(server, peer->slot, peer->socket))
		return false;
	if (peer->record->stored < STORED_ALL &&
	    put(server, name, peer->vectors, server->vectors))
		peer->record->stored = STORED_ALL;
	return peer->record->stored == STORED_ALL;
}

/* Of a connection that becomes a peer. */
void store_vectors(struct peer *peer)
{
	if (peer->server->store.max && !put_vectors(peer))
		try_later(peer->server);
}

static bool forget_slot(struct server *server, unsigned int slot)
{
	char name[KEPT_NAME_SIZE];

	kept_slot_name(name, slot);
	if (server->store.max && !(forget_old(&server->store.old) && forget(name)))
		return false;
	book_give_back(&server->book, slot);
	return true;
}

/* Of a connection that is no more: its record, too. */
void store_forget(struct server *server, unsigned int slot)
{
	book_record(&server->book, slot)->state = RECORD_GONE;
	book_order();
	if (!forget_slot(server, slot))
		try_later(server);
}

/* Of a server that has ended: all that is left of it. */
void store_forget_all(struct server *server)
{
	kept_close(&server->kept);
	server->store.old = server->kept;
	server->kept = (struct kept){ .count = 0 };
}

static bool catch_up(struct server *server)
{
	struct peer *peer;
	unsigned int slot;

	for (slot = 0; slot < server->book.header->top; slot++)
		if (book_record(&server->book, slot)->state == RECORD_GONE &&
		    !forget_slot(server, slot))
			return false;
	TAILQ_FOREACH(peer, &server->peers, all)
		if (peer->record->stored != STORED_ALL && !put_vectors(peer))
			return false;
	return true;
}

static int on_retry(sd_event_source *source, uint64_t now, void *data)
{
	struct server *server = data;

	store_base(server);
	if (!server->store.has_base || !catch_up(server))
		try_later(server);
	else
		server->store.is_late = false;
	return 0;
}

/* How many descriptors it keeps: systemd says so since version 254, our unit always. */
static uint64_t find_max(const struct server *server)
{
	const char *text = getenv("FDSTORE"), *notify = getenv("NOTIFY_SOCKET");
	uint64_t max = text && notify && *notify ? strtoull(text, NULL, 10) : 0;
	uint64_t named = NAMES_MAX / strlen(KEPT_PREFIX "ffff:");

	if (max && !can_tell_eventfds_apart()) {
		log_event(server, LOG_WARNING, "unkept", NULL,
			  "this kernel does not tell eventfds apart: nothing is kept for a process that comes after this one");
		return 0;
	}
	return max < named ? max : named;
}

int store_open(struct server *server)
{
	int ret;

	server->store.max = find_max(server);
	ret = sd_event_add_time_relative(server->event, &server->store.retry, CLOCK_MONOTONIC,
					 0, RETRY_US / 4, on_retry, server);
	if (ret < 0)
		return ret;
	return sd_event_source_set_enabled(server->store.retry, SD_EVENT_OFF);
}

void store_close(struct server *server)
{
	server->store.retry = sd_event_source_disable_unref(server->store.retry);
	kept_free(&server->store.old);
}
