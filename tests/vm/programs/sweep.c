// SPDX-License-Identifier: MIT
/*
 * Maps a whole device and loads one word of every 256th page: sweep NODE. Fails
 * where this takes the guest's memory, page tables apart.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "uapi/ivshmem.h"

int main(int argc, char **argv)
{
	struct ivshmem_info info = { 0 };
	struct sysinfo before, after;
	volatile uint64_t *data;
	uint64_t at, loads = 0;
	int fd;

	if (argc != 2)
		return 2;
	fd = open(argv[1], O_RDWR);
	if (fd < 0 || ioctl(fd, IVSHMEM_IOC_GET_INFO, &info)) {
		perror(argv[1]);
		return 1;
	}
	sysinfo(&before);
	data = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (at = 0; at < info.size; at += 256 * 4096) {
		(void)data[at / 8];
		loads++;
	}
	sysinfo(&after);
	printf("%llu pages, %ld KiB of memory\n", (unsigned long long)loads,
	       ((long)before.freeram - (long)after.freeram) / 1024);
	return (long)before.freeram - (long)after.freeram > 32L << 20;
}
