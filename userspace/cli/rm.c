// SPDX-License-Identifier: MIT

#include <getopt.h>
#include <stdlib.h>

#include "cli.h"

static int remove_all(const char *where, unsigned int open_flags, char **names, unsigned int flags)
{
	int status = EXIT_SUCCESS, ret;
	struct ivshmem *shm;

	if (open_region(&shm, where, open_flags) < 0)
		return EXIT_FAILURE;
	for (; *names; names++) {
		ret = ivshmem_remove(shm, *names, flags);
		if (ret < 0) {
			complain(where, "'%s': %s", *names,
				 ivshmem_explain(IVSHMEM_TASK_REMOVE, ret));
			status = EXIT_FAILURE;
		}
	}
	ivshmem_close(shm);
	return status;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "force", no_argument, NULL, 'f' },
		REGION_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	unsigned int open_flags = 0, flags = 0;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			flags |= IVSHMEM_REMOVE_FORCE;
			break;
		case RESOURCE2:
			open_flags |= IVSHMEM_RESOURCE2;
			break;
		case 'h':
			return show_help(&cmd_rm);
		default:
			return misuse(&cmd_rm);
		}
	}
	if (argc - optind < 2) {
		complain("rm", "give WHERE and NAME: a region, and the objects of it that are to go");
		return misuse(&cmd_rm);
	}
	return remove_all(argv[optind], open_flags, argv + optind + 1, flags);
}

const struct command cmd_rm = {
	.name = "rm",
	.summary = "remove objects of a formatted region",
	.help =
		"[--force] [--resource2] WHERE NAME...\n"
		"\n"
		"Remove objects of a formatted region: their room is free then.\n"
		"\n"
		"      --force        though programs use them: these lose what they have\n"
		"      --resource2    of a PCI address that no module serves; as root\n"
		"  -h, --help         show this text\n",
	.run = run,
};
