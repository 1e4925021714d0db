// SPDX-License-Identifier: MIT
/*
 * A server that is killed, or that hands over, and whose peers must not notice.
 *
 * The clients fail the test where they are told something that is not allowed: a leave
 * of a peer that is not there, one vector too many. So what is told twice shows, and
 * what is lost shows where their tables are compared with the truth.
 */

#include "client.h"
#include "manager.h"

#include <sys/ptrace.h>

#define VECTORS		2
#define STORE		1024
#define WORLD		10

static struct client *world[WORLD];

/* --- clients --- */

/*
 * A server that is killed between accepting a connection and passing it to the service
 * manager loses it: the client is told nothing at all, and comes again, as the library
 * does. Whoever was told the version never has to.
 */
static struct client *persistent_client(unsigned int *again)
{
	struct client *client = client_new(VECTORS, true);

	while (client_take(client, PATIENCE_MS) == 0) {
		client_free(client);
		client = client_new(VECTORS, true);
		++*again;
	}
	client_meet(client);
	return client;
}

static void join_world(unsigned int i)
{
	unsigned int again = 0;

	world[i] = persistent_client(&again);
}

static void leave_world(unsigned int i)
{
	client_free(world[i]);
	world[i] = NULL;
}

static void empty_world(void)
{
	unsigned int i;

	for (i = 0; i < WORLD; i++)
		if (world[i])
			leave_world(i);
}

static bool lives(int id)
{
	unsigned int i;

	for (i = 0; i < WORLD; i++)
		if (world[i] && world[i]->id == id)
			return true;
	return false;
}

static bool knows_the_truth(const struct client *client)
{
	int id;

	for (id = 0; id < IDS; id++)
		if (client->told[id] != (lives(id) ? VECTORS : 0))
			return false;
	return true;
}

/* Who comes last is told after all that went before: then there is nothing to come. */
static void assert_all_know_the_truth(void)
{
	unsigned int again = 0, i;
	struct client *probe = persistent_client(&again);
	int id = probe->id;

	for (i = 0; i < WORLD; i++)
		if (world[i])
			client_until_told(world[i], id, VECTORS);
	client_free(probe);
	for (i = 0; i < WORLD; i++) {
		if (!world[i])
			continue;
		client_until_told(world[i], id, 0);
		assert_true(knows_the_truth(world[i]));
	}
}

static void assert_ring_arrives(const struct client *from, const struct client *to)
{
	const uint64_t one = 1;
	uint64_t count;
	unsigned int i;

	for (i = 0; i < VECTORS; i++) {
		assert_int_equal(write(from->fds[to->id][i], &one, sizeof(one)), sizeof(one));
		assert_int_equal(read(to->fds[to->id][i], &count, sizeof(count)), sizeof(count));
		assert_int_equal(count, 1);
	}
}

static void assert_all_ring_all(void)
{
	unsigned int from, to;

	for (from = 0; from < WORLD; from++)
		for (to = 0; to < WORLD; to++)
			if (world[from] && world[to])
				assert_ring_arrives(world[from], world[to]);
}

static void assert_same_region(const struct client *a, const struct client *b)
{
	struct stat one, other;

	assert_int_equal(fstat(a->region, &one), 0);
	assert_int_equal(fstat(b->region, &other), 0);
	assert_int_equal(one.st_dev, other.st_dev);
	assert_int_equal(one.st_ino, other.st_ino);
}

/* Three from the start on, and a newcomer. */
static void assert_nobody_noticed(void)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		assert_int_equal(world[i]->id, i);
		assert_int_equal(client_take(world[i], 0), -1);
	}
	join_world(3);
	assert_int_equal(world[3]->id, 3);
	assert_same_region(world[0], world[3]);
	assert_all_know_the_truth();
	assert_all_ring_all();
	leave_world(1);
	assert_all_know_the_truth();
}

/* --- after a kill --- */

static const struct start usual = { .args = { "--vectors", "2" } };

static void start_world(const struct start *start, unsigned int count, int max)
{
	unsigned int i;

	memset(world, 0, sizeof(world));
	manager_start(start, max);
	for (i = 0; i < count; i++)
		join_world(i);
	for (i = 0; i < count; i++)
		client_until_told(world[i], count - 1, VECTORS);
}

static void stop_world(void)
{
	empty_world();
	assert_int_equal(manager_stop(), 0);
}

static void peers_go_on_after_a_kill_with_their_ids(void **state)
{
	start_world(&usual, 3, STORE);
	kill_server();
	assert_nobody_noticed();
	kill_server();
	assert_all_know_the_truth();
	stop_world();
}

