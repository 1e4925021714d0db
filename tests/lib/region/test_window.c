// SPDX-License-Identifier: MIT
/* The part of a region that all objects of a handle have mapped, and share. */
#include "../channels.h"

#include "channel/channel.h"

/* Mappings of the region; those side by side may count as one. */
static unsigned int count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned int count = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		count += !!strstr(line, in_shm("region"));
	fclose(maps);
	return count;
}

static void channels_of_a_handle_share_one_mapping_of_the_directory(void **state)
{
	struct ivshmem_channel *channels[8];
	char name[] = "a";
	unsigned int i;

	pair.left = open_region(make_formatted(MIB, 8), 0);
	for (i = 0; i < 8; i++, name[0]++) {
		assert_int_equal(ivshmem_channel_begin(&channels[i], pair.left, name,
						       IVSHMEM_END_CREATOR, 0), 0);
		assert_ptr_equal(channels[i]->directory.window.base,
				 channels[0]->directory.window.base);
		assert_int_equal(pair.left->sharers, i + 1);
	}
	/* Whoever mapped it may go first. */
	for (i = 0; i < 8; i++) {
		assert_int_equal(ivshmem_channel_finish(channels[i], 0), -ETIMEDOUT);
		ivshmem_channel_close(channels[i]);
		assert_int_equal(pair.left->sharers, 7 - i);
	}
	assert_int_equal(count_mappings(), 0);
	ivshmem_close(pair.left);
}

static void a_directory_of_another_size_has_a_mapping_of_its_own(void **state)
{
	struct ivshmem_channel *before, *after;

	pair.left = open_region(make_formatted(MIB, 4), 0);
	assert_int_equal(ivshmem_channel_begin(&before, pair.left, "a", IVSHMEM_END_CREATOR, 0), 0);
	assert_int_equal(ivshmem_format(pair.left, "", 64, 4096, IVSHMEM_FORMAT_FORCE), 0);
	assert_int_equal(ivshmem_channel_begin(&after, pair.left, "a", IVSHMEM_END_CREATOR, 0), 0);
	assert_ptr_not_equal(before->directory.window.base, after->directory.window.base);
	ivshmem_channel_close(before);
	assert_int_equal(ivshmem_channel_finish(after, 0), -ETIMEDOUT);
	ivshmem_channel_close(after);
	assert_int_equal(count_mappings(), 0);
	ivshmem_close(pair.left);
}

static int close_copies(void *channels)
{
	struct ivshmem_channel **both = channels;

	ivshmem_channel_close(both[0]);
	ivshmem_channel_close(both[1]);
	return (int)count_mappings();
}

static void a_child_that_closes_its_copies_takes_nothing_from_the_parent(void **state)
{
	struct ivshmem_channel *channels[2];

	pair.left = open_region(make_formatted(MIB, 4), 0);
	assert_int_equal(ivshmem_channel_begin(&channels[0], pair.left, "a", IVSHMEM_END_CREATOR,
					       0), 0);
	assert_int_equal(ivshmem_channel_begin(&channels[1], pair.left, "b", IVSHMEM_END_CREATOR,
					       0), 0);
	assert_int_equal(in_child(close_copies, channels), 0);
	assert_int_equal(pair.left->sharers, 2);
	assert_int_equal(ivshmem_channel_finish(channels[0], 0), -ETIMEDOUT);
	ivshmem_channel_close(channels[0]);
	ivshmem_channel_close(channels[1]);
	ivshmem_close(pair.left);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(channels_of_a_handle_share_one_mapping_of_the_directory),
		TEST(a_directory_of_another_size_has_a_mapping_of_its_own),
		TEST(a_child_that_closes_its_copies_takes_nothing_from_the_parent),
	};

	return run("window", tests, ARRAY_SIZE(tests));
}
