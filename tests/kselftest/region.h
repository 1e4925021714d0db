/* SPDX-License-Identifier: MIT */
/*
 * The fixture of all tests in the guest: the first device, open and, where
 * asked for, mapped. With REGION_WANTS_PAGES its tests are for a device whose
 * pages may be pinned, with REGION_BOTH_WAYS for one that may and one that may not.
 * kselftest_harness.h comes from the kernel's sources.
 */

#ifndef REGION_H
#define REGION_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "uapi/ivshmem.h"

/* A guest on a busy machine is slow. Who started the program has its own limit. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	240

#define NODE	"/dev/ivshmem0"
#define SYSFS	"/sys/class/ivshmem/ivshmem0/"
#define PAGE	4096

#define EXPECT_ERRNO(error, call) do {			\
	errno = 0;					\
	EXPECT_EQ(-1, (long)(call));			\
	EXPECT_EQ(error, errno);			\
} while (0)

/* First in a test: the harness of some kernels goes on after a SKIP in the set-up. */
#define NEEDS_PAGES() do {						\
	if (!self->data)						\
		SKIP(return, "no pages behind the mapping on this kernel");	\
} while (0)

/* Reads one line of a small file; returns its length, or -1. */
static inline ssize_t read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -1;
	len = read(fd, line, size - 1);
	close(fd);
	if (len < 0)
		return -1;
	line[len] = 0;
	line[strcspn(line, "\n")] = 0;
	return len;
}

/* Writes a string to a file of sysfs. */
static inline int write_line(const char *path, const char *line)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -1;
	len = write(fd, line, strlen(line));
	if (len != (ssize_t)strlen(line)) {
		int error = len < 0 ? errno : EIO;

		close(fd);
		errno = error;
		return -1;
	}
	close(fd);
	return 0;
}

#define PINNING	SYSFS "pinning"

/*
 * Lets the first device's pages be pinned, or no longer. A helper of udev may have the
 * node open for a moment.
 */
static inline int allow_pinning(int allow)
{
	int tries;

	for (tries = 0; tries < 600; tries++) {
		if (!write_line(PINNING, allow ? "1" : "0"))
			return 0;
		if (errno != EBUSY)
			return -1;
		usleep(50000);
	}
	return -1;
}

FIXTURE(region) {
	int fd;
	uint64_t size;
	unsigned char *data;
};

#ifdef REGION_BOTH_WAYS
FIXTURE_VARIANT(region) {
	int pinning;
};

FIXTURE_VARIANT_ADD(region, frames) { .pinning = 0 };
FIXTURE_VARIANT_ADD(region, pages) { .pinning = 1 };
#endif

FIXTURE_SETUP(region)
{
	struct ivshmem_info info;

#ifdef REGION_BOTH_WAYS
	if (variant->pinning && allow_pinning(1))
		SKIP(return, "this device can have no pages");
#endif
#ifdef REGION_WANTS_PAGES
	if (allow_pinning(1))
		return;
#endif
	memset(&info, 0, sizeof(info));
	self->fd = open(NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, &info));
	self->size = info.size;
	self->data = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->data);
}

FIXTURE_TEARDOWN(region)
{
	munmap(self->data, self->size);
	close(self->fd);
	allow_pinning(0);
}

/* Runs in a child: does touching this byte kill it, and by which signal? */
static inline int touch_signal(volatile unsigned char *byte, int write)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		if (write)
			*byte = 1;
		else
			(void)*byte;
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

#endif /* REGION_H */
