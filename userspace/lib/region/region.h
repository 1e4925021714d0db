/* SPDX-License-Identifier: MIT */
/*
 * An open region: what all kinds of it have in common, and the table of what differs
 * from one kind to the next. Parts of it can be mapped by themselves, as windows.
 */
#ifndef REGION_H
#define REGION_H

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <ivshmem/region.h>

#include "devices/devices.h"
#include "system/system.h"

struct ivshmem_connection;

/**
 * struct ivshmem_doorbell - How a region with interrupts notifies.
 * @peer_id: The ID of this end.
 * @vectors: The number of vectors of this end.
 * @ring: Ring a vector of a peer, both in range.
 * @event_fd: The eventfd of a vector, non-blocking; owned by the handle.
 */
struct ivshmem_doorbell {
	int (*peer_id)(const struct ivshmem *shm);
	int (*vectors)(const struct ivshmem *shm);
	int (*ring)(struct ivshmem *shm, unsigned int peer, unsigned int vector);
	int (*event_fd)(struct ivshmem *shm, unsigned int vector);
};

/**
 * struct ivshmem_backend - What differs from one kind of region to the next.
 * @side: Which end of the region this is.
 * @probe: Fill in the facts of a handle that has its descriptor and path.
 * @map: Map the region, mostly through ivshmem_map_fd().
 * @check: Is the region still there, and as large as it was?
 * @read: Copy a part that lies within the region, without the risk of SIGBUS where there is
 *	 a way to.
 * @release: Undo @probe, and what came after it; NULL where there is nothing.
 * @export_dmabuf: Make a dma-buf of a range that was checked; NULL where there is no
 *	way to.
 * @doorbell: For regions of kind IVSHMEM_DOORBELL; NULL where it is out of reach.
 */
struct ivshmem_backend {
	enum ivshmem_region_side side;
	int (*probe)(struct ivshmem *shm);
	int (*map)(struct ivshmem *shm);
	int (*check)(const struct ivshmem *shm);
	int (*read)(const struct ivshmem *shm, void *buffer, uint64_t offset, size_t size);
	void (*release)(struct ivshmem *shm);
	int (*export_dmabuf)(struct ivshmem *shm, uint64_t offset, uint64_t len, bool readonly);
	const struct ivshmem_doorbell *doorbell;
};

/**
 * struct ivshmem_holder - What hangs on a handle and keeps it, such as a channel.
 * @next: The next one of the handle.
 * @byte: Where in the region's file the lock lies of what it has claimed; 0: of nothing.
 * @disown: Called in a child that fork(2) made: the object is the parent's. No other
 *	thread runs then, and no lock may be taken. NULL where nothing is to be done.
 */
struct ivshmem_holder {
	struct ivshmem_holder *next;
	uint64_t byte;
	void (*disown)(struct ivshmem_holder *holder);
};

/**
 * struct ivshmem_window - A part of a region that is mapped by itself.
 * @data: The first byte asked for.
 * @base: What was mapped, whole pages.
 * @size: How much of it.
 */
struct ivshmem_window {
	void *data;
	void *base;
	size_t size;
};

/**
 * struct ivshmem_whereabouts - What others know this program by that has a lock.
 * @boot_id: The kernel under which it runs; all zeroes where that is not known.
 * @device: Of the file that locks are on: st_dev of stat(2).
 * @inode: The same: st_ino.
 */
struct ivshmem_whereabouts {
	uint8_t boot_id[16];
	uint64_t device;
	uint64_t inode;
};

/* Once it is open a handle changes only as said here, so that any thread may use it. */
struct ivshmem {
	pthread_mutex_t lock;		/* held for moments only: fork(2) takes it */
	struct ivshmem_heir heir;
	bool inherited;			/* a child's copy; set by its only thread */
	bool is_closed;			/* under @lock: it lives for its holders only */
	struct ivshmem_holder *holders;	/* under @lock */
	struct ivshmem_window shared;	/* under @lock: of @sharers, while there are any */
	unsigned int sharers;		/* under @lock */

	const struct ivshmem_backend *backend;
	int fd;
	bool readonly;
	enum ivshmem_region_kind kind;
	uint64_t size;
	void *data;			/* written under @lock, read by __atomic_load_n() */
	char *path;
	char address[PCI_ADDRESS_SIZE];	/* empty on the host */
	const char *mapping;
	const char *cache;
	uint64_t page_size;
	unsigned int vectors;		/* of a guest's device */
	uint32_t peer_id;		/* for channels; written and read whole, by __atomic_ */
	int *event_fds;			/* under @lock; of a guest's device: -1 until asked for */
	unsigned int busy_poll_us;	/* written and read whole, by __atomic_ */
	struct ivshmem_connection *connection;	/* of a "unix:" region */
	struct ivshmem_cancel cancel;	/* of all calls that wait */
	int relay_fd;			/* under @lock; -1 until a channel sleeps by doorbell */
	/*
	 * Opened with the region, so that death is noticed also by a program that has
	 * given up its rights since, or changed its root. Locks are taken by @lock_fd,
	 * an open file of its own, since a server gives @fd to all its peers; -1 where
	 * it can't be had. @fd has no locks, and so shows those of all others.
	 */
	int lock_fd;
	struct ivshmem_whereabouts whereabouts;
	bool is_file;			/* in memory: there is no other file of these bytes */
};

/* holders.c: what hangs on a handle */
void ivshmem_hold(struct ivshmem *shm, struct ivshmem_holder *holder);
void ivshmem_drop(struct ivshmem *shm, struct ivshmem_holder *holder);
int ivshmem_claim(struct ivshmem *shm, struct ivshmem_holder *holder, uint64_t byte);
void ivshmem_unclaim(struct ivshmem *shm, struct ivshmem_holder *holder);
void ivshmem_share(struct ivshmem *shm, struct ivshmem_holder *holder, uint64_t byte);
void ivshmem_unshare(struct ivshmem *shm, struct ivshmem_holder *holder);

/* access.c */
int ivshmem_region_read(const struct ivshmem *shm, void *buffer, uint64_t offset, size_t size);
int ivshmem_region_reserve(const struct ivshmem *shm, uint64_t offset, uint64_t size);

/* window.c */
int ivshmem_window_map(struct ivshmem_window *window, const struct ivshmem *shm,
		       uint64_t offset, uint64_t size);
void ivshmem_window_unmap(struct ivshmem_window *window);
int ivshmem_window_share(struct ivshmem_window *window, struct ivshmem *shm, uint64_t offset,
			 uint64_t size);
void ivshmem_window_unshare(struct ivshmem_window *window, struct ivshmem *shm);

/*
 * Copies what others may look at, or change, at the same time; the caller finds out by other
 * means whether they did, and uses nothing that they have changed. To C that is a race unless
 * each piece is copied by an atomic operation. No compiler makes anything else of memcpy(3), and
 * nothing is as quick; ThreadSanitizer is shown the atomic operations.
 */
static inline void ivshmem_copy_shared(void *to, const void *from, size_t size)
{
#ifdef __SANITIZE_THREAD__
	size_t i;

	for (i = 0; i < size; i++)
		__atomic_store_n((char *)to + i,
				 __atomic_load_n((const char *)from + i, __ATOMIC_RELAXED),
				 __ATOMIC_RELAXED);
#else
	memcpy(to, from, size);
#endif
}

#endif /* REGION_H */
