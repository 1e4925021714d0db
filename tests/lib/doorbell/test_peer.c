// SPDX-License-Identifier: MIT
/* What a peer does once it was introduced: ring, wait, and follow the table. */
#include "fake_server.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#define LATE_MS	20000	/* on a busy machine what is at once may take long */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* The rings of an eventfd, taken; 0 where there are none. */
static uint64_t rings_of(int event)
{
	struct pollfd poller = { .fd = event, .events = POLLIN };
	uint64_t count;

	if (!poll(&poller, 1, 0))
		return 0;
	assert_int_equal(read(event, &count, sizeof(count)), sizeof(count));
	return count;
}

static void ring(int event, uint64_t count)
{
	assert_int_equal(write(event, &count, sizeof(count)), sizeof(count));
}

static void assert_next(struct ivshmem *shm, enum ivshmem_peer_change change, unsigned int id)
{
	enum ivshmem_peer_change seen = 99;
	unsigned int peer = 99999;

	assert_int_equal(ivshmem_peer_next(shm, LATE_MS, &seen, &peer), 0);
	assert_int_equal(seen, change);
	assert_int_equal(peer, id);
}

static void assert_next_fails(struct ivshmem *shm, int timeout_ms, int err)
{
	enum ivshmem_peer_change change = 99;
	unsigned int peer = 99999;

	assert_int_equal(ivshmem_peer_next(shm, timeout_ms, &change, &peer), err);
	assert_int_equal(change, 99);
	assert_int_equal(peer, 99999);
}

static void assert_peers(struct ivshmem *shm, const uint16_t *expected, int count)
{
	uint16_t ids[16];

	assert_int_equal(ivshmem_peers(shm, ids, ARRAY_SIZE(ids)), count);
	assert_memory_equal(ids, expected, (size_t)count * sizeof(*ids));
}

static bool is_readable(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, 0) == 1 && poller.revents & POLLIN;
}

/* --- ringing --- */

static void notify_reaches_each_vector_of_each_peer(void **state)
{
	int events[2][2] = { { make_event(), make_event() }, { make_event(), make_event() } };
	struct ivshmem *shm;
	int peer, vector;

	say_hello(make_region(MIB));
	for (peer = 0; peer < 2; peer++)
		for (vector = 0; vector < 2; vector++)
			say(peer, events[peer][vector]);
	say_vectors(ME, 1);
	shm = join(0);
	for (peer = 0; peer < 2; peer++) {
		for (vector = 0; vector < 2; vector++) {
			assert_int_equal(ivshmem_notify(shm, (unsigned int)peer,
							(unsigned int)vector), 0);
			assert_int_equal(rings_of(events[peer][vector]), 1);
			assert_int_equal(rings_of(events[0][0]) + rings_of(events[0][1]) +
					 rings_of(events[1][0]) + rings_of(events[1][1]), 0);
		}
	}
	ivshmem_close(shm);
}

static void notify_adds_up(void **state)
{
	int event = make_event();
	struct ivshmem *shm;
	int i;

	say_hello(make_region(MIB));
	say(3, event);
	say_vectors(ME, 1);
	shm = join(0);
	for (i = 0; i < 1000; i++)
		assert_int_equal(ivshmem_notify(shm, 3, 0), 0);
	assert_int_equal(rings_of(event), 1000);
	ivshmem_close(shm);
}

static void notify_of_myself_rings_me(void **state)
{
	struct ivshmem *shm = join_alone(2);

	assert_int_equal(ivshmem_peer_vectors(shm, ME), 2);
	assert_int_equal(ivshmem_notify(shm, ME, 1), 0);
	assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
	assert_int_equal(ivshmem_wait(shm, 1, 0), 1);
	ivshmem_close(shm);
}

static void notify_of_nobody_fails_enxio(void **state)
{
	struct ivshmem *shm;

	say_hello(make_region(MIB));
	say_vectors(3, 2);
	say_vectors(ME, 1);
	shm = join(0);
	assert_int_equal(ivshmem_notify(shm, 3, 2), -ENXIO);
	assert_int_equal(ivshmem_notify(shm, 3, 255), -ENXIO);
	assert_int_equal(ivshmem_notify(shm, 2, 0), -ENXIO);
	assert_int_equal(ivshmem_notify(shm, 65535, 0), -ENXIO);
	assert_int_equal(ivshmem_notify(shm, ME, 1), -ENXIO);
	assert_int_equal(ivshmem_notify(shm, 3, 1), 0);
	ivshmem_close(shm);
}

static void notify_out_of_range_fails_einval(void **state)
{
	struct ivshmem *shm = join_alone(1);

	assert_int_equal(ivshmem_notify(shm, 65536, 0), -EINVAL);
	assert_int_equal(ivshmem_notify(shm, 65536 + ME, 0), -EINVAL);
	assert_int_equal(ivshmem_notify(shm, UINT_MAX, 0), -EINVAL);
	assert_int_equal(ivshmem_notify(shm, ME, 256), -EINVAL);
	assert_int_equal(ivshmem_notify(shm, ME, UINT_MAX), -EINVAL);
	ivshmem_close(shm);
}

/* Not even where the server has made the eventfd a blocking one again. */
static void notify_of_full_counter_succeeds_without_waiting(void **state)
{
	int event = make_event();
	struct ivshmem *shm;

	say_hello(make_region(MIB));
	say(3, event);
	say_vectors(ME, 1);
	shm = join(0);
	ring(event, UINT64_MAX - 1);
	alarm(5);
	assert_int_equal(ivshmem_notify(shm, 3, 0), 0);
	assert_int_equal(fcntl(event, F_SETFL, fcntl(event, F_GETFL) & ~O_NONBLOCK), 0);
	assert_int_equal(ivshmem_notify(shm, 3, 0), 0);
	alarm(0);
	assert_true(rings_of(event) == UINT64_MAX - 1);
	assert_int_equal(ivshmem_notify(shm, 3, 0), 0);
	assert_int_equal(rings_of(event), 1);
	ivshmem_close(shm);
}

/* --- waiting --- */

static void wait_takes_all_rings_together(void **state)
{
	int event = make_event();
	struct ivshmem *shm;

	say_hello(make_region(MIB));
	say(ME, event);
	shm = join(0);
	ring(event, 1);
	ring(event, 2);
	assert_int_equal(ivshmem_wait(shm, 0, -1), 3);
	assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
	ring(event, UINT64_MAX - 1);
	assert_int_equal(ivshmem_wait(shm, 0, 0), INT_MAX);
	ring(event, 1ull << 32);
	assert_int_equal(ivshmem_wait(shm, 0, 0), INT_MAX);
	assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
	ivshmem_close(shm);
}

