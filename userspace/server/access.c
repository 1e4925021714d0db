// SPDX-License-Identifier: MIT
/*
 * Who a client is, and whether it may connect.
 */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "server.h"

/*
 * The library gives its socket a name, which the kernel chooses, before it connects.
 * QEMU can't.
 */
static bool has_name(int socket)
{
	struct sockaddr_un address;
	socklen_t length = sizeof(address);

	return !getpeername(socket, (struct sockaddr *)&address, &length) &&
	       length > offsetof(struct sockaddr_un, sun_path);
}

/* Where they can't be had, they are nobody's. */
int credentials_get(int socket, struct credentials *credentials)
{
	struct ucred ucred;
	socklen_t length = sizeof(ucred);

	*credentials = (struct credentials){ .uid = (uid_t)-1, .gid = (gid_t)-1 };
	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &ucred, &length) < 0)
		return -errno;
	credentials->pid = ucred.pid;
	credentials->uid = ucred.uid;
	credentials->gid = ucred.gid;
	credentials->is_program = has_name(socket);
	return 0;
}

/* The client's supplementary groups, to be freed; NULL where it has none. */
static gid_t *supplementary_groups(int socket, size_t *count)
{
	socklen_t length = 0;
	gid_t *groups;

	*count = 0;
	if (!getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, NULL, &length) ||
	    errno != ERANGE)
		return NULL;
	groups = malloc(length);
	if (!groups)
		return NULL;
	if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0) {
		free(groups);
		return NULL;
	}
	*count = length / sizeof(*groups);
	return groups;
}

static bool group_is_listed(const struct access *access, gid_t group)
{
	size_t i;

	for (i = 0; i < access->n_groups; i++)
		if (access->groups[i] == group)
			return true;
	return false;
}

static bool any_group_is_listed(const struct access *access, int socket)
{
	size_t count, i;
	gid_t *groups = supplementary_groups(socket, &count);
	bool found = false;

	for (i = 0; i < count && !found; i++)
		found = group_is_listed(access, groups[i]);
	free(groups);
	return found;
}

bool access_allowed(const struct access *access, int socket,
		    const struct credentials *credentials)
{
	size_t i;

	if (!access->n_users && !access->n_groups)
		return true;
	for (i = 0; i < access->n_users; i++)
		if (access->users[i] == credentials->uid)
			return true;
	return access->n_groups && (group_is_listed(access, credentials->gid) ||
				    any_group_is_listed(access, socket));
}
