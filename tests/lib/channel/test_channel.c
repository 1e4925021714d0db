// SPDX-License-Identifier: MIT
/* What a channel gives: who gets its ends, and what becomes of messages. */
#include "channels.h"

#include <stdatomic.h>

#define MAX_IN_FLIGHT	8192
#define STREAM_BYTES	(4 * MIB)

/* --- both ends come together --- */

static int echo_once(struct ivshmem_channel *channel)
{
	char buffer[64];
	ssize_t length = ivshmem_channel_recv(channel, buffer, sizeof(buffer), PATIENCE_MS);

	if (length < 0 || ivshmem_channel_send(channel, buffer, (size_t)length, PATIENCE_MS))
		return 1;
	ivshmem_channel_close(channel);
	return 0;
}

static void create_then_connect_gives_a_channel(void **state)
{
	pid_t child;

	open_handles(REGION_SIZE, 1);
	child = start_other(in_shm("region"), true, "a", 0, echo_once);
	usleep(SHORT_MS * 1000);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	send_text(pair.b, "hello");
	recv_text(pair.b, "hello");
	assert_other_succeeds(child);
	assert_recv_fails(pair.b, PATIENCE_MS, -EPIPE);
}

static void connect_then_create_gives_a_channel(void **state)
{
	pid_t child;

	open_handles(REGION_SIZE, 1);
	child = start_other(in_shm("region"), false, "a", 0, echo_once);
	usleep(SHORT_MS * 1000);
	assert_int_equal(ivshmem_channel_create(&pair.a, pair.left, "a", 0, PATIENCE_MS), 0);
	send_text(pair.a, "hello, and more than the mailbox takes");
	recv_text(pair.a, "hello, and more than the mailbox takes");
	assert_other_succeeds(child);
}

