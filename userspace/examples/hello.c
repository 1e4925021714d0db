// SPDX-License-Identifier: MIT
/*
 * Passes a message through shared memory. The same program runs on both sides:
 *
 *   hello [--resource2] WHERE MESSAGE	write a message
 *   hello [--resource2] [WHERE]	read the other side's message
 *
 * WHERE is a file on the host ("/dev/shm/my-little-shared-memory"), a device
 * in a guest ("/dev/ivshmem0", "0000:00:04.0"). Without it, or with "-", the
 * first device of this guest is taken. With --resource2, root can do without
 * the kernel module.
 */

#include <ctype.h>
#include <errno.h>
#include <ivshmem.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define MESSAGE_MAX	256

static int fail(const char *what, enum ivshmem_task task, int err)
{
	fprintf(stderr, "hello: %s: %s\n", what, ivshmem_explain(task, err));
	return 1;
}

static void print_device(const struct ivshmem_device *device)
{
	const char *node = ivshmem_device_node(device);

	printf("  %s %s %llu MB %s\n", ivshmem_device_address(device),
	       node ? node : "(no node)",
	       (unsigned long long)ivshmem_device_size(device) >> 20,
	       ivshmem_device_kind(device) == IVSHMEM_DOORBELL ? "doorbell" : "plain");
}

static int open_first(struct ivshmem **shm, unsigned int flags)
{
	struct ivshmem_device_list *devices;
	const char *address;
	struct utsname system;
	size_t i;
	int err;

	if (!uname(&system))
		printf("System: %s %s %s\n", system.sysname, system.release,
		       system.machine);
	err = ivshmem_list(&devices);
	if (err)
		return err;
	printf("Detected devices: %zu\n", ivshmem_list_count(devices));
	for (i = 0; i < ivshmem_list_count(devices); i++)
		print_device(ivshmem_list_get(devices, i));

	err = -ENOENT;
	if (ivshmem_list_count(devices)) {
		address = ivshmem_device_address(ivshmem_list_get(devices, 0));
		printf("Selected device: %s\n", address);
		err = ivshmem_open(shm, address, flags);
	}
	ivshmem_list_free(devices);
	return err;
}

static int write_message(struct ivshmem *shm, const char *message)
{
	int err;

	memcpy(ivshmem_data(shm), message, strlen(message) + 1);
	err = ivshmem_sync(shm);
	if (!err)
		printf("Write successful\n");
	return err;
}

/* The other side may write anything, at any time: copy once, trust nothing. */
static int read_message(struct ivshmem *shm)
{
	char message[MESSAGE_MAX];
	const char *c;

	memcpy(message, ivshmem_data(shm), sizeof(message));
	message[sizeof(message) - 1] = '\0';

	printf("Message from %s: ",
	       ivshmem_side(shm) == IVSHMEM_GUEST ? "host" : "guest");
	for (c = message; *c; c++)
		printf(isprint((unsigned char)*c) ? "%c" : "\\x%02x", (unsigned char)*c);
	printf("\n");
	return 0;
}

int main(int argc, char **argv)
{
	const char *where, *message;
	struct ivshmem *shm = NULL;
	unsigned int flags = 0;
	int err;

	if (argc > 1 && !strcmp(argv[1], "--resource2")) {
		flags = IVSHMEM_RESOURCE2;
		argc--;
		argv++;
	}
	where = argc > 1 ? argv[1] : "-";
	message = argc > 2 ? argv[2] : NULL;
	if (argc > 3 || (message && strlen(message) >= MESSAGE_MAX)) {
		fprintf(stderr, "usage: hello [--resource2] [WHERE [MESSAGE]] (less than %d bytes)\n",
			MESSAGE_MAX);
		return 2;
	}

	err = strcmp(where, "-") ? ivshmem_open(&shm, where, flags) : open_first(&shm, flags);
	if (err)
		return fail(where, IVSHMEM_TASK_OPEN, err);
	printf("Device path: %s\n", ivshmem_path(shm));
	printf("Size: %llu bytes (%llu MB)\n", (unsigned long long)ivshmem_size(shm),
	       (unsigned long long)ivshmem_size(shm) >> 20);

	err = ivshmem_map(shm);
	if (!err)
		err = message ? write_message(shm, message) : read_message(shm);
	ivshmem_close(shm);
	return err ? fail(where, IVSHMEM_TASK_MAP, err) : 0;
}
