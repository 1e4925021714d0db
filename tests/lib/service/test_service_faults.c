// SPDX-License-Identifier: MIT
/*
 * Servers and clients that die at any instruction, amid a claim too; and a directory in which
 * somebody writes whatever he likes.
 */
#include "../services.h"
#include "../stepped.h"

#define KILLS		1000
#define OBJECTS		16
#define STEPPED_KILLS	32
#define MAX_STEPS	2000000
#define HOSTILE_ROUNDS	200000

static unsigned int next(unsigned int *seed)
{
	return (*seed = *seed * 1103515245 + 12345) >> 16;
}

static pid_t start(void (*body)(struct ivshmem *shm))
{
	struct ivshmem *shm;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ivshmem_open(&shm, in_shm("region"), 0))
		_exit(100);
	body(shm);
	_exit(0);
}

static void end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* Each answers once, or its client goes. What fails with the other end is all that may. */
static void allow(ssize_t ret)
{
	if (ret >= 0 || ret == -ETIMEDOUT || ret == -EPIPE || ret == -ECONNRESET ||
	    ret == -ECONNREFUSED || ret == -ENOTCONN)
		return;
	fprintf(stderr, "# %s\n", ivshmem_strerror((int)ret));
	_exit(101);
}

static void serve_for_ever(struct ivshmem *shm)
{
	struct ivshmem_listener *listener;
	struct ivshmem_channel *channel;
	uint32_t number;
	char text[16];
	ssize_t ret;

	if (ivshmem_listen(&listener, shm, SERVICE, 0))
		_exit(102);
	for (;;) {
		ret = ivshmem_accept(&channel, listener, 1000);
		allow(ret);
		if (ret)
			continue;
		ret = ivshmem_call_recv(channel, &number, text, sizeof(text), 1000);
		allow(ret);
		if (ret >= 0)
			allow(ivshmem_call_answer(channel, number, text, (size_t)ret, 0));
		ivshmem_channel_close(channel);
	}
}

static void connect_for_ever(struct ivshmem *shm)
{
	struct ivshmem_channel *channel;
	char text[16];
	int err;

	for (;;) {
		err = ivshmem_connect(&channel, shm, SERVICE, 1000);
		allow(err);
		if (err)
			continue;
		allow(ivshmem_call(channel, "?", 1, text, sizeof(text), 1000));
		ivshmem_channel_close(channel);
	}
}

/* Somebody serves, and a client is served. */
static void check_that_it_works(struct ivshmem *shm)
{
	struct ivshmem_channel *channel;
	char text[16];

	assert_int_equal(ivshmem_connect(&channel, shm, SERVICE, PATIENCE_MS), 0);
	assert_int_equal(ivshmem_call(channel, "?", 1, text, sizeof(text), PATIENCE_MS), 1);
	ivshmem_channel_close(channel);
}

/* Whoever needs the room gets all of it, and all slots. */
static void check_that_nothing_is_left(struct ivshmem *shm, uint64_t empty)
{
	char name[] = "a";
	int i;

	assert_int_equal(ivshmem_make_area(shm, "all", empty), 0);
	assert_int_equal(ivshmem_remove(shm, "all", 0), 0);
	assert_true(free_bytes(shm) == empty);
	for (i = 0; i < OBJECTS; i++, name[0]++)
		assert_int_equal(ivshmem_make_area(shm, name, 1), 0);
	assert_int_equal(ivshmem_make_area(shm, name, 1), -ENOSPC);
}

static void die_often(void (*body)(struct ivshmem *shm))
{
	unsigned int i, seed = 1;
	pid_t pid;

	for (i = 0; i < KILLS; i++) {
		pid = start(body);
		usleep(next(&seed) % 3000);
		end(pid);
	}
}

static void clients_killed_at_any_moment_leave_nothing(void **state)
{
	uint64_t empty;
	pid_t server;

	open_region_of(OBJECTS);
	empty = free_bytes(pair.left);
	server = start(serve_for_ever);
	die_often(connect_for_ever);
	check_that_it_works(pair.left);
	end(server);
	check_that_nothing_is_left(pair.left, empty);
	close_regions();
}

static void servers_killed_at_any_moment_leave_nothing(void **state)
{
	pid_t client, server;
	uint64_t empty;

	open_region_of(OBJECTS);
	empty = free_bytes(pair.left);
	client = start(connect_for_ever);
	die_often(serve_for_ever);
	server = start(serve_for_ever);
	check_that_it_works(pair.left);
	end(server);
	end(client);
	check_that_nothing_is_left(pair.left, empty);
	close_regions();
}