static void run_on(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

static int spin_and_echo(struct ivshmem_channel *channel)
{
	char buffer[64];
	ssize_t length;

	ivshmem_channel_set_spin(channel, 20000);
	while ((length = ivshmem_channel_recv(channel, buffer, sizeof(buffer), PATIENCE_MS)) >= 0)
		if (ivshmem_channel_send(channel, buffer, (size_t)length, PATIENCE_MS))
			return 1;
	return length != -EPIPE;
}

static void ends_on_one_processor_let_each_other_run(void **state)
{
	cpu_set_t before;
	int64_t used;
	pid_t child;
	int i;

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	if (!CPU_ISSET(0, &before))
		skip_because("the first processor is not for this test");
	open_handles(REGION_SIZE, 1);
	run_on(0);
	child = start_other(in_shm("region"), true, "a", 0, spin_and_echo);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	ivshmem_channel_set_spin(pair.b, 20000);
	used = cpu_ms(CLOCK_THREAD_CPUTIME_ID);
	for (i = 0; i < 100; i++) {
		send_text(pair.b, "question");
		recv_text(pair.b, "question");
	}
	used = cpu_ms(CLOCK_THREAD_CPUTIME_ID) - used;
	sched_setaffinity(0, sizeof(before), &before);
	close_end(&pair.b);
	assert_other_succeeds(child);
	assert_in_range(used, 0, 1000);
}

static void alone_at_a_channel_times_out_and_leaves_it_free(void **state)
{
	struct ivshmem_channel *channel = POISON;
	int64_t start;

	open_handles(REGION_SIZE, 1);
	start = now_ms();
	assert_int_equal(ivshmem_channel_connect(&channel, pair.right, "a", 0, SHORT_MS),
			 -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_create(&channel, pair.left, "a", 0, SHORT_MS),
			 -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_connect(&channel, pair.right, "a", 0, SHORT_MS),
			 -ETIMEDOUT);
	assert_true(now_ms() - start >= 3 * SHORT_MS);
	assert_ptr_equal(channel, POISON);
	assert_int_equal(ivshmem_channel_create(&channel, pair.left, "a", 0, 0), -ETIMEDOUT);
	assert_state(pair.left, 0, IVSHMEM_END_CREATOR, IVSHMEM_END_FREE);
	assert_state(pair.left, 0, IVSHMEM_END_CONNECTOR, IVSHMEM_END_FREE);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	talk(pair.a, pair.b);
}

static void bad_arguments_fail_einval(void **state)
{
	static const char *const names[] = { "", ".", ".a", "a b", "a/b", "\xff", "a\n",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123" };
	struct ivshmem_channel *channel = POISON;
	struct ivshmem *shm;
	size_t i;

	open_handles(REGION_SIZE, 1);
	shm = pair.left;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(ivshmem_channel_create(&channel, shm, names[i], 0, 0), -EINVAL);
		assert_int_equal(ivshmem_channel_connect(&channel, shm, names[i], 0, 0), -EINVAL);
	}
	assert_int_equal(ivshmem_channel_create(NULL, shm, "a", 0, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_create(&channel, NULL, "a", 0, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_create(&channel, shm, NULL, 0, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_create(&channel, shm, "a", 2, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_connect(&channel, shm, "a", ~0u, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_reconnect(NULL, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_send(NULL, "x", 1, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_recv(NULL, &i, 1, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_release(NULL, &i), -EINVAL);
	assert_int_equal(ivshmem_channel_release_all(NULL), -EINVAL);
	assert_int_equal(ivshmem_channel_unreserve(NULL), -EINVAL);
	assert_int_equal(ivshmem_channel_fd(NULL), -EINVAL);
	assert_int_equal(ivshmem_channel_set_spin(NULL, 1), -EINVAL);
	assert_int_equal(ivshmem_channel_set_backoff(NULL, 1), -EINVAL);
	assert_int_equal(ivshmem_channel_arm(NULL, IVSHMEM_CAN_RECV, 0), -EINVAL);
	assert_true(ivshmem_channel_max_length(NULL) == 0);
	assert_null(ivshmem_channel_wakeup(NULL));
	assert_ptr_equal(channel, POISON);
	ivshmem_channel_close(NULL);
}

static void longest_name_is_taken_and_told(void **state)
{
	static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ-abcdefghijklmnopqrstuvwxyz_+";
	struct ivshmem_layout *layout;

	assert_int_equal(strlen(name), IVSHMEM_NAME_SIZE - 1);
	open_handles(REGION_SIZE, 2);
	open_both(pair.left, &pair.a, pair.right, &pair.b, name);
	talk(pair.a, pair.b);
	assert_int_equal(ivshmem_layout_read(&layout, pair.left), 0);
	assert_string_equal(ivshmem_layout_name(layout, 0), name);
	assert_null(ivshmem_layout_name(layout, 1));
	ivshmem_layout_free(layout);
}

static void channels_of_one_region_are_told_apart(void **state)
{
	struct ivshmem_channel *a[8], *b[8];
	char name[8];
	int i;

	open_handles(MIB, 8);
	for (i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		open_both(pair.left, &a[i], pair.right, &b[i], name);
	}
	for (i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "to %d", i);
		send_text(a[i], name);
		send_text(b[7 - i], name);
	}
	for (i = 7; i >= 0; i--) {
		snprintf(name, sizeof(name), "to %d", i);
		recv_text(b[i], name);
		recv_text(a[7 - i], name);
	}
	for (i = 0; i < 8; i++) {
		ivshmem_channel_close(a[i]);
		ivshmem_channel_close(b[7 - i]);
	}
}

/* --- who has an end --- */

static void end_that_is_taken_fails_ebusy(void **state)
{
	struct ivshmem_channel *channel = POISON;

	open_pair();
	assert_int_equal(ivshmem_channel_create(&channel, pair.left, "a", 0, 0), -EBUSY);
	assert_int_equal(ivshmem_channel_create(&channel, pair.right, "a", 0, 0), -EBUSY);
	assert_int_equal(ivshmem_channel_connect(&channel, pair.left, "a", 0, 0), -EBUSY);
	assert_int_equal(ivshmem_channel_connect(&channel, pair.right, "a", 0, 0), -EBUSY);
	assert_int_equal(ivshmem_channel_connect(&channel, pair.right, "a",
						 IVSHMEM_CHANNEL_TAKE_OVER, 0), -EBUSY);
	assert_ptr_equal(channel, POISON);
	talk(pair.a, pair.b);
}

static void end_of_another_program_fails_ebusy(void **state)
{
	struct ivshmem_channel *channel = POISON;
	pid_t child;

	open_handles(REGION_SIZE, 1);
	child = start_other(in_shm("region"), true, "a", 0, wait_for_ever);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	assert_int_equal(ivshmem_channel_create(&channel, pair.left, "a", 0, 0), -EBUSY);
	assert_ptr_equal(channel, POISON);
	kill_other(child);
}

static void *unlock_soon(void *holder)
{
	usleep(SHORT_MS / 2 * 1000);
	ivshmem_end_unlock(holder, 0, IVSHMEM_END_CREATOR);
	return NULL;
}

/* As between the two steps of a close, then as after a new format. */
static void free_end_is_taken_whoever_has_its_lock(void **state)
{
	struct ivshmem_channel *channel;
	pthread_t thread;
	char *raw;

	open_handles(REGION_SIZE, 1);
	raw = map_raw(pair.left);
	assert_int_equal(ivshmem_end_lock(pair.right, 0, IVSHMEM_END_CREATOR), 0);
	assert_int_equal(pthread_create(&thread, NULL, unlock_soon, pair.right), 0);
	assert_int_equal(ivshmem_channel_create(&channel, pair.left, "a", 0, 4 * SHORT_MS),
			 -ETIMEDOUT);
	assert_true(slot_of(raw, 0)->ends[IVSHMEM_END_CREATOR].wake & WAKE_LOCKED);
	pthread_join(thread, NULL);
	assert_int_equal(ivshmem_end_lock(pair.right, 0, IVSHMEM_END_CREATOR), 0);
	assert_int_equal(ivshmem_channel_create(&channel, pair.left, "a", 0, 4 * SHORT_MS),
			 -ETIMEDOUT);
	assert_false(slot_of(raw, 0)->ends[IVSHMEM_END_CREATOR].wake & WAKE_LOCKED);
	ivshmem_end_unlock(pair.right, 0, IVSHMEM_END_CREATOR);
	munmap(raw, REGION_SIZE);
}

static void message_that_was_not_taken_before_a_close_is_epipe(void **state)
{
	open_pair();
	send_text(pair.a, "one that is not taken, too long for the mailbox");
	close_end(&pair.b);
	assert_send_fails(pair.a, 0, -EPIPE);
	assert_send_fails(pair.a, 0, -EPIPE);
}

static void program_that_was_killed_leaves_its_end_free(void **state)
{
	struct ivshmem_channel *b = NULL;
	pid_t child;
	int round;

	open_handles(REGION_SIZE, 1);
	for (round = 0; round < 20; round++) {
		child = start_other(in_shm("region"), true, "a", 0, wait_for_ever);
		if (!b)
			assert_int_equal(ivshmem_channel_connect(&b, pair.right, "a", 0,
								 PATIENCE_MS), 0);
		else
			assert_int_equal(ivshmem_channel_reconnect(b, PATIENCE_MS), 0);
		assert_state(pair.left, 0, IVSHMEM_END_CREATOR, IVSHMEM_END_ATTACHED);
		kill_other(child);
		assert_state(pair.left, 0, IVSHMEM_END_CREATOR, IVSHMEM_END_DEAD);
	}
	pair.b = b;
}

static void peer_that_is_replaced_gives_econnreset_once(void **state)
{
	struct ivshmem_channel *b;
	pid_t child;

	open_handles(REGION_SIZE, 1);
	child = start_other(in_shm("region"), true, "a", 0, wait_for_ever);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	b = pair.b;
	kill_other(child);
	/* Nobody is told of a death, only of a new beginning. */
	assert_recv_fails(b, 0, -EAGAIN);
	child = start_other(in_shm("region"), true, "a", 0, echo_once);
	assert_recv_fails(b, PATIENCE_MS, -ECONNRESET);
	assert_recv_fails(b, PATIENCE_MS, -ENOTCONN);
	assert_recv_fails(b, 0, -ENOTCONN);
	assert_int_equal(ivshmem_channel_reconnect(b, PATIENCE_MS), 0);
	send_text(b, "again");
	recv_text(b, "again");
	assert_other_succeeds(child);
}

/* Sends until that fails, and tells how. */
static int fill_ring(struct ivshmem_channel *channel)
{
	char message[1024] = "";
	int err;

	do
		err = ivshmem_channel_send(channel, message, sizeof(message), PATIENCE_MS);
	while (!err);
	return err;
}

static int send_three(struct ivshmem_channel *channel)
{
	if (ivshmem_channel_send(channel, "one", 3, 0) ||
	    ivshmem_channel_send(channel, "two", 3, 0) ||
	    ivshmem_channel_send(channel, "three, which is longer", 22, 0))
		return 1;
	return wait_for_ever(channel);
}

static void messages_of_a_killed_peer_are_there_before_econnreset(void **state)
{
	pid_t first, second;

	open_handles(REGION_SIZE, 1);
	first = start_other(in_shm("region"), true, "a", 0, send_three);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	usleep(SHORT_MS * 1000);
	kill_other(first);
	second = start_other(in_shm("region"), true, "a", 0, echo_once);
	usleep(SHORT_MS * 1000);
	recv_text(pair.b, "one");
	recv_text(pair.b, "two");
	recv_text(pair.b, "three, which is longer");
	assert_recv_fails(pair.b, PATIENCE_MS, -ECONNRESET);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, PATIENCE_MS), 0);
	send_text(pair.b, "new");
	recv_text(pair.b, "new");
	assert_other_succeeds(second);
}

static int send_three_and_end(struct ivshmem_channel *channel)
{
	usleep(SHORT_MS * 1000);
	return ivshmem_channel_send(channel, "one", 3, 0) ||
	       ivshmem_channel_send(channel, "two", 3, 0) ||
	       ivshmem_channel_send(channel, "three, which is longer", 22, 0);
}

static void who_waits_is_told_of_a_crash_after_the_messages(void **state)
{
	int64_t start = now_ms();

	open_handles(REGION_SIZE, 1);
	start_other(in_shm("region"), true, "a", 0, send_three_and_end);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	recv_text(pair.b, "one");
	recv_text(pair.b, "two");
	recv_text(pair.b, "three, which is longer");
	assert_recv_fails(pair.b, PATIENCE_MS, -ECONNRESET);
	assert_true(now_ms() - start < PATIENCE_MS / 2);
	assert_recv_fails(pair.b, PATIENCE_MS, -ENOTCONN);
	assert_int_equal(fill_ring(pair.b), -ECONNRESET);
	assert_int_equal(ivshmem_channel_send(pair.b, "x", 1, PATIENCE_MS), -ENOTCONN);
	wait(NULL);
	start_other(in_shm("region"), true, "a", 0, echo_once);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, PATIENCE_MS), 0);
	send_text(pair.b, "again");
	recv_text(pair.b, "again");
}

static void who_waits_for_room_is_told_of_a_crash(void **state)
{
	open_handles(REGION_SIZE, 1);
	start_other(in_shm("region"), true, "a", 0, send_three_and_end);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	assert_int_equal(fill_ring(pair.b), -ECONNRESET);
	recv_text(pair.b, "one");
	recv_text(pair.b, "two");
	recv_text(pair.b, "three, which is longer");
	assert_recv_fails(pair.b, PATIENCE_MS, -ECONNRESET);
}

/* Tells how long it took, in milliseconds. */
static int64_t recv_until_told(struct ivshmem_channel *channel, int timeout_ms)
{
	int64_t start = now_ms();
	char buffer[64];
	ssize_t n;

	do {
		n = ivshmem_channel_recv(channel, buffer, sizeof(buffer), timeout_ms);
	} while ((n == -EAGAIN || n == -ETIMEDOUT) && now_ms() - start < PATIENCE_MS);
	assert_int_equal(n, -ECONNRESET);
	assert_recv_fails(channel, timeout_ms, -ENOTCONN);
	return now_ms() - start;
}

static void who_never_sleeps_is_told_of_a_crash(void **state)
{
	static const struct {
		unsigned int spin_us;
		int timeout_ms;
	} ways[] = { { 0, 0 }, { UINT_MAX, PATIENCE_MS }, { UINT_MAX, 1 }, { 5000, 2 } };
	unsigned int i;
	pid_t child;

	open_handles(REGION_SIZE, 1);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		child = start_other(in_shm("region"), true, "a", 0, wait_for_ever);
		assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0,
							 PATIENCE_MS), 0);
		ivshmem_channel_set_spin(pair.b, ways[i].spin_us);
		kill_other(child);
		assert_true(recv_until_told(pair.b, ways[i].timeout_ms) < PATIENCE_MS / 2);
		close_end(&pair.b);
	}
}

static int lose_rights_and_wait(struct ivshmem_channel *channel)
{
	char buffer[8];

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 1;
	return ivshmem_channel_recv(channel, buffer, sizeof(buffer), PATIENCE_MS / 2) !=
	       -ECONNRESET;
}

static void who_has_lost_its_rights_is_told_of_a_crash(void **state)
{
	pid_t one, other;

	skip_unless_root();
	open_handles(REGION_SIZE, 1);
	assert_int_equal(chmod(in_shm("region"), 0600), 0);
	one = start_other(in_shm("region"), true, "a", 0, lose_rights_and_wait);
	other = start_other(in_shm("region"), false, "a", 0, wait_for_ever);
	usleep(500000);
	kill_other(other);
	assert_other_succeeds(one);
}

/* Locks of one handle are one program's, as the kernel sees it. */
static void both_ends_of_one_handle_are_alive(void **state)
{
	struct ivshmem_channel *channel = POISON;

	open_handles(REGION_SIZE, 1);
	open_both(pair.left, &pair.a, pair.left, &pair.b, "a");
	assert_recv_fails(pair.b, 2500, -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_create(&channel, pair.left, "a", 0, 0), -EBUSY);
	assert_int_equal(ivshmem_channel_create(&channel, pair.left, "b", 0, 0), -ENOSPC);
	assert_ptr_equal(channel, POISON);
	talk(pair.a, pair.b);
}

/* As in a container, whose node has no locks of those outside. */
static void lock_on_another_node_is_no_sign_of_death(void **state)
{
	char *raw;
	pid_t child;

	open_handles(REGION_SIZE, 1);
	raw = map_raw(pair.left);
	child = start_other(in_shm("region"), true, "a", 0, wait_for_ever);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	slot_of(raw, 0)->ends[IVSHMEM_END_CREATOR].wake &= ~WAKE_FILE;
	slot_of(raw, 0)->ends[IVSHMEM_END_CREATOR].lock_inode++;
	kill_other(child);
	assert_state(pair.left, 0, IVSHMEM_END_CREATOR, IVSHMEM_END_ATTACHED);
	assert_recv_fails(pair.b, 2500, -ETIMEDOUT);
	slot_of(raw, 0)->ends[IVSHMEM_END_CREATOR].lock_inode--;
	slot_of(raw, 0)->ends[IVSHMEM_END_CREATOR].lock_device++;
	assert_state(pair.left, 0, IVSHMEM_END_CREATOR, IVSHMEM_END_ATTACHED);
	slot_of(raw, 0)->ends[IVSHMEM_END_CREATOR].lock_device--;
	assert_state(pair.left, 0, IVSHMEM_END_CREATOR, IVSHMEM_END_DEAD);
	munmap(raw, REGION_SIZE);
}

static void take_over_of_a_living_end_ends_the_one_that_had_it(void **state)
{
	struct ivshmem_channel *thief = NULL;
	struct ivshmem *third;
	pthread_t thread;
	struct opening opening;

	open_pair();
	send_text(pair.a, "lost");
	third = open_region(in_shm("region"), 0);
	opening = (struct opening) { ivshmem_channel_create, NULL, third, "a",
				     IVSHMEM_CHANNEL_TAKE_OVER, 0 };
	assert_int_equal(pthread_create(&thread, NULL, open_in_thread, &opening), 0);
	while (ivshmem_channel_recv(pair.a, NULL, 0, 0) != -ECONNRESET)
		usleep(1000);
	assert_recv_fails(pair.a, 0, -ENOTCONN);
	assert_int_equal(ivshmem_channel_reconnect(pair.a, 0), -EBUSY);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, PATIENCE_MS), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(opening.err, 0);
	thief = opening.channel;
	talk(thief, pair.b);
	/* The one that lost it can neither end it nor take part in it. */
	close_end(&pair.a);
	talk(thief, pair.b);
	ivshmem_channel_close(thief);
	ivshmem_close(third);
}

