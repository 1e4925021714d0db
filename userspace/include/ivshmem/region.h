/* SPDX-License-Identifier: MIT */
/*
 * A region: opening, creating and mapping it.
 *
 * Thread-safety: any number of threads may use a handle. ivshmem_unmap() takes what
 * ivshmem_data() gave from all of them; ivshmem_close() takes the handle for itself.
 *
 * fork(2): a child can use the memory of its copy of a handle, by the calls of this header
 * and ivshmem_layout_read(). ivshmem_cancel(), ivshmem_uncancel(), all calls for
 * interrupts and peers, and those that open channels return -ECHILD: the child opens the
 * region anew. ivshmem_close() frees the child's copy, and takes nothing from the parent.
 * The copies of _Fork(3) and clone(2), which do not tell the library, must not be used
 * at all: call execve(2), or end.
 */
#ifndef IVSHMEM_REGION_H
#define IVSHMEM_REGION_H

#include <ivshmem/base.h>

#include <stdint.h>
#include <sys/types.h>

IVSHMEM_BEGIN_DECLS

struct ivshmem;

/**
 * enum ivshmem_region_side - Which end of the region a handle is.
 * @IVSHMEM_HOST: The backing file.
 * @IVSHMEM_GUEST: A PCI device.
 */
enum ivshmem_region_side {
	IVSHMEM_HOST,
	IVSHMEM_GUEST,
};

/**
 * enum ivshmem_region_kind - What a region comes with.
 * @IVSHMEM_PLAIN: Memory only.
 * @IVSHMEM_DOORBELL: Memory and interrupts.
 */
enum ivshmem_region_kind {
	IVSHMEM_PLAIN,
	IVSHMEM_DOORBELL,
};

/** IVSHMEM_RDONLY - Open for reading; the mapping can never be written. */
#define IVSHMEM_RDONLY		(1u << 0)
/** IVSHMEM_EXIST_OK - Take an existing file, if it has the wanted size. */
#define IVSHMEM_EXIST_OK	(1u << 1)
/** IVSHMEM_PREALLOCATE - Allocate the memory of a new file at once. */
#define IVSHMEM_PREALLOCATE	(1u << 2)
/** IVSHMEM_RESOURCE2 - Use a device's resource2 where the kernel module does not serve it. */
#define IVSHMEM_RESOURCE2	(1u << 3)

