// SPDX-License-Identifier: MIT
/* Lines of a bounded length, from a descriptor that may not block. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define FIRST_ROOM	((size_t)64 * 1024)

/* Room for more behind what is there. */
static int make_room(struct lines *lines)
{
	size_t room = lines->room ? 2 * lines->room : FIRST_ROOM;
	char *buffer;

	if (lines->start) {
		memmove(lines->buffer, lines->buffer + lines->start, lines->end - lines->start);
		lines->end -= lines->start;
		lines->start = 0;
	}
	if (lines->end < lines->room)
		return 0;
	buffer = realloc(lines->buffer, room);
	if (!buffer)
		return -ENOMEM;
	lines->buffer = buffer;
	lines->room = room;
	return 0;
}

static int fill(struct lines *lines)
{
	ssize_t n;

	if (lines->end == lines->room) {
		n = make_room(lines);
		if (n < 0)
			return n;
	}
	n = read_some(lines->fd, lines->buffer + lines->end, lines->room - lines->end);
	if (n < 0)
		return n;
	lines->end += n;
	lines->ended = !n;
	return 0;
}

/*
 * The next line, without its end; valid until the next call. What follows the last
 * line's end is a line, too, if it is not empty. Returns 1; 0 where there is no
 * more; -EMSGSIZE (longer than the longest), or another error from reading.
 */
int lines_next(struct lines *lines, const char **line, size_t *length)
{
	size_t looked_at = 0;
	char *newline;
	int ret;

	for (;;) {
		*line = lines->buffer + lines->start;
		*length = lines->end - lines->start;
		newline = *length > looked_at ?
			memchr(*line + looked_at, '\n', *length - looked_at) : NULL;
		if (newline)
			*length = newline - *line;
		if (*length > lines->max)
			return -EMSGSIZE;
		if (newline || lines->ended)
			break;
		looked_at = *length;
		ret = fill(lines);
		if (ret < 0)
			return ret;
	}
	if (!newline && !*length)
		return 0;
	lines->start += *length + !!newline;
	return 1;
}

void lines_free(struct lines *lines)
{
	free(lines->buffer);
}
