// SPDX-License-Identifier: MIT
#include "other_side.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ivshmem/status.h>

#define ARENA_SIZE	(256ul << 20)
#define NS_PER_LOOK	1000
#define MAX_LOOKS	400000		/* of one call: beyond, it hangs */

ssize_t hook_pread(int fd, void *buffer, size_t size, off_t offset);
void *hook_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int hook_munmap(void *address, size_t size);
int hook_clock_gettime(clockid_t clock, struct timespec *now);
int hook_nanosleep(const struct timespec *time, struct timespec *left);
long hook_futex(long number, ...);
ssize_t hook_getrandom(void *buffer, size_t size, unsigned int flags);
void hook_strike(void);

struct other_side other;

/* --- maps, each with nothing around it --- */

static char *arena;
static size_t arena_used;

uint64_t pages_of(size_t offset, size_t size)
{
	size_t first = offset / PAGE, pages = (offset + size + PAGE - 1) / PAGE - first;

	return (pages < 64 ? (1ull << pages) - 1 : UINT64_MAX) << first;
}

void *hook_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (!(flags & MAP_FIXED)) {
		address = arena + arena_used + PAGE;
		/* As the kernel does for large maps: addresses of any alignment. */
		arena_used += size + 2 * PAGE;
		check(arena_used <= ARENA_SIZE);
		if (fd < 0)
			return address;
	}
	check((size_t)offset + size <= REGION_SIZE);
	if (offset)
		other.mapped |= pages_of((size_t)offset, size);
	return mmap(address, size, protection, flags | MAP_FIXED, fd, offset);
}

int hook_munmap(void *address, size_t size)
{
	check(mmap(address, size, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
		   -1, 0) != MAP_FAILED);
	return 0;
}

unsigned int next_byte(void)
{
	if (!other.size)
		return 0;
	other.size--;
	return *other.data++;
}

unsigned int next_word(void)
{
	unsigned int low = next_byte();

	return low | next_byte() << 8;
}

/* --- the other side --- */

void hook_strike(void)
{
	unsigned int looks;

	other.now += NS_PER_LOOK;
	check(++other.looks < MAX_LOOKS);
	if (other.in_strike || !other.size || other.until_strike--)
		return;
	other.in_strike = true;
	looks = next_byte();
	/* Often at once, and sometimes after many looks. */
	other.until_strike = looks < 128 ? looks % 4 : looks - 128;
	other_strikes();
	other.in_strike = false;
}

ssize_t hook_pread(int fd, void *buffer, size_t size, off_t offset)
{
	hook_strike();
	return pread(fd, buffer, size, offset);
}

/* --- time --- */

int hook_clock_gettime(clockid_t clock, struct timespec *now)
{
	other.now += NS_PER_LOOK;
	*now = (struct timespec) { .tv_sec = other.now / 1000000000,
				   .tv_nsec = other.now % 1000000000 };
	return 0;
}

static void pass_time(const struct timespec *time)
{
	check(time->tv_sec >= 0 && time->tv_nsec >= 0 && time->tv_nsec < 1000000000);
	other.now += time->tv_sec * 1000000000ll + time->tv_nsec;
	hook_strike();
}

int hook_nanosleep(const struct timespec *time, struct timespec *left)
{
	pass_time(time);
	return 0;
}

static long wait_for_time(bool is_expected, const struct timespec *time)
{
	if (!is_expected) {
		errno = EAGAIN;
		return -1;
	}
	pass_time(time);
	errno = ETIMEDOUT;
	return -1;
}

