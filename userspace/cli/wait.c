// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Does the kernel's command line have this word? */
static bool boots_with(const char *word)
{
	char line[4096] = "", *rest = line, *token;
	FILE *file = fopen("/proc/cmdline", "re");

	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	while ((token = strsep(&rest, "\n ")))
		if (!strcmp(token, word))
			return true;
	return false;
}

static void explain_vector(const struct ivshmem *shm, const char *where, unsigned int vector)
{
	int vectors = ivshmem_vectors(shm);

	if (vectors > 0)
		complain(where, "there is no vector %u: this end has %d, counted from 0",
			 vector, vectors);
	else if (boots_with("pci=nomsi"))
		complain(where, "the device has no vectors, since this kernel was booted with pci=nomsi: remove that from its command line");
	else
		complain(where, "the device has no vectors: the VM gives it none (vectors= of QEMU's -device ivshmem-doorbell), or the kernel had no interrupts left, see 'dmesg | grep ivshmem'");
}

static void explain(const struct ivshmem *shm, const char *where, unsigned int vector, int error)
{
	switch (error) {
	case -ETIMEDOUT:
		complain(where, "vector %u was not rung in time", vector);
		break;
	case -ENOTSUP:
		complain(where, "a plain region has no interrupts: use an ivshmem-doorbell device, or unix:PATH of its server");
		break;
	case -EINVAL:
		explain_vector(shm, where, vector);
		break;
	default:
		complain(where, "%s", ivshmem_explain(IVSHMEM_TASK_RING, error));
	}
}

static int wait_rings(const char *where, unsigned int vector, unsigned int count,
		      int64_t timeout_ms)
{
	int64_t end = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
	uint64_t taken = 0;
	struct ivshmem *shm;
	int ret = 0;

	if (open_region(&shm, where, 0) < 0)
		return EXIT_FAILURE;
	while (ret >= 0 && taken < count) {
		ret = ivshmem_wait(shm, vector, remaining_ms(end));
		if (ret > 0)
			taken += ret;
		if (ret == -ECONNRESET) {
			complain(where, "the server has ended, or dropped this peer: only peers that are still there can ring, if they were not told that this one has left");
			ret = 0;
		}
	}
	if (ret < 0)
		explain(shm, where, vector, ret);
	if (ret >= 0 || ret == -ETIMEDOUT)
		printf("%llu\n", (unsigned long long)taken);
	ivshmem_close(shm);
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "timeout", required_argument, NULL, 't' },
		{ "count", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	unsigned int vector, count = 1;
	int64_t timeout_ms = -1;
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "t:c:h", options, NULL)) != -1) {
		switch (c) {
		case 't':
			ret = parse_seconds("wait", "--timeout", optarg, &timeout_ms);
			break;
		case 'c':
			ret = parse_integer("wait", "--count", optarg, 1, INT_MAX, &count);
			break;
		case 'h':
			return show_help(&cmd_wait);
		default:
			ret = -EINVAL;
		}
	}
	if (!ret && argc - optind != 2) {
		complain("wait", "give WHERE and VECTOR");
		ret = -EINVAL;
	}
	if (ret || parse_integer("wait", "VECTOR", argv[optind + 1], 0, 255, &vector) < 0)
		return misuse(&cmd_wait);
	return wait_rings(argv[optind], vector, count, timeout_ms);
}

const struct command cmd_wait = {
	.name = "wait",
	.summary = "wait for interrupts",
	.help =
		"[--timeout SECONDS] [--count N] WHERE VECTOR\n"
		"\n"
		"Wait until a vector of this end was rung, and print how many rings were taken.\n"
		"Rings that come close together may be merged. In a guest, a ring that came before\n"
		"anybody waited counts.\n"
		"\n"
		"  -t, --timeout SECONDS  give up then, with exit status 1\n"
		"  -c, --count N          wait for so many rings; 1 where this is not given\n"
		"  -h, --help             show this text\n"
		"\n"
		"WHERE is a device of kind doorbell (guest), or unix:PATH, a server's socket (host).\n",
	.run = run,
};
