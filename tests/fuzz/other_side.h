/* SPDX-License-Identifier: MIT */
/*
 * What the fuzzers of shared memory have in common: a region with nothing mapped around it,
 * another side that has its turn before each look of this side at it, and time that passes
 * by what this side does alone. So a run takes no time, and is the same each time.
 */
#ifndef OTHER_SIDE_H
#define OTHER_SIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ivshmem.h"

#define PAGE		4096ul
#define REGION_SIZE	(64ul << 10)
#define check(condition) do {						\
	if (!(condition)) {						\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
		abort();						\
	}								\
} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/**
 * struct other_side - One run.
 * @data: What is left of the input.
 * @size: How much that is.
 * @region: As the other side sees it.
 * @now: The time.
 * @looks: Of the call that is going on; set to 0 before each.
 * @until_strike: So many of them, then the other side has its turn.
 * @in_strike: It has; nothing of what it does is a look.
 * @mapped: A bit for each page that this side has mapped beyond the superblock.
 */
extern struct other_side {
	const uint8_t *data;
	size_t size;
	uint8_t *region;
	int64_t now;
	unsigned int looks;
	unsigned int until_strike;
	bool in_strike;
	uint64_t mapped;
} other;

/* Of the fuzzer: one thing that the other side does. */
void other_strikes(void);

unsigned int next_byte(void);
unsigned int next_word(void);
uint64_t pages_of(size_t offset, size_t size);
void use(const volatile uint8_t *bytes, size_t length);
int read_all(struct ivshmem *shm);

int region_fd(void);
struct ivshmem *open_region(int fd, unsigned int flags);
void begin_run(void);
bool has_arena(void);
void end_run(void);

#endif /* OTHER_SIDE_H */
