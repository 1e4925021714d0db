// SPDX-License-Identifier: MIT
/*
 * Long messages, which the other end receives while they are still copied.
 *
 * The sender is made to stop amid a message: where its copy comes to a page of the message that
 * can't be read, a handler of SIGSEGV lets the page be read and calls the test; then the copy goes
 * on.
 */
#include "channels.h"

#include <signal.h>

#define LARGE_REGION	MIB
#define LENGTH		(200 * KIB)
#define STOP		(96 * KIB)	/* of the message: at the end of a part */
#define LATER		(160 * KIB)
#define PAGE		4096
#define KILLS		30

static char *message;		/* page-aligned, LENGTH bytes */
static char received[2 * LENGTH];

static struct {
	void (*at_stop)(void);
	void (*later)(void);
	long result[4];
	pid_t child;
	char snapshot[LARGE_REGION];
	char *raw;
} amid;

static bool is_page(const char *at, size_t offset)
{
	return at >= message + offset && at < message + offset + PAGE;
}

static void stop_here(int signal, siginfo_t *info, void *context)
{
	size_t offset = is_page(info->si_addr, STOP) ? STOP : LATER;

	if (!is_page(info->si_addr, offset))
		_exit(111);
	mprotect(message + offset, PAGE, PROT_READ | PROT_WRITE);
	(offset == STOP ? amid.at_stop : amid.later)();
}

static int growing_setup(void **state)
{
	if (pair_setup(state))
		return -1;
	message = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (message == MAP_FAILED)
		return -1;
	fill(message, LENGTH, 1);
	open_handles(LARGE_REGION, 1);
	return 0;
}

static int growing_teardown(void **state)
{
	munmap(message, LENGTH);
	return pair_teardown(state);
}

static void open_ends(void)
{
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
}

/* Sends @message by a, and calls @at_stop when so much of it is there as STOP says. */
static int send_with(void (*at_stop)(void))
{
	struct sigaction action = { .sa_sigaction = stop_here, .sa_flags = SA_SIGINFO }, before;
	int err;

	amid.at_stop = at_stop;
	sigaction(SIGSEGV, &action, &before);
	mprotect(message + STOP, PAGE, PROT_NONE);
	err = ivshmem_channel_send(pair.a, message, LENGTH, PATIENCE_MS);
	sigaction(SIGSEGV, &before, NULL);
	return err;
}

static void assert_received(long length)
{
	assert_int_equal(length, LENGTH);
	assert_filled(received, LENGTH, 1);
}

/* --- what the other end sees meanwhile --- */

static void look_without_waiting(void)
{
	const void *place;

	amid.result[0] = ivshmem_channel_recv(pair.b, received, sizeof(received), 0);
	amid.result[1] = ivshmem_channel_peek(pair.b, &place, 0);
	amid.result[2] = ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV, 0);
	amid.result[3] = ivshmem_channel_read(pair.b, received, sizeof(received), 0);
}

static void who_does_not_wait_sees_a_message_only_once_it_is_whole(void **state)
{
	open_ends();
	assert_true(ivshmem_channel_fd(pair.b) >= 0);
	assert_int_equal(send_with(look_without_waiting), 0);
	assert_int_equal(amid.result[0], -EAGAIN);
	assert_int_equal(amid.result[1], -EAGAIN);
	assert_int_equal(amid.result[2], 0);
	assert_int_equal(amid.result[3], -EAGAIN);
	assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV, 0), IVSHMEM_CAN_RECV);
	assert_received(ivshmem_channel_recv(pair.b, received, sizeof(received), 0));
}

static void wait_a_moment(void)
{
	const void *place;
	int64_t start = now_ms();

	memset(received, 0, sizeof(received));
	amid.result[0] = ivshmem_channel_recv(pair.b, received, sizeof(received), SHORT_MS);
	amid.result[1] = ivshmem_channel_peek(pair.b, &place, SHORT_MS);
	amid.result[2] = now_ms() - start;
	amid.result[3] = memcmp(received, message, STOP) == 0;
}

/* That the first part was read is what makes it quick. */
static void who_waits_reads_the_part_that_is_there_and_gives_up_in_time(void **state)
{
	open_ends();
	assert_int_equal(send_with(wait_a_moment), 0);
	assert_int_equal(amid.result[0], -ETIMEDOUT);
	assert_int_equal(amid.result[1], -ETIMEDOUT);
	assert_true(amid.result[2] >= 2 * SHORT_MS);
	assert_true(amid.result[3]);
	assert_received(ivshmem_channel_recv(pair.b, received, sizeof(received), PATIENCE_MS));
	talk(pair.a, pair.b);
}

