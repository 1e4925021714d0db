// SPDX-License-Identifier: MIT
/*
 * Memory that goes back in time: the region, the private memory of one end or of both, or
 * any of these together, as by the snapshot of a VM.
 *
 * Two ends in this process talk by a script. After each of its steps all is copied: the
 * region, what each end has in its memory, and what each believes to have sent and received.
 * Then, for each two steps, all is put back as it was after the later one, and some of it
 * as it was after the earlier one; and the ends go on, in several orders. Messages never
 * repeat, so that each one tells which it is.
 */
#include "channels.h"

#define SMALL_REGION	(32 * KIB)
#define STEPS		96
#define MOST_MESSAGES	256
#define ROUNDS		50	/* after which each end must know */

enum what {
	SEND, MAIL, MORE, RECV, PEEK, RELEASE, READ, POLL, REOPEN,
};

struct step {
	int who;	/* 0: a; 1: b; -1: all */
	enum what what;
	size_t length;
};

/* What a program knows: it is of one time with its memory. */
struct belief {
	unsigned int sent, received;
	uint32_t ids[MOST_MESSAGES];	/* of what was sent in this session */
	size_t lengths[MOST_MESSAGES];
	uint32_t received_ids[MOST_MESSAGES];
	const void *kept;
	size_t read;			/* of the message that is read in parts */
	bool is_open;
	uint32_t epochs[2];		/* of the session */
	int err;			/* the session has failed with */
};

/* An end's private memory. */
struct memory {
	struct ivshmem_channel channel;
	uint64_t stale[SMALL_REGION / 64 / 64], keeps[SMALL_REGION / 64 / 64];
	struct belief belief;
};

struct moment {
	char region[SMALL_REGION];
	struct memory ends[2];
};

static struct scene {
	char *raw;
	struct ivshmem_channel *channels[2];
	struct belief beliefs[2];
	uint32_t id;
	unsigned int errors[2], agreed;
	const struct moment *now, *then;	/* from where to where some went back */
	const char *what;
} scene;

static struct moment *moments;
static unsigned int count_of_moments;

/* --- copies --- */

static size_t words_of_ring(const struct ivshmem_channel *channel)
{
	return (channel->sender.size / RECORD_ALIGN + 63) / 64 * sizeof(uint64_t);
}

static void copy_end(struct memory *to, int i)
{
	const struct ivshmem_channel *channel = scene.channels[i];

	to->channel = *channel;
	memcpy(to->stale, channel->sender.stale, words_of_ring(channel));
	memcpy(to->keeps, channel->receiver.keeps, words_of_ring(channel));
	to->belief = scene.beliefs[i];
}

static void put_end_back(const struct memory *from, int i)
{
	struct ivshmem_channel *channel = scene.channels[i];
	struct ivshmem_holder holder = channel->holder;	/* of the handle, which stays */

	*channel = from->channel;
	channel->holder = holder;
	memcpy(channel->sender.stale, from->stale, words_of_ring(channel));
	memcpy(channel->receiver.keeps, from->keeps, words_of_ring(channel));
	scene.beliefs[i] = from->belief;
}

static void copy_all(void)
{
	struct moment *moment = &moments[count_of_moments++];

	assert_true(count_of_moments <= STEPS);
	memcpy(moment->region, scene.raw, SMALL_REGION);
	copy_end(&moment->ends[0], 0);
	copy_end(&moment->ends[1], 1);
}

/* @parts: 1 the region, 2 end a, 4 end b. */
static void put_back(const struct moment *moment, unsigned int parts)
{
	if (parts & 1)
		memcpy(scene.raw, moment->region, SMALL_REGION);
	if (parts & 2)
		put_end_back(&moment->ends[0], 0);
	if (parts & 4)
		put_end_back(&moment->ends[1], 1);
}

/* --- what an end does --- */

static void note_error(int i, int err)
{
	if (err == -EAGAIN || err == -ETIMEDOUT || err == -ENOTCONN || err == -EMSGSIZE)
		return;
	if (err != -ESTALE && err != -ECONNRESET)
		fail_msg("%s: end %d fails by %d", scene.what, i, err);
	scene.beliefs[i].err = err;
	scene.beliefs[i].is_open = false;
	if (err == -ESTALE)
		scene.errors[i]++;
}