static void wait_ends_in_time(void **state)
{
	struct ivshmem *shm = join_alone(1);
	int64_t start = now_ms();

	assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
	assert_in_range(now_ms() - start, 0, LATE_MS);
	start = now_ms();
	assert_int_equal(ivshmem_wait(shm, 0, 100), -ETIMEDOUT);
	assert_in_range(now_ms() - start, 99, LATE_MS);
	ivshmem_close(shm);
}

static void *ring_later(void *event)
{
	poll(NULL, 0, 50);
	ring(*(int *)event, 1);
	return NULL;
}

static void wait_is_woken_by_a_ring(void **state)
{
	int event = make_event();
	int64_t start = now_ms();
	struct ivshmem *shm;
	pthread_t thread;

	say_hello(make_region(MIB));
	say(ME, event);
	shm = join(0);
	assert_int_equal(pthread_create(&thread, NULL, ring_later, &event), 0);
	assert_int_equal(ivshmem_wait(shm, 0, -1), 1);
	assert_in_range(now_ms() - start, 50, LATE_MS);
	pthread_join(thread, NULL);
	ivshmem_close(shm);
}

static void do_nothing(int signal)
{
}

static void wait_is_ended_by_a_signal(void **state)
{
	const struct itimerval often = { { 0, 20000 }, { 0, 20000 } };
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };
	const struct sigaction action = { .sa_handler = do_nothing };
	struct ivshmem *shm = join_alone(1);
	struct sigaction old;

	sigaction(SIGALRM, &action, &old);
	setitimer(ITIMER_REAL, &often, NULL);
	assert_int_equal(ivshmem_wait(shm, 0, 5000), -EINTR);
	assert_next_fails(shm, 5000, -EINTR);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
	ivshmem_close(shm);
}

static int64_t processor_ms(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return used.tv_sec * 1000ll + used.tv_nsec / 1000000;
}

static void busy_poll_takes_a_ring(void **state)
{
	int event = make_event();
	struct ivshmem *shm;
	pthread_t thread;

	say_hello(make_region(MIB));
	say(ME, event);
	shm = join(0);
	assert_int_equal(ivshmem_set_busy_poll(shm, 5000000), 0);
	assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
	ring(event, 3);
	assert_int_equal(ivshmem_wait(shm, 0, 0), 3);
	assert_int_equal(pthread_create(&thread, NULL, ring_later, &event), 0);
	assert_int_equal(ivshmem_wait(shm, 0, -1), 1);
	pthread_join(thread, NULL);
	ivshmem_close(shm);
}

/* How often the thread has slept. */
static long sleeps(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_nvcsw;
}

/*
 * And then sleeps: as long as there is nothing, the processor is not used. A guest
 * counts as used what its host took away meanwhile, so the bounds are far apart.
 */
static void busy_poll_lasts_as_long_as_set(void **state)
{
	struct ivshmem *shm = join_alone(1);
	int64_t start = now_ms(), used = processor_ms();
	long slept = sleeps();

	assert_int_equal(ivshmem_set_busy_poll(shm, 100000), 0);
	assert_int_equal(ivshmem_wait(shm, 0, 600), -ETIMEDOUT);
	assert_in_range(now_ms() - start, 599, LATE_MS);
	assert_in_range(processor_ms() - used, 1, 400);
	assert_in_range(sleeps(), slept + 1, LONG_MAX);
	assert_int_equal(ivshmem_set_busy_poll(shm, 0), 0);
	used = processor_ms();
	slept = sleeps();
	assert_int_equal(ivshmem_wait(shm, 0, 600), -ETIMEDOUT);
	assert_in_range(processor_ms() - used, 0, 300);
	assert_in_range(sleeps(), slept + 1, LONG_MAX);
	ivshmem_close(shm);
}

static void busy_poll_is_never_longer_than_the_timeout(void **state)
{
	struct ivshmem *shm = join_alone(1);
	int64_t start = now_ms();

	assert_int_equal(ivshmem_set_busy_poll(shm, UINT_MAX), 0);
	assert_int_equal(ivshmem_wait(shm, 0, 100), -ETIMEDOUT);
	assert_in_range(now_ms() - start, 99, LATE_MS);
	ivshmem_close(shm);
}

/* The server, and all peers, may change what all of them have. */
static void wait_for_blocking_eventfd_ends_in_time(void **state)
{
	struct ivshmem *shm = join_alone(1);
	int event = ivshmem_event_fd(shm, 0);

	assert_int_equal(fcntl(event, F_SETFL, fcntl(event, F_GETFL) & ~O_NONBLOCK), 0);
	assert_int_equal(ivshmem_set_busy_poll(shm, 1000), 0);
	alarm(5);
	assert_int_equal(ivshmem_wait(shm, 0, 100), -ETIMEDOUT);
	alarm(0);
	assert_int_equal(ivshmem_notify(shm, ME, 0), 0);
	assert_int_equal(ivshmem_wait(shm, 0, 100), 1);
	ivshmem_close(shm);
}

static void wait_for_wrong_vector_fails_einval(void **state)
{
	struct ivshmem *shm = join_alone(2);

	assert_int_equal(ivshmem_wait(shm, 2, 0), -EINVAL);
	assert_int_equal(ivshmem_wait(shm, UINT_MAX, 0), -EINVAL);
	assert_int_equal(ivshmem_event_fd(shm, 2), -EINVAL);
	assert_int_equal(ivshmem_event_fd(shm, UINT_MAX), -EINVAL);
	ivshmem_close(shm);
}

static void event_fd_is_readable_once_rung(void **state)
{
	struct ivshmem *shm = join_alone(2);
	int event = ivshmem_event_fd(shm, 1);

	assert_true(event >= 0);
	assert_int_equal(ivshmem_event_fd(shm, 1), event);
	assert_int_not_equal(ivshmem_event_fd(shm, 0), event);
	assert_false(is_readable(event));
	assert_int_equal(ivshmem_notify(shm, ME, 1), 0);
	assert_true(is_readable(event));
	assert_false(is_readable(ivshmem_event_fd(shm, 0)));
	assert_int_equal(ivshmem_wait(shm, 1, 0), 1);
	assert_false(is_readable(event));
	ivshmem_close(shm);
}

struct exchange {
	struct ivshmem *shm;
	uint64_t *value;
	unsigned int rounds;
};

