// SPDX-License-Identifier: MIT
/*
 * Rings back and forth between two peers, one at a time:
 *
 *   rounds WHERE PEER VECTOR ROUNDS	ring, and wait for the answer
 *   rounds WHERE --echo VECTOR		answer until nobody has rung for 10 seconds
 *
 * The answer goes to the peer that the first word of the region names, less one;
 * the asking end writes it there. It comes on the same vector. A ring that is lost,
 * once there was an answer, is a timeout, and a failure. The asking end prints p50, p99, p99.9
 * and the longest round trip in nanoseconds, the answering one its peer ID.
 */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ivshmem.h>

#define TIMEOUT_MS	10000
#define TRY_MS		1000

static int fail(const char *what, int error)
{
	fprintf(stderr, "rounds: %s: %s\n", what, ivshmem_strerror(error));
	return 1;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * UINT64_C(1000000000) + time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The end of the connection to the server is told once; peers go on ringing each other. */
static int wait_for_ring(struct ivshmem *shm, unsigned int vector)
{
	int ret = ivshmem_wait(shm, vector, TIMEOUT_MS);

	return ret == -ECONNRESET ? ivshmem_wait(shm, vector, TIMEOUT_MS) : ret;
}

/*
 * QEMU hears of a new peer when its main loop comes round, and that may be after its guest
 * has answered: such an answer rings nobody. So the first one is asked for again.
 */
static int get_first_answer(struct ivshmem *shm, unsigned int peer, unsigned int vector)
{
	unsigned int tries;
	int ret = -ETIMEDOUT;

	for (tries = 0; tries < TIMEOUT_MS / TRY_MS && ret == -ETIMEDOUT; tries++) {
		ret = ivshmem_notify(shm, peer, vector);
		if (ret)
			return fail("notify", ret);
		ret = ivshmem_wait(shm, vector, TRY_MS);
	}
	if (ret < 0)
		return fail("no first answer", ret);
	/* It may have been slow only. */
	while (tries > 1 && ivshmem_wait(shm, vector, TRY_MS) > 0)
		;
	return 0;
}

static int ask(struct ivshmem *shm, unsigned int peer, unsigned int vector, size_t rounds)
{
	volatile uint32_t *asker = ivshmem_data(shm);
	uint64_t *times = calloc(rounds, sizeof(*times));
	uint64_t start;
	size_t i;
	int ret;

	if (!times || !rounds)
		return 1;
	ivshmem_event_fd(shm, vector);
	while (ivshmem_wait(shm, vector, 0) > 0)
		;
	*asker = ivshmem_peer_id(shm) + 1;
	if (get_first_answer(shm, peer, vector))
		return 1;
	for (i = 0; i < rounds; i++) {
		start = now();
		ret = ivshmem_notify(shm, peer, vector);
		if (ret)
			return fail("notify", ret);
		ret = wait_for_ring(shm, vector);
		if (ret < 0) {
			fprintf(stderr, "rounds: round %zu: %s\n", i, ivshmem_strerror(ret));
			return 1;
		}
		if (ret != 1) {
			fprintf(stderr, "rounds: round %zu: %d answers to one ring\n", i, ret);
			return 1;
		}
		times[i] = now() - start;
	}
	qsort(times, rounds, sizeof(*times), compare);
	printf("%llu %llu %llu %llu\n", (unsigned long long)times[rounds / 2],
	       (unsigned long long)times[rounds * 99 / 100],
	       (unsigned long long)times[rounds * 999 / 1000],
	       (unsigned long long)times[rounds - 1]);
	free(times);
	return 0;
}

/* Tables of peers follow the server's messages only when somebody takes them. */
static void follow_peers(struct ivshmem *shm)
{
	enum ivshmem_peer_change change;
	unsigned int peer;

	while (!ivshmem_peer_next(shm, 0, &change, &peer))
		;
}

static int echo(struct ivshmem *shm, unsigned int vector)
{
	volatile uint32_t *asker = ivshmem_data(shm);
	uint32_t peer;
	int ret;

	ivshmem_event_fd(shm, vector);
	printf("%d\n", ivshmem_peer_id(shm));
	fflush(stdout);
	while ((ret = wait_for_ring(shm, vector)) > 0) {
		peer = *asker;
		if (peer < 1 || peer > 65536)
			continue;
		ret = ivshmem_notify(shm, peer - 1, vector);
		if (ret == -ENXIO) {
			follow_peers(shm);
			ret = ivshmem_notify(shm, peer - 1, vector);
		}
		if (ret)
			return fail("notify", ret);
	}
	return ret == -ETIMEDOUT ? 0 : fail("wait", ret);
}

int main(int argc, char **argv)
{
	struct ivshmem *shm;
	int ret;

	if (argc < 4)
		return 2;
	ret = ivshmem_open(&shm, argv[1], 0);
	if (!ret)
		ret = ivshmem_map(shm);
	if (ret)
		return fail(argv[1], ret);
	if (!strcmp(argv[2], "--echo"))
		return echo(shm, atoi(argv[3]));
	return argc < 5 ? 2 : ask(shm, atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
}
