// SPDX-License-Identifier: MIT
/*
 * How many peers this process has descriptors for. What would not fit is
 * refused before anything is opened for it.
 */

#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>

#include "text/text.h"
#include "server.h"

/* For a connection that is about to be refused, status readers, the log. */
#define RESERVE		24

static uint64_t descriptors_of_peer(const struct server *server)
{
	return server->options->vectors + 1;
}

static uint64_t raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t before = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			limit.rlim_cur = before;
	}
	return limit.rlim_cur;
}

static uint64_t count_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint64_t count = 0;

	if (!dir)
		return 32;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 3;	/* ".", ".." and the folder itself */
}

/* When all that is not a peer's is open. */
int limits_apply(struct server *server)
{
	uint64_t limit = raise_limit();
	uint64_t taken = count_open() + RESERVE;

	server->descriptors = limit > taken ? limit - taken : 0;
	if (limits_allow_peer(server))
		return 0;
	complain(server->peers_at.path,
		 "the limit of %llu descriptors leaves no room for a peer: raise it (ulimit -Hn, LimitNOFILE=)",
		 (unsigned long long)limit);
	return -EMFILE;
}

/* How many peers there can be, whatever the reason. */
unsigned int limits_max_peers(const struct server *server)
{
	uint64_t fitting = server->descriptors / descriptors_of_peer(server);
	unsigned int wanted = server->options->max_peers;

	return fitting < wanted ? fitting : wanted;
}

bool limits_allow_peer(const struct server *server)
{
	return (server->n_peers + 1) * descriptors_of_peer(server) <=
	       server->descriptors;
}
