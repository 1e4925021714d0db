// SPDX-License-Identifier: MIT
/*
 * Messages in place: those that are kept while others come and go, that are reserved and
 * dropped, and that a stream has begun.
 */
#include "channels.h"

#define MAX_IN_FLIGHT	8192
#define OPERATIONS	300000
#define LINE_LENGTH	(RECORD_ALIGN - RECORD_HEADER)

static const void *peek_text(struct ivshmem_channel *channel, const char *text)
{
	const void *message;

	assert_int_equal(ivshmem_channel_peek(channel, &message, PATIENCE_MS), strlen(text));
	assert_memory_equal(message, text, strlen(text));
	return message;
}

static void release(struct ivshmem_channel *channel, const void *message)
{
	assert_int_equal(ivshmem_channel_release(channel, message), 0);
}

static void assert_no_release(struct ivshmem_channel *channel, const void *message)
{
	assert_int_equal(ivshmem_channel_release(channel, message), -EINVAL);
}

/* Messages that take a line of the ring each. */
static bool send_line(struct ivshmem_channel *channel, uint32_t number)
{
	char line[LINE_LENGTH];
	int err;

	fill(line, sizeof(line), number);
	err = ivshmem_channel_send(channel, line, sizeof(line), 0);
	if (err)
		assert_int_equal(err, -EAGAIN);
	return !err;
}

static const void *peek_line(struct ivshmem_channel *channel, uint32_t number)
{
	const void *message;

	assert_int_equal(ivshmem_channel_peek(channel, &message, 0), LINE_LENGTH);
	assert_filled(message, LINE_LENGTH, number);
	return message;
}

static void recv_line(struct ivshmem_channel *channel, uint32_t number)
{
	char line[LINE_LENGTH];

	assert_int_equal(ivshmem_channel_recv(channel, line, sizeof(line), 0), LINE_LENGTH);
	assert_filled(line, LINE_LENGTH, number);
}

static uint32_t lines_of(const struct ivshmem_channel *channel)
{
	return (uint32_t)(channel->sender.size / RECORD_ALIGN);
}

/* --- one message, one release --- */

/* As many as there is room for, or @most. */
static uint32_t pass_lines(uint32_t most)
{
	uint32_t i;

	for (i = 0; i < most && send_line(pair.a, i); i++) {
		if (i % 3)
			release(pair.b, peek_line(pair.b, i));
		else
			recv_line(pair.b, i);
		assert_recv_fails(pair.b, 0, -EAGAIN);
	}
	return i;
}

static void kept_record_stays_while_newer_ones_come_and_go(void **state)
{
	const void *kept;
	int i;

	open_pair();
	for (i = 0; i < 5; i++) {
		send_line(pair.a, 1000);
		kept = peek_line(pair.b, 1000);
		assert_int_equal(pass_lines(2 * lines_of(pair.a)), lines_of(pair.a) - 1);
		assert_filled(kept, LINE_LENGTH, 1000);
		release(pair.b, kept);
		assert_recv_fails(pair.b, 0, -EAGAIN);
		/* From another line each time. */
		assert_int_equal(pass_lines(lines_of(pair.a) + 7), lines_of(pair.a) + 7);
	}
}

static void kept_mail_stays_while_newer_ones_come_and_go(void **state)
{
	const void *first, *second;
	uint32_t i;

	open_pair();
	send_text(pair.a, "one");
	first = peek_text(pair.b, "one");
	send_text(pair.b, "answer");
	recv_text(pair.a, "answer");
	send_text(pair.a, "two");
	second = peek_text(pair.b, "two");
	for (i = 0; i < 3 * lines_of(pair.a); i++) {
		send_text(pair.b, "answer");
		recv_text(pair.a, "answer");
		send_text(pair.a, "three");
		if (i % 2)
			recv_text(pair.b, "three");
		else
			release(pair.b, peek_text(pair.b, "three"));
	}
	assert_memory_equal(first, "one", 3);
	assert_memory_equal(second, "two", 3);
	release(pair.b, first);
	assert_memory_equal(second, "two", 3);
	release(pair.b, second);
}

/* Which of @count to release as the number @i: the oldest first, the newest, and others. */
static uint32_t in_order(uint32_t i, uint32_t count)
{
	return i;
}

static uint32_t backwards(uint32_t i, uint32_t count)
{
	return count - 1 - i;
}

static uint32_t odd_ones_first(uint32_t i, uint32_t count)
{
	uint32_t odd = count / 2;

	return i < odd ? 2 * i + 1 : 2 * (i - odd);
}

