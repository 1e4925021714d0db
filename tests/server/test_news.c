// SPDX-License-Identifier: MIT
/*
 * What clients are told, and what that costs, without a socket: clients that take a
 * message when the test says so, and IDs that are given anew at once.
 */

#include "fixture.h"

#include "server/server.h"

#define PEERS		24
#define IDS		12
#define VECTORS		3

static struct server server;
static struct user user;
static const struct server_options options = { .vectors = VECTORS };

/* Beside each peer, what it was told: vectors of each ID. */
struct reader {
	unsigned int messages;
	unsigned int told[IDS];
};

static struct peer *peers[PEERS];
static struct reader readers[PEERS];

static int start(void **state)
{
	memset(&server, 0, sizeof(server));
	memset(readers, 0, sizeof(readers));
	server.options = &options;
	server.vectors = VECTORS;
	if (book_create(&server.book, PEERS + 1, VECTORS))
		return -1;
	news_init(&server);
	waits_init(&server);
	TAILQ_INIT(&user.to_tell);
	return 0;
}

static void join(unsigned int i, unsigned int id)
{
	int slot = book_take(&server.book, &(struct credentials){ 0 }), vector;
	struct peer *peer;

	assert_true(slot >= 0);
	peer = calloc(1, sizeof(*peer) + VECTORS * sizeof(int));
	assert_non_null(peer);
	peer->server = &server;
	peer->user = &user;
	peer->slot = slot;
	peer->record = book_record(&server.book, slot);
	peer->record->id = id;
	leaves_open(&peer->leaves, &peer->record->leaves, book_leaves(&server.book, slot));
	for (vector = 0; vector < VECTORS; vector++)
		peer->vectors[vector] = 1000 * id + vector;
	peers[i] = peer;
	readers[i] = (struct reader){ 0 };
	news_joined(peer);
	waits_join(peer);
}

static void leave(unsigned int i)
{
	waits_leave(peers[i]);
	news_left(peers[i]);
	book_give_back(&server.book, peers[i]->slot);
	free(peers[i]);
	peers[i] = NULL;
}

static int stop(void **state)
{
	unsigned int i;

	for (i = 0; i < PEERS; i++)
		if (peers[i])
			leave(i);
	book_close(&server.book);
	return TAILQ_EMPTY(&server.peers) && !server.n_peers &&
	       TAILQ_EMPTY(&server.start.clients) ? 0 : -1;
}

/* It fails the test where a message is not allowed. False where it knows all. */
static bool take_one(unsigned int i)
{
	struct reader *reader = &readers[i];
	struct message message;
	unsigned int *told;

	if (!news_next(peers[i], &message))
		return false;
	news_told(peers[i], &message);
	if (reader->messages++ < NEWS_INTRODUCTIONS)
		return true;
	assert_in_range(message.value, 0, IDS - 1);
	told = &reader->told[message.value];
	if (message.fd < 0) {
		assert_true(*told > 0);
		*told = 0;
		return true;
	}
	assert_int_equal(message.fd, 1000 * message.value + *told);
	assert_in_range(++*told, 1, VECTORS);
	return true;
}

static void take_all(unsigned int i)
{
	while (take_one(i))
		;
}

static void assert_table_is_true(unsigned int i)
{
	unsigned int id, there[IDS] = { 0 }, k;

	take_all(i);
	for (k = 0; k < PEERS; k++)
		if (peers[k])
			there[peers[k]->record->id] = VECTORS;
	for (id = 0; id < IDS; id++)
		assert_int_equal(readers[i].told[id], there[id]);
	news_count(&server);
	assert_int_equal(peers[i]->untold, 0);
}

static void one_who_comes_and_goes_leaves_no_trace(void **state)
{
	unsigned int messages, i;

	join(0, 0);
	take_all(0);
	messages = readers[0].messages;
	for (i = 0; i < 100000; i++) {
		join(1, 1 + i % (IDS - 1));
		leave(1);
	}
	assert_int_equal(peers[0]->leaves.count, 0);
	take_all(0);
	assert_int_equal(readers[0].messages, messages);
}

static void id_that_is_given_anew_is_told_after_its_old_owner_left(void **state)
{
	join(0, 0);
	join(1, 7);
	take_all(0);
	leave(1);
	join(2, 7);
	join(3, 8);
	assert_int_equal(readers[0].told[7], VECTORS);
	assert_true(take_one(0));
	assert_int_equal(readers[0].told[7], 0);
	assert_table_is_true(0);
}

