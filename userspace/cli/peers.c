// SPDX-License-Identifier: MIT
/*
 * The other end of server/status.c.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <libsmartcols/libsmartcols.h>

#include "cli.h"
#include "server/server.h"

#define PATIENCE_MS	5000	/* for the next piece of the answer */
#define ANSWER_MS	60000	/* for all of it */
#define LINE_MAX_BYTES	512

/**
 * struct answer - What a server says, which may be anybody.
 * @fd: The connection.
 * @end: When all of it must be there.
 * @text: What was read, and not yet taken.
 * @length: How much that is.
 */
struct answer {
	int fd;
	int64_t end;
	char text[LINE_MAX_BYTES];
	size_t length;
};

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

/* A connection; a negative errno. */
static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	int fd, error;

	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
	    !setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) &&
	    !connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	error = errno;
	if (fd >= 0)
		close(fd);
	return -error;
}

/* Is there a server at @socket, which may be NULL? It sees a peer that comes and goes. */
static bool is_served(const char *socket)
{
	int fd = socket && strlen(socket) <= ENDPOINT_PATH_MAX ? connect_to(socket) : -1;

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void explain_connect(const char *path, const char *socket, int error)
{
	switch (error) {
	case -ENOENT:
	case -ECONNREFUSED:
		if (is_served(socket))
			complain(path, "there is a server at %s, and it has no status socket here: QEMU's own ivshmem-server has none, and can't tell who its peers are; if it is an 'ivshmem serve' with --status-socket, give the same here",
				 socket);
		else
			complain(path, "no ivshmem server answers here: start one with 'ivshmem serve', or give the path that it was told with --status-socket");
		break;
	case -EACCES:
		complain(path, "no permission: see the owner, group and mode of the socket");
		break;
	default:
		complain(path, "%s", strerror(-error));
	}
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

/* More of it; -ENODATA at its end, -ETIMEDOUT. */
static int read_more(struct answer *answer)
{
	struct pollfd poller = { .fd = answer->fd, .events = POLLIN };
	int patience = remaining_ms(answer->end);
	ssize_t length;

	if (patience > PATIENCE_MS)
		patience = PATIENCE_MS;
	if (poll(&poller, 1, patience) <= 0)
		return -ETIMEDOUT;
	length = read(answer->fd, answer->text + answer->length,
		      sizeof(answer->text) - answer->length);
	if (length < 0)
		return -errno;
	answer->length += length;
	return length ? 0 : -ENODATA;
}

/* The length of the next line. Where something else comes, there may never be one. */
static int await_line(struct answer *answer)
{
	const char *end;
	int ret = 0;

	while (!ret) {
		if (answer->length && answer->text[0] != '{')
			return -EPROTO;
		end = memchr(answer->text, '\n', answer->length);
		if (end)
			return end + 1 - answer->text;
		if (answer->length == sizeof(answer->text))
			return -EPROTO;
		ret = read_more(answer);
	}
	return ret;
}

/* To be put where it succeeds; -EPROTO where it is no JSON object. */
static int take_line(struct answer *answer, struct json_object **line)
{
	int length = await_line(answer);

	if (length < 0)
		return length;
	answer->text[length - 1] = '\0';
	*line = json_tokener_parse(answer->text);
	answer->length -= length;
	memmove(answer->text, answer->text + length, answer->length);
	return *line ? 0 : -EPROTO;
}

/* Takes all of the answer: a server that ends in its midst is a failure. */
static int fill(struct libscols_table *table, struct answer *answer)
{
	struct json_object *line = NULL;
	int64_t count = 0;
	int ret;

	ret = take_line(answer, &line);
	if (!ret) {
		ret = get_number(line, "peers", &count);
		json_object_put(line);
	}
	if (count > SERVER_IDS_MAX)
		ret = -EPROTO;
	while (!ret && count-- > 0) {
		ret = take_line(answer, &line);
		if (!ret) {
			ret = add_row(table, line);
			json_object_put(line);
		}
	}
	return ret;
}

static void explain_answer(const char *path, int error)
{
	switch (error) {
	case -ENOMEM:
		complain(path, "the table could not be made: not enough memory");
		break;
	case -ETIMEDOUT:
		complain(path, "the server does not answer: is it stopped?");
		break;
	case -ENODATA:
	case -ECONNRESET:
		complain(path, "the server closed the connection: it ended, or does not allow this user to ask");
		break;
	default:
		complain(path, "this is not the answer of an ivshmem server: give the path of its status socket");
	}
}

/* @socket: where peers connect, if that is known; NULL. */
static int show_peers(const char *path, const char *socket, bool json)
{
	struct answer answer = { .fd = connect_to(path), .end = now_ms() + ANSWER_MS };
	struct libscols_table *table;
	int ret;

	if (answer.fd < 0) {
		explain_connect(path, socket, answer.fd);
		return EXIT_FAILURE;
	}
	table = new_table(json);
	ret = table ? fill(table, &answer) : -ENOMEM;
	if (ret)
		explain_answer(path, ret);
	else if (json || scols_table_get_nlines(table))
		ret = scols_print_table(table);
	scols_unref_table(table);
	close(answer.fd);
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
	return show_peers(path, socket, json);
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
