// SPDX-License-Identifier: MIT
/* Text in the syntax of a shell, of QEMU's options and of XML. */

#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* So that a shell takes it as one word. */
void put_quoted(const char *text)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";

	if (!text[strspn(text, plain)]) {
		fputs(text, stdout);
		return;
	}
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	}
	putchar('\'');
}

/* QEMU ends an option's value at a comma, and takes two for one. To be freed. */
char *double_commas(const char *text)
{
	char *doubled = malloc(2 * strlen(text) + 1);
	char *at = doubled;

	if (!doubled)
		return NULL;
	for (; *text; text++) {
		*at++ = *text;
		if (*text == ',')
			*at++ = ',';
	}
	*at = '\0';
	return doubled;
}

/* As the value of an XML attribute in single quotes. */
void put_escaped(const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", stdout);
			break;
		case '<':
			fputs("&lt;", stdout);
			break;
		case '>':
			fputs("&gt;", stdout);
			break;
		case '\'':
			fputs("&apos;", stdout);
			break;
		case '"':
			fputs("&quot;", stdout);
			break;
		default:
			putchar(*text);
		}
	}
}
