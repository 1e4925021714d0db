/* SPDX-License-Identifier: MIT */
/* The topics of topic.c and topic_in_place.c: one for each way, in a region in /dev/shm. */
#ifndef PEER_TOPIC_H
#define PEER_TOPIC_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../check.h"
#include "peer.h"

#define REGION_SIZE	(8 << 20)
#define HISTORY		64

static char region_path[64];
static struct ivshmem_publisher *publisher;
static struct ivshmem_subscriber *subscriber;

static void make(size_t length)
{
	const struct ivshmem_topic_layout layout = {
		.max_length = length, .history = HISTORY, .publishers = 1, .subscribers = 1,
		.holds = 1,
	};
	struct ivshmem *shm;

	snprintf(region_path, sizeof(region_path), "/dev/shm/ivshmem-bench-topic-%d", getpid());
	check(region_path, ivshmem_create(&shm, region_path, REGION_SIZE, 0600,
					  IVSHMEM_PREALLOCATE));
	check("format", ivshmem_format(shm, "", 4, 4096, 0));
	check("make", ivshmem_make_topic(shm, "0", &layout));
	check("make", ivshmem_make_topic(shm, "1", &layout));
	ivshmem_close(shm);
}

static void open_end(int side, size_t length)
{
	struct ivshmem *shm;

	check(region_path, ivshmem_open(&shm, region_path, 0));
	check("publisher", ivshmem_publisher_open(&publisher, shm, side ? "1" : "0"));
	check("subscriber", ivshmem_subscriber_open(&subscriber, shm, side ? "0" : "1", 1));
	ivshmem_close(shm);
	/* Who answers waits for a message, which it gets even if it joins later. */
	if (!side)
		while (!ivshmem_publisher_subscribers(publisher))
			usleep(1000);
}

/* The other end may have gone before. */
static void close_end(void)
{
	ivshmem_publisher_close(publisher);
	ivshmem_subscriber_close(subscriber);
	unlink(region_path);
}

#endif /* PEER_TOPIC_H */
