/* SPDX-License-Identifier: MIT */
/*
 * Formatted regions. A region is raw until ivshmem_format() lays it out: a
 * superblock with a label and a UUID, and channels. ivshmem-format(5) specifies
 * the layout.
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
 * channels, or no room on the file's filesystem); -ESTALE (the file was truncated); the
 * errors of ivshmem_map() and of read(2).
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
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
 * ivshmem_layout_channels() - Number of channels that the region has room for.
 * @layout: Snapshot.
 *
 * Return: 1 to IVSHMEM_MAX_CHANNELS. 0 for NULL.
 * Since: 0.1
 */
unsigned int ivshmem_layout_channels(const struct ivshmem_layout *layout);

/**
 * ivshmem_layout_ring_size() - Size of each of a channel's two rings.
 * @layout: Snapshot.
 *
 * Return: Bytes, a multiple of 4096. 0 for NULL.
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

IVSHMEM_END_DECLS

#endif /* IVSHMEM_FORMAT_H */