static void *answer(void *data)
{
	struct exchange *exchange = data;
	unsigned int i;

	for (i = 0; i < exchange->rounds; i++) {
		if (ivshmem_wait(exchange->shm, 0, 5000) < 1)
			return NULL;
		__atomic_store_n(&exchange->value[1],
				 __atomic_load_n(&exchange->value[0], __ATOMIC_RELAXED),
				 __ATOMIC_RELAXED);
		ivshmem_notify(exchange->shm, ME, 1);
	}
	return exchange;
}

static void stores_are_visible_with_the_ring(void **state)
{
	struct exchange exchange = { .rounds = 2000 };
	pthread_t thread;
	void *done;
	uint64_t i;

	exchange.shm = join_alone(2);
	assert_int_equal(ivshmem_map(exchange.shm), 0);
	exchange.value = ivshmem_data(exchange.shm);
	assert_int_equal(pthread_create(&thread, NULL, answer, &exchange), 0);
	for (i = 1; i <= exchange.rounds; i++) {
		__atomic_store_n(&exchange.value[0], i, __ATOMIC_RELAXED);
		assert_int_equal(ivshmem_notify(exchange.shm, ME, 0), 0);
		assert_int_equal(ivshmem_wait(exchange.shm, 1, 5000), 1);
		assert_true(__atomic_load_n(&exchange.value[1], __ATOMIC_RELAXED) == i);
	}
	pthread_join(thread, &done);
	assert_ptr_equal(done, &exchange);
	ivshmem_close(exchange.shm);
}

/* --- peers that come and go --- */

static void join_and_leave_are_told_in_order(void **state)
{
	struct ivshmem *shm;

	say_hello(make_region(MIB));
	say_vectors(9, 1);
	say_vectors(ME, 1);
	shm = join(0);
	say_vectors(3, 1);
	say_vectors(12, 1);
	say(9, NO_FD);
	say(12, NO_FD);
	tell_all();
	assert_peers(shm, (uint16_t[]){ 9 }, 1);	/* nothing was taken yet */
	assert_true(is_readable(ivshmem_peer_fd(shm)));
	assert_next(shm, IVSHMEM_PEER_JOINED, 3);
	assert_peers(shm, (uint16_t[]){ 3, 9 }, 2);
	assert_next(shm, IVSHMEM_PEER_JOINED, 12);
	assert_peers(shm, (uint16_t[]){ 3, 9, 12 }, 3);
	assert_next(shm, IVSHMEM_PEER_LEFT, 9);
	assert_peers(shm, (uint16_t[]){ 3, 12 }, 2);
	assert_next(shm, IVSHMEM_PEER_LEFT, 12);
	assert_peers(shm, (uint16_t[]){ 3 }, 1);
	assert_next_fails(shm, 0, -ETIMEDOUT);
	assert_false(is_readable(ivshmem_peer_fd(shm)));
	ivshmem_close(shm);
}

static void peers_counts_beyond_the_room(void **state)
{
	uint16_t ids[2] = { 0, 0xffff };
	struct ivshmem *shm;

	say_hello(make_region(MIB));
	say_vectors(3, 1);
	say_vectors(4, 1);
	say_vectors(ME, 1);
	shm = join(0);
	assert_int_equal(ivshmem_peers(shm, ids, 1), 2);
	assert_int_equal(ids[0], 3);
	assert_int_equal(ids[1], 0xffff);
	assert_int_equal(ivshmem_peers(shm, NULL, 0), 2);
	assert_int_equal(ivshmem_peers(shm, NULL, 1), -EINVAL);
	ivshmem_close(shm);
}

static void joined_peer_has_all_its_vectors(void **state)
{
	struct ivshmem *shm = join_alone(3);

	say_vectors(4, 3);
	say_vectors(5, 3);
	tell_all();
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	assert_int_equal(ivshmem_peer_vectors(shm, 4), 3);
	assert_next(shm, IVSHMEM_PEER_JOINED, 5);
	assert_int_equal(ivshmem_peer_vectors(shm, 5), 3);
	ivshmem_close(shm);
}

/* Its leave looks like one more vector, but for the descriptor, and so does another's join. */
static void joined_peer_with_fewer_vectors_may_leave_at_once(void **state)
{
	struct ivshmem *shm = join_alone(3);

	say_vectors(4, 2);
	say(4, NO_FD);
	say_vectors(4, 1);
	tell_all();
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	assert_next(shm, IVSHMEM_PEER_LEFT, 4);
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	assert_int_equal(ivshmem_peer_vectors(shm, 4), 1);
	assert_next_fails(shm, 0, -ETIMEDOUT);
	ivshmem_close(shm);
}

/* The message that it is back looks like one of the vectors that are waited for. */
static void peer_that_comes_back_while_its_vectors_are_awaited_has_left(void **state)
{
	struct ivshmem *shm = join_alone(2);

	say(4, make_event());
	say(4, NO_FD);
	say(4, make_event());
	tell_all();
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	assert_next(shm, IVSHMEM_PEER_LEFT, 4);
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	assert_int_equal(ivshmem_peer_vectors(shm, 4), 1);
	ivshmem_close(shm);
}

static void further_vectors_of_a_joined_peer_follow(void **state)
{
	struct ivshmem *shm = join_alone(1);

	say_vectors(4, 3);
	tell_all();
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	assert_int_equal(ivshmem_peer_vectors(shm, 4), 1);
	assert_next_fails(shm, 0, -ETIMEDOUT);
	assert_int_equal(ivshmem_peer_vectors(shm, 4), 3);
	ivshmem_close(shm);
}

static void late_own_vectors_are_taken(void **state)
{
	struct ivshmem *shm = join_alone(1);
	int event = make_event();

	tell(ME, event);
	assert_int_equal(ivshmem_vectors(shm), 1);
	assert_next_fails(shm, 100, -ETIMEDOUT);
	assert_int_equal(ivshmem_vectors(shm), 2);
	ring(event, 1);
	assert_int_equal(ivshmem_wait(shm, 1, 0), 1);
	ivshmem_close(shm);
}

static void left_peer_cannot_be_rung(void **state)
{
	struct ivshmem *shm;
	int event = make_event();

	say_hello(make_region(MIB));
	say(3, event);
	say_vectors(ME, 1);
	shm = join(0);
	tell(3, NO_FD);
	assert_next(shm, IVSHMEM_PEER_LEFT, 3);
	assert_int_equal(ivshmem_notify(shm, 3, 0), -ENXIO);
	assert_int_equal(ivshmem_peer_vectors(shm, 3), -ENXIO);
	assert_int_equal(rings_of(event), 0);
	ivshmem_close(shm);
}

