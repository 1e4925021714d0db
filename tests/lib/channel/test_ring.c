// SPDX-License-Identifier: MIT
/* Rings by themselves: records, their headers, and what is no header. */
#include "fixture.h"

#include <pthread.h>
#include <sched.h>

#include "channel/ring.h"

#define SIZE		4096ull
#define LINES		(SIZE / RECORD_ALIGN)
#define LONGEST		(SIZE / 2 - RECORD_HEADER)
#define MESSAGES	200000
#define THREAD_MESSAGES	300000

/* Both ends of a ring. */
static struct ring {
	char *data;
	struct ivshmem_sender sender;
	struct ivshmem_receiver receiver;
	uint64_t consumed, sent, begun, progress, received, turned;
} ring;

static int make_ring(uint64_t size)
{
	ring.data = aligned_alloc(4096, size);
	if (!ring.data || ivshmem_sender_init(&ring.sender, ring.data, size, &ring.sent,
					      &ring.begun, &ring.progress))
		return -1;
	memset(ring.data, 0, size);
	ivshmem_sender_reset(&ring.sender, 0);
	ring.consumed = 0;
	return ivshmem_receiver_init(&ring.receiver, ring.data, size, &ring.received,
				     &ring.turned);
}

static int ring_setup(void **state)
{
	return make_ring(SIZE);
}

static int ring_teardown(void **state)
{
	ivshmem_sender_free(&ring.sender);
	ivshmem_receiver_free(&ring.receiver);
	free(ring.data);
	return 0;
}

static void new_session(void)
{
	ivshmem_sender_reset(&ring.sender, 0);
	ivshmem_receiver_reset(&ring.receiver, 0);
	ring.consumed = 0;
}

/* A message whose bytes tell its number and its length. */
static void fill(char *data, size_t length, uint64_t number)
{
	size_t i;

	for (i = 0; i < length; i++)
		data[i] = (char)(number * 131 + length * 31 + i * 7 + (i >> 8));
}

static void assert_filled(const char *data, size_t length, uint64_t number)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (data[i] != (char)(number * 131 + length * 31 + i * 7 + (i >> 8)))
			fail_msg("message %llu of %zu bytes: byte %zu",
				 (unsigned long long)number, length, i);
}

static void commit(size_t length, bool hold)
{
	sender_commit(&ring.sender, (uint32_t)length, hold);
}

/* As send.c does before it writes. */
static bool has_room(size_t length)
{
	if (!sender_has_room(&ring.sender, ivshmem_record_size(length)))
		return false;
	sender_place(&ring.sender, ivshmem_record_size(length));
	return true;
}

static void put(size_t length, bool hold)
{
	assert_true(has_room(length));
	fill(sender_reserve(&ring.sender, ivshmem_record_size(length)), length,
	     ring.sender.count + 1);
	commit(length, hold);
}

/* As receive.c does. */
static uint64_t look(void)
{
	uint64_t header = __atomic_load_n(receiver_at(&ring.receiver), __ATOMIC_ACQUIRE);

	if (record_is_next(header, receiver_next(&ring.receiver)) &&
	    record_is_elsewhere(header) && ivshmem_receiver_turn(&ring.receiver))
		header = __atomic_load_n(receiver_at(&ring.receiver), __ATOMIC_ACQUIRE);
	return header;
}

static bool is_there(void)
{
	return record_is_next(look(), receiver_next(&ring.receiver));
}

static const char *get(size_t length)
{
	uint64_t header = look();

	assert_true(record_is_next(header, receiver_next(&ring.receiver)));
	assert_int_equal(receiver_check(&ring.receiver, header), length);
	return receiver_take(&ring.receiver, length);
}

static void get_filled(size_t length)
{
	const char *message = get(length);

	assert_filled(message, length, ring.receiver.count);
}

static void release(void)
{
	ring.receiver.released = ring.receiver.position;
	receiver_tell(&ring.receiver, &ring.consumed);
}

static void learn(void)
{
	assert_int_equal(sender_learn(&ring.sender, &ring.consumed), 0);
}

static void empty_ring_has_no_message(void **state)
{
	assert_false(is_there());
	assert_true(sender_has_room(&ring.sender, SIZE));
}

static void pass_one(size_t length)
{
	put(length, false);
	get_filled(length);
	release();
	learn();
}

/* All is free, and the next record lies there. */
static void go_to_line(size_t line)
{
	while (ring.sender.position - ring.sender.lap != line * RECORD_ALIGN)
		pass_one(0);
}

