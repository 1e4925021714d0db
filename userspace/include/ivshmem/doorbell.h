/* SPDX-License-Identifier: MIT */
/*
 * Interrupts between peers. A region with a doorbell is shared by peers: guests, and
 * host programs that opened "unix:/path/of/server.sock". Each has an ID and a number of
 * vectors, and may ring any vector of any other.
 *
 * What is guaranteed: after a ring, the rung vector is signalled at least once,
 * and stores made before the ring are visible to whoever takes it. Rings may be
 * merged: a count tells that there was at least one, not how many.
 *
 * When rings may have been lost, since the guest has slept, or its device was reset, or it
 * was restored by QEMU, all vectors of the guest are signalled. So a signal may come
 * without a ring, but no ring without a signal: look into the region for what there is to
 * do. See ivshmem(4) for what a VM has to have so that it is told that it was restored.
 *
 * The server of a "unix:" region tells who comes and who goes. The library takes what
 * it says whenever it waits for a ring, rings, or asks for news, and keeps the news for
 * ivshmem_peer_next(). A program that sleeps in a poll(2) of its own should have
 * ivshmem_peer_fd() in it, besides its ivshmem_event_fd().
 *
 * When the connection to the server has ended, because the server ended, was killed, or
 * dropped this peer, the memory, the peers in the table and the own vectors go on
 * working. But nobody new can ring this end; and where only this peer was dropped, the
 * others were told that it has left, and can't ring it either. So it is told:
 * ivshmem_wait() returns -ECONNRESET once for each vector, and waits on when it is
 * called again; ivshmem_check() says -ECONNRESET from then on; channels no longer trust
 * in rings, and look for messages themselves. To be a peer again, call ivshmem_rejoin().
 *
 * Thread-safety: any number of threads may make all of these calls at the same time.
 *
 * fork(2): on a child's copy of a handle all of them return -ECHILD.
 */
#ifndef IVSHMEM_DOORBELL_H
#define IVSHMEM_DOORBELL_H

#include <ivshmem/base.h>
#include <ivshmem/region.h>

#include <stddef.h>
#include <stdint.h>

IVSHMEM_BEGIN_DECLS

/**
 * ivshmem_peer_id() - The ID that others ring this end by.
 * @shm: Open handle.
 *
 * A guest has another one after hibernation: its device then is a new peer of the server.
 * Until this call, or another one with the same handle, has told the new ID, poll(2) says
 * POLLPRI on ivshmem_fd(), for who asks for it. All vectors are signalled, too. Channels
 * tell each other by themselves.
 *
 * Context: Any thread.
 * Return: 0 to 65535; -EINVAL (NULL); -ENOTSUP (a plain region); -EAGAIN (the guest's
 * device has none for the moment: it is being reset, or its server has not answered yet);
 * -ENODEV (the device is gone).
 * Since: 0.1
 */
int ivshmem_peer_id(const struct ivshmem *shm);

/**
 * ivshmem_vectors() - Number of vectors of this end.
 * @shm: Open handle.
 *
 * Return: The count, 0 for a plain region; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_vectors(const struct ivshmem *shm);

/**
 * ivshmem_notify() - Ring one vector of one peer.
 * @shm: Open handle.
 * @peer: ID of the peer, 0 to 65535.
 * @vector: Vector of that peer, 0 to 255.
 *
 * Never waits. All stores to the mapping before the call are visible to the peer
 * when it takes the ring. In a guest success says that the doorbell was rung: the
 * device does not tell whether there is such a peer or vector.
 *
 * Context: Any thread, also several at once.
 * Return: 0; -EINVAL (NULL, or out of range); -EACCES (the handle is
 * IVSHMEM_RDONLY); -ENOTSUP (a plain region); -ENXIO (host: no such peer, or it has
 * no such vector); -ENODEV (the device is gone).
 * Since: 0.1
 */
int ivshmem_notify(struct ivshmem *shm, unsigned int peer, unsigned int vector);

/**
 * ivshmem_event_fd() - Descriptor that a vector signals, for poll(2) or epoll(7).
 * @shm: Open handle.
 * @vector: Vector of this end, below ivshmem_vectors().
 *
 * An eventfd(2), non-blocking: readable when the vector was rung, and once when
 * the device goes. Read its 8 bytes, or call ivshmem_wait() with a timeout of 0,
 * to take the rings. In a guest the first call for a vector binds it; a ring that
 * came before anybody had bound it is not lost.
 *
 * Context: Any thread.
 * Return: A file descriptor, owned by the handle; -EINVAL (NULL, or no such
 * vector); -EACCES (the handle is IVSHMEM_RDONLY); -ENOTSUP (a plain region); -ENODEV
 * (the device is gone); -ENOSPC (too many descriptors are bound to the vector);
 * -EMFILE, -ENFILE, -ENOMEM.
 * Since: 0.1
 */
int ivshmem_event_fd(struct ivshmem *shm, unsigned int vector);

