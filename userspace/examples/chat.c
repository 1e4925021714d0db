// SPDX-License-Identifier: MIT
/*
 * Lines of stdin go to the other side, and what comes from there is printed: an event
 * loop for a channel, with a doorbell or without. Use: chat WHERE create|connect
 */
#include <ctype.h>
#include <errno.h>
#include <ivshmem.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The other side may send anything: no control characters for the terminal. */
static void print(const char *message, ssize_t length)
{
	for (; length > 0; message++, length--)
		putchar(isprint((unsigned char)*message) || *message == '\n' ? *message : '?');
	fflush(stdout);
}

/* All messages that are there. -EAGAIN: there are no more. */
static ssize_t print_messages(struct ivshmem_channel *channel)
{
	const void *message;
	ssize_t length;

	while ((length = ivshmem_channel_peek(channel, &message, 0)) >= 0) {
		print(message, length);
		ivshmem_channel_release(channel, message);
	}
	return length;
}

/* Until stdin ends, or the channel fails. */
static ssize_t chat(struct ivshmem_channel *channel)
{
	int fd = ivshmem_channel_fd(channel);
	struct pollfd polls[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	char line[1024];
	ssize_t ret;

	if (fd < 0)
		return fd;
	while ((ret = print_messages(channel)) == -EAGAIN) {
		if (ivshmem_channel_arm(channel, IVSHMEM_CAN_RECV, 0))
			continue;
		poll(polls, 2, -1);
		if (!polls[0].revents)
			continue;
		ret = read(STDIN_FILENO, line, sizeof(line));
		if (ret > 0)
			ret = ivshmem_channel_send(channel, line, ret, -1);
		else
			return ret < 0 ? -errno : 0;
		if (ret < 0)
			return ret;
	}
	return ret == -EPIPE ? 0 : ret;
}

int main(int argc, char **argv)
{
	struct ivshmem_channel *channel = NULL;
	struct ivshmem *shm = NULL;
	ssize_t ret = argc == 3 ? ivshmem_open(&shm, argv[1], 0) : -EINVAL;

	if (!ret && !strcmp(argv[2], "create"))
		ret = ivshmem_channel_create(&channel, shm, "chat", 0, -1);
	else if (!ret)
		ret = ivshmem_channel_connect(&channel, shm, "chat", 0, -1);
	if (!ret)
		ret = chat(channel);
	if (ret < 0)
		fprintf(stderr, "chat: %s\n", ivshmem_strerror(ret));
	ivshmem_channel_close(channel);
	ivshmem_close(shm);
	return ret < 0 ? 1 : 0;
}
