// SPDX-License-Identifier: MIT
/*
 * Questions to a program that waits for many channels with one wait set, and its answers. The
 * client is a process of its own, and asks by one channel after the other, in random order.
 *
 * Prints, for CHANNELS in the set, 0 for one channel without a set:
 *	ask/HOW/CHANNELS/busy NANOSECONDS	until the answer, one question after the other
 *	ask/HOW/CHANNELS/rare NANOSECONDS	the same while the server sleeps before each
 *	sleeps/HOW/CHANNELS/rare COUNT		how often the server slept for each of these
 *
 * Use: waitsets HOW WHERE CHANNELS QUESTIONS; WHERE is formatted
 */
#include <signal.h>
#include <stdio.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "bench.h"
#include "check.h"

#define MOST		2000
#define FOR_EVER	(-1)
#define ASLEEP_US	300
#define WARM_UP		500

static struct ivshmem_channel *channels[MOST];
static struct ivshmem_waitset *set;

/* What the client says: ask again, or that a part begins or is over. */
enum { QUESTION = 8, BEGIN = 1, END = 2 };

static void use_processor(int processor)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(processor, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		err(1, "sched_setaffinity");
}

static void open_channels(struct ivshmem *shm, unsigned int count, enum ivshmem_end end)
{
	unsigned int i;
	char name[16];

	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		check(name, ivshmem_channel_begin(&channels[i], shm, name, end, 0));
	}
	for (i = 0; i < count; i++)
		check("finish", ivshmem_channel_finish(channels[i], FOR_EVER));
}

static struct ivshmem_channel *wait_for_question(void)
{
	struct ivshmem_ready ready;

	if (!set)
		return channels[0];
	check("wait", ivshmem_waitset_wait(set, &ready, 1, FOR_EVER));
	return ready.data;
}

static double count_sleeps(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_nvcsw;
}

static void serve(const char *how, struct ivshmem *shm, unsigned int count, unsigned int questions)
{
	struct ivshmem_channel *channel;
	char message[QUESTION];
	double sleeps = 0;
	unsigned int i;
	ssize_t length;

	open_channels(shm, count ? count : 1, IVSHMEM_END_CREATOR);
	if (count)
		check("open", ivshmem_waitset_open(&set, shm));
	for (i = 0; i < count; i++)
		check("add", ivshmem_waitset_add_channel(set, channels[i], IVSHMEM_CAN_RECV, 0,
							 channels[i]));
	for (;;) {
		channel = wait_for_question();
		length = ivshmem_channel_recv(channel, message, sizeof(message), FOR_EVER);
		check("recv", length);
		check("send", ivshmem_channel_send(channel, message, 4, FOR_EVER));
		if (length == BEGIN)
			sleeps = count_sleeps();
		if (length == END)
			break;
	}
	printf("sleeps/%s/%u/rare %.3f\n", how, count, (count_sleeps() - sleeps) / questions);
}

static double ask(struct ivshmem_channel *channel, size_t length)
{
	static const char message[QUESTION];
	uint64_t start = now_ns();
	char answer[4];

	check("send", ivshmem_channel_send(channel, message, length, FOR_EVER));
	check("recv", ivshmem_channel_recv(channel, answer, sizeof(answer), FOR_EVER));
	return (double)(now_ns() - start);
}

static double ask_all(unsigned int count, unsigned int questions, unsigned int pause_us)
{
	double *times = calloc(questions, sizeof(*times)), median;
	unsigned int i;

	if (!times)
		err(1, "calloc");
	for (i = 0; i < questions; i++) {
		if (pause_us)
			usleep(pause_us);
		times[i] = ask(channels[(unsigned int)rand() % count], QUESTION);
	}
	median = median_of(times, questions);
	free(times);
	return median;
}

int main(int argc, char **argv)
{
	unsigned int count, questions;
	struct ivshmem *shm;
	pid_t server;
	int status;

	if (argc != 5)
		errx(2, "use: waitsets HOW WHERE CHANNELS QUESTIONS");
	count = (unsigned int)atoi(argv[3]);
	questions = (unsigned int)atoi(argv[4]);
	if (count > MOST || !questions)
		errx(2, "at most %d channels, and one question", MOST);
	server = fork();
	if (server < 0)
		err(1, "fork");
	if (!server)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	use_processor(server ? 0 : 1);
	check(argv[2], ivshmem_open(&shm, argv[2], 0));
	if (!server) {
		serve(argv[1], shm, count, questions);
		return 0;
	}
	open_channels(shm, count ? count : 1, IVSHMEM_END_CONNECTOR);
	ask_all(count ? count : 1, WARM_UP, 0);
	printf("ask/%s/%u/busy %.0f\n", argv[1], count, ask_all(count ? count : 1, questions, 0));
	ask(channels[0], BEGIN);
	printf("ask/%s/%u/rare %.0f\n", argv[1], count,
	       ask_all(count ? count : 1, questions, ASLEEP_US));
	fflush(stdout);
	ask(channels[0], END);
	if (waitpid(server, &status, 0) != server || status)
		errx(1, "the server has failed");
	return 0;
}