static uint32_t middle_first(uint32_t i, uint32_t count)
{
	return (i + count / 2) % count;
}

static uint32_t (*const orders[])(uint32_t i, uint32_t count) = {
	in_order, backwards, odd_ones_first, middle_first,
};

/* A receiver that finds nothing has told of all that it released. */
static uint64_t told_to(const struct ivshmem_channel *sender, struct ivshmem_channel *receiver)
{
	assert_recv_fails(receiver, 0, -EAGAIN);
	return __atomic_load_n(&sender->other->consumed, __ATOMIC_ACQUIRE);
}

static uint32_t oldest_of(const bool *released, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count && released[i]; i++)
		;
	return i;
}

static void release_lines(const void *const *message, uint32_t lines,
			  uint32_t (*order)(uint32_t i, uint32_t count))
{
	static bool released[REGION_SIZE / RECORD_ALIGN];
	uint64_t before = told_to(pair.a, pair.b);
	uint32_t i, line;

	memset(released, 0, sizeof(released));
	for (i = 0; i < lines; i++) {
		line = order(i, lines);
		assert_filled(message[line], LINE_LENGTH, line);
		release(pair.b, message[line]);
		assert_no_release(pair.b, message[line]);
		released[line] = true;
		assert_int_equal(told_to(pair.a, pair.b),
				 before + oldest_of(released, lines) * RECORD_ALIGN);
	}
}

static void whole_ring_is_kept_and_room_comes_back_in_order(void **state)
{
	static const void *message[REGION_SIZE / RECORD_ALIGN];
	uint32_t i, lines;
	size_t o;

	open_pair();
	lines = lines_of(pair.a);
	for (o = 0; o < ARRAY_SIZE(orders); o++) {
		/* From another line each time. */
		assert_int_equal(pass_lines(5), 5);
		for (i = 0; i < lines; i++) {
			assert_true(send_line(pair.a, i));
			message[i] = peek_line(pair.b, i);
		}
		assert_false(send_line(pair.a, 0));
		release_lines(message, lines, orders[o]);
	}
	assert_ring_is_free(pair.a);
}

static void short_messages_are_kept_up_to_what_the_ring_holds(void **state)
{
	static const void *message[REGION_SIZE / RECORD_ALIGN + 2];
	uint32_t i, line, count = 0;
	size_t o;

	open_pair();
	for (o = 0; o < ARRAY_SIZE(orders); o++, count = 0) {
		/* All are answered, so that as many as can be come by mail. */
		while (!ivshmem_channel_send(pair.a, &count, sizeof(count), 0)) {
			assert_int_equal(ivshmem_channel_peek(pair.b, &message[count++], 0),
					 sizeof(count));
			send_text(pair.b, "answer");
			recv_text(pair.a, "answer");
		}
		assert_int_equal(count, lines_of(pair.a) + 2);
		for (i = 0; i < count; i++) {
			line = orders[o](i, count);
			assert_int_equal(*(const uint32_t *)message[line], line);
			release(pair.b, message[line]);
			assert_no_release(pair.b, message[line]);
		}
		assert_recv_fails(pair.b, 0, -EAGAIN);
		send_text(pair.b, "answer");
		recv_text(pair.a, "answer");
	}
	assert_ring_is_free(pair.a);
}

static void release_all_gives_everything_back(void **state)
{
	const void *first = NULL, *message;
	uint32_t i;

	open_pair();
	send_text(pair.a, "mail");
	message = peek_text(pair.b, "mail");
	for (i = 0; send_line(pair.a, i); i++) {
		first = i ? first : peek_line(pair.b, i);
		if (i)
			peek_line(pair.b, i);
	}
	assert_int_equal(ivshmem_channel_release_all(pair.b), 0);
	assert_no_release(pair.b, message);
	assert_no_release(pair.b, first);
	assert_recv_fails(pair.b, 0, -EAGAIN);
	assert_int_equal(ivshmem_channel_release_all(pair.b), 0);
	assert_ring_is_free(pair.a);
}

