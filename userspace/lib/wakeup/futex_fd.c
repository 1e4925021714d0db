// SPDX-License-Identifier: MIT
/*
 * The ring leaves what it has to tell in the kernel until it is asked for (DEFER_TASKRUN),
 * and says by an eventfd that there is something. Else the kernel would interrupt the
 * thread that has armed it, wherever that sleeps: epoll_wait(2), for one, then returns
 * EINTR, though no signal came.
 *
 * Only the thread that has made such a ring may use it. Where another one comes, it makes
 * a ring of the usual kind: that interrupts, but all threads may use it.
 */
#include <errno.h>
#include <liburing.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "wakeup.h"

/* As in linux/io_uring.h and linux/futex.h of Linux 6.7. */
#define OP_FUTEX_WAIT		51
#define SIZE_U32		2
#define ANY_BIT			0xffffffffu
#define SQE_ADDR3		48	/* where the structure has it */
/* A liburing that is older than the flags would not look for results of such a ring. */
#ifdef IORING_SETUP_DEFER_TASKRUN
#define DEFERRED		(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | \
				 IORING_SETUP_TASKRUN_FLAG)
#else
#define DEFERRED		0
#endif

/**
 * struct ivshmem_futex_fd - An io_uring that waits for futexes.
 * @ring: The ring; a descriptor of -1: none could be had.
 * @is_deferred: It belongs to one thread.
 * @event_fd: Readable while there are results.
 * @waits: What is waited for, by index; a @word of NULL for nothing.
 */
struct ivshmem_futex_fd {
	struct io_uring ring;
	bool is_deferred;
	int event_fd;
	struct {
		const uint32_t *word;
		uint32_t value;
	} waits[FUTEX_FD_WORDS];
};

/* -EEXIST: the ring is another thread's. */
static int submit(struct ivshmem_futex_fd *futex_fd, uint64_t index, const uint32_t *word,
		  uint32_t value)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&futex_fd->ring);
	uint64_t bits = ANY_BIT;
	int submitted;

	if (!sqe)
		return -EAGAIN;
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = OP_FUTEX_WAIT;
	sqe->fd = SIZE_U32;
	sqe->addr = (uintptr_t)word;
	sqe->off = value;
	memcpy((char *)sqe + SQE_ADDR3, &bits, sizeof(bits));
	sqe->user_data = index;
	submitted = io_uring_submit(&futex_fd->ring);
	return submitted < 0 ? submitted : 0;
}

/* A wait for what is not there ends at once, if there are such waits. */
static int try_once(struct ivshmem_futex_fd *futex_fd)
{
	const uint32_t word = 0;
	struct io_uring_cqe *cqe;
	int err;

	err = submit(futex_fd, 0, &word, 1);
	if (!err)
		err = io_uring_peek_cqe(&futex_fd->ring, &cqe);
	if (err)
		return err;
	err = cqe->res == -EAGAIN ? 0 : -ENOTSUP;
	io_uring_cqe_seen(&futex_fd->ring, cqe);
	return err;
}

static void close_ring(struct ivshmem_futex_fd *futex_fd)
{
	if (futex_fd->ring.ring_fd >= 0)
		io_uring_queue_exit(&futex_fd->ring);
	futex_fd->ring.ring_fd = -1;
}

static int open_ring(struct ivshmem_futex_fd *futex_fd, bool is_deferred)
{
	int err = io_uring_queue_init(2 * FUTEX_FD_WORDS, &futex_fd->ring,
				      is_deferred ? DEFERRED : 0);

	if (err) {
		futex_fd->ring.ring_fd = -1;
		return err;
	}
	futex_fd->is_deferred = is_deferred;
	err = try_once(futex_fd);
	if (!err)
		err = io_uring_register_eventfd(&futex_fd->ring, futex_fd->event_fd);
	if (err)
		close_ring(futex_fd);
	return err;
}

int ivshmem_futex_fd_open(struct ivshmem_futex_fd **out)
{
	struct ivshmem_futex_fd *futex_fd = calloc(1, sizeof(*futex_fd));
	int err;

	if (!futex_fd)
		return -ENOMEM;
	futex_fd->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = futex_fd->event_fd < 0 ? -errno : open_ring(futex_fd, true);
	if (err) {
		if (futex_fd->event_fd >= 0)
			close(futex_fd->event_fd);
		free(futex_fd);
		return err;
	}
	*out = futex_fd;
	return 0;
}

void ivshmem_futex_fd_close(struct ivshmem_futex_fd *futex_fd)
{
	if (!futex_fd)
		return;
	close_ring(futex_fd);
	close(futex_fd->event_fd);
	free(futex_fd);
}

/* To be watched edge-triggered: nobody reads it. */
int ivshmem_futex_fd_poll_fd(const struct ivshmem_futex_fd *futex_fd)
{
	return futex_fd->event_fd;
}

/* What is waited for stays, and is compared anew; where that fails, nothing is. */
static int change_ring(struct ivshmem_futex_fd *futex_fd)
{
	unsigned int i;
	int err;

	close_ring(futex_fd);
	err = open_ring(futex_fd, false);
	for (i = 0; i < FUTEX_FD_WORDS; i++) {
		if (!err && futex_fd->waits[i].word)
			err = submit(futex_fd, i, futex_fd->waits[i].word,
				     futex_fd->waits[i].value);
		if (err)
			futex_fd->waits[i].word = NULL;
	}
	return err;
}

/*
 * From now on the descriptor becomes readable when @word is woken, or if it is not
 * @value. A wait that is under way serves as well: it ends with the next wake-up,
 * whatever it was that it expected.
 */
int ivshmem_futex_fd_arm(struct ivshmem_futex_fd *futex_fd, unsigned int index,
			 const uint32_t *word, uint32_t value)
{
	int err;

	if (futex_fd->waits[index].word)
		return 0;
	futex_fd->waits[index].word = word;
	futex_fd->waits[index].value = value;
	err = futex_fd->ring.ring_fd < 0 ? -EEXIST : submit(futex_fd, index, word, value);
	if (err == -EEXIST)
		err = change_ring(futex_fd);
	if (err)
		futex_fd->waits[index].word = NULL;
	return err;
}

static int reap(struct ivshmem_futex_fd *futex_fd)
{
	struct io_uring_cqe *cqe;
	int err;

	while (!(err = io_uring_peek_cqe(&futex_fd->ring, &cqe))) {
		futex_fd->waits[cqe->user_data % FUTEX_FD_WORDS].word = NULL;
		io_uring_cqe_seen(&futex_fd->ring, cqe);
	}
	return err;
}

/*
 * Results that are fetched here are not to make the eventfd readable once more. What comes
 * while it is turned off is fetched afterwards: the kernel notes it, then looks whether the
 * eventfd is on.
 */
static int reap_deferred(struct ivshmem_futex_fd *futex_fd)
{
	io_uring_cq_eventfd_toggle(&futex_fd->ring, false);
	reap(futex_fd);
	io_uring_cq_eventfd_toggle(&futex_fd->ring, true);
	atomic_thread_fence(memory_order_seq_cst);
	return reap(futex_fd);
}

void ivshmem_futex_fd_take(struct ivshmem_futex_fd *futex_fd)
{
	if (futex_fd->ring.ring_fd < 0)
		return;
	if (!futex_fd->is_deferred)
		reap(futex_fd);
	else if (reap_deferred(futex_fd) == -EEXIST)
		change_ring(futex_fd);
}