/* --- step by step --- */

static int connect_stepped(struct ivshmem *shm)
{
	struct ivshmem_channel *channel;

	raise(SIGSTOP);
	allow(ivshmem_connect_begin(&channel, shm, SERVICE));
	raise(SIGUSR1);
	return 0;
}

/* False: it has come to the end. */
static bool step(pid_t child, unsigned int steps)
{
	int status;

	while (steps--) {
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) ||
		    waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
		    WSTOPSIG(status) == SIGUSR1)
			return false;
	}
	return true;
}

/* So many instructions as it takes to make the channel, and to attach. */
static unsigned int count_steps(void)
{
	pid_t child = start_stepped(connect_stepped);
	unsigned int steps = 0;

	while (steps < MAX_STEPS && step(child, 1))
		steps++;
	end(child);
	return steps;
}

static void clients_killed_at_any_instruction_of_a_claim_leave_nothing(void **state)
{
	struct ivshmem_channel *none;
	struct ivshmem_listener *listener;
	unsigned int i, steps;
	uint64_t empty;
	int64_t until;
	pid_t child;

	open_region_of(OBJECTS);
	empty = free_bytes(pair.left);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	steps = count_steps();
	assert_true(steps > 1000 && steps < MAX_STEPS);
	for (i = 0; i < STEPPED_KILLS; i++) {
		child = start_stepped(connect_stepped);
		step(child, (unsigned int)((uint64_t)steps * i / STEPPED_KILLS));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		/* The listener meets what is left, too. */
		assert_int_equal(ivshmem_accept(&none, listener, 0), -EAGAIN);
	}
	until = now_ms() + PATIENCE_MS;
	while (count_objects(pair.left, IVSHMEM_CHANNEL) && now_ms() < until)
		assert_true(ivshmem_accept(&none, listener, 10) < 0);
	assert_int_equal(count_objects(pair.left, IVSHMEM_CHANNEL), 0);
	ivshmem_listener_close(listener);
	check_that_nothing_is_left(pair.left, empty);
	close_regions();
}

/* --- a hostile directory --- */

