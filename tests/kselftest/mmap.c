// SPDX-License-Identifier: MIT
/* Mappings of /dev/ivshmemN. */

#define REGION_BOTH_WAYS
#include "region.h"

#define RW (PROT_READ | PROT_WRITE)

TEST_F(region, mmap_shows_what_write_wrote)
{
	static const char text[] = "through the file";

	ASSERT_EQ((ssize_t)sizeof(text), pwrite(self->fd, text, sizeof(text), 3 * PAGE + 5));
	EXPECT_EQ(0, memcmp(self->data + 3 * PAGE + 5, text, sizeof(text)));
}

TEST_F(region, mmap_store_is_what_read_reads)
{
	unsigned char byte = 0;

	self->data[self->size - 1] = 0xa5;
	ASSERT_EQ(1, pread(self->fd, &byte, 1, self->size - 1));
	EXPECT_EQ(0xa5, byte);
}

TEST_F(region, mmap_every_page_is_a_page_of_its_own)
{
	uint64_t at;

	for (at = 0; at < self->size; at += PAGE)
		*(uint64_t *)(self->data + at) = at ^ 0x5a5a;
	for (at = 0; at < self->size; at += PAGE)
		ASSERT_EQ(at ^ 0x5a5a, *(uint64_t *)(self->data + at));
}

TEST_F(region, mmap_last_page_alone_begins_at_the_offset)
{
	unsigned char *page = mmap(NULL, PAGE, RW, MAP_SHARED, self->fd, self->size - PAGE);

	ASSERT_NE(MAP_FAILED, page);
	page[7] = 0x77;
	EXPECT_EQ(0x77, self->data[self->size - PAGE + 7]);
	munmap(page, PAGE);
}

TEST_F(region, mmap_of_two_openers_is_the_same_memory)
{
	int fd = open(NODE, O_RDWR);
	unsigned char *other;

	ASSERT_LE(0, fd);
	other = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, other);
	other[9] = 0x99;
	EXPECT_EQ(0x99, self->data[9]);
	munmap(other, PAGE);
	close(fd);
}

TEST_F(region, mmap_survives_close)
{
	int fd = open(NODE, O_RDWR);
	unsigned char *other;

	ASSERT_LE(0, fd);
	other = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, other);
	close(fd);
	other[11] = 0x11;
	EXPECT_EQ(0x11, self->data[11]);
	munmap(other, PAGE);
}

TEST_F(region, mmap_past_end_fails_einval)
{
	EXPECT_ERRNO(EINVAL, mmap(NULL, self->size + PAGE, RW, MAP_SHARED, self->fd, 0));
	EXPECT_ERRNO(EINVAL, mmap(NULL, 2 * PAGE, RW, MAP_SHARED, self->fd, self->size - PAGE));
}

TEST_F(region, mmap_at_end_fails_einval)
{
	EXPECT_ERRNO(EINVAL, mmap(NULL, PAGE, RW, MAP_SHARED, self->fd, self->size));
	EXPECT_ERRNO(EINVAL, mmap(NULL, PAGE, RW, MAP_SHARED, self->fd, self->size * 4));
}

TEST_F(region, mmap_of_zero_length_fails_einval)
{
	EXPECT_ERRNO(EINVAL, mmap(NULL, 0, RW, MAP_SHARED, self->fd, 0));
}

TEST_F(region, mmap_at_unaligned_offset_fails_einval)
{
	EXPECT_ERRNO(EINVAL, mmap(NULL, PAGE, RW, MAP_SHARED, self->fd, 1));
	EXPECT_ERRNO(EINVAL, mmap(NULL, PAGE, RW, MAP_SHARED, self->fd, PAGE / 2));
}

TEST_F(region, mmap_whose_end_overflows_fails)
{
	off_t last = (off_t)(~0ULL & ~(uint64_t)(PAGE - 1));

	errno = 0;
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * PAGE, RW, MAP_SHARED, self->fd, last));
	EXPECT_TRUE(errno == EOVERFLOW || errno == EINVAL);
	errno = 0;
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, RW, MAP_SHARED, self->fd, last));
	EXPECT_TRUE(errno == EOVERFLOW || errno == EINVAL);
}

