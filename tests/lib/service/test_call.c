// SPDX-License-Identifier: MIT
/* Questions and answers, over a channel of two threads, or of one that does both. */
#include "../channels.h"

#include <ivshmem/service.h>

#include "service/service.h"

#define CALL_TEST(name) cmocka_unit_test_setup_teardown(name, call_setup, pair_teardown)

static int call_setup(void **state)
{
	if (pair_setup(state))
		return -1;
	open_pair();
	return 0;
}

/* So many questions, each answered by itself, backwards. */
static void *answer_backwards(void *count)
{
	char text[256], answer[256];
	uint32_t number;
	ssize_t length, i;
	size_t n;

	for (n = 0; n < (size_t)count; n++) {
		length = ivshmem_call_recv(pair.b, &number, text, sizeof(text), PATIENCE_MS);
		if (length < 0)
			return (void *)length;
		for (i = 0; i < length; i++)
			answer[i] = text[length - 1 - i];
		if (ivshmem_call_answer(pair.b, number, answer, (size_t)length, PATIENCE_MS))
			return (void *)-1l;
	}
	return NULL;
}

static void a_question_is_answered(void **state)
{
	char text[200], answer[200];
	pthread_t thread;
	void *result;
	size_t length, i;

	assert_int_equal(pthread_create(&thread, NULL, answer_backwards, (void *)sizeof(text)), 0);
	for (length = 0; length < sizeof(text); length++) {
		for (i = 0; i < length; i++)
			text[i] = (char)(length * 7 + i);
		assert_int_equal(ivshmem_call(pair.a, text, length, answer, sizeof(answer),
					      PATIENCE_MS), length);
		for (i = 0; i < length; i++)
			assert_int_equal(answer[i], text[length - 1 - i]);
	}
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
}

static void a_late_answer_is_dropped_by_the_next_call(void **state)
{
	uint32_t first, second;
	pthread_t thread;
	char text[8];
	void *result;

	assert_int_equal(ivshmem_call(pair.a, "1", 1, text, sizeof(text), 1), -ETIMEDOUT);
	assert_int_equal(ivshmem_call(pair.a, "2", 1, text, sizeof(text), 0), -EAGAIN);
	assert_int_equal(ivshmem_call_recv(pair.b, &first, text, sizeof(text), 0), 1);
	assert_int_equal(ivshmem_call_recv(pair.b, &second, text, sizeof(text), 0), 1);
	assert_int_equal(ivshmem_call_answer(pair.b, second, "two", 3, 0), 0);
	assert_int_equal(ivshmem_call_answer(pair.b, first, "one", 3, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, answer_backwards, (void *)1), 0);
	assert_int_equal(ivshmem_call(pair.a, "abc", 3, text, sizeof(text), PATIENCE_MS), 3);
	assert_memory_equal(text, "cba", 3);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
}

static void questions_may_stay_unanswered(void **state)
{
	pthread_t thread;
	char text[8];
	uint32_t number;
	void *result;

	assert_int_equal(ivshmem_call(pair.a, "1", 1, text, sizeof(text), 0), -EAGAIN);
	assert_int_equal(ivshmem_call_recv(pair.b, &number, text, sizeof(text), 0), 1);
	assert_int_equal(pthread_create(&thread, NULL, answer_backwards, (void *)1), 0);
	assert_int_equal(ivshmem_call(pair.a, "ab", 2, text, sizeof(text), PATIENCE_MS), 2);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
}

/* It is not for the other end to say how long a call lasts. */
static void more_answers_than_questions_end_the_call(void **state)
{
	char text[8];
	int i;

	for (i = 0; i < 3; i++)
		assert_int_equal(ivshmem_call_answer(pair.b, 4711, "junk", 4, 0), 0);
	assert_int_equal(ivshmem_call(pair.a, "?", 1, text, sizeof(text), -1), -EBADMSG);
	/* The next call drops the second, in place of the answer that may come, not a third. */
	assert_int_equal(ivshmem_call(pair.a, "?", 1, text, sizeof(text), -1), -EBADMSG);
}

