// SPDX-License-Identifier: MIT

#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

/* Has stdin more than the region took? */
static int check_input_end(const struct copy *copy)
{
	char text[SIZE_TEXT_MAX];
	ssize_t n;
	char byte;

	if (copy->done < copy->length)
		return 0;
	n = read_some(copy->fd, &byte, 1);
	if (n > 0)
		complain(copy->where, "the input is larger than what fits: %llu bytes (%s) were written, up to the region's end, and the rest was not",
			 (unsigned long long)copy->done,
			 size_text(text, copy->done));
	else if (n < 0)
		explain_copy(copy, NULL, n);
	return n ? -1 : 0;
}

static int write_mapped(struct ivshmem *shm, const char *where, uint64_t offset)
{
	struct copy copy = {
		.where = where,
		.memory = (char *)ivshmem_data(shm) + offset,
		.length = ivshmem_size(shm) - offset,
		.expected = input_left(),
		.fd = STDIN_FILENO,
		.in = true,
	};
	int ret, sync;

	if (copy.expected > copy.length)
		copy.expected = copy.length;
	ret = copy_run(&copy);
	/* What did arrive is flushed, whatever happened next. */
	sync = ivshmem_sync(shm);
	if (ret < 0) {
		explain_copy(&copy, shm, ret);
		return EXIT_FAILURE;
	}
	if (sync < 0) {
		complain(where, "%s, after %llu bytes", ivshmem_explain(IVSHMEM_TASK_MAP, sync),
			 (unsigned long long)copy.done);
		return EXIT_FAILURE;
	}
	return check_input_end(&copy) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int write_region(const char *where, unsigned int flags, uint64_t offset)
{
	int status = EXIT_FAILURE;
	struct ivshmem *shm;
	int ret;

	if (open_region(&shm, where, flags) < 0)
		return EXIT_FAILURE;
	if (check_range(shm, where, offset, 0) < 0)
		goto out_close;
	ret = ivshmem_map(shm);
	if (ret < 0) {
		complain(where, "%s", ivshmem_explain(IVSHMEM_TASK_MAP, ret));
		goto out_close;
	}
	status = write_mapped(shm, where, offset);
out_close:
	ivshmem_close(shm);
	return status;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "offset", required_argument, NULL, 'o' },
		REGION_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	unsigned int flags = 0;
	const char *where;
	uint64_t offset = 0;
	int c;

	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			if (parse_size("write", "--offset", optarg, &offset) < 0)
				return misuse(&cmd_write);
			break;
		case RESOURCE2:
			flags |= IVSHMEM_RESOURCE2;
			break;
		case 'h':
			return show_help(&cmd_write);
		default:
			return misuse(&cmd_write);
		}
	}
	where = only_argument(&cmd_write, argc, argv, "WHERE");
	return where ? write_region(where, flags, offset) : misuse(&cmd_write);
}

const struct command cmd_write = {
	.name = "write",
	.summary = "copy from stdin into a region",
	.help =
		"[--offset N] [--resource2] WHERE\n"
		"\n"
		"Copy stdin into a region, byte for byte. What the input does not reach stays as\n"
		"it was. Input that does not fit is written up to the region's end, and then is\n"
		"an error.\n"
		"\n"
		"  -o, --offset N   start there; 0 where this is not given\n"
		"      --resource2  of a PCI address that no module serves; as root\n"
		"  -h, --help       show this text\n"
		"\n"
		"N is in bytes, or with K, M, G or T (binary); 0x1000 works too.\n",
	.run = run,
};
