// SPDX-License-Identifier: MIT
/*
 * Why no cancel is lost: whoever sleeps does so on the word, which is 1 from then on, or
 * on the eventfd, which stays readable. The eventfd is made by the first that sleeps on it.
 * Either raise() sees it and writes to it, or whoever made it sees the word afterwards.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "system.h"

void ivshmem_cancel_close(struct ivshmem_cancel *cancel)
{
	if (cancel->fd >= 0)
		close(cancel->fd);
	cancel->fd = -1;
}

static void signal_fd(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return;		/* the counter is full, so it is readable */
}

/* Async-signal-safe, and leaves errno alone. */
void ivshmem_cancel_raise(struct ivshmem_cancel *cancel)
{
	int saved = errno;
	int fd;

	__atomic_store_n(&cancel->raised, 1, __ATOMIC_SEQ_CST);
	fd = __atomic_load_n(&cancel->fd, __ATOMIC_SEQ_CST);
	if (fd >= 0)
		signal_fd(fd);
	ivshmem_futex_wake(&cancel->raised, false);
	errno = saved;
}

void ivshmem_cancel_lower(struct ivshmem_cancel *cancel)
{
	int fd = __atomic_load_n(&cancel->fd, __ATOMIC_SEQ_CST);
	int saved = errno;
	uint64_t count;

	__atomic_store_n(&cancel->raised, 0, __ATOMIC_SEQ_CST);
	if (fd >= 0 && read(fd, &count, sizeof(count)) < 0)
		errno = saved;		/* it was not raised */
}

/* The eventfd, for poll(2); a negative errno where it can't be had. */
int ivshmem_cancel_fd(struct ivshmem_cancel *cancel)
{
	int fd = __atomic_load_n(&cancel->fd, __ATOMIC_ACQUIRE);
	int none = -1;

	if (fd >= 0)
		return fd;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (!__atomic_compare_exchange_n(&cancel->fd, &none, fd, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST)) {
		close(fd);
		return none;		/* another thread was faster */
	}
	if (__atomic_load_n(&cancel->raised, __ATOMIC_SEQ_CST))
		signal_fd(fd);
	return fd;
}
