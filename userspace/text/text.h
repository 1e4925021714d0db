/* SPDX-License-Identifier: MIT */
/*
 * What people type and read: messages, sizes, numbers, modes, users, groups, paths. For
 * the command and the server.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* complain.c */
void complain(const char *where, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* size.c */
#define SIZE_TEXT_MAX	24

int parse_size(const char *verb, const char *option, const char *text,
	       uint64_t *size);
int parse_integer(const char *verb, const char *what, const char *text,
		  unsigned int min, unsigned int max, unsigned int *number);
const char *size_text(char text[SIZE_TEXT_MAX], uint64_t size);
uint64_t size_split(uint64_t size, char *unit);
bool size_fits_device(const char *where, uint64_t size);

/* permissions.c */
int parse_mode(const char *verb, const char *text, mode_t *mode);
int parse_user(const char *verb, const char *option, const char *text, uid_t *uid);
int parse_group(const char *verb, const char *option, const char *text, gid_t *gid);

/* path.c */
char *absolute_path(const char *path);

#endif /* TEXT_H */