/* Slots are of the service and its clients; what else is there is left alone. */
static void write_anything(struct ivshmem_directory *directory, unsigned int *seed)
{
	uint64_t *word = (uint64_t *)&directory->slots[next(seed) % OBJECTS] +
			 next(seed) % (sizeof(struct ivshmem_slot) / sizeof(uint64_t));
	uint64_t value = (uint64_t)next(seed) << 48 | (uint64_t)next(seed) << 32 |
			 next(seed) << 16 | next(seed);

	switch (next(seed) % 4) {
	case 0:
		value %= 64;
		break;
	case 1:
		value = __atomic_load_n(word, __ATOMIC_RELAXED) ^ 1ull << value % 64;
		break;
	case 2:
		value = __atomic_load_n(word, __ATOMIC_RELAXED) + value % 8;
		break;
	}
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* Any error will do, but no crash, and no call that lasts. */
static void serve_whatever_comes(struct ivshmem *shm)
{
	struct ivshmem_listener *listener = NULL;
	struct ivshmem_channel *channel;
	uint32_t number;
	char text[16];
	int err;

	for (;;) {
		if (!listener && ivshmem_listen(&listener, shm, SERVICE,
						IVSHMEM_LISTEN_TAKE_OVER))
			continue;
		err = ivshmem_accept(&channel, listener, 1);
		if (err && err != -ETIMEDOUT) {
			ivshmem_listener_close(listener);
			listener = NULL;
		}
		if (err)
			continue;
		if (ivshmem_call_recv(channel, &number, text, sizeof(text), 1) >= 0 &&
		    ivshmem_call_answer(channel, number, text, 1, 0))
			number = 0;
		ivshmem_channel_close(channel);
	}
}

static void connect_whatever_comes(struct ivshmem *shm)
{
	struct ivshmem_channel *channel;
	char text[16];

	for (;;) {
		if (ivshmem_connect(&channel, shm, SERVICE, 2))
			continue;
		if (ivshmem_call(channel, "?", 1, text, sizeof(text), 2) < 0)
			text[0] = 0;
		ivshmem_channel_close(channel);
	}
}

static void a_hostile_writer_ends_neither_server_nor_clients(void **state)
{
	struct ivshmem_directory directory;
	unsigned int i, seed = 4711;
	pid_t pids[3];

	open_region_of(OBJECTS);
	assert_int_equal(ivshmem_directory_open(&directory, pair.left), 0);
	pids[0] = start(serve_whatever_comes);
	pids[1] = start(connect_whatever_comes);
	pids[2] = start(connect_whatever_comes);
	for (i = 0; i < HOSTILE_ROUNDS; i++) {
		write_anything(&directory, &seed);
		/* Let them get further, mostly. */
		if (i % 64 == 0)
			usleep(next(&seed) % 500);
		if (i % 4096 == 0)
			for (unsigned int s = 0; s < OBJECTS; s++)
				__atomic_store_n(&directory.slots[s].key,
						 directory.slots[s].key & ~3ull, __ATOMIC_RELAXED);
	}
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		end(pids[i]);
	ivshmem_directory_close(&directory);
	close_regions();
}

/* A client that never does its part keeps nobody from being accepted, nor the server busy. */
static void a_client_that_never_agrees_keeps_nobody_waiting(void **state)
{
	struct ivshmem_channel *stuck[4], *client, *server, *none;
	struct ivshmem_listener *listener;
	int i;

	open_region_of(OBJECTS);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(ivshmem_connect_begin(&stuck[i], pair.right, SERVICE), 0);
	assert_int_equal(ivshmem_accept(&none, listener, SHORT_MS), -ETIMEDOUT);
	connect_one(pair.right, listener, &client, &server);
	say(client, server, "I am honest");
	for (i = 0; i < 4; i++)
		ivshmem_channel_close(stuck[i]);
	ivshmem_channel_close(client);
	ivshmem_channel_close(server);
	ivshmem_listener_close(listener);
	close_regions();
}

/* All hints at once, all the time: the listener still finds who is there. */
static void hints_at_nothing_keep_nobody_waiting(void **state)
{
	struct ivshmem_channel *client, *server;
	struct ivshmem_directory directory;
	struct ivshmem_listener *listener;
	struct ivshmem_object object;
	int round;

	open_region_of(OBJECTS);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_directory_open(&directory, pair.right), 0);
	assert_int_equal(ivshmem_object_find(&directory, SERVICE, IVSHMEM_SERVICE, &object), 0);
	for (round = 0; round < 20; round++) {
		memset(directory.slots[object.slot].hints, 0xff, SLOT_HINTS);
		connect_one(pair.right, listener, &client, &server);
		ivshmem_channel_close(client);
		ivshmem_channel_close(server);
	}
	ivshmem_directory_close(&directory);
	ivshmem_listener_close(listener);
	close_regions();
}

/* Hints that are taken away make a client late, until all slots are looked at. */
static void a_client_whose_hints_are_taken_away_is_accepted_all_the_same(void **state)
{
	struct connecting connecting = { NULL, NULL, 0 };
	struct ivshmem_directory directory;
	struct ivshmem_listener *listener;
	struct ivshmem_channel *server;
	struct ivshmem_object object;
	pthread_t thread;
	int err;

	open_region_of(OBJECTS);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_directory_open(&directory, pair.right), 0);
	assert_int_equal(ivshmem_object_find(&directory, SERVICE, IVSHMEM_SERVICE, &object), 0);
	connecting.shm = pair.right;
	assert_int_equal(pthread_create(&thread, NULL, connect_in_thread, &connecting), 0);
	do {
		memset(directory.slots[object.slot].hints, 0, SLOT_HINTS);
		err = ivshmem_accept(&server, listener, 0);
	} while (err == -EAGAIN);
	assert_int_equal(err, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(connecting.err, 0);
	ivshmem_channel_close(connecting.channel);
	ivshmem_channel_close(server);
	ivshmem_directory_close(&directory);
	ivshmem_listener_close(listener);
	close_regions();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(clients_killed_at_any_moment_leave_nothing),
		TEST(servers_killed_at_any_moment_leave_nothing),
		TEST(clients_killed_at_any_instruction_of_a_claim_leave_nothing),
		TEST(a_hostile_writer_ends_neither_server_nor_clients),
		TEST(a_client_that_never_agrees_keeps_nobody_waiting),
		TEST(hints_at_nothing_keep_nobody_waiting),
		TEST(a_client_whose_hints_are_taken_away_is_accepted_all_the_same),
	};

	return run("service_faults", tests, ARRAY_SIZE(tests));
}
