// SPDX-License-Identifier: MIT
/*
 * Cancelling calls that wait: before they begin, while they spin or sleep, from another
 * thread and from signal handlers, in each way to wait.
 */
#include "channels.h"

#include "system/system.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/time.h>

/* ThreadSanitizer keeps a signal until the next call that it knows: each one is slow. */
#ifdef __SANITIZE_THREAD__
#define SIGNALS		50
#else
#define SIGNALS		500
#endif
#define LATE_NS		(900 * NS_PER_MS)	/* a sleep that nobody ended takes a second */
#define MOST_LATE	3			/* on a busy machine */

/* How a receiver of the pair waits. */
enum way { BY_FUTEX, BY_BACKOFF, BY_SPINNING };

static void open_pair_for(enum way way)
{
	open_pair();
	switch (way) {
	case BY_FUTEX:
		assert_string_equal(ivshmem_channel_wakeup(pair.b), "futex");
		break;
	case BY_BACKOFF:
		pair.b->link.wakeup = WAKEUP_BACKOFF;
		assert_int_equal(ivshmem_channel_set_backoff(pair.b, 3600 * 1000000u), 0);
		break;
	case BY_SPINNING:
		assert_int_equal(ivshmem_channel_set_spin(pair.b, UINT_MAX), 0);
		break;
	}
}

static void cancelled_channel_does_not_wait(void **state)
{
	open_pair();
	assert_int_equal(ivshmem_channel_cancel(pair.b), 0);
	assert_recv_fails(pair.b, -1, -ECANCELED);
	assert_recv_fails(pair.b, PATIENCE_MS, -ECANCELED);
	assert_recv_fails(pair.b, 0, -EAGAIN);
	send_text(pair.b, "room is there");
	recv_text(pair.a, "room is there");
}

static void cancelled_channel_still_receives_what_is_there(void **state)
{
	open_pair();
	assert_int_equal(ivshmem_channel_cancel(pair.b), 0);
	send_text(pair.a, "before");
	recv_text(pair.b, "before");
	assert_recv_fails(pair.b, -1, -ECANCELED);
	close_end(&pair.a);
	assert_recv_fails(pair.b, -1, -EPIPE);
}

static void channel_waits_again_after_uncancel(void **state)
{
	open_pair();
	assert_int_equal(ivshmem_channel_cancel(pair.b), 0);
	assert_int_equal(ivshmem_channel_cancel(pair.b), 0);
	assert_recv_fails(pair.b, -1, -ECANCELED);
	assert_int_equal(ivshmem_channel_uncancel(pair.b), 0);
	assert_int_equal(ivshmem_channel_uncancel(pair.b), 0);
	assert_recv_fails(pair.b, SHORT_MS, -ETIMEDOUT);
	talk(pair.a, pair.b);
}

static void cancel_of_a_channel_leaves_others_alone(void **state)
{
	struct ivshmem_channel *c, *d;

	open_handles(REGION_SIZE, 2);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	open_both(pair.left, &c, pair.right, &d, "c");
	assert_int_equal(ivshmem_channel_cancel(pair.b), 0);
	assert_recv_fails(d, SHORT_MS, -ETIMEDOUT);
	assert_int_equal(ivshmem_cancel(pair.right), 0);
	assert_recv_fails(d, -1, -ECANCELED);
	assert_recv_fails(c, SHORT_MS, -ETIMEDOUT);
	assert_int_equal(ivshmem_uncancel(pair.right), 0);
	assert_recv_fails(d, SHORT_MS, -ETIMEDOUT);
	assert_recv_fails(pair.b, -1, -ECANCELED);
	ivshmem_channel_close(c);
	ivshmem_channel_close(d);
}

static void cancelled_handle_opens_no_channel(void **state)
{
	open_handles(REGION_SIZE, 1);
	assert_int_equal(ivshmem_cancel(pair.left), 0);
	assert_int_equal(ivshmem_channel_create(&pair.a, pair.left, "a", 0, -1), -ECANCELED);
	assert_int_equal(ivshmem_channel_connect(&pair.a, pair.left, "a", 0, -1), -ECANCELED);
	assert_int_equal(ivshmem_channel_begin(&pair.a, pair.left, "a", IVSHMEM_END_CREATOR, 0), 0);
	assert_int_equal(ivshmem_channel_finish(pair.a, -1), -ECANCELED);
	assert_int_equal(ivshmem_channel_reconnect(pair.a, -1), -ECANCELED);
}

