// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <libsmartcols/libsmartcols.h>

#include "cli.h"

#define MAX_ROWS	16
#define MAX_SPIN_US	1000000		/* who spins is not interrupted */

struct request {
	struct attachment attachment;
	bool serve;
	bool json;
	bool only;		/* @test, and not both */
	enum test test;
	bool size_given;	/* else several */
	uint64_t size;
	int64_t time_ms;	/* for each row */
	unsigned int spin_us;
	bool spin_given;
};

struct results {
	const char *wakeup;
	struct measurement rows[MAX_ROWS];
	size_t count;
};

static const char *const test_names[] = {
	[TEST_LATENCY] = "latency",
	[TEST_THROUGHPUT] = "throughput",
};

static const uint64_t latency_sizes[] = { 8, 64, 1024, 64 * 1024 };
static const uint64_t throughput_sizes[] = { 8, 56, 1024, 64 * 1024, 1024 * 1024 };

static double per_second(const struct measurement *row, double amount)
{
	return row->seconds > 0 ? amount / row->seconds : 0;
}

/* Three digits: "280 ns", "1.25 us". */
static const char *time_text(char text[32], uint64_t ns)
{
	if (ns < 1000)
		snprintf(text, 32, "%llu ns", (unsigned long long)ns);
	else if (ns < 1000000)
		snprintf(text, 32, "%.3g us", ns / 1e3);
	else
		snprintf(text, 32, "%.3g ms", ns / 1e6);
	return text;
}

static const char *rate_text(char text[32], double rate, double base, const char *unit)
{
	static const char prefixes[] = " KMGT";
	int i;

	for (i = 0; rate >= base && prefixes[i + 1]; i++)
		rate /= base;
	snprintf(text, 32, "%.*f %.1s%s", rate < 100 ? 1 : 0, rate, i ? prefixes + i : "", unit);
	return text;
}

static int add_row(struct libscols_table *table, const struct measurement *row)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	const uint64_t times[] = { row->p50, row->p99, row->p999, row->max };
	char text[32];
	size_t i;

	if (!line || scols_line_set_data(line, 0, test_names[row->test]) ||
	    scols_line_set_data(line, 1, size_text(text, row->size)) ||
	    scols_line_set_data(line, 2, rate_text(text, per_second(row, row->messages),
						   1000, "")) ||
	    scols_line_set_data(line, 3, rate_text(text, per_second(row, (double)row->messages *
								    row->size), 1024, "B")))
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(times) && row->test == TEST_LATENCY; i++)
		if (scols_line_set_data(line, 4 + i, time_text(text, times[i])))
			return -ENOMEM;
	return 0;
}

static int print_table(const struct results *results)
{
	static const char *const columns[] = {
		"TEST", "SIZE", "MESSAGES/S", "BYTES/S", "P50", "P99", "P99.9", "MAX",
	};
	struct libscols_table *table = scols_new_table();
	int ret = table ? 0 : -ENOMEM;
	size_t i;

	for (i = 0; !ret && i < ARRAY_SIZE(columns); i++)
		if (!scols_table_new_column(table, columns[i], 0, i ? SCOLS_FL_RIGHT : 0))
			ret = -ENOMEM;
	for (i = 0; !ret && i < results->count; i++)
		ret = add_row(table, &results->rows[i]);
	if (!ret)
		ret = scols_print_table(table);
	scols_unref_table(table);
	return ret;
}

static struct json_object *row_object(const struct measurement *row)
{
	struct json_object *object = json_object_new_object();
	char seconds[32];

	snprintf(seconds, sizeof(seconds), "%.6f", row->seconds);
	if (object &&
	    !json_add_string(object, "test", test_names[row->test]) &&
	    !json_add_number(object, "size", row->size) &&
	    !json_add(object, "seconds", json_object_new_double_s(row->seconds, seconds)) &&
	    !json_add_number(object, "messages", row->messages) &&
	    !json_add_number(object, "messages_per_second", per_second(row, row->messages)) &&
	    !json_add_number(object, "bytes_per_second",
			     per_second(row, (double)row->messages * row->size)) &&
	    (row->test != TEST_LATENCY ||
	     (!json_add_number(object, "p50_ns", row->p50) &&
	      !json_add_number(object, "p99_ns", row->p99) &&
	      !json_add_number(object, "p999_ns", row->p999) &&
	      !json_add_number(object, "max_ns", row->max))))
		return object;
	json_object_put(object);
	return NULL;
}