static void id_that_is_used_again_is_another_peer(void **state)
{
	int old = make_event(), new = make_event();
	struct ivshmem *shm;

	say_hello(make_region(MIB));
	say(3, old);
	say_vectors(ME, 1);
	shm = join(0);
	say(3, NO_FD);
	say(3, new);
	tell_all();
	assert_next(shm, IVSHMEM_PEER_LEFT, 3);
	assert_next(shm, IVSHMEM_PEER_JOINED, 3);
	assert_int_equal(ivshmem_peer_vectors(shm, 3), 1);
	assert_int_equal(ivshmem_notify(shm, 3, 0), 0);
	assert_int_equal(rings_of(old), 0);
	assert_int_equal(rings_of(new), 1);
	ivshmem_close(shm);
}

static void join_in_pieces_is_told_once_whole(void **state)
{
	const uint64_t id = htole64(4);
	struct ivshmem *shm = join_alone(1);

	tell_bytes(&id, 3, make_event());
	assert_next_fails(shm, 10, -ETIMEDOUT);
	assert_peers(shm, NULL, 0);
	tell_bytes((const char *)&id + 3, 4, NO_FD);
	assert_next_fails(shm, 10, -ETIMEDOUT);
	tell_bytes((const char *)&id + 7, 1, NO_FD);
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	ivshmem_close(shm);
}

static void half_a_join_is_no_leak(void **state)
{
	struct ivshmem *shm = join_alone(1);

	tell_bytes("\4", 1, make_event());
	assert_next_fails(shm, 10, -ETIMEDOUT);
	ivshmem_close(shm);
}

static void next_waits_for_a_join(void **state)
{
	enum ivshmem_peer_change change;
	struct ivshmem *shm = join_alone(1);
	int64_t start = now_ms();
	unsigned int peer;

	assert_next_fails(shm, 100, -ETIMEDOUT);
	assert_in_range(now_ms() - start, 99, LATE_MS);
	tell(4, make_event());
	assert_int_equal(ivshmem_peer_next(shm, -1, &change, &peer), 0);
	ivshmem_close(shm);
}

static void next_without_free_descriptor_loses_nothing(void **state)
{
	struct ivshmem *shm = join_alone(1);
	struct rlimit old, limit;
	int spare;

	tell(4, make_event());
	spare = dup(0);
	close(spare);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit = old;
	limit.rlim_cur = (rlim_t)spare;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_next_fails(shm, 0, -EMFILE);
	assert_next_fails(shm, 0, -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	assert_int_equal(ivshmem_notify(shm, 4, 0), 0);
	ivshmem_close(shm);
}

/* --- the end of the connection --- */

static void assert_ended(struct ivshmem *shm, int err)
{
	assert_next_fails(shm, LATE_MS, err);
	assert_next_fails(shm, 0, err);
	assert_next_fails(shm, -1, err);
	assert_int_equal(ivshmem_peer_fd(shm), err);
}

static struct ivshmem *join_with_peer_3(int event)
{
	say_hello(make_region(MIB));
	say(3, event);
	say_vectors(ME, 1);
	return join(0);
}

static void assert_all_else_works(struct ivshmem *shm, int event)
{
	assert_peers(shm, (uint16_t[]){ 3 }, 1);
	assert_int_equal(ivshmem_notify(shm, 3, 0), 0);
	assert_int_equal(rings_of(event), 1);
	assert_int_equal(ivshmem_notify(shm, ME, 0), 0);
	assert_int_equal(ivshmem_wait(shm, 0, 0), 1);
	assert_int_equal(ivshmem_check(shm), -ECONNRESET);
	assert_int_equal(ivshmem_map(shm), 0);
	memset(ivshmem_data(shm), 1, ivshmem_size(shm));
	assert_int_equal(ivshmem_sync(shm), 0);
}

static void server_that_goes_takes_nothing_along(void **state)
{
	int event = make_event();
	struct ivshmem *shm = join_with_peer_3(event);

	hang_up();
	assert_true(is_readable(ivshmem_peer_fd(shm)));
	assert_ended(shm, -ECONNRESET);
	assert_all_else_works(shm, event);
	ivshmem_close(shm);
}

static void last_words_of_a_server_are_heard(void **state)
{
	int event = make_event();
	struct ivshmem *shm = join_with_peer_3(event);

	say_vectors(4, 1);
	say(4, NO_FD);
	tell_all();
	hang_up();
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	assert_next(shm, IVSHMEM_PEER_LEFT, 4);
	assert_ended(shm, -ECONNRESET);
	assert_all_else_works(shm, event);
	ivshmem_close(shm);
}

static void last_join_of_a_server_is_heard(void **state)
{
	struct ivshmem *shm = join_alone(3);

	say_vectors(4, 1);
	tell_all();
	hang_up();
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	assert_ended(shm, -ECONNRESET);
	assert_int_equal(ivshmem_notify(shm, 4, 0), 0);
	ivshmem_close(shm);
}

static void say_leave_of_nobody(void)
{
	say(5, NO_FD);
}

static void say_leave_of_myself(void)
{
	say(ME, NO_FD);
}

static void say_region_again(void)
{
	say(-1, make_region(MIB));
}

static void say_end_of_a_message(void)
{
	add_fd(add_step("\5\0\0", 3), make_event());
}

static void say_two_fds(void)
{
	say(5, make_event());
	add_fd(&server.steps[server.step_count - 1], make_event());
}

static void say_file_as_vector(void)
{
	say(5, make_region(MIB));
}

static void say_too_high_an_id(void)
{
	say(1ll << 32 | 5, make_event());
}

static void server_that_breaks_the_protocol_takes_nothing_along(void **state)
{
	static void (*const scripts[])(void) = {
		say_leave_of_nobody, say_leave_of_myself, say_region_again,
		say_end_of_a_message, say_two_fds, say_file_as_vector, say_too_high_an_id,
	};
	struct ivshmem *shm;
	int event, before;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(scripts); i++) {
		before = count_descriptors();
		event = make_event();
		shm = join_with_peer_3(event);
		say(4, make_event());
		say(4, NO_FD);
		scripts[i]();
		tell_all();
		hang_up();
		assert_next(shm, IVSHMEM_PEER_JOINED, 4);
		assert_next(shm, IVSHMEM_PEER_LEFT, 4);
		assert_ended(shm, -EPROTO);
		assert_all_else_works(shm, event);
		ivshmem_close(shm);
		stop_server();
		assert_int_equal(count_descriptors(), before);
	}
}

static void shrunken_region_fails_estale(void **state)
{
	int region = make_region(MIB);
	struct ivshmem *shm;

	say_hello(region);
	say_vectors(ME, 1);
	shm = join(0);
	assert_int_equal(ivshmem_map(shm), 0);
	hang_up();
	assert_int_equal(ivshmem_check(shm), -ECONNRESET);
	assert_int_equal(ftruncate(region, MIB / 2), 0);
	assert_int_equal(ivshmem_check(shm), -ESTALE);
	assert_int_equal(ivshmem_sync(shm), -ESTALE);
	ivshmem_close(shm);
}

