// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

#define MIB	(UINT64_C(1) << 20)

/* Are @path's folder and /dev/shm the same one, whatever they are called? */
static bool lies_in_dev_shm(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct stat folder, shm;
	char *name;
	int ret;

	if (!slash)
		name = strdup(".");
	else
		name = strndup(path, slash - path + 1);
	if (!name)
		return false;
	ret = stat(name, &folder);
	free(name);
	return !ret && !stat("/dev/shm", &shm) &&
	       folder.st_dev == shm.st_dev && folder.st_ino == shm.st_ino;
}

/* What libvirt and XML can hold; false after a message. */
static bool name_fits(const char *where, const char *name)
{
	const char *at;

	if (!*name || !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/')) {
		complain(where, "libvirt wants a name for a <shmem>, without a slash");
		return false;
	}
	for (at = name; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == '\177') {
			complain(where, "XML can't hold the control characters of this name");
			return false;
		}
	}
	return true;
}

/* The name that libvirt knows the file by; NULL after a message. */
static const char *shmem_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	if (!lies_in_dev_shm(path)) {
		complain(path, "libvirt's <shmem> takes files directly in /dev/shm only: create it there, or use the arguments of 'ivshmem qemu' in <qemu:commandline>");
		return NULL;
	}
	if (!*name || !strcmp(name, ".") || !strcmp(name, "..")) {
		complain(path, "this is a folder: give the path of the region's file");
		return NULL;
	}
	return name_fits(path, name) ? name : NULL;
}

static void print_start(const char *name, enum vm_master master)
{
	static const char *const roles[] = {
		[VM_MASTER_UNSAID] = "",
		[VM_MASTER_ON] = " role='master'",
		[VM_MASTER_OFF] = " role='peer'",
	};

	printf("<shmem name='");
	put_escaped(name);
	printf("'%s>\n", roles[master]);
}

static int print_element(const struct vm_options *vm, const char *path)
{
	uint64_t size = vm->size;
	char text[SIZE_TEXT_MAX];
	const char *name;
	char unit;
	int status;

	name = shmem_name(path);
	if (!name)
		return EXIT_FAILURE;
	status = backing_file_size(path, &size);
	if (status)
		return status;
	if (size < MIB) {
		complain(path, "libvirt takes no region of less than 1M, and this one has %s",
			 size_text(text, size));
		return EXIT_FAILURE;
	}

	size = size_split(size, &unit);
	print_start(name, vm->master);
	printf("  <model type='ivshmem-plain'/>\n"
	       "  <size unit='%c'>%" PRIu64 "</size>\n"
	       "</shmem>\n", unit, size);
	return EXIT_SUCCESS;
}

/* Seen with libvirt 9.0: of a doorbell device it keeps the role for itself. */
static void warn_of_role(const struct vm_options *vm)
{
	if (vm->master == VM_MASTER_ON)
		complain("libvirt", "libvirt does not tell QEMU the role of a doorbell device: add a <qemu:override>, as MIGRATION in ivshmem(1) shows");
}

/* The name is not used where a server has the region, but libvirt wants one. */
static int print_doorbell(const struct vm_options *vm, const char *name)
{
	char *absolute;

	if (!name_fits(name, name))
		return EXIT_FAILURE;
	absolute = absolute_path(vm->socket);
	if (!absolute) {
		complain(vm->socket, "%s", strerror(errno));
		return EXIT_FAILURE;
	}
	print_start(name, vm->master);
	printf("  <model type='ivshmem-doorbell'/>\n"
	       "  <server path='");
	put_escaped(absolute);
	printf("'/>\n"
	       "  <msi vectors='%u' ioeventfd='on'/>\n"
	       "</shmem>\n", vm->vectors);
	free(absolute);
	warn_of_role(vm);
	return EXIT_SUCCESS;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = { VM_OPTIONS, { } };
	struct vm_options vm = { .vectors = 1 };
	const char *path;
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "s:h", options, NULL)) != -1)
		ret = parse_vm_option("libvirt", c, optarg, &vm);
	if (ret == 'h')
		return show_help(&cmd_libvirt);
	if (!ret)
		ret = check_vm_options("libvirt", &vm);
	path = ret ? NULL : only_argument(&cmd_libvirt, argc, argv,
					  vm.doorbell ? "NAME" : "PATH");
	if (!path)
		return misuse(&cmd_libvirt);
	return vm.doorbell ? print_doorbell(&vm, path) : print_element(&vm, path);
}

const struct command cmd_libvirt = {
	.name = "libvirt",
	.summary = "print the libvirt XML for a region",
	.help =
		"[--size SIZE] [--master on|off] PATH\n"
		"       ivshmem libvirt --doorbell --socket PATH [--vectors N] [--master on|off] NAME\n"
		"\n"
		"Print the <shmem> element that shows the file PATH to a guest, for the <devices>\n"
		"of a domain. The file lies directly in /dev/shm: libvirt knows no other place. Or\n"
		"print the element for a device with interrupts, called NAME.\n"
		"\n"
		"  -s, --size SIZE  for a file that is not there yet, and which QEMU creates\n"
		"      --master on|off  whether the domain can be migrated, see 'ivshmem qemu';\n"
		"                   libvirt calls it the role\n"
		"      --doorbell   a device with interrupts\n"
		"      --socket PATH  its server's socket, see 'ivshmem serve'\n"
		"      --vectors N  its interrupt vectors, as many as the server gives; 1 where\n"
		"                   this is not given\n"
		"  -h, --help       show this text\n",
	.run = run,
};
