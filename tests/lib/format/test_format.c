// SPDX-License-Identifier: MIT
/* How a region is laid out, and what is not taken for a layout. */
#include "fixture.h"

#include <ctype.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statfs.h>

#include "format/superblock.h"

#define GRANDEST	(64 * GIB)
#define UUID_LENGTH	36

static struct ivshmem *open_file(off_t size)
{
	return open_region(make_file("region", size), 0);
}

static struct ivshmem *formatted(off_t size, unsigned int objects)
{
	struct ivshmem *shm = open_file(size);

	assert_int_equal(ivshmem_format(shm, "label", objects, 0, 0), 0);
	return shm;
}

static struct ivshmem_layout *read_layout(struct ivshmem *shm)
{
	struct ivshmem_layout *layout = NULL;

	assert_int_equal(ivshmem_layout_read(&layout, shm), 0);
	assert_non_null(layout);
	return layout;
}

static void assert_layout_fails(struct ivshmem *shm, int err)
{
	struct ivshmem_layout *layout = POISON;
	struct ivshmem_channel *channel = POISON;

	assert_int_equal(ivshmem_layout_read(&layout, shm), err);
	assert_ptr_equal(layout, POISON);
	assert_int_equal(ivshmem_channel_create(&channel, shm, "a", 0, 0), err);
	assert_int_equal(ivshmem_channel_connect(&channel, shm, "a", 0, 0), err);
	assert_ptr_equal(channel, POISON);
}

static void read_at(const struct ivshmem *shm, off_t offset, void *data, size_t size)
{
	assert_int_equal(pread(ivshmem_fd(shm), data, size, offset), size);
}

static void write_at(const struct ivshmem *shm, off_t offset, const void *data, size_t size)
{
	assert_int_equal(pwrite(ivshmem_fd(shm), data, size, offset), size);
}

static void write_superblock(const struct ivshmem *shm, struct ivshmem_superblock *superblock)
{
	superblock->crc = ivshmem_crc32(superblock, offsetof(struct ivshmem_superblock, crc));
	write_at(shm, 0, superblock, sizeof(*superblock));
}

/* What ivshmem-format(5) promises of every layout. */
static void assert_geometry(const struct ivshmem *shm, unsigned int objects)
{
	struct ivshmem_superblock superblock;

	read_at(shm, 0, &superblock, sizeof(superblock));
	assert_memory_equal(&superblock.magic, "IVSHMEF2", 8);
	assert_int_equal(superblock.version, 2);
	assert_true(superblock.region_size == ivshmem_size(shm));
	assert_int_equal(superblock.slots, objects);
	assert_int_equal(superblock.block_size % 4096, 0);
	assert_in_range(superblock.blocks, 1, 65536);
	assert_int_equal(superblock.blocks_offset % 4096, 0);
	assert_true(superblock.blocks_offset >=
		    4096 + 1024ull * objects + 8ull * superblock.blocks);
	assert_true(superblock.blocks_offset + superblock.blocks * superblock.block_size <=
		    ivshmem_size(shm));
	assert_true(superblock.ring_units >= 1);
	assert_true(2 * superblock.ring_units * 4096ull <=
		    superblock.blocks * superblock.block_size);
	assert_int_equal(superblock.crc,
			 ivshmem_crc32(&superblock, offsetof(struct ivshmem_superblock, crc)));
}

static void assert_sparse(const struct ivshmem *shm, unsigned int objects)
{
	uint64_t blocks = ivshmem_size(shm) / 4096;
	struct stat st;

	blocks = blocks > 65536 ? 65536 : blocks;
	assert_int_equal(fstat(ivshmem_fd(shm), &st), 0);
	assert_true((uint64_t)st.st_blocks * 512 <= 2 * 4096 + 1024ull * objects + 8 * blocks);
}

static void crc32_of_check_string_is_known(void **state)
{
	assert_int_equal(ivshmem_crc32("123456789", 9), 0xcbf43926);
	assert_int_equal(ivshmem_crc32("", 0), 0);
}

