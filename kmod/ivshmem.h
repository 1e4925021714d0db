/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the module share.
 *
 * Lifetime: a struct ivshmem_device is reference-counted through its class
 * device. The PCI driver holds one reference while it is bound, each open file
 * holds one. The hardware and the kernel's mapping of the region die at unbind,
 * under open files: everything that touches them does so between
 * ivshmem_enter() and ivshmem_exit(), which unbind waits for. Nothing in such a
 * section may wait for user space (page faults included), or a program could
 * hold up hot-unplug. (One that has I/O in flight on the region's pages can: see
 * ivshmem_pages.c.)
 */

#ifndef IVSHMEM_H
#define IVSHMEM_H

#include <linux/cdev.h>
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/percpu-refcount.h>
#include <linux/wait.h>

#include "compat.h"
#include "uapi/ivshmem.h"

struct ivshmem_device;

/**
 * struct ivshmem_mapping - A method of mapping the region.
 * @name: Name in sysfs.
 * @id: IVSHMEM_MAPPING_*.
 * @features: IVSHMEM_FEATURE_*.
 * @is_used: Does anybody hold what @exit would wait for? May be NULL.
 * @exit: Take it down, after the last section and the last user mapping; waits
 *	for those who pinned pages. May be NULL.
 * @vm_flags: Of a VMA that maps the region.
 * @fault: Map at least the page frame @pfn, that of the fault. In a section.
 * @huge_fault: Map the block of 1 << @order page frames that @vmf falls into. In
 *	a section. May be NULL.
 */
struct ivshmem_mapping {
	const char *name;
	u32 id;
	u64 features;
	bool (*is_used)(struct ivshmem_device *ivs);
	void (*exit)(struct ivshmem_device *ivs);
	vm_flags_t (*vm_flags)(struct ivshmem_device *ivs, struct vm_area_struct *vma);
	vm_fault_t (*fault)(struct ivshmem_device *ivs, struct vm_fault *vmf,
			    unsigned long pfn);
	vm_fault_t (*huge_fault)(struct ivshmem_device *ivs, struct vm_fault *vmf,
				 unsigned int order);
#ifndef HAVE_FOLIO_PMD
	/**
	 * @settle: Wait for faults that have left their section and not yet set their
	 * entry. May be NULL.
	 */
	void (*settle)(struct ivshmem_device *ivs);
#endif
};

/**
 * struct ivshmem_device - One ivshmem PCI device.
 * @dev: Class device; its release frees this structure.
 * @cdev: The character device.
 * @inode: Its address space is that of every open file, whichever device node
 *	was opened, so that one call takes all user mappings away.
 * @news: Woken when the device goes, or has another peer ID.
 * @live: The open sections. Killed at unbind, before what hangs on @pdev is
 *	torn down.
 * @dead: Completed when @live was killed and the last section has ended.
 * @pdev: PCI device. Only between ivshmem_enter() and ivshmem_exit().
 * @data: The kernel's mapping of the region in one piece; NULL where there are
 *	windows, see ivshmem_windows.c.
 * @regs: Registers, NULL where there are none. Only between ivshmem_enter() and
 *	ivshmem_exit().
 * @mapping: How the region is mapped for user space.
 * @start: Physical address of the region.
 * @size: Size of the region in bytes, a multiple of the page size.
 * @kind: IVSHMEM_KIND_*.
 * @cache: IVSHMEM_CACHE_*.
 * @page_size: The largest that page-table entries of user space can map.
 * @vectors: Usable interrupt vectors, the length of @vector.
 * @vector: See ivshmem_interrupts.c.
 * @peer_lock: Guards what follows of the peer ID.
 * @peer_id: What was read last, and told. Also read without the lock.
 * @is_shown: The device is in sysfs.
 * @index: N of /dev/ivshmemN. Free for another device after unbind.
 *
 * @mapping, @cache and @page_size change with pinning, while nobody uses the device:
 * whoever is no user, as an attribute, reads them by READ_ONCE().
 *
 * Fields without a rule of their own do not change after probe.
 */
