// SPDX-License-Identifier: GPL-2.0-only
/*
 * An importer of dma-bufs, for tests: each open file of /dev/import_dmabuf attaches
 * one, and reads and writes what is mapped, as a device would.
 */

#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "import_dmabuf.h"

static struct platform_device *importer;

struct import {
	struct mutex lock;		/* outside of the dma-buf's dma_resv; guards what follows */
	struct dma_buf *buffer;
	struct dma_buf_attachment *attachment;
	struct sg_table *table;		/* guarded by the dma-buf's dma_resv */
	enum dma_data_direction direction;
	int moves;
};

/* Called with the dma-buf's dma_resv held. */
static void import_move_notify(struct dma_buf_attachment *attachment)
{
	struct import *import = attachment->importer_priv;

	import->moves++;
	if (import->table)
		dma_buf_unmap_attachment(attachment, import->table, import->direction);
	import->table = NULL;
}

static const struct dma_buf_attach_ops import_ops = {
#ifdef HAVE_DMA_BUF_INVALIDATE
	.invalidate_mappings = import_move_notify,
#else
	.move_notify = import_move_notify,
#endif
};

static void import_release(struct import *import)
{
	if (!import->buffer)
		return;
	dma_resv_lock(import->buffer->resv, NULL);
	if (import->table)
		dma_buf_unmap_attachment(import->attachment, import->table, import->direction);
	import->table = NULL;
	dma_resv_unlock(import->buffer->resv);
	dma_buf_detach(import->buffer, import->attachment);
	dma_buf_put(import->buffer);
	import->buffer = NULL;
}

static int import_attach(struct import *import, int fd, bool dynamic)
{
	struct dma_buf *buffer = dma_buf_get(fd);
	int ret;

	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	import->attachment = dma_buf_dynamic_attach(buffer, &importer->dev,
						    dynamic ? &import_ops : NULL, import);
	if (IS_ERR(import->attachment)) {
		dma_buf_put(buffer);
		return PTR_ERR(import->attachment);
	}
	import->buffer = buffer;
	dma_resv_lock(buffer->resv, NULL);
	import->table = dma_buf_map_attachment(import->attachment, import->direction);
	ret = PTR_ERR_OR_ZERO(import->table);
	if (ret)
		import->table = NULL;
	dma_resv_unlock(buffer->resv);
	if (ret)
		import_release(import);
	return ret;
}

/* Gives the byte at @pos, which it then increments, if it may; an importer without a device. */
static int import_by_processor(struct import *import, size_t pos)
{
#ifdef HAVE_IOSYS_MAP
	struct iosys_map map;
	u8 *byte;
	int ret;

	if (pos >= import->buffer->size)
		return -ENXIO;
	dma_resv_lock(import->buffer->resv, NULL);
	ret = dma_buf_vmap(import->buffer, &map);
	if (!ret) {
		byte = map.vaddr + pos;
		ret = *byte;
		if (import->buffer->file->f_mode & FMODE_WRITE)
			(*byte)++;
		dma_buf_vunmap(import->buffer, &map);
	}
	dma_resv_unlock(import->buffer->resv);
	return ret;
#else
	return -EOPNOTSUPP;
#endif
}

static long import_command(struct import *import, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case IMPORT_DMABUF_STATIC:
	case IMPORT_DMABUF_DYNAMIC:
	case IMPORT_DMABUF_READING:
	case IMPORT_DMABUF_READING_STATIC:
		if (import->buffer)
			return -EBUSY;
		import->direction = cmd == IMPORT_DMABUF_READING ||
				    cmd == IMPORT_DMABUF_READING_STATIC ? DMA_TO_DEVICE :
									  DMA_BIDIRECTIONAL;
		return import_attach(import, arg, cmd == IMPORT_DMABUF_DYNAMIC ||
						  cmd == IMPORT_DMABUF_READING);
	case IMPORT_DMABUF_PROCESSOR:
		return import->buffer ? import_by_processor(import, arg) : -EBADF;
	case IMPORT_DMABUF_RELEASE:
		import_release(import);
		return 0;
	case IMPORT_DMABUF_MOVES:
		return import->moves;
	default:
		return -ENOTTY;
	}
}

