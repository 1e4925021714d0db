// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "memory/memory.h"

struct request {
	const char *path;
	uint64_t size;
	mode_t mode;
	bool mode_given;
	bool size_given;
	bool exist_ok;
	struct memory_options memory;
	const char *group_name;
	gid_t group;
};

static void explain_create(const struct request *request, int error)
{
	char text[SIZE_TEXT_MAX];

	switch (error) {
	case -EEXIST:
		complain(request->path, "the file exists: use it as it is, take it with --exist-ok, or remove it");
		break;
	case -ENODATA:
	case -EMSGSIZE:
		complain(request->path, "the file exists at another size than %s, and was left alone",
			 size_text(text, request->size));
		break;
	case -EINVAL:
		complain(request->path, "the filesystem has no file of %s: on hugetlbfs, the size is a multiple of the huge page size",
			 size_text(text, request->size));
		break;
	case -ENOENT:
		complain(request->path, "the folder does not exist: create it first, or use /dev/shm");
		break;
	case -EACCES:
	case -EPERM:
		complain(request->path, "no permission: see the owner and mode of the folder, and of the file where there is one");
		break;
	case -ENOSPC:
		complain(request->path, "no room for %s: 'df' shows what the filesystem has left",
			 size_text(text, request->size));
		break;
	default:
		complain(request->path, "%s", ivshmem_explain(IVSHMEM_TASK_CREATE, error));
	}
}

/* The group first: nobody but it ever gets what the mode gives to a group. */
static int give_to_group(const struct request *request, int fd)
{
	if (!fchown(fd, -1, request->group) && !fchmod(fd, request->mode))
		return 0;
	complain(request->path, "it can't be given to the group %s: %s",
		 request->group_name, strerror(errno));
	unlink(request->path);
	return -EPERM;
}

/* On a NUMA node the memory is allocated after the file was made, else with it. */
static int place(const struct request *request, int fd)
{
	int ret;

	if (request->memory.node == MEMORY_ANY_NODE)
		return 0;
	ret = memory_place(fd, request->size, &request->memory);
	if (ret < 0) {
		memory_explain(request->path, &request->memory, ret);
		unlink(request->path);
	}
	return ret;
}

static int create_region(const struct request *request)
{
	bool at_once = request->memory.preallocate && request->memory.node == MEMORY_ANY_NODE;
	unsigned int flags = at_once ? IVSHMEM_PREALLOCATE : 0;
	mode_t mode = request->mode;
	struct ivshmem *shm;
	int ret;

	if (request->group_name)
		mode &= 0700;
	ret = ivshmem_create(&shm, request->path, request->size, mode, flags);
	if (!ret) {
		ret = place(request, ivshmem_fd(shm));
		if (!ret && request->group_name)
			ret = give_to_group(request, ivshmem_fd(shm));
		ivshmem_close(shm);
		return ret ? EXIT_FAILURE : EXIT_SUCCESS;
	}

	if (ret == -EEXIST && request->exist_ok) {
		ret = ivshmem_create(&shm, request->path, request->size, mode,
				     flags | IVSHMEM_EXIST_OK);
		if (!ret) {
			ivshmem_close(shm);
			return EXIT_SUCCESS;
		}
	}
	explain_create(request, ret);
	return EXIT_FAILURE;
}

static int parse_options(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ "mode", required_argument, NULL, 'm' },
		{ "group", required_argument, NULL, 'g' },
		{ "exist-ok", no_argument, NULL, 'e' },
		{ "preallocate", no_argument, NULL, 'p' },
		{ "numa-node", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "s:m:g:h", options, NULL)) != -1) {
		switch (c) {
		case 's':
			ret = parse_size("create", "--size", optarg, &request->size);
			request->size_given = true;
			break;
		case 'm':
			ret = parse_mode("create", optarg, &request->mode);
			request->mode_given = true;
			break;
		case 'g':
			ret = parse_group("create", "--group", optarg, &request->group);
			request->group_name = optarg;
			break;
		case 'e':
			request->exist_ok = true;
			break;
		case 'p':
			request->memory.preallocate = true;
			break;
		case 'n':
			ret = memory_parse_node("create", optarg, &request->memory);
			break;
		case 'h':
			return 'h';
		default:
			return -EINVAL;
		}
	}
	return ret;
}

static int run(int argc, char **argv)
{
	struct request request = { .mode = 0600, .memory.node = MEMORY_ANY_NODE };
	int ret;

	ret = parse_options(argc, argv, &request);
	if (ret == 'h')
		return show_help(&cmd_create);
	if (ret < 0)
		return misuse(&cmd_create);
	request.path = only_argument(&cmd_create, argc, argv, "PATH");
	if (!request.path)
		return misuse(&cmd_create);
	if (!request.size_given) {
		complain("create", "--size is missing: say how large the region is to be, as --size 64M");
		return misuse(&cmd_create);
	}
	if (!size_fits_device(request.path, request.size))
		return EXIT_MISUSE;
	if (request.group_name && !request.mode_given)
		request.mode = 0660;
	return create_region(&request);
}

const struct command cmd_create = {
	.name = "create",
	.summary = "create the file of a region on the host",
	.help =
		"--size SIZE [OPTION]... PATH\n"
		"\n"
		"Create the file of a region on the host, best in /dev/shm. It is all zeroes.\n"
		"\n"
		"  -s, --size SIZE    bytes, or with K, M, G or T (binary): a power of two, at\n"
		"                     least a page\n"
		"  -m, --mode MODE    permissions, octal; 0600, or 0660 with --group, where this\n"
		"                     is not given; the umask is not applied\n"
		"  -g, --group NAME   the group of the file\n"
		"      --exist-ok     take an existing file of this size, and leave it as it is\n"
		"      --preallocate  allocate the memory at once\n"
		"      --numa-node N  of a new file: its memory lies on this NUMA node\n"
		"  -h, --help         show this text\n",
	.run = run,
};