static void leaver_during_the_downtime_is_told_once(void **state)
{
	start_world(&usual, 3, STORE);
	manager->hold = 1;
	kill_server();
	leave_world(1);
	manager->hold = 0;
	client_until_told(world[0], 1, 0);
	client_until_told(world[2], 1, 0);
	assert_all_know_the_truth();
	assert_all_ring_all();
	stop_world();
}

static void newcomer_during_the_downtime_is_served_after_it(void **state)
{
	struct client *client;

	start_world(&usual, 3, STORE);
	manager->hold = 1;
	kill_server();
	client = client_new(VECTORS, true);
	assert_int_equal(client_take(client, 50), -1);
	manager->hold = 0;
	client_meet(client);
	assert_int_equal(client->id, 3);
	assert_same_region(world[0], client);
	client_free(client);
	stop_world();
}

/* What it is still to be told is known: that is not in the socket yet. */
static void client_that_does_not_read_is_told_the_rest_after_a_kill(void **state)
{
	struct client *lazy;
	unsigned int i;

	start_world(&usual, 1, STORE);
	lazy = client_join(VECTORS, true);
	for (i = 1; i < WORLD; i++)
		join_world(i);
	client_until_told(world[0], world[WORLD - 1]->id, VECTORS);
	kill_server();
	leave_world(0);
	leave_world(4);
	client_until_told(world[1], 5, 0);
	kill_server();
	client_until_told(lazy, world[WORLD - 1]->id, VECTORS);
	client_until_told(lazy, 0, 0);
	world[0] = lazy;
	assert_all_know_the_truth();
	assert_all_ring_all();
	stop_world();
}

static void many_leaves_that_are_not_told_yet_outlive_a_kill(void **state)
{
	unsigned int i;

	start_world(&usual, WORLD, STORE);
	/* All know all; the first one does not read what comes then. */
	for (i = 0; i < 40; i++)
		client_free(client_join(VECTORS, false));
	for (i = 2; i < WORLD; i++)
		leave_world(i);
	client_until_told(world[1], WORLD - 1, 0);
	kill_server();
	assert_all_know_the_truth();
	stop_world();
}

static void peers_with_more_vectors_than_a_message_carries_go_on(void **state)
{
	const struct start start = {
		.args = { "--vectors", "256", "--max-peers-per-user", "2" },
	};
	struct client *a, *b;

	manager_start(&start, STORE);
	a = client_join(256, true);
	kill_server();
	b = client_join(256, true);
	assert_int_equal(b->id, 1);
	client_until_told(a, 1, 256);
	assert_int_equal(write(a->fds[1][255], &(uint64_t){ 1 }, 8), 8);
	assert_int_equal(read(b->fds[1][255], &(uint64_t){ 0 }, 8), 8);
	assert_int_equal(write(b->fds[0][254], &(uint64_t){ 1 }, 8), 8);
	assert_int_equal(read(a->fds[0][254], &(uint64_t){ 0 }, 8), 8);
	client_free(a);
	client_free(b);
	assert_int_equal(manager_stop(), 0);
}

static void file_of_the_region_is_still_removed_at_the_end_after_a_kill(void **state)
{
	const struct start start = { .args = { "--vectors", "2", "--file", in_dir("region") } };

	start_world(&start, 3, STORE);
	kill_server();
	assert_nobody_noticed();
	assert_true(exists(in_dir("region")));
	stop_world();
	assert_false(exists(in_dir("region")));
	assert_false(exists(fixture.socket));
	assert_false(exists(in_dir("s.lock")));
	assert_false(exists(in_dir("s.status")));
}

/* Its peers were told that it ended, so the next one is another server. */
static void server_that_ended_by_itself_is_not_gone_on_with(void **state)
{
	struct client *client;

	start_world(&usual, 2, STORE);
	manager->hold = 1;
	kill(manager->pid, SIGTERM);
	await_end(manager->pid);
	assert_int_equal(manager->exit_status, 0);
	manager->exit_status = -1;
	manager->hold = 0;
	await_count(&manager->ready, 2);
	assert_closed(world[0]->socket);
	client = client_join(VECTORS, true);
	assert_int_equal(client->id, 0);
	client_free(client);
	assert_false(log_has("resumed"));
	stop_world();
}

/* --- the store --- */

