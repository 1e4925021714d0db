// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "system.h"

#define BOOT_ID_TEXT_SIZE	36

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* All zeroes where it can't be had: then nobody runs under the same kernel. */
void ivshmem_boot_id(uint8_t id[16])
{
	char text[BOOT_ID_TEXT_SIZE] = "";
	int fd, i, digits = 0;

	memset(id, 0, 16);
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text)) == sizeof(text))
		for (i = 0; i < BOOT_ID_TEXT_SIZE && digits < 32; i++)
			if (hex_digit(text[i]) >= 0) {
				id[digits / 2] |= hex_digit(text[i]) << (digits % 2 ? 0 : 4);
				digits++;
			}
	close(fd);
}
