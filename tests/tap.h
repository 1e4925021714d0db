/* SPDX-License-Identifier: MIT */
/*
 * cmocka's tests as TAP. Its own skip() prints "not ok # SKIP", and no reason: to a
 * TAP reader a failure. So a skipped test passes under a name with the directive
 * behind it.
 */

#ifndef TAP_H
#define TAP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* In a test that tap_run() runs. */
#define skip_because(reason) do {					\
	tap_mark_skipped(*state, reason);				\
	return;								\
} while (0)

static inline void tap_mark_skipped(struct CMUnitTest *test, const char *reason)
{
	char *name;

	assert_true(asprintf(&name, "%s # SKIP %s", test->name, reason) > 0);
	test->name = name;
}

static inline int tap_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
	struct CMUnitTest *copies = calloc(count, sizeof(*copies));
	size_t i;
	int failed;

	if (!copies)
		return 1;
	for (i = 0; i < count; i++) {
		copies[i] = tests[i];
		copies[i].initial_state = &copies[i];
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	failed = _cmocka_run_group_tests(name, copies, count, NULL, NULL);
	for (i = 0; i < count; i++)
		if (copies[i].name != tests[i].name)
			free((char *)copies[i].name);
	free(copies);
	return failed ? 1 : 0;
}

#endif /* TAP_H */
