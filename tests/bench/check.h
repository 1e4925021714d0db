/* SPDX-License-Identifier: MIT */
/* How the benchmarks take the library's errors. */

#ifndef CHECK_H
#define CHECK_H

#include <err.h>

#include <ivshmem.h>

/* Ends the program where a call of the library failed. */
static inline void check(const char *what, long result)
{
	if (result < 0)
		errx(1, "%s: %s", what, ivshmem_strerror((int)result));
}

#endif /* CHECK_H */
