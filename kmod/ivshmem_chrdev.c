// SPDX-License-Identifier: GPL-2.0-only
/*
 * The character device: the region as a file of fixed size.
 */

#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "ivshmem.h"

/* So often a page may be taken away again between fault-in and copy. */
#define IVSHMEM_IDLE_COPIES	16

static int ivshmem_open(struct inode *inode, struct file *file)
{
	struct ivshmem_device *ivs = container_of(inode->i_cdev, struct ivshmem_device, cdev);
	struct ivshmem_open_file *opened;

	/* A node that was opened before stays usable for open(2) after unbind. */
	if (ivshmem_is_gone(ivs))
		return -ENODEV;
	opened = kmalloc_obj(*opened, GFP_KERNEL_ACCOUNT);
	if (!opened)
		return -ENOMEM;
	opened->ivs = ivs;
	opened->told_id = READ_ONCE(ivs->peer_id);
	get_device(&ivs->dev);
	ivshmem_mapping_use(ivs);
	file->private_data = opened;
	/* Nothing waits but for memory: io_uring need not give each call to a worker. */
	file->f_mode |= FMODE_NOWAIT;
	file->f_mapping = ivs->inode->i_mapping;
	file->f_wb_err = filemap_sample_wb_err(file->f_mapping);
	return 0;
}

static int ivshmem_release(struct inode *inode, struct file *file)
{
	struct ivshmem_device *ivs = ivshmem_of_file(file);

	ivshmem_release_eventfds(ivs, file);
	ivshmem_mapping_unuse(ivs);
	put_device(&ivs->dev);
	kfree(file->private_data);
	return 0;
}

static loff_t ivshmem_llseek(struct file *file, loff_t offset, int whence)
{
	struct ivshmem_device *ivs = ivshmem_of_file(file);

	if (ivshmem_is_gone(ivs))
		return -ENODEV;
	return fixed_size_llseek(file, offset, whence, ivs->size);
}

/* Copies without faults; -ENODEV, -EAGAIN (@nowait) and -ENOMEM where nothing is done. */
static ssize_t ivshmem_copy_piece(struct ivshmem_device *ivs, loff_t pos, size_t len,
				  struct iov_iter *iter, bool nowait)
{
	bool reading = iov_iter_rw(iter) == READ;
	ssize_t copied = -ENOMEM;
	void *data;

	if (!ivshmem_enter(ivs))
		return -ENODEV;
	if (nowait && !ivshmem_is_mapped(ivs, pos)) {
		ivshmem_exit(ivs);
		return -EAGAIN;
	}
	data = ivshmem_data(ivs, pos);
	if (data) {
		pagefault_disable();
		copied = reading ? copy_to_iter(data, len, iter) : copy_from_iter(data, len, iter);
		pagefault_enable();
	}
	ivshmem_exit(ivs);
	return copied;
}

/*
 * Copy between the region at @pos and @iter, at most to the region's end.
 * User memory is faulted in first, outside of the section, and the copy made
 * without faults: a page that nobody serves (userfaultfd, FUSE) must not hold
 * up unbind. Who does not want to wait gets what can be copied as it is.
 */
static ssize_t ivshmem_copy(struct ivshmem_device *ivs, loff_t pos, struct iov_iter *iter,
			    bool nowait)
{
	bool reading = iov_iter_rw(iter) == READ;
	unsigned int idle = 0;
	ssize_t done = 0, copied;
	size_t len, missing = 0;

	while (iov_iter_count(iter) && pos + done < ivs->size) {
		/* No piece lies in two of the kernel's windows. */
		len = min3((u64)iov_iter_count(iter), ivs->size - pos - done,
			   (u64)SZ_64K - ((pos + done) & (SZ_64K - 1)));
		if (!nowait)
			missing = reading ? fault_in_iov_iter_writeable(iter, len) :
					    fault_in_iov_iter_readable(iter, len);
		if (missing == len)
			return done ?: -EFAULT;

		copied = ivshmem_copy_piece(ivs, pos + done, len, iter, nowait);
		if (copied < 0)
			return done ?: copied;
		done += copied;
		if (nowait && copied < len)
			return done ?: -EAGAIN;

		/* Memory that can be faulted in but never be copied to or from. */
		idle = copied ? 0 : idle + 1;
		if (idle > IVSHMEM_IDLE_COPIES)
			return done ?: -EFAULT;
		if (fatal_signal_pending(current))
			return done ?: -EINTR;
		cond_resched();
	}
	return done;
}

static ssize_t ivshmem_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct ivshmem_device *ivs = ivshmem_of_file(iocb->ki_filp);
	ssize_t ret;

	if (ivshmem_is_gone(ivs))
		return -ENODEV;
	ret = ivshmem_copy(ivs, iocb->ki_pos, to, iocb->ki_flags & IOCB_NOWAIT);
	if (ret > 0)
		iocb->ki_pos += ret;
	return ret;
}

static ssize_t ivshmem_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct ivshmem_device *ivs = ivshmem_of_file(iocb->ki_filp);
	ssize_t ret;

	if (ivshmem_is_gone(ivs))
		return -ENODEV;
	if (!iov_iter_count(from))
		return 0;
	if (iocb->ki_pos >= ivs->size || (iocb->ki_flags & IOCB_APPEND))
		return -ENOSPC;
	ret = ivshmem_copy(ivs, iocb->ki_pos, from, iocb->ki_flags & IOCB_NOWAIT);
	if (ret > 0)
		iocb->ki_pos += ret;
	return ret;
}

