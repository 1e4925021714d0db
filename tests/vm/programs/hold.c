// SPDX-License-Identifier: MIT
/*
 * Maps a device and uses its first page for ever: hold NODE READY [all|unaligned].
 * Maps this page alone, or all of the region, or all of it at an address where no
 * huge page-table entry fits. The file READY is made once the page is mapped, and
 * its address printed.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uapi/ivshmem.h"

#define HUGE	(1UL << 30)

static void *map(int fd, const char *what)
{
	int flags = MAP_SHARED, prot = PROT_READ | PROT_WRITE;
	struct ivshmem_info info = { 0 };
	void *address = NULL;
	uintptr_t space;

	if (!what)
		return mmap(NULL, 4096, prot, flags, fd, 0);
	if (ioctl(fd, IVSHMEM_IOC_GET_INFO, &info))
		return MAP_FAILED;
	if (!strcmp(what, "unaligned")) {
		space = (uintptr_t)mmap(NULL, info.size + 2 * HUGE, PROT_NONE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		address = (void *)((space / HUGE + 1) * HUGE + 4096);
		flags |= MAP_FIXED;
	}
	return mmap(address, info.size, prot, flags, fd, 0);
}

int main(int argc, char **argv)
{
	volatile unsigned char *page;
	int fd;

	if (argc != 3 && argc != 4)
		return 2;
	fd = open(argv[1], O_RDWR);
	page = fd < 0 ? MAP_FAILED : map(fd, argv[3]);
	if (page == MAP_FAILED) {
		perror(argv[1]);
		return 1;
	}
	page[0]++;
	printf("%p\n", page);
	fflush(stdout);
	close(open(argv[2], O_CREAT | O_WRONLY, 0600));
	for (;;)
		page[0]++;
}
