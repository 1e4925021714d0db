// SPDX-License-Identifier: MIT
/* Topics: publishers and subscribers in one process, in threads and in programs of their own. */
#include "topics.h"

#define MANY		20000

static void each_subscriber_gets_each_message_in_order(void **state)
{
	static const struct ivshmem_topic_layout *const layouts[] = { &small, &large };
	size_t most;
	int l, i, s;

	for (l = 0; l < 2; l++) {
		make(layouts[l]);
		most = layouts[l]->max_length;
		open_publisher(0);
		for (s = 0; s < 4; s++)
			open_subscriber(s, 0);
		for (i = 1; i <= 100; i++) {
			publish(0, (uint64_t)i, most);
			for (s = 0; s < 4; s++) {
				receive(s, (uint64_t)i, most, 0);
				assert_nothing(s);
			}
		}
		assert_int_equal(ivshmem_publisher_subscribers(world.publishers[0]), 4);
		world_teardown(state);
		fixture_setup(state);
	}
}

static void slow_subscriber_is_told_exactly_what_it_missed(void **state)
{
	uint64_t number = 0, got = 0, skipped;
	int round, i;

	make(&small);
	open_publisher(0);
	open_subscriber(0, 0);
	srand(1);
	for (round = 0; round < 1000; round++) {
		for (i = rand() % 20; i; i--)
			publish(0, ++number, 100);
		for (i = rand() % 10; i && got < number; i--) {
			skipped = number - got > 8 ? number - 8 - got : 0;
			got += skipped + 1;
			receive(0, got, 100, skipped);
		}
	}
	while (got < number) {
		skipped = number - got > 8 ? number - 8 - got : 0;
		got += skipped + 1;
		receive(0, got, 100, skipped);
	}
	assert_nothing(0);
	assert_true(ivshmem_subscriber_skipped(world.subscribers[0]) > 1000);
}

static void late_subscriber_gets_what_it_asks_for_and_can_be_had(void **state)
{
	uint64_t i;

	make(&large);
	open_publisher(0);
	open_subscriber(0, 5);
	assert_nothing(0);
	for (i = 1; i <= 3; i++)
		publish(0, i, LARGE);
	open_subscriber(1, 0);
	open_subscriber(2, 1);
	open_subscriber(3, 100);
	assert_nothing(1);
	receive(2, 3, LARGE, 0);
	for (i = 1; i <= 3; i++)
		receive(3, i, LARGE, 0);
	ivshmem_subscriber_close(world.subscribers[3]);
	for (i = 4; i <= 20; i++)
		publish(0, i, LARGE);
	open_subscriber(3, 100);
	for (i = 13; i <= 20; i++)
		receive(3, i, LARGE, 0);
	assert_nothing(3);
	receive(0, 13, LARGE, 12);
}

static void latest_is_the_newest_of_each_publisher(void **state)
{
	struct ivshmem_message_info info;
	char data[100];
	uint64_t i;

	make(&small);
	open_publisher(0);
	open_publisher(1);
	open_subscriber(0, 0);
	for (i = 1; i <= 5; i++)
		publish(0, i, 100);
	for (i = 1; i <= 20; i++)
		publish(1, i, 100);
	assert_int_equal(ivshmem_subscriber_recv(world.subscribers[0], data, 100, &info,
						 IVSHMEM_LATEST, 0), length_of(5, 100));
	assert_true(info.publisher == 0 && info.number == 5 && info.skipped == 4);
	assert_int_equal(ivshmem_subscriber_recv(world.subscribers[0], data, 100, &info,
						 IVSHMEM_LATEST, 0), length_of(20, 100));
	assert_true(info.publisher == 1 && info.number == 20 && info.skipped == 19);
	assert_nothing(0);
}

