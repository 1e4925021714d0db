// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parts of the region as dma-bufs, for drivers of other devices. Only where the
 * region is mapped by struct pages.
 *
 * A dma-buf holds a reference on the ivshmem device, not on the PCI device. When
 * that goes, mappings of the dma-buf are taken away with all others, since its file
 * has their address space; importers that can move are told to; and removal waits
 * for those that keep the memory mapped, as for any I/O in flight, since a mapped
 * attachment holds references on the pages.
 */

#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "ivshmem.h"

/**
 * struct ivshmem_export - What is exported by a dma-buf.
 * @ivs: Device, on which a reference is held.
 * @buffer: The dma-buf.
 * @node: In ivshmem_device.exports, guarded by its exports_lock.
 * @offset: First byte in the region.
 * @len: Length in bytes.
 * @writable: May it be written?
 * @maps_lock: Guards the attachments' priv, the table that is mapped for one: older
 *	kernels map for static importers of static exporters without the dma_resv.
 */
struct ivshmem_export {
	struct ivshmem_device *ivs;
	struct dma_buf *buffer;
	struct list_head node;
	u64 offset;
	u64 len;
	bool writable;
	struct mutex maps_lock;		/* inside of the dma-buf's dma_resv */
};

/**
 * ivshmem_dmabuf_setup() - Prepare what exports need.
 * @ivs: New device.
 */
void ivshmem_dmabuf_setup(struct ivshmem_device *ivs)
{
	mutex_init(&ivs->exports_lock);
	INIT_LIST_HEAD(&ivs->exports);
}

/* Calls @visit for each page of the export that has a reference count of its own. */
static void ivshmem_export_each_page(struct ivshmem_export *export,
				     void (*visit)(struct page *page))
{
	unsigned long size = export->ivs->page_size;
	phys_addr_t at = ALIGN_DOWN(export->ivs->start + export->offset, size);
	phys_addr_t end = export->ivs->start + export->offset + export->len;

	for (; at < end; at += size)
		visit(pfn_to_page(PHYS_PFN(at)));
}

static int ivshmem_dmabuf_attach(struct dma_buf *buffer, struct dma_buf_attachment *attachment)
{
	struct ivshmem_export *export = buffer->priv;

	return ivshmem_is_gone(export->ivs) ? -ENODEV : 0;
}

/* Nothing moves before the device goes. */
static int ivshmem_dmabuf_pin(struct dma_buf_attachment *attachment)
{
	return ivshmem_dmabuf_attach(attachment->dmabuf, attachment);
}

static void ivshmem_dmabuf_unpin(struct dma_buf_attachment *attachment)
{
}

/* The export is contiguous: as few entries as the importer's device can take. */
static int ivshmem_export_fill(struct ivshmem_export *export, struct device *dev,
			       struct sg_table *table)
{
	u64 most = min_t(u64, dma_max_mapping_size(dev), SZ_1G) & PAGE_MASK;
	struct page *page = pfn_to_page(PHYS_PFN(export->ivs->start + export->offset));
	struct scatterlist *entry;
	u64 left = export->len;
	unsigned int i, len;
	int ret;

	ret = sg_alloc_table(table, DIV_ROUND_UP_ULL(left, most), GFP_KERNEL);
	if (ret)
		return ret;
	for_each_sgtable_sg(table, entry, i) {
		len = min(left, most);
		sg_set_page(entry, page, len, 0);
		page += len >> PAGE_SHIFT;
		left -= len;
	}
	return 0;
}

static struct sg_table *ivshmem_export_map(struct ivshmem_export *export, struct device *dev,
					   enum dma_data_direction direction)
{
	struct sg_table *table;
	int ret;

	table = kzalloc_obj(*table);
	if (!table)
		return ERR_PTR(-ENOMEM);
	ret = ivshmem_export_fill(export, dev, table);
	if (ret)
		goto err_free;
	ret = dma_map_sgtable(dev, table, direction, 0);
	if (ret)
		goto err_free_table;
	ivshmem_export_each_page(export, get_page);
	return table;

err_free_table:
	sg_free_table(table);
err_free:
	kfree(table);
	return ERR_PTR(ret);
}

static struct sg_table *ivshmem_dmabuf_map(struct dma_buf_attachment *attachment,
					   enum dma_data_direction direction)
{
	struct ivshmem_export *export = attachment->dmabuf->priv;
	struct sg_table *table;

	if (!export->writable && direction != DMA_TO_DEVICE)
		return ERR_PTR(-EACCES);
	if (!ivshmem_enter(export->ivs))
		return ERR_PTR(-ENODEV);
	table = ivshmem_export_map(export, attachment->dev, direction);
	ivshmem_exit(export->ivs);
	if (!IS_ERR(table)) {
		mutex_lock(&export->maps_lock);
		attachment->priv = table;
		mutex_unlock(&export->maps_lock);
	}
	return table;
}

