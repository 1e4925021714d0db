// SPDX-License-Identifier: MIT
#include <errno.h>

#include "topic/topic.h"

#include "status.h"

#define NEWEST	16	/* messages whose lengths are looked at */

/* The newest messages; those that are overwritten meanwhile are left out. */
static int add_newest(struct status_member *member, const struct topic *topic,
		      unsigned int publisher, uint64_t published)
{
	uint64_t history = topic->geometry.layout.history, length = 0, number;
	unsigned int count = 0, i;
	struct topic_entry entry;
	int err;

	for (i = 0; i < NEWEST && i < history && i < published; i++) {
		number = published - i;
		err = ivshmem_topic_copy_entry(topic, publisher, number, &entry);
		if (err)
			return err;
		if (entry.number != number || entry.length > topic->geometry.layout.max_length)
			continue;
		if (!i && entry.time_ns)
			status_tell(member, IVSHMEM_DETAIL_TIME, entry.time_ns);
		length += entry.length;
		count++;
	}
	if (count)
		status_tell(member, IVSHMEM_DETAIL_LENGTH, length / count);
	return 0;
}

static int add_publisher(struct status_members *members, const struct topic *topic,
			 unsigned int publisher)
{
	enum ivshmem_end_state state = ivshmem_topic_state(topic, publisher);
	uint64_t published = topic_has_count(topic, publisher) ?
			     *topic_published(topic, publisher) : 0;
	struct status_member *member;

	if (state == IVSHMEM_END_FREE && !published)
		return 0;
	member = ivshmem_status_add(members, IVSHMEM_ROLE_PUBLISHER, publisher, state);
	if (!member)
		return -ENOMEM;
	status_tell(member, IVSHMEM_DETAIL_SENT, published);
	if (state != IVSHMEM_END_FREE) {
		ivshmem_status_add_program(member, topic_member(topic, publisher));
		status_tell(member, IVSHMEM_DETAIL_DROPPED,
			    topic_member(topic, publisher)->missed);
	}
	return add_newest(member, topic, publisher, published);
}

static uint64_t count_held(const struct topic *topic, unsigned int subscriber)
{
	uint64_t held = 0;
	unsigned int i;

	for (i = 0; i < topic->geometry.layout.holds; i++)
		held += *topic_hold(topic, subscriber, i) != 0;
	return held;
}

/* Of all publishers' messages: where it began, and what it has got and skipped since. */
static uint64_t count_waiting(const struct topic *topic, const struct ivshmem_slot_end *member)
{
	uint64_t published = 0;
	unsigned int i;

	for (i = 0; i < topic->geometry.layout.publishers; i++)
		if (topic_has_count(topic, i))
			published += *topic_published(topic, i);
	return ivshmem_status_difference(published,
					 member->consumed + member->received + member->missed);
}

static int add_subscriber(struct status_members *members, const struct topic *topic,
			  unsigned int subscriber)
{
	unsigned int index = topic->geometry.layout.publishers + subscriber;
	enum ivshmem_end_state state = ivshmem_topic_state(topic, index);
	const struct ivshmem_slot_end *end = topic_member(topic, index);
	struct status_member *member;

	if (state == IVSHMEM_END_FREE)
		return 0;
	member = ivshmem_status_add(members, IVSHMEM_ROLE_SUBSCRIBER, subscriber, state);
	if (!member)
		return -ENOMEM;
	ivshmem_status_add_program(member, end);
	status_tell(member, IVSHMEM_DETAIL_HELD, count_held(topic, subscriber));
	status_tell(member, IVSHMEM_DETAIL_RECEIVED, end->received);
	status_tell(member, IVSHMEM_DETAIL_SKIPPED, end->missed);
	status_tell(member, IVSHMEM_DETAIL_WAITING, count_waiting(topic, end));
	return 0;
}

static int add_all(struct status_members *members, const struct topic *topic)
{
	const struct ivshmem_topic_layout *layout = &topic->geometry.layout;
	unsigned int i;
	int err = 0;

	for (i = 0; i < layout->publishers && !err; i++)
		err = add_publisher(members, topic, i);
	for (i = 0; i < layout->subscribers && !err; i++)
		err = add_subscriber(members, topic, i);
	return err;
}

/*
 * A topic that is damaged, or has just been removed, has no members. @left: bytes of the region
 * that topics can still have. Where they lie one upon the other, and so there could be millions
 * of members, that is found here.
 */
int ivshmem_status_add_topic(struct status_members *members,
			     const struct ivshmem_directory *directory, unsigned int slot,
			     uint64_t *left)
{
	const struct ivshmem_object object = ivshmem_object_at(directory, slot);
	struct topic topic;
	int err;

	members->topic_error = ivshmem_topic_copy(&topic, directory, &object);
	if (members->topic_error == -EUCLEAN || members->topic_error == -ENOENT)
		return 0;
	if (members->topic_error)
		return members->topic_error;
	if (topic.geometry.size > *left) {
		ivshmem_topic_free_copy(&topic);
		members->topic_error = -EUCLEAN;
		return 0;
	}
	*left -= topic.geometry.size;
	members->topic = topic.geometry.layout;
	err = add_all(members, &topic);
	ivshmem_topic_free_copy(&topic);
	return err;
}