/**
 * ivshmem_wait() - Wait for a ring of one vector.
 * @shm: Open handle.
 * @vector: Vector of this end, below ivshmem_vectors().
 * @timeout_ms: Milliseconds to wait; 0 polls, negative waits for ever.
 *
 * Rings that came since the last wait are taken together. Stores that the peer
 * made before it rang are visible on return.
 *
 * Context: Any thread. Of several that wait for one vector, one takes the ring.
 * Return: The number of rings taken (at least 1, at most INT_MAX); -ETIMEDOUT;
 * -EINTR (a signal came); -ECANCELED (by ivshmem_cancel()); -ECONNRESET (the connection
 * to the server has ended; once for each vector, after all rings that came before: the
 * next call waits on); -EINVAL (NULL, or no such vector); -ENOTSUP (a plain region);
 * -ENODEV (the device is gone); the errors of ivshmem_event_fd().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_wait(struct ivshmem *shm, unsigned int vector, int timeout_ms);

/**
 * ivshmem_set_busy_poll() - Let ivshmem_wait() look for rings before it sleeps.
 * @shm: Open handle.
 * @microseconds: How long; 0, as it is at first, sleeps at once.
 *
 * Looking keeps a processor busy, and spares the time that sleeping and waking
 * takes. It pays where a ring mostly comes so soon, and where there is a processor
 * to spare. Never longer than the timeout. A signal that comes meanwhile does not
 * end the wait.
 *
 * Context: Any thread; calls of ivshmem_wait() that have begun are not changed.
 * Return: 0; -EINVAL (NULL); -ENOTSUP (a plain region).
 * Since: 0.1
 */
int ivshmem_set_busy_poll(struct ivshmem *shm, unsigned int microseconds);

/**
 * enum ivshmem_peer_change - What happened to a peer.
 * @IVSHMEM_PEER_JOINED: It can be rung. Its further vectors may follow.
 * @IVSHMEM_PEER_LEFT: It is gone, and its ID free for another.
 */
enum ivshmem_peer_change {
	IVSHMEM_PEER_JOINED,
	IVSHMEM_PEER_LEFT,
};

/**
 * ivshmem_peers() - The other peers, as far as the server has told.
 * @shm: Open handle of a "unix:" region.
 * @ids: Filled with their IDs, ascending; may be NULL if @max is 0.
 * @max: Room in @ids.
 *
 * As far as the library has taken the server's messages, so it may know more than
 * ivshmem_peer_next() has told.
 *
 * Context: Any thread.
 * Return: The number of peers, which may be more than @max; -EINVAL (NULL);
 * -ENOTSUP (a guest's device, which cannot tell, or a plain region).
 * Since: 0.1
 */
int ivshmem_peers(const struct ivshmem *shm, uint16_t *ids, size_t max);

/**
 * ivshmem_peer_vectors() - Number of vectors of another peer.
 * @shm: Open handle of a "unix:" region.
 * @peer: ID of the peer.
 *
 * Context: Any thread.
 * Return: The count, at least 1; -ENXIO (no such peer); -EINVAL; -ENOTSUP (as
 * for ivshmem_peers()).
 * Since: 0.1
 */
int ivshmem_peer_vectors(const struct ivshmem *shm, unsigned int peer);

/**
 * ivshmem_peer_fd() - Descriptor for poll(2): readable when the server has news.
 * @shm: Open handle of a "unix:" region.
 *
 * It stays the same, and readable until ivshmem_peer_next() has told all news, and the
 * end of the connection.
 *
 * Context: Any thread.
 * Return: A file descriptor, owned by the handle; -EINVAL (NULL); -ENOTSUP;
 * -ECONNRESET or -EPROTO (the connection has ended, see ivshmem_peer_next(), and there
 * are no news from before).
 * Since: 0.1
 */
int ivshmem_peer_fd(const struct ivshmem *shm);

/**
 * ivshmem_peer_next() - Take the next change among the peers.
 * @shm: Open handle of a "unix:" region.
 * @timeout_ms: Milliseconds to wait; 0 polls, negative waits for ever.
 * @change: Set to what happened.
 * @peer: Set to the ID of the peer.
 *
 * The peers that were there at ivshmem_open() are in the table, and give no event. Who
 * joined and left again before anybody asked gives none, either.
 *
 * Context: Any thread. Each change is told to one of them.
 * Return: 0; -ETIMEDOUT; -EINTR; -ECANCELED; -EINVAL (NULL); -ENOTSUP; -ECONNRESET (the
 * server closed the connection); -EPROTO (it sent what the protocol does not
 * allow, and the connection was closed); -ENOMEM, -EMFILE.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_peer_next(struct ivshmem *shm, int timeout_ms,
		      enum ivshmem_peer_change *change, unsigned int *peer);

IVSHMEM_END_DECLS

#endif /* IVSHMEM_DOORBELL_H */
