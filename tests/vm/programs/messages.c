// SPDX-License-Identifier: MIT
/*
 * One end of a channel.
 *
 * Use: messages WHERE NAME create|connect echo     sends back what comes, until the
 *                                                  other end closes; goes on with the
 *                                                  next one where it was replaced
 *      messages WHERE NAME create|connect ROUNDS   sends, and compares what comes back
 *
 * An end that asks prints how it is woken. Each takes over what a program that has died
 * under another kernel has left, unless TAKE_OVER=no is in the environment; and prints that
 * the VM of the other end has left the server, and waits for it.
 */
#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ivshmem.h"

#define TIMEOUT_MS	600000	/* who starts it sets the limit */
#define LONGEST		20000
#define SLEEP_EACH	50	/* rounds: then the other end has fallen asleep */

static char out[LONGEST], in[LONGEST];

static void check(long result, const char *what)
{
	if (result < 0)
		errx(1, "%s: %s", what, ivshmem_strerror((int)result));
}

static unsigned int flags(void)
{
	const char *value = getenv("TAKE_OVER");

	return value && !strcmp(value, "no") ? 0 : IVSHMEM_CHANNEL_TAKE_OVER;
}

static struct ivshmem_channel *attach(struct ivshmem *shm, const char *name, const char *side)
{
	struct ivshmem_channel *channel;

	check(!strcmp(side, "create") ?
		      ivshmem_channel_create(&channel, shm, name, flags(), TIMEOUT_MS) :
		      ivshmem_channel_connect(&channel, shm, name, flags(), TIMEOUT_MS),
	      side);
	return channel;
}

/* Did a call fail because the VM of the other end has left? Then it is repeated. */
static bool has_left(long result)
{
	if (result != -EHOSTDOWN)
		return false;
	printf("left\n");
	fflush(stdout);
	return true;
}

static int send_message(struct ivshmem_channel *channel, const void *message, size_t length)
{
	int err;

	do {
		err = ivshmem_channel_send(channel, message, length, TIMEOUT_MS);
	} while (has_left(err));
	return err;
}

static ssize_t recv_message(struct ivshmem_channel *channel)
{
	ssize_t length;

	do {
		length = ivshmem_channel_recv(channel, in, sizeof(in), TIMEOUT_MS);
	} while (has_left(length));
	return length;
}

static void echo(struct ivshmem_channel *channel)
{
	ssize_t length;
	int result;

	for (;;) {
		length = recv_message(channel);
		if (length == -EPIPE)
			return;
		result = length < 0 ? (int)length : send_message(channel, in, (size_t)length);
		if (result == -ECONNRESET) {
			result = ivshmem_channel_reconnect(channel, TIMEOUT_MS);
			printf("reconnected\n");
			fflush(stdout);
		}
		check(result, "echo");
	}
}

/* Lengths of all kinds, and what is sent differs in each round. */
static size_t make_message(unsigned int round)
{
	size_t i, length = round % 3 ? (size_t)rand() % 100 : (size_t)rand() % LONGEST;

	for (i = 0; i < length; i++)
		out[i] = (char)(round * 7 + i * 13);
	return length;
}

static void ask(struct ivshmem_channel *channel, unsigned int rounds)
{
	unsigned int round;
	ssize_t length;
	size_t sent;

	for (round = 1; round <= rounds; round++) {
		if (round % SLEEP_EACH == 0)
			usleep(20000);
		sent = make_message(round);
		check(send_message(channel, out, sent), "send");
		length = recv_message(channel);
		check(length, "recv");
		if ((size_t)length != sent || memcmp(in, out, sent))
			errx(1, "round %u: %zu bytes were sent, %zd others came back", round,
			     sent, length);
	}
	printf("%u %s\n", rounds, ivshmem_channel_wakeup(channel));
}

int main(int argc, char **argv)
{
	struct ivshmem_channel *channel;
	struct ivshmem *shm;

	if (argc != 5)
		errx(2, "use: messages WHERE NAME create|connect echo|ROUNDS");
	check(ivshmem_open(&shm, argv[1], 0), argv[1]);
	channel = attach(shm, argv[2], argv[3]);
	if (strcmp(argv[4], "echo"))
		ask(channel, (unsigned int)strtoul(argv[4], NULL, 10));
	else
		echo(channel);
	ivshmem_channel_close(channel);
	ivshmem_close(shm);
	return 0;
}
