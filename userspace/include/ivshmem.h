/* SPDX-License-Identifier: MIT */
/*
 * libivshmem: QEMU's inter-VM shared memory, for programs in a guest and on
 * the host.
 *
 * Both sides use the same calls; only the @where given to ivshmem_open()
 * differs. Functions that can fail return 0 or a positive count on success and
 * a negative errno on failure; objects come through out-parameters, which are
 * left alone on failure. The library never prints, never exits, starts no
 * thread and installs no signal handler.
 *
 * Thread-safety: different handles may be used from different threads at the
 * same time. One handle may be used from several threads as long as none of
 * them opens, maps, unmaps or closes it meanwhile.
 *
 * Trust: the other side may write anything into the region at any time. Copy
 * what you read into private memory, check the copy, and use only that.
 */

#ifndef IVSHMEM_H
#define IVSHMEM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ivshmem;
struct ivshmem_device;
struct ivshmem_device_list;
struct ivshmem_monitor;

/**
 * enum ivshmem_side - Which end of the region a handle is.
 * @IVSHMEM_HOST: The backing file.
 * @IVSHMEM_GUEST: A PCI device.
 */
enum ivshmem_side {
	IVSHMEM_HOST,
	IVSHMEM_GUEST,
};

/**
 * enum ivshmem_kind - What a region comes with.
 * @IVSHMEM_PLAIN: Memory only.
 * @IVSHMEM_DOORBELL: Memory and interrupts.
 */
enum ivshmem_kind {
	IVSHMEM_PLAIN,
	IVSHMEM_DOORBELL,
};

