// SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "client/client.h"
#include "system/system.h"
#include "doorbell.h"

#define BUSY_POLL_TRIES	8

#ifndef RWF_NOWAIT	/* musl before 1.2.5 has neither it nor preadv2() */
#define RWF_NOWAIT	0x00000008
#endif

/* NULL: a plain region, or one whose interrupts are out of reach. */
static const struct ivshmem_doorbell *doorbell_of(const struct ivshmem *shm)
{
	return shm->kind == IVSHMEM_DOORBELL ? shm->backend->doorbell : NULL;
}

/* The ID and the vectors of an inherited handle are those of the parent. */
static int check_handle(const struct ivshmem *shm)
{
	if (!shm)
		return -EINVAL;
	return shm->inherited ? -ECHILD : 0;
}

int ivshmem_peer_id(const struct ivshmem *shm)
{
	int err = check_handle(shm);

	if (err)
		return err;
	return doorbell_of(shm) ? doorbell_of(shm)->peer_id(shm) : -ENOTSUP;
}

int ivshmem_vectors(const struct ivshmem *shm)
{
	int err = check_handle(shm);

	if (err)
		return err;
	return doorbell_of(shm) ? doorbell_of(shm)->vectors(shm) : 0;
}

int ivshmem_notify(struct ivshmem *shm, unsigned int peer, unsigned int vector)
{
	int err = check_handle(shm);

	if (err)
		return err;
	if (peer > IVSHMEM_MAX_PEER || vector >= IVSHMEM_MAX_VECTORS)
		return -EINVAL;
	if (!doorbell_of(shm))
		return -ENOTSUP;
	if (shm->readonly)
		return -EACCES;
	/* What was stored before is there before the ring is. */
	atomic_thread_fence(memory_order_seq_cst);
	return doorbell_of(shm)->ring(shm, peer, vector);
}

int ivshmem_event_fd(struct ivshmem *shm, unsigned int vector)
{
	int err = check_handle(shm);

	if (err)
		return err;
	if (!doorbell_of(shm))
		return -ENOTSUP;
	if (vector >= (unsigned int)ivshmem_vectors(shm))
		return -EINVAL;
	if (shm->readonly)
		return -EACCES;
	return doorbell_of(shm)->event_fd(shm, vector);
}

int ivshmem_relay_fd(struct ivshmem *shm)
{
	int fd;

	pthread_mutex_lock(&shm->lock);
	fd = shm->relay_fd;
	if (fd < 0) {
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fd < 0)
			fd = -errno;
		else
			__atomic_store_n(&shm->relay_fd, fd, __ATOMIC_SEQ_CST);
	}
	pthread_mutex_unlock(&shm->lock);
	return fd;
}

/* The counter does not fill up: 2^64 rings are never taken. */
static void relay(const struct ivshmem *shm)
{
	int fd = __atomic_load_n(&shm->relay_fd, __ATOMIC_SEQ_CST);
	const uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

/* Without a position, -1 in both its halves, and without blocking. */
static ssize_t read_at_once(int fd, void *to, size_t length)
{
	struct iovec buffer = { to, length };

	return syscall(SYS_preadv2, fd, &buffer, 1ul, -1l, -1l, RWF_NOWAIT);
}

/*
 * -EAGAIN: there are none, or another thread was faster. A peer that holds the
 * eventfd, too, may have made it a blocking one again: that must not stop us.
 */
static int take_rings(int fd)
{
	uint64_t count;
	ssize_t length = read_at_once(fd, &count, sizeof(count));

	if (length < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))	/* before Linux 5.8 */
		length = read(fd, &count, sizeof(count));
	if (length < 0)
		return -errno;
	return count > INT_MAX ? INT_MAX : (int)count;
}

/* What a sleep would have told besides. -ENODEV: the device is gone. */
static int look_around(const struct ivshmem *shm)
{
	struct pollfd poller = { .fd = shm->fd };

	if (shm->connection)
		ivshmem_connection_hear(shm->connection);
	if (shm->backend->side == IVSHMEM_GUEST && poll(&poller, 1, 0) > 0)
		return -ENODEV;
	return 0;
}

/*
 * Asks again and again, without sleep: the rings, or -EAGAIN where none came. The
 * clock is looked at once in a while: some guests have a slow one.
 */
