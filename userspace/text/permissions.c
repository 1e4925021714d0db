// SPDX-License-Identifier: MIT
/* Modes, users and groups, as options name them. */

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* Octal; -EINVAL after a message. */
int parse_mode(const char *verb, const char *text, mode_t *mode)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 8);
	if (text[0] < '0' || text[0] > '7' || *end || errno || number > 0777) {
		complain(verb, "--mode '%s' is not a mode: write octal digits up to 0777, as 0660",
			 text);
		return -EINVAL;
	}
	*mode = number;
	return 0;
}

static int parse_id(const char *verb, const char *option, const char *text, unsigned int *id)
{
	return parse_integer(verb, option, text, 0, UINT_MAX - 1, id);
}

static int explain_unknown(const char *verb, const char *option, const char *text,
			   const char *kind)
{
	if (errno)
		complain(verb, "%s '%s': %s", option, text, strerror(errno));
	else
		complain(verb, "%s '%s': there is no such %s", option, text, kind);
	return -EINVAL;
}

/* A name, or a number; -EINVAL after a message. */
int parse_user(const char *verb, const char *option, const char *text, uid_t *uid)
{
	const struct passwd *user;

	if (*text >= '0' && *text <= '9')
		return parse_id(verb, option, text, uid);
	errno = 0;
	user = getpwnam(text);
	if (!user)
		return explain_unknown(verb, option, text, "user");
	*uid = user->pw_uid;
	return 0;
}

/* See parse_user(). */
int parse_group(const char *verb, const char *option, const char *text, gid_t *gid)
{
	const struct group *group;

	if (*text >= '0' && *text <= '9')
		return parse_id(verb, option, text, gid);
	errno = 0;
	group = getgrnam(text);
	if (!group)
		return explain_unknown(verb, option, text, "group");
	*gid = group->gr_gid;
	return 0;
}