/**
 * ivshmem_open() - Open a region.
 * @shm: Set to the new handle, to be freed with ivshmem_close().
 * @where: One of
 *         "/dev/ivshmem0" or any alias of it (guest);
 *         a PCI address, "0000:08:01.0" or "08:01.0" (guest);
 *         the path of a regular file, "/dev/shm/NAME" (host);
 *         the path of a PCI device's sysfs file "resource2", for guests
 *         without the kernel module: needs root, and the memory is uncached.
 *         Memory decoding is switched on where no driver has done so yet;
 *         "unix:" and the path of an ivshmem server's socket (host): the region
 *         that it serves, as one of its peers.
 * @flags: Any of IVSHMEM_RDONLY; IVSHMEM_RESOURCE2: if @where is a PCI address, and the
 *         module serves no node for the device, its resource2 is opened, as if @where
 *         named it.
 *
 * Nothing is mapped yet: see ivshmem_map(). The file of a host region is
 * neither created nor resized. A symbolic link at the end of @where is not
 * followed when it lies in a sticky directory that everybody may write to
 * (/dev/shm, /tmp) and belongs neither to the caller nor to the directory's
 * owner. A server has 5 seconds to introduce this peer, with at least one vector.
 *
 * Whoever may write to the file of a host region may truncate it, unless it is sealed:
 * see ivshmem_sealed(). Calls that only ask, such as ivshmem_layout_read(), then fail
 * with -ESTALE. Mappings raise SIGBUS where they are touched: the caller's own, and those
 * of channels.
 *
 * All that is needed later is opened here: the handle works on when the program gives up
 * its rights or changes its root.
 *
 * Context: Any thread.
 * Return: 0; -EINVAL (NULL or empty argument, unknown flag, or a size that is
 * no multiple of the page size); -ENOENT (no such path, or no ivshmem device at
 * this PCI address); -ENODEV (the PCI device
 * is there, but the module serves no node for it, and IVSHMEM_RESOURCE2 was not
 * given; it is being removed; or a
 * resource2 of another kind of device); -EACCES or -EPERM (no permission);
 * -EBUSY (a resource2 that a driver has claimed, and this kernel lets nobody else map);
 * -EISDIR (a directory); -ENOTTY (a character device that is not ivshmem's);
 * -ENOTSUP (any other thing that is no regular file: FIFO, socket, block device;
 * another file of sysfs); -ENODATA (a file of size zero: nobody gave it a size
 * yet); -ELOOP (an untrusted symbolic link); -EFBIG (more than this program's
 * address space holds); -ENOSYS (/proc is not mounted); -ENOMEM, -EMFILE,
 * -ENFILE; any other error of open(2). For a server also -ECONNREFUSED (none
 * listens there), -ECONNRESET (it refused this peer), -ETIMEDOUT (it is silent,
 * or gave this peer no vector), -EPROTO (it sent what the protocol does not allow).
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_open(struct ivshmem **shm, const char *where, unsigned int flags);

/**
 * ivshmem_create() - Create the backing file of a host region, and open it.
 * @shm: Set to the new handle, to be freed with ivshmem_close().
 * @path: Path of the file, best in /dev/shm or on a hugetlbfs.
 * @size: Size in bytes: a power of two, at least the page size. QEMU maps the
 *        region as a PCI BAR and takes nothing else.
 * @mode: Permissions of a new file, as for chmod(2); the umask is not applied.
 * @flags: Any of IVSHMEM_EXIST_OK, IVSHMEM_PREALLOCATE.
 *
 * A new file is all zeroes. Without IVSHMEM_PREALLOCATE it is sparse: where
 * its filesystem fills up, the first touch of a page raises SIGBUS. Closing
 * the handle leaves the file; unlink(2) removes it. Where this fails, no file
 * is left behind.
 *
 * Context: Any thread.
 * Return: 0; -EINVAL (NULL or empty argument, unknown flag, bad mode, bad
 * size; on hugetlbfs also one below the huge page size); -EEXIST (the path
 * exists and IVSHMEM_EXIST_OK was not given); -EMSGSIZE (it exists at another
 * size, and was left alone); -ENOSPC (no room to preallocate); -EFBIG (more than
 * this program's address space or its RLIMIT_FSIZE allows); any error of open(2)
 * or of ivshmem_open().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_create(struct ivshmem **shm, const char *path, uint64_t size,
		   mode_t mode, unsigned int flags);

/**
 * ivshmem_close() - Unmap and close.
 * @shm: Handle, or NULL.
 *
 * Frees the handle and all that it gave out: ivshmem_data(), the strings. Its channels and
 * areas go on until they are closed themselves, and for as long a peer stays with its server.
 *
 * Context: Any thread; no other call may use the handle meanwhile, but calls on its
 * channels may.
 * Since: 0.1
 */
void ivshmem_close(struct ivshmem *shm);

/**
 * ivshmem_cancel() - End all calls that wait.
 * @shm: Open handle.
 *
 * Of the handle and of its channels: those that wait now, in whatever thread, and those
 * that would wait from now on, return -ECANCELED, until ivshmem_uncancel(). What they have
 * to tell otherwise comes first: a message that is there is still received. Calls that
 * don't have to wait, with a timeout of 0 or otherwise, work as before.
 *
 * Before Linux 5.16 a call that sleeps without a doorbell can take 0.1 seconds to notice.
 * ivshmem_open() of a server, which has no handle yet, can't be cancelled.
 *
 * Context: Any thread, and signal handlers (it is async-signal-safe).
 * Return: 0; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_cancel(struct ivshmem *shm);

/**
 * ivshmem_uncancel() - Let calls wait again.
 * @shm: Open handle.
 *
 * Context: As for ivshmem_cancel().
 * Return: 0; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_uncancel(struct ivshmem *shm);

/**
 * ivshmem_map() - Map the whole region.
 * @shm: Open handle.
 *
 * Readable, and writable unless the handle is IVSHMEM_RDONLY; never executable.
 * Touching the mapping raises SIGBUS once the device is gone, or where the
 * backing file was truncated: ivshmem_check() tells.
 *
 * Context: Any thread.
 * Return: 0; -EINVAL (NULL); -EBUSY (already mapped; or a resource2 that a
 * driver has claimed); -ENODEV (the device is gone); -ENOTSUP (the file's
 * filesystem cannot map files); -ENOMEM; any other error of mmap(2).
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_map(struct ivshmem *shm);

/**
 * ivshmem_unmap() - Take the mapping away.
 * @shm: Open handle.
 *
 * Context: Any thread; no other may use the mapping, or be in ivshmem_sync(), meanwhile.
 * Return: 0; -EINVAL (NULL, or not mapped).
 * Since: 0.1
 */
