// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

/* Truncation inside a page, or of pages never touched, makes no EFAULT. */
static int finish(const struct copy *copy, const struct ivshmem *shm, int ret)
{
	if (ret < 0) {
		explain_copy(copy, shm, ret);
		return EXIT_FAILURE;
	}
	ret = ivshmem_check(shm);
	if (ret < 0 && ret != -ECONNRESET) {
		complain(copy->where, "%s: what was read may be wrong",
			 ivshmem_explain(IVSHMEM_TASK_MAP, ret));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

static int read_mapped(struct ivshmem *shm, const char *where, uint64_t offset,
		       uint64_t length)
{
	struct copy copy = {
		.where = where,
		.memory = (char *)ivshmem_data(shm) + offset,
		.length = length,
		.expected = length,
		.fd = STDOUT_FILENO,
	};
	int ret;

	/* Orders what is read here after what the caller did before. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ret = copy_run(&copy);
	return finish(&copy, shm, ret);
}

/* @length: NULL for all that follows @offset. */
static int read_region(const char *where, unsigned int flags, uint64_t offset,
		       const uint64_t *length)
{
	int status = EXIT_FAILURE;
	struct ivshmem *shm;
	int ret;

	if (open_region(&shm, where, flags) < 0)
		return EXIT_FAILURE;
	if (check_range(shm, where, offset, length ? *length : 0) < 0)
		goto out_close;
	ret = ivshmem_map(shm);
	if (ret < 0) {
		complain(where, "%s", ivshmem_explain(IVSHMEM_TASK_MAP, ret));
		goto out_close;
	}
	status = read_mapped(shm, where, offset,
			     length ? *length : ivshmem_size(shm) - offset);
out_close:
	ivshmem_close(shm);
	return status;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "offset", required_argument, NULL, 'o' },
		{ "length", required_argument, NULL, 'l' },
		REGION_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	unsigned int flags = IVSHMEM_RDONLY;
	uint64_t offset = 0, length = 0;
	bool length_given = false;
	const char *where;
	int c;

	while ((c = getopt_long(argc, argv, "o:l:h", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			if (parse_size("read", "--offset", optarg, &offset) < 0)
				return misuse(&cmd_read);
			break;
		case 'l':
			if (parse_size("read", "--length", optarg, &length) < 0)
				return misuse(&cmd_read);
			length_given = true;
			break;
		case RESOURCE2:
			flags |= IVSHMEM_RESOURCE2;
			break;
		case 'h':
			return show_help(&cmd_read);
		default:
			return misuse(&cmd_read);
		}
	}
	where = only_argument(&cmd_read, argc, argv, "WHERE");
	if (!where)
		return misuse(&cmd_read);
	return read_region(where, flags, offset, length_given ? &length : NULL);
}

const struct command cmd_read = {
	.name = "read",
	.summary = "copy from a region to stdout",
	.help =
		"[--offset N] [--length N] [--resource2] WHERE\n"
		"\n"
		"Copy from a region to stdout, byte for byte.\n"
		"\n"
		"  -o, --offset N   start there; 0 where this is not given\n"
		"  -l, --length N   copy so much; all the rest where this is not given\n"
		"      --resource2  of a PCI address that no module serves; as root\n"
		"  -h, --help       show this text\n"
		"\n"
		"N is in bytes, or with K, M, G or T (binary); 0x1000 works too.\n",
	.run = run,
};