/* Whose numbers are those that come next in the session before, too. */
static void who_lost_its_end_takes_no_part_in_the_next_session(void **state)
{
	static const char *const news[] = { "mail", "a record, too long for the mailbox" };
	struct ivshmem_channel *a, *b;
	struct ivshmem *left, *right;
	const void *message;
	unsigned int how;
	void *room;

	open_handles(REGION_SIZE, 1);
	left = open_region(in_shm("region"), 0);
	right = open_region(in_shm("region"), 0);
	for (how = 0; how < 4; how++) {
		open_both(pair.left, &a, pair.right, &b, "a");
		if (how / 2)
			assert_int_equal(ivshmem_channel_reserve(a, &room, 1, 0), 0);
		assert_int_equal(format_for(pair.left, "new", 1, IVSHMEM_FORMAT_FORCE), 0);
		open_both(left, &pair.a, right, &pair.b, "a");
		send_text(pair.b, news[how % 2]);
		if (how / 2) {
			assert_int_equal(ivshmem_channel_peek(a, &message, 0), -ECONNRESET);
			assert_int_equal(ivshmem_channel_commit(a, 1, 0), -ECONNRESET);
		} else {
			assert_recv_fails(a, 0, -ECONNRESET);
			assert_send_fails(a, 0, -ECONNRESET);
		}
		assert_int_equal(ivshmem_channel_reserve(b, &room, 1, 0), -ECONNRESET);
		recv_text(pair.a, news[how % 2]);
		assert_recv_fails(pair.b, 0, -EAGAIN);
		talk(pair.a, pair.b);
		ivshmem_channel_close(a);
		ivshmem_channel_close(b);
		close_end(&pair.a);
		close_end(&pair.b);
	}
	ivshmem_close(left);
	ivshmem_close(right);
}

/* Where the end is in the hands of a program of another machine. */
static void pretend_other_kernel(struct ivshmem *shm, enum ivshmem_end end)
{
	char *raw = map_raw(shm);

	slot_of(raw, 0)->ends[end].boot_id[3] ^= 0x55;
	slot_of(raw, 0)->ends[end].wake &= ~WAKE_FILE;
	munmap(raw, ivshmem_size(shm));
}

static void end_under_another_kernel_needs_take_over(void **state)
{
	pid_t child;

	open_handles(REGION_SIZE, 1);
	child = start_other(in_shm("region"), true, "a", 0, wait_for_ever);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	pretend_other_kernel(pair.left, IVSHMEM_END_CREATOR);
	kill_other(child);
	assert_state(pair.left, 0, IVSHMEM_END_CREATOR, IVSHMEM_END_ATTACHED);
	assert_int_equal(ivshmem_channel_create(&pair.a, pair.left, "a", 0, 0), -EBUSY);
	child = start_other(in_shm("region"), true, "a", IVSHMEM_CHANNEL_TAKE_OVER, echo_once);
	assert_recv_fails(pair.b, PATIENCE_MS, -ECONNRESET);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, PATIENCE_MS), 0);
	send_text(pair.b, "taken");
	recv_text(pair.b, "taken");
	assert_other_succeeds(child);
}

/* --- slots --- */

static void all_slots_in_use_fails_enospc(void **state)
{
	struct ivshmem_channel *c = POISON, *d = NULL, *e = NULL;

	open_handles(REGION_SIZE, 2);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	open_both(pair.left, &d, pair.right, &e, "d");
	assert_int_equal(ivshmem_channel_create(&c, pair.left, "c", 0, 0), -ENOSPC);
	assert_int_equal(ivshmem_channel_create(&c, pair.right, "c", 0, 0), -ENOSPC);
	assert_ptr_equal(c, POISON);
	assert_int_equal(ivshmem_channel_connect(&c, pair.right, "c", 0, 0), -ETIMEDOUT);
	talk(pair.a, pair.b);
	talk(d, e);
	ivshmem_channel_close(d);
	ivshmem_channel_close(e);
}

static void wait_for_state(unsigned int slot, enum ivshmem_end end, enum ivshmem_end_state wanted)
{
	int is;

	do {
		sched_yield();
		is = state_of(pair.left, slot, end);
		assert_true(is >= 0);
	} while (is != (int)wanted);
}