static void check_tells_that_the_server_has_ended(void **state)
{
	struct ivshmem *shm = join_alone(1);

	assert_int_equal(ivshmem_check(shm), 0);
	hang_up();
	assert_int_equal(ivshmem_check(shm), -ECONNRESET);
	assert_int_equal(ivshmem_check(shm), -ECONNRESET);
	ivshmem_close(shm);
}

static void end_is_told_once_on_each_vector(void **state)
{
	struct ivshmem *shm = join_alone(2);
	unsigned int vector;

	assert_int_equal(ivshmem_notify(shm, ME, 0), 0);
	hang_up();
	assert_int_equal(ivshmem_wait(shm, 0, -1), 1);	/* a ring comes first */
	for (vector = 0; vector < 2; vector++) {
		assert_int_equal(ivshmem_wait(shm, vector, -1), -ECONNRESET);
		assert_int_equal(ivshmem_wait(shm, vector, 10), -ETIMEDOUT);
		assert_int_equal(ivshmem_notify(shm, ME, vector), 0);
		assert_int_equal(ivshmem_wait(shm, vector, -1), 1);
	}
	ivshmem_close(shm);
}

static void end_is_told_to_who_looks_only(void **state)
{
	struct ivshmem *shm = join_alone(1);

	assert_int_equal(ivshmem_set_busy_poll(shm, 1000), 0);
	hang_up();
	assert_int_equal(ivshmem_wait(shm, 0, 0), -ECONNRESET);
	assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
	ivshmem_close(shm);
}

static pid_t waiter;

static void *wait_for_vector_0(void *shm)
{
	__atomic_store_n(&waiter, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	return (void *)(intptr_t)ivshmem_wait(shm, 0, -1);
}

/* Of the thread that waits for a vector. */
static void wait_until_it_sleeps(void)
{
	char path[64], stat[256] = "";
	int fd;

	while (!__atomic_load_n(&waiter, __ATOMIC_ACQUIRE))
		sched_yield();
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", waiter);
	do {
		usleep(1000);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0 && read(fd, stat, sizeof(stat) - 1) > 0);
		close(fd);
	} while (!strstr(stat, ") S "));
}

static void end_wakes_who_sleeps(void **state)
{
	struct ivshmem *shm = join_alone(1);
	pthread_t thread;
	void *result;

	waiter = 0;
	assert_int_equal(pthread_create(&thread, NULL, wait_for_vector_0, shm), 0);
	wait_until_it_sleeps();
	alarm(60);
	hang_up();
	pthread_join(thread, &result);
	alarm(0);
	assert_int_equal((intptr_t)result, -ECONNRESET);
	ivshmem_close(shm);
}

/* A wait has heard it all. Who polls is told nevertheless, and then has no more to do. */
static void end_that_a_wait_has_heard_is_told_after_the_news(void **state)
{
	struct ivshmem *shm = join_alone(1);
	int news = ivshmem_peer_fd(shm);

	say_vectors(4, 1);
	tell_all();
	hang_up();
	assert_int_equal(ivshmem_wait(shm, 0, -1), -ECONNRESET);
	assert_int_equal(ivshmem_peer_fd(shm), news);
	assert_true(is_readable(news));
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	assert_true(is_readable(news));
	assert_ended(shm, -ECONNRESET);
	assert_false(is_readable(news));
	ivshmem_close(shm);
}

/* --- the next server --- */

/* What the next server says to a peer that comes again as @id. */
static void say_hello_again(int region, int id)
{
	say(0, NO_FD);
	say(id, NO_FD);
	say(-1, region);
}

static void rejoin_while_the_server_is_there_changes_nothing(void **state)
{
	struct ivshmem *shm = join_alone(1);

	assert_int_equal(ivshmem_rejoin(shm), 0);
	assert_int_equal(ivshmem_peer_id(shm), ME);
	assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
	ivshmem_close(shm);
}

static void rejoin_of_what_is_no_servers_fails_enotsup(void **state)
{
	struct ivshmem *shm = open_region(make_file("file", MIB), 0);

	assert_int_equal(ivshmem_rejoin(shm), -ENOTSUP);
	ivshmem_close(shm);
}

static void rejoin_of_the_same_region_keeps_memory_and_descriptors(void **state)
{
	int region = make_region(MIB), event = make_event(), own = make_event();
	struct ivshmem *shm;
	int event_fd, peer_fd;
	char *data;

	say_hello(region);
	say(3, make_event());
	say(ME, make_event());
	shm = join(0);
	assert_int_equal(ivshmem_map(shm), 0);
	data = ivshmem_data(shm);
	strcpy(data, "kept");
	event_fd = ivshmem_event_fd(shm, 0);
	peer_fd = ivshmem_peer_fd(shm);
	hang_up();
	assert_int_equal(ivshmem_wait(shm, 0, -1), -ECONNRESET);
	assert_next_fails(shm, 0, -ECONNRESET);

	say_hello_again(region, 2);
	say(5, event);
	say(2, own);
	assert_int_equal(rejoin(shm), 0);
	assert_int_equal(ivshmem_check(shm), 0);
	assert_int_equal(ivshmem_peer_id(shm), 2);
	assert_ptr_equal(ivshmem_data(shm), data);
	assert_string_equal(data, "kept");
	assert_int_equal(ivshmem_event_fd(shm, 0), event_fd);
	assert_int_equal(ivshmem_peer_fd(shm), peer_fd);
	assert_peers(shm, (uint16_t[]){ 5 }, 1);
	assert_int_equal(ivshmem_notify(shm, 3, 0), -ENXIO);
	assert_int_equal(ivshmem_notify(shm, 5, 0), 0);
	assert_int_equal(rings_of(event), 1);

	assert_int_equal(ivshmem_wait(shm, 0, 0), 1);	/* one may have been missed */
	assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
	ring(own, 1);
	assert_int_equal(ivshmem_wait(shm, 0, 0), 1);
	assert_false(is_readable(peer_fd));
	say_vectors(6, 1);
	tell_all();
	assert_true(is_readable(peer_fd));
	assert_next(shm, IVSHMEM_PEER_JOINED, 6);
	hang_up();
	assert_int_equal(ivshmem_wait(shm, 0, -1), -ECONNRESET);
	ivshmem_close(shm);
}

