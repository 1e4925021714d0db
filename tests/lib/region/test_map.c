// SPDX-License-Identifier: MIT
#include "fixture.h"

#include <sys/mman.h>

#define SIZE		(16 * MIB)

static void data_before_map_is_null(void **state)
{
	struct ivshmem *shm = open_region(make_file("region", SIZE), 0);

	assert_null(ivshmem_data(shm));
	ivshmem_close(shm);
}

static void null_handle_fails_einval(void **state)
{
	assert_int_equal(ivshmem_map(NULL), -EINVAL);
	assert_int_equal(ivshmem_unmap(NULL), -EINVAL);
	assert_int_equal(ivshmem_sync(NULL), -EINVAL);
	assert_null(ivshmem_data(NULL));
}

static void map_twice_fails_ebusy(void **state)
{
	struct ivshmem *shm = map_region(make_file("region", SIZE), 0);
	void *data = ivshmem_data(shm);

	assert_int_equal(ivshmem_map(shm), -EBUSY);
	assert_ptr_equal(ivshmem_data(shm), data);
	assert_int_equal(touch(data), 0);
	ivshmem_close(shm);
}

static void unmap_before_map_fails_einval(void **state)
{
	struct ivshmem *shm = open_region(make_file("region", SIZE), 0);

	assert_int_equal(ivshmem_unmap(shm), -EINVAL);
	ivshmem_close(shm);
}

static void unmap_twice_fails_einval(void **state)
{
	struct ivshmem *shm = map_region(make_file("region", SIZE), 0);

	assert_int_equal(ivshmem_unmap(shm), 0);
	assert_null(ivshmem_data(shm));
	assert_int_equal(ivshmem_unmap(shm), -EINVAL);
	ivshmem_close(shm);
}

static void map_after_unmap_shows_the_same(void **state)
{
	struct ivshmem *shm = map_region(make_file("region", SIZE), 0);

	strcpy(ivshmem_data(shm), "same");
	assert_int_equal(ivshmem_unmap(shm), 0);
	assert_int_equal(ivshmem_map(shm), 0);
	assert_string_equal(ivshmem_data(shm), "same");
	ivshmem_close(shm);
}

static void unmapped_memory_cannot_be_touched(void **state)
{
	struct ivshmem *shm = map_region(make_file("region", SIZE), 0);
	char *data = ivshmem_data(shm);

	assert_int_equal(in_child(touch, data + SIZE - 1), 0);
	assert_int_equal(ivshmem_unmap(shm), 0);
	assert_int_equal(in_child(touch, data), SIGSEGV);
	assert_int_equal(in_child(touch, data + SIZE - 1), SIGSEGV);
	ivshmem_close(shm);
}

static void close_while_mapped_unmaps(void **state)
{
	struct ivshmem *shm = map_region(make_file("region", SIZE), 0);
	char *data = ivshmem_data(shm);

	ivshmem_close(shm);
	assert_int_equal(in_child(touch, data), SIGSEGV);
}

static void data_is_aligned_to_a_page(void **state)
{
	struct ivshmem *shm = map_region(make_file("region", SIZE), 0);

	assert_int_equal((uintptr_t)ivshmem_data(shm) % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
	ivshmem_close(shm);
}

static void two_handles_see_each_other(void **state)
{
	const char *path = make_file("region", SIZE);
	struct ivshmem *a = map_region(path, 0);
	struct ivshmem *b = map_region(path, 0);
	char *in_a = ivshmem_data(a), *in_b = ivshmem_data(b);
	size_t i;

	assert_ptr_not_equal(in_a, in_b);
	for (i = 0; i < SIZE; i += 4096) {
		in_a[i] = (char)(i >> 12);
		in_b[i + 4095] = (char)(i >> 11);
	}
	for (i = 0; i < SIZE; i += 4096) {
		assert_int_equal(in_b[i], (char)(i >> 12));
		assert_int_equal(in_a[i + 4095], (char)(i >> 11));
	}
	ivshmem_close(a);
	assert_int_equal(in_b[4096], 1);
	ivshmem_close(b);
}

static void mapping_and_file_are_one(void **state)
{
	struct ivshmem *shm = map_region(make_file("region", SIZE), 0);
	char *data = ivshmem_data(shm);
	char text[8] = "";

	strcpy(data + SIZE - 8, "end");
	assert_int_equal(ivshmem_sync(shm), 0);
	assert_int_equal(pread(ivshmem_fd(shm), text, 8, SIZE - 8), 8);
	assert_string_equal(text, "end");
	assert_int_equal(pwrite(ivshmem_fd(shm), "start", 6, 0), 6);
	assert_string_equal(data, "start");
	ivshmem_close(shm);
}

static void mapping_is_shared_with_a_child(void **state)
{
	struct ivshmem *shm = map_region(make_file("region", SIZE), 0);
	char *data = ivshmem_data(shm);

	assert_int_equal(in_child(touch, data + 5), 0);
	assert_int_equal(data[5], 1);
	ivshmem_close(shm);
}

static void region_beyond_4_gib_is_reached_to_its_end(void **state)
{
	const uint64_t offsets[] = { 0, 4 * GIB - 1, 4 * GIB, 8 * GIB - 1 };
	struct ivshmem *shm;
	char *data, byte;
	size_t i;

	shm = map_region(make_file("region", 8 * GIB), 0);
	data = ivshmem_data(shm);
	for (i = 0; i < ARRAY_SIZE(offsets); i++)
		data[offsets[i]] = (char)(i + 1);
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		assert_int_equal(pread(ivshmem_fd(shm), &byte, 1, (off_t)offsets[i]), 1);
		assert_int_equal(byte, i + 1);
	}
	assert_int_equal(ivshmem_sync(shm), 0);
	assert_int_equal(ivshmem_unmap(shm), 0);
	assert_int_equal(in_child(touch, data + 8 * GIB - 1), SIGSEGV);
	ivshmem_close(shm);
}