static void object_that_a_dead_program_has_doomed_is_named_again(void **state)
{
	struct opening opening = { ivshmem_channel_connect, NULL, NULL, "a", 0, 0 };
	struct ivshmem_slot *slot;
	pthread_t thread;
	char *raw;

	open_pair();
	close_end(&pair.a);
	close_end(&pair.b);
	raw = map_raw(pair.left);
	slot = slot_of(raw, 0);
	opening.shm = pair.right;
	assert_int_equal(pthread_create(&thread, NULL, open_in_thread, &opening), 0);
	wait_for_state(0, IVSHMEM_END_CONNECTOR, IVSHMEM_END_ATTACHED);
	__atomic_store_n(&slot->key, slot_next_key(slot->key, SLOT_DOOMED), __ATOMIC_SEQ_CST);
	assert_int_equal(ivshmem_channel_create(&pair.a, pair.left, "a", 0, PATIENCE_MS), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(opening.err, 0);
	pair.b = opening.channel;
	talk(pair.a, pair.b);
	munmap(raw, REGION_SIZE);
}

static void end_of_who_died_before_it_saw_that_the_slot_is_anothers_is_free(void **state)
{
	struct ivshmem_slot_end *end;
	char *raw;

	open_pair();
	close_end(&pair.a);
	close_end(&pair.b);
	raw = map_raw(pair.left);
	end = &slot_of(raw, 0)->ends[IVSHMEM_END_CREATOR];
	end->wake = 0;
	end->epoch += 4 + END_ATTACHED - END_CLOSED;
	end->purpose = (uint64_t)(end->epoch & ~3u) << 32 |
		       (slot_generation_of(slot_of(raw, 0)->key) - 1);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	talk(pair.a, pair.b);
	munmap(raw, REGION_SIZE);
}

static void slot_with_junk_is_claimed_like_one_that_was_left(void **state)
{
	struct ivshmem_slot *slot;
	char *raw;

	open_handles(REGION_SIZE, 1);
	raw = map_raw(pair.left);
	slot = slot_of(raw, 0);
	memset(&slot->key, 0xfb, offsetof(struct ivshmem_slot, ends));
	slot->name[3] ^= 1ull << 63;	/* a generation far ahead, and one far behind */
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	talk(pair.a, pair.b);
	munmap(raw, REGION_SIZE);
}

static void slot_whose_other_end_is_closed_stays_with_its_owner(void **state)
{
	struct ivshmem_channel *c = POISON;
	struct ivshmem_layout *layout;

	open_pair();
	close_end(&pair.b);
	assert_int_equal(ivshmem_channel_create(&c, pair.left, "c", 0, 0), -ENOSPC);
	assert_int_equal(ivshmem_channel_create(&c, pair.right, "c", 0, 0), -ENOSPC);
	assert_ptr_equal(c, POISON);
	assert_int_equal(ivshmem_layout_read(&layout, pair.left), 0);
	assert_string_equal(ivshmem_layout_name(layout, 0), "a");
	ivshmem_layout_free(layout);
}

static void slots_of_closed_channels_are_used_again(void **state)
{
	char name[16];
	int i;

	open_handles(REGION_SIZE, 2);
	for (i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "name-%d", i);
		open_both(pair.left, &pair.a, pair.right, &pair.b, name);
		talk(pair.a, pair.b);
		close_end(i % 2 ? &pair.a : &pair.b);
		close_end(i % 2 ? &pair.b : &pair.a);
	}
}

static void slots_of_killed_programs_are_used_again(void **state)
{
	pid_t creator, connector;
	char name[16];
	int i;

	open_handles(REGION_SIZE, 1);
	for (i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "name-%d", i);
		creator = start_other(in_shm("region"), true, name, 0, send_three);
		connector = start_other(in_shm("region"), false, name, 0, wait_for_ever);
		usleep(5000 + i * 1000);
		kill_other(creator);
		kill_other(connector);
	}
	open_both(pair.left, &pair.a, pair.right, &pair.b, "last");
	talk(pair.a, pair.b);
}

static void layout_tells_names_and_sizes(void **state)
{
	struct ivshmem_layout *layout;

	open_handles(REGION_SIZE, 2);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "first");
	assert_int_equal(ivshmem_layout_read(&layout, pair.left), 0);
	assert_string_equal(ivshmem_layout_label(layout), "label");
	assert_int_equal(ivshmem_layout_objects(layout), 2);
	assert_true(ivshmem_layout_ring_size(layout, 0, IVSHMEM_END_CREATOR) / 2 - 8 ==
		    ivshmem_channel_max_length(pair.a));
	assert_string_equal(ivshmem_layout_name(layout, 0), "first");
	assert_null(ivshmem_layout_name(layout, 1));
	ivshmem_layout_free(layout);
}

/* --- the end of a session --- */

static void close_gives_all_messages_then_epipe(void **state)
{
	open_pair();
	send_text(pair.a, "mail");
	send_text(pair.a, "ring");
	send_text(pair.a, "");
	close_end(&pair.a);
	recv_text(pair.b, "mail");
	recv_text(pair.b, "ring");
	recv_text(pair.b, "");
	assert_recv_fails(pair.b, PATIENCE_MS, -EPIPE);
	assert_recv_fails(pair.b, 0, -EPIPE);
	assert_send_fails(pair.b, 0, -EPIPE);
	assert_send_fails(pair.b, PATIENCE_MS, -EPIPE);
}

static void close_wakes_who_waits(void **state)
{
	struct ivshmem_channel *b;
	pid_t child;

	open_handles(REGION_SIZE, 1);
	child = start_other(in_shm("region"), true, "a", 0, echo_once);
	assert_int_equal(ivshmem_channel_connect(&b, pair.right, "a", 0, PATIENCE_MS), 0);
	pair.b = b;
	send_text(b, "x");
	recv_text(b, "x");
	assert_recv_fails(b, -1, -EPIPE);
	assert_other_succeeds(child);
}

static void channel_goes_on_with_the_next_peer_after_epipe(void **state)
{
	int round;

	open_pair();
	for (round = 0; round < 10; round++) {
		pthread_t thread;
		struct opening opening = { ivshmem_channel_connect, NULL, pair.right, "a", 0, 0 };

		send_text(pair.a, "never taken");
		close_end(&pair.b);
		assert_recv_fails(pair.a, PATIENCE_MS, -EPIPE);
		assert_int_equal(pthread_create(&thread, NULL, open_in_thread, &opening), 0);
		assert_int_equal(ivshmem_channel_reconnect(pair.a, PATIENCE_MS), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(opening.err, 0);
		pair.b = opening.channel;
		talk(pair.a, pair.b);
	}
}

static void reconnect_of_both_drops_what_is_on_its_way(void **state)
{
	open_pair();
	send_text(pair.a, "mail that is dropped");
	send_text(pair.b, "mail");
	send_text(pair.b, "more");
	reconnect_both(pair.a, pair.b);
	assert_recv_fails(pair.a, 0, -EAGAIN);
	assert_recv_fails(pair.b, 0, -EAGAIN);
	talk(pair.a, pair.b);
}

static void assert_not_connected(struct ivshmem_channel *channel)
{
	const void *message;
	char byte = 'x';
	void *room;

	assert_recv_fails(channel, 0, -ENOTCONN);
	assert_recv_fails(channel, PATIENCE_MS, -ENOTCONN);
	assert_send_fails(channel, 0, -ENOTCONN);
	assert_send_fails(channel, PATIENCE_MS, -ENOTCONN);
	assert_int_equal(ivshmem_channel_peek(channel, &message, 0), -ENOTCONN);
	assert_int_equal(ivshmem_channel_reserve(channel, &room, 1, 0), -ENOTCONN);
	assert_int_equal(ivshmem_channel_read(channel, &byte, 1, 0), -ENOTCONN);
	assert_int_equal(ivshmem_channel_write(channel, &byte, 1, 0), -ENOTCONN);
}

static void reconnect_that_times_out_leaves_no_old_session(void **state)
{
	void *room;
	char byte;

	open_pair();
	send_text(pair.a, "read in part");
	assert_int_equal(ivshmem_channel_read(pair.b, &byte, 1, 0), 1);
	send_text(pair.a, "old");
	assert_int_equal(ivshmem_channel_reserve(pair.b, &room, 1, 0), 0);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, 0), -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_commit(pair.b, 1, 0), -EINVAL);
	assert_not_connected(pair.b);
	reconnect_both(pair.a, pair.b);
	talk(pair.a, pair.b);
}

