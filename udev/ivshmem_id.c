// SPDX-License-Identifier: MIT
/*
 * For udev's IMPORT{program}: prints the label and the UUID of a formatted region.
 *
 *	ivshmem_id /dev/ivshmem0
 *
 * Both come from the other side, which may write anything: the library lets only a
 * proper label pass, and so it can become a file's name. A region that is not
 * formatted has neither, which is no error.
 */

#include <errno.h>
#include <ivshmem.h>
#include <stdio.h>

static int print_id(struct ivshmem *shm)
{
	struct ivshmem_layout *layout;
	int err;

	err = ivshmem_layout_read(&layout, shm);
	if (err)
		return err == -ENOMEDIUM || err == -EMEDIUMTYPE ? 0 : err;
	if (*ivshmem_layout_label(layout))
		printf("IVSHMEM_LABEL=%s\n", ivshmem_layout_label(layout));
	printf("IVSHMEM_UUID=%s\n", ivshmem_layout_uuid(layout));
	ivshmem_layout_free(layout);
	return 0;
}

int main(int argc, char **argv)
{
	struct ivshmem *shm;
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: ivshmem_id NODE\n");
		return 2;
	}
	err = ivshmem_open(&shm, argv[1], IVSHMEM_RDONLY);
	if (!err) {
		err = print_id(shm);
		ivshmem_close(shm);
	}
	if (err)
		fprintf(stderr, "ivshmem_id: %s: %s\n", argv[1], ivshmem_strerror(err));
	return err ? 1 : 0;
}
