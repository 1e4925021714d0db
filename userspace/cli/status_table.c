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
 * @status: What is shown.
 * @index: The object.
 * @member: Its member; beyond them for an object that has none.
 * @is_first: The object's first line.
 * @rate: What the member does in a second.
 */
struct cell {
	const struct ivshmem_status *status;
	unsigned int index;
	unsigned int member;
	bool is_first;
	struct rate rate;
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
	return !ivshmem_status_detail(cell->status, cell->index, cell->member, detail, value);
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
	const struct ivshmem_layout *layout = ivshmem_status_layout(cell->status);

	if (cell->is_first)
		snprintf(text, TEXT_MAX, "%s", ivshmem_layout_name(layout, cell->index));
}

static void write_kind(const struct cell *cell, char *text)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(cell->status);
	const char *kind = kind_name(ivshmem_layout_kind(layout, cell->index));

	if (cell->is_first)
		snprintf(text, TEXT_MAX, "%s", kind ? kind : "?");
}

static void write_size(const struct cell *cell, char *text)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(cell->status);

	if (cell->is_first)
		size_text(text, ivshmem_layout_size(layout, cell->index));
}

static void write_member(const struct cell *cell, char *text)
{
	enum ivshmem_role role = ivshmem_status_role(cell->status, cell->index, cell->member);
	unsigned int place = ivshmem_status_place(cell->status, cell->index, cell->member);

	if (role == IVSHMEM_ROLE_PUBLISHER || role == IVSHMEM_ROLE_SUBSCRIBER)
		snprintf(text, TEXT_MAX, "%s %u", role_name(role), place);
	else if (role != IVSHMEM_ROLE_NONE)
		snprintf(text, TEXT_MAX, "%s", role_name(role));
}

static void write_state(const struct cell *cell, char *text)
{
	if (cell->member < ivshmem_status_members(cell->status, cell->index))
		snprintf(text, TEXT_MAX, "%s",
			 state_name(ivshmem_status_state(cell->status, cell->index, cell->member)));
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

static void write_clients(const struct cell *cell, char *text)
{
	write_number(cell, IVSHMEM_DETAIL_CLIENTS, text);
}

static void write_watched(const struct cell *cell, char *text)
{
	write_number(cell, IVSHMEM_DETAIL_WATCHED, text);
}

static void write_skipped(const struct cell *cell, char *text)
{
	write_number(cell, IVSHMEM_DETAIL_SKIPPED, text);
}

static void write_dropped(const struct cell *cell, char *text)
{
	write_positive(cell, IVSHMEM_DETAIL_DROPPED, text);
}

static void write_wakeups(const struct cell *cell, char *text)
{
	write_number(cell, IVSHMEM_DETAIL_WAKEUPS, text);
}

static void write_bytes(const struct cell *cell, char *text)
{
	write_number(cell, IVSHMEM_DETAIL_BYTES, text);
}

static void write_length(const struct cell *cell, char *text)
{
	write_number(cell, IVSHMEM_DETAIL_LENGTH, text);
}

/* --- what is done in a second --- */

static void write_rate(const struct cell *cell, enum ivshmem_detail detail, double rate, char *text)
{
	uint64_t value;

	if (get(cell, detail, &value) && cell->rate.is_known)
		snprintf(text, TEXT_MAX, "%.0f", rate);
}

static void write_sent_rate(const struct cell *cell, char *text)
{
	write_rate(cell, IVSHMEM_DETAIL_SENT, cell->rate.sent, text);
}

static void write_received_rate(const struct cell *cell, char *text)
{
	write_rate(cell, IVSHMEM_DETAIL_RECEIVED, cell->rate.received, text);
}

static void write_skipped_rate(const struct cell *cell, char *text)
{
	write_rate(cell, IVSHMEM_DETAIL_SKIPPED, cell->rate.skipped, text);
}

static void write_wakeups_rate(const struct cell *cell, char *text)
{
	write_rate(cell, IVSHMEM_DETAIL_WAKEUPS, cell->rate.wakeups, text);
}

static void write_bytes_rate(const struct cell *cell, char *text)
{
	static const char units[] = "KMGT";
	double bytes = cell->rate.bytes;
	int unit = -1;
	uint64_t value;

	if (!cell->rate.is_known || (!get(cell, IVSHMEM_DETAIL_LENGTH, &value) &&
				     !get(cell, IVSHMEM_DETAIL_BYTES, &value)))
		return;
	for (; bytes >= 1024 && unit < 3; unit++)
		bytes /= 1024;
	if (unit < 0)
		snprintf(text, TEXT_MAX, "%.0f", bytes);
	else
		snprintf(text, TEXT_MAX, "%.1f%c", bytes, units[unit]);
}

static void write_seconds(double seconds, char *text)
{
	if (seconds < 60)
		snprintf(text, TEXT_MAX, "%.1fs", seconds);
	else if (seconds < 3600)
		snprintf(text, TEXT_MAX, "%.0fm", seconds / 60);
	else
		snprintf(text, TEXT_MAX, "%.0fh", seconds / 3600);
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
	write_seconds(age < 0 ? 0 : age, text);
}

static void write_idle(const struct cell *cell, char *text)
{
	if (cell->rate.is_known)
		write_seconds(cell->rate.idle, text);
}

/* --- the table --- */

#define IN_TOTALS	(1u << 0)
#define IN_RATES	(1u << 1)
#define IN_BOTH		(IN_TOTALS | IN_RATES)

struct column {
	unsigned int where;
	const char *heading;
	int flags;
	void (*write)(const struct cell *cell, char *text);
};

static const struct column columns[] = {
	{ IN_BOTH, "NAME", 0, write_name },
	{ IN_BOTH, "KIND", 0, write_kind },
	{ IN_TOTALS, "SIZE", SCOLS_FL_RIGHT, write_size },
	{ IN_BOTH, "MEMBER", 0, write_member },
	{ IN_BOTH, "STATE", 0, write_state },
	{ IN_BOTH, "PID", SCOLS_FL_RIGHT, write_pid },
	{ IN_BOTH, "SLEEPS FOR", 0, write_asleep },
	{ IN_TOTALS, "SENT", SCOLS_FL_RIGHT, write_sent },
	{ IN_TOTALS, "RECEIVED", SCOLS_FL_RIGHT, write_received },
	{ IN_TOTALS, "BYTES", SCOLS_FL_RIGHT, write_bytes },
	{ IN_RATES, "SENT/s", SCOLS_FL_RIGHT, write_sent_rate },
	{ IN_RATES, "RECEIVED/s", SCOLS_FL_RIGHT, write_received_rate },
	{ IN_RATES, "BYTES/s", SCOLS_FL_RIGHT, write_bytes_rate },
	{ IN_BOTH, "WAITING", SCOLS_FL_RIGHT, write_waiting },
	{ IN_TOTALS, "SKIPPED", SCOLS_FL_RIGHT, write_skipped },
	{ IN_RATES, "SKIPPED/s", SCOLS_FL_RIGHT, write_skipped_rate },
	{ IN_BOTH, "DROPPED", SCOLS_FL_RIGHT, write_dropped },
	{ IN_BOTH, "HELD", SCOLS_FL_RIGHT, write_held },
	{ IN_BOTH, "CLIENTS", SCOLS_FL_RIGHT, write_clients },
	{ IN_BOTH, "WATCHED", SCOLS_FL_RIGHT, write_watched },
	{ IN_TOTALS, "WAKEUPS", SCOLS_FL_RIGHT, write_wakeups },
	{ IN_RATES, "WAKEUPS/s", SCOLS_FL_RIGHT, write_wakeups_rate },
	{ IN_TOTALS, "LENGTH", SCOLS_FL_RIGHT, write_length },
	{ IN_TOTALS, "AGE", SCOLS_FL_RIGHT, write_age },
	{ IN_RATES, "IDLE", SCOLS_FL_RIGHT, write_idle },
};

typedef void (*cell_fn)(const struct cell *cell, void *data);

static void walk_members(const struct status_view *view, struct cell *cell, cell_fn use, void *data)
{
	unsigned int members = ivshmem_status_members(view->status, cell->index);

	cell->is_first = true;
	cell->member = 0;
	do {
		if (view->rates)
			cell->rate = rates_of(view->rates, cell->index, cell->member);
		if (view->hide_idle && (!cell->rate.is_known || cell->rate.idle))
			continue;
		use(cell, data);
		cell->is_first = false;
	} while (++cell->member < members);
}

/* Each line's cell. */
static void walk_lines(const struct status_view *view, cell_fn use, void *data)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(view->status);
	struct cell cell = { .status = view->status };

	for (cell.index = 0; cell.index < ivshmem_layout_objects(layout); cell.index++)
		if (ivshmem_layout_name(layout, cell.index))
			walk_members(view, &cell, use, data);
}

