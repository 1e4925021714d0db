// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "client/client.h"
#include "doorbell/doorbell.h"
#include "system/system.h"
#include "wakeup.h"

void ivshmem_waiter_init(struct ivshmem_waiter *waiter, uint32_t *word,
			 const uint32_t *other_word, uint32_t *bell, const uint32_t *other_bell)
{
	waiter->word = word;
	waiter->other_word = other_word;
	waiter->bell = bell;
	waiter->other_bell = other_bell;
	waiter->waits = __atomic_load_n(word, __ATOMIC_RELAXED);
	waiter->handled = 0;
	waiter->failed = 0;
	waiter->told_left = false;
	waiter->life_seen = ivshmem_now();
}

void ivshmem_waiter_close(struct ivshmem_waiter *waiter)
{
	if (waiter->epoll >= 0)
		close(waiter->epoll);
	waiter->epoll = -1;
}

void ivshmem_waiter_announce(struct ivshmem_waiter *waiter, enum waiting_state state)
{
	if (state == WAITING_DROWSY)
		waiter->waits += 4;
	waiter->waits = (waiter->waits & ~3u) + state;
	__atomic_store_n(waiter->word, waiter->waits, __ATOMIC_RELEASE);
}

/* This end is the peer that it was when the two ends told each other where they are rung. */
static bool is_told(const struct ivshmem_link *link)
{
	const struct ivshmem_connection *connection = link->shm->connection;

	return !connection || ivshmem_connection_joins(connection) == link->joins;
}

/* --- waking --- */

