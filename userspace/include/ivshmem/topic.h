/* SPDX-License-Identifier: MIT */
/*
 * Topics: messages from one or several publishers to any number of subscribers, on the host
 * and in guests.
 *
 * In an overwriting topic a publisher never waits: who is too slow skips messages, and is
 * told how many. In a lossless one it waits for the slowest subscriber, up to a time that it
 * sets; then that one is dropped.
 *
 * Thread-safety: a publisher or a subscriber belongs to one thread at a time.
 *
 * fork(2): as with channels, a child's copies are inert: -ECHILD.
 *
 * Trust: whatever the others write into the region, it can do no more than to make a call
 * fail, to make it wait until its timeout, or to deliver wrong bytes. Who only subscribes to an
 * overwriting topic can't disturb anybody.
 */
#ifndef IVSHMEM_TOPIC_H
#define IVSHMEM_TOPIC_H

#include <ivshmem/base.h>
#include <ivshmem/format.h>
#include <ivshmem/region.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

IVSHMEM_BEGIN_DECLS

struct ivshmem_publisher;
struct ivshmem_subscriber;

/** IVSHMEM_TOPIC_LOSSLESS - Publishers wait for the slowest subscriber. */
#define IVSHMEM_TOPIC_LOSSLESS	(1u << 0)

/**
 * struct ivshmem_topic_layout - How a topic is laid out.
 * @max_length: The longest message: 1 byte to 1 GiB.
 * @history: Messages of each publisher that can be had: 2 to 65536, rounded up to a power of
 *           two. A subscriber may be so many behind.
 * @publishers: How many there may be at a time: 1 to 16.
 * @subscribers: The same, without those that opened the region for reading only: 1 to 1024.
 * @holds: How many messages each subscriber may hold at a time: 0 to 64. Only for those of more
 *         than 104 bytes does that take room.
 * @flags: 0 or IVSHMEM_TOPIC_LOSSLESS.
 */
struct ivshmem_topic_layout {
	uint64_t max_length;
	unsigned int history;
	unsigned int publishers;
	unsigned int subscribers;
	unsigned int holds;
	unsigned int flags;
};

/**
 * struct ivshmem_message_info - What is known of a message beside its bytes.
 * @number: Counted from 1, for each publisher's place.
 * @skipped: Messages of that place before this one that this subscriber did not get, since the
 *           last one that it got.
 * @time_ns: CLOCK_REALTIME of the publisher; 0: it did not say.
 * @type: As the publisher said.
 * @publisher: Its place, from 0.
 */
struct ivshmem_message_info {
	uint64_t number;
	uint64_t skipped;
	uint64_t time_ns;
	uint32_t type;
	unsigned int publisher;
};

/**
 * ivshmem_make_topic() - Make a topic.
 * @shm: Open handle of a formatted region, not IVSHMEM_RDONLY.
 * @name: Its name, as for ivshmem_channel_create().
 * @layout: How.
 *
 * It stays until ivshmem_remove().
 *
 * Context: Any thread.
 * Return: As for ivshmem_make_channel(); -EINVAL also for what @layout can't be.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_make_topic(struct ivshmem *shm, const char *name,
		       const struct ivshmem_topic_layout *layout);

/**
 * ivshmem_publisher_open() - Become a publisher.
 * @publisher: Set to the publisher, to be freed with ivshmem_publisher_close().
 * @shm: Open handle of a formatted region, not IVSHMEM_RDONLY. It may be closed before.
 * @name: Name of the topic.
 *
 * The place of a publisher that has closed or died is taken; its messages stay, and the numbers
 * go on.
 *
 * Context: Any thread.
 * Return: 0; -ENOENT (there is no such topic); -EPROTOTYPE (the object is no topic); -EBUSY
 * (all places are taken; of a program under another kernel it can't be told whether it
 * lives); -EUCLEAN (the topic's layout is damaged); -EINVAL; -EACCES (the handle is
 * IVSHMEM_RDONLY); -ECHILD; -ENOMEM; the errors of ivshmem_layout_read().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_publisher_open(struct ivshmem_publisher **publisher, struct ivshmem *shm,
			   const char *name);

/**
 * ivshmem_publisher_close() - Publish no more.
 * @publisher: Publisher, or NULL.
 *
 * What was published can still be had, as if it went on.
 * Since: 0.1
 */
