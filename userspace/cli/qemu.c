// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* The most that QEMU takes for an ACPI index. */
#define ACPI_INDEX_MAX	16383

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

static int print_plain(const char *path, const char *id, uint64_t size)
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
	free(backend);
	return EXIT_SUCCESS;
}

static int print_doorbell(const char *socket, const char *id, unsigned int vectors)
{
	char *absolute = absolute_path(socket), *doubled = NULL, *chardev = NULL;
	int status = EXIT_FAILURE;

	if (absolute)
		doubled = double_commas(absolute);
	if (doubled && asprintf(&chardev, "socket,id=%s,path=%s", id, doubled) < 0)
		chardev = NULL;
	if (chardev) {
		printf("-chardev ");
		put_quoted(chardev);
		printf(" -device ivshmem-doorbell,chardev=%s,vectors=%u", id, vectors);
		status = EXIT_SUCCESS;
	} else {
		complain(socket, "%s", strerror(errno));
	}
	free(chardev);
	free(doubled);
	free(absolute);
	return status;
}

static int check_id(const char *id)
{
	static const char allowed[] =
		"0123456789-._abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const char *letters = strchr(allowed, 'a');

	if (strspn(id, letters) && !id[strspn(id, allowed)])
		return 0;
	complain("qemu", "--id '%s' is no ID for QEMU: a letter, then letters, digits, '-', '.' and '_'",
		 id);
	return -EINVAL;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "id", required_argument, NULL, 'i' },
		{ "acpi-index", required_argument, NULL, 'a' },
		VM_OPTIONS,
		{ }
	};
	struct vm_options vm = { .vectors = 1 };
	const char *id = "ivshmem", *path = NULL;
	unsigned int acpi_index = 0;
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "s:h", options, NULL)) != -1) {
		switch (c) {
		case 'i':
			id = optarg;
			ret = check_id(id);
			break;
		case 'a':
			ret = parse_integer("qemu", "--acpi-index", optarg, 1, ACPI_INDEX_MAX,
					    &acpi_index);
			break;
		default:
			ret = parse_vm_option("qemu", c, optarg, &vm);
		}
	}
	if (ret == 'h')
		return show_help(&cmd_qemu);
	if (!ret)
		ret = check_vm_options("qemu", &vm);
	if (!ret && !vm.doorbell)
		path = only_argument(&cmd_qemu, argc, argv, "PATH");
	else if (!ret && optind < argc)
		complain("qemu", "with --doorbell the server has the region: give no PATH");
	if (ret || (vm.doorbell ? optind < argc : !path))
		return misuse(&cmd_qemu);

	ret = vm.doorbell ? print_doorbell(vm.socket, id, vm.vectors) :
			    print_plain(path, id, vm.size);
	if (ret)
		return ret;
	if (acpi_index)
		printf(",acpi-index=%u", acpi_index);
	putchar('\n');
	return EXIT_SUCCESS;
}

const struct command cmd_qemu = {
	.name = "qemu",
	.summary = "print the QEMU arguments for a region",
	.help =
		"[--size SIZE] [--id ID] [--acpi-index N] PATH\n"
		"       ivshmem qemu --doorbell --socket PATH [--vectors N] [--id ID] [--acpi-index N]\n"
		"\n"
		"Print the QEMU arguments that show the file PATH to a guest as an ivshmem-plain\n"
		"device, or the region of a server as an ivshmem-doorbell device, on one line,\n"
		"quoted for the shell.\n"
		"\n"
		"  -s, --size SIZE     for a file that is not there yet, and which QEMU creates\n"
		"      --id ID         ID of the memory backend or chardev, one for each device of a VM;\n"
		"                      'ivshmem' where this is not given\n"
		"      --acpi-index N  1 to 16383: names the device /dev/ivshmem/by-index/N in\n"
		"                      the guest\n"
		"      --doorbell      a device with interrupts\n"
		"      --socket PATH   its server's socket, see 'ivshmem serve'\n"
		"      --vectors N     its interrupt vectors, as many as the server gives; 1 where\n"
		"                      this is not given\n"
		"  -h, --help          show this text\n",
	.run = run,
};