static void rejoin_of_another_region_maps_it_at_the_same_address(void **state)
{
	struct ivshmem *shm = join_alone(1);
	int other = make_region(MIB), fd = ivshmem_fd(shm);
	struct stat st, now;
	char *data;

	assert_int_equal(ivshmem_map(shm), 0);
	data = ivshmem_data(shm);
	strcpy(data, "old");
	assert_int_equal(pwrite(other, "new", 4, 0), 4);
	hang_up();
	say_hello_again(other, 0);
	say_vectors(0, 1);
	assert_int_equal(rejoin(shm), 1);
	assert_ptr_equal(ivshmem_data(shm), data);
	assert_string_equal(data, "new");
	assert_int_equal(ivshmem_fd(shm), fd);
	assert_int_equal(fstat(fd, &now), 0);
	assert_int_equal(fstat(other, &st), 0);
	assert_int_equal(now.st_ino, st.st_ino);
	assert_int_equal(ivshmem_check(shm), 0);
	ivshmem_close(shm);
}

static void assert_as_before(struct ivshmem *shm, char *data)
{
	assert_int_equal(ivshmem_check(shm), -ECONNRESET);
	assert_int_equal(ivshmem_peer_id(shm), ME);
	assert_ptr_equal(ivshmem_data(shm), data);
	assert_string_equal(data, "old");
	assert_int_equal(ivshmem_notify(shm, ME, 0), 0);
	assert_int_equal(ivshmem_wait(shm, 0, -1), 1);
}

static void rejoin_that_fails_changes_nothing(void **state)
{
	struct ivshmem *shm = join_alone(1);
	char *data;

	assert_int_equal(ivshmem_map(shm), 0);
	data = ivshmem_data(shm);
	strcpy(data, "old");
	hang_up();
	say_hello_again(make_region(2 * MIB), 0);
	say_vectors(0, 1);
	assert_int_equal(rejoin(shm), -EMSGSIZE);
	assert_as_before(shm, data);
	hang_up();
	say_hello_again(make_region(MIB), 0);
	server.hangs_up = true;
	assert_int_equal(rejoin(shm), -ECONNRESET);
	assert_as_before(shm, data);
	server.hangs_up = false;
	hang_up();
	close(server.listener);
	assert_int_equal(ivshmem_rejoin(shm), -ECONNREFUSED);
	assert_as_before(shm, data);
	unlink(server.address.sun_path);
	assert_int_equal(ivshmem_rejoin(shm), -ENOENT);
	assert_as_before(shm, data);
	server.listener = -1;
	ivshmem_close(shm);
}

static void rejoin_with_other_vectors_has_those(void **state)
{
	int region = make_region(MIB);
	struct ivshmem *shm;

	say_hello(region);
	say_vectors(ME, 2);
	shm = join(0);
	hang_up();
	say_hello_again(region, 1);
	say_vectors(1, 3);
	assert_int_equal(rejoin(shm), 0);
	assert_int_equal(ivshmem_vectors(shm), 3);
	assert_int_equal(ivshmem_wait(shm, 2, 0), 1);
	hang_up();
	say_hello_again(region, 0);
	say_vectors(0, 1);
	assert_int_equal(rejoin(shm), 0);
	assert_int_equal(ivshmem_vectors(shm), 1);
	assert_int_equal(ivshmem_wait(shm, 0, 0), 1);
	assert_int_equal(ivshmem_event_fd(shm, 1), -EINVAL);
	ivshmem_close(shm);
}

static void rejoin_wakes_who_sleeps_on_the_old_descriptor(void **state)
{
	int region = make_region(MIB), own = make_event();
	struct ivshmem *shm;
	pthread_t thread;
	void *result;

	say_hello(region);
	say_vectors(ME, 1);
	shm = join(0);
	hang_up();
	assert_int_equal(ivshmem_wait(shm, 0, -1), -ECONNRESET);
	waiter = 0;
	assert_int_equal(pthread_create(&thread, NULL, wait_for_vector_0, shm), 0);
	wait_until_it_sleeps();
	alarm(60);
	say_hello_again(region, 1);
	say(1, own);
	assert_int_equal(rejoin(shm), 0);
	pthread_join(thread, &result);
	alarm(0);
	assert_int_equal((intptr_t)result, 1);
	ivshmem_close(shm);
}

/* --- what comes while nobody asks for it --- */

static void wait_takes_what_the_server_says(void **state)
{
	struct ivshmem *shm = join_alone(1);

	tell(4, make_event());
	assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
	assert_peers(shm, (uint16_t[]){ 4 }, 1);
	tell(5, make_event());
	assert_int_equal(ivshmem_notify(shm, ME, 0), 0);
	assert_int_equal(ivshmem_wait(shm, 0, 0), 1);
	assert_peers(shm, (uint16_t[]){ 4, 5 }, 2);
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	assert_next(shm, IVSHMEM_PEER_JOINED, 5);
	ivshmem_close(shm);
}

static void busy_poll_takes_what_the_server_says(void **state)
{
	int event = make_event();
	struct ivshmem *shm;

	say_hello(make_region(MIB));
	say(ME, event);
	shm = join(0);
	assert_int_equal(ivshmem_set_busy_poll(shm, 1000), 0);
	ring(event, 1);
	tell(4, make_event());
	assert_int_equal(ivshmem_wait(shm, 0, 0), 1);
	assert_peers(shm, (uint16_t[]){ 4 }, 1);
	ivshmem_close(shm);
}

static void notify_reaches_who_has_just_joined(void **state)
{
	struct ivshmem *shm = join_alone(1);
	int event = make_event();

	tell(4, event);
	assert_int_equal(ivshmem_notify(shm, 4, 0), 0);
	assert_int_equal(rings_of(event), 1);
	tell(4, NO_FD);
	assert_int_equal(ivshmem_notify(shm, 4, 0), -ENXIO);
	assert_next_fails(shm, 0, -ETIMEDOUT);
	ivshmem_close(shm);
}

/* As many messages as no socket holds: the server would wait for ever. */
static void sleeper_keeps_up_with_the_server(void **state)
{
	const struct timeval patience = { .tv_sec = 20 };
	int event = make_event(), me = make_event(), i;
	struct ivshmem *shm;
	pthread_t thread;
	void *result;

	say_hello(make_region(MIB));
	say(ME, me);
	shm = join(0);
	assert_int_equal(setsockopt(server.client, SOL_SOCKET, SO_SNDTIMEO, &patience,
				    sizeof(patience)), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_vector_0, shm), 0);
	for (i = 0; i < 5000; i++) {
		tell(4, event);
		tell(4, NO_FD);
	}
	ring(me, 1);
	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, 1);
	assert_next_fails(shm, 0, -ETIMEDOUT);
	assert_peers(shm, NULL, 0);
	ivshmem_close(shm);
}

