// SPDX-License-Identifier: MIT
/*
 * Does the program live that has an end? One under this kernel holds a lock on a byte
 * of the region's file, which the kernel takes back when the program ends, however it
 * ends. Of programs under other kernels nothing is known but what they wrote.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/system.h"
#include "format.h"

#define BOOT_ID_TEXT_SIZE	36

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* All zeroes where it can't be had: then nobody runs under the same kernel. */
void ivshmem_boot_id_read(uint8_t id[16])
{
	char text[BOOT_ID_TEXT_SIZE] = "";
	int fd, i, digits = 0;

	memset(id, 0, 16);
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text)) == sizeof(text))
		for (i = 0; i < BOOT_ID_TEXT_SIZE && digits < 32; i++)
			if (hex_digit(text[i]) >= 0) {
				id[digits / 2] |= hex_digit(text[i]) << (digits % 2 ? 0 : 4);
				digits++;
			}
	close(fd);
}

/* As far as the end itself tells: does its program run under this kernel? */
bool ivshmem_end_is_local(const struct ivshmem_slot_end *end)
{
	static const uint8_t none[16];
	uint8_t own[16], its[16];

	ivshmem_boot_id_read(own);
	memcpy(its, (const void *)end->boot_id, sizeof(its));
	return memcmp(own, none, sizeof(own)) && !memcmp(own, its, sizeof(own));
}

/*
 * An open file of its own, since a server gives the same one to all its peers.
 * Locks for writing need it writable.
 */
int ivshmem_lock_fd_open(const struct ivshmem *shm)
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
int ivshmem_end_lock(int lock_fd, unsigned int slot, unsigned int side)
{
	struct flock lock = lock_on(slot, side, F_WRLCK);

	if (!fcntl(lock_fd, F_OFD_SETLK, &lock))
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

void ivshmem_end_unlock(int lock_fd, unsigned int slot, unsigned int side)
{
	struct flock lock = lock_on(slot, side, F_UNLCK);

	fcntl(lock_fd, F_OFD_SETLK, &lock);
}

void ivshmem_end_tell_lock(struct ivshmem_slot_end *own, int lock_fd)
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
bool ivshmem_end_is_dead(const struct ivshmem_slot_end *end, unsigned int slot,
			 unsigned int side, int lock_fd)
{
	return __atomic_load_n(&end->wake, __ATOMIC_RELAXED) & WAKE_LOCKED &&
	       ivshmem_end_is_local(end) && is_lock_on(end, lock_fd) &&
	       !is_locked(lock_fd, slot, side);
}

enum ivshmem_end_state ivshmem_end_state_of(const struct ivshmem_slot *slots, unsigned int slot,
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
	return ivshmem_end_is_dead(end, slot, side, lock_fd) ? IVSHMEM_END_DEAD :
								IVSHMEM_END_ATTACHED;
}
