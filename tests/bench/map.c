// SPDX-License-Identifier: MIT
/*
 * What it costs to map each memory, touch each of its pages for the first time
 * and unmap it again: one round.
 * Use: map SIZE-IN-MIB SOURCE...
 * Prints "map/SOURCE/WHAT VALUE": nanoseconds a page for mmap, touch, munmap and
 * their total, the page faults taken, and KiB of page tables for 1 GiB.
 */

#include <stdio.h>
#include <sys/resource.h>

#include "bench.h"

struct cost {
	uint64_t map, touch, unmap;
	long faults;
	long tables_kib;
};

static long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

static long page_tables_kib(void)
{
	static const char file[] = "/proc/self/status";
	FILE *status = fopen(file, "re");
	char line[256];
	long kib = -1;

	if (!status)
		err(1, "%s", file);
	while (fgets(line, sizeof(line), status) && kib < 0)
		sscanf(line, "VmPTE: %ld kB", &kib);
	fclose(status);
	if (kib < 0)
		errx(1, "%s: no VmPTE", file);
	return kib;
}

static void touch(volatile char *data, size_t size, size_t page)
{
	size_t offset;

	for (offset = 0; offset < size; offset += page)
		data[offset] = 1;
}

static struct cost measure(const struct source *source, size_t size, size_t page)
{
	long tables = page_tables_kib(), faults = minor_faults();
	uint64_t start, mapped, touched, unmap;
	struct cost cost;
	void *data;

	start = now_ns();
	data = source_map(source, size);
	mapped = now_ns();
	touch(data, size, page);
	touched = now_ns();

	cost.faults = minor_faults() - faults;
	cost.tables_kib = page_tables_kib() - tables;

	unmap = now_ns();
	if (munmap(data, size))
		err(1, "%s: munmap", source->name);
	cost.unmap = now_ns() - unmap;
	cost.map = mapped - start;
	cost.touch = touched - mapped;
	return cost;
}

static void print(const char *name, const char *what, double value)
{
	printf("map/%s/%s %.2f\n", name, what, value);
}

int main(int argc, char **argv)
{
	size_t page = sysconf(_SC_PAGESIZE), size, pages;
	int i;

	size = argc > 2 ? strtoul(argv[1], NULL, 10) << 20 : 0;
	if (!size)
		errx(2, "use: map SIZE-IN-MIB SOURCE...");
	pages = size / page;

	for (i = 2; i < argc; i++) {
		struct source source = source_open(argv[i]);
		struct cost half = measure(&source, size / 2, page);
		struct cost whole = measure(&source, size, page);

		print(source.name, "mmap", (double)whole.map / pages);
		print(source.name, "touch", (double)whole.touch / pages);
		print(source.name, "munmap", (double)whole.unmap / pages);
		print(source.name, "total",
		      (double)(whole.map + whole.touch + whole.unmap) / pages);
		print(source.name, "faults", whole.faults);
		/*
		 * What the second half adds: free of the tables that a small
		 * mapping needs at its ends whatever its size.
		 */
		print(source.name, "tables", (whole.tables_kib - half.tables_kib) *
		      2.0 * (1 << 30) / size);
		source_close(&source);
	}
	return 0;
}
