/* SPDX-License-Identifier: MIT */
/*
 * Which version this is.
 */
#ifndef IVSHMEM_VERSION_H
#define IVSHMEM_VERSION_H

#include <ivshmem/base.h>

/** IVSHMEM_VERSION_MAJOR - Of the headers that a program was compiled with. */
#define IVSHMEM_VERSION_MAJOR	0
/** IVSHMEM_VERSION_MINOR - The same: what changes with new calls. */
#define IVSHMEM_VERSION_MINOR	2
/** IVSHMEM_VERSION_PATCH - The same: what changes with corrections. */
#define IVSHMEM_VERSION_PATCH	0

/** IVSHMEM_VERSION_NUMBER - Grows with each version: to be compared in #if. */
#define IVSHMEM_VERSION_NUMBER							\
	(IVSHMEM_VERSION_MAJOR * 1000000 + IVSHMEM_VERSION_MINOR * 1000 +	\
	 IVSHMEM_VERSION_PATCH)

IVSHMEM_BEGIN_DECLS

/**
 * ivshmem_version() - The version of the library that the program runs with.
 *
 * It may be another than that of the headers, IVSHMEM_VERSION_NUMBER.
 *
 * Context: Any thread.
 * Return: "MAJOR.MINOR.PATCH"; a constant.
 * Since: 0.1
 */
const char *ivshmem_version(void);

IVSHMEM_END_DECLS

#endif /* IVSHMEM_VERSION_H */
