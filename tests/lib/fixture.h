/* SPDX-License-Identifier: MIT */
/*
 * What every test program shares: two private folders, made anew for each test
 * and removed after it, and a check that no descriptor was leaked.
 */

#ifndef FIXTURE_H
#define FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tap.h"

#include "ivshmem.h"

#define NOBODY		65534
#define KIB		1024ull
#define MIB		(1024 * KIB)
#define GIB		(1024 * MIB)
#define POISON		((void *)0x5a5a5a5aul)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* For a test function only: ends it. */
#define skip_unless_root() do {						\
	if (getuid())							\
		skip_because("needs root");				\
} while (0)

struct fixture {
	char shm[64];	/* a folder in /dev/shm */
	char tmp[64];	/* a folder in /tmp */
	char path[PATH_MAX];
	int descriptors;
};

static struct fixture fixture;

static inline int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static inline int fixture_setup(void **state)
{
	strcpy(fixture.shm, "/dev/shm/ivshmem-test-XXXXXX");
	strcpy(fixture.tmp, "/tmp/ivshmem-test-XXXXXX");
	if (!mkdtemp(fixture.shm) || !mkdtemp(fixture.tmp))
		return -1;
	fixture.descriptors = count_descriptors();
	return 0;
}

static inline int remove_entry(const char *path, const struct stat *st, int type,
			       struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int fixture_teardown(void **state)
{
	int descriptors;

	if (!getuid() && seteuid(0))
		return -1;
	if (chdir("/"))
		return -1;
	umask(022);
	descriptors = count_descriptors();
	nftw(fixture.shm, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	nftw(fixture.tmp, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	if (descriptors != fixture.descriptors) {
		print_error("# %d descriptors before, %d after\n",
			    fixture.descriptors, descriptors);
		return -1;
	}
	return 0;
}

/* What the environment has chosen, or @otherwise. */
static inline long number_of(const char *name, long otherwise)
{
	const char *value = getenv(name);

	return value ? atol(value) : otherwise;
}

/* A path in the private folder in /dev/shm; good until the next call. */
static inline const char *in_shm(const char *name)
{
	snprintf(fixture.path, sizeof(fixture.path), "%s/%s", fixture.shm, name);
	return fixture.path;
}

static inline const char *make_file(const char *name, off_t size)
{
	const char *path = in_shm(name);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
	return path;
}

/* As /dev/null, but no loss if it breaks; NULL without the right to make it. */
static inline const char *make_null_device(const char *name)
{
	const char *path = in_shm(name);

	return mknod(path, S_IFCHR | 0666, makedev(1, 3)) ? NULL : path;
}

static inline struct ivshmem *open_region(const char *where, unsigned int flags)
{
	struct ivshmem *shm = NULL;

	assert_int_equal(ivshmem_open(&shm, where, flags), 0);
	assert_non_null(shm);
	return shm;
}

static inline struct ivshmem *map_region(const char *where, unsigned int flags)
{
	struct ivshmem *shm = open_region(where, flags);

	assert_int_equal(ivshmem_map(shm), 0);
	assert_non_null(ivshmem_data(shm));
	return shm;
}

static inline void assert_open_fails(const char *where, unsigned int flags, int err)
{
	struct ivshmem *shm = POISON;

	assert_int_equal(ivshmem_open(&shm, where, flags), err);
	assert_ptr_equal(shm, POISON);
}

static inline void assert_create_fails(const char *path, uint64_t size, mode_t mode,
				       unsigned int flags, int err)
{
	struct ivshmem *shm = POISON;

	assert_int_equal(ivshmem_create(&shm, path, size, mode, flags), err);
	assert_ptr_equal(shm, POISON);
}

static inline bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

/* Runs @body in a child of its own: its result, or -1 where it was killed. */
static inline int in_child(int (*body)(void *data), void *data)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child)
		_exit(body(data));
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void exit_on_signal(int signal)
{
	_exit(signal);
}

static inline int touch(void *data)
{
	signal(SIGBUS, exit_on_signal);
	signal(SIGSEGV, exit_on_signal);
	*(volatile char *)data = 1;
	return 0;
}

static inline int run(const char *name, const struct CMUnitTest *tests, size_t count)
{
	umask(022);
	return tap_run(name, tests, count);
}

#endif /* FIXTURE_H */
