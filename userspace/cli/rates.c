// SPDX-License-Identifier: MIT
/* What members of objects do in a second, from one snapshot to the next. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define COUNTERS	5

static const enum ivshmem_detail counters[COUNTERS] = {
	IVSHMEM_DETAIL_SENT, IVSHMEM_DETAIL_RECEIVED, IVSHMEM_DETAIL_BYTES,
	IVSHMEM_DETAIL_SKIPPED, IVSHMEM_DETAIL_WAKEUPS,
};

/**
 * struct past - A member, as it was seen last.
 * @index: The object.
 * @role: Its role there.
 * @place: Its place there.
 * @pid: Its program; another one is another member. 0: it has gone, and what it did counts.
 * @counts: By the index in counters[]; 0 where it is not known.
 * @active: When one of them was last seen to change, or the member was seen first.
 * @rate: What rates_of() tells.
 */
struct past {
	unsigned int index;
	enum ivshmem_role role;
	unsigned int place;
	uint64_t pid;
	uint64_t counts[COUNTERS];
	double active;
	struct rate rate;
};

/**
 * struct rates - All members.
 * @uuid: Of the region's format.
 * @list: Sorted as the snapshot has them.
 * @count: How many.
 * @time: When the snapshot was taken, in seconds.
 */
struct rates {
	char uuid[40];
	struct past *list;
	size_t count;
	double time;
};

struct rates *rates_new(void)
{
	return calloc(1, sizeof(struct rates));
}

void rates_free(struct rates *rates)
{
	if (!rates)
		return;
	free(rates->list);
	free(rates);
}

static uint64_t detail_or_0(const struct ivshmem_status *status, unsigned int index,
			    unsigned int member, enum ivshmem_detail detail)
{
	uint64_t value = 0;

	ivshmem_status_detail(status, index, member, detail, &value);
	return value;
}

static bool is_same(const struct past *one, const struct past *other)
{
	return one->index == other->index && one->role == other->role &&
	       one->place == other->place &&
	       (one->pid == other->pid || !one->pid || !other->pid);
}

/* Both lists have the same order, so that the search goes on where the last one ended. */
static const struct past *find_past(const struct rates *rates, const struct past *now, size_t *from)
{
	size_t at;

	for (at = *from; at < rates->count && rates->list[at].index <= now->index; at++) {
		if (is_same(&rates->list[at], now)) {
			*from = at + 1;
			return &rates->list[at];
		}
	}
	return NULL;
}

/* Where a count has gone back, it is another one: of another session, or another object. */
static void compare(struct past *now, const struct past *before, double time, double seconds,
		    uint64_t length)
{
	double *const rates[COUNTERS] = {
		&now->rate.sent, &now->rate.received, &now->rate.bytes, &now->rate.skipped,
		&now->rate.wakeups,
	};
	int i;

	now->active = before->active;
	now->rate.is_known = true;
	for (i = 0; i < COUNTERS; i++) {
		if (now->counts[i] == before->counts[i])
			continue;
		now->active = time;
		if (now->counts[i] < before->counts[i])
			now->rate.is_known = false;
		*rates[i] = (double)(now->counts[i] - before->counts[i]) / seconds;
	}
	if (length)
		now->rate.bytes = now->rate.sent * (double)length;
	now->rate.idle = time - now->active;
}

static void add_member(const struct rates *rates, struct rates *next,
		       const struct ivshmem_status *status, unsigned int index,
		       unsigned int member, size_t *from)
{
	struct past *now = &next->list[next->count++];
	const struct past *before;
	uint64_t length = 0;
	int i;

	*now = (struct past) {
		.index = index, .role = ivshmem_status_role(status, index, member),
		.place = ivshmem_status_place(status, index, member),
		.pid = detail_or_0(status, index, member, IVSHMEM_DETAIL_PID),
		.active = next->time,
	};
	ivshmem_status_detail(status, index, member, IVSHMEM_DETAIL_LENGTH, &length);
	for (i = 0; i < COUNTERS; i++)
		now->counts[i] = detail_or_0(status, index, member, counters[i]);
	before = find_past(rates, now, from);
	if (before)
		compare(now, before, next->time, next->time - rates->time, length);
}

static size_t count_members(const struct ivshmem_status *status)
{
	unsigned int i, objects = ivshmem_layout_objects(ivshmem_status_layout(status));
	size_t count = 0;

	for (i = 0; i < objects; i++)
		count += ivshmem_status_members(status, i);
	return count;
}

/* @time: when it was taken, in seconds, later than the one before. -ENOMEM. */
int rates_update(struct rates *rates, const struct ivshmem_status *status, double time)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(status);
	struct rates next = { .time = time };
	unsigned int i, member;
	size_t from = 0;

	snprintf(next.uuid, sizeof(next.uuid), "%s", ivshmem_layout_uuid(layout));
	if (strcmp(next.uuid, rates->uuid) != 0)
		rates->count = 0;
	next.list = calloc(count_members(status) + 1, sizeof(*next.list));
	if (!next.list)
		return -ENOMEM;
	for (i = 0; i < ivshmem_layout_objects(layout); i++)
		for (member = 0; member < ivshmem_status_members(status, i); member++)
			add_member(rates, &next, status, i, member, &from);
	free(rates->list);
	*rates = next;
	return 0;
}

/* Of what rates_update() was told last. All zeroes where there is no such member. */
struct rate rates_of(const struct rates *rates, unsigned int index, unsigned int member)
{
	size_t low = 0, high = rates->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (rates->list[middle].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	low += member;
	if (low >= rates->count || rates->list[low].index != index)
		return (struct rate) { .is_known = false };
	return rates->list[low].rate;
}
