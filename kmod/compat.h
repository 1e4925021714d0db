/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The newest kernel's interfaces on older kernels. The only file that knows
 * what a kernel lacks; Kbuild finds that out.
 */

#ifndef IVSHMEM_COMPAT_H
#define IVSHMEM_COMPAT_H

#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/uio.h>

#ifndef HAVE_VM_FLAGS_SET		/* before 6.3 */
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#ifdef HAVE_EVENTFD_SIGNAL_COUNT	/* before 6.8 */
#define eventfd_signal(eventfd) eventfd_signal(eventfd, 1)
#endif

#ifdef HAVE_CC_PLATFORM
#include <linux/cc_platform.h>
#else					/* before 5.16 */
#include <linux/mem_encrypt.h>
#define CC_ATTR_GUEST_MEM_ENCRYPT 0
#define cc_platform_has(attribute) mem_encrypt_active()
#endif

#ifndef HAVE_COPY_SPLICE_READ		/* before 6.5 */
#define copy_splice_read generic_file_splice_read
#endif

#ifndef HAVE_FAULT_IN_IOV_ITER		/* before 5.16 */
static inline size_t fault_in_iov_iter_readable(struct iov_iter *iter, size_t bytes)
{
	return iov_iter_fault_in_readable(iter, bytes) ? bytes : 0;
}

static inline size_t fault_in_iov_iter_writeable(struct iov_iter *iter, size_t bytes)
{
	struct iovec iov;

	if (!iter_is_iovec(iter))
		return 0;
	iov = iov_iter_iovec(iter);
	return fault_in_pages_writeable(iov.iov_base, min(iov.iov_len, bytes)) ? bytes : 0;
}
#endif

#endif /* IVSHMEM_COMPAT_H */
