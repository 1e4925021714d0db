// SPDX-License-Identifier: MIT
/* read(2), write(2) and lseek(2): the region as a file of fixed size. */

#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#define REGION_BOTH_WAYS
#include "region.h"

TEST_F(region, write_then_read_round_trips)
{
	size_t len = 300000;	/* more than the driver copies in one go */
	unsigned char *out = malloc(len), *in = calloc(1, len);
	size_t i;

	for (i = 0; i < len; i++)
		out[i] = i * 7 + (i >> 8);
	ASSERT_EQ((ssize_t)len, pwrite(self->fd, out, len, 12345));
	ASSERT_EQ((ssize_t)len, pread(self->fd, in, len, 12345));
	EXPECT_EQ(0, memcmp(in, out, len));
	EXPECT_EQ(0, memcmp(self->data + 12345, out, len));
	free(in);
	free(out);
}

TEST_F(region, read_and_write_move_the_position)
{
	char bytes[10] = "012345678";

	ASSERT_EQ(10, write(self->fd, bytes, 10));
	EXPECT_EQ(10, lseek(self->fd, 0, SEEK_CUR));
	ASSERT_EQ(4, read(self->fd, bytes, 4));
	EXPECT_EQ(14, lseek(self->fd, 0, SEEK_CUR));
}

TEST_F(region, read_at_end_returns_zero)
{
	char byte;

	EXPECT_EQ(0, pread(self->fd, &byte, 1, self->size));
	EXPECT_EQ(0, pread(self->fd, &byte, 1, self->size + 1));
	EXPECT_EQ(0, pread(self->fd, &byte, 1, INT64_MAX - 1));
}

TEST_F(region, read_across_the_end_is_short)
{
	char bytes[16];

	EXPECT_EQ(6, pread(self->fd, bytes, 16, self->size - 6));
}

TEST_F(region, write_at_end_fails_enospc)
{
	EXPECT_ERRNO(ENOSPC, pwrite(self->fd, "x", 1, self->size));
	EXPECT_ERRNO(ENOSPC, pwrite(self->fd, "x", 1, self->size + PAGE));
	EXPECT_ERRNO(ENOSPC, pwrite(self->fd, "x", 1, INT64_MAX - 1));
}

TEST_F(region, write_across_the_end_is_short)
{
	EXPECT_EQ(3, pwrite(self->fd, "abcdef", 6, self->size - 3));
	EXPECT_EQ(0, memcmp(self->data + self->size - 3, "abc", 3));
}

TEST_F(region, write_to_an_appending_open_fails_enospc)
{
	int fd = open(NODE, O_WRONLY | O_APPEND);
	unsigned char before = self->data[0];

	ASSERT_LE(0, fd);
	EXPECT_ERRNO(ENOSPC, write(fd, "x", 1));
	EXPECT_EQ(before, self->data[0]);
	close(fd);
}

TEST_F(region, transfers_of_zero_bytes_return_zero)
{
	EXPECT_EQ(0, pread(self->fd, NULL, 0, 0));
	EXPECT_EQ(0, pwrite(self->fd, NULL, 0, 0));
	EXPECT_EQ(0, pwrite(self->fd, NULL, 0, self->size));
}

TEST_F(region, negative_offsets_fail_einval)
{
	char byte;

	EXPECT_ERRNO(EINVAL, pread(self->fd, &byte, 1, -1));
	EXPECT_ERRNO(EINVAL, pwrite(self->fd, "x", 1, -1));
}

TEST_F(region, seek_goes_anywhere_up_to_the_end)
{
	EXPECT_EQ((off_t)self->size, lseek(self->fd, 0, SEEK_END));
	EXPECT_EQ((off_t)self->size - 1, lseek(self->fd, -1, SEEK_END));
	EXPECT_EQ(0, lseek(self->fd, -(off_t)self->size, SEEK_END));
	EXPECT_EQ(1000, lseek(self->fd, 1000, SEEK_SET));
	EXPECT_EQ(900, lseek(self->fd, -100, SEEK_CUR));
}

TEST_F(region, seek_past_the_end_fails_einval)
{
	EXPECT_ERRNO(EINVAL, lseek(self->fd, self->size + 1, SEEK_SET));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, 1, SEEK_END));
	EXPECT_EQ(0, lseek(self->fd, 0, SEEK_CUR));
}

TEST_F(region, seek_before_the_beginning_fails_einval)
{
	EXPECT_ERRNO(EINVAL, lseek(self->fd, -1, SEEK_SET));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, -(off_t)self->size - 1, SEEK_END));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, -1, SEEK_CUR));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, INT64_MIN, SEEK_CUR));
}

TEST_F(region, seek_with_an_unknown_whence_fails_einval)
{
	EXPECT_ERRNO(EINVAL, lseek(self->fd, 0, 99));
}

TEST_F(region, bad_buffers_fail_efault)
{
	EXPECT_ERRNO(EFAULT, pread(self->fd, NULL, 1, 0));
	EXPECT_ERRNO(EFAULT, pwrite(self->fd, NULL, 1, 0));
	EXPECT_ERRNO(EFAULT, pread(self->fd, (void *)-PAGE, PAGE, 0));
}

TEST_F(region, read_into_read_only_memory_fails_efault)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT_ERRNO(EFAULT, pread(self->fd, page, PAGE, 0));
	munmap(page, PAGE);
}