static void rdonly_mapping_can_be_read(void **state)
{
	const char *path = make_file("region", SIZE);
	struct ivshmem *writer = map_region(path, 0);
	struct ivshmem *reader = map_region(path, IVSHMEM_RDONLY);

	strcpy(ivshmem_data(writer), "read me");
	assert_string_equal(ivshmem_data(reader), "read me");
	assert_int_equal(ivshmem_sync(reader), 0);
	ivshmem_close(reader);
	ivshmem_close(writer);
}

static void rdonly_mapping_can_never_be_written(void **state)
{
	struct ivshmem *shm = map_region(make_file("region", SIZE), IVSHMEM_RDONLY);
	void *data = ivshmem_data(shm);

	assert_int_equal(in_child(touch, data), SIGSEGV);
	assert_int_equal(mprotect(data, SIZE, PROT_READ | PROT_WRITE), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(write(ivshmem_fd(shm), "x", 1), -1);
	assert_int_equal(errno, EBADF);
	ivshmem_close(shm);
}

static void mapping_is_shared_and_not_executable(void **state)
{
	struct ivshmem *shm = map_region(make_file("region", SIZE), 0);
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512], start[32];
	bool found = false;

	assert_non_null(maps);
	snprintf(start, sizeof(start), "%lx-", (unsigned long)ivshmem_data(shm));
	while (!found && fgets(line, sizeof(line), maps))
		found = !strncmp(line, start, strlen(start));
	fclose(maps);
	assert_true(found);
	assert_non_null(strstr(line, " rw-s "));
	ivshmem_close(shm);
}

static void sync_before_map_fails_einval(void **state)
{
	struct ivshmem *shm = open_region(make_file("region", SIZE), 0);

	assert_int_equal(ivshmem_sync(shm), -EINVAL);
	assert_int_equal(ivshmem_check(shm), 0);
	ivshmem_close(shm);
}

static void truncated_region_tells_estale(void **state)
{
	const char *path = make_file("region", SIZE);
	struct ivshmem *shm = map_region(path, 0);
	char *data = ivshmem_data(shm);

	assert_int_equal(ivshmem_check(shm), 0);
	assert_int_equal(truncate(path, 4096), 0);
	assert_int_equal(ivshmem_check(shm), -ESTALE);
	assert_int_equal(ivshmem_sync(shm), -ESTALE);
	assert_int_equal(in_child(touch, data), 0);
	assert_int_equal(in_child(touch, data + 4096), SIGBUS);
	assert_true(ivshmem_size(shm) == SIZE);

	assert_int_equal(truncate(path, SIZE), 0);
	assert_int_equal(ivshmem_check(shm), 0);
	assert_int_equal(in_child(touch, data + 4096), 0);
	ivshmem_close(shm);
}

static void region_truncated_to_nothing_can_be_closed(void **state)
{
	const char *path = make_file("region", SIZE);
	struct ivshmem *shm = map_region(path, 0);

	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(ivshmem_check(shm), -ESTALE);
	assert_int_equal(in_child(touch, ivshmem_data(shm)), SIGBUS);
	assert_int_equal(ivshmem_unmap(shm), 0);
	ivshmem_close(shm);
}

static void grown_file_is_still_whole(void **state)
{
	const char *path = make_file("region", SIZE);
	struct ivshmem *shm = map_region(path, 0);

	assert_int_equal(truncate(path, 2 * SIZE), 0);
	assert_int_equal(ivshmem_check(shm), 0);
	assert_int_equal(ivshmem_sync(shm), 0);
	assert_true(ivshmem_size(shm) == SIZE);
	ivshmem_close(shm);
}

