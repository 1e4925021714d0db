// SPDX-License-Identifier: MIT
/* The options that "qemu" and "libvirt" share. */

#include <errno.h>
#include <string.h>

#include "cli.h"

static int parse_master(const char *verb, const char *value, enum vm_master *master)
{
	if (!strcmp(value, "on"))
		*master = VM_MASTER_ON;
	else if (!strcmp(value, "off"))
		*master = VM_MASTER_OFF;
	else
		complain(verb, "--master '%s' is neither 'on' nor 'off'", value);
	return *master == VM_MASTER_UNSAID ? -EINVAL : 0;
}

/* One of VM_OPTIONS, or an unknown one; 'h', or -EINVAL after a message. */
int parse_vm_option(const char *verb, int option, const char *value,
		    struct vm_options *options)
{
	int ret;

	switch (option) {
	case 's':
		ret = parse_size(verb, "--size", value, &options->size);
		return ret || size_fits_device(verb, options->size) ? ret : -EINVAL;
	case 'd':
		options->doorbell = true;
		return 0;
	case 'S':
		options->socket = value;
		return 0;
	case 'v':
		options->vectors_given = true;
		return parse_integer(verb, "--vectors", value, 1, 256, &options->vectors);
	case 'm':
		options->master = VM_MASTER_UNSAID;
		return parse_master(verb, value, &options->master);
	case 'h':
		return 'h';
	default:
		return -EINVAL;
	}
}

/* Do the options fit together? -EINVAL after a message. */
int check_vm_options(const char *verb, const struct vm_options *options)
{
	if (!options->doorbell && (options->socket || options->vectors_given))
		complain(verb, "--socket and --vectors are for --doorbell");
	else if (options->doorbell && !options->socket)
		complain(verb, "--doorbell needs --socket PATH, where 'ivshmem serve' listens");
	else if (options->doorbell && options->size)
		complain(verb, "with --doorbell the server decides the size: give no --size");
	else
		return 0;
	return -EINVAL;
}
