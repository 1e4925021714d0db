/* SPDX-License-Identifier: MIT */
/*
 * Wait sets: one thread waits for any number of channels, topics and services at once. What that
 * costs depends on how many have something, and not on how many there are.
 *
 * A wait set is an object of the region, which takes one of those that the region has room for.
 * It goes when it is closed, or its program ends.
 *
 * Thread-safety: one thread uses a wait set, and receives from what is in it. Another one may
 * send by a channel that is in it, if the set does not wait for IVSHMEM_CAN_SEND of that
 * channel. Any thread may call ivshmem_waitset_cancel() and _uncancel().
 *
 * fork(2): a child's copy of a wait set is inert. All calls but ivshmem_waitset_close(), which
 * only frees memory then, return -ECHILD.
 *
 * Trust: the other side may keep a wake-up back, so that what it sends is seen up to a second
 * late, or wake this side for nothing. It can't do more than that.
 */
#ifndef IVSHMEM_WAITSET_H
#define IVSHMEM_WAITSET_H

#include <ivshmem/base.h>
#include <ivshmem/channel.h>
#include <ivshmem/region.h>
#include <ivshmem/service.h>
#include <ivshmem/topic.h>

#include <stddef.h>

IVSHMEM_BEGIN_DECLS

struct ivshmem_waitset;

/**
 * struct ivshmem_ready - One that has something.
 * @data: As given when it was put into the set.
 * @events: What is there, of IVSHMEM_CAN_RECV and IVSHMEM_CAN_SEND.
 */
struct ivshmem_ready {
	void *data;
	unsigned int events;
};

/**
 * ivshmem_waitset_open() - Open a wait set, with nothing in it.
 * @set: Set to the wait set, to be freed with ivshmem_waitset_close().
 * @shm: Open handle of a formatted region, not IVSHMEM_RDONLY. It may be closed before the
 *       set, which goes on then.
 *
 * Context: Any thread.
 * Return: 0; -EINVAL (NULL); -EACCES (the handle is IVSHMEM_RDONLY); -ENOSPC (the region has no
 * room for one more object); -EAGAIN (other programs make and remove objects all the time);
 * -ESTALE (the region's file was truncated or replaced); -ECHILD (a child's copy of @shm,
 * after fork(2)); -ENODEV; -ENOMEM; the errors of ivshmem_layout_read().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_waitset_open(struct ivshmem_waitset **set, struct ivshmem *shm);

/**
 * ivshmem_waitset_close() - Close a wait set.
 * @set: Wait set, or NULL.
 *
 * What is in it stays open, and can be used without it.
 * Since: 0.1
 */
void ivshmem_waitset_close(struct ivshmem_waitset *set);

/**
 * ivshmem_waitset_add_channel() - Put a channel into a set.
 * @set: Wait set.
 * @channel: Channel of the same handle.
 * @events: What to wait for: IVSHMEM_CAN_RECV, IVSHMEM_CAN_SEND, or both.
 * @length: The message that waits to be sent, in bytes, for IVSHMEM_CAN_SEND.
 * @data: Anything; ivshmem_waitset_wait() gives it back.
 *
 * One that is in the set already is waited for anew, as said now. A channel that has an error
 * to tell counts as one that has what is waited for: the next call returns it. One that is
 * not open, or is no longer, has something once ivshmem_channel_finish() does not return
 * -ETIMEDOUT; meanwhile the set looks at it once in a millisecond at least.
 *
 * A call of the channel that waits does so as if there was no set. ivshmem_channel_arm() fails
 * with -EBUSY. ivshmem_channel_close() takes the channel out of the set.
 *
 * Return: 0; -EINVAL (NULL, unknown event, none); -EXDEV (the channel is of another handle: it
 * takes a set for each); -EBUSY (it is in another set); -EMSGSIZE (no message may be so long);
 * -ENOMEM; -ECHILD; -ENODEV.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_waitset_add_channel(struct ivshmem_waitset *set, struct ivshmem_channel *channel,
				unsigned int events, size_t length, void *data);

/**
 * ivshmem_waitset_remove_channel() - Take a channel out of a set.
 * @set: Wait set.
 * @channel: Channel that is in it.
 *
 * Return: 0; -ENOENT (it is not in this set); -EINVAL (NULL); -ECHILD; -ENODEV.
 * Since: 0.1
 */
int ivshmem_waitset_remove_channel(struct ivshmem_waitset *set,
				   struct ivshmem_channel *channel);

/**
 * ivshmem_waitset_add_subscriber() - Put a subscriber of a topic into a set.
 * @set: Wait set.
 * @subscriber: Subscriber of the same handle.
 * @data: Anything; ivshmem_waitset_wait() gives it back.
 *
 * The set tells of messages, and of errors, by IVSHMEM_CAN_RECV.
 *
 * Return: As for ivshmem_waitset_add_channel(), but for -EMSGSIZE.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_waitset_add_subscriber(struct ivshmem_waitset *set,
				   struct ivshmem_subscriber *subscriber, void *data);

/**
 * ivshmem_waitset_remove_subscriber() - Take a subscriber out of a set.
 * @set: Wait set.
 * @subscriber: Subscriber that is in it. ivshmem_subscriber_close() takes it out, too.
 *
 * Return: As for ivshmem_waitset_remove_channel().
 * Since: 0.1
 */
