// SPDX-License-Identifier: MIT
/*
 * Clients that misbehave, and limits that are reached: nobody else notices.
 */

#include "client.h"

/* The others are told at once, and the server goes on. */
static void assert_dropped(struct client *witness, int socket, int id)
{
	client_until_told(witness, id, 0);
	assert_closed(socket);
	close(socket);
}

/* One member of the status: of peer @id, or with -1 of the server. -1: not there. */
static long status_of(int id, const char *member)
{
	FILE *stream = fdopen(connect_to(in_dir("s.status")), "r");
	char line[512], start[32] = "{\"peers\":", *at;
	long number = -1;

	if (id >= 0)
		snprintf(start, sizeof(start), "{\"peer\":%d,", id);
	while (fgets(line, sizeof(line), stream)) {
		at = strncmp(line, start, strlen(start)) ? NULL : strstr(line, member);
		if (at)
			number = strtol(at + strlen(member) + 2, NULL, 10);
	}
	fclose(stream);
	return number;
}

/* Peers that come and go; the ID of the last one. */
static int pass(unsigned int times)
{
	int id = -1;

	while (times--)
		close(passer_join(&id));
	return id;
}

/* As many as leave a drop, a queue or a note for each of them no chance. */
static void client_that_never_reads_is_kept_and_owed_nothing(void **state)
{
	struct client *lazy, *last;

	start_server(&(struct start){ .size = "64K" });
	lazy = client_new(1, false);
	assert_int_equal(pass(4500), 4500);
	last = client_join(1, false);
	assert_in_range(status_of(0, "queue"), 0, 10);
	client_until_told(lazy, 4501, 1);
	assert_in_range(lazy->messages, 4, 16);
	client_free(last);
	client_until_told(lazy, 4501, 0);
	assert_int_equal(client_take(lazy, 0), -1);
	assert_false(log_has("dropped"));
	client_free(lazy);
}

/* The server's steps for so many joins and leaves. */
static long steps_to_pass(unsigned int times)
{
	long before = status_of(-1, "steps");

	pass(times);
	return status_of(-1, "steps") - before;
}

static void clients_that_do_not_read_cost_a_join_and_a_leave_nothing(void **state)
{
	static int lazy[320];
	long few, many;
	int i;

	start_server(&(struct start){ .size = "64K" });
	for (i = 0; i < 20; i++)
		lazy[i] = connect_to(fixture.socket);
	pass(10);
	few = steps_to_pass(50);
	for (; i < 320; i++)
		lazy[i] = connect_to(fixture.socket);
	pass(10);
	many = steps_to_pass(50);
	assert_true(few > 0);
	/* Nor does it depend on how fast those who come are told what they read. */
	assert_in_range(many, few / 2, few * 2);
	for (i = 0; i < 320; i++)
		close(lazy[i]);
}

static void who_has_gone_before_its_turn_was_never_a_peer(void **state)
{
	struct client *client;
	int i;

	start_server(&(struct start){ .size = "64K" });
	kill(fixture.server, SIGSTOP);
	for (i = 0; i < 200; i++)
		close(connect_to(fixture.socket));
	client = client_new(1, false);
	kill(fixture.server, SIGCONT);
	client_meet(client);
	assert_int_equal(client->id, 0);
	assert_int_equal(client->messages, 4);
	client_free(client);
}

/* The kernel tells the server who it was that connected. */
static struct client *client_of(uid_t uid)
{
	struct client *client;

	assert_int_equal(seteuid(uid), 0);
	client = client_new(1, false);
	assert_int_equal(seteuid(0), 0);
	return client;
}

static void users_take_turns(void **state)
{
	int crowd[60];
	struct client *other;
	size_t i;

	if (getuid())
		skip_because("needs root");
	start_server(&(struct start){ .args = { "--mode", "666" } });
	kill(fixture.server, SIGSTOP);
	for (i = 0; i < ARRAY_SIZE(crowd); i++)
		crowd[i] = connect_to(fixture.socket);
	other = client_of(NOBODY);
	kill(fixture.server, SIGCONT);
	client_meet(other);
	assert_in_range(other->id, 1, ARRAY_SIZE(crowd) / 2);
	for (i = 0; i < ARRAY_SIZE(crowd); i++)
		close(crowd[i]);
	client_free(other);
}

