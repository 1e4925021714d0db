// SPDX-License-Identifier: MIT
/*
 * Maps a whole device and uses it, and some memory of its own, until the kernel's NUMA
 * balancing has gone through all of this program three times: balance NODE. Prints what
 * /proc/vmstat has counted meanwhile, the byte that each page of the region begins with at
 * last, and RssFile in KiB: a name and a number a line.
 */

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uapi/ivshmem.h"

#define ROUNDS	3
#define OWN	(1 << 20)

static const char *const counters[] = {
	"numa_pte_updates", "numa_huge_pte_updates", "numa_hint_faults", "numa_pages_migrated",
};

#define COUNTERS	(sizeof(counters) / sizeof(counters[0]))

/* The number after @name at the beginning of a line of @path; else the end. */
static long number(const char *path, const char *name)
{
	size_t length = strlen(name);
	char line[256];
	long value = -1;
	FILE *file = fopen(path, "re");

	if (!file) {
		perror(path);
		exit(1);
	}
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, length) && strchr(" :\t", line[length]))
			value = strtol(line + length + strspn(line + length, " :\t"), NULL, 10);
	fclose(file);
	if (value < 0) {
		fprintf(stderr, "balance: %s has no %s\n", path, name);
		exit(1);
	}
	return value;
}

static long rounds(void)
{
	return number("/proc/self/sched", "mm->numa_scan_seq");
}

static void *sleep_for_ever(void *unused)
{
	for (;;)
		pause();
	return NULL;
}

static void *map(size_t size, int flags, int fd)
{
	void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (data == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return data;
}

static void use(volatile char *data, uint64_t size, char value)
{
	uint64_t at;

	for (at = 0; at < size; at += 4096)
		data[at] = value;
}

int main(int argc, char **argv)
{
	struct ivshmem_info info = { 0 };
	long before[COUNTERS], begun;
	pthread_t thread;
	unsigned char value = 0;
	char *data, *own;
	size_t i;
	int fd;

	if (argc != 2)
		return 2;
	fd = open(argv[1], O_RDWR);
	if (fd < 0 || ioctl(fd, IVSHMEM_IOC_GET_INFO, &info)) {
		perror(argv[1]);
		return 1;
	}
	data = map(info.size, MAP_SHARED, fd);
	own = map(OWN, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	/* It may lie beside other memory, and then be a part of a huge page. */
	madvise(own, OWN, MADV_NOHUGEPAGE);
	/* What has one thread is let be where it lies on that thread's node. */
	if (pthread_create(&thread, NULL, sleep_for_ever, NULL))
		return 1;
	for (i = 0; i < COUNTERS; i++)
		before[i] = number("/proc/vmstat", counters[i]);
	begun = rounds();
	while (rounds() - begun < ROUNDS) {
		value++;
		use(data, info.size, value);
		use(own, OWN, value);
	}
	for (i = 0; i < COUNTERS; i++)
		printf("%s %ld\n", counters[i], number("/proc/vmstat", counters[i]) - before[i]);
	printf("value %u\n", value);
	printf("RssFile %ld\n", number("/proc/self/status", "RssFile"));
	return 0;
}
