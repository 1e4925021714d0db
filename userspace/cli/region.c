// SPDX-License-Identifier: MIT

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

/* ivshmem_open() that says what went wrong, and what to do. */
int open_region(struct ivshmem **shm, const char *where, unsigned int flags)
{
	int ret = ivshmem_open(shm, where, flags);

	if (ret < 0)
		explain_open(where, flags, ret);
	return ret;
}

/* Does [@offset, @offset + @length) lie inside the region? */
int check_range(const struct ivshmem *shm, const char *where, uint64_t offset,
		uint64_t length)
{
	uint64_t size = ivshmem_size(shm);
	char text[3][SIZE_TEXT_MAX];

	if (offset >= size) {
		complain(where, "offset %s lies past the end: the region has %s, offsets go from 0 to %llu",
			 size_text(text[0], offset), size_text(text[1], size),
			 (unsigned long long)size - 1);
		return -ERANGE;
	}
	if (length > size - offset) {
		complain(where, "a length of %s from offset %s reaches past the end: the region has %s",
			 size_text(text[0], length), size_text(text[1], offset),
			 size_text(text[2], size));
		return -ERANGE;
	}
	return 0;
}

/*
 * The size of the region that lies, or is to lie, at @path. In: the size that
 * was asked for, or 0. Returns an exit status, after a message where it is not 0.
 */
int backing_file_size(const char *path, uint64_t *size)
{
	char there_text[SIZE_TEXT_MAX], wanted[SIZE_TEXT_MAX];
	struct stat st;
	bool there = !stat(path, &st);
	uint64_t has = there ? st.st_size : 0;

	if (!there && errno != ENOENT) {
		complain(path, "%s", strerror(errno));
		return EXIT_FAILURE;
	}
	if (there && !S_ISREG(st.st_mode)) {
		complain(path, "not a regular file: give the file on the host that holds the region");
		return EXIT_FAILURE;
	}
	if (!*size && !has) {
		complain(path, "%s: say how large the region is to be, as --size 64M",
			 there ? "the file is empty" : "no such file");
		return there ? EXIT_FAILURE : EXIT_MISUSE;
	}
	if (*size && has && *size != has) {
		complain(path, "the file has %s, not %s: leave --size away, or remove the file",
			 size_text(there_text, has), size_text(wanted, *size));
		return EXIT_FAILURE;
	}
	if (!*size)
		*size = has;
	return size_fits_device(path, *size) ? EXIT_SUCCESS : EXIT_FAILURE;
}