static void one_user_leaves_room_for_others(void **state)
{
	const struct start start = {
		.args = { "--mode", "666", "--max-peers", "3", "--max-peers-per-user", "2" },
	};
	struct client *a, *b, *refused, *other;

	if (getuid())
		skip_because("needs root");
	start_server(&start);
	a = client_of(NOBODY);
	b = client_of(NOBODY);
	refused = client_of(NOBODY);
	client_meet(a);
	client_meet(b);
	assert_closed(refused->socket);
	assert_log_has("refused: its user has 2 peers, as many as one may have: raise --max-peers-per-user; event=refused uid=65534");
	other = client_join(1, false);
	client_free(refused);
	refused = client_new(1, false);
	assert_closed(refused->socket);
	assert_log_has("refused: there are 3 peers, as many as may be: raise --max-peers; event=refused uid=0");

	client_free(a);
	client_until_told(other, 0, 0);
	a = client_of(NOBODY);
	client_meet(a);
	client_free(a);
	client_free(b);
	client_free(other);
	client_free(refused);
}

static void one_user_may_have_half_where_nothing_is_said(void **state)
{
	start_server(&(struct start){ .args = { "--vectors", "7" }, .nofile = 1024 });
	assert_int_equal(status_of(-1, "max_peers_per_user"), (status_of(-1, "max_peers") + 1) / 2);
	assert_int_equal(stop_server(SIGTERM), 0);
	start_server(&(struct start){ .args = { "--vectors", "1" }, .nofile = 1024 });
	assert_int_equal(status_of(-1, "max_peers_per_user"), 1024 / 8);
	assert_int_equal(stop_server(SIGTERM), 0);
	start_server(&(struct start){ .args = { "--max-peers", "200" }, .nofile = 1024 });
	assert_int_equal(status_of(-1, "max_peers_per_user"), 200);
}

/* The lines that a reader of the status still gets. */
static int lines_from(int socket)
{
	FILE *stream = fdopen(socket, "r");
	char line[512];
	int count = 0;

	while (fgets(line, sizeof(line), stream))
		count++;
	fclose(stream);
	return count;
}

static void readers_of_one_user_do_not_take_the_place_of_another_s(void **state)
{
	static int crowd[300];
	struct client *last;
	int slow, readers[20];
	size_t i;

	if (getuid())
		skip_because("needs root");
	start_server(&(struct start){ .args = { "--mode", "666" } });
	for (i = 0; i < ARRAY_SIZE(crowd); i++)
		crowd[i] = connect_to(fixture.socket);
	last = client_join(1, false);
	slow = connect_to(in_dir("s.status"));
	assert_int_equal(seteuid(NOBODY), 0);
	for (i = 0; i < ARRAY_SIZE(readers); i++)
		readers[i] = connect_to(in_dir("s.status"));
	assert_int_equal(seteuid(0), 0);
	/* When the last one has its answer, or was sent away, all have come. */
	assert_int_equal(lines_from(readers[--i]), 2 + ARRAY_SIZE(crowd));
	assert_int_equal(lines_from(slow), 2 + ARRAY_SIZE(crowd));
	while (i)
		close(readers[--i]);
	for (i = 0; i < ARRAY_SIZE(crowd); i++)
		close(crowd[i]);
	client_free(last);
}

static void client_that_sends_is_dropped(void **state)
{
	struct client *witness;
	char much[65536] = "";
	int socket;

	start_server(&(struct start){ .size = "64K" });
	witness = client_join(1, false);

	socket = connect_to(fixture.socket);
	client_until_told(witness, 1, 1);
	assert_int_equal(send(socket, "", 1, 0), 1);
	assert_dropped(witness, socket, 1);
	assert_log_has("peer 1 dropped: it sent something");

	socket = connect_to(fixture.socket);
	client_until_told(witness, 2, 1);
	assert_true(send(socket, much, sizeof(much), MSG_DONTWAIT) > 0);
	assert_dropped(witness, socket, 2);
	client_free(witness);
}