static void format_below_16_kib_fails_enospc(void **state)
{
	struct ivshmem *shm;
	off_t size;

	for (size = 4096; size < 16384; size += 4096) {
		shm = open_file(size);
		assert_int_equal(ivshmem_format(shm, "", 0, 0, 0), -ENOSPC);
		assert_int_equal(ivshmem_format(shm, "", 1, 0, 0), -ENOSPC);
		assert_layout_fails(shm, -ENOMEDIUM);
		ivshmem_close(shm);
		unlink(in_shm("region"));
	}
}

static void format_lays_out_every_size_and_leaves_files_sparse(void **state)
{
	struct ivshmem_layout *layout;
	struct ivshmem *shm;
	unsigned int objects;
	off_t size;

	for (size = 20480; size <= (off_t)GRANDEST; size *= 2) {
		shm = formatted(size, 0);
		layout = read_layout(shm);
		objects = ivshmem_layout_objects(layout);
		assert_in_range(objects, 4, 1024);
		assert_geometry(shm, objects);
		assert_sparse(shm, objects);
		/* Little is wasted, and what is left makes four channels. */
		assert_true(ivshmem_layout_free_bytes(layout) >= (uint64_t)size / 16 * 15 ||
			    size < (off_t)MIB);
		assert_true(8 * ivshmem_layout_default_ring(layout) <=
			    ivshmem_layout_free_bytes(layout) || size < (off_t)(64 * KIB));
		ivshmem_layout_free(layout);
		ivshmem_close(shm);
		unlink(in_shm("region"));
	}
}

static void format_takes_sizes_that_are_no_power_of_two(void **state)
{
	struct ivshmem *shm;
	off_t pages;

	for (pages = 4; pages < 70; pages++) {
		shm = formatted(pages * 4096, 1);
		assert_geometry(shm, 1);
		ivshmem_close(shm);
		unlink(in_shm("region"));
	}
}

static void format_takes_any_count_of_objects_that_fits(void **state)
{
	static const unsigned int counts[] = { 1, 2, 3, 7, 16, 100, 1000, 4095, 4096 };
	struct ivshmem *shm;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		shm = formatted(64 * MIB, counts[i]);
		assert_geometry(shm, counts[i]);
		assert_sparse(shm, counts[i]);
		ivshmem_close(shm);
		unlink(in_shm("region"));
	}
}

static void format_with_too_many_objects_fails(void **state)
{
	struct ivshmem *shm = open_file(MIB);
	unsigned int most;

	assert_int_equal(ivshmem_format(shm, "", IVSHMEM_MAX_OBJECTS + 1, 0, 0), -EINVAL);
	assert_int_equal(ivshmem_format(shm, "", UINT_MAX, 0, 0), -EINVAL);
	assert_int_equal(ivshmem_format(shm, "", IVSHMEM_MAX_OBJECTS, 0, 0), -ENOSPC);
	for (most = 1; !ivshmem_format(shm, "", most, 0, IVSHMEM_FORMAT_FORCE); most++)
		assert_geometry(shm, most);
	/* There is always room for one channel, of two pages, behind a map of 256 blocks. */
	assert_int_equal(most - 1, (MIB - 8192 - 4096 - 2048) / 1024);
	ivshmem_close(shm);
}

static void format_takes_rings_that_fit_and_rounds_them_up(void **state)
{
	struct ivshmem *shm = open_file(MIB);
	struct ivshmem_layout *layout;

	assert_int_equal(ivshmem_format(shm, "", 4, 5000, 0), 0);
	assert_geometry(shm, 4);
	layout = read_layout(shm);
	assert_true(ivshmem_layout_default_ring(layout) == 8192);
	ivshmem_layout_free(layout);
	assert_int_equal(ivshmem_format(shm, "", 4, MIB / 2, IVSHMEM_FORMAT_FORCE), -ENOSPC);
	assert_int_equal(ivshmem_format(shm, "", 4, 4 * GIB, IVSHMEM_FORMAT_FORCE), -ENOSPC);
	assert_int_equal(ivshmem_format(shm, "", 4, 4 * GIB + 1, IVSHMEM_FORMAT_FORCE), -EINVAL);
	assert_int_equal(ivshmem_format(shm, "", 4, UINT64_MAX, IVSHMEM_FORMAT_FORCE), -EINVAL);
	ivshmem_close(shm);
}

