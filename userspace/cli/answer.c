// SPDX-License-Identifier: MIT
/* One thread that serves all clients of a service. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

#define READY		16
#define MAX_QUESTION	((size_t)64 << 20)

struct client {
	struct client *next;
	struct ivshmem_channel *channel;
};

/**
 * struct server - What is served, and how.
 * @where: The region.
 * @name: The service.
 * @command: What answers each question, up to NULL; NULL: the user does.
 * @whole: Answers are sent as they are, else without an end of line.
 * @count: End after so many answers; 0: never.
 * @limit: Of clients for each peer; 0: as the library has it.
 * @flags: For ivshmem_listen().
 * @open_flags: For ivshmem_open().
 * @timeout_ms: For each question that does not come.
 * @listener: The service.
 * @set: It, and all clients.
 * @clients: Those that are there.
 * @input: Answers of the user.
 * @question: The last one that came, with room for @room bytes.
 * @room: See @question.
 * @answered: How many were.
 */
struct server {
	const char *where;
	const char *name;
	char *const *command;
	bool whole;
	unsigned int count;
	unsigned int limit;
	unsigned int flags;
	unsigned int open_flags;
	int timeout_ms;
	struct ivshmem_listener *listener;
	struct ivshmem_waitset *set;
	struct client *clients;
	struct lines input;
	char *question;
	size_t room;
	unsigned int answered;
};

static void explain(const struct server *server, enum ivshmem_task task, int error)
{
	if (error != -ECANCELED)
		complain(server->where, "service '%s': %s", server->name,
			 ivshmem_explain(task, error));
}

/* --- clients --- */

static void drop(struct server *server, struct client *client)
{
	struct client **link = &server->clients;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	ivshmem_channel_close(client->channel);
	free(client);
}

/* 0 once there are no more; else an error of the listener's, or -ENOMEM. */
static int accept_all(struct server *server)
{
	struct ivshmem_channel *channel;
	struct client *client;
	int ret;

	while (!(ret = ivshmem_accept(&channel, server->listener, 0))) {
		client = malloc(sizeof(*client));
		if (!client) {
			ivshmem_channel_close(channel);
			return -ENOMEM;
		}
		*client = (struct client) { server->clients, channel };
		server->clients = client;
		ret = ivshmem_waitset_add_channel(server->set, channel, IVSHMEM_CAN_RECV, 0,
						  client);
		if (ret < 0)
			return ret;
	}
	return ret == -EAGAIN ? 0 : ret;
}

/* --- answers --- */