/* Is all that end @i has received, and then this, what @other has sent so far? */
static bool is_next_of(int i, const struct belief *other, const char *data, size_t at,
		       size_t length)
{
	struct belief *own = &scene.beliefs[i];
	char expected[SMALL_REGION];
	unsigned int n = own->received;

	if (memcmp(own->epochs, other->epochs, sizeof(own->epochs)) || n >= other->sent ||
	    memcmp(own->received_ids, other->ids, n * sizeof(other->ids[0])) ||
	    at + length > other->lengths[n])
		return false;
	fill(expected, other->lengths[n], other->ids[n]);
	if (memcmp(data, expected + at, length))
		return false;
	own->received_ids[n] = other->ids[n];
	if (at + length == other->lengths[n]) {
		own->received++;
		own->read = 0;
	} else {
		own->read = at + length;
	}
	return true;
}

/*
 * Each message is the next one that the other end believes to have sent in that session; or
 * believed before it went back itself; or at the time to which this end went back.
 */
static void take(int i, const char *data, size_t at, size_t length)
{
	if (is_next_of(i, &scene.beliefs[!i], data, at, length))
		return;
	if (scene.now && (is_next_of(i, &scene.now->ends[!i].belief, data, at, length) ||
			  is_next_of(i, &scene.then->ends[!i].belief, data, at, length)))
		return;
	fail_msg("%s: end %d receives another message than number %u", scene.what, i,
		 scene.beliefs[i].received + 1);
}

static int send_next(int i, enum what what, size_t length)
{
	struct belief *own = &scene.beliefs[i];
	char data[SMALL_REGION];
	void *room;
	int err;

	fill(data, length, ++scene.id);
	if (what == MORE) {
		err = ivshmem_channel_reserve(scene.channels[i], &room, length, 0);
		if (!err) {
			memcpy(room, data, length);
			err = ivshmem_channel_commit(scene.channels[i], length, IVSHMEM_MORE);
		}
	} else {
		err = ivshmem_channel_send(scene.channels[i], data, length, 0);
	}
	if (err)
		return err;
	assert_true(own->sent < MOST_MESSAGES);
	own->ids[own->sent] = scene.id;
	own->lengths[own->sent++] = length;
	return 0;
}

static int receive_next(int i)
{
	char data[SMALL_REGION];
	ssize_t length = ivshmem_channel_recv(scene.channels[i], data, sizeof(data), 0);

	if (length < 0)
		return (int)length;
	take(i, data, 0, (size_t)length);
	return scene.beliefs[i].read ? -EPROTO : 0;
}

static int peek_next(int i)
{
	const void *data;
	ssize_t length = ivshmem_channel_peek(scene.channels[i], &data, 0);

	if (length < 0)
		return (int)length;
	take(i, data, 0, (size_t)length);
	scene.beliefs[i].kept = data;
	return scene.beliefs[i].read ? -EPROTO : 0;
}

static int read_next(int i, size_t most)
{
	char data[SMALL_REGION];
	ssize_t length = ivshmem_channel_read(scene.channels[i], data, most, 0);

	if (length < 0)
		return (int)length;
	take(i, data, scene.beliefs[i].read, (size_t)length);
	return 0;
}

static int release_kept(int i)
{
	const void *kept = scene.beliefs[i].kept;

	scene.beliefs[i].kept = NULL;
	return kept ? ivshmem_channel_release(scene.channels[i], kept) : 0;
}

static int act(int i, const struct step *step)
{
	switch (step->what) {
	case SEND:
	case MAIL:
	case MORE:
		return send_next(i, step->what, step->length);
	case RECV:
	case POLL:
		return receive_next(i);
	case PEEK:
		return peek_next(i);
	case RELEASE:
		return release_kept(i);
	case READ:
		return read_next(i, step->length);
	case REOPEN:
		break;
	}
	return 0;
}

static void begin_session(int i)
{
	scene.beliefs[i] = (struct belief) { .is_open = true };
	scene.beliefs[i].epochs[i] = scene.channels[i]->epoch;
	scene.beliefs[i].epochs[!i] = scene.channels[i]->other_epoch;
}

/* One look, of an end that is not open. */
static void open_further(int i)
{
	struct belief *own = &scene.beliefs[i];
	int err;

	if (own->err)
		err = ivshmem_channel_reconnect(scene.channels[i], 0);
	else
		err = ivshmem_channel_finish(scene.channels[i], 0);
	if (!err)
		begin_session(i);
	else if (err != -ETIMEDOUT)
		fail_msg("%s: end %d can't reconnect: %d", scene.what, i, err);
	else
		own->err = 0;
}

static void do_step(int i, const struct step *step)
{
	int err;

	if (!scene.beliefs[i].is_open)
		return;
	err = act(i, step);
	if (err)
		note_error(i, err);
}

/* --- the script --- */

