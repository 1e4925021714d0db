// SPDX-License-Identifier: GPL-2.0-only
/*
 * Binding and unbinding the PCI device. Its specification is
 * docs/specs/ivshmem-spec.rst in QEMU's sources.
 */

#include <linux/module.h>
#include <linux/pci.h>

#include "ivshmem.h"

#define IVSHMEM_PCI_VENDOR	0x1af4	/* Red Hat */
#define IVSHMEM_PCI_DEVICE	0x1110

#define IVSHMEM_BAR_REGION	2

static int ivshmem_check_region(struct pci_dev *pdev)
{
	resource_size_t size = pci_resource_len(pdev, IVSHMEM_BAR_REGION);

	if (!size || !(pci_resource_flags(pdev, IVSHMEM_BAR_REGION) & IORESOURCE_MEM))
		return dev_err_probe(&pdev->dev, -ENODEV,
				     "BAR 2 has no memory, or was not assigned any\n");
	/* A mapping is made of whole pages, and must not show what lies beside. */
	if (!PAGE_ALIGNED(size) || !PAGE_ALIGNED(pci_resource_start(pdev, IVSHMEM_BAR_REGION)))
		return dev_err_probe(&pdev->dev, -EINVAL,
				     "BAR 2 %pR is not made of pages of %lu bytes\n",
				     &pdev->resource[IVSHMEM_BAR_REGION], PAGE_SIZE);
	return 0;
}

static bool ivshmem_has_mtrrs(void)
{
#ifdef CONFIG_X86
	return boot_cpu_has(X86_FEATURE_MTRR);
#else
	return false;
#endif
}

/* Pinning may be changed already, by whoever was waiting for the device. */
static void ivshmem_report(struct ivshmem_device *ivs)
{
	u32 cache = READ_ONCE(ivs->cache);

	dev_info(&ivs->pdev->dev, "%s: %s, %llu KiB at %pR, mapped by %s, %s, entries up to %lu KiB, %u vectors\n",
		 dev_name(&ivs->dev), ivshmem_kind_name(ivs->kind), ivs->size >> 10,
		 &ivs->pdev->resource[IVSHMEM_BAR_REGION], READ_ONCE(ivs->mapping)->name,
		 ivshmem_cache_name(cache), READ_ONCE(ivs->page_size) >> 10,
		 ivs->vectors);
	/* Where it is unknown there is nothing to be told. */
	if (cache != IVSHMEM_CACHE_WRITE_BACK && cache != IVSHMEM_CACHE_UNKNOWN)
		dev_warn(&ivs->pdev->dev,
			 "%s: the region is mapped %s%s, and may be slow: allow pinning, give the guest more memory, or see CACHING in ivshmem(4)\n",
			 dev_name(&ivs->dev), ivshmem_cache_name(cache),
			 ivshmem_has_mtrrs() ? ", since the firmware's MTRRs cover BAR 2" : "");
}

static int ivshmem_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct ivshmem_device *ivs;
	int ret;

	ret = ivshmem_check_region(pdev);
	if (ret)
		return ret;
	ivs = ivshmem_device_alloc(pdev);
	if (IS_ERR(ivs))
		return PTR_ERR(ivs);

	ret = pci_enable_device_mem(pdev);
	if (ret) {
		dev_err_probe(&pdev->dev, ret, "cannot enable the device\n");
		goto err_put_device;
	}
	ret = pci_request_region(pdev, IVSHMEM_BAR_REGION, "ivshmem");
	if (ret) {
		dev_err_probe(&pdev->dev, ret, "BAR 2 is taken, see /proc/iomem\n");
		goto err_disable_device;
	}
	ivs->start = pci_resource_start(pdev, IVSHMEM_BAR_REGION);
	ivs->size = pci_resource_len(pdev, IVSHMEM_BAR_REGION);
	ret = ivshmem_mapping_init(ivs);
	if (ret) {
		dev_err_probe(&pdev->dev, ret, "cannot map BAR 2\n");
		goto err_release_region;
	}
	ret = ivshmem_interrupts_init(ivs);
	if (ret) {
		dev_err_probe(&pdev->dev, ret, "cannot set up the interrupts\n");
		goto err_exit_mapping;
	}
	pci_set_drvdata(pdev, ivs);
	ret = ivshmem_device_add(ivs);
	if (ret) {
		dev_err_probe(&pdev->dev, ret, "cannot add the device node\n");
		goto err_exit_interrupts;
	}
	/* For ivshmem_slot_reset(). */
	pci_save_state(pdev);
	ivshmem_report(ivs);
	return 0;

err_exit_interrupts:
	ivshmem_interrupts_exit(ivs);
err_exit_mapping:
	ivshmem_mapping_exit(ivs);
err_release_region:
	pci_release_region(pdev, IVSHMEM_BAR_REGION);
err_disable_device:
	pci_disable_device(pdev);
err_put_device:
	ivshmem_device_put(ivs);
	return ret;
}

static void ivshmem_pci_remove(struct pci_dev *pdev)
{
	struct ivshmem_device *ivs = pci_get_drvdata(pdev);

	ivshmem_device_del(ivs);
	ivshmem_interrupts_exit(ivs);
	ivshmem_mapping_exit(ivs);
	pci_release_region(pdev, IVSHMEM_BAR_REGION);
	pci_disable_device(pdev);
	ivshmem_device_put(ivs);
}

static const struct pci_device_id ivshmem_pci_ids[] = {
	{ PCI_DEVICE(IVSHMEM_PCI_VENDOR, IVSHMEM_PCI_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, ivshmem_pci_ids);

struct pci_driver ivshmem_pci_driver = {
	.name = "ivshmem",
	.id_table = ivshmem_pci_ids,
	.probe = ivshmem_pci_probe,
	.remove = ivshmem_pci_remove,
	.err_handler = &ivshmem_error_handlers,
	.driver.pm = &ivshmem_pm_ops,
};