static void publishers_take_turns_and_keep_their_order(void **state)
{
	uint64_t next[2] = { 1, 1 };
	struct ivshmem_message_info info;
	char data[100];
	int i;

	make(&small);
	open_publisher(0);
	open_publisher(1);
	assert_int_equal(ivshmem_publisher_open(&world.publishers[2], world.shm[0], "t"), -EBUSY);
	open_subscriber(0, 0);
	for (i = 1; i <= 8; i++) {
		publish(0, (uint64_t)i, 100);
		publish(1, (uint64_t)i, 100);
	}
	for (i = 0; i < 16; i++) {
		assert_true(ivshmem_subscriber_recv(world.subscribers[0], data, 100, &info, 0, 0) >=
			    0);
		assert_true(info.number == next[info.publisher]++);
		assert_int_equal(info.publisher, i % 2);
	}
	assert_nothing(0);
}

static void lossless_publisher_waits_then_drops_the_slowest_and_tells_it(void **state)
{
	struct ivshmem_topic_layout layout = small;
	char data[100];
	uint64_t i;

	layout.flags = IVSHMEM_TOPIC_LOSSLESS;
	make(&layout);
	open_publisher(0);
	open_subscriber(0, 0);
	open_subscriber(1, 0);
	for (i = 1; i <= 8; i++)
		publish(0, i, 100);
	for (i = 1; i <= 8; i++)
		receive(0, i, 100, 0);
	/* The second has taken nothing. */
	assert_int_equal(publish_number(world.publishers[0], 9, 100, SHORT_MS), 0);
	assert_true(ivshmem_publisher_dropped(world.publishers[0]) == 1);
	receive(0, 9, 100, 0);
	assert_int_equal(ivshmem_subscriber_recv(world.subscribers[1], data, 100, NULL, 0, 0),
			 -EPIPE);
	for (i = 2; i <= 9; i++)
		receive(1, i, 100, i == 2);
	/* From here on it counts again. */
	for (i = 10; i <= 17; i++) {
		publish(0, i, 100);
		receive(0, i, 100, 0);
	}
	assert_true(ivshmem_publisher_dropped(world.publishers[0]) == 1);
	for (i = 10; i <= 17; i++)
		receive(1, i, 100, 0);
}

static void held_messages_stay_whatever_comes(void **state)
{
	const void *held[4][3];
	uint64_t numbers[4][3], number = 0;
	struct ivshmem_message_info info;
	int s, h, round;
	ssize_t length;

	make(&large);
	open_publisher(0);
	for (s = 0; s < 4; s++)
		open_subscriber(s, 0);
	for (h = 0; h < 3; h++) {
		for (s = 0; s < 4; s++) {
			publish(0, ++number, LARGE);
			length = ivshmem_subscriber_hold(world.subscribers[s], &held[s][h], &info,
							 IVSHMEM_LATEST, 0);
			assert_int_equal(length, length_of(number, LARGE));
			numbers[s][h] = number;
		}
	}
	assert_int_equal(ivshmem_subscriber_hold(world.subscribers[0], &held[0][0], NULL, 0, 0),
			 -ENOBUFS);
	for (round = 0; round < 500; round++) {
		publish(0, ++number, LARGE);
		s = round % 4;
		h = round % 3;
		for (int i = 0; i < 4; i++)
			for (int j = 0; j < 3; j++)
				assert_true(has_number(held[i][j], length_of(numbers[i][j], LARGE),
						       numbers[i][j]));
		assert_int_equal(ivshmem_subscriber_release(world.subscribers[s], held[s][h]), 0);
		assert_int_equal(ivshmem_subscriber_release(world.subscribers[s], held[s][h]),
				 -EINVAL);
		length = ivshmem_subscriber_hold(world.subscribers[s], &held[s][h], &info,
						 IVSHMEM_LATEST, 0);
		assert_int_equal(length, length_of(number, LARGE));
		numbers[s][h] = number;
	}
}