static void cancel_takes_null(void **state)
{
	assert_int_equal(ivshmem_cancel(NULL), -EINVAL);
	assert_int_equal(ivshmem_uncancel(NULL), -EINVAL);
	assert_int_equal(ivshmem_channel_cancel(NULL), -EINVAL);
	assert_int_equal(ivshmem_channel_uncancel(NULL), -EINVAL);
	assert_int_equal(ivshmem_monitor_cancel(NULL), -EINVAL);
	assert_int_equal(ivshmem_monitor_uncancel(NULL), -EINVAL);
}

/* --- from another thread --- */

static void *receive_for_ever(void *channel)
{
	char byte;

	return (void *)(intptr_t)ivshmem_channel_recv(channel, &byte, 1, -1);
}

static void *send_for_ever(void *channel)
{
	static const char message[REGION_SIZE];
	size_t length = ivshmem_channel_max_length(channel);
	int err;

	do {
		err = ivshmem_channel_send(channel, message, length, -1);
	} while (!err);
	return (void *)(intptr_t)err;
}

static void assert_cancelled(pthread_t thread)
{
	void *result;

	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, -ECANCELED);
}

static void cancel_ends_both_directions(enum way way, unsigned int after_us)
{
	pthread_t threads[2];

	open_pair_for(way);
	assert_int_equal(pthread_create(&threads[0], NULL, receive_for_ever, pair.b), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, send_for_ever, pair.b), 0);
	usleep(after_us);
	assert_int_equal(ivshmem_channel_cancel(pair.b), 0);
	assert_cancelled(threads[0]);
	assert_cancelled(threads[1]);
}

static void cancel_ends_sleeps_by_futex(void **state)
{
	cancel_ends_both_directions(BY_FUTEX, 1200000);
}

static void cancel_ends_sleeps_by_backoff(void **state)
{
	cancel_ends_both_directions(BY_BACKOFF, 300000);
}

static void cancel_ends_spinning(void **state)
{
	cancel_ends_both_directions(BY_SPINNING, 1000);
}

static void *finish_for_ever(void *channel)
{
	return (void *)(intptr_t)ivshmem_channel_finish(channel, -1);
}

static void cancel_ends_an_opening(void **state)
{
	pthread_t thread;

	open_handles(REGION_SIZE, 1);
	assert_int_equal(ivshmem_channel_begin(&pair.a, pair.left, "a", IVSHMEM_END_CREATOR, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, finish_for_ever, pair.a), 0);
	usleep(SHORT_MS * 1000);
	assert_int_equal(ivshmem_channel_cancel(pair.a), 0);
	assert_cancelled(thread);
	assert_int_equal(ivshmem_channel_uncancel(pair.a), 0);
	assert_int_equal(ivshmem_channel_finish(pair.a, 1), -ETIMEDOUT);
}

static void *watch_for_ever(void *monitor)
{
	struct ivshmem_device *device;
	enum ivshmem_change change;

	return (void *)(intptr_t)ivshmem_monitor_next(monitor, -1, &change, &device);
}

static void cancel_ends_a_monitor(void **state)
{
	struct ivshmem_monitor *monitor;
	pthread_t thread;

	assert_int_equal(ivshmem_monitor_open(&monitor), 0);
	assert_int_equal(pthread_create(&thread, NULL, watch_for_ever, monitor), 0);
	usleep(SHORT_MS * 1000);
	assert_int_equal(ivshmem_monitor_cancel(monitor), 0);
	assert_cancelled(thread);
	assert_ptr_equal(watch_for_ever(monitor), (void *)(intptr_t)-ECANCELED);
	assert_int_equal(ivshmem_monitor_uncancel(monitor), 0);
	ivshmem_monitor_close(monitor);
}

/* --- from a signal handler of the thread that waits --- */

static struct ivshmem_channel *signalled;
static atomic_int handled;
static _Atomic int64_t handled_at;