/**
 * struct filling - How a table is filled.
 * @table: The table; NULL: out of memory.
 * @where: Of which columns.
 * @used: Those of them that it has, a bit for each.
 */
struct filling {
	struct libscols_table *table;
	unsigned int where;
	uint32_t used;
};

static void mark_columns(const struct cell *cell, void *data)
{
	struct filling *filling = data;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(columns); i++) {
		char text[TEXT_MAX] = "";

		columns[i].write(cell, text);
		if (*text && columns[i].where & filling->where)
			filling->used |= 1u << i;
	}
}

static void fail(struct filling *filling)
{
	scols_unref_table(filling->table);
	filling->table = NULL;
}

static void add_line(const struct cell *cell, void *data)
{
	struct filling *filling = data;
	struct libscols_line *line = NULL;
	size_t i, number = 0;

	if (filling->table)
		line = scols_table_new_line(filling->table, NULL);
	for (i = 0; line && i < ARRAY_SIZE(columns); i++) {
		char text[TEXT_MAX] = "";

		if (!(filling->used >> i & 1))
			continue;
		columns[i].write(cell, text);
		if (scols_line_set_data(line, number++, text))
			line = NULL;
	}
	if (!line)
		fail(filling);
}

/* To be freed with scols_unref_table(); NULL: out of memory. */
struct libscols_table *status_table(const struct status_view *view)
{
	struct filling filling = {
		.table = scols_new_table(), .where = view->rates ? IN_RATES : IN_TOTALS,
	};
	size_t i;

	if (view->columns)
		filling.used = *view->columns;
	walk_lines(view, mark_columns, &filling);
	if (view->columns)
		*view->columns = filling.used;
	for (i = 0; filling.table && i < ARRAY_SIZE(columns); i++)
		if (filling.used >> i & 1 &&
		    !scols_table_new_column(filling.table, columns[i].heading, 0,
					    columns[i].flags))
			fail(&filling);
	walk_lines(view, add_line, &filling);
	return filling.table;
}
