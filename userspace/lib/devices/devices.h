/* SPDX-License-Identifier: MIT */
/*
 * The ivshmem PCI devices of this machine, as sysfs and udev show them.
 */
#ifndef DEVICES_H
#define DEVICES_H

#include <ivshmem/devices.h>

#define PCI_ADDRESS_SIZE	sizeof("00000000:00:00.0")
#define NODE_NAME_SIZE		32
#define DRIVER_NAME_SIZE	64

struct ivshmem_device {
	char address[PCI_ADDRESS_SIZE];
	char node[NODE_NAME_SIZE];	/* empty where there is none */
	char driver[DRIVER_NAME_SIZE];	/* empty where there is none */
	uint64_t size;
	enum ivshmem_region_kind kind;
};

/* pci.c: @dir is a descriptor of a PCI device's folder in sysfs */
int ivshmem_pci_parse(const char *text, char address[PCI_ADDRESS_SIZE]);
int ivshmem_pci_open(const char *address);
int ivshmem_pci_match(int dir);
int ivshmem_pci_bar(int dir, unsigned int bar, uint64_t *size);
int ivshmem_pci_kind(int dir, enum ivshmem_region_kind *kind);
int ivshmem_pci_node(int dir, char node[NODE_NAME_SIZE]);
int ivshmem_pci_driver(int dir, char driver[DRIVER_NAME_SIZE]);
int ivshmem_pci_enable(int dir);

/* list.c */
int ivshmem_device_fill(struct ivshmem_device *device, int dir);

#endif /* DEVICES_H */
