// SPDX-License-Identifier: MIT
/*
 * I/O straight into and out of a mapping. Works where pinning is allowed, and fails with
 * EFAULT where it is not. The device in slot 6 can't have it: its 1 MiB are too small for
 * pages. Needs a disk of 16 MiB, the first one, whose contents don't matter.
 */

#include <linux/io_uring.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#define REGION_WANTS_PAGES
#include "region.h"

#define DISK		"/dev/vda"
#define PFN_NODE	"/dev/ivshmem/by-path/pci-0000:00:06.0"
#define DRIVER		"/sys/bus/pci/drivers/ivshmem/"
#define ADDRESS		"0000:00:04.0"
#define LEN		(256 * 1024)

static int open_disk(void)
{
	return open(DISK, O_RDWR | O_DIRECT | O_CLOEXEC);
}

static void fill(unsigned char *data, size_t len, unsigned int seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		data[i] = i * 31 + (i >> 12) * 7 + seed;
}

FIXTURE(frames) {
	int fd;
	unsigned char *data;
};

/* Small entries and, of the large device, where pinning is not allowed, huge ones. */
FIXTURE_VARIANT(frames) {
	const char *node;
	size_t len;
};

FIXTURE_VARIANT_ADD(frames, small) { .node = PFN_NODE, .len = 16 * PAGE };
FIXTURE_VARIANT_ADD(frames, huge) { .node = NODE, .len = 4UL << 20 };

FIXTURE_SETUP(frames)
{
	ASSERT_EQ(0, allow_pinning(0));
	self->fd = open(variant->node, O_RDWR);
	ASSERT_LE(0, self->fd);
	self->data = mmap(NULL, variant->len, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->data);
	/* The entries are there: what must refuse is what looks at entries alone. */
	memset(self->data, 0x44, variant->len);
}

FIXTURE_TEARDOWN(frames)
{
	munmap(self->data, variant->len);
	close(self->fd);
}

TEST_F(region, info_says_that_pages_stand_behind_the_mapping)
{
	struct ivshmem_info info;

	NEEDS_PAGES();
	memset(&info, 0, sizeof(info));
	ASSERT_EQ(0, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, &info));
	EXPECT_EQ(IVSHMEM_MAPPING_PAGES, info.mapping);
	EXPECT_EQ(IVSHMEM_CACHE_WRITE_BACK, info.cache);
}

TEST_F(region, o_direct_moves_data_between_a_disk_and_the_mapping)
{
	unsigned char *copy = malloc(LEN);
	int disk = open_disk();

	NEEDS_PAGES();
	ASSERT_LE(0, disk);
	fill(self->data, LEN, 1);
	memcpy(copy, self->data, LEN);
	ASSERT_EQ(LEN, pwrite(disk, self->data, LEN, 0));
	memset(self->data, 0, LEN);
	ASSERT_EQ(LEN, pread(disk, self->data, LEN, 0));
	EXPECT_EQ(0, memcmp(copy, self->data, LEN));
	ASSERT_EQ(LEN, pread(disk, self->data + self->size - LEN, LEN, 0));
	EXPECT_EQ(0, memcmp(copy, self->data + self->size - LEN, LEN));
	close(disk);
	free(copy);
}

/* A child that has the mapping, and waits to be killed. */
static pid_t child_with_mapping(void)
{
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	return pid;
}

