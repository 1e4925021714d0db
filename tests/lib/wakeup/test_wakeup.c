// SPDX-License-Identifier: MIT
/*
 * Waiting and waking: by futex, by doorbell and by neither, in calls and in event
 * loops. SOAK_MESSAGES= chooses how many messages have to wake their receiver (20000),
 * and SOAK_SECONDS how long random traffic goes on (2).
 */
#include "served_pair.h"

#include "doorbell/doorbell.h"
#include "format/superblock.h"
#include "system/system.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#define LATE_NS		900000000ll	/* a sleep that nobody ended takes a second */

static struct {
	int fd;		/* -1: none */
	int error;
} unwatchable = { .fd = -1 };

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	if (operation == EPOLL_CTL_ADD && fd == unwatchable.fd && fd >= 0) {
		errno = unwatchable.error;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

/* --- wake-ups --- */

static int64_t now_ns(void)
{
	return ivshmem_now();
}

struct waking {
	struct ivshmem_channel *channel;
	int64_t messages, latest;
	unsigned int seed;
	bool is_second;
};

static void pause_at_random(unsigned int *seed)
{
	unsigned int pause = rand_r(seed);

	if (pause % 4 == 0)
		usleep(pause / 4 % 300);
	else if (pause % 64 == 1)
		usleep(1000 + pause / 64 % 2000);
}

/* Each message goes there and back, so its receiver mostly sleeps when it comes. */
static void *wake_each_other(void *data)
{
	struct waking *waking = data;
	int64_t i, sent, late;
	ssize_t length;
	int err = 0;

	for (i = 0; i < waking->messages && !err; i++) {
		if (waking->is_second == i % 2) {
			pause_at_random(&waking->seed);
			sent = now_ns();
			err = ivshmem_channel_send(waking->channel, &sent, sizeof(sent),
						   PATIENCE_MS);
			continue;
		}
		if (rand_r(&waking->seed) % 8 == 0)
			ivshmem_channel_set_spin(waking->channel, rand_r(&waking->seed) % 60);
		length = ivshmem_channel_recv(waking->channel, &sent, sizeof(sent), PATIENCE_MS);
		late = now_ns() - sent;
		if (length != sizeof(sent))
			err = length < 0 ? (int)length : -EBADMSG;
		if (late > waking->latest)
			waking->latest = late;
	}
	return (void *)(intptr_t)err;
}

static void assert_wakes(int64_t messages)
{
	struct waking first = { pair.a, messages, 0, 1, false };
	struct waking second = { pair.b, messages, 0, 2, true };
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, wake_each_other, &second), 0);
	assert_int_equal((intptr_t)wake_each_other(&first), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, 0);
	print_message("# %s: %lld messages, the latest after %.3f ms\n",
		      ivshmem_channel_wakeup(pair.a), (long long)messages,
		      (double)(first.latest > second.latest ? first.latest : second.latest) / 1e6);
	assert_true(first.latest < LATE_NS);
	assert_true(second.latest < LATE_NS);
}

static void sleepers_on_futexes_are_woken_by_each_message(void **state)
{
	open_pair();
	assert_string_equal(ivshmem_channel_wakeup(pair.a), "futex");
	assert_string_equal(ivshmem_channel_wakeup(pair.b), "futex");
	assert_wakes(number_of("SOAK_MESSAGES", 20000));
}

static void sleepers_on_doorbells_are_woken_by_each_message(void **state)
{
	if (!start_server())
		skip_because("no command to serve");
	assert_string_equal(ivshmem_channel_wakeup(pair.a), "doorbell");
	assert_string_equal(ivshmem_channel_wakeup(pair.b), "doorbell");
	assert_wakes(number_of("SOAK_MESSAGES", 20000) / 4);
}

#define DROPPED_MESSAGES	20

/* Each once the one before was answered. */
static void *send_some(void *channel)
{
	ssize_t length = 1;
	char byte;
	int i;

	for (i = 0; i < DROPPED_MESSAGES && length == 1; i++) {
		usleep(20000);
		length = ivshmem_channel_send(channel, "x", 1, PATIENCE_MS) ?:
			 ivshmem_channel_recv(channel, &byte, 1, PATIENCE_MS);
	}
	return (void *)(intptr_t)length;
}

/* Nobody can ring it: it would get each message a second late. */
static void receiver_that_was_dropped_looks_again_in_time(void **state)
{
	int64_t start = now_ms();
	pthread_t thread;
	void *result;
	int i;

	if (!start_server())
		skip_because("no command to serve");
	drop_right();
	assert_int_equal(pthread_create(&thread, NULL, send_some, pair.a), 0);
	for (i = 0; i < DROPPED_MESSAGES; i++) {
		recv_text(pair.b, "x");
		send_text(pair.b, "y");
	}
	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, 1);
	assert_true(now_ms() - start < DROPPED_MESSAGES * 500);
}

static void kill_server(void)
{
	kill(server_pid, SIGKILL);
	waitpid(server_pid, NULL, 0);
	server_pid = 0;
	while (ivshmem_check(pair.right) != -ECONNRESET)
		usleep(1000);
}

