/* SPDX-License-Identifier: MIT */
/*
 * Formatted regions. A region is raw until ivshmem_format() lays it out: a
 * superblock with a label and a UUID, and a directory of named objects. ivshmem-format(5)
 * specifies the layout.
 */
#ifndef IVSHMEM_FORMAT_H
#define IVSHMEM_FORMAT_H

#include <ivshmem/base.h>
#include <ivshmem/region.h>

#include <stdint.h>

IVSHMEM_BEGIN_DECLS

struct ivshmem_layout;

/** IVSHMEM_FORMAT_FORCE - Format a region that holds something already. */
#define IVSHMEM_FORMAT_FORCE	(1u << 0)
/** IVSHMEM_MAX_OBJECTS - The most objects that a region can have. */
#define IVSHMEM_MAX_OBJECTS	4096
/** IVSHMEM_LABEL_SIZE - Room for a label and its closing zero byte. */
#define IVSHMEM_LABEL_SIZE	64
/** IVSHMEM_NAME_SIZE - Room for an object's name and its closing zero byte. */
#define IVSHMEM_NAME_SIZE	56

/**
 * ivshmem_format() - Lay a region out for named objects.
 * @shm: Open handle, not IVSHMEM_RDONLY.
 * @label: Name for the region: letters, digits, "-", "_", "." and "+", not
 *         starting with a dot, up to 63 of them; may be empty.
 * @objects: How many objects the region has room for, 1 to IVSHMEM_MAX_OBJECTS; 0
 *           picks a number that suits the region's size.
 * @ring_size: For channels that are made without a size of their own: the size of each of
 *             the two rings, in bytes, up to 4 GiB, rounded up to a multiple of 4096. 0
 *             picks one that suits the region's size.
 * @flags: 0 or IVSHMEM_FORMAT_FORCE.
 *
 * Nobody else may use the region meanwhile. With IVSHMEM_FORMAT_FORCE, all objects that are
 * there go. Programs that use a channel get -ECONNRESET. Programs that have an area open are
 * not told, and can still write to its memory.
 *
 * Return: 0; -EINVAL (NULL, bad label, count, size or flags); -EACCES (the handle is
 * IVSHMEM_RDONLY); -EEXIST (it is formatted already, in whatever version); -ENOTEMPTY
 * (it holds something else than zeroes); -ENOSPC (too small for so many
 * objects, or for one channel with such rings; or no room on the file's filesystem); -ESTALE
 * (the file was truncated); the errors of ivshmem_map() and of read(2).
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_format(struct ivshmem *shm, const char *label, unsigned int objects,
		   uint64_t ring_size, unsigned int flags);

/**
 * enum ivshmem_kind - What an object is.
 * @IVSHMEM_CHANNEL: A two-way link between two programs.
 * @IVSHMEM_AREA: Raw memory with a name, which its users lay out themselves.
 * @IVSHMEM_TOPIC: Messages from publishers to any number of subscribers.
 * @IVSHMEM_SERVICE: A name to which clients connect, each by a channel of its own.
 * @IVSHMEM_WAITSET: What a program waits with for several objects at once. It goes with that
 *	program.
 *
 * Other programs may have made objects of kinds that are not named here.
 */
enum ivshmem_kind {
	IVSHMEM_CHANNEL = 1,
	IVSHMEM_AREA,
	IVSHMEM_TOPIC,
	IVSHMEM_SERVICE,
	IVSHMEM_WAITSET,
};

/**
 * ivshmem_make_channel() - Make a channel beforehand, with rings of a size.
 * @shm: Open handle of a formatted region, not IVSHMEM_RDONLY.
 * @name: Its name, as for ivshmem_channel_create().
 * @creator_ring: Size of the ring that the creator writes, in bytes, up to 4 GiB, rounded
 *                up to a multiple of 4096. 0 is the size that ivshmem_format() was told.
 *                The longest message is half of the ring, less 8 bytes.
 * @connector_ring: The same of the ring that the connector writes.
 *
 * ivshmem_channel_create() and ivshmem_channel_connect() find the channel by its name. It
 * stays until ivshmem_remove(), also when nobody uses it.
 *
 * A channel need not be made by this call: ivshmem_channel_create() makes one that is not
 * there, with rings of the size that ivshmem_format() was told. That one goes when nobody
 * uses it and another object needs its room.
 *
 * Context: Any thread.
 * Return: 0; -EEXIST (there is an object of that name); -ENOSPC (the region has no room for
 * one more object, or no free piece of that size, or there is no memory on the file's
 * filesystem); -EAGAIN (other programs make and remove objects all the time); -EINVAL (NULL,
 * bad name or size); -EACCES (the handle is IVSHMEM_RDONLY); the errors of
 * ivshmem_layout_read().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_make_channel(struct ivshmem *shm, const char *name, uint64_t creator_ring,
			 uint64_t connector_ring);

/**
 * ivshmem_make_area() - Make an area: a piece of the region with a name.
 * @shm: As for ivshmem_make_channel().
 * @name: The same.
 * @size: Bytes, at least 1; rounded up to whole blocks of the region.
 *
 * ivshmem_area_open() opens it. It stays until ivshmem_remove(). At first it contains what
 * was there before: zeroes, or what another object has left.
 *
 * Context: Any thread.
 * Return: As for ivshmem_make_channel().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_make_area(struct ivshmem *shm, const char *name, uint64_t size);

/** IVSHMEM_REMOVE_FORCE - Remove an object though programs use it. */
#define IVSHMEM_REMOVE_FORCE	(1u << 0)

