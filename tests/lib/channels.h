/* SPDX-License-Identifier: MIT */
/*
 * Two handles of one formatted region, and channels between them: both ends in this
 * process, or one of them in a child.
 */

#ifndef CHANNELS_H
#define CHANNELS_H

#include "fixture.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "channel/session.h"
#include "format/slot.h"

#define REGION_SIZE	(256 * KIB)
#define PATIENCE_MS	20000
#define SHORT_MS	50

static struct pair {
	struct ivshmem *left, *right;		/* creator's handle, connector's */
	struct ivshmem_channel *a, *b;		/* creator, connector */
} pair;

static inline int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* What the process, or the thread, has used of a processor. */
static inline int64_t cpu_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* So many channels have room, and share the region evenly. */
static inline int format_for(struct ivshmem *shm, const char *label, unsigned int channels,
			     unsigned int flags)
{
	uint64_t ring, size = ivshmem_size(shm);
	uint64_t before = 4096 + 1024ull * channels + size / 4096 * 8;

	before = (before + 4095) / 4096 * 4096;
	ring = (size - before) / (2 * channels) / 4096 * 4096;
	return ivshmem_format(shm, label, channels, ring, flags);
}

static inline uint64_t free_bytes(struct ivshmem *shm)
{
	struct ivshmem_layout *layout;
	uint64_t bytes;

	assert_int_equal(ivshmem_layout_read(&layout, shm), 0);
	bytes = ivshmem_layout_free_bytes(layout);
	ivshmem_layout_free(layout);
	return bytes;
}

static inline const char *make_formatted(off_t size, unsigned int channels)
{
	struct ivshmem *shm = open_region(make_file("region", size), 0);

	assert_int_equal(format_for(shm, "label", channels, 0), 0);
	ivshmem_close(shm);
	return in_shm("region");
}

struct opening {
	int (*open)(struct ivshmem_channel **channel, struct ivshmem *shm, const char *name,
		    unsigned int flags, int timeout_ms);
	struct ivshmem_channel *channel;
	struct ivshmem *shm;
	const char *name;
	unsigned int flags;
	int err;
};

static inline void *open_in_thread(void *data)
{
	struct opening *opening = data;

	opening->err = opening->open(&opening->channel, opening->shm, opening->name,
				     opening->flags, PATIENCE_MS);
	return NULL;
}

/* Both ends of a channel, each of a handle of its own. */
static inline void open_both(struct ivshmem *left, struct ivshmem_channel **a,
			     struct ivshmem *right, struct ivshmem_channel **b, const char *name)
{
	struct opening opening = { ivshmem_channel_connect, NULL, right, name, 0, 0 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, open_in_thread, &opening), 0);
	assert_int_equal(ivshmem_channel_create(a, left, name, 0, PATIENCE_MS), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(opening.err, 0);
	*b = opening.channel;
}

static inline void *reconnect_in_thread(void *channel)
{
	return (void *)(intptr_t)ivshmem_channel_reconnect(channel, PATIENCE_MS);
}

static inline void reconnect_both(struct ivshmem_channel *a, struct ivshmem_channel *b)
{
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, reconnect_in_thread, b), 0);
	assert_int_equal(ivshmem_channel_reconnect(a, PATIENCE_MS), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, 0);
}

static inline void open_handles(off_t size, unsigned int channels)
{
	pair.left = open_region(make_formatted(size, channels), 0);
	pair.right = open_region(in_shm("region"), 0);
}

static inline int pair_setup(void **state)
{
	if (fixture_setup(state))
		return -1;
	pair = (struct pair) { .a = NULL };
	return 0;
}

static inline int pair_teardown(void **state)
{
	ivshmem_channel_close(pair.a);
	ivshmem_channel_close(pair.b);
	ivshmem_close(pair.left);
	ivshmem_close(pair.right);
	return fixture_teardown(state);
}

static inline void open_pair(void)
{
	open_handles(REGION_SIZE, 1);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
}

static inline void close_end(struct ivshmem_channel **channel)
{
	ivshmem_channel_close(*channel);
	*channel = NULL;
}

static inline void send_text(struct ivshmem_channel *channel, const char *text)
{
	assert_int_equal(ivshmem_channel_send(channel, text, strlen(text), PATIENCE_MS), 0);
}

static inline void recv_text(struct ivshmem_channel *channel, const char *text)
{
	char buffer[256] = "";

	assert_int_equal(ivshmem_channel_recv(channel, buffer, sizeof(buffer), PATIENCE_MS),
			 strlen(text));
	assert_string_equal(buffer, text);
}

static inline void assert_recv_fails(struct ivshmem_channel *channel, int timeout_ms, int err)
{
	char buffer[256];

	assert_int_equal(ivshmem_channel_recv(channel, buffer, sizeof(buffer), timeout_ms), err);
}

