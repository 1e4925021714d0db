// SPDX-License-Identifier: MIT
/* Is each quantile of the histogram within 1/256 of that of the sorted values? */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

#define VALUES	20000

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int main(void)
{
	static const double quantiles[] = { 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1 };
	static uint64_t values[VALUES];
	struct histogram *histogram = histogram_new();
	uint64_t exact, got;
	size_t i, rank;

	/* From 0 to 62 bits, as many of each width. */
	for (i = 0; i < VALUES; i++) {
		values[i] = ((uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ random()) |
			    UINT64_C(1) << 63;
		values[i] = i % 63 ? values[i] >> (64 - i % 63) : 0;
		histogram_add(histogram, values[i]);
	}
	qsort(values, VALUES, sizeof(*values), compare);
	for (i = 0; i < ARRAY_SIZE(quantiles); i++) {
		rank = quantiles[i] * VALUES;
		exact = values[rank ? rank - 1 : 0];
		got = histogram_quantile(histogram, quantiles[i]);
		if (got > exact + exact / 256 || got < exact - exact / 256) {
			printf("%g: %llu, not %llu\n", quantiles[i], (unsigned long long)got,
			       (unsigned long long)exact);
			return 1;
		}
	}
	if (histogram_max(histogram) != values[VALUES - 1])
		return 1;
	histogram_free(histogram);
	return 0;
}
