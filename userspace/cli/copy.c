// SPDX-License-Identifier: MIT
/*
 * Copying between a mapping and a descriptor. The kernel itself reaches into
 * the mapping: where the region has gone it returns EFAULT, where a memcpy()
 * would die of SIGBUS.
 */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static void wait_for(int fd, short events)
{
	struct pollfd pollfd = { .fd = fd, .events = events };

	poll(&pollfd, 1, -1);
}

/*
 * read(2) that outlasts signals and descriptors that don't block. -ECANCELED once
 * stopped(), though there may be more to read for ever.
 */
ssize_t read_some(int fd, void *buffer, size_t length)
{
	ssize_t n;

	while (!stopped()) {
		n = read(fd, buffer, length);
		if (n >= 0)
			return n;
		if (errno == EAGAIN)
			wait_for(fd, POLLIN);
		else if (errno != EINTR)
			return -errno;
	}
	return -ECANCELED;
}

/* As much as is there, up to @length. */
ssize_t read_full(int fd, void *buffer, size_t length)
{
	size_t got = 0;
	ssize_t n = 1;

	while (got < length && n > 0) {
		n = read_some(fd, (char *)buffer + got, length - got);
		got += n > 0 ? (size_t)n : 0;
	}
	return n < 0 ? n : (ssize_t)got;
}

/* Why stdin could not be read; not where that was ended. */
void explain_input(int error)
{
	if (error != -ECANCELED)
		complain("standard input", "%s", strerror(-error));
}

/* write(2), likewise; short where the descriptor takes no more at once. */
ssize_t write_some(int fd, const void *buffer, size_t length)
{
	ssize_t n;

	while ((n = write(fd, buffer, length)) < 0) {
		if (stopped())
			return -ECANCELED;
		if (errno == EAGAIN)
			wait_for(fd, POLLOUT);
		else if (errno != EINTR)
			return -errno;
	}
	return n ? n : -EIO;
}

/* What stdin still holds, where that can be known; else 0. */
uint64_t input_left(void)
{
	struct stat st;
	off_t at;

	if (fstat(STDIN_FILENO, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	at = lseek(STDIN_FILENO, 0, SEEK_CUR);
	return at >= 0 && at < st.st_size ? st.st_size - at : 0;
}

/* Until all is copied or the input ends; a negative errno where neither. */
int copy_run(struct copy *copy)
{
	struct progress progress;
	ssize_t n = 0;

	progress_start(&progress, copy->where, copy->expected);
	while (copy->done < copy->length) {
		char *at = copy->memory + copy->done;
		uint64_t left = copy->length - copy->done;
		size_t chunk = left < COPY_CHUNK ? left : COPY_CHUNK;

		n = copy->in ? read_some(copy->fd, at, chunk) :
			       write_some(copy->fd, at, chunk);
		if (n <= 0)
			break;
		copy->done += n;
		progress_update(&progress, copy->done);
	}
	progress_end(&progress);
	return n < 0 ? n : 0;
}

/* After copy_run() failed with @error. */
void explain_copy(const struct copy *copy, const struct ivshmem *shm, int error)
{
	unsigned long long done = copy->done;
	int ret;

	if (error != -EFAULT) {
		complain(copy->in ? "standard input" : "standard output",
			 "%s, after %llu bytes", strerror(-error), done);
		return;
	}

	ret = ivshmem_check(shm);
	if (ret < 0 && ret != -ECONNRESET)
		complain(copy->where, "%s, after %llu bytes",
			 ivshmem_explain(IVSHMEM_TASK_MAP, ret), done);
	else
		complain(copy->where, "the memory could not be reached after %llu bytes: is the filesystem that holds it full?",
			 done);
}