struct ivshmem_device {
	struct device dev;
	struct cdev cdev;
	struct inode *inode;
	wait_queue_head_t news;
	struct percpu_ref live;
	struct completion dead;
	struct pci_dev *pdev;
	void *data;
	void __iomem *regs;
	const struct ivshmem_mapping *mapping;
	phys_addr_t start;
	u64 size;
	u32 kind;
	u32 cache;
	unsigned long page_size;
	u32 vectors;
	struct ivshmem_vector *vector;
	struct mutex peer_lock;		/* guards what follows */
	u32 peer_id;
	bool is_shown;
	int index;
#ifdef CONFIG_IVSHMEM_PAGES
	/**
	 * @users_lock: Guards @users, and keeps @mapping and what belongs to it as it
	 * is.
	 */
	struct mutex users_lock;
	/** @users: Open files and dma-bufs. While there are some, @mapping is fixed. */
	unsigned long users;
	/** @pgmap: Its struct pages, where it is mapped by pages, else NULL. */
	struct dev_pagemap *pgmap;
	/** @windows_lock: Guards the making of @windows. */
	struct mutex windows_lock;
	/**
	 * @windows: In place of @data, where that would not be write-back: the kernel's
	 * mapping in parts of 64 MiB, each NULL until it is needed. Or NULL.
	 */
	void **windows;
#endif
#ifdef CONFIG_IVSHMEM_DMABUF
	/**
	 * @exports_lock: Guards @exports, and keeps the dma-bufs in it from being freed.
	 * Outside of their dma_resv.
	 */
	struct mutex exports_lock;
	/** @exports: See ivshmem_dmabuf.c. */
	struct list_head exports;
#endif
};

static inline struct ivshmem_device *to_ivshmem(struct device *dev)
{
	return container_of(dev, struct ivshmem_device, dev);
}

/**
 * ivshmem_enter() - Begin a section that unbind waits for.
 * @ivs: Device, on which the caller holds a reference.
 *
 * Return: False where the device is gone; then there is no section to end.
 */
static inline bool ivshmem_enter(struct ivshmem_device *ivs)
{
	return percpu_ref_tryget_live(&ivs->live);
}

/**
 * ivshmem_exit() - End a section.
 * @ivs: Device.
 */
static inline void ivshmem_exit(struct ivshmem_device *ivs)
{
	percpu_ref_put(&ivs->live);
}

/**
 * ivshmem_is_gone() - Was the device unbound?
 * @ivs: Device, on which the caller holds a reference.
 *
 * For calls that need neither the PCI device nor the region.
 *
 * Return: Whether it was.
 */
static inline bool ivshmem_is_gone(struct ivshmem_device *ivs)
{
	return percpu_ref_is_dying(&ivs->live);
}

/**
 * struct ivshmem_open_file - What an open file of a device has in private_data.
 * @ivs: Device, referenced.
 * @told_id: The peer ID that its program knows.
 */
struct ivshmem_open_file {
	struct ivshmem_device *ivs;
	u32 told_id;
};

static inline struct ivshmem_device *ivshmem_of_file(struct file *file)
{
	return ((struct ivshmem_open_file *)file->private_data)->ivs;
}

/* ivshmem_main.c */
extern struct class ivshmem_class;
struct ivshmem_device *ivshmem_device_alloc(struct pci_dev *pdev);
int ivshmem_device_add(struct ivshmem_device *ivs);
void ivshmem_device_del(struct ivshmem_device *ivs);
void ivshmem_device_put(struct ivshmem_device *ivs);

/* ivshmem_pci.c */
extern struct pci_driver ivshmem_pci_driver;

/* ivshmem_chrdev.c */
extern const struct file_operations ivshmem_fops;

/* ivshmem_kernel.c */
int ivshmem_kernel_init(struct ivshmem_device *ivs);
void ivshmem_kernel_exit(struct ivshmem_device *ivs);
u32 ivshmem_kernel_cache(const void *data);
bool ivshmem_is_mapped(struct ivshmem_device *ivs, u64 offset);
void *ivshmem_data(struct ivshmem_device *ivs, u64 offset);

/* ivshmem_mapping.c */
int ivshmem_mapping_init(struct ivshmem_device *ivs);
void ivshmem_mapping_exit(struct ivshmem_device *ivs);
bool ivshmem_has(struct ivshmem_device *ivs, u64 feature);
int ivshmem_map_vma(struct ivshmem_device *ivs, struct vm_area_struct *vma);
int ivshmem_mmap(struct file *file, struct vm_area_struct *vma);
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
unsigned long ivshmem_get_unmapped_area(struct file *file, unsigned long address,
					unsigned long len, unsigned long pgoff,
					unsigned long flags);
