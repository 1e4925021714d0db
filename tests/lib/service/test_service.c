// SPDX-License-Identifier: MIT
/* A server and its clients, all of them honest; some of them die. */
#include "../services.h"

#include "channel/channel.h"

#define CLIENTS	50

static void a_client_that_connects_gets_a_channel_of_its_own(void **state)
{
	struct ivshmem_channel *client, *server, *client2, *server2;
	struct ivshmem_listener *listener;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	connect_one(pair.right, listener, &client, &server);
	connect_one(pair.right, listener, &client2, &server2);
	say(client, server, "what time is it?");
	say(server, client, "noon");
	say(client2, server2, "and now?");
	say(server2, client2, "still noon");
	ivshmem_channel_close(client);
	ivshmem_channel_close(server);
	ivshmem_channel_close(client2);
	ivshmem_channel_close(server2);
	ivshmem_listener_close(listener);
	close_regions();
}

static void one_thread_serves_fifty_clients(void **state)
{
	struct ivshmem_channel *clients[CLIENTS], *servers[CLIENTS];
	struct ivshmem_listener *listener;
	char text[16];
	int i;

	open_region_of(CLIENTS + 1);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_listener_set_limit(listener, CLIENTS), 0);
	for (i = 0; i < CLIENTS; i++)
		connect_one(pair.right, listener, &clients[i], &servers[i]);
	for (i = 0; i < CLIENTS; i++) {
		snprintf(text, sizeof(text), "%d", i);
		say(clients[i], servers[i], text);
	}
	for (i = 0; i < CLIENTS; i++) {
		ivshmem_channel_close(i % 2 ? clients[i] : servers[i]);
		ivshmem_channel_close(i % 2 ? servers[i] : clients[i]);
	}
	assert_int_equal(count_objects(pair.left, IVSHMEM_CHANNEL), 0);
	ivshmem_listener_close(listener);
	close_regions();
}

static void a_client_that_comes_first_waits_for_the_server(void **state)
{
	struct ivshmem_channel *client, *server;
	struct ivshmem_listener *listener;

	open_region_of(8);
	assert_int_equal(ivshmem_connect_begin(&client, pair.right, SERVICE), 0);
	assert_int_equal(ivshmem_channel_finish(client, 0), -ETIMEDOUT);
	assert_int_equal(count_objects(pair.left, IVSHMEM_CHANNEL), 0);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_accept(&server, listener, 0), -EAGAIN);
	assert_int_equal(ivshmem_channel_finish(client, 0), -ETIMEDOUT);
	while (ivshmem_accept(&server, listener, 0) == -EAGAIN)
		assert_true(ivshmem_channel_finish(client, 0) <= 0);
	assert_int_equal(ivshmem_channel_finish(client, PATIENCE_MS), 0);
	say(client, server, "at last");
	ivshmem_channel_close(client);
	ivshmem_channel_close(server);
	ivshmem_listener_close(listener);
	close_regions();
}

static void a_client_that_gives_up_leaves_nothing(void **state)
{
	struct ivshmem_channel *client = POISON;
	struct ivshmem_listener *listener;

	open_region_of(8);
	assert_int_equal(ivshmem_connect(&client, pair.right, SERVICE, 1), -ETIMEDOUT);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_connect(&client, pair.right, SERVICE, 1), -ETIMEDOUT);
	assert_ptr_equal(client, POISON);
	assert_int_equal(count_objects(pair.left, IVSHMEM_CHANNEL), 0);
	assert_int_equal(ivshmem_accept(&client, listener, 0), -EAGAIN);
	ivshmem_listener_close(listener);
	close_regions();
}

static void a_channel_goes_when_both_ends_are_closed(void **state)
{
	struct ivshmem_channel *client, *server;
	struct ivshmem_listener *listener;
	int first;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	for (first = 0; first < 2; first++) {
		connect_one(pair.right, listener, &client, &server);
		assert_int_equal(count_objects(pair.left, IVSHMEM_CHANNEL), 1);
		ivshmem_channel_close(first ? client : server);
		assert_int_equal(count_objects(pair.left, IVSHMEM_CHANNEL), 1);
		ivshmem_channel_close(first ? server : client);
		assert_int_equal(count_objects(pair.left, IVSHMEM_CHANNEL), 0);
	}
	ivshmem_listener_close(listener);
	close_regions();
}

static enum ivshmem_end_state state_of_server_end(const struct ivshmem_channel *client)
{
	return ivshmem_end_state_of(client->directory.slots, client->object.slot,
				    IVSHMEM_END_CONNECTOR, client->shm);
}

