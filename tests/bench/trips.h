/* SPDX-License-Identifier: MIT */
/*
 * Round trips of 64 bytes over links of any kind. One side sends and measures,
 * the other answers with each bit inverted, so both must go through the same
 * links in the same order. Prints "rtt/LINK/median NANOSECONDS", and so for p99
 * and p999.
 */

#ifndef TRIPS_H
#define TRIPS_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "bench.h"

#define WORDS		8

struct ivshmem;
struct ivshmem_channel;

struct message {
	uint64_t word[WORDS];
};

_Static_assert(sizeof(struct message) == 64, "one cache line");

/**
 * struct link - One way from this side to the other and back.
 * @name: Its name in the results.
 * @warm_up: Trips before those that count.
 * @trips: Trips that count.
 * @send: Send @words words, of which word 0 need not arrive as it is.
 * @receive: Wait for as many.
 * @words: Of struct message.
 * @fd: Where it sends to; for a stream, where it receives from as well.
 * @from: Eventfd that it waits for.
 * @line: Cache line of the region. Word 0 may say whose turn it is.
 * @turn: What word 0 is to be next.
 * @shm: Region with a doorbell.
 * @peer: Peer that is rung.
 * @vector: Vector of both ends.
 * @channel: This end of a channel.
 * @busy_us: How long this end looks for a ring before it sleeps.
 */
struct link {
	const char *name;
	unsigned int warm_up, trips;
	void (*send)(struct link *link, const struct message *message);
	void (*receive)(struct link *link, struct message *message);
	unsigned int words;
	int fd, from;
	struct message *line;
	uint64_t turn;
	struct ivshmem *shm;
	struct ivshmem_channel *channel;
	unsigned int peer, vector, busy_us;
};

static const char *volatile waiting_for = "start";

static inline void time_is_up(int signal)
{
	static const char text[] = "bench: time is up while waiting for: ";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ||
	    write(STDERR_FILENO, waiting_for, strlen(waiting_for)) < 0 ||
	    write(STDERR_FILENO, "\n", 1) < 0)
		_exit(2);
	_exit(1);
}

static inline void stream_send(struct link *link, const struct message *message)
{
	const char *from = (const char *)message;
	size_t done = 0;
	ssize_t part;

	for (; done < sizeof(*message); done += part) {
		part = write(link->fd, from + done, sizeof(*message) - done);
		if (part < 0)
			err(1, "%s: write", link->name);
	}
}

static inline void stream_receive(struct link *link, struct message *message)
{
	char *to = (char *)message;
	size_t done = 0;
	ssize_t part;

	for (; done < sizeof(*message); done += part) {
		part = read(link->fd, to + done, sizeof(*message) - done);
		if (part < 0)
			err(1, "%s: read", link->name);
		if (!part)
			errx(1, "%s: the other side is gone", link->name);
	}
}

static inline void set_no_delay(int fd)
{
	int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		err(1, "tcp: TCP_NODELAY");
}

static inline int listen_on_loopback(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)&address, &length))
		err(1, "tcp: listen on 127.0.0.1");
	printf("port %d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static inline int accept_guest(int listener)
{
	int fd;

	waiting_for = "the guest's TCP connection";
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		err(1, "tcp: accept");
	close(listener);
	set_no_delay(fd);
	return fd;
}

static inline int connect_to_host(const char *host, const char *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(strtoul(port, NULL, 10)),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1)
		errx(1, "tcp: no socket for %s", host);
	waiting_for = "the TCP connection to the host";
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "tcp: connect to %s:%s", host, port);
	set_no_delay(fd);
	return fd;
}

static inline int connect_to_serial(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		errx(1, "%s: too long a path for a socket", path);
	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "serial: %s", path);
	return fd;
}

static inline void report(const struct link *link, uint64_t *times)
{
	qsort(times, link->trips, sizeof(*times), compare);
	printf("rtt/%s/median %lu\n", link->name, (unsigned long)times[link->trips / 2]);
	printf("rtt/%s/p99 %lu\n", link->name, (unsigned long)times[link->trips * 99ul / 100]);
	printf("rtt/%s/p999 %lu\n", link->name, (unsigned long)times[link->trips * 999ul / 1000]);
}

static inline uint64_t ping(struct link *link, uint64_t number)
{
	struct message message, answer;
	uint64_t start, end;
	unsigned int i;

	for (i = 0; i < link->words; i++)
		message.word[i] = number * WORDS + i;
	start = now_ns();
	link->send(link, &message);
	link->receive(link, &answer);
	end = now_ns();
	for (i = 1; i < link->words; i++)
		if (answer.word[i] != ~message.word[i])
			errx(1, "%s: trip %lu came back wrong", link->name, (unsigned long)number);
	return end - start;
}

static inline void measure(struct link *link)
{
	uint64_t *times = calloc(link->trips, sizeof(*times));
	unsigned int i;

	if (!times)
		err(1, "calloc");
	waiting_for = link->name;
	for (i = 0; i < link->warm_up; i++)
		ping(link, i);
	for (i = 0; i < link->trips; i++)
		times[i] = ping(link, i);
	report(link, times);
	free(times);
}

static inline void answer(struct link *link)
{
	struct message message;
	unsigned int i, w;

	waiting_for = link->name;
	for (i = 0; i < link->warm_up + link->trips; i++) {
		link->receive(link, &message);
		for (w = 0; w < link->words; w++)
			message.word[w] = ~message.word[w];
		link->send(link, &message);
	}
}

static inline void set_time_limit(unsigned int seconds)
{
	struct sigaction action = { .sa_handler = time_is_up };

	sigaction(SIGALRM, &action, NULL);
	alarm(seconds);
}

/* Between two processes: @answering is the link of one that dies with this one. */
static inline void measure_pair(struct link *asking, struct link *answering, unsigned int seconds)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		err(1, "fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		set_time_limit(seconds);
		answer(answering);
		_exit(0);
	}
	measure(asking);
	if (waitpid(child, &status, 0) != child || status)
		errx(1, "%s: the answering process failed", asking->name);
}

#endif /* TRIPS_H */
