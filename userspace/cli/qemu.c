// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "memory/memory.h"

/* The most that QEMU takes for an ACPI index. */
#define ACPI_INDEX_MAX	16383

/* Chassis numbers of a PCI Express port are a byte. */
#define CHASSIS_MAX	255

/* What firmware gives each root port for prefetchable memory, unless it is asked for more. */
#define WINDOW_DEFAULT	(UINT64_C(2) << 20)

/**
 * struct device - What is asked for.
 * @vm: The options that "libvirt" has, too.
 * @id: Of the memory backend or chardev.
 * @acpi_index: 0 where it was not given.
 * @root_port: ID of a root port that the device is to be in, or NULL.
 * @chassis: Of that port.
 * @chassis_given: Was "--chassis" given?
 * @memory: Where the host's memory lies, of a plain one.
 */
struct device {
	struct vm_options vm;
	const char *id;
	unsigned int acpi_index;
	const char *root_port;
	unsigned int chassis;
	bool chassis_given;
	struct memory_options memory;
};

/* Of a huge page of the host. */
#define HUGE_PAGE	(2u << 20)

/*
 * QEMU maps a file anywhere, where no huge page of a tmpfs fits, unless it is told to
 * align it. It does so by itself for the pages of hugetlbfs, and refuses less than one of
 * them. These are what the blocks are in files and folders there.
 */
static bool wants_alignment(const char *path, uint64_t size)
{
	struct stat st;
	bool known = !stat(path, &st);
	char *copy;

	if (!known) {
		copy = strdup(path);
		known = copy && !stat(dirname(copy), &st);
		free(copy);
	}
	return known && size >= HUGE_PAGE && st.st_blksize <= HUGE_PAGE;
}

/* The -object argument; to be freed. */
static char *backend_argument(const struct device *device, const char *path, uint64_t size)
{
	const char *align = wants_alignment(path, size) ? ",align=2M" : "";
	const struct memory_options *memory = &device->memory;
	char *absolute, *doubled = NULL, *argument = NULL;
	char text[SIZE_TEXT_MAX], policy[64] = "";

	if (memory->node != MEMORY_ANY_NODE)
		snprintf(policy, sizeof(policy), ",host-nodes=%d,policy=bind", memory->node);

	absolute = absolute_path(path);
	if (absolute)
		doubled = double_commas(absolute);
	if (doubled &&
	    asprintf(&argument,
		     "memory-backend-file,id=%s,share=on,mem-path=%s,size=%s%s%s%s",
		     device->id, doubled, size_text(text, size), align, policy,
		     memory->preallocate ? ",prealloc=on" : "") < 0)
		argument = NULL;
	free(doubled);
	free(absolute);
	return argument;
}

/*
 * The port's window is made at boot, where the port may be empty, and the device wants an
 * address that its size divides. Firmware does not align the window so far, but a window
 * twice as large holds one such address at least.
 */
static void print_root_port(const struct device *device, uint64_t size)
{
	char text[SIZE_TEXT_MAX];

	printf("-device pcie-root-port,id=%s,chassis=%u", device->root_port, device->chassis);
	if (size > WINDOW_DEFAULT)
		printf(",pref64-reserve=%s", size_text(text, 2 * size));
	putchar(' ');
}

/* What both kinds of devices have. */
static void print_end(const struct device *device)
{
	if (device->vm.master != VM_MASTER_UNSAID)
		printf(",master=%s", device->vm.master == VM_MASTER_ON ? "on" : "off");
	if (device->root_port)
		printf(",bus=%s", device->root_port);
	if (device->acpi_index)
		printf(",acpi-index=%u", device->acpi_index);
	putchar('\n');
}

static int print_plain(const struct device *device, const char *path)
{
	uint64_t size = device->vm.size;
	char *backend;
	int status;

	status = backing_file_size(path, &size);
	if (status)
		return status;

	backend = backend_argument(device, path, size);
	if (!backend) {
		complain(path, "%s", strerror(errno));
		return EXIT_FAILURE;
	}
	if (device->root_port)
		print_root_port(device, size);
	printf("-object ");
	put_quoted(backend);
	printf(" -device ivshmem-plain,memdev=%s", device->id);
	print_end(device);
	free(backend);
	return EXIT_SUCCESS;
}

/* Of the server's region; 0 after a message. */
static uint64_t served_size(const char *socket)
{
	struct ivshmem *shm = NULL;
	uint64_t size = 0;
	char *where;

	if (asprintf(&where, "unix:%s", socket) < 0)
		return 0;
	if (!open_region(&shm, where, 0)) {
		size = ivshmem_size(shm);
		ivshmem_close(shm);
	}
	free(where);
	return size;
}

/* The -chardev argument; to be freed. */
static char *chardev_argument(const char *socket, const char *id)
{
	char *absolute = absolute_path(socket), *doubled = NULL, *argument = NULL;

	if (absolute)
		doubled = double_commas(absolute);
	if (doubled && asprintf(&argument, "socket,id=%s,path=%s", id, doubled) < 0)
		argument = NULL;
	free(doubled);
	free(absolute);
	return argument;
}