/* Else each client that was served would take a place once more, until it is gone. */
static void a_client_that_was_served_is_left_alone_until_it_begins_anew(void **state)
{
	struct ivshmem_channel *client, *server;
	struct ivshmem_listener *listener;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	connect_one(pair.right, listener, &client, &server);
	ivshmem_channel_close(server);
	assert_int_equal(ivshmem_accept(&server, listener, 0), -EAGAIN);
	assert_int_equal(state_of_server_end(client), IVSHMEM_END_FREE);
	assert_int_equal(ivshmem_channel_reconnect(client, 0), -ETIMEDOUT);
	assert_int_equal(ivshmem_accept(&server, listener, 0), -EAGAIN);
	assert_int_equal(state_of_server_end(client), IVSHMEM_END_ATTACHED);
	ivshmem_channel_close(client);
	ivshmem_listener_close(listener);
	close_regions();
}

static void channels_outlive_their_listener(void **state)
{
	struct ivshmem_channel *client, *server;
	struct ivshmem_listener *listener;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	connect_one(pair.right, listener, &client, &server);
	ivshmem_listener_close(listener);
	close_regions();
	say(client, server, "still there?");
	say(server, client, "yes");
	ivshmem_channel_close(server);
	ivshmem_channel_close(client);
}

static void a_service_goes_with_its_listener_unless_it_was_made(void **state)
{
	struct ivshmem_listener *listener;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(count_objects(pair.left, IVSHMEM_SERVICE), 1);
	ivshmem_listener_close(listener);
	assert_int_equal(count_objects(pair.left, IVSHMEM_SERVICE), 0);
	assert_int_equal(ivshmem_make_service(pair.left, SERVICE, 8192, 0), 0);
	assert_int_equal(ivshmem_make_service(pair.left, SERVICE, 0, 0), -EEXIST);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	ivshmem_listener_close(listener);
	assert_int_equal(count_objects(pair.left, IVSHMEM_SERVICE), 1);
	assert_int_equal(ivshmem_remove(pair.left, SERVICE, 0), 0);
	close_regions();
}

static void the_rings_are_as_the_service_was_made(void **state)
{
	struct ivshmem_channel *client, *server;
	struct ivshmem_listener *listener;

	open_region_of(8);
	assert_int_equal(ivshmem_make_service(pair.left, SERVICE, 64 * KIB, 8 * KIB), 0);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	connect_one(pair.right, listener, &client, &server);
	assert_int_equal(ivshmem_channel_max_length(client), 32 * KIB - 8);
	assert_int_equal(ivshmem_channel_max_length(server), 4 * KIB - 8);
	ivshmem_channel_close(server);
	ivshmem_channel_close(client);
	ivshmem_listener_close(listener);
	close_regions();
}

/* --- limits --- */

static void a_peer_that_has_its_share_is_refused(void **state)
{
	struct connecting connecting = { NULL, NULL, 0 };
	struct ivshmem_channel *client[2], *server[2], *none = POISON;
	struct ivshmem_listener *listener;
	pthread_t thread;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_listener_set_limit(listener, 2), 0);
	connect_one(pair.right, listener, &client[0], &server[0]);
	connect_one(pair.right, listener, &client[1], &server[1]);
	connecting.shm = pair.right;
	assert_int_equal(pthread_create(&thread, NULL, connect_in_thread, &connecting), 0);
	while (!__atomic_load_n(&connecting.err, __ATOMIC_ACQUIRE))
		assert_true(ivshmem_accept(&none, listener, 1) < 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(connecting.err, -ECONNREFUSED);
	assert_int_equal(count_objects(pair.left, IVSHMEM_CHANNEL), 2);
	/* The next one comes in as soon as the server has closed one. */
	ivshmem_channel_close(client[0]);
	ivshmem_channel_close(server[0]);
	connect_one(pair.right, listener, &client[0], &server[0]);
	say(client[0], server[0], "here again");
	ivshmem_channel_close(client[0]);
	ivshmem_channel_close(server[0]);
	ivshmem_channel_close(client[1]);
	ivshmem_channel_close(server[1]);
	ivshmem_listener_close(listener);
	close_regions();
}