static void send_descriptors(int socket)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { "x", 1 };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
	int fds[8] = { 0 };

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(rights), fds, sizeof(fds));
	assert_int_equal(sendmsg(socket, &header, 0), 1);
}

static int descriptors_of_server(void)
{
	char path[64];
	int count = 0, fd;
	struct stat st;

	for (fd = 0; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", fixture.server, fd);
		count += !lstat(path, &st);
	}
	return count;
}

static void descriptors_that_clients_send_are_not_kept(void **state)
{
	struct client *witness;
	int before, i, socket;

	start_server(&(struct start){ .size = "64K" });
	witness = client_join(1, false);
	before = descriptors_of_server();
	for (i = 1; i <= 20; i++) {
		socket = connect_to(fixture.socket);
		client_until_told(witness, i, 1);
		send_descriptors(socket);
		assert_dropped(witness, socket, i);
	}
	assert_int_equal(descriptors_of_server(), before);
	client_free(witness);
}

static void half_a_goodbye_is_one(void **state)
{
	struct client *witness;
	int socket;

	start_server(&(struct start){ .size = "64K" });
	witness = client_join(1, false);
	socket = connect_to(fixture.socket);
	client_until_told(witness, 1, 1);
	shutdown(socket, SHUT_WR);
	assert_dropped(witness, socket, 1);
	client_free(witness);
}

/* CPU time of the server in clock ticks. */
static long ticks_of_server(void)
{
	long user = -1, system = -1;
	char path[64];
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", fixture.server);
	stat = fopen(path, "r");
	if (stat && fscanf(stat, "%*d %*s %*c %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %ld %ld",
			   &user, &system) != 2)
		user = -1;
	if (stat)
		fclose(stat);
	return user + system;
}

static void refuses_beyond_the_descriptor_limit_and_goes_on(void **state)
{
	const struct start start = {
		.args = { "--vectors", "4", "--max-peers-per-user", "64" },
		.nofile = 96,
	};
	static struct client *clients[64];
	int count = 0, refused, i;
	long ticks;

	start_server(&start);
	do {
		clients[count] = client_new(4, false);
		assert_int_equal(client_take(clients[count], PATIENCE_MS), 1);
		if (client_take(clients[count], PATIENCE_MS) == 0)
			break;	/* after the version: see refuse() */
		client_meet(clients[count]);
	} while (++count < 64);
	client_free(clients[count]);
	assert_in_range(count, 8, 16);
	assert_log_has("refused: there are no descriptors left");

	for (i = 0; i < 200; i++) {
		refused = connect_to(fixture.socket);
		assert_closed(refused);
		close(refused);
	}
	ticks = ticks_of_server();
	usleep(200000);
	assert_in_range(ticks_of_server() - ticks, 0, 3);

	for (i = 1; i < count; i++)
		client_until_told(clients[0], i, 4);
	client_free(clients[1]);
	client_until_told(clients[0], 1, 0);
	clients[1] = client_join(4, false);
	assert_int_equal(clients[1]->id, count);
	client_until_told(clients[0], count, 4);
	for (i = 0; i < count; i++)
		client_free(clients[i]);
}

static bool nobody_can_run_it(void)
{
	pid_t child = fork();
	int status = -1;

	if (!child) {
		dup2(open("/dev/null", O_WRONLY), 1);
		if (setgid(NOBODY) || setuid(NOBODY))
			_exit(1);
		execl(fixture.binary, "ivshmem", "--version", NULL);
		_exit(1);
	}
	waitpid(child, &status, 0);
	return !status;
}

/*
 * The kernel lets a process without privilege have only so many descriptors in
 * flight, which is fewer than these clients have coming: all arrive in the end.
 */
static void descriptors_wait_while_too_many_are_in_flight(void **state)
{
	const struct start start = {
		.args = { "--mode", "666", "--max-peers-per-user", "100" },
		.nofile = 256,
		.uid = NOBODY,
	};
	static struct client *clients[100];
	const int count = ARRAY_SIZE(clients);
	int64_t end = now_ms() + PATIENCE_MS;
	int i, done;

	if (getuid() || !nobody_can_run_it())
		skip_because("needs root, and a build folder that nobody can read");
	start_server(&start);
	for (i = 0; i < count; i++)
		clients[i] = client_new(1, false);
	for (done = 0; done < count && now_ms() < end; usleep(1000)) {
		done = 0;
		for (i = 0; i < count; i++) {
			client_drain(clients[i]);
			done += clients[i]->messages == 3u + count;
		}
	}
	assert_int_equal(done, count);
	for (i = 0; i < count; i++)
		client_free(clients[i]);
}

