/* SPDX-License-Identifier: MIT */
/*
 * Services: a name that any number of clients connect to, each of which gets a channel of its
 * own; and calls, which are questions that have answers, over channels of whatever kind. See
 * ivshmem_listen(3) and ivshmem-channel(7).
 *
 * Thread-safety: a listener takes one call at a time. The channels that it gave are used as all
 * channels, by any threads, also after the listener was closed. ivshmem_call() and its kin take
 * the channel for themselves.
 *
 * fork(2): a child's copy of a listener is inert: all calls but ivshmem_listener_close() return
 * -ECHILD.
 *
 * Trust: nothing that a client writes into the region can do more to the server than to waste
 * the time that a look at it takes, to have a client of that name refused, or what
 * <ivshmem/channel.h> says of the client's own channel. A program that may write to the region
 * can fill the directory with objects, by a service or without one.
 */
#ifndef IVSHMEM_SERVICE_H
#define IVSHMEM_SERVICE_H

#include <ivshmem/base.h>
#include <ivshmem/channel.h>
#include <ivshmem/region.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

IVSHMEM_BEGIN_DECLS

struct ivshmem_listener;

/** IVSHMEM_LISTEN_TAKE_OVER - Take a service that a program under another kernel may have. */
#define IVSHMEM_LISTEN_TAKE_OVER	(1u << 0)

/**
 * ivshmem_make_service() - Make a service beforehand, with rings of a size.
 * @shm: Open handle of a formatted region, not IVSHMEM_RDONLY.
 * @name: Its name, as for ivshmem_channel_create().
 * @client_ring: Size of the ring that each client writes, in bytes, up to 4 GiB, rounded up to a
 *               multiple of 4096. 0 is the size that ivshmem_format() was told. The longest
 *               message is half of the ring, less 8 bytes.
 * @server_ring: The same of the ring that the server writes for each client.
 *
 * It stays until ivshmem_remove(), also when nobody listens. It has no memory of its own: the
 * rings are made for each client that connects.
 *
 * A service need not be made by this call: ivshmem_listen() makes one that is not there, with
 * rings of the size that ivshmem_format() was told. That one goes when nobody listens.
 *
 * Context: Any thread.
 * Return: As for ivshmem_make_channel().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_make_service(struct ivshmem *shm, const char *name, uint64_t client_ring,
			 uint64_t server_ring);

/**
 * ivshmem_listen() - Become the server of a service.
 * @listener: Set to the listener, to be freed with ivshmem_listener_close().
 * @shm: Open handle of a formatted region, not IVSHMEM_RDONLY. It may be closed before.
 * @name: Name of the service, as for ivshmem_channel_create().
 * @flags: 0 or IVSHMEM_LISTEN_TAKE_OVER.
 *
 * One program listens at a time. Of a program under the same kernel it is known whether it
 * lives; of one under another kernel, which may have crashed, it is not: IVSHMEM_LISTEN_TAKE_OVER
 * takes the service from it. If it still lives, it gets -ECONNRESET from ivshmem_accept(), and
 * keeps the clients that it has.
 *
 * Clients that were waiting for a server before are accepted as those that come later.
 *
 * Context: Any thread.
 * Return: 0; -EBUSY (a program listens, or may); -ENOSPC (the region has no room for one more
 * object); -EPROTOTYPE (the object of that name is no service); -EUCLEAN (the service says
 * nothing that makes sense); -EINVAL (NULL, bad name, unknown flag); -EACCES (the handle is
 * IVSHMEM_RDONLY); -EAGAIN (other programs make and remove objects all the time); -ECHILD;
 * -ENOMEM; the errors of ivshmem_layout_read().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_listen(struct ivshmem_listener **listener, struct ivshmem *shm, const char *name,
		   unsigned int flags);

/**
 * ivshmem_listener_close() - Listen no more.
 * @listener: Listener, or NULL.
 *
 * The channels that ivshmem_accept() gave stay as they are. Clients that it did not give yet wait
 * for another server; those that were already told that they are connected get -EPIPE.
 * Since: 0.1
 */
void ivshmem_listener_close(struct ivshmem_listener *listener);

/**
 * ivshmem_listener_set_limit() - How many clients a peer may have.
 * @listener: Listener.
 * @clients: At least 1. At first half of the objects that the region has room for, at least 1.
 *
 * Who has more is refused: ivshmem_connect() fails with -ECONNREFUSED there. Those that
 * are accepted already stay.
 *
 * A peer is a program under this kernel, by its process ID; or all programs of a guest, by
 * their peer ID, or where there is none, by their kernel. All this is what clients say of
 * themselves in the region, which nobody can check: a program that lies has as many shares as it
 * likes, or uses up another's.
 *
 * Return: 0; -EINVAL (NULL, or 0); -ECHILD.
 * Since: 0.1
 */
int ivshmem_listener_set_limit(struct ivshmem_listener *listener, unsigned int clients);

