// SPDX-License-Identifier: MIT
/*
 * Who uses a region's objects, and what goes on there, as it is shown to those who watch.
 */
#include "services.h"
#include "topics.h"

#include <ivshmem/waitset.h>

#define TOPIC	0	/* where make() puts it */

static struct ivshmem_status *read_status(struct ivshmem *shm)
{
	struct ivshmem_status *status;

	assert_int_equal(ivshmem_status_read(&status, shm, 0), 0);
	return status;
}

static void assert_detail(const struct ivshmem_status *status, unsigned int index,
			  unsigned int member, enum ivshmem_detail detail, uint64_t expected)
{
	uint64_t value = ~expected;

	assert_int_equal(ivshmem_status_detail(status, index, member, detail, &value), 0);
	assert_int_equal(value, expected);
}

static void assert_unknown(const struct ivshmem_status *status, unsigned int index,
			   unsigned int member, enum ivshmem_detail detail)
{
	uint64_t value = 5;

	assert_int_equal(ivshmem_status_detail(status, index, member, detail, &value), -ENODATA);
	assert_int_equal(value, 5);
}

static void assert_member(const struct ivshmem_status *status, unsigned int index,
			  unsigned int member, enum ivshmem_role role, unsigned int place,
			  enum ivshmem_end_state state)
{
	assert_int_equal(ivshmem_status_role(status, index, member), role);
	assert_int_equal(ivshmem_status_place(status, index, member), place);
	assert_int_equal(ivshmem_status_state(status, index, member), state);
}

/* --- channels --- */

static void channel_tells_ends_programs_and_counts(void **state)
{
	struct ivshmem_status *status;
	int i;

	open_handles(REGION_SIZE, 2);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "first");
	for (i = 0; i < 7; i++)
		send_text(pair.a, i % 2 ? "short" : "longer than what a mailbox takes");
	send_text(pair.b, "one");
	recv_text(pair.b, "longer than what a mailbox takes");
	status = read_status(pair.left);
	assert_string_equal(ivshmem_layout_name(ivshmem_status_layout(status), 0), "first");
	assert_int_equal(ivshmem_status_members(status, 0), 2);
	assert_member(status, 0, 0, IVSHMEM_ROLE_CREATOR, 0, IVSHMEM_END_ATTACHED);
	assert_member(status, 0, 1, IVSHMEM_ROLE_CONNECTOR, 0, IVSHMEM_END_ATTACHED);
	assert_detail(status, 0, 0, IVSHMEM_DETAIL_PID, (uint64_t)getpid());
	assert_detail(status, 0, 0, IVSHMEM_DETAIL_SENT, 7);
	assert_detail(status, 0, 0, IVSHMEM_DETAIL_RECEIVED, 0);
	assert_detail(status, 0, 0, IVSHMEM_DETAIL_WAITING, 1);
	assert_detail(status, 0, 1, IVSHMEM_DETAIL_SENT, 1);
	assert_detail(status, 0, 1, IVSHMEM_DETAIL_RECEIVED, 1);
	assert_detail(status, 0, 1, IVSHMEM_DETAIL_WAITING, 6);
	assert_unknown(status, 0, 0, IVSHMEM_DETAIL_HELD);
	assert_unknown(status, 0, 0, IVSHMEM_DETAIL_PEER);
	assert_int_equal(ivshmem_status_members(status, 1), 0);
	ivshmem_status_free(status);
}

/* What was sent to it is its own until the next one comes. */
static void channel_that_one_end_has_closed_tells_what_is_left(void **state)
{
	struct ivshmem_status *status;

	open_pair();
	send_text(pair.a, "one");
	send_text(pair.a, "two, which is longer than a mailbox takes");
	close_end(&pair.a);
	status = read_status(pair.right);
	assert_member(status, 0, 0, IVSHMEM_ROLE_CREATOR, 0, IVSHMEM_END_FREE);
	assert_unknown(status, 0, 0, IVSHMEM_DETAIL_PID);
	assert_detail(status, 0, 0, IVSHMEM_DETAIL_SENT, 2);
	assert_detail(status, 0, 1, IVSHMEM_DETAIL_WAITING, 2);
	ivshmem_status_free(status);
}

