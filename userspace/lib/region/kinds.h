/* SPDX-License-Identifier: MIT */
/*
 * The kinds of regions, each a file that fills in a table of operations:
 *
 *	file.c		a file on the host
 *	served.c	what an ivshmem server hands out, on the host
 *	device_node.c	/dev/ivshmemN, in a guest
 *	resource2.c	the PCI device's BAR without the module, in a guest
 */
#ifndef KINDS_H
#define KINDS_H

#include "region.h"

extern const struct ivshmem_backend ivshmem_file_backend;
extern const struct ivshmem_backend ivshmem_served_backend;
extern const struct ivshmem_backend ivshmem_device_backend;
extern const struct ivshmem_backend ivshmem_resource2_backend;

/* handle.c: what they share */
int ivshmem_attach(struct ivshmem **out, int fd, const struct ivshmem_backend *backend,
		   bool readonly);
int ivshmem_map_fd(struct ivshmem *shm);
void ivshmem_free(struct ivshmem *shm);

/* access.c: the same */
int ivshmem_read_fd(const struct ivshmem *shm, void *buffer, uint64_t offset, size_t size);
int ivshmem_read_mapped(const struct ivshmem *shm, void *buffer, uint64_t offset, size_t size);

/* file.c */
int ivshmem_file_probe(struct ivshmem *shm);
int ivshmem_file_map(struct ivshmem *shm);
int ivshmem_file_check_size(const struct ivshmem *shm);

/* served.c */
int ivshmem_served_open(struct ivshmem **shm, const char *path, bool readonly);

/* device_node.c */
int ivshmem_device_recognise(dev_t number);

/* resource2.c */
bool ivshmem_resource2_recognise(int fd);

#endif /* KINDS_H */
