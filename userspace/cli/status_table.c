// SPDX-License-Identifier: MIT
/*
 * The objects of a formatted region, and who uses them, as a table: a line for each member.
 * Columns that have nothing to say are left out.
 */

#include <errno.h>
#include <string.h>
#include <time.h>

#include <libsmartcols/libsmartcols.h>

#include "cli.h"

#define TEXT_MAX	64	/* of a cell */

/**
 * struct cell - Where a cell lies.
 * @now: What is shown.
 * @index: The object.
 * @member: Its member; beyond them for an object that has none.
 * @is_first: The object's first line.
 */
struct cell {
	const struct ivshmem_status *now;
	unsigned int index;
	unsigned int member;
	bool is_first;
};

/* Objects that there are. */
unsigned int status_objects_used(const struct ivshmem_status *status)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(status);
	unsigned int i, used = 0;

	for (i = 0; i < ivshmem_layout_objects(layout); i++)
		used += !!ivshmem_layout_name(layout, i);
	return used;
}

/* --- cells: each writes text, or leaves it empty --- */

static bool get(const struct cell *cell, enum ivshmem_detail detail, uint64_t *value)
{
	return !ivshmem_status_detail(cell->now, cell->index, cell->member, detail, value);
}

static void write_number(const struct cell *cell, enum ivshmem_detail detail, char *text)
{
	uint64_t value;

	if (get(cell, detail, &value))
		snprintf(text, TEXT_MAX, "%llu", (unsigned long long)value);
}

/* Where it is 0, there is nothing to say. */
static void write_positive(const struct cell *cell, enum ivshmem_detail detail, char *text)
{
	uint64_t value;

	if (get(cell, detail, &value) && value)
		snprintf(text, TEXT_MAX, "%llu", (unsigned long long)value);
}

static void write_name(const struct cell *cell, char *text)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(cell->now);

	if (cell->is_first)
		snprintf(text, TEXT_MAX, "%s", ivshmem_layout_name(layout, cell->index));
}

static void write_kind(const struct cell *cell, char *text)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(cell->now);
	const char *kind = kind_name(ivshmem_layout_kind(layout, cell->index));

	if (cell->is_first)
		snprintf(text, TEXT_MAX, "%s", kind ? kind : "?");
}

static void write_size(const struct cell *cell, char *text)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(cell->now);

	if (cell->is_first)
		size_text(text, ivshmem_layout_size(layout, cell->index));
}

static void write_member(const struct cell *cell, char *text)
{
	enum ivshmem_role role = ivshmem_status_role(cell->now, cell->index, cell->member);
	unsigned int place = ivshmem_status_place(cell->now, cell->index, cell->member);

	if (role == IVSHMEM_ROLE_PUBLISHER || role == IVSHMEM_ROLE_SUBSCRIBER)
		snprintf(text, TEXT_MAX, "%s %u", role_name(role), place);
	else if (role != IVSHMEM_ROLE_NONE)
		snprintf(text, TEXT_MAX, "%s", role_name(role));
}

static void write_state(const struct cell *cell, char *text)
{
	if (cell->member < ivshmem_status_members(cell->now, cell->index))
		snprintf(text, TEXT_MAX, "%s",
			 state_name(ivshmem_status_state(cell->now, cell->index, cell->member)));
}

static void write_pid(const struct cell *cell, char *text)
{
	write_positive(cell, IVSHMEM_DETAIL_PID, text);
}

static void write_asleep(const struct cell *cell, char *text)
{
	static const char *const names[] = { "", "message", "room", "both" };
	uint64_t value;

	if (get(cell, IVSHMEM_DETAIL_ASLEEP, &value) && value < ARRAY_SIZE(names))
		snprintf(text, TEXT_MAX, "%s", names[value]);
}

static void write_sent(const struct cell *cell, char *text)
{
	write_number(cell, IVSHMEM_DETAIL_SENT, text);
}

static void write_received(const struct cell *cell, char *text)
{
	write_number(cell, IVSHMEM_DETAIL_RECEIVED, text);
}

static void write_waiting(const struct cell *cell, char *text)
{
	write_number(cell, IVSHMEM_DETAIL_WAITING, text);
}

static void write_held(const struct cell *cell, char *text)
{
	write_positive(cell, IVSHMEM_DETAIL_HELD, text);
}

