/* SPDX-License-Identifier: MIT */
#ifndef IVSHMEM_INTERNAL_H
#define IVSHMEM_INTERNAL_H

#include <assert.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Everything is built hidden but for what the public header declares. */
#pragma GCC visibility push(default)
#include "ivshmem.h"
#pragma GCC visibility pop

static_assert(sizeof(off_t) == 8, "build with -D_FILE_OFFSET_BITS=64");

#define PCI_ADDRESS_SIZE	sizeof("00000000:00:00.0")
#define NODE_NAME_SIZE		32
#define DRIVER_NAME_SIZE	64
#define FD_LINK_SIZE		sizeof("/proc/self/fd/-2147483648")
#define IVSHMEM_NEVER		INT64_MAX

struct ivshmem_connection;
struct ivshmem_channel;

/**
 * struct ivshmem_doorbell - How a region with interrupts notifies.
 * @peer_id: The ID of this end.
 * @vectors: The number of vectors of this end.
 * @ring: Ring a vector of a peer, both in range.
 * @event_fd: The eventfd of a vector, non-blocking; owned by the handle.
 */
struct ivshmem_doorbell {
	int (*peer_id)(const struct ivshmem *shm);
	int (*vectors)(const struct ivshmem *shm);
	int (*ring)(struct ivshmem *shm, unsigned int peer, unsigned int vector);
	int (*event_fd)(struct ivshmem *shm, unsigned int vector);
};

/**
 * struct ivshmem_backend - What differs from one kind of region to the next.
 * @side: Which end of the region this is.
 * @probe: Fill in the facts of a handle that has its descriptor and path.
 * @map: Map the region, mostly through ivshmem_map_fd().
 * @check: Is the region still there, and as large as it was?
 * @release: Undo @probe, and what came after it; NULL where there is nothing.
 * @export_dmabuf: Make a dma-buf of a range that was checked; NULL where there is no
 *	way to.
 * @doorbell: For regions of kind IVSHMEM_DOORBELL; NULL where it is out of reach.
 */
struct ivshmem_backend {
	enum ivshmem_side side;
	int (*probe)(struct ivshmem *shm);
	int (*map)(struct ivshmem *shm);
	int (*check)(const struct ivshmem *shm);
	void (*release)(struct ivshmem *shm);
	int (*export_dmabuf)(struct ivshmem *shm, uint64_t offset, uint64_t len, bool readonly);
	const struct ivshmem_doorbell *doorbell;
};

struct ivshmem {
	const struct ivshmem_backend *backend;
	int fd;
	bool readonly;
	enum ivshmem_kind kind;
	uint64_t size;
	void *data;
	char *path;
	char address[PCI_ADDRESS_SIZE];	/* empty on the host */
	const char *mapping;
	const char *cache;
	uint64_t page_size;
	unsigned int vectors;		/* of a guest's device */
	int *event_fds;			/* of a guest's device: -1 until asked for */
	unsigned int busy_poll_us;
	struct ivshmem_connection *connection;	/* of a "unix:" region */
	struct ivshmem_channel *channels;
	int lock_fd;			/* -1 until a channel needs it */
	int look_fd;			/* likewise; has no locks, so shows the others' */
};

struct ivshmem_device {
	char address[PCI_ADDRESS_SIZE];
	char node[NODE_NAME_SIZE];	/* empty where there is none */
	char driver[DRIVER_NAME_SIZE];	/* empty where there is none */
	uint64_t size;
	enum ivshmem_kind kind;
};

extern const struct ivshmem_backend ivshmem_file_backend;
extern const struct ivshmem_backend ivshmem_device_backend;
extern const struct ivshmem_backend ivshmem_resource2_backend;
extern const struct ivshmem_backend ivshmem_peer_backend;

/* ivshmem.c */
int ivshmem_attach(struct ivshmem **out, int fd,
		   const struct ivshmem_backend *backend, bool readonly);
int ivshmem_map_fd(struct ivshmem *shm);

/* path.c */
int ivshmem_path_resolve(const char *where);
int ivshmem_path_reopen(int path_fd, int access);
int ivshmem_path_of(int fd, char **path);
void ivshmem_path_link(int fd, char link[FD_LINK_SIZE]);

/* deadline.c: points in time, in milliseconds of CLOCK_MONOTONIC */
int64_t ivshmem_now_us(void);
int64_t ivshmem_deadline(int timeout_ms);
bool ivshmem_deadline_passed(int64_t deadline);
int ivshmem_poll_until(struct pollfd *pollers, nfds_t count, int64_t deadline);

/* file.c */
int ivshmem_file_probe(struct ivshmem *shm);
int ivshmem_file_map(struct ivshmem *shm);
int ivshmem_file_check(const struct ivshmem *shm);

/* crc32.c */
uint32_t ivshmem_crc32(const void *data, size_t size);

/* peer.c */
int ivshmem_peer_open(struct ivshmem **shm, const char *path, bool readonly);

/* device.c */
int ivshmem_device_recognise(dev_t number);

/* resource2.c */
bool ivshmem_resource2_recognise(int fd);

/* pci.c: @dir is a descriptor of a PCI device's folder in sysfs */
int ivshmem_pci_parse(const char *text, char address[PCI_ADDRESS_SIZE]);
int ivshmem_pci_open(const char *address);
int ivshmem_pci_match(int dir);
int ivshmem_pci_bar(int dir, unsigned int bar, uint64_t *size);
int ivshmem_pci_kind(int dir, enum ivshmem_kind *kind);
int ivshmem_pci_node(int dir, char node[NODE_NAME_SIZE]);
int ivshmem_pci_driver(int dir, char driver[DRIVER_NAME_SIZE]);
int ivshmem_pci_enable(int dir);

/* devices.c */
int ivshmem_device_fill(struct ivshmem_device *device, int dir);

#endif /* IVSHMEM_INTERNAL_H */
