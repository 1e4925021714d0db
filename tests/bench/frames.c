// SPDX-License-Identifier: MIT
/*
 * Frames of 8 MiB by a topic, written and held in place.
 *
 * Use: frames make REGION
 *	makes a region of 128 MiB with the topic
 *      frames publish REGION SPARE
 *	publishes while there is a viewer. Prints "frame/placed MB-A-SECOND" of what is written in
 *	place, and "frame/memcpy MB-A-SECOND" of the same into SPARE, another such region
 *      frames view REGION FRAMES held|copied
 *	prints "view/held NANOSECONDS" to have a frame in place and release it, or
 *	"view/copied NANOSECONDS" to copy one, of frames that are there
 *      frames newest REGION VIEWERS
 *	prints "newest/VIEWERS/median NANOSECONDS", from publishing to a viewer that looks all
 *	the time, and so for p99, beside as many that hold each frame for a tenth of a second
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "bench.h"
#include "check.h"

#define REGION_SIZE	(128u << 20)
#define FRAME		(8u << 20)
#define BLOCKS		8
#define VIEWERS		4
#define LEAST		20
#define MOST		100000
#define FRAMES		200
#define SLOW_US		100000
#define TIME_LIMIT_S	240

static char picture[FRAME];
static double times[2][MOST];

static void make(const char *path)
{
	const struct ivshmem_topic_layout layout = {
		.max_length = FRAME, .history = 4, .publishers = 1, .subscribers = VIEWERS,
		.holds = 1,
	};
	struct ivshmem *shm;

	check(path, ivshmem_create(&shm, path, REGION_SIZE, 0600, IVSHMEM_PREALLOCATE));
	check("format", ivshmem_format(shm, "", 4, 4096, 0));
	check("make", ivshmem_make_topic(shm, "frames", &layout));
	ivshmem_close(shm);
}

static struct ivshmem_publisher *open_publisher(const char *path)
{
	struct ivshmem_publisher *publisher;
	struct ivshmem *shm;

	check(path, ivshmem_open(&shm, path, 0));
	check("publisher", ivshmem_publisher_open(&publisher, shm, "frames"));
	ivshmem_close(shm);
	return publisher;
}

static struct ivshmem_subscriber *open_subscriber(const char *path)
{
	struct ivshmem_subscriber *subscriber;
	struct ivshmem *shm;

	check(path, ivshmem_open(&shm, path, 0));
	check("subscriber", ivshmem_subscriber_open(&subscriber, shm, "frames", 0));
	ivshmem_close(shm);
	return subscriber;
}

static void run_on(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* --- to write --- */

static void publish_frame(struct ivshmem_publisher *publisher)
{
	void *room;

	check("reserve", ivshmem_publisher_reserve(publisher, &room));
	memcpy(room, picture, FRAME);
	check("commit", ivshmem_publisher_commit(publisher, FRAME, 0, 0, -1));
}

static void print_speed(const char *how, double *ns, unsigned int count)
{
	printf("frame/%s %.1f\n", how, FRAME * 1e3 / median_of(ns, count));
}

static double time_frame(struct ivshmem_publisher *publisher)
{
	uint64_t start = now_ns();

	publish_frame(publisher);
	return (double)(now_ns() - start);
}

static double time_memcpy(char *to)
{
	uint64_t start = now_ns();

	memcpy(to, picture, FRAME);
	__asm__ volatile("" : : "r"(to) : "memory");
	return (double)(now_ns() - start);
}

/*
 * Both take turns, and which is the first, since that finds the caches cold. The spare region has
 * as many blocks in use as the topic has.
 */
static void publish(const char *path, const char *spare_path)
{
	struct ivshmem_publisher *publisher = open_publisher(path);
	struct source source = { .name = spare_path, .fd = open_path(spare_path) };
	char *spare = source_map(&source, (size_t)BLOCKS * FRAME);
	unsigned int i;

	memset(spare, 0, (size_t)BLOCKS * FRAME);
	for (i = 0; i < 2 * BLOCKS; i++)
		publish_frame(publisher);
	while (!ivshmem_publisher_subscribers(publisher))
		usleep(1000);
	for (i = 0; i < MOST && ivshmem_publisher_subscribers(publisher); i++) {
		if (i % 2)
			times[0][i] = time_frame(publisher);
		times[1][i] = time_memcpy(spare + (size_t)(i % BLOCKS) * FRAME);
		if (!(i % 2))
			times[0][i] = time_frame(publisher);
		usleep(2000);
	}
	if (i < LEAST)
		errx(1, "the viewer left after %u frames", i);
	print_speed("placed", times[0], i);
	print_speed("memcpy", times[1], i);
	ivshmem_publisher_close(publisher);
}

/* --- to read --- */

static ssize_t hold(struct ivshmem_subscriber *subscriber)
{
	const void *frame;
	ssize_t got = ivshmem_subscriber_hold(subscriber, &frame, NULL, IVSHMEM_LATEST, 0);

	if (got > 0)
		check("release", ivshmem_subscriber_release(subscriber, frame));
	return got;
}

