/* SPDX-License-Identifier: MIT */
/*
 * A server, and two of its peers in this process with a channel between them.
 */

#ifndef SERVED_PAIR_H
#define SERVED_PAIR_H

#include "channels.h"

#include <sys/socket.h>

#include "client/client.h"

#define DOORBELL_SIZE	"256K"

static pid_t server_pid;

/* Beside this program, or in the folder above. */
static inline void find_command(char path[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 32);
	int up;

	assert_true(length > 0);
	path[length] = '\0';
	for (up = 0; up < 2; up++) {
		*strrchr(path, '/') = '\0';
		strcat(path, "/ivshmem");
		if (!access(path, X_OK))
			return;
		*strrchr(path, '/') = '\0';
	}
	path[0] = '\0';
}

static inline bool start_server(void)
{
	char command[PATH_MAX], where[PATH_MAX + 8];
	int64_t end = now_ms() + PATIENCE_MS;

	find_command(command);
	if (!command[0])
		return false;
	server_pid = fork();
	if (!server_pid) {
		execl(command, "ivshmem", "serve", "--socket", in_shm("socket"), "--size",
		      DOORBELL_SIZE, "--vectors", "2", NULL);
		_exit(127);
	}
	snprintf(where, sizeof(where), "unix:%s", in_shm("socket"));
	while (ivshmem_open(&pair.left, where, 0) && now_ms() < end)
		usleep(5000);
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
