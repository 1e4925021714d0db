/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ioctls of /dev/ivshmemN.
 *
 * Every structure has fixed-width members and no implicit padding, so that it
 * is the same for 32-bit and 64-bit programs. Fields marked "in" are read from
 * the caller, all others are only written. Reserved fields and unknown flags
 * must be zero: anything else is refused with EINVAL.
 */

#ifndef _UAPI_LINUX_IVSHMEM_H
#define _UAPI_LINUX_IVSHMEM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Free in Documentation/userspace-api/ioctl/ioctl-number.rst: 0xEA 00-0F. */
#define IVSHMEM_IOC_MAGIC	0xEA

/* ivshmem_info.kind */
#define IVSHMEM_KIND_PLAIN	0	/* memory only */
#define IVSHMEM_KIND_DOORBELL	1	/* memory and MSI-X interrupts */

/* ivshmem_info.mapping: what stands behind a mapping of the region */
#define IVSHMEM_MAPPING_PFN	0	/* bare page frames: no pinning, no zero-copy I/O */
#define IVSHMEM_MAPPING_PAGES	1	/* struct pages */

/* ivshmem_info.cache: the cache type that the kernel gives to mappings */
#define IVSHMEM_CACHE_UNKNOWN		0
#define IVSHMEM_CACHE_WRITE_BACK	1
#define IVSHMEM_CACHE_WRITE_THROUGH	2
#define IVSHMEM_CACHE_WRITE_COMBINING	3
#define IVSHMEM_CACHE_UNCACHED_MINUS	4
#define IVSHMEM_CACHE_UNCACHED		5

/* ivshmem_info.features */
#define IVSHMEM_FEATURE_PIN	0x1	/* mappings can be pinned: O_DIRECT and the like */
#define IVSHMEM_FEATURE_DMABUF	0x2	/* IVSHMEM_IOC_EXPORT_DMABUF works */

/**
 * struct ivshmem_info - What a device is.
 * @flags: In: zero.
 * @kind: IVSHMEM_KIND_*.
 * @size: Size of the region in bytes.
 * @peer_id: ID of this guest on its ivshmem server; 0 for a plain device. Another one
 *	after hibernation: until a file was told, poll(2) on it says POLLPRI.
 * @vectors: Interrupt vectors that can be used; 0 for a plain device.
 * @mapping: IVSHMEM_MAPPING_*.
 * @cache: IVSHMEM_CACHE_*.
 * @pci_domain: PCI segment.
 * @pci_bus: PCI bus.
 * @pci_device: PCI device, 0 to 31.
 * @pci_function: PCI function, 0 to 7.
 * @pci_revision: 1 since QEMU 2.6, 0 before.
 * @page_size: Bytes of the largest page-table entry that a mapping can get, where
 *	its address and offset allow.
 * @features: IVSHMEM_FEATURE_*.
 * @reserved: In: zero. Out: zero.
 */
struct ivshmem_info {
	__u32 flags;
	__u32 kind;
	__u64 size;
	__u32 peer_id;
	__u32 vectors;
	__u32 mapping;
	__u32 cache;
	__u32 pci_domain;
	__u8 pci_bus;
	__u8 pci_device;
	__u8 pci_function;
	__u8 pci_revision;
	__u64 page_size;
	__u64 features;
	__u64 reserved[2];
};

/* Limits of the doorbell register and of the ivshmem server's protocol. */
#define IVSHMEM_PEER_MAX	65535
#define IVSHMEM_VECTOR_MAX	255

/**
 * struct ivshmem_ring - One ring of the doorbell, by an open file that may write.
 * @peer: In: ID of the peer to interrupt, 0 to IVSHMEM_PEER_MAX.
 * @vector: In: its vector, 0 to IVSHMEM_VECTOR_MAX.
 * @flags: In: zero.
 * @reserved: In: zero.
 */
struct ivshmem_ring {
	__u32 peer;
	__u32 vector;
	__u32 flags;
	__u32 reserved;
};

/* ivshmem_eventfd.flags */
#define IVSHMEM_EVENTFD_UNBIND	0x1

/**
 * struct ivshmem_eventfd - An eventfd that a vector signals, bound by an open file that
 * may write. Each ring is followed by a signal, but not each signal is one of a ring: when
 * rings may have been lost, as while the guest sleeps, all eventfds are signalled.
 * @vector: In: vector of this guest, below ivshmem_info.vectors.
 * @fd: In: the eventfd; -1 with IVSHMEM_EVENTFD_UNBIND: all that this open file
 *	bound to the vector.
 * @flags: In: 0 to bind, IVSHMEM_EVENTFD_UNBIND to unbind.
 * @reserved: In: zero.
 */
struct ivshmem_eventfd {
	__u32 vector;
	__s32 fd;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct ivshmem_dmabuf - A part of the region as a dma-buf.
 * @offset: In: where it begins in the region, a multiple of the page size.
 * @len: In: its length in bytes, a multiple of the page size.
 * @flags: In: O_RDONLY or O_RDWR, and O_CLOEXEC or not.
 * @fd: The new descriptor.
 * @reserved: In: zero.
 */
struct ivshmem_dmabuf {
	__u64 offset;
	__u64 len;
	__u32 flags;
	__s32 fd;
	__u64 reserved;
};

#define IVSHMEM_IOC_GET_INFO	_IOWR(IVSHMEM_IOC_MAGIC, 0x00, struct ivshmem_info)
#define IVSHMEM_IOC_RING_DOORBELL	_IOW(IVSHMEM_IOC_MAGIC, 0x01, struct ivshmem_ring)
#define IVSHMEM_IOC_SET_EVENTFD	_IOW(IVSHMEM_IOC_MAGIC, 0x02, struct ivshmem_eventfd)
#define IVSHMEM_IOC_EXPORT_DMABUF	_IOWR(IVSHMEM_IOC_MAGIC, 0x03, struct ivshmem_dmabuf)

#endif /* _UAPI_LINUX_IVSHMEM_H */