static void reconnect_to_a_damaged_layout_leaves_no_old_session(void **state)
{
	char *raw;

	open_pair();
	raw = map_raw(pair.left);
	send_text(pair.a, "old");
	raw[0]++;
	assert_int_equal(ivshmem_channel_reconnect(pair.b, PATIENCE_MS), -EMEDIUMTYPE);
	assert_not_connected(pair.b);
	raw[0]--;
	reconnect_both(pair.a, pair.b);
	talk(pair.a, pair.b);
	munmap(raw, REGION_SIZE);
}

static void reconnect_drops_what_was_reserved_and_held_back(void **state)
{
	void *room;

	open_pair();
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, 1, 0), 0);
	assert_int_equal(ivshmem_channel_commit(pair.a, 1, IVSHMEM_MORE), 0);
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, 1, 0), 0);
	assert_int_equal(ivshmem_channel_reconnect(pair.a, 0), -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_commit(pair.a, 1, 0), -EINVAL);
	reconnect_both(pair.a, pair.b);
	assert_int_equal(ivshmem_channel_commit(pair.a, 1, 0), -EINVAL);
	assert_recv_fails(pair.b, 0, -EAGAIN);
	talk(pair.a, pair.b);
}

static void end_that_is_taken_anew_says_nothing_of_before(void **state)
{
	struct ivshmem_slot_end *end;
	char *raw;

	open_pair();
	raw = map_raw(pair.left);
	end = &slot_of(raw, 0)->ends[IVSHMEM_END_CONNECTOR];
	talk(pair.a, pair.b);
	close_end(&pair.a);
	assert_int_not_equal(end->seen, 0);
	assert_int_not_equal(end->ready, 0);
	assert_int_not_equal(end->sent, 0);
	end->receiver = 4 + WAITING_ASLEEP;
	end->sender = 4 + WAITING_ASLEEP;
	assert_int_equal(ivshmem_channel_reconnect(pair.b, 0), -ETIMEDOUT);
	assert_int_equal(end->seen, 0);
	assert_int_equal(end->ready, 0);
	assert_int_equal(end->sent, 0);
	assert_int_equal(end->receiver, 0);
	assert_int_equal(end->sender, 0);
	munmap(raw, REGION_SIZE);
}

/* What was told of the ring before is not true of the next session's. */
static void reconnect_leaves_the_whole_ring_and_no_more(void **state)
{
	const size_t lines = REGION_SIZE / RECORD_ALIGN;
	uint32_t record[8] = { 0 };
	uint32_t i, sent, round;

	open_pair();
	for (round = 0; round < 3; round++) {
		for (sent = 0; sent < lines; sent++) {
			record[0] = sent;
			if (ivshmem_channel_send(pair.a, record, sizeof(record), 0))
				break;
		}
		assert_int_equal(sent, pair.a->sender.size / RECORD_ALIGN);
		for (i = 0; i < sent; i++) {
			assert_int_equal(ivshmem_channel_recv(pair.b, record, sizeof(record), 0),
					 sizeof(record));
			assert_int_equal(record[0], i);
		}
		assert_recv_fails(pair.b, 0, -EAGAIN);
		reconnect_both(pair.a, pair.b);
	}
}

static void *reconnect_for_a_moment(void *channel)
{
	return (void *)(intptr_t)ivshmem_channel_reconnect(channel, 4 * SHORT_MS);
}

/* One end has started afresh by then, the other has not. */
static void reconnect_that_times_out_half_way_receives_nothing_again(void **state)
{
	pthread_t thread;
	void *result;

	open_pair();
	send_text(pair.b, "old");
	recv_text(pair.a, "old");
	assert_int_equal(pthread_create(&thread, NULL, reconnect_for_a_moment, pair.a), 0);
	usleep(SHORT_MS * 1000);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, 0), -ETIMEDOUT);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, -ETIMEDOUT);
	assert_not_connected(pair.a);
	assert_not_connected(pair.b);
	reconnect_both(pair.a, pair.b);
	talk(pair.a, pair.b);
}

static void reconnect_without_the_other_side_times_out(void **state)
{
	open_pair();
	assert_int_equal(ivshmem_channel_reconnect(pair.a, SHORT_MS), -ETIMEDOUT);
	assert_recv_fails(pair.b, 0, -ECONNRESET);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, 0), -ETIMEDOUT);
	reconnect_both(pair.a, pair.b);
	talk(pair.a, pair.b);
}

static void format_by_force_ends_channels(void **state)
{
	open_pair();
	assert_int_equal(format_for(pair.left, "new", 1, IVSHMEM_FORMAT_FORCE), 0);
	assert_recv_fails(pair.a, PATIENCE_MS, -ECONNRESET);
	assert_send_fails(pair.b, PATIENCE_MS, -ECONNRESET);
	assert_int_equal(ivshmem_channel_reconnect(pair.a, 0), -ESTALE);
	close_end(&pair.a);
	close_end(&pair.b);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	talk(pair.a, pair.b);
}

/* Who has not looked since still holds what it held. */
static void format_by_force_frees_ends_of_idle_programs(void **state)
{
	struct ivshmem *left, *right;
	struct ivshmem_channel *a, *b;
	uint32_t i, got, sent = 0;

	open_pair();
	talk(pair.b, pair.a);
	left = open_region(in_shm("region"), 0);
	right = open_region(in_shm("region"), 0);
	assert_int_equal(format_for(left, "new", 1, IVSHMEM_FORMAT_FORCE), 0);
	open_both(left, &a, right, &b, "a");
	/* It has room to tell of, and tells nobody. */
	assert_recv_fails(pair.a, 0, -ECONNRESET);
	while (!ivshmem_channel_send(b, &sent, sizeof(sent), 0))
		sent++;
	for (i = 0; i < sent; i++) {
		assert_int_equal(ivshmem_channel_recv(a, &got, sizeof(got), 0), sizeof(got));
		assert_int_equal(got, i);
	}
	assert_int_equal(ivshmem_channel_create(&pair.a, left, "a", 0, 0), -EBUSY);
	ivshmem_channel_close(a);
	ivshmem_channel_close(b);
	ivshmem_close(left);
	ivshmem_close(right);
}

static void format_by_force_ends_who_waits_for_room(void **state)
{
	char message[1024] = "";

	open_pair();
	do {
		send_text(pair.a, "a message, long enough for the ring");
		recv_text(pair.b, "a message, long enough for the ring");
	} while (!pair.a->sender.lap);
	while (!ivshmem_channel_send(pair.a, message, sizeof(message), 0))
		;
	assert_true(pair.a->sender.consumed > 0);
	assert_int_equal(format_for(pair.left, "new", 2, IVSHMEM_FORMAT_FORCE), 0);
	assert_int_equal(ivshmem_channel_send(pair.a, message, sizeof(message), PATIENCE_MS),
			 -ECONNRESET);
	assert_int_equal(ivshmem_channel_send(pair.a, message, sizeof(message), 0), -ENOTCONN);
	assert_int_equal(ivshmem_channel_reconnect(pair.a, PATIENCE_MS), -ESTALE);
}

/* --- what is told once --- */

static ssize_t by_short_send(struct ivshmem_channel *channel, int timeout_ms)
{
	return ivshmem_channel_send(channel, "x", 1, timeout_ms);
}

static ssize_t by_long_send(struct ivshmem_channel *channel, int timeout_ms)
{
	static const char message[5000];

	return ivshmem_channel_send(channel, message, sizeof(message), timeout_ms);
}

static ssize_t by_write(struct ivshmem_channel *channel, int timeout_ms)
{
	return ivshmem_channel_write(channel, "x", 1, timeout_ms);
}

static ssize_t by_commit(struct ivshmem_channel *channel, int timeout_ms)
{
	void *room;

	return ivshmem_channel_reserve(channel, &room, 1, timeout_ms) ?:
	       ivshmem_channel_commit(channel, 1, 0);
}

/* The last one has no room, so it passes on those that are held back. */
static ssize_t by_reserve(struct ivshmem_channel *channel, int timeout_ms)
{
	void *room;
	int err;

	while (!(err = ivshmem_channel_reserve(channel, &room, 1000, timeout_ms)))
		assert_int_equal(ivshmem_channel_commit(channel, 1000, IVSHMEM_MORE), 0);
	return err;
}

static ssize_t by_recv(struct ivshmem_channel *channel, int timeout_ms)
{
	char buffer[8];

	return ivshmem_channel_recv(channel, buffer, sizeof(buffer), timeout_ms);
}

static ssize_t by_peek(struct ivshmem_channel *channel, int timeout_ms)
{
	const void *message;

	return ivshmem_channel_peek(channel, &message, timeout_ms);
}

