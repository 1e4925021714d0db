// SPDX-License-Identifier: MIT
/*
 * Makes every allocation of a call to the module fail, and every copy to and from
 * user space, one after the other, until the call needs no more of them: faults
 * CALL NODE-OR-PCI-ADDRESS. Each time the call has to
 * succeed, or to fail with an errno that is right. Needs a kernel with fault
 * injection (/proc/self/fail-nth), and root. Prints how many failures there were.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "uapi/ivshmem.h"

#define DRIVER	"/sys/bus/pci/drivers/ivshmem/"
#define MAX	100000

static int fail_nth, node, event, module;
static const char *where;
static char address[32];

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* Nothing between this and the call may allocate. */
static void arm(int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth);

	if (pwrite(fail_nth, text, len, 0) != len)
		die("fail-nth");
}

/*
 * Did the failure happen? These two copy to and from user space, and may be what
 * fails, where it did not.
 */
static bool disarm(void)
{
	char text[16] = "";

	if (pread(fail_nth, text, sizeof(text) - 1, 0) <= 0)
		return false;
	if (atoi(text))
		(void)!pwrite(fail_nth, "0", 1, 0);
	return !atoi(text);
}

static long write_address(const char *file)
{
	static char path[64];
	long ret;
	int fd;

	snprintf(path, sizeof(path), DRIVER "%s", file);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		die(path);
	ret = write(fd, address, strlen(address));
	close(fd);
	return ret;
}

/* The file is opened beforehand: its own allocations are not the module's. */
static int bind_fd = -1, unbind_fd = -1;

static long call_bind(void)
{
	return write(bind_fd, address, strlen(address));
}

static long call_unbind(void)
{
	return write(unbind_fd, address, strlen(address));
}

static void undo_bind(void)
{
	if (write_address("unbind") < 0)
		die("unbind");
}

static void undo_unbind(void)
{
	if (write_address("bind") < 0)
		die("bind");
}

static long call_load(void)
{
	return syscall(SYS_finit_module, module, "", 0);
}

static void undo_load(void)
{
	while (syscall(SYS_delete_module, "ivshmem", 0))
		if (errno != EAGAIN && errno != EBUSY)
			die("delete_module");
}

static int pinning_fd = -1;

static long set_pinning(char value)
{
	return pwrite(pinning_fd, &value, 1, 0);
}

/* What failed has changed nothing: there are no pages to export. */
static void expect_no_pages(void)
{
	struct ivshmem_dmabuf what = { .len = 65536, .flags = O_RDWR | O_CLOEXEC };
	struct ivshmem_info info = { 0 };
	int fd = open(where, O_RDWR);

	if (fd < 0 || ioctl(fd, IVSHMEM_IOC_GET_INFO, &info))
		die(where);
	if (info.mapping != IVSHMEM_MAPPING_PFN || info.features ||
	    !ioctl(fd, IVSHMEM_IOC_EXPORT_DMABUF, &what) || errno != EOPNOTSUPP) {
		fputs("a failure left struct pages behind\n", stderr);
		exit(1);
	}
	close(fd);
}

static long call_allow_pinning(void)
{
	return set_pinning('1');
}

static long call_forbid_pinning(void)
{
	return set_pinning('0');
}

static void undo_allow_pinning(void)
{
	if (call_forbid_pinning() < 0)
		die("pinning");
}

static void undo_forbid_pinning(void)
{
	if (call_allow_pinning() < 0)
		die("pinning");
}

static int opened = -1;

static long call_open(void)
{
	opened = open(where, O_RDWR);
	return opened;
}

static void undo_open(void)
{
	close(opened);
}

static void *mapped;

static long call_mmap(void)
{
	mapped = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, node, 0);
	return mapped == MAP_FAILED ? -1 : 0;
}

static void undo_mmap(void)
{
	munmap(mapped, 16384);
}

/* A failure in a fault makes the kernel come again: it is not seen. */
static long call_touch(void)
{
	mapped = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, node, 0);
	if (mapped == MAP_FAILED)
		return -1;
	*(volatile char *)mapped = 1;
	*(volatile char *)(mapped + 8192) = 1;
	return 0;
}

static char bytes[100000];

static long call_read(void)
{
	return pread(node, bytes, sizeof(bytes), 0) > 0 ? 0 : -1;
}

static long call_write(void)
{
	return pwrite(node, bytes, sizeof(bytes), 0) > 0 ? 0 : -1;
}

static long call_poll(void)
{
	struct pollfd fds = { .fd = node, .events = POLLIN };

	return poll(&fds, 1, 0);
}

static long call_get_info(void)
{
	struct ivshmem_info info = { 0 };

	return ioctl(node, IVSHMEM_IOC_GET_INFO, &info);
}

static long call_ring_doorbell(void)
{
	struct ivshmem_ring ring = { .peer = 4000 };

	return ioctl(node, IVSHMEM_IOC_RING_DOORBELL, &ring);
}

static long call_set_eventfd(void)
{
	struct ivshmem_eventfd set = { .fd = event };

	return ioctl(node, IVSHMEM_IOC_SET_EVENTFD, &set);
}