/* Nor does a wait for news turn round and round. */
static void who_came_and_went_unseen_leaves_no_news(void **state)
{
	struct ivshmem *shm = join_alone(1);
	int64_t used;

	say_vectors(4, 1);
	say(4, NO_FD);
	tell_all();
	assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
	assert_false(is_readable(ivshmem_peer_fd(shm)));
	used = processor_ms();
	assert_next_fails(shm, 300, -ETIMEDOUT);
	assert_in_range(processor_ms() - used, 0, 100);
	ivshmem_close(shm);
}

static void news_that_wait_keep_their_order(void **state)
{
	int i, round, event = make_event();
	struct ivshmem *shm;

	say_hello(make_region(MIB));
	say(3, event);
	say(9, event);
	say_vectors(ME, 1);
	shm = join(0);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 3; i++) {	/* whom nobody is told of but the last */
			tell(3, NO_FD);
			assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
			tell(3, event);
			assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
		}
		tell(65535, event);
		tell(9, NO_FD);
		tell(0, event);
		tell(65535, NO_FD);
		tell(9, event);
		assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);
		assert_next(shm, IVSHMEM_PEER_LEFT, 3);
		assert_next(shm, IVSHMEM_PEER_JOINED, 3);
		assert_next(shm, IVSHMEM_PEER_LEFT, 9);
		assert_next(shm, IVSHMEM_PEER_JOINED, 0);
		tell(0, NO_FD);
		assert_next(shm, IVSHMEM_PEER_JOINED, 9);
		assert_next(shm, IVSHMEM_PEER_LEFT, 0);
		assert_next_fails(shm, 0, -ETIMEDOUT);
	}
	ivshmem_close(shm);
}

static void wait_without_free_descriptor_sleeps_and_loses_nothing(void **state)
{
	struct ivshmem *shm = join_alone(1);
	struct rlimit old, limit;
	int64_t used;
	int spare;

	assert_int_equal(ivshmem_wait(shm, 0, 0), -ETIMEDOUT);	/* opens what it needs */
	tell(4, make_event());
	spare = dup(0);
	close(spare);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit = old;
	limit.rlim_cur = (rlim_t)spare;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	used = processor_ms();
	assert_int_equal(ivshmem_wait(shm, 0, 500), -ETIMEDOUT);
	used = processor_ms() - used;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_in_range(used, 0, 100);
	assert_int_equal(ivshmem_wait(shm, 0, 500), -ETIMEDOUT);
	assert_peers(shm, (uint16_t[]){ 4 }, 1);
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	ivshmem_close(shm);
}

struct crowd {
	struct ivshmem *shm;
	bool is_over;
};

static bool goes_on(struct crowd *crowd)
{
	return !__atomic_load_n(&crowd->is_over, __ATOMIC_RELAXED);
}

static void *follow_peers(void *data)
{
	enum ivshmem_peer_change change;
	struct crowd *crowd = data;
	unsigned int peer;

	while (goes_on(crowd))
		if (ivshmem_peer_next(crowd->shm, 10, &change, &peer) == -EPROTO)
			return NULL;
	return data;
}

static void *wait_for_rings(void *data)
{
	struct crowd *crowd = data;

	while (goes_on(crowd))
		if (ivshmem_wait(crowd->shm, 0, 10) == -ECONNRESET)
			return NULL;
	return data;
}

static void *look_at_peers(void *data)
{
	struct crowd *crowd = data;
	uint16_t ids[8];

	while (goes_on(crowd)) {
		ivshmem_notify(crowd->shm, 4, 0);
		ivshmem_peer_vectors(crowd->shm, 4);
		if (ivshmem_peers(crowd->shm, ids, ARRAY_SIZE(ids)) > 1 ||
		    ivshmem_vectors(crowd->shm) < 1 ||
		    ivshmem_event_fd(crowd->shm, 0) < 0 || ivshmem_peer_fd(crowd->shm) < 0 ||
		    ivshmem_check(crowd->shm))
			return NULL;
	}
	return data;
}

/* For ThreadSanitizer. */
static void all_calls_go_together(void **state)
{
	static void *(*const bodies[])(void *) = { follow_peers, wait_for_rings, look_at_peers };
	struct crowd crowd = { .shm = join_alone(1) };
	pthread_t threads[ARRAY_SIZE(bodies)];
	int i, event = make_event();
	void *result;

	for (i = 0; i < (int)ARRAY_SIZE(bodies); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, bodies[i], &crowd), 0);
	for (i = 0; i < 1000; i++) {
		tell(4, event);
		tell(4, event);
		tell(4, NO_FD);
		if (i % 10 == 0)
			tell(ME, event);
	}
	__atomic_store_n(&crowd.is_over, true, __ATOMIC_RELAXED);
	for (i = 0; i < (int)ARRAY_SIZE(bodies); i++) {
		pthread_join(threads[i], &result);
		assert_ptr_equal(result, &crowd);
	}
	ivshmem_close(crowd.shm);
}

/* --- many --- */

static bool allow_descriptors(rlim_t count)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < count)
		limit.rlim_cur = count;
	return limit.rlim_cur <= limit.rlim_max && !setrlimit(RLIMIT_NOFILE, &limit);
}

static void thousand_peers_join_and_leave(void **state)
{
	static uint16_t ids[1001];
	int event = make_event();
	struct ivshmem *shm;
	unsigned int i;

	if (!allow_descriptors(1200))
		skip_because("needs 1200 descriptors");
	say_hello(make_region(MIB));
	for (i = 0; i < 500; i++)
		say(100 + i * 7919 % 1000, event);	/* prime: each comes once */
	say_vectors(ME, 1);
	shm = join(0);
	assert_int_equal(ivshmem_peers(shm, NULL, 0), 500);
	for (i = 500; i < 1000; i++) {
		tell(100 + i * 7919 % 1000, event);
		assert_next(shm, IVSHMEM_PEER_JOINED, 100 + i * 7919 % 1000);
	}
	assert_int_equal(ivshmem_peers(shm, ids, ARRAY_SIZE(ids)), 1000);
	for (i = 0; i < 1000; i++) {
		assert_int_equal(ids[i], 100 + i);
		assert_int_equal(ivshmem_notify(shm, ids[i], 0), 0);
	}
	assert_int_equal(rings_of(event), 1000);
	for (i = 0; i < 1000; i++) {
		tell(100 + i * 6007 % 1000, NO_FD);
		assert_next(shm, IVSHMEM_PEER_LEFT, 100 + i * 6007 % 1000);
	}
	assert_int_equal(ivshmem_peers(shm, NULL, 0), 0);
	ivshmem_close(shm);
}

