// SPDX-License-Identifier: MIT
/*
 * Sends and receives messages in one thread that has both ends of a channel, or publishes and
 * receives them in one that has a publisher and a subscriber of a topic, so that nobody waits:
 * for tests/bench/instructions, which counts what one of the functions here costs.
 * Use: count one-way|in-turn|in-place|topic|lossless LENGTH MESSAGES
 */
#include <err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ivshmem.h>

#define REGION_SIZE	(1 << 20)
#define NAME		"count"

static struct ivshmem *open_region(const char *path)
{
	struct ivshmem *shm = NULL;
	int ret = ivshmem_open(&shm, path, 0);

	if (ret)
		errx(1, "%s: %s", path, ivshmem_strerror(ret));
	return shm;
}

static void *create(void *path)
{
	struct ivshmem_channel *channel = NULL;
	int ret = ivshmem_channel_create(&channel, open_region(path), NAME, 0, -1);

	if (ret)
		errx(1, "no channel: %s", ivshmem_strerror(ret));
	return channel;
}

static struct ivshmem_channel *connect_to(const char *path)
{
	struct ivshmem_channel *channel = NULL;
	int ret = ivshmem_channel_connect(&channel, open_region(path), NAME, 0, -1);

	if (ret)
		errx(1, "no connection: %s", ivshmem_strerror(ret));
	return channel;
}

static void pass(struct ivshmem_channel *from, struct ivshmem_channel *to, char *message,
		 size_t length)
{
	if (ivshmem_channel_send(from, message, length, 0) ||
	    ivshmem_channel_recv(to, message, length, 0) != (ssize_t)length)
		errx(1, "the message did not arrive");
}

__attribute__((noinline))
static void send_and_receive(struct ivshmem_channel *a, struct ivshmem_channel *b, char *message,
			     size_t length, unsigned long messages)
{
	while (messages--)
		pass(a, b, message, length);
}

__attribute__((noinline))
static void send_and_receive_in_turn(struct ivshmem_channel *a, struct ivshmem_channel *b,
				     char *message, size_t length, unsigned long messages)
{
	for (; messages; messages -= 2) {
		pass(a, b, message, length);
		pass(b, a, message, length);
	}
}

__attribute__((noinline))
static void send_and_look(struct ivshmem_channel *a, struct ivshmem_channel *b, char *message,
			  size_t length, unsigned long messages)
{
	const void *place;

	while (messages--)
		if (ivshmem_channel_send(a, message, length, 0) ||
		    ivshmem_channel_peek(b, &place, 0) != (ssize_t)length ||
		    ivshmem_channel_release(b, place))
			errx(1, "the message did not arrive");
}

__attribute__((noinline))
static void publish_and_receive(struct ivshmem_publisher *publisher,
				struct ivshmem_subscriber *subscriber, char *message,
				size_t length, unsigned long messages)
{
	const struct iovec part = { message, length };

	while (messages--)
		if (ivshmem_publish(publisher, &part, 1, 0, 0, 0) ||
		    ivshmem_subscriber_recv(subscriber, message, length, NULL, 0, 0) !=
		    (ssize_t)length)
			errx(1, "the message did not arrive");
}

static void use_channel(char *path, const char *how, char *message, size_t length,
			unsigned long messages)
{
	struct ivshmem_channel *a, *b;
	pthread_t thread;
	void *created;

	if (ivshmem_format(open_region(path), "", 1, 448 << 10, 0))
		errx(1, "format");
	if (pthread_create(&thread, NULL, create, path))
		errx(1, "pthread_create");
	b = connect_to(path);
	pthread_join(thread, &created);
	a = created;
	if (!strcmp(how, "in-turn"))
		send_and_receive_in_turn(a, b, message, length, messages);
	else if (!strcmp(how, "in-place"))
		send_and_look(a, b, message, length, messages);
	else
		send_and_receive(a, b, message, length, messages);
	ivshmem_channel_close(a);
	ivshmem_channel_close(b);
}

static void use_topic(const char *path, unsigned int flags, char *message, size_t length,
		      unsigned long messages)
{
	const struct ivshmem_topic_layout layout = { length, 64, 1, 4, 0, flags };
	struct ivshmem_subscriber *subscriber;
	struct ivshmem_publisher *publisher;
	struct ivshmem *shm = open_region(path);

	if (ivshmem_format(shm, "", 1, 4096, 0) || ivshmem_make_topic(shm, NAME, &layout) ||
	    ivshmem_publisher_open(&publisher, shm, NAME) ||
	    ivshmem_subscriber_open(&subscriber, shm, NAME, 0))
		errx(1, "no topic");
	publish_and_receive(publisher, subscriber, message, length, messages);
	ivshmem_subscriber_close(subscriber);
	ivshmem_publisher_close(publisher);
	ivshmem_close(shm);
}

int main(int argc, char **argv)
{
	char path[] = "/dev/shm/ivshmem-count-XXXXXX";
	unsigned long messages;
	size_t length;
	char *message;
	int fd;

	if (argc != 4)
		errx(2, "use: count one-way|in-turn|in-place|topic|lossless LENGTH MESSAGES");
	length = strtoul(argv[2], NULL, 10);
	messages = strtoul(argv[3], NULL, 10);
	message = calloc(1, length + 1);
	fd = mkstemp(path);
	if (!message || fd < 0 || ftruncate(fd, REGION_SIZE) < 0)
		err(1, "%s", path);
	if (!strcmp(argv[1], "topic"))
		use_topic(path, 0, message, length, messages);
	else if (!strcmp(argv[1], "lossless"))
		use_topic(path, IVSHMEM_TOPIC_LOSSLESS, message, length, messages);
	else
		use_channel(path, argv[1], message, length, messages);
	unlink(path);
	return 0;
}