static void server_that_is_killed_takes_no_wake_up_along(void **state)
{
	if (!start_server())
		skip_because("no command to serve");
	kill_server();
	assert_wakes(500);
	assert_int_equal(ivshmem_check(pair.left), -ECONNRESET);
}

static long sleeps_of_this_thread(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_nvcsw;
}

static void receiver_without_a_server_looks_less_often_while_nothing_comes(void **state)
{
	long sleeps;

	if (!start_server())
		skip_because("no command to serve");
	kill_server();
	assert_recv_fails(pair.b, SHORT_MS, -ETIMEDOUT);
	sleeps = sleeps_of_this_thread();
	assert_recv_fails(pair.b, 1000, -ETIMEDOUT);
	assert_in_range(sleeps_of_this_thread() - sleeps, 1, 120);
}

static void sleeping_receiver_takes_what_the_server_says(void **state)
{
	struct ivshmem *third;
	char where[PATH_MAX + 8];

	if (!start_server())
		skip_because("no command to serve");
	snprintf(where, sizeof(where), "unix:%s", in_shm("socket"));
	third = open_region(where, 0);
	assert_recv_fails(pair.b, 10, -ETIMEDOUT);
	assert_int_equal(ivshmem_peers(pair.right, NULL, 0), 2);
	ivshmem_close(third);
	assert_recv_fails(pair.b, 10, -ETIMEDOUT);
	assert_int_equal(ivshmem_peers(pair.right, NULL, 0), 1);
}

static int send_one_after(struct ivshmem_channel *channel, useconds_t us)
{
	usleep(us);
	return ivshmem_channel_send(channel, "x", 1, PATIENCE_MS);
}

static void *send_late(void *channel)
{
	return (void *)(intptr_t)send_one_after(channel, 1300000);
}

/* When the sleeps have grown long. */
static void who_slept_for_long_is_woken_at_once(void **state)
{
	int64_t start = now_ns();
	pthread_t thread;

	open_pair();
	assert_int_equal(pthread_create(&thread, NULL, send_late, pair.a), 0);
	recv_text(pair.b, "x");
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_in_range(now_ns() - start, 1300000000, 1300000000 + LATE_NS / 2);
}

static void *receive_late(void *channel)
{
	char buffer[100];
	ssize_t length = 0;
	int i;

	usleep(1200000);
	for (i = 0; i < 3 && length >= 0; i++)
		length = ivshmem_channel_recv(channel, buffer, sizeof(buffer), PATIENCE_MS);
	return NULL;
}

static void who_waits_for_room_is_woken(void **state)
{
	int64_t start = now_ns();
	pthread_t thread;

	open_pair();
	while (!ivshmem_channel_send(pair.a, "x", 1, 0))
		;
	assert_int_equal(pthread_create(&thread, NULL, receive_late, pair.b), 0);
	assert_int_equal(ivshmem_channel_send(pair.a, "x", 1, PATIENCE_MS), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_in_range(now_ns() - start, 1200000000, 1200000000 + LATE_NS / 2);
}

static void idle_receiver_takes_less_than_a_hundredth_of_a_processor(void **state)
{
	int64_t before;

	open_pair();
	before = cpu_ms(CLOCK_THREAD_CPUTIME_ID);
	assert_recv_fails(pair.b, 3000, -ETIMEDOUT);
	assert_true(cpu_ms(CLOCK_THREAD_CPUTIME_ID) - before <= 30);
}

static void wait_for_signal(int number)
{
}

static void *interrupt(void *thread)
{
	usleep(200000);
	pthread_kill(*(pthread_t *)thread, SIGUSR1);
	return NULL;
}

static void signal_ends_a_sleep_with_eintr(void **state)
{
	struct sigaction action = { .sa_handler = wait_for_signal };
	pthread_t self = pthread_self(), thread;

	open_pair();
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, interrupt, &self), 0);
	assert_recv_fails(pair.b, PATIENCE_MS, -EINTR);
	assert_int_equal(pthread_join(thread, NULL), 0);
	talk(pair.a, pair.b);
}

/* --- another kernel --- */

static int echo_all(struct ivshmem_channel *channel)
{
	char buffer[64];
	ssize_t length;

	if (strcmp(ivshmem_channel_wakeup(channel), "backoff"))
		return 2;
	while ((length = ivshmem_channel_recv(channel, buffer, sizeof(buffer), PATIENCE_MS)) >= 0)
		if (ivshmem_channel_send(channel, buffer, (size_t)length, PATIENCE_MS))
			return 3;
	return length == -EPIPE ? 0 : 4;
}

