// SPDX-License-Identifier: MIT
/* Objects that are made beforehand, areas, and what goes with them. */
#include "../channels.h"

static struct ivshmem *formatted(off_t size, unsigned int objects)
{
	struct ivshmem *shm = open_region(make_file("region", size), 0);

	assert_int_equal(ivshmem_format(shm, "", objects, 0, 0), 0);
	return shm;
}

static void made_channel_has_the_rings_asked_for_and_stays(void **state)
{
	char name[] = "x?";
	struct ivshmem_layout *layout;

	pair.left = formatted(MIB, 4);
	pair.right = open_region(in_shm("region"), 0);
	assert_int_equal(ivshmem_make_channel(pair.left, "video", 256 * KIB + 1, 4096), 0);
	assert_int_equal(ivshmem_layout_read(&layout, pair.left), 0);
	assert_string_equal(ivshmem_layout_name(layout, 0), "video");
	assert_int_equal(ivshmem_layout_kind(layout, 0), IVSHMEM_CHANNEL);
	assert_int_equal(ivshmem_layout_is_kept(layout, 0), 1);
	assert_true(ivshmem_layout_ring_size(layout, 0, IVSHMEM_END_CREATOR) == 260 * KIB);
	assert_true(ivshmem_layout_ring_size(layout, 0, IVSHMEM_END_CONNECTOR) == 4096);
	assert_true(ivshmem_layout_size(layout, 0) == 264 * KIB);
	ivshmem_layout_free(layout);

	open_both(pair.left, &pair.a, pair.right, &pair.b, "video");
	assert_int_equal(ivshmem_channel_max_length(pair.a), 130 * KIB - 8);
	assert_int_equal(ivshmem_channel_max_length(pair.b), 2040);
	talk(pair.a, pair.b);
	close_end(&pair.a);
	close_end(&pair.b);
	/* Others that need room don't take its place. */
	for (name[1] = 'a'; name[1] <= 'z'; name[1]++)
		assert_int_equal(ivshmem_channel_create(&pair.a, pair.left, name, 0, 0),
				 -ETIMEDOUT);
	assert_int_equal(ivshmem_layout_read(&layout, pair.left), 0);
	assert_string_equal(ivshmem_layout_name(layout, 0), "video");
	ivshmem_layout_free(layout);
}

static void name_that_is_there_fails_eexist_whatever_it_is(void **state)
{
	struct ivshmem *shm = formatted(MIB, 4);

	assert_int_equal(ivshmem_make_area(shm, "a", 1), 0);
	assert_int_equal(ivshmem_make_area(shm, "a", 1), -EEXIST);
	assert_int_equal(ivshmem_make_channel(shm, "a", 0, 0), -EEXIST);
	assert_int_equal(ivshmem_make_channel(shm, "b", 0, 0), 0);
	assert_int_equal(ivshmem_make_area(shm, "b", 1), -EEXIST);
	ivshmem_close(shm);
}

static void object_of_another_kind_fails_eprototype(void **state)
{
	struct ivshmem *shm = formatted(MIB, 4);
	struct ivshmem_channel *channel = POISON;
	struct ivshmem_area *area = POISON;

	assert_int_equal(ivshmem_make_area(shm, "area", 1), 0);
	assert_int_equal(ivshmem_make_channel(shm, "channel", 0, 0), 0);
	assert_int_equal(ivshmem_channel_create(&channel, shm, "area", 0, 0), -EPROTOTYPE);
	assert_int_equal(ivshmem_channel_connect(&channel, shm, "area", 0, 0), -EPROTOTYPE);
	assert_int_equal(ivshmem_area_open(&area, shm, "channel"), -EPROTOTYPE);
	assert_int_equal(ivshmem_area_open(&area, shm, "nothing"), -ENOENT);
	assert_ptr_equal(channel, POISON);
	assert_ptr_equal(area, POISON);
	ivshmem_close(shm);
}

