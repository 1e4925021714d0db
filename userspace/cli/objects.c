// SPDX-License-Identifier: MIT
/* Objects that are made beforehand: what the options ask for. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/**
 * struct wish - One object.
 * @kind: Its kind.
 * @text: The option's value; its colons have become zero bytes.
 * @sizes: In bytes; 0: not given.
 */
struct wish {
	enum ivshmem_kind kind;
	char *text;
	uint64_t sizes[2];
};

/* Where @text goes on after a colon, which ends it; NULL where there is none. */
static char *cut(char *text)
{
	char *colon = strchr(text, ':');

	if (!colon)
		return NULL;
	*colon = '\0';
	return colon + 1;
}

static int parse_sizes(const char *verb, const char *option, struct wish *wish)
{
	char *rest = cut(wish->text);
	char *text;
	int i;

	for (i = 0; i < 2 && rest; i++) {
		text = rest;
		rest = cut(text);
		if (parse_size(verb, option, text, &wish->sizes[i]) < 0)
			return -EINVAL;
	}
	if (rest) {
		complain(verb, "%s '%s' has too many sizes", option, wish->text);
		return -EINVAL;
	}
	return 0;
}

static int check_wish(const char *verb, const char *option, const struct wish *wish)
{
	if (!*wish->text) {
		complain(verb, "%s needs a name", option);
		return -EINVAL;
	}
	if (wish->kind == IVSHMEM_AREA && (!wish->sizes[0] || wish->sizes[1])) {
		complain(verb, "--area '%s' needs one size, as --area %s:16M", wish->text,
			 wish->text);
		return -EINVAL;
	}
	return 0;
}

/* -EINVAL, -ENOMEM: after a message. */
int parse_object(const char *verb, struct wishes *wishes, int option, const char *value)
{
	const char *name = option == 'C' ? "--channel" : "--area";
	struct wish *list = realloc(wishes->list, (wishes->count + 1) * sizeof(*list));
	struct wish *wish;

	if (!list) {
		complain(verb, "not enough memory");
		return -ENOMEM;
	}
	wishes->list = list;
	wish = &list[wishes->count];
	*wish = (struct wish) {
		.kind = option == 'C' ? IVSHMEM_CHANNEL : IVSHMEM_AREA,
		.text = strdup(value),
	};
	if (!wish->text) {
		complain(verb, "not enough memory");
		return -ENOMEM;
	}
	wishes->count++;
	if (parse_sizes(verb, name, wish) < 0)
		return -EINVAL;
	/* The library takes what the region was formatted for where a ring's size is 0. */
	if (wish->kind == IVSHMEM_CHANNEL && !wish->sizes[1])
		wish->sizes[1] = wish->sizes[0];
	return check_wish(verb, name, wish);
}

static int make_one(struct ivshmem *shm, const struct wish *wish)
{
	if (wish->kind == IVSHMEM_AREA)
		return ivshmem_make_area(shm, wish->text, wish->sizes[0]);
	return ivshmem_make_channel(shm, wish->text, wish->sizes[0], wish->sizes[1]);
}

/* A negative errno, after a message: what comes after the one that failed is not made. */
int make_objects(struct ivshmem *shm, const char *where, const struct wishes *wishes)
{
	size_t i;
	int ret;

	for (i = 0; i < wishes->count; i++) {
		ret = make_one(shm, &wishes->list[i]);
		if (ret < 0) {
			complain(where, "'%s' was not made: %s", wishes->list[i].text,
				 ivshmem_explain(IVSHMEM_TASK_MAKE, ret));
			return ret;
		}
	}
	return 0;
}

void free_wishes(struct wishes *wishes)
{
	size_t i;

	for (i = 0; i < wishes->count; i++)
		free(wishes->list[i].text);
	free(wishes->list);
}