static void every_length_at_every_offset_arrives(void **state)
{
	size_t length, line;

	for (length = 0; length <= LONGEST; length++) {
		new_session();
		for (line = 0; line < LINES; line++) {
			go_to_line(line);
			assert_int_equal((uintptr_t)sender_reserve(&ring.sender,
								   RECORD_ALIGN) % 8, 0);
			pass_one(length);
			assert_false(is_there());
		}
	}
}

static void message_of_length_0_takes_one_line(void **state)
{
	assert_int_equal(ivshmem_record_size(0), RECORD_ALIGN);
	assert_int_equal(ivshmem_record_size(RECORD_ALIGN - RECORD_HEADER), RECORD_ALIGN);
	assert_int_equal(ivshmem_record_size(RECORD_ALIGN - RECORD_HEADER + 1), 2 * RECORD_ALIGN);
	put(0, false);
	get(0);
	assert_false(is_there());
}

static void ring_that_is_filled_exactly_has_no_room_and_loses_nothing(void **state)
{
	size_t i, lap;

	for (lap = 0; lap < 5; lap++) {
		for (i = 0; i < LINES; i++)
			put(RECORD_ALIGN - RECORD_HEADER, false);
		assert_false(sender_has_room(&ring.sender, RECORD_ALIGN));
		for (i = 0; i < LINES; i++)
			get_filled(RECORD_ALIGN - RECORD_HEADER);
		assert_false(is_there());
		assert_false(sender_has_room(&ring.sender, RECORD_ALIGN));
		release();
		learn();
		/* From another line each time. */
		pass_one(3 * RECORD_ALIGN - RECORD_HEADER);
	}
}

static void longest_message_fits_wherever_an_empty_ring_goes_on(void **state)
{
	size_t line;

	for (line = 0; line < LINES; line++) {
		go_to_line(line);
		pass_one(LONGEST);
		assert_false(is_there());
	}
}

static void record_that_would_cross_the_end_lies_at_the_start_in_one_piece(void **state)
{
	const char *message;
	size_t line, lines;

	for (lines = 2; lines <= LINES / 2; lines++) {
		for (line = LINES - lines + 1; line < LINES; line++) {
			go_to_line(line);
			put(lines * RECORD_ALIGN - RECORD_HEADER, false);
			assert_true(is_there());
			message = get(lines * RECORD_ALIGN - RECORD_HEADER);
			assert_ptr_equal(message, ring.data + RECORD_HEADER);
			assert_filled(message, lines * RECORD_ALIGN - RECORD_HEADER,
				      ring.receiver.count);
			release();
			learn();
			assert_true(ring.sender.consumed == ring.sender.position);
		}
	}
}

static void receiver_that_goes_to_the_start_early_sees_nothing_until_it_is_there(void **state)
{
	go_to_line(LINES - 2);
	put(1, true);
	put(3 * RECORD_ALIGN, true);
	put(1, true);
	assert_false(is_there());
	sender_pass(&ring.sender);
	get_filled(1);
	get_filled(3 * RECORD_ALIGN);
	get_filled(1);
	assert_false(is_there());
	/* As soon as it says so, and before the message is there. */
	go_to_line(LINES - 1);
	put(RECORD_ALIGN, true);
	sender_pass(&ring.sender);
	ring.sender.held_header = 0;
	*(uint64_t *)ring.data = 0;
	assert_false(is_there());
	assert_false(is_there());
	*(uint64_t *)ring.data = record_header(ring.sender.count, RECORD_ALIGN);
	assert_true(is_there());
	get_filled(RECORD_ALIGN);
}

static void going_to_the_start_from_the_start_fails_eproto(void **state)
{
	go_to_line(0);
	*(uint64_t *)ring.data = receiver_next(&ring.receiver) | RECORD_ELSEWHERE;
	assert_true(is_there());
	assert_int_equal(receiver_check(&ring.receiver, look()), -EPROTO);
	new_session();
	/* Nor where the rest of the ring is not free. */
	go_to_line(2);
	put(1, false);
	get(1);
	ring.receiver.released -= 2 * RECORD_ALIGN;
	*(uint64_t *)(ring.data + 3 * RECORD_ALIGN) =
		receiver_next(&ring.receiver) | RECORD_ELSEWHERE;
	ring.receiver.released -= SIZE;
	assert_true(is_there());
	assert_int_equal(receiver_check(&ring.receiver, look()), -EPROTO);
}

static void record_that_crosses_the_end_fails_eproto(void **state)
{
	go_to_line(LINES - 1);
	assert_int_equal(receiver_check(&ring.receiver, receiver_next(&ring.receiver) | 56), 56);
	assert_int_equal(receiver_check(&ring.receiver, receiver_next(&ring.receiver) | 57),
			 -EPROTO);
}

