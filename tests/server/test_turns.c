// SPDX-License-Identifier: MIT
/*
 * Whose turn it is to be told, and what wakes the server for it: its own loop is not
 * run here, but called part by part.
 */

#include "fixture.h"

#include "server/server.h"
#include "text/text.h"

#define CROWD		200

static struct server server;
static const struct server_options options = { .vectors = 1 };
static const struct credentials nobody = { .pid = 1, .uid = NOBODY, .gid = NOBODY };
static int sockets[CROWD + 1];	/* the clients' ends */
static unsigned int n_sockets;
static int refusal;	/* what the kernel says to each message, 0: as it likes */

/* In place of the one in wire.c. Descriptors do not matter here. */
int wire_send(struct mmsghdr *wire, int socket, int64_t value, int fd)
{
	if (refusal)
		return refusal;
	return send(socket, &value, sizeof(value), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* In place of the one in notify.c. */
void notify_peers_changed(struct server *unused)
{
}

/* In place of the one in accept.c. */
int accept_connection(struct server *unused, int listener)
{
	return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* In place of the one in text/. */
void complain(const char *subject, const char *format, ...)
{
}

static int start(void **state)
{
	memset(&server, 0, sizeof(server));
	server.options = &options;
	server.vectors = options.vectors;
	if (book_create(&server.book, CROWD + 2, 1))
		return -1;
	server.peers_at.path = "test_turns";
	server.journal = -1;
	n_sockets = 0;
	refusal = 0;
	news_init(&server);
	waits_init(&server);
	TAILQ_INIT(&server.turns);
	TAILQ_INIT(&server.readers);
	if (sd_event_new(&server.event) < 0 || tell_start(&server) < 0)
		return -1;
	dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
	return 0;
}

static int stop(void **state)
{
	peers_stop(&server);
	tell_stop(&server);
	book_close(&server.book);
	while (n_sockets)
		close(sockets[--n_sockets]);
	sd_event_unref(server.event);
	return 0;
}

static int join(uid_t uid)
{
	int slot = book_take(&server.book, &nobody);
	struct user *user = users_count_in(&server, uid);
	int pair[2];

	assert_non_null(user);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
				    pair), 0);
	assert_int_equal(peers_join(&server, slot, pair[0], user), 0);
	sockets[n_sockets++] = pair[1];
	return pair[1];
}

static unsigned int drain(int socket)
{
	unsigned int count = 0;
	int64_t value;

	while (recv(socket, &value, sizeof(value), MSG_DONTWAIT) == sizeof(value))
		count++;
	return count;
}

static void tell_all(void)
{
	while (tell_pending(&server))
		tell_turn(&server);
}

/* The crowd reads, and so has room for more than one slice. */
static void crowd_with_room(void)
{
	unsigned int i;

	for (i = 0; i < CROWD; i++)
		join(1000);
	tell_all();
	for (i = 0; i < CROWD; i++)
		drain(sockets[i]);
}

static void one_user_is_told_at_once_whatever_a_crowd_is_owed(void **state)
{
	int one, i;

	crowd_with_room();
	one = join(1001);
	drain(one);
	for (i = 0; i < 20000 && sd_event_run(server.event, 0) > 0; i++)
		;
	assert_true(tell_pending(&server));
	tell_turn(&server);
	assert_true(drain(one) > 0);
}

/* Else each look for events costs as much as there are clients with room. */
static void who_has_room_is_reported_once(void **state)
{
	struct pollfd events;

	crowd_with_room();
	events = (struct pollfd){ .fd = sd_event_get_fd(server.event), .events = POLLIN };
	assert_int_equal(poll(&events, 1, 0), 1);
	assert_true(sd_event_run(server.event, 0) > 0);
	assert_int_equal(poll(&events, 1, 0), 0);
}

static void who_is_stalled_later_does_not_put_off_who_is_stalled(void **state)
{
	uint64_t first, later;

	refusal = -ETOOMANYREFS;
	join(1000);
	assert_true(sd_event_source_get_time(server.retry, &first) >= 0);
	usleep(2000);
	join(1001);
	tell_all();
	assert_true(sd_event_source_get_time(server.retry, &later) >= 0);
	assert_true(first == later);
}

static int ask(int listener, const char *path)
{
	int socket = connect_to(path);

	assert_int_equal(status_on_connection(NULL, listener, EPOLLIN, &server), 0);
	return socket;
}

static void who_asks_while_others_wait_gets_the_same_snapshot(void **state)
{
	char path[64], texts[2][256] = { "", "" };
	int listener, readers[2], i;

	snprintf(path, sizeof(path), "/tmp/ivshmem-test-turns-%d", getpid());
	listener = listen_at(path, SOCK_STREAM);
	assert_true(status_start(&server) >= 0);
	readers[0] = ask(listener, path);
	server.steps += 1000;
	readers[1] = ask(listener, path);
	unlink(path);
	for (i = 0; i < 100 && server.n_readers; i++)
		assert_true(sd_event_run(server.event, 100000) >= 0);
	for (i = 0; i < 2; i++) {
		assert_true(recv(readers[i], texts[i], sizeof(texts[i]) - 1, MSG_DONTWAIT) > 0);
		close(readers[i]);
	}
	assert_string_equal(texts[0], texts[1]);
	assert_non_null(strstr(texts[0], "\"peers\":0,"));
	status_stop(&server);
	close(listener);
}

#define TURN_TEST(name)	cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TURN_TEST(one_user_is_told_at_once_whatever_a_crowd_is_owed),
		TURN_TEST(who_has_room_is_reported_once),
		TURN_TEST(who_is_stalled_later_does_not_put_off_who_is_stalled),
		TURN_TEST(who_asks_while_others_wait_gets_the_same_snapshot),
	};

	return run("turns", tests, ARRAY_SIZE(tests));
}
