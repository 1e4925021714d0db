/* SPDX-License-Identifier: MIT */
/*
 * A server that says exactly what a test has written down for it: to the first
 * client, in a thread, any bytes with any descriptors. Once the client has been
 * introduced, the test goes on talking with tell().
 */

#ifndef FAKE_SERVER_H
#define FAKE_SERVER_H

#include "fixture.h"

#include <endian.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define NO_FD		(-1)
#define ME		7	/* the ID that the server gives, mostly */
#define MAX_STEP_FDS	253
#define STEP_BYTES	16

struct step {
	unsigned char bytes[STEP_BYTES];
	size_t length;
	int fds[MAX_STEP_FDS];
	size_t fd_count;
	int pause_ms;	/* before it */
};

static struct fake_server {
	char where[PATH_MAX];
	struct sockaddr_un address;
	int listener;
	int client;
	bool runs;
	bool hangs_up;
	int losses;	/* connections that are closed before, without a word */
	pthread_t thread;
	struct step *steps;
	size_t step_count;
	int *owned;	/* descriptors of the test, closed at its end */
	size_t owned_count;
} server = { .listener = -1, .client = -1 };

static inline int own(int fd)
{
	assert_true(fd >= 0);
	server.owned = realloc(server.owned, (server.owned_count + 1) * sizeof(int));
	assert_non_null(server.owned);
	server.owned[server.owned_count++] = fd;
	return fd;
}

static inline int make_event(void)
{
	return own(eventfd(0, EFD_CLOEXEC));
}

static inline int make_region(off_t size)
{
	int fd = own(memfd_create("region", MFD_CLOEXEC));

	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static inline struct step *add_step(const void *bytes, size_t length)
{
	struct step *step;

	/* Room doubles: whenever the count is a power of two, it is used up. */
	if (!(server.step_count & (server.step_count - 1))) {
		server.steps = realloc(server.steps,
				       (2 * server.step_count + 1) * sizeof(*step));
		assert_non_null(server.steps);
	}
	step = &server.steps[server.step_count++];
	memset(step, 0, sizeof(*step));
	memcpy(step->bytes, bytes, length);
	step->length = length;
	return step;
}

static inline void add_fd(struct step *step, int fd)
{
	if (fd != NO_FD)
		step->fds[step->fd_count++] = fd;
}

static inline void say(int64_t value, int fd)
{
	uint64_t message = htole64((uint64_t)value);

	add_fd(add_step(&message, sizeof(message)), fd);
}

/* The first three messages. */
static inline void say_hello(int region)
{
	say(0, NO_FD);
	say(ME, NO_FD);
	say(-1, region);
}

static inline void say_vectors(int64_t peer, int count)
{
	while (count--)
		say(peer, make_event());
}

/* Its number of bytes; 0 once the client is gone. */
static inline size_t send_step(const struct step *step)
{
	union {
		char bytes[CMSG_SPACE(MAX_STEP_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec data = { (void *)step->bytes, step->length };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
	struct cmsghdr *rights;
	ssize_t sent;

	if (step->fd_count) {
		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(step->fd_count * sizeof(int));
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(step->fd_count * sizeof(int));
		memcpy(CMSG_DATA(rights), step->fds, step->fd_count * sizeof(int));
	}
	do {
		sent = sendmsg(server.client, &header, MSG_NOSIGNAL);
	} while (sent < 0 && errno == ETOOMANYREFS && !usleep(1000));
	return sent == (ssize_t)step->length ? step->length : 0;
}

static inline void *play(void *unused)
{
	size_t i;

	for (; server.losses; server.losses--)
		close(accept4(server.listener, NULL, NULL, SOCK_CLOEXEC));
	server.client = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC);
	for (i = 0; i < server.step_count; i++) {
		poll(NULL, 0, server.steps[i].pause_ms);
		if (!send_step(&server.steps[i]))
			break;
	}
	if (server.hangs_up)
		shutdown(server.client, SHUT_RDWR);
	return NULL;
}

static inline void listen_at(const char *path)
{
	server.address.sun_family = AF_UNIX;
	assert_true(strlen(path) < sizeof(server.address.sun_path));
	strcpy(server.address.sun_path, path);
	snprintf(server.where, sizeof(server.where), "unix:%s", path);
	server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(server.listener >= 0);
	assert_int_equal(bind(server.listener, (struct sockaddr *)&server.address,
			      sizeof(server.address)), 0);
	assert_int_equal(listen(server.listener, 1), 0);
}

static inline void start_server(void)
{
	if (server.listener < 0)
		listen_at(in_shm("socket"));
	assert_int_equal(pthread_create(&server.thread, NULL, play, NULL), 0);
	server.runs = true;
}

/* For a thread that never got a client: it must not wait for one for ever. */
static inline void finish_server(void)
{
	if (!server.runs)
		return;
	shutdown(server.listener, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	server.runs = false;
}

static inline void hang_up(void)
{
	finish_server();
	if (server.client >= 0)
		close(server.client);
	server.client = -1;
}

static inline void stop_server(void)
{
	size_t i;

	/* After a failed test it may be talking to a client that takes nothing any more. */
	if (server.client >= 0)
		shutdown(server.client, SHUT_RDWR);
	hang_up();
	if (server.listener >= 0) {
		close(server.listener);
		unlink(server.address.sun_path);
	}
	for (i = 0; i < server.owned_count; i++)
		close(server.owned[i]);
	free(server.owned);
	free(server.steps);
	server = (struct fake_server){ .listener = -1, .client = -1 };
}

/* Plays what was said so far to a client that is let in. */
static inline struct ivshmem *join(unsigned int flags)
{
	struct ivshmem *shm;

	start_server();
	shm = open_region(server.where, flags);
	finish_server();
	server.step_count = 0;
	return shm;
}

/* The same to one that comes again, after hang_up(). Returns what ivshmem_rejoin() does. */
static inline int rejoin(struct ivshmem *shm)
{
	char path[sizeof(server.address.sun_path)];
	int ret;

	strcpy(path, server.address.sun_path);
	close(server.listener);
	unlink(path);
	listen_at(path);
	start_server();
	ret = ivshmem_rejoin(shm);
	finish_server();
	server.step_count = 0;
	return ret;
}

/* A region, and @vectors of its only peer. */
static inline struct ivshmem *join_alone(int vectors)
{
	say_hello(make_region(MIB));
	say_vectors(ME, vectors);
	return join(0);
}

/* Says the rest of the script, or one message, to the client that is there. */
static inline void tell_all(void)
{
	size_t i;

	for (i = 0; i < server.step_count; i++)
		assert_true(send_step(&server.steps[i]) > 0);
	server.step_count = 0;
}

static inline void tell(int64_t value, int fd)
{
	say(value, fd);
	tell_all();
}

static inline void tell_bytes(const void *bytes, size_t length, int fd)
{
	add_fd(add_step(bytes, length), fd);
	tell_all();
}

static inline int server_teardown(void **state)
{
	stop_server();
	return fixture_teardown(state);
}

#define PEER_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, server_teardown)

#endif /* FAKE_SERVER_H */
