/* SPDX-License-Identifier: MIT */
/*
 * Areas: raw parts of a formatted region. Each has a name, and its users lay it out
 * themselves. ivshmem_make_area() makes one.
 *
 * Thread-safety: any thread may use an area, as long as none closes it meanwhile.
 *
 * fork(2): a child shares the memory. Its ivshmem_area_close() takes nothing from the parent.
 *
 * Trust: as with a raw region, the other side may write anything there at any time.
 */
#ifndef IVSHMEM_AREA_H
#define IVSHMEM_AREA_H

#include <ivshmem/base.h>
#include <ivshmem/region.h>

#include <stdint.h>

IVSHMEM_BEGIN_DECLS

struct ivshmem_area;

/**
 * ivshmem_area_open() - Map an area.
 * @area: Set to the area, to be freed with ivshmem_area_close().
 * @shm: Open handle of a formatted region. It need not be mapped. It may be closed before
 *       the area, which can still be used then.
 * @name: Name of the area.
 *
 * As long as it is open, ivshmem_remove() without IVSHMEM_REMOVE_FORCE does not remove it, if
 * called under the same kernel. A program under another kernel does not see that it is open.
 *
 * Context: Any thread.
 * Return: 0; -ENOENT (there is no object of that name); -EPROTOTYPE (it is no area);
 * -EINVAL (NULL, bad name); -ENOSPC (there is no memory for it on the file's filesystem);
 * -ECHILD (@shm was opened before fork(2)); -ENOMEM; the errors of ivshmem_layout_read()
 * and ivshmem_map().
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_area_open(struct ivshmem_area **area, struct ivshmem *shm, const char *name);

/**
 * ivshmem_area_data() - Where the area is mapped.
 * @area: Area.
 *
 * Return: Its first byte, aligned to 4096 bytes. It can only be read if @shm was opened with
 * IVSHMEM_RDONLY: a store raises SIGSEGV. Valid until ivshmem_area_close(). NULL for NULL.
 * Since: 0.1
 */
void *ivshmem_area_data(const struct ivshmem_area *area);

/**
 * ivshmem_area_size() - Size of the area.
 * @area: Area.
 *
 * Return: Bytes, whole blocks: at least what ivshmem_make_area() was given. 0 for NULL.
 * Since: 0.1
 */
uint64_t ivshmem_area_size(const struct ivshmem_area *area);

/**
 * ivshmem_area_close() - Unmap the area.
 * @area: Area, or NULL.
 *
 * The area stays in the region, with what is in it.
 * Since: 0.1
 */
void ivshmem_area_close(struct ivshmem_area *area);

IVSHMEM_END_DECLS

#endif /* IVSHMEM_AREA_H */
