/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark's programs share: the clock, the memory under test, and
 * one way to fail. Each result is a line "KEY VALUE" on stdout; region.awk,
 * doorbells.awk and mappings.awk know the keys.
 */

#ifndef BENCH_H
#define BENCH_H

#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Memory under test, given as NAME=PATH, or by name alone if it is anonymous. */
struct source {
	const char *name;
	int fd;
	int small_pages;
};

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* For qsort(3). */
static inline int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static inline int open_path(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s: open", path);
	return fd;
}

/* Memory of the kernel's that is there already, and that faults map page by page. */
static inline int open_filled(size_t size)
{
	int fd = memfd_create("shared-4k", MFD_CLOEXEC);

	if (fd < 0 || fallocate(fd, 0, 0, (off_t)size))
		err(1, "shared-4k");
	return fd;
}

static inline struct source source_open(char *argument)
{
	char *equals = strchr(argument, '=');
	struct source source = { .name = argument, .fd = -1 };

	if (equals) {
		*equals = '\0';
		source.fd = open_path(equals + 1);
	} else if (!strcmp(argument, "anonymous-4k")) {
		source.small_pages = 1;
	} else if (!strcmp(argument, "shared-4k")) {
		source.fd = open_filled(1ul << 30);
	} else if (strcmp(argument, "anonymous")) {
		errx(2, "%s: expected NAME=PATH, shared-4k, anonymous or anonymous-4k", argument);
	}
	return source;
}

/* "anonymous" is what the kernel gives by itself, huge pages if it likes to. */
static inline void *source_map(const struct source *source, size_t size)
{
	int flags = source->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, source->fd, 0);

	if (data == MAP_FAILED)
		err(1, "%s: mmap", source->name);
	if (source->small_pages && madvise(data, size, MADV_NOHUGEPAGE))
		err(1, "%s: madvise", source->name);
	return data;
}

static inline int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts them. */
static inline double median_of(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare_doubles);
	return values[count / 2];
}

/* What looking at the clock twice takes, which is part of each time between. */
static inline uint64_t clock_cost(void)
{
	double costs[1001];
	uint64_t start;
	unsigned int i;

	for (i = 0; i < 1001; i++) {
		start = now_ns();
		costs[i] = (double)(now_ns() - start);
	}
	return (uint64_t)median_of(costs, 1001);
}

static inline void source_close(const struct source *source)
{
	if (source->fd >= 0)
		close(source->fd);
}

#endif /* BENCH_H */
