// SPDX-License-Identifier: MIT
/* What all verbs that use a channel share, or are clients of a service. */

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "cli.h"

/* One of ATTACHMENT_OPTIONS; -EINVAL, after a message but for unknown ones. */
int parse_attachment(struct attachment *attachment, int option, const char *value)
{
	switch (option) {
	case 'C':
	case 'K':
		attachment->create = option == 'C';
		return 0;
	case 'T':
		attachment->flags |= IVSHMEM_CHANNEL_TAKE_OVER;
		return 0;
	case RESOURCE2:
		attachment->open_flags |= IVSHMEM_RESOURCE2;
		return 0;
	case 't':
		return parse_timeout(attachment->verb, value, &attachment->timeout_ms);
	default:
		return -EINVAL;
	}
}

/* WHERE and NAME; -EINVAL after a message. */
int parse_names(struct attachment *attachment, int argc, char **argv)
{
	if (argc - optind != 2 || !*argv[optind]) {
		complain(attachment->verb, "give WHERE and NAME: a region, and one of its channels");
		return -EINVAL;
	}
	attachment->where = argv[optind];
	attachment->name = argv[optind + 1];
	return 0;
}

/* Why a call for the channel failed, and what had come of it; not where it was ended. */
void explain_channel(const struct attachment *attachment, enum ivshmem_task task, int error,
		     const char *outcome)
{
	if (error != -ECANCELED)
		complain(attachment->where, "%s '%s': %s%s",
			 attachment->is_client ? "service" : "channel", attachment->name,
			 ivshmem_explain(task, error), outcome);
}

static int open_channel(struct attachment *attachment)
{
	int (*open_end)(struct ivshmem_channel **channel, struct ivshmem *shm, const char *name,
			unsigned int flags, int timeout_ms);

	if (attachment->is_client)
		return ivshmem_connect(&attachment->channel, attachment->shm, attachment->name,
				       attachment->timeout_ms);
	open_end = attachment->create ? ivshmem_channel_create : ivshmem_channel_connect;
	return open_end(&attachment->channel, attachment->shm, attachment->name,
			attachment->flags, attachment->timeout_ms);
}

static int attach(struct attachment *attachment)
{
	int ret;

	do {
		ret = open_channel(attachment);
	} while (ret == -EINTR);
	if (!ret)
		return EXIT_SUCCESS;
	explain_channel(attachment, attachment->is_client ? IVSHMEM_TASK_CONNECT :
							    IVSHMEM_TASK_CHANNEL_OPEN, ret, "");
	return ret == -EINVAL ? EXIT_MISUSE : EXIT_FAILURE;
}

/*
 * Opens the region and the channel, waits for the other side, calls @use, and closes
 * both, whatever signal comes. Returns an exit status, after a message where it is
 * not 0: that of @use, if it came so far.
 */
int use_channel(struct attachment *attachment, int (*use)(void *request), void *request)
{
	int status;

	if (open_region(&attachment->shm, attachment->where, attachment->open_flags) < 0)
		return EXIT_FAILURE;
	catch_signals(attachment->shm);
	status = attach(attachment);
	if (status == EXIT_SUCCESS)
		status = use(request);
	ivshmem_channel_close(attachment->channel);
	release_signals();
	ivshmem_close(attachment->shm);
	return status;
}