static void format_refuses_bad_arguments(void **state)
{
	struct ivshmem *shm = open_file(MIB);

	assert_int_equal(ivshmem_format(NULL, "", 1, 0, 0), -EINVAL);
	assert_int_equal(ivshmem_format(shm, NULL, 1, 0, 0), -EINVAL);
	assert_int_equal(ivshmem_format(shm, "", 1, 0, 2), -EINVAL);
	assert_int_equal(ivshmem_format(shm, "", 1, 0, ~0u), -EINVAL);
	assert_int_equal(ivshmem_layout_read(NULL, shm), -EINVAL);
	assert_layout_fails(shm, -ENOMEDIUM);
	ivshmem_close(shm);
}

static void format_takes_labels_of_the_allowed_letters(void **state)
{
	static const char longest[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz01234567.+-";
	static const char *const labels[] = { "", "a", "_", "-", "+", "a.b", "9", longest };
	struct ivshmem *shm = open_file(MIB);
	struct ivshmem_layout *layout;
	size_t i;

	assert_int_equal(strlen(longest), IVSHMEM_LABEL_SIZE - 1);
	for (i = 0; i < ARRAY_SIZE(labels); i++) {
		assert_int_equal(ivshmem_format(shm, labels[i], 1, 0, IVSHMEM_FORMAT_FORCE), 0);
		layout = read_layout(shm);
		assert_string_equal(ivshmem_layout_label(layout), labels[i]);
		ivshmem_layout_free(layout);
	}
	ivshmem_close(shm);
}

static void format_refuses_other_labels(void **state)
{
	static const char *const labels[] = {
		".", "..", ".a", "a b", "a/b", "a\n", "\xc3\xa4", "a%", "\\", "\"", "'", "~",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+",
	};
	struct ivshmem *shm = open_file(MIB);
	char label[2] = "";
	size_t i;
	int c;

	for (i = 0; i < ARRAY_SIZE(labels); i++)
		assert_int_equal(ivshmem_format(shm, labels[i], 1, 0, 0), -EINVAL);
	for (c = 1; c < 256; c++) {
		label[0] = (char)c;
		if (!isalnum(c) && !strchr("-_+", c))
			assert_int_equal(ivshmem_format(shm, label, 1, 0, 0), -EINVAL);
	}
	assert_layout_fails(shm, -ENOMEDIUM);
	ivshmem_close(shm);
}

static void format_again_needs_force_and_changes_the_uuid(void **state)
{
	struct ivshmem *shm = formatted(MIB, 1);
	struct ivshmem_layout *first = read_layout(shm), *second;
	const char *uuid = ivshmem_layout_uuid(first);
	size_t i;

	assert_int_equal(strlen(uuid), UUID_LENGTH);
	for (i = 0; i < UUID_LENGTH; i++)
		assert_true(strchr(i == 8 || i == 13 || i == 18 || i == 23 ? "-" : "0123456789abcdef",
				   uuid[i]));
	assert_true(uuid[14] == '4');
	assert_true(strchr("89ab", uuid[19]));
	assert_int_equal(ivshmem_format(shm, "other", 2, 0, 0), -EEXIST);
	second = read_layout(shm);
	assert_string_equal(ivshmem_layout_uuid(second), uuid);
	ivshmem_layout_free(second);

	assert_int_equal(ivshmem_format(shm, "other", 2, 0, IVSHMEM_FORMAT_FORCE), 0);
	second = read_layout(shm);
	assert_string_not_equal(ivshmem_layout_uuid(second), uuid);
	assert_string_equal(ivshmem_layout_label(second), "other");
	assert_int_equal(ivshmem_layout_objects(second), 2);
	ivshmem_layout_free(second);
	ivshmem_layout_free(first);
	ivshmem_close(shm);
}

static void format_of_a_region_in_use_needs_force(void **state)
{
	static const off_t places[] = { 0, 1, 8, 4095, 4096, 5000, MIB / 2, MIB - 4096, MIB - 1 };
	struct ivshmem *shm;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		shm = open_file(MIB);
		write_at(shm, places[i], "x", 1);
		assert_int_equal(ivshmem_format(shm, "", 1, 0, 0), -ENOTEMPTY);
		assert_layout_fails(shm, places[i] < 4096 ? -EMEDIUMTYPE : -ENOMEDIUM);
		assert_int_equal(ivshmem_format(shm, "", 1, 0, IVSHMEM_FORMAT_FORCE), 0);
		assert_geometry(shm, 1);
		ivshmem_close(shm);
		unlink(in_shm("region"));
	}
}

