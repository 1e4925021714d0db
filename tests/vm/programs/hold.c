// SPDX-License-Identifier: MIT
/*
 * Maps the first page of a device and uses it for ever: hold NODE READY. The
 * file READY is made once the page is mapped.
 */

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	volatile unsigned char *page;
	int fd;

	if (argc != 3)
		return 2;
	fd = open(argv[1], O_RDWR);
	page = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		perror(argv[1]);
		return 1;
	}
	page[0]++;
	close(open(argv[2], O_CREAT | O_WRONLY, 0600));
	for (;;)
		page[0]++;
}
