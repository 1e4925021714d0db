// SPDX-License-Identifier: MIT
/*
 * Which slot is whose. A program under this kernel that has an end holds a lock on
 * a byte of the region's file, which the kernel takes back when the program ends,
 * however it ends. Of programs under other kernels nothing is known but what they
 * wrote.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "channel.h"

uint64_t ivshmem_slot_key(const char *name)
{
	uint64_t key = 0xcbf29ce484222325ull;

	for (; *name; name++)
		key = (key ^ (uint8_t)*name) * 0x100000001b3ull;
	return key ?: 1;
}

/*
 * An open file of its own, since a server gives the same one to all its peers.
 * Locks for writing need it writable.
 */
int ivshmem_slot_lock_fd(const struct ivshmem *shm)
{
	return ivshmem_path_reopen(shm->fd, shm->readonly ? O_RDONLY : O_RDWR);
}

static struct flock lock_on(unsigned int slot, unsigned int side, short type)
{
	return (struct flock) {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)(ivshmem_slot_offset(slot) + side),
		.l_len = 1,
	};
}

/* -EBUSY: a program under this kernel has the end. */
int ivshmem_slot_lock(int lock_fd, unsigned int slot, unsigned int side)
{
	struct flock lock = lock_on(slot, side, F_WRLCK);

	if (!fcntl(lock_fd, F_OFD_SETLK, &lock))
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

void ivshmem_slot_unlock(int lock_fd, unsigned int slot, unsigned int side)
{
	struct flock lock = lock_on(slot, side, F_UNLCK);

	fcntl(lock_fd, F_OFD_SETLK, &lock);
}

void ivshmem_slot_tell_lock(struct ivshmem_slot_end *own, int lock_fd)
{
	struct stat status = { .st_ino = 0 };

	if (lock_fd >= 0)
		fstat(lock_fd, &status);
	own->lock_device = status.st_dev;
	own->lock_inode = status.st_ino;
}

/* A device may have several nodes, as in a container: a lock is on one of them. */
static bool is_lock_on(const struct ivshmem_slot_end *end, int lock_fd)
{
	struct stat status;

	return lock_fd >= 0 && !fstat(lock_fd, &status) &&
	       __atomic_load_n(&end->lock_device, __ATOMIC_RELAXED) == status.st_dev &&
	       __atomic_load_n(&end->lock_inode, __ATOMIC_RELAXED) == status.st_ino;
}

static bool is_locked(int lock_fd, unsigned int slot, unsigned int side)
{
	struct flock lock = lock_on(slot, side, F_WRLCK);

	return fcntl(lock_fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

/*
 * Of an end that is attached. @lock_fd must be one without locks: who asks through
 * the file that it holds its own locks by is not told of these.
 */
bool ivshmem_slot_is_dead(const struct ivshmem_slot_end *end, unsigned int slot,
			  unsigned int side, int lock_fd)
{
	return __atomic_load_n(&end->wake, __ATOMIC_RELAXED) & WAKE_LOCKED &&
	       ivshmem_session_is_local(end) && is_lock_on(end, lock_fd) &&
	       !is_locked(lock_fd, slot, side);
}

enum ivshmem_end_state ivshmem_slot_state(const struct ivshmem_slot *slots, unsigned int slot,
					  unsigned int side, int lock_fd)
{
	const struct ivshmem_slot_end *end = &slots[slot].ends[side];
	uint32_t state = __atomic_load_n(&end->epoch, __ATOMIC_ACQUIRE) % 4;

	if (state == END_NEVER || state == END_CLOSED)
		return IVSHMEM_END_FREE;
	/* What it says of its program is not of this epoch yet; the lock comes first. */
	if (state == END_ATTACHING)
		return lock_fd >= 0 && is_locked(lock_fd, slot, side) ? IVSHMEM_END_ATTACHED :
									IVSHMEM_END_DEAD;
	return ivshmem_slot_is_dead(end, slot, side, lock_fd) ? IVSHMEM_END_DEAD :
								IVSHMEM_END_ATTACHED;
}

static bool has_name(const struct ivshmem_slot *slot, const char *name)
{
	char its[IVSHMEM_CHANNEL_NAME_SIZE];

	memcpy(its, slot->name, sizeof(its));
	return !strncmp(its, name, sizeof(its));
}

/* The slot's index; -ENOENT. */
int ivshmem_slot_find(const struct ivshmem_slot *slots, unsigned int count, const char *name)
{
	uint64_t key = ivshmem_slot_key(name);
	unsigned int i;

	for (i = 0; i < count; i++)
		if (__atomic_load_n(&slots[i].key, __ATOMIC_ACQUIRE) == key &&
		    has_name(&slots[i], name))
			return (int)i;
	return -ENOENT;
}

static bool is_unused(const struct ivshmem_slot *slots, unsigned int slot, int lock_fd)
{
	unsigned int side;

	for (side = 0; side < 2; side++)
		if (ivshmem_slot_state(slots, slot, side, lock_fd) == IVSHMEM_END_ATTACHED)
			return false;
	return true;
}

static bool take_slot(struct ivshmem_slot *slot, uint64_t old, const char *name)
{
	char padded[IVSHMEM_CHANNEL_NAME_SIZE] = "";

	if (!__atomic_compare_exchange_n(&slot->key, &old, ivshmem_slot_key(name), false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return false;
	strcpy(padded, name);
	memcpy(slot->name, padded, sizeof(padded));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return true;
}

/* One whose ends are both free. -1: none. */
static int find_left(const struct ivshmem_slot *slots, unsigned int count,
		     const struct ivshmem *shm)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (is_unused(slots, i, shm->look_fd))
			return (int)i;
	return -1;
}

/* One that was never used, else one that was left. -1: none. */
static int find_unused(const struct ivshmem_slot *slots, unsigned int count,
		       const struct ivshmem *shm)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (!__atomic_load_n(&slots[i].key, __ATOMIC_RELAXED))
			return (int)i;
	return find_left(slots, count, shm);
}

/*
 * The slot of that name, a new one if there is none. Two programs that do so at the
 * same time may both make one: the first of the two counts.
 */
int ivshmem_slot_claim(struct ivshmem_slot *slots, unsigned int count, const char *name,
		       const struct ivshmem *shm)
{
	unsigned int tries;
	int slot, first;

	for (tries = 0; tries <= count; tries++) {
		slot = ivshmem_slot_find(slots, count, name);
		if (slot >= 0)
			return slot;
		slot = find_unused(slots, count, shm);
		if (slot < 0)
			return -ENOSPC;
		if (!take_slot(&slots[slot], __atomic_load_n(&slots[slot].key, __ATOMIC_RELAXED),
			       name))
			continue;
		first = ivshmem_slot_find(slots, count, name);
		if (first >= 0 && first != slot)
			__atomic_store_n(&slots[slot].key, 0, __ATOMIC_RELEASE);
		else
			first = slot;
		return first;
	}
	return -EBUSY;
}
