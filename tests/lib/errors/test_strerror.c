// SPDX-License-Identifier: MIT
#include "fixture.h"

static const int own[] = {
	-EINVAL, -ENOENT, -ENODEV, -EACCES, -EPERM, -EISDIR, -ENOTTY, -ENOTSUP,
	-ENODATA, -ELOOP, -EFBIG, -EEXIST, -EMSGSIZE, -ENOSPC, -ENOMEM, -EBUSY,
	-ESTALE, -ENOSYS, -ETIMEDOUT, -ENOBUFS, -ENXIO, -ECONNREFUSED, -ECONNRESET,
	-EPROTO, -EAGAIN, -ENOMEDIUM, -EMEDIUMTYPE, -EPROTONOSUPPORT, -EUCLEAN,
	-ENOTEMPTY, -EPIPE, -ENOTCONN,
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(documented_errors_have_texts_of_their_own),
		TEST(texts_are_one_line_without_full_stop),
		TEST(missing_device_names_the_remedy),
		TEST(no_room_names_filesystem_and_eventfds),
		TEST(unformatted_region_names_the_remedy),
		TEST(errors_of_files_and_channels_tell_of_both),
		TEST(other_errors_have_the_systems_text),
		TEST(any_number_has_a_text),
	};

	return run("strerror", tests, ARRAY_SIZE(tests));
}