/** IVSHMEM_RDONLY - Open for reading; the mapping can never be written. */
#define IVSHMEM_RDONLY		(1u << 0)
/** IVSHMEM_EXIST_OK - Take an existing file, if it has the wanted size. */
#define IVSHMEM_EXIST_OK	(1u << 1)
/** IVSHMEM_PREALLOCATE - Allocate the memory of a new file at once. */
#define IVSHMEM_PREALLOCATE	(1u << 2)

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
 * @flags: 0 or IVSHMEM_RDONLY.
 *
 * Nothing is mapped yet: see ivshmem_map(). The file of a host region is
 * neither created nor resized. A symbolic link at the end of @where is not
 * followed when it lies in a sticky directory that everybody may write to
 * (/dev/shm, /tmp) and belongs neither to the caller nor to the directory's
 * owner. A server has 5 seconds to introduce this peer.
 *
 * Context: Any thread.
 * Return: 0; -EINVAL (NULL or empty argument, unknown flag, or a size that is
 * no multiple of the page size); -ENOENT (no such path, or no ivshmem device at
 * this PCI address); -ENODEV (the PCI device
 * is there, but the module serves no node for it; it is being removed; or a
 * resource2 of another kind of device); -EACCES or -EPERM (no permission);
 * -EISDIR (a directory); -ENOTTY (a character device that is not ivshmem's);
 * -ENOTSUP (any other thing that is no regular file: FIFO, socket, block device;
 * another file of sysfs); -ENODATA (a file of size zero: nobody gave it a size
 * yet); -ELOOP (an untrusted symbolic link); -EFBIG (more than this program's
 * address space holds); -ENOSYS (/proc is not mounted); -ENOMEM, -EMFILE,
 * -ENFILE; any other error of open(2). For a server also -ECONNREFUSED (none
 * listens there), -ECONNRESET (it refused this peer), -ETIMEDOUT (it is silent),
 * -EPROTO (it sent what the protocol does not allow).
 * Since: 0.1
 */
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
int ivshmem_create(struct ivshmem **shm, const char *path, uint64_t size,
		   mode_t mode, unsigned int flags);

/**
 * ivshmem_close() - Unmap and close.
 * @shm: Handle, or NULL.
 *
 * Frees the handle and all that it gave out: ivshmem_data(), the strings.
 *
 * Context: Any thread; no other call may use the handle meanwhile.
 * Since: 0.1
 */
void ivshmem_close(struct ivshmem *shm);

/**
 * ivshmem_map() - Map the whole region.
 * @shm: Open handle.
 *
 * Readable, and writable unless the handle is IVSHMEM_RDONLY; never executable.
 * Touching the mapping raises SIGBUS once the device is gone, or where the
 * backing file was truncated: ivshmem_check() tells.
 *
 * Return: 0; -EINVAL (NULL); -EBUSY (already mapped; or a resource2 that a
 * driver has claimed); -ENODEV (the device is gone); -ENOTSUP (the file's
 * filesystem cannot map files); -ENOMEM; any other error of mmap(2).
 * Since: 0.1
 */
int ivshmem_map(struct ivshmem *shm);

/**
 * ivshmem_unmap() - Take the mapping away.
 * @shm: Open handle.
 *
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
 * -ESTALE (the backing file was truncated); -EIO.
 * Since: 0.1
 */
int ivshmem_sync(struct ivshmem *shm);

/**
 * ivshmem_check() - Is the region still whole?
 * @shm: Open handle.
 *
 * Return: 0; -EINVAL (NULL); -ENODEV (the device is gone: close the handle);
 * -ESTALE (somebody truncated the backing file: touching the pages beyond
 * its new end raises SIGBUS).
 * Since: 0.1
 */
int ivshmem_check(const struct ivshmem *shm);

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
 * Return: An enum ivshmem_side; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_side(const struct ivshmem *shm);

/**
 * ivshmem_kind() - What the region comes with.
 * @shm: Open handle.
 *
 * Return: An enum ivshmem_kind; a host file is IVSHMEM_PLAIN. -EINVAL (NULL).
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
 * to write); -ENOTSUP (on the host, a resource2, or a region whose ivshmem_mapping()
 * is not "pages"); -ENODEV (the device is gone); -ENOMEM, -EMFILE, -ENFILE.
 * Since: 0.1
 */
int ivshmem_export_dmabuf(struct ivshmem *shm, uint64_t offset, uint64_t len,
			  unsigned int flags);

/**
 * ivshmem_strerror() - What a failure means here, and what to do.
 * @error: A negative errno from a function of this library.
 *
 * Return: One line without a full stop, a constant; strerror(3)'s text for
 * errors that have no meaning of their own here. The thread's next call may
 * overwrite the latter.
 * Since: 0.1
 */
const char *ivshmem_strerror(int error);

/**
 * ivshmem_list() - List the ivshmem PCI devices of this machine.
 * @list: Set to the new list, to be freed with ivshmem_list_free(). Sorted by
 *        PCI address; empty where there is no device.
 *
 * Includes the devices that no driver serves. A snapshot: see
 * ivshmem_monitor_open() for changes. Needs no privilege.
 *
 * Context: Any thread.
 * Return: 0; -EINVAL (NULL); -ENOMEM, or another error from reading sysfs.
 * Since: 0.1
 */
int ivshmem_list(struct ivshmem_device_list **list);

/**
 * ivshmem_list_count() - Number of devices in a list.
 * @list: List, or NULL.
 *
 * Return: The count; 0 for NULL.
 * Since: 0.1
 */
size_t ivshmem_list_count(const struct ivshmem_device_list *list);

/**
 * ivshmem_list_get() - One device of a list.
 * @list: List, or NULL.
 * @index: From 0 to ivshmem_list_count() - 1.
 *
 * Return: The device, owned by the list; NULL beyond the end.
 * Since: 0.1
 */
const struct ivshmem_device *
ivshmem_list_get(const struct ivshmem_device_list *list, size_t index);

/**
 * ivshmem_list_free() - Free a list and its devices.
 * @list: List, or NULL.
 * Since: 0.1
 */
void ivshmem_list_free(struct ivshmem_device_list *list);

/**
 * ivshmem_device_address() - PCI address of a device.
 * @device: Device.
 *
 * Return: "0000:00:04.0"; owned by the device.
 * Since: 0.1
 */
const char *ivshmem_device_address(const struct ivshmem_device *device);

/**
 * ivshmem_device_node() - Device node.
 * @device: Device.
 *
 * Return: "/dev/ivshmem0", good for ivshmem_open(), owned by the device; NULL
 * where there is none, since the module is not loaded or another driver has
 * the device.
 * Since: 0.1
 */
const char *ivshmem_device_node(const struct ivshmem_device *device);

/**
 * ivshmem_device_driver() - The driver that is bound to the PCI device.
 * @device: Device.
 *
 * Return: "ivshmem", or another name ("vfio-pci"), owned by the device; NULL
 * where there is none, or where it is not known because the device is gone.
 * Since: 0.1
 */
const char *ivshmem_device_driver(const struct ivshmem_device *device);

/**
 * ivshmem_device_size() - Size of the region.
 * @device: Device.
 *
 * Return: Bytes; 0 where not known, because the device is gone.
 * Since: 0.1
 */
uint64_t ivshmem_device_size(const struct ivshmem_device *device);

/**
 * ivshmem_device_kind() - What the device comes with.
 * @device: Device.
 *
 * Return: An enum ivshmem_kind.
 * Since: 0.1
 */
enum ivshmem_kind ivshmem_device_kind(const struct ivshmem_device *device);

/**
 * enum ivshmem_change - What happened to a device.
 * @IVSHMEM_ADDED: Its node is there, with its names and permissions.
 * @IVSHMEM_REMOVED: It is gone.
 */
enum ivshmem_change {
	IVSHMEM_ADDED,
	IVSHMEM_REMOVED,
};

/**
 * ivshmem_monitor_open() - Watch devices come and go.
 * @monitor: Set to the new monitor, to be freed with ivshmem_monitor_close().
 *
 * To miss nothing, open the monitor first and call ivshmem_list() then. The
 * events come from udev, after its rules were applied; none come where udev
 * does not run.
 *
 * Context: Any thread; one monitor is used by one thread at a time.
 * Return: 0; -EINVAL (NULL); -ENOMEM, -EMFILE, -ENFILE.
 * Since: 0.1
 */
int ivshmem_monitor_open(struct ivshmem_monitor **monitor);

/**
 * ivshmem_monitor_close() - Stop watching.
 * @monitor: Monitor, or NULL.
 * Since: 0.1
 */
void ivshmem_monitor_close(struct ivshmem_monitor *monitor);

/**
 * ivshmem_monitor_fd() - Descriptor for poll(2): readable when events wait.
 * @monitor: Monitor.
 *
 * Return: A file descriptor, owned by the monitor; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_monitor_fd(struct ivshmem_monitor *monitor);

/**
 * ivshmem_monitor_next() - Take the next event.
 * @monitor: Monitor.
 * @timeout_ms: Milliseconds to wait; 0 polls, negative waits for ever.
 * @change: Set to what happened.
 * @device: Set to the device, to be freed with ivshmem_device_free().
 *
 * Return: 0; -ETIMEDOUT (nothing happened); -EINVAL (NULL); -EINTR (a signal
 * came); -ENOBUFS (events were lost: call ivshmem_list() again); -ENOMEM.
 * Since: 0.1
 */
int ivshmem_monitor_next(struct ivshmem_monitor *monitor, int timeout_ms,
			 enum ivshmem_change *change,
			 struct ivshmem_device **device);

/**
 * ivshmem_device_free() - Free a device from ivshmem_monitor_next().
 * @device: Device, or NULL. Devices of a list are freed with the list.
 * Since: 0.1
 */
void ivshmem_device_free(struct ivshmem_device *device);

/*
 * Notifications. A region with a doorbell is shared by peers: guests, and host
 * programs that opened "unix:/path/of/server.sock". Each has an ID and a number
 * of vectors, and may ring any vector of any other.
 *
 * What is guaranteed: after a ring, the rung vector is signalled at least once,
 * and stores made before the ring are visible to whoever takes it. Rings may be
 * merged: a count tells that there was at least one, not how many.
 */

/**
 * ivshmem_peer_id() - The ID that others ring this end by.
 * @shm: Open handle.
 *
 * Return: 0 to 65535; -EINVAL (NULL); -ENOTSUP (a plain region); -ENODEV (the
 * device is gone).
 * Since: 0.1
 */
int ivshmem_peer_id(const struct ivshmem *shm);

/**
 * ivshmem_vectors() - Number of vectors of this end.
 * @shm: Open handle.
 *
 * Return: The count, 0 for a plain region; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_vectors(const struct ivshmem *shm);

/**
 * ivshmem_notify() - Ring one vector of one peer.
 * @shm: Open handle.
 * @peer: ID of the peer, 0 to 65535.
 * @vector: Vector of that peer, 0 to 255.
 *
 * Never waits. All stores to the mapping before the call are visible to the peer
 * when it takes the ring. In a guest success says that the doorbell was rung: the
 * device does not tell whether there is such a peer or vector.
 *
 * Context: Any thread, also several at once.
 * Return: 0; -EINVAL (NULL, or out of range); -ENOTSUP (a plain region); -ENXIO
 * (host: no such peer, or it has no such vector); -ENODEV (the device is gone).
 * Since: 0.1
 */
int ivshmem_notify(struct ivshmem *shm, unsigned int peer, unsigned int vector);

/**
 * ivshmem_event_fd() - Descriptor that a vector signals, for poll(2) or epoll(7).
 * @shm: Open handle.
 * @vector: Vector of this end, below ivshmem_vectors().
 *
 * An eventfd(2), non-blocking: readable when the vector was rung, and once when
 * the device goes. Read its 8 bytes, or call ivshmem_wait() with a timeout of 0,
 * to take the rings. In a guest the first call for a vector binds it; a ring that
 * came before anybody had bound it is not lost.
 *
 * Context: Any thread; the first call for a vector must not race with another
 * for the same vector.
 * Return: A file descriptor, owned by the handle; -EINVAL (NULL, or no such
 * vector); -ENOTSUP (a plain region); -ENODEV (the device is gone); -ENOSPC (too
 * many descriptors are bound to the vector); -EMFILE, -ENFILE, -ENOMEM.
 * Since: 0.1
 */
int ivshmem_event_fd(struct ivshmem *shm, unsigned int vector);

/**
 * ivshmem_wait() - Wait for a ring of one vector.
 * @shm: Open handle.
 * @vector: Vector of this end, below ivshmem_vectors().
 * @timeout_ms: Milliseconds to wait; 0 polls, negative waits for ever.
 *
 * Rings that came since the last wait are taken together. Stores that the peer
 * made before it rang are visible on return.
 *
 * Context: Any thread; two threads may wait for different vectors, once
 * ivshmem_event_fd() was called for each of them.
 * Return: The number of rings taken (at least 1, at most INT_MAX); -ETIMEDOUT;
 * -EINTR (a signal came); -EINVAL (NULL, or no such vector); -ENOTSUP (a plain
 * region); -ENODEV (the device is gone); the errors of ivshmem_event_fd().
 * Since: 0.1
 */
int ivshmem_wait(struct ivshmem *shm, unsigned int vector, int timeout_ms);

/**
 * ivshmem_set_busy_poll() - Let ivshmem_wait() look for rings before it sleeps.
 * @shm: Open handle.
 * @microseconds: How long; 0, as it is at first, sleeps at once.
 *
 * Looking keeps a processor busy, and spares the time that sleeping and waking
 * takes. It pays where a ring mostly comes so soon, and where there is a processor
 * to spare. Never longer than the timeout. A signal that comes meanwhile does not
 * end the wait.
 *
 * Context: Any thread; none in ivshmem_wait() meanwhile.
 * Return: 0; -EINVAL (NULL); -ENOTSUP (a plain region).
 * Since: 0.1
 */
int ivshmem_set_busy_poll(struct ivshmem *shm, unsigned int microseconds);

/**
 * enum ivshmem_peer_change - What happened to a peer.
 * @IVSHMEM_PEER_JOINED: It can be rung. Its further vectors may follow.
 * @IVSHMEM_PEER_LEFT: It is gone, and its ID free for another.
 */
enum ivshmem_peer_change {
	IVSHMEM_PEER_JOINED,
	IVSHMEM_PEER_LEFT,
};

/**
 * ivshmem_peers() - The other peers, as far as the server has told.
 * @shm: Open handle of a "unix:" region.
 * @ids: Filled with their IDs, ascending; may be NULL if @max is 0.
 * @max: Room in @ids.
 *
 * The table follows the server's messages as they are taken by
 * ivshmem_peer_next(), or by a channel that rings its other end.
 *
 * Context: Any thread, but not at the same time as these.
 * Return: The number of peers, which may be more than @max; -EINVAL (NULL);
 * -ENOTSUP (a guest's device, which cannot tell, or a plain region).
 * Since: 0.1
 */
int ivshmem_peers(const struct ivshmem *shm, uint16_t *ids, size_t max);

/**
 * ivshmem_peer_vectors() - Number of vectors of another peer.
 * @shm: Open handle of a "unix:" region.
 * @peer: ID of the peer.
 *
 * Return: The count, at least 1; -ENXIO (no such peer); -EINVAL; -ENOTSUP (as
 * for ivshmem_peers()).
 * Since: 0.1
 */
int ivshmem_peer_vectors(const struct ivshmem *shm, unsigned int peer);

/**
 * ivshmem_peer_fd() - Descriptor for poll(2): readable when the server has news.
 * @shm: Open handle of a "unix:" region.
 *
 * Return: A file descriptor, owned by the handle; -EINVAL (NULL); -ENOTSUP;
 * -ECONNRESET or -EPROTO (the connection has ended, see ivshmem_peer_next()).
 * Since: 0.1
 */
int ivshmem_peer_fd(const struct ivshmem *shm);

/**
 * ivshmem_peer_next() - Take the next change among the peers.
 * @shm: Open handle of a "unix:" region.
 * @timeout_ms: Milliseconds to wait; 0 polls, negative waits for ever.
 * @change: Set to what happened.
 * @peer: Set to the ID of the peer.
 *
 * When the connection to the server has ended, the memory, the peers in the
 * table and the own vectors go on working; nobody joins or leaves any more.
 * The peers that were there at ivshmem_open() are in the table, and give no
 * event.
 *
 * Context: One thread at a time, and none in ivshmem_peers() or
 * ivshmem_peer_vectors() meanwhile.
 * Return: 0; -ETIMEDOUT; -EINTR; -EINVAL (NULL); -ENOTSUP; -ECONNRESET (the
 * server closed the connection); -EPROTO (it sent what the protocol does not
 * allow, and the connection was closed); -ENOMEM, -EMFILE.
 * Since: 0.1
 */
int ivshmem_peer_next(struct ivshmem *shm, int timeout_ms,
		      enum ivshmem_peer_change *change, unsigned int *peer);

/*
 * Formatted regions. A region is raw until ivshmem_format() lays it out: a
 * superblock with a label and a UUID, and channels. ivshmem-format(5) specifies
 * the layout.
 */

struct ivshmem_layout;
struct ivshmem_channel;

/** IVSHMEM_FORMAT_FORCE - Format a region that holds something already. */
#define IVSHMEM_FORMAT_FORCE	(1u << 0)
/** IVSHMEM_MAX_CHANNELS - More channels than that no region has. */
#define IVSHMEM_MAX_CHANNELS	4096
/** IVSHMEM_LABEL_SIZE - Room for a label and its closing zero byte. */
#define IVSHMEM_LABEL_SIZE	64
/** IVSHMEM_CHANNEL_NAME_SIZE - Room for a channel's name and its closing zero byte. */
#define IVSHMEM_CHANNEL_NAME_SIZE	56

/**
 * ivshmem_format() - Lay a region out for channels.
 * @shm: Open handle, not IVSHMEM_RDONLY.
 * @label: Name for the region: letters, digits, "-", "_", "." and "+", not
 *         starting with a dot, up to 63 of them; may be empty.
 * @channels: Number of channels that have room, 1 to IVSHMEM_MAX_CHANNELS; 0
 *            picks one that suits the size. The region is shared out evenly:
 *            the fewer, the larger their rings.
 * @flags: 0 or IVSHMEM_FORMAT_FORCE.
 *
 * Nobody else may use the region meanwhile. With IVSHMEM_FORMAT_FORCE, programs
 * that use its channels get -ECONNRESET.
 *
 * Return: 0; -EINVAL (NULL, bad label, count or flags); -EACCES (the handle is
 * IVSHMEM_RDONLY); -EEXIST (it is formatted already, in whatever version); -ENOTEMPTY
 * (it holds something else than zeroes); -ENOSPC (too small for so many
 * channels); the errors of ivshmem_map().
 * Since: 0.1
 */
int ivshmem_format(struct ivshmem *shm, const char *label, unsigned int channels,
		   unsigned int flags);

/**
 * enum ivshmem_end_state - What is known of one end of a channel.
 * @IVSHMEM_END_FREE: Nobody was there yet, or it was closed.
 * @IVSHMEM_END_ATTACHED: A program has it; of a program under another kernel it
 *                        can't be told whether it still lives.
 * @IVSHMEM_END_DEAD: The program that had it has ended without closing it.
 */
enum ivshmem_end_state {
	IVSHMEM_END_FREE,
	IVSHMEM_END_ATTACHED,
	IVSHMEM_END_DEAD,
};

/**
 * enum ivshmem_end - The two ends of a channel.
 * @IVSHMEM_END_CREATOR: The one that called ivshmem_channel_create().
 * @IVSHMEM_END_CONNECTOR: The one that called ivshmem_channel_connect().
 */
enum ivshmem_end {
	IVSHMEM_END_CREATOR,
	IVSHMEM_END_CONNECTOR,
};

/**
 * ivshmem_layout_read() - Read how a region is laid out.
 * @layout: Set to a snapshot, to be freed with ivshmem_layout_free().
 * @shm: Open handle.
 *
 * Context: Any thread.
 * Return: 0; -EINVAL (NULL); -ENOMEDIUM (not formatted: zeroes); -EMEDIUMTYPE
 * (something else is in it); -EPROTONOSUPPORT (formatted by a newer version);
 * -EUCLEAN (the superblock is damaged); -ENOMEM; the errors of ivshmem_map().
 * Since: 0.1
 */
int ivshmem_layout_read(struct ivshmem_layout **layout, struct ivshmem *shm);

/**
 * ivshmem_layout_free() - Free a snapshot.
 * @layout: Snapshot, or NULL.
 * Since: 0.1
 */
void ivshmem_layout_free(struct ivshmem_layout *layout);

/**
 * ivshmem_layout_label() - The region's label.
 * @layout: Snapshot.
 *
 * Return: As given to ivshmem_format(), maybe empty; owned by the snapshot.
 * Since: 0.1
 */
const char *ivshmem_layout_label(const struct ivshmem_layout *layout);

/**
 * ivshmem_layout_uuid() - The region's UUID, new with each ivshmem_format().
 * @layout: Snapshot.
 *
 * Return: 36 characters, lower case; owned by the snapshot.
 * Since: 0.1
 */
const char *ivshmem_layout_uuid(const struct ivshmem_layout *layout);

/**
 * ivshmem_layout_channels() - Number of channels that the region has room for.
 * @layout: Snapshot.
 *
 * Return: 1 to IVSHMEM_MAX_CHANNELS.
 * Since: 0.1
 */
unsigned int ivshmem_layout_channels(const struct ivshmem_layout *layout);

/**
 * ivshmem_layout_ring_size() - Size of each of a channel's two rings.
 * @layout: Snapshot.
 *
 * Return: Bytes, a multiple of 4096.
 * Since: 0.1
 */
uint64_t ivshmem_layout_ring_size(const struct ivshmem_layout *layout);

/**
 * ivshmem_layout_name() - The name of one channel.
 * @layout: Snapshot.
 * @index: From 0 to ivshmem_layout_channels() - 1.
 *
 * Return: The name, owned by the snapshot; what the other side wrote and is no
 * proper name reads as "?". NULL where the channel was never created, or
 * @index is beyond the end.
 * Since: 0.1
 */
const char *ivshmem_layout_name(const struct ivshmem_layout *layout, unsigned int index);

/**
 * ivshmem_layout_state() - What is known of one end of a channel.
 * @layout: Snapshot.
 * @index: From 0 to ivshmem_layout_channels() - 1.
 * @end: Which end.
 *
 * Return: An enum ivshmem_end_state.
 * Since: 0.1
 */
enum ivshmem_end_state ivshmem_layout_state(const struct ivshmem_layout *layout,
					    unsigned int index, enum ivshmem_end end);

/**
 * ivshmem_layout_pid() - Which program has one end of a channel.
 * @layout: Snapshot.
 * @index: From 0 to ivshmem_layout_channels() - 1.
 * @end: Which end.
 *
 * Return: Its process ID as it sees it itself, in its own machine; 0 where the
 * end is free.
 * Since: 0.1
 */
uint32_t ivshmem_layout_pid(const struct ivshmem_layout *layout, unsigned int index,
			    enum ivshmem_end end);

/**
 * ivshmem_layout_messages() - Messages that one end has sent since it was attached.
 * @layout: Snapshot.
 * @index: From 0 to ivshmem_layout_channels() - 1.
 * @end: Which end.
 *
 * Return: The count, as that end tells it.
 * Since: 0.1
 */
uint64_t ivshmem_layout_messages(const struct ivshmem_layout *layout, unsigned int index,
				 enum ivshmem_end end);

/*
 * Channels: messages between two programs, in both directions, in order, none
 * lost, none merged or cut. See ivshmem-channel(7).
 *
 * Thread-safety: one thread may send while another receives; everything else
 * takes one thread at a time.
 *
 * Trust: nothing that the other side writes into the region can do more to this
 * side than to make a call fail with -EPROTO or -ECONNRESET, to make it wait
 * until its timeout, or to deliver wrong bytes.
 */

/** IVSHMEM_CHANNEL_TAKE_OVER - Take an end that another program may still have. */
#define IVSHMEM_CHANNEL_TAKE_OVER	(1u << 0)

/** IVSHMEM_MORE - More messages follow at once: they are passed on together. */
#define IVSHMEM_MORE			(1u << 0)

/**
 * ivshmem_channel_create() - Create a channel, and wait for the other side.
 * @channel: Set to the channel, to be freed with ivshmem_channel_close().
 * @shm: Open handle of a formatted region, not IVSHMEM_RDONLY. It must stay open
 *       until the channel is closed. It need not be mapped.
 * @name: Name of the channel: letters, digits, "-", "_", "." and "+", not starting
 *        with a dot, 1 to 55 of them.
 * @flags: 0 or IVSHMEM_CHANNEL_TAKE_OVER.
 * @timeout_ms: Milliseconds to wait for the other side; negative waits for ever.
 *
 * One program creates the channel, one other connects to it, in either order.
 * An end whose program has ended without closing it is free. That can be told
 * only of a program under the same kernel: where the end is in the hands of one
 * under another kernel, which may have crashed, IVSHMEM_CHANNEL_TAKE_OVER is
 * needed; the program that had it gets -ECONNRESET if it still lives.
 *
 * Context: One thread at a time for one handle.
 * Return: 0; -ETIMEDOUT (the other side did not come); -EBUSY (another program
 * has this end); -ENOSPC (all channels of the region are in use); -EINVAL (NULL,
 * bad name, unknown flag); -EACCES (the handle is IVSHMEM_RDONLY); -ENOTSUP (the
 * rings are no multiple of the page size here: format with fewer channels);
 * -EINTR; -ENODEV; -ENOMEM, -EMFILE; the errors of ivshmem_layout_read().
 * Since: 0.1
 */
int ivshmem_channel_create(struct ivshmem_channel **channel, struct ivshmem *shm,
			   const char *name, unsigned int flags, int timeout_ms);

/**
 * ivshmem_channel_connect() - Connect to a channel that another program creates.
 * @channel: Set to the channel, to be freed with ivshmem_channel_close().
 * @shm: As for ivshmem_channel_create().
 * @name: Name of the channel.
 * @flags: 0 or IVSHMEM_CHANNEL_TAKE_OVER.
 * @timeout_ms: Milliseconds to wait for the other side; negative waits for ever.
 *
 * Context: One thread at a time for one handle.
 * Return: As for ivshmem_channel_create(), but for -ENOSPC.
 * Since: 0.1
 */
int ivshmem_channel_connect(struct ivshmem_channel **channel, struct ivshmem *shm,
			    const char *name, unsigned int flags, int timeout_ms);

/**
 * ivshmem_channel_reconnect() - Go on after the other side was lost.
 * @channel: Channel that has failed with -ECONNRESET, -EPIPE or -EPROTO, or any
 *           other that is to start afresh.
 * @timeout_ms: Milliseconds to wait for the other side; negative waits for ever.
 *
 * Messages that are still on their way, in both directions, are dropped. Until it
 * has returned 0, all that sends or receives fails with -ENOTCONN.
 *
 * Return: 0; -ETIMEDOUT (the other side did not come: call again); -EBUSY
 * (another program has taken this end over); -ESTALE (the region was formatted anew:
 * close the channel and open it again); -EINTR; -EINVAL (NULL); the errors of
 * ivshmem_layout_read().
 * Since: 0.1
 */
int ivshmem_channel_reconnect(struct ivshmem_channel *channel, int timeout_ms);

/**
 * ivshmem_channel_close() - Close this end.
 * @channel: Channel, or NULL.
 *
 * The other side can still take the messages that were sent, then gets -EPIPE.
 * Messages that were reserved or committed with IVSHMEM_MORE and not passed on
 * are dropped.
 * Since: 0.1
 */
void ivshmem_channel_close(struct ivshmem_channel *channel);

/**
 * ivshmem_channel_max_length() - The longest message that the channel takes.
 * @channel: Channel.
 *
 * Return: Bytes: half the ring, less 8; 0 for NULL. The same in both directions.
 * Since: 0.1
 */
size_t ivshmem_channel_max_length(const struct ivshmem_channel *channel);

/**
 * ivshmem_channel_set_spin() - How long to look before sleeping.
 * @channel: Channel.
 * @microseconds: Time to poll the memory with the processor busy, before the
 *                thread sleeps; 50 at first. A wait that is shorter has the
 *                latency of the cache line. UINT_MAX never sleeps. While both
 *                ends are on one processor, they sleep at once all the same.
 *
 * Return: 0; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_channel_set_spin(struct ivshmem_channel *channel, unsigned int microseconds);

/**
 * ivshmem_channel_set_backoff() - How long to sleep where nothing can wake.
 * @channel: Channel.
 * @microseconds: At least 1; 1000 at first. Where there is neither a doorbell nor
 *                one kernel for both sides, a waiting thread looks again after
 *                ever longer sleeps up to this: the worst delay of a message.
 *
 * Return: 0; -EINVAL (NULL, or 0).
 * Since: 0.1
 */
int ivshmem_channel_set_backoff(struct ivshmem_channel *channel, unsigned int microseconds);

/**
 * ivshmem_channel_wakeup() - How the other side wakes this one.
 * @channel: Channel.
 *
 * Return: "doorbell", "futex", or "backoff" (it can't: this side looks again after
 * a while); a constant. NULL for NULL.
 * Since: 0.1
 */
const char *ivshmem_channel_wakeup(const struct ivshmem_channel *channel);

/**
 * ivshmem_channel_send() - Send one message.
 * @channel: Channel.
 * @buffer: The message; may be NULL if @length is 0.
 * @length: Bytes, 0 to ivshmem_channel_max_length().
 * @timeout_ms: Milliseconds to wait for room; 0 does not wait, negative waits for
 *              ever.
 *
 * Passes on the messages that were committed with IVSHMEM_MORE, too.
 *
 * Return: 0; -EAGAIN (no room, and @timeout_ms is 0); -ETIMEDOUT; -EINTR (a
 * signal came while it slept; nothing was sent); -EMSGSIZE (too long); -EPIPE (the
 * other side has closed); -ECONNRESET (the other side was replaced, or is dead, or
 * this end was taken over: told once to who sends, and once to who receives; see
 * ivshmem-channel(7)); -ENOTCONN (told before: ivshmem_channel_reconnect());
 * -EPROTO (the other side wrote what can't be; told until reconnected); -ENODEV
 * (the device is gone); -EBUSY (a reserved message is open); -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_channel_send(struct ivshmem_channel *channel, const void *buffer,
			 size_t length, int timeout_ms);

/**
 * ivshmem_channel_recv() - Receive one message.
 * @channel: Channel.
 * @buffer: Filled with the message.
 * @length: Room in @buffer, in bytes.
 * @timeout_ms: Milliseconds to wait; 0 does not wait, negative waits for ever.
 *
 * Releases what was peeked at before.
 *
 * Return: The message's length, maybe 0; -EAGAIN (no message, and @timeout_ms is
 * 0); -ETIMEDOUT; -EINTR; -EMSGSIZE (@length is too small; the message stays);
 * -EPIPE (the other side has closed, and all that it sent was taken);
 * -ECONNRESET, -ENOTCONN, -EPROTO, -ENODEV, -EINVAL as for
 * ivshmem_channel_send().
 * Since: 0.1
 */
ssize_t ivshmem_channel_recv(struct ivshmem_channel *channel, void *buffer,
			     size_t length, int timeout_ms);

/**
 * ivshmem_channel_reserve() - Room for a message, to be written in place.
 * @channel: Channel.
 * @buffer: Set to the room, aligned to 8 bytes, in the region itself: the other
 *          side may write there, too. Valid until ivshmem_channel_commit().
 * @length: Bytes, 0 to ivshmem_channel_max_length().
 * @timeout_ms: As for ivshmem_channel_send().
 *
 * Where it has to wait, it passes on the messages that were committed with
 * IVSHMEM_MORE. Reserving again changes the length of what is reserved.
 *
 * Return: 0; the errors of ivshmem_channel_send().
 * Since: 0.1
 */
int ivshmem_channel_reserve(struct ivshmem_channel *channel, void **buffer,
			    size_t length, int timeout_ms);

/**
 * ivshmem_channel_commit() - Send the reserved message.
 * @channel: Channel.
 * @length: Its final length, up to the one reserved.
 * @flags: 0, or IVSHMEM_MORE to hold it back until a message is sent without.
 *
 * Return: 0; -EINVAL (NULL, nothing reserved, too long, unknown flag); -EPIPE,
 * -ECONNRESET, -ENOTCONN, -EPROTO, -ENODEV as for ivshmem_channel_send().
 * Since: 0.1
 */
int ivshmem_channel_commit(struct ivshmem_channel *channel, size_t length,
			   unsigned int flags);

/**
 * ivshmem_channel_peek() - The next message, to be read in place.
 * @channel: Channel.
 * @buffer: Set to the message, aligned to 8 bytes, in the region itself, unless it is
 *          short: the other side may change it at any time. Valid until
 *          ivshmem_channel_release().
 * @timeout_ms: As for ivshmem_channel_recv().
 *
 * Each call gives the message after the one before, so that many can be released
 * together.
 *
 * Return: As for ivshmem_channel_recv(), but for -EMSGSIZE.
 * Since: 0.1
 */
ssize_t ivshmem_channel_peek(struct ivshmem_channel *channel, const void **buffer,
			     int timeout_ms);

/**
 * ivshmem_channel_release() - Give the room of all peeked messages back.
 * @channel: Channel.
 *
 * Return: 0; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_channel_release(struct ivshmem_channel *channel);

/**
 * ivshmem_channel_write() - Send bytes as a stream, in as many messages as needed.
 * @channel: Channel.
 * @buffer: The bytes.
 * @length: How many, without limit.
 * @timeout_ms: Milliseconds to wait for room, for each message anew; 0 does not
 *              wait, negative waits for ever.
 *
 * Return: The number of bytes sent, less than @length where an error came after
 * the first message; the errors of ivshmem_channel_send().
 * Since: 0.1
 */
ssize_t ivshmem_channel_write(struct ivshmem_channel *channel, const void *buffer,
			      size_t length, int timeout_ms);

/**
 * ivshmem_channel_read() - Receive bytes as a stream, whatever the messages were.
 * @channel: Channel.
 * @buffer: Filled with the bytes.
 * @length: Room in @buffer, at least 1.
 * @timeout_ms: As for ivshmem_channel_recv().
 *
 * Takes what is there, at most one message's rest; empty messages are skipped.
 * Don't mix it with the other receiving calls.
 *
 * Return: The number of bytes, at least 1; the errors of ivshmem_channel_recv(),
 * but for -EMSGSIZE; -EPIPE is the end of the stream.
 * Since: 0.1
 */
ssize_t ivshmem_channel_read(struct ivshmem_channel *channel, void *buffer,
			     size_t length, int timeout_ms);

/**
 * ivshmem_channel_fd() - Descriptor for poll(2) and event loops.
 * @channel: Channel of a region with a doorbell, on both sides.
 *
 * Before each poll(2), ivshmem_channel_arm() tells the other side to ring, and
 * whether there is anything to do already. Readable means: look again, and arm
 * again. Without a doorbell use a thread, or a timer and timeouts of 0.
 *
 * Return: A file descriptor, owned by the channel; -ENOTSUP (nothing rings here:
 * see ivshmem_channel_wakeup()); -EINVAL (NULL); -EMFILE, -ENOMEM.
 * Since: 0.1
 */
int ivshmem_channel_fd(struct ivshmem_channel *channel);

/** IVSHMEM_CAN_RECV - There is a message, or an error to be told. */
#define IVSHMEM_CAN_RECV	(1u << 0)
/** IVSHMEM_CAN_SEND - There is room for a message of @length bytes, or an error. */
#define IVSHMEM_CAN_SEND	(1u << 1)

/**
 * ivshmem_channel_arm() - Ask to be rung, before poll(2).
 * @channel: Channel.
 * @events: What to wait for, of IVSHMEM_CAN_RECV and IVSHMEM_CAN_SEND.
 * @length: The message that waits to be sent, in bytes, for IVSHMEM_CAN_SEND.
 *
 * Stays in force until the next receiving or sending call.
 *
 * Return: 0 (nothing yet: ivshmem_channel_fd() will become readable), or which
 * of @events are there already; -ENOTSUP as for ivshmem_channel_fd(); -EINVAL;
 * -EMSGSIZE.
 * Since: 0.1
 */
int ivshmem_channel_arm(struct ivshmem_channel *channel, unsigned int events,
			size_t length);

#ifdef __cplusplus
}
#endif

#endif /* IVSHMEM_H */
