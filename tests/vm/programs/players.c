// SPDX-License-Identifier: MIT
/*
 * Many peers that ring each other, and count:
 *
 *   players WHERE play INDEX	ring the other players in turn until the game is over
 *   players WHERE visit	join and leave again until then
 *   players WHERE end		say that it is over
 *
 * A player asks another one by a number in the region and a ring, and waits until that has
 * given the number back, with a ring of its own. So a ring that is lost is an answer
 * that does not come. Each word has one writer, since a guest's read-modify-write may not
 * be atomic. Whoever is told that the connection to the server has ended, fails.
 *
 * Prints how many answers came, or how many visits there were.
 */

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ivshmem.h>

#define PLAYERS		16
#define VECTOR		0
#define TIMEOUT_MS	120000
#define MANY_VISITS	1000000

struct table {
	uint32_t over;
	uint32_t id[PLAYERS];	/* plus 1 */
	uint32_t asked[PLAYERS][PLAYERS];	/* by the first of the second */
	uint32_t answered[PLAYERS][PLAYERS];
};

static volatile struct table *table;

static int fail(const char *what, int error)
{
	fprintf(stderr, "players: %s: %s\n", what, ivshmem_strerror(error));
	return 1;
}

static int open_table(struct ivshmem **shm, const char *where)
{
	int ret = ivshmem_open(shm, where, 0);

	if (!ret)
		ret = ivshmem_map(*shm);
	if (!ret)
		table = ivshmem_data(*shm);
	return ret;
}

static int ring(struct ivshmem *shm, unsigned int index)
{
	return ivshmem_notify(shm, table->id[index] - 1, VECTOR);
}

/* Gives back all numbers that are there. */
static int answer_all(struct ivshmem *shm, unsigned int self)
{
	unsigned int other;
	uint32_t number;
	int ret = 0;

	for (other = 0; other < PLAYERS && !ret; other++) {
		number = table->asked[other][self];
		if (number == table->answered[other][self])
			continue;
		table->answered[other][self] = number;
		ret = ring(shm, other);
	}
	return ret;
}

/* Asks one, and answers others meanwhile. */
static int ask(struct ivshmem *shm, unsigned int self, unsigned int other)
{
	uint32_t number = table->asked[self][other] + 1;
	int ret;

	table->asked[self][other] = number;
	ret = ring(shm, other);
	while (!ret && table->answered[self][other] != number) {
		ret = ivshmem_wait(shm, VECTOR, TIMEOUT_MS);
		if (ret > 0)
			ret = answer_all(shm, self);
	}
	return ret;
}

/* The others may still ask, until they have seen that it is over. */
static void see_off(struct ivshmem *shm, unsigned int self)
{
	while (ivshmem_wait(shm, VECTOR, 3000) > 0)
		answer_all(shm, self);
}

static int play(struct ivshmem *shm, unsigned int self)
{
	unsigned long long answers = 0;
	unsigned int other = self;
	int ret;

	if (self >= PLAYERS)
		return 2;
	ivshmem_event_fd(shm, VECTOR);
	table->id[self] = (uint32_t)ivshmem_peer_id(shm) + 1;
	while (!table->over) {
		other = (other + 1) % PLAYERS;
		if (other == self || !table->id[other])
			continue;
		ret = ask(shm, self, other);
		if (ret) {
			fprintf(stderr, "players: %u waits for %u\n", self, other);
			return fail("ask", ret);
		}
		answers++;
	}
	see_off(shm, self);
	ret = ivshmem_check(shm);
	if (ret)
		return fail("check", ret);
	printf("%llu\n", answers);
	return 0;
}

/* One that came after this peer is told of later. */
static bool meets(struct ivshmem *shm, unsigned int peer)
{
	int tries = TIMEOUT_MS;

	while (ivshmem_peer_vectors(shm, peer) < 1) {
		if (ivshmem_check(shm) || !--tries)
			return false;
		poll(NULL, 0, 1);
	}
	return true;
}

/* Every player that plays is there, for whoever joins. */
static bool meets_all(struct ivshmem *shm)
{
	unsigned int i;

	for (i = 0; i < PLAYERS; i++)
		if (table->id[i] && !meets(shm, table->id[i] - 1))
			return false;
	return true;
}

static int visit(const char *where)
{
	unsigned int visits = 0;
	struct ivshmem *shm;
	bool over = false;
	int ret;

	while (!over && visits < MANY_VISITS) {
		ret = open_table(&shm, where);
		if (ret)
			return fail("visit", ret);
		if (!meets_all(shm))
			return fail("a player is not there", -ENXIO);
		over = table->over;
		ivshmem_close(shm);
		visits++;
	}
	printf("%u\n", visits);
	return 0;
}

int main(int argc, char **argv)
{
	struct ivshmem *shm;
	int ret;

	if (argc < 3)
		return 2;
	if (!strcmp(argv[2], "visit"))
		return visit(argv[1]);
	ret = open_table(&shm, argv[1]);
	if (ret)
		return fail(argv[1], ret);
	if (!strcmp(argv[2], "end")) {
		table->over = 1;
		return 0;
	}
	return argc < 4 ? 2 : play(shm, (unsigned int)atoi(argv[3]));
}
