// SPDX-License-Identifier: MIT
/* Opening channels in steps, by calls that do not wait and by event loops. */
#include "channels.h"

#include "channel/object.h"

#define CLIENTS		50
#define MOST_STEPS	200000

static void begin_both(void)
{
	open_handles(REGION_SIZE, 1);
	assert_int_equal(ivshmem_channel_begin(&pair.a, pair.left, "a", IVSHMEM_END_CREATOR, 0), 0);
	assert_int_equal(ivshmem_channel_begin(&pair.b, pair.right, "a", IVSHMEM_END_CONNECTOR, 0),
			 0);
}

/* 0 once it is open; fails the test if it is not after many calls. */
static void finish_in_turn(int (*go_on)(struct ivshmem_channel *channel, int timeout_ms))
{
	int i, a = -ETIMEDOUT, b = -ETIMEDOUT;

	for (i = 0; i < 1000 && (a || b); i++) {
		if (a)
			a = go_on(pair.a, 0);
		if (b)
			b = go_on(pair.b, 0);
		assert_true(!a || a == -ETIMEDOUT);
		assert_true(!b || b == -ETIMEDOUT);
	}
	assert_int_equal(a, 0);
	assert_int_equal(b, 0);
}

static void both_ends_open_in_one_thread_that_never_waits(void **state)
{
	begin_both();
	finish_in_turn(ivshmem_channel_finish);
	assert_int_equal(ivshmem_channel_finish(pair.a, 0), 0);
	talk(pair.a, pair.b);
}

static void both_ends_reconnect_in_one_thread_that_never_waits(void **state)
{
	open_pair();
	send_text(pair.a, "dropped");
	assert_int_equal(ivshmem_channel_reconnect(pair.a, 0), -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, 0), -ETIMEDOUT);
	finish_in_turn(ivshmem_channel_reconnect);
	talk(pair.a, pair.b);
}

static void reconnect_that_timed_out_goes_on_by_finish(void **state)
{
	open_pair();
	assert_int_equal(ivshmem_channel_reconnect(pair.a, 0), -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, 0), -ETIMEDOUT);
	assert_recv_fails(pair.a, 0, -ENOTCONN);
	finish_in_turn(ivshmem_channel_finish);
	talk(pair.a, pair.b);
}

static void *connect_and_answer(void *data)
{
	struct ivshmem_channel *channel;
	char name[16];
	int err;

	snprintf(name, sizeof(name), "n%d", (int)(intptr_t)data);
	err = ivshmem_channel_connect(&channel, pair.right, name, 0, PATIENCE_MS);
	if (!err)
		err = ivshmem_channel_send(channel, name, strlen(name), PATIENCE_MS);
	ivshmem_channel_close(channel);
	return err ? "a client fails" : NULL;
}

/* A server that serves all, and waits for none of them. */
static void one_thread_opens_to_many_clients(void **state)
{
	struct ivshmem_channel *channels[CLIENTS];
	pthread_t threads[CLIENTS];
	char name[16], text[16];
	int i, open = 0, steps = 0;
	int errors[CLIENTS];

	open_handles(64 * CLIENTS * KIB, CLIENTS);
	for (i = 0; i < CLIENTS; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		errors[i] = -ETIMEDOUT;
		assert_int_equal(pthread_create(&threads[i], NULL, connect_and_answer,
						(void *)(intptr_t)i), 0);
		assert_int_equal(ivshmem_channel_begin(&channels[i], pair.left, name,
						       IVSHMEM_END_CREATOR, 0), 0);
	}
	while (open < CLIENTS && steps++ < MOST_STEPS) {
		for (i = 0; i < CLIENTS; i++) {
			if (!errors[i])
				continue;
			errors[i] = ivshmem_channel_finish(channels[i], 0);
			open += !errors[i];
		}
		usleep(100);
	}
	assert_int_equal(open, CLIENTS);
	for (i = 0; i < CLIENTS; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		memset(text, 0, sizeof(text));
		assert_true(ivshmem_channel_recv(channels[i], text, sizeof(text), PATIENCE_MS) > 0);
		assert_string_equal(text, name);
		ivshmem_channel_close(channels[i]);
	}
	assert_threads_succeed(threads, CLIENTS);
}

/* As of old, where each call began anew: tries of a few milliseconds get there. */
static void short_tries_meet_one_who_waits(void **state)
{
	struct opening opening = { ivshmem_channel_connect, NULL, NULL, "a", 0, 0 };
	pthread_t thread;
	int err, tries = 0;

	open_handles(REGION_SIZE, 1);
	opening.shm = pair.right;
	assert_int_equal(pthread_create(&thread, NULL, open_in_thread, &opening), 0);
	do {
		err = ivshmem_channel_create(&pair.a, pair.left, "a", 0, 20);
	} while (err == -ETIMEDOUT && ++tries < 500);
	pthread_join(thread, NULL);
	pair.b = opening.channel;
	assert_int_equal(err, 0);
	assert_int_equal(opening.err, 0);
	talk(pair.a, pair.b);
}