static void channel_without_a_session_has_counted_nothing(void **state)
{
	struct ivshmem_status *status;

	open_handles(REGION_SIZE, 1);
	assert_int_equal(ivshmem_channel_begin(&pair.a, pair.left, "a", IVSHMEM_END_CREATOR, 0),
			 0);
	status = read_status(pair.right);
	assert_member(status, 0, 0, IVSHMEM_ROLE_CREATOR, 0, IVSHMEM_END_ATTACHED);
	assert_detail(status, 0, 0, IVSHMEM_DETAIL_SENT, 0);
	assert_detail(status, 0, 0, IVSHMEM_DETAIL_RECEIVED, 0);
	assert_detail(status, 0, 0, IVSHMEM_DETAIL_WAITING, 0);
	ivshmem_status_free(status);
}

static void channel_whose_program_was_killed_is_dead(void **state)
{
	struct ivshmem_status *status;
	pid_t child;

	open_handles(REGION_SIZE, 1);
	child = start_other(in_shm("region"), false, "a", 0, wait_for_ever);
	assert_int_equal(ivshmem_channel_create(&pair.a, pair.left, "a", 0, PATIENCE_MS), 0);
	kill_other(child);
	status = read_status(pair.left);
	assert_member(status, 0, 1, IVSHMEM_ROLE_CONNECTOR, 0, IVSHMEM_END_DEAD);
	assert_detail(status, 0, 1, IVSHMEM_DETAIL_PID, (uint64_t)child);
	assert_unknown(status, 0, 1, IVSHMEM_DETAIL_ASLEEP);
	ivshmem_status_free(status);
}

/* As much as they take of the ring, also where the ring is begun anew early, to stay warm. */
static void channel_tells_how_many_bytes_were_taken(void **state)
{
	struct ivshmem_status *status;
	char data[1000] = "";
	unsigned int i;

	open_handles(4 * MIB, 1);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	for (i = 0; i < 3000; i++) {
		assert_int_equal(ivshmem_channel_send(pair.a, data, sizeof(data), PATIENCE_MS), 0);
		assert_int_equal(ivshmem_channel_recv(pair.b, data, sizeof(data), PATIENCE_MS),
				 sizeof(data));
		assert_recv_fails(pair.b, 0, -EAGAIN);
	}
	status = read_status(pair.left);
	assert_detail(status, 0, 1, IVSHMEM_DETAIL_BYTES, 3000 * 1024);
	assert_detail(status, 0, 0, IVSHMEM_DETAIL_BYTES, 0);
	assert_true(pair.b->own->turned > 0);
	ivshmem_status_free(status);
	reconnect_both(pair.a, pair.b);
	status = read_status(pair.left);
	assert_detail(status, 0, 1, IVSHMEM_DETAIL_BYTES, 0);
	ivshmem_status_free(status);
}

static void *receive_in_thread(void *channel)
{
	recv_text(channel, "wake up");
	return NULL;
}

static void end_that_sleeps_is_shown_asleep(void **state)
{
	struct ivshmem_status *status;
	uint64_t asleep = 0;
	pthread_t thread;

	open_pair();
	assert_int_equal(pthread_create(&thread, NULL, receive_in_thread, pair.b), 0);
	while (asleep != 1) {
		status = read_status(pair.left);
		assert_detail(status, 0, 0, IVSHMEM_DETAIL_ASLEEP, 0);
		assert_int_equal(ivshmem_status_detail(status, 0, 1, IVSHMEM_DETAIL_ASLEEP,
						       &asleep), 0);
		ivshmem_status_free(status);
		usleep(1000);
	}
	send_text(pair.a, "wake up");
	assert_int_equal(pthread_join(thread, NULL), 0);
	status = read_status(pair.left);
	assert_detail(status, 0, 0, IVSHMEM_DETAIL_WAKEUPS, 1);
	assert_detail(status, 0, 1, IVSHMEM_DETAIL_WAKEUPS, 0);
	ivshmem_status_free(status);
}

/* --- areas --- */