/* In a mount namespace where another boot ID is to be seen. */
static pid_t start_under_another_kernel(void)
{
	static const char id[] = "01234567-89ab-4def-8123-456789abcdef\n";
	char path[PATH_MAX], where[PATH_MAX];
	int fd, ready[2];
	pid_t child;
	char byte;

	strcpy(where, in_shm("region"));
	strcpy(path, in_shm("boot_id"));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, id, sizeof(id) - 1), sizeof(id) - 1);
	close(fd);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount(path, "/proc/sys/kernel/random/boot_id", NULL, MS_BIND, NULL) ||
		    write(ready[1], "y", 1) != 1)
			_exit(100);
		child = start_other(where, true, "a", 0, echo_all);
		_exit(waitpid(child, &fd, 0) == child && WIFEXITED(fd) ? WEXITSTATUS(fd) : 101);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		child = -1;
	close(ready[0]);
	return child;
}

static void who_nobody_can_wake_looks_again_in_time(void **state)
{
	pid_t child;
	int i;

	skip_unless_root();
	open_handles(REGION_SIZE, 1);
	child = start_under_another_kernel();
	if (child < 0)
		skip_because("no mount namespace");
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	assert_string_equal(ivshmem_channel_wakeup(pair.b), "backoff");
	assert_int_equal(ivshmem_channel_set_backoff(pair.b, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_set_backoff(pair.b, 200), 0);
	assert_string_equal(ivshmem_channel_fd_wakeup(pair.b), "timer");
	for (i = 0; i < 50; i++) {
		int64_t start = now_ns();

		usleep((useconds_t)i * 100);
		send_text(pair.b, "there and back");
		recv_text(pair.b, "there and back");
		assert_true(now_ns() - start < LATE_NS);
	}
	close_end(&pair.b);
	assert_other_succeeds(child);
}

/* Late enough for the receiver's first, short sleep to be over. */
static void *send_in_a_moment(void *channel)
{
	return (void *)(intptr_t)send_one_after(channel, 5000);
}

static void *receive_until_cancelled(void *channel)
{
	char byte;

	return (void *)(intptr_t)ivshmem_channel_recv(channel, &byte, 1, -1);
}

static unsigned int vector_to_wait_for = 1;

static void *wait_until_cancelled(void *shm)
{
	int rings;

	do {
		rings = ivshmem_wait(shm, vector_to_wait_for, -1);
	} while (rings > 0);
	return (void *)(intptr_t)rings;
}

static void *follow_until_cancelled(void *shm)
{
	enum ivshmem_peer_change change;
	unsigned int peer;
	int err;

	do {
		err = ivshmem_peer_next(shm, -1, &change, &peer);
	} while (!err);
	return (void *)(intptr_t)err;
}

/* Who waits for its own rings is not woken by a channel. */
static void channel_leaves_vector_0_to_the_user_where_there_are_two(void **state)
{
	int i;

	if (!start_server())
		skip_because("no command to serve");
	assert_int_equal(ivshmem_vectors(pair.right), 2);
	assert_int_equal(pair.b->link.vector, 1);
	assert_int_equal(ivshmem_wait(pair.right, 0, 0), -ETIMEDOUT);
	assert_int_equal(ivshmem_wait(pair.right, 1, 0), -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_set_spin(pair.b, 0), 0);
	for (i = 0; i < 20; i++) {
		pthread_t sender;

		assert_int_equal(pthread_create(&sender, NULL, send_in_a_moment, pair.a), 0);
		recv_text(pair.b, "x");
		pthread_join(sender, NULL);
	}
	assert_int_equal(ivshmem_wait(pair.right, 0, 0), -ETIMEDOUT);
	assert_true(ivshmem_wait(pair.right, 1, 0) > 0);
}

/* Who waits for rings of the same vector takes none away from a channel. */
static void rings_that_another_takes_wake_a_channel(void **state)
{
	pthread_t thread;
	int i, late = 0;
	void *result;

	if (!start_server())
		skip_because("no command to serve");
	assert_int_equal(ivshmem_channel_set_spin(pair.b, 0), 0);
	vector_to_wait_for = pair.b->link.vector;
	assert_int_equal(pthread_create(&thread, NULL, wait_until_cancelled, pair.right), 0);
	for (i = 0; i < 50; i++) {
		int64_t start = now_ns();
		pthread_t sender;

		assert_int_equal(pthread_create(&sender, NULL, send_in_a_moment, pair.a), 0);
		recv_text(pair.b, "x");
		late += now_ns() - start > LATE_NS / 2;
		pthread_join(sender, NULL);
	}
	assert_in_range(late, 0, 2);
	assert_int_equal(ivshmem_cancel(pair.right), 0);
	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, -ECANCELED);
}

/* Of one handle, at the same time: a channel, a vector, and news of peers. */
static void cancel_ends_all_that_wait_by_doorbell(void **state)
{
	void *(*const waits[])(void *data) = {
		receive_until_cancelled, wait_until_cancelled, follow_until_cancelled,
	};
	pthread_t threads[ARRAY_SIZE(waits)];
	void *result;
	size_t i;

	if (!start_server())
		skip_because("no command to serve");
	for (i = 0; i < ARRAY_SIZE(waits); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, waits[i],
						i ? (void *)pair.right : (void *)pair.b), 0);
	usleep(1200000);
	assert_int_equal(ivshmem_cancel(pair.right), 0);
	for (i = 0; i < ARRAY_SIZE(waits); i++) {
		pthread_join(threads[i], &result);
		assert_int_equal((intptr_t)result, -ECANCELED);
		assert_ptr_equal(waits[i](i ? (void *)pair.right : (void *)pair.b),
				 (void *)(intptr_t)-ECANCELED);
	}
	assert_int_equal(ivshmem_set_busy_poll(pair.right, 1000000), 0);
	assert_int_equal(ivshmem_wait(pair.right, 1, -1), -ECANCELED);
	assert_int_equal(ivshmem_uncancel(pair.right), 0);
	talk(pair.a, pair.b);
}