void ivshmem_publisher_close(struct ivshmem_publisher *publisher);

/**
 * ivshmem_publisher_max_length() - The longest message of the topic.
 * @publisher: Publisher.
 *
 * Return: Bytes; 0 for NULL.
 * Since: 0.1
 */
size_t ivshmem_publisher_max_length(const struct ivshmem_publisher *publisher);

/** IVSHMEM_STAMP - Say with the message when it was published. */
#define IVSHMEM_STAMP	(1u << 0)

/**
 * ivshmem_publish() - Publish one message.
 * @publisher: Publisher.
 * @parts: The parts of the message, in order; may be NULL if @count is 0.
 * @count: How many parts.
 * @type: A number of the user's, passed on with the message.
 * @flags: 0 or IVSHMEM_STAMP.
 * @timeout_ms: In a lossless topic, milliseconds to wait for the slowest subscriber; then it is
 *              dropped. 0 does not wait, negative waits for ever. Without meaning in an
 *              overwriting one.
 *
 * In a lossless topic a subscriber whose program is known to be dead is dropped at once.
 *
 * Return: 0; -EMSGSIZE (longer than the topic's messages); -EBUSY (a reserved message is open);
 * -EINTR, -ECANCELED (nothing was published); -ECONNRESET (another program has taken the place,
 * or the topic was removed, or the region was formatted anew); -EINVAL; -ECHILD.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_publish(struct ivshmem_publisher *publisher, const struct iovec *parts,
		    unsigned int count, uint32_t type, unsigned int flags, int timeout_ms);

/**
 * ivshmem_publisher_reserve() - Room for a message, to be written in place.
 * @publisher: Publisher.
 * @buffer: Set to room for the longest message, aligned to 8 bytes. Valid until
 *          ivshmem_publisher_commit() or ivshmem_publisher_close().
 *
 * Never waits. Reserving again gives the same room.
 *
 * Return: 0; -ECONNRESET; -EINVAL; -ECHILD.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_publisher_reserve(struct ivshmem_publisher *publisher, void **buffer);

/**
 * ivshmem_publisher_commit() - Publish the reserved message.
 * @publisher: Publisher.
 * @length: Its length in bytes.
 * @type: As for ivshmem_publish(), as the next ones.
 * @flags: 0 or IVSHMEM_STAMP.
 * @timeout_ms: The same.
 *
 * Return: As for ivshmem_publish(); -EINVAL also where nothing is reserved. Where it fails, the
 * message stays reserved.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_publisher_commit(struct ivshmem_publisher *publisher, size_t length, uint32_t type,
			     unsigned int flags, int timeout_ms);

/**
 * ivshmem_publisher_subscribers() - How many subscribers are there?
 * @publisher: Publisher.
 *
 * Not those that opened the region for reading only: nobody knows of them.
 *
 * Return: The count, as far as is known; -EINVAL, -ECHILD.
 * Since: 0.1
 */
int ivshmem_publisher_subscribers(struct ivshmem_publisher *publisher);

/**
 * ivshmem_publisher_dropped() - How many subscribers were dropped?
 * @publisher: Publisher.
 *
 * Return: The count since it was opened. 0 for NULL.
 * Since: 0.1
 */
uint64_t ivshmem_publisher_dropped(const struct ivshmem_publisher *publisher);

/**
 * ivshmem_subscriber_open() - Become a subscriber.
 * @subscriber: Set to the subscriber, to be freed with ivshmem_subscriber_close().
 * @shm: Open handle of a formatted region; IVSHMEM_RDONLY will do for an overwriting topic. It
 *       may be closed before.
 * @name: Name of the topic.
 * @history: Begin so many messages of each publisher back, as far as they can be had: 0 begins
 *           with the next one, 1 with the newest that is there. In a lossless topic the oldest
 *           one that is there can't be had: it may be overwritten just now.
 *
 * Context: Any thread.
 * Return: 0; -EACCES (the topic is lossless, and the handle IVSHMEM_RDONLY); the errors of
 * ivshmem_publisher_open().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_subscriber_open(struct ivshmem_subscriber **subscriber, struct ivshmem *shm,
			    const char *name, unsigned int history);

/**
 * ivshmem_subscriber_close() - Subscribe no more.
 * @subscriber: Subscriber, or NULL.
 *
 * What it holds is released.
 * Since: 0.1
 */
