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
	unsigned int count;	/* 0: all */
	unsigned int history;
	unsigned int flags;
	unsigned int open_flags;
	bool raw;
	bool whole;
	int timeout_ms;
	struct ivshmem_subscriber *subscriber;
};

static void explain_subscribe(const struct request *request, int error)
{
	if (error == -ETIMEDOUT || error == -EAGAIN)
		complain(request->where, "topic '%s': nothing came in time", request->name);
	else if (error != -ECANCELED)
		complain(request->where, "topic '%s': %s", request->name,
			 ivshmem_explain(IVSHMEM_TASK_TOPIC, error));
}

/* What was printed is seen before this side waits for more; -EIO where it can't be. */
static ssize_t next_message(const struct request *request, char *buffer, size_t size)
{
	ssize_t n = stopped() ? -ECANCELED :
		    ivshmem_subscriber_recv(request->subscriber, buffer, size, NULL,
					    request->flags, 0);

	if (n != -EAGAIN)
		return n;
	flush_stdout();
	if (ferror(stdout))
		return -EIO;
	do {
		n = ivshmem_subscriber_recv(request->subscriber, buffer, size, NULL,
					    request->flags, request->timeout_ms);
	} while (n == -EINTR);
	return n;
}

static void print(const struct request *request, const char *message, size_t length)
{
	fwrite(message, 1, length, stdout);
	if (!request->raw)
		putchar('\n');
}

static int print_messages(const struct request *request, char *buffer, size_t size)
{
	unsigned int count = 0;
	uint64_t skipped;
	ssize_t n = 0;

	while (!request->count || count < request->count) {
		n = next_message(request, buffer, size);
		if (n == -EPIPE) {
			explain_subscribe(request, (int)n);
			continue;
		}
		if (n < 0)
			break;
		print(request, buffer, (size_t)n);
		if (ferror(stdout))
			break;
		count++;
	}
	flush_stdout();
	skipped = ivshmem_subscriber_skipped(request->subscriber);
	if (skipped && !(request->flags & IVSHMEM_LATEST))
		complain(request->where, "topic '%s': %llu messages were skipped", request->name,
			 (unsigned long long)skipped);
	if (n < 0 && n != -EIO)
		explain_subscribe(request, (int)n);
	return n < 0 || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int subscribe(struct request *request)
{
	struct ivshmem *shm;
	char *buffer = NULL;
	int ret, status;
	size_t size;

	if (open_region(&shm, request->where, request->open_flags) < 0)
		return EXIT_FAILURE;
	ret = ivshmem_subscriber_open(&request->subscriber, shm, request->name, request->history);
	if (!ret) {
		size = ivshmem_subscriber_max_length(request->subscriber);
		buffer = malloc(size);
		ret = buffer ? 0 : -ENOMEM;
	}
	if (ret) {
		explain_subscribe(request, ret);
		ivshmem_subscriber_close(request->subscriber);
		ivshmem_close(shm);
		return EXIT_FAILURE;
	}
	catch_signals(shm);
	status = print_messages(request, buffer, size);
	ivshmem_subscriber_close(request->subscriber);
	release_signals();
	ivshmem_close(shm);
	free(buffer);
	return status;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'c' },
		{ "history", required_argument, NULL, 'H' },
		{ "latest", no_argument, NULL, 'l' },
		{ "raw", no_argument, NULL, 'r' },
		{ "whole", no_argument, NULL, 'w' },
		{ "read-only", no_argument, NULL, 'R' },
		{ "timeout", required_argument, NULL, 't' },
		REGION_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct request request = { .timeout_ms = -1 };
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "c:wt:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			ret = parse_integer("subscribe", "--count", optarg, 1, INT_MAX,
					    &request.count);
			break;
		case 'H':
			ret = parse_integer("subscribe", "--history", optarg, 0, INT_MAX,
					    &request.history);
			break;
		case 'l':
			request.flags |= IVSHMEM_LATEST;
			break;
		case 'r':
			request.raw = true;
			break;
		case 'w':
			request.whole = true;
			break;
		case 'R':
			request.open_flags |= IVSHMEM_RDONLY;
			break;
		case 't':
			ret = parse_timeout("subscribe", optarg, &request.timeout_ms);
			break;
		case RESOURCE2:
			request.open_flags |= IVSHMEM_RESOURCE2;
			break;
		case 'h':
			return show_help(&cmd_subscribe);
		default:
			ret = -EINVAL;
		}
	}
	if (!ret && request.whole && request.count) {
		complain("subscribe", "--whole takes one message: leave --count away");
		ret = -EINVAL;
	}
	if (!ret && argc - optind != 2) {
		complain("subscribe", "give WHERE and NAME: a region, and one of its topics");
		ret = -EINVAL;
	}
	if (ret)
		return misuse(&cmd_subscribe);
	if (request.whole) {
		request.raw = true;
		request.count = 1;
	}
	request.where = argv[optind];
	request.name = argv[optind + 1];
	return subscribe(&request);
}

const struct command cmd_subscribe = {
	.name = "subscribe",
	.summary = "receive from a topic, to stdout",
	.help =
		"[OPTION]... WHERE NAME\n"
		"\n"
		"Print the messages of a topic, each as a line, until a signal comes. At the end\n"
		"stderr says how many were skipped, since this program was too slow.\n"
		"\n"
		"  -c, --count N          end after so many messages\n"
		"      --history N        begin with the last N messages that are there\n"
		"      --latest           skip to the newest message each time\n"
		"      --raw              write the bytes as they come, without ends of lines\n"
		"  -w, --whole            write the bytes of one message, and end\n"
		"      --read-only        open the region for reading only; not for a lossless topic\n"
		"  -t, --timeout SECONDS  give up where nothing comes for so long, with exit status 1\n"
		"      --resource2        of a PCI address that no module serves; as root\n"
		"  -h, --help             show this text\n",
	.run = run,
};
