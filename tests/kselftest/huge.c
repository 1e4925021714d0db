// SPDX-License-Identifier: MIT
/*
 * Huge page-table entries, and what may be done to part of one. Where the kernel
 * gives none, the contents must be right all the same; what is told of size and
 * number is then checked for pages of 4 KiB. Needs two disks of 16 MiB whose contents
 * don't matter, the second of which moves 128 KiB in a second.
 */

#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>

#include "region.h"

#define RW	(PROT_READ | PROT_WRITE)
#define DISK	"/dev/vda"
#define SLOW_DISK	"/dev/vdb"
#define SLOW_LEN	(512 * 1024)
#define DRIVER	"/sys/bus/pci/drivers/ivshmem/"
#define ADDRESS	"0000:00:04.0"
#define HUGE	(2UL << 20)
#define THP	"/sys/kernel/mm/transparent_hugepage/enabled"

#ifndef MADV_COLD
#define MADV_COLD	20
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

/* The number that a file in /proc has in a line that begins with @name. */
static long proc_number(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	long number = -1;
	char line[256];

	while (file && number < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), " %ld", &number);
	if (file)
		fclose(file);
	return number;
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

static void mark(unsigned char *data, uint64_t size, uint64_t seed)
{
	uint64_t at;

	for (at = 0; at < size; at += PAGE)
		*(volatile uint64_t *)(data + at) = (at + seed) * 0x9e3779b97f4a7c15ULL;
}

/* The first page that is not as mark() left it; the size if all are. */
static uint64_t unmarked(const unsigned char *data, uint64_t size, uint64_t seed)
{
	uint64_t at;

	for (at = 0; at < size; at += PAGE)
		if (*(const volatile uint64_t *)(data + at) != (at + seed) * 0x9e3779b97f4a7c15ULL)
			return at;
	return size;
}

FIXTURE(huge) {
	int fd;
	uint64_t size, page_size;
	bool pinnable;
	unsigned char *data;		/* all of the region, touched and marked */
};

FIXTURE_VARIANT(huge) {
	int pinning;
};

FIXTURE_VARIANT_ADD(huge, frames) { .pinning = 0 };
FIXTURE_VARIANT_ADD(huge, pages) { .pinning = 1 };

FIXTURE_SETUP(huge)
{
	struct ivshmem_info info;

	if (variant->pinning && allow_pinning(1))
		SKIP(return, "this device can have no pages");
	memset(&info, 0, sizeof(info));
	self->fd = open(NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, &info));
	self->size = info.size;
	self->page_size = info.page_size;
	self->pinnable = info.features & IVSHMEM_FEATURE_PIN;
	ASSERT_LE(8 * HUGE, self->size);
	self->data = mmap(NULL, self->size, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->data);
	mark(self->data, self->size, 0);
}

FIXTURE_TEARDOWN(huge)
{
	if (self->data)
		munmap(self->data, self->size);
	close(self->fd);
	allow_pinning(0);
}