static const struct step script[] = {
	/* What answers goes by the mailbox. */
	{ 0, MAIL, 5 }, { 1, RECV, 0 }, { 1, MAIL, 16 }, { 0, RECV, 0 }, { 0, MAIL, 9 },
	{ 1, PEEK, 0 }, { 1, MAIL, 4 }, { 1, RELEASE, 0 }, { 0, RECV, 0 },
	/* By the ring, and whatever was kept. */
	{ 0, SEND, 40 }, { 0, SEND, 41 }, { 1, RECV, 0 }, { 1, PEEK, 0 }, { 0, SEND, 42 },
	{ 1, RECV, 0 }, { 1, RELEASE, 0 }, { 1, POLL, 0 },
	{ 1, SEND, 100 }, { 1, SEND, 20 }, { 0, RECV, 0 }, { 0, RECV, 0 },
	/* Several at once. */
	{ 0, MORE, 30 }, { 0, MORE, 31 }, { 1, POLL, 0 }, { 0, SEND, 32 }, { 1, RECV, 0 },
	{ 1, RECV, 0 }, { 1, RECV, 0 }, { 1, POLL, 0 },
	/* Long ones, in parts. The ring begins again. */
	{ 0, SEND, 3000 }, { 1, READ, 1000 }, { 1, READ, 2000 }, { 0, SEND, 3001 },
	{ 1, READ, 3001 }, { 0, SEND, 3002 }, { 1, RECV, 0 }, { 1, POLL, 0 },
	{ 0, SEND, 3003 }, { 1, RECV, 0 }, { 1, POLL, 0 },
	/* Another session. */
	{ -1, REOPEN, 0 },
	{ 0, SEND, 40 }, { 1, RECV, 0 }, { 1, SEND, 50 }, { 0, RECV, 0 }, { 0, SEND, 41 },
	{ 0, SEND, 42 }, { 1, RECV, 0 }, { 1, RECV, 0 }, { 0, MAIL, 4 }, { 1, RECV, 0 },
	/* And one, where the first record of the last one still lies. */
	{ -1, REOPEN, 0 },
	{ 1, SEND, 40 }, { 0, SEND, 44 }, { 1, RECV, 0 }, { 0, RECV, 0 },
};

static void open_in_steps(void)
{
	int i, round;

	for (round = 0; round < ROUNDS; round++)
		for (i = 0; i < 2; i++)
			if (!scene.beliefs[i].is_open) {
				open_further(i);
				copy_all();
			}
	assert_true(scene.beliefs[0].is_open && scene.beliefs[1].is_open);
}

static void leave_and_open_in_steps(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		scene.beliefs[i].is_open = false;
		scene.beliefs[i].err = -ECONNRESET;
	}
	open_in_steps();
}

/* Which step each moment comes before. */
static unsigned int next_steps[STEPS];

static void record(void)
{
	unsigned int n, from;

	copy_all();
	open_in_steps();
	for (n = 0; n < ARRAY_SIZE(script); n++) {
		from = count_of_moments;
		if (script[n].what == REOPEN) {
			leave_and_open_in_steps();
		} else {
			do_step(script[n].who, &script[n]);
			copy_all();
		}
		assert_int_equal(scene.beliefs[0].err, 0);
		assert_int_equal(scene.beliefs[1].err, 0);
		for (; from < count_of_moments; from++)
			next_steps[from] = n + 1;
	}
}

/* --- going on --- */

/* What the end would have done, and does again, without the other one. */
static void go_on_alone(int i, unsigned int step)
{
	for (; step < ARRAY_SIZE(script) && script[step].what != REOPEN; step++)
		if (script[step].who == i)
			do_step(i, &script[step]);
}

static void look(int i)
{
	const struct step poll = { i, POLL, 0 };
	struct belief *own = &scene.beliefs[i];
	unsigned int before;

	if (!own->is_open) {
		open_further(i);
		return;
	}
	if (own->kept)
		do_step(i, &(struct step) { i, RELEASE, 0 });
	do {
		before = own->received;
		do_step(i, own->read ? &(struct step) { i, READ, 4000 } : &poll);
	} while (own->is_open && own->received != before);
}

static bool all_is_well(void)
{
	return scene.beliefs[0].is_open && scene.beliefs[1].is_open &&
	       scene.beliefs[0].sent == scene.beliefs[1].received &&
	       scene.beliefs[1].sent == scene.beliefs[0].received;
}

