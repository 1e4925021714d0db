/* SPDX-License-Identifier: MIT */
/*
 * A service manager, as systemd is one for a server: it keeps the descriptors that it is
 * sent, with their names, and starts the server again when that was killed, with those.
 *
 * It is a process of its own, so that it lives while the test stops the server. What it
 * knows lies in memory that both share.
 */

#ifndef MANAGER_H
#define MANAGER_H

#include "fixture.h"

#include <linux/kcmp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define STORE_MAX	4096

/**
 * struct manager - What the test and the manager share.
 * @pid: Of the server that runs; 0 while there is none.
 * @starts: How often it was started.
 * @ready: How often it said that it is ready.
 * @stored: How many descriptors are kept.
 * @most: How many were kept at a time, at most.
 * @dropped: How many were sent beyond the limit.
 * @hold: A server that ends is not started again meanwhile.
 * @deaf: Messages are not read meanwhile.
 * @exit_status: Of the last server that ended by itself; -1: none did.
 */
struct manager {
	pid_t pid;
	int starts;
	int ready;
	int stored;
	int most;
	int dropped;
	int hold;
	int deaf;
	int exit_status;
};

static struct manager *manager;
static pid_t manager_pid;
static struct {
	int fd;
	char name[64];
} store[STORE_MAX];

static inline const char *value_of(const char *message, const char *key)
{
	const char *found = strstr(message, key);

	return found ? found + strlen(key) : NULL;
}

static inline bool is_same_file(int a, int b)
{
	return !syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b);
}

static inline void keep(int fd, const char *name, int max)
{
	int i;

	for (i = 0; i < manager->stored; i++) {
		if (is_same_file(store[i].fd, fd)) {
			close(fd);
			return;
		}
	}
	if (manager->stored == max) {
		manager->dropped++;
		close(fd);
		return;
	}
	store[manager->stored].fd = fd;
	snprintf(store[manager->stored].name, sizeof(store[0].name), "%s", name);
	if (++manager->stored > manager->most)
		manager->most = manager->stored;
}

static inline void let_go(const char *name)
{
	int i;

	for (i = manager->stored - 1; i >= 0; i--) {
		if (strcmp(store[i].name, name))
			continue;
		close(store[i].fd);
		store[i] = store[manager->stored - 1];
		manager->stored--;
	}
}

static inline void hear(char *message, const int *fds, size_t count, int max)
{
	const char *name = value_of(message, "FDNAME=");
	char word[64] = "stored";
	size_t i;

	if (name)
		sscanf(name, "%63[^\n]", word);
	if (strstr(message, "READY=1"))
		manager->ready++;
	if (strstr(message, "FDSTOREREMOVE=1"))
		let_go(word);
	for (i = 0; i < count; i++) {
		if (strstr(message, "FDSTORE=1"))
			keep(fds[i], word, max);
		else
			close(fds[i]);
	}
}

/* False where there is no message. */
static inline bool hear_one(int max)
{
	union {
		char bytes[CMSG_SPACE(253 * sizeof(int))];
		struct cmsghdr align;
	} control;
	char message[4096];
	struct iovec iov = { message, sizeof(message) - 1 };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *rights;
	size_t count = 0;
	ssize_t length;

	length = recvmsg(fixture.notify, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (length < 0)
		return false;
	message[length] = '\0';
	rights = CMSG_FIRSTHDR(&header);
	if (rights)
		count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	hear(message, rights ? (const int *)CMSG_DATA(rights) : NULL, count, max);
	return true;
}

/* In the child: the store's descriptors from 3 on, and their names. */
static inline void pass_store(int max)
{
	static int high[STORE_MAX];
	static char names[STORE_MAX * 8];
	char number[16];
	int i, count = manager->stored;

	/* In the order that systemd has: last come, first passed. */
	for (i = 0; i < count; i++)
		high[i] = fcntl(store[count - 1 - i].fd, F_DUPFD_CLOEXEC, 3 + STORE_MAX);
	for (i = 0; i < count; i++) {
		dup2(high[i], 3 + i);
		strcat(names, i ? ":" : "");
		strcat(names, store[count - 1 - i].name);
	}
	snprintf(number, sizeof(number), "%d", getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%d", count);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	snprintf(number, sizeof(number), "%d", max);
	setenv("FDSTORE", number, 1);
	if (!count) {
		unsetenv("LISTEN_PID");
		unsetenv("LISTEN_FDS");
		unsetenv("LISTEN_FDNAMES");
	}
}

static inline void launch(const struct start *start, int max)
{
	pid_t pid = fork();

	if (!pid) {
		pass_store(max);
		exec_server(start);
	}
	manager->starts++;
	__atomic_store_n(&manager->pid, pid, __ATOMIC_SEQ_CST);
}

/* All that it had said before it ended is heard first, as systemd does it. */
static inline void reap(const struct start *start, int max)
{
	int status;

	if (waitpid(manager->pid, &status, WNOHANG) != manager->pid)
		return;
	while (hear_one(max))
		;
	if (WIFEXITED(status))
		manager->exit_status = WEXITSTATUS(status);
	__atomic_store_n(&manager->pid, 0, __ATOMIC_SEQ_CST);
}

static inline void manage(const struct start *start, int max)
{
	struct pollfd input = { .fd = fixture.notify, .events = POLLIN };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		input.events = __atomic_load_n(&manager->deaf, __ATOMIC_SEQ_CST) ? 0 : POLLIN;
		if (manager->pid)
			reap(start, max);
		else if (!__atomic_load_n(&manager->hold, __ATOMIC_SEQ_CST) &&
			 manager->exit_status < 0)
			launch(start, max);
		if (poll(&input, 1, 1) == 1 && input.events)
			hear_one(max);
	}
}

static inline void await_count(const int *count, int wanted)
{
	int64_t end = now_ms() + PATIENCE_MS;

	while (__atomic_load_n(count, __ATOMIC_SEQ_CST) < wanted) {
		if (now_ms() > end)
			fail_msg("the server did not start");
		usleep(500);
	}
}

/* @max: how many descriptors it keeps. */
static inline void manager_start(const struct start *start, int max)
{
	manager = mmap(NULL, sizeof(*manager), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(manager != MAP_FAILED);
	manager->exit_status = -1;
	manager_pid = fork();
	if (!manager_pid)
		manage(start, max);
	if (!start->may_fail)
		await_count(&manager->ready, 1);
}

/* Until it has ended; it is started again, unless the manager holds that. */
static inline void await_end(pid_t pid)
{
	int64_t end = now_ms() + PATIENCE_MS;

	while (__atomic_load_n(&manager->pid, __ATOMIC_SEQ_CST) == pid) {
		if (now_ms() > end)
			fail_msg("the server did not end");
		usleep(500);
	}
}

/* As kill -9 does; the server is ready again. */
static inline void kill_server(void)
{
	int ready = manager->ready;
	pid_t pid = manager->pid;

	kill(pid, SIGKILL);
	await_end(pid);
	if (!manager->hold)
		await_count(&manager->ready, ready + 1);
}

/* The server ends by itself, which is its exit status. */
static inline int manager_stop(void)
{
	pid_t pid = manager->pid;

	manager->hold = 1;
	kill(pid, SIGTERM);
	await_end(pid);
	kill(manager_pid, SIGKILL);
	waitpid(manager_pid, NULL, 0);
	return manager->exit_status;
}

#endif /* MANAGER_H */
