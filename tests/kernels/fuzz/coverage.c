// SPDX-License-Identifier: MIT
/*
 * What code of the module an input reached, from KCOV: a buffer for each thread, which
 * the child fills and the parent reads. Code that runs in interrupts is not seen.
 */

#include <fcntl.h>
#include <linux/kcov.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "fuzz.h"

#define POINTS_MAX	(1UL << 20)
#define EDGES		(1UL << 20)

static int kcov[THREADS];
static unsigned long *points[THREADS];

static unsigned long module_start, module_size;
static uint8_t *reached;		/* each byte of the module's code */
static uint8_t edges[EDGES];		/* each step from one point to the next, hashed */

/* Its addresses are for root. */
static void find_module(void)
{
	FILE *modules = fopen("/proc/modules", "r");
	char line[512];

	while (modules && fgets(line, sizeof(line), modules))
		if (!strncmp(line, "ivshmem ", 8) &&
		    sscanf(line, "ivshmem %lu %*s %*s %*s %lx", &module_size, &module_start) == 2)
			break;
	if (!modules || !module_start)
		die("the module in /proc/modules");
	fclose(modules);
	reached = calloc(module_size, 1);
	if (!reached)
		die("memory");
}

void coverage_open(void)
{
	unsigned int i;

	find_module();
	for (i = 0; i < THREADS; i++) {
		kcov[i] = open("/sys/kernel/debug/kcov", O_RDWR);
		if (kcov[i] < 0 || ioctl(kcov[i], KCOV_INIT_TRACE, POINTS_MAX))
			die("/sys/kernel/debug/kcov");
		points[i] = mmap(NULL, POINTS_MAX * sizeof(long), PROT_READ | PROT_WRITE,
				 MAP_SHARED, kcov[i], 0);
		if (points[i] == MAP_FAILED)
			die("the buffer of kcov");
	}
}

void coverage_begin(unsigned int thread)
{
	points[thread][0] = 0;
	if (ioctl(kcov[thread], KCOV_ENABLE, KCOV_TRACE_PC))
		die("KCOV_ENABLE");
}

void coverage_end(unsigned int thread)
{
	if (ioctl(kcov[thread], KCOV_DISABLE, 0))
		die("KCOV_DISABLE");
}

/* Other modules that are built with this one have points, too. */
static bool take_points(const unsigned long *from)
{
	unsigned long i, last = 0, at, edge;
	bool is_new = false;

	for (i = 1; i <= from[0] && i < POINTS_MAX; i++) {
		at = from[i] - module_start;
		if (at >= module_size)
			continue;
		edge = (at ^ last * 0x9e37) % EDGES;
		is_new |= !edges[edge];
		edges[edge] = 1;
		reached[at] = 1;
		last = at;
	}
	return is_new;
}

/* Counts what the last input reached: was there something new? */
bool coverage_take(void)
{
	bool is_new = false;
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		is_new |= take_points(points[i]);
		points[i][0] = 0;
	}
	return is_new;
}

struct function {
	unsigned long at;
	char name[128];
};

static int compare_functions(const void *a, const void *b)
{
	const struct function *one = a, *other = b;

	return (one->at > other->at) - (one->at < other->at);
}

/* What KASAN makes of variables, and what is patched when it is used. */
static bool is_made(const char *name)
{
	return !strncmp(name, "_sub_", 5) || !strncmp(name, "__SCT__", 7);
}

static size_t read_functions(struct function *function, size_t most)
{
	FILE *symbols = fopen("/proc/kallsyms", "r");
	unsigned long address;
	char line[512], kind;
	size_t count = 0;

	while (symbols && count < most && fgets(line, sizeof(line), symbols)) {
		if (!strstr(line, "[ivshmem]") ||
		    sscanf(line, "%lx %c %127s", &address, &kind, function[count].name) != 3 ||
		    (kind != 't' && kind != 'T') || address - module_start >= module_size ||
		    is_made(function[count].name))
			continue;
		function[count++].at = address - module_start;
	}
	if (symbols)
		fclose(symbols);
	qsort(function, count, sizeof(*function), compare_functions);
	return count;
}

/* How many points were reached, and in which functions none was. */
void coverage_report(void)
{
	static struct function function[1024];
	size_t count = read_functions(function, 1023), i;
	unsigned long at, all = 0, here;

	function[count].at = module_size;
	for (i = 0; i < count; i++) {
		for (here = 0, at = function[i].at; at < function[i + 1].at; at++)
			here += reached[at];
		all += here;
		if (!here)
			printf("not reached: %s\n", function[i].name);
	}
	printf("points reached: %lu\n", all);
}
