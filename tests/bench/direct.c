// SPDX-License-Identifier: MIT
/*
 * How quick O_DIRECT brings a disk's data into each memory: one round. The memories
 * take turns, each the first in as many, and the median turn counts.
 * Use: direct DISK SOURCE...
 * Prints "direct/SOURCE MB-PER-SECOND".
 */

#include <stdio.h>

#include "bench.h"

#define MAX_SOURCES	8
#define TURNS		63
#define BLOCK		(1u << 20)
#define BYTES		(32u << 20)

static double read_disk(int disk, unsigned char *data)
{
	uint64_t start = now_ns();
	size_t at;

	for (at = 0; at < BYTES; at += BLOCK)
		if (pread(disk, data + at, BLOCK, (off_t)at) != BLOCK)
			err(1, "the disk cannot be read");
	return (double)BYTES * 1000 / (now_ns() - start);
}

int main(int argc, char **argv)
{
	struct source sources[MAX_SOURCES];
	double turns[MAX_SOURCES][TURNS];
	unsigned char *data[MAX_SOURCES];
	int count = argc - 2, disk, i, turn, which;

	if (count < 1 || count > MAX_SOURCES)
		errx(2, "use: direct DISK SOURCE...");
	disk = open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (disk < 0)
		err(1, "%s: open", argv[1]);
	for (i = 0; i < count; i++) {
		sources[i] = source_open(argv[i + 2]);
		data[i] = source_map(&sources[i], BYTES);
		memset(data[i], 1, BYTES);
		read_disk(disk, data[i]);
	}
	for (turn = 0; turn < TURNS; turn++)
		for (i = 0; i < count; i++) {
			which = (turn + i) % count;
			turns[which][turn] = read_disk(disk, data[which]);
		}
	for (i = 0; i < count; i++)
		printf("direct/%s %.1f\n", sources[i].name, median_of(turns[i], TURNS));
	return 0;
}
