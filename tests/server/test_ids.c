// SPDX-License-Identifier: MIT
#include "fixture.h"

#include "server/server.h"

static struct ids ids;

static int clear_ids(void **state)
{
	memset(&ids, 0, sizeof(ids));
	return 0;
}

static void ids_go_upwards_and_are_not_reused_at_once(void **state)
{
	int i;

	for (i = 0; i < 200; i++)
		assert_int_equal(ids_take(&ids), i);
	ids_give_back(&ids, 199);
	ids_give_back(&ids, 3);
	assert_int_equal(ids_take(&ids), 200);
}

static void ids_all_65536_are_given_once(void **state)
{
	int i;

	for (i = 0; i < 65536; i++)
		assert_int_equal(ids_take(&ids), i);
	assert_int_equal(ids_take(&ids), -ENOSPC);
	for (i = 0; i < 65536; i += 77)
		ids_give_back(&ids, i);
	for (i = 0; i < 65536; i += 77)
		assert_int_equal(ids_take(&ids), i);
	assert_int_equal(ids_take(&ids), -ENOSPC);
}

static void ids_wrap_to_the_lowest_free_one(void **state)
{
	int i;

	for (i = 0; i < 65536; i++)
		ids_take(&ids);
	ids_give_back(&ids, 65000);
	assert_int_equal(ids_take(&ids), 65000);
	ids_give_back(&ids, 64999);
	ids_give_back(&ids, 70);
	assert_int_equal(ids_take(&ids), 70);
	assert_int_equal(ids_take(&ids), 64999);
}

/* The one free ID lies before the start, in the word where the search began. */
static void ids_last_free_one_is_found_from_everywhere(void **state)
{
	int i, start;

	for (i = 0; i < 65536; i++)
		ids_take(&ids);
	for (start = 0; start < 65536; start += 1021) {
		ids_give_back(&ids, start);
		assert_int_equal(ids_take(&ids), start);
		ids_give_back(&ids, start ? start - 1 : 65535);
		assert_int_equal(ids_take(&ids), start ? start - 1 : 65535);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ids_go_upwards_and_are_not_reused_at_once, clear_ids),
		cmocka_unit_test_setup(ids_all_65536_are_given_once, clear_ids),
		cmocka_unit_test_setup(ids_wrap_to_the_lowest_free_one, clear_ids),
		cmocka_unit_test_setup(ids_last_free_one_is_found_from_everywhere, clear_ids),
	};

	return run("ids", tests, ARRAY_SIZE(tests));
}
