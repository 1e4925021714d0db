// SPDX-License-Identifier: MIT
/* A server of one thread that waits for its listener and all its clients by one wait set. */
#include "../services.h"

#include <ivshmem/waitset.h>

#define CLIENTS		50
#define QUESTIONS	40
#define READY		8

static void a_set_tells_of_a_client_that_connects(void **state)
{
	struct connecting connecting = { NULL, NULL, 0 };
	struct ivshmem_listener *listener;
	struct ivshmem_channel *server;
	struct ivshmem_ready ready;
	struct ivshmem_waitset *set;
	pthread_t thread;
	int err = -EAGAIN;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_waitset_open(&set, pair.left), 0);
	assert_int_equal(ivshmem_waitset_add_listener(set, listener, &ready), 0);
	assert_int_equal(ivshmem_waitset_wait(set, &ready, 1, SHORT_MS), -ETIMEDOUT);
	connecting.shm = pair.right;
	assert_int_equal(pthread_create(&thread, NULL, connect_in_thread, &connecting), 0);
	while (err == -EAGAIN) {
		assert_int_equal(ivshmem_waitset_wait(set, &ready, 1, PATIENCE_MS), 1);
		assert_ptr_equal(ready.data, &ready);
		assert_int_equal(ready.events, IVSHMEM_CAN_RECV);
		err = ivshmem_accept(&server, listener, 0);
	}
	assert_int_equal(err, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(ivshmem_waitset_wait(set, &ready, 1, 0), -EAGAIN);
	ivshmem_channel_close(connecting.channel);
	ivshmem_channel_close(server);
	ivshmem_waitset_close(set);
	ivshmem_listener_close(listener);
	close_regions();
}

/* --- fifty clients --- */

static void *ask(void *shm)
{
	struct ivshmem_channel *channel;
	char question[32], answer[32];
	ssize_t ret;
	int i;

	if (ivshmem_connect(&channel, shm, SERVICE, PATIENCE_MS))
		return (void *)1;
	for (i = 0; i < QUESTIONS; i++) {
		snprintf(question, sizeof(question), "%d of %p", i, (void *)channel);
		ret = ivshmem_call(channel, question, strlen(question) + 1, answer, sizeof(answer),
				   PATIENCE_MS);
		if (ret < 0 || strcmp(question, answer))
			return (void *)2;
	}
	ivshmem_channel_close(channel);
	return NULL;
}

static int run_clients(void *unused)
{
	pthread_t threads[CLIENTS];
	struct ivshmem *shm;
	void *result;
	int i, bad = 0;

	(void)unused;
	if (ivshmem_open(&shm, in_shm("region"), 0))
		return 1;
	for (i = 0; i < CLIENTS; i++)
		if (pthread_create(&threads[i], NULL, ask, shm))
			return 1;
	for (i = 0; i < CLIENTS; i++)
		bad += pthread_join(threads[i], &result) || result;
	ivshmem_close(shm);
	return bad ? 1 : 0;
}

/* One question of the client; what else there is the set tells again. */
static int serve(struct ivshmem_channel *channel)
{
	uint32_t number;
	char text[32];
	ssize_t n;

	n = ivshmem_call_recv(channel, &number, text, sizeof(text), 0);
	if (n == -EAGAIN)
		return 0;
	if (n == -EPIPE) {
		ivshmem_channel_close(channel);
		return 1;
	}
	assert_true(n > 0);
	assert_int_equal(ivshmem_call_answer(channel, number, text, (size_t)n, 0), 0);
	return 0;
}

static void accept_all(struct ivshmem_listener *listener, struct ivshmem_waitset *set)
{
	struct ivshmem_channel *channel;
	int err;

	while (!(err = ivshmem_accept(&channel, listener, 0)))
		assert_int_equal(ivshmem_waitset_add_channel(set, channel, IVSHMEM_CAN_RECV, 0,
							     channel), 0);
	assert_int_equal(err, -EAGAIN);
}