/* --- regions without peers, handles that are none --- */

static void plain_region_fails_enotsup(void **state)
{
	struct ivshmem *shm = open_region(make_file("region", MIB), 0);
	enum ivshmem_peer_change change;
	unsigned int peer;

	assert_int_equal(ivshmem_vectors(shm), 0);
	assert_int_equal(ivshmem_peer_id(shm), -ENOTSUP);
	assert_int_equal(ivshmem_notify(shm, 0, 0), -ENOTSUP);
	assert_int_equal(ivshmem_event_fd(shm, 0), -ENOTSUP);
	assert_int_equal(ivshmem_set_busy_poll(shm, 1), -ENOTSUP);
	assert_int_equal(ivshmem_wait(shm, 0, -1), -ENOTSUP);
	assert_int_equal(ivshmem_peers(shm, NULL, 0), -ENOTSUP);
	assert_int_equal(ivshmem_peer_vectors(shm, 0), -ENOTSUP);
	assert_int_equal(ivshmem_peer_fd(shm), -ENOTSUP);
	assert_int_equal(ivshmem_peer_next(shm, -1, &change, &peer), -ENOTSUP);
	ivshmem_close(shm);
}

static void null_fails_einval(void **state)
{
	enum ivshmem_peer_change change;
	struct ivshmem *shm = join_alone(1);
	unsigned int peer;

	assert_int_equal(ivshmem_peer_id(NULL), -EINVAL);
	assert_int_equal(ivshmem_vectors(NULL), -EINVAL);
	assert_int_equal(ivshmem_notify(NULL, 0, 0), -EINVAL);
	assert_int_equal(ivshmem_event_fd(NULL, 0), -EINVAL);
	assert_int_equal(ivshmem_wait(NULL, 0, 0), -EINVAL);
	assert_int_equal(ivshmem_set_busy_poll(NULL, 1), -EINVAL);
	assert_int_equal(ivshmem_peers(NULL, NULL, 0), -EINVAL);
	assert_int_equal(ivshmem_peer_vectors(NULL, 0), -EINVAL);
	assert_int_equal(ivshmem_peer_vectors(shm, 65536), -EINVAL);
	assert_int_equal(ivshmem_peer_fd(NULL), -EINVAL);
	assert_int_equal(ivshmem_peer_next(NULL, 0, &change, &peer), -EINVAL);
	assert_int_equal(ivshmem_peer_next(shm, 0, NULL, &peer), -EINVAL);
	assert_int_equal(ivshmem_peer_next(shm, 0, &change, NULL), -EINVAL);
	ivshmem_close(shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PEER_TEST(notify_reaches_each_vector_of_each_peer),
		PEER_TEST(notify_adds_up),
		PEER_TEST(notify_of_myself_rings_me),
		PEER_TEST(notify_of_nobody_fails_enxio),
		PEER_TEST(notify_out_of_range_fails_einval),
		PEER_TEST(notify_of_full_counter_succeeds_without_waiting),
		PEER_TEST(wait_takes_all_rings_together),
		PEER_TEST(wait_ends_in_time),
		PEER_TEST(wait_is_woken_by_a_ring),
		PEER_TEST(wait_is_ended_by_a_signal),
		PEER_TEST(busy_poll_takes_a_ring),
		PEER_TEST(busy_poll_lasts_as_long_as_set),
		PEER_TEST(busy_poll_is_never_longer_than_the_timeout),
		PEER_TEST(wait_for_blocking_eventfd_ends_in_time),
		PEER_TEST(wait_for_wrong_vector_fails_einval),
		PEER_TEST(event_fd_is_readable_once_rung),
		PEER_TEST(stores_are_visible_with_the_ring),
		PEER_TEST(join_and_leave_are_told_in_order),
		PEER_TEST(peers_counts_beyond_the_room),
		PEER_TEST(joined_peer_has_all_its_vectors),
		PEER_TEST(joined_peer_with_fewer_vectors_may_leave_at_once),
		PEER_TEST(peer_that_comes_back_while_its_vectors_are_awaited_has_left),
		PEER_TEST(further_vectors_of_a_joined_peer_follow),
		PEER_TEST(late_own_vectors_are_taken),
		PEER_TEST(left_peer_cannot_be_rung),
		PEER_TEST(id_that_is_used_again_is_another_peer),
		PEER_TEST(join_in_pieces_is_told_once_whole),
		PEER_TEST(half_a_join_is_no_leak),
		PEER_TEST(next_waits_for_a_join),
		PEER_TEST(next_without_free_descriptor_loses_nothing),
		PEER_TEST(server_that_goes_takes_nothing_along),
		PEER_TEST(last_words_of_a_server_are_heard),
		PEER_TEST(last_join_of_a_server_is_heard),
		PEER_TEST(server_that_breaks_the_protocol_takes_nothing_along),
		PEER_TEST(check_tells_that_the_server_has_ended),
		PEER_TEST(end_is_told_once_on_each_vector),
		PEER_TEST(end_is_told_to_who_looks_only),
		PEER_TEST(end_wakes_who_sleeps),
		PEER_TEST(end_that_a_wait_has_heard_is_told_after_the_news),
		PEER_TEST(rejoin_while_the_server_is_there_changes_nothing),
		PEER_TEST(rejoin_of_what_is_no_servers_fails_enotsup),
		PEER_TEST(rejoin_of_the_same_region_keeps_memory_and_descriptors),
		PEER_TEST(rejoin_of_another_region_maps_it_at_the_same_address),
		PEER_TEST(rejoin_that_fails_changes_nothing),
		PEER_TEST(rejoin_with_other_vectors_has_those),
		PEER_TEST(rejoin_wakes_who_sleeps_on_the_old_descriptor),
		PEER_TEST(wait_takes_what_the_server_says),
		PEER_TEST(busy_poll_takes_what_the_server_says),
		PEER_TEST(notify_reaches_who_has_just_joined),
		PEER_TEST(sleeper_keeps_up_with_the_server),
		PEER_TEST(who_came_and_went_unseen_leaves_no_news),
		PEER_TEST(news_that_wait_keep_their_order),
		PEER_TEST(wait_without_free_descriptor_sleeps_and_loses_nothing),
		PEER_TEST(all_calls_go_together),
		PEER_TEST(shrunken_region_fails_estale),
		PEER_TEST(thousand_peers_join_and_leave),
		PEER_TEST(plain_region_fails_enotsup),
		PEER_TEST(null_fails_einval),
	};

	return run("peer", tests, ARRAY_SIZE(tests));
}
