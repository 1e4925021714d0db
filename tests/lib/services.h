/* SPDX-License-Identifier: MIT */
/* A service, its server and its clients. */
#ifndef SERVICES_H
#define SERVICES_H

#include "channels.h"

#include <ivshmem/service.h>

#define SERVICE		"clock"

struct connecting {
	struct ivshmem *shm;
	struct ivshmem_channel *channel;
	int err;
};

static inline void *connect_in_thread(void *data)
{
	struct connecting *connecting = data;

	__atomic_store_n(&connecting->err, ivshmem_connect(&connecting->channel, connecting->shm,
							   SERVICE, PATIENCE_MS),
			 __ATOMIC_RELEASE);
	return NULL;
}

/* One more client of the pair's left handle, accepted by a listener in this thread. */
static inline void connect_one(struct ivshmem *shm, struct ivshmem_listener *listener,
			       struct ivshmem_channel **client, struct ivshmem_channel **server)
{
	struct connecting connecting = { shm, NULL, 0 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, connect_in_thread, &connecting), 0);
	assert_int_equal(ivshmem_accept(server, listener, PATIENCE_MS), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(connecting.err, 0);
	*client = connecting.channel;
}

/* What the directory has: objects of that kind. */
static inline unsigned int count_objects(struct ivshmem *shm, unsigned int kind)
{
	struct ivshmem_layout *layout;
	unsigned int i, count = 0;

	assert_int_equal(ivshmem_layout_read(&layout, shm), 0);
	for (i = 0; i < ivshmem_layout_objects(layout); i++)
		count += ivshmem_layout_kind(layout, i) == kind;
	ivshmem_layout_free(layout);
	return count;
}

static inline void say(struct ivshmem_channel *from, struct ivshmem_channel *to, const char *text)
{
	char buffer[64];

	assert_int_equal(ivshmem_channel_send(from, text, strlen(text) + 1, PATIENCE_MS), 0);
	assert_int_equal(ivshmem_channel_recv(to, buffer, sizeof(buffer), PATIENCE_MS),
			 strlen(text) + 1);
	assert_string_equal(buffer, text);
}

/* A region with room for so many objects with rings of a page each. */
static inline void open_region_of(unsigned int objects)
{
	uint64_t size = (64 + objects * 8ull) * KIB + 1024 * objects + MIB;

	make_file("region", (off_t)(size / 4096 * 4096));
	pair.left = open_region(in_shm("region"), 0);
	assert_int_equal(ivshmem_format(pair.left, "", objects, 4096, 0), 0);
	pair.right = open_region(in_shm("region"), 0);
}

static inline void close_regions(void)
{
	ivshmem_close(pair.left);
	ivshmem_close(pair.right);
}

#endif /* SERVICES_H */