static void leave_of_one_that_is_half_told_is_told(void **state)
{
	join(0, 0);
	take_all(0);
	join(1, 1);
	assert_true(take_one(0));
	assert_int_equal(readers[0].told[1], 1);
	leave(1);
	join(1, 1);
	assert_table_is_true(0);
}

/* Who leaves at random, who takes at random, and all know the truth in the end. */
static void tables_are_true_in_whatever_order(void **state)
{
	unsigned int step, i, id, used = 0;

	srandom(20241128);
	for (step = 0; step < 400000; step++) {
		i = random() % PEERS;
		id = random() % IDS;
		if (peers[i] && random() % 8) {
			take_one(i);
		} else if (peers[i]) {
			used &= ~(1u << peers[i]->record->id);
			leave(i);
		} else if (!(used & 1u << id)) {
			used |= 1u << id;
			join(i, id);
		}
		if (peers[i] && !(step % 1000))
			assert_table_is_true(i);
	}
	for (i = 0; i < PEERS; i++)
		if (peers[i])
			assert_table_is_true(i);
}

static void leave_costs_as_much_as_those_who_know(void **state)
{
	unsigned int i;
	uint64_t before;

	for (i = 0; i < 6; i++)
		join(i, i);
	for (i = 0; i < 3; i++)
		take_all(i);
	before = server.steps;
	leave(5);
	assert_int_equal(server.steps - before, 3);
	join(5, 5);
	before = server.steps;
	leave(5);
	assert_int_equal(server.steps - before, 0);
}

static uint64_t pages_of_book(void)
{
	struct stat st;

	assert_int_equal(fstat(server.book.fd, &st), 0);
	return (uint64_t)st.st_blocks * 512 / 4096;
}

static void set_holds_each_id_and_gives_its_memory_back(void **state)
{
	struct kept_leaves kept = { 0 };
	struct leaves leaves;
	uint64_t before;
	int id;

	leaves_open(&leaves, &kept, book_leaves(&server.book, 3));
	before = pages_of_book();
	assert_int_equal(leaves_first(&leaves), -1);
	for (id = 0; id < SERVER_IDS_MAX; id++)
		leaves_add(&leaves, id);
	assert_int_equal(leaves.count, SERVER_IDS_MAX);
	assert_int_equal(pages_of_book() - before, 2);
	for (id = 0; id < SERVER_IDS_MAX; id++) {
		assert_int_equal(leaves_first(&leaves), id);
		leaves_remove(&leaves, id);
	}
	assert_int_equal(leaves.count, 0);
	assert_int_equal(pages_of_book(), before);
}

/* Who was killed in between does it again. */
static void leave_that_is_noted_or_told_twice_counts_once(void **state)
{
	struct kept_leaves kept = { 0 };
	struct leaves leaves;
	int round;

	leaves_open(&leaves, &kept, book_leaves(&server.book, 3));
	for (round = 0; round < 2; round++) {
		leaves_add(&leaves, 5);
		leaves_add(&leaves, 700);
	}
	assert_int_equal(leaves.count, 2);
	leaves_open(&leaves, &kept, book_leaves(&server.book, 3));
	assert_int_equal(leaves.count, 2);
	for (round = 0; round < 2; round++)
		leaves_remove(&leaves, 5);
	assert_int_equal(leaves.count, 1);
	assert_int_equal(leaves_first(&leaves), 700);
	leaves_clear(&leaves);
	assert_int_equal(leaves_first(&leaves), -1);
}

#define NEWS_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NEWS_TEST(one_who_comes_and_goes_leaves_no_trace),
		NEWS_TEST(id_that_is_given_anew_is_told_after_its_old_owner_left),
		NEWS_TEST(leave_of_one_that_is_half_told_is_told),
		NEWS_TEST(tables_are_true_in_whatever_order),
		NEWS_TEST(leave_costs_as_much_as_those_who_know),
		NEWS_TEST(set_holds_each_id_and_gives_its_memory_back),
		NEWS_TEST(leave_that_is_noted_or_told_twice_counts_once),
	};

	return run("news", tests, ARRAY_SIZE(tests));
}