static long call_unset_eventfd(void)
{
	struct ivshmem_eventfd set = { .fd = event, .flags = IVSHMEM_EVENTFD_UNBIND };

	return ioctl(node, IVSHMEM_IOC_SET_EVENTFD, &set);
}

static void undo_set_eventfd(void)
{
	if (call_unset_eventfd())
		die("unbinding an eventfd");
}

static void undo_unset_eventfd(void)
{
	if (call_set_eventfd())
		die("binding an eventfd");
}

static int exported;

static long call_export_dmabuf(void)
{
	struct ivshmem_dmabuf what = { .len = 65536, .flags = O_RDWR | O_CLOEXEC };
	long ret = ioctl(node, IVSHMEM_IOC_EXPORT_DMABUF, &what);

	exported = what.fd;
	return ret;
}

static void undo_export_dmabuf(void)
{
	close(exported);
}

static long call_fsync(void)
{
	return fsync(node);
}

/* A success is undone, so that the call can be made again. */
struct call {
	const char *name;
	long (*call)(void);
	void (*undo)(void);
	bool needs_node;
};

static const struct call calls[] = {
	{ "load", call_load, undo_load, false },
	{ "bind", call_bind, undo_bind, false },
	{ "unbind", call_unbind, undo_unbind, false },
	{ "allow-pinning", call_allow_pinning, undo_allow_pinning, false },
	{ "forbid-pinning", call_forbid_pinning, undo_forbid_pinning, false },
	{ "open", call_open, undo_open, false },
	{ "mmap", call_mmap, undo_mmap, true },
	{ "touch", call_touch, undo_mmap, true },
	{ "read", call_read, NULL, true },
	{ "write", call_write, NULL, true },
	{ "poll", call_poll, NULL, true },
	{ "fsync", call_fsync, NULL, true },
	{ "get-info", call_get_info, NULL, true },
	{ "ring-doorbell", call_ring_doorbell, NULL, true },
	{ "set-eventfd", call_set_eventfd, undo_set_eventfd, true },
	{ "export-dmabuf", call_export_dmabuf, undo_export_dmabuf, true },
	{ "unset-eventfd", call_unset_eventfd, undo_unset_eventfd, true },
};

/* EBUSY is what the kernel makes of a resource that it cannot describe. */
static bool is_right(int error)
{
	return error == ENOMEM || error == EFAULT || error == EBUSY || error == ENOSPC ||
	       error == EAGAIN;
}

static int run(const struct call *call)
{
	int nth, error, failed = 0, wrong = 0;
	bool injected;
	long ret;

	for (nth = 1; nth < MAX; nth++) {
		arm(nth);
		errno = 0;
		ret = call->call();
		error = errno;
		injected = disarm();
		if (ret >= 0 && call->undo)
			call->undo();
		if (ret < 0) {
			failed++;
			if (call->call == call_allow_pinning)
				expect_no_pages();
			if (!injected || !is_right(error)) {
				fprintf(stderr, "%s, allocation %d: %s\n", call->name, nth,
					strerror(error));
				wrong++;
			}
		}
		if (!injected)
			break;
	}
	if (call->call == call_bind)
		undo_unbind();
	if (call->call == call_forbid_pinning)
		undo_allow_pinning();
	printf("%s: %d allocations, %d failed calls, %d of them wrongly\n", call->name, nth - 1,
	       failed, wrong);
	return wrong || nth == MAX;
}

static void prepare(const struct call *call)
{
	struct utsname system;
	char path[256];

	fail_nth = open("/proc/self/fail-nth", O_RDWR);
	if (fail_nth < 0)
		die("/proc/self/fail-nth");
	bind_fd = open(DRIVER "bind", O_WRONLY);
	unbind_fd = open(DRIVER "unbind", O_WRONLY);
	event = eventfd(0, 0);
	if (call->call == call_load) {
		uname(&system);
		snprintf(path, sizeof(path), "/lib/modules/%s/updates/ivshmem.ko", system.release);
		module = open(path, O_RDONLY);
		if (module < 0)
			die(path);
	}
	if (call->needs_node) {
		node = open(where, O_RDWR);
		if (node < 0)
			die(where);
	}
	if (call->call == call_bind)
		write_address("unbind");
	snprintf(path, sizeof(path), "/sys/class/ivshmem/%s/pinning", strrchr(where, '/') ?
		 strrchr(where, '/') + 1 : where);
	pinning_fd = open(path, O_RDWR);
	if (call->call == call_forbid_pinning)
		undo_forbid_pinning();
	if (call->call == call_unset_eventfd && call_set_eventfd())
		die("binding an eventfd");
	/* What is allocated once only is there from now on. */
	memset(bytes, 1, sizeof(bytes));
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc != 3)
		return 2;
	where = argv[2];
	snprintf(address, sizeof(address), "%s", argv[2]);
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(calls[i].name, argv[1]))
			continue;
		prepare(&calls[i]);
		return run(&calls[i]);
	}
	return 2;
}
