// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <libsmartcols/libsmartcols.h>

#include "cli.h"

#define SHORTEST_MS	100
#define HEAD_MAX	512
#define SIDESTEP	8	/* columns */

/**
 * struct top - What is shown.
 * @where: The region.
 * @open_flags: For ivshmem_open().
 * @delay_ms: Between two snapshots.
 * @count: How many to show; 0: no end.
 * @batch: One below the other; else on the whole terminal.
 * @hide_idle: Only members that did something since the snapshot before.
 * @shm: The region; NULL while it can't be opened.
 * @status: The newest snapshot; NULL: there is none.
 * @rates: What has changed from the one before.
 * @error: What went wrong, for the head; NULL: nothing.
 * @first: The first line of the table that is shown.
 * @left: Its first column that is shown.
 * @columns: Those that the table has had.
 */
struct top {
	const char *where;
	unsigned int open_flags;
	int64_t delay_ms;
	unsigned int count;
	bool batch;
	bool hide_idle;
	struct ivshmem *shm;
	struct ivshmem_status *status;
	struct rates *rates;
	const char *error;
	unsigned int first;
	unsigned int left;
	uint32_t columns;
};

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + now.tv_nsec / 1e9;
}

/* --- snapshots --- */

/* The path leads to another file by now, or to none. */
static bool was_replaced(const struct ivshmem *shm)
{
	struct stat named, open;

	if (fstat(ivshmem_fd(shm), &open))
		return false;
	if (stat(ivshmem_path(shm), &named))
		return errno == ENOENT;
	return named.st_dev != open.st_dev || named.st_ino != open.st_ino;
}

/* What a server that has ended had served is there, and its peers may go on: until one comes. */
static void follow_server(struct top *top)
{
	struct ivshmem *next;

	if (ivshmem_check(top->shm) != -ECONNRESET ||
	    ivshmem_open(&next, top->where, top->open_flags))
		return;
	ivshmem_close(top->shm);
	top->shm = next;
}

/* To what the user means by now. */
static void follow(struct top *top)
{
	if (!top->shm)
		return;
	if (!strncmp(top->where, "unix:", 5)) {
		follow_server(top);
	} else if (was_replaced(top->shm)) {
		ivshmem_close(top->shm);
		top->shm = NULL;
	}
}

static int take_snapshot(struct top *top)
{
	enum ivshmem_task task = IVSHMEM_TASK_OPEN;
	int ret = 0;

	ivshmem_status_free(top->status);
	top->status = NULL;
	follow(top);
	if (!top->shm)
		ret = ivshmem_open(&top->shm, top->where, top->open_flags);
	if (!ret) {
		task = IVSHMEM_TASK_READ_LAYOUT;
		ret = ivshmem_status_read(&top->status, top->shm, 0);
	}
	if (!ret)
		ret = rates_update(top->rates, top->status, now_s());
	top->error = ret ? ivshmem_explain(task, ret) : NULL;
	/* What has gone for good may come back under the same name. */
	if ((ret == -ENODEV || ret == -ESTALE) && top->shm) {
		ivshmem_close(top->shm);
		top->shm = NULL;
	}
	return ret;
}

/* --- showing them --- */

static void write_head(const struct top *top, char head[HEAD_MAX])
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(top->status);
	char size[SIZE_TEXT_MAX], left[SIZE_TEXT_MAX], clock[16];
	time_t now = time(NULL);

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime(&now));
	if (!top->status) {
		snprintf(head, HEAD_MAX, "%s %.300s\n", clock, top->where);
		return;
	}
	snprintf(head, HEAD_MAX, "%s %.300s '%s': %s, of which %s free; %u of %u objects\n", clock,
		 top->where, ivshmem_layout_label(layout), size_text(size, ivshmem_size(top->shm)),
		 size_text(left, ivshmem_layout_free_bytes(layout)),
		 status_objects_used(top->status), ivshmem_layout_objects(layout));
}

/* NULL: out of memory. */
static struct libscols_table *make_table(struct top *top)
{
	const struct status_view view = {
		.status = top->status, .rates = top->rates, .hide_idle = top->hide_idle,
		.columns = &top->columns,
	};

	return status_table(&view);
}

static int print(struct top *top)
{
	struct libscols_table *table = make_table(top);
	char head[HEAD_MAX];

	if (!table)
		return -ENOMEM;
	write_head(top, head);
	fputs(head, stdout);
	scols_print_table(table);
	putchar('\n');
	scols_unref_table(table);
	flush_stdout();
	return ferror(stdout) ? -EIO : 0;
}

/* Not beyond the table's ends. */
static void limit_scrolling(struct top *top, const char *table)
{
	unsigned int lines = 0, room = screen_room(), width = (unsigned int)strcspn(table, "\n");

	if (top->left >= width)
		top->left = width ? (width - 1) / SIDESTEP * SIDESTEP : 0;
	for (; *table; table++)
		lines += *table == '\n';
	if (top->first > (lines > room ? lines - room : 0))
		top->first = lines > room ? lines - room : 0;
}

static void redraw(struct top *top)
{
	struct libscols_table *table = top->status ? make_table(top) : NULL;
	char head[2 * HEAD_MAX], *text = NULL;
	size_t length;

	write_head(top, head);
	length = strlen(head);
	snprintf(head + length, sizeof(head) - length, "%s\n", top->error ? top->error :
		 "q: quit, i: hide what is idle, or show it, arrows: scroll");
	if (table)
		scols_print_table_to_string(table, &text);
	limit_scrolling(top, text ? text : "");
	screen_show(head, text ? text : "", top->first, top->left);
	free(text);
	scols_unref_table(table);
}

