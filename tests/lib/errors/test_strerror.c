// SPDX-License-Identifier: MIT
#include "fixture.h"

static const int own[] = {
	-EINVAL, -ENOENT, -ENODEV, -EACCES, -EPERM, -EISDIR, -ENOTTY, -ENOTSUP,
	-ENODATA, -ELOOP, -EFBIG, -EEXIST, -EMSGSIZE, -ENOSPC, -ENOMEM, -EBUSY,
	-ESTALE, -ENOSYS, -ETIMEDOUT, -ENOBUFS, -ENXIO, -ECONNREFUSED, -ECONNRESET,
	-EPROTO, -EAGAIN, -ENOMEDIUM, -EMEDIUMTYPE, -EPROTONOSUPPORT, -EUCLEAN,
	-ENOTEMPTY, -EPIPE, -ENOTCONN, -ECANCELED, -ECHILD, -EPROTOTYPE, -EHOSTDOWN, -EXDEV,
};

static void documented_errors_have_texts_of_their_own(void **state)
{
	const char *text;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(own); i++) {
		text = ivshmem_strerror(own[i]);
		assert_non_null(text);
		assert_string_not_equal(text, strerror(-own[i]));
		for (j = 0; j < i; j++)
			assert_string_not_equal(text, ivshmem_strerror(own[j]));
	}
}

static void texts_are_one_line_without_full_stop(void **state)
{
	const char *text;
	int err;

	for (err = 0; err > -200; err--) {
		text = ivshmem_strerror(err);
		assert_true(strlen(text) > 0);
		assert_null(strchr(text, '\n'));
		assert_int_not_equal(text[strlen(text) - 1], '.');
	}
}

static void missing_device_names_the_remedy(void **state)
{
	assert_non_null(strstr(ivshmem_strerror(-ENODEV), "modprobe ivshmem"));
	assert_non_null(strstr(ivshmem_strerror(-ENOENT), "modprobe ivshmem"));
	assert_non_null(strstr(ivshmem_strerror(-EACCES), "group"));
}

static void no_room_names_filesystem_and_eventfds(void **state)
{
	assert_non_null(strstr(ivshmem_strerror(-ENOSPC), "filesystem"));
	assert_non_null(strstr(ivshmem_strerror(-ENOSPC), "eventfds"));
}

static void unformatted_region_names_the_remedy(void **state)
{
	static const int errors[] = { -ENOMEDIUM, -EMEDIUMTYPE, -EUCLEAN };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(errors); i++)
		assert_non_null(strstr(ivshmem_strerror(errors[i]), "ivshmem format"));
	assert_null(strstr(ivshmem_strerror(-ENOMEDIUM), "--force"));
}

static void errors_of_files_and_channels_tell_of_both(void **state)
{
	static const int errors[] = {
		-EBUSY, -EPROTO, -ECONNRESET, -ENOTSUP, -ENOSPC, -EACCES,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(errors); i++)
		assert_non_null(strstr(ivshmem_strerror(errors[i]), "channel"));
	assert_non_null(strstr(ivshmem_strerror(-EEXIST), "IVSHMEM_FORMAT_FORCE"));
	assert_non_null(strstr(ivshmem_strerror(-EMSGSIZE), "message"));
}

static void errors_of_objects_say_what_to_do(void **state)
{
	assert_non_null(strstr(ivshmem_strerror(-ENOENT), "no object of that name"));
	assert_non_null(strstr(ivshmem_strerror(-EEXIST), "'ivshmem rm'"));
	assert_non_null(strstr(ivshmem_strerror(-ENOSPC), "'ivshmem rm'"));
	assert_non_null(strstr(ivshmem_strerror(-EAGAIN), "objects"));
	assert_non_null(strstr(ivshmem_explain(IVSHMEM_TASK_SEND, -EMSGSIZE), "'ivshmem make'"));
}

static void other_errors_have_the_systems_text(void **state)
{
	assert_string_equal(ivshmem_strerror(-ENOTDIR), strerror(ENOTDIR));
	assert_string_equal(ivshmem_strerror(-EMFILE), strerror(EMFILE));
}

static void any_number_has_a_text(void **state)
{
	assert_non_null(ivshmem_strerror(0));
	assert_non_null(ivshmem_strerror(EINVAL));
	assert_non_null(ivshmem_strerror(-99999));
	assert_non_null(ivshmem_strerror(INT_MAX));
	assert_non_null(ivshmem_strerror(INT_MIN));
}

/* --- in the words of what was being done --- */

#define TASKS	(IVSHMEM_TASK_RECEIVE + 1)

static void explanations_are_one_line_without_full_stop(void **state)
{
	const char *text;
	int task, err;

	for (task = -1; task <= TASKS; task++)
		for (err = 0; err > -200; err--) {
			text = ivshmem_explain((enum ivshmem_task)task, err);
			assert_true(strlen(text) > 0);
			assert_null(strchr(text, '\n'));
			assert_int_not_equal(text[strlen(text) - 1], '.');
		}
}

