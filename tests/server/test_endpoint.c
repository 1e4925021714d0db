// SPDX-License-Identifier: MIT
/*
 * Sockets and their locks, where the memory runs out.
 */

#include "fixture.h"

#include "text/text.h"
#include "server/server.h"

static bool out_of_memory;

/* In the place of the C library's. */
int asprintf(char **text, const char *format, ...)
{
	va_list args;
	int ret = -1;

	va_start(args, format);
	if (!out_of_memory)
		ret = vasprintf(text, format, args);
	va_end(args);
	return ret;
}

void complain(const char *where, const char *format, ...)
{
}

static void end_removes_the_lock_where_there_is_no_memory(void **state)
{
	struct endpoint endpoint;

	assert_int_equal(endpoint_open(&endpoint, fixture.socket, 0600, NO_GROUP), 0);
	assert_true(exists(in_dir("s.lock")));
	out_of_memory = true;
	endpoint_close(&endpoint);
	out_of_memory = false;
	assert_false(exists(in_dir("s.lock")));
	assert_false(exists(fixture.socket));
}

static void start_without_memory_leaves_nothing(void **state)
{
	struct endpoint endpoint;

	out_of_memory = true;
	assert_int_equal(endpoint_open(&endpoint, fixture.socket, 0600, NO_GROUP), -ENOMEM);
	out_of_memory = false;
	assert_false(exists(in_dir("s.lock")));
	assert_false(exists(fixture.socket));
	endpoint_close(&endpoint);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(end_removes_the_lock_where_there_is_no_memory),
		TEST(start_without_memory_leaves_nothing),
	};

	return run("endpoint", tests, ARRAY_SIZE(tests));
}
