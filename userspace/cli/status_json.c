// SPDX-License-Identifier: MIT
/* The objects of a formatted region, and who uses them, as JSON. */

#include <errno.h>

#include <json-c/json.h>

#include "cli.h"

static int add_asleep(struct json_object *object, uint64_t asleep)
{
	static const char *const names[] = { NULL, "message", "room", "both" };

	if (!asleep || asleep >= ARRAY_SIZE(names))
		return 0;
	return json_add_string(object, "asleep", names[asleep]);
}

static int add_details(struct json_object *object, const struct ivshmem_status *status,
		       unsigned int index, unsigned int member)
{
	static const struct {
		enum ivshmem_detail detail;
		const char *name;
	} details[] = {
		{ IVSHMEM_DETAIL_PID, "pid" },
		{ IVSHMEM_DETAIL_PEER, "peer" },
		{ IVSHMEM_DETAIL_SENT, "sent" },
		{ IVSHMEM_DETAIL_RECEIVED, "received" },
		{ IVSHMEM_DETAIL_WAITING, "waiting" },
		{ IVSHMEM_DETAIL_HELD, "held" },
		{ IVSHMEM_DETAIL_BYTES, "bytes" },
		{ IVSHMEM_DETAIL_SKIPPED, "skipped" },
		{ IVSHMEM_DETAIL_DROPPED, "dropped" },
		{ IVSHMEM_DETAIL_WAKEUPS, "wakeups" },
		{ IVSHMEM_DETAIL_CLIENTS, "clients" },
		{ IVSHMEM_DETAIL_WATCHED, "watched" },
		{ IVSHMEM_DETAIL_LENGTH, "length" },
		{ IVSHMEM_DETAIL_TIME, "time_ns" },
	};
	uint64_t value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(details); i++)
		if (!ivshmem_status_detail(status, index, member, details[i].detail, &value) &&
		    json_add_number(object, details[i].name, value))
			return -ENOMEM;
	if (!ivshmem_status_detail(status, index, member, IVSHMEM_DETAIL_ASLEEP, &value))
		return add_asleep(object, value);
	return 0;
}

/* NULL: out of memory. */
static struct json_object *member_json(const struct ivshmem_status *status, unsigned int index,
				       unsigned int member)
{
	struct json_object *object = json_object_new_object();

	if (object &&
	    !json_add_string(object, "state",
			     state_name(ivshmem_status_state(status, index, member))) &&
	    !add_details(object, status, index, member))
		return object;
	json_object_put(object);
	return NULL;
}

static int add_end(struct json_object *object, const struct ivshmem_status *status,
		   unsigned int index, enum ivshmem_end end)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(status);
	struct json_object *json = member_json(status, index, end);

	if (json && json_add_number(json, "ring_size",
				    ivshmem_layout_ring_size(layout, index, end))) {
		json_object_put(json);
		return -ENOMEM;
	}
	return json_add(object, role_name(ivshmem_status_role(status, index, end)), json);
}

/* None where nobody is there. */
static int add_single(struct json_object *object, const struct ivshmem_status *status,
		      unsigned int index)
{
	if (!ivshmem_status_members(status, index))
		return 0;
	return json_add(object, role_name(ivshmem_status_role(status, index, 0)),
			member_json(status, index, 0));
}

static int add_place(struct json_object *json, const struct ivshmem_status *status,
		     unsigned int index, unsigned int member, enum ivshmem_role role)
{
	if (role == IVSHMEM_ROLE_USER)
		return 0;
	return json_add_number(json, "place", ivshmem_status_place(status, index, member));
}

/* An array of those with that role, and their places. */
static struct json_object *members_json(const struct ivshmem_status *status, unsigned int index,
					enum ivshmem_role role)
{
	struct json_object *members = json_object_new_array(), *json;
	unsigned int i;

	for (i = 0; members && i < ivshmem_status_members(status, index); i++) {
		if (ivshmem_status_role(status, index, i) != role)
			continue;
		json = member_json(status, index, i);
		if (!json || add_place(json, status, index, i, role) ||
		    json_object_array_add(members, json)) {
			json_object_put(json);
			json_object_put(members);
			return NULL;
		}
	}
	return members;
}

static int add_topic(struct json_object *object, const struct ivshmem_status *status,
		     unsigned int index)
{
	struct ivshmem_topic_layout layout;
	bool lossless;

	if (ivshmem_status_topic(status, index, &layout))
		return 0;
	lossless = layout.flags & IVSHMEM_TOPIC_LOSSLESS;
	if (json_add_number(object, "max_length", layout.max_length) ||
	    json_add_number(object, "history", layout.history) ||
	    json_add_number(object, "max_publishers", layout.publishers) ||
	    json_add_number(object, "max_subscribers", layout.subscribers) ||
	    json_add_number(object, "holds", layout.holds) ||
	    json_add(object, "lossless", json_object_new_boolean(lossless)) ||
	    json_add(object, "publishers",
		     members_json(status, index, IVSHMEM_ROLE_PUBLISHER)) ||
	    json_add(object, "subscribers",
		     members_json(status, index, IVSHMEM_ROLE_SUBSCRIBER)))
		return -ENOMEM;
	return json_add(object, "users", members_json(status, index, IVSHMEM_ROLE_USER));
}

static int add_members(struct json_object *object, const struct ivshmem_status *status,
		       unsigned int index)
{
	switch (ivshmem_layout_kind(ivshmem_status_layout(status), index)) {
	case IVSHMEM_CHANNEL:
		return add_end(object, status, index, IVSHMEM_END_CREATOR) ||
		       add_end(object, status, index, IVSHMEM_END_CONNECTOR) ? -ENOMEM : 0;
	case IVSHMEM_AREA:
		return json_add(object, "users",
				members_json(status, index, IVSHMEM_ROLE_USER));
	case IVSHMEM_TOPIC:
		return add_topic(object, status, index);
	case IVSHMEM_SERVICE:
	case IVSHMEM_WAITSET:
		return add_single(object, status, index);
	}
	return 0;
}

static int add_kind(struct json_object *object, unsigned int kind)
{
	const char *name = kind_name(kind);

	return name ? json_add_string(object, "kind", name) :
		      json_add_number(object, "kind", kind);
}

static struct json_object *object_json(const struct ivshmem_status *status, unsigned int index)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(status);
	struct json_object *object = json_object_new_object();
	int is_kept = ivshmem_layout_is_kept(layout, index);

	if (object &&
	    !json_add_string(object, "name", ivshmem_layout_name(layout, index)) &&
	    !add_kind(object, ivshmem_layout_kind(layout, index)) &&
	    !json_add(object, "kept", json_object_new_boolean(is_kept)) &&
	    !json_add_number(object, "size", ivshmem_layout_size(layout, index)) &&
	    !add_members(object, status, index))
		return object;
	json_object_put(object);
	return NULL;
}

/* An array; NULL where there is not enough memory. */
struct json_object *status_json(const struct ivshmem_status *status)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(status);
	struct json_object *objects = json_object_new_array();
	struct json_object *object;
	unsigned int i;

	for (i = 0; objects && i < ivshmem_layout_objects(layout); i++) {
		if (!ivshmem_layout_name(layout, i))
			continue;
		object = object_json(status, i);
		if (!object || json_object_array_add(objects, object)) {
			json_object_put(object);
			json_object_put(objects);
			return NULL;
		}
	}
	return objects;
}