static int print_json(const struct results *results)
{
	struct json_object *object = json_object_new_object();
	struct json_object *rows = json_object_new_array();
	int ret = rows ? 0 : -ENOMEM;
	size_t i;

	for (i = 0; !ret && i < results->count; i++) {
		struct json_object *row = row_object(&results->rows[i]);

		ret = row ? json_object_array_add(rows, row) : -ENOMEM;
	}
	if (!ret && object && !json_add_string(object, "wakeup", results->wakeup) &&
	    !json_add(object, "tests", json_object_get(rows)))
		json_print(object);
	else
		ret = -ENOMEM;
	json_object_put(rows);
	json_object_put(object);
	return ret;
}

static void explain_bench(const struct attachment *attachment, int error)
{
	if (error == -EBADMSG)
		complain(attachment->where, "channel '%s': the other side is no 'ivshmem bench' of this version, or messages were garbled",
			 attachment->name);
	else
		explain_channel(attachment, IVSHMEM_TASK_RECEIVE, error, "");
}

/* One row, where the channel takes messages of this size. */
static int run_row(const struct request *request, struct results *results, enum test test,
		   uint64_t size)
{
	struct ivshmem_channel *channel = request->attachment.channel;
	struct measurement *row = &results->rows[results->count];
	int ret;

	if (size > ivshmem_channel_max_length(channel))
		return 0;
	*row = (struct measurement){
		.test = test,
		.size = size,
		.seconds = request->time_ms / 1000.0,
	};
	ret = measure(channel, row);
	if (!ret)
		results->count++;
	return ret;
}

static int run_test(const struct request *request, struct results *results, enum test test)
{
	const uint64_t *sizes = test == TEST_LATENCY ? latency_sizes : throughput_sizes;
	size_t count = test == TEST_LATENCY ? ARRAY_SIZE(latency_sizes) :
					      ARRAY_SIZE(throughput_sizes);
	size_t i;
	int ret = 0;

	if (request->only && request->test != test)
		return 0;
	if (request->size_given)
		return run_row(request, results, test, request->size);
	for (i = 0; !ret && i < count; i++)
		ret = run_row(request, results, test, sizes[i]);
	return ret;
}

