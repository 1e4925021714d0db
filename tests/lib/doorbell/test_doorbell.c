// SPDX-License-Identifier: MIT
/*
 * For a guest, as root, with the module loaded: the library against the first
 * doorbell device with two vectors or more, which rings itself. Some tests unbind
 * the device for a moment: nobody else may use it meanwhile.
 */
#include "fixture.h"

#include <poll.h>
#include <pthread.h>
#include <time.h>

#define DRIVER		"/sys/bus/pci/drivers/ivshmem/"
#define PATIENCE_MS	10000

static char address[32];
static unsigned int me;
static unsigned int vectors;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static bool write_sysfs(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

static bool can_be_opened(void)
{
	struct ivshmem *shm = NULL;

	if (ivshmem_open(&shm, address, 0))
		return false;
	ivshmem_close(shm);
	return true;
}

static void bind(void)
{
	int waited_ms;

	write_sysfs(DRIVER "bind", address);
	for (waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += 10) {
		if (can_be_opened())
			return;
		poll(NULL, 0, 10);
	}
	fail_msg("%s did not get a node", address);
}

static bool take_all(struct ivshmem *shm)
{
	unsigned int vector;
	bool any = false;

	for (vector = 0; vector < vectors; vector++)
		while (ivshmem_wait(shm, vector, 0) > 0)
			any = true;
	return any;
}

/*
 * Takes what others left behind: an interrupt that nobody saw waits for the first. The
 * vectors, which may be hundreds, have one calm moment after it in common.
 */
static void drain(struct ivshmem *shm)
{
	int calm = 0;

	while (calm < 2) {
		calm = take_all(shm) ? 0 : calm + 1;
		poll(NULL, 0, 20);
	}
}

static struct ivshmem *open_doorbell(void)
{
	struct ivshmem *shm = open_region(address, 0);

	drain(shm);
	return shm;
}

/* A test that failed may have left the device without its driver. */
static int doorbell_setup(void **state)
{
	if (!can_be_opened())
		bind();
	return fixture_setup(state);
}

#define DOORBELL_TEST(name) \
	cmocka_unit_test_setup_teardown(name, doorbell_setup, fixture_teardown)

static void facts_agree_with_sysfs(void **state)
{
	struct ivshmem *shm = open_region(address, 0);
	const char *name = strrchr(ivshmem_path(shm), '/') + 1;
	static const char * const attributes[] = { "peer_id", "vectors" };
	int values[] = { ivshmem_peer_id(shm), ivshmem_vectors(shm) };
	char path[PATH_MAX];
	int value = -1;
	size_t i;
	FILE *file;

	assert_int_equal(ivshmem_kind(shm), IVSHMEM_DOORBELL);
	for (i = 0; i < ARRAY_SIZE(attributes); i++) {
		snprintf(path, sizeof(path), "/sys/class/ivshmem/%s/%s", name, attributes[i]);
		file = fopen(path, "re");
		assert_non_null(file);
		assert_int_equal(fscanf(file, "%d", &value), 1);
		assert_int_equal(value, values[i]);
		fclose(file);
	}
	ivshmem_close(shm);
}

static void each_vector_is_rung_by_itself(void **state)
{
	struct ivshmem *shm = open_doorbell();
	unsigned int rung, vector;

	for (rung = 0; rung < vectors; rung++) {
		assert_int_equal(ivshmem_notify(shm, me, rung), 0);
		assert_in_range(ivshmem_wait(shm, rung, PATIENCE_MS), 1, INT_MAX);
		for (vector = 0; vector < vectors; vector++)
			assert_int_equal(ivshmem_wait(shm, vector, 0), -ETIMEDOUT);
	}
	ivshmem_close(shm);
}

static void every_ring_that_is_waited_for_comes(void **state)
{
	struct ivshmem *shm = open_doorbell();
	int i;

	for (i = 0; i < 1000; i++) {
		assert_int_equal(ivshmem_notify(shm, me, 0), 0);
		assert_in_range(ivshmem_wait(shm, 0, PATIENCE_MS), 1, INT_MAX);
	}
	ivshmem_close(shm);
}

static void rings_may_merge_but_never_multiply(void **state)
{
	struct ivshmem *shm = open_doorbell();
	int i, taken, total = 0;

	for (i = 0; i < 100; i++)
		assert_int_equal(ivshmem_notify(shm, me, 1), 0);
	for (; (taken = ivshmem_wait(shm, 1, 200)) > 0; total += taken)
		;
	assert_int_equal(taken, -ETIMEDOUT);
	assert_in_range(total, 1, 100);
	ivshmem_close(shm);
}

static void ring_before_anybody_bound_is_not_lost(void **state)
{
	struct ivshmem *shm = open_doorbell();

	ivshmem_close(shm);
	shm = open_region(address, 0);
	assert_int_equal(ivshmem_notify(shm, me, 1), 0);
	poll(NULL, 0, 100);
	assert_in_range(ivshmem_wait(shm, 1, PATIENCE_MS), 1, INT_MAX);
	ivshmem_close(shm);
}

static void wait_ends_in_time(void **state)
{
	struct ivshmem *shm = open_doorbell();
	int64_t start = now_ms();

	assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
	assert_int_equal(ivshmem_wait(shm, 0, 200), -ETIMEDOUT);
	assert_in_range(now_ms() - start, 199, PATIENCE_MS);
	ivshmem_close(shm);
}

static void busy_poll_takes_every_ring(void **state)
{
	struct ivshmem *shm = open_doorbell();
	int i;

	assert_int_equal(ivshmem_set_busy_poll(shm, 1000 * PATIENCE_MS), 0);
	for (i = 0; i < 1000; i++) {
		assert_int_equal(ivshmem_notify(shm, me, 0), 0);
		assert_in_range(ivshmem_wait(shm, 0, PATIENCE_MS), 1, INT_MAX);
	}
	assert_int_equal(ivshmem_wait(shm, 0, 200), -ETIMEDOUT);
	ivshmem_close(shm);
}

static void event_fd_can_be_polled(void **state)
{
	struct ivshmem *shm = open_doorbell();
	struct pollfd poller = { .fd = ivshmem_event_fd(shm, 0), .events = POLLIN };
	uint64_t count = 0;

	assert_true(poller.fd >= 0);
	assert_int_equal(ivshmem_event_fd(shm, 0), poller.fd);
	assert_true(fcntl(poller.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(poller.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(poll(&poller, 1, 0), 0);
	assert_int_equal(ivshmem_notify(shm, me, 0), 0);
	assert_int_equal(poll(&poller, 1, PATIENCE_MS), 1);
	assert_int_equal(poller.revents, POLLIN);
	assert_int_equal(read(poller.fd, &count, sizeof(count)), sizeof(count));
	assert_true(count >= 1);
	assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
	ivshmem_close(shm);
}

static void two_handles_both_see_a_ring(void **state)
{
	struct ivshmem *first = open_doorbell(), *second = open_doorbell();

	assert_int_equal(ivshmem_notify(first, me, 1), 0);
	assert_in_range(ivshmem_wait(first, 1, PATIENCE_MS), 1, INT_MAX);
	assert_in_range(ivshmem_wait(second, 1, PATIENCE_MS), 1, INT_MAX);
	ivshmem_close(first);
	assert_int_equal(ivshmem_notify(second, me, 1), 0);
	assert_in_range(ivshmem_wait(second, 1, PATIENCE_MS), 1, INT_MAX);
	ivshmem_close(second);
}

static void wrong_vector_fails_einval(void **state)
{
	struct ivshmem *shm = open_region(address, 0);

	assert_int_equal(ivshmem_event_fd(shm, vectors), -EINVAL);
	assert_int_equal(ivshmem_wait(shm, vectors, 0), -EINVAL);
	assert_int_equal(ivshmem_wait(shm, UINT_MAX, 0), -EINVAL);
	assert_int_equal(ivshmem_notify(shm, me, 256), -EINVAL);
	assert_int_equal(ivshmem_notify(shm, 65536, 0), -EINVAL);
	ivshmem_close(shm);
}

/* The device cannot tell. */
static void ring_of_nobody_succeeds(void **state)
{
	struct ivshmem *shm = open_doorbell();

	assert_int_equal(ivshmem_notify(shm, me ^ 0x8000, 0), 0);
	assert_int_equal(ivshmem_notify(shm, me, 255), 0);
	assert_int_equal(ivshmem_wait(shm, 0, 50), -ETIMEDOUT);
	ivshmem_close(shm);
}

static void table_of_peers_fails_enotsup(void **state)
{
	struct ivshmem *shm = open_region(address, 0);
	enum ivshmem_peer_change change;
	unsigned int peer;

	assert_int_equal(ivshmem_peers(shm, NULL, 0), -ENOTSUP);
	assert_int_equal(ivshmem_peer_vectors(shm, me), -ENOTSUP);
	assert_int_equal(ivshmem_peer_fd(shm), -ENOTSUP);
	assert_int_equal(ivshmem_peer_next(shm, -1, &change, &peer), -ENOTSUP);
	ivshmem_close(shm);
}

static void *wait_for_ever(void *shm)
{
	return (void *)(intptr_t)ivshmem_wait(shm, 1, -1);
}

static void assert_unbind_wakes_a_waiter(struct ivshmem *shm)
{
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, shm), 0);
	poll(NULL, 0, 200);
	assert_true(write_sysfs(DRIVER "unbind", address));
	alarm(PATIENCE_MS / 1000);
	pthread_join(thread, &result);
	alarm(0);
	assert_int_equal((intptr_t)result, -ENODEV);
	ivshmem_close(shm);
	bind();
}

static void unbind_wakes_a_waiter_with_enodev(void **state)
{
	assert_unbind_wakes_a_waiter(open_doorbell());
}

static void unbind_ends_a_busy_poll_with_enodev(void **state)
{
	struct ivshmem *shm = open_doorbell();

	assert_int_equal(ivshmem_set_busy_poll(shm, 2000 * PATIENCE_MS), 0);
	assert_unbind_wakes_a_waiter(shm);
}

/* Nor does a ring that came before hide it. */
static void unbound_device_tells_enodev(void **state)
{
	struct ivshmem *shm = open_doorbell(), *fresh = open_region(address, 0);
	struct pollfd poller = { .fd = ivshmem_event_fd(shm, 0), .events = POLLIN };

	assert_int_equal(ivshmem_notify(shm, me, 0), 0);
	assert_int_equal(poll(&poller, 1, PATIENCE_MS), 1);
	assert_true(write_sysfs(DRIVER "unbind", address));
	assert_int_equal(poll(&poller, 1, 0), 1);
	assert_int_equal(ivshmem_wait(shm, 0, 0), -ENODEV);
	assert_int_equal(ivshmem_wait(shm, 0, -1), -ENODEV);
	assert_int_equal(ivshmem_wait(shm, 1, -1), -ENODEV);
	assert_int_equal(ivshmem_notify(shm, me, 0), -ENODEV);
	assert_int_equal(ivshmem_peer_id(shm), -ENODEV);
	assert_int_equal(ivshmem_event_fd(fresh, 0), -ENODEV);
	assert_int_equal(ivshmem_wait(fresh, 0, 0), -ENODEV);
	assert_int_equal(ivshmem_vectors(shm), vectors);
	ivshmem_close(shm);
	ivshmem_close(fresh);
	bind();
}

static void rebound_device_rings_again(void **state)
{
	struct ivshmem *shm;

	assert_true(write_sysfs(DRIVER "unbind", address));
	bind();
	shm = open_doorbell();
	assert_int_equal(ivshmem_peer_id(shm), me);
	assert_int_equal(ivshmem_vectors(shm), vectors);
	assert_int_equal(ivshmem_notify(shm, me, 1), 0);
	assert_in_range(ivshmem_wait(shm, 1, PATIENCE_MS), 1, INT_MAX);
	ivshmem_close(shm);
}

static bool take_facts(const struct ivshmem_device *device)
{
	struct ivshmem *shm = NULL;

	snprintf(address, sizeof(address), "%s", ivshmem_device_address(device));
	if (ivshmem_open(&shm, address, 0))
		return false;
	if (ivshmem_vectors(shm) >= 2) {
		vectors = (unsigned int)ivshmem_vectors(shm);
		me = (unsigned int)ivshmem_peer_id(shm);
	}
	ivshmem_close(shm);
	return vectors;
}

static bool choose_device(void)
{
	const struct ivshmem_device *device;
	struct ivshmem_device_list *list;
	size_t i;

	if (ivshmem_list(&list))
		return false;
	for (i = 0; (device = ivshmem_list_get(list, i)); i++)
		if (ivshmem_device_node(device) && take_facts(device))
			break;
	ivshmem_list_free(list);
	return vectors;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DOORBELL_TEST(facts_agree_with_sysfs),
		DOORBELL_TEST(each_vector_is_rung_by_itself),
		DOORBELL_TEST(every_ring_that_is_waited_for_comes),
		DOORBELL_TEST(rings_may_merge_but_never_multiply),
		DOORBELL_TEST(ring_before_anybody_bound_is_not_lost),
		DOORBELL_TEST(wait_ends_in_time),
		DOORBELL_TEST(busy_poll_takes_every_ring),
		DOORBELL_TEST(event_fd_can_be_polled),
		DOORBELL_TEST(two_handles_both_see_a_ring),
		DOORBELL_TEST(wrong_vector_fails_einval),
		DOORBELL_TEST(ring_of_nobody_succeeds),
		DOORBELL_TEST(table_of_peers_fails_enotsup),
		DOORBELL_TEST(unbind_wakes_a_waiter_with_enodev),
		DOORBELL_TEST(unbind_ends_a_busy_poll_with_enodev),
		DOORBELL_TEST(unbound_device_tells_enodev),
		DOORBELL_TEST(rebound_device_rings_again),
	};

	if (getuid() || !choose_device()) {
		printf("1..0 # SKIP %s\n", getuid() ? "needs root" :
		       "no /dev/ivshmem0 of a doorbell device with two vectors");
		return 0;
	}
	return run("doorbell", tests, ARRAY_SIZE(tests));
}