static void bad_arguments_make_and_remove_nothing(void **state)
{
	static const char *const names[] = { NULL, "", ".a", "a/b", "a b",
		"12345678901234567890123456789012345678901234567890123456" };
	struct ivshmem *shm = formatted(MIB, 4), *reader;
	struct ivshmem_area *area = POISON;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(ivshmem_make_channel(shm, names[i], 0, 0), -EINVAL);
		assert_int_equal(ivshmem_make_area(shm, names[i], 1), -EINVAL);
		assert_int_equal(ivshmem_remove(shm, names[i], 0), -EINVAL);
		assert_int_equal(ivshmem_area_open(&area, shm, names[i]), -EINVAL);
	}
	assert_int_equal(ivshmem_make_channel(NULL, "a", 0, 0), -EINVAL);
	assert_int_equal(ivshmem_make_channel(shm, "a", 4 * GIB + 1, 0), -EINVAL);
	assert_int_equal(ivshmem_make_channel(shm, "a", 0, UINT64_MAX), -EINVAL);
	assert_int_equal(ivshmem_make_channel(shm, "a", 4 * GIB, 4 * GIB), -ENOSPC);
	assert_int_equal(ivshmem_make_area(NULL, "a", 1), -EINVAL);
	assert_int_equal(ivshmem_make_area(shm, "a", 0), -EINVAL);
	assert_int_equal(ivshmem_make_area(shm, "a", UINT64_MAX), -ENOSPC);
	assert_int_equal(ivshmem_make_area(shm, "a", MIB), -ENOSPC);
	assert_int_equal(ivshmem_remove(NULL, "a", 0), -EINVAL);
	assert_int_equal(ivshmem_remove(shm, "a", 2), -EINVAL);
	assert_int_equal(ivshmem_remove(shm, "a", 0), -ENOENT);
	assert_int_equal(ivshmem_area_open(NULL, shm, "a"), -EINVAL);
	assert_int_equal(ivshmem_area_open(&area, NULL, "a"), -EINVAL);
	reader = open_region(in_shm("region"), IVSHMEM_RDONLY);
	assert_int_equal(ivshmem_make_channel(reader, "a", 0, 0), -EACCES);
	assert_int_equal(ivshmem_make_area(reader, "a", 1), -EACCES);
	assert_int_equal(ivshmem_remove(reader, "a", 0), -EACCES);
	ivshmem_close(reader);
	ivshmem_close(shm);
}

static void area_is_the_same_memory_for_all_and_stays(void **state)
{
	struct ivshmem_area *first, *second;
	struct ivshmem *left = formatted(MIB, 4), *right = open_region(in_shm("region"), 0);

	assert_int_equal(ivshmem_make_area(left, "table", 10000), 0);
	assert_int_equal(ivshmem_area_open(&first, left, "table"), 0);
	assert_int_equal(ivshmem_area_open(&second, right, "table"), 0);
	assert_true(ivshmem_area_size(first) == 12288);
	assert_true(ivshmem_area_size(second) == 12288);
	strcpy((char *)ivshmem_area_data(first) + 12000, "written");
	assert_string_equal((char *)ivshmem_area_data(second) + 12000, "written");
	ivshmem_area_close(first);
	/* The handle may go before the area. */
	ivshmem_close(right);
	assert_string_equal((char *)ivshmem_area_data(second) + 12000, "written");
	ivshmem_area_close(second);
	assert_int_equal(ivshmem_area_open(&first, left, "table"), 0);
	assert_string_equal((char *)ivshmem_area_data(first) + 12000, "written");
	ivshmem_area_close(first);
	ivshmem_area_close(NULL);
	ivshmem_close(left);
}

