// SPDX-License-Identifier: MIT
/* The ioctls of the node and of dma-bufs, importers, attributes, binding. */

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fuzz.h"
#include "import_dmabuf/import_dmabuf.h"
#include "uapi/ivshmem.h"

/* A field that must be zero is something else at times. */
static uint32_t mostly_zero(uint32_t arg)
{
	return (arg & 0xf) == 0xf ? arg >> 4 : 0;
}

void call_info(struct runner *me, const uint32_t *arg)
{
	struct ivshmem_info info = {
		.flags = mostly_zero(arg[2]),
		.reserved = { mostly_zero(arg[2] >> 8), mostly_zero(arg[2] >> 16) },
	};

	ioctl(resource_get(NODES, arg[0]), IVSHMEM_IOC_GET_INFO,
	      number_pointer(me, arg[1], &info, sizeof(info)));
}

void call_ring(struct runner *me, const uint32_t *arg)
{
	struct ivshmem_ring ring = {
		.peer = arg[2] & 0x100 ? arg[2] >> 9 : arg[2] & 1,
		.vector = arg[3] & 0x100 ? arg[3] >> 9 : arg[3] & 3,
		.flags = mostly_zero(arg[0] >> 8),
		.reserved = mostly_zero(arg[0] >> 16),
	};

	ioctl(resource_get(NODES, arg[0]), IVSHMEM_IOC_RING_DOORBELL,
	      number_pointer(me, arg[1], &ring, sizeof(ring)));
}

void call_event(struct runner *me, const uint32_t *arg)
{
	int fd = resource_get(EVENTS, arg[0]);
	eventfd_t value;

	if (fd < 0)
		resource_put(EVENTS, arg[0], eventfd(arg[1] & 1 ? arg[1] : 0,
						     EFD_NONBLOCK | EFD_CLOEXEC));
	else
		eventfd_read(fd, &value);
}

void call_set_eventfd(struct runner *me, const uint32_t *arg)
{
	struct ivshmem_eventfd set = {
		.vector = arg[2] & 0x100 ? arg[2] >> 9 : arg[2] & 3,
		.fd = (arg[3] & 0x30) == 0x30 ? -1 : resource_get(EVENTS, arg[3]),
		.flags = arg[0] & 0x10 ? IVSHMEM_EVENTFD_UNBIND : mostly_zero(arg[0] >> 8),
		.reserved = mostly_zero(arg[0] >> 16),
	};

	ioctl(resource_get(NODES, arg[0]), IVSHMEM_IOC_SET_EVENTFD,
	      number_pointer(me, arg[1], &set, sizeof(set)));
}

/* Whole pages mostly, in the region; or to its end, or a page more; or anything. */
static void choose_part(struct ivshmem_dmabuf *what, const uint32_t *arg)
{
	what->offset = (arg[2] & 0x30) << 12;
	switch (arg[0] >> 20 & 7) {
	case 0:
		what->offset = number_offset(arg[2]);
		what->len = number_length(arg[3]);
		break;
	case 1:
		what->len = fuzz.device[arg[3] % fuzz.devices].size - what->offset +
			    (arg[3] >> 8 & 1) * 4096;
		break;
	default:
		what->len = 4096 + number_length(arg[3]) % 16 * 4096;
	}
}

void call_export(struct runner *me, const uint32_t *arg)
{
	struct ivshmem_dmabuf *result, what = {
		.flags = (arg[0] & 0x10 ? O_RDONLY : O_RDWR) | O_CLOEXEC |
			 mostly_zero(arg[0] >> 8),
		.fd = -1,
		.reserved = mostly_zero(arg[0] >> 16),
	};

	choose_part(&what, arg);
	result = number_pointer(me, arg[1], &what, sizeof(what));
	if (!ioctl(resource_get(NODES, arg[0]), IVSHMEM_IOC_EXPORT_DMABUF, result) &&
	    (char *)result >= me->memory && (char *)result < me->memory + MEMORY)
		resource_put(BUFFERS, arg[0] >> 5, result->fd);
}

/* Numbers that are close to those that mean something. */
void call_ioctl(struct runner *me, const uint32_t *arg)
{
	unsigned long number = _IOC(arg[2] & 3, IVSHMEM_IOC_MAGIC, arg[2] >> 2 & 7,
				    arg[2] >> 8 & 0x7f);

	ioctl(resource_get(NODES, arg[0]), number, number_pointer(me, arg[1], NULL, 128));
}

void call_buffer(struct runner *me, const uint32_t *arg)
{
	struct dma_buf_sync sync = { .flags = arg[2] & 7 };
	int fd = resource_get(BUFFERS, arg[0]);

	if (arg[3] & 7)
		ioctl(fd, DMA_BUF_IOCTL_SYNC, number_pointer(me, arg[1], &sync, sizeof(sync)));
	else
		ioctl(fd, DMA_BUF_SET_NAME_B, number_pointer(me, arg[1], "name", 5));
}

void call_import(struct runner *me, const uint32_t *arg)
{
	static const unsigned long way[] = {
		IMPORT_DMABUF_STATIC, IMPORT_DMABUF_DYNAMIC, IMPORT_DMABUF_READING,
		IMPORT_DMABUF_READING_STATIC,
	};
	int fd = resource_get(IMPORTS, arg[0]);

	if (fd < 0) {
		fd = open("/dev/import_dmabuf", O_RDWR | O_CLOEXEC);
		resource_put(IMPORTS, arg[0], fd);
	}
	ioctl(fd, way[arg[2] & 3], resource_get(BUFFERS, arg[1]));
}

void call_importer(struct runner *me, const uint32_t *arg)
{
	int fd = resource_get(IMPORTS, arg[0]);
	char byte = 0;

	switch (arg[1] & 7) {
	case 0:
		ioctl(fd, IMPORT_DMABUF_RELEASE);
		break;
	case 1:
		(void)!pwrite(fd, &byte, 1, number_offset(arg[2]));
		break;
	case 2:
		(void)!pread(fd, &byte, 1, number_offset(arg[2]));
		break;
	default:
		ioctl(fd, IMPORT_DMABUF_PROCESSOR, number_offset(arg[2]));
	}
}

void call_attribute(struct runner *me, const uint32_t *arg)
{
	static const char *const attribute[] = {
		"size", "kind", "peer_id", "vectors", "mapping", "cache", "page_size", "pinning",
	};
	char text[64];

	device_read(arg[0] % fuzz.devices, attribute[arg[1] & 7], text, sizeof(text));
}

void call_pinning(struct runner *me, const uint32_t *arg)
{
	static const char *const text[] = { "1", "1", "0", "0", "0", "0", "0", "x" };

	device_write(arg[0] % fuzz.devices, "pinning", text[arg[1] & 7]);
}

/* It waits for whoever pins the region's pages, which must not be this thread. */
void call_unbind(struct runner *me, const uint32_t *arg)
{
	resources_let_go();
	device_unbind(arg[0] % fuzz.devices);
}

void call_bind(struct runner *me, const uint32_t *arg)
{
	device_bind(arg[0] % fuzz.devices);
}