static void another_peer_is_not_refused_for_it(void **state)
{
	struct ivshmem_channel *client, *server, *server2;
	struct ivshmem_listener *listener;
	pid_t child;
	int status;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_listener_set_limit(listener, 1), 0);
	connect_one(pair.right, listener, &client, &server);
	child = fork();
	if (!child) {
		struct ivshmem *shm;

		if (ivshmem_open(&shm, in_shm("region"), 0) ||
		    ivshmem_connect(&client, shm, SERVICE, PATIENCE_MS))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(ivshmem_accept(&server2, listener, PATIENCE_MS), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	ivshmem_channel_close(server2);
	ivshmem_channel_close(client);
	ivshmem_channel_close(server);
	ivshmem_listener_close(listener);
	close_regions();
}

/* --- who listens --- */

static void a_second_listener_is_told_that_there_is_one(void **state)
{
	struct ivshmem_listener *listener, *second = POISON;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_listen(&second, pair.right, SERVICE, 0), -EBUSY);
	assert_int_equal(ivshmem_listen(&second, pair.left, SERVICE, 0), -EBUSY);
	/* It is known to live. */
	assert_int_equal(ivshmem_listen(&second, pair.right, SERVICE, IVSHMEM_LISTEN_TAKE_OVER),
			 -EBUSY);
	assert_ptr_equal(second, POISON);
	ivshmem_listener_close(listener);
	assert_int_equal(ivshmem_listen(&second, pair.right, SERVICE, 0), 0);
	ivshmem_listener_close(second);
	close_regions();
}

static struct ivshmem_slot *slot_of_service(struct ivshmem_directory *directory)
{
	struct ivshmem_object object;

	assert_int_equal(ivshmem_directory_open(directory, pair.left), 0);
	assert_int_equal(ivshmem_object_find(directory, SERVICE, IVSHMEM_SERVICE, &object), 0);
	return &directory->slots[object.slot];
}

/* As if the program that has the end ran under another kernel. */
static void move_elsewhere(struct ivshmem *shm, struct ivshmem_slot_end *end, unsigned int slot,
			   enum ivshmem_end side)
{
	memset(end->boot_id, 0x55, sizeof(end->boot_id));
	end->wake &= ~WAKE_FILE;
	ivshmem_end_unlock(shm, slot, side);
}

static void a_listener_under_another_kernel_is_taken_over_only_if_told_so(void **state)
{
	struct ivshmem_listener *listener, *second = POISON;
	struct ivshmem_directory directory;
	struct ivshmem_channel *none;
	struct ivshmem_slot *slot;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	slot = slot_of_service(&directory);
	move_elsewhere(pair.left, &slot->end, (unsigned int)(slot - directory.slots),
		       IVSHMEM_END_CREATOR);
	assert_int_equal(ivshmem_listen(&second, pair.right, SERVICE, 0), -EBUSY);
	assert_int_equal(ivshmem_listen(&second, pair.right, SERVICE, IVSHMEM_LISTEN_TAKE_OVER),
			 0);
	assert_int_equal(ivshmem_accept(&none, listener, 0), -ECONNRESET);
	ivshmem_listener_close(listener);
	assert_int_equal(ivshmem_accept(&none, second, 0), -EAGAIN);
	ivshmem_listener_close(second);
	ivshmem_directory_close(&directory);
	close_regions();
}

/* Its server may have crashed there: the next one takes the client's channel, too. */
static void a_client_of_a_server_elsewhere_is_accepted_by_who_took_over(void **state)
{
	struct ivshmem *third;
	struct ivshmem_listener *listener, *second;
	struct ivshmem_channel *client, *server, *next_server;
	struct ivshmem_directory directory;
	struct ivshmem_slot *slot;
	pthread_t thread;
	void *result;

	open_region_of(8);
	third = open_region(in_shm("region"), 0);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	connect_one(pair.right, listener, &client, &server);
	slot = slot_of_service(&directory);
	move_elsewhere(pair.left, &slot->end, (unsigned int)(slot - directory.slots),
		       IVSHMEM_END_CREATOR);
	slot = &directory.slots[client->object.slot];
	move_elsewhere(pair.left, &slot->ends[IVSHMEM_END_CONNECTOR], client->object.slot,
		       IVSHMEM_END_CONNECTOR);
	assert_int_equal(ivshmem_listen(&second, third, SERVICE, IVSHMEM_LISTEN_TAKE_OVER), 0);
	/* As long as it has not begun anew, it is the other server's. */
	assert_int_equal(ivshmem_accept(&next_server, second, SHORT_MS), -ETIMEDOUT);
	say(client, server, "still yours");
	assert_int_equal(pthread_create(&thread, NULL, reconnect_in_thread, client), 0);
	assert_int_equal(ivshmem_accept(&next_server, second, PATIENCE_MS), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, 0);
	say(client, next_server, "now yours");
	ivshmem_channel_close(client);
	ivshmem_channel_close(server);
	ivshmem_channel_close(next_server);
	ivshmem_listener_close(listener);
	ivshmem_listener_close(second);
	ivshmem_directory_close(&directory);
	ivshmem_close(third);
	close_regions();
}

