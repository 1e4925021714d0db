// SPDX-License-Identifier: MIT
/*
 * Programs that are killed at any point of what they do with a channel, and the
 * other end, which goes on. DEATH_ROUNDS= chooses how many are killed (1000), and
 * DEATH_STEPS how many of them step by step (100).
 */
#include "channels.h"

#include "format/superblock.h"

#include <stdatomic.h>
#include <sys/ptrace.h>
#include <time.h>

#define MAX_LENGTH	700
#define MAX_STEPS	20000
#define LOOK_MS		5

/* What a victim has surely sent: in memory of its own, since it may die at any time. */
static struct {
	_Atomic uint32_t sent;
	atomic_bool attached;
} *victim;

struct message {
	uint32_t number;
	uint32_t sum;
	uint8_t bytes[MAX_LENGTH];
};

static uint32_t sum_of(const struct message *message, size_t length)
{
	return ivshmem_crc32(message->bytes, length - 8) ^ message->number;
}

static size_t make_message(struct message *message, uint32_t number, unsigned int *seed)
{
	size_t length = 8 + (size_t)rand_r(seed) % (rand_r(seed) % 2 ? 8 : MAX_LENGTH), i;

	message->number = number;
	for (i = 0; i < length - 8; i++)
		message->bytes[i] = (uint8_t)rand_r(seed);
	message->sum = sum_of(message, length);
	return length;
}

static bool is_whole(const struct message *message, ssize_t length, uint32_t number)
{
	return length >= 8 && message->number == number &&
	       message->sum == sum_of(message, (size_t)length);
}

/* An end of a session that sends and receives at random; each direction counts from 1. */
struct traffic {
	struct ivshmem_channel *channel;
	uint32_t sent, received;
	unsigned int seed;
};

static int send_one(struct traffic *traffic)
{
	struct message message;
	size_t length = make_message(&message, traffic->sent + 1, &traffic->seed);
	int err = ivshmem_channel_send(traffic->channel, &message, length, 0);

	if (!err)
		traffic->sent++;
	return err;
}

/* -EBADMSG: lost, doubled, out of order or changed. */
static int receive_one(struct traffic *traffic, int timeout_ms)
{
	struct message message;
	ssize_t length = ivshmem_channel_recv(traffic->channel, &message, sizeof(message),
					      timeout_ms);

	if (length < 0)
		return (int)length;
	if (!is_whole(&message, length, ++traffic->received))
		return -EBADMSG;
	return 0;
}

static bool is_quiet(int err)
{
	return !err || err == -EAGAIN || err == -ETIMEDOUT;
}

static bool is_end(int err)
{
	return err == -ECONNRESET || err == -ENOTCONN || err == -EPIPE;
}

static int step(struct traffic *traffic)
{
	if (rand_r(&traffic->seed) % 2)
		return send_one(traffic);
	return receive_one(traffic, rand_r(&traffic->seed) % 8 ? 0 : 1);
}

static void die_after_us(long us)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	struct itimerspec time = { .it_value.tv_nsec = us * 1000 + 1 };
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &time, NULL))
		_exit(110);
}

/* Ends by its timer, or with the error that must not be. */
static int be_victim(const char *where, bool creates, unsigned int seed)
{
	struct traffic traffic = { .seed = seed };
	struct ivshmem *shm;
	int err;

	die_after_us(rand_r(&traffic.seed) % 1500);
	err = ivshmem_open(&shm, where, 0);
	if (!err)
		err = (creates ? ivshmem_channel_create : ivshmem_channel_connect)
		      (&traffic.channel, shm, "a", 0, PATIENCE_MS);
	if (err)
		return -err;
	victim->attached = true;
	while (is_quiet(err)) {
		if (rand_r(&traffic.seed) % 400 == 0) {
			ivshmem_channel_close(traffic.channel);
			for (;;)
				pause();
		}
		err = step(&traffic);
		victim->sent = traffic.sent;
	}
	return -err;
}

static bool has_ended(pid_t child, int *status)
{
	return waitpid(child, status, WNOHANG) == child;
}

/* Until the victim is dead and all that it sent was taken. */
static void survive(struct traffic *traffic, pid_t child, bool connected)
{
	bool dead = false, over = !connected;
	int status = 0, err;

	while (!dead || !over) {
		if (!dead)
			dead = has_ended(child, &status);
		if (over) {
			usleep(50);
			continue;
		}
		err = dead ? receive_one(traffic, 0) : step(traffic);
		if (err == -EBADMSG || (!is_quiet(err) && !is_end(err)))
			fail_msg("%d after %u messages", err, traffic->received);
		over = is_end(err) || (dead && err == -EAGAIN);
	}
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("the victim ends with %d", WEXITSTATUS(status));
	/* The victim takes what comes first; what comes after its close is not for it. */
	while (connected && receive_one(traffic, 0) == 0)
		;
	if (connected && traffic->received < victim->sent)
		fail_msg("%u of %u messages", traffic->received, victim->sent);
}