static ssize_t by_read(struct ivshmem_channel *channel, int timeout_ms)
{
	char buffer[8];

	return ivshmem_channel_read(channel, buffer, sizeof(buffer), timeout_ms);
}

typedef ssize_t (*way_fn)(struct ivshmem_channel *channel, int timeout_ms);

static const way_fn sending[] = { by_short_send, by_long_send, by_write, by_commit, by_reserve };
static const way_fn receiving[] = { by_recv, by_peek, by_read };

static void assert_told_once(struct ivshmem_channel *channel, way_fn way, const way_fn *later,
			     size_t count)
{
	size_t i;

	assert_int_equal(way(channel, PATIENCE_MS), -ECONNRESET);
	for (i = 0; i < count; i++)
		assert_int_equal(later[i](channel, i % 2 ? PATIENCE_MS : 0), -ENOTCONN);
}

static void each_direction_is_told_once_by_whatever_call(void **state)
{
	size_t s, r, first;

	open_pair();
	for (s = 0; s < ARRAY_SIZE(sending); s++)
		for (r = 0; r < ARRAY_SIZE(receiving); r++)
			for (first = 0; first < 2; first++) {
				assert_int_equal(ivshmem_channel_reconnect(pair.b, 0), -ETIMEDOUT);
				if (first)
					assert_told_once(pair.a, sending[s], sending,
							 ARRAY_SIZE(sending));
				assert_told_once(pair.a, receiving[r], receiving,
						 ARRAY_SIZE(receiving));
				if (!first)
					assert_told_once(pair.a, sending[s], sending,
							 ARRAY_SIZE(sending));
				reconnect_both(pair.a, pair.b);
			}
	talk(pair.a, pair.b);
}

static void *write_more_than_fits(void *channel)
{
	static const char data[REGION_SIZE];

	return (void *)(intptr_t)ivshmem_channel_write(channel, data, sizeof(data), PATIENCE_MS);
}

/* The other end is replaced while the ring is full. */
static void lose_the_other_end_in_a_write(void)
{
	pthread_t thread;
	void *sent;

	assert_int_equal(pthread_create(&thread, NULL, write_more_than_fits, pair.a), 0);
	wait_for_sleeping_sender(pair.b);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, 0), -ETIMEDOUT);
	assert_int_equal(pthread_join(thread, &sent), 0);
	assert_in_range((intptr_t)sent, 1, REGION_SIZE - 1);
}

static void write_that_sent_a_part_leaves_the_error_to_the_next_call(void **state)
{
	size_t i;

	open_pair();
	for (i = 0; i < ARRAY_SIZE(sending); i++) {
		lose_the_other_end_in_a_write();
		assert_told_once(pair.a, sending[i], sending, ARRAY_SIZE(sending));
		assert_told_once(pair.a, by_recv, receiving, ARRAY_SIZE(receiving));
		reconnect_both(pair.a, pair.b);
	}
	lose_the_other_end_in_a_write();
	reconnect_both(pair.a, pair.b);
	talk(pair.a, pair.b);
}

/* --- messages --- */

static void recv_of_nothing_fails_eagain_or_etimedout(void **state)
{
	int64_t start;

	open_pair();
	assert_recv_fails(pair.b, 0, -EAGAIN);
	start = now_ms();
	assert_recv_fails(pair.b, SHORT_MS, -ETIMEDOUT);
	assert_true(now_ms() - start >= SHORT_MS);
	talk(pair.a, pair.b);
}

static void full_ring_fails_eagain_and_nothing_is_lost(void **state)
{
	uint32_t sent = 0, received;
	char buffer[100];
	int64_t start;
	int round;

	open_pair();
	for (round = 0; round < 3; round++) {
		for (sent = 0; !ivshmem_channel_send(pair.a, &sent, sizeof(sent), 0); sent++)
			assert_true(sent < MAX_IN_FLIGHT);
		assert_send_fails(pair.a, 0, -EAGAIN);
		start = now_ms();
		assert_send_fails(pair.a, SHORT_MS, -ETIMEDOUT);
		assert_true(now_ms() - start >= SHORT_MS);
		for (received = 0; received < sent; received++) {
			assert_int_equal(ivshmem_channel_recv(pair.b, buffer, sizeof(buffer), 0),
					 4);
			assert_memory_equal(buffer, &received, 4);
		}
		assert_recv_fails(pair.b, 0, -EAGAIN);
	}
}

static void two_of_the_longest_messages_fit(void **state)
{
	size_t length;
	char *out, *in;
	int i;

	open_pair();
	length = ivshmem_channel_max_length(pair.a);
	out = malloc(length);
	in = malloc(length);
	for (i = 0; i < 20; i++) {
		memset(out, i, length);
		assert_int_equal(ivshmem_channel_send(pair.a, out, length, 0), 0);
		out[length - 1] ^= 1;
		assert_int_equal(ivshmem_channel_send(pair.a, out, length, 0), 0);
		assert_send_fails(pair.a, 0, i ? -EAGAIN : 0);
		assert_int_equal(ivshmem_channel_recv(pair.b, in, length, 0), length);
		assert_true(in[0] == i && in[length - 1] == i);
		assert_int_equal(ivshmem_channel_recv(pair.b, in, length, 0), length);
		assert_true(in[0] == i && in[length - 1] == (i ^ 1));
		if (!i)
			recv_text(pair.b, "x");
	}
	assert_int_equal(ivshmem_channel_send(pair.a, out, length + 1, 0), -EMSGSIZE);
	assert_int_equal(ivshmem_channel_send(pair.a, out, SIZE_MAX, 0), -EMSGSIZE);
	assert_int_equal(ivshmem_channel_send(pair.a, NULL, 1, 0), -EINVAL);
	free(out);
	free(in);
}

static void message_that_is_too_long_for_the_buffer_stays(void **state)
{
	char buffer[64];

	open_pair();
	send_text(pair.a, "mail");
	send_text(pair.a, "a message in the ring");
	assert_int_equal(ivshmem_channel_recv(pair.b, buffer, 3, 0), -EMSGSIZE);
	assert_int_equal(ivshmem_channel_recv(pair.b, NULL, 0, 0), -EMSGSIZE);
	assert_int_equal(ivshmem_channel_recv(pair.b, NULL, 1, 0), -EINVAL);
	recv_text(pair.b, "mail");
	assert_int_equal(ivshmem_channel_recv(pair.b, buffer, 20, 0), -EMSGSIZE);
	recv_text(pair.b, "a message in the ring");
}

static void message_of_length_0_arrives(void **state)
{
	const void *message;
	void *room;

	open_pair();
	assert_int_equal(ivshmem_channel_send(pair.a, NULL, 0, 0), 0);
	assert_int_equal(ivshmem_channel_recv(pair.b, NULL, 0, 0), 0);
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, 0, 0), 0);
	assert_int_equal(ivshmem_channel_commit(pair.a, 0, 0), 0);
	assert_int_equal(ivshmem_channel_peek(pair.b, &message, 0), 0);
	assert_recv_fails(pair.b, 0, -EAGAIN);
}

static void reserved_message_is_written_in_place(void **state)
{
	void *room, *again;

	open_pair();
	assert_int_equal(ivshmem_channel_commit(pair.a, 0, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, 10, 0), 0);
	assert_int_equal((uintptr_t)room % 8, 0);
	assert_send_fails(pair.a, 0, -EBUSY);
	assert_int_equal(ivshmem_channel_commit(pair.a, 11, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_commit(pair.a, 10, 2), -EINVAL);
	assert_int_equal(ivshmem_channel_reserve(pair.a, &again, 20, 0), 0);
	assert_ptr_equal(again, room);
	memcpy(again, "twenty bytes of text", 20);
	assert_recv_fails(pair.b, 0, -EAGAIN);
	assert_int_equal(ivshmem_channel_commit(pair.a, 12, 0), 0);
	assert_int_equal(ivshmem_channel_commit(pair.a, 0, 0), -EINVAL);
	recv_text(pair.b, "twenty bytes");
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room,
						 ivshmem_channel_max_length(pair.a) + 1, 0),
			 -EMSGSIZE);
	assert_int_equal(ivshmem_channel_reserve(pair.a, NULL, 1, 0), -EINVAL);
}

