// SPDX-License-Identifier: MIT
/*
 * What it costs to read 64 bytes at a random place of each memory: one round. All of
 * it was touched before; the memories take turns, and the median turn counts.
 * Use: random SIZE-IN-MIB SOURCE...
 * Prints "random/SOURCE NANOSECONDS".
 */

#include <stdio.h>

#include "bench.h"

#define MAX_SOURCES	8
#define TURNS		15
#define READS		20000
#define LINE		64

static uint64_t state = 0x9e3779b97f4a7c15;

/* xorshift: each read's place depends on what the last one found. */
static double read_lines(const volatile uint64_t *data, size_t size)
{
	uint64_t sum = 0, start = now_ns();
	size_t i, j, at;

	for (i = 0; i < READS; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		at = state % (size / LINE) * (LINE / sizeof(*data));
		for (j = 0; j < LINE / sizeof(*data); j++)
			sum += data[at + j];
		state += sum & 1;
	}
	return (double)(now_ns() - start) / READS;
}

int main(int argc, char **argv)
{
	size_t size = argc > 2 ? strtoul(argv[1], NULL, 10) << 20 : 0, at;
	struct source sources[MAX_SOURCES];
	double turns[MAX_SOURCES][TURNS];
	unsigned char *data[MAX_SOURCES];
	int count = argc - 2, i, turn;

	if (!size || count > MAX_SOURCES)
		errx(2, "use: random SIZE-IN-MIB SOURCE...");
	for (i = 0; i < count; i++) {
		sources[i] = source_open(argv[i + 2]);
		data[i] = source_map(&sources[i], size);
		for (at = 0; at < size; at += 4096)
			data[i][at] = 2;
	}
	for (turn = 0; turn < TURNS; turn++)
		for (i = 0; i < count; i++)
			turns[i][turn] = read_lines((void *)data[i], size);
	for (i = 0; i < count; i++)
		printf("random/%s %.1f\n", sources[i].name, median_of(turns[i], TURNS));
	return 0;
}