/* Who is about to sleep, and has not yet, sees that the bell has changed. */
static void ring_by_futex(uint32_t *bell)
{
	__atomic_store_n(bell, __atomic_load_n(bell, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
	ivshmem_futex_wake(bell, true);
}

/* By the ID that it has now: it told it before it said that it is asleep. */
static void ring_by_doorbell(const struct ivshmem_link *link)
{
	int peer;

	if (!is_told(link))
		return;
	atomic_thread_fence(memory_order_acquire);
	peer = ivshmem_link_other_peer(link);
	if (peer < 0)
		return;
	ivshmem_count_wakeup(link->own);
	ivshmem_notify(link->shm, (unsigned int)peer, link->other_vector);
}

/* @word: what the other's waiting word says. */
static void ring(const struct ivshmem_link *link, struct ivshmem_waiter *waiter, uint32_t word)
{
	struct ivshmem_rung rung = { .own = link->own };

	if (word % 4 == WAITING_IN_SET) {
		ivshmem_wake_end(link->directory, link->other, word, &rung);
		return;
	}
	switch (link->wakes_other) {
	case WAKEUP_DOORBELL:
		ring_by_doorbell(link);
		break;
	case WAKEUP_FUTEX:
		ivshmem_count_wakeup(link->own);
		ring_by_futex(waiter->bell);
		break;
	case WAKEUP_BACKOFF:
		break;
	}
}

void ivshmem_wake_other(const struct ivshmem_link *link, struct ivshmem_waiter *waiter)
{
	uint32_t word = __atomic_load_n(waiter->other_word, __ATOMIC_RELAXED);

	if (word == waiter->handled)
		return;
	if (word % 4 == WAITING_DROWSY) {
		atomic_thread_fence(memory_order_seq_cst);
		word = __atomic_load_n(waiter->other_word, __ATOMIC_RELAXED);
		if (word % 4 == WAITING_DROWSY)
			return;
	}
	waiter->handled = word;
	if (ivshmem_word_sleeps(word))
		ring(link, waiter, word);
}

/* Whatever its waiting words say; they may be of another time. Any thread. */
void ivshmem_wake_surely(const struct ivshmem_link *link, struct ivshmem_slot_end *own)
{
	struct ivshmem_rung rung = { .own = link->own };

	if (link->other && __atomic_load_n(&link->other->set, __ATOMIC_RELAXED))
		ivshmem_wake_end(link->directory, link->other, WAITING_IN_SET, &rung);
	if (link->wakes_other == WAKEUP_DOORBELL) {
		ring_by_doorbell(link);
	} else if (link->wakes_other == WAKEUP_FUTEX) {
		ring_by_futex(&own->receiver_bell);
		ring_by_futex(&own->sender_bell);
	}
}

/* --- sleeping --- */

/* One that is watched already is no fault: the last try may have failed on the way. */
int ivshmem_watch(int epoll, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 && errno != EEXIST ? -errno : 0;
}

/*
 * Whether the other end knows how to ring this one. Without a server it may have been
 * told that this peer has left: then it does not; nor once this end has joined another
 * server, and did not tell yet.
 */
bool ivshmem_link_is_sure(const struct ivshmem_link *link)
{
	return link->wakeup != WAKEUP_DOORBELL || !link->shm->connection ||
	       (is_told(link) && !ivshmem_connection_has_ended(link->shm->connection));
}

/*
 * The server, which is asked, has no peer of its ID: the VM has left. It comes back with
 * another ID if it was hibernated; so this is not the end of a session.
 */
bool ivshmem_link_other_has_left(const struct ivshmem_link *link)
{
	struct ivshmem_connection *connection = link->shm->connection;
	int peer = ivshmem_link_other_peer(link);

	if (!connection || link->wakes_other != WAKEUP_DOORBELL || peer < 0)
		return false;
	ivshmem_connection_hear(connection);
	return ivshmem_connection_lacks(connection, (unsigned int)peer) && is_told(link);
}

/*
 * Adds what signals that this end was rung, that the device is gone or has another peer
 * ID, or that there is something to hear from the server. Each waiter is told of each ring
 * (edge-triggered), and none takes it away from another, as it would if it read the eventfd.
 */
int ivshmem_watch_doorbell(int epoll, const struct ivshmem_link *link)
{
	int event_fd = ivshmem_event_fd(link->shm, link->vector);
	int relay_fd = ivshmem_relay_fd(link->shm);
	int err;

	if (event_fd < 0 || relay_fd < 0)
		return event_fd < 0 ? event_fd : relay_fd;
	err = ivshmem_watch(epoll, event_fd, EPOLLIN | EPOLLET);
	if (!err)
		err = ivshmem_watch(epoll, relay_fd, EPOLLIN | EPOLLET);
	if (!err && link->shm->connection)
		err = ivshmem_watch(epoll, link->shm->connection->server.socket,
				    EPOLLIN | EPOLLET);
	if (!err && link->shm->backend->side == IVSHMEM_GUEST)
		err = ivshmem_watch(epoll, link->shm->fd, EPOLLHUP | EPOLLPRI);
	return err;
}

static int watch_cancels(int epoll, const struct ivshmem_link *link)
{
	int i, fd, err = 0;

	for (i = 0; !err && link->cancels[i]; i++) {
		fd = ivshmem_cancel_fd(link->cancels[i]);
		err = fd < 0 ? fd : ivshmem_watch(epoll, fd, EPOLLIN);
	}
	return err;
}

static int open_epoll(const struct ivshmem_link *link)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int err;

	if (epoll < 0)
		return -errno;
	err = ivshmem_watch_doorbell(epoll, link);
	if (!err)
		err = watch_cancels(epoll, link);
	if (err) {
		close(epoll);
		return err;
	}
	return epoll;
}

/* A timer that is not read does not go on. */
static void take_expirations(int timer)
{
	uint64_t count;

	while (read(timer, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

static bool is_server(const struct ivshmem_link *link, int fd)
{
	return link->shm->connection && fd == link->shm->connection->server.socket;
}

/*
 * Takes what was signalled, @timer and what the server says included. -ENODEV: the
 * device is gone.
 */
int ivshmem_wakeup_take(struct ivshmem_link *link, int epoll, int timer)
{
	struct epoll_event events[8];
	bool changed = false;
	int i, count;

	count = epoll_wait(epoll, events, 8, 0);
	if (count < 0)
		return -errno;
	for (i = 0; i < count; i++) {
		if (events[i].data.fd == link->shm->fd && events[i].events & EPOLLHUP)
			return -ENODEV;
		if (events[i].data.fd == link->shm->fd)
			changed = true;
		if (events[i].data.fd == timer)
			take_expirations(timer);
		if (is_server(link, events[i].data.fd))
			ivshmem_connection_hear(link->shm->connection);
	}
	if (link->can & WAKE_RINGABLE)
		ivshmem_link_tell_peer(link, changed);
	return 0;
}

/*
 * poll(2) goes on where the kernel has interrupted it for its own sake, such as to take an
 * io_uring apart; epoll_wait(2) says EINTR, though no signal came.
 */
static int sleep_by_doorbell(struct ivshmem_link *link, struct ivshmem_waiter *waiter,
			     int64_t ns)
{
	struct pollfd poller = { .events = POLLIN };
	int err;

	if (waiter->joins != link->joins)
		ivshmem_waiter_close(waiter);
	if (waiter->epoll < 0) {
		int epoll = open_epoll(link);

		if (epoll < 0)
			return epoll;
		waiter->epoll = epoll;
		waiter->joins = link->joins;
	}
	poller.fd = waiter->epoll;
	err = ivshmem_poll_until(&poller, 1, ivshmem_now() + ns);
	if (err && err != -ETIMEDOUT)
		return err;
	/* Also when nothing came: another end with this handle may have been told of a new ID. */
	return ivshmem_wakeup_take(link, waiter->epoll, -1);
}

static int sleep_by_futex(const struct ivshmem_link *link, const struct ivshmem_waiter *waiter,
			  uint32_t bell, int64_t ns)
{
	struct ivshmem_futex futexes[MAX_FUTEXES] = { { waiter->other_bell, bell, true } };
	unsigned int count = 1;
	int i, err;

	for (i = 0; link->cancels[i]; i++)
		futexes[count++] = (struct ivshmem_futex) { &link->cancels[i]->raised, 0, false };
	err = ivshmem_futex_wait(futexes, count, ns);
	return err == -ETIMEDOUT ? 0 : err;
}

/*
 * Until this end is rung, or @ns have passed. @bell is what the other end's bell was
 * before this end said that it is asleep.
 */
int ivshmem_sleep(struct ivshmem_link *link, struct ivshmem_waiter *waiter,
		  uint32_t bell, int64_t ns)
{
	if (link->wakeup == WAKEUP_DOORBELL)
		return sleep_by_doorbell(link, waiter, ns);
	return sleep_by_futex(link, waiter, bell, ns);
}

/*
 * Where nothing wakes: as ivshmem_pause(). -ENODEV: the device went meanwhile; to look at
 * memory, which went with it, would end the program.
 */
int ivshmem_link_pause(const struct ivshmem_link *link, int64_t *pause, int64_t longest,
		       int64_t deadline)
{
	const struct ivshmem_backend *backend = link->shm->backend;
	int err = ivshmem_pause(pause, longest, deadline, link->cancels);

	if (backend->side == IVSHMEM_GUEST && backend->check(link->shm) == -ENODEV)
		return -ENODEV;
	return err;
}

bool ivshmem_link_is_cancelled(const struct ivshmem_link *link)
{
	int i;

	for (i = 0; link->cancels[i]; i++)
		if (ivshmem_is_cancelled(link->cancels[i]))
			return true;
	return false;
}