static void room_comes_back_record_by_record(void **state)
{
	size_t i;

	for (i = 0; i < LINES; i++)
		put(1, false);
	for (i = 0; i < 10 * LINES; i++) {
		assert_false(sender_has_room(&ring.sender, RECORD_ALIGN));
		get_filled(1);
		release();
		learn();
		assert_true(sender_has_room(&ring.sender, RECORD_ALIGN));
		assert_false(sender_has_room(&ring.sender, 2 * RECORD_ALIGN));
		put(1, false);
	}
}

static size_t random_length(void)
{
	switch (rand() % 4) {
	case 0:
		return (size_t)rand() % (LONGEST + 1);
	case 1:
		return LONGEST - (size_t)rand() % 8;
	default:
		return (size_t)rand() % 200;
	}
}

/* Lengths of what is on its way. */
static struct queue {
	size_t length[LINES + 1];
	size_t first, count;
} queue;

static void queue_put(size_t length)
{
	queue.length[(queue.first + queue.count++) % (LINES + 1)] = length;
}

static size_t queue_get(void)
{
	size_t length = queue.length[queue.first];

	queue.first = (queue.first + 1) % (LINES + 1);
	queue.count--;
	return length;
}

static bool goes_back_early;

/* As a sender may wherever there is room at the start. */
static void go_back(uint64_t record)
{
	struct ivshmem_sender *sender = &ring.sender;

	if (sender->position != sender->lap &&
	    sender->position + sender_rest(sender) + record - sender->consumed <= SIZE)
		ivshmem_sender_turn(sender);
}

static bool try_to_put(size_t length, void (*write)(char *data, size_t length))
{
	if (rand() % 64 == 0 && goes_back_early)
		go_back(ivshmem_record_size(length));
	if (!has_room(length))
		return false;
	write(sender_reserve(&ring.sender, ivshmem_record_size(length)), length);
	commit(length, false);
	queue_put(length);
	return true;
}

static void random_traffic(void (*write)(char *data, size_t length),
			   void (*check)(const char *data, size_t length))
{
	const char *message;
	size_t length;
	long i;

	srand(1);
	queue = (struct queue) { .count = 0 };
	for (i = 0; i < MESSAGES; i++) {
		if (rand() % 2) {
			try_to_put(random_length(), write);
		} else if (queue.count) {
			length = queue_get();
			message = get(length);
			check(message, length);
			if (!queue.count)
				assert_false(is_there());
			if (rand() % 3)
				release();
		} else {
			assert_false(is_there());
		}
		if (rand() % 4 == 0)
			learn();
	}
}

static void write_filled(char *data, size_t length)
{
	fill(data, length, ring.sender.count + 1);
}

static void check_filled(const char *data, size_t length)
{
	assert_filled(data, length, ring.receiver.count);
}

static void random_traffic_arrives_in_order(void **state)
{
	random_traffic(write_filled, check_filled);
}

/* Whatever number comes next at any place, it stands there already. */
static void write_headers(char *data, size_t length)
{
	uint64_t word = record_header(ring.sender.count + 2 + (uint64_t)rand() % 3, 0);
	size_t i;

	for (i = 0; i + sizeof(word) <= length; i += sizeof(word)) {
		memcpy(data + i, &word, sizeof(word));
		if (rand() % 8 == 0)
			word = record_header(ring.sender.count + 2 + (uint64_t)rand() % LINES,
					     (uint32_t)rand() % 64);
	}
}

static void check_nothing(const char *data, size_t length)
{
}

static void message_that_looks_like_headers_is_taken_for_none(void **state)
{
	random_traffic(write_headers, check_nothing);
}

static void sender_that_stays_warm_is_taken_for_what_it_is(void **state)
{
	goes_back_early = true;
	random_traffic(write_filled, check_filled);
	new_session();
	random_traffic(write_headers, check_nothing);
	goes_back_early = false;
}

/* What lies beyond is as old as can be when the ring is used as a whole again. */
static void lines_that_were_not_written_for_long_are_taken_for_no_header(void **state)
{
	size_t line;

	for (line = 0; line < LINES; line++)
		pass_one(0);
	for (line = 1; line < LINES; line++) {
		go_to_line(0);
		pass_one(0);
		go_back(RECORD_ALIGN);
		assert_true(ring.sender.position == ring.sender.lap);
		pass_one(0);
		/* As if 2^31 messages had come by. */
		memset(ring.data + 3 * RECORD_ALIGN, 0xff, SIZE - 3 * RECORD_ALIGN);
		for (uint64_t *header = (uint64_t *)(ring.data + 3 * RECORD_ALIGN);
		     header < (uint64_t *)(ring.data + SIZE); header += 8)
			*header = record_header(ring.sender.count + 1 +
						(uint64_t)((char *)header - ring.data -
							   RECORD_ALIGN) / RECORD_ALIGN, 0);
		while (ring.sender.position - ring.sender.lap < SIZE - RECORD_ALIGN) {
			pass_one(0);
			assert_false(is_there());
		}
	}
}