/* --- event loops --- */

static void arm_checks_its_arguments(void **state)
{
	open_pair();
	assert_true(ivshmem_channel_fd(pair.a) >= 0);
	assert_int_equal(ivshmem_channel_arm(pair.a, 0, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_arm(pair.a, 4, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_arm(pair.a, IVSHMEM_CAN_SEND, SIZE_MAX), -EMSGSIZE);
	assert_null(ivshmem_channel_fd_wakeup(NULL));
}

/* The ways in which a loop can be woken; false where this machine lacks one. */
enum way { BY_DOORBELL, BY_FUTEX, BY_TIMER };

static bool open_pair_for(enum way way)
{
	static const char *const names[] = { "doorbell", "futex", "timer" };

	if (way == BY_DOORBELL && !start_server())
		return false;
	if (way != BY_DOORBELL)
		open_pair();
	if (way == BY_TIMER)
		pair.a->loop.no_futex = pair.b->loop.no_futex = true;
	if (way == BY_FUTEX && strcmp(ivshmem_channel_fd_wakeup(pair.a), "futex"))
		return false;
	assert_string_equal(ivshmem_channel_fd_wakeup(pair.a), names[way]);
	assert_string_equal(ivshmem_channel_fd_wakeup(pair.b), names[way]);
	return true;
}

#define open_pair_or_skip(way) do {					\
	if (!open_pair_for(way))					\
		skip_because("no command to serve, or no io_uring that waits for futexes"); \
} while (0)

/* Readable within @timeout_ms, or not. */
static bool becomes_readable(struct ivshmem_channel *channel, int timeout_ms)
{
	struct pollfd input = { .fd = ivshmem_channel_fd(channel), .events = POLLIN };

	assert_true(input.fd >= 0);
	return poll(&input, 1, timeout_ms) == 1;
}

static int arm_until_ready(struct ivshmem_channel *channel, unsigned int events)
{
	int64_t end = now_ms() + PATIENCE_MS;
	int ready;

	while (!(ready = ivshmem_channel_arm(channel, events, 1)) && now_ms() < end)
		assert_true(becomes_readable(channel, PATIENCE_MS));
	return ready;
}

static void *send_soon(void *channel)
{
	return (void *)(intptr_t)send_one_after(channel, 200000);
}

static void check_armed_loop_is_woken_by_a_message(void **state, enum way way)
{
	pthread_t thread;
	int64_t start;

	open_pair_or_skip(way);
	start = now_ns();
	assert_int_equal(pthread_create(&thread, NULL, send_soon, pair.a), 0);
	assert_int_equal(arm_until_ready(pair.b, IVSHMEM_CAN_RECV), IVSHMEM_CAN_RECV);
	assert_in_range(now_ns() - start, 200000000, LATE_NS);
	recv_text(pair.b, "x");
	assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV | IVSHMEM_CAN_SEND, 1),
			 IVSHMEM_CAN_SEND);
	pthread_join(thread, NULL);
}

static void armed_loop_is_woken_by_a_message_by_doorbell(void **state)
{
	check_armed_loop_is_woken_by_a_message(state, BY_DOORBELL);
}

static void armed_loop_is_woken_by_a_message_by_futex(void **state)
{
	check_armed_loop_is_woken_by_a_message(state, BY_FUTEX);
}

static void armed_loop_is_woken_by_a_message_by_timer(void **state)
{
	check_armed_loop_is_woken_by_a_message(state, BY_TIMER);
}

#define ROUNDS		30

/* So that it is not the time that wakes the loop. */
static void stop_timer(struct ivshmem_channel *channel)
{
	const struct itimerspec never = { .it_value = { .tv_sec = 0 } };

	assert_int_equal(timerfd_settime(channel->loop.timer, 0, &never, NULL), 0);
}

/* But for a few wake-ups, of what was under way in another thread. */
static void assert_falls_silent(struct ivshmem_channel *channel, unsigned int wake_ups)
{
	unsigned int count = 0;

	do {
		assert_int_equal(ivshmem_channel_arm(channel, IVSHMEM_CAN_RECV, 0), 0);
		stop_timer(channel);
	} while (becomes_readable(channel, SHORT_MS) && count++ < wake_ups);
	assert_true(count <= wake_ups);
}

