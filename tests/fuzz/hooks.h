/* SPDX-License-Identifier: MIT */
/*
 * Put in front of each file of the library for those that use other_side.c: before each look at
 * shared memory, and each copy out of it, the other side has its turn. Time passes by
 * looking and sleeping only, and maps have guards around them.
 */
#ifndef HOOKS_H
#define HOOKS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

void hook_strike(void);
ssize_t hook_pread(int fd, void *buffer, size_t size, off_t offset);
void *hook_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int hook_munmap(void *address, size_t size);
int hook_clock_gettime(clockid_t clock, struct timespec *now);
int hook_nanosleep(const struct timespec *time, struct timespec *left);
long hook_futex(long number, ...);
ssize_t hook_getrandom(void *buffer, size_t size, unsigned int flags);

#define __atomic_load_n(pointer, order) ({				\
	hook_strike();							\
	__atomic_load_n(pointer, order);				\
})
#define memcpy(to, from, size) ({					\
	hook_strike();							\
	memcpy(to, from, size);						\
})
#define pread		hook_pread
#define mmap		hook_mmap
#define munmap		hook_munmap
#define clock_gettime	hook_clock_gettime
#define nanosleep	hook_nanosleep
#define syscall		hook_futex
#define getrandom	hook_getrandom

#endif /* HOOKS_H */