static void traffic_that_is_taken_at_once_stays_in_warm_memory(void **state)
{
	const uint64_t size = 1 << 20;
	uint64_t i, reach = 0;

	ring_teardown(state);
	assert_int_equal(make_ring(size), 0);
	for (i = 0; i < 100000; i++) {
		sender_stay_warm(&ring.sender, RECORD_ALIGN);
		pass_one(i % 56);
		if (ring.sender.position - ring.sender.lap > reach)
			reach = ring.sender.position - ring.sender.lap;
	}
	assert_in_range(reach, WARM_SIZE, WARM_SIZE + RECORD_ALIGN);
}

static void rest_of_a_line_behind_a_message_is_taken_for_no_header(void **state)
{
	uint64_t *line;
	size_t i;

	/* The last record ends one byte into a line that holds the next number. */
	for (i = 1; i <= LINES; i++) {
		new_session();
		pass_one(i * RECORD_ALIGN % LONGEST);
		line = (uint64_t *)sender_reserve(&ring.sender, 3 * RECORD_ALIGN);
		memset(line, 0, 3 * RECORD_ALIGN - RECORD_HEADER);
		line[7] = record_header(3, 0);
		line[15] = record_header(3, 0);
		commit(0, false);
		get(0);
		assert_false(is_there());
	}
}

static void header_of_an_earlier_session_is_taken_for_none(void **state)
{
	size_t i, round;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < LINES; i++)
			put(i % 30, false);
		new_session();
		assert_false(is_there());
		for (i = 0; i < round; i++) {
			pass_one(i * 50);
			assert_false(is_there());
		}
		new_session();
	}
}

static void numbers_that_wrap_stay_in_order(void **state)
{
	static const uint64_t starts[] = { (1ull << 31) - 40, (1ull << 32) - 40 };
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		new_session();
		ring.sender.count = ring.receiver.count = starts[i];
		for (n = 0; n < 100; n++) {
			put(n, false);
			assert_true(is_there());
			get_filled(n);
			assert_false(is_there());
			release();
			learn();
		}
	}
}

static void held_back_messages_are_seen_together(void **state)
{
	size_t round, i;

	for (round = 0; round < 3 * LINES; round++) {
		for (i = 0; i < 10; i++) {
			put(i * 3, true);
			assert_false(is_there());
		}
		sender_pass(&ring.sender);
		for (i = 0; i < 10; i++)
			get_filled(i * 3);
		assert_false(is_there());
		release();
		learn();
		pass_one(100);
	}
}

static void held_back_messages_can_fill_the_ring(void **state)
{
	size_t i;

	pass_one(1);
	for (i = 0; i < LINES; i++)
		put(20, true);
	assert_false(has_room(0));
	assert_false(is_there());
	sender_pass(&ring.sender);
	for (i = 0; i < LINES; i++)
		get_filled(20);
	assert_false(is_there());
}

static void passing_on_nothing_changes_nothing(void **state)
{
	sender_pass(&ring.sender);
	assert_false(is_there());
	put(5, false);
	sender_pass(&ring.sender);
	get_filled(5);
	assert_false(is_there());
}

static void assert_lie(uint64_t consumed)
{
	uint64_t before = ring.sender.consumed;

	assert_int_equal(sender_learn(&ring.sender, &consumed), -EPROTO);
	assert_true(ring.sender.consumed == before);
}

static void consumed_that_cannot_be_fails_eproto(void **state)
{
	put(200, false);
	put(50, false);
	get_filled(200);
	release();
	learn();
	assert_lie(ring.consumed - RECORD_ALIGN);
	assert_lie(0);
	assert_lie(ring.consumed + 1);
	assert_lie(ring.consumed + 8);
	assert_lie(ring.consumed + 2 * RECORD_ALIGN);
	assert_lie(ring.consumed + SIZE);
	assert_lie(1ull << 63);
	assert_lie(UINT64_MAX);
	assert_lie(-(uint64_t)RECORD_ALIGN);
	learn();
	get_filled(50);
	release();
	learn();
}

