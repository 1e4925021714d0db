// SPDX-License-Identifier: MIT
/*
 * What a join costs an ivshmem server, with so many peers there already. Acts as
 * all of them, in the bare protocol: the library's way to find the end of an
 * introduction is to wait for silence, which is not the server's time.
 *
 * Several servers, one for each number of peers, take turns in each round. One
 * vector for each peer, so a join tells each peer one message, and the newcomer
 * one of each; that it is neither more nor less is checked.
 *
 * One more server may be under attack: its peers never read, and a process connects
 * and closes in a loop while others join.
 *
 * Use: joins ROUNDS {PEERS SOCKET PID}... [attack PEERS SOCKET PID]
 * Prints once a round, PEERS being how many are there:
 *   join/PEERS/rate	joins a second, one after the other, each until the
 *			newcomer knows all
 *   join/PEERS/time	the server's processor time for one, nanoseconds
 *   leave/PEERS/time	the same for a peer that leaves
 *   peer/PEERS/rss, /pss, /fds	the server's for each peer, memory in bytes
 *   attack/PEERS/join		the mean time of a join under attack, nanoseconds
 *   attack/PEERS/longest	that of the longest one
 *   attack/PEERS/rss		memory for each of the peers that never read, bytes
 */

#include <ctype.h>
#include <dirent.h>
#include <endian.h>
#include <limits.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "bench.h"

#define PATIENCE_S	30
#define ROUND_LIMIT_S	60
#define LEVELS_MAX	8

/* Joins a round: enough for a mean, and no more than some seconds of them. */
#define JOINS_TOTAL	20000
#define JOINS_MIN	20
#define JOINS_MAX	500
#define JOINS_ATTACKED	20

struct use {
	unsigned long rss, pss, fds;
};

struct level {
	unsigned int peers;
	struct sockaddr_un address;
	unsigned int pid;
	int *crowd;
	struct use before;
};

struct newcomer {
	int socket, region;
	int64_t id;
	int *fds;
	unsigned int count;
};

static FILE *open_proc(const struct level *level, const char *name)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/%s", level->pid, name);
	file = fopen(path, "re");
	if (!file)
		err(1, "%s", path);
	return file;
}

static unsigned long count_fds(const struct level *level)
{
	unsigned long count = 0;
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%u/fd", level->pid);
	dir = opendir(path);
	if (!dir)
		err(1, "%s", path);
	while ((entry = readdir(dir)))
		count += !!isdigit((unsigned char)*entry->d_name);
	closedir(dir);
	return count;
}

static struct use get_use(const struct level *level)
{
	struct use use = { .fds = count_fds(level) };
	FILE *file = open_proc(level, "smaps_rollup");
	bool found = false;
	char line[256];

	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Rss: %lu", &use.rss) != 1 &&
		    sscanf(line, "Pss: %lu", &use.pss) == 1)
			found = true;
	fclose(file);
	if (!found)
		errx(1, "/proc/%u/smaps_rollup: not understood", level->pid);
	return use;
}

/* Waits until the server sleeps: what it was woken for is done then. */
static void settle(const struct level *level)
{
	char state = '?';
	FILE *file;

	while (state != 'S') {
		file = open_proc(level, "stat");
		if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			errx(1, "/proc/%u/stat: not understood", level->pid);
		fclose(file);
	}
}

static uint64_t processor_time(const struct level *level)
{
	unsigned long long nanoseconds;
	FILE *file;

	settle(level);
	file = open_proc(level, "schedstat");
	if (fscanf(file, "%llu", &nanoseconds) != 1)
		errx(1, "/proc/%u/schedstat: not understood", level->pid);
	fclose(file);
	return nanoseconds;
}

/* The next message, and its descriptor or -1. */
static int64_t receive(int socket, int *fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	uint64_t value;
	struct iovec iov = { &value, sizeof(value) };
	struct msghdr header = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.bytes, .msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *rights;
	ssize_t got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_WAITALL);

	if (got < 0)
		err(1, "a peer's socket");
	if (got != sizeof(value) || header.msg_flags & MSG_CTRUNC)
		errx(1, got ? "a message was cut" : "the server closed a peer's socket");
	rights = CMSG_FIRSTHDR(&header);
	*fd = -1;
	if (rights)
		memcpy(fd, CMSG_DATA(rights), sizeof(*fd));
	return (int64_t)le64toh(value);
}