static int run_tests(const struct request *request)
{
	const struct attachment *attachment = &request->attachment;
	size_t max = ivshmem_channel_max_length(attachment->channel);
	struct results results = {
		.wakeup = ivshmem_channel_wakeup(attachment->channel),
	};
	int ret;

	if (request->size > max) {
		complain(attachment->where, "channel '%s' takes messages of up to %zu bytes",
			 attachment->name, max);
		return EXIT_FAILURE;
	}
	ret = run_test(request, &results, TEST_LATENCY);
	if (!ret)
		ret = run_test(request, &results, TEST_THROUGHPUT);
	if (ret) {
		explain_bench(attachment, ret);
		return EXIT_FAILURE;
	}
	ret = request->json ? print_json(&results) : print_table(&results);
	if (ret)
		complain(attachment->where, "the results could not be printed: not enough memory");
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* One after the other, until a signal comes. */
static int serve_tests(const struct attachment *attachment)
{
	int ret = 0;

	while (!stopped()) {
		ret = answer(attachment->channel);
		if (!ret || ret == -ECANCELED)
			continue;
		if (ret != -EPIPE)
			explain_bench(attachment, ret);
		do {
			ret = ivshmem_channel_reconnect(attachment->channel, -1);
		} while (ret == -EINTR);
		if (ret < 0) {
			explain_bench(attachment, ret);
			break;
		}
	}
	return EXIT_FAILURE;
}

static int bench(void *context)
{
	const struct request *request = context;

	if (request->spin_given)
		ivshmem_channel_set_spin(request->attachment.channel, request->spin_us);
	return request->serve ? serve_tests(&request->attachment) : run_tests(request);
}

/* WHERE and, where not both are wanted, which test; -EINVAL after a message. */
static int parse_test(struct request *request, int argc, char **argv)
{
	const char *name = argc - optind > 1 ? argv[optind + 1] : NULL;

	if (argc - optind < 1 || argc - optind > 2 || !*argv[optind]) {
		complain("bench", "give WHERE, and latency or throughput where not both are wanted");
		return -EINVAL;
	}
	request->attachment.where = argv[optind];
	if (!name)
		return 0;
	request->only = true;
	for (request->test = TEST_LATENCY; request->test <= TEST_THROUGHPUT; request->test++)
		if (!strcmp(name, test_names[request->test]))
			return 0;
	complain("bench", "'%s' is neither latency nor throughput", name);
	return -EINVAL;
}

static int parse_option(struct request *request, int option, const char *value)
{
	switch (option) {
	case 'S':
		request->serve = true;
		return 0;
	case 'j':
		request->json = true;
		return 0;
	case 'n':
		request->attachment.name = value;
		return 0;
	case 's':
		request->size_given = true;
		return parse_size("bench", "--size", value, &request->size);
	case 'i':
		return parse_seconds("bench", "--time", value, &request->time_ms);
	case 'p':
		request->spin_given = true;
		return parse_integer("bench", "--spin", value, 0, MAX_SPIN_US,
				     &request->spin_us);
	default:
		return parse_attachment(&request->attachment, option, value);
	}
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "serve", no_argument, NULL, 'S' },
		{ "json", no_argument, NULL, 'j' },
		{ "name", required_argument, NULL, 'n' },
		{ "size", required_argument, NULL, 's' },
		{ "time", required_argument, NULL, 'i' },
		{ "spin", required_argument, NULL, 'p' },
		{ "take-over", no_argument, NULL, 'T' },
		REGION_OPTIONS,
		{ "timeout", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct request request = {
		.attachment = { .verb = "bench", .name = "bench", .timeout_ms = -1 },
		.time_ms = 1000,
	};
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "s:t:h", options, NULL)) != -1) {
		if (c == 'h')
			return show_help(&cmd_bench);
		ret = parse_option(&request, c, optarg);
	}
	if (ret || parse_test(&request, argc, argv) < 0)
		return misuse(&cmd_bench);
	if ((request.size_given && !request.size) || !request.time_ms) {
		complain("bench", "--size and --time must be more than 0");
		return misuse(&cmd_bench);
	}
	request.attachment.create = request.serve;
	return use_channel(&request.attachment, bench, &request);
}

const struct command cmd_bench = {
	.name = "bench",
	.summary = "measure a channel",
	.help =
		"--serve [OPTION]... WHERE\n"
		"       ivshmem bench [OPTION]... WHERE [latency | throughput]\n"
		"\n"
		"Measure a channel of a formatted region. One side runs with --serve, and answers\n"
		"until it is interrupted. The other side measures: latency, the time of a message\n"
		"there and back; throughput, how many go one way; both where none is named.\n"
		"\n"
		"      --serve            answer the other side's tests\n"
		"  -s, --size SIZE        of each message, in bytes, or with K or M (binary); a row of\n"
		"                         sizes where this is not given\n"
		"      --time SECONDS     measure each size so long; 1 where this is not given\n"
		"      --spin N           look for so many microseconds before sleeping, up to a\n"
		"                         million; 50 where this is not given, 0 to measure sleeping\n"
		"      --name NAME        the channel; bench where this is not given\n"
		"  -t, --timeout SECONDS  wait so long for the other side to come\n"
		"      --take-over        take the place of a program that is there\n"
		"      --json             print JSON; times are in nanoseconds\n"
		"      --resource2        of a PCI address that no module serves; as root\n"
		"  -h, --help             show this text\n",
	.run = run,
};