/* Such as epoll_wait(2), which says EINTR once anything has interrupted the thread. */
static void wake_up_of_a_loop_interrupts_nothing(void **state)
{
	struct epoll_event event;
	pthread_t thread;
	int i, fd;

	open_pair_or_skip(BY_FUTEX);
	fd = ivshmem_channel_fd(pair.b);
	for (i = 0; i < ROUNDS; i++) {
		assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV, 0), 0);
		stop_timer(pair.b);
		assert_int_equal(pthread_create(&thread, NULL, send_in_a_moment, pair.a), 0);
		assert_int_equal(epoll_wait(fd, &event, 1, PATIENCE_MS), 1);
		pthread_join(thread, NULL);
		recv_text(pair.b, "x");
	}
	assert_falls_silent(pair.b, 0);
}

/* The kernel takes the ring apart later, and interrupts whoever has used it. */
static void sleep_by_doorbell_after_a_loop_was_closed_is_not_interrupted(void **state)
{
	struct ivshmem_futex_fd *futex_fd;
	uint32_t word = 0;
	int i;

	if (!start_server())
		skip_because("no command to serve");
	for (i = 0; i < ROUNDS; i++) {
		if (ivshmem_futex_fd_open(&futex_fd))
			skip_because("no io_uring that waits for futexes");
		assert_int_equal(ivshmem_futex_fd_arm(futex_fd, 0, &word, 0), 0);
		ivshmem_futex_fd_close(futex_fd);
		assert_recv_fails(pair.b, SHORT_MS, -ETIMEDOUT);
	}
}

static void *arm_to_receive(void *channel)
{
	return (void *)(intptr_t)ivshmem_channel_arm(channel, IVSHMEM_CAN_RECV, 0);
}

/* One thread arms and ends, the next one polls, the next one arms again. */
static void loop_that_changes_threads_is_woken(void **state)
{
	pthread_t thread;
	void *ready;
	int i;

	open_pair_or_skip(BY_FUTEX);
	for (i = 0; i < ROUNDS; i++) {
		if (i % 3) {
			assert_int_equal(pthread_create(&thread, NULL, arm_to_receive, pair.b), 0);
			pthread_join(thread, &ready);
			assert_null(ready);
		} else {
			assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV, 0), 0);
		}
		stop_timer(pair.b);
		send_text(pair.a, "x");
		assert_true(becomes_readable(pair.b, PATIENCE_MS));
		recv_text(pair.b, "x");
	}
	assert_falls_silent(pair.b, 3);
}

static void loop_that_was_dropped_looks_again_in_time(void **state)
{
	int64_t start = now_ms();
	pthread_t thread;
	void *result;
	int i;

	if (!start_server())
		skip_because("no command to serve");
	drop_right();
	assert_int_equal(pthread_create(&thread, NULL, send_some, pair.a), 0);
	for (i = 0; i < DROPPED_MESSAGES; i++) {
		assert_int_equal(arm_until_ready(pair.b, IVSHMEM_CAN_RECV), IVSHMEM_CAN_RECV);
		recv_text(pair.b, "x");
		send_text(pair.b, "y");
	}
	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, 1);
	assert_true(now_ms() - start < DROPPED_MESSAGES * 500);
}

static void loop_without_a_server_looks_less_often_while_nothing_comes(void **state)
{
	unsigned int count = 0;
	int64_t end;

	if (!start_server())
		skip_because("no command to serve");
	kill_server();
	for (end = now_ms() + 1000; now_ms() < end; count++) {
		assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV, 0), 0);
		becomes_readable(pair.b, PATIENCE_MS);
	}
	assert_in_range(count, 1, 120);
}

/* Each of the descriptors of its doorbell in turn is one too many. */
static void loop_that_could_not_watch_all_does_the_next_time(void **state)
{
	int fds[3], i;

	if (!start_server())
		skip_because("no command to serve");
	fds[0] = ivshmem_event_fd(pair.b->shm, pair.b->link.vector);
	fds[1] = ivshmem_relay_fd(pair.b->shm);
	fds[2] = pair.b->shm->connection->server.socket;
	unwatchable.error = ENOMEM;
	for (i = 0; i < 3; i++) {
		unwatchable.fd = fds[i];
		assert_int_equal(ivshmem_channel_fd(pair.b), -ENOMEM);
		assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV, 0), -ENOMEM);
	}
	unwatchable.fd = -1;
	assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV, 0), 0);
	stop_timer(pair.b);
	send_text(pair.a, "x");
	assert_true(becomes_readable(pair.b, PATIENCE_MS));
	recv_text(pair.b, "x");
}

/* The lowest descriptor that is free, and how many may be open from there on. */
static void limit_descriptors(rlim_t more, struct rlimit *old)
{
	int lowest = dup(0);
	struct rlimit limit;

	assert_true(lowest >= 0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, old), 0);
	limit = *old;
	limit.rlim_cur = (rlim_t)lowest + more;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void loop_that_lacked_descriptors_is_woken_by_futex_later(void **state)
{
	struct rlimit old;

	open_pair_or_skip(BY_FUTEX);
	ivshmem_loop_close(&pair.b->loop);
	pair.b->loop = (struct ivshmem_loop) { .epoll = -1 };
	limit_descriptors(2, &old);
	assert_string_equal(ivshmem_channel_fd_wakeup(pair.b), "timer");
	assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV, 0), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_string_equal(ivshmem_channel_fd_wakeup(pair.b), "futex");
	assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV, 0), 0);
	stop_timer(pair.b);
	send_text(pair.a, "x");
	assert_true(becomes_readable(pair.b, PATIENCE_MS));
}

