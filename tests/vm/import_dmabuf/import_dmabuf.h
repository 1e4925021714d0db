/* SPDX-License-Identifier: GPL-2.0-only */
/* The ioctls of /dev/import_dmabuf; the argument is a number, not a pointer. */

#ifndef IMPORT_DMABUF_H
#define IMPORT_DMABUF_H

#include <linux/ioctl.h>

/* Attach and map a dma-buf, by its descriptor, as an importer that ... */
#define IMPORT_DMABUF_STATIC	_IO('i', 0)	/* keeps what it has mapped */
#define IMPORT_DMABUF_DYNAMIC	_IO('i', 1)	/* lets go when it is told that memory moves */
#define IMPORT_DMABUF_READING	_IO('i', 2)	/* is dynamic, and only reads */
/* Unmap and detach. Closing the file does so too. */
#define IMPORT_DMABUF_RELEASE	_IO('i', 3)
/* Attach and map as an importer that only reads, and keeps what it has mapped. */
#define IMPORT_DMABUF_READING_STATIC	_IO('i', 5)
/* Read the byte at this position by the processor, and add 1 to it. */
#define IMPORT_DMABUF_PROCESSOR	_IO('i', 6)
/* How often was it told that memory moves? */
#define IMPORT_DMABUF_MOVES	_IO('i', 4)

#endif /* IMPORT_DMABUF_H */