TEST_F(region, buffer_that_ends_in_a_hole_is_used_up_to_there)
{
	unsigned char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(pages + PAGE, PAGE);
	memset(self->data, 0x3c, 2 * PAGE);
	EXPECT_EQ(100, pread(self->fd, pages + PAGE - 100, 2 * 100, 0));
	EXPECT_EQ(0x3c, pages[PAGE - 1]);
	EXPECT_EQ(100, pwrite(self->fd, pages + PAGE - 100, 2 * 100, 0));
	munmap(pages, PAGE);
}

TEST_F(region, read_into_the_regions_own_mapping_works)
{
	memset(self->data, 0x61, PAGE);
	memset(self->data + PAGE, 0x62, PAGE);
	madvise(self->data, 2 * PAGE, MADV_DONTNEED);
	ASSERT_EQ(PAGE, pread(self->fd, self->data + PAGE, PAGE, 0));
	EXPECT_EQ(0x61, self->data[2 * PAGE - 1]);
}

TEST_F(region, read_onto_itself_changes_nothing)
{
	size_t len = 40 * PAGE, i;

	for (i = 0; i < len; i++)
		self->data[i] = i % 251 + 1;
	ASSERT_EQ((ssize_t)len, pread(self->fd, self->data, len, 0));
	for (i = 0; i < len; i++)
		ASSERT_EQ(i % 251 + 1, self->data[i]);
}

TEST_F(region, readv_and_writev_work)
{
	char a[4] = "abc", b[8] = "defghij", c[12] = { 0 };
	struct iovec out[] = { { a, 3 }, { b, 7 } }, in[] = { { c, 5 }, { c + 5, 5 } };

	ASSERT_EQ(10, pwritev(self->fd, out, 2, PAGE - 5));
	ASSERT_EQ(10, preadv(self->fd, in, 2, PAGE - 5));
	EXPECT_STREQ("abcdefghij", c);
}

TEST_F(region, read_on_write_only_open_fails_ebadf)
{
	int fd = open(NODE, O_WRONLY);
	char byte;

	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EBADF, read(fd, &byte, 1));
	close(fd);
}

TEST_F(region, write_on_read_only_open_fails_ebadf)
{
	int fd = open(NODE, O_RDONLY);

	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EBADF, write(fd, "x", 1));
	close(fd);
}

TEST_F(region, splice_moves_the_contents)
{
	char bytes[64] = { 0 };
	int pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	memset(self->data + PAGE, 0x71, 64);
	lseek(self->fd, PAGE, SEEK_SET);
	ASSERT_EQ(64, splice(self->fd, NULL, pipes[1], NULL, 64, 0));
	ASSERT_EQ(64, read(pipes[0], bytes, 64));
	EXPECT_EQ(0x71, bytes[63]);

	memset(bytes, 0x72, 64);
	ASSERT_EQ(64, write(pipes[1], bytes, 64));
	lseek(self->fd, 2 * PAGE, SEEK_SET);
	ASSERT_EQ(64, splice(pipes[0], NULL, self->fd, NULL, 64, 0));
	EXPECT_EQ(0x72, self->data[2 * PAGE + 63]);
	close(pipes[0]);
	close(pipes[1]);
}

TEST_F(region, sendfile_moves_the_contents)
{
	int file = memfd_create("file", 0);
	char bytes[64] = { 0 };
	off_t from = PAGE;
	struct utsname os;
	ssize_t ret;

	ASSERT_EQ(0, uname(&os));
	memset(self->data + PAGE, 0x73, 64);
	ret = sendfile(file, self->fd, &from, 64);
	if (ret == -1 && errno == EINVAL && atoi(os.release) < 6)
		SKIP(return, "Linux 5 sends from regular files and block devices only");
	ASSERT_EQ(64, ret);
	EXPECT_EQ(PAGE + 64, from);
	ASSERT_EQ(64, pread(file, bytes, 64, 0));
	EXPECT_EQ(0x73, bytes[63]);
	close(file);
}

TEST_F(region, fsync_succeeds)
{
	EXPECT_EQ(0, fsync(self->fd));
	EXPECT_EQ(0, fdatasync(self->fd));
}

TEST_F(region, nowait_transfers_what_is_there_and_fails_eagain_else)
{
	unsigned char *bytes = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec iov = { bytes, 2 * PAGE };

	ASSERT_NE(MAP_FAILED, bytes);
	memset(self->data, 0x6b, 2 * PAGE);
	EXPECT_ERRNO(EAGAIN, preadv2(self->fd, &iov, 1, 0, RWF_NOWAIT));
	/* The kernel's own mapping of this part may have to be made. */
	ASSERT_EQ(PAGE, pread(self->fd, bytes, PAGE, 0));
	EXPECT_EQ(PAGE, preadv2(self->fd, &iov, 1, 0, RWF_NOWAIT));
	bytes[PAGE] = 0;
	EXPECT_EQ(2 * PAGE, preadv2(self->fd, &iov, 1, 0, RWF_NOWAIT));
	EXPECT_EQ(0x6b, bytes[2 * PAGE - 1]);
	memset(bytes, 0x6c, 2 * PAGE);
	EXPECT_EQ(2 * PAGE, pwritev2(self->fd, &iov, 1, 0, RWF_NOWAIT));
	EXPECT_EQ(0x6c, self->data[2 * PAGE - 1]);
	munmap(bytes, 2 * PAGE);
}

TEST_HARNESS_MAIN