static void format_takes_written_zeroes_for_nothing(void **state)
{
	static const char zeroes[8192];
	struct ivshmem *shm = open_file(GIB);

	write_at(shm, 4096, zeroes, sizeof(zeroes));
	write_at(shm, GIB / 2 + 100, zeroes, 50);
	write_at(shm, GIB - sizeof(zeroes), zeroes, sizeof(zeroes));
	assert_int_equal(ivshmem_format(shm, "", 4, 0, 0), 0);
	assert_geometry(shm, 4);
	ivshmem_close(shm);
}

static void format_finds_the_only_byte_of_a_sparse_file(void **state)
{
	struct ivshmem *shm = open_file(GRANDEST);

	write_at(shm, GRANDEST - 1, "x", 1);
	assert_int_equal(ivshmem_format(shm, "", 0, 0, 0), -ENOTEMPTY);
	assert_sparse(shm, 0);
	ivshmem_close(shm);
}

static void format_clears_old_slots(void **state)
{
	struct ivshmem *shm = open_file(MIB);
	struct ivshmem_layout *layout;
	char junk[8 * 1024];
	unsigned int i;

	memset(junk, 0xa5, sizeof(junk));
	write_at(shm, SLOTS_OFFSET, junk, sizeof(junk));
	assert_int_equal(ivshmem_format(shm, "", 8, 0, IVSHMEM_FORMAT_FORCE), 0);
	layout = read_layout(shm);
	for (i = 0; i < 8; i++)
		assert_null(ivshmem_layout_name(layout, i));
	ivshmem_layout_free(layout);
	ivshmem_close(shm);
}

static void format_works_on_a_handle_that_is_mapped(void **state)
{
	struct ivshmem *shm = open_file(MIB);

	assert_int_equal(ivshmem_map(shm), 0);
	assert_int_equal(ivshmem_format(shm, "label", 1, 0, 0), 0);
	assert_memory_equal(ivshmem_data(shm), "IVSHMEF2", 8);
	assert_int_equal(ivshmem_unmap(shm), 0);
	ivshmem_close(shm);
}

static void read_only_handle_reads_layouts_and_formats_none(void **state)
{
	struct ivshmem *shm = formatted(MIB, 3), *reader = open_region(in_shm("region"),
								       IVSHMEM_RDONLY);
	struct ivshmem_channel *channel = POISON;
	struct ivshmem_layout *layout;

	assert_int_equal(ivshmem_format(reader, "", 1, 0, IVSHMEM_FORMAT_FORCE), -EACCES);
	layout = read_layout(reader);
	assert_string_equal(ivshmem_layout_label(layout), "label");
	ivshmem_layout_free(layout);
	assert_int_equal(ivshmem_channel_create(&channel, reader, "a", 0, 0), -EACCES);
	assert_int_equal(ivshmem_channel_connect(&channel, reader, "a", 0, 0), -EACCES);
	assert_ptr_equal(channel, POISON);
	ivshmem_close(reader);
	ivshmem_close(shm);
}

static void newer_version_fails_eprotonosupport(void **state)
{
	struct ivshmem_superblock superblock;
	struct ivshmem *shm = formatted(MIB, 1);

	read_at(shm, 0, &superblock, sizeof(superblock));
	superblock.version = 3;
	write_superblock(shm, &superblock);
	assert_layout_fails(shm, -EPROTONOSUPPORT);
	/* What a newer version keeps behind its number is not known. */
	memset(&superblock.slots, 0x77, sizeof(superblock) - 12);
	write_at(shm, 0, &superblock, sizeof(superblock));
	assert_layout_fails(shm, -EPROTONOSUPPORT);
	assert_int_equal(ivshmem_format(shm, "", 1, 0, 0), -EEXIST);
	assert_int_equal(ivshmem_format(shm, "", 1, 0, IVSHMEM_FORMAT_FORCE), 0);
	assert_geometry(shm, 1);
	ivshmem_close(shm);
}

