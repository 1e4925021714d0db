// SPDX-License-Identifier: MIT
/* Wait sets of subscribers and listeners, beside channels. */
#include "../topics.h"

#include "service/service.h"
#include "waitset/waitset.h"

#define CLIENTS	12
#define QUESTIONS 40

static struct {
	struct ivshmem_waitset *set;
	struct ivshmem_listener *listener;
	struct ivshmem_channel *clients[CLIENTS];
	struct ivshmem_ready ready[CLIENTS + 3];
} all;

static int all_setup(void **state)
{
	memset(&all, 0, sizeof(all));
	return fixture_setup(state);
}

static int all_teardown(void **state)
{
	int i;

	ivshmem_waitset_close(all.set);
	ivshmem_listener_close(all.listener);
	for (i = 0; i < CLIENTS; i++)
		ivshmem_channel_close(all.clients[i]);
	return world_teardown(state);
}

#define KIND_TEST(name) cmocka_unit_test_setup_teardown(name, all_setup, all_teardown)

/* A topic with a publisher, and the set with a subscriber. */
static void open_topic(unsigned int flags)
{
	struct ivshmem_topic_layout layout = small;

	layout.flags = flags;
	world.shm[0] = open_region(make_file("region", 4 * MIB), 0);
	world.shm[1] = open_region(in_shm("region"), 0);
	assert_int_equal(ivshmem_format(world.shm[0], "", CLIENTS + 4, 16384, 0), 0);
	assert_int_equal(ivshmem_make_topic(world.shm[0], "t", &layout), 0);
	open_publisher(0);
	open_subscriber(0, 0);
	assert_int_equal(ivshmem_waitset_open(&all.set, world.shm[1]), 0);
	assert_int_equal(ivshmem_waitset_add_subscriber(all.set, world.subscribers[0],
							&world.subscribers[0]), 0);
}

static int wait_for(int timeout_ms)
{
	return ivshmem_waitset_wait(all.set, all.ready, ARRAY_SIZE(all.ready), timeout_ms);
}

static void arm_all(void)
{
	int64_t end = now_ms() + PATIENCE_MS;
	unsigned int i, awake = 1;

	while (awake && now_ms() < end) {
		assert_int_equal(wait_for(5), -ETIMEDOUT);
		for (i = awake = 0; i < all.set->end; i++)
			awake += all.set->members[i] &&
				 all.set->members[i]->state != WAITING_IN_SET;
	}
	assert_int_equal(awake, 0);
}

static int publish_one(unsigned int number, int timeout_ms)
{
	struct iovec part = { &number, sizeof(number) };

	return ivshmem_publish(world.publishers[0], &part, 1, 0, 0, timeout_ms);
}

static void *publish_late(void *number)
{
	usleep(5000);
	return (void *)(intptr_t)publish_one((unsigned int)(uintptr_t)number, PATIENCE_MS);
}

static void assert_woken_by_publisher(unsigned int number)
{
	int64_t begin = now_ms();
	unsigned int received;
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, publish_late, (void *)(uintptr_t)number), 0);
	assert_int_equal(wait_for(PATIENCE_MS), 1);
	assert_ptr_equal(all.ready[0].data, &world.subscribers[0]);
	assert_int_equal(all.ready[0].events, IVSHMEM_CAN_RECV);
	assert_true(now_ms() - begin < 900);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
	assert_int_equal(ivshmem_subscriber_recv(world.subscribers[0], &received, sizeof(received),
						 NULL, 0, 0), sizeof(received));
	assert_int_equal(received, number);
}

static void subscriber_with_a_message_is_told(void **state)
{
	unsigned int i;

	open_topic(0);
	assert_int_equal(wait_for(0), -EAGAIN);
	for (i = 0; i < 20; i++) {
		arm_all();
		assert_woken_by_publisher(i);
	}
	assert_int_equal(wait_for(0), -EAGAIN);
}

