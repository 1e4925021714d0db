// SPDX-License-Identifier: MIT
/*
 * Why a device can't be used, and what to do about it.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli.h"

void explain_no_device(const char *where)
{
	if (access("/sys/bus", F_OK) < 0)
		complain(where, "nothing is known of devices, since /sys is not mounted, or hidden, as in some containers: as root, 'mount -t sysfs sysfs /sys', or start the container with it; a device node that is there can be used all the same");
	else
		complain(where, "there is no ivshmem PCI device in this machine: add one to the VM (-device ivshmem-plain,..., see 'ivshmem qemu --help'), or on the host give the path of the region's file");
}

static const char *user_name(void)
{
	const char *name = getenv("USER");

	return name && *name ? name : "USER";
}

/* The driver that alone may have the device, as driver_override says; "" where any may. */
static void read_override(const char *address, char *driver, size_t size)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", address);
	file = fopen(path, "re");
	if (!file || !fgets(driver, (int)size, file))
		*driver = '\0';
	if (file)
		fclose(file);
	driver[strcspn(driver, "\n")] = '\0';
	if (!strcmp(driver, "(null)"))
		*driver = '\0';
}

/* What comes before 'modprobe ivshmem', where the module is not there; "" where it is. */
static const char *installation(enum module_state state)
{
	static const char format[] =
		"the kernel module is not installed for kernel %s: 'make install' in the source "
		"tree, or your distribution's package; then ";
	static char text[sizeof(format) + sizeof(struct utsname)];
	struct utsname kernel = { .release = "" };

	if (state != MODULE_MISSING)
		return "";
	uname(&kernel);
	snprintf(text, sizeof(text), format, kernel.release);
	return text;
}

/*
 * driver_override is set, and not just cleared: by new_id of its sysfs folder another
 * driver may have been given all devices of this kind.
 */
static void explain_override(const char *where, const char *address, const char *driver)
{
	complain(where, "the PCI device %s is kept for the driver %s: %sas root, 'echo ivshmem >/sys/bus/pci/devices/%s/driver_override && modprobe ivshmem && echo %s >/sys/bus/pci/drivers_probe'",
		 address, driver, installation(module_state()), address, address);
}

/* The last command does no harm where modprobe has bound the device already. */
static void explain_other_driver(const char *where, const char *address, const char *driver)
{
	complain(where, "the driver %s has the PCI device %s: %sto take it back, end what uses it, and as root, 'echo ivshmem >/sys/bus/pci/devices/%s/driver_override && echo %s >/sys/bus/pci/devices/%s/driver/unbind && modprobe ivshmem && echo %s >/sys/bus/pci/drivers_probe'",
		 driver, address, installation(module_state()), address, address, address, address);
}

static void explain_no_driver(const char *where, const char *address)
{
	enum module_state state = module_state();
	char override[64];

	read_override(address, override, sizeof(override));
	if (*override && strcmp(override, "ivshmem") != 0) {
		explain_override(where, address, override);
		return;
	}
	switch (state) {
	case MODULE_LOADED:
		complain(where, "no driver took the PCI device %s, though the kernel module ivshmem is loaded: see 'dmesg | grep ivshmem'; if that tells of no error, as root, 'echo %s >/sys/bus/pci/drivers_probe'; or use its resource2, 'ivshmem info --resource2 %s'",
			 address, address, address);
		return;
	case MODULE_INSTALLED:
		complain(where, "the PCI device %s is there, but the kernel module is not loaded: as root, 'modprobe ivshmem'; or without it, 'ivshmem info --resource2 %s'",
			 address, address);
		return;
	case MODULE_MISSING:
	case MODULE_UNKNOWN:
		complain(where, "the PCI device %s is there, but no driver has it: %sas root, 'modprobe ivshmem'; or without the module, 'ivshmem info --resource2 %s'",
			 address, installation(state), address);
		return;
	}
}

static void explain_permission(const char *where, const char *node)
{
	complain(where, "no permission to use %s: join the group ivshmem, 'sudo usermod -aG ivshmem %s', and log in again",
		 node, user_name());
}