static void message_written_in_place_is_published_as_it_is(void **state)
{
	char *room;
	uint64_t i;

	make(&large);
	open_publisher(0);
	open_subscriber(0, 0);
	for (i = 1; i <= 50; i++) {
		size_t length = length_of(i, LARGE);

		assert_int_equal(ivshmem_publisher_reserve(world.publishers[0], (void **)&room), 0);
		put_number(room, length, i);
		assert_int_equal(publish_number(world.publishers[0], i, LARGE, 0), -EBUSY);
		assert_int_equal(ivshmem_publisher_commit(world.publishers[0], length, (uint32_t)i,
							  0, 0), 0);
		receive(0, i, LARGE, 0);
	}
	assert_int_equal(ivshmem_publisher_commit(world.publishers[0], 1, 0, 0, 0), -EINVAL);
}

static void reader_without_write_access_subscribes(void **state)
{
	const void *message;
	uint64_t i;

	make(&large);
	ivshmem_close(world.shm[1]);
	world.shm[1] = open_region(in_shm("region"), IVSHMEM_RDONLY);
	open_publisher(0);
	open_subscriber(0, 0);
	for (i = 1; i <= 50; i++) {
		publish(0, i, LARGE);
		receive(0, i, LARGE, 0);
	}
	assert_int_equal(ivshmem_subscriber_hold(world.subscribers[0], &message, NULL, 0, 0),
			 -EACCES);
	assert_int_equal(ivshmem_publisher_subscribers(world.publishers[0]), 0);
	assert_int_equal(ivshmem_publisher_open(&world.publishers[1], world.shm[1], "t"), -EACCES);
}

static void stamp_and_type_come_with_the_message(void **state)
{
	struct ivshmem_message_info info;
	struct iovec part = { "x", 1 };
	struct timespec now;
	char byte;

	make(&small);
	open_publisher(0);
	open_subscriber(0, 0);
	clock_gettime(CLOCK_REALTIME, &now);
	assert_int_equal(ivshmem_publish(world.publishers[0], &part, 1, 77, IVSHMEM_STAMP, 0), 0);
	assert_int_equal(ivshmem_subscriber_recv(world.subscribers[0], &byte, 1, &info, 0, 0), 1);
	assert_int_equal(info.type, 77);
	assert_true(info.time_ns / 1000000000 - (uint64_t)now.tv_sec <= 60);
	assert_int_equal(ivshmem_publish(world.publishers[0], &part, 1, 0, 0, 0), 0);
	assert_int_equal(ivshmem_subscriber_recv(world.subscribers[0], &byte, 0, &info, 0, 0),
			 -EMSGSIZE);
	assert_int_equal(ivshmem_subscriber_recv(world.subscribers[0], &byte, 1, &info, 0, 0), 1);
	assert_true(info.time_ns == 0);
}

static void removed_topic_is_told_to_all_before_anything_is_written(void **state)
{
	struct iovec part = { "x", 1 };
	const void *message;
	void *room;
	char byte;

	make(&large);
	open_publisher(0);
	open_subscriber(0, 0);
	assert_int_equal(ivshmem_remove(world.shm[0], "t", 0), -EBUSY);
	assert_int_equal(ivshmem_remove(world.shm[0], "t", IVSHMEM_REMOVE_FORCE), 0);
	assert_int_equal(ivshmem_publish(world.publishers[0], &part, 1, 0, 0, 0), -ECONNRESET);
	assert_int_equal(ivshmem_publisher_reserve(world.publishers[0], &room), -ECONNRESET);
	assert_int_equal(ivshmem_subscriber_recv(world.subscribers[0], &byte, 1, NULL, 0,
						 PATIENCE_MS), -ECONNRESET);
	assert_int_equal(ivshmem_subscriber_hold(world.subscribers[0], &message, NULL, 0, 0),
			 -ECONNRESET);
	assert_int_equal(ivshmem_make_topic(world.shm[0], "t", &small), 0);
	ivshmem_publisher_close(world.publishers[0]);
	ivshmem_subscriber_close(world.subscribers[0]);
	open_publisher(0);
	open_subscriber(0, 0);
	publish(0, 1, 100);
	receive(0, 1, 100, 0);
}