/**
 * ivshmem_accept() - Wait for the next client.
 * @channel: Set to the client's channel, to be freed with ivshmem_channel_close(). This is the
 *           connector's end, the client has the creator's.
 * @listener: Listener.
 * @timeout_ms: Milliseconds to wait; 0 does not wait, negative waits for ever.
 *
 * Clients come in no particular order, but none is left out. The channel is open, and used as
 * any other. Once both ends are closed, it goes.
 *
 * A client that has lost its server calls ivshmem_channel_reconnect(), and is a new client to
 * the server as soon as that has closed the channel it had. The server's end does not
 * reconnect by itself: close it.
 *
 * A client that can neither ring the server nor shares a kernel with it, or that was not
 * noticed for another reason, is found some milliseconds later, at the latest after a second.
 *
 * Return: 0; -EAGAIN (nobody is there, and @timeout_ms is 0); -ETIMEDOUT; -EINTR; -ECANCELED (by
 * ivshmem_cancel()); -ECONNRESET (the service was removed or taken over, or the region was
 * formatted anew: close the listener, and listen again); -ENOMEM, -EMFILE (the client is still
 * there for the next call); -ENODEV; -EINVAL (NULL); -ECHILD.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_accept(struct ivshmem_channel **channel, struct ivshmem_listener *listener,
		   int timeout_ms);

/**
 * ivshmem_connect() - Connect to a service.
 * @channel: Set to the channel, to be freed with ivshmem_channel_close().
 * @shm: As for ivshmem_listen().
 * @name: Name of the service.
 * @timeout_ms: Milliseconds to wait until the server has accepted; negative waits for ever.
 *
 * Server and clients come in whatever order. The channel is made for this client, and is used as
 * any other. After the server was lost ivshmem_channel_reconnect() waits for the next one.
 *
 * Where it gives up, nothing is left of it. A program that wants to do something else
 * meanwhile takes ivshmem_connect_begin().
 *
 * Context: Any thread.
 * Return: 0; -ETIMEDOUT (no server has accepted); -ECONNREFUSED (the server has as many clients
 * of this peer as it takes: see ivshmem_listener_set_limit()); -ENOSPC (the region has no room
 * for one more channel, or there is no memory for its rings on the file's filesystem);
 * -EPROTOTYPE (the object of that name is no service); -EUCLEAN (the service says nothing that
 * makes sense); -EINVAL (NULL, bad name); -EACCES (the handle is IVSHMEM_RDONLY); -ESTALE (the
 * region's file was truncated or replaced); -EINTR; -ECANCELED (by ivshmem_cancel()); -ENODEV;
 * -ECHILD; -ENOMEM, -EMFILE; the errors of ivshmem_layout_read().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_connect(struct ivshmem_channel **channel, struct ivshmem *shm, const char *name,
		    int timeout_ms);

/**
 * ivshmem_connect_begin() - Begin to connect to a service, without waiting.
 * @channel: Set to the channel, to be freed with ivshmem_channel_close().
 * @shm: As for ivshmem_listen().
 * @name: Name of the service.
 *
 * ivshmem_channel_finish() goes on with it, as after ivshmem_channel_begin().
 *
 * Context: Any thread.
 * Return: 0; the errors of ivshmem_connect(), but for -ETIMEDOUT, -EINTR and -ECANCELED.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_connect_begin(struct ivshmem_channel **channel, struct ivshmem *shm,
			  const char *name);

/**
 * ivshmem_call() - Ask, and wait for the answer.
 * @channel: Channel, whose other end answers with ivshmem_call_recv() and ivshmem_call_answer().
 * @question: The question; may be NULL if @length is 0.
 * @length: Bytes, 0 to ivshmem_channel_max_length() - IVSHMEM_CALL_HEADER.
 * @answer: Filled with the answer; may be NULL if @room is 0.
 * @room: Room in @answer, in bytes.
 * @timeout_ms: Milliseconds for all of it; 0 does not wait, negative waits for ever.
 *
 * Where it gives up after the question was sent, the answer may come later: the next
 * ivshmem_call() drops it. A channel that is used for calls is used for nothing else, in either
 * direction. One question is under way at a time; who wants several has several channels.
 *
 * Return: The answer's length, maybe 0; -EAGAIN (@timeout_ms is 0 and there is no answer yet),
 * -ETIMEDOUT, -EINTR, -ECANCELED (in all of these the question may have been sent); -EMSGSIZE
 * (the question is too long, and was not sent; or the answer is longer than @room, and was
 * dropped); -EBADMSG (what came is no answer, and was dropped: the other end does not answer by
 * these calls); the errors of ivshmem_channel_send() and ivshmem_channel_recv().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
ssize_t ivshmem_call(struct ivshmem_channel *channel, const void *question, size_t length,
		     void *answer, size_t room, int timeout_ms);

/** IVSHMEM_CALL_HEADER - Bytes in front of each question and answer, which hold its number. */
#define IVSHMEM_CALL_HEADER	8

/**
 * ivshmem_call_recv() - Receive a question.
 * @channel: Channel, whose other end asks by ivshmem_call().
 * @number: Set to the question's number, for ivshmem_call_answer().
 * @question: Filled with the question; may be NULL if @room is 0.
 * @room: Room in @question, in bytes.
 * @timeout_ms: As for ivshmem_channel_recv().
 *
 * Questions may be answered in any order, at any time, or never.
 *
 * Return: The question's length, maybe 0; -EMSGSIZE (it is longer than @room, and was dropped;
 * @number is set, so that it can be answered all the same); -EBADMSG (what came is no question,
 * and was dropped); the errors of ivshmem_channel_recv().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
ssize_t ivshmem_call_recv(struct ivshmem_channel *channel, uint32_t *number, void *question,
			  size_t room, int timeout_ms);

/**
 * ivshmem_call_answer() - Answer a question.
 * @channel: Channel.
 * @number: Of the question.
 * @answer: The answer; may be NULL if @length is 0.
 * @length: Bytes, 0 to ivshmem_channel_max_length() - IVSHMEM_CALL_HEADER.
 * @timeout_ms: As for ivshmem_channel_send(). A server of many clients says 0: it is only a
 *              client that does not take its answers who makes it wait.
 *
 * Return: As for ivshmem_channel_send().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_call_answer(struct ivshmem_channel *channel, uint32_t number, const void *answer,
			size_t length, int timeout_ms);

IVSHMEM_END_DECLS

#endif /* IVSHMEM_SERVICE_H */
