// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

struct request {
	struct attachment attachment;
	unsigned int count;	/* 0: all */
	bool whole;
};

/* What was printed is seen before this side waits for more; -EIO where it can't be. */
static ssize_t next_message(const struct attachment *attachment, const void **message)
{
	ssize_t n = stopped() ? -ECANCELED : ivshmem_channel_peek(attachment->channel, message, 0);

	if (n != -EAGAIN)
		return n;
	flush_stdout();
	if (ferror(stdout))
		return -EIO;
	do {
		n = ivshmem_channel_peek(attachment->channel, message,
					 attachment->timeout_ms);
	} while (n == -EINTR);
	return n == -EAGAIN ? -ETIMEDOUT : n;
}

static void explain_recv(const struct attachment *attachment, int error,
			 const char *unit, uint64_t received)
{
	char outcome[OUTCOME_MAX];

	flush_stdout();
	snprintf(outcome, sizeof(outcome), "; %llu %s were received",
		 (unsigned long long)received, unit);
	explain_channel(attachment, IVSHMEM_TASK_RECEIVE, error, outcome);
}

static int receive_lines(const struct request *request)
{
	const struct attachment *attachment = &request->attachment;
	uint64_t received = 0;
	const void *message;
	ssize_t n = 0;

	while (!request->count || received < request->count) {
		n = next_message(attachment, &message);
		if (n < 0)
			break;
		fwrite(message, 1, n, stdout);
		putchar('\n');
		if (ferror(stdout))
			break;
		ivshmem_channel_release(attachment->channel, message);
		received++;
	}
	if (ferror(stdout))
		return EXIT_FAILURE;
	if (n >= 0 || (n == -EPIPE && !request->count))
		return EXIT_SUCCESS;
	explain_recv(attachment, n, "messages", received);
	return EXIT_FAILURE;
}

static int put(const char *bytes, size_t length)
{
	ssize_t n;

	for (; length; bytes += n, length -= n) {
		n = write_some(STDOUT_FILENO, bytes, length);
		if (n < 0)
			return n;
	}
	return 0;
}

/* Writes right from the ring. */
static int receive_stream(const struct attachment *attachment)
{
	struct progress progress;
	uint64_t received = 0;
	const void *bytes;
	int ret = 0;
	ssize_t n;

	progress_start(&progress, attachment->where, 0);
	while ((n = next_message(attachment, &bytes)) >= 0) {
		ret = put(bytes, n);
		if (ret < 0)
			break;
		ivshmem_channel_release(attachment->channel, bytes);
		received += n;
		progress_update(&progress, received);
	}
	progress_end(&progress);
	if (n == -EPIPE)
		return EXIT_SUCCESS;
	if (n < 0)
		explain_recv(attachment, n, "bytes", received);
	else if (ret != -ECANCELED)
		complain("standard output", "%s, after %llu bytes", strerror(-ret),
			 (unsigned long long)received);
	return EXIT_FAILURE;
}

static int receive(void *context)
{
	const struct request *request = context;

	return request->whole ? receive_stream(&request->attachment) :
				receive_lines(request);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		ATTACHMENT_OPTIONS,
		{ "whole", no_argument, NULL, 'w' },
		{ "count", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct request request = { .attachment = { .verb = "recv", .timeout_ms = -1 } };
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, ATTACHMENT_SHORT "wc:h", options,
					NULL)) != -1) {
		switch (c) {
		case 'w':
			request.whole = true;
			break;
		case 'c':
			ret = parse_integer("recv", "--count", optarg, 1, INT_MAX, &request.count);
			break;
		case 'h':
			return show_help(&cmd_recv);
		default:
			ret = parse_attachment(&request.attachment, c, optarg);
		}
	}
	if (!ret && request.whole && request.count) {
		complain("recv", "--count is for messages: leave it away with --whole");
		ret = -EINVAL;
	}
	if (ret || parse_names(&request.attachment, argc, argv) < 0)
		return misuse(&cmd_recv);
	return use_channel(&request.attachment, receive, &request);
}

const struct command cmd_recv = {
	.name = "recv",
	.summary = "receive from a channel, to stdout",
	.help =
		"[OPTION]... WHERE NAME\n"
		"\n"
		"Print the messages that come through a channel of a formatted region, each as a\n"
		"line. Waits for the other side, 'ivshmem send' or another program; either may come\n"
		"first. Ends when the other side has closed the channel.\n"
		"\n"
		"  -w, --whole            write the bytes as they come, without ends of lines\n"
		"  -c, --count N          end after so many messages\n"
		"  -t, --timeout SECONDS  give up where nobody comes, or nothing arrives, for so\n"
		"                         long, with exit status 1\n"
		"      --create           create the channel\n"
		"      --connect          connect to a channel that the other side creates, as is\n"
		"                         done where this is not given\n"
		"      --take-over        take the place of a program that is there\n"
		"      --resource2        of a PCI address that no module serves; as root\n"
		"  -h, --help             show this text\n",
	.run = run,
};
