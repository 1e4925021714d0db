// SPDX-License-Identifier: MIT
/*
 * A listener that sleeps is woken: here it never looks by itself, but after its first sleep, so
 * a wake-up that is lost leaves a client waiting.
 */
#include "../services.h"
#include "serving.h"

#include <ivshmem/waitset.h>

#include "service/service.h"
#include "waitset/waitset.h"

#define ROUNDS	200

static pid_t server;

static int served_teardown(void **state)
{
	if (server > 0) {
		kill(server, SIGTERM);
		waitpid(server, NULL, 0);
	}
	server = 0;
	return fixture_teardown(state);
}

#define SERVED_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, served_teardown)

static bool open_served(void)
{
	char where[PATH_MAX + 8];

	server = serve("1M", 2, where);
	if (server < 0)
		return false;
	pair.left = join_when_up(where);
	pair.right = open_region(where, 0);
	assert_int_equal(ivshmem_format(pair.left, "", 8, 4096, 0), 0);
	return true;
}

/* Its first sleep ends by itself, after a millisecond: not that one. */
static void wait_for_sleep(const struct ivshmem_slot_end *end)
{
	uint32_t word, before = 0;

	for (;;) {
		word = __atomic_load_n(&end->receiver, __ATOMIC_ACQUIRE);
		if (word % 4 == WAITING_ASLEEP && word == before)
			return;
		before = word;
		usleep(3000);
	}
}

struct client {
	const struct ivshmem_slot_end *end;
	struct ivshmem *shm;
	int err;
};

static void *connect_to_sleeper(void *data)
{
	struct client *client = data;
	struct ivshmem_channel *channel;
	int i;

	for (i = 0; i < ROUNDS && !client->err; i++) {
		wait_for_sleep(client->end);
		client->err = ivshmem_connect(&channel, client->shm, SERVICE, PATIENCE_MS);
		if (!client->err)
			ivshmem_channel_close(channel);
	}
	return NULL;
}

/* With a set, if there is one. */
static void accept_all(struct ivshmem_listener *listener, struct ivshmem_waitset *set)
{
	struct ivshmem_channel *channel;
	struct ivshmem_ready ready;
	int i, err;

	for (i = 0; i < ROUNDS; i++) {
		do {
			if (set)
				assert_int_equal(ivshmem_waitset_wait(set, &ready, 1,
								      PATIENCE_MS), 1);
			err = ivshmem_accept(&channel, listener, set ? 0 : PATIENCE_MS);
		} while (set && err == -EAGAIN);
		assert_int_equal(err, 0);
		ivshmem_channel_close(channel);
	}
}

static void serve_sleeping(bool with_set, const char *way)
{
	struct ivshmem_waitset *set = NULL;
	struct ivshmem_listener *listener;
	struct ivshmem_sleeper *sleeper;
	struct client client = { NULL, pair.right, 0 };
	pthread_t thread;

	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	sleeper = &listener->sleeper;
	if (with_set) {
		assert_int_equal(ivshmem_waitset_open(&set, pair.left), 0);
		assert_int_equal(ivshmem_waitset_add_listener(set, listener, NULL), 0);
		sleeper = &set->sleeper;
	}
	sleeper->longest = 3600 * NS_PER_S;
	client.end = sleeper->end;
	assert_int_equal(pthread_create(&thread, NULL, connect_to_sleeper, &client), 0);
	accept_all(listener, set);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(client.err, 0);
	assert_int_equal(sleeper->link.wakeup,
			 strcmp(way, "futex") ? WAKEUP_DOORBELL : WAKEUP_FUTEX);
	ivshmem_waitset_close(set);
	ivshmem_listener_close(listener);
	close_regions();
}

static void a_client_wakes_a_listener_by_futex(void **state)
{
	open_region_of(8);
	serve_sleeping(false, "futex");
}

static void a_client_wakes_a_listener_by_doorbell(void **state)
{
	if (!open_served())
		skip_because("no command to serve");
	serve_sleeping(false, "doorbell");
}

static void a_client_wakes_a_set_with_a_listener_by_futex(void **state)
{
	open_region_of(8);
	serve_sleeping(true, "futex");
}

static void a_client_wakes_a_set_with_a_listener_by_doorbell(void **state)
{
	if (!open_served())
		skip_because("no command to serve");
	serve_sleeping(true, "doorbell");
}

/* An idle server is to cost next to nothing: it looks 50 times a second, and no more often. */
static void an_idle_listener_sleeps(void **state)
{
	struct ivshmem_listener *listener;
	struct ivshmem_channel *none;
	uint32_t waits;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	waits = listener->sleeper.waiter.waits / 4;
	assert_int_equal(ivshmem_accept(&none, listener, 1000), -ETIMEDOUT);
	waits = listener->sleeper.waiter.waits / 4 - waits;
	assert_in_range(waits, 1, 60);
	ivshmem_listener_close(listener);
	close_regions();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(a_client_wakes_a_listener_by_futex),
		SERVED_TEST(a_client_wakes_a_listener_by_doorbell),
		SERVED_TEST(a_client_wakes_a_set_with_a_listener_by_futex),
		SERVED_TEST(a_client_wakes_a_set_with_a_listener_by_doorbell),
		SERVED_TEST(an_idle_listener_sleeps),
	};

	return run("service_wakeup", tests, ARRAY_SIZE(tests));
}