static void read_only_handle_reads_an_area(void **state)
{
	struct ivshmem *shm = formatted(MIB, 4), *reader;
	struct ivshmem_area *area;

	assert_int_equal(ivshmem_make_area(shm, "table", 4096), 0);
	reader = open_region(in_shm("region"), IVSHMEM_RDONLY);
	assert_int_equal(ivshmem_area_open(&area, reader, "table"), 0);
	assert_int_equal(*(char *)ivshmem_area_data(area), 0);
	assert_int_equal(ivshmem_remove(shm, "table", 0), -EBUSY);
	ivshmem_area_close(area);
	assert_int_equal(ivshmem_remove(shm, "table", 0), 0);
	ivshmem_close(reader);
	ivshmem_close(shm);
}

/* 0: all is as it should be. */
static int use_the_parents_area(void *data)
{
	struct ivshmem_area *area = data, *other;

	strcpy(ivshmem_area_data(area), "child");
	ivshmem_area_close(area);
	if (ivshmem_area_open(&other, pair.left, "table") != -ECHILD ||
	    ivshmem_make_area(pair.left, "new", 1) != -ECHILD ||
	    ivshmem_make_channel(pair.left, "new", 0, 0) != -ECHILD ||
	    ivshmem_remove(pair.left, "table", 0) != -ECHILD)
		return 1;
	ivshmem_close(pair.left);
	return 0;
}

static void child_shares_the_memory_of_an_area_and_takes_nothing_from_the_parent(void **state)
{
	struct ivshmem_area *area;

	pair.left = formatted(MIB, 4);
	pair.right = open_region(in_shm("region"), 0);
	assert_int_equal(ivshmem_make_area(pair.left, "table", 4096), 0);
	assert_int_equal(ivshmem_area_open(&area, pair.left, "table"), 0);
	assert_int_equal(in_child(use_the_parents_area, area), 0);
	assert_string_equal(ivshmem_area_data(area), "child");
	assert_int_equal(ivshmem_remove(pair.right, "table", 0), -EBUSY);
	ivshmem_area_close(area);
	assert_int_equal(ivshmem_remove(pair.right, "table", 0), 0);
}

/* As cp --sparse makes it: a part of the directory that nobody has used is a hole. */
static void read_only_handle_reads_an_area_of_a_sparse_copy(void **state)
{
	struct ivshmem *shm = formatted(MIB, 16), *reader;
	struct ivshmem_area *area;

	assert_int_equal(ivshmem_make_area(shm, "table", 4096), 0);
	assert_int_equal(fallocate(ivshmem_fd(shm), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   4 * 4096, 4096), 0);
	reader = open_region(in_shm("region"), IVSHMEM_RDONLY);
	assert_int_equal(ivshmem_area_open(&area, reader, "table"), 0);
	assert_int_equal(*(char *)ivshmem_area_data(area), 0);
	ivshmem_area_close(area);
	ivshmem_close(reader);
	ivshmem_close(shm);
}

static void what_is_in_use_is_removed_by_force_only(void **state)
{
	struct ivshmem_area *one, *two;

	pair.left = formatted(MIB, 4);
	pair.right = open_region(in_shm("region"), 0);
	assert_int_equal(ivshmem_make_area(pair.left, "area", 4096), 0);
	assert_int_equal(ivshmem_area_open(&one, pair.left, "area"), 0);
	assert_int_equal(ivshmem_area_open(&two, pair.left, "area"), 0);
	assert_int_equal(ivshmem_remove(pair.left, "area", 0), -EBUSY);
	ivshmem_area_close(one);
	assert_int_equal(ivshmem_remove(pair.left, "area", 0), -EBUSY);
	assert_int_equal(ivshmem_remove(pair.right, "area", 0), -EBUSY);
	ivshmem_area_close(two);
	assert_int_equal(ivshmem_remove(pair.right, "area", 0), 0);

	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	assert_int_equal(ivshmem_remove(pair.left, "a", 0), -EBUSY);
	talk(pair.a, pair.b);
	assert_int_equal(ivshmem_remove(pair.left, "a", IVSHMEM_REMOVE_FORCE), 0);
	assert_recv_fails(pair.a, 0, -ECONNRESET);
	assert_send_fails(pair.b, 0, -ECONNRESET);
	assert_int_equal(ivshmem_remove(pair.left, "a", 0), -ENOENT);
	/* Reconnecting makes it again. */
	assert_int_equal(ivshmem_channel_reconnect(pair.b, 0), -ETIMEDOUT);
	reconnect_both(pair.a, pair.b);
	talk(pair.a, pair.b);
}

