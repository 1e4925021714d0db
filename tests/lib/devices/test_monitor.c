// SPDX-License-Identifier: MIT
#include "fixture.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define UDEV_GROUP	2
#define NO_NAMESPACE	100

#define check(condition) do {						\
	if (!(condition)) {						\
		fprintf(stderr, "# %s:%d: %s\n", __func__, __LINE__, #condition); \
		return 1;						\
	}								\
} while (0)

/* How udevd tells its listeners; the kernel drops other subsystems' hashes. */
struct udev_message {
	char prefix[8];
	uint32_t magic;
	uint32_t header_size;
	uint32_t properties_offset;
	uint32_t properties_size;
	uint32_t subsystem_hash;
	uint32_t devtype_hash;
	uint32_t tag_bloom[2];
	char properties[512];
};

/* MurmurHash2 of a text whose length is 4n + 3, as that of "ivshmem" is. */
static uint32_t hash(const char *text)
{
	const uint32_t m = 0x5bd1e995;
	uint32_t k, h = (uint32_t)strlen(text);

	for (; strlen(text) >= 4; text += 4) {
		memcpy(&k, text, 4);
		k *= m;
		k ^= k >> 24;
		h = h * m ^ k * m;
	}
	h ^= (uint32_t)text[2] << 16 | (uint32_t)text[1] << 8 | (uint32_t)text[0];
	h *= m;
	h ^= h >> 13;
	h *= m;
	return h ^ h >> 15;
}

static void add_property(struct udev_message *message, const char *name,
			 const char *value)
{
	char *end = message->properties + message->properties_size;
	size_t room = sizeof(message->properties) - message->properties_size;

	message->properties_size += (uint32_t)snprintf(end, room, "%s=%s", name, value) + 1;
}

static bool send_event(const char *action, const char *subsystem,
		       const char *devpath, const char *node)
{
	struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = UDEV_GROUP };
	struct udev_message message = {
		.prefix = "libudev",
		.magic = htonl(0xfeedcafe),
		.header_size = offsetof(struct udev_message, properties),
		.properties_offset = offsetof(struct udev_message, properties),
		.subsystem_hash = htonl(hash(subsystem)),
	};
	size_t size;
	ssize_t sent;
	int fd;

	add_property(&message, "ACTION", action);
	add_property(&message, "DEVPATH", devpath);
	add_property(&message, "SUBSYSTEM", subsystem);
	add_property(&message, "SEQNUM", "1");
	if (node) {
		add_property(&message, "DEVNAME", node);
		add_property(&message, "MAJOR", "240");
		add_property(&message, "MINOR", "0");
	}
	size = offsetof(struct udev_message, properties) + message.properties_size;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	sent = sendto(fd, &message, size, 0, (struct sockaddr *)&group, sizeof(group));
	close(fd);
	return sent == (ssize_t)size;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct ivshmem_monitor *open_monitor(void)
{
	struct ivshmem_monitor *monitor = NULL;

	assert_int_equal(ivshmem_monitor_open(&monitor), 0);
	assert_non_null(monitor);
	return monitor;
}

static void monitor_null_arguments_fail_einval(void **state)
{
	struct ivshmem_monitor *monitor = open_monitor();
	struct ivshmem_device *device = POISON;
	enum ivshmem_change change;

	assert_int_equal(ivshmem_monitor_open(NULL), -EINVAL);
	assert_int_equal(ivshmem_monitor_fd(NULL), -EINVAL);
	assert_int_equal(ivshmem_monitor_next(NULL, 0, &change, &device), -EINVAL);
	assert_int_equal(ivshmem_monitor_next(monitor, 0, NULL, &device), -EINVAL);
	assert_int_equal(ivshmem_monitor_next(monitor, 0, &change, NULL), -EINVAL);
	assert_ptr_equal(device, POISON);
	ivshmem_monitor_close(monitor);
	ivshmem_monitor_close(NULL);
}

static void monitor_without_events_times_out(void **state)
{
	struct ivshmem_monitor *monitor = open_monitor();
	enum ivshmem_change change = (enum ivshmem_change)77;
	struct ivshmem_device *device = POISON;
	int64_t start = now_ms();

	assert_int_equal(ivshmem_monitor_next(monitor, 0, &change, &device), -ETIMEDOUT);
	assert_int_equal(ivshmem_monitor_next(monitor, 100, &change, &device), -ETIMEDOUT);
	assert_in_range(now_ms() - start, 99, 5000);
	assert_ptr_equal(device, POISON);
	assert_int_equal(change, 77);
	ivshmem_monitor_close(monitor);
}

