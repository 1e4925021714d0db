// SPDX-License-Identifier: MIT
/*
 * Programs that die while a child of theirs lives on, that change their root, that only
 * send; and what a child has of the channels of its parent.
 */
#include "channels.h"
#include "fake_server.h"

#include "waitset/waitset.h"

#include <semaphore.h>
#include <stdatomic.h>

#define PAUSE_MS	300
#define RUN_MOST	64	/* messages that who sends fast may send before it looks */

/* --- a program that dies, and its children, which live on --- */

static struct family {
	int life[2];	/* the children live until the test closes this pipe */
	int ready[2];	/* a byte from the last of them */
} family;

static void live_on(void)
{
	char byte;

	close(family.life[1]);
	_exit(read(family.life[0], &byte, 1) != 0);
}

/* In the parent: children of its own, each the child of the one before. */
static void have_children(int generations)
{
	pid_t child = fork();

	if (child < 0)
		_exit(102);
	if (child)
		return;
	if (generations > 1)
		have_children(generations - 1);
	else if (write(family.ready[1], "y", 1) != 1)
		_exit(103);
	live_on();
}

static int have_child_and_wait(struct ivshmem_channel *channel)
{
	have_children(1);
	return wait_for_ever(channel);
}

static int have_grandchild_and_wait(struct ivshmem_channel *channel)
{
	have_children(2);
	return wait_for_ever(channel);
}

static void expect_family(void)
{
	assert_int_equal(pipe2(family.life, O_CLOEXEC), 0);
	assert_int_equal(pipe2(family.ready, O_CLOEXEC), 0);
}

static void await_children(void)
{
	char byte;

	assert_int_equal(read(family.ready[0], &byte, 1), 1);
}

static void end_family(void)
{
	close(family.life[0]);
	close(family.life[1]);
	close(family.ready[0]);
	close(family.ready[1]);
}

static void assert_parent_is_noticed_to_die(other_fn parent)
{
	struct ivshmem_channel *channel;
	pid_t child;

	expect_family();
	open_handles(REGION_SIZE, 1);
	child = start_other(in_shm("region"), true, "a", 0, parent);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	await_children();
	assert_recv_fails(pair.b, 0, -EAGAIN);
	assert_state(pair.left, 0, IVSHMEM_END_CREATOR, IVSHMEM_END_ATTACHED);
	assert_int_equal(ivshmem_channel_create(&channel, pair.left, "a", 0, 0), -EBUSY);
	kill_other(child);
	assert_state(pair.left, 0, IVSHMEM_END_CREATOR, IVSHMEM_END_DEAD);
	assert_int_equal(ivshmem_channel_create(&channel, pair.left, "a", 0, 0), -ETIMEDOUT);
	assert_recv_fails(pair.b, PATIENCE_MS, -ECONNRESET);
	end_family();
}

static void program_killed_while_its_child_lives_is_dead(void **state)
{
	assert_parent_is_noticed_to_die(have_child_and_wait);
}

static void program_killed_while_its_grandchild_lives_is_dead(void **state)
{
	assert_parent_is_noticed_to_die(have_grandchild_and_wait);
}

/* The server must see it leave, or all others go on ringing nobody. */
static void peer_killed_while_its_child_lives_leaves_the_server(void **state)
{
	struct pollfd poller = { .events = POLLIN };
	struct ivshmem *shm;
	pid_t child;
	char byte;

	expect_family();
	say_hello(make_region(MIB));
	say_vectors(ME, 1);
	start_server();
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ivshmem_open(&shm, server.where, 0))
			_exit(100);
		have_children(1);
		wait_for_ever(NULL);
	}
	await_children();
	finish_server();
	poller.fd = server.client;
	assert_int_equal(poll(&poller, 1, 0), 0);
	kill_other(child);
	assert_int_equal(poll(&poller, 1, PATIENCE_MS), 1);
	assert_int_equal(read(server.client, &byte, 1), 0);
	end_family();
}

/* --- what a child has --- */

