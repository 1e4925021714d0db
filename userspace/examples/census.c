// SPDX-License-Identifier: MIT
/*
 * A server of one thread with any number of clients: it tells each how many questions that one
 * has asked, and how many clients there are. Try: ivshmem call WHERE census hello
 */
#include <errno.h>
#include <ivshmem.h>
#include <stdio.h>
#include <stdlib.h>

struct client {
	struct ivshmem_channel *channel;
	unsigned int asked;
};

static struct ivshmem_listener *listener;
static struct ivshmem_waitset *set;
static unsigned int clients;

static int accept_all(void)
{
	struct ivshmem_channel *channel;
	int err;

	while (!(err = ivshmem_accept(&channel, listener, 0))) {
		struct client *client = calloc(1, sizeof(*client));

		if (!client)
			return -ENOMEM;
		client->channel = channel;
		err = ivshmem_waitset_add_channel(set, channel, IVSHMEM_CAN_RECV, 0, client);
		if (err)
			return err;
		clients++;
	}
	return err == -EAGAIN ? 0 : err;
}

/* A client that has gone, or does not take its answer, is closed: the set forgets it then. */
static void serve(struct client *client)
{
	char text[64];
	uint32_t number;
	ssize_t ret = ivshmem_call_recv(client->channel, &number, text, sizeof(text), 0);

	if (ret >= 0) {
		ret = snprintf(text, sizeof(text), "question %u of one of %u clients",
			       ++client->asked, clients);
		ret = ivshmem_call_answer(client->channel, number, text, (size_t)ret, 0);
	}
	if (ret < 0 && ret != -EAGAIN) {
		ivshmem_channel_close(client->channel);
		free(client);
		clients--;
	}
}

int main(int argc, char **argv)
{
	struct ivshmem_ready ready[16];
	struct ivshmem *shm = NULL;
	int i, ret = argc == 2 ? ivshmem_open(&shm, argv[1], 0) : -EINVAL;

	if (!ret)
		ret = ivshmem_listen(&listener, shm, "census", 0);
	if (!ret)
		ret = ivshmem_waitset_open(&set, shm);
	if (!ret)
		ret = ivshmem_waitset_add_listener(set, listener, NULL);
	while (ret >= 0) {
		ret = ivshmem_waitset_wait(set, ready, 16, -1);
		for (i = 0; i < ret; i++)
			if (ready[i].data)
				serve(ready[i].data);
			else if (accept_all())
				return 1;
	}
	fprintf(stderr, "census: %s\n", ivshmem_strerror(ret));
	return 1;
}
