// SPDX-License-Identifier: MIT
/*
 * How fast memcpy() copies into and out of each memory: one round.
 * Use: copy SIDE SOURCE...
 * Prints "copy/SIDE/SOURCE/DIRECTION/BLOCK MB-PER-SECOND".
 */

#include <stdio.h>

#include "bench.h"

#define LARGEST_BLOCK	(16u << 20)
#define BYTES_A_FIGURE	(64u << 20)
#define MAX_SOURCES	8

static const size_t blocks[] = { 4 << 10, 1 << 20, LARGEST_BLOCK };

/* The compiler may not drop or merge copies whose result nobody reads. */
static void copy_block(void *to, const void *from, size_t block)
{
	memcpy(to, from, block);
	__asm__ volatile("" : : "r"(to) : "memory");
}

static double copy_speed(void *to, const void *from, size_t block)
{
	size_t times = BYTES_A_FIGURE / block, i;
	uint64_t start;

	copy_block(to, from, block);
	start = now_ns();
	for (i = 0; i < times; i++)
		copy_block(to, from, block);
	return (double)BYTES_A_FIGURE * 1000 / (now_ns() - start);
}

int main(int argc, char **argv)
{
	struct source own = { .name = "own buffer", .fd = -1 };
	struct source sources[MAX_SOURCES];
	void *data[MAX_SOURCES], *buffer;
	int count = argc - 2, i;
	size_t b;

	if (count < 1 || count > MAX_SOURCES)
		errx(2, "use: copy SIDE SOURCE...");
	buffer = source_map(&own, LARGEST_BLOCK);
	memset(buffer, 0x5a, LARGEST_BLOCK);
	for (i = 0; i < count; i++) {
		sources[i] = source_open(argv[i + 2]);
		data[i] = source_map(&sources[i], LARGEST_BLOCK);
		memset(data[i], 0xa5, LARGEST_BLOCK);
	}

	for (b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++) {
		for (i = 0; i < count; i++)
			printf("copy/%s/%s/into/%zu %.1f\n", argv[1], sources[i].name,
			       blocks[b], copy_speed(data[i], buffer, blocks[b]));
		for (i = 0; i < count; i++)
			printf("copy/%s/%s/out of/%zu %.1f\n", argv[1], sources[i].name,
			       blocks[b], copy_speed(buffer, data[i], blocks[b]));
	}
	return 0;
}