static inline void assert_send_fails(struct ivshmem_channel *channel, int timeout_ms, int err)
{
	assert_int_equal(ivshmem_channel_send(channel, "x", 1, timeout_ms), err);
}

static inline void talk(struct ivshmem_channel *a, struct ivshmem_channel *b)
{
	send_text(a, "a question, long enough for the ring");
	recv_text(b, "a question, long enough for the ring");
	send_text(b, "answer");
	recv_text(a, "answer");
}

/* Until the one who sends to @channel sleeps. */
static inline void wait_for_sleeping_sender(struct ivshmem_channel *channel)
{
	int64_t end = now_ms() + PATIENCE_MS;

	while (__atomic_load_n(&channel->other->sender, __ATOMIC_ACQUIRE) % 4 != WAITING_ASLEEP) {
		assert_true(now_ms() < end);
		usleep(1000);
	}
}

/* Nothing that was sent before has room that it should have given back. */
static inline void assert_ring_is_free(struct ivshmem_channel *channel)
{
	static const char message[REGION_SIZE];
	uint64_t room = channel->sender.size, sent = 0;
	size_t length = ivshmem_channel_max_length(channel);

	while (!ivshmem_channel_send(channel, message, length, 0))
		sent += ivshmem_record_size(length);
	while (!ivshmem_channel_send(channel, message, 50, 0))
		sent += RECORD_ALIGN;
	/* But for what a record at the ring's start has left behind it. */
	assert_in_range(sent, room / 2, room);
}

/* Each returns NULL, or what went wrong. */
static inline void assert_threads_succeed(const pthread_t *threads, size_t count)
{
	void *result;
	size_t i;

	for (i = 0; i < count; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		if (result)
			print_error("# %s\n", (char *)result);
		assert_null(result);
	}
}

/* A message whose bytes tell its number. */
static inline void fill(char *data, size_t length, uint32_t number)
{
	size_t i;

	for (i = 0; i < length; i++)
		data[i] = (char)(number * 31 + i * 7 + (i >> 8));
}

static inline void assert_filled(const char *data, size_t length, uint32_t number)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (data[i] != (char)(number * 31 + i * 7 + (i >> 8)))
			fail_msg("message %u of %zu bytes: byte %zu", number, length, i);
}

static inline void assert_dead_until_reconnected(struct ivshmem_channel *channel,
						 struct ivshmem_channel *other)
{
	assert_recv_fails(channel, 0, -EPROTO);
	assert_recv_fails(channel, PATIENCE_MS, -EPROTO);
	reconnect_both(channel, other);
	talk(channel, other);
}

/* The whole region, as a hostile neighbour has it. */
static inline char *map_raw(struct ivshmem *shm)
{
	char *data = mmap(NULL, ivshmem_size(shm), PROT_READ | PROT_WRITE, MAP_SHARED,
			  ivshmem_fd(shm), 0);

	assert_ptr_not_equal(data, MAP_FAILED);
	return data;
}

static inline struct ivshmem_slot *slot_of(char *raw, unsigned int slot)
{
	return (struct ivshmem_slot *)(raw + ivshmem_slot_offset(slot));
}

/* Negative: it can't be read. */
static inline int state_of(struct ivshmem *shm, unsigned int slot, enum ivshmem_end end)
{
	struct ivshmem_status *status;
	int state = ivshmem_status_read(&status, shm, 0);

	if (state)
		return state;
	state = (int)ivshmem_status_state(status, slot, end);
	ivshmem_status_free(status);
	return state;
}

static inline void assert_state(struct ivshmem *shm, unsigned int slot, enum ivshmem_end end,
				enum ivshmem_end_state state)
{
	assert_int_equal(state_of(shm, slot, end), state);
}

/* --- an end in a child --- */

typedef int (*other_fn)(struct ivshmem_channel *channel);

/* A program of its own that has the other end; it ends by itself, or by kill(2). */
static inline pid_t start_other(const char *where, bool creates, const char *name,
				unsigned int flags, other_fn body)
{
	struct ivshmem_channel *channel;
	struct ivshmem *shm;
	pid_t child = fork();
	int err;

	assert_true(child >= 0);
	if (child)
		return child;
	/* A failed test does not end the programs that it has started. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	err = ivshmem_open(&shm, where, 0);
	if (!err)
		err = (creates ? ivshmem_channel_create : ivshmem_channel_connect)
		      (&channel, shm, name, flags, PATIENCE_MS);
	_exit(err ? 100 : body(channel));
}

static inline int wait_for_ever(struct ivshmem_channel *channel)
{
	for (;;)
		pause();
	return 0;
}

static inline void kill_other(pid_t child)
{
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static inline void assert_other_succeeds(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define PAIR_TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)

#endif /* CHANNELS_H */