static int connect_to(const struct level *level)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    connect(fd, (struct sockaddr *)&level->address, sizeof(level->address)))
		err(1, "%s", level->address.sun_path);
	return fd;
}

/* Until its own vector has come, which is the last that a newcomer is told. */
static struct newcomer join(const struct level *level, unsigned int others)
{
	struct newcomer peer = { .fds = calloc(others + 1, sizeof(int)) };
	int64_t value;
	int fd;

	if (!peer.fds)
		err(1, "calloc");
	peer.socket = connect_to(level);
	if (receive(peer.socket, &fd) != 0 || fd >= 0)
		errx(1, "the server speaks another version");
	peer.id = receive(peer.socket, &fd);
	if (receive(peer.socket, &peer.region) != -1 || peer.region < 0)
		errx(1, "the server gave no region");
	do {
		value = receive(peer.socket, &fd);
		if (fd < 0 || peer.count > others)
			errx(1, "the newcomer was told of more peers than there are");
		peer.fds[peer.count++] = fd;
	} while (value != peer.id);
	if (peer.count != others + 1)
		errx(1, "the newcomer was told of %u peers, not %u", peer.count - 1, others);
	return peer;
}

static void forget(struct newcomer *peer)
{
	while (peer->count)
		close(peer->fds[--peer->count]);
	close(peer->region);
	free(peer->fds);
}

static void leave(struct newcomer *peer)
{
	close(peer->socket);
	forget(peer);
}

/*
 * Each of the crowd takes one message, which must be about @id. Descriptors are
 * left to the kernel, which drops them where there is no room for them.
 */
static void crowd_takes(const struct level *level, unsigned int count, int64_t id)
{
	uint64_t value;
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (recv(level->crowd[i], &value, sizeof(value), MSG_WAITALL) != sizeof(value))
			err(1, "a peer was told nothing");
		if ((int64_t)le64toh(value) != id)
			errx(1, "a peer was told of another than the one it was about");
	}
}

static void crowd_was_told_once(const struct level *level)
{
	unsigned int i;
	char byte;

	for (i = 0; i < level->peers; i++)
		if (recv(level->crowd[i], &byte, sizeof(byte), MSG_DONTWAIT) >= 0)
			errx(1, "a peer was told more than once");
}

static void gather_crowd(struct level *level)
{
	struct newcomer peer;
	unsigned int i;

	settle(level);
	level->before = get_use(level);
	level->crowd = calloc(level->peers, sizeof(*level->crowd));
	if (!level->crowd)
		err(1, "calloc");
	for (i = 0; i < level->peers; i++) {
		peer = join(level, i);
		crowd_takes(level, i, peer.id);
		level->crowd[i] = peer.socket;
		forget(&peer);
	}
}

static void measure_joins(const struct level *level)
{
	unsigned int joins = JOINS_TOTAL / level->peers, i;
	uint64_t join_ns = 0, joining_ns = 0, leaving_ns = 0;
	uint64_t start, before, between;
	struct newcomer peer;

	joins = joins < JOINS_MIN ? JOINS_MIN : joins > JOINS_MAX ? JOINS_MAX : joins;
	for (i = 0; i < joins; i++) {
		before = processor_time(level);
		start = now_ns();
		peer = join(level, level->peers);
		join_ns += now_ns() - start;
		crowd_takes(level, level->peers, peer.id);
		between = processor_time(level);
		leave(&peer);
		crowd_takes(level, level->peers, peer.id);
		joining_ns += between - before;
		leaving_ns += processor_time(level) - between;
	}
	crowd_was_told_once(level);
	printf("join/%u/rate %.1f\n", level->peers, joins * 1e9 / join_ns);
	printf("join/%u/time %lu\n", level->peers, (unsigned long)(joining_ns / joins));
	printf("leave/%u/time %lu\n", level->peers, (unsigned long)(leaving_ns / joins));
}

/* What it has more than before the peers came. */
static void report_use(const struct level *level, const char *what, long before, long now)
{
	printf("peer/%u/%s %.2f\n", level->peers, what, (now - before) / (double)level->peers);
}