static void area_is_used_while_somebody_has_it_open(void **state)
{
	struct ivshmem_status *status;
	struct ivshmem_area *area;

	make(&small);
	assert_int_equal(ivshmem_make_area(world.shm[0], "area", 1), 0);
	status = read_status(world.shm[0]);
	assert_int_equal(ivshmem_status_members(status, 1), 0);
	ivshmem_status_free(status);
	assert_int_equal(ivshmem_area_open(&area, world.shm[1], "area"), 0);
	status = read_status(world.shm[0]);
	assert_int_equal(ivshmem_status_members(status, 1), 1);
	assert_member(status, 1, 0, IVSHMEM_ROLE_USER, 0, IVSHMEM_END_ATTACHED);
	assert_unknown(status, 1, 0, IVSHMEM_DETAIL_PID);
	ivshmem_status_free(status);
	ivshmem_area_close(area);
	status = read_status(world.shm[0]);
	assert_int_equal(ivshmem_status_members(status, 1), 0);
	ivshmem_status_free(status);
}

/* What a child has open is found there, and so is what this program has. */
static pid_t start_user(int (*open)(struct ivshmem *shm), unsigned int flags)
{
	int ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		struct ivshmem *shm;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ivshmem_open(&shm, in_shm("region"), flags) || open(shm) ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return child;
}

static struct ivshmem_status *find_users(void)
{
	struct ivshmem_status *status;

	assert_int_equal(ivshmem_status_read(&status, world.shm[0], IVSHMEM_STATUS_USERS), 0);
	return status;
}

static int open_area(struct ivshmem *shm)
{
	struct ivshmem_area *area;

	return ivshmem_area_open(&area, shm, "area");
}

static void programs_that_have_an_area_open_are_found(void **state)
{
	struct ivshmem_status *status;
	struct ivshmem_area *area;
	bool own_is_first;
	pid_t child;

	make(&small);
	assert_int_equal(ivshmem_make_area(world.shm[0], "area", 1), 0);
	assert_int_equal(ivshmem_make_area(world.shm[0], "other", 1), 0);
	status = find_users();
	assert_int_equal(ivshmem_status_members(status, 1), 0);
	ivshmem_status_free(status);
	assert_int_equal(ivshmem_area_open(&area, world.shm[1], "area"), 0);
	child = start_user(open_area, 0);
	status = find_users();
	assert_int_equal(ivshmem_status_members(status, 1), 2);
	own_is_first = getpid() < child;
	assert_member(status, 1, 0, IVSHMEM_ROLE_USER, 0, IVSHMEM_END_ATTACHED);
	assert_detail(status, 1, !own_is_first, IVSHMEM_DETAIL_PID, (uint64_t)getpid());
	assert_detail(status, 1, own_is_first, IVSHMEM_DETAIL_PID, (uint64_t)child);
	assert_int_equal(ivshmem_status_members(status, 2), 0);
	ivshmem_status_free(status);
	kill_other(child);
	ivshmem_area_close(area);
	status = find_users();
	assert_int_equal(ivshmem_status_members(status, 1), 0);
	ivshmem_status_free(status);
}

static int read_only(struct ivshmem *shm)
{
	struct ivshmem_subscriber *subscriber;

	return ivshmem_subscriber_open(&subscriber, shm, "t", 0);
}

static void program_that_only_reads_a_topic_is_found(void **state)
{
	struct ivshmem_status *status;
	pid_t child;

	make(&small);
	open_subscriber(0, 0);
	child = start_user(read_only, IVSHMEM_RDONLY);
	status = read_status(world.shm[0]);
	assert_int_equal(ivshmem_status_members(status, TOPIC), 1);
	ivshmem_status_free(status);
	status = find_users();
	assert_int_equal(ivshmem_status_members(status, TOPIC), 2);
	assert_member(status, TOPIC, 0, IVSHMEM_ROLE_SUBSCRIBER, 0, IVSHMEM_END_ATTACHED);
	assert_member(status, TOPIC, 1, IVSHMEM_ROLE_USER, 0, IVSHMEM_END_ATTACHED);
	assert_detail(status, TOPIC, 1, IVSHMEM_DETAIL_PID, (uint64_t)child);
	ivshmem_status_free(status);
	kill_other(child);
}

/* --- topics --- */