/* The first call that does not fail so; 0 where all do. */
static int call_all_of_channel(struct ivshmem_channel *channel)
{
	const void *message;
	char buffer[64];
	void *room;

	const ssize_t returned[] = {
		ivshmem_channel_send(channel, "x", 1, 0),
		ivshmem_channel_send(channel, "x", 1, PATIENCE_MS),
		ivshmem_channel_send(channel, buffer, sizeof(buffer), 0),
		ivshmem_channel_recv(channel, buffer, sizeof(buffer), 0),
		ivshmem_channel_recv(channel, buffer, sizeof(buffer), PATIENCE_MS),
		ivshmem_channel_reserve(channel, &room, 8, 0),
		ivshmem_channel_commit(channel, 8, 0),
		ivshmem_channel_peek(channel, &message, 0),
		ivshmem_channel_release(channel, buffer),
		ivshmem_channel_release_all(channel),
		ivshmem_channel_unreserve(channel),
		ivshmem_channel_write(channel, buffer, sizeof(buffer), 0),
		ivshmem_channel_read(channel, buffer, sizeof(buffer), 0),
		ivshmem_channel_cancel(channel),
		ivshmem_channel_uncancel(channel),
		ivshmem_channel_finish(channel, 0),
		ivshmem_channel_fd(channel),
		ivshmem_channel_arm(channel, IVSHMEM_CAN_RECV, 0),
		ivshmem_channel_arm(channel, IVSHMEM_CAN_SEND, 1),
		ivshmem_channel_alive(channel),
		ivshmem_channel_set_spin(channel, 1),
		ivshmem_channel_set_backoff(channel, 1),
		ivshmem_channel_reconnect(channel, 0),
		ivshmem_channel_reconnect(channel, PATIENCE_MS),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(returned); i++)
		if (returned[i] != -ECHILD)
			return (int)i + 1;
	return 0;
}

static int call_all_of_handle(struct ivshmem *shm)
{
	enum ivshmem_peer_change change;
	struct ivshmem_channel *channel;
	unsigned int peer;

	const int returned[] = {
		ivshmem_peer_id(shm),
		ivshmem_vectors(shm),
		ivshmem_notify(shm, 0, 0),
		ivshmem_event_fd(shm, 0),
		ivshmem_wait(shm, 0, 0),
		ivshmem_wait(shm, 0, PATIENCE_MS),
		ivshmem_set_busy_poll(shm, 1),
		ivshmem_peers(shm, NULL, 0),
		ivshmem_peer_vectors(shm, 0),
		ivshmem_peer_fd(shm),
		ivshmem_peer_next(shm, 0, &change, &peer),
		ivshmem_cancel(shm),
		ivshmem_uncancel(shm),
		ivshmem_channel_begin(&channel, shm, "b", IVSHMEM_END_CREATOR, 0),
		ivshmem_channel_create(&channel, shm, "b", 0, 0),
		ivshmem_channel_connect(&channel, shm, "b", 0, 0),
		ivshmem_channel_create(&channel, shm, "a", IVSHMEM_CHANNEL_TAKE_OVER, 0),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(returned); i++)
		if (returned[i] != -ECHILD)
			return 50 + (int)i;
	return 0;
}

static int call_all(void *unused)
{
	return call_all_of_channel(pair.a) ?: call_all_of_channel(pair.b) ?:
	       call_all_of_handle(pair.left);
}

static int close_all(void *unused)
{
	ivshmem_channel_close(pair.a);
	ivshmem_close(pair.left);
	ivshmem_close(pair.right);
	ivshmem_channel_close(pair.b);
	return 0;
}

static int call_all_in_grandchild(void *unused)
{
	return in_child(call_all, NULL) ?: close_all(NULL);
}

/* @body in a child changes nothing for the parent, and nothing in the region. */
static void assert_child_is_inert(int (*body)(void *data))
{
	static char before[REGION_SIZE];
	char *raw;

	open_handles(REGION_SIZE, 2);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	talk(pair.a, pair.b);
	send_text(pair.a, "mail");
	send_text(pair.a, "a record, too long for the mailbox");
	raw = map_raw(pair.left);
	memcpy(before, raw, REGION_SIZE);
	assert_int_equal(in_child(body, NULL), 0);
	assert_memory_equal(raw, before, REGION_SIZE);
	recv_text(pair.b, "mail");
	recv_text(pair.b, "a record, too long for the mailbox");
	talk(pair.a, pair.b);
	assert_state(pair.left, 0, IVSHMEM_END_CREATOR, IVSHMEM_END_ATTACHED);
	assert_state(pair.left, 0, IVSHMEM_END_CONNECTOR, IVSHMEM_END_ATTACHED);
	assert_int_equal(ivshmem_channel_alive(pair.a), 1);
	munmap(raw, REGION_SIZE);
}

static void every_call_of_a_child_on_its_parents_channel_fails_echild(void **state)
{
	assert_child_is_inert(call_all);
}

static void every_call_of_a_grandchild_fails_echild(void **state)
{
	assert_child_is_inert(call_all_in_grandchild);
}