static void version_0_fails_euclean(void **state)
{
	struct ivshmem_superblock superblock;
	struct ivshmem *shm = formatted(MIB, 1);

	read_at(shm, 0, &superblock, sizeof(superblock));
	superblock.version = 0;
	write_superblock(shm, &superblock);
	assert_layout_fails(shm, -EUCLEAN);
	ivshmem_close(shm);
}

static int error_of_damage_at(size_t byte)
{
	if (byte < offsetof(struct ivshmem_superblock, version))
		return -EMEDIUMTYPE;
	return byte < offsetof(struct ivshmem_superblock, slots) ? -EPROTONOSUPPORT : -EUCLEAN;
}

static void superblock_with_a_damaged_byte_is_refused(void **state)
{
	struct ivshmem_superblock superblock;
	struct ivshmem *shm = formatted(MIB, 2);
	uint8_t *bytes = (uint8_t *)&superblock;
	size_t i;
	int bit;

	read_at(shm, 0, &superblock, sizeof(superblock));
	for (i = 0; i < offsetof(struct ivshmem_superblock, crc) + 4; i++) {
		for (bit = 0; bit < 8; bit++) {
			bytes[i] ^= 1 << bit;
			write_at(shm, 0, &superblock, sizeof(superblock));
			/* Bit 1 of the version makes it 0, which is no newer one. */
			assert_layout_fails(shm, i == 8 && bit == 1 ? -EUCLEAN :
					    error_of_damage_at(i));
			bytes[i] ^= 1 << bit;
		}
	}
	write_at(shm, 0, &superblock, sizeof(superblock));
	ivshmem_layout_free(read_layout(shm));
	ivshmem_close(shm);
}

#define LIE(field, value) do {						\
	struct ivshmem_superblock lie = superblock;			\
									\
	lie.field = (value);						\
	write_superblock(shm, &lie);					\
	assert_layout_fails(shm, -EUCLEAN);				\
} while (0)

static void superblock_that_lies_with_a_good_crc_is_refused(void **state)
{
	struct ivshmem_superblock superblock;
	struct ivshmem *shm = formatted(MIB, 2);

	read_at(shm, 0, &superblock, sizeof(superblock));
	LIE(slots, 0);
	LIE(slots, 3 + superblock.blocks_offset / 1024);
	LIE(slots, IVSHMEM_MAX_OBJECTS + 1);
	LIE(slots, UINT32_MAX);
	LIE(region_size, MIB - 4096);
	LIE(region_size, 2 * MIB);
	LIE(region_size, 0);
	LIE(blocks_offset, 0);
	LIE(blocks_offset, 4096);
	LIE(blocks_offset, superblock.blocks_offset + 64);
	LIE(blocks_offset, MIB);
	LIE(blocks_offset, MIB - 4096);
	LIE(blocks_offset, -4096ull);
	LIE(block_size, 0);
	LIE(block_size, MIB / 4);
	LIE(block_size, 4095);
	LIE(block_size, 1ull << 63);
	LIE(block_size, -4096ull);
	LIE(blocks, 0);
	LIE(blocks, superblock.blocks + 1);
	LIE(blocks, 65537);
	LIE(blocks, UINT32_MAX);
	LIE(ring_units, 0);
	LIE(ring_units, (1u << 20) + 1);
	LIE(label[0], '.');
	LIE(label[0], '/');
	LIE(label[3], 0x80);
	memset(superblock.label, 'a', sizeof(superblock.label));
	LIE(version, 2);
	ivshmem_close(shm);
}

static void region_of_another_size_than_formatted_fails_euclean(void **state)
{
	struct ivshmem *shm = formatted(MIB, 1);

	assert_int_equal(ftruncate(ivshmem_fd(shm), 2 * MIB), 0);
	ivshmem_close(shm);
	shm = open_region(in_shm("region"), 0);
	assert_layout_fails(shm, -EUCLEAN);
	assert_int_equal(ivshmem_format(shm, "", 1, 0, 0), -EEXIST);
	ivshmem_close(shm);
}