TEST_F(region, process_vm_readv_and_writev_reach_the_mapping_of_a_process)
{
	unsigned char bytes[100];
	struct iovec local = { bytes, sizeof(bytes) }, remote = { self->data + PAGE - 50, 100 };
	pid_t pid;

	NEEDS_PAGES();
	pid = child_with_mapping();
	fill(self->data, 2 * PAGE, 2);
	EXPECT_EQ(100, process_vm_readv(pid, &local, 1, &remote, 1, 0));
	EXPECT_EQ(0, memcmp(bytes, self->data + PAGE - 50, 100));
	memset(bytes, 0x5d, sizeof(bytes));
	EXPECT_EQ(100, process_vm_writev(pid, &local, 1, &remote, 1, 0));
	EXPECT_EQ(0x5d, self->data[PAGE]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_F(region, ptrace_peeks_and_pokes_the_mapping)
{
	pid_t pid;
	long word;

	NEEDS_PAGES();
	pid = child_with_mapping();
	memset(self->data, 0x11, 64);
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, pid, NULL, NULL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, pid, self->data, NULL);
	EXPECT_EQ(0, errno);
	EXPECT_EQ(0x11, word & 0xff);
	EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, pid, self->data, (void *)0x22L));
	EXPECT_EQ(0x22, self->data[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_F(region, vmsplice_shows_the_pages_themselves)
{
	struct iovec iov = { self->data, PAGE };
	unsigned char bytes[PAGE];
	int pipes[2];

	NEEDS_PAGES();
	ASSERT_EQ(0, pipe(pipes));
	memset(self->data, 0x31, PAGE);
	ASSERT_EQ(PAGE, vmsplice(pipes[1], &iov, 1, 0));
	self->data[7] = 0x32;
	ASSERT_EQ(PAGE, read(pipes[0], bytes, PAGE));
	EXPECT_EQ(0x31, bytes[0]);
	EXPECT_EQ(0x32, bytes[7]);
	close(pipes[0]);
	close(pipes[1]);
}

TEST_F(region, madvise_dontneed_leaves_the_contents)
{
	NEEDS_PAGES();
	self->data[17] = 0x17;
	ASSERT_EQ(0, madvise(self->data, PAGE, MADV_DONTNEED));
	EXPECT_EQ(0x17, self->data[17]);
}

/* An io_uring of 4 entries whose only registered buffer is @data. */
struct ring {
	int fd;
	struct io_uring_params params;
	void *rings;
	struct io_uring_sqe *entries;
};

static int ring_setup(struct ring *ring, void *data, size_t len)
{
	struct iovec iov = { data, len };

	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(SYS_io_uring_setup, 4, &ring->params);
	if (ring->fd < 0)
		return -errno;
	ring->rings = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			   IORING_OFF_SQ_RING);
	ring->entries = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			     IORING_OFF_SQES);
	if (ring->rings == MAP_FAILED || ring->entries == MAP_FAILED)
		return -errno;
	if (syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_BUFFERS, &iov, 1))
		return -errno;
	return 0;
}

/* Reads or writes the registered buffer; returns what the completion says. */
static int ring_transfer(struct ring *ring, int opcode, int file, void *data, unsigned int len)
{
	uint32_t *tail = ring->rings + ring->params.sq_off.tail;
	uint32_t *array = ring->rings + ring->params.sq_off.array;
	uint32_t *head = ring->rings + ring->params.cq_off.head;
	struct io_uring_cqe *completions = ring->rings + ring->params.cq_off.cqes;
	struct io_uring_sqe *entry = &ring->entries[0];

	memset(entry, 0, sizeof(*entry));
	entry->opcode = opcode;
	entry->fd = file;
	entry->addr = (uintptr_t)data;
	entry->len = len;
	array[*tail & 3] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -errno;
	return completions[(*head)++ & (ring->params.cq_entries - 1)].res;
}

static void ring_end(struct ring *ring)
{
	munmap(ring->rings, PAGE);
	munmap(ring->entries, PAGE);
	close(ring->fd);
}

TEST_F(region, io_uring_registered_buffer_moves_data)
{
	unsigned char *copy = malloc(LEN);
	int disk = open_disk();
	struct ring ring;
	int ret;

	NEEDS_PAGES();
	ASSERT_LE(0, disk);
	ret = ring_setup(&ring, self->data, LEN);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "this kernel registers no mappings of files");
	ASSERT_EQ(0, ret);
	fill(self->data, LEN, 3);
	memcpy(copy, self->data, LEN);
	EXPECT_EQ(LEN, ring_transfer(&ring, IORING_OP_WRITE_FIXED, disk, self->data, LEN));
	memset(self->data, 0, LEN);
	EXPECT_EQ(LEN, ring_transfer(&ring, IORING_OP_READ_FIXED, disk, self->data, LEN));
	EXPECT_EQ(0, memcmp(copy, self->data, LEN));
	ring_end(&ring);
	close(disk);
	free(copy);
}