static void message_of_a_channel_that_was_removed_is_nobody_s(void **state)
{
	const void *message;

	open_handles(MIB, 4);
	open_both(pair.left, &pair.a, pair.right, &pair.b, "a");
	assert_int_equal(ivshmem_channel_send(pair.a, "in the ring, since it is long", 30, 0), 0);
	assert_int_equal(ivshmem_channel_peek(pair.b, &message, PATIENCE_MS), 30);
	assert_int_equal(ivshmem_remove(pair.left, "a", IVSHMEM_REMOVE_FORCE), 0);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, 0), -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_release(pair.b, message), -EINVAL);
	assert_int_equal(ivshmem_channel_release_all(pair.b), 0);
}

static void room_comes_back_when_objects_go(void **state)
{
	struct ivshmem *shm = formatted(MIB, 4);
	uint64_t all = free_bytes(shm);
	int i;

	for (i = 0; i < 100; i++) {
		assert_int_equal(ivshmem_make_area(shm, "most", all - 8192), 0);
		assert_true(free_bytes(shm) == 8192);
		assert_int_equal(ivshmem_make_channel(shm, "more", 4096, 8192), -ENOSPC);
		assert_int_equal(ivshmem_make_channel(shm, "more", 4096, 4096), 0);
		assert_true(free_bytes(shm) == 0);
		assert_int_equal(ivshmem_remove(shm, i % 2 ? "most" : "more", 0), 0);
		assert_int_equal(ivshmem_remove(shm, i % 2 ? "more" : "most", 0), 0);
		assert_true(free_bytes(shm) == all);
	}
	ivshmem_close(shm);
}

static void channels_that_nobody_uses_make_room_for_others(void **state)
{
	char name[16];
	int i;

	pair.left = formatted(MIB, 1000 / 4);
	pair.right = open_region(in_shm("region"), 0);
	/* More than fit, by their slots and by their blocks. */
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "name-%d", i);
		open_both(pair.left, &pair.a, pair.right, &pair.b, name);
		talk(pair.a, pair.b);
		close_end(&pair.a);
		close_end(&pair.b);
	}
	assert_int_equal(ivshmem_make_area(pair.left, "large", 600 * KIB), 0);
}

static void large_object_lies_where_huge_pages_can_map_it(void **state)
{
	struct ivshmem *shm = formatted(64 * MIB, 16);
	struct ivshmem_directory directory;
	struct ivshmem_object object;
	struct ivshmem_extent extent;

	assert_int_equal(ivshmem_make_area(shm, "small", 5000), 0);
	assert_int_equal(ivshmem_make_area(shm, "large", 5 * MIB), 0);
	assert_int_equal(ivshmem_directory_open(&directory, shm), 0);
	assert_int_equal(ivshmem_object_find(&directory, "large", IVSHMEM_AREA, &object), 0);
	assert_int_equal(ivshmem_object_extent(&directory, &object, &extent), 0);
	assert_true(extent.offset % (2 * MIB) == 0);
	ivshmem_directory_close(&directory);
	ivshmem_close(shm);
}

/* --- directories that lie --- */

static struct ivshmem_slot *only_slot(char *raw)
{
	return slot_of(raw, 0);
}

static void lie(struct ivshmem_slot *slot, enum slot_fact fact, uint32_t value)
{
	slot->facts[fact] = (slot->key & ~0ull << 32) | value;
}

