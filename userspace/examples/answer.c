// SPDX-License-Identifier: MIT
/* Answers a number that comes through the channel "hello" by its square. */
#include <errno.h>
#include <ivshmem.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct ivshmem_channel *channel = NULL;
	struct ivshmem *shm = NULL;
	uint64_t number;
	ssize_t ret = argc == 2 ? ivshmem_open(&shm, argv[1], 0) : -EINVAL;

	if (!ret)
		ret = ivshmem_channel_create(&channel, shm, "hello", 0, -1);
	while (ret >= 0) {
		ret = ivshmem_channel_recv(channel, &number, sizeof(number), -1);
		if (ret == sizeof(number)) {
			number *= number;
			ret = ivshmem_channel_send(channel, &number, sizeof(number), -1);
		}
	}
	fprintf(stderr, "answer: %s\n", ivshmem_strerror(ret));
	ivshmem_channel_close(channel);
	ivshmem_close(shm);
	return ret == -EPIPE ? 0 : 1;
}
