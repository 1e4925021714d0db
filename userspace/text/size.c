// SPDX-License-Identifier: MIT

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

static const char units[] = "KMGT";
static const char digits[] = "0123456789";

/* @text begins with one of @letters, none being '\0'. */
static bool begins_with(const char *text, const char *letters)
{
	return *text && strchr(letters, *text);
}

/*
 * "", "M", "m" or "MiB": how far to shift left, or -EINVAL. By letters, and not by
 * toupper() or strcasecmp(): in a Turkish locale 'I' is no 'i'.
 */
static int parse_unit(const char *text)
{
	static const char either[] = "KkMmGgTt";

	if (!*text)
		return 0;
	if (!begins_with(text, either))
		return -EINVAL;
	if (text[1] && (!begins_with(text + 1, "Ii") || !begins_with(text + 2, "Bb") || text[3]))
		return -EINVAL;
	return 10 * (int)((strchr(either, *text) - either) / 2 + 1);
}

/* Decimal, or hexadecimal after "0x"; no sign, no blank, no octal. */
static int parse_number(const char *text, const char **end, uint64_t *number)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	char *stop;

	if (!begins_with(text, digits))
		return -EINVAL;
	errno = 0;
	*number = strtoull(text, &stop, hex ? 16 : 10);
	*end = stop;
	return -errno;
}

/* A size, offset or length; -EINVAL or -ERANGE after a message. */
int parse_size(const char *verb, const char *option, const char *text,
	       uint64_t *size)
{
	const char *end = "";
	uint64_t number = 0;
	int ret, shift;

	ret = parse_number(text, &end, &number);
	shift = ret == -EINVAL ? ret : parse_unit(end);
	if (shift < 0) {
		complain(verb, "%s '%s' is not a number of bytes: write digits, and K, M, G or T (binary) after them, as 64M",
			 option, text);
		return -EINVAL;
	}
	if (ret || number > UINT64_MAX >> shift) {
		complain(verb, "%s '%s' is too large: it does not fit into 64 bits",
			 option, text);
		return -ERANGE;
	}
	*size = number << shift;
	return 0;
}

/* In the largest unit that divides it; *unit is '\0' for bytes. */
uint64_t size_split(uint64_t size, char *unit)
{
	int i;

	*unit = '\0';
	for (i = 0; size && units[i] && size % 1024 == 0; i++) {
		size /= 1024;
		*unit = units[i];
	}
	return size;
}

/* Exact, and what parse_size() takes: "64M", "4097". Returns @text. */
const char *size_text(char text[SIZE_TEXT_MAX], uint64_t size)
{
	char unit[2] = "";

	size = size_split(size, unit);
	snprintf(text, SIZE_TEXT_MAX, "%" PRIu64 "%s", size, unit);
	return text;
}

static uint64_t power_of_two_from(uint64_t size)
{
	uint64_t power = sysconf(_SC_PAGESIZE);

	while (power && power < size)
		power <<= 1;
	return power;
}

/* Can a PCI BAR have this size? Where not, a message offers the next one. */
bool size_fits_device(const char *where, uint64_t size)
{
	uint64_t next = power_of_two_from(size);
	char text[SIZE_TEXT_MAX], better[SIZE_TEXT_MAX];

	if (size == next)
		return true;

	if (!next)
		complain(where, "a size of %s is too large for a region",
			 size_text(text, size));
	else if (size < next && next == power_of_two_from(0))
		complain(where, "a size of %s is less than a page: the smallest region is %s",
			 size_text(text, size), size_text(better, next));
	else
		complain(where, "a size of %s is not a power of two, and QEMU takes nothing else: the next one is %s",
			 size_text(text, size), size_text(better, next));
	return false;
}

/* A decimal number from @min to @max; -EINVAL after a message. */
int parse_integer(const char *verb, const char *what, const char *text,
		  unsigned int min, unsigned int max, unsigned int *number)
{
	uint64_t value = 0;
	const char *end;

	if (text[strspn(text, digits)] || parse_number(text, &end, &value) < 0 ||
	    value < min || value > max) {
		complain(verb, "%s '%s' is not a number from %u to %u", what, text, min, max);
		return -EINVAL;
	}
	*number = value;
	return 0;
}
