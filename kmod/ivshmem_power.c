// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the device lives through: sleep, hibernation, resets, errors of the bus, and
 * being restored by the hypervisor from what was saved earlier, or elsewhere.
 *
 * The region is the host's RAM and stays. The PCI core saves and restores BARs, bus
 * mastering and MSI-X. What nobody keeps are the rings of that time: the device drops
 * interrupts while bus mastering or MSI-X are off, the interrupt controller forgets
 * those that it had taken, and what is restored has never had those that came after it
 * was saved. So afterwards every vector counts as rung.
 *
 * What the hypervisor restores has MSI-X switched on, but interrupts may stay away.
 */

#include <linux/acpi.h>
#include <linux/pci.h>
#include <linux/pm.h>

#include "ivshmem.h"

/* In a section. */
static void ivshmem_catch_up(struct ivshmem_device *ivs)
{
	ivshmem_signal_all(ivs);
	ivshmem_peer_id(ivs);
}

/* Restoring used up what an error of the bus would be mended with: save it again. */
static void ivshmem_recover(struct pci_dev *pdev)
{
	struct ivshmem_device *ivs = pci_get_drvdata(pdev);

	pci_save_state(pdev);
	if (!ivshmem_enter(ivs))
		return;
	ivshmem_catch_up(ivs);
	ivshmem_exit(ivs);
}

static int ivshmem_resume(struct device *dev)
{
	ivshmem_recover(to_pci_dev(dev));
	return 0;
}

/* Nothing needs to be done before: the PCI core switches off what there is. */
const struct dev_pm_ops ivshmem_pm_ops = {
	.resume = ivshmem_resume,
	.thaw = ivshmem_resume,
	.restore = ivshmem_resume,
};

static pci_ers_result_t ivshmem_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	switch (state) {
	case pci_channel_io_normal:
		return PCI_ERS_RESULT_CAN_RECOVER;
	case pci_channel_io_frozen:
		return PCI_ERS_RESULT_NEED_RESET;
	default:
		return PCI_ERS_RESULT_DISCONNECT;
	}
}

static pci_ers_result_t ivshmem_mmio_enabled(struct pci_dev *pdev)
{
	return PCI_ERS_RESULT_RECOVERED;
}

static pci_ers_result_t ivshmem_slot_reset(struct pci_dev *pdev)
{
	pci_restore_state(pdev);
	return PCI_ERS_RESULT_RECOVERED;
}

const struct pci_error_handlers ivshmem_error_handlers = {
	.error_detected = ivshmem_error_detected,
	.mmio_enabled = ivshmem_mmio_enabled,
	.slot_reset = ivshmem_slot_reset,
	.resume = ivshmem_recover,
	.reset_done = ivshmem_recover,
};

/*
 * A VM that has a generation counter (QEMU: -device vmgenid) is told whenever it was
 * restored or migrated, by a notification to that ACPI device. The kernel's own
 * notifier, register_random_vmfork_notifier(), keeps it to itself where the counter is
 * the same as before, as it is where QEMU loads a snapshot that it has saved itself, and
 * does not say more where there are older kernels. So listen to the device.
 */
#ifdef CONFIG_ACPI
static struct acpi_device *ivshmem_generation;

static int ivshmem_device_restored(struct device *dev, void *data)
{
	struct ivshmem_device *ivs = to_ivshmem(dev);

	if (!ivshmem_enter(ivs))
		return 0;
	ivshmem_interrupts_restore(ivs);
	ivshmem_catch_up(ivs);
	ivshmem_exit(ivs);
	return 0;
}

static void ivshmem_generation_notify(acpi_handle handle, u32 event, void *data)
{
	class_for_each_device(&ivshmem_class, NULL, NULL, ivshmem_device_restored);
}

/**
 * ivshmem_power_init() - Listen to what tells that the VM was restored, if it has that.
 */
void ivshmem_power_init(void)
{
	static const char * const ids[] = {
		"VM_GEN_COUNTER", "VM_Gen_Counter", "VMGENCTR", "QEMUVGID",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ids) && !ivshmem_generation; i++)
		ivshmem_generation = acpi_dev_get_first_match_dev(ids[i], NULL, -1);
	if (ivshmem_generation &&
	    ACPI_FAILURE(acpi_install_notify_handler(ivshmem_generation->handle,
						     ACPI_DEVICE_NOTIFY,
						     ivshmem_generation_notify, NULL))) {
		acpi_dev_put(ivshmem_generation);
		ivshmem_generation = NULL;
	}
}

/**
 * ivshmem_power_exit() - Stop listening.
 */
void ivshmem_power_exit(void)
{
	if (!ivshmem_generation)
		return;
	acpi_remove_notify_handler(ivshmem_generation->handle, ACPI_DEVICE_NOTIFY,
				   ivshmem_generation_notify);
	acpi_dev_put(ivshmem_generation);
}
#else
void ivshmem_power_init(void)
{
}

void ivshmem_power_exit(void)
{
}
#endif
