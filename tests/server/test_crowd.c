// SPDX-License-Identifier: MIT
/*
 * Many clients at a time, and what those know who stay.
 */

#include "client.h"

#define STAY		10
#define COME		1000
#define MANY		5000
#define AT_ONCE		90
#define VECTORS		2

static unsigned int random_below(unsigned int limit)
{
	static uint64_t state = 20240229;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 33) % limit;
}

/* Indexed by ID; those that are there. */
static struct client *here[IDS];

static void assert_knows_all(struct client *client)
{
	int id;

	for (id = 0; id < IDS; id++)
		client_until_told(client, id, here[id] ? VECTORS : 0);
	assert_int_equal(client_take(client, 0), -1);
}

static void assert_rung(int from, int to, uint64_t times)
{
	uint64_t count = 0, i;

	for (i = 0; i < times; i++)
		assert_int_equal(write(from, &(uint64_t){ 1 }, 8), 8);
	assert_int_equal(read(to, &count, 8), 8);
	assert_true(count == times);
}

/* Each count tells the vector, so that a ring that goes astray shows. */
static void assert_reaches_all(struct client *client)
{
	int id, vector;

	for (id = 0; id < IDS; id++) {
		for (vector = 0; here[id] && vector < VECTORS; vector++)
			assert_rung(client->fds[id][vector], here[id]->fds[id][vector],
				    vector + 1);
	}
}

static void leave_at_random(struct client **guests, unsigned int *count)
{
	unsigned int pick = random_below(*count);

	here[guests[pick]->id] = NULL;
	client_free(guests[pick]);
	guests[pick] = guests[--*count];
}

static struct client *come(bool keep)
{
	struct client *client = client_join(VECTORS, keep);

	assert_null(here[client->id]);
	here[client->id] = client;
	return client;
}

static void tables_of_those_who_stay_are_true_after_1000_came_and_went(void **state)
{
	struct client *stayers[STAY], *guests[AT_ONCE];
	unsigned int count = 0, came, i;

	start_server(&(struct start){ .args = { "--vectors", "2" } });
	for (i = 0; i < STAY; i++)
		stayers[i] = come(true);
	for (came = 0; came < COME; came++) {
		while (count && (count == AT_ONCE || random_below(5) < 2))
			leave_at_random(guests, &count);
		guests[count++] = come(false);
		client_drain(stayers[random_below(STAY)]);
	}

	assert_true(count > 0);
	for (i = 0; i < STAY; i++) {
		assert_knows_all(stayers[i]);
		assert_reaches_all(stayers[i]);
	}
	for (i = 0; i < count; i++)
		assert_knows_all(guests[i]);
	while (count)
		leave_at_random(guests, &count);
	for (i = 0; i < STAY; i++)
		assert_knows_all(stayers[i]);
	for (i = 0; i < STAY; i++)
		client_free(stayers[i]);
}

/*
 * One reads nothing at all meanwhile, another a message now and then, as a program
 * does that waits for something else.
 */
static void who_only_waits_is_kept_and_has_a_true_table_after_5000_came_and_went(void **state)
{
	struct client *waiting, *slow;
	int sockets[20], ids[20], i;
	unsigned int came;

	memset(here, 0, sizeof(here));
	start_server(&(struct start){ .args = { "--vectors", "2" } });
	waiting = come(false);
	slow = come(false);
	for (came = 0; came < MANY; came++) {
		i = came < 20 ? came : random_below(20);
		if (came >= 20) {
			close(sockets[i]);
			here[ids[i]] = NULL;
		}
		sockets[i] = passer_join(&ids[i]);
		here[ids[i]] = waiting;
		if (!(came % 40))
			client_take(slow, 0);
	}
	assert_knows_all(waiting);
	assert_knows_all(slow);
	/* All that it was not told of left no trace. */
	assert_true(waiting->messages < 300);
	assert_false(log_has("dropped"));
	for (i = 0; i < 20; i++)
		close(sockets[i]);
	client_free(waiting);
	client_free(slow);
}

/* All leave at once: the server tells of one leave while it learns of others. */
static void all_but_one_leave_at_once(void **state)
{
	struct client *stayer, *guests[AT_ONCE];
	unsigned int i;

	memset(here, 0, sizeof(here));
	start_server(&(struct start){ .args = { "--vectors", "2" } });
	stayer = come(false);
	for (i = 0; i < AT_ONCE; i++)
		guests[i] = come(false);
	assert_knows_all(stayer);
	kill(fixture.server, SIGSTOP);
	for (i = 0; i < AT_ONCE; i++) {
		here[guests[i]->id] = NULL;
		client_free(guests[i]);
	}
	kill(fixture.server, SIGCONT);
	assert_knows_all(stayer);
	client_free(stayer);
}

/*
 * A client that pauses has fewer messages in its socket than there is news. It
 * may then be told less, in any case the truth. With so many vectors, a peer
 * leaves while it is announced.
 */
static void tables_are_true_after_a_pause(void **state)
{
	static struct client *others[60];
	struct client *slow;
	unsigned int i;

	start_server(&(struct start){ .args = { "--vectors", "64" } });
	slow = client_join(64, false);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = client_join(64, false);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		if (i % 3)
			client_free(others[i]);
	for (i = 0; i < ARRAY_SIZE(others); i += 3)
		client_drain(others[i]);

	while (client_take(slow, 300) > 0)
		;
	for (i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_equal(slow->told[i + 1], i % 3 ? 0 : 64);
	/* Had the server told all, it would have been 64 each and the leaves. */
	assert_true(slow->messages < 3 + 61 * 64);
	for (i = 0; i < ARRAY_SIZE(others); i += 3)
		client_free(others[i]);
	client_free(slow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tables_of_those_who_stay_are_true_after_1000_came_and_went),
		TEST(who_only_waits_is_kept_and_has_a_true_table_after_5000_came_and_went),
		TEST(all_but_one_leave_at_once),
		TEST(tables_are_true_after_a_pause),
	};

	return run("crowd", tests, ARRAY_SIZE(tests));
}