static void on_alarm(int number)
{
	int before = errno;

	errno = 4711;
	ivshmem_channel_cancel(signalled);
	if (errno == 4711)
		handled++;
	handled_at = ivshmem_now();
	errno = before;
}

/* Times that fall before the call, into its spinning, and into its first sleeps. */
static void set_alarm(unsigned int *seed)
{
	int shortest = rand_r(seed) % 4 ? 1 : 1050;
	struct itimerval time = { .it_value = { .tv_usec = shortest + rand_r(seed) % 200 } };

	setitimer(ITIMER_REAL, &time, NULL);
}

/* How many were late: a lost one lets it sleep on for a second. -1: a call went wrong. */
static int count_late(void *unused)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART }, old;
	int i, ret = -ECANCELED, late = 0;
	unsigned int seed = 1;
	char byte;

	signalled = pair.b;
	handled = 0;
	sigaction(SIGALRM, &action, &old);
	for (i = 0; i < SIGNALS && ret == -ECANCELED && handled == i; i++) {
		set_alarm(&seed);
		do {
			ret = (int)ivshmem_channel_recv(pair.b, &byte, 1, PATIENCE_MS);
		} while (ret == -EINTR);
		late += ivshmem_now() - handled_at > LATE_NS;
		if (ivshmem_channel_uncancel(pair.b))
			return -1;
	}
	sigaction(SIGALRM, &old, NULL);
	return ret == -ECANCELED && handled == SIGNALS ? late : -1;
}

static void no_signal_is_lost(enum way way)
{
	open_pair_for(way);
	assert_in_range(count_late(NULL), 0, MOST_LATE);
}

/* What a signal does that comes between the last look and the sleep. */
static void sleep_that_begins_after_a_cancel_ends_at_once(void **state)
{
	int64_t start = ivshmem_now();

	open_pair_for(BY_FUTEX);
	assert_int_equal(ivshmem_channel_cancel(pair.b), 0);
	assert_int_equal(ivshmem_sleep(&pair.b->link, &pair.b->news, *pair.b->news.other_bell,
				       PATIENCE_MS * NS_PER_MS), 0);
	assert_int_equal(ivshmem_channel_uncancel(pair.b), 0);
	assert_int_equal(ivshmem_cancel(pair.right), 0);
	assert_int_equal(ivshmem_sleep(&pair.b->link, &pair.b->news, *pair.b->news.other_bell,
				       PATIENCE_MS * NS_PER_MS), 0);
	assert_true(ivshmem_now() - start < PATIENCE_MS / 2 * NS_PER_MS);
}

static void no_signal_is_lost_by_futex(void **state)
{
	no_signal_is_lost(BY_FUTEX);
}

static void no_signal_is_lost_by_backoff(void **state)
{
	no_signal_is_lost(BY_BACKOFF);
}

static void no_signal_is_lost_while_spinning(void **state)
{
	no_signal_is_lost(BY_SPINNING);
}