static void topic_tells_its_layout(void **state)
{
	struct ivshmem_topic_layout layout = { .max_length = 1 };
	struct ivshmem_status *status;

	make(&large);
	status = read_status(world.shm[0]);
	assert_int_equal(ivshmem_status_topic(status, TOPIC, &layout), 0);
	assert_true(layout.max_length == LARGE);
	assert_int_equal(layout.history, 8);
	assert_int_equal(layout.publishers, 2);
	assert_int_equal(layout.subscribers, 4);
	assert_int_equal(layout.holds, 3);
	assert_int_equal(layout.flags, 0);
	assert_int_equal(ivshmem_status_topic(status, TOPIC + 1, &layout), -ENOENT);
	assert_int_equal(ivshmem_status_members(status, TOPIC), 0);
	ivshmem_status_free(status);
}

static void topic_tells_publishers_then_subscribers(void **state)
{
	struct ivshmem_status *status;

	make(&small);
	open_publisher(0);
	open_publisher(1);
	open_subscriber(0, 0);
	open_subscriber(1, 0);
	ivshmem_publisher_close(world.publishers[0]);
	world.publishers[0] = NULL;
	ivshmem_subscriber_close(world.subscribers[0]);
	world.subscribers[0] = NULL;
	status = read_status(world.shm[0]);
	assert_int_equal(ivshmem_status_members(status, TOPIC), 2);
	assert_member(status, TOPIC, 0, IVSHMEM_ROLE_PUBLISHER, 1, IVSHMEM_END_ATTACHED);
	assert_member(status, TOPIC, 1, IVSHMEM_ROLE_SUBSCRIBER, 1, IVSHMEM_END_ATTACHED);
	assert_detail(status, TOPIC, 0, IVSHMEM_DETAIL_PID, (uint64_t)getpid());
	assert_detail(status, TOPIC, 1, IVSHMEM_DETAIL_PID, (uint64_t)getpid());
	assert_detail(status, TOPIC, 0, IVSHMEM_DETAIL_SENT, 0);
	assert_unknown(status, TOPIC, 0, IVSHMEM_DETAIL_LENGTH);
	ivshmem_status_free(status);
}

static void publish_bytes(size_t length, unsigned int flags)
{
	char data[LARGE] = "";
	const struct iovec part = { data, length };

	assert_int_equal(ivshmem_publish(world.publishers[0], &part, 1, 0, flags, 0), 0);
}

static void publisher_that_has_left_messages_tells_how_many_how_long_and_how_old(void **state)
{
	struct ivshmem_status *status;
	struct timespec before;
	uint64_t time_ns = 0;
	int i;

	make(&small);
	open_publisher(0);
	for (i = 0; i < 20; i++)
		publish_bytes(80, 0);
	status = read_status(world.shm[0]);
	assert_detail(status, TOPIC, 0, IVSHMEM_DETAIL_LENGTH, 80);
	assert_unknown(status, TOPIC, 0, IVSHMEM_DETAIL_TIME);
	ivshmem_status_free(status);

	clock_gettime(CLOCK_REALTIME, &before);
	for (i = 0; i < 4; i++)
		publish_bytes(10, IVSHMEM_STAMP);
	ivshmem_publisher_close(world.publishers[0]);
	world.publishers[0] = NULL;
	status = read_status(world.shm[0]);
	assert_member(status, TOPIC, 0, IVSHMEM_ROLE_PUBLISHER, 0, IVSHMEM_END_FREE);
	assert_unknown(status, TOPIC, 0, IVSHMEM_DETAIL_PID);
	assert_detail(status, TOPIC, 0, IVSHMEM_DETAIL_SENT, 24);
	assert_detail(status, TOPIC, 0, IVSHMEM_DETAIL_LENGTH, (4 * 80 + 4 * 10) / 8);
	assert_int_equal(ivshmem_status_detail(status, TOPIC, 0, IVSHMEM_DETAIL_TIME, &time_ns),
			 0);
	assert_in_range(time_ns, (uint64_t)before.tv_sec * 1000000000 + (uint64_t)before.tv_nsec,
			((uint64_t)before.tv_sec + 600) * 1000000000);
	ivshmem_status_free(status);
}