/* --- the loop --- */

static void wait_until(int64_t end)
{
	int left = remaining_ms(end);

	while (left && !stopped()) {
		poll(NULL, 0, left);
		left = remaining_ms(end);
	}
}

static int run_batch(struct top *top)
{
	int64_t next = now_ms();
	unsigned int shown;
	int ret = take_snapshot(top);

	for (shown = 0; !ret && !stopped() && (!top->count || shown < top->count); shown++) {
		next += top->delay_ms;
		wait_until(next);
		ret = stopped() ? 0 : take_snapshot(top);
		if (!ret && !stopped())
			ret = print(top);
	}
	if (top->error)
		complain(top->where, "%s", top->error);
	else if (ret == -ENOMEM)
		complain(top->where, "not enough memory");
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void scroll(struct top *top, enum screen_key key)
{
	unsigned int page = screen_room(), step = 0;

	switch (key) {
	case SCREEN_HOME:
		top->first = 0;
		top->left = 0;
		break;
	case SCREEN_UP:
	case SCREEN_PAGE_UP:
		step = key == SCREEN_UP ? 1 : page;
		top->first = top->first > step ? top->first - step : 0;
		break;
	case SCREEN_LEFT:
		top->left = top->left > SIDESTEP ? top->left - SIDESTEP : 0;
		break;
	case SCREEN_RIGHT:
		top->left += SIDESTEP;
		break;
	case SCREEN_DOWN:
	case SCREEN_PAGE_DOWN:
		top->first += key == SCREEN_DOWN ? 1 : page;
		break;
	default:
		break;
	}
}

/* False: the user has seen enough. */
static bool handle_keys(struct top *top, int64_t end)
{
	enum screen_key key = SCREEN_OTHER;

	while (key != SCREEN_TIMEOUT && !stopped()) {
		key = screen_wait(remaining_ms(end));
		if (key == SCREEN_QUIT)
			return false;
		if (key == SCREEN_TIMEOUT)
			break;
		if (key == SCREEN_IDLE)
			top->hide_idle = !top->hide_idle;
		scroll(top, key);
		redraw(top);
	}
	return !stopped();
}

static int run_on_terminal(struct top *top)
{
	int64_t next = now_ms();
	unsigned int shown = 0;

	if (screen_open() < 0) {
		const char *name = getenv("TERM");

		complain("top", "this terminal is not known here (TERM is '%s'): set TERM, or use --batch",
			 name ? name : "");
		return EXIT_FAILURE;
	}
	do {
		take_snapshot(top);
		redraw(top);
		next += top->delay_ms;
	} while (handle_keys(top, next) && (!top->count || ++shown < top->count));
	screen_close();
	return EXIT_SUCCESS;
}

static int watch(struct top *top)
{
	int status;

	/* Later it may come and go; who gives a wrong name is told at once. */
	if (open_region(&top->shm, top->where, top->open_flags) < 0)
		return EXIT_FAILURE;
	top->rates = rates_new();
	if (!top->rates) {
		complain(top->where, "not enough memory");
		ivshmem_close(top->shm);
		return EXIT_FAILURE;
	}
	catch_signals(NULL);
	status = top->batch ? run_batch(top) : run_on_terminal(top);
	ivshmem_status_free(top->status);
	rates_free(top->rates);
	ivshmem_close(top->shm);
	release_signals();
	return status;
}

static int parse_delay(const char *text, int64_t *delay_ms)
{
	int ret = parse_seconds("top", "--delay", text, delay_ms);

	if (!ret && *delay_ms < SHORTEST_MS) {
		complain("top", "--delay %s is too short: it takes at least 0.1 seconds", text);
		return -EINVAL;
	}
	return ret;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "batch", no_argument, NULL, 'b' },
		{ "count", required_argument, NULL, 'c' },
		{ "delay", required_argument, NULL, 'd' },
		{ "hide-idle", no_argument, NULL, 'i' },
		REGION_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct top top = {
		.open_flags = IVSHMEM_RDONLY, .delay_ms = 1000,
		.batch = !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO),
	};
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "bc:d:ih", options, NULL)) != -1) {
		switch (c) {
		case 'b':
			top.batch = true;
			break;
		case 'c':
			ret = parse_integer("top", "--count", optarg, 1, INT_MAX, &top.count);
			break;
		case 'd':
			ret = parse_delay(optarg, &top.delay_ms);
			break;
		case 'i':
			top.hide_idle = true;
			break;
		case RESOURCE2:
			top.open_flags |= IVSHMEM_RESOURCE2;
			break;
		case 'h':
			return show_help(&cmd_top);
		default:
			ret = -EINVAL;
		}
	}
	top.where = ret ? NULL : only_argument(&cmd_top, argc, argv, "WHERE");
	return top.where ? watch(&top) : misuse(&cmd_top);
}

const struct command cmd_top = {
	.name = "top",
	.summary = "watch who does what in a region",
	.help =
		"[OPTION]... WHERE\n"
		"\n"
		"Show again and again who uses the objects of a formatted region, and what they do in\n"
		"a second. Only reads: nobody who uses the region notices. On a terminal, q ends it; else\n"
		"one table is printed below the other.\n"
		"\n"
		"  -b, --batch          print one below the other on a terminal, too\n"
		"  -c, --count N        end after so many\n"
		"  -d, --delay SECONDS  from one to the next: 1 where this is not given, at least 0.1\n"
		"  -i, --hide-idle      only show members that have sent or received meanwhile\n"
		"      --resource2      of a PCI address that no module serves; as root\n"
		"  -h, --help           show this text\n",
	.run = run,
};