static void *receive_soon(void *channel)
{
	usleep(200000);
	return receive_late(channel);
}

static void check_armed_loop_is_woken_by_room_and_by_close(void **state, enum way way)
{
	pthread_t thread;

	open_pair_or_skip(way);
	while (!ivshmem_channel_send(pair.a, "x", 1, 0))
		;
	assert_int_equal(ivshmem_channel_arm(pair.a, IVSHMEM_CAN_SEND, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, receive_soon, pair.b), 0);
	assert_int_equal(arm_until_ready(pair.a, IVSHMEM_CAN_SEND), IVSHMEM_CAN_SEND);
	pthread_join(thread, NULL);
	close_end(&pair.b);
	assert_int_equal(arm_until_ready(pair.a, IVSHMEM_CAN_RECV), IVSHMEM_CAN_RECV);
	assert_recv_fails(pair.a, 0, -EPIPE);
}

static void armed_loop_is_woken_by_room_and_by_close_by_doorbell(void **state)
{
	check_armed_loop_is_woken_by_room_and_by_close(state, BY_DOORBELL);
}

static void armed_loop_is_woken_by_room_and_by_close_by_futex(void **state)
{
	check_armed_loop_is_woken_by_room_and_by_close(state, BY_FUTEX);
}

static void armed_loop_is_woken_by_room_and_by_close_by_timer(void **state)
{
	check_armed_loop_is_woken_by_room_and_by_close(state, BY_TIMER);
}

static void check_arming_tells_what_was_released(void **state, enum way way)
{
	open_pair_or_skip(way);
	send_text(pair.a, "long enough for the ring");
	recv_text(pair.b, "long enough for the ring");
	assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV, 0), 0);
	assert_ring_is_free(pair.a);
}

static void arming_tells_what_was_released_by_doorbell(void **state)
{
	check_arming_tells_what_was_released(state, BY_DOORBELL);
}

static void arming_tells_what_was_released_by_futex(void **state)
{
	check_arming_tells_what_was_released(state, BY_FUTEX);
}

static void arming_tells_what_was_released_by_timer(void **state)
{
	check_arming_tells_what_was_released(state, BY_TIMER);
}

static void rest_of_a_message_is_there_when_armed(void **state)
{
	static const char *const texts[] = { "a mail", "a record, too long for the mailbox" };
	char buffer[64];
	size_t i;

	open_pair();
	for (i = 0; i < 4; i++) {
		const char *text = texts[i % 2];

		send_text(pair.a, text);
		assert_int_equal(ivshmem_channel_read(pair.b, buffer, 1, 0), 1);
		assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV, 0),
				 IVSHMEM_CAN_RECV);
		assert_int_equal(ivshmem_channel_read(pair.b, buffer, sizeof(buffer), 0),
				 strlen(text) - 1);
		assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV, 0), 0);
	}
}

/* What a guest sees of a device that is removed: its descriptor hangs up. */
static int remove_device_of(struct ivshmem_channel *channel)
{
	struct epoll_event event = { .events = EPOLLHUP, .data.fd = channel->shm->fd };
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	close(ends[1]);
	assert_int_equal(epoll_ctl(ivshmem_channel_fd(channel), EPOLL_CTL_ADD, ends[0], &event), 0);
	return ends[0];
}

static void device_that_is_gone_when_armed_is_told_by_the_next_call(void **state)
{
	int hung_up;

	open_pair();
	hung_up = remove_device_of(pair.a);
	assert_int_equal(ivshmem_channel_arm(pair.a, IVSHMEM_CAN_RECV, 0), IVSHMEM_CAN_RECV);
	assert_recv_fails(pair.a, 0, -ENODEV);
	assert_recv_fails(pair.a, 0, -ENODEV);
	assert_int_equal(ivshmem_channel_send(pair.a, "x", 1, 0), 0);
	assert_int_equal(ivshmem_channel_arm(pair.a, IVSHMEM_CAN_SEND, 1), IVSHMEM_CAN_SEND);
	assert_send_fails(pair.a, 0, -ENODEV);
	close(hung_up);
}

static void armed_loop_is_told_of_a_crash(void **state)
{
	char where[PATH_MAX + 8];
	int64_t start;
	pid_t child;

	if (!start_server())
		skip_because("no command to serve");
	close_end(&pair.b);
	snprintf(where, sizeof(where), "unix:%s", in_shm("socket"));
	child = start_other(where, false, "a", 0, wait_for_ever);
	assert_int_equal(ivshmem_channel_reconnect(pair.a, PATIENCE_MS), 0);
	assert_int_equal(ivshmem_channel_arm(pair.a, IVSHMEM_CAN_RECV, 0), 0);
	kill_other(child);
	start = now_ms();
	assert_int_equal(arm_until_ready(pair.a, IVSHMEM_CAN_RECV), IVSHMEM_CAN_RECV);
	assert_true(now_ms() - start < PATIENCE_MS / 2);
	assert_recv_fails(pair.a, 0, -ECONNRESET);
}

