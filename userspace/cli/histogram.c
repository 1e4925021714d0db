// SPDX-License-Identifier: MIT
/*
 * Counts of values in buckets, whose width grows with the value: 256 of width 1,
 * then 128 for each power of two, so that no value is off by more than 1 in 256.
 */

#include <stdlib.h>

#include "cli.h"

#define HALF		128
#define BUCKETS		((64 - 6) * HALF)

struct histogram {
	uint64_t counts[BUCKETS];
	uint64_t total;
	uint64_t max;
};

struct histogram *histogram_new(void)
{
	return calloc(1, sizeof(struct histogram));
}

void histogram_free(struct histogram *histogram)
{
	free(histogram);
}

/* How far to shift @value right, so that it is below 256. */
static unsigned int shift_of(uint64_t value)
{
	return value < 2 * HALF ? 0 : 56 - __builtin_clzll(value);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	unsigned int shift = shift_of(value);

	histogram->counts[shift * HALF + (value >> shift)]++;
	histogram->total++;
	if (value > histogram->max)
		histogram->max = value;
}

/* The middle of a bucket. */
static uint64_t bucket_value(unsigned int bucket)
{
	unsigned int shift = bucket < 2 * HALF ? 0 : bucket / HALF - 1;
	uint64_t low = (uint64_t)(bucket - shift * HALF) << shift;

	return low + ((UINT64_C(1) << shift) >> 1);
}

/* The smallest value that @quantile of all values don't exceed; 0 of none. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
	uint64_t seen = 0, value;
	unsigned int i;

	for (i = 0; i < BUCKETS; i++) {
		seen += histogram->counts[i];
		if (seen && seen >= quantile * histogram->total) {
			value = bucket_value(i);
			return value < histogram->max ? value : histogram->max;
		}
	}
	return histogram->max;
}

uint64_t histogram_max(const struct histogram *histogram)
{
	return histogram->max;
}
