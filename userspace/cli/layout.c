// SPDX-License-Identifier: MIT
/* The objects of a formatted region, as a table and as JSON. */

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

/* NULL: a kind that this version does not know. */
static const char *kind_name(unsigned int kind)
{
	switch (kind) {
	case IVSHMEM_CHANNEL:
		return "channel";
	case IVSHMEM_AREA:
		return "area";
	case IVSHMEM_TOPIC:
		return "topic";
	case IVSHMEM_SERVICE:
		return "service";
	case IVSHMEM_WAITSET:
		return "wait set";
	}
	return NULL;
}

/* Objects that there are. */
unsigned int layout_objects_used(const struct ivshmem_layout *layout)
{
	unsigned int i, used = 0;

	for (i = 0; i < ivshmem_layout_objects(layout); i++)
		used += !!ivshmem_layout_name(layout, i);
	return used;
}

/* Name, kind and size; the object's other lines leave them out. */
static int add_object_cells(struct libscols_line *line, const struct ivshmem_layout *layout,
			    unsigned int index)
{
	const char *kind = kind_name(ivshmem_layout_kind(layout, index));
	char size[SIZE_TEXT_MAX];

	if (scols_line_set_data(line, 0, ivshmem_layout_name(layout, index)) ||
	    scols_line_set_data(line, 1, kind ? kind : "?") ||
	    scols_line_set_data(line, 2, size_text(size, ivshmem_layout_size(layout, index))))
		return -ENOMEM;
	return 0;
}

static int add_end_cells(struct libscols_line *line, const struct ivshmem_layout *layout,
			 unsigned int index, enum ivshmem_end end)
{
	uint32_t pid = ivshmem_layout_pid(layout, index, end);
	char pid_text[16] = "", messages[32];

	if (pid)
		snprintf(pid_text, sizeof(pid_text), "%u", pid);
	snprintf(messages, sizeof(messages), "%llu",
		 (unsigned long long)ivshmem_layout_messages(layout, index, end));
	if (scols_line_set_data(line, 3, end_names[end]) ||
	    scols_line_set_data(line, 4, state_name(ivshmem_layout_state(layout, index, end))) ||
	    scols_line_set_data(line, 5, pid_text) ||
	    scols_line_set_data(line, 6, messages))
		return -ENOMEM;
	return 0;
}

static int add_object(struct libscols_table *table, const struct ivshmem_layout *layout,
		      unsigned int index)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);

	if (!line || add_object_cells(line, layout, index))
		return -ENOMEM;
	if (ivshmem_layout_kind(layout, index) != IVSHMEM_CHANNEL)
		return 0;
	if (add_end_cells(line, layout, index, IVSHMEM_END_CREATOR))
		return -ENOMEM;
	line = scols_table_new_line(table, NULL);
	return line ? add_end_cells(line, layout, index, IVSHMEM_END_CONNECTOR) : -ENOMEM;
}

static int add_objects(struct libscols_table *table, const struct ivshmem_layout *layout)
{
	unsigned int i;

	for (i = 0; i < ivshmem_layout_objects(layout); i++)
		if (ivshmem_layout_name(layout, i) && add_object(table, layout, i))
			return -ENOMEM;
	return 0;
}

/* After an empty line. */
int layout_print_objects(const struct ivshmem_layout *layout)
{
	struct libscols_table *table = scols_new_table();
	int ret = -ENOMEM;

	if (!table)
		return -ENOMEM;
	putchar('\n');
	if (scols_table_new_column(table, "NAME", 0, 0) &&
	    scols_table_new_column(table, "KIND", 0, 0) &&
	    scols_table_new_column(table, "SIZE", 0, SCOLS_FL_RIGHT) &&
	    scols_table_new_column(table, "END", 0, 0) &&
	    scols_table_new_column(table, "STATE", 0, 0) &&
	    scols_table_new_column(table, "PID", 0, SCOLS_FL_RIGHT) &&
	    scols_table_new_column(table, "SENT", 0, SCOLS_FL_RIGHT) &&
	    !add_objects(table, layout))
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
	    !json_add_number(object, "sent", ivshmem_layout_messages(layout, index, end)) &&
	    !json_add_number(object, "ring_size", ivshmem_layout_ring_size(layout, index, end)))
		return object;
	json_object_put(object);
	return NULL;
}

static int add_kind(struct json_object *object, unsigned int kind)
{
	const char *name = kind_name(kind);

	return name ? json_add_string(object, "kind", name) :
		      json_add_number(object, "kind", kind);
}

static int add_ends(struct json_object *object, const struct ivshmem_layout *layout,
		    unsigned int index)
{
	if (ivshmem_layout_kind(layout, index) != IVSHMEM_CHANNEL)
		return 0;
	if (json_add(object, "creator", end_json(layout, index, IVSHMEM_END_CREATOR)) ||
	    json_add(object, "connector", end_json(layout, index, IVSHMEM_END_CONNECTOR)))
		return -ENOMEM;
	return 0;
}

static struct json_object *object_json(const struct ivshmem_layout *layout, unsigned int index)
{
	struct json_object *object = json_object_new_object();
	int is_kept = ivshmem_layout_is_kept(layout, index);

	if (object &&
	    !json_add_string(object, "name", ivshmem_layout_name(layout, index)) &&
	    !add_kind(object, ivshmem_layout_kind(layout, index)) &&
	    !json_add(object, "kept", json_object_new_boolean(is_kept)) &&
	    !json_add_number(object, "size", ivshmem_layout_size(layout, index)) &&
	    !add_ends(object, layout, index))
		return object;
	json_object_put(object);
	return NULL;
}

/* An array; NULL where there is not enough memory. */
struct json_object *layout_objects_json(const struct ivshmem_layout *layout)
{
	struct json_object *objects = json_object_new_array();
	struct json_object *object;
	unsigned int i;

	for (i = 0; objects && i < ivshmem_layout_objects(layout); i++) {
		if (!ivshmem_layout_name(layout, i))
			continue;
		object = object_json(layout, i);
		if (!object || json_object_array_add(objects, object)) {
			json_object_put(object);
			json_object_put(objects);
			return NULL;
		}
	}
	return objects;
}
