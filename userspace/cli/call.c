// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define ANSWER_ROOM	(64 << 10)

struct request {
	struct attachment attachment;
	const char *question;	/* NULL: stdin has them */
	bool whole;
	char *answer;		/* room for the longest */
	size_t room;
};

static int ask(const struct request *request, const char *question, size_t length)
{
	const struct attachment *attachment = &request->attachment;
	ssize_t n;

	n = ivshmem_call(attachment->channel, question, length, request->answer, request->room,
			 attachment->timeout_ms);
	if (n < 0) {
		flush_stdout();
		explain_channel(attachment, IVSHMEM_TASK_CALL, (int)n, "");
		return EXIT_FAILURE;
	}
	fwrite(request->answer, 1, (size_t)n, stdout);
	if (!request->whole)
		putchar('\n');
	return ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int ask_lines(const struct request *request, size_t max)
{
	struct lines lines = { .fd = STDIN_FILENO, .max = max };
	int input, status = EXIT_SUCCESS;
	const char *line;
	size_t length;

	while ((input = lines_next(&lines, &line, &length)) > 0 && status == EXIT_SUCCESS) {
		status = ask(request, line, length);
		flush_stdout();
	}
	lines_free(&lines);
	if (input == -EMSGSIZE)
		complain(request->attachment.where, "service '%s' takes questions of up to %zu bytes, and a line is longer: make it with larger rings (see ivshmem make --help)",
			 request->attachment.name, max);
	else if (input < 0)
		explain_input(input);
	return input < 0 ? EXIT_FAILURE : status;
}

static int ask_whole(const struct request *request, size_t max)
{
	char *question = malloc(max + 1);
	ssize_t length;
	int status;

	if (!question) {
		complain("call", "not enough memory");
		return EXIT_FAILURE;
	}
	length = read_full(STDIN_FILENO, question, max + 1);
	if (length < 0)
		explain_input((int)length);
	status = length < 0 ? EXIT_FAILURE : ask(request, question, (size_t)length);
	free(question);
	return status;
}

static int ask_all(void *context)
{
	struct request *request = context;
	size_t longest = ivshmem_channel_max_length(request->attachment.channel);
	size_t max = longest - IVSHMEM_CALL_HEADER;
	int status;

	/* The other way may have a larger ring; longer answers are told of. */
	request->room = longest > ANSWER_ROOM ? longest : ANSWER_ROOM;
	request->answer = malloc(request->room);
	if (!request->answer) {
		complain("call", "not enough memory");
		return EXIT_FAILURE;
	}
	if (request->question)
		status = ask(request, request->question, strlen(request->question));
	else
		status = request->whole ? ask_whole(request, max) : ask_lines(request, max);
	free(request->answer);
	return status;
}

static int parse_question(struct request *request, int argc, char **argv)
{
	int count = argc - optind;

	if (count == 3) {
		request->question = argv[optind + 2];
	} else if (count != 2 || !*argv[optind]) {
		complain("call", "give WHERE and NAME: a region, and one of its services; and maybe a QUESTION");
		return -EINVAL;
	}
	request->attachment.where = argv[optind];
	request->attachment.name = argv[optind + 1];
	return 0;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		REGION_OPTIONS,
		{ "whole", no_argument, NULL, 'w' },
		{ "timeout", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct request request = {
		.attachment = { .verb = "call", .is_client = true, .timeout_ms = -1 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "wt:h", options, NULL)) != -1) {
		switch (c) {
		case 'w':
			request.whole = true;
			break;
		case 'h':
			return show_help(&cmd_call);
		default:
			if (parse_attachment(&request.attachment, c, optarg) < 0)
				return misuse(&cmd_call);
		}
	}
	if (parse_question(&request, argc, argv) < 0)
		return misuse(&cmd_call);
	return use_channel(&request.attachment, ask_all, &request);
}

const struct command cmd_call = {
	.name = "call",
	.summary = "ask a service, and print the answer",
	.help =
		"[OPTION]... WHERE NAME [QUESTION]\n"
		"\n"
		"Ask a service of a formatted region, 'ivshmem answer' or another program, and print\n"
		"what it answers. Without QUESTION each line of stdin is one, and each answer is\n"
		"printed as a line. Waits for the server; either may come first.\n"
		"\n"
		"  -w, --whole            all of stdin is one question, and the answer is printed as it\n"
		"                         is, without an end of line\n"
		"  -t, --timeout SECONDS  give up where no server comes, or no answer, for so long,\n"
		"                         with exit status 1\n"
		"      --resource2        of a PCI address that no module serves; as root\n"
		"  -h, --help             show this text\n",
	.run = run,
};
