// SPDX-License-Identifier: MIT
/*
 * Frames of 1080p at 60 Hz from a camera to viewers of any speed. A viewer shows the newest frame
 * where it lies, for as long as it likes: the camera goes round it, and nobody waits for others.
 *
 *	ivshmem make --topic video:8294400,history=2,subscribers=3,holds=1 WHERE
 *	frames view WHERE HZ		up to three, each with the rate of its screen
 *	frames publish WHERE COUNT	the camera; after so many frames, one of no bytes is the end
 */
#include <errno.h>
#include <ivshmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FRAME_SIZE	(1920 * 1080 * sizeof(uint32_t))

static void wait_until_next(struct timespec *next, long hz)
{
	next->tv_nsec += 1000000000 / hz;
	next->tv_sec += next->tv_nsec / 1000000000;
	next->tv_nsec %= 1000000000;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL);
}

/* Each frame is drawn where the viewers will see it. */
static int publish(struct ivshmem *shm, long count, struct timespec next)
{
	struct ivshmem_publisher *camera = NULL;
	int err = ivshmem_publisher_open(&camera, shm, "video");
	void *frame;

	while (!err && count && !(err = ivshmem_publisher_reserve(camera, &frame))) {
		memset(frame, (int)(count % 128), FRAME_SIZE);
		err = ivshmem_publisher_commit(camera, FRAME_SIZE, count-- % 128, IVSHMEM_STAMP, 0);
		wait_until_next(&next, 60);
	}
	if (!err)
		err = ivshmem_publish(camera, NULL, 0, 0, 0, 0);
	ivshmem_publisher_close(camera);
	return err;
}

static int view(struct ivshmem *shm, long hz, struct timespec next)
{
	unsigned long shown = 0, skipped = 0, torn = 0;
	struct ivshmem_subscriber *screen = NULL;
	struct ivshmem_message_info info;
	const char *frame;
	ssize_t length = ivshmem_subscriber_open(&screen, shm, "video", 0);

	while (!length && (length = ivshmem_subscriber_hold(screen, (const void **)&frame, &info,
							    IVSHMEM_LATEST, -1)) == FRAME_SIZE) {
		wait_until_next(&next, hz);	/* a screen would show it all this time */
		torn += *frame != (char)info.type || memcmp(frame, frame + 1, FRAME_SIZE - 1);
		shown++;
		skipped += info.skipped;
		length = ivshmem_subscriber_release(screen, frame);
	}
	printf("%lu frames shown, %lu skipped, %lu torn\n", shown, skipped, torn);
	ivshmem_subscriber_close(screen);
	return length < 0 ? (int)length : 0;
}

int main(int argc, char **argv)
{
	long number = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
	struct ivshmem *shm = NULL;
	int err = number > 0 ? ivshmem_open(&shm, argv[2], 0) : -EINVAL;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!err)
		err = (strcmp(argv[1], "publish") ? view : publish)(shm, number, now);
	if (err)
		fprintf(stderr, "frames: %s\n", ivshmem_strerror(err));
	ivshmem_close(shm);
	return err ? 1 : 0;
}
