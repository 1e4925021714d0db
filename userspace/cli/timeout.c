// SPDX-License-Identifier: MIT

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "cli.h"

/* Seconds, with a fraction where wanted, to milliseconds; -EINVAL after a message. */
int parse_seconds(const char *verb, const char *option, const char *text,
		  int64_t *milliseconds)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !isfinite(seconds) || seconds < 0 || seconds > 1e9) {
		complain(verb, "%s '%s' is not a number of seconds", option, text);
		return -EINVAL;
	}
	*milliseconds = seconds * 1000;
	return 0;
}
