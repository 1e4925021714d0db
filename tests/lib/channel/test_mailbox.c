// SPDX-License-Identifier: MIT
/* Short messages that go through a channel's mailbox: which do, and what becomes of them. */
#include "channels.h"

#include <stdatomic.h>

#define MAIL_LENGTH	16
#define EVERY_OFFSET	16
#define MAILS		20000
#define SESSIONS	50

/* --- what goes that way --- */

static void ask(struct ivshmem_channel *asks, struct ivshmem_channel *answers)
{
	send_text(asks, "question");
	recv_text(answers, "question");
	send_text(answers, "answer");
	recv_text(asks, "answer");
}

/* From now on, too, a question and its answer both go by mail. */
static void assert_in_use(struct ivshmem_channel *a, struct ivshmem_channel *b)
{
	uint32_t a_sent, b_sent;

	ask(a, b);
	a_sent = a->mailbox.sent;
	b_sent = b->mailbox.sent;
	ask(a, b);
	assert_int_equal(a->mailbox.sent, a_sent + 1);
	assert_int_equal(b->mailbox.sent, b_sent + 1);
}

static void question_and_answer_go_by_mail(void **state)
{
	open_pair();
	assert_in_use(pair.a, pair.b);
	assert_in_use(pair.b, pair.a);
}

static void only_the_first_goes_by_mail_unless_answered(void **state)
{
	int i;

	open_pair();
	for (i = 0; i < 10; i++) {
		send_text(pair.a, "news");
		recv_text(pair.b, "news");
	}
	assert_int_equal(pair.a->mailbox.sent, 1);
	assert_in_use(pair.a, pair.b);
}

static void cross(void)
{
	send_text(pair.a, "mail");
	send_text(pair.b, "mail, too");
	recv_text(pair.a, "mail, too");
	recv_text(pair.b, "mail");
}

static void mails_that_cross_leave_the_mailbox_in_use(void **state)
{
	int i;

	open_pair();
	for (i = 0; i < 10; i++) {
		cross();
		assert_in_use(pair.a, pair.b);
	}
}

static void mails_that_cross_between_polls_leave_the_mailbox_in_use(void **state)
{
	int i;

	open_pair();
	cross();
	for (i = 0; i < 100; i++) {
		send_text(pair.a, "question");
		assert_recv_fails(pair.a, 0, -EAGAIN);
		recv_text(pair.b, "question");
		assert_recv_fails(pair.b, 0, -EAGAIN);
		send_text(pair.b, "answer");
		recv_text(pair.a, "answer");
	}
	assert_true(pair.a->mailbox.sent > 95);
	assert_true(pair.b->mailbox.sent > 95);
}

static void peek_text(struct ivshmem_channel *channel, const void **message, const char *text)
{
	assert_int_equal(ivshmem_channel_peek(channel, message, PATIENCE_MS), strlen(text));
	assert_memory_equal(*message, text, strlen(text));
}

/* Answered before it is released. */
static void ask_in_place(const void **message, const char *question)
{
	send_text(pair.a, question);
	peek_text(pair.b, message, question);
	send_text(pair.b, "answer");
	recv_text(pair.a, "answer");
}

static void answer_before_release_goes_by_mail(void **state)
{
	const void *message;
	int i;

	open_pair();
	for (i = 0; i < 100; i++) {
		ask_in_place(&message, "question");
		assert_memory_equal(message, "question", 8);
		assert_int_equal(ivshmem_channel_release(pair.b, message), 0);
	}
	assert_int_equal(pair.a->mailbox.sent, 100);
	assert_int_equal(pair.b->mailbox.sent, 100);
}

static void mail_stays_as_it_was_until_released(void **state)
{
	const void *message[5];
	char question[2] = "0";
	int i, round;

	open_pair();
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 5; i++) {
			question[0] = (char)('0' + i);
			ask_in_place(&message[i], question);
		}
		for (i = 0; i < 5; i++)
			assert_int_equal(*(const char *)message[i], '0' + i);
		for (i = 0; i < 5; i++)
			assert_int_equal(ivshmem_channel_release(pair.b, message[(i + round) % 5]),
					 0);
		assert_in_use(pair.a, pair.b);
	}
}

