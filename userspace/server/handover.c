// SPDX-License-Identifier: MIT
/*
 * SIGUSR2: this process becomes the program that lies at its own path by now, with the
 * same command line. It inherits the descriptors, and finds in a table which is which;
 * the rest stands in the book. Where that program can't be started, this one goes on.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>

#include "text/text.h"
#include "server.h"

#define VARIABLE	"IVSHMEM_KEPT"

static int for_endpoint(const struct endpoint *endpoint, enum kept_once name,
			kept_action *action, void *data)
{
	if (endpoint->lock >= 0)
		return action(data, endpoint->fd, KEPT_PREFIX, kept_names[name]) ?:
		       action(data, endpoint->lock, KEPT_PREFIX, kept_names[name + 1]);
	return action(data, endpoint->fd, "", kept_names[name]);
}

static int for_peer(const struct peer *peer, kept_action *action, void *data)
{
	char name[KEPT_NAME_SIZE];
	unsigned int i;
	int ret;

	kept_slot_name(name, peer->slot);
	ret = action(data, peer->socket, KEPT_PREFIX, name);
	for (i = 0; i < peer->server->vectors && !ret; i++)
		ret = action(data, peer->vectors[i], KEPT_PREFIX, name);
	return ret;
}

/* All that the next process needs. Stops where an action fails. */
static int for_all(struct server *server, kept_action *action, void *data)
{
	const struct peer *peer;
	int ret;

	ret = action(data, server->book.fd, KEPT_PREFIX, kept_names[KEPT_BOOK]) ?:
	      action(data, server->region.fd, KEPT_PREFIX, kept_names[KEPT_REGION]) ?:
	      for_endpoint(&server->peers_at, KEPT_PEERS, action, data) ?:
	      for_endpoint(&server->status_at, KEPT_STATUS, action, data) ?:
	      accept_for_all(server, action, data);
	TAILQ_FOREACH(peer, &server->peers, all) {
		if (ret)
			break;
		ret = for_peer(peer, action, data);
	}
	return ret;
}

static int write_line(void *data, int fd, const char *prefix, const char *name)
{
	return fprintf(data, "%d %s%s\n", fd, prefix, name) < 0 ? -ENOMEM : 0;
}

static int set_inherited(void *data, int fd, const char *prefix, const char *name)
{
	const int *flags = data;

	return fcntl(fd, F_SETFD, *flags) < 0 ? -errno : 0;
}

/* A memfd that says which descriptor is which; inherited. */
static int make_table(struct server *server)
{
	int fd = memfd_create("ivshmem-kept", 0), copy, ret;
	FILE *stream;

	if (fd < 0)
		return -errno;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	stream = copy < 0 ? NULL : fdopen(copy, "w");
	if (!stream) {
		ret = -errno;
		if (copy >= 0)
			close(copy);
		goto err_close;
	}
	ret = for_all(server, write_line, stream);
	if (fclose(stream) && !ret)
		ret = -ENOMEM;
	if (!ret)
		return fd;
err_close:
	close(fd);
	return ret;
}

/* Returns only where it fails. */
static int hand_over(struct server *server)
{
	const int inherited = 0, own = FD_CLOEXEC;
	char number[16];
	int table = make_table(server), ret;

	if (table < 0)
		return table;
	snprintf(number, sizeof(number), "%d", table);
	ret = setenv(VARIABLE, number, 1) < 0 ? -errno : 0;
	if (!ret)
		ret = for_all(server, set_inherited, (void *)&inherited);
	if (!ret) {
		execv(server->program, server->options->argv);
		ret = -errno;
	}
	for_all(server, set_inherited, (void *)&own);
	unsetenv(VARIABLE);
	close(table);
	return ret;
}

int handover_on_signal(sd_event_source *source, const struct signalfd_siginfo *info,
		       void *data)
{
	struct server *server = data;
	int ret = hand_over(server);

	log_event(server, LOG_ERR, "handover failed", NULL,
		  "%s can't be started, this process goes on: %s", server->program,
		  strerror(-ret));
	return 0;
}

/* Its path, while it is still this program's: an upgrade replaces the file. */
int handover_open(struct server *server)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[length < 0 ? 0 : length] = '\0';
	server->program = strdup(length < 0 ? server->options->argv[0] : path);
	if (server->program)
		return 0;
	complain("serve", "%s", strerror(ENOMEM));
	return -ENOMEM;
}

/* Another process has handed over to this one. */
bool handover_is_on(void)
{
	return getenv(VARIABLE);
}

static int take_lines(struct server *server, FILE *table,
		      int (*take)(struct server *server, int fd, const char *name))
{
	char line[64], name[sizeof(line)];
	int fd, ret = 0;

	while (!ret && fgets(line, sizeof(line), table)) {
		if (sscanf(line, "%d %s", &fd, name) != 2 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			ret = -EINVAL;
		else
			ret = take(server, fd, name);
	}
	return ret;
}

/* What was inherited, each to @take. After a message where it fails. */
int handover_take(struct server *server,
		  int (*take)(struct server *server, int fd, const char *name))
{
	const char *number = getenv(VARIABLE);
	FILE *table;
	int ret;

	if (!number)
		return 0;
	table = fdopen(atoi(number), "r");
	unsetenv(VARIABLE);
	if (!table) {
		complain("serve", VARIABLE " is set, and no server has handed over: unset it");
		return -EINVAL;
	}
	rewind(table);
	ret = take_lines(server, table, take);
	fclose(table);
	if (ret < 0)
		complain("serve", "what the process before handed over can't be taken: %s",
			 strerror(-ret));
	return ret;
}