static ssize_t copy(struct ivshmem_subscriber *subscriber)
{
	return ivshmem_subscriber_recv(subscriber, picture, FRAME, NULL, IVSHMEM_LATEST, 0);
}

static void view_frames(const char *path, unsigned int frames, const char *how)
{
	struct ivshmem_subscriber *subscriber = open_subscriber(path);
	unsigned int i = 0;
	uint64_t start;
	ssize_t got;

	while (i < frames) {
		usleep(2000);
		start = now_ns();
		got = (strcmp(how, "held") ? copy : hold)(subscriber);
		if (got == -EAGAIN)
			continue;
		check("frame", got);
		times[0][i++] = (double)(now_ns() - start);
	}
	ivshmem_subscriber_close(subscriber);
	printf("view/%s %.0f\n", how, median_of(times[0], frames));
}

/* --- the newest value --- */

static void view_slowly(const char *path)
{
	struct ivshmem_subscriber *subscriber = open_subscriber(path);
	const void *frame;

	for (;;) {
		check("hold", ivshmem_subscriber_hold(subscriber, &frame, NULL, IVSHMEM_LATEST,
						      -1));
		usleep(SLOW_US);
		check("release", ivshmem_subscriber_release(subscriber, frame));
	}
}

/* Each frame begins with when it was published. */
static void view_newest(const char *path, unsigned int viewers)
{
	struct ivshmem_subscriber *subscriber = open_subscriber(path);
	const void *frame;
	unsigned int i;
	uint64_t then;
	ssize_t got;

	run_on(1);
	for (i = 0; i < FRAMES; i++) {
		do
			got = ivshmem_subscriber_hold(subscriber, &frame, NULL, IVSHMEM_LATEST, 0);
		while (got == -EAGAIN);
		check("hold", got);
		memcpy(&then, frame, sizeof(then));
		times[0][i] = (double)(now_ns() - then);
		check("release", ivshmem_subscriber_release(subscriber, frame));
	}
	qsort(times[0], FRAMES, sizeof(times[0][0]), compare_doubles);
	printf("newest/%u/median %.0f\n", viewers, times[0][FRAMES / 2]);
	printf("newest/%u/p99 %.0f\n", viewers, times[0][FRAMES * 99 / 100]);
	ivshmem_subscriber_close(subscriber);
}

static pid_t start_viewer(const char *path, unsigned int viewers, int slow)
{
	pid_t child = fork();

	if (child < 0)
		err(1, "fork");
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(TIME_LIMIT_S);
	if (slow)
		view_slowly(path);
	view_newest(path, viewers);
	exit(0);
}

static void publish_stamped(struct ivshmem_publisher *publisher)
{
	uint64_t now;
	void *room;

	check("reserve", ivshmem_publisher_reserve(publisher, &room));
	memcpy(room, picture, FRAME);
	now = now_ns();
	memcpy(room, &now, sizeof(now));
	check("commit", ivshmem_publisher_commit(publisher, FRAME, 0, 0, -1));
}

static void newest(const char *path, unsigned int viewers)
{
	struct ivshmem_publisher *publisher = open_publisher(path);
	pid_t fast, slow[VIEWERS];
	unsigned int i;
	int status;

	if (viewers >= VIEWERS)
		errx(2, "at most %d slow viewers", VIEWERS - 1);
	run_on(0);
	for (i = 0; i < viewers; i++)
		slow[i] = start_viewer(path, viewers, 1);
	fast = start_viewer(path, viewers, 0);
	while (ivshmem_publisher_subscribers(publisher) != (int)viewers + 1)
		usleep(1000);
	while (!waitpid(fast, &status, WNOHANG)) {
		publish_stamped(publisher);
		usleep(1000);
	}
	for (i = 0; i < viewers; i++) {
		kill(slow[i], SIGKILL);
		waitpid(slow[i], NULL, 0);
	}
	if (status)
		errx(1, "the viewer failed");
	ivshmem_publisher_close(publisher);
}

int main(int argc, char **argv)
{
	alarm(TIME_LIMIT_S);
	memset(picture, 0x5a, sizeof(picture));
	if (argc == 3 && !strcmp(argv[1], "make"))
		make(argv[2]);
	else if (argc == 4 && !strcmp(argv[1], "publish"))
		publish(argv[2], argv[3]);
	else if (argc == 5 && !strcmp(argv[1], "view"))
		view_frames(argv[2], (unsigned int)strtoul(argv[3], NULL, 10), argv[4]);
	else if (argc == 4 && !strcmp(argv[1], "newest"))
		newest(argv[2], (unsigned int)strtoul(argv[3], NULL, 10));
	else
		errx(2, "use: frames make REGION, publish REGION SPARE,\n"
		     "     view REGION FRAMES held|copied or newest REGION VIEWERS");
	return 0;
}
