/* SPDX-License-Identifier: MIT */
/*
 * What the library takes of the operating system everywhere: one clock, paths, ways to
 * sleep that can be ended, which kernel this is, and what becomes of objects in the child
 * of a fork(2).
 */
#ifndef SYSTEM_H
#define SYSTEM_H

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define noinline	__attribute__((noinline))
#define always_inline	inline __attribute__((always_inline))

#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

static_assert(sizeof(off_t) == 8, "build with -D_FILE_OFFSET_BITS=64");

static inline uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* clock.c: points in time are nanoseconds of CLOCK_MONOTONIC. */
#define NS_PER_US	1000ll
#define NS_PER_MS	1000000ll
#define NS_PER_S	1000000000ll
#define IVSHMEM_NEVER	INT64_MAX

int64_t ivshmem_now(void);
int64_t ivshmem_deadline(int timeout_ms);
int64_t ivshmem_time_left(int64_t deadline);
bool ivshmem_deadline_passed(int64_t deadline);
int ivshmem_left_of(int timeout_ms, int64_t deadline);

/* cancel.c */

/**
 * struct ivshmem_cancel - Tells calls that wait to give up.
 * @raised: 1 while they shall. Slept on as a futex.
 * @fd: An eventfd that is readable meanwhile; -1 until somebody sleeps by poll(2).
 *
 * It stays raised until it is lowered, so that it does not matter whether a call has
 * begun to wait already, and how many do.
 */
struct ivshmem_cancel {
	uint32_t raised;
	int fd;
};

#define IVSHMEM_CANCEL_INIT	((struct ivshmem_cancel) { .fd = -1 })

void ivshmem_cancel_close(struct ivshmem_cancel *cancel);
void ivshmem_cancel_raise(struct ivshmem_cancel *cancel);
void ivshmem_cancel_lower(struct ivshmem_cancel *cancel);
int ivshmem_cancel_fd(struct ivshmem_cancel *cancel);

static inline bool ivshmem_is_cancelled(const struct ivshmem_cancel *cancel)
{
	return __atomic_load_n(&cancel->raised, __ATOMIC_ACQUIRE);
}

/* futex.c */
#define MAX_FUTEXES	3

/**
 * struct ivshmem_futex - A word to sleep on.
 * @word: The word.
 * @value: What it is expected to be.
 * @shared: Whoever wakes may be another process.
 */
struct ivshmem_futex {
	const uint32_t *word;
	uint32_t value;
	bool shared;
};

int ivshmem_futex_wait(const struct ivshmem_futex *futexes, unsigned int count, int64_t ns);
void ivshmem_futex_wake(const uint32_t *word, bool shared);

/* pause.c */
int ivshmem_poll_until(struct pollfd *pollers, nfds_t count, int64_t deadline);
int ivshmem_pause(int64_t *pause, int64_t longest, int64_t deadline,
		  struct ivshmem_cancel *const *cancels);

/* paths.c */
#define FD_LINK_SIZE	sizeof("/proc/self/fd/-2147483648")

int ivshmem_path_resolve(const char *where);
int ivshmem_path_reopen(int path_fd, int access);
int ivshmem_path_of(int fd, char **path);
int ivshmem_path_folder(void);
int ivshmem_path_in(int folder, int fd, char **path);
void ivshmem_path_link(int fd, char link[FD_LINK_SIZE]);

/* random.c */
uint64_t ivshmem_random(void);

/* kernel.c */
void ivshmem_boot_id(uint8_t id[16]);

/**
 * struct ivshmem_heir - An object that a child of fork(2) inherits a copy of.
 * @next: The next one of the program.
 * @lock: Held while the program forks; NULL where there is none.
 * @disown: Called in the child, with @lock held and no other thread: close what makes
 *	the parent known to be alive.
 */
struct ivshmem_heir {
	struct ivshmem_heir *next;
	pthread_mutex_t *lock;
	void (*disown)(struct ivshmem_heir *heir);
};

/* fork.c */
int ivshmem_fork_watch(struct ivshmem_heir *heir);
void ivshmem_fork_unwatch(struct ivshmem_heir *heir);

#endif /* SYSTEM_H */
