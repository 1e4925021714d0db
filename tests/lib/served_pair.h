/* SPDX-License-Identifier: MIT */
/*
 * A server, and two of its peers in this process with a channel between them.
 */

#ifndef SERVED_PAIR_H
#define SERVED_PAIR_H

#include "channels.h"
#include "serving.h"

#include <sys/socket.h>

#include "client/client.h"

#define DOORBELL_SIZE	"256K"

static pid_t server_pid;

static inline bool start_server(void)
{
	char where[PATH_MAX + 8];

	server_pid = serve(DOORBELL_SIZE, 2, where);
	if (server_pid < 0)
		return false;
	pair.left = join_when_up(where);
	pair.right = open_region(where, 0);
	assert_int_equal(format_for(pair.left, "", 1, 0), 0);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	return true;
}

static inline int served_teardown(void **state)
{
	if (server_pid > 0) {
		kill(server_pid, SIGTERM);
		waitpid(server_pid, NULL, 0);
	}
	server_pid = 0;
	return pair_teardown(state);
}

/* As the server does with one that breaks its rules: the others are told that it has left. */
static inline void drop_right(void)
{
	assert_int_equal(shutdown(pair.right->connection->server.socket, SHUT_RDWR), 0);
	while (ivshmem_peer_vectors(pair.left, (unsigned int)ivshmem_peer_id(pair.right)) > 0)
		assert_int_equal(ivshmem_check(pair.left), 0);
}

#define SERVED_TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, served_teardown)

#endif /* SERVED_PAIR_H */