void ivshmem_subscriber_close(struct ivshmem_subscriber *subscriber);

/** IVSHMEM_LATEST - Skip to the newest message of each publisher. */
#define IVSHMEM_LATEST	(1u << 1)

/**
 * ivshmem_subscriber_recv() - Receive one message.
 * @subscriber: Subscriber.
 * @buffer: Filled with the message.
 * @length: Room in @buffer, in bytes.
 * @info: Filled with what is known of it; may be NULL.
 * @flags: 0 or IVSHMEM_LATEST.
 * @timeout_ms: Milliseconds to wait; 0 does not wait, negative waits for ever.
 *
 * Messages of one publisher come in its order; several publishers take turns.
 *
 * Return: The message's length, maybe 0; -EAGAIN (none is there, and @timeout_ms is 0);
 * -ETIMEDOUT; -EINTR; -ECANCELED; -EMSGSIZE (@length is too small; the message stays); -EPIPE (a
 * publisher of a lossless topic has dropped this subscriber: told once, then messages come
 * again, after what was skipped); -ECONNRESET (another program has taken the place, or the topic
 * was removed, or the region was formatted anew); -ENODEV; -EINVAL; -ECHILD.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
ssize_t ivshmem_subscriber_recv(struct ivshmem_subscriber *subscriber, void *buffer,
				size_t length, struct ivshmem_message_info *info,
				unsigned int flags, int timeout_ms);

/**
 * ivshmem_subscriber_hold() - Receive one message in place, and hold it.
 * @subscriber: Subscriber, of a handle that is not IVSHMEM_RDONLY.
 * @message: Set to the message, aligned to 8 bytes, in the region itself if it has more than 104
 *           bytes. The publisher does not overwrite it until it is given to
 *           ivshmem_subscriber_release(), for however long; but whoever may write the region
 *           can change it at any time.
 * @info: As for ivshmem_subscriber_recv(), as the next ones.
 * @flags: 0 or IVSHMEM_LATEST.
 * @timeout_ms: The same.
 *
 * Return: As for ivshmem_subscriber_recv(), but for -EMSGSIZE; -ENOBUFS (it holds as many as
 * the topic allows); -EACCES (the handle is IVSHMEM_RDONLY).
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
ssize_t ivshmem_subscriber_hold(struct ivshmem_subscriber *subscriber, const void **message,
				struct ivshmem_message_info *info, unsigned int flags,
				int timeout_ms);

/**
 * ivshmem_subscriber_release() - Let one message go.
 * @subscriber: Subscriber.
 * @message: As ivshmem_subscriber_hold() gave it.
 *
 * In any order.
 *
 * Return: 0; -EINVAL (NULL, or no message that is held); -ECHILD.
 * Since: 0.1
 */
int ivshmem_subscriber_release(struct ivshmem_subscriber *subscriber, const void *message);

/**
 * ivshmem_subscriber_max_length() - The longest message of the topic.
 * @subscriber: Subscriber.
 *
 * Return: Bytes; 0 for NULL.
 * Since: 0.1
 */
size_t ivshmem_subscriber_max_length(const struct ivshmem_subscriber *subscriber);

/**
 * ivshmem_subscriber_skipped() - How many messages did it not get?
 * @subscriber: Subscriber.
 *
 * Return: The count since it was opened, over all publishers. 0 for NULL.
 * Since: 0.1
 */
uint64_t ivshmem_subscriber_skipped(const struct ivshmem_subscriber *subscriber);

IVSHMEM_END_DECLS

#endif /* IVSHMEM_TOPIC_H */
