// SPDX-License-Identifier: MIT
/*
 * Round trips between two processes, on processors 0 and 1, of which half is one way. Who
 * receives reads a word of each cache line of the message, whether it lies in place or was
 * copied.
 *
 * Use: PEER, prints for each LENGTH "way/PEER/LENGTH/median NANOSECONDS", and so for p99
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../bench.h"
#include "peer.h"

#define WARM_UP		1000
#define TIME_LIMIT_S	60
#define LINE		64

static const size_t lengths[] = { 8, 64, 8192 };
static const unsigned int trips[] = { 20000, 20000, 4000 };
static uint64_t times[20000];
static char message[1 << 20] __attribute__((aligned(4096)));

char peer_buffer[1 << 20] __attribute__((aligned(4096)));

void *peer_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		err(1, "%s: memory", peer.name);
	return memory;
}

static void run_on(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* All of it has to come here. */
static void receive(size_t length)
{
	const char *text = (const char *)peer.receive(length);
	uint64_t sum = 0, word;
	size_t at;

	for (at = 0; at < length; at += LINE) {
		memcpy(&word, text + at, sizeof(word));
		sum += word;
	}
	__asm__ volatile("" : : "r"(sum) : "memory");
	if (peer.done)
		peer.done();
}

static void measure(size_t length, unsigned int count)
{
	uint64_t cost = clock_cost(), last = 0, now;
	unsigned int i;

	for (i = 0; i < WARM_UP + count; i++) {
		if (i == WARM_UP)
			last = now_ns();
		peer.send(message, length);
		receive(length);
		if (i < WARM_UP)
			continue;
		now = now_ns();
		times[i - WARM_UP] = now - last > cost ? now - last - cost : 0;
		last = now;
	}
	qsort(times, count, sizeof(times[0]), compare);
	printf("way/%s/%zu/median %.1f\n", peer.name, length, (double)times[count / 2] / 2);
	printf("way/%s/%zu/p99 %.1f\n", peer.name, length,
	       (double)times[(size_t)count * 99 / 100] / 2);
	fflush(stdout);
}

static void answer(size_t length, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < WARM_UP + count; i++) {
		receive(length);
		peer.send(message, length);
	}
}

static void be_end(int side, size_t length, unsigned int count)
{
	alarm(TIME_LIMIT_S);
	run_on(side);
	if (peer.open)
		peer.open(side, length);
	if (side)
		answer(length, count);
	else
		measure(length, count);
	if (peer.close)
		peer.close();
}

/* Both ends are children, so that each starts with nothing that an earlier one has left. */
static void run(size_t length, unsigned int count)
{
	pid_t ends[2];
	int side, status;

	if (peer.make)
		peer.make(length);
	for (side = 0; side < 2; side++) {
		ends[side] = fork();
		if (ends[side] < 0)
			err(1, "fork");
		if (!ends[side]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			be_end(side, length, count);
			exit(0);
		}
	}
	for (side = 0; side < 2; side++)
		if (waitpid(ends[side], &status, 0) != ends[side] || status)
			errx(1, "%s: an end failed with messages of %zu bytes", peer.name, length);
}

int main(void)
{
	size_t i;

	memset(message, 0x5a, sizeof(message));
	memset(peer_buffer, 0, sizeof(peer_buffer));
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		run(lengths[i], trips[i]);
	return 0;
}