static void what_is_no_answer_is_told(void **state)
{
	char text[16] = "0123456789abcde";

	assert_int_equal(ivshmem_channel_send(pair.b, "short", 5, 0), 0);
	assert_int_equal(ivshmem_call(pair.a, "?", 1, text, sizeof(text), -1), -EBADMSG);
	assert_int_equal(ivshmem_channel_send(pair.b, text, sizeof(text), 0), 0);
	assert_int_equal(ivshmem_call(pair.a, "?", 1, text, sizeof(text), -1), -EBADMSG);
}

static void what_is_no_question_is_told_and_dropped(void **state)
{
	char text[16];
	uint32_t number;

	assert_int_equal(ivshmem_channel_send(pair.a, "hello, world", 12, 0), 0);
	assert_int_equal(ivshmem_call_recv(pair.b, &number, text, sizeof(text), 0), -EBADMSG);
	assert_int_equal(ivshmem_call(pair.a, "?", 1, text, sizeof(text), 0), -EAGAIN);
	assert_int_equal(ivshmem_call_recv(pair.b, &number, text, sizeof(text), 0), 1);
	assert_int_equal(ivshmem_call_recv(pair.b, &number, text, sizeof(text), 0), -EAGAIN);
}

static void what_is_too_long_is_told(void **state)
{
	size_t longest = ivshmem_channel_max_length(pair.a) - IVSHMEM_CALL_HEADER;
	char *text = calloc(1, longest + 1), buffer[4];
	uint32_t number = 0;

	assert_non_null(text);
	assert_int_equal(ivshmem_call(pair.a, text, longest + 1, NULL, 0, 0), -EMSGSIZE);
	assert_int_equal(ivshmem_call(pair.a, text, SIZE_MAX, NULL, 0, 0), -EMSGSIZE);
	assert_int_equal(ivshmem_call(pair.a, text, longest, NULL, 0, 0), -EAGAIN);
	assert_int_equal(ivshmem_call_recv(pair.b, &number, text, longest - 1, 0), -EMSGSIZE);
	assert_int_equal(number, 1);
	assert_int_equal(ivshmem_call(pair.a, text, longest, NULL, 0, 0), -EAGAIN);
	assert_int_equal(ivshmem_call_recv(pair.b, &number, text, longest, 0), longest);
	/* The number of the next one; an answer that has no room is gone. */
	assert_int_equal(ivshmem_call_answer(pair.b, number + 1, "too long", 8, 0), 0);
	assert_int_equal(ivshmem_call(pair.a, text, 1, buffer, sizeof(buffer), 0), -EMSGSIZE);
	assert_int_equal(ivshmem_call(pair.a, text, 1, buffer, sizeof(buffer), 0), -EAGAIN);
	free(text);
}

static void a_call_ends_when_the_other_side_closes(void **state)
{
	char text[8];

	ivshmem_channel_close(pair.b);
	pair.b = NULL;
	assert_int_equal(ivshmem_call(pair.a, "?", 1, text, sizeof(text), PATIENCE_MS), -EPIPE);
}

/* In a new session the numbers begin anew, and so do the answers that are waited for. */
static void a_new_session_knows_of_no_earlier_questions(void **state)
{
	char text[8];

	assert_int_equal(ivshmem_call(pair.a, "1", 1, text, sizeof(text), 0), -EAGAIN);
	reconnect_both(pair.a, pair.b);
	assert_int_equal(ivshmem_call_answer(pair.b, 77, "x", 1, 0), 0);
	assert_int_equal(ivshmem_call(pair.a, "1", 1, text, sizeof(text), -1), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CALL_TEST(a_question_is_answered),
		CALL_TEST(a_late_answer_is_dropped_by_the_next_call),
		CALL_TEST(questions_may_stay_unanswered),
		CALL_TEST(more_answers_than_questions_end_the_call),
		CALL_TEST(what_is_no_answer_is_told),
		CALL_TEST(what_is_no_question_is_told_and_dropped),
		CALL_TEST(what_is_too_long_is_told),
		CALL_TEST(a_call_ends_when_the_other_side_closes),
		CALL_TEST(a_new_session_knows_of_no_earlier_questions),
	};

	return run("call", tests, ARRAY_SIZE(tests));
}