/* As before Linux 5.16: futex_waitv(2) is unknown. */
static int count_late_on_an_old_kernel(void *way)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 449, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { ARRAY_SIZE(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return 200;
	open_pair_for(*(enum way *)way);
	return count_late(NULL);
}

static void no_signal_is_lost_on_an_old_kernel(void **state)
{
	enum way way = BY_FUTEX;

	assert_in_range(in_child(count_late_on_an_old_kernel, &way), 0, MOST_LATE);
}

static void no_signal_is_lost_on_an_old_kernel_by_backoff(void **state)
{
	enum way way = BY_BACKOFF;

	assert_in_range(in_child(count_late_on_an_old_kernel, &way), 0, MOST_LATE);
}

/* --- the words and descriptors below --- */

static void descriptor_of_a_raised_cancel_is_readable(void **state)
{
	struct ivshmem_cancel cancel = IVSHMEM_CANCEL_INIT;
	struct pollfd poller = { .events = POLLIN };
	int before;

	for (before = 0; before < 2; before++) {
		if (before)
			poller.fd = ivshmem_cancel_fd(&cancel);
		ivshmem_cancel_raise(&cancel);
		poller.fd = ivshmem_cancel_fd(&cancel);
		assert_true(ivshmem_is_cancelled(&cancel));
		assert_int_equal(poll(&poller, 1, 0), 1);
		ivshmem_cancel_lower(&cancel);
		assert_false(ivshmem_is_cancelled(&cancel));
		assert_int_equal(poll(&poller, 1, 0), 0);
		ivshmem_cancel_close(&cancel);
	}
}

static struct ivshmem_cancel contested = IVSHMEM_CANCEL_INIT;

/* What a signal handler, or another thread, does before the next read(2) or write(2). */
static _Thread_local void (*meanwhile)(struct ivshmem_cancel *cancel);

static void happen(void)
{
	void (*change)(struct ivshmem_cancel *cancel) = meanwhile;

	meanwhile = NULL;
	if (change)
		change(&contested);
}

ssize_t read(int fd, void *buffer, size_t length)
{
	happen();
	return syscall(SYS_read, fd, buffer, length);
}

ssize_t write(int fd, const void *buffer, size_t length)
{
	happen();
	return syscall(SYS_write, fd, buffer, length);
}

static void descriptor_agrees_with_the_word_after_both_were_changed_at_once(void **state)
{
	void (*const changes[])(struct ivshmem_cancel *cancel) = {
		ivshmem_cancel_raise,
		ivshmem_cancel_lower,
	};
	struct pollfd poller = { .events = POLLIN };
	unsigned int i;

	poller.fd = ivshmem_cancel_fd(&contested);
	for (i = 0; i < 8; i++) {
		changes[i & 1](&contested);
		meanwhile = changes[i >> 1 & 1];
		changes[i >> 2](&contested);
		assert_null(meanwhile);
		/* Whichever was last, the same for those who poll and those who look. */
		assert_int_equal(poll(&poller, 1, 0), ivshmem_is_cancelled(&contested));
		assert_int_equal(ivshmem_is_cancelled(&contested), !(i >> 1 & 1));
	}
	ivshmem_cancel_close(&contested);
}

static void sleep_on_several_words_ends_by_each(void **state)
{
	uint32_t words[3] = { 1, 2, 3 };
	struct ivshmem_futex futexes[3] = {
		{ &words[0], 1, true }, { &words[1], 2, false }, { &words[2], 3, false },
	};
	int i;

	assert_int_equal(ivshmem_futex_wait(futexes, 3, 1000), -ETIMEDOUT);
	assert_int_equal(ivshmem_futex_wait(futexes, 1, 1000), -ETIMEDOUT);
	for (i = 0; i < 3; i++) {
		words[i]++;
		assert_int_equal(ivshmem_futex_wait(futexes, 3, 3600 * NS_PER_S), 0);
		words[i]--;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(cancelled_channel_does_not_wait),
		PAIR_TEST(cancelled_channel_still_receives_what_is_there),
		PAIR_TEST(channel_waits_again_after_uncancel),
		PAIR_TEST(cancel_of_a_channel_leaves_others_alone),
		PAIR_TEST(cancelled_handle_opens_no_channel),
		PAIR_TEST(cancel_takes_null),
		PAIR_TEST(cancel_ends_sleeps_by_futex),
		PAIR_TEST(cancel_ends_sleeps_by_backoff),
		PAIR_TEST(cancel_ends_spinning),
		PAIR_TEST(cancel_ends_an_opening),
		PAIR_TEST(cancel_ends_a_monitor),
		PAIR_TEST(sleep_that_begins_after_a_cancel_ends_at_once),
		PAIR_TEST(no_signal_is_lost_by_futex),
		PAIR_TEST(no_signal_is_lost_by_backoff),
		PAIR_TEST(no_signal_is_lost_while_spinning),
		PAIR_TEST(no_signal_is_lost_on_an_old_kernel),
		PAIR_TEST(no_signal_is_lost_on_an_old_kernel_by_backoff),
		TEST(descriptor_of_a_raised_cancel_is_readable),
		TEST(descriptor_agrees_with_the_word_after_both_were_changed_at_once),
		TEST(sleep_on_several_words_ends_by_each),
	};

	return run("cancel", tests, ARRAY_SIZE(tests));
}