#define LOOP_MESSAGES	20000

/* One thread, one poll(2), both directions. */
static void *run_loop(void *data)
{
	struct pollfd poller = { .events = POLLIN };
	struct ivshmem_channel *channel = data;
	uint32_t sent = 0, received = 0, value;
	unsigned int events;
	ssize_t length;
	int err;

	while (sent < LOOP_MESSAGES || received < LOOP_MESSAGES) {
		err = -EAGAIN;
		while (sent < LOOP_MESSAGES &&
		       !(err = ivshmem_channel_send(channel, &sent, sizeof(sent), 0)))
			sent++;
		if (err && err != -EAGAIN)
			return "a send fails";
		while ((length = ivshmem_channel_recv(channel, &value, sizeof(value), 0)) >= 0)
			if (length != sizeof(value) || value != received++)
				return "a message is lost";
		if (length != -EAGAIN)
			return "a receive fails";
		events = (sent < LOOP_MESSAGES ? IVSHMEM_CAN_SEND : 0) |
			 (received < LOOP_MESSAGES ? IVSHMEM_CAN_RECV : 0);
		poller.fd = ivshmem_channel_fd(channel);
		if (events && !ivshmem_channel_arm(channel, events, sizeof(sent)) &&
		    poll(&poller, 1, PATIENCE_MS) != 1)
			return "the descriptor stays silent";
	}
	return NULL;
}

static void check_loops_at_both_ends_pass_messages_both_ways(void **state, enum way way)
{
	pthread_t thread;
	void *result, *other;

	open_pair_or_skip(way);
	assert_int_equal(pthread_create(&thread, NULL, run_loop, pair.b), 0);
	result = run_loop(pair.a);
	pthread_join(thread, &other);
	if (result || other)
		print_error("# %s\n", (char *)(result ?: other));
	assert_null(result);
	assert_null(other);
}

static void loops_at_both_ends_pass_messages_both_ways_by_doorbell(void **state)
{
	check_loops_at_both_ends_pass_messages_both_ways(state, BY_DOORBELL);
}

static void loops_at_both_ends_pass_messages_both_ways_by_futex(void **state)
{
	check_loops_at_both_ends_pass_messages_both_ways(state, BY_FUTEX);
}

static void loops_at_both_ends_pass_messages_both_ways_by_timer(void **state)
{
	check_loops_at_both_ends_pass_messages_both_ways(state, BY_TIMER);
}

static void check_idle_loop_takes_less_than_a_hundredth_of_a_processor(void **state, enum way way)
{
	int64_t before, end;

	open_pair_or_skip(way);
	before = cpu_ms(CLOCK_THREAD_CPUTIME_ID);
	end = now_ms() + 3000;
	while (now_ms() < end) {
		assert_int_equal(ivshmem_channel_arm(pair.b, IVSHMEM_CAN_RECV, 0), 0);
		becomes_readable(pair.b, (int)(end - now_ms()) + 1);
	}
	assert_true(cpu_ms(CLOCK_THREAD_CPUTIME_ID) - before <= 30);
}

static void idle_loop_takes_less_than_a_hundredth_of_a_processor_by_doorbell(void **state)
{
	check_idle_loop_takes_less_than_a_hundredth_of_a_processor(state, BY_DOORBELL);
}

static void idle_loop_takes_less_than_a_hundredth_of_a_processor_by_futex(void **state)
{
	check_idle_loop_takes_less_than_a_hundredth_of_a_processor(state, BY_FUTEX);
}

/* --- random traffic between two programs --- */

#define TRAFFIC_LENGTH	3000

struct parcel {
	uint32_t number, sum;
	uint8_t bytes[TRAFFIC_LENGTH];
};

static size_t pack(struct parcel *parcel, uint32_t number, unsigned int *seed)
{
	size_t length = 8 + (size_t)rand_r(seed) % (rand_r(seed) % 8 ? 60 : TRAFFIC_LENGTH), i;

	parcel->number = number;
	for (i = 0; i < length - 8; i++)
		parcel->bytes[i] = (uint8_t)(*seed + i * 17);
	parcel->sum = ivshmem_crc32(parcel->bytes, length - 8);
	return length;
}

static bool is_packed(const struct parcel *parcel, ssize_t length, uint32_t number)
{
	return length >= 8 && parcel->number == number &&
	       parcel->sum == ivshmem_crc32(parcel->bytes, (size_t)length - 8);
}

