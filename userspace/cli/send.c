// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

struct request {
	struct attachment attachment;
	bool whole;
};

static void explain_send(const struct attachment *attachment, int error,
			 const char *unit, uint64_t sent)
{
	char outcome[OUTCOME_MAX];

	snprintf(outcome, sizeof(outcome), "; %llu %s were sent, the rest was not",
		 (unsigned long long)sent, unit);
	explain_channel(attachment, IVSHMEM_TASK_SEND, error, outcome);
}

static int send_line(const struct attachment *attachment, const char *line, size_t length)
{
	int ret;

	do {
		ret = ivshmem_channel_send(attachment->channel, line, length,
					   attachment->timeout_ms);
	} while (ret == -EINTR);
	return ret == -EAGAIN ? -ETIMEDOUT : ret;
}

static int send_lines(const struct attachment *attachment)
{
	struct lines lines = {
		.fd = STDIN_FILENO,
		.max = ivshmem_channel_max_length(attachment->channel),
	};
	uint64_t sent = 0;
	const char *line;
	size_t length;
	int ret, input;

	while ((input = lines_next(&lines, &line, &length)) > 0) {
		ret = send_line(attachment, line, length);
		if (ret < 0) {
			explain_send(attachment, ret, "messages", sent);
			break;
		}
		sent++;
	}
	lines_free(&lines);
	if (input == -EMSGSIZE)
		complain(attachment->where, "channel '%s' takes messages of up to %zu bytes, and line %llu is longer: use --whole on both sides, or make the channel with larger rings (see ivshmem make --help)",
			 attachment->name, lines.max, (unsigned long long)sent + 1);
	else if (input < 0)
		explain_input(input);
	return input ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int reserve(const struct attachment *attachment, void **room, size_t length)
{
	int ret;

	do {
		ret = ivshmem_channel_reserve(attachment->channel, room, length,
					      attachment->timeout_ms);
	} while (ret == -EINTR);
	return ret == -EAGAIN ? -ETIMEDOUT : ret;
}

/* Reads right into the ring. */
static int send_stream(const struct attachment *attachment)
{
	size_t max = ivshmem_channel_max_length(attachment->channel);
	size_t chunk = max < COPY_CHUNK ? max : COPY_CHUNK;
	struct progress progress;
	uint64_t sent = 0;
	void *room = NULL;
	ssize_t n = 0;
	int ret;

	progress_start(&progress, attachment->where, input_left());
	while (!(ret = reserve(attachment, &room, chunk)) &&
	       (n = read_some(STDIN_FILENO, room, chunk)) > 0) {
		ret = ivshmem_channel_commit(attachment->channel, n, 0);
		if (ret < 0)
			break;
		sent += n;
		progress_update(&progress, sent);
	}
	progress_end(&progress);
	if (ret < 0)
		explain_send(attachment, ret, "bytes", sent);
	else if (n < 0)
		explain_input(n);
	return ret < 0 || n < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int send_input(void *context)
{
	const struct request *request = context;

	return request->whole ? send_stream(&request->attachment) :
				send_lines(&request->attachment);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		ATTACHMENT_OPTIONS,
		{ "whole", no_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct request request = {
		.attachment = { .verb = "send", .create = true, .timeout_ms = -1 },
	};
	int c;

	while ((c = getopt_long(argc, argv, ATTACHMENT_SHORT "wh", options, NULL)) != -1) {
		switch (c) {
		case 'w':
			request.whole = true;
			break;
		case 'h':
			return show_help(&cmd_send);
		default:
			if (parse_attachment(&request.attachment, c, optarg) < 0)
				return misuse(&cmd_send);
		}
	}
	if (parse_names(&request.attachment, argc, argv) < 0)
		return misuse(&cmd_send);
	return use_channel(&request.attachment, send_input, &request);
}

const struct command cmd_send = {
	.name = "send",
	.summary = "send stdin through a channel",
	.help =
		"[OPTION]... WHERE NAME\n"
		"\n"
		"Send stdin through a channel of a formatted region: each line is a message. Waits\n"
		"for the other side, 'ivshmem recv' or another program; either may come first.\n"
		"Where this side is done it closes the channel; the other gets what was sent.\n"
		"\n"
		"  -w, --whole            send a stream of bytes, whatever the lines are\n"
		"  -t, --timeout SECONDS  give up where nobody comes, or nobody receives, for so\n"
		"                         long, with exit status 1\n"
		"      --create           create the channel, as is done where this is not given\n"
		"      --connect          connect to a channel that the other side creates\n"
		"      --take-over        take the place of a program that is there\n"
		"      --resource2        of a PCI address that no module serves; as root\n"
		"  -h, --help             show this text\n",
	.run = run,
};
