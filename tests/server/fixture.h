/* SPDX-License-Identifier: MIT */
/*
 * A server under test, started from the build folder, and clients that see the
 * bare messages. The build folder is IVSHMEM_BUILD, else that of this program or
 * the one above, else "build".
 */

#ifndef FIXTURE_H
#define FIXTURE_H

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../tap.h"

#define NOBODY		65534
#define PATIENCE_MS	20000
#define ARGS_MAX	16
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

static struct {
	char dir[64];
	char socket[108];
	char binary[PATH_MAX];
	pid_t server;
	int notify;
} fixture;

/* How a server is to be started, beside "--socket" and "--size". */
struct start {
	const char *args[ARGS_MAX];
	const char *size;
	rlim_t nofile;
	uid_t uid;
	const char *watchdog_usec;
	const char *journal_stream;
	bool pass_socket;	/* as systemd does */
	bool pass_status;
	bool may_fail;		/* do not wait for it to be ready */
};

static inline struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

static inline const char *in_dir(const char *name)
{
	static char path[16][PATH_MAX];
	static unsigned int turn;
	char *out = path[turn++ % ARRAY_SIZE(path)];

	snprintf(out, PATH_MAX, "%s/%s", fixture.dir, name);
	return out;
}

static inline int listen_at(const char *path, int type)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static inline bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

static inline int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* --- the server --- */