static void subscriber_that_waits_by_itself_in_between_still_wakes_the_set(void **state)
{
	unsigned int received;

	open_topic(0);
	arm_all();
	assert_int_equal(ivshmem_subscriber_recv(world.subscribers[0], &received, sizeof(received),
						 NULL, 0, 20), -ETIMEDOUT);
	assert_woken_by_publisher(1);
}

static void *publish_many(void *unused)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < 500 && !err; i++)
		err = publish_one(i, PATIENCE_MS);
	return (void *)(intptr_t)err;
}

/* The history is 8 messages long. */
static void publisher_of_a_lossless_topic_waits_for_a_subscriber_in_a_set(void **state)
{
	unsigned int expected = 0, received;
	pthread_t thread;
	void *result;

	open_topic(IVSHMEM_TOPIC_LOSSLESS);
	assert_int_equal(pthread_create(&thread, NULL, publish_many, NULL), 0);
	while (expected < 500) {
		assert_int_equal(wait_for(PATIENCE_MS), 1);
		while (ivshmem_subscriber_recv(world.subscribers[0], &received, sizeof(received),
					       NULL, 0, 0) == sizeof(received))
			assert_int_equal(received, expected++);
		if (expected % 50 < 8)
			wait_for(1);
	}
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
	assert_true(ivshmem_publisher_dropped(world.publishers[0]) == 0);
}

static void topic_that_was_removed_is_told(void **state)
{
	unsigned int received;

	open_topic(0);
	arm_all();
	assert_int_equal(ivshmem_remove(world.shm[0], "t", IVSHMEM_REMOVE_FORCE), 0);
	assert_int_equal(wait_for(PATIENCE_MS), 1);
	assert_int_equal(ivshmem_subscriber_recv(world.subscribers[0], &received, sizeof(received),
						 NULL, 0, 0), -ECONNRESET);
	ivshmem_subscriber_close(world.subscribers[0]);
	world.subscribers[0] = NULL;
	assert_int_equal(all.set->end, 0);
}

static void open_service(void)
{
	open_topic(0);
	assert_int_equal(ivshmem_listen(&all.listener, world.shm[1], "s", 0), 0);
	assert_int_equal(ivshmem_listener_set_limit(all.listener, CLIENTS), 0);
	assert_int_equal(ivshmem_waitset_add_listener(all.set, all.listener, &all.listener), 0);
}

static void *connect_late(void *out)
{
	usleep(5000);
	return (void *)(intptr_t)ivshmem_connect(out, world.shm[0], "s", PATIENCE_MS);
}

static void client_that_connects_wakes_the_set(void **state)
{
	struct ivshmem_channel *client, *server;
	pthread_t thread;
	int64_t begin;
	void *result;
	int i;

	open_service();
	assert_int_equal(wait_for(0), -EAGAIN);
	for (i = 0; i < 5; i++) {
		arm_all();
		begin = now_ms();
		assert_int_equal(pthread_create(&thread, NULL, connect_late, &client), 0);
		assert_int_equal(wait_for(PATIENCE_MS), 1);
		assert_true(now_ms() - begin < 900);
		assert_ptr_equal(all.ready[0].data, &all.listener);
		assert_int_equal(ivshmem_accept(&server, all.listener, 0), 0);
		assert_int_equal(pthread_join(thread, &result), 0);
		assert_null(result);
		talk(client, server);
		ivshmem_channel_close(client);
		ivshmem_channel_close(server);
	}
	assert_int_equal(wait_for(0), -EAGAIN);
}

static void *ask(void *out)
{
	struct ivshmem_channel *channel;
	int i, answer, err;

	err = ivshmem_connect(&channel, world.shm[0], "s", PATIENCE_MS);
	for (i = 0; i < QUESTIONS && !err; i++) {
		if (i % 10 == 0)
			usleep(3000);
		err = ivshmem_channel_send(channel, &i, sizeof(i), PATIENCE_MS);
		if (!err && (ivshmem_channel_recv(channel, &answer, sizeof(answer), PATIENCE_MS) !=
			     sizeof(answer) || answer != i + 1))
			err = -EBADMSG;
	}
	*(struct ivshmem_channel **)out = channel;
	return (void *)(intptr_t)err;
}

