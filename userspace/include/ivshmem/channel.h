/* SPDX-License-Identifier: MIT */
/*
 * Channels: messages between two programs, in both directions, in order, none
 * lost, none merged or cut. See ivshmem-channel(7).
 *
 * Thread-safety: one thread may send while another receives. Beside them any thread may
 * call ivshmem_channel_alive(), _max_length(), _wakeup(), _cancel() and _uncancel().
 * Everything else takes the channel for itself.
 *
 * fork(2): a child's copy of a channel is inert. All calls but ivshmem_channel_close(),
 * which only frees memory then, _max_length() and _wakeup() return -ECHILD, and
 * ivshmem_channel_fd_wakeup() NULL. A child opens the region anew.
 *
 * Trust: nothing that the other side writes into the region can do more to this
 * side than to make a call fail with -EPROTO, -ESTALE, -EHOSTDOWN or -ECONNRESET, to make it wait
 * until its timeout, or to deliver wrong bytes.
 */
#ifndef IVSHMEM_CHANNEL_H
#define IVSHMEM_CHANNEL_H

#include <ivshmem/base.h>
#include <ivshmem/format.h>
#include <ivshmem/region.h>

#include <stddef.h>
#include <sys/types.h>

IVSHMEM_BEGIN_DECLS

struct ivshmem_channel;

/** IVSHMEM_CHANNEL_TAKE_OVER - Take an end that another program may still have. */
#define IVSHMEM_CHANNEL_TAKE_OVER	(1u << 0)

/** IVSHMEM_MORE - More messages follow at once: they are passed on together. */
#define IVSHMEM_MORE			(1u << 0)

