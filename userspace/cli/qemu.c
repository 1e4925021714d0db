// SPDX-License-Identifier: MIT

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* The most that QEMU takes for an ACPI index. */
#define ACPI_INDEX_MAX	16383

/* So that a shell takes it as one word. */
static void put_quoted(const char *text)
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
static char *double_commas(const char *text)
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

/* The -object argument; to be freed. */
static char *backend_argument(const char *path, const char *id, uint64_t size)
{
	char *absolute, *doubled = NULL, *argument = NULL;
	char text[SIZE_TEXT_MAX];

	absolute = absolute_path(path);
	if (absolute)
		doubled = double_commas(absolute);
	if (doubled &&
	    asprintf(&argument,
		     "memory-backend-file,id=%s,share=on,mem-path=%s,size=%s",
		     id, doubled, size_text(text, size)) < 0)
		argument = NULL;
	free(doubled);
	free(absolute);
	return argument;
}

static int print_arguments(const char *path, const char *id, uint64_t size,
			   unsigned int acpi_index)
{
	char *backend;
	int status;

	status = backing_file_size(path, &size);
	if (status)
		return status;

	backend = backend_argument(path, id, size);
	if (!backend) {
		complain(path, "%s", strerror(errno));
		return EXIT_FAILURE;
	}
	printf("-object ");
	put_quoted(backend);
	printf(" -device ivshmem-plain,memdev=%s", id);
	if (acpi_index)
		printf(",acpi-index=%u", acpi_index);
	putchar('\n');
	free(backend);
	return EXIT_SUCCESS;
}

static int check_id(const char *id)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

	if (isalpha((unsigned char)id[0]) && !id[strspn(id, allowed)])
		return 0;
	complain("qemu", "--id '%s' is no ID for QEMU: a letter, then letters, digits, '-', '.' and '_'",
		 id);
	return -EINVAL;
}

static int parse_acpi_index(const char *text, unsigned int *index)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || errno || !number ||
	    number > ACPI_INDEX_MAX) {
		complain("qemu", "--acpi-index '%s' is not a number from 1 to %d",
			 text, ACPI_INDEX_MAX);
		return -EINVAL;
	}
	*index = number;
	return 0;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ "id", required_argument, NULL, 'i' },
		{ "acpi-index", required_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	const char *id = "ivshmem", *path;
	unsigned int acpi_index = 0;
	uint64_t size = 0;
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "s:h", options, NULL)) != -1) {
		switch (c) {
		case 's':
			ret = parse_size("qemu", "--size", optarg, &size);
			if (!ret && !size_fits_device("qemu", size))
				ret = -EINVAL;
			break;
		case 'i':
			id = optarg;
			ret = check_id(id);
			break;
		case 'a':
			ret = parse_acpi_index(optarg, &acpi_index);
			break;
		case 'h':
			return show_help(&cmd_qemu);
		default:
			ret = -EINVAL;
		}
	}
	path = ret ? NULL : only_argument(&cmd_qemu, argc, argv, "PATH");
	if (!path)
		return misuse(&cmd_qemu);
	return print_arguments(path, id, size, acpi_index);
}

const struct command cmd_qemu = {
	.name = "qemu",
	.summary = "print the QEMU arguments for a region",
	.help =
		"[--size SIZE] [--id ID] [--acpi-index N] PATH\n"
		"\n"
		"Print the QEMU arguments that show the file PATH to a guest as an ivshmem-plain\n"
		"device, on one line, quoted for the shell.\n"
		"\n"
		"  -s, --size SIZE     for a file that is not there yet, and which QEMU creates\n"
		"      --id ID         ID of the memory backend, one for each region of a VM;\n"
		"                      'ivshmem' where this is not given\n"
		"      --acpi-index N  1 to 16383: names the device /dev/ivshmem/by-index/N in\n"
		"                      the guest\n"
		"  -h, --help          show this text\n",
	.run = run,
};
