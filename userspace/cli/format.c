// SPDX-License-Identifier: MIT

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cli.h"

#define MOST_RING	(4ull << 30)

struct request {
	const char *where;
	const char *label;
	unsigned int objects;	/* 0: as the library finds fit */
	uint64_t ring_size;	/* the same */
	struct wishes wishes;
	unsigned int flags;
	unsigned int open_flags;
};

static void explain_format(const struct request *request, int error)
{
	switch (error) {
	case -EEXIST:
		complain(request->where, "the region is formatted already: 'ivshmem info' shows how; --force formats it anew, and ends all that is in it");
		break;
	case -ENOTEMPTY:
		complain(request->where, "the region holds something already: if that may go, use --force");
		break;
	case -ENOSPC:
		complain(request->where, "the region is too small for so many objects or such rings (use a larger one, or a smaller --objects or --ring), or the filesystem that holds it is full (see df)");
		break;
	case -EINVAL:
		complain(request->where, "'%s' is no label: up to %d letters, digits and '-_.+', no dot in front",
			 request->label, IVSHMEM_LABEL_SIZE - 1);
		break;
	default:
		complain(request->where, "%s", ivshmem_explain(IVSHMEM_TASK_FORMAT, error));
	}
}

/* udev looks at the device anew, and so finds the label. */
static bool announce(const struct ivshmem *shm)
{
	static const char event[] = "change";
	char path[64];
	struct stat st;
	bool done;
	int fd;

	if (fstat(ivshmem_fd(shm), &st) < 0)
		return false;
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/uevent",
		 major(st.st_rdev), minor(st.st_rdev));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	done = write(fd, event, strlen(event)) == (ssize_t)strlen(event);
	close(fd);
	return done;
}

static bool has_node(const struct ivshmem *shm)
{
	struct stat st;

	return ivshmem_side(shm) == IVSHMEM_GUEST &&
	       !fstat(ivshmem_fd(shm), &st) && S_ISCHR(st.st_mode);
}

static int format_region(const struct request *request)
{
	struct ivshmem *shm;
	int ret;

	if (open_region(&shm, request->where, request->open_flags) < 0)
		return EXIT_FAILURE;
	ret = ivshmem_format(shm, request->label, request->objects, request->ring_size,
			     request->flags);
	if (ret < 0)
		explain_format(request, ret);
	else
		ret = make_objects(shm, request->where, &request->wishes);
	if (!ret && has_node(shm) && !announce(shm))
		complain(request->where, "done; only root can tell udev, which then makes the name by-label: 'sudo udevadm trigger --action=change %s'",
			 ivshmem_path(shm));
	ivshmem_close(shm);
	if (ret == -EINVAL)
		return EXIT_MISUSE;
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int parse_ring(const char *text, uint64_t *size)
{
	int ret = parse_size("format", "--ring", text, size);

	if (!ret && (!*size || *size > MOST_RING)) {
		complain("format", "--ring '%s' is no size of a ring: 4K to 4G", text);
		return -EINVAL;
	}
	return ret;
}

static int parse_options(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {
		{ "label", required_argument, NULL, 'l' },
		{ "objects", required_argument, NULL, 'o' },
		{ "ring", required_argument, NULL, 'r' },
		OBJECT_OPTIONS,
		{ "force", no_argument, NULL, 'f' },
		REGION_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "l:h", options, NULL)) != -1) {
		switch (c) {
		case 'l':
			request->label = optarg;
			break;
		case 'o':
			if (parse_integer("format", "--objects", optarg, 1,
					  IVSHMEM_MAX_OBJECTS, &request->objects) < 0)
				return -EINVAL;
			break;
		case 'r':
			if (parse_ring(optarg, &request->ring_size) < 0)
				return -EINVAL;
			break;
		case 'C':
		case 'A':
		case 'P':
		case 'S':
			if (parse_object("format", &request->wishes, c, optarg) < 0)
				return -EINVAL;
			break;
		case 'f':
			request->flags |= IVSHMEM_FORMAT_FORCE;
			break;
		case RESOURCE2:
			request->open_flags |= IVSHMEM_RESOURCE2;
			break;
		case 'h':
			return 'h';
		default:
			return -EINVAL;
		}
	}
	return 0;
}

static int parse_and_format(int argc, char **argv, struct request *request)
{
	int ret;

	ret = parse_options(argc, argv, request);
	if (ret == 'h')
		return show_help(&cmd_format);
	if (ret < 0)
		return misuse(&cmd_format);
	request->where = only_argument(&cmd_format, argc, argv, "WHERE");
	if (!request->where)
		return misuse(&cmd_format);
	if (!request->label) {
		complain("format", "--label is missing: give the region a name, as --label demo, or none, as --label ''");
		return misuse(&cmd_format);
	}
	return format_region(request);
}

static int run(int argc, char **argv)
{
	struct request request = { .label = NULL };
	int status = parse_and_format(argc, argv, &request);

	free_wishes(&request.wishes);
	return status;
}

const struct command cmd_format = {
	.name = "format",
	.summary = "lay a region out for channels and other objects",
	.help =
		"--label NAME [OPTION]... WHERE\n"
		"\n"
		"Lay a region out for named objects, once, on either side; see ivshmem-channel(7).\n"
		"A guest then has the device as /dev/ivshmem/by-label/NAME.\n"
		"\n"
		"  -l, --label NAME   a name for the region: up to 63 letters, digits and '-_.+',\n"
		"                     no dot in front; '' for none\n"
		"      --objects N    room for so many objects, from 1 to 4096; where this is not\n"
		"                     given, as many as suit the size\n"
		"      --ring SIZE    the size of each of the two rings of a channel that is not made\n"
		"                     beforehand, from 4K to 4G; where this is not given, one that\n"
		"                     suits the size. A message has up to half of it\n"
		OBJECT_HELP
		"      --force        though the region is formatted, or holds something: all of it\n"
		"                     is lost, and programs that use its objects lose them\n"
		"      --resource2    of a PCI address that no module serves; as root\n"
		"  -h, --help         show this text\n",
	.run = run,
};