static void what_is_not_kept_cannot_be_released(void **state)
{
	const char *kept, *mail, *received;
	char buffer[LINE_LENGTH];
	ptrdiff_t i;

	open_pair();
	send_text(pair.a, "mail");
	mail = peek_text(pair.b, "mail");
	send_line(pair.a, 1);
	recv_line(pair.b, 1);
	send_line(pair.a, 2);
	kept = peek_line(pair.b, 2);
	received = kept - RECORD_ALIGN;
	assert_no_release(pair.b, NULL);
	assert_no_release(pair.b, buffer);
	assert_no_release(pair.b, received);
	assert_no_release(pair.b, kept + RECORD_ALIGN);
	/* Where the ring is mapped for the second time. */
	assert_no_release(pair.b, kept + pair.b->receiver.size);
	assert_no_release(pair.b, (const void *)UINTPTR_MAX);
	assert_no_release(pair.b, pair.b->mailbox.places[1]);
	for (i = -RECORD_ALIGN; i < RECORD_ALIGN; i++) {
		if (!i)
			continue;
		assert_no_release(pair.b, kept + i);
		assert_no_release(pair.b, mail + i);
	}
	assert_no_release(pair.a, kept);
	assert_filled(kept, LINE_LENGTH, 2);
	assert_memory_equal(mail, "mail", 4);
	release(pair.b, kept);
	assert_no_release(pair.b, kept);
	release(pair.b, mail);
	assert_no_release(pair.b, mail);
	assert_recv_fails(pair.b, 0, -EAGAIN);
	assert_ring_is_free(pair.a);
}

static void *send_a_line(void *channel)
{
	static const char line[LINE_LENGTH];

	return (void *)(intptr_t)ivshmem_channel_send(channel, line, sizeof(line), PATIENCE_MS);
}

/* For less than the eighth of the ring that is told anyway. */
static void sender_that_sleeps_is_told_once_the_oldest_is_released(void **state)
{
	const void *first, *second;
	pthread_t thread;
	void *result;
	uint32_t i;

	open_pair();
	for (i = 0; send_line(pair.a, i); i++)
		;
	first = peek_line(pair.b, 0);
	second = peek_line(pair.b, 1);
	for (i = 2; i < lines_of(pair.a); i++)
		recv_line(pair.b, i);
	assert_false(send_line(pair.a, 0));
	assert_int_equal(pthread_create(&thread, NULL, send_a_line, pair.a), 0);
	wait_for_sleeping_sender(pair.b);
	release(pair.b, second);
	assert_int_equal(__atomic_load_n(&pair.a->other->consumed, __ATOMIC_ACQUIRE), 0);
	release(pair.b, first);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, 0);
}

/* --- the end of a session --- */

static void kept_messages_outlast_the_session(void **state)
{
	const void *mail, *record;

	open_pair();
	send_text(pair.a, "mail");
	mail = peek_text(pair.b, "mail");
	send_line(pair.a, 1);
	record = peek_line(pair.b, 1);
	close_end(&pair.a);
	assert_recv_fails(pair.b, 0, -EPIPE);
	assert_memory_equal(mail, "mail", 4);
	assert_filled(record, LINE_LENGTH, 1);
	release(pair.b, record);
	release(pair.b, mail);
	assert_recv_fails(pair.b, 0, -EPIPE);
}

static void reconnect_releases_what_was_kept(void **state)
{
	const void *mail, *record;
	int round;

	open_pair();
	for (round = 0; round < 3; round++) {
		send_text(pair.a, "mail");
		mail = peek_text(pair.b, "mail");
		send_line(pair.a, 1);
		record = peek_line(pair.b, 1);
		if (round)
			assert_int_equal(ivshmem_channel_reconnect(pair.b, 0), -ETIMEDOUT);
		if (round == 2) {
			assert_no_release(pair.b, mail);
			assert_no_release(pair.b, record);
			assert_int_equal(ivshmem_channel_release_all(pair.b), 0);
		}
		reconnect_both(pair.a, pair.b);
		assert_no_release(pair.b, mail);
		assert_no_release(pair.b, record);
		assert_int_equal(told_to(pair.a, pair.b), 0);
		assert_int_equal(pass_lines(2 * lines_of(pair.a)), 2 * lines_of(pair.a));
		reconnect_both(pair.a, pair.b);
	}
}

static void format_by_force_leaves_kept_messages_mapped(void **state)
{
	const void *mail, *record;
	struct ivshmem_channel *a, *b;
	struct ivshmem *left, *right;

	open_pair();
	send_text(pair.a, "mail");
	mail = peek_text(pair.b, "mail");
	send_line(pair.a, 1);
	record = peek_line(pair.b, 1);
	left = open_region(in_shm("region"), 0);
	right = open_region(in_shm("region"), 0);
	assert_int_equal(format_for(left, "new", 1, IVSHMEM_FORMAT_FORCE), 0);
	open_both(left, &a, right, &b, "a");
	assert_memory_equal(mail, "mail", 4);
	assert_filled(record, LINE_LENGTH, 1);
	/* Of which the new session hears nothing. */
	release(pair.b, record);
	release(pair.b, mail);
	assert_int_equal(told_to(a, b), 0);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, 0), -ESTALE);
	talk(a, b);
	ivshmem_channel_close(a);
	ivshmem_channel_close(b);
	ivshmem_close(left);
	ivshmem_close(right);
}

