// SPDX-License-Identifier: MIT

#include <getopt.h>
#include <stdlib.h>

#include "cli.h"

int show_help(const struct command *command)
{
	printf("Usage: ivshmem %s %s", command->name, command->help);
	return EXIT_SUCCESS;
}

/* After a message that said what was wrong with the arguments. */
int misuse(const struct command *command)
{
	fprintf(stderr, "ivshmem: see 'ivshmem %s --help'\n", command->name);
	return EXIT_MISUSE;
}

/* The one argument that getopt_long() left over; NULL after a message. */
const char *only_argument(const struct command *command, int argc, char **argv,
			  const char *what)
{
	if (optind == argc || !*argv[optind]) {
		complain(command->name, "%s is missing", what);
		return NULL;
	}
	if (argc - optind > 1) {
		complain(command->name, "one %s only, '%s' is too many", what,
			 argv[optind + 1]);
		return NULL;
	}
	return argv[optind];
}