static void child_that_closes_its_copies_takes_nothing_from_the_parent(void **state)
{
	assert_child_is_inert(close_all);
}

static int call_all_of_begun(void *channel)
{
	int err = call_all_of_channel(channel);

	ivshmem_channel_close(channel);
	return err;
}

static void every_call_of_a_child_on_a_channel_that_is_not_open_yet_fails_echild(void **state)
{
	open_handles(REGION_SIZE, 2);
	assert_int_equal(ivshmem_channel_begin(&pair.b, pair.right, "a", IVSHMEM_END_CONNECTOR, 0),
			 0);
	assert_int_equal(in_child(call_all_of_begun, pair.b), 0);
	assert_int_equal(ivshmem_channel_create(&pair.a, pair.left, "a", 0, 0), -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_begin(&pair.a, pair.left, "a", IVSHMEM_END_CREATOR, 0),
			 0);
	assert_int_equal(in_child(call_all_of_begun, pair.a), 0);
	assert_int_equal(ivshmem_channel_finish(pair.a, 0) ?: -ETIMEDOUT, -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_finish(pair.b, PATIENCE_MS) ?: -ETIMEDOUT, -ETIMEDOUT);
}

static int call_all_of_monitor(void *data)
{
	struct ivshmem_monitor *monitor = data;
	struct ivshmem_device *device;
	enum ivshmem_change change;

	if (ivshmem_monitor_next(monitor, 0, &change, &device) != -ECHILD)
		return 1;
	if (ivshmem_monitor_cancel(monitor) != -ECHILD ||
	    ivshmem_monitor_uncancel(monitor) != -ECHILD)
		return 2;
	if (ivshmem_monitor_fd(monitor) != -ECHILD)
		return 3;
	ivshmem_monitor_close(monitor);
	return 0;
}

static void every_call_of_a_child_on_a_monitor_fails_echild(void **state)
{
	struct ivshmem_monitor *monitor;
	struct ivshmem_device *device;
	enum ivshmem_change change;

	assert_int_equal(ivshmem_monitor_open(&monitor), 0);
	assert_int_equal(in_child(call_all_of_monitor, monitor), 0);
	assert_int_equal(ivshmem_monitor_next(monitor, 0, &change, &device), -ETIMEDOUT);
	ivshmem_monitor_close(monitor);
}

static int read_and_commit(void *unused)
{
	char buffer[8];

	if (ivshmem_channel_read(pair.b, buffer, 1, 0) != -ECHILD)
		return 1;
	if (ivshmem_channel_release_all(pair.b) != -ECHILD)
		return 2;
	if (ivshmem_channel_send(pair.a, "x", 1, 0) != -ECHILD)
		return 3;
	if (ivshmem_channel_commit(pair.a, 8, 0) != -ECHILD)
		return 4;
	return 0;
}

static int release_peeked(void *message)
{
	return ivshmem_channel_release(pair.b, message) != -ECHILD ||
	       ivshmem_channel_release(pair.b, (char *)message + 64) != -ECHILD;
}

static void child_releases_nothing_that_its_parent_looks_at(void **state)
{
	static const char text[] = "a record, too long for the mailbox";
	const void *message;

	open_pair();
	send_text(pair.a, text);
	assert_int_equal(ivshmem_channel_peek(pair.b, &message, PATIENCE_MS), strlen(text));
	assert_int_equal(in_child(release_peeked, (void *)message), 0);
	assert_memory_equal(message, text, strlen(text));
	assert_int_equal(ivshmem_channel_release(pair.b, message), 0);
	assert_recv_fails(pair.b, 0, -EAGAIN);
	assert_ring_is_free(pair.a);
}

static void child_goes_on_with_nothing_that_its_parent_had_begun(void **state)
{
	char buffer[8];
	void *room;

	open_pair();
	send_text(pair.a, "stream");
	assert_int_equal(ivshmem_channel_read(pair.b, buffer, 2, PATIENCE_MS), 2);
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, 8, 0), 0);
	memcpy(room, "reserved", 8);
	assert_int_equal(in_child(read_and_commit, NULL), 0);
	assert_int_equal(ivshmem_channel_read(pair.b, buffer, 8, PATIENCE_MS), 4);
	assert_int_equal(ivshmem_channel_commit(pair.a, 8, 0), 0);
	recv_text(pair.b, "reserved");
}

