// SPDX-License-Identifier: MIT
/*
 * What it costs to map and unmap much memory, one page of which is touched: one
 * round.
 * Use: span MIB[,MIB...] SOURCE...
 * Prints "span/SOURCE/MIB NANOSECONDS".
 */

#include <stdio.h>

#include "bench.h"

#define TIMES	20

static double map_and_unmap(const struct source *source, size_t size)
{
	uint64_t start = now_ns();
	volatile unsigned char *data;
	int i;

	for (i = 0; i < TIMES; i++) {
		data = source_map(source, size);
		data[size / 2] = 1;
		munmap((void *)data, size);
	}
	return (double)(now_ns() - start) / TIMES;
}

int main(int argc, char **argv)
{
	const char *size;
	int i;

	if (argc < 3)
		errx(2, "use: span MIB[,MIB...] SOURCE...");
	for (i = 2; i < argc; i++) {
		struct source source = source_open(argv[i]);

		for (size = argv[1]; size; size = strchr(size, ',') ? strchr(size, ',') + 1 : NULL)
			printf("span/%s/%lu %.0f\n", source.name, strtoul(size, NULL, 10),
			       map_and_unmap(&source, strtoul(size, NULL, 10) << 20));
		source_close(&source);
	}
	return 0;
}