static void peers_beyond_the_store_are_refused_and_told_why(void **state)
{
	const struct start start = {
		.args = { "--vectors", "2", "--max-peers-per-user", "64" },
	};
	unsigned int count = 0;
	struct client *client;

	start_world(&start, 1, 6 + 3 * 4);
	for (;;) {
		client = client_new(VECTORS, false);
		assert_int_equal(client_take(client, PATIENCE_MS), 1);
		if (client_take(client, PATIENCE_MS) == 0)
			break;
		client_meet(client);
		world[++count] = client;
	}
	client_free(client);
	assert_int_equal(count, 2);
	assert_log_has("as many as the service manager keeps descriptors for: raise FileDescriptorStoreMax=");
	assert_int_equal(manager->dropped, 0);
	stop_world();
}

static void store_without_room_for_a_peer_is_named(void **state)
{
	struct start start = usual;

	start.may_fail = true;
	memset(world, 0, sizeof(world));
	manager_start(&start, 8);
	assert_log_has("the service manager keeps 8 descriptors, which leaves no room for a peer: raise FileDescriptorStoreMax=");
	manager->hold = 1;
	await_end(manager->pid);
	assert_int_equal(manager->exit_status, 1);
	assert_false(exists(fixture.socket));
	kill(manager_pid, SIGKILL);
	waitpid(manager_pid, NULL, 0);
}

static void store_is_empty_of_those_who_left(void **state)
{
	int before, i;

	start_world(&usual, 1, STORE);
	before = manager->stored;
	for (i = 0; i < 20; i++)
		client_free(client_join(VECTORS, false));
	kill_server();
	assert_all_know_the_truth();
	kill_server();
	assert_in_range(manager->stored, before, before + 3);
	stop_world();
}

static void manager_that_does_not_read_gets_all_of_it_later(void **state)
{
	unsigned int i;
	int stored;

	start_world(&usual, 1, STORE);
	stored = manager->stored;
	manager->deaf = 1;
	usleep(10000);
	for (i = 1; i < WORLD; i++)
		join_world(i);
	for (i = 0; i < 50; i++)
		client_free(client_join(VECTORS, false));
	manager->deaf = 0;
	await_count(&manager->stored, stored + 3 * (WORLD - 1));
	usleep(300000);
	kill_server();
	assert_all_know_the_truth();
	assert_all_ring_all();
	stop_world();
}

/* --- handing over --- */

static void peers_go_on_after_a_handover(void **state)
{
	memset(world, 0, sizeof(world));
	start_server(&usual);
	join_world(0);
	join_world(1);
	join_world(2);
	client_until_told(world[0], 2, VECTORS);
	client_until_told(world[1], 2, VECTORS);
	kill(fixture.server, SIGUSR2);
	assert_true(notified("READY=1"));
	assert_log_has("goes on with 3 peers of the process before");
	assert_nobody_noticed();
	kill(fixture.server, SIGUSR2);
	assert_true(notified("READY=1"));
	assert_all_know_the_truth();
	empty_world();
	assert_int_equal(stop_server(SIGTERM), 0);
	assert_false(exists(fixture.socket));
	assert_false(exists(in_dir("s.lock")));
}

static void peers_go_on_after_a_handover_and_then_a_kill(void **state)
{
	int ready;

	start_world(&usual, 3, STORE);
	ready = manager->ready;
	kill(manager->pid, SIGUSR2);
	await_count(&manager->ready, ready + 1);
	assert_int_equal(manager->starts, 1);
	kill_server();
	assert_nobody_noticed();
	stop_world();
}

static void handover_of_sockets_that_were_passed_keeps_them(void **state)
{
	memset(world, 0, sizeof(world));
	start_server(&(struct start){ .args = { "--vectors", "2" }, .pass_socket = true });
	join_world(0);
	kill(fixture.server, SIGUSR2);
	assert_true(notified("READY=1"));
	join_world(1);
	assert_int_equal(world[1]->id, 1);
	assert_all_know_the_truth();
	empty_world();
	assert_int_equal(stop_server(SIGTERM), 0);
	assert_true(exists(fixture.socket));
}

static void copy_binary(const char *to)
{
	char command[3 * PATH_MAX];

	snprintf(command, sizeof(command), "cp '%s' '%s'", fixture.binary, to);
	assert_int_equal(system(command), 0);
}

