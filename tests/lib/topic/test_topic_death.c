// SPDX-License-Identifier: MIT
/*
 * Publishers, subscribers and holders that are killed at any point of what they do, and those
 * who go on. DEATH_ROUNDS= chooses how many are killed at random moments (60), and
 * DEATH_STEPS how many after a random number of instructions (20).
 */
#include "topics.h"

#include <stdatomic.h>
#include <sys/ptrace.h>

#define PUBLISHERS	2
#define SUBSCRIBERS	3
#define MAX_STEPS	6000

static const struct ivshmem_topic_layout layout = {
	.max_length = LARGE, .history = 8, .publishers = PUBLISHERS, .subscribers = SUBSCRIBERS,
	.holds = 3,
};

/* What a victim has surely published: in memory of its own, since it may die at any time. */
static struct {
	_Atomic uint64_t number;
} *victim;

/* What the survivor has got of each publisher. */
static uint64_t last[PUBLISHERS], received;
static bool is_lossless;

/* --- victims: 0, or a positive errno, or more than 100 --- */

enum role { PUBLISHER, SUBSCRIBER, HOLDER, ROLES };

static uint64_t tag_of(uint64_t number, unsigned int place)
{
	return number * PUBLISHERS + place;
}

static int publish_as(struct ivshmem_publisher *publisher, uint64_t number)
{
	const struct topic *topic = (struct topic *)publisher;

	return publish_number(publisher, tag_of(number, topic->place), LARGE, PATIENCE_MS);
}

static int publish_often(struct ivshmem *shm, unsigned int count)
{
	struct ivshmem_publisher *publisher;
	const struct topic *topic;
	uint64_t number;
	int err;

	err = ivshmem_publisher_open(&publisher, shm, "t");
	if (err)
		return -err;
	topic = (struct topic *)publisher;
	number = *topic_published(topic, topic->place);
	while (count-- && !err) {
		err = publish_as(publisher, ++number);
		if (!err)
			victim->number = number;
	}
	ivshmem_publisher_close(publisher);
	return -err;
}

static bool is_whole(const char *data, ssize_t length, const struct ivshmem_message_info *info)
{
	uint64_t tag = tag_of(info->number, info->publisher);

	return length == (ssize_t)length_of(tag, LARGE) && has_number(data, (size_t)length, tag);
}

static int receive_often(struct ivshmem *shm, unsigned int count)
{
	struct ivshmem_subscriber *subscriber;
	struct ivshmem_message_info info;
	char data[LARGE];
	ssize_t length;
	int err;

	err = ivshmem_subscriber_open(&subscriber, shm, "t", count % 10);
	if (err)
		return -err;
	while (count-- && !err) {
		length = ivshmem_subscriber_recv(subscriber, data, LARGE, &info, 0, 1);
		if (length >= 0 && !is_whole(data, length, &info))
			err = -EBADMSG;
		if (length < 0 && length != -ETIMEDOUT)
			err = (int)length;
	}
	ivshmem_subscriber_close(subscriber);
	return -err;
}

/* Always holds two, and gives back the older one. */
static int hold_often(struct ivshmem *shm, unsigned int count)
{
	const void *held[2] = { NULL, NULL };
	struct ivshmem_subscriber *subscriber;
	struct ivshmem_message_info infos[2];
	ssize_t lengths[2];
	unsigned int i;
	int err;

	err = ivshmem_subscriber_open(&subscriber, shm, "t", count % 10);
	if (err)
		return -err;
	while (count-- && !err) {
		i = count % 2;
		if (held[i] && !is_whole(held[i], lengths[i], &infos[i]))
			err = -EBADMSG;
		if (held[i])
			ivshmem_subscriber_release(subscriber, held[i]);
		held[i] = NULL;
		lengths[i] = ivshmem_subscriber_hold(subscriber, &held[i], &infos[i], 0, 1);
		if (lengths[i] < 0 && lengths[i] != -ETIMEDOUT)
			err = (int)lengths[i];
	}
	ivshmem_subscriber_close(subscriber);
	return -err;
}

static int play(enum role role, struct ivshmem *shm, unsigned int count)
{
	switch (role) {
	case PUBLISHER:
		return publish_often(shm, count);
	case SUBSCRIBER:
		return receive_often(shm, count);
	default:
		return hold_often(shm, count);
	}
}

/* --- who survives --- */

/* False: nothing is there. */
static bool take_one(void)
{
	struct ivshmem_message_info info;
	char data[LARGE];
	ssize_t length;

	length = ivshmem_subscriber_recv(world.subscribers[0], data, LARGE, &info, 0, 0);
	if (length == -EAGAIN)
		return false;
	assert_true(length >= 0);
	assert_true(info.number == last[info.publisher] + info.skipped + 1);
	if (is_lossless)
		assert_true(info.skipped == 0);
	assert_true(is_whole(data, length, &info));
	last[info.publisher] = info.number;
	received++;
	return true;
}

static void take_all(void)
{
	while (take_one())
		;
}

/* The survivor needs none of what it overwrites; only the victim may. */
static void go_on(void)
{
	take_all();
	assert_int_equal(publish_as(world.publishers[0], last[0] + 1), 0);
	take_all();
}

/* Whatever the dead one held or had not taken: there are more messages than buffers. */
static void go_on_without_it(void)
{
	int64_t start = now_ms();
	int i;

	for (i = 0; i < 40; i++)
		go_on();
	assert_true(now_ms() - start < PATIENCE_MS);
	if (last[1] < victim->number)
		fail_msg("%llu of %llu messages", (unsigned long long)last[1],
			 (unsigned long long)victim->number);
}

