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
/** IVSHMEM_MAX_OBJECTS - More objects than that no region has. */
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
 * @objects: Number of objects that have room, 1 to IVSHMEM_MAX_OBJECTS; 0
 *           picks one that suits the size.
 * @ring_size: Size of each of the two rings of a channel that is made without another
 *             size being asked for: bytes, rounded up to a multiple of 4096, up to 4 GiB;
 *             0 picks one that suits the size.
 * @flags: 0 or IVSHMEM_FORMAT_FORCE.
 *
 * Nobody else may use the region meanwhile. With IVSHMEM_FORMAT_FORCE, programs
 * that use its objects lose them: -ECONNRESET.
 *
 * Return: 0; -EINVAL (NULL, bad label, count, size or flags); -EACCES (the handle is
 * IVSHMEM_RDONLY); -EEXIST (it is formatted already, in whatever version); -ENOTEMPTY
 * (it holds something else than zeroes); -ENOSPC (too small for so many
 * objects or such rings, or no room on the file's filesystem); -ESTALE (the file was
 * truncated); the errors of ivshmem_map() and of read(2).
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_format(struct ivshmem *shm, const char *label, unsigned int objects,
		   uint64_t ring_size, unsigned int flags);

/**
 * enum ivshmem_kind - What an object is.
 * @IVSHMEM_CHANNEL: A two-way link between two programs.
 * @IVSHMEM_AREA: Raw memory, for what users lay out themselves.
 *
 * Other programs may have made objects of kinds that are not named here.
 */
enum ivshmem_kind {
	IVSHMEM_CHANNEL = 1,
	IVSHMEM_AREA,
};

/**
 * ivshmem_make_channel() - Make a channel beforehand, with rings of a size.
 * @shm: Open handle of a formatted region, not IVSHMEM_RDONLY.
 * @name: Its name, as for ivshmem_channel_create().
 * @creator_ring: Size of the ring that the creator writes: bytes, rounded up to a multiple
 *                of 4096, up to 4 GiB; 0: as ivshmem_format() was told. The longest message
 *                has half of it, less 8.
 * @connector_ring: The same for the connector's.
 *
 * It stays when nobody uses it, until ivshmem_remove(). ivshmem_channel_create() and
 * ivshmem_channel_connect() find it by its name. Without this call,
 * ivshmem_channel_create() makes the channel, and it goes when nobody uses it and room is
 * needed.
 *
 * Context: Any thread.
 * Return: 0; -EEXIST (there is an object of that name); -ENOSPC (the region has no room for
 * one more object, or no free piece of that size, or there is no memory on the file's
 * filesystem); -EAGAIN (other programs make and remove objects without end); -EINVAL (NULL,
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
 * It stays until ivshmem_remove(). What it contains is what was there before: zeroes, or
 * what another object has left. ivshmem_area_open() opens it.
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
 * With IVSHMEM_REMOVE_FORCE, programs that have an end of it get -ECONNRESET. One that has
 * an area open, or runs under another kernel and does not look, can still write to
 * what may be another object's memory by then.
 *
 * Context: Any thread.
 * Return: 0; -ENOENT (there is none of that name); -EBUSY (a program uses it, or may: of one
 * under another kernel it can't be told whether it lives); -EAGAIN (others change it without
 * end); -EINVAL (NULL, bad name, unknown flag); -EACCES (the handle is IVSHMEM_RDONLY); the
 * errors of ivshmem_layout_read().
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
 * ivshmem_layout_default_ring() - Size of the rings of a channel made without saying.
 * @layout: Snapshot.
 *
 * Return: Bytes, a multiple of 4096. 0 for NULL.
 * Since: 0.1
 */
uint64_t ivshmem_layout_default_ring(const struct ivshmem_layout *layout);

/**
 * ivshmem_layout_block() - Size of the blocks that objects are made of.
 * @layout: Snapshot.
 *
 * Return: Bytes, a multiple of 4096. 0 for NULL.
 * Since: 0.1
 */
uint64_t ivshmem_layout_block(const struct ivshmem_layout *layout);

/**
 * ivshmem_layout_free_bytes() - How much of the region no object has.
 * @layout: Snapshot.
 *
 * Not always in one piece.
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
 * Return: The name, owned by the snapshot; what the other side wrote and is no
 * proper name reads as "?". NULL where there is no object, or @index is beyond the end.
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
 * Return: Bytes, whole blocks; 0 where there is no object, or where what it says is not in
 * the region.
 * Since: 0.1
 */
uint64_t ivshmem_layout_size(const struct ivshmem_layout *layout, unsigned int index);

/**
 * ivshmem_layout_ring_size() - Size of the ring that one end of a channel writes.
 * @layout: Snapshot.
 * @index: From 0 to ivshmem_layout_objects() - 1.
 * @end: Which end.
 *
 * Return: Bytes, a multiple of 4096; 0 where there is no channel.
 * Since: 0.1
 */
uint64_t ivshmem_layout_ring_size(const struct ivshmem_layout *layout, unsigned int index,
				  enum ivshmem_end end);

/**
 * ivshmem_layout_state() - What is known of one end of a channel.
 * @layout: Snapshot.
 * @index: From 0 to ivshmem_layout_objects() - 1.
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
 * @index: From 0 to ivshmem_layout_objects() - 1.
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
 * @index: From 0 to ivshmem_layout_objects() - 1.
 * @end: Which end.
 *
 * Return: The count, as that end tells it.
 * Since: 0.1
 */
uint64_t ivshmem_layout_messages(const struct ivshmem_layout *layout, unsigned int index,
				 enum ivshmem_end end);

IVSHMEM_END_DECLS

#endif /* IVSHMEM_FORMAT_H */
