// SPDX-License-Identifier: MIT
/*
 * Does the program live that has an end? One under this kernel holds a lock on a byte
 * of the region's file, which the kernel takes back when the program ends, however it
 * ends. Of programs under other kernels nothing is known but what they wrote.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "format.h"

/* As far as the end itself tells: does its program run under this kernel? */
bool ivshmem_end_is_local(const struct ivshmem_slot_end *end, const struct ivshmem *shm)
{
	static const uint8_t none[16];
	const uint8_t *own = shm->whereabouts.boot_id;
	uint8_t its[16];

	ivshmem_copy_shared(its, end->boot_id, sizeof(its));
	return memcmp(own, none, sizeof(none)) && !memcmp(own, its, sizeof(its));
}

uint64_t ivshmem_end_byte(unsigned int slot, unsigned int side)
{
	return ivshmem_slot_offset(slot) + side;
}

static struct flock lock_on(uint64_t byte, short type)
{
	return (struct flock) {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)byte,
		.l_len = 1,
	};
}

/* -EBUSY: a program under this kernel has what the byte stands for. */
int ivshmem_byte_lock(const struct ivshmem *shm, uint64_t byte)
{
	struct flock lock = lock_on(byte, F_WRLCK);

	if (shm->lock_fd < 0)
		return -EACCES;
	if (!fcntl(shm->lock_fd, F_OFD_SETLK, &lock))
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

void ivshmem_byte_unlock(const struct ivshmem *shm, uint64_t byte)
{
	struct flock lock = lock_on(byte, F_UNLCK);

	fcntl(shm->lock_fd, F_OFD_SETLK, &lock);
}

int ivshmem_end_lock(const struct ivshmem *shm, unsigned int slot, unsigned int side)
{
	return ivshmem_byte_lock(shm, ivshmem_end_byte(slot, side));
}

void ivshmem_end_unlock(const struct ivshmem *shm, unsigned int slot, unsigned int side)
{
	ivshmem_byte_unlock(shm, ivshmem_end_byte(slot, side));
}

void ivshmem_end_tell_whereabouts(struct ivshmem_slot_end *own, const struct ivshmem *shm)
{
	ivshmem_copy_shared(own->boot_id, shm->whereabouts.boot_id, sizeof(own->boot_id));
	__atomic_store_n(&own->lock_device, shm->lock_fd < 0 ? 0 : shm->whereabouts.device,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&own->lock_inode, shm->lock_fd < 0 ? 0 : shm->whereabouts.inode,
			 __ATOMIC_RELAXED);
}

/* A device may have several nodes, as in a container: a lock is on one of them. */
static bool is_lock_on(const struct ivshmem_slot_end *end, const struct ivshmem *shm)
{
	return __atomic_load_n(&end->lock_device, __ATOMIC_RELAXED) == shm->whereabouts.device &&
	       __atomic_load_n(&end->lock_inode, __ATOMIC_RELAXED) == shm->whereabouts.inode;
}

/*
 * By @fd, which has no locks: who asks through the file that it holds its own locks by
 * is not told of these.
 */
static bool is_locked(const struct ivshmem *shm, uint64_t byte)
{
	struct flock lock = lock_on(byte, F_WRLCK);

	return fcntl(shm->fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

/* Does the end say that its program has its lock, and on the file of @shm? */
bool ivshmem_end_lock_is_here(const struct ivshmem_slot_end *end, const struct ivshmem *shm)
{
	return __atomic_load_n(&end->wake, __ATOMIC_RELAXED) & WAKE_LOCKED &&
	       ivshmem_end_is_local(end, shm) && is_lock_on(end, shm);
}

/*
 * Both are on a host, where the region is a file in memory. All programs that have these
 * bytes have them by this file, in whatever container, whatever boot ID that shows. So one
 * that has no lock on it has ended; or it has the bytes of another file, of which these are
 * a copy, end and all: a guest that migrated has brought them along.
 */
static bool is_of_a_file(const struct ivshmem_slot_end *end, const struct ivshmem *shm)
{
	uint32_t wake = __atomic_load_n(&end->wake, __ATOMIC_RELAXED);

	return shm->is_file && wake & WAKE_FILE && wake & WAKE_LOCKED;
}

/*
 * Of an end that is attached: is its program here, and alive? -ENOTSUP: that can't be told.
 * @byte: where the lock of its program lies.
 */
int ivshmem_end_lives(const struct ivshmem_slot_end *end, uint64_t byte,
		      const struct ivshmem *shm)
{
	return is_of_a_file(end, shm) || ivshmem_end_lock_is_here(end, shm) ?
	       is_locked(shm, byte) : -ENOTSUP;
}

int ivshmem_end_is_alive(const struct ivshmem_slot_end *end, unsigned int slot,
			 unsigned int side, const struct ivshmem *shm)
{
	return ivshmem_end_lives(end, ivshmem_end_byte(slot, side), shm);
}

/* @byte: where the lock of its program lies. */
enum ivshmem_end_state ivshmem_end_state_by(const struct ivshmem_slot_end *end, uint64_t byte,
					    const struct ivshmem *shm)
{
	uint32_t state = __atomic_load_n(&end->epoch, __ATOMIC_ACQUIRE) % 4;
	bool lives;

	if (state == END_NEVER || state == END_CLOSED)
		return IVSHMEM_END_FREE;
	/* What it says of its program is not of this epoch yet; the lock comes first. */
	if (state == END_ATTACHING)
		lives = is_locked(shm, byte);
	else
		lives = ivshmem_end_lives(end, byte, shm) != 0;
	return lives ? IVSHMEM_END_ATTACHED : IVSHMEM_END_DEAD;
}

enum ivshmem_end_state ivshmem_end_state_of(const struct ivshmem_slot *slots, unsigned int slot,
					    unsigned int side, const struct ivshmem *shm)
{
	return ivshmem_end_state_by(&slots[slot].ends[side], ivshmem_end_byte(slot, side), shm);
}

/* Beside the ends' bytes: whoever uses an object without having an end of it shares it. */
uint64_t ivshmem_slot_byte(unsigned int slot)
{
	return ivshmem_slot_offset(slot) + 2;
}

bool ivshmem_slot_is_locked(const struct ivshmem *shm, unsigned int slot)
{
	struct flock lock = lock_on(ivshmem_slot_byte(slot), F_WRLCK);

	return !fcntl(shm->fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}