static void layouts_that_cannot_be_fail_einval(void **state)
{
	static const struct ivshmem_topic_layout layouts[] = {
		{ 0, 8, 1, 1, 0, 0 }, { (1ull << 30) + 1, 8, 1, 1, 0, 0 }, { 8, 1, 1, 1, 0, 0 },
		{ 8, 65537, 1, 1, 0, 0 }, { 8, 8, 0, 1, 0, 0 }, { 8, 8, 17, 1, 0, 0 },
		{ 8, 8, 1, 0, 0, 0 }, { 8, 8, 1, 1025, 0, 0 }, { 8, 8, 1, 1, 65, 0 },
		{ 8, 8, 1, 1, 0, 2 },
	};
	struct iovec part = { NULL, 101 };
	char data[101];
	size_t i;

	make(&small);
	for (i = 0; i < ARRAY_SIZE(layouts); i++)
		assert_int_equal(ivshmem_make_topic(world.shm[0], "u", &layouts[i]), -EINVAL);
	assert_int_equal(ivshmem_make_topic(world.shm[0], "u", NULL), -EINVAL);
	assert_int_equal(ivshmem_make_topic(world.shm[0], "t", &small), -EEXIST);
	assert_int_equal(ivshmem_publisher_open(&world.publishers[0], world.shm[0], "u"), -ENOENT);
	open_publisher(0);
	assert_int_equal(ivshmem_publish(world.publishers[0], &part, 1, 0, 0, 0), -EINVAL);
	part.iov_base = data;
	assert_int_equal(ivshmem_publish(world.publishers[0], &part, 1, 0, 0, 0), -EMSGSIZE);
	assert_int_equal(ivshmem_publish(world.publishers[0], NULL, 1, 0, 0, 0), -EINVAL);
	assert_int_equal(ivshmem_publish(world.publishers[0], NULL, 0, 0, 0, 0), 0);
}

/* --- in threads --- */

static bool publisher_is_done;

struct reader {
	struct ivshmem_subscriber *subscriber;
	size_t most;
	uint64_t received, skipped;
	bool holds;
	bool must_get_all;
};

/* NULL, or what is wrong. */
static void *read_all(void *data)
{
	struct reader *reader = data;
	struct ivshmem_message_info info;
	const void *message;
	char text[LARGE];
	uint64_t last = 0;
	ssize_t length;

	for (;;) {
		if (reader->holds) {
			length = ivshmem_subscriber_hold(reader->subscriber, &message, &info, 0,
							 PATIENCE_MS);
		} else {
			message = text;
			length = ivshmem_subscriber_recv(reader->subscriber, text, sizeof(text),
							 &info, 0, PATIENCE_MS);
		}
		if (length < 0)
			return (void *)ivshmem_strerror((int)length);
		if (info.number != last + info.skipped + 1)
			return "the count of what was skipped is wrong";
		if (reader->must_get_all && info.skipped)
			return "something was skipped";
		last = info.number;
		if ((size_t)length != length_of(last, reader->most) ||
		    !has_number(message, (size_t)length, last))
			return "wrong bytes";
		reader->received++;
		reader->skipped += info.skipped;
		if (reader->holds && ivshmem_subscriber_release(reader->subscriber, message))
			return "a release fails";
		if (last == MANY)
			return NULL;
	}
}

static void run_threads(const struct ivshmem_topic_layout *layout, bool holds)
{
	bool lossless = layout->flags & IVSHMEM_TOPIC_LOSSLESS;
	struct reader readers[3];
	pthread_t threads[3];
	void *result;
	uint64_t i;
	int s;

	make(layout);
	open_publisher(0);
	for (s = 0; s < 3; s++) {
		open_subscriber(s, 0);
		readers[s] = (struct reader) {
			.subscriber = world.subscribers[s], .most = layout->max_length,
			.holds = holds && s, .must_get_all = lossless,
		};
		assert_int_equal(pthread_create(&threads[s], NULL, read_all, &readers[s]), 0);
	}
	for (i = 1; i <= MANY; i++) {
		assert_int_equal(publish_number(world.publishers[0], i, layout->max_length,
						PATIENCE_MS), 0);
		if (i % 1000 == 0)
			usleep(2000);
	}
	for (s = 0; s < 3; s++) {
		assert_int_equal(pthread_join(threads[s], &result), 0);
		if (result)
			fail_msg("subscriber %d: %s", s, (char *)result);
		assert_true(readers[s].received + readers[s].skipped == MANY);
	}
	assert_true(ivshmem_publisher_dropped(world.publishers[0]) == 0);
}

