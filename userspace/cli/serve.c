// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "cli.h"
#include "server/server.h"

enum {
	SOCKET = 256, STATUS_SOCKET, VECTORS, SHM, HUGEPAGES, FILE_PATH, MAX_PEERS,
	MAX_PEERS_PER_USER, ALLOW_USER, ALLOW_GROUP, NUMA_NODE, PREALLOCATE,
};

static int add_id(unsigned int **ids, size_t *count, unsigned int id)
{
	unsigned int *more = reallocarray(*ids, *count + 1, sizeof(**ids));

	if (!more) {
		complain("serve", "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	more[(*count)++] = id;
	*ids = more;
	return 0;
}

static int add_allowed(struct access *access, int option, const char *text)
{
	unsigned int id;
	int ret;

	if (option == ALLOW_USER) {
		ret = parse_user("serve", "--allow-user", text, &id);
		return ret ?: add_id(&access->users, &access->n_users, id);
	}
	ret = parse_group("serve", "--allow-group", text, &id);
	return ret ?: add_id(&access->groups, &access->n_groups, id);
}

static int check_path(const char *option, const char *path, size_t max)
{
	if (*path && strlen(path) <= max)
		return 0;
	if (!*path)
		complain("serve", "%s is empty: give a path, as /run/ivshmem/NAME.sock", option);
	else
		complain("serve", "%s '%s' is too long: a socket's path has %zu bytes at most",
			 option, path, max);
	return -EINVAL;
}

static int check_shm_name(const char *name)
{
	if (*name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..") &&
	    strlen(name) <= NAME_MAX)
		return 0;
	complain("serve", "--shm '%s' is not a name: the file is /dev/shm/NAME", name);
	return -EINVAL;
}

static int choose_backing(struct server_options *options, int option, const char *name)
{
	if (options->backing != BACKING_MEMFD) {
		complain("serve", "the region lies in one place: give one of --shm, --hugepages and --file, and once");
		return -EINVAL;
	}
	options->name = name;
	switch (option) {
	case SHM:
		options->backing = BACKING_SHM;
		return check_shm_name(name);
	case HUGEPAGES:
		options->backing = BACKING_HUGEPAGES;
		return 0;
	default:
		options->backing = BACKING_FILE;
		if (*name)
			return 0;
		complain("serve", "--file is empty: give the path of a file, best in /dev/shm");
		return -EINVAL;
	}
}

static int parse_option(struct server_options *options, int option, bool *mode_given)
{
	switch (option) {
	case SOCKET:
		options->socket = optarg;
		return check_path("--socket", optarg, ENDPOINT_PATH_MAX);
	case STATUS_SOCKET:
		options->status_socket = optarg;
		return check_path("--status-socket", optarg, ENDPOINT_PATH_MAX);
	case 's':
		return parse_size("serve", "--size", optarg, &options->size) ?:
		       (size_fits_device("serve", options->size) ? 0 : -EINVAL);
	case VECTORS:
		return parse_integer("serve", "--vectors", optarg, 1, SERVER_VECTORS_MAX,
				     &options->vectors);
	case SHM:
	case HUGEPAGES:
	case FILE_PATH:
		return choose_backing(options, option, optarg);
	case 'm':
		*mode_given = true;
		return parse_mode("serve", optarg, &options->mode);
	case 'g':
		return parse_group("serve", "--group", optarg, &options->group);
	case MAX_PEERS:
		return parse_integer("serve", "--max-peers", optarg, 1, SERVER_IDS_MAX,
				     &options->max_peers);
	case MAX_PEERS_PER_USER:
		return parse_integer("serve", "--max-peers-per-user", optarg, 1, SERVER_IDS_MAX,
				     &options->max_peers_of_user);
	case NUMA_NODE:
		return memory_parse_node("serve", optarg, &options->memory);
	case PREALLOCATE:
		options->memory.preallocate = true;
		return 0;
	case ALLOW_USER:
	case ALLOW_GROUP:
		return add_allowed(&options->access, option, optarg);
	case 'h':
		return 'h';
	default:
		return -EINVAL;
	}
}

static int parse_options(int argc, char **argv, struct server_options *server)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, SOCKET },
		{ "status-socket", required_argument, NULL, STATUS_SOCKET },
		{ "size", required_argument, NULL, 's' },
		{ "vectors", required_argument, NULL, VECTORS },
		{ "shm", required_argument, NULL, SHM },
		{ "hugepages", no_argument, NULL, HUGEPAGES },
		{ "file", required_argument, NULL, FILE_PATH },
		{ "numa-node", required_argument, NULL, NUMA_NODE },
		{ "preallocate", no_argument, NULL, PREALLOCATE },
		{ "mode", required_argument, NULL, 'm' },
		{ "group", required_argument, NULL, 'g' },
		{ "max-peers", required_argument, NULL, MAX_PEERS },
		{ "max-peers-per-user", required_argument, NULL, MAX_PEERS_PER_USER },
		{ "allow-user", required_argument, NULL, ALLOW_USER },
		{ "allow-group", required_argument, NULL, ALLOW_GROUP },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	bool mode_given = false;
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "s:m:g:h", options, NULL)) != -1)
		ret = parse_option(server, c, &mode_given);
	if (!mode_given && server->group != NO_GROUP)
		server->mode = 0660;
	return ret;
}

