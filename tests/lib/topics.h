/* SPDX-License-Identifier: MIT */
/*
 * A region with a topic, its publishers and its subscribers, and messages whose bytes tell
 * their number.
 */
#ifndef TOPICS_H
#define TOPICS_H

#include "channels.h"

#include "topic/topic.h"

#define LARGE		5000

static struct world {
	struct ivshmem *shm[4];
	struct ivshmem_publisher *publishers[4];
	struct ivshmem_subscriber *subscribers[8];
} world;

static const struct ivshmem_topic_layout small = {
	.max_length = 100, .history = 8, .publishers = 2, .subscribers = 4,
};

static const struct ivshmem_topic_layout large = {
	.max_length = LARGE, .history = 8, .publishers = 2, .subscribers = 4, .holds = 3,
};

static inline int world_teardown(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(world.publishers); i++)
		ivshmem_publisher_close(world.publishers[i]);
	for (i = 0; i < ARRAY_SIZE(world.subscribers); i++)
		ivshmem_subscriber_close(world.subscribers[i]);
	for (i = 0; i < ARRAY_SIZE(world.shm); i++)
		ivshmem_close(world.shm[i]);
	memset(&world, 0, sizeof(world));
	return fixture_teardown(state);
}

static inline void make(const struct ivshmem_topic_layout *layout)
{
	world.shm[0] = open_region(make_file("region", 4 * MIB), 0);
	world.shm[1] = open_region(in_shm("region"), 0);
	assert_int_equal(ivshmem_format(world.shm[0], "", 4, 0, 0), 0);
	assert_int_equal(ivshmem_make_topic(world.shm[0], "t", layout), 0);
}

static inline void open_publisher(int i)
{
	assert_int_equal(ivshmem_publisher_open(&world.publishers[i], world.shm[0], "t"), 0);
}

static inline void open_subscriber(int i, unsigned int history)
{
	assert_int_equal(ivshmem_subscriber_open(&world.subscribers[i], world.shm[1], "t",
						 history), 0);
}

/* Its bytes tell its number. */
static inline size_t length_of(uint64_t number, size_t most)
{
	return (size_t)(number * 2654435761u % (most + 1));
}

static inline void put_number(char *data, size_t length, uint64_t number)
{
	size_t i;

	for (i = 0; i < length; i++)
		data[i] = (char)(number * 131 + i * 7 + (i >> 8));
}

static inline bool has_number(const char *data, size_t length, uint64_t number)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (data[i] != (char)(number * 131 + i * 7 + (i >> 8)))
			return false;
	return true;
}

static inline int publish_number(struct ivshmem_publisher *publisher, uint64_t number,
				 size_t most, int timeout_ms)
{
	char data[LARGE];
	size_t length = length_of(number, most);
	struct iovec parts[2] = {
		{ data, length / 3 }, { data + length / 3, length - length / 3 },
	};

	put_number(data, length, number);
	return ivshmem_publish(publisher, parts, 2, (uint32_t)number, 0, timeout_ms);
}

static inline void publish(int i, uint64_t number, size_t most)
{
	assert_int_equal(publish_number(world.publishers[i], number, most, 0), 0);
}

static inline void receive(int i, uint64_t number, size_t most,
			   uint64_t skipped)
{
	struct ivshmem_message_info info;
	char data[LARGE];
	ssize_t length = ivshmem_subscriber_recv(world.subscribers[i], data, sizeof(data), &info, 0,
						 PATIENCE_MS);

	assert_int_equal(length, length_of(number, most));
	assert_true(has_number(data, (size_t)length, number));
	assert_true(info.number == number && info.type == (uint32_t)number);
	assert_true(info.skipped == skipped);
}

static inline void assert_nothing(int i)
{
	char data[LARGE];

	assert_int_equal(ivshmem_subscriber_recv(world.subscribers[i], data, sizeof(data), NULL, 0,
						 0), -EAGAIN);
}

#define TOPIC_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, world_teardown)

#endif /* TOPICS_H */