/* There is nothing to write back, but msync(2) on a mapping asks. */
static int ivshmem_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct ivshmem_device *ivs = ivshmem_of_file(file);

	if (ivshmem_is_gone(ivs))
		return -ENODEV;
	return 0;
}

static __poll_t ivshmem_poll(struct file *file, poll_table *wait)
{
	struct ivshmem_device *ivs = ivshmem_of_file(file);

	struct ivshmem_open_file *opened = file->private_data;
	__poll_t events = EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;

	poll_wait(file, &ivs->news, wait);
	if (ivshmem_is_gone(ivs))
		return EPOLLHUP | EPOLLERR;
	/* Until the program asks. */
	if (READ_ONCE(opened->told_id) != READ_ONCE(ivs->peer_id))
		events |= EPOLLPRI;
	return events;
}

static int ivshmem_fill_info(struct ivshmem_device *ivs, struct ivshmem_info *info)
{
	if (!ivshmem_enter(ivs))
		return -ENODEV;
	*info = (struct ivshmem_info) {
		.kind = ivs->kind,
		.size = ivs->size,
		.peer_id = ivshmem_peer_id(ivs),
		.vectors = ivs->vectors,
		.mapping = ivs->mapping->id,
		.cache = ivs->cache,
		.pci_domain = pci_domain_nr(ivs->pdev->bus),
		.pci_bus = ivs->pdev->bus->number,
		.pci_device = PCI_SLOT(ivs->pdev->devfn),
		.pci_function = PCI_FUNC(ivs->pdev->devfn),
		.pci_revision = ivs->pdev->revision,
		.page_size = ivs->page_size,
		.features = ivs->mapping->features,
	};
	ivshmem_exit(ivs);
	return 0;
}

static long ivshmem_ioctl_info(struct ivshmem_device *ivs, struct file *file,
			       struct ivshmem_info __user *arg)
{
	struct ivshmem_open_file *opened = file->private_data;
	struct ivshmem_info info;
	int ret;

	static_assert(sizeof(info) == 72);
	static_assert(offsetof(struct ivshmem_info, reserved) == 56);

	if (copy_from_user(&info, arg, sizeof(info)))
		return -EFAULT;
	if (info.flags || memchr_inv(info.reserved, 0, sizeof(info.reserved)))
		return -EINVAL;
	ret = ivshmem_fill_info(ivs, &info);
	if (ret)
		return ret;
	if (copy_to_user(arg, &info, sizeof(info)))
		return -EFAULT;
	/* A device that does not answer has told nothing. */
	if (info.peer_id <= IVSHMEM_PEER_MAX)
		WRITE_ONCE(opened->told_id, info.peer_id);
	return 0;
}

/*
 * Interrupts act on others: a ring costs a peer processor time, and to bind takes the
 * ring that was kept for whoever comes. That is not for those who may only read.
 */
static bool ivshmem_may_interrupt(struct file *file)
{
	return file->f_mode & FMODE_WRITE;
}

static long ivshmem_ioctl_ring(struct ivshmem_device *ivs, struct file *file,
			       const struct ivshmem_ring __user *arg)
{
	struct ivshmem_ring ring;
	int ret;

	static_assert(sizeof(ring) == 16);

	if (!ivshmem_may_interrupt(file))
		return -EACCES;
	if (copy_from_user(&ring, arg, sizeof(ring)))
		return -EFAULT;
	if (!ivshmem_enter(ivs))
		return -ENODEV;
	ret = ivshmem_ring_doorbell(ivs, &ring);
	ivshmem_exit(ivs);
	return ret;
}

static long ivshmem_ioctl_eventfd(struct ivshmem_device *ivs, struct file *file,
				  const struct ivshmem_eventfd __user *arg)
{
	struct ivshmem_eventfd set;

	static_assert(sizeof(set) == 16);

	if (!ivshmem_may_interrupt(file))
		return -EACCES;
	if (copy_from_user(&set, arg, sizeof(set)))
		return -EFAULT;
	return ivshmem_set_eventfd(ivs, file, &set);
}

static long ivshmem_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ivshmem_device *ivs = ivshmem_of_file(file);

	if (ivshmem_is_gone(ivs))
		return -ENODEV;

	switch (cmd) {
	case IVSHMEM_IOC_GET_INFO:
		return ivshmem_ioctl_info(ivs, file, (void __user *)arg);
	case IVSHMEM_IOC_RING_DOORBELL:
		return ivshmem_ioctl_ring(ivs, file, (void __user *)arg);
	case IVSHMEM_IOC_SET_EVENTFD:
		return ivshmem_ioctl_eventfd(ivs, file, (void __user *)arg);
#if defined(CONFIG_IVSHMEM_DMABUF) || defined(IVSHMEM_COMPAT_H)
	case IVSHMEM_IOC_EXPORT_DMABUF:
		return ivshmem_export_dmabuf(ivs, file, (void __user *)arg);
#endif
	default:
		return -ENOTTY;
	}
}

const struct file_operations ivshmem_fops = {
	.owner = THIS_MODULE,
	.open = ivshmem_open,
	.release = ivshmem_release,
	.llseek = ivshmem_llseek,
	.read_iter = ivshmem_read_iter,
	.write_iter = ivshmem_write_iter,
	.splice_read = copy_splice_read,
	.splice_write = iter_file_splice_write,
	.mmap = ivshmem_mmap,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	.get_unmapped_area = ivshmem_get_unmapped_area,
#endif
	.fsync = ivshmem_fsync,
	.poll = ivshmem_poll,
	.unlocked_ioctl = ivshmem_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