/* Both publishers' messages count, and those of before it came don't. */
static void subscriber_tells_what_it_got_and_missed_and_what_waits_for_it(void **state)
{
	struct ivshmem_status *status;
	uint64_t number;

	make(&small);
	open_publisher(0);
	open_publisher(1);
	for (number = 1; number <= 20; number++)
		publish(0, number, 100);
	open_subscriber(0, 2);
	publish(0, 21, 100);
	publish(1, 1, 100);
	status = read_status(world.shm[0]);
	assert_detail(status, TOPIC, 2, IVSHMEM_DETAIL_RECEIVED, 0);
	assert_detail(status, TOPIC, 2, IVSHMEM_DETAIL_SKIPPED, 0);
	assert_detail(status, TOPIC, 2, IVSHMEM_DETAIL_WAITING, 4);
	ivshmem_status_free(status);

	receive(0, 19, 100, 0);
	for (number = 22; number <= 40; number++)
		publish(0, number, 100);
	receive(0, 1, 100, 0);
	receive(0, 33, 100, 13);
	status = read_status(world.shm[0]);
	assert_detail(status, TOPIC, 2, IVSHMEM_DETAIL_RECEIVED, 3);
	assert_detail(status, TOPIC, 2, IVSHMEM_DETAIL_SKIPPED, 13);
	assert_detail(status, TOPIC, 2, IVSHMEM_DETAIL_WAITING, 7);
	ivshmem_status_free(status);

	ivshmem_subscriber_close(world.subscribers[0]);
	open_subscriber(0, 0);
	status = read_status(world.shm[0]);
	assert_detail(status, TOPIC, 2, IVSHMEM_DETAIL_RECEIVED, 0);
	assert_detail(status, TOPIC, 2, IVSHMEM_DETAIL_SKIPPED, 0);
	assert_detail(status, TOPIC, 2, IVSHMEM_DETAIL_WAITING, 0);
	ivshmem_status_free(status);
}

static void publisher_tells_how_many_subscribers_it_has_dropped(void **state)
{
	struct ivshmem_topic_layout lossless = small;
	struct ivshmem_status *status;
	uint64_t number;

	lossless.flags = IVSHMEM_TOPIC_LOSSLESS;
	make(&lossless);
	open_publisher(0);
	open_subscriber(0, 0);
	open_subscriber(1, 0);
	for (number = 1; number <= 20; number++)
		publish(0, number, 100);
	status = read_status(world.shm[0]);
	assert_detail(status, TOPIC, 0, IVSHMEM_DETAIL_DROPPED, 2);
	assert_detail(status, TOPIC, 1, IVSHMEM_DETAIL_WAITING, 20);
	assert_unknown(status, TOPIC, 1, IVSHMEM_DETAIL_DROPPED);
	ivshmem_status_free(status);
}

static void subscriber_tells_what_it_holds_and_what_waits_for_it(void **state)
{
	struct ivshmem_topic_layout lossless = large;
	struct ivshmem_status *status;
	const void *message;
	int i;

	lossless.flags = IVSHMEM_TOPIC_LOSSLESS;
	make(&lossless);
	open_publisher(0);
	open_subscriber(0, 0);
	for (i = 0; i < 5; i++)
		publish_bytes(LARGE, 0);
	assert_int_equal(ivshmem_subscriber_hold(world.subscribers[0], &message, NULL, 0, 0),
			 LARGE);
	assert_int_equal(ivshmem_subscriber_hold(world.subscribers[0], &message, NULL, 0, 0),
			 LARGE);
	status = read_status(world.shm[0]);
	assert_detail(status, TOPIC, 1, IVSHMEM_DETAIL_HELD, 2);
	assert_detail(status, TOPIC, 1, IVSHMEM_DETAIL_WAITING, 3);
	ivshmem_status_free(status);
}