int ivshmem_waitset_remove_subscriber(struct ivshmem_waitset *set,
				      struct ivshmem_subscriber *subscriber);

/**
 * ivshmem_waitset_add_listener() - Put a service into a set.
 * @set: Wait set.
 * @listener: Listener of the same handle.
 * @data: Anything; ivshmem_waitset_wait() gives it back.
 *
 * The set tells by IVSHMEM_CAN_RECV that ivshmem_accept() has a client, or an error. A client
 * that can't wake this side is seen up to 20 milliseconds late.
 *
 * Return: As for ivshmem_waitset_add_channel(), but for -EMSGSIZE.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_waitset_add_listener(struct ivshmem_waitset *set, struct ivshmem_listener *listener,
				 void *data);

/**
 * ivshmem_waitset_remove_listener() - Take a service out of a set.
 * @set: Wait set.
 * @listener: Listener that is in it. ivshmem_listener_close() takes it out, too.
 *
 * Return: As for ivshmem_waitset_remove_channel().
 * Since: 0.1
 */
int ivshmem_waitset_remove_listener(struct ivshmem_waitset *set,
				    struct ivshmem_listener *listener);

/**
 * ivshmem_waitset_wait() - Wait until any of the set has something.
 * @set: Wait set.
 * @ready: Filled with those that have.
 * @most: Room in @ready, at least 1.
 * @timeout_ms: Milliseconds to wait; 0 does not wait, negative waits for ever.
 *
 * Tells of each one as long as it has something, so what is not taken is told again by the
 * next call. Where more of them have something than there is room for, each has its turn.
 *
 * That the program at the other end of a channel has died is told within a second or two.
 *
 * Return: How many were told, 1 to @most; -EAGAIN (none, and @timeout_ms is 0); -ETIMEDOUT;
 * -EINTR (a signal came while it slept); -ECANCELED (by ivshmem_cancel() or
 * ivshmem_waitset_cancel()); -EINVAL (NULL, or @most is 0); -ESTALE (the region was formatted
 * anew, or its file was truncated or replaced: close all, and open it again); -ENOSPC (the
 * set was removed from the region by force, which has no room for it any more); -ECHILD;
 * -ENODEV (the device is gone).
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_waitset_wait(struct ivshmem_waitset *set, struct ivshmem_ready *ready,
			 unsigned int most, int timeout_ms);

/**
 * ivshmem_waitset_fd() - Descriptor for poll(2) and event loops.
 * @set: Wait set.
 *
 * One for all that is in the set, now and later: as ivshmem_channel_fd() is for one channel.
 * Before each poll(2), ivshmem_waitset_arm() asks the others to wake this side. Readable means:
 * call ivshmem_waitset_wait() with a timeout of 0, and arm again.
 *
 * Return: A file descriptor, owned by the set; -EINVAL (NULL); -ECHILD; -ENODEV; -EMFILE,
 * -ENFILE, -ENOMEM.
 * Since: 0.1
 */
int ivshmem_waitset_fd(struct ivshmem_waitset *set);

/**
 * ivshmem_waitset_arm() - Ask to be woken, before poll(2).
 * @set: Wait set.
 *
 * Stays in force until the next ivshmem_waitset_wait().
 *
 * Return: 0 (nothing yet: ivshmem_waitset_fd() will become readable); 1 (something is there
 * already: ivshmem_waitset_wait() tells what); the errors of ivshmem_waitset_wait() and
 * ivshmem_waitset_fd().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_waitset_arm(struct ivshmem_waitset *set);

/**
 * ivshmem_waitset_set_spin() - How long to look before sleeping.
 * @set: Wait set.
 * @microseconds: As for ivshmem_channel_set_spin(); 50 at first. What is set for the channels
 *                in the set has no influence.
 *
 * Return: 0; -EINVAL (NULL); -ECHILD.
 * Since: 0.1
 */
int ivshmem_waitset_set_spin(struct ivshmem_waitset *set, unsigned int microseconds);

/**
 * ivshmem_waitset_cancel() - End the calls of a wait set that wait.
 * @set: Wait set.
 *
 * What ivshmem_cancel() does for a whole handle, for one set: until ivshmem_waitset_uncancel().
 * What is there already is told first.
 *
 * Context: Any thread, and signal handlers (it is async-signal-safe), as long as the set is not
 * closed.
 * Return: 0; -EINVAL (NULL); -ECHILD.
 * Since: 0.1
 */
int ivshmem_waitset_cancel(struct ivshmem_waitset *set);

/**
 * ivshmem_waitset_uncancel() - Let the calls of a wait set wait again.
 * @set: Wait set.
 *
 * Context: As for ivshmem_waitset_cancel().
 * Return: 0; -EINVAL (NULL); -ECHILD.
 * Since: 0.1
 */
int ivshmem_waitset_uncancel(struct ivshmem_waitset *set);

IVSHMEM_END_DECLS

#endif /* IVSHMEM_WAITSET_H */
