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
 * @topic: The layout of a topic.
 */
struct wish {
	enum ivshmem_kind kind;
	char *text;
	uint64_t sizes[2];
	struct ivshmem_topic_layout topic;
};

#define LONG_MESSAGE	(64 << 10)	/* of which a topic keeps few */

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

static int parse_count(const char *verb, const char *key, const char *value, unsigned int least,
		       unsigned int most, unsigned int *count)
{
	char what[32];

	snprintf(what, sizeof(what), "--topic ... %s=", key);
	return parse_integer(verb, what, value ? value : "", least, most, count);
}

/* LENGTH[,KEY=NUMBER]...[,lossless]. */
static int parse_topic(const char *verb, struct wish *wish, char *text)
{
	enum { HISTORY, PUBLISHERS, SUBSCRIBERS, HOLDS, LOSSLESS };
	char *const keys[] = { "history", "publishers", "subscribers", "holds", "lossless", NULL };
	struct ivshmem_topic_layout *topic = &wish->topic;
	char *rest = strchr(text, ','), *value;
	int key, ret;

	if (rest)
		*rest++ = '\0';
	ret = parse_size(verb, "--topic", text, &topic->max_length);
	topic->history = topic->max_length > LONG_MESSAGE ? 4 : 64;
	topic->publishers = 1;
	topic->subscribers = 16;
	while (!ret && rest && *rest) {
		key = getsubopt(&rest, keys, &value);
		if (key == HISTORY)
			ret = parse_count(verb, "history", value, 2, 65536, &topic->history);
		else if (key == PUBLISHERS)
			ret = parse_count(verb, "publishers", value, 1, 16, &topic->publishers);
		else if (key == SUBSCRIBERS)
			ret = parse_count(verb, "subscribers", value, 1, 1024,
					  &topic->subscribers);
		else if (key == HOLDS)
			ret = parse_count(verb, "holds", value, 0, 64, &topic->holds);
		else if (key == LOSSLESS && !value)
			topic->flags = IVSHMEM_TOPIC_LOSSLESS;
		else
			ret = -EINVAL;
		if (key < 0)
			complain(verb, "--topic does not know '%s': there are history=N, publishers=N, subscribers=N, holds=N and lossless",
				 value);
	}
	return ret;
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

static int parse_wish(const char *verb, const char *option, struct wish *wish)
{
	char *rest;

	if (wish->kind != IVSHMEM_TOPIC) {
		if (parse_sizes(verb, option, wish) < 0)
			return -EINVAL;
		/* Where a ring's size is 0 the library takes the region's usual one. */
		if (wish->kind != IVSHMEM_AREA && !wish->sizes[1])
			wish->sizes[1] = wish->sizes[0];
		return check_wish(verb, option, wish);
	}
	rest = cut(wish->text);
	if (!rest) {
		complain(verb, "--topic '%s' needs the length of the longest message, as --topic %s:4K",
			 wish->text, wish->text);
		return -EINVAL;
	}
	return parse_topic(verb, wish, rest) < 0 ? -EINVAL : check_wish(verb, option, wish);
}

/* -EINVAL, -ENOMEM: after a message. */
int parse_object(const char *verb, struct wishes *wishes, int option, const char *value)
{
	static const struct {
		int option;
		const char *name;
		enum ivshmem_kind kind;
	} kinds[] = {
		{ 'C', "--channel", IVSHMEM_CHANNEL },
		{ 'A', "--area", IVSHMEM_AREA },
		{ 'P', "--topic", IVSHMEM_TOPIC },
		{ 'S', "--service", IVSHMEM_SERVICE },
	};
	struct wish *list = realloc(wishes->list, (wishes->count + 1) * sizeof(*list));
	char *text = strdup(value);
	size_t i = 0;

	if (list)
		wishes->list = list;
	if (!list || !text) {
		free(text);
		complain(verb, "not enough memory");
		return -ENOMEM;
	}
	while (kinds[i].option != option)
		i++;
	list[wishes->count] = (struct wish) { .kind = kinds[i].kind, .text = text };
	return parse_wish(verb, kinds[i].name, &list[wishes->count++]);
}

static int make_one(struct ivshmem *shm, const struct wish *wish)
{
	if (wish->kind == IVSHMEM_AREA)
		return ivshmem_make_area(shm, wish->text, wish->sizes[0]);
	if (wish->kind == IVSHMEM_TOPIC)
		return ivshmem_make_topic(shm, wish->text, &wish->topic);
	if (wish->kind == IVSHMEM_SERVICE)
		return ivshmem_make_service(shm, wish->text, wish->sizes[0], wish->sizes[1]);
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
