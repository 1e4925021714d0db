// SPDX-License-Identifier: MIT
/*
 * Two publishers and three subscribers that sleep: by futex, by doorbell, and one of them
 * without write access, by looking. SOAK_MESSAGES= chooses how many messages have to wake
 * all (1500).
 */
#include "topics.h"
#include "serving.h"

#include <sys/socket.h>

#include "client/client.h"
#include "system/system.h"

#define LATE_NS		900000000ll	/* a sleep that nobody ended takes a second */
#define PUBLISHERS	2
#define SUBSCRIBERS	3

static pid_t server;

struct member {
	struct ivshmem_publisher *publisher;
	struct ivshmem_subscriber *subscriber;
	int64_t messages, late, latest;
	unsigned int seed;
};

static void *publish_times(void *data)
{
	struct member *member = data;
	struct iovec part;
	int64_t i, now;
	int err = 0;

	for (i = 0; i < member->messages && !err; i++) {
		unsigned int pause = (unsigned int)rand_r(&member->seed);

		/* Mostly while all are about to sleep, or have slept once. */
		usleep(pause % 3 ? pause / 4 % 200 : 1000 + pause / 4 % 3000);
		now = ivshmem_now();
		part = (struct iovec) { &now, sizeof(now) };
		err = ivshmem_publish(member->publisher, &part, 1, 0, 0, PATIENCE_MS);
	}
	return (void *)(intptr_t)err;
}

/* Each wait is for one message, and may end with a later one, since others come as well. */
static void *be_woken(void *data)
{
	struct ivshmem_message_info info;
	struct member *member = data;
	int64_t left = member->messages, sent, late;
	ssize_t length;

	while (left > 0) {
		length = ivshmem_subscriber_recv(member->subscriber, &sent, sizeof(sent), &info, 0,
						 PATIENCE_MS);
		if (length != sizeof(sent))
			return (void *)(length < 0 ? length : -EBADMSG);
		late = ivshmem_now() - sent;
		member->late += late >= LATE_NS;
		if (late > member->latest)
			member->latest = late;
		left -= 1 + (int64_t)info.skipped;
	}
	return NULL;
}

static void assert_all_are_woken(const char *how)
{
	int64_t messages = number_of("SOAK_MESSAGES", 1500);
	struct member members[PUBLISHERS + SUBSCRIBERS];
	pthread_t threads[PUBLISHERS + SUBSCRIBERS];
	int64_t late = 0, latest = 0;
	void *result;
	int i;

	for (i = 0; i < PUBLISHERS + SUBSCRIBERS; i++) {
		bool publishes = i < PUBLISHERS;

		members[i] = (struct member) {
			.publisher = publishes ? world.publishers[i] : NULL,
			.subscriber = publishes ? NULL : world.subscribers[i - PUBLISHERS],
			.messages = publishes ? messages : messages * PUBLISHERS,
			.seed = (unsigned int)i,
		};
		assert_int_equal(pthread_create(&threads[i], NULL,
						publishes ? publish_times : be_woken,
						&members[i]), 0);
	}
	for (i = 0; i < PUBLISHERS + SUBSCRIBERS; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_int_equal((intptr_t)result, 0);
		late += members[i].late;
		latest = members[i].latest > latest ? members[i].latest : latest;
	}
	print_message("# %s: %lld messages to %d, the latest after %.3f ms\n", how,
		      (long long)messages * PUBLISHERS, SUBSCRIBERS, (double)latest / 1e6);
	assert_int_equal(late, 0);
}

static const struct ivshmem_topic_layout layout = {
	.max_length = 8, .history = 1024, .publishers = PUBLISHERS, .subscribers = SUBSCRIBERS,
};

/* How the first subscriber has slept last: as sleep.c counts the ways. */
static unsigned int way_of_first(void)
{
	return topic_subscriber((struct topic *)world.publishers[0], 0)->processor;
}

static void open_members(void)
{
	int i;

	for (i = 0; i < PUBLISHERS; i++)
		open_publisher(i);
	for (i = 0; i < SUBSCRIBERS; i++)
		open_subscriber(i, 0);
}

static void sleepers_on_futexes_are_woken_by_each_message(void **state)
{
	make(&layout);
	open_members();
	assert_all_are_woken("futex");
	assert_int_equal(way_of_first(), 2);
}

static void reader_without_write_access_among_sleepers_gets_all_in_time(void **state)
{
	make(&layout);
	open_members();
	ivshmem_subscriber_close(world.subscribers[2]);
	world.shm[2] = open_region(in_shm("region"), IVSHMEM_RDONLY);
	assert_int_equal(ivshmem_subscriber_open(&world.subscribers[2], world.shm[2], "t", 0), 0);
	assert_all_are_woken("futex, and looking");
}

static void sleepers_in_a_lossless_topic_are_woken_by_each_message_and_by_room(void **state)
{
	struct ivshmem_topic_layout lossless = layout;

	lossless.history = 2;
	lossless.flags = IVSHMEM_TOPIC_LOSSLESS;
	make(&lossless);
	open_members();
	assert_all_are_woken("lossless");
	assert_true(ivshmem_publisher_dropped(world.publishers[0]) == 0);
	assert_true(ivshmem_subscriber_skipped(world.subscribers[0]) == 0);
}

static bool make_served(void)
{
	char where[PATH_MAX + 8];

	server = serve("1M", 2, where);
	if (server < 0)
		return false;
	world.shm[0] = join_when_up(where);
	world.shm[1] = open_region(where, 0);
	assert_int_equal(ivshmem_format(world.shm[0], "", 4, 0, 0), 0);
	assert_int_equal(ivshmem_make_topic(world.shm[0], "t", &layout), 0);
	return true;
}

static void sleepers_on_doorbells_are_woken_by_each_message(void **state)
{
	if (!make_served())
		skip_because("no command to serve");
	open_members();
	assert_all_are_woken("doorbell");
	assert_int_equal(way_of_first(), 1);
}

static void sleepers_whose_server_is_gone_look_again_in_time(void **state)
{
	if (!make_served())
		skip_because("no command to serve");
	open_members();
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	server = 0;
	assert_all_are_woken("no server");
}

/* As the server does with one that breaks its rules: the others are told that it has left. */
static void sleepers_that_the_server_has_dropped_look_again_in_time(void **state)
{
	if (!make_served())
		skip_because("no command to serve");
	open_members();
	assert_int_equal(shutdown(world.shm[1]->connection->server.socket, SHUT_RDWR), 0);
	while (ivshmem_peer_vectors(world.shm[0],
				    (unsigned int)ivshmem_peer_id(world.shm[1])) > 0)
		assert_int_equal(ivshmem_check(world.shm[0]), 0);
	assert_all_are_woken("dropped");
}

static int served_teardown(void **state)
{
	if (server > 0) {
		kill(server, SIGTERM);
		waitpid(server, NULL, 0);
	}
	server = 0;
	return world_teardown(state);
}

#define SLEEP_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, served_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SLEEP_TEST(sleepers_on_futexes_are_woken_by_each_message),
		SLEEP_TEST(reader_without_write_access_among_sleepers_gets_all_in_time),
		SLEEP_TEST(sleepers_in_a_lossless_topic_are_woken_by_each_message_and_by_room),
		SLEEP_TEST(sleepers_on_doorbells_are_woken_by_each_message),
		SLEEP_TEST(sleepers_whose_server_is_gone_look_again_in_time),
		SLEEP_TEST(sleepers_that_the_server_has_dropped_look_again_in_time),
	};

	return run("topic_wakeup", tests, ARRAY_SIZE(tests));
}