static void subscriber_that_was_killed_is_dead(void **state)
{
	struct ivshmem_status *status;
	int ready[2];
	pid_t child;
	char byte;

	make(&small);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		struct ivshmem_subscriber *subscriber;
		struct ivshmem *shm;

		if (ivshmem_open(&shm, in_shm("region"), 0) ||
		    ivshmem_subscriber_open(&subscriber, shm, "t", 0))
			_exit(1);
		write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	status = read_status(world.shm[0]);
	assert_member(status, TOPIC, 0, IVSHMEM_ROLE_SUBSCRIBER, 0, IVSHMEM_END_ATTACHED);
	ivshmem_status_free(status);
	kill_other(child);
	status = read_status(world.shm[0]);
	assert_member(status, TOPIC, 0, IVSHMEM_ROLE_SUBSCRIBER, 0, IVSHMEM_END_DEAD);
	assert_detail(status, TOPIC, 0, IVSHMEM_DETAIL_PID, (uint64_t)child);
	ivshmem_status_free(status);
}

/* --- services and wait sets --- */

/* Of which kind the only object is. */
static unsigned int find_kind(const struct ivshmem_status *status, unsigned int kind)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(status);
	unsigned int i;

	for (i = 0; i < ivshmem_layout_objects(layout); i++)
		if (ivshmem_layout_kind(layout, i) == kind)
			return i;
	fail_msg("there is no object of kind %u", kind);
	return 0;
}

static void assert_clients(uint64_t clients)
{
	struct ivshmem_status *status = read_status(pair.right);
	unsigned int index = find_kind(status, IVSHMEM_SERVICE);

	assert_int_equal(ivshmem_status_members(status, index), 1);
	assert_member(status, index, 0, IVSHMEM_ROLE_LISTENER, 0, IVSHMEM_END_ATTACHED);
	assert_detail(status, index, 0, IVSHMEM_DETAIL_PID, (uint64_t)getpid());
	assert_detail(status, index, 0, IVSHMEM_DETAIL_CLIENTS, clients);
	assert_unknown(status, index, 0, IVSHMEM_DETAIL_WATCHED);
	ivshmem_status_free(status);
}