static void program_that_is_not_there_takes_nothing_over(void **state)
{
	memset(world, 0, sizeof(world));
	copy_binary(in_dir("copy"));
	strcpy(fixture.binary, in_dir("copy"));
	start_server(&usual);
	join_world(0);
	assert_int_equal(rename(in_dir("copy"), in_dir("moved")), 0);
	kill(fixture.server, SIGUSR2);
	assert_log_has("can't be started, this process goes on: No such file");
	join_world(1);
	assert_int_equal(world[1]->id, 1);
	assert_all_know_the_truth();
	assert_int_equal(rename(in_dir("moved"), in_dir("copy")), 0);
	kill(fixture.server, SIGUSR2);
	assert_true(notified("READY=1"));
	join_world(2);
	assert_all_know_the_truth();
	empty_world();
}

/* --- at each point of a join and of a leave --- */

static char state_of(pid_t pid)
{
	char path[64], line[512] = "", *name_end;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, line, sizeof(line) - 1) < 0)
		line[0] = '\0';
	close(fd);
	name_end = strrchr(line, ')');
	return name_end ? name_end[2] : '\0';
}

/* To the next stop of a traced process. False where it sleeps instead. */
static bool stops(pid_t pid)
{
	int status, sleeps = 0, looks;

	/* Mostly it takes no time: not worth a sleep. */
	for (looks = 0; looks < 1000; looks++)
		if (waitpid(pid, &status, WNOHANG | __WALL) == pid)
			return WIFSTOPPED(status);
	while (sleeps < 10) {
		if (waitpid(pid, &status, WNOHANG | __WALL) == pid) {
			assert_true(WIFSTOPPED(status));
			return true;
		}
		sleeps = state_of(pid) == 'S' ? sleeps + 1 : 0;
		usleep(2000);
	}
	return false;
}

static void seize(pid_t pid)
{
	int status;

	assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, __WALL), pid);
	assert_true(WIFSTOPPED(status));
}

/* How to go on from one stop to the next, and how often. */
struct way {
	enum __ptrace_request request;
	unsigned int count;
};

/* False where it has done all before, and sleeps. */
static bool go(pid_t pid, const struct way *way)
{
	bool reached = true;
	unsigned int i;

	for (i = 0; i < way->count && reached; i++) {
		assert_int_equal(ptrace(way->request, pid, NULL, NULL), 0);
		reached = stops(pid);
	}
	return reached;
}

/*
 * Kills the server at the nth beginning or end of a system call, and so many
 * instructions after it. False where it has done all before: then it is killed asleep.
 */
static bool kill_at(pid_t pid, unsigned int nth, unsigned int instructions)
{
	const struct way calls = { PTRACE_SYSCALL, nth };
	const struct way steps = { PTRACE_SINGLESTEP, instructions };
	bool reached = go(pid, &calls);

	if (reached)
		go(pid, &steps);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) == pid)
		;
	return reached;
}

/* To begin with after the first step: how many are passed over. */
static unsigned int stride(void)
{
	const char *text = getenv("RESTART_STRIDE");

	return text ? strtoul(text, NULL, 10) : 13;
}

/* The protocol has nothing to send: it is dropped. */
static struct client *one_talks(void)
{
	assert_int_equal(send(world[3]->socket, "x", 1, MSG_NOSIGNAL), 1);
	return NULL;
}

/* Whether the last one is dropped: else it is told who comes, as all others are. */
static bool is_dropped(void)
{
	unsigned int again = 0;
	struct client *probe = persistent_client(&again);
	int id = probe->id, ret = 1;

	while (ret > 0 && world[3]->told[id] != VECTORS)
		ret = client_take(world[3], PATIENCE_MS);
	client_free(probe);
	assert_true(ret >= 0);
	return !ret;
}

/* A server that is killed at the nth point of what @happens makes it do. */
static bool is_killed_at(unsigned int nth, unsigned int instructions,
			 struct client *(*happens)(void))
{
	int ready = manager->ready;
	pid_t pid = manager->pid;
	struct client *newcomer;
	unsigned int again = 0;
	bool reached;

	seize(pid);
	newcomer = happens();
	reached = kill_at(pid, nth, instructions);
	await_end(pid);
	await_count(&manager->ready, ready + 1);
	if (newcomer && client_take(newcomer, PATIENCE_MS) == 0) {
		client_free(newcomer);
		newcomer = persistent_client(&again);
	} else if (newcomer) {
		client_meet(newcomer);
	}
	if (happens != one_talks)
		world[3] = newcomer;
	else if (is_dropped())
		leave_world(3);
	assert_all_know_the_truth();
	assert_all_ring_all();
	return reached;
}

static struct client *one_joins(void)
{
	return client_new(VECTORS, true);
}

