/* SPDX-License-Identifier: MIT */
/* A server of the command "ivshmem", in a program of its own, and peers of it. */
#ifndef SERVING_H
#define SERVING_H

#include "channels.h"

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

/* Its process, and where peers join; -1: there is no command. */
static inline pid_t serve(const char *size, unsigned int vectors, char where[PATH_MAX + 8])
{
	char command[PATH_MAX], count[16];
	pid_t server;

	find_command(command);
	if (!command[0])
		return -1;
	snprintf(count, sizeof(count), "%u", vectors);
	snprintf(where, PATH_MAX + 8, "unix:%s", in_shm("socket"));
	server = fork();
	assert_true(server >= 0);
	if (!server) {
		execl(command, "ivshmem", "serve", "--socket", in_shm("socket"), "--size", size,
		      "--vectors", count, NULL);
		_exit(127);
	}
	return server;
}

static inline struct ivshmem *join_when_up(const char *where)
{
	int64_t end = now_ms() + PATIENCE_MS;
	struct ivshmem *shm = NULL;

	while (ivshmem_open(&shm, where, 0) && now_ms() < end)
		usleep(5000);
	assert_non_null(shm);
	return shm;
}

#endif /* SERVING_H */
