// SPDX-License-Identifier: MIT

#include <getopt.h>
#include <stdlib.h>

#include "cli.h"

static int make_in(const char *where, unsigned int flags, const struct wishes *wishes)
{
	struct ivshmem *shm;
	int ret;

	if (open_region(&shm, where, flags) < 0)
		return EXIT_FAILURE;
	ret = make_objects(shm, where, wishes);
	ivshmem_close(shm);
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int parse_and_make(int argc, char **argv, struct wishes *wishes)
{
	static const struct option options[] = {
		OBJECT_OPTIONS,
		REGION_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	unsigned int flags = 0;
	const char *where;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'C':
		case 'A':
		case 'P':
		case 'S':
			if (parse_object("make", wishes, c, optarg) < 0)
				return misuse(&cmd_make);
			break;
		case RESOURCE2:
			flags |= IVSHMEM_RESOURCE2;
			break;
		case 'h':
			return show_help(&cmd_make);
		default:
			return misuse(&cmd_make);
		}
	}
	where = only_argument(&cmd_make, argc, argv, "WHERE");
	if (!where)
		return misuse(&cmd_make);
	if (!wishes->count) {
		complain("make", "say what, as --channel video:64M:4K, --area table:16M, --topic state:64 or --service clock");
		return misuse(&cmd_make);
	}
	return make_in(where, flags, wishes);
}

static int run(int argc, char **argv)
{
	struct wishes wishes = { .count = 0 };
	int status = parse_and_make(argc, argv, &wishes);

	free_wishes(&wishes);
	return status;
}

const struct command cmd_make = {
	.name = "make",
	.summary = "make objects of a formatted region beforehand",
	.help =
		"[OPTION]... WHERE\n"
		"\n"
		"Make channels, areas, topics and services in a formatted region, in the order of the\n"
		"options. They stay when nobody uses them, until 'ivshmem rm'. Channels and services with\n"
		"rings of the usual size need not be made: whoever creates one or listens makes it.\n"
		"\n"
		OBJECT_HELP
		"      --resource2    of a PCI address that no module serves; as root\n"
		"  -h, --help         show this text\n",
	.run = run,
};
