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

/* One member of the status of peer @id, or -1 where it is not there. */
static long status_of(int id, const char *member)
{
	FILE *stream = fdopen(connect_to(in_dir("s.status")), "r");
	char line[512], peer[32], *at;
	long number = -1;

	snprintf(peer, sizeof(peer), "{\"peer\":%d,", id);
	while (fgets(line, sizeof(line), stream)) {
		at = strncmp(line, peer, strlen(peer)) ? NULL : strstr(line, member);
		if (at)
			number = strtol(at + strlen(member) + 2, NULL, 10);
	}
	fclose(stream);
	return number;
}

static void client_that_never_reads_is_dropped(void **state)
{
	struct client *witness, *passer;
	int lazy, i;

	start_server(&(struct start){ .size = "64K" });
	lazy = connect_to(fixture.socket);
	witness = client_join(1, false);
	assert_int_equal(witness->told[0], 1);
	for (i = 0; i < 5000 && witness->told[0]; i++) {
		passer = client_join(1, false);
		client_until_told(witness, passer->id, 1);
		client_free(passer);
		if (i == 1500)
			assert_in_range(status_of(0, "queue"), 1, 100);
		client_drain(witness);
	}
	assert_in_range(i, 4096, 4300);
	assert_log_has("peer 0 dropped: it does not read");
	assert_closed(lazy);
	client_free(witness);
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
	static struct client *clients[64];
	int count = 0, refused, i;
	long ticks;

	start_server(&(struct start){ .args = { "--vectors", "4" }, .nofile = 96 });
	do {
		clients[count] = client_new(4, false);
		if (client_take(clients[count], PATIENCE_MS) == 0)
			break;
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
		.args = { "--mode", "666" },
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
		.args = { "--mode", "666", "--vectors", "4" },
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
	assert_log_has("refused: there are as many peers as may be (--max-peers); event=refused uid=");

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
		TEST(client_that_never_reads_is_dropped),
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
