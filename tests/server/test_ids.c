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

	for (i = 1; i < 200; i++)
		assert_int_equal(ids_take(&ids), i);
	ids_give_back(&ids, 199);
	ids_give_back(&ids, 3);
	assert_int_equal(ids_take(&ids), 200);
}

static void take_all(void)
{
	int i;

	for (i = 1; i < 65536; i++)
		assert_int_equal(ids_take(&ids), i);
}

static void ids_all_but_the_master_s_are_given_once(void **state)
{
	int i;

	take_all();
	assert_int_equal(ids_take(&ids), -ENOSPC);
	for (i = 77; i < 65536; i += 77)
		ids_give_back(&ids, i);
	for (i = 77; i < 65536; i += 77)
		assert_int_equal(ids_take(&ids), i);
	assert_int_equal(ids_take(&ids), -ENOSPC);
}

static void ids_the_master_s_is_0_and_nobody_else_s(void **state)
{
	int i;

	assert_int_equal(ids_take_master(&ids), 0);
	assert_int_equal(ids_take(&ids), 1);
	ids_give_back(&ids, 0);
	assert_int_equal(ids_take(&ids), 2);
	assert_int_equal(ids_take_master(&ids), 0);
	ids_give_back(&ids, 0);
	for (i = 3; i < 65536; i++)
		assert_int_equal(ids_take(&ids), i);
	assert_int_equal(ids_take(&ids), -ENOSPC);
	assert_int_equal(ids_take_master(&ids), 0);
}

static void ids_wrap_to_the_lowest_free_one(void **state)
{
	take_all();
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
	int start, before;

	take_all();
	for (start = 1; start < 65536; start += 1021) {
		before = start > 1 ? start - 1 : 65535;
		ids_give_back(&ids, start);
		assert_int_equal(ids_take(&ids), start);
		ids_give_back(&ids, before);
		assert_int_equal(ids_take(&ids), before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ids_go_upwards_and_are_not_reused_at_once, clear_ids),
		cmocka_unit_test_setup(ids_all_but_the_master_s_are_given_once, clear_ids),
		cmocka_unit_test_setup(ids_the_master_s_is_0_and_nobody_else_s, clear_ids),
		cmocka_unit_test_setup(ids_wrap_to_the_lowest_free_one, clear_ids),
		cmocka_unit_test_setup(ids_last_free_one_is_found_from_everywhere, clear_ids),
	};

	return run("ids", tests, ARRAY_SIZE(tests));
}