static void cancel_and_wait(void)
{
	ivshmem_channel_cancel(pair.b);
	amid.result[0] = ivshmem_channel_recv(pair.b, received, sizeof(received), PATIENCE_MS);
	ivshmem_channel_uncancel(pair.b);
}

static void cancelled_amid_a_message_leaves_it_to_the_next_call(void **state)
{
	open_ends();
	assert_int_equal(send_with(cancel_and_wait), 0);
	assert_int_equal(amid.result[0], -ECANCELED);
	assert_received(ivshmem_channel_recv(pair.b, received, sizeof(received), PATIENCE_MS));
}

static void receive_too_little(void)
{
	amid.result[0] = ivshmem_channel_recv(pair.b, received, LENGTH - 1, PATIENCE_MS);
}

static void buffer_too_small_for_a_message_under_way_fails_emsgsize_and_it_stays(void **state)
{
	open_ends();
	assert_int_equal(send_with(receive_too_little), 0);
	assert_int_equal(amid.result[0], -EMSGSIZE);
	assert_int_equal(ivshmem_channel_recv(pair.b, received, LENGTH - 1, 0), -EMSGSIZE);
	assert_received(ivshmem_channel_recv(pair.b, received, LENGTH, 0));
}

static void look_at_bell(void)
{
	amid.result[0] = pair.a->own->receiver_bell;
}

static void sleeper_is_woken_once_and_when_a_long_message_is_whole(void **state)
{
	uint32_t before;

	open_ends();
	assert_true(ivshmem_channel_fd(pair.b) >= 0);
	assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV, 0), 0);
	before = pair.a->own->receiver_bell;
	assert_int_equal(send_with(look_at_bell), 0);
	assert_int_equal(amid.result[0], before);
	assert_int_equal(pair.a->own->receiver_bell, before + 1);
	assert_received(ivshmem_channel_recv(pair.b, received, sizeof(received), 0));
}

/* --- messages as a whole --- */

static void *send_three(void *unused)
{
	int i, err = 0;

	for (i = 0; !err && i < 3; i++)
		err = ivshmem_channel_send(pair.a, message, LENGTH, PATIENCE_MS);
	return err ? "sending failed" : NULL;
}

static void long_messages_are_received_by_every_call(void **state)
{
	const void *place;
	pthread_t thread;
	size_t got = 0;
	ssize_t part;

	open_ends();
	assert_int_equal(pthread_create(&thread, NULL, send_three, NULL), 0);
	assert_received(ivshmem_channel_recv(pair.b, received, sizeof(received), PATIENCE_MS));
	assert_int_equal(ivshmem_channel_peek(pair.b, &place, PATIENCE_MS), LENGTH);
	assert_filled(place, LENGTH, 1);
	assert_int_equal(ivshmem_channel_release(pair.b, place), 0);
	for (; got < LENGTH; got += (size_t)part) {
		part = ivshmem_channel_read(pair.b, received + got, 1000, PATIENCE_MS);
		assert_true(part > 0);
	}
	assert_received((long)got);
	assert_threads_succeed(&thread, 1);
}

/* Then the progress is of a later one. */
static void two_long_messages_that_wait_are_both_received(void **state)
{
	open_ends();
	assert_int_equal(ivshmem_channel_send(pair.a, message, LENGTH, 0), 0);
	assert_int_equal(ivshmem_channel_send(pair.a, message, LENGTH, 0), 0);
	send_text(pair.a, "short");
	assert_received(ivshmem_channel_recv(pair.b, received, sizeof(received), PATIENCE_MS));
	assert_received(ivshmem_channel_recv(pair.b, received, sizeof(received), 0));
	recv_text(pair.b, "short");
}

static void long_message_behind_ones_that_are_held_back_is_passed_on_with_them(void **state)
{
	void *room;

	open_ends();
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, 100, 0), 0);
	memset(room, 'x', 100);
	assert_int_equal(ivshmem_channel_commit(pair.a, 100, IVSHMEM_MORE), 0);
	assert_recv_fails(pair.b, 0, -EAGAIN);
	assert_int_equal(ivshmem_channel_send(pair.a, message, LENGTH, 0), 0);
	assert_int_equal(ivshmem_channel_recv(pair.b, received, sizeof(received), 0), 100);
	assert_received(ivshmem_channel_recv(pair.b, received, sizeof(received), 0));
}

