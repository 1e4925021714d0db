// SPDX-License-Identifier: MIT
/*
 * What becomes readable when somebody wakes this program: by the doorbell, or by a futex that
 * io_uring waits for. Where nobody does, a timer makes it readable after a while. A timer
 * also does what the limits of a sleep do: see wakeup.h.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "system/system.h"
#include "wakeup.h"

void ivshmem_loop_close(struct ivshmem_loop *loop)
{
	if (loop->epoll < 0)
		return;
	ivshmem_futex_fd_close(loop->futex);
	close(loop->timer);
	close(loop->epoll);
	loop->epoll = -1;
}

int ivshmem_loop_open(struct ivshmem_loop *loop)
{
	int timer, epoll, err;

	if (loop->epoll >= 0)
		return 0;
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer < 0)
		return -errno;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	err = epoll < 0 ? -errno : ivshmem_watch(epoll, timer, EPOLLIN | EPOLLET);
	if (err) {
		close(timer);
		if (epoll >= 0)
			close(epoll);
		return err;
	}
	loop->timer = timer;
	loop->epoll = epoll;
	loop->moved = UINT64_MAX;
	loop->pause = LOOP_FIRST_PAUSE_NS;
	return 0;
}

int ivshmem_loop_add_doorbell(struct ivshmem_loop *loop, const struct ivshmem_link *link)
{
	bool is_watched = loop->rung && loop->joins == link->joins;
	int err = is_watched ? 0 : ivshmem_watch_doorbell(loop->epoll, link);

	if (err)
		return err;
	loop->rung = true;
	loop->joins = link->joins;
	return 0;
}

static bool is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOSPC ||
	       err == -EAGAIN;
}

/* Where there is none, the timer has to do; after a shortage the next call tries again. */
void ivshmem_loop_add_futex(struct ivshmem_loop *loop)
{
	struct ivshmem_futex_fd *futex;
	int err;

	if (loop->futex || loop->no_futex)
		return;
	err = ivshmem_futex_fd_open(&futex);
	if (err) {
		loop->no_futex = !is_shortage(err);
		return;
	}
	err = ivshmem_watch(loop->epoll, ivshmem_futex_fd_poll_fd(futex), EPOLLIN | EPOLLET);
	if (err)
		ivshmem_futex_fd_close(futex);
	else
		loop->futex = futex;
}

/* -ENODEV: the device is gone. */
int ivshmem_loop_take(struct ivshmem_loop *loop, struct ivshmem_link *link)
{
	int err = ivshmem_wakeup_take(link, loop->epoll, loop->timer);

	if (loop->futex)
		ivshmem_futex_fd_take(loop->futex);
	return err;
}

/* Readable after a while, which doubles each time up to @longest, unless something moves. */
void ivshmem_loop_pace(struct ivshmem_loop *loop, struct ivshmem_link *link, uint64_t moved,
		       int64_t longest)
{
	struct itimerspec time = { .it_interval = { .tv_sec = 0 } };

	if (loop->epoll < 0)
		return;
	ivshmem_loop_take(loop, link);
	if (loop->moved != moved)
		loop->pause = LOOP_FIRST_PAUSE_NS;
	loop->moved = moved;
	if (loop->pause > longest)
		loop->pause = longest;
	time.it_value.tv_sec = loop->pause / NS_PER_S;
	time.it_value.tv_nsec = loop->pause % NS_PER_S;
	timerfd_settime(loop->timer, 0, &time, NULL);
	loop->pause *= 2;
}

/* Only the first time after something has moved: an idle loop stays idle. */
void ivshmem_loop_limit(struct ivshmem_loop *loop, uint64_t moved)
{
	const struct itimerspec time = {
		.it_value = { .tv_nsec = FIRST_SLEEP_NS },
		.it_interval = { .tv_sec = LATER_SLEEP_NS / NS_PER_S },
	};

	if (moved == loop->moved)
		return;
	loop->moved = moved;
	timerfd_settime(loop->timer, 0, &time, NULL);
}