/**
 * ivshmem_channel_create() - Create a channel, and wait for the other side.
 * @channel: Set to the channel, to be freed with ivshmem_channel_close().
 * @shm: Open handle of a formatted region, not IVSHMEM_RDONLY. It need not be mapped.
 *       It may be closed before the channel, which goes on then.
 * @name: Name of the channel: letters, digits, "-", "_", "." and "+", not starting
 *        with a dot, 1 to 55 of them.
 * @flags: 0 or IVSHMEM_CHANNEL_TAKE_OVER.
 * @timeout_ms: Milliseconds to wait for the other side; negative waits for ever.
 *
 * One program creates the channel, one other connects to it, in either order. Who creates
 * it makes it if it is not there, with rings of the size that ivshmem_format() was told;
 * ivshmem_make_channel() makes one with other rings beforehand.
 *
 * An end whose program has ended without closing it is free. That can be told
 * only of a program under the same kernel: where the end is in the hands of one
 * under another kernel, which may have crashed, IVSHMEM_CHANNEL_TAKE_OVER is
 * needed; the program that had it gets -ECONNRESET if it still lives.
 *
 * Where it gives up, the channel is as if it had not been tried. A program that wants to
 * do something else in between takes ivshmem_channel_begin().
 *
 * Context: Any thread.
 * Return: 0; -ETIMEDOUT (the other side did not come); -EBUSY (another program
 * has this end); -ENOSPC (the region has no room for one more channel, or there is no memory
 * for its rings on the file's filesystem); -EPROTOTYPE (the object of that name is no
 * channel); -ESTALE (the region's file was truncated or replaced, see ivshmem_check());
 * -EINVAL (NULL, bad name, unknown flag); -EACCES (the handle is IVSHMEM_RDONLY); -EINTR;
 * -ECANCELED (by ivshmem_cancel()); -ENODEV; -ENOMEM, -EMFILE; the errors of
 * ivshmem_layout_read().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_channel_create(struct ivshmem_channel **channel, struct ivshmem *shm,
			   const char *name, unsigned int flags, int timeout_ms);

/**
 * ivshmem_channel_connect() - Connect to a channel that another program creates.
 * @channel: Set to the channel, to be freed with ivshmem_channel_close().
 * @shm: As for ivshmem_channel_create().
 * @name: Name of the channel.
 * @flags: 0 or IVSHMEM_CHANNEL_TAKE_OVER.
 * @timeout_ms: Milliseconds to wait for the other side; negative waits for ever.
 *
 * Context: Any thread.
 * Return: As for ivshmem_channel_create(); -ENOSPC only for want of memory.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_channel_connect(struct ivshmem_channel **channel, struct ivshmem *shm,
			    const char *name, unsigned int flags, int timeout_ms);

/**
 * ivshmem_channel_begin() - Begin to open a channel, without waiting.
 * @channel: Set to the channel, to be freed with ivshmem_channel_close().
 * @shm: As for ivshmem_channel_create().
 * @name: Name of the channel.
 * @end: IVSHMEM_END_CREATOR creates the channel, IVSHMEM_END_CONNECTOR connects to it.
 * @flags: 0 or IVSHMEM_CHANNEL_TAKE_OVER.
 *
 * The channel is open once ivshmem_channel_finish() has returned 0; until then all that
 * sends or receives fails with -ENOTCONN. ivshmem_channel_create() and
 * ivshmem_channel_connect() are these two calls in one.
 *
 * Context: Any thread.
 * Return: 0; the errors of ivshmem_channel_create(), but for -ETIMEDOUT, -EINTR and
 * -ECANCELED.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_channel_begin(struct ivshmem_channel **channel, struct ivshmem *shm,
			  const char *name, enum ivshmem_end end, unsigned int flags);

/**
 * ivshmem_channel_finish() - Go on with opening a channel.
 * @channel: Channel of ivshmem_channel_begin(), or one that ivshmem_channel_reconnect() did
 *           not get back in time.
 * @timeout_ms: Milliseconds to wait for the other side; 0 does what can be done now;
 *              negative waits for ever.
 *
 * Call it again after -ETIMEDOUT, as often as needed: it goes on where it was. An event
 * loop calls it with 0, once after ivshmem_channel_begin(), then whenever
 * ivshmem_channel_fd() is readable.
 *
 * Return: 0 (the channel is open); -ETIMEDOUT (not yet); -ENOTCONN (the other side was lost,
 * as was told, and the last ivshmem_channel_reconnect() failed or there was none, so that
 * nothing is under way); -EINTR; -ECANCELED;
 * -EINVAL (NULL); the errors of ivshmem_channel_create().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_channel_finish(struct ivshmem_channel *channel, int timeout_ms);

/**
 * ivshmem_channel_cancel() - End the calls of a channel that wait.
 * @channel: Channel.
 *
 * What ivshmem_cancel() does for a whole handle, for one channel: sending, receiving,
 * finishing and reconnecting, in whatever thread, until ivshmem_channel_uncancel().
 *
 * Context: Any thread, and signal handlers (it is async-signal-safe), as long as the
 * channel is not closed.
 * Return: 0; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_channel_cancel(struct ivshmem_channel *channel);

/**
 * ivshmem_channel_uncancel() - Let the calls of a channel wait again.
 * @channel: Channel.
 *
 * Context: As for ivshmem_channel_cancel().
 * Return: 0; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_channel_uncancel(struct ivshmem_channel *channel);

/**
 * ivshmem_channel_reconnect() - Go on after the other side was lost.
 * @channel: Channel that has failed with -ECONNRESET, -ESTALE, -EPIPE or -EPROTO, or any
 *           other that is to start afresh.
 * @timeout_ms: Milliseconds to wait for the other side; negative waits for ever.
 *
 * Messages that are still on their way, in both directions, are dropped. So is what was
 * reserved, and all that was peeked at is released. Until it has returned 0, all that
 * sends or receives fails with -ENOTCONN. After -ETIMEDOUT, call it again, or
 * ivshmem_channel_finish(): both go on where it was.
 *
 * If the channel was removed meanwhile, the creator makes it again, and the connector finds
 * that one. ivshmem_channel_max_length() may be another one then.
 *
 * Return: 0; -ETIMEDOUT (the other side did not come: call again); -EBUSY
 * (another program has taken this end over); -ESTALE (the region was formatted anew, or its
 * file was truncated or replaced: close the channel and the region, and open both again);
 * -ENOSPC, -EPROTOTYPE (the channel was removed, and there is no room for it, or another
 * object has its name); -EINTR; -ECANCELED; -EINVAL (NULL); the errors of
 * ivshmem_layout_read().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_channel_reconnect(struct ivshmem_channel *channel, int timeout_ms);

/**
 * ivshmem_channel_close() - Close this end.
 * @channel: Channel, or NULL.
 *
 * The other side can still take the messages that were sent, then gets -EPIPE.
 * Messages that were reserved or committed with IVSHMEM_MORE and not passed on
 * are dropped. Pointers to messages that were peeked at or reserved are no longer valid.
 * Since: 0.1
 */
void ivshmem_channel_close(struct ivshmem_channel *channel);

