// SPDX-License-Identifier: MIT

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const struct command *const commands[] = {
	&cmd_list,
	&cmd_info,
	&cmd_top,
	&cmd_create,
	&cmd_read,
	&cmd_write,
	&cmd_format,
	&cmd_make,
	&cmd_rm,
	&cmd_send,
	&cmd_recv,
	&cmd_publish,
	&cmd_subscribe,
	&cmd_call,
	&cmd_answer,
	&cmd_bench,
	&cmd_notify,
	&cmd_wait,
	&cmd_serve,
	&cmd_peers,
	&cmd_qemu,
	&cmd_libvirt,
};

/*
 * A region that is opened as descriptor 0, 1 or 2, because the caller had
 * closed it, would take what is meant for the terminal. The placeholders are
 * opened the wrong way round, so that their use still fails.
 */
static int reserve_standard_descriptors(void)
{
	static const int wrong_way[] = { O_WRONLY, O_RDONLY, O_RDONLY };
	int fd;

	for (fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", wrong_way[fd]) != fd)
			return -EBADF;
	}
	return 0;
}

static int show_verbs(void)
{
	size_t i;

	printf("Usage: ivshmem VERB [OPTION]... [WHERE]\n"
	       "\n"
	       "QEMU's inter-VM shared memory, in a guest and on the host.\n"
	       "\n"
	       "Verbs:\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-9s %s\n", commands[i]->name, commands[i]->summary);
	printf("\n"
	       "WHERE is a device node (/dev/ivshmem0), a PCI address (0000:00:04.0), or the\n"
	       "path of a region's file (/dev/shm/NAME) or of a server's socket (unix:PATH) on the\n"
	       "host.\n"
	       "\n"
	       "Options:\n"
	       "  -h, --help     show this text; 'ivshmem VERB --help' tells more\n"
	       "  -V, --version  show the version\n"
	       "\n"
	       "Exit status: 0 done, 1 failed, 2 used wrongly. See also ivshmem(1).\n");
	return EXIT_SUCCESS;
}

static int run_verb(int argc, char **argv)
{
	char name[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[0], commands[i]->name) != 0)
			continue;
		snprintf(name, sizeof(name), "ivshmem: %s", argv[0]);
		argv[0] = name;
		optind = 0;
		return commands[i]->run(argc, argv);
	}
	complain(argv[0], "no such verb: 'ivshmem --help' shows all of them");
	return EXIT_MISUSE;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ }
	};

	argv[0] = (char *)"ivshmem";
	switch (getopt_long(argc, argv, "+hV", options, NULL)) {
	case 'h':
		return show_verbs();
	case 'V':
		printf("ivshmem %s\n", ivshmem_version());
		return EXIT_SUCCESS;
	case -1:
		break;
	default:
		fprintf(stderr, "ivshmem: see 'ivshmem --help'\n");
		return EXIT_MISUSE;
	}

	if (optind == argc) {
		fprintf(stderr, "ivshmem: no verb given: see 'ivshmem --help'\n");
		return EXIT_MISUSE;
	}
	return run_verb(argc - optind, argv + optind);
}

int main(int argc, char **argv)
{
	if (reserve_standard_descriptors() < 0)
		return EXIT_FAILURE;
	if (!argc)
		return EXIT_MISUSE;

	/* For names in tables. What is parsed and printed must not follow the locale. */
	setlocale(LC_CTYPE, "");
	return close_stdout(run(argc, argv));
}