static void each_session_begins_with_a_free_mailbox(void **state)
{
	const void *message;

	open_pair();
	ask(pair.a, pair.b);
	ask_in_place(&message, "first");
	send_text(pair.a, "second");
	peek_text(pair.b, &message, "second");
	reconnect_both(pair.a, pair.b);
	send_text(pair.b, "mail");
	send_text(pair.a, "mail, too");
	recv_text(pair.a, "mail");
	recv_text(pair.b, "mail, too");
	assert_int_equal(pair.a->mailbox.sent, 1);
	assert_int_equal(pair.b->mailbox.sent, 1);
}

static void mail_does_not_overtake_what_is_held_back(void **state)
{
	void *room;

	open_pair();
	ask(pair.a, pair.b);
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, 5, 0), 0);
	memcpy(room, "first", 5);
	assert_int_equal(ivshmem_channel_commit(pair.a, 5, IVSHMEM_MORE), 0);
	send_text(pair.a, "second");
	recv_text(pair.b, "first");
	recv_text(pair.b, "second");
}

static void recv_of_mail_leaves_what_was_peeked(void **state)
{
	const void *first, *second;
	int i;

	open_pair();
	for (i = 0; i < 10; i++) {
		ask_in_place(&first, "first");
		send_text(pair.a, "mail");
		recv_text(pair.b, "mail");
		send_text(pair.b, "answer");
		recv_text(pair.a, "answer");
		ask_in_place(&second, "second");
		send_text(pair.a, "ring");
		recv_text(pair.b, "ring");
		assert_memory_equal(first, "first", 5);
		assert_memory_equal(second, "second", 6);
		assert_int_equal(ivshmem_channel_release(pair.b, i % 2 ? first : second), 0);
		assert_int_equal(ivshmem_channel_release(pair.b, i % 2 ? second : first), 0);
		assert_in_use(pair.a, pair.b);
	}
	assert_int_equal(pair.a->mailbox.sent, 40);
}

/* --- every byte of it --- */

enum way {
	WAY_RECV,		/* into a buffer of just that size */
	WAY_LARGER,		/* with room left */
	WAY_BEHIND_PEEKED,	/* while another is looked at */
	WAY_PEEK,
	WAYS
};

/* Nothing of what lies behind the message at its sender. */
static void assert_rest_is_zero(const struct ivshmem_mail *mail, size_t length)
{
	const char *bytes = (const char *)mail->message;

	for (; length < MAIL_LENGTH; length++)
		assert_int_equal(bytes[length], 0);
}

static void receive(struct ivshmem_channel *channel, char *to, size_t length, enum way way)
{
	size_t room = way == WAY_LARGER ? length + MAIL_LENGTH : length;
	const void *message = to;

	if (way == WAY_PEEK)
		assert_int_equal(ivshmem_channel_peek(channel, &message, 0), length);
	else
		assert_int_equal(ivshmem_channel_recv(channel, to, room, 0), length);
	memmove(to, message, length);
	assert_int_equal(ivshmem_channel_release_all(channel), 0);
}

