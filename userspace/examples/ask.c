// SPDX-License-Identifier: MIT
/* Sends numbers through the channel "hello", and prints the answers. */
#include <errno.h>
#include <inttypes.h>
#include <ivshmem.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct ivshmem_channel *channel = NULL;
	struct ivshmem *shm = NULL;
	uint64_t number, square;
	ssize_t ret = argc == 2 ? ivshmem_open(&shm, argv[1], 0) : -EINVAL;

	if (!ret)
		ret = ivshmem_channel_connect(&channel, shm, "hello", 0, -1);
	for (number = 1; ret >= 0 && number <= 5; number++) {
		ret = ivshmem_channel_send(channel, &number, sizeof(number), -1);
		if (!ret)
			ret = ivshmem_channel_recv(channel, &square, sizeof(square), 1000);
		if (ret == sizeof(square))
			printf("%" PRIu64 " squared is %" PRIu64 "\n", number, square);
	}
	if (ret < 0)
		fprintf(stderr, "ask: %s\n", ivshmem_strerror(ret));
	ivshmem_channel_close(channel);
	ivshmem_close(shm);
	return ret < 0 ? 1 : 0;
}
