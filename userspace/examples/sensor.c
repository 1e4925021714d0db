// SPDX-License-Identifier: MIT
/*
 * A sensor whose newest value all can read, also who comes late, and who may only read:
 *
 *	ivshmem make --topic load:16,history=64 WHERE
 *	sensor measure WHERE COUNT	how busy this machine is, ten times a second
 *	sensor watch WHERE COUNT	the last five that were measured, then each new one
 */
#include <errno.h>
#include <inttypes.h>
#include <ivshmem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int measure(struct ivshmem *shm, long count)
{
	struct ivshmem_publisher *sensor = NULL;
	double load;
	const struct iovec part = { &load, sizeof(load) };
	int err = ivshmem_publisher_open(&sensor, shm, "load");

	while (!err && count-- && getloadavg(&load, 1) == 1) {
		err = ivshmem_publish(sensor, &part, 1, 0, IVSHMEM_STAMP, 0);
		usleep(100000);
	}
	ivshmem_publisher_close(sensor);
	return err;
}

static double seconds_since(uint64_t time_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + now.tv_nsec / 1e9 - time_ns / 1e9;
}

/* Who wants the newest value only, and not each, gives recv the flag IVSHMEM_LATEST. */
static int watch(struct ivshmem *shm, long count)
{
	struct ivshmem_subscriber *display = NULL;
	struct ivshmem_message_info info;
	double load;
	ssize_t length = ivshmem_subscriber_open(&display, shm, "load", 5);

	while (length >= 0 && count--) {
		length = ivshmem_subscriber_recv(display, &load, sizeof(load), &info, 0, -1);
		if (length == sizeof(load))
			printf("%" PRIu64 ": %.2f, %.1f seconds ago\n", info.number, load,
			       seconds_since(info.time_ns));
		fflush(stdout);
	}
	ivshmem_subscriber_close(display);
	return length < 0 ? (int)length : 0;
}

int main(int argc, char **argv)
{
	long count = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
	bool measures = count > 0 && !strcmp(argv[1], "measure");
	struct ivshmem *shm = NULL;
	int err = -EINVAL;

	if (count > 0)
		err = ivshmem_open(&shm, argv[2], measures ? 0 : IVSHMEM_RDONLY);
	if (!err)
		err = measures ? measure(shm, count) : watch(shm, count);
	if (err)
		fprintf(stderr, "sensor: %s\n", ivshmem_strerror(err));
	ivshmem_close(shm);
	return err ? 1 : 0;
}
