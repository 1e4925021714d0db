// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of an ivshmem device object, and of the module.
 */

#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/slab.h>

#include "ivshmem.h"

#define IVSHMEM_FS_MAGIC	0x6976736d	/* "ivsm" */
#define IVSHMEM_MINORS		(MINORMASK + 1)

static dev_t ivshmem_devt;
static DEFINE_IDA(ivshmem_ida);
static struct vfsmount *ivshmem_mnt;

struct class ivshmem_class = {
	.name = "ivshmem",
	.dev_groups = ivshmem_groups,
};

static void ivshmem_live_release(struct percpu_ref *live)
{
	complete(&container_of(live, struct ivshmem_device, live)->dead);
}

static void ivshmem_device_release(struct device *dev)
{
	struct ivshmem_device *ivs = to_ivshmem(dev);

	ivshmem_interrupts_free(ivs);
	percpu_ref_exit(&ivs->live);
	iput(ivs->inode);
	kfree(ivs);
}

/**
 * ivshmem_device_alloc() - Make the object of a PCI device.
 * @pdev: PCI device that is being bound.
 *
 * Return: The object, to be given back with ivshmem_device_put(); an ERR_PTR on
 * failure.
 */
struct ivshmem_device *ivshmem_device_alloc(struct pci_dev *pdev)
{
	struct ivshmem_device *ivs;
	int ret;

	ivs = kzalloc_obj(*ivs);
	if (!ivs)
		return ERR_PTR(-ENOMEM);
	ivs->inode = alloc_anon_inode(ivshmem_mnt->mnt_sb);
	if (IS_ERR(ivs->inode)) {
		ret = PTR_ERR(ivs->inode);
		goto err_free;
	}
	ret = percpu_ref_init(&ivs->live, ivshmem_live_release, 0, GFP_KERNEL);
	if (ret)
		goto err_put_inode;
	ivs->index = ida_alloc_max(&ivshmem_ida, IVSHMEM_MINORS - 1, GFP_KERNEL);
	if (ivs->index < 0) {
		ret = ivs->index;
		goto err_exit_live;
	}

	ivs->pdev = pdev;
	init_completion(&ivs->dead);
	init_waitqueue_head(&ivs->news);
	mutex_init(&ivs->peer_lock);
	ivshmem_pinning_setup(ivs);
	ivshmem_dmabuf_setup(ivs);
	device_initialize(&ivs->dev);
	ivs->dev.class = &ivshmem_class;
	ivs->dev.parent = &pdev->dev;
	ivs->dev.release = ivshmem_device_release;
	ivs->dev.devt = MKDEV(MAJOR(ivshmem_devt), ivs->index);
	ret = dev_set_name(&ivs->dev, "ivshmem%d", ivs->index);
	if (ret) {
		ivshmem_device_put(ivs);
		return ERR_PTR(ret);
	}
	return ivs;

err_exit_live:
	percpu_ref_exit(&ivs->live);
err_put_inode:
	iput(ivs->inode);
err_free:
	kfree(ivs);
	return ERR_PTR(ret);
}

/* Every mapping goes, every waiter wakes, and no section opens any more. */
static void ivshmem_device_disconnect(struct ivshmem_device *ivs)
{
	percpu_ref_kill(&ivs->live);
	wait_for_completion(&ivs->dead);
#ifndef HAVE_FOLIO_PMD
	if (ivs->mapping->settle)
		ivs->mapping->settle(ivs);
#endif
	unmap_mapping_range(ivs->inode->i_mapping, 0, 0, 1);
	ivshmem_revoke_dmabufs(ivs);
	/* All: wake_up_poll() leaves all but one of the exclusive waiters asleep. */
	wake_up_all(&ivs->news);
}

/**
 * ivshmem_device_add() - Show a device that is ready to user space.
 * @ivs: Device.
 *
 * Return: 0, or a negative errno.
 */
int ivshmem_device_add(struct ivshmem_device *ivs)
{
	int ret;

	cdev_init(&ivs->cdev, &ivshmem_fops);
	ivs->cdev.owner = THIS_MODULE;
	ret = cdev_device_add(&ivs->cdev, &ivs->dev);
	/* The number was live for a moment: a node from elsewhere may be open. */
	if (ret)
		ivshmem_device_disconnect(ivs);
	else
		ivshmem_peer_show(ivs, true);
	return ret;
}

/**
 * ivshmem_device_del() - Take a device away from user space.
 * @ivs: Device that was added.
 *
 * On return no section is open, no user mapping is left, and none of either
 * can come again: what hangs on the PCI device may be torn down.
 */
void ivshmem_device_del(struct ivshmem_device *ivs)
{
	ivshmem_peer_show(ivs, false);
	cdev_device_del(&ivs->cdev, &ivs->dev);
	ivshmem_device_disconnect(ivs);
}

/**
 * ivshmem_device_put() - Give the object of a PCI device back.
 * @ivs: Device, not or no longer shown to user space.
 *
 * Its number is free for another device at once; the object lives on as long as
 * files are open.
 */
void ivshmem_device_put(struct ivshmem_device *ivs)
{
	ida_free(&ivshmem_ida, ivs->index);
	put_device(&ivs->dev);
}

static int ivshmem_fs_init_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, IVSHMEM_FS_MAGIC) ? 0 : -ENOMEM;
}

/* Without an owner: the module's own mount must not keep it loaded. */
static struct file_system_type ivshmem_fs_type = {
	.name = "ivshmem",
	.init_fs_context = ivshmem_fs_init_fs_context,
	.kill_sb = kill_anon_super,
};

static int __init ivshmem_init(void)
{
	int ret;

	ivshmem_mnt = kern_mount(&ivshmem_fs_type);
	if (IS_ERR(ivshmem_mnt))
		return PTR_ERR(ivshmem_mnt);
	ret = alloc_chrdev_region(&ivshmem_devt, 0, IVSHMEM_MINORS, "ivshmem");
	if (ret)
		goto err_unmount;
	ret = class_register(&ivshmem_class);
	if (ret)
		goto err_unregister_chrdev;
	ret = pci_register_driver(&ivshmem_pci_driver);
	if (ret)
		goto err_unregister_class;
	ivshmem_power_init();
	return 0;

err_unregister_class:
	class_unregister(&ivshmem_class);
err_unregister_chrdev:
	unregister_chrdev_region(ivshmem_devt, IVSHMEM_MINORS);
err_unmount:
	kern_unmount(ivshmem_mnt);
	return ret;
}
module_init(ivshmem_init);

static void __exit ivshmem_module_exit(void)
{
	ivshmem_power_exit();
	pci_unregister_driver(&ivshmem_pci_driver);
	class_unregister(&ivshmem_class);
	unregister_chrdev_region(ivshmem_devt, IVSHMEM_MINORS);
	kern_unmount(ivshmem_mnt);
	ida_destroy(&ivshmem_ida);
}
module_exit(ivshmem_module_exit);

MODULE_DESCRIPTION("Inter-VM shared memory (ivshmem) of QEMU");
MODULE_AUTHOR("The ivshmem developers");
MODULE_LICENSE("GPL");
#ifdef IVSHMEM_VERSION
MODULE_VERSION(IVSHMEM_VERSION);
#endif