static void layout_of_slots_that_lie_is_bounded(void **state)
{
	struct ivshmem *shm = formatted(MIB, 2);
	struct ivshmem_layout *layout;
	char junk[2 * 1024];

	memset(junk, 0xff, sizeof(junk));
	write_at(shm, SLOTS_OFFSET, junk, sizeof(junk));
	layout = read_layout(shm);
	assert_string_equal(ivshmem_layout_name(layout, 0), "?");
	assert_string_equal(ivshmem_layout_name(layout, 1), "?");
	assert_null(ivshmem_layout_name(layout, 2));
	assert_null(ivshmem_layout_name(layout, UINT_MAX));
	ivshmem_layout_free(layout);
	ivshmem_layout_free(NULL);
	ivshmem_close(shm);
}

static int ask_what_shrank(void *path)
{
	struct ivshmem_layout *layout = NULL;
	struct ivshmem_channel *channel = NULL;
	struct ivshmem *shm = NULL;

	if (ivshmem_open(&shm, path, 0) || ftruncate(ivshmem_fd(shm), 0))
		return 2;
	return ivshmem_layout_read(&layout, shm) == -ESTALE &&
	       ivshmem_channel_create(&channel, shm, "a", 0, 0) == -ESTALE &&
	       ivshmem_format(shm, "", 1, 0, 0) == -ESTALE &&
	       ivshmem_format(shm, "", 1, 0, IVSHMEM_FORMAT_FORCE) == -ESTALE ? 0 : 1;
}

static void region_that_shrank_fails_estale_and_raises_nothing(void **state)
{
	struct ivshmem *shm = formatted(MIB, 2);

	assert_int_equal(in_child(ask_what_shrank, (void *)ivshmem_path(shm)), 0);
	ivshmem_close(shm);
}

static int read_without_slots(void *shm)
{
	struct ivshmem_layout *layout = NULL;

	return ivshmem_layout_read(&layout, shm) == -ESTALE ? 0 : 1;
}

static void layout_whose_slots_were_cut_off_fails_estale(void **state)
{
	struct ivshmem *shm = formatted(MIB, 2);

	assert_int_equal(ftruncate(ivshmem_fd(shm), SLOTS_OFFSET), 0);
	assert_int_equal(in_child(read_without_slots, shm), 0);
	ivshmem_close(shm);
}

/* In a mount namespace of its own: a region of 1 MiB, where @room bytes more have room. */
static struct ivshmem *on_full_tmpfs(size_t room)
{
	char path[128], filler[128], options[32];
	struct ivshmem *shm = NULL;
	int fd;

	snprintf(options, sizeof(options), "size=%llu", room + 64 * KIB);
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", fixture.tmp, "tmpfs", 0, options))
		return NULL;
	snprintf(path, sizeof(path), "%s/region", fixture.tmp);
	snprintf(filler, sizeof(filler), "%s/filler", fixture.tmp);
	fd = open(filler, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || posix_fallocate(fd, 0, 64 * KIB) ||
	    ivshmem_create(&shm, path, MIB, 0600, 0))
		return NULL;
	close(fd);
	return shm;
}

/* 0 passed, 1 failed, 2 there is no tmpfs. */
static int format_without_room(void *data)
{
	struct ivshmem *shm = on_full_tmpfs(0);
	struct ivshmem_layout *layout;

	if (!shm)
		return 2;
	return ivshmem_layout_read(&layout, shm) == -ENOMEDIUM &&
	       ivshmem_format(shm, "", 1, 0, 0) == -ENOSPC &&
	       ivshmem_format(shm, "", 1, 0, IVSHMEM_FORMAT_FORCE) == -ENOSPC ? 0 : 1;
}

static int open_without_room(void *data)
{
	struct ivshmem *shm = on_full_tmpfs(64 * KIB);
	struct ivshmem_channel *channel;

	if (!shm)
		return 2;
	return !ivshmem_format(shm, "", 1, 0, 0) &&
	       ivshmem_channel_create(&channel, shm, "a", 0, 0) == -ENOSPC ? 0 : 1;
}