static int check_options(const struct server_options *options)
{
	if (!options->socket && sd_listen_fds(false) <= 0 && !handover_is_on()) {
		complain("serve", "--socket is missing: say where peers connect, as --socket /run/ivshmem/NAME.sock");
		return -EINVAL;
	}
	if (options->socket && !options->status_socket &&
	    strlen(options->socket) + strlen(STATUS_SUFFIX) > ENDPOINT_PATH_MAX) {
		complain("serve", "--socket '%s' leaves no room for '" STATUS_SUFFIX "' behind it: give --status-socket, or a shorter path",
			 options->socket);
		return -EINVAL;
	}
	if (options->socket && options->status_socket &&
	    !strcmp(options->socket, options->status_socket)) {
		complain("serve", "--socket and --status-socket are the same path");
		return -EINVAL;
	}
	if (!options->size && options->backing != BACKING_FILE) {
		complain("serve", "--size is missing: say how large the region is to be, as --size 64M");
		return -EINVAL;
	}
	return 0;
}

/* To be freed. NULL where there is no memory. */
static char **whole_command(int argc, char **argv)
{
	char **command = calloc((size_t)argc + 2, sizeof(*command));

	if (!command) {
		complain("serve", "%s", strerror(ENOMEM));
		return NULL;
	}
	command[0] = (char *)"ivshmem";
	command[1] = (char *)"serve";
	memcpy(command + 2, argv + 1, (size_t)(argc - 1) * sizeof(*command));
	return command;
}

static int serve(struct server_options *options, int argc, char **argv)
{
	int status;

	options->argv = whole_command(argc, argv);
	if (!options->argv)
		return EXIT_FAILURE;
	status = server_run(options);
	free(options->argv);
	return status;
}

static int run(int argc, char **argv)
{
	struct server_options options = {
		.vectors = 1,
		.memory.node = MEMORY_ANY_NODE,
		.mode = 0600,
		.group = NO_GROUP,
	};
	int ret, status;

	ret = parse_options(argc, argv, &options);
	if (!ret && optind < argc) {
		complain("serve", "takes no argument, '%s' is too many", argv[optind]);
		ret = -EINVAL;
	}
	if (!ret)
		ret = check_options(&options);
	if (ret == 'h')
		status = show_help(&cmd_serve);
	else
		status = ret ? misuse(&cmd_serve) : serve(&options, argc, argv);
	free(options.access.users);
	free(options.access.groups);
	return status;
}

const struct command cmd_serve = {
	.name = "serve",
	.summary = "serve a region with doorbells to guests and programs",
	.help =
		"--socket PATH --size SIZE [OPTION]...\n"
		"\n"
		"Serve a region, and interrupts between all who share it, to ivshmem-doorbell\n"
		"devices and host programs, until SIGTERM or SIGINT.\n"
		"\n"
		"      --socket PATH         where peers connect\n"
		"      --status-socket PATH  where 'ivshmem peers' asks; PATH.status where this\n"
		"                            is not given\n"
		"  -s, --size SIZE           of the region: a power of two, at least a page\n"
		"      --vectors N           1 to 256 interrupt lines for each peer; 1 where this\n"
		"                            is not given\n"
		"      --hugepages           the region lies in huge pages\n"
		"      --shm NAME            it lies in a new file /dev/shm/NAME\n"
		"      --file PATH           it lies in this file, which is made where it is not\n"
		"                            there\n"
		"      --numa-node N         its memory lies on this NUMA node\n"
		"      --preallocate         all of its memory is allocated at the start\n"
		"  -m, --mode MODE           of the sockets, octal; 0600, or 0660 with --group,\n"
		"                            where this is not given; the umask is not applied\n"
		"  -g, --group NAME          of the sockets\n"
		"      --max-peers N         1 to 65536, which is also what holds without this\n"
		"      --max-peers-per-user N\n"
		"                            how many of them may be one user's; where this is not\n"
		"                            given, all with --max-peers, else half\n"
		"      --allow-user NAME     who may connect, by name or number, where it is not\n"
		"      --allow-group NAME    everybody whom the mode lets; may be repeated\n"
		"  -h, --help                show this text\n",
	.run = run,
};