static void blocks_beyond_the_region_fail_euclean(void **state)
{
	struct ivshmem_area *area = POISON;
	struct ivshmem_layout *layout;
	struct ivshmem_slot *slot;
	char *raw;

	pair.left = formatted(MIB, 4);
	raw = map_raw(pair.left);
	slot = only_slot(raw);
	assert_int_equal(ivshmem_make_area(pair.left, "a", 4096), 0);
	lie(slot, FACT_FIRST_BLOCK, 253);
	assert_int_equal(ivshmem_area_open(&area, pair.left, "a"), -EUCLEAN);
	lie(slot, FACT_FIRST_BLOCK, UINT32_MAX);
	assert_int_equal(ivshmem_area_open(&area, pair.left, "a"), -EUCLEAN);
	lie(slot, FACT_FIRST_BLOCK, 0);
	lie(slot, FACT_BLOCKS, UINT32_MAX);
	assert_int_equal(ivshmem_area_open(&area, pair.left, "a"), -EUCLEAN);
	assert_int_equal(ivshmem_layout_read(&layout, pair.left), 0);
	assert_true(ivshmem_layout_size(layout, 0) == 0);
	ivshmem_layout_free(layout);
	lie(slot, FACT_BLOCKS, 0);
	assert_int_equal(ivshmem_area_open(&area, pair.left, "a"), -EUCLEAN);
	slot->facts[FACT_BLOCKS] = 1;
	assert_int_equal(ivshmem_area_open(&area, pair.left, "a"), -EUCLEAN);
	assert_ptr_equal(area, POISON);
	/* It can still be removed, and the region used. */
	assert_int_equal(ivshmem_remove(pair.left, "a", 0), 0);
	assert_int_equal(ivshmem_make_area(pair.left, "b", 4096), 0);
	munmap(raw, ivshmem_size(pair.left));
}

/* Of a program that was about to remove it. */
static void reader_without_write_access_opens_what_a_dead_program_has_doomed(void **state)
{
	struct ivshmem *reader;
	struct ivshmem_area *area;
	struct ivshmem_slot *slot;
	char *raw;

	pair.left = formatted(MIB, 4);
	raw = map_raw(pair.left);
	slot = only_slot(raw);
	assert_int_equal(ivshmem_make_area(pair.left, "a", 4096), 0);
	slot->key = slot_next_key(slot->key, SLOT_DOOMED);
	reader = open_region(in_shm("region"), IVSHMEM_RDONLY);
	assert_int_equal(ivshmem_area_open(&area, reader, "a"), 0);
	ivshmem_area_close(area);
	ivshmem_close(reader);
	munmap(raw, ivshmem_size(pair.left));
}

static void rings_that_do_not_fit_their_blocks_fail_euclean(void **state)
{
	static const uint32_t units[][2] = {
		{ 0, 1 }, { 1, 0 }, { 2, 1 }, { 1, 2 }, { UINT32_MAX, 1 }, { 1, UINT32_MAX },
		{ (1u << 20) + 1, 1 },
	};
	struct ivshmem_channel *channel = POISON;
	struct ivshmem_slot *slot;
	char *raw;
	size_t i;

	pair.left = formatted(MIB, 4);
	raw = map_raw(pair.left);
	slot = only_slot(raw);
	assert_int_equal(ivshmem_make_channel(pair.left, "a", 4096, 4096), 0);
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		lie(slot, FACT_CREATOR_RING, units[i][0]);
		lie(slot, FACT_CONNECTOR_RING, units[i][1]);
		assert_int_equal(ivshmem_channel_create(&channel, pair.left, "a", 0, 0),
				 -EUCLEAN);
		assert_int_equal(ivshmem_channel_connect(&channel, pair.left, "a", 0, 0),
				 -EUCLEAN);
	}
	assert_ptr_equal(channel, POISON);
	munmap(raw, ivshmem_size(pair.left));
}

