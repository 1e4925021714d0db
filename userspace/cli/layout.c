// SPDX-License-Identifier: MIT
/* The channels of a formatted region, as a table and as JSON. */

#include <errno.h>

#include <json-c/json.h>
#include <libsmartcols/libsmartcols.h>

#include "cli.h"

static const char *const end_names[] = {
	[IVSHMEM_END_CREATOR] = "creator",
	[IVSHMEM_END_CONNECTOR] = "connector",
};

static const char *state_name(enum ivshmem_end_state state)
{
	switch (state) {
	case IVSHMEM_END_FREE:
		return "free";
	case IVSHMEM_END_ATTACHED:
		return "attached";
	case IVSHMEM_END_DEAD:
		return "dead";
	}
	return "unknown";
}

/* Channels that were created so far. */
unsigned int layout_channels_used(const struct ivshmem_layout *layout)
{
	unsigned int i, used = 0;

	for (i = 0; i < ivshmem_layout_channels(layout); i++)
		used += !!ivshmem_layout_name(layout, i);
	return used;
}

/* One end of one channel; the channel's name stands at the first one only. */
static int add_end(struct libscols_table *table, const struct ivshmem_layout *layout,
		   unsigned int index, enum ivshmem_end end)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	uint32_t pid = ivshmem_layout_pid(layout, index, end);
	char pid_text[16] = "", messages[32];

	if (pid)
		snprintf(pid_text, sizeof(pid_text), "%u", pid);
	snprintf(messages, sizeof(messages), "%llu",
		 (unsigned long long)ivshmem_layout_messages(layout, index, end));
	if (!line || scols_line_set_data(line, 0, ivshmem_layout_name(layout, index)) ||
	    scols_line_set_data(line, 1, end_names[end]) ||
	    scols_line_set_data(line, 2, state_name(ivshmem_layout_state(layout, index, end))) ||
	    scols_line_set_data(line, 3, pid_text) ||
	    scols_line_set_data(line, 4, messages))
		return -ENOMEM;
	return 0;
}

static int add_channels(struct libscols_table *table, const struct ivshmem_layout *layout)
{
	unsigned int i;

	for (i = 0; i < ivshmem_layout_channels(layout); i++) {
		if (ivshmem_layout_name(layout, i) &&
		    (add_end(table, layout, i, IVSHMEM_END_CREATOR) ||
		     add_end(table, layout, i, IVSHMEM_END_CONNECTOR)))
			return -ENOMEM;
	}
	return 0;
}

/* After an empty line. */
int layout_print_channels(const struct ivshmem_layout *layout)
{
	struct libscols_table *table = scols_new_table();
	int ret = -ENOMEM;

	if (!table)
		return -ENOMEM;
	putchar('\n');
	if (scols_table_new_column(table, "CHANNEL", 0, 0) &&
	    scols_table_new_column(table, "END", 0, 0) &&
	    scols_table_new_column(table, "STATE", 0, 0) &&
	    scols_table_new_column(table, "PID", 0, SCOLS_FL_RIGHT) &&
	    scols_table_new_column(table, "SENT", 0, SCOLS_FL_RIGHT) &&
	    !add_channels(table, layout))
		ret = scols_print_table(table);
	scols_unref_table(table);
	return ret;
}

static struct json_object *end_json(const struct ivshmem_layout *layout, unsigned int index,
				    enum ivshmem_end end)
{
	struct json_object *object = json_object_new_object();
	uint32_t pid = ivshmem_layout_pid(layout, index, end);
	const char *state = state_name(ivshmem_layout_state(layout, index, end));

	if (object &&
	    !json_add_string(object, "state", state) &&
	    (!pid || !json_add(object, "pid", json_object_new_int64(pid))) &&
	    !json_add_number(object, "sent", ivshmem_layout_messages(layout, index, end)))
		return object;
	json_object_put(object);
	return NULL;
}

static struct json_object *channel_json(const struct ivshmem_layout *layout, unsigned int index)
{
	struct json_object *object = json_object_new_object();
	const char *name = ivshmem_layout_name(layout, index);

	if (object &&
	    !json_add_string(object, "name", name) &&
	    !json_add(object, "creator", end_json(layout, index, IVSHMEM_END_CREATOR)) &&
	    !json_add(object, "connector", end_json(layout, index, IVSHMEM_END_CONNECTOR)))
		return object;
	json_object_put(object);
	return NULL;
}

/* An array; NULL where there is not enough memory. */
struct json_object *layout_channels_json(const struct ivshmem_layout *layout)
{
	struct json_object *channels = json_object_new_array();
	struct json_object *channel;
	unsigned int i;

	for (i = 0; channels && i < ivshmem_layout_channels(layout); i++) {
		if (!ivshmem_layout_name(layout, i))
			continue;
		channel = channel_json(layout, i);
		if (!channel || json_object_array_add(channels, channel)) {
			json_object_put(channel);
			json_object_put(channels);
			return NULL;
		}
	}
	return channels;
}