#else
#define ivshmem_get_unmapped_area NULL	/* no huge entries */
#endif
bool ivshmem_can_be_huge(struct ivshmem_device *ivs, struct vm_fault *vmf, unsigned long size);
vm_fault_t ivshmem_fault_around(struct vm_fault *vmf, unsigned long pfn,
				vm_fault_t (*insert)(struct vm_area_struct *vma,
						     unsigned long address, unsigned long pfn));

/* ivshmem_pfn.c */
void ivshmem_pfn_init(struct ivshmem_device *ivs);

#ifdef CONFIG_IVSHMEM_PAGES
/* ivshmem_pinning.c */
void ivshmem_pinning_setup(struct ivshmem_device *ivs);
void ivshmem_mapping_use(struct ivshmem_device *ivs);
void ivshmem_mapping_unuse(struct ivshmem_device *ivs);
int ivshmem_allow_pinning(struct ivshmem_device *ivs, bool allow);

/* ivshmem_pages.c */
int ivshmem_pages_init(struct ivshmem_device *ivs);

/* ivshmem_windows.c */
int ivshmem_windows_init(struct ivshmem_device *ivs);
int ivshmem_windows_undo(struct ivshmem_device *ivs);
void ivshmem_windows_exit(struct ivshmem_device *ivs);
void *ivshmem_window(struct ivshmem_device *ivs, u64 offset);
bool ivshmem_window_is_mapped(struct ivshmem_device *ivs, u64 offset);
void *ivshmem_map_pages(unsigned long pfn, unsigned long count, pgprot_t prot);
#else
static inline void ivshmem_pinning_setup(struct ivshmem_device *ivs)
{
}

static inline void ivshmem_mapping_use(struct ivshmem_device *ivs)
{
}

static inline void ivshmem_mapping_unuse(struct ivshmem_device *ivs)
{
}

static inline void ivshmem_windows_exit(struct ivshmem_device *ivs)
{
}

static inline void *ivshmem_window(struct ivshmem_device *ivs, u64 offset)
{
	return NULL;
}

static inline bool ivshmem_window_is_mapped(struct ivshmem_device *ivs, u64 offset)
{
	return false;
}
#endif

/* ivshmem_interrupts.c */
int ivshmem_interrupts_init(struct ivshmem_device *ivs);
void ivshmem_interrupts_exit(struct ivshmem_device *ivs);
void ivshmem_interrupts_free(struct ivshmem_device *ivs);
int ivshmem_ring_doorbell(struct ivshmem_device *ivs, const struct ivshmem_ring *ring);
int ivshmem_set_eventfd(struct ivshmem_device *ivs, struct file *file,
			const struct ivshmem_eventfd *set);
void ivshmem_release_eventfds(struct ivshmem_device *ivs, struct file *file);
void ivshmem_signal_all(struct ivshmem_device *ivs);
void ivshmem_interrupts_restore(struct ivshmem_device *ivs);

/* ivshmem_peer.c */
void ivshmem_peer_start(struct ivshmem_device *ivs);
void ivshmem_peer_show(struct ivshmem_device *ivs, bool is_shown);
u32 ivshmem_peer_id(struct ivshmem_device *ivs);

/* ivshmem_power.c */
extern const struct dev_pm_ops ivshmem_pm_ops;
extern const struct pci_error_handlers ivshmem_error_handlers;
void ivshmem_power_init(void);
void ivshmem_power_exit(void);

/* ivshmem_dmabuf.c */
#ifdef CONFIG_IVSHMEM_DMABUF
void ivshmem_dmabuf_setup(struct ivshmem_device *ivs);
int ivshmem_export_dmabuf(struct ivshmem_device *ivs, struct file *file,
			  struct ivshmem_dmabuf __user *arg);
void ivshmem_revoke_dmabufs(struct ivshmem_device *ivs);
#else
static inline void ivshmem_dmabuf_setup(struct ivshmem_device *ivs)
{
}

static inline void ivshmem_revoke_dmabufs(struct ivshmem_device *ivs)
{
}
#endif

/* ivshmem_sysfs.c */
extern const struct attribute_group *ivshmem_groups[];
const char *ivshmem_kind_name(u32 kind);
const char *ivshmem_cache_name(u32 cache);

#endif /* IVSHMEM_H */