static void object_of_an_unknown_kind_is_left_alone(void **state)
{
	struct ivshmem_channel *channel = POISON;
	struct ivshmem_layout *layout;
	char name[16];
	char *raw;
	int i;

	pair.left = formatted(MIB, 2);
	raw = map_raw(pair.left);
	assert_int_equal(ivshmem_make_area(pair.left, "new", 4096), 0);
	lie(only_slot(raw), FACT_KIND, 77);
	assert_int_equal(ivshmem_layout_read(&layout, pair.left), 0);
	assert_int_equal(ivshmem_layout_kind(layout, 0), 77);
	ivshmem_layout_free(layout);
	assert_int_equal(ivshmem_channel_create(&channel, pair.left, "new", 0, 0), -EPROTOTYPE);
	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "name-%d", i);
		assert_int_equal(ivshmem_channel_create(&channel, pair.left, name, 0, 0),
				 -ETIMEDOUT);
	}
	assert_int_equal(ivshmem_layout_read(&layout, pair.left), 0);
	assert_string_equal(ivshmem_layout_name(layout, 0), "new");
	ivshmem_layout_free(layout);
	munmap(raw, ivshmem_size(pair.left));
}

/* Its hints may be anything, and look like the end of a channel that somebody has. */
static void object_with_one_end_goes_when_that_end_is_free(void **state)
{
	static const enum ivshmem_kind kinds[] = { IVSHMEM_SERVICE, IVSHMEM_WAITSET };
	struct ivshmem_spec spec = { .size = 0 };
	struct ivshmem_slot_end *hints;
	struct ivshmem_slot *slot;
	unsigned int i;
	char *raw;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		pair.left = formatted(MIB, 1);
		raw = map_raw(pair.left);
		spec.kind = kinds[i];
		assert_int_equal(ivshmem_make_object(pair.left, "one", &spec), 0);
		slot = only_slot(raw);
		hints = &slot->ends[1];
		hints->epoch = 4 + END_ATTACHED;
		hints->purpose = 4ull << 32 | slot->key >> 32;
		assert_int_equal(ivshmem_make_area(pair.left, "another", 4096), 0);
		assert_int_equal(ivshmem_remove(pair.left, "another", 0), 0);

		slot->ends[0].epoch = 4 + END_ATTACHED;
		assert_int_equal(ivshmem_make_object(pair.left, "one", &spec), 0);
		slot->ends[0].purpose = 4ull << 32 | slot->key >> 32;
		assert_int_equal(ivshmem_make_area(pair.left, "another", 4096), -ENOSPC);
		assert_int_equal(ivshmem_remove(pair.left, "one", 0), -EBUSY);
		assert_int_equal(ivshmem_remove(pair.left, "one", IVSHMEM_REMOVE_FORCE), 0);
		munmap(raw, ivshmem_size(pair.left));
		ivshmem_close(pair.left);
		pair.left = NULL;
		unlink(in_shm("region"));
	}
}

static void block_map_of_junk_keeps_nobody_from_making_objects(void **state)
{
	struct ivshmem_superblock superblock;
	char *raw;

	pair.left = formatted(MIB, 4);
	raw = map_raw(pair.left);
	memcpy(&superblock, raw, sizeof(superblock));
	memset(raw + ivshmem_slot_offset(superblock.slots), 0xff, 8 * superblock.blocks);
	assert_int_equal(ivshmem_make_area(pair.left, "a", superblock.blocks * 4096ull), 0);
	munmap(raw, ivshmem_size(pair.left));
}

static void claim_that_was_left_is_taken_away_when_room_is_needed(void **state)
{
	struct ivshmem_slot *slot;
	char *raw;

	pair.left = formatted(MIB, 1);
	raw = map_raw(pair.left);
	slot = only_slot(raw);
	slot->key = slot_claim_key(slot->key);
	assert_int_equal(ivshmem_make_area(pair.left, "a", 4096), 0);
	assert_int_equal(ivshmem_make_area(pair.left, "b", 4096), -ENOSPC);
	munmap(raw, ivshmem_size(pair.left));
}

/* --- numbers that come round --- */

