// SPDX-License-Identifier: MIT
/* Calls on descriptors, as every file has them. None may wait. */

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuzz.h"

/* What can be read, written, mapped and polled: the node mostly. */
static int some_file(uint32_t arg)
{
	enum resource resource = NODES;

	if ((arg >> 8 & 7) == 0)
		resource = BUFFERS;
	else if ((arg >> 8 & 7) == 1)
		resource = IMPORTS;
	return resource_get(resource, arg);
}

void call_open(struct runner *me, const uint32_t *arg)
{
	static const int access[] = { O_RDWR, O_RDONLY, O_RDWR, O_WRONLY };
	int flags = access[arg[1] & 3] | O_CLOEXEC;

	flags |= (arg[1] & 0x70) == 0x10 ? O_APPEND : 0;
	flags |= (arg[1] & 0x70) == 0x20 ? O_DIRECT : 0;
	resource_put(NODES, arg[2], device_open(arg[0] % fuzz.devices, flags));
}

void call_close(struct runner *me, const uint32_t *arg)
{
	resource_put(arg[0] % RESOURCES, arg[1], -1);
}

static int make_vectors(struct runner *me, const uint32_t *arg, struct iovec *vector)
{
	uint64_t len = number_length(arg[3]);

	vector[0].iov_base = number_pointer(me, arg[1], NULL, 64);
	vector[0].iov_len = arg[0] & 0x1000 ? len / 2 : len;
	vector[1].iov_base = number_pointer(me, arg[1] >> 6, NULL, 64);
	vector[1].iov_len = len / 2;
	return arg[0] & 0x1000 ? 2 : 1;
}

void call_read(struct runner *me, const uint32_t *arg)
{
	int flags = (arg[0] >> 13 & 3) == 0 ? RWF_NOWAIT : 0;
	struct iovec vector[2];
	int count = make_vectors(me, arg, vector);

	if (arg[0] & 0x8000)
		readv(some_file(arg[0]), vector, count);
	else
		preadv2(some_file(arg[0]), vector, count, number_offset(arg[2]), flags);
}

void call_write(struct runner *me, const uint32_t *arg)
{
	static const int flags[] = { 0, 0, RWF_NOWAIT, RWF_APPEND };
	struct iovec vector[2];
	int count = make_vectors(me, arg, vector);

	if (arg[0] & 0x8000)
		(void)!writev(some_file(arg[0]), vector, count);
	else
		pwritev2(some_file(arg[0]), vector, count, number_offset(arg[2]),
			 flags[arg[0] >> 13 & 3]);
}

void call_seek(struct runner *me, const uint32_t *arg)
{
	lseek(some_file(arg[0]), number_offset(arg[1]), arg[2] % 6);
}

void call_poll(struct runner *me, const uint32_t *arg)
{
	struct pollfd fds[] = {
		{ .fd = some_file(arg[0]), .events = arg[1] },
		{ .fd = resource_get(EVENTS, arg[2]), .events = POLLIN },
	};

	poll(fds, 2, 0);
}

void call_epoll(struct runner *me, const uint32_t *arg)
{
	static const int operation[] = {
		EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL,
	};
	struct epoll_event event = { .events = arg[2] };
	int fd = resource_get(POLLS, arg[1]);

	if (fd < 0) {
		fd = epoll_create1(EPOLL_CLOEXEC);
		resource_put(POLLS, arg[1], fd);
	}
	epoll_ctl(fd, operation[arg[3] & 3], some_file(arg[0]), &event);
	epoll_wait(fd, &event, 1, 0);
}

void call_sync(struct runner *me, const uint32_t *arg)
{
	int fd = some_file(arg[0]);

	switch (arg[1] % 7) {
	case 0:
		fsync(fd);
		break;
	case 1:
		fdatasync(fd);
		break;
	case 2:
		sync_file_range(fd, number_offset(arg[2]), number_length(arg[3]), arg[1] >> 8 & 7);
		break;
	case 3:
		(void)!ftruncate(fd, number_length(arg[3]));
		break;
	case 4:
		fallocate(fd, arg[1] >> 8 & 0x7f, number_offset(arg[2]), number_length(arg[3]));
		break;
	case 5:
		posix_fadvise(fd, number_offset(arg[2]), number_length(arg[3]), arg[1] >> 8 & 7);
		break;
	default:
		flock(fd, LOCK_NB | (arg[1] & 0x100 ? LOCK_EX : LOCK_UN));
	}
}

void call_pipe(struct runner *me, const uint32_t *arg)
{
	int fds[2];

	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC))
		return;
	resource_put(PIPE_READERS, arg[0], fds[0]);
	resource_put(PIPE_WRITERS, arg[0], fds[1]);
}

void call_splice(struct runner *me, const uint32_t *arg)
{
	off64_t offset = number_offset(arg[2]);
	uint64_t len = number_length(arg[3]);

	if (arg[1] & 0x100)
		splice(some_file(arg[0]), &offset, resource_get(PIPE_WRITERS, arg[1]), NULL, len,
		       SPLICE_F_NONBLOCK);
	else
		splice(resource_get(PIPE_READERS, arg[1]), NULL, some_file(arg[0]), &offset, len,
		       SPLICE_F_NONBLOCK);
}
