// SPDX-License-Identifier: MIT
/*
 * Why no cancel is lost: whoever sleeps does so on the word, which is 1 from then on, or
 * on the eventfd, which stays readable. The eventfd is made by the first that sleeps on it.
 * Either raise() sees it and writes to it, or whoever made it sees the word afterwards.
 * Once all calls have returned, the eventfd is readable if the word is 1, and only then.
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

static void clear_fd(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return;		/* it was not raised */
}

/*
 * The word says what the eventfd shall be. Another thread, or a signal handler, may have
 * changed the word meanwhile, and done the same to the eventfd before this one does: so
 * whoever was last looks at the word once more.
 */
static void settle_fd(struct ivshmem_cancel *cancel)
{
	int fd = __atomic_load_n(&cancel->fd, __ATOMIC_SEQ_CST);
	uint32_t raised;

	if (fd < 0)
		return;
	do {
		raised = __atomic_load_n(&cancel->raised, __ATOMIC_SEQ_CST);
		if (raised)
			signal_fd(fd);
		else
			clear_fd(fd);
	} while (__atomic_load_n(&cancel->raised, __ATOMIC_SEQ_CST) != raised);
}

/* Async-signal-safe, and leaves errno alone. */
void ivshmem_cancel_raise(struct ivshmem_cancel *cancel)
{
	int saved = errno;

	__atomic_store_n(&cancel->raised, 1, __ATOMIC_SEQ_CST);
	settle_fd(cancel);
	ivshmem_futex_wake(&cancel->raised, false);
	errno = saved;
}

void ivshmem_cancel_lower(struct ivshmem_cancel *cancel)
{
	int saved = errno;

	__atomic_store_n(&cancel->raised, 0, __ATOMIC_SEQ_CST);
	settle_fd(cancel);
	errno = saved;
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
	settle_fd(cancel);
	return fd;
}
