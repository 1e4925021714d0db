// SPDX-License-Identifier: MIT
/*
 * Questions that have answers. In front of each are eight bytes: the number of the question,
 * then what it is.
 */
#include <errno.h>
#include <string.h>

#include "service.h"

#define SMALL	64

enum { QUESTION = 1, ANSWER };

struct header {
	uint32_t number;
	uint32_t what;
};

static_assert(sizeof(struct header) == IVSHMEM_CALL_HEADER, "format");

static void write_with(void *to, const struct header *header, const void *text, size_t length)
{
	memcpy(to, header, sizeof(*header));
	if (length)
		memcpy((char *)to + sizeof(*header), text, length);
}

/* Short ones by copying: channels have a quicker way for these. */
static int send_with(struct ivshmem_channel *channel, uint32_t number, uint32_t what,
		     const void *text, size_t length, int timeout_ms)
{
	const struct header header = { number, what };
	char small[SMALL];
	void *buffer = small;
	int err;

	if (length > SIZE_MAX - sizeof(header))
		return -EMSGSIZE;
	if (sizeof(header) + length <= sizeof(small)) {
		write_with(buffer, &header, text, length);
		return ivshmem_channel_send(channel, buffer, sizeof(header) + length, timeout_ms);
	}
	err = ivshmem_channel_reserve(channel, &buffer, sizeof(header) + length, timeout_ms);
	if (err)
		return err;
	write_with(buffer, &header, text, length);
	return ivshmem_channel_commit(channel, sizeof(header) + length, 0);
}

/*
 * The next message in place, to be released: its length without the header. -EBADMSG: it is
 * something else, and was dropped.
 */
static ssize_t peek_with(struct ivshmem_channel *channel, struct header *header, uint32_t what,
			 const void **message, int timeout_ms)
{
	ssize_t length = ivshmem_channel_peek(channel, message, timeout_ms);

	if (length < 0)
		return length;
	if ((size_t)length >= sizeof(*header)) {
		memcpy(header, *message, sizeof(*header));
		if (header->what == what)
			return length - (ssize_t)sizeof(*header);
	}
	ivshmem_channel_release(channel, *message);
	return -EBADMSG;
}

static int copy_out(void *to, size_t room, const void *message, ssize_t length)
{
	if ((size_t)length > room)
		return -EMSGSIZE;
	if (length)
		memcpy(to, (const char *)message + sizeof(struct header), (size_t)length);
	return 0;
}

/* The other end of a new session knows of no questions of the one before. */
static struct ivshmem_calls *calls_of(struct ivshmem_channel *channel)
{
	uint64_t session = (uint64_t)channel->epoch << 32 | channel->other_epoch;

	if (channel->calls.session != session)
		channel->calls = (struct ivshmem_calls) { .session = session };
	return &channel->calls;
}

/*
 * Answers to questions that were given up are dropped, and no more of them than there were
 * questions: so it is not for the other end to say how long this takes.
 */
static ssize_t take_answer(struct ivshmem_channel *channel, struct ivshmem_calls *calls,
			   void *answer, size_t room, int timeout_ms, int64_t deadline)
{
	struct header header = { 0, 0 };
	const void *message;
	ssize_t length;
	int err;

	for (;;) {
		length = peek_with(channel, &header, ANSWER, &message,
				   ivshmem_left_of(timeout_ms, deadline));
		if (length < 0)
			return length == -EAGAIN && timeout_ms ? -ETIMEDOUT : length;
		if (header.number == calls->last)
			break;
		ivshmem_channel_release(channel, message);
		if (!calls->unanswered)
			return -EBADMSG;
		calls->unanswered--;
	}
	err = copy_out(answer, room, message, length);
	ivshmem_channel_release(channel, message);
	return err ? err : length;
}

ssize_t ivshmem_call(struct ivshmem_channel *channel, const void *question, size_t length,
		     void *answer, size_t room, int timeout_ms)
{
	int64_t deadline = ivshmem_deadline(timeout_ms);
	struct ivshmem_calls *calls;
	ssize_t got;
	int err;

	if (!channel || (!question && length) || (!answer && room))
		return -EINVAL;
	calls = calls_of(channel);
	err = send_with(channel, calls->last + 1, QUESTION, question, length, timeout_ms);
	if (err)
		return err;
	calls->last++;
	got = take_answer(channel, calls, answer, room, timeout_ms, deadline);
	if (got < 0 && got != -EMSGSIZE)
		calls->unanswered++;
	return got;
}

ssize_t ivshmem_call_recv(struct ivshmem_channel *channel, uint32_t *number, void *question,
			  size_t room, int timeout_ms)
{
	struct header header = { 0, 0 };
	const void *message;
	ssize_t length;
	int err;

	if (!channel || !number || (!question && room))
		return -EINVAL;
	length = peek_with(channel, &header, QUESTION, &message, timeout_ms);
	if (length < 0)
		return length;
	*number = header.number;
	err = copy_out(question, room, message, length);
	ivshmem_channel_release(channel, message);
	return err ? err : length;
}

int ivshmem_call_answer(struct ivshmem_channel *channel, uint32_t number, const void *answer,
			size_t length, int timeout_ms)
{
	if (!channel || (!answer && length))
		return -EINVAL;
	return send_with(channel, number, ANSWER, answer, length, timeout_ms);
}