static void commit_text(struct ivshmem_channel *channel, const char *text, unsigned int flags)
{
	void *room;

	assert_int_equal(ivshmem_channel_reserve(channel, &room, strlen(text), 0), 0);
	memcpy(room, text, strlen(text));
	assert_int_equal(ivshmem_channel_commit(channel, strlen(text), flags), 0);
}

static void messages_with_more_are_passed_on_together(void **state)
{
	open_pair();
	send_text(pair.a, "mail");
	commit_text(pair.a, "one", IVSHMEM_MORE);
	commit_text(pair.a, "two", IVSHMEM_MORE);
	recv_text(pair.b, "mail");
	assert_recv_fails(pair.b, 0, -EAGAIN);
	commit_text(pair.a, "three", 0);
	recv_text(pair.b, "one");
	recv_text(pair.b, "two");
	recv_text(pair.b, "three");
	assert_recv_fails(pair.b, 0, -EAGAIN);
	/* The mailbox is free again here, and must not overtake. */
	send_text(pair.b, "answer");
	recv_text(pair.a, "answer");
	commit_text(pair.a, "four", IVSHMEM_MORE);
	send_text(pair.a, "five");
	recv_text(pair.b, "four");
	recv_text(pair.b, "five");
}

static void messages_with_more_pass_when_the_ring_is_full(void **state)
{
	uint32_t i, sent = 0;
	void *room;

	open_pair();
	while (!ivshmem_channel_reserve(pair.a, &room, sizeof(sent), 0)) {
		memcpy(room, &sent, sizeof(sent));
		assert_int_equal(ivshmem_channel_commit(pair.a, sizeof(sent), IVSHMEM_MORE), 0);
		sent++;
	}
	for (i = 0; i < sent; i++) {
		uint32_t value = 0;

		assert_int_equal(ivshmem_channel_recv(pair.b, &value, sizeof(value), 0), 4);
		assert_int_equal(value, i);
	}
	assert_recv_fails(pair.b, 0, -EAGAIN);
}

static void close_drops_what_was_held_back(void **state)
{
	void *room;

	open_pair();
	send_text(pair.a, "sent");
	commit_text(pair.a, "held back", IVSHMEM_MORE);
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, 10, 0), 0);
	close_end(&pair.a);
	recv_text(pair.b, "sent");
	assert_recv_fails(pair.b, 0, -EPIPE);
}

static void peeks_give_one_message_after_the_other(void **state)
{
	const void *message, *first = NULL;
	uint32_t i, sent;

	open_pair();
	for (sent = 0; !ivshmem_channel_send(pair.a, &sent, sizeof(sent), 0); sent++)
		;
	for (i = 0; i < sent; i++) {
		assert_int_equal(ivshmem_channel_peek(pair.b, &message, 0), 4);
		assert_int_equal((uintptr_t)message % 8, 0);
		assert_memory_equal(message, &i, 4);
		if (!i)
			first = message;
	}
	assert_int_equal(ivshmem_channel_peek(pair.b, &message, 0), -EAGAIN);
	/* Nothing is released yet, so nothing is overwritten. */
	assert_send_fails(pair.a, 0, -EAGAIN);
	assert_non_null(first);
	assert_int_equal(*(const uint32_t *)first, 0);
	assert_int_equal(ivshmem_channel_release_all(pair.b), 0);
	send_text(pair.a, "room again");
	recv_text(pair.b, "room again");
	assert_int_equal(ivshmem_channel_peek(pair.b, NULL, 0), -EINVAL);
}

static void who_finds_nothing_has_told_what_it_released(void **state)
{
	open_pair();
	send_text(pair.a, "a question, long enough for the ring");
	recv_text(pair.b, "a question, long enough for the ring");
	assert_recv_fails(pair.b, 0, -EAGAIN);
	assert_ring_is_free(pair.a);
}

static void *send_a_record(void *channel)
{
	static const char record[64];

	return (void *)(intptr_t)ivshmem_channel_send(channel, record, sizeof(record),
						      PATIENCE_MS);
}

/* For less than the eighth of the ring that is told anyway. */
static void sender_that_sleeps_is_told_of_what_is_released(void **state)
{
	pthread_t thread;
	char buffer[64];
	void *result;
	int i;

	open_pair();
	while (!ivshmem_channel_send(pair.a, buffer, sizeof(buffer), 0))
		;
	assert_int_equal(pthread_create(&thread, NULL, send_a_record, pair.a), 0);
	for (i = 0; i < 20; i++) {
		usleep(SHORT_MS * 200);
		assert_int_equal(ivshmem_channel_recv(pair.b, buffer, sizeof(buffer), 0),
				 sizeof(buffer));
	}
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, 0);
}

/* --- streams --- */

static void *write_stream(void *channel)
{
	char *data = malloc(STREAM_BYTES);
	ssize_t sent;

	fill(data, STREAM_BYTES, 1);
	sent = ivshmem_channel_write(channel, data, STREAM_BYTES, PATIENCE_MS);
	free(data);
	if (ivshmem_channel_send(channel, NULL, 0, PATIENCE_MS))
		sent = -1;
	return (void *)(intptr_t)sent;
}

static void stream_arrives_whole_whatever_the_buffers(void **state)
{
	char *data = malloc(STREAM_BYTES);
	size_t got = 0, want;
	pthread_t thread;
	ssize_t part;
	void *sent;

	open_pair();
	assert_int_equal(pthread_create(&thread, NULL, write_stream, pair.a), 0);
	srand(3);
	while (got < STREAM_BYTES) {
		want = 1 + (size_t)rand() % (rand() % 4 ? 100000 : 20);
		if (want > STREAM_BYTES - got)
			want = STREAM_BYTES - got;
		part = ivshmem_channel_read(pair.b, data + got, want, PATIENCE_MS);
		assert_in_range(part, 1, want);
		got += (size_t)part;
	}
	assert_int_equal(pthread_join(thread, &sent), 0);
	assert_int_equal((intptr_t)sent, STREAM_BYTES);
	assert_filled(data, STREAM_BYTES, 1);
	assert_int_equal(ivshmem_channel_read(pair.b, data, 1, 0), -EAGAIN);
	close_end(&pair.a);
	assert_int_equal(ivshmem_channel_read(pair.b, data, 1, PATIENCE_MS), -EPIPE);
	free(data);
}

