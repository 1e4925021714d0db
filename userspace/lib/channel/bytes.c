// SPDX-License-Identifier: MIT
/*
 * A channel as a stream of bytes, made of messages.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "system/system.h"
#include "channel.h"
#include "transfer.h"
#include "waiting.h"

/* Several parts fit, so that both sides copy at the same time. */
static size_t part_length(const struct ivshmem_channel *channel)
{
	return channel->sender.size / 8 - RECORD_HEADER;
}

ssize_t ivshmem_channel_write(struct ivshmem_channel *channel, const void *buffer,
			      size_t length, int timeout_ms)
{
	const char *from = buffer;
	size_t sent = 0, part;
	int err = 0;

	if (!channel || !buffer || length > SSIZE_MAX)
		return -EINVAL;
	while (sent < length && !err) {
		part = length - sent;
		if (part > part_length(channel))
			part = part_length(channel);
		err = ivshmem_channel_send(channel, from + sent, part, timeout_ms);
		if (!err)
			sent += part;
	}
	if (!err || !sent)
		return err ?: (ssize_t)sent;
	ivshmem_waiter_tell_later(&channel->room, err);
	return (ssize_t)sent;
}

/* The next message that is not empty. The other side does not decide for how long. */
static ssize_t next_part(struct ivshmem_channel *channel, const void **message, int timeout_ms)
{
	uint64_t most = channel->receiver.size / RECORD_ALIGN;
	int64_t deadline = ivshmem_deadline(timeout_ms);
	int left = timeout_ms;
	ssize_t found;

	do {
		found = ivshmem_channel_peek(channel, message, left);
		if (found)
			break;
		ivshmem_channel_release(channel, *message);
		left = ivshmem_left_of(timeout_ms, deadline);
	} while (left || most--);
	if (found == 0 || found == -EAGAIN)
		return timeout_ms ? -ETIMEDOUT : -EAGAIN;
	return found;
}

ssize_t ivshmem_channel_read(struct ivshmem_channel *channel, void *buffer, size_t length,
			     int timeout_ms)
{
	const void *message;
	ssize_t found;
	int err;

	if (!channel || !buffer || !length)
		return -EINVAL;
	if (!channel->reading) {
		found = next_part(channel, &message, timeout_ms);
		if (found < 0)
			return found;
		channel->reading = message;
		channel->read_at = message;
		channel->read_left = (size_t)found;
	}
	if (length > channel->read_left)
		length = channel->read_left;
	memcpy(buffer, channel->read_at, length);
	err = ivshmem_check_kept(channel);
	if (err) {
		channel->reading = NULL;
		return err;
	}
	channel->read_at += length;
	channel->read_left -= length;
	if (!channel->read_left) {
		message = channel->reading;
		channel->reading = NULL;
		ivshmem_channel_release(channel, message);
	}
	return (ssize_t)length;
}