static void format_on_a_full_filesystem_fails_enospc(void **state)
{
	int result = in_child(format_without_room, NULL);

	if (result == 2)
		skip_because("no tmpfs can be mounted here");
	assert_int_equal(result, 0);
}

static void channel_without_room_for_its_rings_fails_enospc(void **state)
{
	int result = in_child(open_without_room, NULL);

	if (result == 2)
		skip_because("no tmpfs can be mounted here");
	assert_int_equal(result, 0);
}

static int huge_pages(void)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "r");
	int count = 0;

	if (file && fscanf(file, "%d", &count) != 1)
		count = 0;
	if (file)
		fclose(file);
	return count;
}

static void set_huge_pages(int count)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "w");

	if (file) {
		fprintf(file, "%d", count);
		fclose(file);
	}
}

/* 0 passed, 1 failed, 2 there is none; in a mount namespace of its own. */
static int on_hugetlbfs(void *folder)
{
	struct ivshmem_area *area;
	struct ivshmem_superblock superblock;
	struct ivshmem *shm = NULL;
	struct statfs fs;
	uint64_t page;
	char path[128];

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", folder, "hugetlbfs", 0, NULL) || statfs(folder, &fs))
		return 2;
	page = (uint64_t)fs.f_bsize;
	snprintf(path, sizeof(path), "%s/region", (char *)folder);
	if (ivshmem_create(&shm, path, 4 * page, 0600, 0))
		return 2;
	if (ivshmem_format(shm, "huge", 1, 0, 0) || ivshmem_superblock_read(shm, &superblock))
		return 1;
	if (ivshmem_format(shm, "huge", 1, 0, 0) != -EEXIST ||
	    ivshmem_make_area(shm, "odd", page / 2 + 1) ||
	    ivshmem_area_open(&area, shm, "odd"))
		return 1;
	memset(ivshmem_area_data(area), 1, ivshmem_area_size(area));
	ivshmem_area_close(area);
	ivshmem_close(shm);
	return 0;
}

static void objects_on_hugetlbfs_need_no_whole_huge_pages(void **state)
{
	int before = huge_pages(), result = 2;

	set_huge_pages(before + 4);
	if (huge_pages() >= before + 4)
		result = in_child(on_hugetlbfs, fixture.tmp);
	set_huge_pages(before);
	if (result == 2)
		skip_because("no huge pages, or no hugetlbfs here");
	assert_int_equal(result, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(crc32_of_check_string_is_known),
		TEST(format_below_16_kib_fails_enospc),
		TEST(format_lays_out_every_size_and_leaves_files_sparse),
		TEST(format_takes_sizes_that_are_no_power_of_two),
		TEST(format_takes_any_count_of_objects_that_fits),
		TEST(format_with_too_many_objects_fails),
		TEST(format_takes_rings_that_fit_and_rounds_them_up),
		TEST(format_refuses_bad_arguments),
		TEST(format_takes_labels_of_the_allowed_letters),
		TEST(format_refuses_other_labels),
		TEST(format_again_needs_force_and_changes_the_uuid),
		TEST(format_of_a_region_in_use_needs_force),
		TEST(format_takes_written_zeroes_for_nothing),
		TEST(format_finds_the_only_byte_of_a_sparse_file),
		TEST(format_clears_old_slots),
		TEST(format_works_on_a_handle_that_is_mapped),
		TEST(read_only_handle_reads_layouts_and_formats_none),
		TEST(newer_version_fails_eprotonosupport),
		TEST(version_0_fails_euclean),
		TEST(superblock_with_a_damaged_byte_is_refused),
		TEST(superblock_that_lies_with_a_good_crc_is_refused),
		TEST(region_of_another_size_than_formatted_fails_euclean),
		TEST(layout_of_slots_that_lie_is_bounded),
		TEST(region_that_shrank_fails_estale_and_raises_nothing),
		TEST(layout_whose_slots_were_cut_off_fails_estale),
		TEST(format_on_a_full_filesystem_fails_enospc),
		TEST(channel_without_room_for_its_rings_fails_enospc),
		TEST(objects_on_hugetlbfs_need_no_whole_huge_pages),
	};

	return run("format", tests, ARRAY_SIZE(tests));
}