/**
 * ivshmem_channel_alive() - Does the other side live?
 * @channel: Channel.
 *
 * Takes about a microsecond. Where this says 0, what sends and receives fails from then
 * on, too, after the messages that have arrived.
 *
 * Context: Any thread, also beside one that sends and one that receives; none that
 * reconnects or closes.
 * Return: 1 (its program lives); 0 (it has closed, was replaced, or its program has ended;
 * this end was taken over; or there is no session: reconnect); -ENOTSUP (that can't be
 * told: it runs under another kernel, or could not lock the region's file, or locked
 * another node of the device); -EHOSTDOWN (that can't be told, either, but its VM has left
 * the server: see ivshmem-channel(7)); -ECHILD (a child's copy, after fork(2)); -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_channel_alive(struct ivshmem_channel *channel);

/**
 * ivshmem_channel_max_length() - The longest message that this end can send.
 * @channel: Channel.
 *
 * Return: Bytes: half the ring that this end writes, less 8. The other direction may have
 * another limit. 0 for NULL, and as long as a channel that is opened in steps was not found.
 * Since: 0.1
 */
size_t ivshmem_channel_max_length(const struct ivshmem_channel *channel);

/**
 * ivshmem_channel_set_spin() - How long to look before sleeping.
 * @channel: Channel.
 * @microseconds: Time to poll the memory with the processor busy, before the
 *                thread sleeps; 50 at first. A wait that is shorter has the
 *                latency of the cache line. UINT_MAX never sleeps. While both
 *                ends are on one processor, they sleep at once all the same.
 *
 * Return: 0; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_channel_set_spin(struct ivshmem_channel *channel, unsigned int microseconds);

/**
 * ivshmem_channel_set_backoff() - How long to sleep where nothing can wake.
 * @channel: Channel.
 * @microseconds: At least 1; 1000 at first. Where there is neither a doorbell nor
 *                one kernel for both sides, a waiting thread looks again after
 *                ever longer sleeps up to this: the worst delay of a message. Where there
 *                was a doorbell, but the connection to the server has ended, up to 16 times
 *                this, unless a ring comes all the same.
 *
 * Return: 0; -EINVAL (NULL, or 0).
 * Since: 0.1
 */
int ivshmem_channel_set_backoff(struct ivshmem_channel *channel, unsigned int microseconds);

/**
 * ivshmem_channel_wakeup() - How the other side wakes this one.
 * @channel: Channel.
 *
 * Return: "doorbell", "futex", or "backoff" (it can't: this side looks again after
 * a while); a constant. NULL for NULL.
 * Since: 0.1
 */
const char *ivshmem_channel_wakeup(const struct ivshmem_channel *channel);