static int send_for_ever(struct ivshmem_channel *channel)
{
	uint32_t number;
	int err = 0;

	for (number = 1; !err; number++) {
		fill(message, LENGTH, number);
		err = ivshmem_channel_send(channel, message, LENGTH, PATIENCE_MS);
	}
	return -err;
}

static int receive_until_dead(void)
{
	uint32_t number;
	ssize_t got;

	for (number = 1;; number++) {
		got = ivshmem_channel_recv(pair.b, received, sizeof(received), PATIENCE_MS);
		if (got < 0)
			return (int)got;
		assert_int_equal(got, LENGTH);
		assert_filled(received, LENGTH, number);
		/* The first few times it dies early, later after many messages. */
		if (number == (unsigned int)amid.result[0])
			kill(amid.child, SIGKILL);
	}
}

static void sender_killed_anywhere_leaves_whole_messages_then_econnreset(void **state)
{
	int i;

	for (i = 0; i < KILLS; i++) {
		amid.result[0] = 1 + i % 3;
		amid.child = start_other(in_shm("region"), true, "a", 0, send_for_ever);
		assert_int_equal(pair.b ? ivshmem_channel_reconnect(pair.b, PATIENCE_MS) :
				 ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS),
				 0);
		assert_int_equal(receive_until_dead(), -ECONNRESET);
		assert_int_equal(waitpid(amid.child, NULL, 0), amid.child);
	}
}

static void wait_to_be_killed(void)
{
	kill(getpid(), SIGSTOP);
}

static int stop_amid(struct ivshmem_channel *channel)
{
	pair.a = channel;
	return -send_with(wait_to_be_killed);
}

static void sender_killed_amid_a_message_is_told_as_a_death(void **state)
{
	pid_t child = start_other(in_shm("region"), true, "a", 0, stop_amid);
	int status;

	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ivshmem_channel_recv(pair.b, received, sizeof(received), SHORT_MS),
			 -ETIMEDOUT);
	kill_other(child);
	assert_int_equal(ivshmem_channel_recv(pair.b, received, sizeof(received), PATIENCE_MS),
			 -ECONNRESET);
	assert_int_equal(ivshmem_channel_recv(pair.b, received, sizeof(received), 0), -ENOTCONN);
}

/* --- memory that goes back --- */

static void take_snapshot(void)
{
	memcpy(amid.snapshot, amid.raw, LARGE_REGION);
}

static void go_back(void)
{
	memcpy(amid.raw, amid.snapshot, LARGE_REGION);
}

/*
 * To when less of the same message was there: what was begun then is there still, and only
 * the progress tells.
 */
static void memory_that_goes_back_amid_a_message_loses_the_session(void **state)
{
	open_ends();
	amid.raw = map_raw(pair.left);
	amid.later = go_back;
	mprotect(message + LATER, PAGE, PROT_NONE);
	assert_int_equal(send_with(take_snapshot), -ESTALE);
	assert_int_equal(ivshmem_channel_recv(pair.b, received, sizeof(received), PATIENCE_MS),
			 -ESTALE);
	reconnect_both(pair.a, pair.b);
	talk(pair.a, pair.b);
	munmap(amid.raw, LARGE_REGION);
}

/* --- hostile senders --- */

/* What b takes for its next record, and what a says of it. */
static void lie(uint32_t length, int32_t ahead, uint32_t bytes)
{
	uint64_t number = pair.b->receiver.count + 1;
	uint64_t header = record_header(number, length | RECORD_GROWING);

	__atomic_store_n(&pair.a->own->progress,
			 (uint64_t)((uint32_t)number + (uint32_t)ahead) << 32 | bytes,
			 __ATOMIC_RELEASE);
	__atomic_store_n((uint64_t *)(uintptr_t)receiver_at(&pair.b->receiver), header,
			 __ATOMIC_RELEASE);
}

static void message_that_never_grows_times_out(void **state)
{
	const void *place;

	open_ends();
	lie(LENGTH, 0, LENGTH - 1);
	assert_int_equal(ivshmem_channel_recv(pair.b, received, LENGTH, SHORT_MS), -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_peek(pair.b, &place, SHORT_MS), -ETIMEDOUT);
	lie(LENGTH, -1, LENGTH);
	assert_int_equal(ivshmem_channel_recv(pair.b, received, LENGTH, SHORT_MS), -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_recv(pair.b, received, LENGTH, 0), -EAGAIN);
}