static int busy_poll(const struct ivshmem *shm, int fd, unsigned int microseconds, int64_t deadline)
{
	int64_t end = ivshmem_now() + microseconds * NS_PER_US;
	unsigned int tries = 0;
	int taken;

	do {
		taken = take_rings(fd);
		if (taken != -EAGAIN)
			return look_around(shm) ?: taken;
	} while (++tries % BUSY_POLL_TRIES ||
		 (ivshmem_now() < end && !ivshmem_deadline_passed(deadline) &&
		  !ivshmem_is_cancelled(&shm->cancel)));
	return -EAGAIN;
}

/*
 * What a wait for a ring sleeps on. A device that goes signals its eventfds after it
 * was marked gone, so the device must be looked at after them: poll(2) keeps to the
 * order.
 */
enum { RING, DEVICE, SERVER, CANCEL, POLLERS };

/* @until becomes when they must be made anew, if that is before it. */
static int make_pollers(struct pollfd pollers[POLLERS], struct ivshmem *shm,
			unsigned int vector, int fd, int64_t *until)
{
	int cancel_fd = ivshmem_cancel_fd(&shm->cancel);
	int device_fd = shm->backend->side == IVSHMEM_GUEST ? shm->fd : -1;
	int server_fd = -1;

	if (cancel_fd < 0)
		return cancel_fd;
	if (shm->connection)
		server_fd = ivshmem_connection_listen(shm->connection, vector, until);
	pollers[RING] = (struct pollfd){ .fd = fd, .events = POLLIN };
	pollers[DEVICE] = (struct pollfd){ .fd = device_fd };
	pollers[SERVER] = (struct pollfd){ .fd = server_fd, .events = POLLIN };
	pollers[CANCEL] = (struct pollfd){ .fd = cancel_fd, .events = POLLIN };
	return 0;
}

/*
 * 0: there is likely to be a ring; -EAGAIN: nothing yet. A ring comes before the news
 * that the wait was cancelled, or that the connection to the server has ended.
 */
static int wait_for_ring(struct ivshmem *shm, unsigned int vector, int fd, int64_t deadline)
{
	struct pollfd pollers[POLLERS];
	int64_t until = deadline;
	int err;

	err = make_pollers(pollers, shm, vector, fd, &until);
	if (!err)
		err = ivshmem_poll_until(pollers, POLLERS, until);
	if (err == -ETIMEDOUT)
		return ivshmem_deadline_passed(deadline) ? err : -EAGAIN;
	if (err)
		return err;
	if (pollers[DEVICE].revents)
		return -ENODEV;
	if (pollers[SERVER].revents)
		ivshmem_connection_hear(shm->connection);
	if (pollers[RING].revents)
		return 0;
	if (pollers[CANCEL].revents)
		return -ECANCELED;
	err = ivshmem_connection_tell_end(shm->connection, vector);
	if (!err)
		err = ivshmem_deadline_passed(deadline) ? -ETIMEDOUT : -EAGAIN;
	return err;
}

int ivshmem_set_busy_poll(struct ivshmem *shm, unsigned int microseconds)
{
	int err = check_handle(shm);

	if (err)
		return err;
	if (!doorbell_of(shm))
		return -ENOTSUP;
	__atomic_store_n(&shm->busy_poll_us, microseconds, __ATOMIC_RELAXED);
	return 0;
}

int ivshmem_wait(struct ivshmem *shm, unsigned int vector, int timeout_ms)
{
	int64_t deadline = ivshmem_deadline(timeout_ms);
	int fd = ivshmem_event_fd(shm, vector);
	unsigned int busy_us;
	int taken;

	if (fd < 0)
		return fd;
	busy_us = __atomic_load_n(&shm->busy_poll_us, __ATOMIC_RELAXED);
	taken = busy_us ? busy_poll(shm, fd, busy_us, deadline) : -EAGAIN;
	while (taken == -EAGAIN) {
		taken = wait_for_ring(shm, vector, fd, deadline);
		if (!taken)
			taken = take_rings(fd);
	}
	if (taken > 0)
		relay(shm);
	/* What the peer stored before it rang is there. */
	atomic_thread_fence(memory_order_acquire);
	return taken;
}