static void another_kind_of_object_is_no_service(void **state)
{
	struct ivshmem_listener *listener = POISON;
	struct ivshmem_channel *client = POISON;

	open_region_of(8);
	assert_int_equal(ivshmem_make_area(pair.left, SERVICE, 1), 0);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), -EPROTOTYPE);
	assert_int_equal(ivshmem_connect(&client, pair.left, SERVICE, 0), -EPROTOTYPE);
	close_regions();
}

static void a_service_that_was_removed_is_told_to_its_listener(void **state)
{
	struct ivshmem_listener *listener;
	struct ivshmem_channel *none;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_remove(pair.right, SERVICE, 0), -EBUSY);
	assert_int_equal(ivshmem_remove(pair.right, SERVICE, IVSHMEM_REMOVE_FORCE), 0);
	assert_int_equal(ivshmem_accept(&none, listener, PATIENCE_MS), -ECONNRESET);
	ivshmem_listener_close(listener);
	close_regions();
}

static void a_region_without_room_refuses_clients(void **state)
{
	struct ivshmem_channel *client, *server, *second = POISON;
	struct ivshmem_listener *listener;

	open_region_of(2);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	connect_one(pair.right, listener, &client, &server);
	assert_int_equal(ivshmem_connect(&second, pair.right, SERVICE, PATIENCE_MS), -ENOSPC);
	ivshmem_channel_close(client);
	ivshmem_channel_close(server);
	ivshmem_listener_close(listener);
	close_regions();
}

/* --- losing each other --- */

static void a_client_that_reconnects_is_accepted_by_the_next_server(void **state)
{
	struct ivshmem_channel *client, *server;
	struct ivshmem_listener *listener;
	char text[8];
	pthread_t thread;
	void *result;
	int round;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	connect_one(pair.right, listener, &client, &server);
	for (round = 0; round < 20; round++) {
		ivshmem_channel_close(server);
		if (round % 2)
			ivshmem_listener_close(listener);
		assert_int_equal(ivshmem_channel_recv(client, text, sizeof(text), PATIENCE_MS),
				 -EPIPE);
		assert_int_equal(pthread_create(&thread, NULL, reconnect_in_thread, client), 0);
		if (round % 2)
			assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
		assert_int_equal(ivshmem_accept(&server, listener, PATIENCE_MS), 0);
		assert_int_equal(pthread_join(thread, &result), 0);
		assert_int_equal((intptr_t)result, 0);
		say(client, server, "again");
	}
	ivshmem_channel_close(client);
	ivshmem_channel_close(server);
	assert_int_equal(count_objects(pair.left, IVSHMEM_CHANNEL), 0);
	ivshmem_listener_close(listener);
	close_regions();
}

static void a_client_that_waits_for_acceptance_is_accepted_by_the_next_server(void **state)
{
	struct ivshmem_listener *listener;
	struct ivshmem_channel *client, *server;
	pthread_t thread;
	void *result;

	open_region_of(8);
	assert_int_equal(ivshmem_make_service(pair.left, SERVICE, 0, 0), 0);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_connect_begin(&client, pair.right, SERVICE), 0);
	ivshmem_listener_close(listener);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, reconnect_in_thread, client), 0);
	assert_int_equal(ivshmem_accept(&server, listener, PATIENCE_MS), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, 0);
	say(client, server, "you are new");
	ivshmem_channel_close(client);
	ivshmem_channel_close(server);
	ivshmem_listener_close(listener);
	close_regions();
}

static void the_server_closes_a_channel_whose_client_has_gone_and_does_not_reconnect(void **state)
{
	struct ivshmem_channel *client, *server;
	struct ivshmem_listener *listener;
	char text[8];

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	connect_one(pair.right, listener, &client, &server);
	ivshmem_channel_close(client);
	assert_int_equal(ivshmem_channel_recv(server, text, sizeof(text), PATIENCE_MS), -EPIPE);
	assert_int_equal(ivshmem_remove(pair.left, "x", 0), -ENOENT);
	ivshmem_channel_close(server);
	assert_int_equal(count_objects(pair.left, IVSHMEM_CHANNEL), 0);
	ivshmem_listener_close(listener);
	close_regions();
}