/**
 * ivshmem_channel_send() - Send one message.
 * @channel: Channel.
 * @buffer: The message; may be NULL if @length is 0.
 * @length: Bytes, 0 to ivshmem_channel_max_length().
 * @timeout_ms: Milliseconds to wait for room; 0 does not wait, negative waits for
 *              ever.
 *
 * Passes on the messages that were committed with IVSHMEM_MORE, too.
 *
 * Return: 0; -EAGAIN (no room, and @timeout_ms is 0); -ETIMEDOUT; -EINTR (a
 * signal came while it slept; nothing was sent); -EMSGSIZE (too long); -EPIPE (the
 * other side has closed); -ECONNRESET (the other side was replaced, or is dead, or
 * this end was taken over: told once to who sends, and once to who receives; see
 * ivshmem-channel(7)); -ESTALE (the memory went back in time, or was moved: told likewise;
 * ivshmem_channel_reconnect()); -EHOSTDOWN (the VM of the other side has left the server: told
 * once to who sends, and once to who receives; nothing was sent, and the session goes on: see
 * ivshmem-channel(7)); -ENOTCONN (told before: ivshmem_channel_reconnect());
 * -EPROTO (the other side wrote what can't be; told until reconnected); -ECANCELED (by
 * ivshmem_cancel() or ivshmem_channel_cancel(); nothing was sent); -ENODEV
 * (the device is gone); -EBUSY (a reserved message is open: ivshmem_channel_commit()
 * sends it, ivshmem_channel_unreserve() drops it); -EINVAL (NULL).
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_channel_send(struct ivshmem_channel *channel, const void *buffer,
			 size_t length, int timeout_ms);

/**
 * ivshmem_channel_recv() - Receive one message.
 * @channel: Channel.
 * @buffer: Filled with the message.
 * @length: Room in @buffer, in bytes.
 * @timeout_ms: Milliseconds to wait; 0 does not wait, negative waits for ever.
 *
 * Messages that ivshmem_channel_peek() gave stay as they are.
 *
 * A call that waits copies a message of 64 KiB or more while the other side still sends it by
 * ivshmem_channel_send(). So @buffer may hold a part of one where the call fails. That message
 * was not received: the next call begins with it anew, unless the other side has died.
 *
 * Return: The message's length, maybe 0; -EAGAIN (no message, and @timeout_ms is
 * 0); -ETIMEDOUT; -EINTR; -EMSGSIZE (@length is too small; the message stays);
 * -EBUSY (ivshmem_channel_read() has begun a message: call it until that message has
 * ended); -EPIPE (the other side has closed, and all that it sent was taken);
 * -ECONNRESET, -ESTALE, -EHOSTDOWN, -ENOTCONN, -EPROTO, -ECANCELED, -ENODEV, -EINVAL as for
 * ivshmem_channel_send().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
ssize_t ivshmem_channel_recv(struct ivshmem_channel *channel, void *buffer,
			     size_t length, int timeout_ms);

/**
 * ivshmem_channel_reserve() - Room for a message, to be written in place.
 * @channel: Channel.
 * @buffer: Set to the room, aligned to 8 bytes, in the region itself: the other
 *          side may write there, too. Valid until ivshmem_channel_commit(),
 *          ivshmem_channel_unreserve() or ivshmem_channel_reconnect().
 * @length: Bytes, 0 to ivshmem_channel_max_length().
 * @timeout_ms: As for ivshmem_channel_send().
 *
 * Where it has to wait, it passes on the messages that were committed with
 * IVSHMEM_MORE. Reserving again changes the length of what is reserved; where that
 * fails, what was reserved before stays.
 *
 * Return: 0; the errors of ivshmem_channel_send().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_channel_reserve(struct ivshmem_channel *channel, void **buffer,
			    size_t length, int timeout_ms);

/**
 * ivshmem_channel_commit() - Send the reserved message.
 * @channel: Channel.
 * @length: Its final length, up to the one reserved.
 * @flags: 0, or IVSHMEM_MORE to hold it back until a message is sent without.
 *
 * Return: 0; -EINVAL (NULL, nothing reserved, too long, unknown flag); -EPIPE,
 * -ECONNRESET, -ESTALE, -ENOTCONN, -EPROTO, -ENODEV as for ivshmem_channel_send().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_channel_commit(struct ivshmem_channel *channel, size_t length,
			   unsigned int flags);

/**
 * ivshmem_channel_unreserve() - Drop the reserved message.
 * @channel: Channel.
 *
 * The other side never sees it. What was committed with IVSHMEM_MORE stays committed.
 *
 * Return: 0; -EINVAL (NULL, nothing reserved).
 * Since: 0.1
 */
int ivshmem_channel_unreserve(struct ivshmem_channel *channel);

/**
 * ivshmem_channel_peek() - The next message, to be read in place.
 * @channel: Channel.
 * @buffer: Set to the message, aligned to 8 bytes, in the region itself, unless it is
 *          short: the other side may change it at any time. Never NULL.
 * @timeout_ms: As for ivshmem_channel_recv().
 *
 * Each call gives the message after the one before. The message stays until it is
 * given to ivshmem_channel_release(): for any time, whatever is received meanwhile,
 * and as many messages as the ring holds.
 *
 * The sender gets room back in the order of the messages: the oldest one that is kept
 * holds up the room of all that came after it. A program that keeps the whole ring keeps
 * the sender waiting.
 *
 * The end of a session, by an error or by the other side's close, leaves kept messages
 * in place. ivshmem_channel_reconnect() releases them all, even if it fails, and
 * ivshmem_channel_close() unmaps them: do not touch them after either. After a new format,
 * or once another program has taken this end over or the channel was removed, their bytes may
 * be overwritten.
 *
 * Return: As for ivshmem_channel_recv(), but for -EMSGSIZE.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
ssize_t ivshmem_channel_peek(struct ivshmem_channel *channel, const void **buffer,
			     int timeout_ms);

/**
 * ivshmem_channel_release() - Give the room of one peeked message back.
 * @channel: Channel.
 * @message: The message, as ivshmem_channel_peek() gave it.
 *
 * Messages can be released in any order. The receiving thread does it.
 *
 * Return: 0; -EINVAL, which changes nothing (NULL, or no message that is kept begins
 * there: it was released before, or never peeked at, or ivshmem_channel_reconnect() has
 * released it). As with free(3), a pointer that was released may soon stand for another
 * message.
 * Since: 0.1
 */
