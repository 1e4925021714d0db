// SPDX-License-Identifier: MIT
/*
 * Topics whose members die at any instruction, are pushed aside, are dropped, or come while
 * others go.
 */
#include "stepped.h"
#include "topics.h"

#define MAX_STEPS	200000

/* --- step by step --- */

static bool step_on(pid_t child)
{
	int status;

	return !ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) &&
	       waitpid(child, &status, 0) == child && WIFSTOPPED(status);
}

static void step_until(pid_t child, bool (*is_so)(void))
{
	int steps;

	for (steps = 0; !is_so(); steps++)
		assert_true(steps < MAX_STEPS && step_on(child));
}

static bool run_to_system_call(pid_t child)
{
	int status;

	return !ptrace(PTRACE_SYSCALL, child, NULL, NULL) &&
	       waitpid(child, &status, 0) == child && WIFSTOPPED(status);
}

static void kill_child(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void let_it_succeed(pid_t child)
{
	int status;

	assert_int_equal(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int open_stepped_publisher(struct ivshmem *shm)
{
	struct ivshmem_publisher *publisher;

	raise(SIGSTOP);
	return -ivshmem_publisher_open(&publisher, shm, "t");
}

static int open_stepped_subscriber(struct ivshmem *shm)
{
	struct ivshmem_subscriber *subscriber;

	raise(SIGSTOP);
	return -ivshmem_subscriber_open(&subscriber, shm, "t", 0);
}

static int publish_stepped(struct ivshmem *shm)
{
	struct ivshmem_publisher *publisher;

	if (ivshmem_publisher_open(&publisher, shm, "t"))
		return 101;
	raise(SIGSTOP);
	return -publish_number(publisher, 1, 100, 0);
}

/* As the first subscriber sees them. */
static struct ivshmem_slot_end *first_publisher(void)
{
	return topic_member((struct topic *)world.subscribers[0], 0);
}

static bool first_message_is_taken(void)
{
	char data[100];

	return ivshmem_subscriber_recv(world.subscribers[0], data, 100, NULL, 0, 0) >= 0;
}

static bool first_publisher_is_locked(void)
{
	const struct topic *topic = (struct topic *)world.subscribers[0];
	struct flock lock = {
		.l_type = F_WRLCK, .l_len = 1,
		.l_start = (off_t)(topic->offset + topic->geometry.members),
	};

	assert_int_equal(fcntl(world.shm[1]->fd, F_OFD_GETLK, &lock), 0);
	return lock.l_type != F_UNLCK;
}

static bool first_publisher_is_attaching(void)
{
	return first_publisher()->epoch % 4 == END_ATTACHING;
}

/* Quickly to the lock, which comes just before. */
static void run_until_attaching(pid_t child)
{
	while (!first_publisher_is_locked())
		assert_true(run_to_system_call(child));
	step_until(child, first_publisher_is_attaching);
}

static bool first_publisher_has_told_its_purpose(void)
{
	const struct topic *topic = (struct topic *)world.subscribers[0];

	return first_publisher_is_attaching() &&
	       ivshmem_end_is_for(first_publisher(), first_publisher()->epoch,
				  topic->object.generation);
}

/* The last that it tells before it prepares its place. */
static bool first_publisher_has_told_its_process(void)
{
	return first_publisher_has_told_its_purpose() && first_publisher()->pid;
}

static bool first_subscriber_is_attached(void)
{
	return topic_subscriber((struct topic *)world.publishers[0], 0)->epoch % 4 == END_ATTACHED;
}

static void close_publisher(int i)
{
	ivshmem_publisher_close(world.publishers[i]);
	world.publishers[i] = NULL;
}

static void close_subscriber(int i)
{
	ivshmem_subscriber_close(world.subscribers[i]);
	world.subscribers[i] = NULL;
}

/* --- numbers --- */

static void number_that_was_seen_is_not_given_again_after_a_kill(void **state)
{
	pid_t child;

	make(&small);
	open_subscriber(0, 0);
	child = start_stepped(publish_stepped);
	step_until(child, first_message_is_taken);
	kill_child(child);
	open_publisher(0);
	publish(0, 2, 100);
	receive(0, 2, 100, 0);
}

/* Also one that is held, and whatever those after publish. */
static void messages_of_publishers_before_can_be_had(void **state)
{
	const void *message;
	uint64_t i;

	make(&large);
	open_subscriber(0, 0);
	open_subscriber(1, 0);
	for (i = 1; i <= 8; i++) {
		open_publisher(0);
		publish(0, i, LARGE);
		close_publisher(0);
	}
	for (i = 1; length_of(i, LARGE) <= INLINE_SIZE; i++)
		receive(1, i, LARGE, 0);
	assert_int_equal(ivshmem_subscriber_hold(world.subscribers[1], &message, NULL, 0, 0),
			 length_of(i, LARGE));
	open_subscriber(2, 100);
	for (uint64_t n = 1; n <= 8; n++) {
		receive(0, n, LARGE, 0);
		receive(2, n, LARGE, 0);
	}
	for (uint64_t n = 9; n <= 60; n++) {
		open_publisher(0);
		publish(0, n, LARGE);
		receive(0, n, LARGE, 0);
		close_publisher(0);
	}
	assert_true(has_number(message, length_of(i, LARGE), i));
}

static int publish_full(uint64_t number)
{
	char data[LARGE];
	struct iovec part = { data, LARGE };

	put_number(data, LARGE, number);
	return ivshmem_publish(world.publishers[0], &part, 1, 0, 0, 0);
}

/* Else it would be written while the message of the other entry can be had. */
static void buffer_that_two_entries_name_is_used_once(void **state)
{
	const struct topic *topic;
	char data[LARGE];
	uint64_t i, n;

	make(&large);
	open_subscriber(0, 0);
	for (i = 1; i < 400; i += 8) {
		if (!world.publishers[0])
			open_publisher(0);
		for (n = i; n < i + 8; n++)
			assert_int_equal(publish_full(n), 0);
		for (n = i; n < i + 8; n++) {
			assert_int_equal(ivshmem_subscriber_recv(world.subscribers[0], data, LARGE,
								 NULL, 0, 0), LARGE);
			assert_true(has_number(data, LARGE, n));
		}
		if (i % 80 != 1)
			continue;
		topic = (struct topic *)world.publishers[0];
		topic_entry(topic, 0, 2)->buffer = topic_entry(topic, 0, 1)->buffer;
		close_publisher(0);
	}
}

static void publisher_killed_while_it_opens_leaves_the_count(void **state)
{
	uint64_t number = 0;
	int round, steps;
	pid_t child;

	make(&small);
	open_subscriber(0, 0);
	for (round = 0; round < 30; round++) {
		open_publisher(0);
		publish(0, ++number, 100);
		receive(0, number, 100, 0);
		close_publisher(0);
		child = start_stepped(open_stepped_publisher);
		run_until_attaching(child);
		for (steps = round < 12 ? round : rand() % 2000; steps; steps--)
			step_on(child);
		kill_child(child);
	}
}

static void first_publisher_killed_while_it_opens_leaves_no_junk_count(void **state)
{
	pid_t child;

	make(&small);
	open_subscriber(0, 0);
	*topic_published((struct topic *)world.subscribers[0], 0) = 12345;
	child = start_stepped(open_stepped_publisher);
	run_until_attaching(child);
	step_until(child, first_publisher_has_told_its_purpose);
	kill_child(child);
	open_publisher(0);
	publish(0, 1, 100);
	receive(0, 1, 100, 0);
}

static void subscriber_that_comes_while_a_publisher_opens_gets_only_what_is_new(void **state)
{
	uint64_t i;

	make(&small);
	open_publisher(0);
	for (i = 1; i <= 5; i++)
		publish(0, i, 100);
	close_publisher(0);
	open_subscriber(1, 0);
	topic_member((struct topic *)world.subscribers[1], 0)->epoch += END_ATTACHING + 1;
	open_subscriber(0, 0);
	assert_true(first_publisher_is_attaching());
	open_publisher(0);
	assert_nothing(0);
	publish(0, 6, 100);
	receive(0, 6, 100, 0);
}

static void topic_of_a_region_formatted_anew_begins_anew(void **state)
{
	uint64_t i;

	make(&small);
	open_publisher(0);
	for (i = 1; i <= 5; i++)
		publish(0, i, 100);
	close_publisher(0);
	ivshmem_close(world.shm[1]);
	assert_int_equal(ivshmem_format(world.shm[0], "", 4, 0, IVSHMEM_FORMAT_FORCE), 0);
	assert_int_equal(ivshmem_make_topic(world.shm[0], "t", &small), 0);
	world.shm[1] = open_region(in_shm("region"), 0);
	open_subscriber(0, 100);
	assert_nothing(0);
	open_publisher(0);
	publish(0, 1, 100);
	receive(0, 1, 100, 0);
}

/* --- places --- */

static void publisher_whose_place_was_taken_while_it_opened_takes_another(void **state)
{
	uint32_t epoch;
	pid_t child;

	make(&small);
	open_subscriber(0, 0);
	child = start_stepped(open_stepped_publisher);
	run_until_attaching(child);
	step_until(child, first_publisher_has_told_its_process);
	/* By a program under another kernel, which can't see its lock. */
	epoch = first_publisher()->epoch + 5;
	first_publisher()->wake = 0;
	first_publisher()->purpose += 4ull << 32;
	first_publisher()->epoch = epoch;
	let_it_succeed(child);
	assert_int_equal(first_publisher()->epoch, epoch);
	assert_int_equal(first_publisher()[1].epoch % 4, END_ATTACHED);
}

static void publisher_of_a_topic_that_was_removed_by_force_fails_econnreset(void **state)
{
	void *room;

	make(&small);
	open_publisher(0);
	open_publisher(1);
	assert_int_equal(ivshmem_remove(world.shm[1], "t", IVSHMEM_REMOVE_FORCE), 0);
	assert_int_equal(publish_number(world.publishers[0], 1, 100, 0), -ECONNRESET);
	assert_int_equal(ivshmem_publisher_reserve(world.publishers[1], &room), -ECONNRESET);
}

/* It has no lock that can be seen here. */
static void topic_with_a_member_under_another_kernel_is_removed_by_force_only(void **state)
{
	struct ivshmem_slot_end *member;
	uint64_t offset;
	uint32_t epoch;
	char *raw;

	make(&small);
	raw = map_raw(world.shm[0]);
	open_subscriber(0, 0);
	offset = ((struct topic *)world.subscribers[0])->offset;
	member = (struct ivshmem_slot_end *)(raw + offset + TOPIC_HEAD_SIZE) + small.publishers;
	epoch = member->epoch;
	close_subscriber(0);
	member->wake = 0;
	member->epoch = epoch;
	assert_int_equal(ivshmem_remove(world.shm[0], "t", 0), -EBUSY);
	open_publisher(0);
	close_publisher(0);
	assert_int_equal(ivshmem_remove(world.shm[0], "t", IVSHMEM_REMOVE_FORCE), 0);
	munmap(raw, ivshmem_size(world.shm[0]));
}

/* Whose blocks and numbers are the same. */
static void subscriber_of_a_removed_topic_gets_nothing_of_the_next_one(void **state)
{
	const void *message;
	char data[LARGE];
	int s;

	make(&large);
	open_publisher(0);
	open_subscriber(0, 0);
	open_subscriber(1, 0);
	world.shm[2] = open_region(in_shm("region"), IVSHMEM_RDONLY);
	assert_int_equal(ivshmem_subscriber_open(&world.subscribers[2], world.shm[2], "t", 0), 0);
	assert_int_equal(ivshmem_remove(world.shm[1], "t", IVSHMEM_REMOVE_FORCE), 0);
	close_publisher(0);
	assert_int_equal(ivshmem_make_topic(world.shm[0], "t", &large), 0);
	open_publisher(0);
	publish(0, 1, LARGE);
	for (s = 0; s < 3; s++)
		assert_int_equal(ivshmem_subscriber_recv(world.subscribers[s], data, LARGE, NULL,
							 0, PATIENCE_MS), -ECONNRESET);
	assert_int_equal(ivshmem_subscriber_hold(world.subscribers[1], &message, NULL, 0,
						 PATIENCE_MS), -ECONNRESET);
}

static void waits_are_counted_on_where_a_place_was_used(void **state)
{
	uint32_t *word;
	uint32_t before;
	char byte;

	make(&small);
	open_publisher(0);
	open_subscriber(0, 0);
	word = &topic_subscriber((struct topic *)world.publishers[0], 0)->receiver;
	assert_int_equal(ivshmem_subscriber_recv(world.subscribers[0], &byte, 1, NULL, 0, SHORT_MS),
			 -ETIMEDOUT);
	close_subscriber(0);
	before = *word;
	assert_true(before >= 4);
	open_subscriber(0, 0);
	assert_int_equal(ivshmem_subscriber_recv(world.subscribers[0], &byte, 1, NULL, 0, SHORT_MS),
			 -ETIMEDOUT);
	assert_true(*word > before);
}

/* A subscriber as its publisher sees it: @more is added to sleeps. */
static void seems(enum waiting_state state, uint32_t more)
{
	const struct topic *topic = (struct topic *)world.publishers[0];

	topic_subscriber(topic, 0)->processor = WAY_FUTEX;
	topic_subscriber(topic, 0)->receiver = 4000 + state;
	topic->head->sleeps += more;
}

/*
 * It has taken the message before the publisher looked for whom to wake, and grew drowsy. That
 * it falls asleep is seen late, as its store of sleeps is read before it.
 */
static void subscriber_that_grew_drowsy_before_a_look_is_woken_by_the_next_message(void **state)
{
	const struct topic *topic;
	uint32_t bell;

	make(&small);
	open_publisher(0);
	open_subscriber(0, 0);
	topic = (struct topic *)world.publishers[0];
	publish(0, 1, 100);
	seems(WAITING_DROWSY, 1);
	publish(0, 2, 100);
	bell = topic->head->bell;
	seems(WAITING_ASLEEP, 0);
	publish(0, 3, 100);
	assert_true(topic->head->bell != bell);
	bell = topic->head->bell;
	publish(0, 4, 100);
	assert_true(topic->head->bell == bell);
}

static void subscriber_that_died_drowsy_is_looked_at_for_a_while_only(void **state)
{
	const struct topic *topic;

	make(&small);
	open_publisher(0);
	open_subscriber(0, 0);
	topic = (struct topic *)world.publishers[0];
	seems(WAITING_DROWSY, 1);
	publish(0, 1, 100);
	usleep(200000);
	publish(0, 2, 100);
	assert_true(topic->handled == topic->head->sleeps);
}

/* --- lossless --- */

static void remake_lossless(void)
{
	struct ivshmem_topic_layout layout = small;

	layout.flags = IVSHMEM_TOPIC_LOSSLESS;
	assert_int_equal(ivshmem_make_topic(world.shm[0], "t", &layout), 0);
}

static void make_lossless(unsigned int holds)
{
	struct ivshmem_topic_layout layout = holds ? large : small;

	layout.flags = IVSHMEM_TOPIC_LOSSLESS;
	make(&layout);
}

static void subscriber_is_dropped_only_when_it_is_a_history_behind(void **state)
{
	uint64_t i;

	make_lossless(0);
	open_publisher(0);
	open_subscriber(0, 0);
	for (i = 1; i <= 8; i++)
		publish(0, i, 100);
	for (; i <= 50; i++) {
		receive(0, i - 8, 100, 0);
		publish(0, i, 100);
		assert_true(ivshmem_publisher_dropped(world.publishers[0]) == 0);
	}
}

static void *publish_some(void *publisher)
{
	uint64_t i;
	int err = 0;

	for (i = 10; i <= 30 && !err; i++)
		err = publish_number(publisher, i, 100, PATIENCE_MS);
	return (void *)(intptr_t)err;
}

static void who_joins_a_lossless_topic_gets_all_from_where_it_begins(void **state)
{
	pthread_t thread;
	void *result;
	uint64_t i;

	make_lossless(0);
	open_publisher(0);
	for (i = 1; i <= 9; i++)
		publish(0, i, 100);
	/* It has looked just before, and could go on without a look. */
	open_subscriber(0, 100);
	assert_int_equal(pthread_create(&thread, NULL, publish_some, world.publishers[0]), 0);
	usleep(20000);
	for (i = 3; i <= 30; i++)
		receive(0, i, 100, 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
}

static void who_joins_a_lossless_topic_holds_up_nobody(void **state)
{
	uint64_t i;
	pid_t child;

	make_lossless(0);
	open_publisher(0);
	for (i = 1; i <= 16; i++)
		publish(0, i, 100);
	child = start_stepped(open_stepped_subscriber);
	step_until(child, first_subscriber_is_attached);
	publish(0, i, 100);
	assert_true(ivshmem_publisher_dropped(world.publishers[0]) == 0);
	kill_child(child);
}

static int publish_17_stepped(struct ivshmem *shm)
{
	struct ivshmem_publisher *publisher;
	uint64_t i;
	int err = ivshmem_publisher_open(&publisher, shm, "t");

	for (i = 1; i <= 16 && !err; i++)
		err = publish_number(publisher, i, 100, 0);
	raise(SIGSTOP);
	return err ? 101 : -publish_number(publisher, i, 100, 0);
}

/* By the second publisher, where message 9 was; as the first one sees it. */
static bool message_17_is_begun(void)
{
	return !topic_entry((struct topic *)world.publishers[0], 1, 17)->number;
}

static int steps_until(pid_t child, bool (*is_so)(void))
{
	int steps;

	for (steps = 0; !is_so(); steps++)
		assert_true(steps < MAX_STEPS && step_on(child));
	return steps;
}

/* The publisher has looked for whom it has to wait then, and found nobody. */
static void who_joins_a_lossless_topic_just_before_a_message_misses_nothing(void **state)
{
	int before, steps, all = 0;
	uint64_t number;
	pid_t child;

	make_lossless(0);
	for (before = 0; before <= 30; before++) {
		open_publisher(0);
		child = start_stepped(publish_17_stepped);
		for (steps = 0; steps < all - before; steps++)
			assert_true(step_on(child));
		if (before) {
			open_subscriber(0, 100);
			let_it_succeed(child);
			for (number = 10; number <= 17; number++)
				receive(0, number, 100, 0);
			assert_true(ivshmem_subscriber_skipped(world.subscribers[0]) == 0);
		} else {
			all = steps_until(child, message_17_is_begun);
			let_it_succeed(child);
		}
		close_subscriber(0);
		close_publisher(0);
		assert_int_equal(ivshmem_remove(world.shm[0], "t", 0), 0);
		remake_lossless();
	}
}

/* Holds the first message, is dropped, and is told so. */
static int hold_stepped(struct ivshmem *shm)
{
	struct ivshmem_subscriber *subscriber;
	const void *message;
	char data[LARGE];

	if (ivshmem_subscriber_open(&subscriber, shm, "t", 0))
		return 101;
	raise(SIGSTOP);
	if (ivshmem_subscriber_hold(subscriber, &message, NULL, 0, PATIENCE_MS) != LARGE)
		return 102;
	raise(SIGSTOP);
	if (ivshmem_subscriber_recv(subscriber, data, LARGE, NULL, 0, 0) != -EPIPE)
		return 103;
	return has_number(message, LARGE, 1) ? 0 : 104;
}

static void what_is_held_stays_while_a_dropped_holder_enters_again(void **state)
{
	uint64_t number;
	int status, steps, i;
	pid_t child;

	make_lossless(3);
	open_publisher(0);
	child = start_stepped(hold_stepped);
	assert_int_equal(publish_full(1), 0);
	assert_int_equal(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSTOPPED(status));
	for (number = 2; number < 100; number++)
		assert_int_equal(publish_full(number), 0);
	assert_true(ivshmem_publisher_dropped(world.publishers[0]) == 1);
	for (steps = 0; steps < MAX_STEPS && WIFSTOPPED(status); steps++) {
		for (i = 0; i < 40 && steps % 150 == 0; i++)
			assert_int_equal(publish_full(number++), 0);
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Also where nothing of what it missed can be had: what is there was damaged. */
static void who_was_dropped_is_told_though_nothing_is_there(void **state)
{
	uint64_t i;
	char byte;

	make_lossless(0);
	open_publisher(0);
	open_subscriber(0, 0);
	for (i = 1; i <= 9; i++)
		publish(0, i, 100);
	assert_true(ivshmem_publisher_dropped(world.publishers[0]) == 1);
	for (i = 0; i < 8; i++)
		topic_entry((struct topic *)world.publishers[0], 0, i)->number = 0;
	close_publisher(0);
	open_publisher(0);
	assert_int_equal(ivshmem_subscriber_recv(world.subscribers[0], &byte, 1, NULL, 0, 0),
			 -EPIPE);
	for (i = 10; i <= 17; i++)
		publish(0, i, 100);
	for (i = 10; i <= 17; i++)
		receive(0, i, 100, i == 10 ? 9 : 0);
}

static void place_of_a_dropped_subscriber_is_as_good_as_new(void **state)
{
	uint64_t i;
	int round;

	make_lossless(0);
	open_publisher(0);
	for (i = 1, round = 0; round < 5; round++) {
		open_subscriber(0, 0);
		for (int n = 0; n < 9; n++, i++)
			publish(0, i, 100);
		assert_true(ivshmem_publisher_dropped(world.publishers[0]) ==
			    (uint64_t)round + 1);
		close_subscriber(0);
	}
}

/* --- programs --- */

static void childs_copies_are_inert(void **state)
{
	const void *message = "x";
	char data[100];
	void *room;
	pid_t child;

	make(&small);
	open_publisher(0);
	open_subscriber(0, 0);
	publish(0, 1, 100);
	child = fork();
	if (!child)
		_exit(publish_number(world.publishers[0], 2, 100, 0) != -ECHILD ||
		      ivshmem_publisher_reserve(world.publishers[0], &room) != -ECHILD ||
		      ivshmem_publisher_commit(world.publishers[0], 0, 0, 0, 0) != -ECHILD ||
		      ivshmem_publisher_subscribers(world.publishers[0]) != -ECHILD ||
		      ivshmem_subscriber_recv(world.subscribers[0], data, 100, NULL, 0, 0) !=
		      -ECHILD ||
		      ivshmem_subscriber_hold(world.subscribers[0], &message, NULL, 0, 0) !=
		      -ECHILD ||
		      ivshmem_subscriber_release(world.subscribers[0], message) != -ECHILD ||
		      (ivshmem_publisher_close(world.publishers[0]), 0) ||
		      (ivshmem_subscriber_close(world.subscribers[0]), 0));
	assert_other_succeeds(child);
	assert_int_equal(ivshmem_publisher_subscribers(world.publishers[0]), 1);
	receive(0, 1, 100, 0);
	publish(0, 2, 100);
	receive(0, 2, 100, 0);
}

static int count_files(void)
{
	int count = 0, fd;

	for (fd = 0; fd < 1000; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void opening_and_closing_100_times_leaves_nothing_open(void **state)
{
	char byte;
	int i, before = 0;

	make(&large);
	for (i = 0; i < 100; i++) {
		open_publisher(0);
		open_subscriber(0, 0);
		assert_int_equal(ivshmem_subscriber_recv(world.subscribers[0], &byte, 1, NULL, 0,
							 1), -ETIMEDOUT);
		publish(0, (uint64_t)i + 1, LARGE);
		receive(0, (uint64_t)i + 1, LARGE, 0);
		close_publisher(0);
		close_subscriber(0);
		if (i == 1)
			before = count_files();
	}
	assert_int_equal(count_files(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TOPIC_TEST(number_that_was_seen_is_not_given_again_after_a_kill),
		TOPIC_TEST(messages_of_publishers_before_can_be_had),
		TOPIC_TEST(buffer_that_two_entries_name_is_used_once),
		TOPIC_TEST(publisher_killed_while_it_opens_leaves_the_count),
		TOPIC_TEST(first_publisher_killed_while_it_opens_leaves_no_junk_count),
		TOPIC_TEST(subscriber_that_comes_while_a_publisher_opens_gets_only_what_is_new),
		TOPIC_TEST(topic_of_a_region_formatted_anew_begins_anew),
		TOPIC_TEST(publisher_whose_place_was_taken_while_it_opened_takes_another),
		TOPIC_TEST(publisher_of_a_topic_that_was_removed_by_force_fails_econnreset),
		TOPIC_TEST(topic_with_a_member_under_another_kernel_is_removed_by_force_only),
		TOPIC_TEST(subscriber_of_a_removed_topic_gets_nothing_of_the_next_one),
		TOPIC_TEST(waits_are_counted_on_where_a_place_was_used),
		TOPIC_TEST(subscriber_that_grew_drowsy_before_a_look_is_woken_by_the_next_message),
		TOPIC_TEST(subscriber_that_died_drowsy_is_looked_at_for_a_while_only),
		TOPIC_TEST(subscriber_is_dropped_only_when_it_is_a_history_behind),
		TOPIC_TEST(who_joins_a_lossless_topic_gets_all_from_where_it_begins),
		TOPIC_TEST(who_joins_a_lossless_topic_holds_up_nobody),
		TOPIC_TEST(who_joins_a_lossless_topic_just_before_a_message_misses_nothing),
		TOPIC_TEST(what_is_held_stays_while_a_dropped_holder_enters_again),
		TOPIC_TEST(who_was_dropped_is_told_though_nothing_is_there),
		TOPIC_TEST(place_of_a_dropped_subscriber_is_as_good_as_new),
		TOPIC_TEST(childs_copies_are_inert),
		TOPIC_TEST(opening_and_closing_100_times_leaves_nothing_open),
	};

	return run("topic_faults", tests, ARRAY_SIZE(tests));
}