static void ivshmem_dmabuf_unmap(struct dma_buf_attachment *attachment, struct sg_table *table,
				 enum dma_data_direction direction)
{
	struct ivshmem_export *export = attachment->dmabuf->priv;

	mutex_lock(&export->maps_lock);
	if (attachment->priv == table)
		attachment->priv = NULL;
	mutex_unlock(&export->maps_lock);
	dma_unmap_sgtable(attachment->dev, table, direction, 0);
	ivshmem_export_each_page(export, put_page);
	sg_free_table(table);
	kfree(table);
}

/*
 * The region is the host's RAM, and coherent; importers may copy it to where their
 * device reaches, or have a device that is not coherent.
 */
static int ivshmem_dmabuf_sync(struct dma_buf *buffer, enum dma_data_direction direction,
			       void (*sync)(struct device *dev, struct sg_table *table,
					    enum dma_data_direction direction))
{
	struct ivshmem_export *export = buffer->priv;
	struct dma_buf_attachment *attachment;
	int ret;

	if (ivshmem_is_gone(export->ivs))
		return -ENODEV;
	ret = dma_resv_lock_interruptible(buffer->resv, NULL);
	if (ret)
		return ret;
	mutex_lock(&export->maps_lock);
	list_for_each_entry(attachment, &buffer->attachments, node)
		if (attachment->priv)
			sync(attachment->dev, attachment->priv, direction);
	mutex_unlock(&export->maps_lock);
	dma_resv_unlock(buffer->resv);
	return 0;
}

static int ivshmem_dmabuf_begin(struct dma_buf *buffer, enum dma_data_direction direction)
{
	return ivshmem_dmabuf_sync(buffer, direction, dma_sync_sgtable_for_cpu);
}

static int ivshmem_dmabuf_end(struct dma_buf *buffer, enum dma_data_direction direction)
{
	return ivshmem_dmabuf_sync(buffer, direction, dma_sync_sgtable_for_device);
}

static int ivshmem_dmabuf_mmap(struct dma_buf *buffer, struct vm_area_struct *vma)
{
	struct ivshmem_export *export = buffer->priv;

	/* An importer may show it through a file of its own, which can be written. */
	if (!export->writable) {
		if (vma->vm_flags & VM_WRITE)
			return -EACCES;
		vm_flags_clear(vma, VM_MAYWRITE);
	}
	vma->vm_pgoff += export->offset >> PAGE_SHIFT;
	return ivshmem_map_vma(export->ivs, vma);
}

#ifdef HAVE_IOSYS_MAP
/* For importers that access by the processor. As any mapping it holds the pages. */
static int ivshmem_dmabuf_vmap(struct dma_buf *buffer, struct iosys_map *map)
{
	struct ivshmem_export *export = buffer->priv;
	struct ivshmem_device *ivs = export->ivs;
	void *data;

	if (!ivshmem_enter(ivs))
		return -ENODEV;
	data = ivshmem_map_pages(PHYS_PFN(ivs->start + export->offset), export->len >> PAGE_SHIFT,
				 export->writable ? PAGE_KERNEL : PAGE_KERNEL_RO);
	if (data)
		ivshmem_export_each_page(export, get_page);
	ivshmem_exit(ivs);
	if (!data)
		return -ENOMEM;
	iosys_map_set_vaddr(map, data);
	return 0;
}

static void ivshmem_dmabuf_vunmap(struct dma_buf *buffer, struct iosys_map *map)
{
	vunmap(map->vaddr);
	ivshmem_export_each_page(buffer->priv, put_page);
}
#endif

static void ivshmem_dmabuf_release(struct dma_buf *buffer)
{
	struct ivshmem_export *export = buffer->priv;
	struct ivshmem_device *ivs = export->ivs;

	mutex_lock(&ivs->exports_lock);
	list_del(&export->node);
	mutex_unlock(&ivs->exports_lock);
	kfree(export);
	ivshmem_mapping_unuse(ivs);
	put_device(&ivs->dev);
}

static const struct dma_buf_ops ivshmem_dmabuf_ops = {
	.attach = ivshmem_dmabuf_attach,
	.pin = ivshmem_dmabuf_pin,
	.unpin = ivshmem_dmabuf_unpin,
	.map_dma_buf = ivshmem_dmabuf_map,
	.unmap_dma_buf = ivshmem_dmabuf_unmap,
	.begin_cpu_access = ivshmem_dmabuf_begin,
	.end_cpu_access = ivshmem_dmabuf_end,
	.mmap = ivshmem_dmabuf_mmap,
#ifdef HAVE_IOSYS_MAP
	.vmap = ivshmem_dmabuf_vmap,
	.vunmap = ivshmem_dmabuf_vunmap,
#endif
	.release = ivshmem_dmabuf_release,
};

