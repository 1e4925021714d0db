// SPDX-License-Identifier: MIT

#include <errno.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli.h"

/* Takes @value over, NULL being one that there was no memory for. */
int json_add(struct json_object *object, const char *name, struct json_object *value)
{
	if (value && !json_object_object_add(object, name, value))
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

#define ESCAPED	4	/* bytes of "\\xff" */

/* JSON is UTF-8, a path need not be. NULL: out of memory. */
static struct json_object *string_of(const char *value)
{
	size_t left = strlen(value), room = ESCAPED * left;
	char *text = malloc(room + 1), *to = text;
	char *from = (char *)(uintptr_t)value;
	struct json_object *string = NULL;
	iconv_t utf8 = iconv_open("UTF-8", "UTF-8");

	if (text && utf8 != (iconv_t)-1) {
		while (iconv(utf8, &from, &left, &to, &room) == (size_t)-1) {
			sprintf(to, "\\x%02x", (unsigned char)*from++);
			left--;
			to += ESCAPED;
			room -= ESCAPED;
		}
		string = json_object_new_string_len(text, (int)(to - text));
	}
	if (utf8 != (iconv_t)-1)
		iconv_close(utf8);
	free(text);
	return string;
}

int json_add_string(struct json_object *object, const char *name, const char *value)
{
	return json_add(object, name, string_of(value));
}

int json_add_number(struct json_object *object, const char *name, uint64_t value)
{
	return json_add(object, name, json_object_new_uint64(value));
}

void json_print(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
}