static long import_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct import *import = file->private_data;
	long ret;

	mutex_lock(&import->lock);
	ret = import_command(import, cmd, arg);
	mutex_unlock(&import->lock);
	return ret;
}

/* One byte, at @pos of what is mapped; NULL where nothing is. */
static struct page *import_page(struct import *import, loff_t pos)
{
	struct scatterlist *entry;
	unsigned int i;

	for_each_sgtable_sg(import->table, entry, i) {
		if (pos < entry->length)
			return sg_page(entry) + (pos >> PAGE_SHIFT);
		pos -= entry->length;
	}
	return NULL;
}

/* Reads or writes @byte, by the kernel's mapping of all memory. */
static int import_copy(struct import *import, char *byte, loff_t pos, bool writing)
{
	struct page *page = NULL;
	char *data;

	if (!import->buffer)
		return -EBADF;
	if (pos < 0 || pos >= import->buffer->size)
		return -ENXIO;
	dma_resv_lock(import->buffer->resv, NULL);
	if (import->table)
		page = import_page(import, pos);
	if (page) {
		data = page_address(page) + offset_in_page(pos);
		if (writing)
			*data = *byte;
		else
			*byte = *data;
	}
	dma_resv_unlock(import->buffer->resv);
	return page ? 0 : -ENXIO;
}

static int import_copy_locked(struct file *file, char *byte, loff_t pos, bool writing)
{
	struct import *import = file->private_data;
	int ret;

	mutex_lock(&import->lock);
	ret = import_copy(import, byte, pos, writing);
	mutex_unlock(&import->lock);
	return ret;
}

static ssize_t import_read(struct file *file, char __user *text, size_t len, loff_t *pos)
{
	char byte;
	int ret;

	ret = import_copy_locked(file, &byte, *pos, false);
	if (ret)
		return ret;
	return put_user(byte, text) ? -EFAULT : 1;
}

static ssize_t import_write(struct file *file, const char __user *text, size_t len, loff_t *pos)
{
	char byte;
	int ret;

	if (get_user(byte, text))
		return -EFAULT;
	ret = import_copy_locked(file, &byte, *pos, true);
	return ret ?: 1;
}

static int import_open(struct inode *inode, struct file *file)
{
	struct import *import = kzalloc(sizeof(*import), GFP_KERNEL);

	if (!import)
		return -ENOMEM;
	mutex_init(&import->lock);
	file->private_data = import;
	return 0;
}

static int import_close(struct inode *inode, struct file *file)
{
	import_release(file->private_data);
	kfree(file->private_data);
	return 0;
}

static int import_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct import *import = file->private_data;
	struct dma_buf *buffer;
	int ret;

	mutex_lock(&import->lock);
	buffer = import->buffer;
	if (buffer)
		get_dma_buf(buffer);
	mutex_unlock(&import->lock);
	if (!buffer)
		return -EBADF;
	ret = dma_buf_mmap(buffer, vma, vma->vm_pgoff);
	dma_buf_put(buffer);
	return ret;
}

static const struct file_operations import_fops = {
	.owner = THIS_MODULE,
	.open = import_open,
	.release = import_close,
	.read = import_read,
	.write = import_write,
	.mmap = import_mmap,
	.unlocked_ioctl = import_ioctl,
	.compat_ioctl = import_ioctl,
};

static struct miscdevice import_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "import_dmabuf",
	.fops = &import_fops,
};

static int __init import_init(void)
{
	int ret;

	importer = platform_device_register_simple("import_dmabuf", -1, NULL, 0);
	if (IS_ERR(importer))
		return PTR_ERR(importer);
	ret = dma_coerce_mask_and_coherent(&importer->dev, DMA_BIT_MASK(64));
	if (!ret)
		ret = misc_register(&import_device);
	if (ret)
		platform_device_unregister(importer);
	return ret;
}
module_init(import_init);

static void __exit import_exit(void)
{
	misc_deregister(&import_device);
	platform_device_unregister(importer);
}
module_exit(import_exit);

MODULE_DESCRIPTION("Imports dma-bufs, for tests");
MODULE_LICENSE("GPL");
#ifdef HAVE_IMPORT_NS_TOKEN
MODULE_IMPORT_NS(DMA_BUF);
#else
MODULE_IMPORT_NS("DMA_BUF");
#endif