static void threads_get_whole_messages_and_know_what_they_missed(void **state)
{
	run_threads(&small, false);
}

static void threads_get_whole_large_messages(void **state)
{
	run_threads(&large, false);
}

static void threads_hold_whole_large_messages(void **state)
{
	run_threads(&large, true);
}

static void threads_of_a_lossless_topic_get_all(void **state)
{
	struct ivshmem_topic_layout layout = large;

	layout.flags = IVSHMEM_TOPIC_LOSSLESS;
	run_threads(&layout, true);
}

/* --- programs that die --- */

static pid_t start_subscriber(bool holds)
{
	struct ivshmem_subscriber *subscriber;
	const void *message;
	struct ivshmem *shm;
	char data[LARGE];
	pid_t child = fork();

	assert_true(child >= 0);
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ivshmem_open(&shm, in_shm("region"), 0) ||
	    ivshmem_subscriber_open(&subscriber, shm, "t", 0))
		_exit(1);
	for (;;) {
		if (holds && ivshmem_subscriber_hold(subscriber, &message, NULL, 0, 100) < 0)
			pause();
		if (!holds &&
		    ivshmem_subscriber_recv(subscriber, data, sizeof(data), NULL, 0, -1) < 0)
			_exit(2);
	}
}

static void dead_subscribers_hold_up_nobody_and_leave_their_places(void **state)
{
	struct ivshmem_topic_layout layout = large;
	uint64_t number = 0;
	int64_t start;
	pid_t child;
	int i, n;

	layout.flags = IVSHMEM_TOPIC_LOSSLESS;
	make(&layout);
	open_publisher(0);
	for (i = 0; i < 40; i++) {
		child = start_subscriber(i % 2);
		while (ivshmem_publisher_subscribers(world.publishers[0]) < 1)
			sched_yield();
		for (n = rand() % 8; n; n--)
			assert_int_equal(publish_number(world.publishers[0], ++number, LARGE,
							PATIENCE_MS), 0);
		usleep((useconds_t)(rand() % 3000));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		start = now_ms();
		for (n = 0; n < 20; n++)
			assert_int_equal(publish_number(world.publishers[0], ++number, LARGE,
							PATIENCE_MS), 0);
		assert_true(now_ms() - start < PATIENCE_MS);
	}
	assert_int_equal(ivshmem_publisher_subscribers(world.publishers[0]), 0);
}

static void publish_for_ever(void)
{
	struct ivshmem_publisher *publisher;
	struct ivshmem *shm;
	uint64_t number;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ivshmem_open(&shm, in_shm("region"), 0) ||
	    ivshmem_publisher_open(&publisher, shm, "t"))
		_exit(1);
	/* As if it had been there from the beginning: the bytes tell the number. */
	for (number = *topic_published((struct topic *)publisher, 0) + 1;; number++)
		if (publish_number(publisher, number, LARGE, -1))
			_exit(2);
}

static void killed_publisher_leaves_its_place_and_no_broken_message(void **state)
{
	struct ivshmem_message_info info;
	uint64_t last = 0;
	char data[LARGE];
	ssize_t length;
	pid_t child;
	int i;

	make(&large);
	open_subscriber(0, 0);
	for (i = 0; i < 100; i++) {
		child = fork();
		assert_true(child >= 0);
		if (!child)
			publish_for_ever();
		usleep((useconds_t)(rand() % 5000));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		while ((length = ivshmem_subscriber_recv(world.subscribers[0], data, sizeof(data),
							 &info, 0, 0)) >= 0) {
			assert_int_equal(info.publisher, 0);
			assert_true(info.number == last + info.skipped + 1);
			last = info.number;
			assert_int_equal(length, length_of(last, LARGE));
			assert_true(has_number(data, (size_t)length, last));
		}
		assert_int_equal(length, -EAGAIN);
	}
	assert_true(last > 0);
}