static bool come_together(struct traffic *traffic, struct ivshmem *shm, bool creates)
{
	int err;

	traffic->sent = traffic->received = 0;
	if (traffic->channel)
		err = ivshmem_channel_reconnect(traffic->channel, LOOK_MS);
	else
		err = (creates ? ivshmem_channel_create : ivshmem_channel_connect)
		      (&traffic->channel, shm, "a", 0, LOOK_MS);
	if (err && err != -ETIMEDOUT)
		fail_msg("coming together fails with %d", err);
	return !err;
}

static void killed_at_random_points_1000_times_leaves_the_other_able_to_go_on(void **state)
{
	int round, rounds = (int)number_of("DEATH_ROUNDS", 1000), sessions = 0;
	struct traffic traffic = { .seed = 1 };
	uint64_t received = 0;
	bool creates = false;
	char where[PATH_MAX];
	pid_t child;

	open_handles(64 * KIB, 1);
	strcpy(where, in_shm("region"));
	for (round = 0; round < rounds; round++) {
		victim->sent = 0;
		child = fork();
		assert_true(child >= 0);
		if (!child)
			_exit(be_victim(where, !creates, (unsigned int)round));
		if (come_together(&traffic, pair.left, creates)) {
			sessions++;
			survive(&traffic, child, true);
		} else {
			survive(&traffic, child, false);
		}
		received += traffic.received;
		if (round % 50 == 49) {
			ivshmem_channel_close(traffic.channel);
			traffic.channel = NULL;
			creates = !creates;
		}
	}
	ivshmem_channel_close(traffic.channel);
	print_message("# %d killed, %d of them in a session, %llu messages taken\n", rounds,
		      sessions,
		      (unsigned long long)received);
	assert_true(sessions >= rounds / 20);
	assert_true(received >= (uint64_t)sessions);
	/* And the slot is as good as new. */
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	talk(pair.a, pair.b);
}

/* --- step by step --- */

static struct {
	struct ivshmem *shm;
	atomic_bool ends;
	atomic_int failed;
} echo;

/* Answers whatever comes, from whoever has the other end. */
static void *be_echo(void *unused)
{
	struct ivshmem_channel *channel = NULL;
	char buffer[8192];
	ssize_t length;
	int err;

	while (!echo.ends && !echo.failed) {
		err = channel ? ivshmem_channel_reconnect(channel, LOOK_MS) :
		      ivshmem_channel_connect(&channel, echo.shm, "a", 0, LOOK_MS);
		if (err && err != -ETIMEDOUT)
			echo.failed = err;
		while (!err && !echo.ends) {
			length = ivshmem_channel_recv(channel, buffer, sizeof(buffer), LOOK_MS);
			if (length >= 0)
				err = ivshmem_channel_send(channel, buffer, (size_t)length, 0);
			else
				err = (int)length;
			if (is_quiet(err))
				err = 0;
			else if (!is_end(err))
				echo.failed = err;
		}
	}
	ivshmem_channel_close(channel);
	return NULL;
}

enum operation { CREATE, SEND, RECV, RECONNECT, CLOSE, OPERATIONS };

/* The echo gave up waiting at the last moment, and begins anew. */
#define BEGUN_ANEW	77

static int exchange(struct ivshmem_channel *channel, bool stops_before_recv)
{
	static const size_t lengths[] = { 10, 600 };
	char buffer[600] = "";
	ssize_t err = 0;
	size_t i;

	for (i = 0; i < 2 && !err; i++)
		err = ivshmem_channel_send(channel, buffer, lengths[i], PATIENCE_MS);
	if (stops_before_recv)
		raise(SIGSTOP);
	for (i = 0; i < 2 && !err; i++) {
		err = ivshmem_channel_recv(channel, buffer, sizeof(buffer), PATIENCE_MS);
		if (err >= 0)
			err = err == (ssize_t)lengths[i] ? 0 : -EBADMSG;
	}
	return is_end((int)err) ? BEGUN_ANEW : (int)-err;
}

static int operate(const char *where, enum operation operation)
{
	struct ivshmem_channel *channel;
	struct ivshmem *shm;
	int err;

	if (ivshmem_open(&shm, where, 0))
		return 1;
	if (operation == CREATE)
		raise(SIGSTOP);
	if (ivshmem_channel_create(&channel, shm, "a", 0, PATIENCE_MS))
		return 2;
	if (operation == SEND)
		raise(SIGSTOP);
	err = exchange(channel, operation == RECV);
	if (err)
		return err;
	if (operation == RECONNECT) {
		raise(SIGSTOP);
		if (ivshmem_channel_reconnect(channel, PATIENCE_MS))
			return 3;
	}
	if (operation == CLOSE)
		raise(SIGSTOP);
	ivshmem_channel_close(channel);
	return 0;
}