static struct client *one_leaves(void)
{
	leave_world(3);
	return NULL;
}

static struct client *one_leaves_and_one_joins(void)
{
	leave_world(3);
	return client_new(VECTORS, true);
}

static void prepare_last(bool joined_before)
{
	if (joined_before && !world[3])
		join_world(3);
	else if (!joined_before && world[3])
		leave_world(3);
	assert_all_know_the_truth();
}

/* Returns how many kills there were. */
static unsigned int kill_at_each_point(struct client *(*happens)(void), bool joined_before)
{
	unsigned int nth, kills = 0;
	bool reached = true;

	for (nth = 1; reached; nth += stride()) {
		prepare_last(joined_before);
		reached = is_killed_at(nth, 0, happens);
		kills++;
	}
	return kills;
}

/* The same between system calls, at points that are the same each time. */
static unsigned int kill_between_points(struct client *(*happens)(void), bool joined_before)
{
	unsigned int nth, kills = 0, random = 1;
	bool reached = true;

	for (nth = 1; reached; nth += 1 + stride() / 4) {
		prepare_last(joined_before);
		random = random * 1103515245 + 12345;
		reached = is_killed_at(nth, random / 65536 % 3000, happens);
		kills++;
	}
	return kills;
}

static void kill_at_any_system_call_of_a_join_loses_nothing(void **state)
{
	unsigned int kills;

	start_world(&usual, 3, STORE);
	kills = kill_at_each_point(one_joins, false);
	print_message("# %u kills\n", kills);
	assert_true(kills >= 3);
	stop_world();
}

static void kill_at_any_system_call_of_a_leave_loses_nothing(void **state)
{
	unsigned int kills;

	start_world(&usual, 3, STORE);
	kills = kill_at_each_point(one_leaves, true);
	print_message("# %u kills\n", kills);
	assert_true(kills >= 2);
	stop_world();
}

static void kill_at_any_system_call_of_a_change_loses_nothing(void **state)
{
	unsigned int kills;

	start_world(&usual, 3, STORE);
	kills = kill_at_each_point(one_leaves_and_one_joins, true);
	print_message("# %u kills\n", kills);
	assert_true(kills >= 3);
	stop_world();
}

/* Killed once it has heard it, the server may forget it; but then nobody was told. */
static void kill_at_any_system_call_of_a_drop_loses_nothing(void **state)
{
	unsigned int kills;

	start_world(&usual, 3, STORE);
	kills = kill_at_each_point(one_talks, true);
	print_message("# %u kills\n", kills);
	assert_true(kills >= 2);
	stop_world();
}

static void kill_between_system_calls_loses_nothing(void **state)
{
	unsigned int kills;

	start_world(&usual, 3, STORE);
	kills = kill_between_points(one_talks, true);
	kills += kill_between_points(one_leaves_and_one_joins, true);
	print_message("# %u kills\n", kills);
	assert_true(kills >= 10);
	stop_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(peers_go_on_after_a_kill_with_their_ids),
		TEST(leaver_during_the_downtime_is_told_once),
		TEST(newcomer_during_the_downtime_is_served_after_it),
		TEST(client_that_does_not_read_is_told_the_rest_after_a_kill),
		TEST(many_leaves_that_are_not_told_yet_outlive_a_kill),
		TEST(peers_with_more_vectors_than_a_message_carries_go_on),
		TEST(file_of_the_region_is_still_removed_at_the_end_after_a_kill),
		TEST(server_that_ended_by_itself_is_not_gone_on_with),
		TEST(peers_beyond_the_store_are_refused_and_told_why),
		TEST(store_without_room_for_a_peer_is_named),
		TEST(store_is_empty_of_those_who_left),
		TEST(manager_that_does_not_read_gets_all_of_it_later),
		TEST(peers_go_on_after_a_handover),
		TEST(peers_go_on_after_a_handover_and_then_a_kill),
		TEST(handover_of_sockets_that_were_passed_keeps_them),
		TEST(program_that_is_not_there_takes_nothing_over),
		TEST(kill_at_any_system_call_of_a_join_loses_nothing),
		TEST(kill_at_any_system_call_of_a_leave_loses_nothing),
		TEST(kill_at_any_system_call_of_a_change_loses_nothing),
		TEST(kill_at_any_system_call_of_a_drop_loses_nothing),
		TEST(kill_between_system_calls_loses_nothing),
	};

	raise_descriptor_limit();
	return run("restart", tests, ARRAY_SIZE(tests));
}