/**
 * ivshmem_remove() - Remove an object.
 * @shm: As for ivshmem_make_channel().
 * @name: Name of the object, of whatever kind.
 * @flags: 0 or IVSHMEM_REMOVE_FORCE.
 *
 * A channel is in use while a program has an end of it, and an area while a program under
 * the same kernel has it open. Of a program under another kernel it can't be told whether it
 * lives: if it has an end, the channel counts as used. Areas that it has open can't be seen.
 *
 * With IVSHMEM_REMOVE_FORCE, programs that have an end of the channel get -ECONNRESET. A
 * program that has the area open is not told, and one that is writing a message finds out
 * only afterwards. Both can still write to the memory, which another object may have by then.
 *
 * Context: Any thread.
 * Return: 0; -ENOENT (there is no object of that name); -EBUSY (a program uses it, or may);
 * -EAGAIN (other programs make and remove objects all the time); -EINVAL (NULL, bad name,
 * unknown flag); -EACCES (the handle is IVSHMEM_RDONLY); the errors of
 * ivshmem_layout_read().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_remove(struct ivshmem *shm, const char *name, unsigned int flags);

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
 * Reads the file or device, and maps nothing: a file that is truncated meanwhile, or lies on
 * a filesystem that is full, does no harm.
 *
 * Context: Any thread.
 * Return: 0; -EINVAL (NULL); -ENOMEDIUM (not formatted: zeroes); -EMEDIUMTYPE
 * (something else is in it); -EPROTONOSUPPORT (formatted by a newer version);
 * -EUCLEAN (the superblock is damaged); -ESTALE (the file was truncated); -ENODEV (the
 * device is gone); -ENOMEM; any other error of read(2); for a resource2, those of
 * ivshmem_map().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
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
 * Return: As given to ivshmem_format(), maybe empty; owned by the snapshot. NULL for NULL.
 * Since: 0.1
 */
const char *ivshmem_layout_label(const struct ivshmem_layout *layout);

/**
 * ivshmem_layout_uuid() - The region's UUID, new with each ivshmem_format().
 * @layout: Snapshot.
 *
 * Return: 36 characters, lower case; owned by the snapshot. NULL for NULL.
 * Since: 0.1
 */
const char *ivshmem_layout_uuid(const struct ivshmem_layout *layout);

/**
 * ivshmem_layout_objects() - Number of objects that the region has room for.
 * @layout: Snapshot.
 *
 * Return: 1 to IVSHMEM_MAX_OBJECTS. 0 for NULL.
 * Since: 0.1
 */
unsigned int ivshmem_layout_objects(const struct ivshmem_layout *layout);

/**
 * ivshmem_layout_default_ring() - Size of the rings of a channel made without a size.
 * @layout: Snapshot.
 *
 * Return: Bytes, a multiple of 4096. 0 for NULL.
 * Since: 0.1
 */
uint64_t ivshmem_layout_default_ring(const struct ivshmem_layout *layout);

/**
 * ivshmem_layout_block() - Size of a block.
 * @layout: Snapshot.
 *
 * An object takes whole blocks: what it needs is rounded up to them.
 *
 * Return: Bytes, a multiple of 4096. 0 for NULL.
 * Since: 0.1
 */
uint64_t ivshmem_layout_block(const struct ivshmem_layout *layout);

/**
 * ivshmem_layout_free_bytes() - How much of the region no object has.
 * @layout: Snapshot.
 *
 * It may be in several pieces, and an object needs one piece.
 *
 * Return: Bytes. 0 for NULL.
 * Since: 0.1
 */
uint64_t ivshmem_layout_free_bytes(const struct ivshmem_layout *layout);

/**
 * ivshmem_layout_name() - The name of one object.
 * @layout: Snapshot.
 * @index: From 0 to ivshmem_layout_objects() - 1.
 *
 * Return: The name, owned by the snapshot. It is "?" where the other side wrote something
 * that is no name. NULL where there is no object, or @index is beyond the end.
 * Since: 0.1
 */
const char *ivshmem_layout_name(const struct ivshmem_layout *layout, unsigned int index);

/**
 * ivshmem_layout_kind() - What kind of object it is.
 * @layout: Snapshot.
 * @index: From 0 to ivshmem_layout_objects() - 1.
 *
 * Return: An enum ivshmem_kind, or another number: a kind that this library does not know.
 * 0 where there is no object.
 * Since: 0.1
 */
unsigned int ivshmem_layout_kind(const struct ivshmem_layout *layout, unsigned int index);

/**
 * ivshmem_layout_is_kept() - Does the object stay when nobody uses it?
 * @layout: Snapshot.
 * @index: From 0 to ivshmem_layout_objects() - 1.
 *
 * Return: 1; 0, also where there is no object.
 * Since: 0.1
 */
int ivshmem_layout_is_kept(const struct ivshmem_layout *layout, unsigned int index);

/**
 * ivshmem_layout_size() - How much of the region an object has.
 * @layout: Snapshot.
 * @index: From 0 to ivshmem_layout_objects() - 1.
 *
 * Return: Bytes, whole blocks. 0 where there is no object, or where the place that it names
 * is not in the region.
 * Since: 0.1
 */
uint64_t ivshmem_layout_size(const struct ivshmem_layout *layout, unsigned int index);

/**
 * ivshmem_layout_ring_size() - Size of the ring that one end of a channel writes.
 * @layout: Snapshot.
 * @index: From 0 to ivshmem_layout_objects() - 1.
 * @end: Which end.
 *
 * Return: Bytes, a multiple of 4096, as the region says; of a service, those of each client's
 * channel. 0 where there is neither.
 * Since: 0.1
 */
uint64_t ivshmem_layout_ring_size(const struct ivshmem_layout *layout, unsigned int index,
				  enum ivshmem_end end);

IVSHMEM_END_DECLS

#endif /* IVSHMEM_FORMAT_H */
