// SPDX-License-Identifier: MIT
/*
 * Questions of 64 bytes and their answers, between two processes on processors 0 and 1. All
 * take turns in each round.
 *
 * Prints "ask/LINK/QUESTION/ANSWER/median NANOSECONDS" of a round trip, and so for p99, of
 * the links
 *	line	a cache line of each end, in memory that both have, the limit
 *	SIZE	a channel whose rings fill a region of that size, such as 8M
 *
 * Use: questions ROUNDS FOLDER
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "bench.h"
#include "check.h"

#define FOR_EVER	(-1)
#define WARM_UP		2000
#define TRIPS		20000
#define QUESTION	64
#define LINE		64
#define PAGE		4096
#define LARGE		(2ull << 20)

static const char *const sizes[] = { "256K", "1M", "8M", "64M" };
static const uint64_t bytes[] = { 256 << 10, 1 << 20, 8 << 20, 64 << 20 };
static const size_t answers[] = { 64, 4 };

#define REGIONS		(sizeof(sizes) / sizeof(sizes[0]))

static uint64_t times[TRIPS];
static char message[LINE], *lines;

/**
 * struct link - What an end has of a way to the other and back.
 * @channel: NULL: it is by two lines.
 * @own: The line that this end writes; its first word counts.
 * @other: That of the other end.
 */
struct link {
	const char *name;
	struct ivshmem_channel *channel;
	char *own;
	const char *other;
	uint64_t sent, received;
};

static void send_one(struct link *link, size_t length)
{
	uint64_t *turn = (uint64_t *)link->own;

	if (link->channel) {
		check("send", ivshmem_channel_send(link->channel, message, length, FOR_EVER));
		return;
	}
	if (length > sizeof(*turn))
		memcpy(link->own + sizeof(*turn), message, length - sizeof(*turn));
	__atomic_store_n(turn, ++link->sent, __ATOMIC_RELEASE);
}

static void receive(struct link *link, size_t length)
{
	const uint64_t *turn = (const uint64_t *)link->other;

	if (link->channel) {
		check("recv", ivshmem_channel_recv(link->channel, message, length, FOR_EVER));
		return;
	}
	link->received++;
	while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) != link->received)
		;
	if (length > sizeof(*turn))
		memcpy(message, link->other + sizeof(*turn), length - sizeof(*turn));
}

static void measure(struct link *link, size_t answer)
{
	uint64_t cost = clock_cost(), last = 0, now;
	unsigned int i;

	for (i = 0; i < WARM_UP + TRIPS; i++) {
		if (i == WARM_UP)
			last = now_ns();
		send_one(link, QUESTION);
		receive(link, answer);
		if (i < WARM_UP)
			continue;
		now = now_ns();
		times[i - WARM_UP] = now - last > cost ? now - last - cost : 0;
		last = now;
	}
	qsort(times, TRIPS, sizeof(times[0]), compare);
	printf("ask/%s/%d/%zu/median %llu\n", link->name, QUESTION, answer,
	       (unsigned long long)times[TRIPS / 2]);
	printf("ask/%s/%d/%zu/p99 %llu\n", link->name, QUESTION, answer,
	       (unsigned long long)times[TRIPS * 99 / 100]);
}

static void answer_all(struct link *link, size_t answer)
{
	unsigned int i;

	for (i = 0; i < WARM_UP + TRIPS; i++) {
		receive(link, QUESTION);
		send_one(link, answer);
	}
}

/* What is large begins at a multiple of 2 MiB, behind the directory. */
static void make_region(const char *folder, unsigned int which)
{
	uint64_t directory = bytes[which] < LARGE ? 4 * PAGE + bytes[which] / PAGE * 8 : LARGE;
	uint64_t ring = (bytes[which] - directory) / 2 / PAGE * PAGE;
	struct ivshmem *shm;
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, sizes[which]);
	check(path, ivshmem_create(&shm, path, bytes[which], 0600, IVSHMEM_PREALLOCATE));
	check(path, ivshmem_format(shm, "", 1, ring, 0));
	ivshmem_close(shm);
}

static struct ivshmem_channel *open_channel(const char *folder, unsigned int which, int side)
{
	struct ivshmem_channel *channel;
	struct ivshmem *shm;
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, sizes[which]);
	check(path, ivshmem_open(&shm, path, 0));
	check(path, (side ? ivshmem_channel_connect : ivshmem_channel_create)
	      (&channel, shm, "questions", 0, 30000));
	ivshmem_close(shm);
	return channel;
}

static void be_end(const char *folder, int side, unsigned long rounds)
{
	struct link links[REGIONS + 1] = { {
		.name = "line", .own = lines + side * PAGE, .other = lines + !side * PAGE,
	} };
	unsigned int i, a;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(side, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (i = 0; i < REGIONS; i++)
		links[i + 1] = (struct link) {
			.name = sizes[i], .channel = open_channel(folder, i, side),
		};
	while (rounds--)
		for (i = 0; i < REGIONS + 1; i++)
			for (a = 0; a < sizeof(answers) / sizeof(answers[0]); a++)
				(side ? answer_all : measure)(&links[i], answers[a]);
	for (i = 0; i < REGIONS; i++)
		ivshmem_channel_close(links[i + 1].channel);
}

int main(int argc, char **argv)
{
	unsigned long rounds;
	unsigned int i;
	pid_t child;
	int status;

	if (argc != 3)
		errx(2, "use: questions ROUNDS FOLDER");
	rounds = strtoul(argv[1], NULL, 10);
	lines = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (lines == MAP_FAILED)
		err(1, "lines");
	for (i = 0; i < REGIONS; i++)
		make_region(argv[2], i);
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		be_end(argv[2], 1, rounds);
		_exit(0);
	}
	be_end(argv[2], 0, rounds);
	if (waitpid(child, &status, 0) != child || status)
		errx(1, "the other end failed");
	return 0;
}
