// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

/* @path from the root, symbolic links left alone; to be freed. */
char *absolute_path(const char *path)
{
	char *here, *whole;
	int ret;

	if (path[0] == '/')
		return strdup(path);

	here = getcwd(NULL, 0);
	if (!here)
		return NULL;
	ret = asprintf(&whole, "%s/%s", strcmp(here, "/") ? here : "", path);
	free(here);
	return ret < 0 ? NULL : whole;
}