static void write_length(const struct cell *cell, char *text)
{
	write_number(cell, IVSHMEM_DETAIL_LENGTH, text);
}

/* Other machines' clocks may be ahead. */
static void write_age(const struct cell *cell, char *text)
{
	struct timespec now;
	uint64_t value;
	double age;

	if (!get(cell, IVSHMEM_DETAIL_TIME, &value))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	age = (double)now.tv_sec + now.tv_nsec / 1e9 - value / 1e9;
	if (age < 0)
		age = 0;
	if (age < 60)
		snprintf(text, TEXT_MAX, "%.1fs", age);
	else if (age < 3600)
		snprintf(text, TEXT_MAX, "%.0fm", age / 60);
	else
		snprintf(text, TEXT_MAX, "%.0fh", age / 3600);
}

/* --- the table --- */

struct column {
	const char *heading;
	int flags;
	void (*write)(const struct cell *cell, char *text);
};

static const struct column columns[] = {
	{ "NAME", 0, write_name },
	{ "KIND", 0, write_kind },
	{ "SIZE", SCOLS_FL_RIGHT, write_size },
	{ "MEMBER", 0, write_member },
	{ "STATE", 0, write_state },
	{ "PID", SCOLS_FL_RIGHT, write_pid },
	{ "SLEEPS FOR", 0, write_asleep },
	{ "SENT", SCOLS_FL_RIGHT, write_sent },
	{ "RECEIVED", SCOLS_FL_RIGHT, write_received },
	{ "WAITING", SCOLS_FL_RIGHT, write_waiting },
	{ "HELD", SCOLS_FL_RIGHT, write_held },
	{ "LENGTH", SCOLS_FL_RIGHT, write_length },
	{ "AGE", SCOLS_FL_RIGHT, write_age },
};

typedef int (*cell_fn)(const struct cell *cell, void *data);

/* Each line's cell; ends with what @use returns, if that is not 0. */
static int walk_lines(const struct ivshmem_status *status, cell_fn use, void *data)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(status);
	struct cell cell = { .now = status };
	unsigned int members;
	int ret = 0;

	for (cell.index = 0; cell.index < ivshmem_layout_objects(layout) && !ret; cell.index++) {
		if (!ivshmem_layout_name(layout, cell.index))
			continue;
		members = ivshmem_status_members(status, cell.index);
		cell.is_first = true;
		cell.member = 0;
		do {
			ret = use(&cell, data);
			cell.is_first = false;
		} while (!ret && ++cell.member < members);
	}
	return ret;
}

static int mark_columns(const struct cell *cell, void *data)
{
	bool *is_used = data;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(columns); i++) {
		char text[TEXT_MAX] = "";

		columns[i].write(cell, text);
		is_used[i] |= *text;
	}
	return 0;
}

/**
 * struct lines_to_add - What walk_lines() fills a table with.
 * @table: The table.
 * @is_used: Which columns it has.
 */
struct lines_to_add {
	struct libscols_table *table;
	const bool *is_used;
};

static int add_line(const struct cell *cell, void *data)
{
	const struct lines_to_add *to = data;
	struct libscols_line *line = scols_table_new_line(to->table, NULL);
	size_t i, number = 0;

	for (i = 0; line && i < ARRAY_SIZE(columns); i++) {
		char text[TEXT_MAX] = "";

		if (!to->is_used[i])
			continue;
		columns[i].write(cell, text);
		if (scols_line_set_data(line, number++, text))
			return -ENOMEM;
	}
	return line ? 0 : -ENOMEM;
}

/* To be freed with scols_unref_table(); NULL: out of memory. */
struct libscols_table *status_table(const struct ivshmem_status *status)
{
	struct libscols_table *table = scols_new_table();
	bool is_used[ARRAY_SIZE(columns)] = { false };
	struct lines_to_add lines = { table, is_used };
	bool ok = table;
	size_t i;

	walk_lines(status, mark_columns, is_used);
	for (i = 0; ok && i < ARRAY_SIZE(columns); i++)
		ok = !is_used[i] ||
		     scols_table_new_column(table, columns[i].heading, 0, columns[i].flags);
	if (ok && !walk_lines(status, add_line, &lines))
		return table;
	scols_unref_table(table);
	return NULL;
}
