// SPDX-License-Identifier: MIT
/* The options that "qemu" and "libvirt" share for devices with interrupts. */

#include <errno.h>

#include "cli.h"

/* One option, 'd', 'S' or 'v'; -EINVAL after a message. */
int parse_doorbell(const char *verb, int option, const char *value,
		   struct doorbell *doorbell)
{
	switch (option) {
	case 'd':
		doorbell->wanted = true;
		return 0;
	case 'S':
		doorbell->socket = value;
		return 0;
	default:
		doorbell->vectors_given = true;
		return parse_integer(verb, "--vectors", value, 1, 256, &doorbell->vectors);
	}
}

/* Do the options fit together? -EINVAL after a message. */
int check_doorbell(const char *verb, const struct doorbell *doorbell, uint64_t size)
{
	if (!doorbell->wanted && (doorbell->socket || doorbell->vectors_given))
		complain(verb, "--socket and --vectors are for --doorbell");
	else if (doorbell->wanted && !doorbell->socket)
		complain(verb, "--doorbell needs --socket PATH, where 'ivshmem serve' listens");
	else if (doorbell->wanted && size)
		complain(verb, "with --doorbell the server decides the size: give no --size");
	else
		return 0;
	return -EINVAL;
}
