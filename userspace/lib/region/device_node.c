// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kinds.h"
#include "uapi/ivshmem.h"

/* Opening is no way to find out: it may start what the device does. */
int ivshmem_device_recognise(dev_t number)
{
	char line[128], name[sizeof(line)];
	int err = -ENODEV;	/* no driver has the number, or no longer */
	unsigned int candidate;
	FILE *devices;

	devices = fopen("/proc/devices", "re");
	if (!devices)
		return errno == ENOENT ? -ENOSYS : -errno;
	while (err && fgets(line, sizeof(line), devices)) {
		if (!strcmp(line, "Block devices:\n"))
			break;
		if (sscanf(line, "%u %s", &candidate, name) == 2 &&
		    candidate == major(number))
			err = strcmp(name, "ivshmem") ? -ENOTTY : 0;
	}
	fclose(devices);
	return err;
}

static int get_info(const struct ivshmem *shm, struct ivshmem_info *info)
{
	memset(info, 0, sizeof(*info));
	return ioctl(shm->fd, IVSHMEM_IOC_GET_INFO, info) < 0 ? -errno : 0;
}

static const char *mapping_name(uint32_t mapping)
{
	switch (mapping) {
	case IVSHMEM_MAPPING_PFN:
		return "pfn";
	case IVSHMEM_MAPPING_PAGES:
		return "pages";
	default:
		return "unknown";
	}
}

static const char *cache_name(uint32_t cache)
{
	switch (cache) {
	case IVSHMEM_CACHE_WRITE_BACK:
		return "write-back";
	case IVSHMEM_CACHE_WRITE_THROUGH:
		return "write-through";
	case IVSHMEM_CACHE_WRITE_COMBINING:
		return "write-combining";
	case IVSHMEM_CACHE_UNCACHED_MINUS:
		return "uncached-minus";
	case IVSHMEM_CACHE_UNCACHED:
		return "uncached";
	default:
		return "unknown";
	}
}

static int allocate_event_fds(struct ivshmem *shm, unsigned int vectors)
{
	unsigned int i;

	shm->event_fds = calloc(vectors ?: 1, sizeof(*shm->event_fds));
	if (!shm->event_fds)
		return -ENOMEM;
	for (i = 0; i < vectors; i++)
		shm->event_fds[i] = -1;
	shm->vectors = vectors;
	return 0;
}

static int device_probe(struct ivshmem *shm)
{
	struct ivshmem_info info;
	int err;

	err = get_info(shm, &info);
	if (err)
		return err;
	shm->size = info.size;
	shm->kind = info.kind == IVSHMEM_KIND_DOORBELL ? IVSHMEM_DOORBELL
						       : IVSHMEM_PLAIN;
	shm->mapping = mapping_name(info.mapping);
	shm->cache = cache_name(info.cache);
	shm->page_size = info.page_size;
	snprintf(shm->address, sizeof(shm->address), "%04x:%02x:%02x.%x",
		 info.pci_domain, info.pci_bus, info.pci_device,
		 info.pci_function);
	return allocate_event_fds(shm, info.vectors);
}

static void device_release(struct ivshmem *shm)
{
	unsigned int i;

	for (i = 0; i < shm->vectors; i++)
		if (shm->event_fds[i] >= 0)
			close(shm->event_fds[i]);
	free(shm->event_fds);
}

static int device_check(const struct ivshmem *shm)
{
	struct ivshmem_info info;

	return get_info(shm, &info);
}

static int device_export_dmabuf(struct ivshmem *shm, uint64_t offset, uint64_t len, bool readonly)
{
	struct ivshmem_dmabuf part = {
		.offset = offset,
		.len = len,
		.flags = (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC,
	};

	return ioctl(shm->fd, IVSHMEM_IOC_EXPORT_DMABUF, &part) < 0 ? -errno : part.fd;
}

static int device_peer_id(const struct ivshmem *shm)
{
	struct ivshmem_info info;
	int err;

	err = get_info(shm, &info);
	if (err)
		return err;
	return info.peer_id > IVSHMEM_PEER_MAX ? -EAGAIN : (int)info.peer_id;
}

static int device_vectors(const struct ivshmem *shm)
{
	return (int)shm->vectors;
}

static int device_ring(struct ivshmem *shm, unsigned int peer, unsigned int vector)
{
	struct ivshmem_ring ring = { .peer = peer, .vector = vector };

	return ioctl(shm->fd, IVSHMEM_IOC_RING_DOORBELL, &ring) < 0 ? -errno : 0;
}

/* Closing the device's file unbinds. */
static int bind_event_fd(const struct ivshmem *shm, unsigned int vector)
{
	struct ivshmem_eventfd binding = { .vector = vector };
	int err;

	binding.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (binding.fd < 0)
		return -errno;
	if (ioctl(shm->fd, IVSHMEM_IOC_SET_EVENTFD, &binding) < 0) {
		err = -errno;
		close(binding.fd);
		return err;
	}
	return binding.fd;
}

static int device_event_fd(struct ivshmem *shm, unsigned int vector)
{
	int fd;

	pthread_mutex_lock(&shm->lock);
	fd = shm->event_fds[vector];
	if (fd < 0) {
		fd = bind_event_fd(shm, vector);
		if (fd >= 0)
			shm->event_fds[vector] = fd;
	}
	pthread_mutex_unlock(&shm->lock);
	return fd;
}

static const struct ivshmem_doorbell device_doorbell = {
	.peer_id = device_peer_id,
	.vectors = device_vectors,
	.ring = device_ring,
	.event_fd = device_event_fd,
};

const struct ivshmem_backend ivshmem_device_backend = {
	.side = IVSHMEM_GUEST,
	.probe = device_probe,
	.map = ivshmem_map_fd,
	.check = device_check,
	.read = ivshmem_read_fd,
	.release = device_release,
	.export_dmabuf = device_export_dmabuf,
	.doorbell = &device_doorbell,
};