/* --- what is reserved --- */

static void unreserved_message_is_never_seen(void **state)
{
	void *room, *again;

	open_pair();
	assert_int_equal(ivshmem_channel_unreserve(pair.a), -EINVAL);
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, 100, 0), 0);
	memset(room, 0x55, 100);
	assert_send_fails(pair.a, 0, -EBUSY);
	assert_int_equal(ivshmem_channel_unreserve(pair.a), 0);
	assert_int_equal(ivshmem_channel_unreserve(pair.a), -EINVAL);
	assert_int_equal(ivshmem_channel_commit(pair.a, 1, 0), -EINVAL);
	assert_recv_fails(pair.b, 0, -EAGAIN);
	talk(pair.a, pair.b);
	assert_int_equal(ivshmem_channel_reserve(pair.a, &again, 5, 0), 0);
	memcpy(again, "again", 5);
	assert_int_equal(ivshmem_channel_commit(pair.a, 5, 0), 0);
	recv_text(pair.b, "again");
}

static void unreserve_leaves_what_is_held_back(void **state)
{
	void *room;

	open_pair();
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, 4, 0), 0);
	memcpy(room, "held", 4);
	assert_int_equal(ivshmem_channel_commit(pair.a, 4, IVSHMEM_MORE), 0);
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, 5000, 0), 0);
	assert_int_equal(ivshmem_channel_unreserve(pair.a), 0);
	assert_recv_fails(pair.b, 0, -EAGAIN);
	send_text(pair.a, "sent");
	recv_text(pair.b, "held");
	recv_text(pair.b, "sent");
}

static void reserve_that_fails_leaves_what_was_reserved(void **state)
{
	size_t longest;
	void *room;

	open_pair();
	longest = ivshmem_channel_max_length(pair.a);
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, longest, 0), 0);
	assert_int_equal(ivshmem_channel_commit(pair.a, longest, 0), 0);
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, longest / 2, 0), 0);
	assert_int_equal(ivshmem_channel_commit(pair.a, longest / 2, 0), 0);
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, 4, 0), 0);
	memcpy(room, "kept", 4);
	assert_int_equal(ivshmem_channel_reserve(pair.a, &room, longest, 0), -EAGAIN);
	assert_int_equal(ivshmem_channel_commit(pair.a, 5, 0), -EINVAL);
	assert_int_equal(ivshmem_channel_commit(pair.a, 4, 0), 0);
	assert_int_equal(ivshmem_channel_recv(pair.b, NULL, 0, 0), -EMSGSIZE);
	assert_int_equal(ivshmem_channel_peek(pair.b, (const void **)&room, 0), longest);
	assert_int_equal(ivshmem_channel_peek(pair.b, (const void **)&room, 0), longest / 2);
	recv_text(pair.b, "kept");
}

/* Whatever number comes next at any place, it stands there already. */
static void unreserved_bytes_are_taken_for_no_message(void **state)
{
	uint64_t header;
	char *room;
	size_t i;
	int n;

	open_pair();
	for (n = 0; n < 3000; n++) {
		assert_int_equal(ivshmem_channel_reserve(pair.a, (void **)&room, 1000, 0), 0);
		header = record_header(pair.a->sender.count + 2, 0);
		for (i = 0; i + sizeof(header) <= 1000; i += sizeof(header))
			memcpy(room + i, &header, sizeof(header));
		assert_int_equal(ivshmem_channel_unreserve(pair.a), 0);
		assert_true(send_line(pair.a, (uint32_t)n));
		recv_line(pair.b, (uint32_t)n);
		assert_recv_fails(pair.b, 0, -EAGAIN);
	}
}

/* --- a message that is read in part --- */