/* Those who do not read have little in flight, and leave room for the rest. */
static void a_client_has_few_descriptors_in_flight(void **state)
{
	const struct start start = {
		.args = { "--mode", "666", "--vectors", "4", "--max-peers-per-user", "40" },
		.nofile = 256,
		.uid = NOBODY,
	};
	static struct client *clients[20];
	int lazy[20], i;

	if (getuid() || !nobody_can_run_it())
		skip_because("needs root, and a build folder that nobody can read");
	start_server(&start);
	for (i = 0; i < 20; i++)
		lazy[i] = connect_to(fixture.socket);
	for (i = 0; i < 20; i++)
		clients[i] = client_join(4, false);
	for (i = 0; i < 20; i++) {
		close(lazy[i]);
		client_free(clients[i]);
	}
}

static void max_peers_is_kept(void **state)
{
	struct client *a, *b, *c;
	int refused;

	start_server(&(struct start){ .args = { "--max-peers", "2" } });
	a = client_join(1, false);
	b = client_join(1, false);
	refused = connect_to(fixture.socket);
	assert_closed(refused);
	close(refused);
	assert_log_has("refused: there are 2 peers, as many as may be: raise --max-peers; event=refused uid=");

	client_free(b);
	client_until_told(a, 1, 1);
	client_until_told(a, 1, 0);
	c = client_join(1, false);
	assert_int_equal(c->id, 2);
	client_free(a);
	client_free(c);
}

static void status_readers_that_do_not_read_stop_nobody(void **state)
{
	static struct client *clients[300];
	int readers[40], i;

	start_server(&(struct start){ .size = "64K" });
	for (i = 0; i < 300; i++)
		clients[i] = client_join(1, false);
	for (i = 0; i < 40; i++)
		readers[i] = connect_to(in_dir("s.status"));
	client_free(clients[299]);
	clients[299] = client_join(1, false);
	assert_int_equal(status_of(clients[299]->id, "vectors"), 1);
	assert_in_range(descriptors_of_server(), 608, 630);
	for (i = 0; i < 40; i++)
		close(readers[i]);
	for (i = 0; i < 300; i++)
		client_free(clients[i]);
}

static void file_that_was_truncated_is_not_handed_out(void **state)
{
	struct client *client;
	int refused;

	start_server(&(struct start){ .args = { "--file", in_dir("region") } });
	client = client_join(1, false);
	assert_log_has("which any peer may truncate");
	assert_int_equal(ftruncate(client->region, 4096), 0);
	refused = connect_to(fixture.socket);
	assert_closed(refused);
	close(refused);
	assert_log_has("refused: the region's file was truncated");
	client_free(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(client_that_never_reads_is_kept_and_owed_nothing),
		TEST(clients_that_do_not_read_cost_a_join_and_a_leave_nothing),
		TEST(who_has_gone_before_its_turn_was_never_a_peer),
		TEST(users_take_turns),
		TEST(one_user_leaves_room_for_others),
		TEST(one_user_may_have_half_where_nothing_is_said),
		TEST(readers_of_one_user_do_not_take_the_place_of_another_s),
		TEST(client_that_sends_is_dropped),
		TEST(descriptors_that_clients_send_are_not_kept),
		TEST(half_a_goodbye_is_one),
		TEST(refuses_beyond_the_descriptor_limit_and_goes_on),
		TEST(descriptors_wait_while_too_many_are_in_flight),
		TEST(a_client_has_few_descriptors_in_flight),
		TEST(max_peers_is_kept),
		TEST(status_readers_that_do_not_read_stop_nobody),
		TEST(file_that_was_truncated_is_not_handed_out),
	};

	return run("unruly", tests, ARRAY_SIZE(tests));
}
