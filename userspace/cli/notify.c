// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Where to look up peers: "unix:" and the path of a server's socket, on the host. */
static const char *socket_of(const char *where)
{
	return strncmp(where, "unix:", strlen("unix:")) ? "PATH" : where + strlen("unix:");
}

/*
 * On the host, this end's ID is that of this very command, and nobody waits for it. A guest
 * has one ID for all its programs, and these may ring each other.
 */
static bool rings_itself(const struct ivshmem *shm, unsigned int peer)
{
	return ivshmem_side(shm) == IVSHMEM_HOST && ivshmem_peer_id(shm) == (int)peer;
}

static int ring(struct ivshmem *shm, const char *where, unsigned int peer,
		unsigned int vector)
{
	int ret = ivshmem_notify(shm, peer, vector);

	if (!ret)
		return 0;
	if (ret == -ENOTSUP)
		complain(where, "a plain region has no doorbell: use an ivshmem-doorbell device, or unix:PATH of its server");
	else if (ret == -ENXIO)
		complain(where, "there is no vector %u of a peer %u: 'ivshmem peers --socket %s' lists them",
			 vector, peer, socket_of(where));
	else
		complain(where, "%s", ivshmem_explain(IVSHMEM_TASK_RING, ret));
	return ret;
}

static int notify(const char *where, unsigned int peer, unsigned int vector,
		  unsigned int count)
{
	struct ivshmem *shm;
	int ret = 0;

	if (open_region(&shm, where, 0) < 0)
		return EXIT_FAILURE;
	if (rings_itself(shm, peer)) {
		complain(where, "there is no other peer %u: the ID went to this command itself, and goes with it; 'ivshmem peers --socket %s' lists the others",
			 peer, socket_of(where));
		ret = -ENXIO;
	}
	while (!ret && count--)
		ret = ring(shm, where, peer, vector);
	ivshmem_close(shm);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	unsigned int peer, vector, count = 1;
	int c;

	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			if (parse_integer("notify", "--count", optarg, 1, INT_MAX, &count) < 0)
				return misuse(&cmd_notify);
			break;
		case 'h':
			return show_help(&cmd_notify);
		default:
			return misuse(&cmd_notify);
		}
	}
	if (argc - optind != 3) {
		complain("notify", "give WHERE, PEER and VECTOR");
		return misuse(&cmd_notify);
	}
	if (parse_integer("notify", "PEER", argv[optind + 1], 0, 65535, &peer) < 0 ||
	    parse_integer("notify", "VECTOR", argv[optind + 2], 0, 255, &vector) < 0)
		return misuse(&cmd_notify);
	return notify(argv[optind], peer, vector, count);
}

const struct command cmd_notify = {
	.name = "notify",
	.summary = "interrupt a peer",
	.help =
		"[--count N] WHERE PEER VECTOR\n"
		"\n"
		"Ring one vector of one peer. A guest's device does not tell whether there is such\n"
		"a peer or vector; on the host it is known.\n"
		"\n"
		"  -c, --count N  ring so many times; 1 where this is not given\n"
		"  -h, --help     show this text\n"
		"\n"
		"WHERE is a device of kind doorbell (guest), or unix:PATH, a server's socket (host).\n",
	.run = run,
};
