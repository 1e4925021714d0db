// SPDX-License-Identifier: MIT
#include <errno.h>
#include <libudev.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "system/system.h"
#include "devices.h"

struct ivshmem_monitor {
	struct ivshmem_heir heir;
	bool inherited;		/* a child's copy: what it took would be lost for the parent */
	struct udev *udev;
	struct udev_monitor *events;
	struct ivshmem_cancel cancel;
};

static int listen_for_ivshmem(struct udev_monitor *events)
{
	int err;

	err = udev_monitor_filter_add_match_subsystem_devtype(events, "ivshmem", NULL);
	if (err >= 0)
		err = udev_monitor_enable_receiving(events);
	return err < 0 ? err : 0;
}

static void disown(struct ivshmem_heir *heir)
{
	struct ivshmem_monitor *monitor = container_of(heir, struct ivshmem_monitor, heir);

	monitor->inherited = true;
}

int ivshmem_monitor_open(struct ivshmem_monitor **out)
{
	struct ivshmem_monitor *monitor;
	int err;

	if (!out)
		return -EINVAL;
	monitor = calloc(1, sizeof(*monitor));
	if (!monitor)
		return -ENOMEM;
	monitor->cancel = IVSHMEM_CANCEL_INIT;
	monitor->heir.disown = disown;
	err = ivshmem_fork_watch(&monitor->heir);
	if (err)
		goto err_close;
	monitor->udev = udev_new();
	if (!monitor->udev) {
		err = -ENOMEM;
		goto err_close;
	}
	errno = ENOMEM;
	monitor->events = udev_monitor_new_from_netlink(monitor->udev, "udev");
	if (!monitor->events) {
		err = -errno;
		goto err_close;
	}
	err = listen_for_ivshmem(monitor->events);
	if (err)
		goto err_close;
	*out = monitor;
	return 0;

err_close:
	ivshmem_monitor_close(monitor);
	return err;
}

void ivshmem_monitor_close(struct ivshmem_monitor *monitor)
{
	if (!monitor)
		return;
	ivshmem_fork_unwatch(&monitor->heir);
	udev_monitor_unref(monitor->events);
	udev_unref(monitor->udev);
	ivshmem_cancel_close(&monitor->cancel);
	free(monitor);
}

int ivshmem_monitor_cancel(struct ivshmem_monitor *monitor)
{
	if (!monitor)
		return -EINVAL;
	if (monitor->inherited)
		return -ECHILD;
	ivshmem_cancel_raise(&monitor->cancel);
	return 0;
}

int ivshmem_monitor_uncancel(struct ivshmem_monitor *monitor)
{
	if (!monitor)
		return -EINVAL;
	if (monitor->inherited)
		return -ECHILD;
	ivshmem_cancel_lower(&monitor->cancel);
	return 0;
}

int ivshmem_monitor_fd(struct ivshmem_monitor *monitor)
{
	if (!monitor)
		return -EINVAL;
	return monitor->inherited ? -ECHILD : udev_monitor_get_fd(monitor->events);
}

/* Not every event matters: "change" and "bind" do not. */
static bool event_change(struct udev_device *event, enum ivshmem_change *change)
{
	const char *action = udev_device_get_action(event);

	if (!action || !udev_device_get_devnode(event))
		return false;
	if (!strcmp(action, "add"))
		*change = IVSHMEM_ADDED;
	else if (!strcmp(action, "remove"))
		*change = IVSHMEM_REMOVED;
	else
		return false;
	return true;
}

/* Out of ".../0000:00:04.0/ivshmem/ivshmem0": sysfs may have it no more. */
static int parse_devpath(const char *devpath, char address[PCI_ADDRESS_SIZE])
{
	char path[PATH_MAX];
	char *slash = path;
	int part;

	snprintf(path, sizeof(path), "%s", devpath);
	for (part = 0; slash && part < 3; part++) {
		if (part)
			*slash = '\0';
		slash = strrchr(path, '/');
	}
	return slash ? ivshmem_pci_parse(slash + 1, address) : -EINVAL;
}

static int make_device(struct udev_device *event, struct ivshmem_device **out)
{
	struct ivshmem_device *device;
	int dir, err;

	device = calloc(1, sizeof(*device));
	if (!device)
		return -ENOMEM;
	err = parse_devpath(udev_device_get_devpath(event), device->address);
	if (err) {
		free(device);
		return err;
	}
	dir = ivshmem_pci_open(device->address);
	if (dir >= 0) {
		ivshmem_device_fill(device, dir);
		close(dir);
	}
	snprintf(device->node, sizeof(device->node), "%s",
		 udev_device_get_devnode(event));
	*out = device;
	return 0;
}

/* -EAGAIN: there was an event, but not one of interest. */
static int receive(struct ivshmem_monitor *monitor, enum ivshmem_change *change,
		   struct ivshmem_device **device)
{
	struct udev_device *event;
	int err = -EAGAIN;

	errno = EAGAIN;
	event = udev_monitor_receive_device(monitor->events);
	if (!event)
		return errno == ENOBUFS || errno == ENOMEM ? -errno : -EAGAIN;
	if (event_change(event, change))
		err = make_device(event, device);
	udev_device_unref(event);
	return err == -EINVAL ? -EAGAIN : err;
}

int ivshmem_monitor_next(struct ivshmem_monitor *monitor, int timeout_ms,
			 enum ivshmem_change *change,
			 struct ivshmem_device **device)
{
	enum ivshmem_change seen = IVSHMEM_ADDED;
	int64_t deadline = ivshmem_deadline(timeout_ms);
	struct pollfd pollers[2] = { { .events = POLLIN }, { .events = POLLIN } };
	int err;

	if (!monitor || !change || !device)
		return -EINVAL;
	pollers[0].fd = ivshmem_monitor_fd(monitor);
	if (pollers[0].fd < 0)
		return pollers[0].fd;
	pollers[1].fd = ivshmem_cancel_fd(&monitor->cancel);
	if (pollers[1].fd < 0)
		return pollers[1].fd;
	do {
		err = ivshmem_poll_until(pollers, 2, deadline);
		if (!err && pollers[0].revents)
			err = receive(monitor, &seen, device);
		else if (!err)
			err = -ECANCELED;
	} while (err == -EAGAIN);
	if (!err)
		*change = seen;
	return err;
}