TEST_F(region, mmap_private_fails_einval)
{
	EXPECT_ERRNO(EINVAL, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, self->fd, 0));
	EXPECT_ERRNO(EINVAL, mmap(NULL, PAGE, RW, MAP_PRIVATE, self->fd, 0));
}

TEST_F(region, mmap_executable_fails_eperm)
{
	EXPECT_ERRNO(EPERM, mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, self->fd, 0));
}

TEST_F(region, mprotect_to_executable_fails_eacces)
{
	EXPECT_ERRNO(EACCES, mprotect(self->data, PAGE, PROT_READ | PROT_EXEC));
}

TEST_F(region, mprotect_to_read_only_and_back_works)
{
	ASSERT_EQ(0, mprotect(self->data, PAGE, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch_signal(self->data, 1));
	ASSERT_EQ(0, mprotect(self->data, PAGE, RW));
	EXPECT_EQ(0, touch_signal(self->data, 1));
}

TEST_F(region, mmap_writable_on_read_only_open_fails_eacces)
{
	int fd = open(NODE, O_RDONLY);

	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EACCES, mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
	close(fd);
}

TEST_F(region, mprotect_to_writable_on_read_only_open_fails_eacces)
{
	int fd = open(NODE, O_RDONLY);
	unsigned char *page;

	ASSERT_LE(0, fd);
	page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, page);
	EXPECT_ERRNO(EACCES, mprotect(page, PAGE, RW));
	self->data[13] = 0x13;
	EXPECT_EQ(0x13, page[13]);
	munmap(page, PAGE);
	close(fd);
}

TEST_F(region, mmap_on_write_only_open_fails_eacces)
{
	int fd = open(NODE, O_WRONLY);

	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EACCES, mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0));
	close(fd);
}

TEST_F(region, mremap_to_grow_fails_efault)
{
	unsigned char *page = mmap(NULL, PAGE, RW, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, page);
	EXPECT_ERRNO(EFAULT, mremap(page, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	munmap(page, PAGE);
}

TEST_F(region, mremap_to_move_keeps_the_contents)
{
	void *goal = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *page = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, page);
	page[PAGE] = 0x21;
	page = mremap(page, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, goal);
	ASSERT_EQ(goal, page);
	EXPECT_EQ(0x21, page[PAGE]);
	page[PAGE] = 0x22;
	EXPECT_EQ(0x22, self->data[PAGE]);
	munmap(page, 2 * PAGE);
}

TEST_F(region, munmap_in_the_middle_leaves_the_rest)
{
	unsigned char *pages = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_EQ(0, munmap(pages + PAGE, PAGE));
	pages[2 * PAGE] = 0x32;
	EXPECT_EQ(0x32, self->data[2 * PAGE]);
	EXPECT_EQ(SIGSEGV, touch_signal(pages + PAGE, 0));
	munmap(pages, PAGE);
	munmap(pages + 2 * PAGE, PAGE);
}

TEST_F(region, madvise_dontneed_loses_nothing)
{
	self->data[17] = 0x17;
	/* Mappings of bare page frames refuse it, see madvise(2). */
	if (madvise(self->data, PAGE, MADV_DONTNEED))
		ASSERT_EQ(EINVAL, errno);
	EXPECT_EQ(0x17, self->data[17]);
}

TEST_F(region, msync_succeeds)
{
	EXPECT_EQ(0, msync(self->data, self->size, MS_SYNC));
	EXPECT_EQ(0, msync(self->data, PAGE, MS_ASYNC));
}

TEST_F(region, fork_shares_the_mapping_both_ways)
{
	int status;
	pid_t pid;

	self->data[100] = 1;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int fine = self->data[100] == 1;

		self->data[101] = 2;
		_exit(!fine);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(2, self->data[101]);
}

TEST_F(region, fork_child_keeps_the_mapping_when_the_parent_unmaps)
{
	unsigned char *page = mmap(NULL, PAGE, RW, MAP_SHARED, self->fd, 5 * PAGE);
	int go[2], status;
	char byte;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, pipe(go));
	page[0] = 0;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->fd);
		if (read(go[0], &byte, 1) == 1)
			page[0] = 0x44;
		_exit(0);
	}
	munmap(page, PAGE);
	ASSERT_EQ(1, write(go[1], "x", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0x44, self->data[5 * PAGE]);
}

TEST_HARNESS_MAIN