static int use_memory(void *data)
{
	struct ivshmem *shm = data;

	if (strcmp((char *)ivshmem_data(shm) + ivshmem_size(shm) - 8, "parent"))
		return 1;
	if (!ivshmem_path(shm) || ivshmem_check(shm) || ivshmem_sync(shm) || ivshmem_fd(shm) < 0)
		return 2;
	if (state_of(shm, 0, IVSHMEM_END_CREATOR) != IVSHMEM_END_ATTACHED)
		return 3;
	if (ivshmem_unmap(shm) || ivshmem_map(shm))
		return 5;
	strcpy((char *)ivshmem_data(shm) + ivshmem_size(shm) - 8, "child");
	ivshmem_close(shm);
	return 0;
}

static void child_uses_the_memory_of_its_parents_handle(void **state)
{
	struct ivshmem *shm;
	char *last;

	open_pair();
	shm = map_region(in_shm("region"), 0);
	last = (char *)ivshmem_data(shm) + ivshmem_size(shm) - 8;
	strcpy(last, "parent");
	assert_int_equal(in_child(use_memory, shm), 0);
	assert_string_equal(last, "child");
	ivshmem_close(shm);
}

static int open_own(void *where)
{
	struct ivshmem_channel *channel;
	struct ivshmem *shm;
	int err;

	err = ivshmem_open(&shm, where, 0);
	if (!err)
		err = ivshmem_channel_connect(&channel, shm, "own", 0, PATIENCE_MS);
	if (err || ivshmem_channel_send(channel, "child", 5, PATIENCE_MS))
		return 1;
	ivshmem_channel_close(channel);
	ivshmem_close(shm);
	return close_all(NULL);
}

static void child_that_opens_the_region_anew_has_channels_of_its_own(void **state)
{
	struct ivshmem_channel *channel;
	char where[PATH_MAX];
	pid_t child;

	open_handles(REGION_SIZE, 2);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	strcpy(where, in_shm("region"));
	child = fork();
	if (!child)
		_exit(open_own(where));
	assert_int_equal(ivshmem_channel_create(&channel, pair.left, "own", 0, PATIENCE_MS), 0);
	recv_text(channel, "child");
	assert_recv_fails(channel, PATIENCE_MS, -EPIPE);
	assert_other_succeeds(child);
	ivshmem_channel_close(channel);
	talk(pair.a, pair.b);
}

static int call_all_of_served(void *shm)
{
	int err = call_all_of_handle(shm);

	ivshmem_close(shm);
	return err;
}

static void child_of_a_servers_peer_is_not_taken_for_it(void **state)
{
	struct ivshmem *shm = join_alone(1);
	struct pollfd poller = { .fd = server.client, .events = POLLIN };

	assert_int_equal(in_child(call_all_of_served, shm), 0);
	assert_int_equal(poll(&poller, 1, 0), 0);
	assert_int_equal(ivshmem_notify(shm, ME, 0), 0);
	assert_int_equal(ivshmem_wait(shm, 0, PATIENCE_MS), 1);
	ivshmem_close(shm);
}

/* --- the next server --- */

static void say_hello_again(int region)
{
	say_hello(region);
	say_vectors(ME, 1);
}

static void channels_outlive_a_rejoin_and_keep_to_their_region(void **state)
{
	int region = own(open(make_formatted(REGION_SIZE, 1), O_RDWR | O_CLOEXEC));

	say_hello_again(region);
	pair.left = join(0);
	pair.right = open_region(in_shm("region"), 0);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	hang_up();
	say_hello_again(make_region(REGION_SIZE));
	assert_int_equal(rejoin(pair.left), -EBUSY);
	talk(pair.a, pair.b);
	hang_up();
	say_hello_again(region);
	assert_int_equal(rejoin(pair.left), 0);
	talk(pair.a, pair.b);
	reconnect_both(pair.a, pair.b);
	talk(pair.a, pair.b);
	close_end(&pair.a);
	close_end(&pair.b);
	hang_up();
	say_hello_again(make_region(REGION_SIZE));
	assert_int_equal(rejoin(pair.left), 1);
}