/* Sends and receives at random until @end, then sends an empty message and takes the rest. */
static int traffic(struct ivshmem_channel *channel, unsigned int seed, int64_t end)
{
	uint32_t sent = 0, received = 0;
	bool ended = false, other_ended = false;
	struct parcel parcel;
	ssize_t result;

	while (!ended || !other_ended) {
		pause_at_random(&seed);
		result = -EAGAIN;
		while (!ended && rand_r(&seed) % 32 && now_ms() < end) {
			result = ivshmem_channel_send(channel, &parcel, pack(&parcel, sent + 1,
									     &seed), 0);
			if (result)
				break;
			sent++;
		}
		if (result && result != -EAGAIN)
			return (int)-result;
		if (!ended && now_ms() >= end)
			ended = !ivshmem_channel_send(channel, NULL, 0, 0);
		while (!other_ended && rand_r(&seed) % 32) {
			result = ivshmem_channel_recv(channel, &parcel, sizeof(parcel),
						      rand_r(&seed) % 4 ? 0 : 2);
			if (!result)
				other_ended = true;
			else if (result == -EAGAIN || result == -ETIMEDOUT)
				break;
			else if (!is_packed(&parcel, result, ++received))
				return result < 0 ? (int)-result : 200;
		}
	}
	return 0;
}

static int64_t traffic_end;

static int other_traffic(struct ivshmem_channel *channel)
{
	int result = traffic(channel, 7, traffic_end);

	ivshmem_channel_close(channel);
	return result;
}

static void random_traffic_between_programs_arrives_whole_and_in_order(void **state)
{
	pid_t child;

	traffic_end = now_ms() + 1000 * number_of("SOAK_SECONDS", 2);
	open_handles(REGION_SIZE, 1);
	child = start_other(in_shm("region"), true, "a", 0, other_traffic);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	assert_int_equal(traffic(pair.b, 3, traffic_end), 0);
	assert_other_succeeds(child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(sleepers_on_futexes_are_woken_by_each_message),
		SERVED_TEST(sleepers_on_doorbells_are_woken_by_each_message),
		SERVED_TEST(receiver_that_was_dropped_looks_again_in_time),
		SERVED_TEST(server_that_is_killed_takes_no_wake_up_along),
		SERVED_TEST(receiver_without_a_server_looks_less_often_while_nothing_comes),
		SERVED_TEST(sleeping_receiver_takes_what_the_server_says),
		SERVED_TEST(who_slept_for_long_is_woken_at_once),
		SERVED_TEST(who_waits_for_room_is_woken),
		SERVED_TEST(idle_receiver_takes_less_than_a_hundredth_of_a_processor),
		SERVED_TEST(signal_ends_a_sleep_with_eintr),
		SERVED_TEST(who_nobody_can_wake_looks_again_in_time),
		SERVED_TEST(channel_leaves_vector_0_to_the_user_where_there_are_two),
		SERVED_TEST(rings_that_another_takes_wake_a_channel),
		SERVED_TEST(cancel_ends_all_that_wait_by_doorbell),
		SERVED_TEST(arm_checks_its_arguments),
		SERVED_TEST(armed_loop_is_woken_by_a_message_by_doorbell),
		SERVED_TEST(armed_loop_is_woken_by_a_message_by_futex),
		SERVED_TEST(armed_loop_is_woken_by_a_message_by_timer),
		SERVED_TEST(wake_up_of_a_loop_interrupts_nothing),
		SERVED_TEST(sleep_by_doorbell_after_a_loop_was_closed_is_not_interrupted),
		SERVED_TEST(loop_that_changes_threads_is_woken),
		SERVED_TEST(loop_that_was_dropped_looks_again_in_time),
		SERVED_TEST(loop_without_a_server_looks_less_often_while_nothing_comes),
		SERVED_TEST(loop_that_could_not_watch_all_does_the_next_time),
		SERVED_TEST(loop_that_lacked_descriptors_is_woken_by_futex_later),
		SERVED_TEST(armed_loop_is_woken_by_room_and_by_close_by_doorbell),
		SERVED_TEST(armed_loop_is_woken_by_room_and_by_close_by_futex),
		SERVED_TEST(armed_loop_is_woken_by_room_and_by_close_by_timer),
		SERVED_TEST(arming_tells_what_was_released_by_doorbell),
		SERVED_TEST(arming_tells_what_was_released_by_futex),
		SERVED_TEST(arming_tells_what_was_released_by_timer),
		SERVED_TEST(rest_of_a_message_is_there_when_armed),
		SERVED_TEST(device_that_is_gone_when_armed_is_told_by_the_next_call),
		SERVED_TEST(armed_loop_is_told_of_a_crash),
		SERVED_TEST(loops_at_both_ends_pass_messages_both_ways_by_doorbell),
		SERVED_TEST(loops_at_both_ends_pass_messages_both_ways_by_futex),
		SERVED_TEST(loops_at_both_ends_pass_messages_both_ways_by_timer),
		SERVED_TEST(idle_loop_takes_less_than_a_hundredth_of_a_processor_by_doorbell),
		SERVED_TEST(idle_loop_takes_less_than_a_hundredth_of_a_processor_by_futex),
		SERVED_TEST(random_traffic_between_programs_arrives_whole_and_in_order),
	};

	return run("wakeup", tests, ARRAY_SIZE(tests));
}
