// SPDX-License-Identifier: MIT

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/*
 * Seconds, with a fraction where wanted, to milliseconds; -EINVAL after a message. As
 * with sizes, there is no sign, no blank and no exponent.
 */
int parse_seconds(const char *verb, const char *option, const char *text,
		  int64_t *milliseconds)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || text[strspn(text, "0123456789.")] || *end || seconds > 1e9) {
		complain(verb, "%s '%s' is not a number of seconds up to 1000000000: write digits, and a fraction after a point, as 0.5",
			 option, text);
		return -EINVAL;
	}
	*milliseconds = seconds * 1000;
	return 0;
}

/* --timeout, as the library's calls take it: INT_MAX is 24 days, and stands for more. */
int parse_timeout(const char *verb, const char *text, int *timeout_ms)
{
	int64_t milliseconds;
	int ret = parse_seconds(verb, "--timeout", text, &milliseconds);

	if (!ret)
		*timeout_ms = milliseconds < INT_MAX ? (int)milliseconds : INT_MAX;
	return ret;
}