/* Opens and maps by itself: a handle from before an unbind is of no use. */
static void expect_unbind_to_wait(struct __test_metadata *_metadata, off_t offset)
{
	unsigned char bytes[PAGE];
	int pipes[2], status, fd;
	struct iovec iov;
	void *data;
	pid_t pid;

	ASSERT_EQ(0, allow_pinning(1));
	fd = open(NODE, O_RDWR | O_CLOEXEC);
	data = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	ASSERT_NE(MAP_FAILED, data);
	iov = (struct iovec){ data, PAGE };
	ASSERT_EQ(0, pipe(pipes));
	memset(data, 0x41, PAGE);
	ASSERT_EQ(PAGE, vmsplice(pipes[1], &iov, 1, 0));
	pid = fork();
	if (!pid) {
		close(pipes[0]);
		close(pipes[1]);
		_exit(write_line(DRIVER "unbind", ADDRESS) ? 1 : 0);
	}
	usleep(500000);
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	EXPECT_EQ(SIGBUS, touch_signal(data, 0));
	ASSERT_EQ(PAGE, read(pipes[0], bytes, PAGE));
	EXPECT_EQ(0x41, bytes[PAGE - 1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, write_line(DRIVER "bind", ADDRESS));
	EXPECT_EQ(0, access(NODE, F_OK));
	close(pipes[0]);
	close(pipes[1]);
	munmap(data, PAGE);
	close(fd);
}

TEST_F(region, unbind_waits_for_pages_in_use_and_no_longer)
{
	off_t last = self->size - PAGE;

	NEEDS_PAGES();
	munmap(self->data, self->size);
	close(self->fd);
	self->fd = -1;
	self->data = NULL;
	self->size = 0;
	expect_unbind_to_wait(_metadata, 0);
	expect_unbind_to_wait(_metadata, last);
}

TEST_F(frames, o_direct_fails_efault)
{
	int disk = open_disk();

	ASSERT_LE(0, disk);
	EXPECT_ERRNO(EFAULT, pwrite(disk, self->data, PAGE, 0));
	EXPECT_ERRNO(EFAULT, pread(disk, self->data, PAGE, 0));
	close(disk);
}

TEST_F(frames, nothing_reaches_the_pages)
{
	unsigned char bytes[64];
	struct iovec local = { bytes, sizeof(bytes) }, remote = { self->data + PAGE, 64 };
	struct iovec page = { self->data + PAGE, PAGE };
	void *address = self->data + PAGE;
	int pipes[2], node = -1;

	ASSERT_EQ(0, pipe(pipes));
	EXPECT_ERRNO(EFAULT, vmsplice(pipes[1], &page, 1, 0));
	EXPECT_ERRNO(EFAULT, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_ERRNO(EFAULT, process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(0, syscall(SYS_move_pages, 0, 1UL, &address, NULL, &node, 0));
	EXPECT_GT(0, node);
	EXPECT_EQ(0x44, self->data[PAGE]);
	close(pipes[0]);
	close(pipes[1]);
}

/* A reader with all it can hold is no reason to wait. */
TEST_F(frames, reader_does_not_hold_up_removal)
{
	int reader = open(NODE, O_RDONLY | O_CLOEXEC), pipes[2];
	void *data = mmap(NULL, 4UL << 20, PROT_READ, MAP_SHARED, reader, 0);
	struct iovec iov = { data, PAGE };
	struct timespec before, after;

	ASSERT_NE(MAP_FAILED, data);
	ASSERT_EQ(0, pipe(pipes));
	(void)*(volatile char *)data;
	(void)!vmsplice(pipes[1], &iov, 1, 0);
	clock_gettime(CLOCK_MONOTONIC, &before);
	ASSERT_EQ(0, write_line(DRIVER "unbind", ADDRESS));
	clock_gettime(CLOCK_MONOTONIC, &after);
	EXPECT_GT(60, after.tv_sec - before.tv_sec);
	ASSERT_EQ(0, write_line(DRIVER "bind", ADDRESS));
	munmap(data, 4UL << 20);
	close(reader);
	close(pipes[0]);
	close(pipes[1]);
}

TEST_F(frames, registering_a_buffer_fails)
{
	struct ring ring;
	int ret = ring_setup(&ring, self->data, PAGE);

	EXPECT_TRUE(ret == -EFAULT || ret == -EOPNOTSUPP);
	ring_end(&ring);
}

TEST_F(frames, info_says_so_beforehand)
{
	struct ivshmem_info info;

	memset(&info, 0, sizeof(info));
	ASSERT_EQ(0, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, &info));
	EXPECT_EQ(IVSHMEM_MAPPING_PFN, info.mapping);
}

static void expect_mapping(struct __test_metadata *_metadata, const char *mapping,
			   const char *pinning)
{
	char line[32];

	read_line(SYSFS "mapping", line, sizeof(line));
	EXPECT_STREQ(mapping, line);
	read_line(PINNING, line, sizeof(line));
	EXPECT_STREQ(pinning, line);
}

TEST(pinning_is_off_at_first_and_after_binding_anew)
{
	if (allow_pinning(1))
		SKIP(return, "this device can have no pages");
	expect_mapping(_metadata, "pages", "1");
	ASSERT_EQ(0, write_line(DRIVER "unbind", ADDRESS));
	ASSERT_EQ(0, write_line(DRIVER "bind", ADDRESS));
	expect_mapping(_metadata, "pfn", "0");
}

TEST(pinning_changes_only_while_nobody_has_the_device_open)
{
	int fd = open(NODE, O_RDONLY | O_CLOEXEC);
	void *data;

	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EBUSY, write_line(PINNING, "1"));
	EXPECT_EQ(0, write_line(PINNING, "0"));
	data = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, data);
	close(fd);
	EXPECT_ERRNO(EBUSY, write_line(PINNING, "1"));
	expect_mapping(_metadata, "pfn", "0");
	munmap(data, PAGE);
	EXPECT_EQ(0, allow_pinning(0));
	EXPECT_ERRNO(EINVAL, write_line(PINNING, "perhaps"));
}