static void every_length_at_every_offset_arrives(void **state)
{
	char from[EVERY_OFFSET + MAIL_LENGTH + 1], to[EVERY_OFFSET + 3 * MAIL_LENGTH];
	size_t length, offset, i;
	uint32_t number = 1;
	const void *message;
	enum way way;

	open_pair();
	for (way = 0; way < WAYS; way++)
		for (length = 0; length <= MAIL_LENGTH + 1; length++)
			for (offset = 0; offset < EVERY_OFFSET; offset++) {
				uint32_t sent = pair.a->mailbox.sent;

				if (way == WAY_BEHIND_PEEKED) {
					ask_in_place(&message, "looked at");
					sent++;
				}
				memset(from, 0x55, sizeof(from));
				fill(from + offset, length, ++number);
				memset(to, 0x77, sizeof(to));
				assert_int_equal(ivshmem_channel_send(pair.a, from + offset,
								      length, 0), 0);
				assert_rest_is_zero(pair.b->mailbox.other, length);
				receive(pair.b, to + MAIL_LENGTH - offset, length, way);
				assert_filled(to + MAIL_LENGTH - offset, length, number);
				for (i = 0; i < MAIL_LENGTH - offset; i++)
					assert_int_equal(to[i], 0x77);
				for (i += length; i < sizeof(to); i++)
					assert_int_equal(to[i], 0x77);
				assert_int_equal(pair.a->mailbox.sent,
						 sent + (length <= MAIL_LENGTH));
				send_text(pair.b, "answer");
				recv_text(pair.a, "answer");
			}
}

/* --- numbers that come round --- */

/* As if so many messages had passed. */
static void pass_over(struct ivshmem_channel *from, struct ivshmem_channel *to, uint64_t messages)
{
	from->sender.count += messages;
	*from->sender.sent += messages;
	to->receiver.count += messages;
	*to->receiver.received += messages;
}

/*
 * Numbers of messages count modulo 2^31. What lies in the mailbox since so many
 * messages must not be taken for new.
 */
static void old_mail_is_no_news_after_all_numbers(void **state)
{
	uint64_t step = (1ull << 31) - 3;
	int i;

	open_pair();
	send_text(pair.a, "mail");
	recv_text(pair.b, "mail");
	send_text(pair.a, "ring");
	recv_text(pair.b, "ring");
	pass_over(pair.a, pair.b, step);
	for (i = 0; i < 5; i++) {
		assert_recv_fails(pair.b, 0, -EAGAIN);
		send_text(pair.a, "more, in the ring again");
		recv_text(pair.b, "more, in the ring again");
	}
}

/* Nor what lies in the ring since so much mail. */
static void old_record_is_no_news_after_all_numbers(void **state)
{
	static const char text[] = "a record of 64 bytes";
	const struct ivshmem_sender *sender;
	uint64_t step, next;
	unsigned int i;

	open_pair();
	for (i = 0; i < pair.a->sender.size / RECORD_ALIGN + 3; i++) {
		send_text(pair.a, text);
		recv_text(pair.b, text);
	}
	sender = &pair.a->sender;
	next = *sender_at(sender, sender->position) >> 32 & ~RECORD_MARK;
	step = (1ull << 31) + next - 3 - (uint32_t)sender->count;
	pass_over(pair.a, pair.b, step);
	for (i = 0; i < 5; i++) {
		assert_recv_fails(pair.b, 0, -EAGAIN);
		ask(pair.a, pair.b);
	}
}

static void set_counts(struct ivshmem_channel *from, struct ivshmem_channel *to,
		       uint64_t messages, uint32_t mails)
{
	pass_over(from, to, messages - (uint32_t)from->sender.count);
	from->sender.lap_count = from->sender.count;
	from->mailbox.sent = to->mailbox.taken = mails;
	to->mailbox.own->taken = mails;
}

static void header_is_as_specified(void **state)
{
	open_pair();
	set_counts(pair.a, pair.b, 0x123456788, 0xabcdef00);
	send_text(pair.a, "sixteen letters!");
	assert_int_equal(pair.b->mailbox.other->header, 0xa3456789cdef0110);
	recv_text(pair.b, "sixteen letters!");
	set_counts(pair.a, pair.b, 0xffffffff, 0xffffffff);
	send_text(pair.a, "");
	assert_int_equal(pair.b->mailbox.other->header, 0x8000000000000000);
	recv_text(pair.b, "");
}

