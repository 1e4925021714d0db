// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backlog.h"

/* The list begins and ends at place 0; whose both neighbours are 0 is alone, or not in it. */
struct ivshmem_news {
	uint32_t before;
	uint32_t after;
};

#define PLACES	(1 + 2 * (IVSHMEM_MAX_PEER + 1))

static uint32_t place_of(enum ivshmem_protocol_event event, unsigned int peer)
{
	return 1 + 2 * peer + (event == IVSHMEM_EVENT_JOINED);
}

static bool is_listed(const struct ivshmem_news *news, uint32_t place)
{
	return news[news[place].before].after == place;
}

static void append(struct ivshmem_news *news, uint32_t place)
{
	news[place] = (struct ivshmem_news){ .before = news[0].before };
	news[news[0].before].after = place;
	news[0].before = place;
}

static void take_out(struct ivshmem_news *news, uint32_t place)
{
	news[news[place].before].after = news[place].after;
	news[news[place].after].before = news[place].before;
	news[place] = (struct ivshmem_news){ 0 };
}

/* What the list takes is memory only once it was touched. */
int ivshmem_backlog_init(struct ivshmem_backlog *backlog)
{
	backlog->news = calloc(PLACES, sizeof(*backlog->news));
	backlog->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!backlog->news)
		return -ENOMEM;
	return backlog->fd < 0 ? -errno : 0;
}

void ivshmem_backlog_free(struct ivshmem_backlog *backlog)
{
	if (backlog->fd >= 0)
		close(backlog->fd);
	free(backlog->news);
}

bool ivshmem_backlog_is_empty(const struct ivshmem_backlog *backlog)
{
	return !backlog->news[0].after;
}

/* The eventfd is nobody else's: neither can fail. */
static void show(const struct ivshmem_backlog *backlog, bool was_empty)
{
	uint64_t count = 1;
	bool is_empty = ivshmem_backlog_is_empty(backlog);

	if (was_empty && !is_empty && write(backlog->fd, &count, sizeof(count)) < 0)
		return;
	if (!was_empty && is_empty && read(backlog->fd, &count, sizeof(count)) < 0)
		return;
}

/* Whose joining nobody was told of need not be said to have left. */
void ivshmem_backlog_add(struct ivshmem_backlog *backlog, enum ivshmem_protocol_event event,
			 unsigned int peer)
{
	uint32_t joined = place_of(IVSHMEM_EVENT_JOINED, peer);
	bool was_empty = ivshmem_backlog_is_empty(backlog);

	if (event == IVSHMEM_EVENT_LEFT && is_listed(backlog->news, joined))
		take_out(backlog->news, joined);
	else
		append(backlog->news, place_of(event, peer));
	show(backlog, was_empty);
}

/* IVSHMEM_EVENT_NONE: there is none. */
enum ivshmem_protocol_event ivshmem_backlog_take(struct ivshmem_backlog *backlog,
						 unsigned int *peer)
{
	uint32_t first = backlog->news[0].after;

	if (!first)
		return IVSHMEM_EVENT_NONE;
	take_out(backlog->news, first);
	show(backlog, false);
	*peer = (first - 1) / 2;
	return first == place_of(IVSHMEM_EVENT_JOINED, *peer) ? IVSHMEM_EVENT_JOINED :
								 IVSHMEM_EVENT_LEFT;
}
