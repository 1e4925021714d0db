// SPDX-License-Identifier: MIT
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "wakeup.h"

/* As in linux/io_uring.h and linux/futex.h of Linux 6.7. */
#define OP_FUTEX_WAIT		51
#define SIZE_U32		2
#define ANY_BIT			0xffffffffu
#define SQE_ADDR3		48	/* where the structure has it */

/**
 * struct ivshmem_futex_fd - An io_uring that waits for futexes.
 * @ring: The ring; its descriptor is readable while there are results.
 * @waits: Is a wait for the word of that index under way?
 */
struct ivshmem_futex_fd {
	struct io_uring ring;
	bool waits[FUTEX_FD_WORDS];
};

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

int ivshmem_futex_fd_open(struct ivshmem_futex_fd **out)
{
	struct ivshmem_futex_fd *futex_fd = calloc(1, sizeof(*futex_fd));
	int err;

	if (!futex_fd)
		return -ENOMEM;
	err = io_uring_queue_init(2 * FUTEX_FD_WORDS, &futex_fd->ring, 0);
	if (err) {
		free(futex_fd);
		return err;
	}
	err = try_once(futex_fd);
	if (err) {
		ivshmem_futex_fd_close(futex_fd);
		return err;
	}
	*out = futex_fd;
	return 0;
}

void ivshmem_futex_fd_close(struct ivshmem_futex_fd *futex_fd)
{
	if (!futex_fd)
		return;
	io_uring_queue_exit(&futex_fd->ring);
	free(futex_fd);
}

int ivshmem_futex_fd_poll_fd(const struct ivshmem_futex_fd *futex_fd)
{
	return futex_fd->ring.ring_fd;
}

/*
 * From now on the descriptor becomes readable when @word is woken, or if it is not
 * @value. A wait that is under way serves as well: it ends with the next wake-up,
 * whatever it was that it expected.
 */
int ivshmem_futex_fd_arm(struct ivshmem_futex_fd *futex_fd, unsigned int index,
			 const uint32_t *word, uint32_t value)
{
	int err = 0;

	if (!futex_fd->waits[index])
		err = submit(futex_fd, index, word, value);
	if (!err)
		futex_fd->waits[index] = true;
	return err;
}

void ivshmem_futex_fd_take(struct ivshmem_futex_fd *futex_fd)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&futex_fd->ring, &cqe)) {
		futex_fd->waits[cqe->user_data % FUTEX_FD_WORDS] = false;
		io_uring_cqe_seen(&futex_fd->ring, cqe);
	}
}
