// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

struct request {
	const char *where;
	const char *name;
	uint64_t frame;			/* 0: lines, or all */
	bool whole;
	unsigned int type;
	unsigned int flags;
	unsigned int open_flags;
	int timeout_ms;
	struct ivshmem_publisher *publisher;
};

static void explain_publish(const struct request *request, int error)
{
	if (error != -ECANCELED)
		complain(request->where, "topic '%s': %s", request->name,
			 ivshmem_explain(IVSHMEM_TASK_TOPIC, error));
}

static int publish_line(const struct request *request, const char *line, size_t length)
{
	const struct iovec part = { .iov_base = (char *)line, .iov_len = length };
	int ret;

	do {
		ret = ivshmem_publish(request->publisher, &part, 1, request->type, request->flags,
				      request->timeout_ms);
	} while (ret == -EINTR);
	return ret;
}

static int publish_lines(const struct request *request)
{
	struct lines lines = {
		.fd = STDIN_FILENO, .max = ivshmem_publisher_max_length(request->publisher),
	};
	unsigned long long count = 0;
	int ret = 0, input = 0;
	const char *line;
	size_t length;

	while (!ret && (input = lines_next(&lines, &line, &length)) > 0) {
		ret = publish_line(request, line, length);
		count++;
	}
	lines_free(&lines);
	if (ret < 0)
		explain_publish(request, ret);
	else if (input == -EMSGSIZE)
		complain(request->where, "topic '%s' takes messages of up to %zu bytes, and line %llu is longer: make a topic for longer ones (see ivshmem make --help)",
			 request->name, lines.max, count + 1);
	else if (input < 0)
		explain_input(input);
	return ret < 0 || input < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* What was reserved. */
static int commit(const struct request *request, size_t length)
{
	int ret;

	do {
		ret = ivshmem_publisher_commit(request->publisher, length, request->type,
					       request->flags, request->timeout_ms);
	} while (ret == -EINTR);
	return ret;
}

/* Read right into the topic. The last one may be shorter. */
static int publish_frames(const struct request *request)
{
	size_t max = ivshmem_publisher_max_length(request->publisher);
	ssize_t length = 0;
	void *room;
	int ret;

	if (request->frame > max) {
		complain(request->where, "topic '%s' takes messages of up to %zu bytes: use a smaller --frame, or make a topic for longer ones (see ivshmem make --help)",
			 request->name, max);
		return EXIT_FAILURE;
	}
	while (!(ret = ivshmem_publisher_reserve(request->publisher, &room)) &&
	       (length = read_full(STDIN_FILENO, room, request->frame)) > 0) {
		ret = commit(request, (size_t)length);
		if (ret)
			break;
	}
	if (ret)
		explain_publish(request, ret);
	else if (length < 0)
		explain_input((int)length);
	return ret || length < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* All of the input is one message. */
static int publish_whole(const struct request *request)
{
	size_t max = ivshmem_publisher_max_length(request->publisher);
	ssize_t length = 0, more = 0;
	char next;
	void *room;
	int ret = ivshmem_publisher_reserve(request->publisher, &room);

	if (!ret)
		length = read_full(STDIN_FILENO, room, max);
	if (length == (ssize_t)max)
		more = read_full(STDIN_FILENO, &next, 1);
	if (!ret && length >= 0 && !more)
		ret = commit(request, (size_t)length);
	if (ret)
		explain_publish(request, ret);
	else if (length < 0 || more < 0)
		explain_input((int)(length < 0 ? length : more));
	else if (more)
		complain(request->where, "topic '%s' takes messages of up to %zu bytes, and standard input has more: use --frame, or make a topic for longer ones (see ivshmem make --help)",
			 request->name, max);
	return ret || length < 0 || more ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int publish_all(const struct request *request)
{
	if (request->whole)
		return publish_whole(request);
	return request->frame ? publish_frames(request) : publish_lines(request);
}

static int publish_input(struct request *request)
{
	struct ivshmem *shm;
	int ret, status;

	if (open_region(&shm, request->where, request->open_flags) < 0)
		return EXIT_FAILURE;
	ret = ivshmem_publisher_open(&request->publisher, shm, request->name);
	if (ret) {
		explain_publish(request, ret);
		ivshmem_close(shm);
		return EXIT_FAILURE;
	}
	catch_signals(shm);
	status = publish_all(request);
	ivshmem_publisher_close(request->publisher);
	release_signals();
	ivshmem_close(shm);
	return status;
}

static int parse_frame(const char *text, uint64_t *frame)
{
	int ret = parse_size("publish", "--frame", text, frame);

	if (!ret && !*frame) {
		complain("publish", "--frame 0 is no size");
		return -EINVAL;
	}
	return ret;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "frame", required_argument, NULL, 'f' },
		{ "whole", no_argument, NULL, 'w' },
		{ "type", required_argument, NULL, 'T' },
		{ "stamp", no_argument, NULL, 's' },
		{ "timeout", required_argument, NULL, 't' },
		REGION_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct request request = { .timeout_ms = -1 };
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "wt:h", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			ret = parse_frame(optarg, &request.frame);
			break;
		case 'w':
			request.whole = true;
			break;
		case 'T':
			ret = parse_integer("publish", "--type", optarg, 0, INT_MAX, &request.type);
			break;
		case 's':
			request.flags |= IVSHMEM_STAMP;
			break;
		case 't':
			ret = parse_timeout("publish", optarg, &request.timeout_ms);
			break;
		case RESOURCE2:
			request.open_flags |= IVSHMEM_RESOURCE2;
			break;
		case 'h':
			return show_help(&cmd_publish);
		default:
			ret = -EINVAL;
		}
	}
	if (!ret && request.whole && request.frame) {
		complain("publish", "give one of --whole and --frame");
		ret = -EINVAL;
	}
	if (!ret && argc - optind != 2) {
		complain("publish", "give WHERE and NAME: a region, and one of its topics");
		ret = -EINVAL;
	}
	if (ret)
		return misuse(&cmd_publish);
	request.where = argv[optind];
	request.name = argv[optind + 1];
	return publish_input(&request);
}

const struct command cmd_publish = {
	.name = "publish",
	.summary = "publish to a topic, from stdin",
	.help =
		"[OPTION]... WHERE NAME\n"
		"\n"
		"Publish each line of standard input as a message of a topic. Ends with its input.\n"
		"'ivshmem make --topic NAME:LENGTH WHERE' makes topics.\n"
		"\n"
		"      --frame SIZE           each SIZE bytes are a message, in place of each line\n"
		"  -w, --whole                all of the input is one message\n"
		"      --type N               a number that goes with each message\n"
		"      --stamp                say with each message when it was published\n"
		"  -t, --timeout SECONDS      in a lossless topic, wait so long for the slowest\n"
		"                             subscriber, then drop it; for ever where this is not given\n"
		"      --resource2            of a PCI address that no module serves; as root\n"
		"  -h, --help                 show this text\n",
	.run = run,
};
