// SPDX-License-Identifier: MIT
/*
 * A wait set that sleeps, and several threads that send to what is in it: by futex, by doorbell
 * on one vector, where nothing wakes it, and in an event loop. SOAK_MESSAGES= chooses how
 * many messages have to wake it (1500).
 */
#include "serving.h"

#include <sys/timerfd.h>

#include "system/system.h"
#include "waitsets.h"

#define LATE_NS		900000000ll	/* a sleep that nobody ended takes a second */
#define SENDERS		3
#define CHANNELS	MOST

static struct {
	pid_t server;
	int64_t messages, late, latest;
	bool by_fd;
} soak;

static int soak_setup(void **state)
{
	memset(&soak, 0, sizeof(soak));
	return world_setup(state);
}

static int soak_teardown(void **state)
{
	close_world();
	if (soak.server > 0) {
		kill(soak.server, SIGTERM);
		waitpid(soak.server, NULL, 0);
	}
	return pair_teardown(state);
}

#define WAKE_TEST(name) cmocka_unit_test_setup_teardown(name, soak_setup, soak_teardown)

static void open_set(void)
{
	char name[16];
	int i;

	assert_int_equal(format_for(pair.left, "", CHANNELS + 1, 0), 0);
	assert_int_equal(ivshmem_waitset_open(&world.set, pair.left), 0);
	for (i = 0; i < CHANNELS; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		open_both(pair.left, &world.near[i], pair.right, &world.far[i], name);
		assert_int_equal(ivshmem_waitset_add_channel(world.set, world.near[i],
							     IVSHMEM_CAN_RECV, 0, world.near[i]),
				 0);
	}
}

static void open_files(void)
{
	pair.left = open_region(make_file("region", 2 * MIB), 0);
	pair.right = open_region(in_shm("region"), 0);
	open_set();
}

static bool open_served(void)
{
	char where[PATH_MAX + 8];

	soak.server = serve("2M", 1, where);
	if (soak.server < 0)
		return false;
	pair.left = join_when_up(where);
	pair.right = open_region(where, 0);
	open_set();
	return true;
}

static void *send_times(void *data)
{
	unsigned int seed = (unsigned int)(uintptr_t)data;
	int64_t i, now;
	int err = 0;

	for (i = 0; i < soak.messages && !err; i++) {
		unsigned int random = (unsigned int)rand_r(&seed);
		unsigned int which = random % (CHANNELS / SENDERS) * SENDERS +
				     (unsigned int)(uintptr_t)data;

		/* Mostly while the set is about to sleep, or has slept once. */
		usleep(random % 3 ? random / 4 % 200 : 1000 + random / 4 % 3000);
		now = ivshmem_now();
		err = ivshmem_channel_send(world.far[which], &now, sizeof(now), PATIENCE_MS);
	}
	return (void *)(intptr_t)err;
}

static int wait_by_fd(struct ivshmem_ready *ready)
{
	struct pollfd poller = { .fd = ivshmem_waitset_fd(world.set), .events = POLLIN };
	int64_t end = now_ms() + PATIENCE_MS;
	int err;

	assert_true(poller.fd >= 0);
	while ((err = ivshmem_waitset_wait(world.set, ready, CHANNELS, 0)) == -EAGAIN) {
		assert_true(now_ms() < end);
		err = ivshmem_waitset_arm(world.set);
		assert_in_range(err, 0, 1);
		if (!err)
			assert_int_equal(poll(&poller, 1, PATIENCE_MS), 1);
	}
	return err;
}

static int take(struct ivshmem_channel *channel)
{
	int64_t sent, late;
	int taken = 0;

	while (ivshmem_channel_recv(channel, &sent, sizeof(sent), 0) == sizeof(sent)) {
		late = ivshmem_now() - sent;
		soak.late += late >= LATE_NS;
		soak.latest = late > soak.latest ? late : soak.latest;
		taken++;
	}
	return taken;
}