/* What sleeps for many; nobody has to open it again. */
static void wait_set_is_rung_again_after_a_rejoin(void **state)
{
	int region = own(open(make_formatted(REGION_SIZE, 1), O_RDWR | O_CLOEXEC));
	const struct ivshmem_slot_end *end;
	struct ivshmem_waitset *set;
	struct ivshmem_ready ready;

	say_hello_again(region);
	pair.left = join(0);
	assert_int_equal(ivshmem_waitset_open(&set, pair.left), 0);
	end = set->sleeper.end;
	assert_int_equal(ivshmem_waitset_wait(set, &ready, 1, 5), -ETIMEDOUT);
	assert_int_equal(end->processor, WAY_DOORBELL);
	hang_up();
	assert_int_equal(ivshmem_check(pair.left), -ECONNRESET);
	assert_int_equal(ivshmem_waitset_wait(set, &ready, 1, 5), -ETIMEDOUT);
	assert_int_not_equal(end->processor, WAY_DOORBELL);
	say_hello_again(region);
	assert_int_equal(rejoin(pair.left), 0);
	assert_int_equal(ivshmem_waitset_wait(set, &ready, 1, 5), -ETIMEDOUT);
	assert_int_equal(end->processor, WAY_DOORBELL);
	assert_int_equal(end->peer_id, ME);
	ivshmem_waitset_close(set);
}

/* --- fork(2) while others are in calls --- */

static struct {
	char where[PATH_MAX];
	atomic_bool ends;
	atomic_uint rounds;
} busy;

static void *open_and_close(void *unused)
{
	struct ivshmem_channel *channel;
	struct ivshmem *shm;
	int err;

	while (!busy.ends) {
		err = ivshmem_open(&shm, busy.where, 0);
		if (err)
			return "opening fails";
		err = ivshmem_channel_create(&channel, shm, "unanswered", 0, 0);
		ivshmem_close(shm);
		if (err != -ETIMEDOUT)
			return "creating does not time out";
		busy.rounds++;
	}
	return NULL;
}

static void *send_and_receive(void *unused)
{
	char buffer[64] = "";

	while (!busy.ends) {
		if (ivshmem_channel_send(pair.a, buffer, sizeof(buffer), PATIENCE_MS))
			return "sending fails";
		if (ivshmem_channel_recv(pair.b, buffer, sizeof(buffer), PATIENCE_MS) < 0)
			return "receiving fails";
		if (ivshmem_channel_alive(pair.a) != 1)
			return "the other end is dead";
		busy.rounds++;
	}
	return NULL;
}

static int call_and_close_all(void *unused)
{
	alarm(PATIENCE_MS / 1000);	/* for a lock that nobody lets go */
	return call_all(NULL) ?: close_all(NULL);
}

static void forking_while_threads_are_in_calls_disturbs_neither(void **state)
{
	pthread_t threads[2];
	unsigned int rounds;
	int i, failed = 0;

	open_handles(REGION_SIZE, 2);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	strcpy(busy.where, in_shm("region"));
	busy.ends = false;
	assert_int_equal(pthread_create(&threads[0], NULL, open_and_close, NULL), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, send_and_receive, NULL), 0);
	for (i = 0; i < 100 && !failed; i++) {
		rounds = busy.rounds;
		failed = in_child(call_and_close_all, NULL);
		while (busy.rounds == rounds && !usleep(100))
			;
	}
	busy.ends = true;
	assert_threads_succeed(threads, 2);
	assert_int_equal(failed, 0);
	talk(pair.a, pair.b);
}

static sem_t changes;

static void *change_handle(void *unused)
{
	pthread_mutex_lock(&pair.left->lock);
	sem_post(&changes);
	usleep(SHORT_MS * 1000);
	pthread_mutex_unlock(&pair.left->lock);
	return NULL;
}

static void forking_waits_for_who_changes_a_handle(void **state)
{
	pthread_t thread;
	int status;

	open_pair();
	assert_int_equal(sem_init(&changes, 0, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, change_handle, NULL), 0);
	assert_int_equal(sem_wait(&changes), 0);
	status = in_child(call_and_close_all, NULL);
	pthread_join(thread, NULL);
	sem_destroy(&changes);
	assert_int_equal(status, 0);
}

/* --- a root of its own --- */

static int change_root_and_wait(struct ivshmem_channel *channel)
{
	struct ivshmem *shm = channel->shm;
	struct ivshmem_channel *second;
	char buffer[8];

	if (chroot(fixture.tmp) || chdir("/") || !access("/proc", F_OK))
		return 101;
	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		return 102;
	if (ivshmem_channel_create(&second, shm, "b", 0, 0) != -ETIMEDOUT)
		return 103;
	if (ivshmem_channel_send(channel, "ready", 5, PATIENCE_MS))
		return 104;
	if (ivshmem_channel_recv(channel, buffer, sizeof(buffer), PATIENCE_MS) != -ECONNRESET)
		return 105;
	if (state_of(shm, 0, IVSHMEM_END_CONNECTOR) != IVSHMEM_END_DEAD)
		return 106;
	raise(SIGSTOP);
	/* What it opens from there on is known to live, too. */
	if (ivshmem_channel_reconnect(channel, PATIENCE_MS) ||
	    ivshmem_channel_alive(channel) != 1 ||
	    ivshmem_channel_send(channel, "alive", 5, PATIENCE_MS))
		return 107;
	return ivshmem_channel_recv(channel, buffer, sizeof(buffer), PATIENCE_MS) != -EPIPE;
}