/* A file in memory, so that it does not matter when the command reads it; or a negative errno. */
static int file_of(const char *text, size_t length)
{
	int fd = memfd_create("question", MFD_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	for (; length; text += n, length -= (size_t)n) {
		n = write_some(fd, text, length);
		if (n < 0) {
			close(fd);
			return (int)n;
		}
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static int spawn(char *const *command, int in, int out, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	int err;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	err = posix_spawnp(pid, command[0], &actions, NULL, command, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -err;
}

/* Up to @most bytes, and what comes behind these is dropped: -EMSGSIZE. */
static ssize_t read_all(int fd, char *buffer, size_t most)
{
	ssize_t length = read_full(fd, buffer, most), n;
	char rest[4096];

	if (length < (ssize_t)most)
		return length;
	n = read_some(fd, rest, sizeof(rest));
	if (!n)
		return length;
	while (n > 0)
		n = read_some(fd, rest, sizeof(rest));
	return n < 0 ? n : -EMSGSIZE;
}

/* What the command prints, into @answer. What it ends with is told, and changes nothing. */
static ssize_t ask_command(const struct server *server, size_t length, char *answer, size_t most)
{
	int in = file_of(server->question, length), out[2], status = 0, err;
	ssize_t got;
	pid_t pid;

	if (in < 0)
		return in;
	if (pipe2(out, O_CLOEXEC) < 0) {
		err = -errno;
		close(in);
		return err;
	}
	err = spawn(server->command, in, out[1], &pid);
	close(in);
	close(out[1]);
	got = err ? err : read_all(out[0], answer, most);
	close(out[0]);
	if (err) {
		complain(server->command[0], "%s", strerror(-err));
		return err;
	}
	if (got == -ECANCELED)
		kill(pid, SIGTERM);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status && got != -ECANCELED)
		complain(server->command[0], WIFEXITED(status) ? "it has ended with status %d" :
								 "it was ended by signal %d",
			 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return got;
}

/* -EPIPE: the user has no more answers. */
static ssize_t ask_user(struct server *server, size_t length, char *answer, size_t most)
{
	const char *line;
	size_t got;
	int ret;

	fwrite(server->question, 1, length, stdout);
	putchar('\n');
	flush_stdout();
	if (ferror(stdout))
		return -EPIPE;
	server->input.max = most;
	ret = lines_next(&server->input, &line, &got);
	if (ret <= 0)
		return ret ? ret : -EPIPE;
	memcpy(answer, line, got);
	return (ssize_t)got;
}

static ssize_t find_answer(struct server *server, size_t length, char *answer, size_t most)
{
	ssize_t got;

	if (!server->command)
		return ask_user(server, length, answer, most);
	got = ask_command(server, length, answer, most);
	return got > 0 && !server->whole && answer[got - 1] == '\n' ? got - 1 : got;
}

/* 0: the client stays, or was dropped; a negative errno, after a message: the end. */
static int reply_to(struct server *server, struct client *client, uint32_t number, size_t length)
{
	size_t most = ivshmem_channel_max_length(client->channel) - IVSHMEM_CALL_HEADER;
	char *text = malloc(most + 1);
	ssize_t got;
	int ret;

	if (!text) {
		complain("answer", "not enough memory");
		return -ENOMEM;
	}
	got = find_answer(server, length, text, most);
	if (got >= 0) {
		/* Who does not take its answers has to go, so that the others need not wait. */
		ret = ivshmem_call_answer(client->channel, number, text, (size_t)got, 0);
		server->answered += !ret;
		if (ret < 0)
			drop(server, client);
	}
	free(text);
	if (got == -EMSGSIZE) {
		complain(server->where, "service '%s' takes answers of up to %zu bytes, and one is longer: its client is sent away; make the service with larger rings (see ivshmem make --help)",
			 server->name, most);
		drop(server, client);
		return 0;
	}
	if (got < 0 && got != -EPIPE && got != -ECANCELED && !server->command)
		complain("standard input", "%s", strerror((int)-got));
	return got < 0 ? (int)got : 0;
}

static int serve(struct server *server, struct client *client)
{
	uint32_t number;
	ssize_t n;

	n = ivshmem_call_recv(client->channel, &number, server->question, server->room, 0);
	if (n >= 0)
		return reply_to(server, client, number, (size_t)n);
	if (n != -EAGAIN && n != -ECANCELED)
		drop(server, client);
	return n == -ECANCELED ? -ECANCELED : 0;
}

/* --- all of it --- */

static bool is_done(const struct server *server)
{
	return server->count && server->answered >= server->count;
}

/* A negative errno: why it ended, told already but for -ECANCELED. */
static int serve_all(struct server *server)
{
	struct ivshmem_ready ready[READY];
	int i, count, ret = 0;

	while (!ret && !is_done(server)) {
		count = ivshmem_waitset_wait(server->set, ready, READY, server->timeout_ms);
		if (count == -EINTR)
			continue;
		if (count < 0) {
			explain(server, IVSHMEM_TASK_LISTEN, count);
			return count;
		}
		for (i = 0; i < count && !ret && !is_done(server); i++) {
			if (ready[i].data) {
				ret = serve(server, ready[i].data);
				continue;
			}
			ret = accept_all(server);
			if (ret < 0)
				explain(server, IVSHMEM_TASK_LISTEN, ret);
		}
	}
	return ret;
}

static int open_service(struct server *server, struct ivshmem *shm)
{
	int ret;

	ret = ivshmem_listen(&server->listener, shm, server->name, server->flags);
	if (!ret && server->limit)
		ret = ivshmem_listener_set_limit(server->listener, server->limit);
	if (!ret)
		ret = ivshmem_waitset_open(&server->set, shm);
	if (!ret)
		ret = ivshmem_waitset_add_listener(server->set, server->listener, NULL);
	if (ret)
		explain(server, IVSHMEM_TASK_LISTEN, ret);
	return ret;
}

static int listen_in(struct server *server)
{
	struct ivshmem *shm;
	int ret;

	if (open_region(&shm, server->where, server->open_flags) < 0)
		return EXIT_FAILURE;
	server->room = ivshmem_size(shm) < MAX_QUESTION ? (size_t)ivshmem_size(shm) : MAX_QUESTION;
	server->question = malloc(server->room);
	if (!server->question)
		complain("answer", "not enough memory");
	catch_signals(shm);
	ret = server->question ? open_service(server, shm) : -ENOMEM;
	if (!ret)
		ret = serve_all(server);
	while (server->clients)
		drop(server, server->clients);
	ivshmem_waitset_close(server->set);
	ivshmem_listener_close(server->listener);
	free(server->question);
	lines_free(&server->input);
	release_signals();
	ivshmem_close(shm);
	return ret < 0 && ret != -EPIPE ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int parse_option(struct server *server, int option, const char *value)
{
	switch (option) {
	case 'w':
		server->whole = true;
		return 0;
	case 'c':
		return parse_integer("answer", "--count", value, 1, INT_MAX, &server->count);
	case 'n':
		return parse_integer("answer", "--clients", value, 1, IVSHMEM_MAX_OBJECTS,
				     &server->limit);
	case 't':
		return parse_timeout("answer", value, &server->timeout_ms);
	case 'T':
		server->flags |= IVSHMEM_LISTEN_TAKE_OVER;
		return 0;
	case RESOURCE2:
		server->open_flags |= IVSHMEM_RESOURCE2;
		return 0;
	default:
		return -EINVAL;
	}
}

static int parse_arguments(struct server *server, int argc, char **argv)
{
	if (argc - optind < 2 || !*argv[optind]) {
		complain("answer", "give WHERE and NAME: a region, and the name of the service; and maybe a COMMAND");
		return -EINVAL;
	}
	server->where = argv[optind];
	server->name = argv[optind + 1];
	if (argc - optind > 2)
		server->command = argv + optind + 2;
	if (server->whole && !server->command) {
		complain("answer", "--whole is for what a COMMAND prints");
		return -EINVAL;
	}
	return 0;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		REGION_OPTIONS,
		{ "whole", no_argument, NULL, 'w' },
		{ "count", required_argument, NULL, 'c' },
		{ "clients", required_argument, NULL, 'n' },
		{ "timeout", required_argument, NULL, 't' },
		{ "take-over", no_argument, NULL, 'T' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct server server = { .timeout_ms = -1, .input = { .fd = STDIN_FILENO } };
	int c;

	/* What comes behind the names is the command's. */
	while ((c = getopt_long(argc, argv, "+wc:n:t:h", options, NULL)) != -1) {
		if (c == 'h')
			return show_help(&cmd_answer);
		if (parse_option(&server, c, optarg) < 0)
			return misuse(&cmd_answer);
	}
	if (parse_arguments(&server, argc, argv) < 0)
		return misuse(&cmd_answer);
	return listen_in(&server);
}

const struct command cmd_answer = {
	.name = "answer",
	.summary = "serve a service: answer what clients ask",
	.help =
		"[OPTION]... WHERE NAME [COMMAND [ARGUMENT]...]\n"
		"\n"
		"Listen at a name in a formatted region, and answer what any number of clients ask,\n"
		"'ivshmem call' or other programs. COMMAND is run for each question: it reads that\n"
		"from stdin, and what it prints is the answer, less one end of line. Without COMMAND\n"
		"each question is printed as a line, and the next line of stdin is the answer. One\n"
		"question is answered at a time.\n"
		"\n"
		"  -w, --whole            answer with all that COMMAND prints, the end of line too\n"
		"  -c, --count N          end after so many answers\n"
		"      --clients N        at most so many clients of each program, or of each guest;\n"
		"                         else half of the objects that the region has room for\n"
		"  -t, --timeout SECONDS  give up where no question comes for so long, with exit\n"
		"                         status 1\n"
		"      --take-over        take the place of a server under another kernel\n"
		"      --resource2        of a PCI address that no module serves; as root\n"
		"  -h, --help             show this text\n",
	.run = run,
};