TEST(pinning_stays_allowed_while_a_page_is_pinned)
{
	unsigned char bytes[PAGE];
	struct iovec iov;
	int pipes[2], fd;

	if (allow_pinning(1))
		SKIP(return, "this device can have no pages");
	fd = open(NODE, O_RDWR | O_CLOEXEC);
	iov.iov_len = PAGE;
	iov.iov_base = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 5 * PAGE);
	ASSERT_NE(MAP_FAILED, iov.iov_base);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(PAGE, vmsplice(pipes[1], &iov, 1, 0));
	munmap(iov.iov_base, PAGE);
	close(fd);
	EXPECT_ERRNO(EBUSY, write_line(PINNING, "0"));
	expect_mapping(_metadata, "pages", "1");
	ASSERT_EQ(PAGE, read(pipes[0], bytes, PAGE));
	EXPECT_EQ(0, allow_pinning(0));
	expect_mapping(_metadata, "pfn", "0");
	close(pipes[0]);
	close(pipes[1]);
}

TEST(region_without_room_for_pages_refuses_pinning)
{
	EXPECT_ERRNO(EINVAL, write_line("/sys/bus/pci/devices/0000:00:06.0/ivshmem/ivshmem2/pinning",
					"1"));
}

TEST(only_root_allows_pinning)
{
	struct stat status;

	ASSERT_EQ(0, stat(PINNING, &status));
	EXPECT_EQ(0, status.st_uid);
	EXPECT_EQ(0644, status.st_mode & 07777);
}

TEST_HARNESS_MAIN