static void counts_that_wrap_lose_nothing(void **state)
{
	static const uint64_t messages[] = { 0, (1ull << 31) - 20, (1ull << 32) - 20 };
	static const uint32_t mails[] = { (1u << 24) - 20, (1u << 31) - 20, UINT32_MAX - 20 };
	size_t i, j, n;

	open_pair();
	for (i = 0; i < ARRAY_SIZE(messages); i++)
		for (j = 0; j < ARRAY_SIZE(mails); j++) {
			set_counts(pair.a, pair.b, messages[i], mails[j]);
			set_counts(pair.b, pair.a, messages[i], mails[j]);
			for (n = 0; n < 50; n++) {
				assert_recv_fails(pair.b, 0, -EAGAIN);
				ask(pair.a, pair.b);
				assert_recv_fails(pair.a, 0, -EAGAIN);
			}
			assert_int_equal(pair.a->mailbox.sent, mails[j] + 50);
		}
}

/* --- two threads at each end --- */

/*
 * What one thread of an end has received, for the one that sends; it sends so many
 * more, and no more.
 */
struct end {
	struct ivshmem_channel *channel;
	atomic_uint received;
	uint32_t ahead;
};

static void *send_mails(void *data)
{
	struct end *end = data;
	char buffer[MAIL_LENGTH];
	uint32_t i;

	for (i = 0; i < MAILS; i++) {
		while (end->received + end->ahead <= i)
			sched_yield();
		fill(buffer, i % 17, i);
		if (ivshmem_channel_send(end->channel, buffer, i % 17, PATIENCE_MS))
			return "a send fails";
	}
	return NULL;
}

static void *receive_mails(void *data)
{
	struct end *end = data;
	char buffer[MAIL_LENGTH], expected[MAIL_LENGTH];
	const void *message = buffer;
	ssize_t length;
	uint32_t i;

	for (i = 0; i < MAILS; i++) {
		if (i % 5)
			length = ivshmem_channel_recv(end->channel, buffer, sizeof(buffer),
						      PATIENCE_MS);
		else
			length = ivshmem_channel_peek(end->channel, &message, PATIENCE_MS);
		if (length != i % 17)
			return "a receive fails";
		fill(expected, i % 17, i);
		if (memcmp(i % 5 ? buffer : message, expected, i % 17))
			return "wrong bytes";
		if (!(i % 5) && ivshmem_channel_release(end->channel, message))
			return "a release fails";
		end->received = i + 1;
	}
	return NULL;
}

static struct ivshmem_slot *slot_in(struct ivshmem_channel *channel)
{
	return &channel->directory.slots[channel->object.slot];
}

/* By the addresses of @mapped, so that ThreadSanitizer sees that it is the same memory. */
static void map_mailbox_of_b(struct ivshmem_channel *mapped)
{
	pair.b->mailbox.own = slot_in(mapped)->mail + IVSHMEM_END_CONNECTOR;
	pair.b->mailbox.other = slot_in(mapped)->mail + IVSHMEM_END_CREATOR;
}

static void pass_mails(uint32_t a_ahead, uint32_t b_ahead)
{
	struct end ends[2] = { { .ahead = a_ahead }, { .ahead = b_ahead } };
	pthread_t threads[4];
	int i;

	open_pair();
	map_mailbox_of_b(pair.a);
	ends[0].channel = pair.a;
	ends[1].channel = pair.b;
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						i % 2 ? send_mails : receive_mails,
						&ends[i / 2]), 0);
	assert_threads_succeed(threads, 4);
	map_mailbox_of_b(pair.b);
}

static void threads_in_step_lose_nothing(void **state)
{
	pass_mails(1, 0);
	assert_in_range(pair.a->mailbox.sent, MAILS / 2, MAILS);
	assert_in_range(pair.b->mailbox.sent, MAILS / 2, MAILS);
}

static void threads_that_do_not_wait_lose_nothing(void **state)
{
	pass_mails(MAILS, MAILS);
}

/* --- what can't be --- */