int ivshmem_unmap(struct ivshmem *shm);

/**
 * ivshmem_data() - The first byte of the mapping.
 * @shm: Open handle, or NULL.
 *
 * Return: Address of ivshmem_size() bytes, aligned to the page size at least;
 * NULL where the region is not mapped. Valid until ivshmem_unmap() or
 * ivshmem_close().
 * Since: 0.1
 */
void *ivshmem_data(const struct ivshmem *shm);

/**
 * ivshmem_sync() - Order and flush.
 * @shm: Mapped handle.
 *
 * A full memory barrier, then msync(2): all stores to the mapping before the
 * call are visible to the other side before any access after it, and have
 * reached the disk where the backing file lies on one.
 *
 * Return: 0; -EINVAL (NULL, or not mapped); -ENODEV (the device is gone);
 * -ESTALE (the backing file was truncated or replaced, see ivshmem_check()); -EIO.
 * Since: 0.1
 */
int ivshmem_sync(struct ivshmem *shm);

/**
 * ivshmem_check() - Is the region still whole?
 * @shm: Open handle.
 *
 * A file that was deleted while it is in use is whole, and so is one that was moved. But
 * where another file was made at its path, whoever opens that path from now on gets
 * another region. No file of a server's region, nor one whose path leads nowhere
 * (after chroot(2), say), is found to be replaced.
 *
 * Return: 0; -EINVAL (NULL); -ENODEV (the device is gone: close the handle);
 * -ESTALE (somebody truncated the backing file: touching the pages beyond
 * its new end raises SIGBUS; or it was deleted, and another one made at its path: open
 * the region again); -ECONNRESET (the region is whole, but the connection to its
 * server has ended: ivshmem_rejoin() makes this end a peer of the next one).
 * Since: 0.1
 */
int ivshmem_check(const struct ivshmem *shm);

/**
 * ivshmem_rejoin() - Join the next server, and keep the handle.
 * @shm: Open handle of a "unix:" region.
 *
 * For when the connection has ended: as long as it has not, nothing happens, and 0 is
 * returned. Connects to the same path as ivshmem_open() did, and has as much time.
 *
 * Where the next server serves the same region, as one does that was started with a file,
 * all pointers into it stay valid. Channels go on looking for messages themselves, until
 * ivshmem_channel_reconnect() lets both ends ring each other again.
 *
 * Where it serves another region of the same size, that one takes the place of the old
 * one: a mapping stays at its address, and shows the new region from then on. What the old
 * one held is gone for this program. A handle with open channels or areas stays with the
 * old region (-EBUSY): close them first. So does one whose region has another size
 * (-EMSGSIZE): close the handle, and open the region anew.
 *
 * The peer ID is another one, and so may be the number of vectors; the peers of the old
 * server are forgotten, and those that are there give no event, as after ivshmem_open().
 * Rings may have been missed, so each vector is signalled once. The descriptors of
 * ivshmem_event_fd(), ivshmem_peer_fd() and ivshmem_fd() keep their numbers; but
 * epoll(7) takes those of ivshmem_event_fd() for new ones: remove them from it before the
 * call, and add them after it. Those of vectors that the new server does not give are
 * closed.
 *
 * Context: Any thread; others may use the handle meanwhile. One that waits for a ring
 * goes on to wait on the new server.
 * Return: 0 (the same region); 1 (another one); -EINVAL (NULL); -ENOTSUP (no region of a
 * server); -EMSGSIZE; -EBUSY; -ENOENT, -ECONNREFUSED (there is no server yet: try again
 * later); the errors of ivshmem_open(). After an error the handle is as before.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_rejoin(struct ivshmem *shm);

/**
 * ivshmem_sealed() - Can nobody make the region smaller?
 * @shm: Open handle, of a region on the host.
 *
 * A region that a server holds as anonymous memory is sealed (F_SEAL_SHRINK of fcntl(2)). A
 * file with a path can't be: whoever may write to it may truncate it, and all who
 * touch their mappings then get SIGBUS.
 *
 * Context: Any thread.
 * Return: 1 (sealed), 0 (not); -EINVAL (NULL); -ENOTSUP (in a guest, which can't know).
 * Since: 0.1
 */