static void progress_beyond_the_message_fills_no_more_than_it(void **state)
{
	open_ends();
	memset(received, 'x', sizeof(received));
	lie(LENGTH, 0, UINT32_MAX);
	assert_int_equal(ivshmem_channel_recv(pair.b, received, LENGTH, PATIENCE_MS), LENGTH);
	assert_int_equal(received[LENGTH], 'x');
	lie(100, 1, 0);
	assert_int_equal(ivshmem_channel_recv(pair.b, received, 100, PATIENCE_MS), 100);
}

static void length_that_cannot_be_fails_eproto(void **state)
{
	static const uint32_t lengths[] = { 0x7fffffff, 0x7ffffffe, 300 * KIB };
	size_t i;

	open_ends();
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		lie(lengths[i], 0, lengths[i]);
		assert_dead_until_reconnected(pair.b, pair.a);
	}
}

static void *grow_and_shrink(void *unused)
{
	uint64_t number = pair.b->receiver.count + 1;
	uint32_t bytes = 0;

	while (!__atomic_load_n(&amid.result[0], __ATOMIC_ACQUIRE)) {
		bytes = bytes ? 0 : LENGTH - 1;
		__atomic_store_n(&pair.a->own->progress, number << 32 | bytes, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void progress_that_comes_and_goes_holds_nobody_beyond_its_timeout(void **state)
{
	pthread_t thread;

	open_ends();
	lie(LENGTH, 0, 0);
	amid.result[0] = 0;
	assert_int_equal(pthread_create(&thread, NULL, grow_and_shrink, NULL), 0);
	assert_int_equal(ivshmem_channel_recv(pair.b, received, LENGTH, SHORT_MS), -ETIMEDOUT);
	__atomic_store_n(&amid.result[0], 1, __ATOMIC_RELEASE);
	assert_threads_succeed(&thread, 1);
}

/* All of it takes half a second at least. */
static void *trickle(void *unused)
{
	uint64_t number = pair.b->receiver.count + 1;
	uint32_t bytes;

	for (bytes = PAGE; bytes <= LENGTH; bytes += PAGE) {
		usleep(10000);
		__atomic_store_n(&pair.a->own->progress, number << 32 | bytes, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void message_that_trickles_holds_nobody_beyond_its_timeout(void **state)
{
	pthread_t thread;

	open_ends();
	lie(LENGTH, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, trickle, NULL), 0);
	assert_int_equal(ivshmem_channel_recv(pair.b, received, LENGTH, SHORT_MS), -ETIMEDOUT);
	assert_threads_succeed(&thread, 1);
	assert_int_equal(ivshmem_channel_recv(pair.b, received, LENGTH, 0), LENGTH);
}

#define GROWING_TEST(name) cmocka_unit_test_setup_teardown(name, growing_setup, growing_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GROWING_TEST(who_does_not_wait_sees_a_message_only_once_it_is_whole),
		GROWING_TEST(who_waits_reads_the_part_that_is_there_and_gives_up_in_time),
		GROWING_TEST(cancelled_amid_a_message_leaves_it_to_the_next_call),
		GROWING_TEST(buffer_too_small_for_a_message_under_way_fails_emsgsize_and_it_stays),
		GROWING_TEST(sleeper_is_woken_once_and_when_a_long_message_is_whole),
		GROWING_TEST(long_messages_are_received_by_every_call),
		GROWING_TEST(two_long_messages_that_wait_are_both_received),
		GROWING_TEST(long_message_behind_ones_that_are_held_back_is_passed_on_with_them),
		GROWING_TEST(sender_killed_anywhere_leaves_whole_messages_then_econnreset),
		GROWING_TEST(sender_killed_amid_a_message_is_told_as_a_death),
		GROWING_TEST(memory_that_goes_back_amid_a_message_loses_the_session),
		GROWING_TEST(message_that_never_grows_times_out),
		GROWING_TEST(progress_beyond_the_message_fills_no_more_than_it),
		GROWING_TEST(length_that_cannot_be_fails_eproto),
		GROWING_TEST(progress_that_comes_and_goes_holds_nobody_beyond_its_timeout),
		GROWING_TEST(message_that_trickles_holds_nobody_beyond_its_timeout),
	};

	return run("growing", tests, ARRAY_SIZE(tests));
}
