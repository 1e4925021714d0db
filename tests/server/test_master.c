// SPDX-License-Identifier: MIT
/*
 * Who becomes peer 0, which is the only one that QEMU takes for a device with
 * master=on.
 */
#include "client.h"

static const struct start plain = { .size = "64K" };

/* As the library does before it connects; QEMU's sockets have no name. */
static struct client *program_join(void)
{
	struct sockaddr_un address = address_of(fixture.socket);
	struct client *client = calloc(1, sizeof(*client));

	assert_non_null(client);
	*client = (struct client){ .id = -1, .region = -1, .vectors = 1 };
	client->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(client->socket, (struct sockaddr *)&address,
			      sizeof(address.sun_family)), 0);
	assert_int_equal(connect(client->socket, (struct sockaddr *)&address,
				 sizeof(address)), 0);
	client_meet(client);
	return client;
}

static struct client *qemu_join(void)
{
	return client_join(1, false);
}

static void leave(struct client *client)
{
	char text[32];

	snprintf(text, sizeof(text), "peer %d left", client->id);
	client_free(client);
	assert_log_has(text);
}

static void a_qemu_after_programs_that_left_and_one_that_stays_is_peer_0(void **state)
{
	struct client *program, *qemu;

	start_server(&plain);
	leave(program_join());
	leave(program_join());
	program = program_join();
	assert_int_equal(program->id, 3);
	qemu = qemu_join();
	assert_int_equal(qemu->id, 0);
	client_free(qemu);
	client_free(program);
}

static void a_program_of_the_library_is_never_peer_0(void **state)
{
	char command[2 * PATH_MAX];

	start_server(&plain);
	snprintf(command, sizeof(command), "%s info unix:%s | grep -q 'peer_id *1$'",
		 fixture.binary, fixture.socket);
	assert_int_equal(system(command), 0);
}

static void a_qemu_beside_another_is_not_peer_0_and_the_log_says_why(void **state)
{
	struct client *first, *second;

	start_server(&plain);
	first = qemu_join();
	second = qemu_join();
	assert_int_equal(second->id, 1);
	assert_log_has("peer 1 joined, too late for a QEMU with master=on: peer 0 was there before");
	client_free(second);
	client_free(first);
}

/* It has freed what it knew of the old one, and would use that for the new one. */
static void a_qemu_is_never_told_of_another_peer_0(void **state)
{
	struct client *first, *second, *third;

	start_server(&plain);
	first = qemu_join();
	second = qemu_join();
	leave(first);
	third = qemu_join();
	assert_int_equal(third->id, 2);
	assert_log_has("peer 2 joined, too late for a QEMU with master=on: peer 1 was there before");
	client_free(third);
	client_free(second);
}

static void a_qemu_that_starts_again_is_peer_0_again_and_programs_learn_of_both(void **state)
{
	struct client *program, *qemu;
	int i;

	start_server(&plain);
	program = program_join();
	for (i = 0; i < 3; i++) {
		qemu = qemu_join();
		assert_int_equal(qemu->id, 0);
		client_until_told(program, 0, 1);
		leave(qemu);
		client_until_told(program, 0, 0);
	}
	client_free(program);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_qemu_after_programs_that_left_and_one_that_stays_is_peer_0),
		TEST(a_program_of_the_library_is_never_peer_0),
		TEST(a_qemu_beside_another_is_not_peer_0_and_the_log_says_why),
		TEST(a_qemu_is_never_told_of_another_peer_0),
		TEST(a_qemu_that_starts_again_is_peer_0_again_and_programs_learn_of_both),
	};

	return run("master", tests, ARRAY_SIZE(tests));
}
