// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>

#include <libsmartcols/libsmartcols.h>

#include "cli.h"

enum { ADDRESS, NODE, SIZE, KIND, DRIVER };

static struct libscols_table *new_table(bool json)
{
	static const char *const names[] = {
		[ADDRESS] = "ADDRESS",
		[NODE] = "NODE",
		[SIZE] = "SIZE",
		[KIND] = "KIND",
		[DRIVER] = "DRIVER",
	};
	struct libscols_column *column;
	struct libscols_table *table;
	size_t i;

	table = scols_new_table();
	if (!table)
		return NULL;
	scols_table_enable_json(table, json);
	if (scols_table_set_name(table, "devices"))
		goto err_unref_table;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		column = scols_table_new_column(table, names[i], 0,
						i == SIZE ? SCOLS_FL_RIGHT : 0);
		if (!column)
			goto err_unref_table;
		if (i == SIZE)
			scols_column_set_json_type(column, SCOLS_JSON_NUMBER);
	}
	return table;

err_unref_table:
	scols_unref_table(table);
	return NULL;
}

/* Bytes in JSON. A size that is not known stays empty: null in JSON. */
static int set_size(struct libscols_line *line, uint64_t size, bool json)
{
	char text[SIZE_TEXT_MAX];

	if (!size)
		return 0;
	if (json)
		snprintf(text, sizeof(text), "%" PRIu64, size);
	else
		size_text(text, size);
	return scols_line_set_data(line, SIZE, text);
}

static int add_device(struct libscols_table *table, bool json,
		      const struct ivshmem_device *device)
{
	bool doorbell = ivshmem_device_kind(device) == IVSHMEM_DOORBELL;
	struct libscols_line *line;

	line = scols_table_new_line(table, NULL);
	if (!line)
		return -ENOMEM;
	if (scols_line_set_data(line, ADDRESS, ivshmem_device_address(device)) ||
	    scols_line_set_data(line, NODE, ivshmem_device_node(device)) ||
	    set_size(line, ivshmem_device_size(device), json) ||
	    scols_line_set_data(line, KIND, doorbell ? "doorbell" : "plain") ||
	    scols_line_set_data(line, DRIVER, ivshmem_device_driver(device)))
		return -ENOMEM;
	return 0;
}

static int print_devices(const struct ivshmem_device_list *list, bool json)
{
	const struct ivshmem_device *device;
	struct libscols_table *table;
	int ret = 0;
	size_t i;

	table = new_table(json);
	if (!table)
		return -ENOMEM;
	for (i = 0; !ret && (device = ivshmem_list_get(list, i)); i++)
		ret = add_device(table, json, device);
	if (!ret)
		ret = scols_print_table(table);
	scols_unref_table(table);
	return ret;
}

static int show_list(bool json)
{
	const struct ivshmem_device *device;
	struct ivshmem_device_list *list;
	size_t i, count;
	int ret;

	ret = ivshmem_list(&list);
	if (ret < 0) {
		complain("list", "%s", ivshmem_strerror(ret));
		return EXIT_FAILURE;
	}

	count = ivshmem_list_count(list);
	ret = count || json ? print_devices(list, json) : 0;
	if (ret)
		complain("list", "the table could not be made: not enough memory");
	flush_stdout();

	if (!count)
		explain_no_device("list");
	for (i = 0; (device = ivshmem_list_get(list, i)); i++)
		explain_device(ivshmem_device_address(device), device);
	ivshmem_list_free(list);
	return ret || !count ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			json = true;
			break;
		case 'h':
			return show_help(&cmd_list);
		default:
			return misuse(&cmd_list);
		}
	}
	if (optind < argc) {
		complain("list", "takes no argument, '%s' is too many", argv[optind]);
		return misuse(&cmd_list);
	}
	return show_list(json);
}

const struct command cmd_list = {
	.name = "list",
	.summary = "list the ivshmem devices of this machine",
	.help =
		"[--json]\n"
		"\n"
		"List the ivshmem PCI devices of this machine, a guest. Where one of them\n"
		"can't be used, stderr says why, and what to do.\n"
		"\n"
		"      --json  print JSON; sizes are in bytes\n"
		"  -h, --help  show this text\n"
		"\n"
		"Exit status: 1 where there is no device.\n",
	.run = run,
};