static int serve(struct ivshmem_channel *channel)
{
	int question;

	if (ivshmem_channel_recv(channel, &question, sizeof(question), 0) != sizeof(question))
		return 0;
	question++;
	assert_int_equal(ivshmem_channel_send(channel, &question, sizeof(question), 0), 0);
	return 1;
}

static void one_thread_serves_many_clients_and_a_topic(void **state)
{
	struct ivshmem_channel *servers[CLIENTS];
	int i, count, accepted = 0, answered = 0;
	pthread_t threads[CLIENTS];
	void *result;

	open_service();
	for (i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, &all.clients[i]), 0);
	while (answered < CLIENTS * QUESTIONS) {
		count = wait_for(PATIENCE_MS);
		assert_in_range(count, 1, ARRAY_SIZE(all.ready));
		while (count--) {
			if (all.ready[count].data != &all.listener) {
				answered += serve(all.ready[count].data);
				continue;
			}
			assert_int_equal(ivshmem_accept(&servers[accepted], all.listener, 0), 0);
			assert_int_equal(ivshmem_waitset_add_channel(all.set, servers[accepted],
								     IVSHMEM_CAN_RECV, 0,
								     servers[accepted]), 0);
			accepted++;
		}
	}
	for (i = 0; i < CLIENTS; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_int_equal((intptr_t)result, 0);
	}
	arm_all();
	assert_woken_by_publisher(7);
	for (i = 0; i < CLIENTS; i++)
		ivshmem_channel_close(servers[i]);
}

static void listener_that_is_closed_leaves_the_set(void **state)
{
	open_service();
	arm_all();
	ivshmem_listener_close(all.listener);
	all.listener = NULL;
	assert_int_equal(all.set->end, 1);
	assert_true(all.set->sleeper.longest == LATER_SLEEP_NS);
	assert_woken_by_publisher(1);
	assert_int_equal(ivshmem_waitset_remove_subscriber(all.set, world.subscribers[0]), 0);
	assert_int_equal(ivshmem_waitset_remove_subscriber(all.set, world.subscribers[0]), -ENOENT);
}

static void those_of_another_handle_are_refused(void **state)
{
	struct ivshmem_waitset *other;

	open_service();
	assert_int_equal(ivshmem_waitset_open(&other, world.shm[0]), 0);
	assert_int_equal(ivshmem_waitset_add_subscriber(other, world.subscribers[0], NULL), -EXDEV);
	assert_int_equal(ivshmem_waitset_add_listener(other, all.listener, NULL), -EXDEV);
	ivshmem_waitset_close(other);
	assert_int_equal(ivshmem_waitset_open(&other, world.shm[1]), 0);
	assert_int_equal(ivshmem_waitset_add_subscriber(other, world.subscribers[0], NULL), -EBUSY);
	assert_int_equal(ivshmem_waitset_add_listener(other, all.listener, NULL), -EBUSY);
	assert_int_equal(ivshmem_waitset_remove_listener(other, all.listener), -ENOENT);
	ivshmem_waitset_close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIND_TEST(subscriber_with_a_message_is_told),
		KIND_TEST(subscriber_that_waits_by_itself_in_between_still_wakes_the_set),
		KIND_TEST(publisher_of_a_lossless_topic_waits_for_a_subscriber_in_a_set),
		KIND_TEST(topic_that_was_removed_is_told),
		KIND_TEST(client_that_connects_wakes_the_set),
		KIND_TEST(one_thread_serves_many_clients_and_a_topic),
		KIND_TEST(listener_that_is_closed_leaves_the_set),
		KIND_TEST(those_of_another_handle_are_refused),
	};

	return run("waitset_kinds", tests, ARRAY_SIZE(tests));
}
