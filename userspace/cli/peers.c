// SPDX-License-Identifier: MIT
/*
 * The other end of server/status.c.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <libsmartcols/libsmartcols.h>

#include "cli.h"
#include "server/server.h"

#define PATIENCE_S	5

enum { PEER, USER, UID, GID, PID, VECTOR_COUNT, QUEUE, SINCE };

static const struct {
	const char *name;
	const char *member;	/* in the server's answer, where it is the same */
} columns[] = {
	[PEER] = { "PEER", "peer" },
	[USER] = { "USER", NULL },
	[UID] = { "UID", "uid" },
	[GID] = { "GID", "gid" },
	[PID] = { "PID", "pid" },
	[VECTOR_COUNT] = { "VECTORS", "vectors" },
	[QUEUE] = { "QUEUE", "queue" },
	[SINCE] = { "SINCE", NULL },
};

static void explain_connect(const char *path, int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		complain(path, "no ivshmem server answers here: start one with 'ivshmem serve', or give the path that it was told with --status-socket");
		break;
	case EACCES:
		complain(path, "no permission: see the owner, group and mode of the socket");
		break;
	default:
		complain(path, "%s", strerror(error));
	}
}

/* A stream of the server's answer, or NULL after a message. */
static FILE *ask(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	FILE *stream;
	int fd;

	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		explain_connect(path, errno);
		goto err_close;
	}
	stream = fdopen(fd, "r");
	if (stream)
		return stream;
	complain(path, "%s", strerror(errno));
err_close:
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* A member of a line, which holds numbers only. */
static int get_number(struct json_object *line, const char *name, int64_t *number)
{
	struct json_object *member;

	if (!json_object_object_get_ex(line, name, &member) ||
	    !json_object_is_type(member, json_type_int))
		return -EPROTO;
	*number = json_object_get_int64(member);
	return *number < 0 ? -EPROTO : 0;
}

static struct libscols_table *new_table(bool json)
{
	struct libscols_table *table = scols_new_table();
	struct libscols_column *column;
	bool number;
	size_t i;

	if (!table)
		return NULL;
	scols_table_enable_json(table, json);
	if (scols_table_set_name(table, "peers"))
		goto err_unref_table;
	for (i = 0; i < ARRAY_SIZE(columns); i++) {
		number = columns[i].member;
		column = scols_table_new_column(table, columns[i].name, 0,
						number ? SCOLS_FL_RIGHT : 0);
		if (!column)
			goto err_unref_table;
		if (number)
			scols_column_set_json_type(column, SCOLS_JSON_NUMBER);
	}
	return table;

err_unref_table:
	scols_unref_table(table);
	return NULL;
}

static int set_user(struct libscols_line *row, int64_t uid)
{
	const struct passwd *user = getpwuid(uid);

	return user ? scols_line_set_data(row, USER, user->pw_name) : 0;
}

static int set_since(struct libscols_line *row, int64_t microseconds)
{
	time_t seconds = microseconds / 1000000;
	struct tm local;
	char text[64];

	if (!localtime_r(&seconds, &local) ||
	    !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S%z", &local))
		return 0;
	return scols_line_set_data(row, SINCE, text);
}

static int add_row(struct libscols_table *table, struct json_object *line)
{
	struct libscols_line *row = scols_table_new_line(table, NULL);
	int64_t number, uid, since;
	char text[24];
	size_t i;

	if (!row)
		return -ENOMEM;
	if (get_number(line, "uid", &uid) || get_number(line, "since", &since))
		return -EPROTO;
	for (i = 0; i < ARRAY_SIZE(columns); i++) {
		if (!columns[i].member)
			continue;
		if (get_number(line, columns[i].member, &number))
			return -EPROTO;
		snprintf(text, sizeof(text), "%" PRId64, number);
		if (scols_line_set_data(row, i, text))
			return -ENOMEM;
	}
	return set_user(row, uid) || set_since(row, since) ? -ENOMEM : 0;
}

/*
 * The next line, to be put; NULL at the end or where it is no JSON object. Where
 * something else comes, there may never be a line.
 */
static struct json_object *next_line(FILE *stream)
{
	struct json_object *object;
	size_t room = 0;
	char *text = NULL;

	if (ungetc(getc(stream), stream) != '{')
		return NULL;
	object = getline(&text, &room, stream) < 0 ? NULL : json_tokener_parse(text);
	free(text);
	return object;
}

/* Takes all of the answer: a server that ends in its midst is a failure. */
static int fill(struct libscols_table *table, FILE *stream)
{
	struct json_object *line = next_line(stream);
	int64_t count = 0;
	int ret;

	ret = line ? get_number(line, "peers", &count) : -EPROTO;
	json_object_put(line);
	while (!ret && count-- > 0) {
		line = next_line(stream);
		ret = line ? add_row(table, line) : -EPROTO;
		json_object_put(line);
	}
	return ret;
}

static void explain_answer(const char *path, FILE *stream, int error)
{
	if (error == -ENOMEM)
		complain(path, "the table could not be made: not enough memory");
	else if (ferror(stream))
		complain(path, "the server does not answer: is it stopped?");
	else if (feof(stream))
		complain(path, "the server closed the connection: it ended, or does not allow this user to ask");
	else
		complain(path, "this is not the answer of an ivshmem server: give the path of its status socket");
}

static int show_peers(const char *path, bool json)
{
	struct libscols_table *table;
	FILE *stream = ask(path);
	int ret;

	if (!stream)
		return EXIT_FAILURE;
	table = new_table(json);
	ret = table ? fill(table, stream) : -ENOMEM;
	if (ret)
		explain_answer(path, stream, ret);
	else if (json || scols_table_get_nlines(table))
		ret = scols_print_table(table);
	scols_unref_table(table);
	fclose(stream);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* In @path; -EINVAL after a message. */
static int status_path(char path[ENDPOINT_PATH_MAX + 1], const char *socket,
		       const char *status_socket)
{
	const char *given = status_socket ?: socket;
	int length;

	if (!given || !*given) {
		complain("peers", "--socket is missing: give the path of the server's socket");
		return -EINVAL;
	}
	length = snprintf(path, ENDPOINT_PATH_MAX + 1, "%s%s", given,
			  status_socket ? "" : STATUS_SUFFIX);
	if (length > ENDPOINT_PATH_MAX) {
		complain("peers", "'%s' is too long for the path of a socket", given);
		return -EINVAL;
	}
	return 0;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "status-socket", required_argument, NULL, 'S' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	const char *socket = NULL, *status_socket = NULL;
	char path[ENDPOINT_PATH_MAX + 1];
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 's':
			socket = optarg;
			break;
		case 'S':
			status_socket = optarg;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			return show_help(&cmd_peers);
		default:
			return misuse(&cmd_peers);
		}
	}
	if (optind < argc) {
		complain("peers", "takes no argument, '%s' is too many", argv[optind]);
		return misuse(&cmd_peers);
	}
	if (status_path(path, socket, status_socket) < 0)
		return misuse(&cmd_peers);
	return show_peers(path, json);
}

const struct command cmd_peers = {
	.name = "peers",
	.summary = "list the peers of a server",
	.help =
		"--socket PATH [--json]\n"
		"\n"
		"List who shares the region of an 'ivshmem serve': ID, user, vectors, messages\n"
		"that wait for it, since when. There is no output where there is nobody.\n"
		"\n"
		"      --socket PATH         where the peers connect\n"
		"      --status-socket PATH  what the server was told with the same option\n"
		"      --json                print JSON\n"
		"  -h, --help                show this text\n",
	.run = run,
};
