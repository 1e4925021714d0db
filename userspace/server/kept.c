// SPDX-License-Identifier: MIT
/*
 * Descriptors that one process leaves for the next, and their names: those that come
 * from the service manager, and those that were inherited.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server.h"

const char *const kept_names[KEPT_ONCE] = {
	[KEPT_BOOK] = "book",
	[KEPT_REGION] = "region",
	[KEPT_PEERS] = "peers",
	[KEPT_PEERS_LOCK] = "peers.lock",
	[KEPT_STATUS] = "status",
	[KEPT_STATUS_LOCK] = "status.lock",
};

void kept_slot_name(char name[KEPT_NAME_SIZE], unsigned int slot)
{
	snprintf(name, KEPT_NAME_SIZE, "%x", slot);
}

/* Takes over @fd on success only. */
int kept_add(struct kept *kept, const char *name, int fd)
{
	struct kept_fd *more = reallocarray(kept->fds, kept->count + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	kept->fds = more;
	more[kept->count] = (struct kept_fd){ strdup(name), fd };
	if (!more[kept->count].name)
		return -ENOMEM;
	kept->count++;
	return 0;
}

/* Its descriptor, now the caller's; -1 where there is none. */
int kept_take(struct kept *kept, enum kept_once what)
{
	size_t i;
	int fd;

	for (i = 0; i < kept->count; i++) {
		if (strcmp(kept->fds[i].name, kept_names[what]))
			continue;
		fd = kept->fds[i].fd;
		free(kept->fds[i].name);
		kept->fds[i] = kept->fds[--kept->count];
		return fd;
	}
	return -1;
}

/* What this process has of that, for the next one; -1: nothing, or systemd passed it. */
int kept_own_fd(const struct server *server, enum kept_once what)
{
	switch (what) {
	case KEPT_BOOK:
		return server->book.fd;
	case KEPT_REGION:
		return server->region.fd;
	case KEPT_PEERS:
		return server->peers_at.lock < 0 ? -1 : server->peers_at.fd;
	case KEPT_PEERS_LOCK:
		return server->peers_at.lock;
	case KEPT_STATUS:
		return server->status_at.lock < 0 ? -1 : server->status_at.fd;
	case KEPT_STATUS_LOCK:
		return server->status_at.lock;
	}
	return -1;
}

void kept_free(struct kept *kept)
{
	size_t i;

	for (i = 0; i < kept->count; i++) {
		if (kept->fds[i].fd >= 0)
			close(kept->fds[i].fd);
		free(kept->fds[i].name);
	}
	free(kept->fds);
	*kept = (struct kept){ .count = 0 };
}

/* Nobody can use them: what is left is their names. */
void kept_close(struct kept *kept)
{
	size_t i;

	for (i = 0; i < kept->count; i++) {
		close(kept->fds[i].fd);
		kept->fds[i].fd = -1;
	}
}