/* Who has lost its session reconnects, and so does the other one, which is told. */
static void go_on_together(int first)
{
	const struct step sends[] = { { 0, SEND, 33 }, { 1, SEND, 34 } };
	int round, i, n;

	for (round = 0; round < ROUNDS; round++)
		for (n = 0; n < 2; n++) {
			i = first ^ n;
			look(i);
			if (round % 4 == 0)
				do_step(i, &sends[i]);
		}
	look(0);
	look(1);
	if (!all_is_well())
		fail_msg("%s: ends open %d and %d; sent %u, received %u; sent %u, received %u",
			 scene.what, scene.beliefs[0].is_open, scene.beliefs[1].is_open,
			 scene.beliefs[0].sent, scene.beliefs[1].received, scene.beliefs[1].sent,
			 scene.beliefs[0].received);
}

static void go_back(unsigned int now, unsigned int then, unsigned int parts, int order)
{
	int first = order & 1;
	char what[128];
	unsigned int step;

	snprintf(what, sizeof(what), "from moment %u to %u, parts %u, order %d", now, then, parts,
		 order);
	scene.what = what;
	scene.now = &moments[now];
	scene.then = &moments[then];
	put_back(&moments[now], 7);
	put_back(&moments[then], parts);
	if (order & 2) {
		step = next_steps[parts & (first ? 4 : 2) ? then : now];
		go_on_alone(first, step);
	}
	go_on_together(order & 4 ? first : !first);
}

static void start(void)
{
	open_handles(SMALL_REGION, 1);
	moments = calloc(STEPS, sizeof(*moments));
	assert_non_null(moments);
	scene = (struct scene) { .raw = map_raw(pair.left), .what = "script" };
	assert_int_equal(ivshmem_channel_begin(&pair.a, pair.left, "a", IVSHMEM_END_CREATOR, 0),
			 0);
	assert_int_equal(ivshmem_channel_begin(&pair.b, pair.right, "a", IVSHMEM_END_CONNECTOR,
					       0), 0);
	scene.channels[0] = pair.a;
	scene.channels[1] = pair.b;
	count_of_moments = 0;
	record();
}

static void finish(void)
{
	munmap(scene.raw, SMALL_REGION);
	free(moments);
}

static void go_back_everywhere(unsigned int parts)
{
	unsigned int now, then;
	int order;

	start();
	for (now = 0; now < count_of_moments; now++)
		for (then = 0; then < now; then++)
			for (order = 0; order < 8; order++)
				go_back(now, then, parts, order);
	/* Did anything happen? */
	if (parts != 7) {
		assert_true(scene.errors[0] > count_of_moments);
		assert_true(scene.errors[1] > count_of_moments);
	}
	finish();
}

static void no_message_comes_twice_or_is_skipped_after_the_region_went_back(void **state)
{
	go_back_everywhere(1);
}

static void the_same_with_the_memory_of_the_creator(void **state)
{
	go_back_everywhere(1 | 2);
}

static void the_same_with_the_memory_of_the_connector(void **state)
{
	go_back_everywhere(1 | 4);
}

static void nothing_is_noticed_after_all_went_back(void **state)
{
	go_back_everywhere(7);
	assert_int_equal(scene.errors[0] + scene.errors[1], 0);
}

static void no_message_comes_twice_or_is_skipped_after_the_creator_alone_went_back(void **state)
{
	go_back_everywhere(2);
}

static void no_message_comes_twice_or_is_skipped_after_the_connector_alone_went_back(void **state)
{
	go_back_everywhere(4);
}

static void no_message_comes_twice_or_is_skipped_after_both_ends_went_back(void **state)
{
	go_back_everywhere(2 | 4);
}

/* --- one at a time --- */

static char older[REGION_SIZE];

static void keep_copy(void)
{
	assert_int_equal(pread(ivshmem_fd(pair.left), older, sizeof(older), 0), sizeof(older));
}

/* As cp(1) does it, while both have the file mapped. */
static void write_over(size_t from)
{
	assert_int_equal(pwrite(ivshmem_fd(pair.left), older + from, sizeof(older) - from,
				(off_t)from), sizeof(older) - from);
}

static void open_and_talk(void)
{
	open_pair();
	talk(pair.a, pair.b);
	keep_copy();
	talk(pair.a, pair.b);
}

static void assert_starts_afresh(void)
{
	reconnect_both(pair.a, pair.b);
	talk(pair.a, pair.b);
}

static void older_copy_over_the_file_is_estale_once_on_both_sides(void **state)
{
	open_and_talk();
	write_over(0);
	assert_recv_fails(pair.a, 0, -ESTALE);
	assert_recv_fails(pair.b, 0, -ESTALE);
	assert_send_fails(pair.a, 0, -ESTALE);
	assert_send_fails(pair.b, 0, -ESTALE);
	assert_recv_fails(pair.a, 0, -ENOTCONN);
	assert_send_fails(pair.b, 0, -ENOTCONN);
	assert_int_equal(ivshmem_channel_alive(pair.a), 0);
	assert_starts_afresh();
}