static void assert_only_read_goes_on(struct ivshmem_channel *channel, const char *rest)
{
	const void *message = POISON;
	char buffer[256];

	assert_recv_fails(channel, 0, -EBUSY);
	assert_recv_fails(channel, PATIENCE_MS, -EBUSY);
	assert_int_equal(ivshmem_channel_recv(channel, NULL, 0, 0), -EBUSY);
	assert_int_equal(ivshmem_channel_peek(channel, &message, PATIENCE_MS), -EBUSY);
	assert_ptr_equal(message, POISON);
	assert_no_release(channel, channel->reading);
	assert_int_equal(ivshmem_channel_release_all(channel), 0);
	for (; *rest; rest++) {
		assert_recv_fails(channel, 0, -EBUSY);
		assert_int_equal(ivshmem_channel_read(channel, buffer, 1, 0), 1);
		assert_int_equal(buffer[0], *rest);
	}
}

static void message_that_is_read_in_part_is_read_to_its_end_first(void **state)
{
	static const char *const texts[] = { "a mail", "a record, too long for the mailbox" };
	const void *kept[2];
	char byte;
	size_t i;

	open_pair();
	for (i = 0; i < 20; i++) {
		const char *text = texts[i % 2];

		send_text(pair.a, "kept");
		kept[0] = peek_text(pair.b, "kept");
		send_text(pair.b, "answer");
		recv_text(pair.a, "answer");
		send_text(pair.a, text);
		send_text(pair.a, "next");
		assert_int_equal(ivshmem_channel_read(pair.b, &byte, 1, 0), 1);
		assert_int_equal(byte, 'a');
		assert_only_read_goes_on(pair.b, text + 1);
		assert_no_release(pair.b, kept[0]);
		kept[1] = peek_text(pair.b, "next");
		release(pair.b, kept[1]);
		send_text(pair.b, "answer");
		recv_text(pair.a, "answer");
	}
	assert_recv_fails(pair.b, 0, -EAGAIN);
	assert_ring_is_free(pair.a);
}

static void rest_of_a_message_comes_before_the_end_of_the_session(void **state)
{
	char buffer[8];

	open_pair();
	send_line(pair.a, 1);
	assert_int_equal(ivshmem_channel_read(pair.b, buffer, 8, 0), 8);
	close_end(&pair.a);
	assert_int_equal(ivshmem_channel_read(pair.b, buffer, 8, PATIENCE_MS), 8);
	assert_recv_fails(pair.b, 0, -EBUSY);
	while (ivshmem_channel_read(pair.b, buffer, 8, PATIENCE_MS) == 8)
		;
	assert_recv_fails(pair.b, 0, -EPIPE);
}

/* --- random operations on both ends, against a model --- */

struct kept {
	const void *message;
	uint32_t number;
	size_t length;
	uint64_t at;		/* where its record begins; UINT64_MAX for mail */
};

static struct model {
	uint32_t sent, visible, received, length[MAX_IN_FLIGHT];
	struct kept kept[MAX_IN_FLIGHT];
	uint32_t keeps, most_kept;
} models[2];

static size_t random_length(struct ivshmem_channel *channel)
{
	switch (rand() % 16) {
	case 0:
		return (size_t)rand() % (ivshmem_channel_max_length(channel) + 1);
	case 1 ... 4:
		return (size_t)rand() % 200;
	default:
		return (size_t)rand() % 20;
	}
}

static void random_send(struct ivshmem_channel *channel, struct model *model)
{
	static char buffer[REGION_SIZE];
	size_t length = random_length(channel);
	bool in_place = rand() % 2, more = in_place && rand() % 3;
	void *room = buffer;
	int err;

	if (in_place)
		err = ivshmem_channel_reserve(channel, &room, length, 0);
	else
		fill(room, length, model->sent);
	if (!in_place)
		err = ivshmem_channel_send(channel, room, length, 0);
	if (err) {
		assert_int_equal(err, -EAGAIN);
		model->visible = model->sent;
		return;
	}
	/* A call that had to look for room has passed on what was held back. */
	if (in_place && rand() % 8 == 0) {
		memset(room, rand(), length);
		assert_int_equal(ivshmem_channel_unreserve(channel), 0);
		return;
	}
	if (in_place) {
		fill(room, length, model->sent);
		assert_int_equal(ivshmem_channel_commit(channel, length, more ? IVSHMEM_MORE : 0),
				 0);
	}
	model->length[model->sent++ % MAX_IN_FLIGHT] = (uint32_t)length;
	if (!more)
		model->visible = model->sent;
}