static inline int log_fd(void)
{
	return open(in_dir("log"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

static inline bool log_has(const char *text)
{
	static char log[1 << 20];
	int fd = log_fd();
	ssize_t length = pread(fd, log, sizeof(log) - 1, 0);

	close(fd);
	assert_true(length >= 0);
	log[length] = '\0';
	return strstr(log, text);
}

static inline void assert_log_has(const char *text)
{
	int64_t end = now_ms() + PATIENCE_MS;

	while (!log_has(text)) {
		if (now_ms() > end)
			fail_msg("no \"%s\" in the log", text);
		usleep(5000);
	}
}

/* Until the server tells the service manager this; false after a while. */
static inline bool notified(const char *text)
{
	struct pollfd input = { .fd = fixture.notify, .events = POLLIN };
	char message[512];
	ssize_t length;

	while (poll(&input, 1, PATIENCE_MS) == 1) {
		length = recv(fixture.notify, message, sizeof(message) - 1, 0);
		if (length <= 0)
			return false;
		message[length] = '\0';
		if (strstr(message, text))
			return true;
	}
	return false;
}

static inline void pass_sockets(const struct start *start)
{
	char pid[16];
	int fds[2] = { -1, -1 };

	fds[0] = fcntl(listen_at(fixture.socket, SOCK_STREAM), F_DUPFD, 10);
	if (start->pass_status)
		fds[1] = fcntl(listen_at(in_dir("given.status"), SOCK_STREAM), F_DUPFD, 10);
	dup2(fds[0], 3);
	close(fds[0]);
	if (start->pass_status) {
		dup2(fds[1], 4);
		close(fds[1]);
	}
	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", start->pass_status ? "2" : "1", 1);
	setenv("LISTEN_FDNAMES", start->pass_status ? "peers:status" : "peers", 1);
}

static inline void exec_server(const struct start *start)
{
	const char *argv[ARGS_MAX + 8] = { "ivshmem", "serve" };
	struct rlimit limit = { start->nofile, start->nofile };
	int argc = 2, i, log = log_fd();
	char pid[16];

	dup2(log, 2);
	dup2(log, 1);
	setenv("NOTIFY_SOCKET", in_dir("notify"), 1);
	unsetenv("JOURNAL_STREAM");
	if (start->journal_stream)
		setenv("JOURNAL_STREAM", start->journal_stream, 1);
	if (start->watchdog_usec) {
		snprintf(pid, sizeof(pid), "%d", getpid());
		setenv("WATCHDOG_PID", pid, 1);
		setenv("WATCHDOG_USEC", start->watchdog_usec, 1);
	}
	if (!start->pass_socket) {
		argv[argc++] = "--socket";
		argv[argc++] = fixture.socket;
	}
	argv[argc++] = "--size";
	argv[argc++] = start->size ?: "64K";
	for (i = 0; start->args[i]; i++)
		argv[argc++] = start->args[i];
	if (start->pass_socket)
		pass_sockets(start);
	if (start->nofile)
		setrlimit(RLIMIT_NOFILE, &limit);
	if (start->uid && (setgid(start->uid) || setuid(start->uid)))
		_exit(126);
	execv(fixture.binary, (char **)argv);
	_exit(127);
}

static inline void start_server(const struct start *start)
{
	fixture.server = fork();
	assert_true(fixture.server >= 0);
	if (!fixture.server)
		exec_server(start);
	if (!start->may_fail && !notified("READY=1"))
		fail_msg("the server did not start");
}

/* Its exit status; -1 where a signal ended it, or it did not end. */
static inline int await_server(void)
{
	int64_t end = now_ms() + PATIENCE_MS;
	int status = 0;
	pid_t pid;

	do {
		pid = waitpid(fixture.server, &status, WNOHANG);
		if (!pid)
			usleep(2000);
	} while (!pid && now_ms() < end);
	if (!pid) {
		print_error("# the server did not end within %d ms\n", PATIENCE_MS);
		kill(fixture.server, SIGKILL);
		waitpid(fixture.server, &status, 0);
	} else if (WIFSIGNALED(status)) {
		print_error("# the server was ended by signal %d\n", WTERMSIG(status));
	}
	fixture.server = 0;
	return pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int stop_server(int signal)
{
	kill(fixture.server, signal);
	return await_server();
}

/* --- clients --- */

static inline int connect_to(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/*
 * One message, exactly as it came. Returns 1, 0 at the end of the stream, or
 * -1 where nothing came in time. @fd is -1 without a descriptor.
 */
static inline int take_raw(int socket, uint8_t bytes[8], int *fd, int timeout_ms)
{
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { bytes, 8 };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes) };
	struct pollfd input = { .fd = socket, .events = POLLIN };
	struct cmsghdr *rights;
	ssize_t got;

	*fd = -1;
	if (poll(&input, 1, timeout_ms) != 1)
		return -1;
	got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
	if (got < 0 && errno == ECONNRESET)
		return 0;
	if (!got)
		return 0;
	assert_int_equal(got, 8);
	assert_int_equal(header.msg_flags & (MSG_CTRUNC | MSG_TRUNC), 0);
	rights = CMSG_FIRSTHDR(&header);
	if (rights) {
		assert_int_equal(rights->cmsg_type, SCM_RIGHTS);
		assert_int_equal(rights->cmsg_len, CMSG_LEN(sizeof(int)));
		memcpy(fd, CMSG_DATA(rights), sizeof(int));
	}
	return 1;
}

static inline int take(int socket, int64_t *value, int *fd, int timeout_ms)
{
	uint8_t bytes[8] = { 0 };
	uint64_t number;
	int ret = take_raw(socket, bytes, fd, timeout_ms);

	memcpy(&number, bytes, sizeof(number));
	*value = ret > 0 ? (int64_t)le64toh(number) : INT64_MIN;
	return ret;
}

static inline void assert_closed(int socket)
{
	int64_t value;
	int fd, ret;

	while ((ret = take(socket, &value, &fd, PATIENCE_MS)) > 0)
		if (fd >= 0)
			close(fd);
	assert_int_equal(ret, 0);
}

/* --- around each test --- */

/* In @folder, which is cut at its last slash. */
static inline bool is_binary_above(char *folder)
{
	char *slash = strrchr(folder, '/');

	if (!slash)
		return false;
	*slash = '\0';
	return snprintf(fixture.binary, sizeof(fixture.binary), "%s/ivshmem", folder) < PATH_MAX &&
	       !access(fixture.binary, X_OK);
}

static inline void find_binary(void)
{
	const char *build = getenv("IVSHMEM_BUILD");
	char self[PATH_MAX] = "";

	if (build) {
		snprintf(fixture.binary, sizeof(fixture.binary), "%s/ivshmem", build);
		return;
	}
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		self[0] = '\0';
	if (!is_binary_above(self) && !is_binary_above(self))
		strcpy(fixture.binary, "build/ivshmem");
}

static inline int fixture_setup(void **state)
{
	find_binary();
	strcpy(fixture.dir, "/tmp/ivshmem-test-XXXXXX");
	if (!mkdtemp(fixture.dir) || chmod(fixture.dir, 0777))
		return -1;
	snprintf(fixture.socket, sizeof(fixture.socket), "%s/s", fixture.dir);
	fixture.server = 0;
	fixture.notify = listen_at(in_dir("notify"), SOCK_DGRAM);
	chmod(in_dir("notify"), 0666);
	return 0;
}

static inline int remove_entry(const char *path, const struct stat *st, int type,
			       struct FTW *ftw)
{
	return remove(path);
}

static inline void show_log(void)
{
	char line[512];
	/* It may be a pipe. */
	FILE *log = fdopen(open(in_dir("log"), O_RDONLY | O_NONBLOCK), "r");

	while (log && fgets(line, sizeof(line), log))
		print_error("# %s", line);
	if (log)
		fclose(log);
}

/* A server that a test leaves running must end well, without a leak. */
static inline int fixture_teardown(void **state)
{
	int status = fixture.server ? stop_server(SIGTERM) : 0, fd;

	for (fd = 3; fd < 20000; fd++)
		close(fd);
	if (status) {
		print_error("# the server ended with status %d\n", status);
		show_log();
	}
	nftw(fixture.dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	return status ? -1 : 0;
}

static inline void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static inline int run(const char *name, const struct CMUnitTest *tests, size_t count)
{
	signal(SIGPIPE, SIG_IGN);
	raise_descriptor_limit();
	return tap_run(name, tests, count);
}

#endif /* FIXTURE_H */
