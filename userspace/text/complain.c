// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <stdio.h>

#include "text.h"

/* "ivshmem: WHERE: MESSAGE" on stderr. */
void complain(const char *where, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "ivshmem: %s: ", where);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}
