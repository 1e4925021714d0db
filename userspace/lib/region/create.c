// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kinds.h"

#define MODE_BITS	07777
#define TAKE_TRIES	100	/* of a millisecond each */

static int check_arguments(struct ivshmem **shm, const char *path, uint64_t size,
			   mode_t mode, unsigned int flags)
{
	if (!shm || !path || !*path)
		return -EINVAL;
	if (flags & ~(IVSHMEM_EXIST_OK | IVSHMEM_PREALLOCATE))
		return -EINVAL;
	if (mode & ~(mode_t)MODE_BITS)
		return -EINVAL;
	if (size < (uint64_t)sysconf(_SC_PAGESIZE) || size & (size - 1))
		return -EINVAL;
	return size > INT64_MAX || size > SIZE_MAX ? -EFBIG : 0;
}

/* To pass the limit would not only fail but raise SIGXFSZ. */
static int check_limit(uint64_t size)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) < 0)
		return -errno;
	return size > limit.rlim_cur ? -EFBIG : 0;
}

/*
 * The mode comes last: until then nobody else can open a file that is not
 * ready. Where memory is allocated, the file has no size before it has all.
 */
static int set_up_file(int fd, uint64_t size, mode_t mode, unsigned int flags)
{
	int err = check_limit(size);

	if (!err && flags & IVSHMEM_PREALLOCATE)
		err = -posix_fallocate(fd, 0, (off_t)size);
	if (err)
		return err;
	if (ftruncate(fd, (off_t)size) < 0 || fchmod(fd, mode) < 0)
		return -errno;
	return 0;
}

static int create_new(struct ivshmem **shm, const char *path, uint64_t size,
		      mode_t mode, unsigned int flags)
{
	int fd, err;

	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0)
		return -errno;
	err = set_up_file(fd, size, mode, flags);
	if (!err)
		err = ivshmem_attach(shm, fd, &ivshmem_file_backend, false);
	if (err) {
		unlink(path);
		close(fd);
	}
	return err;
}

/* Its creator may be between open() and ftruncate(). */
static int open_when_sized(struct ivshmem **shm, const char *path)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int tries = TAKE_TRIES;
	int err;

	while ((err = ivshmem_open(shm, path, 0)) == -ENODATA && --tries)
		nanosleep(&pause, NULL);
	return err;
}

static int take_existing(struct ivshmem **out, const char *path, uint64_t size)
{
	struct ivshmem *shm = NULL;
	int err;

	err = open_when_sized(&shm, path);
	if (err == -ENODATA || err == -EINVAL)
		return -EMSGSIZE;
	if (err)
		return err;
	if (shm->backend != &ivshmem_file_backend)
		err = -ENOTSUP;
	else if (shm->size != size)
		err = -EMSGSIZE;
	if (err) {
		ivshmem_close(shm);
		return err;
	}
	*out = shm;
	return 0;
}

int ivshmem_create(struct ivshmem **shm, const char *path, uint64_t size,
		   mode_t mode, unsigned int flags)
{
	int err;

	err = check_arguments(shm, path, size, mode, flags);
	if (err)
		return err;
	err = create_new(shm, path, size, mode, flags);
	if (err == -EEXIST && flags & IVSHMEM_EXIST_OK)
		err = take_existing(shm, path, size);
	return err;
}
