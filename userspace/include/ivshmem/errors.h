/* SPDX-License-Identifier: MIT */
/*
 * What an error means, and what to do.
 */
#ifndef IVSHMEM_ERRORS_H
#define IVSHMEM_ERRORS_H

#include <ivshmem/base.h>

IVSHMEM_BEGIN_DECLS

/**
 * enum ivshmem_task - What was being done when a call failed.
 * @IVSHMEM_TASK_OPEN: ivshmem_open().
 * @IVSHMEM_TASK_CREATE: ivshmem_create().
 * @IVSHMEM_TASK_MAP: ivshmem_map(), ivshmem_unmap(), ivshmem_sync(), ivshmem_check().
 * @IVSHMEM_TASK_RING: Ringing, waiting for rings, and asking for peers.
 * @IVSHMEM_TASK_REJOIN: ivshmem_rejoin().
 * @IVSHMEM_TASK_FORMAT: ivshmem_format().
 * @IVSHMEM_TASK_READ_LAYOUT: ivshmem_layout_read().
 * @IVSHMEM_TASK_MAKE: Making an object, and opening an area.
 * @IVSHMEM_TASK_REMOVE: ivshmem_remove().
 * @IVSHMEM_TASK_WAITSET: Opening a wait set, putting something in, and waiting with it.
 * @IVSHMEM_TASK_CHANNEL_OPEN: Creating a channel, or connecting to one.
 * @IVSHMEM_TASK_CHANNEL_RECONNECT: ivshmem_channel_reconnect().
 * @IVSHMEM_TASK_LISTEN: Being the server of a service: listening, and accepting clients.
 * @IVSHMEM_TASK_CONNECT: Connecting to a service.
 * @IVSHMEM_TASK_CALL: Asking, and receiving questions.
 * @IVSHMEM_TASK_TOPIC: Publishing and subscribing.
 * @IVSHMEM_TASK_SEND: Sending, in whatever form.
 * @IVSHMEM_TASK_RECEIVE: Receiving, in whatever form.
 */
enum ivshmem_task {
	IVSHMEM_TASK_OPEN,
	IVSHMEM_TASK_CREATE,
	IVSHMEM_TASK_MAP,
	IVSHMEM_TASK_RING,
	IVSHMEM_TASK_REJOIN,
	IVSHMEM_TASK_FORMAT,
	IVSHMEM_TASK_READ_LAYOUT,
	IVSHMEM_TASK_MAKE,
	IVSHMEM_TASK_REMOVE,
	IVSHMEM_TASK_WAITSET,
	IVSHMEM_TASK_CHANNEL_OPEN,
	IVSHMEM_TASK_CHANNEL_RECONNECT,
	IVSHMEM_TASK_LISTEN,
	IVSHMEM_TASK_CONNECT,
	IVSHMEM_TASK_CALL,
	IVSHMEM_TASK_TOPIC,
	IVSHMEM_TASK_SEND,
	IVSHMEM_TASK_RECEIVE,
};

/**
 * ivshmem_explain() - What went wrong with what was being done, and what to do.
 * @task: What the failed call was for.
 * @error: The negative errno that it returned.
 *
 * One error has several causes, and the task tells which it was.
 *
 * Context: Any thread.
 * Return: One line without a full stop, a constant, or ivshmem_strerror()'s text where the
 * task has no text of its own for the error.
 * Since: 0.1
 */
const char *ivshmem_explain(enum ivshmem_task task, int error);

/**
 * ivshmem_strerror() - What a failure means here, and what to do.
 * @error: A negative errno from a function of this library.
 *
 * Names all causes that the error can have: ivshmem_explain() knows better, where it is
 * known what was being done.
 *
 * Return: One line without a full stop, a constant; strerror(3)'s text for
 * errors that have no meaning of their own here. The thread's next call may
 * overwrite the latter.
 * Since: 0.1
 */
const char *ivshmem_strerror(int error);

IVSHMEM_END_DECLS

#endif /* IVSHMEM_ERRORS_H */