static int print_doorbell(const struct device *device)
{
	const struct vm_options *vm = &device->vm;
	uint64_t size = 0;
	char *chardev;

	if (device->root_port) {
		size = served_size(vm->socket);
		if (!size)
			return EXIT_FAILURE;
	}
	chardev = chardev_argument(vm->socket, device->id);
	if (!chardev) {
		complain(vm->socket, "%s", strerror(errno));
		return EXIT_FAILURE;
	}
	if (device->root_port)
		print_root_port(device, size);
	printf("-chardev ");
	put_quoted(chardev);
	printf(" -device ivshmem-doorbell,chardev=%s,vectors=%u", device->id, vm->vectors);
	print_end(device);
	free(chardev);
	return EXIT_SUCCESS;
}

static int check_id(const char *option, const char *id)
{
	static const char allowed[] =
		"0123456789-._abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const char *letters = strchr(allowed, 'a');

	if (strspn(id, letters) && !id[strspn(id, allowed)])
		return 0;
	complain("qemu", "%s '%s' is no ID for QEMU: a letter, then letters, digits, '-', '.' and '_'",
		 option, id);
	return -EINVAL;
}

/* 'h', or -EINVAL after a message. */
static int parse_option(struct device *device, int option, const char *value)
{
	switch (option) {
	case 'i':
		device->id = value;
		return check_id("--id", value);
	case 'a':
		return parse_integer("qemu", "--acpi-index", value, 1, ACPI_INDEX_MAX,
				     &device->acpi_index);
	case 'r':
		device->root_port = value;
		return check_id("--root-port", value);
	case 'c':
		device->chassis_given = true;
		return parse_integer("qemu", "--chassis", value, 0, CHASSIS_MAX,
				     &device->chassis);
	case 'n':
		return memory_parse_node("qemu", value, &device->memory);
	case 'p':
		device->memory.preallocate = true;
		return 0;
	default:
		return parse_vm_option("qemu", option, value, &device->vm);
	}
}

/* Do the options fit together? -EINVAL after a message. */
static int check_options(const struct device *device)
{
	if (device->chassis_given && !device->root_port)
		complain("qemu", "--chassis is for --root-port");
	else if (device->root_port && !strcmp(device->root_port, device->id))
		complain("qemu", "--root-port and --id are to be two IDs");
	else if (device->vm.doorbell &&
		 (device->memory.preallocate || device->memory.node != MEMORY_ANY_NODE))
		complain("qemu", "with --doorbell the server has the memory: give it --numa-node and --preallocate");
	else
		return check_vm_options("qemu", &device->vm);
	return -EINVAL;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "id", required_argument, NULL, 'i' },
		{ "acpi-index", required_argument, NULL, 'a' },
		{ "root-port", required_argument, NULL, 'r' },
		{ "chassis", required_argument, NULL, 'c' },
		{ "numa-node", required_argument, NULL, 'n' },
		{ "preallocate", no_argument, NULL, 'p' },
		VM_OPTIONS,
		{ }
	};
	struct device device = {
		.vm.vectors = 1, .id = "ivshmem", .chassis = 1, .memory.node = MEMORY_ANY_NODE,
	};
	const char *path = NULL;
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "s:h", options, NULL)) != -1)
		ret = parse_option(&device, c, optarg);
	if (ret == 'h')
		return show_help(&cmd_qemu);
	if (!ret)
		ret = check_options(&device);
	if (!ret && !device.vm.doorbell)
		path = only_argument(&cmd_qemu, argc, argv, "PATH");
	else if (!ret && optind < argc)
		complain("qemu", "with --doorbell the server has the region: give no PATH");
	if (ret || (device.vm.doorbell ? optind < argc : !path))
		return misuse(&cmd_qemu);
	return device.vm.doorbell ? print_doorbell(&device) : print_plain(&device, path);
}

const struct command cmd_qemu = {
	.name = "qemu",
	.summary = "print the QEMU arguments for a region",
	.help =
		"[--size SIZE] [OPTION]... PATH\n"
		"       ivshmem qemu --doorbell --socket PATH [--vectors N] [OPTION]...\n"
		"\n"
		"Print the QEMU arguments that show the file PATH to a guest as an ivshmem-plain\n"
		"device, or the region of a server as an ivshmem-doorbell device, on one line,\n"
		"quoted for the shell.\n"
		"\n"
		"  -s, --size SIZE     for a file that is not there yet, and which QEMU creates\n"
		"      --numa-node N   QEMU puts the memory on this NUMA node of the host\n"
		"      --preallocate   QEMU allocates all of it at its start\n"
		"      --id ID         ID of the memory backend or chardev, one for each device of a VM;\n"
		"                      'ivshmem' where this is not given\n"
		"      --acpi-index N  1 to 16383: names the device /dev/ivshmem/by-index/N in\n"
		"                      the guest\n"
		"      --master on|off  on: the VM can be migrated, and its region goes along; off,\n"
		"                      as where this is not given: it can't be migrated\n"
		"      --root-port ID  put the device into a PCI Express root port of its own, with\n"
		"                      room for it where it is unplugged and plugged in\n"
		"      --chassis N     of that port, 0 to 255, one for each root port of a VM; 1\n"
		"                      where this is not given\n"
		"      --doorbell      a device with interrupts\n"
		"      --socket PATH   its server's socket, see 'ivshmem serve'\n"
		"      --vectors N     its interrupt vectors, as many as the server gives; 1 where\n"
		"                      this is not given\n"
		"  -h, --help          show this text\n",
	.run = run,
};