static void one_thread_with_a_set_serves_fifty_clients(void **state)
{
	struct ivshmem_ready ready[READY];
	struct ivshmem_listener *listener;
	struct ivshmem_waitset *set;
	int i, count, status, gone = 0;
	pid_t child;

	open_region_of(CLIENTS + 2);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_listener_set_limit(listener, CLIENTS), 0);
	child = fork();
	if (!child)
		_exit(run_clients(NULL));
	assert_int_equal(ivshmem_waitset_open(&set, pair.left), 0);
	assert_int_equal(ivshmem_waitset_add_listener(set, listener, NULL), 0);
	while (gone < CLIENTS) {
		count = ivshmem_waitset_wait(set, ready, READY, PATIENCE_MS);
		assert_true(count > 0);
		for (i = 0; i < count; i++) {
			if (ready[i].data)
				gone += serve(ready[i].data);
			else
				accept_all(listener, set);
		}
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(count_objects(pair.left, IVSHMEM_CHANNEL), 0);
	ivshmem_waitset_close(set);
	ivshmem_listener_close(listener);
	close_regions();
}

/* --- in and out --- */

static void a_listener_that_was_taken_out_is_not_told_of(void **state)
{
	struct ivshmem_channel *client, *server;
	struct ivshmem_listener *listener;
	struct ivshmem_waitset *set, *other;
	struct ivshmem_ready ready;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_waitset_open(&set, pair.left), 0);
	assert_int_equal(ivshmem_waitset_open(&other, pair.right), 0);
	assert_int_equal(ivshmem_waitset_remove_listener(set, listener), -ENOENT);
	assert_int_equal(ivshmem_waitset_add_listener(other, listener, NULL), -EXDEV);
	assert_int_equal(ivshmem_waitset_add_listener(set, listener, NULL), 0);
	assert_int_equal(ivshmem_waitset_remove_listener(set, listener), 0);
	assert_int_equal(ivshmem_connect_begin(&client, pair.right, SERVICE), 0);
	assert_int_equal(ivshmem_waitset_wait(set, &ready, 1, SHORT_MS), -ETIMEDOUT);
	/* Closing takes it out, too. */
	assert_int_equal(ivshmem_waitset_add_listener(set, listener, NULL), 0);
	ivshmem_listener_close(listener);
	assert_int_equal(ivshmem_waitset_wait(set, &ready, 1, SHORT_MS), -ETIMEDOUT);
	ivshmem_channel_close(client);
	/* In a set accept() still waits by itself. */
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_waitset_add_listener(set, listener, NULL), 0);
	assert_int_equal(ivshmem_waitset_wait(set, &ready, 1, SHORT_MS), -ETIMEDOUT);
	connect_one(pair.right, listener, &client, &server);
	ivshmem_channel_close(client);
	ivshmem_channel_close(server);
	ivshmem_waitset_close(set);
	ivshmem_waitset_close(other);
	connect_one(pair.right, listener, &client, &server);
	ivshmem_channel_close(client);
	ivshmem_channel_close(server);
	ivshmem_listener_close(listener);
	close_regions();
}

static void a_set_tells_that_the_service_was_removed(void **state)
{
	struct ivshmem_listener *listener;
	struct ivshmem_channel *none;
	struct ivshmem_waitset *set;
	struct ivshmem_ready ready;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_waitset_open(&set, pair.left), 0);
	assert_int_equal(ivshmem_waitset_add_listener(set, listener, NULL), 0);
	assert_int_equal(ivshmem_waitset_wait(set, &ready, 1, SHORT_MS), -ETIMEDOUT);
	assert_int_equal(ivshmem_remove(pair.right, SERVICE, IVSHMEM_REMOVE_FORCE), 0);
	assert_int_equal(ivshmem_waitset_wait(set, &ready, 1, PATIENCE_MS), 1);
	assert_int_equal(ivshmem_accept(&none, listener, 0), -ECONNRESET);
	ivshmem_listener_close(listener);
	ivshmem_waitset_close(set);
	close_regions();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_set_tells_of_a_client_that_connects),
		TEST(one_thread_with_a_set_serves_fifty_clients),
		TEST(a_listener_that_was_taken_out_is_not_told_of),
		TEST(a_set_tells_that_the_service_was_removed),
	};

	return run("service_set", tests, ARRAY_SIZE(tests));
}