int ivshmem_channel_release(struct ivshmem_channel *channel, const void *message);

/**
 * ivshmem_channel_release_all() - Give the room of all peeked messages back.
 * @channel: Channel.
 *
 * A message that ivshmem_channel_read() has begun stays.
 *
 * Return: 0; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_channel_release_all(struct ivshmem_channel *channel);

/**
 * ivshmem_channel_write() - Send bytes as a stream, in as many messages as needed.
 * @channel: Channel.
 * @buffer: The bytes.
 * @length: How many, without limit.
 * @timeout_ms: Milliseconds to wait for room, for each message anew; 0 does not
 *              wait, negative waits for ever.
 *
 * Return: The number of bytes sent, less than @length where an error came after
 * the first message: the next sending call tells it, if it lasts; the errors of
 * ivshmem_channel_send().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
ssize_t ivshmem_channel_write(struct ivshmem_channel *channel, const void *buffer,
			      size_t length, int timeout_ms);

/**
 * ivshmem_channel_read() - Receive bytes as a stream, whatever the messages were.
 * @channel: Channel.
 * @buffer: Filled with the bytes.
 * @length: Room in @buffer, at least 1.
 * @timeout_ms: As for ivshmem_channel_recv().
 *
 * Takes what is there, at most one message's rest; empty messages are skipped.
 * Until the rest of a message is taken, ivshmem_channel_recv() and
 * ivshmem_channel_peek() fail with -EBUSY.
 *
 * Return: The number of bytes, at least 1; the errors of ivshmem_channel_recv(),
 * but for -EMSGSIZE and -EBUSY; -EPIPE is the end of the stream.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
ssize_t ivshmem_channel_read(struct ivshmem_channel *channel, void *buffer,
			     size_t length, int timeout_ms);

/**
 * ivshmem_channel_fd() - Descriptor for poll(2) and event loops.
 * @channel: Channel, also one that is not open yet.
 *
 * Before each poll(2), ivshmem_channel_arm() asks the other side to wake this one, and
 * tells whether there is anything to do already. Readable means: look again, and arm
 * again. Of a channel that is not open yet, readable means: call
 * ivshmem_channel_finish() with a timeout of 0.
 *
 * It is the same descriptor as long as the channel lives. ivshmem_channel_fd_wakeup()
 * tells what makes it readable.
 *
 * Return: A file descriptor, owned by the channel; -EINVAL (NULL); -ENODEV; -EMFILE,
 * -ENFILE, -ENOMEM.
 * Since: 0.1
 */
int ivshmem_channel_fd(struct ivshmem_channel *channel);

/**
 * ivshmem_channel_fd_wakeup() - What makes ivshmem_channel_fd() readable.
 * @channel: Channel.
 *
 * Return: A constant: "doorbell"; "futex" (both ends are under one kernel, which is Linux
 * 6.7 or later and lets this program use io_uring); or "timer": nothing wakes it, so it
 * becomes readable after ever longer pauses up to that of ivshmem_channel_set_backoff().
 * NULL for NULL, and where ivshmem_channel_fd() fails.
 * Since: 0.1
 */
const char *ivshmem_channel_fd_wakeup(struct ivshmem_channel *channel);

/** IVSHMEM_CAN_RECV - There is a message, the rest of one, or an error to be told. */
#define IVSHMEM_CAN_RECV	(1u << 0)
/** IVSHMEM_CAN_SEND - There is room for a message of @length bytes, or an error. */
#define IVSHMEM_CAN_SEND	(1u << 1)

/**
 * ivshmem_channel_arm() - Ask to be rung, before poll(2).
 * @channel: Channel.
 * @events: What to wait for, of IVSHMEM_CAN_RECV and IVSHMEM_CAN_SEND.
 * @length: The message that waits to be sent, in bytes, for IVSHMEM_CAN_SEND.
 *
 * Stays in force until the next receiving or sending call.
 *
 * Return: 0 (nothing yet: ivshmem_channel_fd() will become readable), or which
 * of @events are there already, all of them where the channel is not open; -EINVAL;
 * -EMSGSIZE; -EBUSY (the channel is in a wait set); the errors of ivshmem_channel_fd().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_channel_arm(struct ivshmem_channel *channel, unsigned int events,
			size_t length);

IVSHMEM_END_DECLS

#endif /* IVSHMEM_CHANNEL_H */