static void third_mail_over_two_that_are_peeked_fails_eproto(void **state)
{
	const void *message;
	char buffer[16];
	char *raw;

	open_pair();
	raw = map_raw(pair.left);
	send_text(pair.a, "mail");
	peek_text(pair.b, &message, "mail");
	slot_of(raw, 0)->mail[0].header += (1ull << 32) + (1 << MAIL_COUNT_SHIFT);
	peek_text(pair.b, &message, "mail");
	slot_of(raw, 0)->mail[0].header += (1ull << 32) + (1 << MAIL_COUNT_SHIFT);
	assert_int_equal(ivshmem_channel_recv(pair.b, buffer, sizeof(buffer), 0), -EPROTO);
	munmap(raw, REGION_SIZE);
}

static void mail_that_cannot_be_fails_eproto(void **state)
{
	static const unsigned int lengths[] = { MAIL_LENGTH + 1, 31, 32, 128 + 4, 255 };
	char buffer[256];
	char *raw;
	size_t i;

	open_pair();
	raw = map_raw(pair.left);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		send_text(pair.a, "");
		slot_of(raw, 0)->mail[0].header += lengths[i];
		assert_int_equal(ivshmem_channel_recv(pair.b, buffer, sizeof(buffer), 0), -EPROTO);
		slot_of(raw, 0)->mail[0].header -= lengths[i];
		assert_dead_until_reconnected(pair.b, pair.a);
		reconnect_both(pair.a, pair.b);
	}
	munmap(raw, REGION_SIZE);
}

static atomic_bool game_is_over;

static void *give_and_take_back(void *header)
{
	uint64_t mail = record_header(1, mail_length(1, 4));
	unsigned int i;

	for (i = 0; !game_is_over; i++)
		__atomic_store_n((uint64_t *)header, i / 8 % 2 ? mail : 0, __ATOMIC_RELEASE);
	return NULL;
}

static void mail_that_is_taken_back_is_no_message(void **state)
{
	pthread_t thread;
	char buffer[64];
	ssize_t length;
	char *raw;
	int i;

	open_pair();
	raw = map_raw(pair.left);
	for (i = 0; i < SESSIONS; i++) {
		game_is_over = false;
		assert_int_equal(pthread_create(&thread, NULL, give_and_take_back,
						&slot_of(raw, 0)->mail[0].header), 0);
		do {
			length = ivshmem_channel_recv(pair.b, buffer, sizeof(buffer), 0);
		} while (length == -EAGAIN);
		game_is_over = true;
		pthread_join(thread, NULL);
		if (length != -EPROTO)
			assert_int_equal(length, 4);
		reconnect_both(pair.a, pair.b);
	}
	talk(pair.a, pair.b);
	munmap(raw, REGION_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(question_and_answer_go_by_mail),
		PAIR_TEST(only_the_first_goes_by_mail_unless_answered),
		PAIR_TEST(mails_that_cross_leave_the_mailbox_in_use),
		PAIR_TEST(mails_that_cross_between_polls_leave_the_mailbox_in_use),
		PAIR_TEST(answer_before_release_goes_by_mail),
		PAIR_TEST(mail_stays_as_it_was_until_released),
		PAIR_TEST(each_session_begins_with_a_free_mailbox),
		PAIR_TEST(mail_does_not_overtake_what_is_held_back),
		PAIR_TEST(recv_of_mail_leaves_what_was_peeked),
		PAIR_TEST(every_length_at_every_offset_arrives),
		PAIR_TEST(old_mail_is_no_news_after_all_numbers),
		PAIR_TEST(old_record_is_no_news_after_all_numbers),
		PAIR_TEST(header_is_as_specified),
		PAIR_TEST(counts_that_wrap_lose_nothing),
		PAIR_TEST(threads_in_step_lose_nothing),
		PAIR_TEST(threads_that_do_not_wait_lose_nothing),
		PAIR_TEST(third_mail_over_two_that_are_peeked_fails_eproto),
		PAIR_TEST(mail_that_cannot_be_fails_eproto),
		PAIR_TEST(mail_that_is_taken_back_is_no_message),
	};

	return run("mailbox", tests, ARRAY_SIZE(tests));
}
