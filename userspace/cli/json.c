// SPDX-License-Identifier: MIT

#include <errno.h>

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

int json_add_string(struct json_object *object, const char *name, const char *value)
{
	return json_add(object, name, json_object_new_string(value));
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