int ivshmem_sealed(const struct ivshmem *shm);

/**
 * ivshmem_fd() - The open file behind a handle.
 * @shm: Open handle.
 *
 * In a guest, poll(2) reports POLLHUP and POLLERR on it once the device is gone.
 *
 * Return: A file descriptor, owned by the handle; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_fd(const struct ivshmem *shm);

/**
 * ivshmem_size() - Size of the region.
 * @shm: Open handle, or NULL.
 *
 * Return: Bytes, a multiple of the page size; 0 for NULL.
 * Since: 0.1
 */
uint64_t ivshmem_size(const struct ivshmem *shm);

/**
 * ivshmem_path() - What was opened.
 * @shm: Open handle, or NULL.
 *
 * Return: The absolute path of the device node, file, resource2 or server's
 * socket, free of symbolic links; owned by the handle. NULL for NULL.
 * Since: 0.1
 */
const char *ivshmem_path(const struct ivshmem *shm);

/**
 * ivshmem_location() - Where the region is found.
 * @shm: Open handle, or NULL.
 *
 * Return: In a guest the PCI address, "0000:00:04.0"; on the host the same as
 * ivshmem_path(). Owned by the handle. NULL for NULL.
 * Since: 0.1
 */
const char *ivshmem_location(const struct ivshmem *shm);

/**
 * ivshmem_side() - Which end this is.
 * @shm: Open handle.
 *
 * Return: An enum ivshmem_region_side; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_side(const struct ivshmem *shm);

/**
 * ivshmem_kind() - What the region comes with.
 * @shm: Open handle.
 *
 * Return: An enum ivshmem_region_kind; a host file is IVSHMEM_PLAIN. -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_kind(const struct ivshmem *shm);

/**
 * ivshmem_mapping() - How the region is mapped.
 * @shm: Open handle, or NULL.
 *
 * Return: "pages" or "pfn" (device node, see ivshmem(4)), "resource2" or
 * "file"; a constant. NULL for NULL.
 * Since: 0.1
 */
const char *ivshmem_mapping(const struct ivshmem *shm);

/**
 * ivshmem_cache() - How the mapping is cached.
 * @shm: Open handle, or NULL.
 *
 * Return: "write-back", as it should be; "write-through", "write-combining",
 * "uncached-minus", "uncached", or "unknown"; a constant. NULL for NULL.
 * Since: 0.1
 */
const char *ivshmem_cache(const struct ivshmem *shm);

/**
 * ivshmem_page_size() - How large the pages behind the mapping may be.
 * @shm: Open handle, or NULL.
 *
 * In a guest, the largest page-table entry that a mapping gets where address and
 * offset allow: ivshmem_map() finds such an address. On the host, the page size of
 * a file on hugetlbfs; for others the base page size, though huge pages may be had.
 *
 * Return: Bytes, a power of two; 0 for NULL.
 * Since: 0.1
 */
uint64_t ivshmem_page_size(const struct ivshmem *shm);

/**
 * ivshmem_export_dmabuf() - Make a dma-buf of a part of the region.
 * @shm: Open handle, of a guest's device.
 * @offset: Where the part begins, a multiple of the page size.
 * @len: Its length in bytes, a multiple of the page size.
 * @flags: 0, or IVSHMEM_RDONLY for a dma-buf that nobody can write through.
 *
 * For drivers of other devices, which import it, or for mmap(2). It lives on when
 * the handle is closed, and ends with the device: its mappings then raise SIGBUS,
 * and importers can't attach any more. An importer that keeps it mapped holds the
 * removal of the device up.
 *
 * Return: A file descriptor, close-on-exec, owned by the caller; -EINVAL (NULL, an
 * unknown flag, or a bad range); -EACCES (an IVSHMEM_RDONLY handle, and @flags ask
 * to write); -ENOTSUP (on the host, a resource2, or a device whose pages nobody may
 * pin, see PINNING in ivshmem(4)); -ENODEV (the device is gone); -ENOMEM, -EMFILE, -ENFILE.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_export_dmabuf(struct ivshmem *shm, uint64_t offset, uint64_t len,
			  unsigned int flags);

IVSHMEM_END_DECLS

#endif /* IVSHMEM_REGION_H */
