/* SPDX-License-Identifier: MIT */
/*
 * The ivshmem PCI devices of this machine: listing them, and watching them come and go.
 */
#ifndef IVSHMEM_DEVICES_H
#define IVSHMEM_DEVICES_H

#include <ivshmem/base.h>
#include <ivshmem/region.h>

#include <stddef.h>
#include <stdint.h>

IVSHMEM_BEGIN_DECLS

struct ivshmem_device;
struct ivshmem_device_list;
struct ivshmem_monitor;

/**
 * ivshmem_list() - List the ivshmem PCI devices of this machine.
 * @list: Set to the new list, to be freed with ivshmem_list_free(). Sorted by
 *        PCI address; empty where there is no device.
 *
 * Includes the devices that no driver serves. A snapshot: see
 * ivshmem_monitor_open() for changes. Needs no privilege.
 *
 * Context: Any thread.
 * Return: 0; -EINVAL (NULL); -ENOMEM, or another error from reading sysfs.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_list(struct ivshmem_device_list **list);

/**
 * ivshmem_list_count() - Number of devices in a list.
 * @list: List, or NULL.
 *
 * Return: The count; 0 for NULL.
 * Since: 0.1
 */
size_t ivshmem_list_count(const struct ivshmem_device_list *list);

/**
 * ivshmem_list_get() - One device of a list.
 * @list: List, or NULL.
 * @index: From 0 to ivshmem_list_count() - 1.
 *
 * Return: The device, owned by the list; NULL beyond the end.
 * Since: 0.1
 */
const struct ivshmem_device *
ivshmem_list_get(const struct ivshmem_device_list *list, size_t index);

/**
 * ivshmem_list_free() - Free a list and its devices.
 * @list: List, or NULL.
 * Since: 0.1
 */
void ivshmem_list_free(struct ivshmem_device_list *list);

/**
 * ivshmem_device_address() - PCI address of a device.
 * @device: Device.
 *
 * Return: "0000:00:04.0"; owned by the device.
 * Since: 0.1
 */
const char *ivshmem_device_address(const struct ivshmem_device *device);

/**
 * ivshmem_device_node() - Device node.
 * @device: Device.
 *
 * Return: "/dev/ivshmem0", good for ivshmem_open(), owned by the device; NULL
 * where there is none, since the module is not loaded or another driver has
 * the device.
 * Since: 0.1
 */
const char *ivshmem_device_node(const struct ivshmem_device *device);

/**
 * ivshmem_device_driver() - The driver that is bound to the PCI device.
 * @device: Device.
 *
 * Return: "ivshmem", or another name ("vfio-pci"), owned by the device; NULL
 * where there is none, or where it is not known because the device is gone.
 * Since: 0.1
 */
const char *ivshmem_device_driver(const struct ivshmem_device *device);

/**
 * ivshmem_device_size() - Size of the region.
 * @device: Device.
 *
 * Return: Bytes; 0 where not known, because the device is gone.
 * Since: 0.1
 */
uint64_t ivshmem_device_size(const struct ivshmem_device *device);

/**
 * ivshmem_device_kind() - What the device comes with.
 * @device: Device.
 *
 * Return: An enum ivshmem_region_kind.
 * Since: 0.1
 */
enum ivshmem_region_kind ivshmem_device_kind(const struct ivshmem_device *device);

/**
 * enum ivshmem_change - What happened to a device.
 * @IVSHMEM_ADDED: Its node is there, with its names and permissions.
 * @IVSHMEM_REMOVED: It is gone.
 */
enum ivshmem_change {
	IVSHMEM_ADDED,
	IVSHMEM_REMOVED,
};

/**
 * ivshmem_monitor_open() - Watch devices come and go.
 * @monitor: Set to the new monitor, to be freed with ivshmem_monitor_close().
 *
 * To miss nothing, open the monitor first and call ivshmem_list() then. The
 * events come from udev, after its rules were applied; none come where udev
 * does not run.
 *
 * Context: Any thread; one monitor is used by one thread at a time. On a child's copy,
 * after fork(2), all calls but ivshmem_monitor_close() return -ECHILD.
 * Return: 0; -EINVAL (NULL); -ENOMEM, -EMFILE, -ENFILE.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_monitor_open(struct ivshmem_monitor **monitor);

/**
 * ivshmem_monitor_close() - Stop watching.
 * @monitor: Monitor, or NULL.
 * Since: 0.1
 */
void ivshmem_monitor_close(struct ivshmem_monitor *monitor);

/**
 * ivshmem_monitor_cancel() - End ivshmem_monitor_next().
 * @monitor: Monitor.
 *
 * If it waits, and whenever it would wait from now on, it returns -ECANCELED, until
 * ivshmem_monitor_uncancel(). Events that are there are still taken.
 *
 * Context: Any thread, and signal handlers (it is async-signal-safe).
 * Return: 0; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_monitor_cancel(struct ivshmem_monitor *monitor);

/**
 * ivshmem_monitor_uncancel() - Let ivshmem_monitor_next() wait again.
 * @monitor: Monitor.
 *
 * Context: As for ivshmem_monitor_cancel().
 * Return: 0; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_monitor_uncancel(struct ivshmem_monitor *monitor);

/**
 * ivshmem_monitor_fd() - Descriptor for poll(2): readable when events wait.
 * @monitor: Monitor.
 *
 * Return: A file descriptor, owned by the monitor; -EINVAL (NULL).
 * Since: 0.1
 */
int ivshmem_monitor_fd(struct ivshmem_monitor *monitor);

/**
 * ivshmem_monitor_next() - Take the next event.
 * @monitor: Monitor.
 * @timeout_ms: Milliseconds to wait; 0 polls, negative waits for ever.
 * @change: Set to what happened.
 * @device: Set to the device, to be freed with ivshmem_device_free().
 *
 * Return: 0; -ETIMEDOUT (nothing happened); -EINVAL (NULL); -EINTR (a signal
 * came); -ECANCELED (by ivshmem_monitor_cancel()); -EMFILE, -ENFILE; -ENOBUFS (events
 * were lost: call ivshmem_list() again); -ENOMEM.
 * Since: 0.1
 */
IVSHMEM_MUST_CHECK
int ivshmem_monitor_next(struct ivshmem_monitor *monitor, int timeout_ms,
			 enum ivshmem_change *change,
			 struct ivshmem_device **device);

/**
 * ivshmem_device_free() - Free a device from ivshmem_monitor_next().
 * @device: Device, or NULL. Devices of a list are freed with the list.
 * Since: 0.1
 */
void ivshmem_device_free(struct ivshmem_device *device);

IVSHMEM_END_DECLS

#endif /* IVSHMEM_DEVICES_H */