static void stream_calls_refuse_bad_arguments(void **state)
{
	char byte = 'x';

	open_pair();
	assert_int_equal(ivshmem_channel_read(pair.b, &byte, 0, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_read(pair.b, NULL, 1, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_read(NULL, &byte, 1, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_write(NULL, &byte, 1, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_write(pair.a, NULL, 1, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_write(pair.a, &byte, 0, 0), 0);
	assert_recv_fails(pair.b, 0, -EAGAIN);
}

static void write_to_a_full_ring_tells_how_much_went(void **state)
{
	static char data[REGION_SIZE];
	ssize_t sent;

	open_pair();
	sent = ivshmem_channel_write(pair.a, data, sizeof(data), 0);
	assert_in_range(sent, 1, sizeof(data) - 1);
	/* What is left may be room for less than a part. */
	while (!ivshmem_channel_send(pair.a, data, 1, 0))
		;
	assert_int_equal(ivshmem_channel_write(pair.a, data, sizeof(data), 0), -EAGAIN);
	assert_int_equal(ivshmem_channel_write(pair.a, data, sizeof(data), SHORT_MS), -ETIMEDOUT);
}

static atomic_bool flood_is_over;

static void *flood(void *channel)
{
	int err = 0;

	while (!flood_is_over && (!err || err == -EAGAIN))
		err = ivshmem_channel_send(channel, NULL, 0, 0);
	return NULL;
}

static void read_amid_endless_empty_messages_keeps_its_timeout(void **state)
{
	ssize_t timed, at_once;
	int64_t start, took;
	pthread_t thread;
	char byte;

	open_pair();
	flood_is_over = false;
	assert_int_equal(pthread_create(&thread, NULL, flood, pair.a), 0);
	start = now_ms();
	timed = ivshmem_channel_read(pair.b, &byte, 1, SHORT_MS);
	took = now_ms() - start;
	at_once = ivshmem_channel_read(pair.b, &byte, 1, 0);
	flood_is_over = true;
	pthread_join(thread, NULL);
	assert_int_equal(timed, -ETIMEDOUT);
	assert_in_range(took, SHORT_MS, PATIENCE_MS / 2);
	assert_int_equal(at_once, -EAGAIN);
	while (ivshmem_channel_send(pair.a, "x", 1, 0) == -EAGAIN)
		assert_int_equal(ivshmem_channel_recv(pair.b, &byte, 1, 0), 0);
	assert_int_equal(ivshmem_channel_read(pair.b, &byte, 1, 0), 1);
}

/* --- what can't be --- */

static char *raw_ring(char *raw, enum ivshmem_end writer)
{
	struct ivshmem_superblock superblock;
	uint64_t rings[2] = { 0, (uint32_t)slot_of(raw, 0)->facts[FACT_CREATOR_RING] * 4096ull };

	memcpy(&superblock, raw, sizeof(superblock));
	return raw + superblock.blocks_offset + rings[writer];
}

static void record_that_cannot_be_fails_eproto(void **state)
{
	char *raw;

	open_pair();
	raw = map_raw(pair.left);
	*(uint64_t *)raw_ring(raw, IVSHMEM_END_CREATOR) = 0x80000001ull << 32 | 0x7fffffff;
	assert_dead_until_reconnected(pair.b, pair.a);
	munmap(raw, REGION_SIZE);
}

static void consumed_that_cannot_be_fails_eproto(void **state)
{
	static char part[1000];
	char *raw;

	open_pair();
	raw = map_raw(pair.left);
	while (!ivshmem_channel_send(pair.a, part, sizeof(part), 0))
		;
	slot_of(raw, 0)->ends[IVSHMEM_END_CONNECTOR].consumed = 1ull << 40;
	assert_int_equal(ivshmem_channel_send(pair.a, part, sizeof(part), 0), -EPROTO);
	assert_int_equal(ivshmem_channel_send(pair.a, part, sizeof(part), PATIENCE_MS), -EPROTO);
	reconnect_both(pair.a, pair.b);
	talk(pair.a, pair.b);
	munmap(raw, REGION_SIZE);
}

/* --- two threads at each end --- */

#define DUPLEX_MESSAGES	60000

static size_t duplex_length(uint32_t number)
{
	return number % 64 ? number % 90 : number * 7 % 3000;
}

static void *send_numbered(void *data)
{
	struct ivshmem_channel *channel = data;
	char buffer[3000];
	uint32_t i;

	for (i = 0; i < DUPLEX_MESSAGES; i++) {
		fill(buffer, duplex_length(i), i);
		if (ivshmem_channel_send(channel, buffer, duplex_length(i), PATIENCE_MS))
			return "a send fails";
	}
	return NULL;
}

static void *receive_numbered(void *data)
{
	struct ivshmem_channel *channel = data;
	char buffer[3000], expected[3000];
	uint32_t i;

	for (i = 0; i < DUPLEX_MESSAGES; i++) {
		fill(expected, duplex_length(i), i);
		if (ivshmem_channel_recv(channel, buffer, sizeof(buffer), PATIENCE_MS) !=
		    (ssize_t)duplex_length(i))
			return "a receive fails";
		if (memcmp(buffer, expected, duplex_length(i)))
			return "wrong bytes";
	}
	return NULL;
}

static void threads_of_both_directions_at_both_ends_lose_nothing(void **state)
{
	pthread_t threads[4];

	open_pair();
	assert_int_equal(pthread_create(&threads[0], NULL, send_numbered, pair.a), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, receive_numbered, pair.a), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, send_numbered, pair.b), 0);
	assert_int_equal(pthread_create(&threads[3], NULL, receive_numbered, pair.b), 0);
	assert_threads_succeed(threads, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(create_then_connect_gives_a_channel),
		PAIR_TEST(connect_then_create_gives_a_channel),
		PAIR_TEST(ends_on_one_processor_let_each_other_run),
		PAIR_TEST(alone_at_a_channel_times_out_and_leaves_it_free),
		PAIR_TEST(bad_arguments_fail_einval),
		PAIR_TEST(longest_name_is_taken_and_told),
		PAIR_TEST(channels_of_one_region_are_told_apart),
		PAIR_TEST(end_that_is_taken_fails_ebusy),
		PAIR_TEST(end_of_another_program_fails_ebusy),
		PAIR_TEST(free_end_is_taken_whoever_has_its_lock),
		PAIR_TEST(message_that_was_not_taken_before_a_close_is_epipe),
		PAIR_TEST(program_that_was_killed_leaves_its_end_free),
		PAIR_TEST(peer_that_is_replaced_gives_econnreset_once),
		PAIR_TEST(messages_of_a_killed_peer_are_there_before_econnreset),
		PAIR_TEST(who_waits_is_told_of_a_crash_after_the_messages),
		PAIR_TEST(who_waits_for_room_is_told_of_a_crash),
		PAIR_TEST(who_never_sleeps_is_told_of_a_crash),
		PAIR_TEST(who_has_lost_its_rights_is_told_of_a_crash),
		PAIR_TEST(both_ends_of_one_handle_are_alive),
		PAIR_TEST(lock_on_another_node_is_no_sign_of_death),
		PAIR_TEST(take_over_of_a_living_end_ends_the_one_that_had_it),
		PAIR_TEST(who_lost_its_end_takes_no_part_in_the_next_session),
		PAIR_TEST(end_under_another_kernel_needs_take_over),
		PAIR_TEST(all_slots_in_use_fails_enospc),
		PAIR_TEST(object_that_a_dead_program_has_doomed_is_named_again),
		PAIR_TEST(end_of_who_died_before_it_saw_that_the_slot_is_anothers_is_free),
		PAIR_TEST(slot_with_junk_is_claimed_like_one_that_was_left),
		PAIR_TEST(slot_whose_other_end_is_closed_stays_with_its_owner),
		PAIR_TEST(slots_of_closed_channels_are_used_again),
		PAIR_TEST(slots_of_killed_programs_are_used_again),
		PAIR_TEST(layout_tells_names_and_sizes),
		PAIR_TEST(close_gives_all_messages_then_epipe),
		PAIR_TEST(close_wakes_who_waits),
		PAIR_TEST(channel_goes_on_with_the_next_peer_after_epipe),
		PAIR_TEST(reconnect_of_both_drops_what_is_on_its_way),
		PAIR_TEST(reconnect_without_the_other_side_times_out),
		PAIR_TEST(reconnect_that_times_out_leaves_no_old_session),
		PAIR_TEST(reconnect_to_a_damaged_layout_leaves_no_old_session),
		PAIR_TEST(reconnect_drops_what_was_reserved_and_held_back),
		PAIR_TEST(end_that_is_taken_anew_says_nothing_of_before),
		PAIR_TEST(reconnect_leaves_the_whole_ring_and_no_more),
		PAIR_TEST(reconnect_that_times_out_half_way_receives_nothing_again),
		PAIR_TEST(format_by_force_ends_channels),
		PAIR_TEST(format_by_force_frees_ends_of_idle_programs),
		PAIR_TEST(format_by_force_ends_who_waits_for_room),
		PAIR_TEST(each_direction_is_told_once_by_whatever_call),
		PAIR_TEST(write_that_sent_a_part_leaves_the_error_to_the_next_call),
		PAIR_TEST(recv_of_nothing_fails_eagain_or_etimedout),
		PAIR_TEST(full_ring_fails_eagain_and_nothing_is_lost),
		PAIR_TEST(two_of_the_longest_messages_fit),
		PAIR_TEST(message_that_is_too_long_for_the_buffer_stays),
		PAIR_TEST(message_of_length_0_arrives),
		PAIR_TEST(reserved_message_is_written_in_place),
		PAIR_TEST(messages_with_more_are_passed_on_together),
		PAIR_TEST(messages_with_more_pass_when_the_ring_is_full),
		PAIR_TEST(close_drops_what_was_held_back),
		PAIR_TEST(peeks_give_one_message_after_the_other),
		PAIR_TEST(who_finds_nothing_has_told_what_it_released),
		PAIR_TEST(sender_that_sleeps_is_told_of_what_is_released),
		PAIR_TEST(stream_arrives_whole_whatever_the_buffers),
		PAIR_TEST(stream_calls_refuse_bad_arguments),
		PAIR_TEST(write_to_a_full_ring_tells_how_much_went),
		PAIR_TEST(read_amid_endless_empty_messages_keeps_its_timeout),
		PAIR_TEST(record_that_cannot_be_fails_eproto),
		PAIR_TEST(consumed_that_cannot_be_fails_eproto),
		PAIR_TEST(threads_of_both_directions_at_both_ends_lose_nothing),
	};

	return run("channel", tests, ARRAY_SIZE(tests));
}