static void assert_set_is_woken(const char *how)
{
	struct ivshmem_ready ready[CHANNELS];
	int64_t left, waits = 0;
	pthread_t threads[SENDERS];
	void *result;
	int i, count;

	soak.messages = number_of("SOAK_MESSAGES", 1500);
	for (i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, send_times,
						(void *)(uintptr_t)i), 0);
	for (left = SENDERS * soak.messages; left > 0; waits++) {
		count = soak.by_fd ? wait_by_fd(ready) :
			ivshmem_waitset_wait(world.set, ready, CHANNELS, PATIENCE_MS);
		assert_in_range(count, 1, CHANNELS);
		while (count--)
			left -= take(ready[count].data);
	}
	for (i = 0; i < SENDERS; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_int_equal((intptr_t)result, 0);
	}
	print_message("# %s: %lld messages, %lld waits, the latest after %.3f ms\n", how,
		      (long long)soak.messages * SENDERS, (long long)waits,
		      (double)soak.latest / 1e6);
	assert_int_equal(soak.late, 0);
}

/* How the set has slept last. */
static unsigned int way(void)
{
	return waitset_slot(world.set)->end.processor;
}

static void set_on_a_futex_is_woken_by_each_message(void **state)
{
	open_files();
	assert_set_is_woken("futex");
	assert_int_equal(way(), WAY_FUTEX);
}

static void set_on_the_only_vector_is_woken_by_each_message(void **state)
{
	if (!open_served())
		skip_because("no command to serve");
	assert_set_is_woken("doorbell");
	assert_int_equal(way(), WAY_DOORBELL);
}

static void set_whose_server_is_gone_looks_again_in_time(void **state)
{
	if (!open_served())
		skip_because("no command to serve");
	kill(soak.server, SIGKILL);
	waitpid(soak.server, NULL, 0);
	soak.server = 0;
	assert_set_is_woken("no server");
}

/* Others under this kernel, who have no doorbell, are in the set as well. */
static void set_of_members_that_are_woken_in_different_ways_is_in_time(void **state)
{
	char path[32];
	struct ivshmem *file;

	if (!open_served())
		skip_because("no command to serve");
	ivshmem_channel_close(world.near[1]);
	ivshmem_channel_close(world.far[1]);
	world.near[1] = world.far[1] = NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ivshmem_fd(pair.left));
	file = open_region(path, 0);
	open_both(pair.left, &world.near[1], file, &world.far[1], "c1");
	ivshmem_close(file);
	assert_int_equal(ivshmem_waitset_add_channel(world.set, world.near[1], IVSHMEM_CAN_RECV, 0,
						     world.near[1]), 0);
	assert_set_is_woken("doorbell, and looking");
}

static void loop_by_futex_is_woken_by_each_message(void **state)
{
	open_files();
	soak.by_fd = true;
	assert_true(ivshmem_waitset_fd(world.set) >= 0);
	ivshmem_loop_add_futex(&world.set->loop);
	if (!world.set->loop.futex)
		skip_because("no io_uring that waits for futexes");
	assert_set_is_woken("loop, futex");
}

static void loop_by_doorbell_is_woken_by_each_message(void **state)
{
	if (!open_served())
		skip_because("no command to serve");
	soak.by_fd = true;
	assert_set_is_woken("loop, doorbell");
}

static void loop_that_nothing_wakes_looks_again_in_time(void **state)
{
	open_files();
	soak.by_fd = true;
	world.set->loop.no_futex = true;
	assert_set_is_woken("loop, timer");
}

static void descriptor_of_an_idle_set_wakes_once_in_a_second(void **state)
{
	struct pollfd poller = { .events = POLLIN };
	int64_t end = now_ms() + 3000;
	int wakes = 0;

	open_files();
	poller.fd = ivshmem_waitset_fd(world.set);
	while (now_ms() < end) {
		assert_int_equal(ivshmem_waitset_arm(world.set), 0);
		wakes += poll(&poller, 1, 3000);
	}
	assert_in_range(wakes, 1, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WAKE_TEST(set_on_a_futex_is_woken_by_each_message),
		WAKE_TEST(set_on_the_only_vector_is_woken_by_each_message),
		WAKE_TEST(set_whose_server_is_gone_looks_again_in_time),
		WAKE_TEST(set_of_members_that_are_woken_in_different_ways_is_in_time),
		WAKE_TEST(loop_by_futex_is_woken_by_each_message),
		WAKE_TEST(loop_by_doorbell_is_woken_by_each_message),
		WAKE_TEST(loop_that_nothing_wakes_looks_again_in_time),
		WAKE_TEST(descriptor_of_an_idle_set_wakes_once_in_a_second),
	};

	return run("waitset_wakeup", tests, ARRAY_SIZE(tests));
}