static int wait_for_word(struct ivshmem_channel *channel)
{
	char buffer[8];

	if (ivshmem_channel_recv(channel, buffer, sizeof(buffer), PATIENCE_MS) != 5)
		_exit(1);
	raise(SIGSTOP);
	return 0;
}

static void await_stop(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
}

static void who_has_changed_its_root_is_told_of_a_crash(void **state)
{
	pid_t one, other;

	skip_unless_root();
	open_handles(REGION_SIZE, 2);
	assert_int_equal(chmod(in_shm("region"), 0600), 0);
	one = start_other(in_shm("region"), true, "a", 0, change_root_and_wait);
	other = start_other(in_shm("region"), false, "a", 0, wait_for_word);
	await_stop(other);
	kill_other(other);
	await_stop(one);
	assert_int_equal(kill(one, SIGCONT), 0);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	recv_text(pair.b, "alive");
	assert_int_equal(ivshmem_channel_alive(pair.b), 1);
	close_end(&pair.b);
	assert_other_succeeds(one);
}

static int change_root_and_meet(void *data)
{
	enum ivshmem_peer_change change;
	struct ivshmem *shm = NULL;
	unsigned int peer;

	if (ivshmem_open(&shm, data, 0))
		return 100;
	if (chroot(fixture.tmp) || chdir("/") || !access("/proc", F_OK))
		return 101;
	if (write(family.ready[1], "y", 1) != 1)
		return 102;
	if (ivshmem_peer_next(shm, PATIENCE_MS, &change, &peer) || change != IVSHMEM_PEER_JOINED)
		return 103;
	return ivshmem_notify(shm, 4, 0) != 0;
}

static void who_has_changed_its_root_meets_new_peers(void **state)
{
	int event = make_event();
	uint64_t count = 0;
	pid_t child;

	skip_unless_root();
	expect_family();
	say_hello(make_region(MIB));
	say_vectors(ME, 1);
	start_server();
	child = fork();
	if (!child)
		_exit(change_root_and_meet(server.where));
	await_children();
	finish_server();
	server.step_count = 0;
	tell(4, event);
	assert_other_succeeds(child);
	assert_int_equal(read(event, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	end_family();
}

/* --- who only sends --- */

typedef int (*send_fn)(struct ivshmem_channel *channel);

static int send_short(struct ivshmem_channel *channel)
{
	return ivshmem_channel_send(channel, "short", 5, 0);
}

static int send_long(struct ivshmem_channel *channel)
{
	static const char message[100];

	return ivshmem_channel_send(channel, message, sizeof(message), 0);
}

static int send_in_place(struct ivshmem_channel *channel)
{
	void *room;
	int err = ivshmem_channel_reserve(channel, &room, 4, 0);

	return err ?: ivshmem_channel_commit(channel, 4, 0);
}

static int send_bytes(struct ivshmem_channel *channel)
{
	ssize_t sent = ivshmem_channel_write(channel, "bytes", 5, 0);

	return sent < 0 ? (int)sent : 0;
}

static const send_fn ways_to_send[] = { send_short, send_long, send_in_place, send_bytes };

/* The first message that a second has passed before tells it: seldom, and few. */
static void who_sends_now_and_then_is_told_of_a_crash(void **state)
{
	unsigned int i, sent;
	pid_t child;
	int err;

	open_handles(REGION_SIZE, 1);
	for (i = 0; i < ARRAY_SIZE(ways_to_send); i++) {
		child = start_other(in_shm("region"), true, "a", 0, wait_for_ever);
		assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0,
							 PATIENCE_MS), 0);
		kill_other(child);
		for (sent = 0, err = 0; !err && sent < 8; sent++) {
			err = ways_to_send[i](pair.b);
			usleep(PAUSE_MS * 1000);
		}
		assert_int_equal(err, -ECONNRESET);
		assert_int_equal(ways_to_send[i](pair.b), -ENOTCONN);
		close_end(&pair.b);
	}
}

static int take_all(struct ivshmem_channel *channel)
{
	char buffer[128];

	while (ivshmem_channel_recv(channel, buffer, sizeof(buffer), -1) >= 0)
		;
	return 1;
}

