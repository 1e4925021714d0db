// SPDX-License-Identifier: MIT
/*
 * Prints the peer ID, and each other one that poll(2) tells of, until the device goes:
 * id_change WHERE, where WHERE is a region, or the attribute in sysfs.
 */
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ivshmem.h"

/* Of the region, or of the attribute @fd where that is NULL. */
static int read_id(const struct ivshmem *shm, int fd)
{
	char text[16] = "";

	if (shm)
		return ivshmem_peer_id(shm);
	return pread(fd, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : -1;
}

int main(int argc, char **argv)
{
	struct pollfd poller = { .events = POLLPRI };
	struct ivshmem *shm = NULL;
	int id;

	if (argc != 2)
		errx(2, "use: id_change WHERE");
	if (!strncmp(argv[1], "/sys/", 5))
		poller.fd = open(argv[1], O_RDONLY);
	else if (!ivshmem_open(&shm, argv[1], 0))
		poller.fd = ivshmem_fd(shm);
	else
		errx(1, "%s can't be opened", argv[1]);
	do {
		id = read_id(shm, poller.fd);
		printf("%d\n", id);
		fflush(stdout);
	} while (id >= 0 && poll(&poller, 1, -1) > 0 && !(poller.revents & POLLHUP));
	ivshmem_close(shm);
	return 0;
}
