// SPDX-License-Identifier: MIT
/*
 * An account for each user who has connections, so that what one does is charged
 * to that one, and so that users take turns.
 */

#include <stdlib.h>

#include "server.h"

static struct user_list *bucket_of(struct server *server, uid_t uid)
{
	return &server->users[uid % USER_BUCKETS];
}

/* NULL where the user has no connection. */
static struct user *find(struct server *server, uid_t uid)
{
	struct user *user;

	LIST_FOREACH(user, bucket_of(server, uid), same_bucket)
		if (user->uid == uid)
			return user;
	return NULL;
}

unsigned int users_connections(struct server *server, uid_t uid)
{
	const struct user *user = find(server, uid);

	return user ? user->connections : 0;
}

/* One connection more. NULL where there is no memory. */
struct user *users_count_in(struct server *server, uid_t uid)
{
	struct user *user = find(server, uid);

	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return NULL;
		user->uid = uid;
		TAILQ_INIT(&user->waiting);
		TAILQ_INIT(&user->to_tell);
		LIST_INSERT_HEAD(bucket_of(server, uid), user, same_bucket);
	}
	user->connections++;
	return user;
}

/* One less: the last one closes the account. It is among the waiting no more. */
void users_count_out(struct server *server, struct user *user)
{
	if (--user->connections)
		return;
	LIST_REMOVE(user, same_bucket);
	free(user);
}