static void make_and_remove(struct ivshmem *shm, struct ivshmem_slot *slot, uint32_t generation)
{
	uint64_t empty = free_bytes(shm);
	struct ivshmem_area *area;

	assert_int_equal(ivshmem_make_area(shm, "a", 40960), 0);
	assert_int_equal(slot_generation_of(slot->key), generation);
	assert_int_equal(ivshmem_make_area(shm, "a", 1), -EEXIST);
	assert_true(free_bytes(shm) == empty - 40960);
	assert_int_equal(ivshmem_area_open(&area, shm, "a"), 0);
	assert_true(ivshmem_area_size(area) == 40960);
	ivshmem_area_close(area);
	assert_int_equal(ivshmem_remove(shm, "a", 0), 0);
	assert_true(free_bytes(shm) == empty);
}

static void generations_come_round_to_0(void **state)
{
	static const uint32_t last[] = { INT32_MAX, UINT32_MAX };
	struct ivshmem_slot *slot;
	uint32_t generation;
	char *raw;
	size_t i;

	pair.left = formatted(MIB, 1);
	raw = map_raw(pair.left);
	slot = only_slot(raw);
	/* Also past the half, where what was never written seems to be newer. */
	for (i = 0; i < ARRAY_SIZE(last); i++) {
		memset(slot->name, 0, sizeof(slot->name));
		memset(slot->facts, 0, sizeof(slot->facts));
		slot->key = (uint64_t)(last[i] - 2) << 32;
		for (generation = last[i] - 1; generation != last[i] + 3; generation++)
			make_and_remove(pair.left, slot, generation);
	}
	munmap(raw, ivshmem_size(pair.left));
}

static void count_of_changes_comes_round_without_another_generation(void **state)
{
	struct ivshmem_slot *slot;
	char *raw;
	int i;

	pair.left = formatted(MIB, 1);
	raw = map_raw(pair.left);
	slot = only_slot(raw);
	for (i = 1; i <= 6; i++) {
		slot->key = (7ull + i) << 32 | (UINT32_MAX - 4 * i + 1);
		make_and_remove(pair.left, slot, 8 + i);
	}
	munmap(raw, ivshmem_size(pair.left));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(made_channel_has_the_rings_asked_for_and_stays),
		PAIR_TEST(name_that_is_there_fails_eexist_whatever_it_is),
		PAIR_TEST(object_of_another_kind_fails_eprototype),
		PAIR_TEST(bad_arguments_make_and_remove_nothing),
		PAIR_TEST(area_is_the_same_memory_for_all_and_stays),
		PAIR_TEST(read_only_handle_reads_an_area),
		PAIR_TEST(child_shares_the_memory_of_an_area_and_takes_nothing_from_the_parent),
		PAIR_TEST(read_only_handle_reads_an_area_of_a_sparse_copy),
		PAIR_TEST(what_is_in_use_is_removed_by_force_only),
		PAIR_TEST(message_of_a_channel_that_was_removed_is_nobody_s),
		PAIR_TEST(room_comes_back_when_objects_go),
		PAIR_TEST(channels_that_nobody_uses_make_room_for_others),
		PAIR_TEST(large_object_lies_where_huge_pages_can_map_it),
		PAIR_TEST(blocks_beyond_the_region_fail_euclean),
		PAIR_TEST(rings_that_do_not_fit_their_blocks_fail_euclean),
		PAIR_TEST(object_of_an_unknown_kind_is_left_alone),
		PAIR_TEST(reader_without_write_access_opens_what_a_dead_program_has_doomed),
		PAIR_TEST(object_with_one_end_goes_when_that_end_is_free),
		PAIR_TEST(block_map_of_junk_keeps_nobody_from_making_objects),
		PAIR_TEST(claim_that_was_left_is_taken_away_when_room_is_needed),
		PAIR_TEST(generations_come_round_to_0),
		PAIR_TEST(count_of_changes_comes_round_without_another_generation),
	};

	return run("objects", tests, ARRAY_SIZE(tests));
}