static void measure_use(const struct level *level)
{
	const struct use *before = &level->before;
	struct use now = get_use(level);

	report_use(level, "rss", 1024 * before->rss, 1024 * now.rss);
	report_use(level, "pss", 1024 * before->pss, 1024 * now.pss);
	report_use(level, "fds", before->fds, now.fds);
}

/* They are asked for nothing but to be there. */
static void gather_attackers(struct level *level)
{
	unsigned int i;

	settle(level);
	level->before = get_use(level);
	level->crowd = calloc(level->peers, sizeof(*level->crowd));
	if (!level->crowd)
		err(1, "calloc");
	for (i = 0; i < level->peers; i++)
		level->crowd[i] = connect_to(level);
	settle(level);
}

static void connect_and_close(const struct level *level)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		close(connect_to(level));
}

/* A newcomer must know all attackers, and may know of those that come and go. */
static void join_attacked(const struct level *level)
{
	struct newcomer peer = { .fds = calloc(2 * level->peers, sizeof(int)) };
	int64_t value;
	int fd;

	if (!peer.fds)
		err(1, "calloc");
	peer.socket = connect_to(level);
	receive(peer.socket, &fd);
	peer.id = receive(peer.socket, &fd);
	receive(peer.socket, &peer.region);
	do {
		value = receive(peer.socket, &fd);
		if (fd >= 0 && peer.count == 2 * level->peers)
			errx(1, "the newcomer was told of more peers than there are");
		if (fd >= 0)
			peer.fds[peer.count++] = fd;
	} while (value != peer.id);
	if (peer.count <= level->peers)
		errx(1, "the newcomer was told of %u peers", peer.count - 1);
	leave(&peer);
}

static void measure_attack(const struct level *level)
{
	uint64_t start, took, total = 0, longest = 0;
	pid_t attacker;
	unsigned int i;

	attacker = fork();
	if (attacker < 0)
		err(1, "fork");
	if (!attacker)
		connect_and_close(level);
	for (i = 0; i < JOINS_ATTACKED; i++) {
		start = now_ns();
		join_attacked(level);
		took = now_ns() - start;
		total += took;
		longest = took > longest ? took : longest;
	}
	kill(attacker, SIGKILL);
	waitpid(attacker, NULL, 0);
	printf("attack/%u/join %lu\n", level->peers, (unsigned long)(total / JOINS_ATTACKED));
	printf("attack/%u/longest %lu\n", level->peers, (unsigned long)longest);
	printf("attack/%u/rss %.2f\n", level->peers,
	       1024.0 * (get_use(level).rss - level->before.rss) / level->peers);
}

static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		err(1, "getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		err(1, "setrlimit");
}

static unsigned int parse(const char *text)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (!isdigit((unsigned char)*text) || *end || !number || number > INT_MAX)
		errx(2, "%s: not a number of rounds or peers, nor a process", text);
	return number;
}

static void parse_level(struct level *level, char **argv)
{
	level->peers = parse(argv[0]);
	level->address.sun_family = AF_UNIX;
	if (strlen(argv[1]) >= sizeof(level->address.sun_path))
		errx(2, "%s: too long a path for a socket", argv[1]);
	strcpy(level->address.sun_path, argv[1]);
	level->pid = parse(argv[2]);
}

int main(int argc, char **argv)
{
	struct level levels[LEVELS_MAX] = { 0 };
	bool attack = argc > 5 && !strcmp(argv[argc - 4], "attack");
	unsigned int rounds, count = (argc - 2 - attack) / 3, i;
	struct level attacked = { 0 };

	if (argc < 5 || (argc - 2 - attack) % 3 || count > LEVELS_MAX)
		errx(2, "use: joins ROUNDS {PEERS SOCKET PID}... [attack PEERS SOCKET PID]");
	count -= attack;
	rounds = parse(argv[1]);
	alarm(ROUND_LIMIT_S * (rounds + 1));
	raise_limit();
	for (i = 0; i < count; i++) {
		parse_level(&levels[i], argv + 2 + 3 * i);
		gather_crowd(&levels[i]);
	}
	if (attack) {
		parse_level(&attacked, argv + argc - 3);
		gather_attackers(&attacked);
	}
	while (rounds--) {
		for (i = 0; i < count; i++) {
			measure_joins(&levels[i]);
			measure_use(&levels[i]);
		}
		if (attack)
			measure_attack(&attacked);
	}
	return 0;
}