static void event_loop_opens_both_ends(void **state)
{
	struct pollfd pollers[2] = { { .events = POLLIN }, { .events = POLLIN } };
	int64_t end = now_ms() + PATIENCE_MS;
	int a = -ETIMEDOUT, b = -ETIMEDOUT;

	begin_both();
	pollers[0].fd = ivshmem_channel_fd(pair.a);
	pollers[1].fd = ivshmem_channel_fd(pair.b);
	assert_string_equal(ivshmem_channel_fd_wakeup(pair.a), "timer");
	while ((a || b) && now_ms() < end) {
		assert_true(poll(pollers, 2, PATIENCE_MS) > 0);
		if (pollers[0].revents && a)
			a = ivshmem_channel_finish(pair.a, 0);
		if (pollers[1].revents && b)
			b = ivshmem_channel_finish(pair.b, 0);
		if (!a)
			pollers[0].fd = -1;
		if (!b)
			pollers[1].fd = -1;
	}
	assert_int_equal(a, 0);
	assert_int_equal(b, 0);
	assert_true(ivshmem_channel_fd(pair.a) >= 0);
	talk(pair.a, pair.b);
}

/* A server that waits for a client has nothing to do meanwhile. */
static void loop_that_waits_for_a_client_takes_little(void **state)
{
	struct pollfd poller = { .events = POLLIN };
	int64_t end = now_ms() + 1000, before;
	int turns = 0;

	open_handles(REGION_SIZE, 1);
	assert_int_equal(ivshmem_channel_begin(&pair.a, pair.left, "a", IVSHMEM_END_CREATOR, 0), 0);
	poller.fd = ivshmem_channel_fd(pair.a);
	before = cpu_ms(CLOCK_THREAD_CPUTIME_ID);
	for (; now_ms() < end; turns++) {
		poll(&poller, 1, PATIENCE_MS);
		assert_int_equal(ivshmem_channel_finish(pair.a, 0), -ETIMEDOUT);
	}
	assert_in_range(turns, 1, 1500);
	assert_true(cpu_ms(CLOCK_THREAD_CPUTIME_ID) - before < 300);
}

static void channel_that_is_not_open_fails_enotconn(void **state)
{
	const void *message;
	void *room;
	char byte;

	open_handles(REGION_SIZE, 1);
	assert_int_equal(ivshmem_channel_begin(&pair.a, pair.left, "a", IVSHMEM_END_CREATOR, 0), 0);
	assert_int_equal(ivshmem_channel_begin(&pair.b, pair.right, "none", IVSHMEM_END_CONNECTOR,
					       0), 0);
	assert_send_fails(pair.a, PATIENCE_MS, -ENOTCONN);
	assert_send_fails(pair.b, PATIENCE_MS, -ENOTCONN);
	assert_recv_fails(pair.b, PATIENCE_MS, -ENOTCONN);
	assert_int_equal(ivshmem_channel_peek(pair.b, &message, PATIENCE_MS), -ENOTCONN);
	assert_int_equal(ivshmem_channel_reserve(pair.b, &room, 1, PATIENCE_MS), -ENOTCONN);
	assert_int_equal(ivshmem_channel_write(pair.b, "x", 1, PATIENCE_MS), -ENOTCONN);
	assert_int_equal(ivshmem_channel_read(pair.b, &byte, 1, PATIENCE_MS), -ENOTCONN);
	assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV | IVSHMEM_CAN_SEND, 1),
			 IVSHMEM_CAN_RECV | IVSHMEM_CAN_SEND);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, 0), -ETIMEDOUT);
	assert_non_null(ivshmem_channel_wakeup(pair.b));
	assert_int_equal(ivshmem_channel_set_spin(pair.b, 1), 0);
	assert_int_equal(ivshmem_channel_max_length(pair.b), 0);
}

static void attempt_that_was_given_up_leaves_the_end_free(void **state)
{
	open_handles(REGION_SIZE, 1);
	assert_int_equal(ivshmem_channel_begin(&pair.a, pair.left, "a", IVSHMEM_END_CREATOR, 0), 0);
	close_end(&pair.a);
	assert_state(pair.left, 0, IVSHMEM_END_CREATOR, IVSHMEM_END_FREE);
	assert_int_equal(ivshmem_channel_create(&pair.a, pair.left, "b", 0, 1), -ETIMEDOUT);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	talk(pair.a, pair.b);
}