static long wait_for_words(va_list args)
{
	const struct futex_waitv *waiters = va_arg(args, const struct futex_waitv *);
	unsigned int i, count = va_arg(args, unsigned int);
	unsigned int flags = va_arg(args, unsigned int);
	const struct timespec *until = va_arg(args, const struct timespec *);
	bool is_expected = true;
	struct timespec time;
	int64_t ns;

	check(!flags && count > 1);
	for (i = 0; i < count; i++)
		if (*(const uint32_t *)(uintptr_t)waiters[i].uaddr != waiters[i].val)
			is_expected = false;
	ns = until->tv_sec * 1000000000ll + until->tv_nsec - other.now;
	ns = ns < 0 ? 0 : ns;
	time = (struct timespec) { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	return wait_for_time(is_expected, &time);
}

static long wait_for_word(va_list args)
{
	const uint32_t *word = va_arg(args, const uint32_t *);
	int operation = va_arg(args, int);
	uint32_t value = va_arg(args, uint32_t);

	if ((operation & FUTEX_CMD_MASK) == FUTEX_WAKE)
		return 0;
	return wait_for_time(*word == value, va_arg(args, const struct timespec *));
}

/* Waiting sees the words, and is woken by time alone. */
long hook_futex(long number, ...)
{
	va_list args;
	long result;

	va_start(args, number);
	if (number == SYS_futex) {
		result = wait_for_word(args);
	} else {
		check(number == SYS_futex_waitv);
		result = wait_for_words(args);
	}
	va_end(args);
	return result;
}

ssize_t hook_getrandom(void *buffer, size_t size, unsigned int flags)
{
	memset(buffer, 0xa5, size);
	return (ssize_t)size;
}

/* --- what both fuzzers do --- */

/* The bytes themselves are read, and written, from one end to the other. */
void use(const volatile uint8_t *bytes, size_t length)
{
	size_t i;

	for (i = 0; i < length; i += 61)
		(void)bytes[i];
	if (length)
		(void)bytes[length - 1];
}

static int read_layout(struct ivshmem *shm)
{
	struct ivshmem_layout *layout;
	unsigned int i, objects;
	int err = ivshmem_layout_read(&layout, shm);

	if (err)
		return err;
	objects = ivshmem_layout_objects(layout);
	check(objects >= 1 && objects <= IVSHMEM_MAX_OBJECTS);
	check(ivshmem_layout_free_bytes(layout) <= REGION_SIZE);
	check(strlen(ivshmem_layout_label(layout)) < IVSHMEM_LABEL_SIZE);
	for (i = 0; i < objects; i++) {
		const char *name = ivshmem_layout_name(layout, i);

		check(!name || strlen(name) < IVSHMEM_NAME_SIZE);
		check(ivshmem_layout_size(layout, i) <= REGION_SIZE);
	}
	ivshmem_layout_free(layout);
	return 0;
}

static void check_member(const struct ivshmem_status *status, unsigned int index,
			 unsigned int member)
{
	uint64_t value;
	int detail;

	check((unsigned int)ivshmem_status_role(status, index, member) <= IVSHMEM_ROLE_WAITER);
	check((unsigned int)ivshmem_status_state(status, index, member) <= IVSHMEM_END_DEAD);
	check(ivshmem_status_place(status, index, member) < 1024);
	for (detail = 0; detail <= IVSHMEM_DETAIL_TIME; detail++)
		ivshmem_status_detail(status, index, member, (enum ivshmem_detail)detail, &value);
}

static int read_status(struct ivshmem *shm)
{
	struct ivshmem_topic_layout topic;
	struct ivshmem_status *status;
	int err = ivshmem_status_read(&status, shm, 0);
	unsigned int i, member;

	if (err)
		return err;
	for (i = 0; i < ivshmem_layout_objects(ivshmem_status_layout(status)); i++) {
		if (!ivshmem_status_topic(status, i, &topic))
			check(topic.subscribers >= 1 && topic.subscribers <= 1024);
		check(ivshmem_status_members(status, i) <= 16 + 1024);
		for (member = 0; member < ivshmem_status_members(status, i); member++)
			check_member(status, i, member);
	}
	ivshmem_status_free(status);
	return 0;
}

/* What those see who only look. */
int read_all(struct ivshmem *shm)
{
	return read_layout(shm) ?: read_status(shm);
}

struct ivshmem *open_region(int fd, unsigned int flags)
{
	struct ivshmem *shm = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	check(!ivshmem_open(&shm, path, flags));
	return shm;
}

int region_fd(void)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("region", MFD_CLOEXEC);
		check(fd >= 0 && !ftruncate(fd, REGION_SIZE));
		other.region = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		check(other.region != MAP_FAILED);
		arena = mmap(NULL, ARENA_SIZE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		check(arena != MAP_FAILED);
	}
	return fd;
}

bool has_arena(void)
{
	return arena_used < ARENA_SIZE / 2;
}

/* A new run: nothing is mapped, the region is empty, and the other side is quiet. */
void begin_run(void)
{
	uint8_t *region = other.region;

	other = (struct other_side) { .region = region, .now = 1000000000 };
	arena_used = 0;
	memset(region, 0, REGION_SIZE);
}

void end_run(void)
{
	hook_munmap(arena, ARENA_SIZE);
}