static void monitor_fd_can_be_polled(void **state)
{
	struct ivshmem_monitor *monitor = open_monitor();
	struct pollfd poller = { .fd = ivshmem_monitor_fd(monitor), .events = POLLIN };

	assert_true(poller.fd >= 0);
	assert_true(fcntl(poller.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(poll(&poller, 1, 0), 0);
	ivshmem_monitor_close(monitor);
}

static void on_alarm(int signal)
{
}

static void monitor_wait_is_interrupted_by_a_signal(void **state)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval timer = { .it_value.tv_usec = 50000 };
	struct ivshmem_monitor *monitor = open_monitor();
	struct ivshmem_device *device = POISON;
	enum ivshmem_change change;

	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
	assert_int_equal(ivshmem_monitor_next(monitor, -1, &change, &device), -EINTR);
	assert_ptr_equal(device, POISON);
	signal(SIGALRM, SIG_DFL);
	ivshmem_monitor_close(monitor);
}

/* The events below are made up, in a network namespace where nobody listens. */
static int monitor_in_namespace(struct ivshmem_monitor **monitor)
{
	if (unshare(CLONE_NEWNET))
		return NO_NAMESPACE;
	check(!ivshmem_monitor_open(monitor));
	return 0;
}

static int events_come_and_go(void *data)
{
	const char *path = "/devices/pci0000:00/0000:00:1e.0/10000:05:07.3/ivshmem/ivshmem9";
	struct ivshmem_monitor *monitor;
	struct ivshmem_device *device;
	enum ivshmem_change change;
	int err = monitor_in_namespace(&monitor);

	if (err)
		return err;
	check(send_event("add", "ivshmem", path, "/dev/ivshmem9"));
	check(send_event("remove", "ivshmem", path, "/dev/ivshmem9"));

	check(!ivshmem_monitor_next(monitor, 1000, &change, &device));
	check(change == IVSHMEM_ADDED);
	check(!strcmp(ivshmem_device_address(device), "10000:05:07.3"));
	check(!strcmp(ivshmem_device_node(device), "/dev/ivshmem9"));
	check(!ivshmem_device_driver(device));
	check(!ivshmem_device_size(device));
	ivshmem_device_free(device);

	check(!ivshmem_monitor_next(monitor, -1, &change, &device));
	check(change == IVSHMEM_REMOVED);
	check(!strcmp(ivshmem_device_address(device), "10000:05:07.3"));
	check(!strcmp(ivshmem_device_node(device), "/dev/ivshmem9"));
	ivshmem_device_free(device);

	check(ivshmem_monitor_next(monitor, 0, &change, &device) == -ETIMEDOUT);
	ivshmem_monitor_close(monitor);
	return 0;
}

static int other_events_are_skipped(void *data)
{
	const char *path = "/devices/pci0000:00/0000:00:04.0/ivshmem/ivshmem0";
	struct ivshmem_device *device = POISON;
	struct ivshmem_monitor *monitor;
	enum ivshmem_change change;
	int err = monitor_in_namespace(&monitor);

	if (err)
		return err;
	check(send_event("change", "ivshmem", path, "/dev/ivshmem0"));
	check(send_event("bind", "ivshmem", path, "/dev/ivshmem0"));
	check(send_event("add", "ivshmem", path, NULL));
	check(send_event("add", "ivshmem", "/devices/virtual/ivshmem/x", "/dev/x"));
	check(send_event("add", "ivshmem", "/devices", "/dev/x"));
	check(send_event("add", "another", path, "/dev/ivshmem0"));
	check(ivshmem_monitor_next(monitor, 100, &change, &device) == -ETIMEDOUT);
	check(device == POISON);
	ivshmem_monitor_close(monitor);
	return 0;
}

static int lost_events_are_told(void *data)
{
	const char *path = "/devices/pci0000:00/0000:00:04.0/ivshmem/ivshmem0";
	struct ivshmem_monitor *monitor;
	struct ivshmem_device *device;
	enum ivshmem_change change;
	int err, size = 4096, i, taken = 0;

	err = monitor_in_namespace(&monitor);
	if (err)
		return err;
	check(!setsockopt(ivshmem_monitor_fd(monitor), SOL_SOCKET, SO_RCVBUF, &size,
			  sizeof(size)));
	for (i = 0; i < 100; i++)
		send_event("add", "ivshmem", path, "/dev/ivshmem0");
	while (!(err = ivshmem_monitor_next(monitor, 0, &change, &device))) {
		ivshmem_device_free(device);
		taken++;
	}
	check(err == -ENOBUFS);
	check(taken < 100);
	while (!ivshmem_monitor_next(monitor, 0, &change, &device))
		ivshmem_device_free(device);
	check(send_event("remove", "ivshmem", path, "/dev/ivshmem0"));
	check(!ivshmem_monitor_next(monitor, 0, &change, &device));
	check(change == IVSHMEM_REMOVED);
	ivshmem_device_free(device);
	ivshmem_monitor_close(monitor);
	return 0;
}

#define IN_NAMESPACE(body) do {						\
	int result;							\
									\
	skip_unless_root();						\
	result = in_child(body, NULL);					\
	if (result == NO_NAMESPACE)					\
		skip_because("no network namespaces here");		\
	assert_int_equal(result, 0);					\
} while (0)

static void monitor_tells_what_comes_and_goes(void **state)
{
	IN_NAMESPACE(events_come_and_go);
}

static void monitor_skips_other_events(void **state)
{
	IN_NAMESPACE(other_events_are_skipped);
}

static void monitor_tells_lost_events_enobufs(void **state)
{
	IN_NAMESPACE(lost_events_are_told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(monitor_null_arguments_fail_einval),
		TEST(monitor_without_events_times_out),
		TEST(monitor_fd_can_be_polled),
		TEST(monitor_wait_is_interrupted_by_a_signal),
		TEST(monitor_tells_what_comes_and_goes),
		TEST(monitor_skips_other_events),
		TEST(monitor_tells_lost_events_enobufs),
	};

	return run("monitor", tests, ARRAY_SIZE(tests));
}