static void who_sent_fast_is_told_by_few_messages_however_slow_it_becomes(void **state)
{
	unsigned int i, sent;
	pid_t child;
	int err = 0;

	open_handles(REGION_SIZE, 1);
	child = start_other(in_shm("region"), true, "a", 0, take_all);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	for (i = 0; i < 20000 && !err; i++) {
		err = send_long(pair.b);
		if (err == -EAGAIN)
			err = usleep(100);
	}
	assert_int_equal(err, 0);
	kill_other(child);
	usleep(1100000);
	for (sent = 0; !err && sent < 2 * RUN_MOST; sent++)
		err = send_long(pair.b);
	assert_int_equal(err, -ECONNRESET);
	assert_in_range(sent, 1, RUN_MOST + 1);
}

/* One thread receives, and has been told; the other one only sends. */
static void sender_is_told_of_what_the_receiver_found(void **state)
{
	unsigned int sent;
	pid_t child;
	int err = 0;

	open_handles(REGION_SIZE, 1);
	child = start_other(in_shm("region"), true, "a", 0, wait_for_ever);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	kill_other(child);
	assert_recv_fails(pair.b, PATIENCE_MS, -ECONNRESET);
	for (sent = 0; !err && sent < 3; sent++)
		err = send_long(pair.b);
	assert_int_equal(err, -ECONNRESET);
}

/* --- asking --- */

static void whether_the_other_end_lives_is_told_at_once(void **state)
{
	pid_t child;

	open_handles(REGION_SIZE, 1);
	child = start_other(in_shm("region"), true, "a", 0, wait_for_ever);
	assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0, PATIENCE_MS), 0);
	assert_int_equal(ivshmem_channel_alive(pair.b), 1);
	kill_other(child);
	assert_int_equal(ivshmem_channel_alive(pair.b), 0);
	assert_int_equal(ivshmem_channel_alive(pair.b), 0);
	/* And who asked need not wait for a look. */
	assert_recv_fails(pair.b, 0, -ECONNRESET);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, 0), -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_alive(pair.b), 0);
	assert_int_equal(ivshmem_channel_alive(NULL), -EINVAL);
}

/* Also who has found that there is room for many more. */
static void who_was_told_that_the_other_end_is_dead_sends_nothing_more(void **state)
{
	unsigned int i, count;
	pid_t child;

	open_handles(REGION_SIZE, 1);
	for (i = 0; i < ARRAY_SIZE(ways_to_send); i++) {
		child = start_other(in_shm("region"), true, "a", 0, wait_for_ever);
		assert_int_equal(ivshmem_channel_connect(&pair.b, pair.right, "a", 0,
							 PATIENCE_MS), 0);
		for (count = 0; count < 20; count++)
			assert_int_equal(send_long(pair.b), 0);
		kill_other(child);
		assert_int_equal(ivshmem_channel_alive(pair.b), 0);
		assert_int_equal(ways_to_send[i](pair.b), -ECONNRESET);
		assert_int_equal(ways_to_send[i](pair.b), -ENOTCONN);
		close_end(&pair.b);
	}
}

static void other_end_that_was_closed_does_not_live(void **state)
{
	open_pair();
	assert_int_equal(ivshmem_channel_alive(pair.a), 1);
	assert_int_equal(ivshmem_channel_alive(pair.b), 1);
	send_text(pair.a, "last");
	close_end(&pair.a);
	assert_int_equal(ivshmem_channel_alive(pair.b), 0);
	recv_text(pair.b, "last");
	assert_recv_fails(pair.b, 0, -EPIPE);
}

static void life_under_another_kernel_or_node_is_not_known(void **state)
{
	struct ivshmem_slot_end *end;
	char *raw;

	open_pair();
	raw = map_raw(pair.left);
	end = &slot_of(raw, 0)->ends[IVSHMEM_END_CREATOR];
	end->wake &= ~WAKE_FILE;	/* as of a guest */
	end->boot_id[0] ^= 1;
	assert_int_equal(ivshmem_channel_alive(pair.b), -ENOTSUP);
	end->boot_id[0] ^= 1;
	end->lock_inode++;
	assert_int_equal(ivshmem_channel_alive(pair.b), -ENOTSUP);
	end->lock_inode--;
	end->wake &= ~WAKE_LOCKED;
	assert_int_equal(ivshmem_channel_alive(pair.b), -ENOTSUP);
	end->wake |= WAKE_LOCKED;
	assert_int_equal(ivshmem_channel_alive(pair.b), 1);
	munmap(raw, REGION_SIZE);
}