static void explain_no_node(const char *where, const char *address, const char *node)
{
	complain(where, "the PCI device %s has its driver, but there is no %s: as root, 'mount -t devtmpfs devtmpfs /dev', or start the container with it (--device %s of docker and podman)",
		 address, node, node);
}

/* Says why @device can't be used; false, and silent, where it can. */
bool explain_device(const char *where, const struct ivshmem_device *device)
{
	const char *address = ivshmem_device_address(device);
	const char *driver = ivshmem_device_driver(device);
	const char *node = ivshmem_device_node(device);

	if (node) {
		if (!faccessat(AT_FDCWD, node, R_OK | W_OK, AT_EACCESS))
			return false;
		if (errno == EACCES || errno == EPERM)
			explain_permission(where, node);
		else if (errno == ENOENT)
			explain_no_node(where, address, node);
		else
			complain(where, "%s: %s", node, strerror(errno));
	} else if (!driver) {
		explain_no_driver(where, address);
	} else if (!strcmp(driver, "ivshmem")) {
		explain_no_node(where, address, "/dev/ivshmemN");
	} else {
		explain_other_driver(where, address, driver);
	}
	return true;
}

static bool looks_like_address(const char *where)
{
	const char *hex = "0123456789abcdefABCDEF";
	unsigned int colons = 0;

	for (; *where && *where != '.'; where++) {
		if (*where == ':')
			colons++;
		else if (!strchr(hex, *where))
			return false;
	}
	return colons >= 1 && colons <= 2 && where[0] == '.' &&
	       where[1] >= '0' && where[1] <= '7' && !where[2];
}

static bool looks_like_node(const char *where)
{
	return !strncmp(where, "/dev/ivshmem", strlen("/dev/ivshmem"));
}

/* "08:01.0" is the tail of "0000:08:01.0". */
static bool same_address(const char *address, const char *where)
{
	size_t whole = strlen(address), part = strlen(where);

	return part <= whole && !strcasecmp(address + whole - part, where);
}

/*
 * The device that @where most likely means: the one at this PCI address, or,
 * for a node that is not there, the first one without a node.
 */
static const struct ivshmem_device *
find_device(const struct ivshmem_device_list *list, const char *where)
{
	const struct ivshmem_device *device;
	size_t i;

	for (i = 0; (device = ivshmem_list_get(list, i)); i++) {
		if (looks_like_address(where)) {
			if (same_address(ivshmem_device_address(device), where))
				return device;
		} else if (!ivshmem_device_node(device)) {
			return device;
		}
	}
	return NULL;
}

static void explain_absent(const char *where, int error)
{
	const struct ivshmem_device *device;
	struct ivshmem_device_list *list;

	if (ivshmem_list(&list) < 0) {
		complain(where, "%s", ivshmem_explain(IVSHMEM_TASK_OPEN, error));
		return;
	}
	device = find_device(list, where);
	if (!ivshmem_list_count(list))
		explain_no_device(where);
	else if (!device)
		complain(where, "no such device: 'ivshmem list' shows those that are there");
	else if (!explain_device(where, device))
		complain(where, "%s", ivshmem_explain(IVSHMEM_TASK_OPEN, error));
	ivshmem_list_free(list);
}

/* Why ivshmem_open() with @flags failed with @error. */
void explain_open(const char *where, unsigned int flags, int error)
{
	bool device = looks_like_node(where) || looks_like_address(where);

	if (flags & IVSHMEM_RESOURCE2 && device && (error == -EACCES || error == -EPERM))
		complain(where, "no permission: a resource2 needs root, and a kernel that is not locked down (Secure Boot); where the module serves the device, leave --resource2 away");
	else if (device && (error == -EACCES || error == -EPERM))
		explain_permission(where, where);
	else if (device && (error == -ENOENT || error == -ENODEV || error == -ENXIO))
		explain_absent(where, error);
	else if (error == -ENOENT && !strncmp(where, "unix:", 5))
		complain(where, "no such socket: 'ivshmem serve' makes one");
	else
		complain(where, "%s", ivshmem_explain(IVSHMEM_TASK_OPEN, error));
}
