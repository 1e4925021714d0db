// SPDX-License-Identifier: MIT
/*
 * What could not be written was not done.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static bool failed;

static void fail(const char *why)
{
	if (!failed && !stopped())
		complain("standard output", "%s", why);
	failed = true;
}

/* Before messages about what was printed, so that they follow it. */
void flush_stdout(void)
{
	if (fflush(stdout))
		fail(strerror(errno));
}

/* The last thing: turns @status into a failure where stdout was lost. */
int close_stdout(int status)
{
	flush_stdout();
	if (ferror(stdout))
		fail("a write failed");
	if (fclose(stdout))
		fail(strerror(errno));
	return failed ? EXIT_FAILURE : status;
}