static bool ends_well(int status)
{
	return WIFEXITED(status) && (!WEXITSTATUS(status) || WEXITSTATUS(status) == BEGUN_ANEW);
}

/* Lets @child run to its stop, then @steps instructions on, and kills it there. */
static bool step_and_kill(pid_t child, long steps)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		return false;
	while (WIFSTOPPED(status) && steps-- > 0) {
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) ||
		    waitpid(child, &status, 0) != child)
			return false;
	}
	if (!WIFSTOPPED(status))
		return ends_well(status);
	kill(child, SIGKILL);
	return waitpid(child, &status, 0) == child;
}

static bool talk_with_echo(void)
{
	static const char question[] = "are you there, and well?";
	char buffer[64];
	int err;

	err = ivshmem_channel_create(&pair.a, pair.left, "a", 0, PATIENCE_MS);
	while (!err) {
		err = ivshmem_channel_send(pair.a, question, sizeof(question), 0);
		if (!err)
			err = (int)ivshmem_channel_recv(pair.a, buffer, sizeof(buffer),
							PATIENCE_MS);
		if (!is_end(err))
			break;
		err = ivshmem_channel_reconnect(pair.a, PATIENCE_MS);
	}
	close_end(&pair.a);
	if (err != sizeof(question))
		print_error("# talking fails with %d\n", err);
	return err == sizeof(question) && !memcmp(buffer, question, sizeof(question));
}

static void killed_at_any_instruction_leaves_the_other_able_to_go_on(void **state)
{
	int round, rounds = (int)number_of("DEATH_STEPS", 100);
	bool well = true;
	char where[PATH_MAX];
	pthread_t thread;
	pid_t child;

	open_handles(64 * KIB, 1);
	strcpy(where, in_shm("region"));
	echo.shm = pair.right;
	echo.ends = false;
	echo.failed = 0;
	srand(1);
	assert_int_equal(pthread_create(&thread, NULL, be_echo, NULL), 0);
	for (round = 0; round < rounds && well && !echo.failed; round++) {
		child = fork();
		if (!child) {
			ptrace(PTRACE_TRACEME, 0, NULL, NULL);
			_exit(operate(where, (enum operation)(round % OPERATIONS)));
		}
		well = step_and_kill(child, rand() % (round % 3 ? MAX_STEPS / 10 : MAX_STEPS));
		if (well)
			well = talk_with_echo();
	}
	echo.ends = true;
	pthread_join(thread, NULL);
	assert_int_equal(echo.failed, 0);
	assert_true(well);
}

/* A sender that stops before it sends, and then goes on step by step. */
static pid_t start_stepped_sender(const char *where, size_t length)
{
	static const char message[64];
	struct ivshmem_channel *channel;
	struct ivshmem *shm;
	pid_t child = fork();
	int err;

	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	err = ivshmem_open(&shm, where, 0);
	if (!err)
		err = ivshmem_channel_connect(&channel, shm, "a", 0, PATIENCE_MS);
	if (!err)
		err = ptrace(PTRACE_TRACEME, 0, NULL, NULL) || raise(SIGSTOP);
	_exit(err ? 200 : -ivshmem_channel_send(channel, message, length, PATIENCE_MS));
}

static bool step_on(pid_t child)
{
	int status;

	return !ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) &&
	       waitpid(child, &status, 0) == child && WIFSTOPPED(status);
}

/* As a server that takes the last message, and closes, before the sender looks again. */
static void send_that_is_taken_before_a_close(size_t length)
{
	char message[64];
	int status;
	pid_t child;

	child = start_stepped_sender(in_shm("region"), length);
	assert_int_equal(ivshmem_channel_create(&pair.a, pair.left, "a", 0, PATIENCE_MS), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSTOPPED(status));
	while (ivshmem_channel_recv(pair.a, message, sizeof(message), 0) == -EAGAIN)
		assert_true(step_on(child));
	close_end(&pair.a);
	assert_int_equal(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
	assert_other_succeeds(child);
}

static void message_that_was_taken_before_a_close_is_no_failure(void **state)
{
	open_handles(REGION_SIZE, 1);
	send_that_is_taken_before_a_close(4);
	send_that_is_taken_before_a_close(64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(killed_at_random_points_1000_times_leaves_the_other_able_to_go_on),
		PAIR_TEST(killed_at_any_instruction_leaves_the_other_able_to_go_on),
		PAIR_TEST(message_that_was_taken_before_a_close_is_no_failure),
	};

	victim = mmap(NULL, sizeof(*victim), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (victim == MAP_FAILED)
		return 1;
	return run("death", tests, ARRAY_SIZE(tests));
}