static void make_survivor(bool lossless)
{
	struct ivshmem_topic_layout its = layout;

	its.flags = lossless ? IVSHMEM_TOPIC_LOSSLESS : 0;
	make(&its);
	open_publisher(0);
	open_subscriber(0, 0);
	memset(last, 0, sizeof(last));
	victim->number = 0;
	is_lossless = lossless;
	received = 0;
}

/* All that the dead had is there again, and nothing in it is of theirs. */
static void assert_all_places_are_free(void)
{
	const struct topic *topic = (struct topic *)world.publishers[0];
	unsigned int s, h;

	open_publisher(1);
	for (s = 1; s < SUBSCRIBERS; s++)
		open_subscriber((int)s, 0);
	for (s = 0; s < SUBSCRIBERS; s++)
		for (h = 0; h < layout.holds; h++)
			assert_true(*topic_hold(topic, s, h) == 0);
	assert_int_equal(ivshmem_publisher_subscribers(world.publishers[0]), SUBSCRIBERS);
}

/* --- at random moments --- */

static void die_after_us(long us)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	struct itimerspec time = { .it_value.tv_nsec = us * 1000 + 1 };
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &time, NULL))
		_exit(110);
}

static int be_victim(const char *where, int round)
{
	unsigned int seed = (unsigned int)round;
	struct ivshmem *shm;
	int err;

	die_after_us(rand_r(&seed) % 3000);
	err = ivshmem_open(&shm, where, 0);
	while (!err)
		err = play(round % ROLES, shm, (unsigned int)rand_r(&seed) % 500);
	return err < 0 ? -err : err;
}

static void kill_at_random(bool lossless, int rounds)
{
	char where[PATH_MAX];
	int round, status;
	pid_t child;

	make_survivor(lossless);
	strcpy(where, in_shm("region"));
	for (round = 0; round < rounds; round++) {
		child = fork();
		assert_true(child >= 0);
		if (!child)
			_exit(be_victim(where, round));
		while (waitpid(child, &status, WNOHANG) != child)
			go_on();
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			fail_msg("the victim ends with %d", WEXITSTATUS(status));
		go_on_without_it();
	}
	print_message("# %d killed; %llu messages taken, %llu of them of victims, %llu victims dropped\n",
		      rounds, (unsigned long long)received, (unsigned long long)last[1],
		      (unsigned long long)ivshmem_publisher_dropped(world.publishers[0]));
	assert_true(last[1] > 0);
	assert_all_places_are_free();
}

static void killed_at_random_points_leaves_a_lossless_topic_without_loss(void **state)
{
	kill_at_random(true, (int)number_of("DEATH_ROUNDS", 60) / 2);
}

static void killed_at_random_points_leaves_an_overwriting_topic_whole(void **state)
{
	kill_at_random(false, (int)number_of("DEATH_ROUNDS", 60) / 2);
}

/* --- after so many instructions --- */

/* The first of what it does may be the last. */
static int be_stepped(const char *where, enum role role, unsigned int count)
{
	struct ivshmem *shm;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ivshmem_open(&shm, where, 0) || ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		return 101;
	raise(SIGSTOP);
	return play(role, shm, count);
}

/* Runs to its first stop, as many system calls on, and then as many instructions. */
static int step(pid_t child, int calls, int steps)
{
	int status, i;

	assert_int_equal(waitpid(child, &status, 0), child);
	for (i = 0; i < calls + steps && WIFSTOPPED(status); i++) {
		assert_int_equal(ptrace(i < calls ? PTRACE_SYSCALL : PTRACE_SINGLESTEP, child, NULL,
					NULL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (i % 200 == 0)
			go_on();
	}
	return status;
}

static void kill_after_steps(bool lossless, int rounds)
{
	int round, status, in_time = 0;
	char where[PATH_MAX];
	pid_t child;

	make_survivor(lossless);
	strcpy(where, in_shm("region"));
	srand((unsigned int)rounds);
	for (round = 0; round < rounds; round++) {
		child = fork();
		assert_true(child >= 0);
		if (!child)
			_exit(be_stepped(where, round % ROLES, 5));
		/* What it opens takes about forty system calls. */
		status = step(child, rand() % 80, rand() % MAX_STEPS);
		if (WIFSTOPPED(status)) {
			kill(child, SIGKILL);
			assert_int_equal(waitpid(child, &status, 0), child);
			in_time++;
		} else if (!WIFEXITED(status) || WEXITSTATUS(status)) {
			fail_msg("the victim ends with %#x", status);
		}
		go_on_without_it();
	}
	print_message("# %d killed amid something\n", in_time);
	assert_true(in_time >= rounds / 4);
	assert_all_places_are_free();
}

static void killed_at_any_instruction_leaves_a_lossless_topic_without_loss(void **state)
{
	kill_after_steps(true, (int)number_of("DEATH_STEPS", 20) / 2);
}

static void killed_at_any_instruction_leaves_an_overwriting_topic_whole(void **state)
{
	kill_after_steps(false, (int)number_of("DEATH_STEPS", 20) / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TOPIC_TEST(killed_at_random_points_leaves_a_lossless_topic_without_loss),
		TOPIC_TEST(killed_at_random_points_leaves_an_overwriting_topic_whole),
		TOPIC_TEST(killed_at_any_instruction_leaves_a_lossless_topic_without_loss),
		TOPIC_TEST(killed_at_any_instruction_leaves_an_overwriting_topic_whole),
	};

	victim = mmap(NULL, sizeof(*victim), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (victim == MAP_FAILED)
		return 1;
	return run("topic_death", tests, ARRAY_SIZE(tests));
}
