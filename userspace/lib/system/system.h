/* SPDX-License-Identifier: MIT */
/*
 * What the library takes of the operating system everywhere: one clock, and paths.
 */
#ifndef SYSTEM_H
#define SYSTEM_H

#include <assert.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

static_assert(sizeof(off_t) == 8, "build with -D_FILE_OFFSET_BITS=64");

/* clock.c: points in time are nanoseconds of CLOCK_MONOTONIC. */
#define NS_PER_US	1000ll
#define NS_PER_MS	1000000ll
#define NS_PER_S	1000000000ll
#define IVSHMEM_NEVER	INT64_MAX

int64_t ivshmem_now(void);
int64_t ivshmem_deadline(int timeout_ms);
int64_t ivshmem_time_left(int64_t deadline);
bool ivshmem_deadline_passed(int64_t deadline);
int ivshmem_poll_until(struct pollfd *pollers, nfds_t count, int64_t deadline);
int ivshmem_pause(int64_t *pause, int64_t longest, int64_t deadline);

/* paths.c */
#define FD_LINK_SIZE	sizeof("/proc/self/fd/-2147483648")

int ivshmem_path_resolve(const char *where);
int ivshmem_path_reopen(int path_fd, int access);
int ivshmem_path_of(int fd, char **path);
void ivshmem_path_link(int fd, char link[FD_LINK_SIZE]);

#endif /* SYSTEM_H */