/* --- what can't be --- */

static void *write_junk(void *region)
{
	unsigned int seed = 3;
	char *raw = region;

	while (!__atomic_load_n(&publisher_is_done, __ATOMIC_RELAXED)) {
		size_t at = 16384 + (size_t)rand_r(&seed) % (4 * MIB - 16384 - 8);
		uint64_t word = (uint64_t)rand_r(&seed) << 32 | (unsigned int)rand_r(&seed);

		if (rand_r(&seed) % 2)
			word = rand_r(&seed) % 3 ? 0 : word % 20;
		__atomic_store_n((uint64_t *)(raw + at / 8 * 8), word, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void hostile_writer_ends_nobody(void **state)
{
	const void *message;
	char data[LARGE], *raw;
	pthread_t thread;
	uint64_t i;
	int round;

	srand(5);
	for (round = 0; round < 10; round++) {
		struct ivshmem_topic_layout layout = large;

		if (round % 2)
			layout.flags = IVSHMEM_TOPIC_LOSSLESS;
		make(&layout);
		raw = map_raw(world.shm[0]);
		open_publisher(0);
		open_subscriber(0, 0);
		__atomic_store_n(&publisher_is_done, false, __ATOMIC_RELAXED);
		assert_int_equal(pthread_create(&thread, NULL, write_junk, raw), 0);
		for (i = 1; i < 5000; i++) {
			publish_number(world.publishers[0], i, LARGE, 0);
			if (ivshmem_subscriber_recv(world.subscribers[0], data, sizeof(data), NULL,
						    i % 7 ? 0 : IVSHMEM_LATEST, 0) == -EINVAL)
				fail();
			if (ivshmem_subscriber_hold(world.subscribers[0], &message, NULL, 0,
						    0) >= 0)
				assert_int_equal(ivshmem_subscriber_release(world.subscribers[0],
									    message), 0);
			ivshmem_publisher_subscribers(world.publishers[0]);
		}
		__atomic_store_n(&publisher_is_done, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		munmap(raw, 4 * MIB);
		world_teardown(state);
		fixture_setup(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TOPIC_TEST(each_subscriber_gets_each_message_in_order),
		TOPIC_TEST(slow_subscriber_is_told_exactly_what_it_missed),
		TOPIC_TEST(late_subscriber_gets_what_it_asks_for_and_can_be_had),
		TOPIC_TEST(latest_is_the_newest_of_each_publisher),
		TOPIC_TEST(publishers_take_turns_and_keep_their_order),
		TOPIC_TEST(lossless_publisher_waits_then_drops_the_slowest_and_tells_it),
		TOPIC_TEST(held_messages_stay_whatever_comes),
		TOPIC_TEST(message_written_in_place_is_published_as_it_is),
		TOPIC_TEST(reader_without_write_access_subscribes),
		TOPIC_TEST(stamp_and_type_come_with_the_message),
		TOPIC_TEST(removed_topic_is_told_to_all_before_anything_is_written),
		TOPIC_TEST(layouts_that_cannot_be_fail_einval),
		TOPIC_TEST(threads_get_whole_messages_and_know_what_they_missed),
		TOPIC_TEST(threads_get_whole_large_messages),
		TOPIC_TEST(threads_hold_whole_large_messages),
		TOPIC_TEST(threads_of_a_lossless_topic_get_all),
		TOPIC_TEST(dead_subscribers_hold_up_nobody_and_leave_their_places),
		TOPIC_TEST(killed_publisher_leaves_its_place_and_no_broken_message),
		TOPIC_TEST(hostile_writer_ends_nobody),
	};

	return run("topic", tests, ARRAY_SIZE(tests));
}
