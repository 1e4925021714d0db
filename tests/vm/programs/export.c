// SPDX-License-Identifier: MIT
/* Makes a dma-buf of a device's first page, and says how that went: export NODE. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "uapi/ivshmem.h"

int main(int argc, char **argv)
{
	struct ivshmem_dmabuf part = { .len = 4096, .flags = O_RDWR | O_CLOEXEC };
	int fd = open(argc == 2 ? argv[1] : "", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		perror("open");
		return 1;
	}
	puts(ioctl(fd, IVSHMEM_IOC_EXPORT_DMABUF, &part) ? strerror(errno) : "exported");
	return 0;
}