/* The same number, of calls that fail for another reason. */
static void explanation_depends_on_the_task(void **state)
{
	static const struct {
		int error;
		enum ivshmem_task one, other;
	} cases[] = {
		{ -ESTALE, IVSHMEM_TASK_MAP, IVSHMEM_TASK_CHANNEL_RECONNECT },
		{ -EBUSY, IVSHMEM_TASK_MAP, IVSHMEM_TASK_CHANNEL_OPEN },
		{ -EBUSY, IVSHMEM_TASK_CHANNEL_OPEN, IVSHMEM_TASK_CHANNEL_RECONNECT },
		{ -EBUSY, IVSHMEM_TASK_SEND, IVSHMEM_TASK_CHANNEL_OPEN },
		{ -EBUSY, IVSHMEM_TASK_WAITSET, IVSHMEM_TASK_CHANNEL_OPEN },
		{ -ENOENT, IVSHMEM_TASK_WAITSET, IVSHMEM_TASK_TOPIC },
		{ -EBUSY, IVSHMEM_TASK_SEND, IVSHMEM_TASK_RECEIVE },
		{ -EMSGSIZE, IVSHMEM_TASK_CREATE, IVSHMEM_TASK_SEND },
		{ -EMSGSIZE, IVSHMEM_TASK_SEND, IVSHMEM_TASK_RECEIVE },
		{ -ENOSPC, IVSHMEM_TASK_CREATE, IVSHMEM_TASK_CHANNEL_OPEN },
		{ -ENOSPC, IVSHMEM_TASK_RING, IVSHMEM_TASK_FORMAT },
		{ -EBUSY, IVSHMEM_TASK_REJOIN, IVSHMEM_TASK_OPEN },
		{ -ENOENT, IVSHMEM_TASK_REJOIN, IVSHMEM_TASK_OPEN },
		{ -ECONNRESET, IVSHMEM_TASK_OPEN, IVSHMEM_TASK_RECEIVE },
		{ -ECONNRESET, IVSHMEM_TASK_RING, IVSHMEM_TASK_SEND },
		{ -EINVAL, IVSHMEM_TASK_OPEN, IVSHMEM_TASK_CHANNEL_OPEN },
		{ -EPROTO, IVSHMEM_TASK_OPEN, IVSHMEM_TASK_RECEIVE },
		{ -EEXIST, IVSHMEM_TASK_CREATE, IVSHMEM_TASK_FORMAT },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_not_equal(ivshmem_explain(cases[i].one, cases[i].error),
					ivshmem_explain(cases[i].other, cases[i].error));
}

/* Nobody is told to make a file anew because a channel has to be opened again. */
static void advice_fits_the_object(void **state)
{
	int task;

	for (task = IVSHMEM_TASK_CHANNEL_OPEN; task < TASKS; task++) {
		const char *stale = ivshmem_explain(task, -ESTALE);

		if (task <= IVSHMEM_TASK_CHANNEL_RECONNECT)
			assert_null(strstr(stale, "file"));
		else
			assert_null(strstr(ivshmem_explain(task, -ECONNRESET), "server"));
		assert_null(strstr(ivshmem_explain(task, -EBUSY), "resource2"));
	}
	assert_null(strstr(ivshmem_explain(IVSHMEM_TASK_OPEN, -ECONNRESET), "channel"));
	assert_null(strstr(ivshmem_explain(IVSHMEM_TASK_CREATE, -ENOSPC), "channel"));
	assert_null(strstr(ivshmem_explain(IVSHMEM_TASK_CREATE, -EMSGSIZE), "message"));
	assert_non_null(strstr(ivshmem_explain(IVSHMEM_TASK_CHANNEL_OPEN, -ENOMEDIUM),
			       "ivshmem format"));
}

static void explanation_without_words_of_its_own_is_the_general_one(void **state)
{
	assert_string_equal(ivshmem_explain(IVSHMEM_TASK_SEND, -ENOTDIR), strerror(ENOTDIR));
	assert_string_equal(ivshmem_explain(IVSHMEM_TASK_RECEIVE, -ECANCELED),
			    ivshmem_strerror(-ECANCELED));
	assert_string_equal(ivshmem_explain((enum ivshmem_task)4711, -EBUSY),
			    ivshmem_strerror(-EBUSY));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(documented_errors_have_texts_of_their_own),
		TEST(texts_are_one_line_without_full_stop),
		TEST(missing_device_names_the_remedy),
		TEST(no_room_names_filesystem_and_eventfds),
		TEST(unformatted_region_names_the_remedy),
		TEST(errors_of_files_and_channels_tell_of_both),
		TEST(errors_of_objects_say_what_to_do),
		TEST(other_errors_have_the_systems_text),
		TEST(any_number_has_a_text),
		TEST(explanations_are_one_line_without_full_stop),
		TEST(explanation_depends_on_the_task),
		TEST(advice_fits_the_object),
		TEST(explanation_without_words_of_its_own_is_the_general_one),
	};

	return run("strerror", tests, ARRAY_SIZE(tests));
}