static void unlinked_region_lives_until_close(void **state)
{
	const char *path = make_file("region", SIZE);
	struct ivshmem *shm = map_region(path, 0);

	assert_int_equal(unlink(path), 0);
	assert_int_equal(ivshmem_check(shm), 0);
	assert_int_equal(ivshmem_sync(shm), 0);
	assert_int_equal(in_child(touch, ivshmem_data(shm)), 0);
	assert_string_equal(ivshmem_path(shm), path);
	ivshmem_close(shm);
}

static void region_replaced_by_another_file_tells_estale(void **state)
{
	struct ivshmem *shm = map_region(make_file("region", SIZE), 0);

	assert_int_equal(unlink(in_shm("region")), 0);
	assert_int_equal(ivshmem_check(shm), 0);
	make_file("region", SIZE);
	assert_int_equal(ivshmem_check(shm), -ESTALE);
	assert_int_equal(ivshmem_sync(shm), -ESTALE);
	assert_int_equal(unlink(in_shm("region")), 0);
	assert_int_equal(ivshmem_check(shm), 0);
	ivshmem_close(shm);
}

static void region_replaced_by_a_renamed_file_tells_estale(void **state)
{
	struct ivshmem *shm = map_region(make_file("region", SIZE), 0);
	char other[PATH_MAX];

	strcpy(other, make_file("other", SIZE));
	assert_int_equal(rename(other, in_shm("region")), 0);
	assert_int_equal(ivshmem_check(shm), -ESTALE);
	ivshmem_close(shm);
}

static void region_that_was_moved_is_still_whole(void **state)
{
	struct ivshmem *shm = map_region(make_file("region", SIZE), 0);
	char other[PATH_MAX];

	strcpy(other, in_shm("other"));
	assert_int_equal(rename(in_shm("region"), other), 0);
	assert_int_equal(ivshmem_check(shm), 0);
	make_file("region", SIZE);
	assert_int_equal(ivshmem_check(shm), 0);
	ivshmem_close(shm);
}

static void region_without_a_path_is_whole(void **state)
{
	int fd = memfd_create("region", MFD_CLOEXEC);
	struct ivshmem *shm;
	char path[64];

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, MIB), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	shm = open_region(path, 0);
	assert_int_equal(ivshmem_check(shm), 0);
	close(fd);
	assert_int_equal(ivshmem_check(shm), 0);
	ivshmem_close(shm);
}

static void sealed_tells_whether_the_region_can_shrink(void **state)
{
	int fd = memfd_create("region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct ivshmem *file = open_region(make_file("region", SIZE), 0), *shm;
	char path[64];

	assert_int_equal(ivshmem_sealed(file), 0);
	assert_int_equal(ivshmem_sealed(NULL), -EINVAL);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, MIB), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	shm = open_region(path, 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(ivshmem_sealed(shm), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(ivshmem_sealed(shm), 1);
	ivshmem_close(shm);
	ivshmem_close(file);
	close(fd);
}

static void map_of_write_sealed_memfd_fails_eperm(void **state)
{
	int fd = memfd_create("region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct ivshmem *shm;
	char path[64];

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, MIB), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	shm = open_region(path, 0);
	assert_int_equal(ivshmem_map(shm), -EPERM);
	assert_null(ivshmem_data(shm));
	ivshmem_close(shm);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(data_before_map_is_null),
		TEST(null_handle_fails_einval),
		TEST(map_twice_fails_ebusy),
		TEST(unmap_before_map_fails_einval),
		TEST(unmap_twice_fails_einval),
		TEST(map_after_unmap_shows_the_same),
		TEST(unmapped_memory_cannot_be_touched),
		TEST(close_while_mapped_unmaps),
		TEST(data_is_aligned_to_a_page),
		TEST(two_handles_see_each_other),
		TEST(mapping_and_file_are_one),
		TEST(mapping_is_shared_with_a_child),
		TEST(region_beyond_4_gib_is_reached_to_its_end),
		TEST(rdonly_mapping_can_be_read),
		TEST(rdonly_mapping_can_never_be_written),
		TEST(mapping_is_shared_and_not_executable),
		TEST(sync_before_map_fails_einval),
		TEST(truncated_region_tells_estale),
		TEST(region_truncated_to_nothing_can_be_closed),
		TEST(grown_file_is_still_whole),
		TEST(unlinked_region_lives_until_close),
		TEST(region_replaced_by_another_file_tells_estale),
		TEST(region_replaced_by_a_renamed_file_tells_estale),
		TEST(region_that_was_moved_is_still_whole),
		TEST(region_without_a_path_is_whole),
		TEST(sealed_tells_whether_the_region_can_shrink),
		TEST(map_of_write_sealed_memfd_fails_eperm),
	};

	return run("map", tests, ARRAY_SIZE(tests));
}