static void random_receive(struct ivshmem_channel *channel, struct model *model)
{
	static char buffer[REGION_SIZE];
	uint64_t at = channel->receiver.position;
	const void *message = buffer;
	bool keep = rand() % 2;
	ssize_t length;

	if (keep)
		length = ivshmem_channel_peek(channel, &message, 0);
	else
		length = ivshmem_channel_recv(channel, buffer, sizeof(buffer), 0);
	if (length == -EAGAIN) {
		assert_true(model->received >= model->visible);
		return;
	}
	assert_true(model->received < model->sent);
	assert_int_equal(length, model->length[model->received % MAX_IN_FLIGHT]);
	assert_filled(message, (size_t)length, model->received);
	/* The record itself, which may lie at the ring's start; or mail. */
	at = at == channel->receiver.position ? UINT64_MAX :
	     channel->receiver.position - ivshmem_record_size((uint64_t)length);
	if (keep)
		model->kept[model->keeps++] = (struct kept) { message, model->received,
							      (size_t)length, at };
	if (model->keeps > model->most_kept)
		model->most_kept = model->keeps;
	model->received++;
}

static void release_kept(struct ivshmem_channel *channel, struct model *model, uint32_t which)
{
	struct kept kept = model->kept[which];

	model->kept[which] = model->kept[--model->keeps];
	assert_filled(kept.message, kept.length, kept.number);
	release(channel, kept.message);
	assert_no_release(channel, kept.message);
}

/* Now and then all, and now and then none for a while. */
static void random_release(struct ivshmem_channel *channel, struct model *model)
{
	if (rand() % 64 == 0) {
		assert_int_equal(ivshmem_channel_release_all(channel), 0);
		while (model->keeps)
			assert_no_release(channel, model->kept[--model->keeps].message);
	}
	if (model->received / 1024 % 4 == 0 && rand() % 16)
		return;
	if (model->keeps)
		release_kept(channel, model, (uint32_t)rand() % model->keeps);
}

/* All before the oldest message that is kept, and no more. */
static void assert_released(const struct ivshmem_channel *channel, const struct model *model)
{
	uint64_t oldest = channel->receiver.position;
	uint32_t i;

	for (i = 0; i < model->keeps; i++)
		if (model->kept[i].at < oldest)
			oldest = model->kept[i].at;
	assert_true(channel->receiver.released == oldest);
}

static void random_operations_follow_the_model(void **state)
{
	int i;

	open_handles(64 * KIB, 1);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	memset(models, 0, sizeof(models));
	srand(2);
	for (i = 0; i < OPERATIONS; i++) {
		switch (rand() % 6) {
		case 0:
			random_send(pair.a, &models[0]);
			break;
		case 1:
			random_receive(pair.b, &models[0]);
			break;
		case 2:
			random_send(pair.b, &models[1]);
			break;
		case 3:
			random_receive(pair.a, &models[1]);
			break;
		case 4:
			random_release(pair.b, &models[0]);
			break;
		case 5:
			random_release(pair.a, &models[1]);
			break;
		}
		assert_released(pair.b, &models[0]);
		assert_released(pair.a, &models[1]);
	}
	assert_true(pair.a->mailbox.sent > OPERATIONS / 200);
	assert_true(pair.b->mailbox.sent > OPERATIONS / 200);
	assert_true(models[0].received > OPERATIONS / 16);
	assert_true(models[1].received > OPERATIONS / 16);
	assert_true(models[0].most_kept > 32);
	assert_true(models[1].most_kept > 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(kept_record_stays_while_newer_ones_come_and_go),
		PAIR_TEST(kept_mail_stays_while_newer_ones_come_and_go),
		PAIR_TEST(whole_ring_is_kept_and_room_comes_back_in_order),
		PAIR_TEST(short_messages_are_kept_up_to_what_the_ring_holds),
		PAIR_TEST(release_all_gives_everything_back),
		PAIR_TEST(what_is_not_kept_cannot_be_released),
		PAIR_TEST(sender_that_sleeps_is_told_once_the_oldest_is_released),
		PAIR_TEST(kept_messages_outlast_the_session),
		PAIR_TEST(reconnect_releases_what_was_kept),
		PAIR_TEST(format_by_force_leaves_kept_messages_mapped),
		PAIR_TEST(unreserved_message_is_never_seen),
		PAIR_TEST(unreserve_leaves_what_is_held_back),
		PAIR_TEST(reserve_that_fails_leaves_what_was_reserved),
		PAIR_TEST(unreserved_bytes_are_taken_for_no_message),
		PAIR_TEST(message_that_is_read_in_part_is_read_to_its_end_first),
		PAIR_TEST(rest_of_a_message_comes_before_the_end_of_the_session),
		PAIR_TEST(random_operations_follow_the_model),
	};

	return run("kept", tests, ARRAY_SIZE(tests));
}