static void consumed_of_what_is_held_back_fails_eproto(void **state)
{
	put(10, false);
	put(10, true);
	put(10, true);
	assert_lie(2 * RECORD_ALIGN);
	assert_lie(3 * RECORD_ALIGN);
	ring.consumed = RECORD_ALIGN;
	learn();
	sender_pass(&ring.sender);
	ring.consumed = 3 * RECORD_ALIGN;
	learn();
}

static void length_that_cannot_be_fails_eproto(void **state)
{
	static const uint32_t lengths[] = { LONGEST + 1, SIZE - 8, SIZE, SIZE + 1, INT32_MAX,
					    1u << 31, UINT32_MAX - 7, UINT32_MAX };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++)
		assert_int_equal(receiver_check(&ring.receiver, record_header(1, lengths[i])),
				 -EPROTO);
	assert_int_equal(receiver_check(&ring.receiver, record_header(1, LONGEST)), LONGEST);
}

static void more_than_a_ring_ahead_of_what_is_released_fails_eproto(void **state)
{
	size_t i;

	for (i = 0; i < LINES; i++)
		put(1, false);
	for (i = 0; i < LINES; i++)
		get(1);
	assert_int_equal(receiver_check(&ring.receiver, record_header(LINES + 1, 0)), -EPROTO);
	ring.receiver.released += RECORD_ALIGN;
	assert_int_equal(receiver_check(&ring.receiver, record_header(LINES + 1, 0)), 0);
	assert_int_equal(receiver_check(&ring.receiver, record_header(LINES + 1, 57)), -EPROTO);
}

static void *send_all(void *unused)
{
	uint64_t i;

	for (i = 0; i < THREAD_MESSAGES; i++) {
		size_t length = i * 37 % 300;

		while (!has_room(length)) {
			if (sender_learn(&ring.sender, &ring.consumed))
				return "a lie";
			sched_yield();
		}
		fill(sender_reserve(&ring.sender, ivshmem_record_size(length)), length, i + 1);
		commit(length, i % 5 != 4 && i % 7);
		if (!ring.sender.held_header || i % 5 == 4 || i == THREAD_MESSAGES - 1 ||
		    !sender_has_room(&ring.sender, SIZE / 2))
			sender_pass(&ring.sender);
	}
	return NULL;
}

static void two_threads_pass_messages_in_order(void **state)
{
	pthread_t thread;
	void *result;
	uint64_t i;

	assert_int_equal(pthread_create(&thread, NULL, send_all, NULL), 0);
	for (i = 0; i < THREAD_MESSAGES; i++) {
		while (!is_there())
			sched_yield();
		get_filled(i * 37 % 300);
		if (i % 3 == 0 || ring.receiver.position - ring.receiver.released > SIZE / 4)
			release();
	}
	assert_false(is_there());
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, ring_setup, ring_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(empty_ring_has_no_message),
		RING_TEST(every_length_at_every_offset_arrives),
		RING_TEST(message_of_length_0_takes_one_line),
		RING_TEST(ring_that_is_filled_exactly_has_no_room_and_loses_nothing),
		RING_TEST(longest_message_fits_wherever_an_empty_ring_goes_on),
		RING_TEST(record_that_would_cross_the_end_lies_at_the_start_in_one_piece),
		RING_TEST(receiver_that_goes_to_the_start_early_sees_nothing_until_it_is_there),
		RING_TEST(going_to_the_start_from_the_start_fails_eproto),
		RING_TEST(record_that_crosses_the_end_fails_eproto),
		RING_TEST(sender_that_stays_warm_is_taken_for_what_it_is),
		RING_TEST(lines_that_were_not_written_for_long_are_taken_for_no_header),
		RING_TEST(traffic_that_is_taken_at_once_stays_in_warm_memory),
		RING_TEST(room_comes_back_record_by_record),
		RING_TEST(random_traffic_arrives_in_order),
		RING_TEST(message_that_looks_like_headers_is_taken_for_none),
		RING_TEST(rest_of_a_line_behind_a_message_is_taken_for_no_header),
		RING_TEST(header_of_an_earlier_session_is_taken_for_none),
		RING_TEST(numbers_that_wrap_stay_in_order),
		RING_TEST(held_back_messages_are_seen_together),
		RING_TEST(held_back_messages_can_fill_the_ring),
		RING_TEST(passing_on_nothing_changes_nothing),
		RING_TEST(consumed_that_cannot_be_fails_eproto),
		RING_TEST(consumed_of_what_is_held_back_fails_eproto),
		RING_TEST(length_that_cannot_be_fails_eproto),
		RING_TEST(more_than_a_ring_ahead_of_what_is_released_fails_eproto),
		RING_TEST(two_threads_pass_messages_in_order),
	};

	return run("ring", tests, ARRAY_SIZE(tests));
}
