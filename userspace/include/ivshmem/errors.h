/* SPDX-License-Identifier: MIT */
/*
 * What an error means, and what to do.
 */
#ifndef IVSHMEM_ERRORS_H
#define IVSHMEM_ERRORS_H

#include <ivshmem/base.h>

IVSHMEM_BEGIN_DECLS

/**
 * ivshmem_strerror() - What a failure means here, and what to do.
 * @error: A negative errno from a function of this library.
 *
 * Return: One line without a full stop, a constant; strerror(3)'s text for
 * errors that have no meaning of their own here. The thread's next call may
 * overwrite the latter.
 * Since: 0.1
 */
const char *ivshmem_strerror(int error);

IVSHMEM_END_DECLS

#endif /* IVSHMEM_ERRORS_H */