/* --- the order of closing --- */

static void channel_works_on_when_its_handle_was_closed_before(void **state)
{
	struct ivshmem_channel *c, *d;

	open_handles(REGION_SIZE, 2);
	assert_int_equal(ivshmem_map(pair.left), 0);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	open_both(pair.left, &c, pair.right, &d, "b");
	ivshmem_close(pair.left);
	ivshmem_close(pair.right);
	pair.left = pair.right = NULL;
	talk(pair.a, pair.b);
	assert_recv_fails(pair.b, SHORT_MS, -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_alive(pair.b), 1);
	reconnect_both(pair.a, pair.b);
	ivshmem_channel_close(c);
	assert_recv_fails(d, PATIENCE_MS, -EPIPE);
	ivshmem_channel_close(d);
	talk(pair.a, pair.b);
}

static void peer_stays_with_its_server_until_its_last_channel_is_closed(void **state)
{
	struct pollfd poller = { .events = POLLIN };
	struct ivshmem *shm = join_alone(1);
	struct opening opening = { ivshmem_channel_connect, NULL, shm, "a", 0, 0 };
	pthread_t thread;
	char byte;

	assert_int_equal(format_for(shm, "", 1, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, open_in_thread, &opening), 0);
	assert_int_equal(ivshmem_channel_create(&pair.a, shm, "a", 0, PATIENCE_MS), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pair.b = opening.channel;
	ivshmem_close(shm);
	assert_string_equal(ivshmem_channel_wakeup(pair.a), "doorbell");
	assert_recv_fails(pair.b, SHORT_MS, -ETIMEDOUT);
	talk(pair.a, pair.b);
	poller.fd = server.client;
	close_end(&pair.a);
	assert_int_equal(poll(&poller, 1, 0), 0);
	close_end(&pair.b);
	assert_int_equal(poll(&poller, 1, PATIENCE_MS), 1);
	assert_int_equal(read(server.client, &byte, 1), 0);
}

static int life_teardown(void **state)
{
	stop_server();
	return pair_teardown(state);
}

#define LIFE_TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, life_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIFE_TEST(program_killed_while_its_child_lives_is_dead),
		LIFE_TEST(program_killed_while_its_grandchild_lives_is_dead),
		LIFE_TEST(peer_killed_while_its_child_lives_leaves_the_server),
		LIFE_TEST(every_call_of_a_child_on_its_parents_channel_fails_echild),
		LIFE_TEST(every_call_of_a_grandchild_fails_echild),
		LIFE_TEST(every_call_of_a_child_on_a_channel_that_is_not_open_yet_fails_echild),
		LIFE_TEST(every_call_of_a_child_on_a_monitor_fails_echild),
		LIFE_TEST(child_that_closes_its_copies_takes_nothing_from_the_parent),
		LIFE_TEST(child_releases_nothing_that_its_parent_looks_at),
		LIFE_TEST(child_goes_on_with_nothing_that_its_parent_had_begun),
		LIFE_TEST(child_uses_the_memory_of_its_parents_handle),
		LIFE_TEST(child_that_opens_the_region_anew_has_channels_of_its_own),
		LIFE_TEST(child_of_a_servers_peer_is_not_taken_for_it),
		LIFE_TEST(channels_outlive_a_rejoin_and_keep_to_their_region),
		LIFE_TEST(wait_set_is_rung_again_after_a_rejoin),
		LIFE_TEST(forking_while_threads_are_in_calls_disturbs_neither),
		LIFE_TEST(forking_waits_for_who_changes_a_handle),
		LIFE_TEST(who_has_changed_its_root_is_told_of_a_crash),
		LIFE_TEST(who_has_changed_its_root_meets_new_peers),
		LIFE_TEST(who_sends_now_and_then_is_told_of_a_crash),
		LIFE_TEST(who_sent_fast_is_told_by_few_messages_however_slow_it_becomes),
		LIFE_TEST(sender_is_told_of_what_the_receiver_found),
		LIFE_TEST(whether_the_other_end_lives_is_told_at_once),
		LIFE_TEST(who_was_told_that_the_other_end_is_dead_sends_nothing_more),
		LIFE_TEST(other_end_that_was_closed_does_not_live),
		LIFE_TEST(life_under_another_kernel_or_node_is_not_known),
		LIFE_TEST(channel_works_on_when_its_handle_was_closed_before),
		LIFE_TEST(peer_stays_with_its_server_until_its_last_channel_is_closed),
	};

	return run("life", tests, ARRAY_SIZE(tests));
}