static void listener_tells_how_many_clients_it_has(void **state)
{
	struct ivshmem_channel *clients[2], *servers[2];
	struct ivshmem_listener *listener;

	open_handles(MIB, 8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_clients(0);
	connect_one(pair.right, listener, &clients[0], &servers[0]);
	connect_one(pair.right, listener, &clients[1], &servers[1]);
	assert_clients(2);
	ivshmem_channel_close(clients[0]);
	ivshmem_channel_close(servers[0]);
	ivshmem_channel_close(clients[1]);
	ivshmem_channel_close(servers[1]);
	assert_clients(0);
	ivshmem_listener_close(listener);
}

static void service_without_a_listener_has_no_member(void **state)
{
	struct ivshmem_status *status;

	open_handles(MIB, 8);
	assert_int_equal(ivshmem_make_service(pair.left, SERVICE, 0, 0), 0);
	status = read_status(pair.left);
	assert_int_equal(ivshmem_status_members(status, 0), 0);
	assert_true(ivshmem_layout_kind(ivshmem_status_layout(status), 0) == IVSHMEM_SERVICE);
	ivshmem_status_free(status);
}

static void wait_set_tells_what_is_in_it(void **state)
{
	struct ivshmem_waitset *set;
	struct ivshmem_status *status;
	struct ivshmem_ready ready;
	unsigned int index;

	open_handles(REGION_SIZE, 2);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	assert_int_equal(ivshmem_waitset_open(&set, pair.left), 0);
	assert_int_equal(ivshmem_waitset_add_channel(set, pair.a, IVSHMEM_CAN_RECV, 0, NULL), 0);
	assert_int_equal(ivshmem_waitset_wait(set, &ready, 1, SHORT_MS), -ETIMEDOUT);
	status = read_status(pair.right);
	index = find_kind(status, IVSHMEM_WAITSET);
	assert_int_equal(ivshmem_status_members(status, index), 1);
	assert_member(status, index, 0, IVSHMEM_ROLE_WAITER, 0, IVSHMEM_END_ATTACHED);
	assert_detail(status, index, 0, IVSHMEM_DETAIL_WATCHED, 1);
	assert_unknown(status, index, 0, IVSHMEM_DETAIL_CLIENTS);
	ivshmem_status_free(status);
	assert_int_equal(ivshmem_waitset_remove_channel(set, pair.a), 0);
	status = read_status(pair.right);
	assert_detail(status, index, 0, IVSHMEM_DETAIL_WATCHED, 0);
	ivshmem_status_free(status);
	ivshmem_waitset_close(set);
}

/* --- who watches --- */

static void who_may_only_read_sees_the_same_and_changes_nothing(void **state)
{
	struct ivshmem_status *status;
	char *before, *after;
	struct ivshmem *shm;

	make(&small);
	open_publisher(0);
	open_subscriber(0, 0);
	publish(0, 1, 100);
	after = map_raw(world.shm[0]);
	before = malloc(4 * MIB);
	assert_non_null(before);
	memcpy(before, after, 4 * MIB);
	shm = open_region(in_shm("region"), IVSHMEM_RDONLY);
	status = read_status(shm);
	assert_int_equal(ivshmem_status_members(status, TOPIC), 2);
	assert_detail(status, TOPIC, 0, IVSHMEM_DETAIL_SENT, 1);
	assert_memory_equal(before, after, 4 * MIB);
	ivshmem_status_free(status);
	ivshmem_close(shm);
	munmap(after, 4 * MIB);
	free(before);
}

/* Of any junk the counts are bounded by what the topic's facts say, and no time is long. */
static void objects_that_lie_are_shown_within_bounds(void **state)
{
	struct ivshmem_status *status;
	struct ivshmem_slot *slot;
	unsigned int junk, i;
	uint64_t blocks;
	char *raw;

	make(&small);
	open_publisher(0);
	open_subscriber(0, 0);
	raw = map_raw(world.shm[0]);
	blocks = ((struct ivshmem_superblock *)raw)->blocks_offset;
	for (junk = 0; junk < 0x100; junk += 0x33) {
		memset(raw + blocks, (int)junk, 64 * KIB);
		status = read_status(world.shm[0]);
		assert_true(ivshmem_status_members(status, TOPIC) <= 2 + 4);
		ivshmem_status_free(status);
	}
	slot = slot_of(raw, TOPIC);
	for (i = 0; i < FACTS; i++) {
		uint64_t was = slot->facts[i];

		slot->facts[i] = was | UINT32_MAX;
		status = read_status(world.shm[0]);
		assert_true(ivshmem_status_members(status, TOPIC) <= 16 + 1024);
		ivshmem_status_free(status);
		slot->facts[i] = was;
	}
	munmap(raw, 4 * MIB);
}

/* Else some megabytes could be shown as millions of members. */
static void topics_that_lie_upon_each_other_are_damaged(void **state)
{
	const struct ivshmem_topic_layout most = {
		.max_length = 100, .history = 8192, .publishers = 2, .subscribers = 1024,
	};
	struct ivshmem_topic_layout layout;
	struct ivshmem_status *status;
	struct ivshmem_slot *first;
	unsigned int i, fact;
	char *raw;

	make(&most);
	raw = map_raw(world.shm[0]);
	first = slot_of(raw, TOPIC);
	for (i = 1; i < 4; i++) {
		char name[2] = { (char)('a' + i), 0 };

		assert_int_equal(ivshmem_make_topic(world.shm[0], name, &small), 0);
		for (fact = FACT_FIRST_BLOCK; fact < FACTS; fact++)
			slot_of(raw, i)->facts[fact] = (slot_of(raw, i)->key & ~0ull << 32) |
						       (uint32_t)first->facts[fact];
	}
	status = read_status(world.shm[0]);
	assert_int_equal(ivshmem_status_topic(status, TOPIC, &layout), 0);
	assert_int_equal(ivshmem_status_topic(status, 1, &layout), -EUCLEAN);
	assert_int_equal(ivshmem_status_topic(status, 2, &layout), -EUCLEAN);
	assert_int_equal(ivshmem_status_topic(status, 3, &layout), -EUCLEAN);
	ivshmem_status_free(status);
	munmap(raw, 4 * MIB);
}

static void what_is_not_there_is_nothing(void **state)
{
	struct ivshmem_topic_layout layout;
	struct ivshmem_status *status;
	uint64_t value;

	make(&small);
	open_publisher(0);
	status = read_status(world.shm[0]);
	assert_member(status, TOPIC, 1, IVSHMEM_ROLE_NONE, 0, IVSHMEM_END_FREE);
	assert_member(status, UINT_MAX, 0, IVSHMEM_ROLE_NONE, 0, IVSHMEM_END_FREE);
	assert_int_equal(ivshmem_status_members(status, UINT_MAX), 0);
	assert_unknown(status, TOPIC, 0, (enum ivshmem_detail)-1);
	assert_unknown(status, TOPIC, 0, (enum ivshmem_detail)1000);
	assert_unknown(status, TOPIC, UINT_MAX, IVSHMEM_DETAIL_PID);
	assert_int_equal(ivshmem_status_topic(status, UINT_MAX, &layout), -ENOENT);
	assert_int_equal(ivshmem_status_topic(status, TOPIC, NULL), -EINVAL);
	assert_int_equal(ivshmem_status_detail(status, TOPIC, 0, IVSHMEM_DETAIL_PID, NULL),
			 -EINVAL);
	ivshmem_status_free(status);

	status = POISON;
	assert_int_equal(ivshmem_status_read(&status, NULL, 0), -EINVAL);
	assert_int_equal(ivshmem_status_read(NULL, world.shm[0], 0), -EINVAL);
	assert_int_equal(ivshmem_status_read(&status, world.shm[0], 2), -EINVAL);
	assert_ptr_equal(status, POISON);
	assert_null(ivshmem_status_layout(NULL));
	assert_int_equal(ivshmem_status_members(NULL, 0), 0);
	assert_int_equal(ivshmem_status_role(NULL, 0, 0), IVSHMEM_ROLE_NONE);
	assert_int_equal(ivshmem_status_place(NULL, 0, 0), 0);
	assert_int_equal(ivshmem_status_state(NULL, 0, 0), IVSHMEM_END_FREE);
	assert_int_equal(ivshmem_status_topic(NULL, 0, &layout), -EINVAL);
	assert_int_equal(ivshmem_status_detail(NULL, 0, 0, IVSHMEM_DETAIL_PID, &value), -EINVAL);
	ivshmem_status_free(NULL);
}

static void region_without_a_format_is_told(void **state)
{
	struct ivshmem_status *status = POISON;
	struct ivshmem *shm = open_region(make_file("raw", MIB), 0);

	assert_int_equal(ivshmem_status_read(&status, shm, 0), -ENOMEDIUM);
	assert_ptr_equal(status, POISON);
	ivshmem_close(shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(channel_tells_ends_programs_and_counts),
		PAIR_TEST(channel_that_one_end_has_closed_tells_what_is_left),
		PAIR_TEST(channel_without_a_session_has_counted_nothing),
		PAIR_TEST(channel_whose_program_was_killed_is_dead),
		PAIR_TEST(channel_tells_how_many_bytes_were_taken),
		PAIR_TEST(end_that_sleeps_is_shown_asleep),
		TOPIC_TEST(area_is_used_while_somebody_has_it_open),
		TOPIC_TEST(programs_that_have_an_area_open_are_found),
		TOPIC_TEST(program_that_only_reads_a_topic_is_found),
		TOPIC_TEST(topic_tells_its_layout),
		TOPIC_TEST(topic_tells_publishers_then_subscribers),
		TOPIC_TEST(publisher_that_has_left_messages_tells_how_many_how_long_and_how_old),
		TOPIC_TEST(subscriber_tells_what_it_got_and_missed_and_what_waits_for_it),
		TOPIC_TEST(publisher_tells_how_many_subscribers_it_has_dropped),
		TOPIC_TEST(subscriber_tells_what_it_holds_and_what_waits_for_it),
		TOPIC_TEST(subscriber_that_was_killed_is_dead),
		PAIR_TEST(listener_tells_how_many_clients_it_has),
		PAIR_TEST(service_without_a_listener_has_no_member),
		PAIR_TEST(wait_set_tells_what_is_in_it),
		TOPIC_TEST(who_may_only_read_sees_the_same_and_changes_nothing),
		TOPIC_TEST(objects_that_lie_are_shown_within_bounds),
		TOPIC_TEST(topics_that_lie_upon_each_other_are_damaged),
		TOPIC_TEST(what_is_not_there_is_nothing),
		TEST(region_without_a_format_is_told),
	};

	return run("status", tests, ARRAY_SIZE(tests));
}
