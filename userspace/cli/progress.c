// SPDX-License-Identifier: MIT
/*
 * One line on stderr that tells how far a copy has come.
 */

#include <time.h>
#include <unistd.h>

#include "cli.h"

/* Seconds before the first line, and between two. */
#define PATIENCE	1.0
#define INTERVAL	0.2

#define MIB		(1024.0 * 1024.0)

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

void progress_start(struct progress *progress, const char *where,
		    uint64_t expected)
{
	*progress = (struct progress){
		.where = where,
		.expected = expected,
		.started = now(),
		.wanted = isatty(STDERR_FILENO),
	};
}

void progress_update(struct progress *progress, uint64_t done)
{
	double time, passed;

	if (!progress->wanted)
		return;
	time = now();
	passed = time - progress->started;
	if (passed < PATIENCE || time - progress->shown < INTERVAL)
		return;

	progress->shown = time;
	fprintf(stderr, "\rivshmem: %s: ", progress->where);
	if (progress->expected)
		fprintf(stderr, "%3.0f%% of %.1f MiB",
			100.0 * done / progress->expected, progress->expected / MIB);
	else
		fprintf(stderr, "%.1f MiB", done / MIB);
	fprintf(stderr, ", %.1f MiB/s\033[K", done / MIB / passed);
}

/* Clears the line, for whatever comes next. */
void progress_end(struct progress *progress)
{
	if (progress->shown)
		fprintf(stderr, "\r\033[K");
	progress->shown = 0;
}
