// SPDX-License-Identifier: MIT
/* What all verbs that use a channel share. */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>

#include "cli.h"

/* One of ATTACHMENT_OPTIONS; -EINVAL, after a message but for unknown ones. */
int parse_attachment(struct attachment *attachment, int option, const char *value)
{
	int64_t timeout_ms;

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
		if (parse_seconds(attachment->verb, "--timeout", value, &timeout_ms) < 0)
			return -EINVAL;
		attachment->timeout_ms = timeout_ms < INT_MAX ? timeout_ms : INT_MAX;
		return 0;
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

/* What a failed call means for the channel; a constant. */
const char *channel_text(int error)
{
	switch (error) {
	case -EPIPE:
		return "the other side has closed it";
	case -ECONNRESET:
	case -ENOTCONN:
		return "the other side was lost, or this end taken over";
	case -EPROTO:
		return "the other side wrote what it can't mean";
	case -ETIMEDOUT:
		return "nothing moved in time";
	default:
		return ivshmem_strerror(error);
	}
}

static void explain(const struct attachment *attachment, int error)
{
	const char *where = attachment->where, *name = attachment->name;

	switch (error) {
	case -ECANCELED:
		break;
	case -ETIMEDOUT:
		complain(where, "nobody %s the channel '%s' in time: 'ivshmem info' shows who is there",
			 attachment->create ? "connected to" : "created", name);
		break;
	case -EBUSY:
		complain(where, "another program %s the channel '%s': 'ivshmem info' shows which; --take-over takes its place",
			 attachment->create ? "has created" : "is connected to", name);
		break;
	case -ENOSPC:
		complain(where, "all channels of the region are in use ('ivshmem info' shows them; once nobody uses it, 'ivshmem format --force --channels N' makes room for more), or the filesystem that holds it is full (see df)");
		break;
	case -EINVAL:
		complain(where, "'%s' is no name for a channel: up to %d letters, digits and '-_.+', no dot in front",
			 name, IVSHMEM_CHANNEL_NAME_SIZE - 1);
		break;
	case -ENOTSUP:
		complain(where, "the rings of the channels are no multiple of this machine's page size: format the region with fewer channels");
		break;
	default:
		if (!explain_layout(where, error))
			complain(where, "channel '%s': %s", name, channel_text(error));
	}
}

static int open_channel(struct attachment *attachment)
{
	int (*open_end)(struct ivshmem_channel **channel, struct ivshmem *shm, const char *name,
			unsigned int flags, int timeout_ms);

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
	explain(attachment, ret);
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