static void what_a_dead_client_left_goes_at_the_servers_next_round(void **state)
{
	struct ivshmem_channel *none, *server;
	struct ivshmem_listener *listener;
	int64_t until = now_ms() + PATIENCE_MS;
	pid_t child;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	child = fork();
	if (!child) {
		struct ivshmem *shm;

		if (!ivshmem_open(&shm, in_shm("region"), 0) &&
		    !ivshmem_connect_begin(&none, shm, SERVICE))
			raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(count_objects(pair.left, IVSHMEM_CHANNEL), 1);
	while (count_objects(pair.left, IVSHMEM_CHANNEL) && now_ms() < until)
		assert_true(ivshmem_accept(&server, listener, 10) < 0);
	assert_int_equal(count_objects(pair.left, IVSHMEM_CHANNEL), 0);
	ivshmem_listener_close(listener);
	close_regions();
}

/* --- fork --- */

static struct ivshmem_listener *inherited;

static int use_inherited(void *data)
{
	struct ivshmem_channel *channel = data;

	if (ivshmem_accept(&channel, inherited, 0) != -ECHILD ||
	    ivshmem_listener_set_limit(inherited, 1) != -ECHILD)
		return 1;
	ivshmem_channel_close(data);
	ivshmem_listener_close(inherited);
	return 0;
}

static void a_childs_copy_of_a_listener_is_inert(void **state)
{
	struct ivshmem_channel *client, *server;

	open_region_of(8);
	assert_int_equal(ivshmem_listen(&inherited, pair.left, SERVICE, 0), 0);
	connect_one(pair.right, inherited, &client, &server);
	assert_int_equal(in_child(use_inherited, server), 0);
	say(client, server, "not disturbed");
	ivshmem_channel_close(client);
	ivshmem_channel_close(server);
	connect_one(pair.right, inherited, &client, &server);
	ivshmem_channel_close(client);
	ivshmem_channel_close(server);
	ivshmem_listener_close(inherited);
	close_regions();
}

static void arguments_that_make_no_sense_are_refused(void **state)
{
	struct ivshmem_listener *listener = POISON;
	struct ivshmem_channel *channel = POISON;
	struct ivshmem *reader;

	open_region_of(8);
	reader = open_region(in_shm("region"), IVSHMEM_RDONLY);
	assert_int_equal(ivshmem_listen(&listener, pair.left, "", 0), -EINVAL);
	assert_int_equal(ivshmem_listen(&listener, pair.left, "a/b", 0), -EINVAL);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 2), -EINVAL);
	assert_int_equal(ivshmem_listen(&listener, reader, SERVICE, 0), -EACCES);
	assert_int_equal(ivshmem_connect(&channel, reader, SERVICE, 0), -EACCES);
	assert_int_equal(ivshmem_connect(&channel, pair.left, ".a", 0), -EINVAL);
	assert_int_equal(ivshmem_make_service(pair.left, SERVICE, 5 * GIB, 0), -EINVAL);
	assert_int_equal(ivshmem_make_service(reader, SERVICE, 0, 0), -EACCES);
	assert_int_equal(ivshmem_listen(&listener, pair.left, SERVICE, 0), 0);
	assert_int_equal(ivshmem_listener_set_limit(listener, 0), -EINVAL);
	assert_int_equal(ivshmem_accept(NULL, listener, 0), -EINVAL);
	ivshmem_listener_close(listener);
	ivshmem_close(reader);
	close_regions();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_client_that_connects_gets_a_channel_of_its_own),
		TEST(one_thread_serves_fifty_clients),
		TEST(a_client_that_comes_first_waits_for_the_server),
		TEST(a_client_that_gives_up_leaves_nothing),
		TEST(a_channel_goes_when_both_ends_are_closed),
		TEST(a_client_that_was_served_is_left_alone_until_it_begins_anew),
		TEST(channels_outlive_their_listener),
		TEST(a_service_goes_with_its_listener_unless_it_was_made),
		TEST(the_rings_are_as_the_service_was_made),
		TEST(a_peer_that_has_its_share_is_refused),
		TEST(another_peer_is_not_refused_for_it),
		TEST(a_second_listener_is_told_that_there_is_one),
		TEST(a_listener_under_another_kernel_is_taken_over_only_if_told_so),
		TEST(a_client_of_a_server_elsewhere_is_accepted_by_who_took_over),
		TEST(another_kind_of_object_is_no_service),
		TEST(a_service_that_was_removed_is_told_to_its_listener),
		TEST(a_region_without_room_refuses_clients),
		TEST(a_client_that_reconnects_is_accepted_by_the_next_server),
		TEST(a_client_that_waits_for_acceptance_is_accepted_by_the_next_server),
		TEST(the_server_closes_a_channel_whose_client_has_gone_and_does_not_reconnect),
		TEST(what_a_dead_client_left_goes_at_the_servers_next_round),
		TEST(a_childs_copy_of_a_listener_is_inert),
		TEST(arguments_that_make_no_sense_are_refused),
	};

	return run("service", tests, ARRAY_SIZE(tests));
}