static void end_that_did_nothing_is_told_by_the_other(void **state)
{
	open_pair();
	talk(pair.a, pair.b);
	keep_copy();
	send_text(pair.a, "a message that nobody takes in time");
	write_over(0);
	assert_recv_fails(pair.b, 0, -EAGAIN);
	assert_send_fails(pair.a, 0, -ESTALE);
	assert_recv_fails(pair.b, 0, -ESTALE);
	assert_starts_afresh();
}

static void *receive_in_thread(void *channel)
{
	char buffer[8];

	return (void *)(intptr_t)ivshmem_channel_recv(channel, buffer, sizeof(buffer), -1);
}

static void sleeping_receivers_are_told_that_the_region_went_back(void **state)
{
	pthread_t threads[2];
	void *result;
	int i;

	open_and_talk();
	assert_int_equal(pthread_create(&threads[0], NULL, receive_in_thread, pair.a), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, receive_in_thread, pair.b), 0);
	usleep(SHORT_MS * 1000);
	write_over(0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_int_equal((intptr_t)result, -ESTALE);
	}
	assert_starts_afresh();
}

/* The words of the ends are those of now: who loads a snapshot does not do it at once. */
static void message_that_the_ring_has_lost_is_estale_on_both_sides(void **state)
{
	open_and_talk();
	send_text(pair.a, "a message that is lost, and too long for the mailbox");
	write_over(pair.a->directory.superblock.blocks_offset);
	assert_recv_fails(pair.b, PATIENCE_MS, -ESTALE);
	assert_recv_fails(pair.a, 0, -ESTALE);
	assert_starts_afresh();
}

static void message_that_went_back_is_no_message_before_a_close(void **state)
{
	open_and_talk();
	keep_copy();
	send_text(pair.a, "a message that is lost, and too long for the mailbox");
	write_over(0);
	close_end(&pair.a);
	assert_recv_fails(pair.b, PATIENCE_MS, -ESTALE);
	assert_state(pair.left, 0, IVSHMEM_END_CREATOR, IVSHMEM_END_FREE);
}

static void both_can_be_closed_and_opened_after_the_region_went_back(void **state)
{
	open_and_talk();
	write_over(0);
	close_end(&pair.a);
	close_end(&pair.b);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	talk(pair.a, pair.b);
}

static void reserved_message_that_went_back_is_not_sent(void **state)
{
	void *room;

	open_pair();
	talk(pair.a, pair.b);
	keep_copy();
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, 100, 0), 0);
	memset(room, 'x', 100);
	write_over(0);
	assert_int_equal(ivshmem_channel_commit(pair.a, 100, 0), -ESTALE);
	assert_recv_fails(pair.b, 0, -ESTALE);
	assert_starts_afresh();
}

/* What was there before this program had the end is not its session. */
static void region_from_before_the_end_was_taken_is_estale(void **state)
{
	open_handles(REGION_SIZE, 1);
	keep_copy();
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	talk(pair.a, pair.b);
	write_over(0);
	assert_recv_fails(pair.a, PATIENCE_MS, -ESTALE);
	assert_recv_fails(pair.b, PATIENCE_MS, -ESTALE);
	assert_starts_afresh();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(no_message_comes_twice_or_is_skipped_after_the_region_went_back),
		PAIR_TEST(the_same_with_the_memory_of_the_creator),
		PAIR_TEST(the_same_with_the_memory_of_the_connector),
		PAIR_TEST(nothing_is_noticed_after_all_went_back),
		PAIR_TEST(no_message_comes_twice_or_is_skipped_after_the_creator_alone_went_back),
		PAIR_TEST(no_message_comes_twice_or_is_skipped_after_the_connector_alone_went_back),
		PAIR_TEST(no_message_comes_twice_or_is_skipped_after_both_ends_went_back),
		PAIR_TEST(older_copy_over_the_file_is_estale_once_on_both_sides),
		PAIR_TEST(end_that_did_nothing_is_told_by_the_other),
		PAIR_TEST(sleeping_receivers_are_told_that_the_region_went_back),
		PAIR_TEST(message_that_the_ring_has_lost_is_estale_on_both_sides),
		PAIR_TEST(message_that_went_back_is_no_message_before_a_close),
		PAIR_TEST(both_can_be_closed_and_opened_after_the_region_went_back),
		PAIR_TEST(reserved_message_that_went_back_is_not_sent),
		PAIR_TEST(region_from_before_the_end_was_taken_is_estale),
	};

	return run("back_in_time", tests, ARRAY_SIZE(tests));
}