/*
 * Of an export that no device may write. Kernels before 6.14 map at once, both ways, for
 * an importer of another kind than the exporter, which must be refused then. Without
 * .pin the exporter is static, as most importers are.
 */
static const struct dma_buf_ops ivshmem_dmabuf_read_only_ops = {
	.attach = ivshmem_dmabuf_attach,
	.map_dma_buf = ivshmem_dmabuf_map,
	.unmap_dma_buf = ivshmem_dmabuf_unmap,
	.begin_cpu_access = ivshmem_dmabuf_begin,
	.end_cpu_access = ivshmem_dmabuf_end,
	.mmap = ivshmem_dmabuf_mmap,
#ifdef HAVE_IOSYS_MAP
	.vmap = ivshmem_dmabuf_vmap,
	.vunmap = ivshmem_dmabuf_vunmap,
#endif
	.release = ivshmem_dmabuf_release,
};

static struct dma_buf *ivshmem_export(struct ivshmem_device *ivs, const struct ivshmem_dmabuf *what)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct ivshmem_export *export;
	struct dma_buf *buffer;

	export = kzalloc_obj(*export);
	if (!export)
		return ERR_PTR(-ENOMEM);
	export->ivs = ivs;
	export->offset = what->offset;
	export->len = what->len;
	export->writable = (what->flags & O_ACCMODE) == O_RDWR;
	mutex_init(&export->maps_lock);
	info.ops = export->writable ? &ivshmem_dmabuf_ops : &ivshmem_dmabuf_read_only_ops;
	info.size = what->len;
	info.flags = what->flags;
	info.priv = export;
	buffer = dma_buf_export(&info);
	if (IS_ERR(buffer)) {
		kfree(export);
		return buffer;
	}
	export->buffer = buffer;
	get_device(&ivs->dev);
	ivshmem_mapping_use(ivs);
	buffer->file->f_mapping = ivs->inode->i_mapping;
	mutex_lock(&ivs->exports_lock);
	list_add(&export->node, &ivs->exports);
	mutex_unlock(&ivs->exports_lock);
	return buffer;
}

static int ivshmem_check_export(struct ivshmem_device *ivs, struct file *file,
				const struct ivshmem_dmabuf *what)
{
	u32 access = what->flags & O_ACCMODE;

	if (what->flags & ~(O_ACCMODE | O_CLOEXEC) || what->reserved ||
	    (access != O_RDONLY && access != O_RDWR))
		return -EINVAL;
	if (!what->len || !PAGE_ALIGNED(what->offset | what->len) ||
	    what->offset >= ivs->size || what->len > ivs->size - what->offset)
		return -EINVAL;
	if (!(file->f_mode & FMODE_READ) || (access == O_RDWR && !(file->f_mode & FMODE_WRITE)))
		return -EACCES;
	if (!ivshmem_has(ivs, IVSHMEM_FEATURE_DMABUF))
		return -EOPNOTSUPP;
	return 0;
}

/**
 * ivshmem_export_dmabuf() - Make a dma-buf of a part of the region.
 * @ivs: Device.
 * @file: The open file through which this was asked for.
 * @arg: Which part. Its @fd is set.
 *
 * Return: 0, or a negative errno.
 */
int ivshmem_export_dmabuf(struct ivshmem_device *ivs, struct file *file,
			  struct ivshmem_dmabuf __user *arg)
{
	struct ivshmem_dmabuf what;
	struct dma_buf *buffer;
	int ret;

	static_assert(sizeof(what) == 32);

	if (copy_from_user(&what, arg, sizeof(what)))
		return -EFAULT;
	ret = ivshmem_check_export(ivs, file, &what);
	if (ret)
		return ret;
	buffer = ivshmem_export(ivs, &what);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	ret = get_unused_fd_flags(what.flags & O_CLOEXEC);
	if (ret < 0)
		goto err_put_buffer;
	what.fd = ret;
	if (copy_to_user(arg, &what, sizeof(what))) {
		ret = -EFAULT;
		goto err_put_fd;
	}
	fd_install(what.fd, buffer->file);
	return 0;

err_put_fd:
	put_unused_fd(what.fd);
err_put_buffer:
	dma_buf_put(buffer);
	return ret;
}

/**
 * ivshmem_revoke_dmabufs() - Have importers let go.
 * @ivs: Device that is gone.
 */
void ivshmem_revoke_dmabufs(struct ivshmem_device *ivs)
{
	struct ivshmem_export *export;

	mutex_lock(&ivs->exports_lock);
	list_for_each_entry(export, &ivs->exports, node) {
		dma_resv_lock(export->buffer->resv, NULL);
		dma_buf_invalidate_mappings(export->buffer);
		dma_resv_unlock(export->buffer->resv);
	}
	mutex_unlock(&ivs->exports_lock);
}

MODULE_IMPORT_NS("DMA_BUF");