static void make_region_anew(void)
{
	assert_int_equal(unlink(in_shm("region")), 0);
	make_formatted(REGION_SIZE, 1);
}

static void reconnect_that_failed_leaves_no_channel_that_is_open(void **state)
{
	open_pair();
	make_region_anew();
	assert_int_equal(ivshmem_channel_reconnect(pair.a, 0), -ESTALE);
	assert_int_equal(ivshmem_channel_finish(pair.a, 0), -ENOTCONN);
	assert_int_equal(ivshmem_channel_finish(pair.a, -1), -ENOTCONN);
	assert_int_equal(ivshmem_channel_alive(pair.a), 0);
	assert_int_equal(ivshmem_channel_reconnect(pair.a, 0), -ESTALE);
}

static void finish_of_a_lost_session_is_enotconn_until_reconnected(void **state)
{
	open_pair();
	assert_int_equal(ivshmem_channel_finish(pair.a, 0), 0);
	send_text(pair.b, "a message, and then no more");
	close_end(&pair.b);
	assert_send_fails(pair.a, 0, -EPIPE);
	assert_int_equal(ivshmem_channel_finish(pair.a, 0), 0);
	recv_text(pair.a, "a message, and then no more");
	assert_recv_fails(pair.a, 0, -EPIPE);
	assert_int_equal(ivshmem_channel_finish(pair.a, 0), -ENOTCONN);
	assert_int_equal(ivshmem_channel_reconnect(pair.a, 0), -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_finish(pair.a, 0), -ETIMEDOUT);
}

/* Whether the attempt waited for a while or not. */
static void loop_goes_on_where_a_reconnect_with_a_timeout_gave_up(void **state)
{
	struct pollfd poller = { .events = POLLIN };

	open_pair();
	poller.fd = ivshmem_channel_fd(pair.a);
	assert_true(poller.fd >= 0);
	assert_int_equal(ivshmem_channel_reconnect(pair.a, 1), -ETIMEDOUT);
	assert_int_equal(poll(&poller, 1, PATIENCE_MS), 1);
	assert_int_equal(ivshmem_channel_finish(pair.a, 1), -ETIMEDOUT);
	assert_int_equal(poll(&poller, 1, PATIENCE_MS), 1);
	assert_int_equal(ivshmem_channel_cancel(pair.a), 0);
	assert_int_equal(ivshmem_channel_finish(pair.a, PATIENCE_MS), -ECANCELED);
	assert_int_equal(poll(&poller, 1, PATIENCE_MS), 1);
}

static void begin_says_at_once_what_is_wrong(void **state)
{
	struct ivshmem_channel *channel = POISON;

	open_pair();
	assert_int_equal(ivshmem_channel_begin(&channel, pair.right, "a", IVSHMEM_END_CREATOR, 0),
			 -EBUSY);
	assert_int_equal(ivshmem_channel_begin(&channel, pair.left, "b", IVSHMEM_END_CREATOR, 0),
			 -ENOSPC);
	assert_int_equal(ivshmem_channel_begin(&channel, pair.left, "a", 2, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_begin(&channel, pair.left, ".a", IVSHMEM_END_CREATOR, 0),
			 -EINVAL);
	assert_int_equal(ivshmem_channel_begin(NULL, pair.left, "a", IVSHMEM_END_CREATOR, 0),
			 -EINVAL);
	assert_int_equal(ivshmem_channel_begin(&channel, NULL, "a", IVSHMEM_END_CREATOR, 0),
			 -EINVAL);
	assert_int_equal(ivshmem_channel_finish(NULL, 0), -EINVAL);
	assert_ptr_equal(channel, POISON);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(both_ends_open_in_one_thread_that_never_waits),
		PAIR_TEST(both_ends_reconnect_in_one_thread_that_never_waits),
		PAIR_TEST(reconnect_that_timed_out_goes_on_by_finish),
		PAIR_TEST(reconnect_that_failed_leaves_no_channel_that_is_open),
		PAIR_TEST(loop_goes_on_where_a_reconnect_with_a_timeout_gave_up),
		PAIR_TEST(one_thread_opens_to_many_clients),
		PAIR_TEST(short_tries_meet_one_who_waits),
		PAIR_TEST(event_loop_opens_both_ends),
		PAIR_TEST(loop_that_waits_for_a_client_takes_little),
		PAIR_TEST(channel_that_is_not_open_fails_enotconn),
		PAIR_TEST(attempt_that_was_given_up_leaves_the_end_free),
		PAIR_TEST(finish_of_a_lost_session_is_enotconn_until_reconnected),
		PAIR_TEST(begin_says_at_once_what_is_wrong),
	};

	return run("opening", tests, ARRAY_SIZE(tests));
}
