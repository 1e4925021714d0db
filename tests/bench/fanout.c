// SPDX-License-Identifier: MIT
/*
 * What a publisher pays for its subscribers, and a subscriber for waiting. All are of one
 * thread, so that nothing but the publisher's own work is measured. After each few messages
 * all subscribers take them, and nobody looks at the clock then.
 *
 * Use: fanout HOW SUBSCRIBERS MESSAGES, prints "publish/HOW/SUBSCRIBERS NANOSECONDS" of a
 *	message. HOW:
 *	overwriting	a topic with a history of 64, of which half is written each time
 *	lossless	the same
 *	lockstep	lossless, with a history of 2, so that the publisher has to look at
 *			all subscribers for each message
 *      fanout idle, prints "idle/subscriber PERCENT" of a processor, and so for "idle/reader",
 *	which has the region for reading only, so that nobody can wake it
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "bench.h"
#include "check.h"

#define REGION_SIZE	(8 << 20)
#define LENGTH		64
#define MOST		1024
#define IDLE_MS		2000

static struct ivshmem_publisher *publisher;
static struct ivshmem_subscriber *subscribers[MOST];
static char message[LENGTH];

static struct ivshmem *make_region(char *path, const struct ivshmem_topic_layout *layout)
{
	struct ivshmem *shm;

	snprintf(path, 64, "/dev/shm/ivshmem-bench-fanout-%d", getpid());
	check(path, ivshmem_create(&shm, path, REGION_SIZE, 0600, IVSHMEM_PREALLOCATE));
	check("format", ivshmem_format(shm, "", 4, 4096, 0));
	check("make", ivshmem_make_topic(shm, "fanout", layout));
	return shm;
}

__attribute__((noinline))
static void publish_many(unsigned int count)
{
	const struct iovec part = { .iov_base = message, .iov_len = sizeof(message) };

	while (count--)
		check("publish", ivshmem_publish(publisher, &part, 1, 0, 0, 0));
}

static void take_all(unsigned int count, unsigned int messages)
{
	unsigned int s, i;

	for (s = 0; s < count; s++)
		for (i = 0; i < messages; i++)
			check("recv", ivshmem_subscriber_recv(subscribers[s], message,
							      sizeof(message), NULL, 0, 0));
}

static double publish(unsigned int count, unsigned int messages, unsigned int together)
{
	uint64_t cost = clock_cost(), start, took;
	double *times = calloc(messages / together, sizeof(*times));
	unsigned int i;

	if (!times)
		err(1, "calloc");
	for (i = 0; i < messages / together; i++) {
		start = now_ns();
		publish_many(together);
		took = now_ns() - start;
		times[i] = (double)(took > cost ? took - cost : 0) / together;
		take_all(count, together);
	}
	if (ivshmem_publisher_dropped(publisher))
		errx(1, "subscribers were dropped");
	return median_of(times, messages / together);
}

static void measure(const char *how, unsigned int count, unsigned int messages)
{
	bool lockstep = !strcmp(how, "lockstep");
	const struct ivshmem_topic_layout layout = {
		.max_length = LENGTH, .history = lockstep ? 2 : 64, .publishers = 1,
		.subscribers = count ?: 1,
		.flags = strcmp(how, "overwriting") ? IVSHMEM_TOPIC_LOSSLESS : 0,
	};
	char path[64];
	struct ivshmem *shm = make_region(path, &layout);
	unsigned int i;

	check("publisher", ivshmem_publisher_open(&publisher, shm, "fanout"));
	for (i = 0; i < count; i++)
		check("subscriber", ivshmem_subscriber_open(&subscribers[i], shm, "fanout", 0));
	printf("publish/%s/%u %.2f\n", how, count, publish(count, messages, lockstep ? 1 : 32));
	for (i = 0; i < count; i++)
		ivshmem_subscriber_close(subscribers[i]);
	ivshmem_publisher_close(publisher);
	ivshmem_close(shm);
	unlink(path);
}

static double cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void wait_idly(const char *name, const char *path, unsigned int flags)
{
	struct ivshmem_subscriber *subscriber;
	struct ivshmem *shm;
	double begin;
	ssize_t got;

	check(path, ivshmem_open(&shm, path, flags));
	check("subscriber", ivshmem_subscriber_open(&subscriber, shm, "fanout", 0));
	begin = cpu_ms();
	got = ivshmem_subscriber_recv(subscriber, message, sizeof(message), NULL, 0, IDLE_MS);
	if (got != -ETIMEDOUT)
		check("a message came from nobody", got < 0 ? got : -EPROTO);
	printf("idle/%s %.3f\n", name, (cpu_ms() - begin) * 100 / IDLE_MS);
	ivshmem_subscriber_close(subscriber);
	ivshmem_close(shm);
}

static void wait_both(void)
{
	const struct ivshmem_topic_layout layout = {
		.max_length = LENGTH, .history = 64, .publishers = 1, .subscribers = 1,
	};
	char path[64];

	ivshmem_close(make_region(path, &layout));
	wait_idly("subscriber", path, 0);
	wait_idly("reader", path, IVSHMEM_RDONLY);
	unlink(path);
}

int main(int argc, char **argv)
{
	unsigned long count;

	if (argc == 2 && !strcmp(argv[1], "idle")) {
		wait_both();
		return 0;
	}
	if (argc != 4)
		errx(2, "use: fanout overwriting|lossless|lockstep SUBSCRIBERS MESSAGES, or idle");
	count = strtoul(argv[2], NULL, 10);
	if (count > MOST)
		errx(2, "at most %d subscribers", MOST);
	measure(argv[1], (unsigned int)count, (unsigned int)strtoul(argv[3], NULL, 10));
	return 0;
}