/* An address for @len bytes that lies @shift bytes after a huge page's beginning. */
static unsigned char *room(size_t len, size_t shift)
{
	uintptr_t space = (uintptr_t)mmap(NULL, len + 2 * HUGE, PROT_NONE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return (unsigned char *)((space + HUGE - 1) / HUGE * HUGE + shift);
}

TEST_F(huge, address_fits_the_offset)
{
	static const uint64_t offsets[] = { 0, HUGE, HUGE + PAGE, 3 * HUGE - PAGE };
	unsigned char *part;
	size_t i;

	if (self->page_size < HUGE)
		SKIP(return, "no huge entries for this region on this kernel");
	for (i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		part = mmap(NULL, 3 * HUGE, RW, MAP_SHARED, self->fd, offsets[i]);
		ASSERT_NE(MAP_FAILED, part);
		EXPECT_EQ(0, ((uintptr_t)part - offsets[i]) % HUGE);
		munmap(part, 3 * HUGE);
	}
}

TEST_F(huge, all_pages_take_one_fault_each_2_mib)
{
	long before, tables = proc_number("/proc/self/status", "VmPTE:");
	unsigned char *data = mmap(NULL, self->size, RW, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, data);
	before = faults();
	EXPECT_EQ(self->size, unmarked(data, self->size, 0));
	EXPECT_GE((long)(self->size / HUGE) + 8, faults() - before);
	EXPECT_GE(self->page_size < HUGE ? (long)(self->size >> 19) + 64 : 64,
		  proc_number("/proc/self/status", "VmPTE:") - tables);
	munmap(data, self->size);
}

/* As Ubuntu has it. Nobody has to ask for those of a device. */
TEST_F(huge, entries_are_huge_where_transparent_huge_pages_are_for_who_asks)
{
	long tables = proc_number("/proc/self/status", "VmPTE:");
	unsigned char *data;

	if (self->page_size < HUGE)
		SKIP(return, "no huge entries for this region on this kernel");
	ASSERT_EQ(0, write_line(THP, "madvise"));
	data = mmap(NULL, self->size, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, data);
	EXPECT_EQ(self->size, unmarked(data, self->size, 0));
	EXPECT_GE(64, proc_number("/proc/self/status", "VmPTE:") - tables);
	munmap(data, self->size);
	ASSERT_EQ(0, write_line(THP, "always"));
}

/* The entries are the device's, and no transparent huge pages. */
TEST_F(huge, program_that_wants_no_transparent_huge_pages_takes_few_faults_too)
{
	unsigned char *data;
	long before;

	if (self->pinnable)
		SKIP(return, "of pages the kernel itself makes the entries");
	data = mmap(NULL, self->size, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, data);
	ASSERT_EQ(0, madvise(data, self->size, MADV_NOHUGEPAGE));
	before = faults();
	EXPECT_EQ(self->size, unmarked(data, self->size, 0));
	EXPECT_GE((long)(self->size / HUGE) + 8, faults() - before);
	munmap(data, self->size);

	ASSERT_EQ(0, prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	data = mmap(NULL, self->size, RW, MAP_SHARED, self->fd, 0);
	before = faults();
	EXPECT_EQ(self->size, unmarked(data, self->size, 0));
	EXPECT_GE((long)(self->size / HUGE) + 8, faults() - before);
	munmap(data, self->size);
	ASSERT_EQ(0, prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
}

TEST_F(huge, unaligned_address_shows_every_page_with_few_faults)
{
	unsigned char *data = room(self->size, 5 * PAGE);
	long before;

	ASSERT_EQ(data, mmap(data, self->size, RW, MAP_SHARED | MAP_FIXED, self->fd, 0));
	before = faults();
	EXPECT_EQ(self->size, unmarked(data, self->size, 0));
	EXPECT_GE((long)(self->size / HUGE) + 8, faults() - before);
	mark(data, self->size, 1);
	EXPECT_EQ(self->size, unmarked(self->data, self->size, 1));
	munmap(data, self->size);
}

TEST_F(huge, edges_of_a_mapping_that_begins_and_ends_amid_huge_pages)
{
	uint64_t offset = HUGE - 3 * PAGE, len = 3 * HUGE + 7 * PAGE;
	unsigned char *data = mmap(NULL, len, RW, MAP_SHARED, self->fd, offset);

	ASSERT_NE(MAP_FAILED, data);
	EXPECT_EQ(len, unmarked(data, len, offset));
	mark(data, len, 9);
	EXPECT_EQ(len, unmarked(self->data + offset, len, 9));
	EXPECT_EQ(offset, unmarked(self->data, offset, 0));
	EXPECT_EQ(self->size - offset - len,
		  unmarked(self->data + offset + len, self->size - offset - len, offset + len));
	EXPECT_EQ(0, munmap(data, len));
}

TEST_F(huge, part_of_a_huge_page_alone)
{
	unsigned char *data = mmap(NULL, 16 * PAGE, RW, MAP_SHARED, self->fd, HUGE + 8 * PAGE);

	ASSERT_NE(MAP_FAILED, data);
	EXPECT_EQ(16 * PAGE, unmarked(data, 16 * PAGE, HUGE + 8 * PAGE));
	munmap(data, 16 * PAGE);
}

TEST_F(huge, munmap_of_part_leaves_the_rest)
{
	uint64_t from = HUGE + 8 * PAGE, to = 2 * HUGE + 16 * PAGE;

	ASSERT_EQ(0, munmap(self->data + from, to - from));
	EXPECT_EQ(SIGSEGV, touch_signal(self->data + from, 0));
	EXPECT_EQ(SIGSEGV, touch_signal(self->data + to - 1, 0));
	EXPECT_EQ(from, unmarked(self->data, from, 0));
	EXPECT_EQ(self->size - to, unmarked(self->data + to, self->size - to, to));
	mark(self->data + to, HUGE, to + 1);
	EXPECT_EQ(HUGE, unmarked(self->data + to, HUGE, to + 1));
}

TEST_F(huge, mprotect_of_part_holds_for_that_part)
{
	unsigned char *part = self->data + HUGE + 8 * PAGE;

	ASSERT_EQ(0, mprotect(part, 8 * PAGE, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch_signal(part, 1));
	EXPECT_EQ(0, touch_signal(part, 0));
	EXPECT_EQ(0, touch_signal(part - 1, 0));
	part[-1] = 0x31;
	part[8 * PAGE] = 0x32;
	ASSERT_EQ(0, mprotect(part, 8 * PAGE, PROT_NONE));
	EXPECT_EQ(SIGSEGV, touch_signal(part, 0));
	ASSERT_EQ(0, mprotect(part, 8 * PAGE, RW));
	part[0] = 0x33;
	EXPECT_EQ(0x31, part[-1]);
	EXPECT_EQ(0x32, part[8 * PAGE]);
}

TEST_F(huge, mprotect_of_all_and_back_keeps_all)
{
	ASSERT_EQ(0, mprotect(self->data, self->size, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch_signal(self->data + 3 * HUGE, 1));
	EXPECT_EQ(self->size, unmarked(self->data, self->size, 0));
	ASSERT_EQ(0, mprotect(self->data, self->size, RW));
	mark(self->data, self->size, 4);
	EXPECT_EQ(self->size, unmarked(self->data, self->size, 4));
}

TEST_F(huge, mremap_to_an_unaligned_address_keeps_the_contents)
{
	unsigned char *goal = room(4 * HUGE, 3 * PAGE), *data;

	data = mmap(NULL, 4 * HUGE, RW, MAP_SHARED, self->fd, HUGE);
	ASSERT_NE(MAP_FAILED, data);
	EXPECT_EQ(4 * HUGE, unmarked(data, 4 * HUGE, HUGE));
	ASSERT_EQ(goal, mremap(data, 4 * HUGE, 4 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, goal));
	EXPECT_EQ(4 * HUGE, unmarked(goal, 4 * HUGE, HUGE));
	mark(goal, 4 * HUGE, 5);
	EXPECT_EQ(4 * HUGE, unmarked(self->data + HUGE, 4 * HUGE, 5));
	munmap(goal, 4 * HUGE);
}

TEST_F(huge, mremap_to_an_aligned_address_keeps_the_contents)
{
	unsigned char *goal = room(4 * HUGE, 0), *data;

	data = mmap(NULL, 4 * HUGE, RW, MAP_SHARED, self->fd, HUGE);
	ASSERT_NE(MAP_FAILED, data);
	EXPECT_EQ(4 * HUGE, unmarked(data, 4 * HUGE, HUGE));
	ASSERT_EQ(goal, mremap(data, 4 * HUGE, 4 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, goal));
	EXPECT_EQ(4 * HUGE, unmarked(goal, 4 * HUGE, HUGE));
	munmap(goal, 4 * HUGE);
}

TEST_F(huge, mremap_of_a_part_moves_that_part)
{
	unsigned char *goal = room(HUGE, 0), *part = self->data + HUGE + 8 * PAGE;

	ASSERT_EQ(goal, mremap(part, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, goal));
	EXPECT_EQ(HUGE, unmarked(goal, HUGE, HUGE + 8 * PAGE));
	EXPECT_EQ(SIGSEGV, touch_signal(part, 0));
	EXPECT_EQ(HUGE + 8 * PAGE, unmarked(self->data, HUGE + 8 * PAGE, 0));
	munmap(goal, HUGE);
}

TEST_F(huge, mremap_to_shrink_amid_a_huge_page_keeps_the_rest)
{
	uint64_t left = 2 * HUGE + 8 * PAGE;

	ASSERT_EQ(self->data, mremap(self->data, self->size, left, 0));
	EXPECT_EQ(left, unmarked(self->data, left, 0));
	EXPECT_EQ(SIGSEGV, touch_signal(self->data + left, 0));
}

TEST_F(huge, fork_shares_every_page_both_ways)
{
	int status;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		if (unmarked(self->data, self->size, 0) != self->size)
			_exit(1);
		munmap(self->data + HUGE + PAGE, PAGE);
		mark(self->data + 2 * HUGE, HUGE, 6);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(HUGE, unmarked(self->data + 2 * HUGE, HUGE, 6));
	EXPECT_EQ(2 * HUGE, unmarked(self->data, 2 * HUGE, 0));
}

TEST_F(huge, madvise_of_any_kind_loses_nothing)
{
	static const int advices[] = { MADV_DONTNEED, MADV_COLD, MADV_PAGEOUT, MADV_HUGEPAGE,
		MADV_NOHUGEPAGE, MADV_FREE, MADV_REMOVE, MADV_MERGEABLE, MADV_WILLNEED,
		MADV_SEQUENTIAL, MADV_POPULATE_WRITE, 25 /* MADV_COLLAPSE */ };
	size_t i;

	for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
		madvise(self->data + HUGE + 8 * PAGE, 8 * PAGE, advices[i]);
		EXPECT_EQ(3 * HUGE, unmarked(self->data, 3 * HUGE, 0));
		madvise(self->data, 3 * HUGE, advices[i]);
		EXPECT_EQ(3 * HUGE, unmarked(self->data, 3 * HUGE, 0));
	}
}

TEST_F(huge, mlock_does_not_hang_or_lose)
{
	mlock(self->data, 3 * HUGE);
	EXPECT_EQ(3 * HUGE, unmarked(self->data, 3 * HUGE, 0));
	munlock(self->data + PAGE, HUGE);
	EXPECT_EQ(3 * HUGE, unmarked(self->data, 3 * HUGE, 0));
}

TEST_F(huge, read_only_mapping_of_a_read_only_open)
{
	int fd = open(NODE, O_RDONLY | O_CLOEXEC);
	unsigned char *data = mmap(NULL, self->size, PROT_READ, MAP_SHARED, fd, 0);

	ASSERT_NE(MAP_FAILED, data);
	EXPECT_EQ(self->size, unmarked(data, self->size, 0));
	EXPECT_EQ(SIGSEGV, touch_signal(data + HUGE, 1));
	self->data[HUGE] ^= 0xff;
	EXPECT_EQ(self->data[HUGE], data[HUGE]);
	munmap(data, self->size);
	close(fd);
}

TEST_F(huge, o_direct_and_process_vm_readv_across_huge_pages)
{
	const uint64_t from = HUGE - 64 * PAGE, len = 2 * HUGE + 128 * PAGE;
	unsigned char *data = mmap(NULL, self->size, RW, MAP_SHARED, self->fd, 0);
	unsigned char *copy = malloc(len);
	struct iovec local = { copy, len }, remote = { data + from, len };
	int disk = open(DISK, O_RDWR | O_DIRECT | O_CLOEXEC);

	if (!self->pinnable)
		SKIP(return, "no pages behind the mapping");
	ASSERT_LE(0, disk);
	ASSERT_NE(MAP_FAILED, data);
	/* What the kernel faults in, and what is there already. */
	EXPECT_EQ(len, pwrite(disk, data + from, len, 0));
	mark(self->data + from, len, 7);
	EXPECT_EQ(len, pread(disk, data + from, len, 0));
	EXPECT_EQ(len, unmarked(data + from, len, from));
	EXPECT_EQ(len, pread(disk, self->data + 6 * HUGE - len / 2 + 512 * 3, len, 0));
	EXPECT_EQ(len, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(len, unmarked(copy, len, from));
	memset(copy, 0x7e, len);
	EXPECT_EQ(len, process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(0, memcmp(copy, data + from, len));
	munmap(data, self->size);
	close(disk);
	free(copy);
}

TEST_F(huge, counters_of_mapped_pages_are_even_at_the_end)
{
	/* The counters lag behind by some pages for each processor. */
	long before, slack = 2048;
	int i;

	munmap(self->data, self->size);
	self->data = NULL;
	before = proc_number("/proc/vmstat", "nr_mapped");
	for (i = 0; i < 16; i++) {
		unsigned char *data = mmap(NULL, self->size, RW, MAP_SHARED, self->fd, 0);
		unsigned char *other = room(self->size, PAGE);

		mmap(other, self->size, RW, MAP_SHARED | MAP_FIXED, self->fd, 0);
		mark(data, self->size, i);
		EXPECT_EQ(self->size, unmarked(other, self->size, i));
		madvise(data + HUGE + PAGE, PAGE, MADV_DONTNEED);
		munmap(data + HUGE + 5 * PAGE, HUGE);
		munmap(other, self->size);
		munmap(data, self->size);
	}
	EXPECT_GE(slack, labs(proc_number("/proc/vmstat", "nr_mapped") - before));
	EXPECT_GE(slack, labs(proc_number("/proc/vmstat", "nr_file_pmdmapped")));
	EXPECT_GE(8 * 1024, proc_number("/proc/self/status", "RssFile:"));
}

/* Or the OOM killer would take programs for large whose end frees nothing. */
TEST_F(huge, what_is_touched_is_not_the_memory_of_the_program)
{
	if (self->pinnable)
		SKIP(return, "pages count, as those of files do");
	EXPECT_EQ(self->size, unmarked(self->data, self->size, 0));
	EXPECT_GE(8 * 1024, proc_number("/proc/self/status", "RssFile:"));
}

/* Touches and drops the mapping again and again; ends with SIGBUS. */
static void fault_for_ever(unsigned char *data, uint64_t size)
{
	uint64_t at;

	for (;;) {
		for (at = 0; at < size; at += HUGE)
			*(volatile unsigned char *)(data + at) = 1;
		madvise(data, size, MADV_DONTNEED);
	}
}

TEST_F(huge, removal_amid_faults_leaves_no_entry)
{
	pid_t pids[4];
	int round, i, status;

	for (round = 0; round < 8; round++) {
		for (i = 0; i < 4; i++) {
			pids[i] = fork();
			if (!pids[i])
				fault_for_ever(self->data, self->size);
		}
		usleep(100000);
		ASSERT_EQ(0, write_line(DRIVER "unbind", ADDRESS));
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
			EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
		}
		EXPECT_EQ(SIGBUS, touch_signal(self->data + HUGE, 0));
		ASSERT_EQ(0, write_line(DRIVER "bind", ADDRESS));
		munmap(self->data, self->size);
		close(self->fd);
		ASSERT_EQ(0, allow_pinning(variant->pinning));
		self->fd = open(NODE, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, self->fd);
		self->data = mmap(NULL, self->size, RW, MAP_SHARED, self->fd, 0);
		ASSERT_NE(MAP_FAILED, self->data);
	}
}

TEST_F(huge, removal_waits_for_o_direct_in_flight_which_ends_well)
{
	unsigned char *copy = malloc(SLOW_LEN);
	int disk = open(SLOW_DISK, O_RDWR | O_DIRECT | O_CLOEXEC), status;
	struct timespec before, after;
	pid_t pid;

	if (!self->pinnable)
		SKIP(return, "no pages behind the mapping");
	ASSERT_LE(0, disk);
	memcpy(copy, self->data, SLOW_LEN);
	/* What the disk has done is counted against what is to come. */
	ASSERT_EQ(SLOW_LEN, pwrite(disk, self->data, SLOW_LEN, 0));
	memset(self->data + HUGE / 2, 0, 2 * HUGE);
	pid = fork();
	if (!pid)
		_exit(pread(disk, self->data + HUGE - PAGE, SLOW_LEN, 0) == SLOW_LEN ? 0 : 1);
	usleep(500000);
	ASSERT_EQ(0, waitpid(pid, &status, WNOHANG));
	clock_gettime(CLOCK_MONOTONIC, &before);
	ASSERT_EQ(0, write_line(DRIVER "unbind", ADDRESS));
	clock_gettime(CLOCK_MONOTONIC, &after);
	EXPECT_LE(1, after.tv_sec - before.tv_sec);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);

	ASSERT_EQ(0, write_line(DRIVER "bind", ADDRESS));
	munmap(self->data, self->size);
	close(self->fd);
	self->fd = open(NODE, O_RDWR | O_CLOEXEC);
	self->data = mmap(NULL, self->size, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->data);
	EXPECT_EQ(0, memcmp(copy, self->data + HUGE - PAGE, SLOW_LEN));
	close(disk);
	free(copy);
}

TEST_F(huge, removal_waits_for_a_page_amid_a_huge_one)
{
	struct iovec iov = { self->data + HUGE + 77 * PAGE, PAGE };
	unsigned char bytes[PAGE];
	int pipes[2], status;
	pid_t pid;

	if (!self->pinnable)
		SKIP(return, "no pages behind the mapping");
	ASSERT_EQ(0, pipe(pipes));
	memset(iov.iov_base, 0x41, PAGE);
	ASSERT_EQ(PAGE, vmsplice(pipes[1], &iov, 1, 0));
	pid = fork();
	if (!pid) {
		close(pipes[0]);
		close(pipes[1]);
		_exit(write_line(DRIVER "unbind", ADDRESS) ? 1 : 0);
	}
	usleep(500000);
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	EXPECT_EQ(SIGBUS, touch_signal(self->data + HUGE, 0));
	ASSERT_EQ(PAGE, read(pipes[0], bytes, PAGE));
	EXPECT_EQ(0x41, bytes[PAGE - 1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, write_line(DRIVER "bind", ADDRESS));
	close(pipes[0]);
	close(pipes[1]);
}

TEST_HARNESS_MAIN
