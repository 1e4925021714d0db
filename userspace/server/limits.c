// SPDX-License-Identifier: MIT
/*
 * How many peers there may be: of all users, of one, and as descriptors go. What
 * would not fit is refused before anything is opened for it.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include "text/text.h"
#include "server.h"

/* For a connection that is about to be refused, status readers, the log. */
#define RESERVE		24

static uint64_t descriptors_of_peer(const struct server *server)
{
	return server->vectors + 1;
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

/*
 * Where the command line does not say it: all that --max-peers allows, which counted
 * them, else half of what there can be. And no more than an eighth of the descriptors:
 * one that does not read has about six in flight, of which the kernel lets a process
 * without privilege have no more than it may have open ones.
 */
static unsigned int max_peers_of_user(const struct server *server, uint64_t descriptors)
{
	const struct server_options *options = server->options;
	unsigned int max = limits_max_peers(server), half = (max + 1) / 2;

	if (options->max_peers_of_user)
		return options->max_peers_of_user < max ? options->max_peers_of_user : max;
	if (options->max_peers)
		return max;
	return half <= descriptors / 8 ? half : descriptors / 8 ?: 1;
}

static int explain_store(const struct server *server)
{
	complain(server->peers_at.path,
		 "the service manager keeps %llu descriptors, which leaves no room for a peer: raise FileDescriptorStoreMax= and FDSTORE=, or set both to 0",
		 (unsigned long long)server->store.max);
	return -EMFILE;
}

/* When all that is not a peer's is open, but for those in @server's kept. */
int limits_apply(struct server *server)
{
	uint64_t limit = raise_limit();
	uint64_t taken = count_open() + RESERVE - server->kept.count;

	server->descriptors = limit > taken ? limit - taken : 0;
	server->max_peers_of_user = max_peers_of_user(server, limit);
	if (!store_max_peers(server))
		return explain_store(server);
	if (limits_max_peers(server))
		return 0;
	complain(server->peers_at.path,
		 "the limit of %llu descriptors leaves no room for a peer: raise it (ulimit -Hn, LimitNOFILE=)",
		 (unsigned long long)limit);
	return -EMFILE;
}

static unsigned int wanted(const struct server *server)
{
	return server->options->max_peers ?: SERVER_IDS_MAX;
}

/* How many peers there can be, whatever the reason. */
unsigned int limits_max_peers(const struct server *server)
{
	uint64_t fitting = server->descriptors / descriptors_of_peer(server);
	uint64_t stored = store_max_peers(server);

	if (stored < fitting)
		fitting = stored;
	return fitting < wanted(server) ? fitting : wanted(server);
}

/* Whether a limit is reached, and which, in @why. Who waits for its turn counts. */
bool limits_object(struct server *server, uid_t uid, char *why, size_t length)
{
	unsigned int peers = server->n_peers + server->n_waiting;
	unsigned int of_user = users_connections(server, uid);

	if (peers >= wanted(server))
		snprintf(why, length, "there are %u peers, as many as may be: raise --max-peers",
			 peers);
	else if (peers >= store_max_peers(server))
		snprintf(why, length, "there are %u peers, as many as the service manager keeps descriptors for: raise FileDescriptorStoreMax= and FDSTORE=",
			 peers);
	else if (peers >= limits_max_peers(server))
		snprintf(why, length, "there are no descriptors left for it: raise their limit (ulimit -Hn, LimitNOFILE=)");
	else if (of_user >= server->max_peers_of_user)
		snprintf(why, length, "its user has %u peers, as many as one may have: raise --max-peers-per-user",
			 of_user);
	else
		return false;
	return true;
}
