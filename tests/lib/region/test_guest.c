// SPDX-License-Identifier: MIT
/*
 * For a guest, as root, with the module loaded: the library against the first
 * device that has a node. Some tests unbind the device, or unplug it, for a
 * moment: nobody else may use it meanwhile.
 */
#include "fixture.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#define DRIVER		"/sys/bus/pci/drivers/ivshmem/"
#define PATIENCE_MS	10000

static char address[32];
static char node[32];
static uint64_t size;

static bool write_sysfs(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

static const char *in_pci_folder(const char *file)
{
	snprintf(fixture.path, sizeof(fixture.path), "/sys/bus/pci/devices/%s/%s",
		 address, file);
	return fixture.path;
}

static void read_class_attribute(const char *name, char text[64])
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/ivshmem/%s/%s", node + strlen("/dev/"), name);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%63s", text), 1);
	fclose(file);
}

static const struct ivshmem_device *find(const struct ivshmem_device_list *list)
{
	const struct ivshmem_device *device;
	size_t i;

	for (i = 0; (device = ivshmem_list_get(list, i)); i++)
		if (!strcmp(ivshmem_device_address(device), address))
			return device;
	return NULL;
}

static bool can_be_opened(void)
{
	struct ivshmem *shm = NULL;

	if (ivshmem_open(&shm, address, 0))
		return false;
	snprintf(node, sizeof(node), "%s", ivshmem_path(shm));
	ivshmem_close(shm);
	return true;
}

static void wait_for_node(void)
{
	int waited_ms;

	for (waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += 10) {
		if (can_be_opened())
			return;
		poll(NULL, 0, 10);
	}
	fail_msg("%s did not get a node", address);
}

static void unbind(void)
{
	assert_true(write_sysfs(DRIVER "unbind", address));
}

static void bind(void)
{
	assert_true(write_sysfs(DRIVER "bind", address));
	wait_for_node();
}

/* A test that failed may have left the device without its driver. */
static int guest_setup(void **state)
{
	if (access(in_pci_folder("vendor"), F_OK))
		write_sysfs("/sys/bus/pci/rescan", "1");
	if (access(in_pci_folder("driver"), F_OK))
		write_sysfs(DRIVER "bind", address);
	wait_for_node();
	return fixture_setup(state);
}

#define GUEST_TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, fixture_teardown)

static void list_shows_the_device_with_its_facts(void **state)
{
	const struct ivshmem_device *device;
	struct ivshmem_device_list *list;
	char text[64];

	assert_int_equal(ivshmem_list(&list), 0);
	device = find(list);
	assert_non_null(device);
	assert_string_equal(ivshmem_device_node(device), node);
	assert_string_equal(ivshmem_device_driver(device), "ivshmem");
	read_class_attribute("size", text);
	assert_true(ivshmem_device_size(device) == strtoull(text, NULL, 10));
	read_class_attribute("kind", text);
	assert_string_equal(ivshmem_device_kind(device) == IVSHMEM_PLAIN ? "plain" : "doorbell",
			    text);
	ivshmem_list_free(list);
}

static void list_is_sorted(void **state)
{
	struct ivshmem_device_list *list;
	size_t i;

	assert_int_equal(ivshmem_list(&list), 0);
	for (i = 1; i < ivshmem_list_count(list); i++)
		assert_true(strcmp(ivshmem_device_address(ivshmem_list_get(list, i - 1)),
				   ivshmem_device_address(ivshmem_list_get(list, i))) < 0);
	ivshmem_list_free(list);
}

static void guest_facts_agree_with_sysfs(void **state)
{
	struct ivshmem *shm = open_region(node, 0);
	char text[64];

	assert_string_equal(ivshmem_path(shm), node);
	assert_string_equal(ivshmem_location(shm), address);
	assert_int_equal(ivshmem_side(shm), IVSHMEM_GUEST);
	read_class_attribute("size", text);
	assert_true(ivshmem_size(shm) == strtoull(text, NULL, 10));
	read_class_attribute("kind", text);
	assert_string_equal(ivshmem_kind(shm) == IVSHMEM_PLAIN ? "plain" : "doorbell", text);
	read_class_attribute("mapping", text);
	assert_string_equal(ivshmem_mapping(shm), text);
	read_class_attribute("cache", text);
	assert_string_equal(ivshmem_cache(shm), text);
	read_class_attribute("page_size", text);
	assert_true(ivshmem_page_size(shm) == strtoull(text, NULL, 10));
	assert_int_equal(ivshmem_check(shm), 0);
	assert_true(fcntl(ivshmem_fd(shm), F_GETFD) & FD_CLOEXEC);
	ivshmem_close(shm);
}

/* Does the administrator's part, without which there are no dma-bufs. */
static bool allow_pinning(bool allow)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/class/ivshmem/%s/pinning", node + strlen("/dev/"));
	return write_sysfs(path, allow ? "1" : "0");
}

static void dmabuf_without_leave_to_pin_fails(void **state)
{
	struct ivshmem *shm = open_region(node, 0);

	assert_string_equal(ivshmem_mapping(shm), "pfn");
	assert_int_equal(ivshmem_export_dmabuf(shm, 4096, 8192, 0), -ENOTSUP);
	ivshmem_close(shm);
}

static void dmabuf_of_a_part_shows_that_part(void **state)
{
	struct ivshmem *shm;
	char *data, *part;
	int fd;

	if (!allow_pinning(true))
		skip_because("no dma-bufs of this device");
	shm = map_region(node, 0);
	data = ivshmem_data(shm);
	assert_string_equal(ivshmem_mapping(shm), "pages");
	fd = ivshmem_export_dmabuf(shm, 4096, 8192, 0);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	strcpy(data + 4096, "a part");
	ivshmem_close(shm);
	part = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(part, MAP_FAILED);
	assert_string_equal(part, "a part");
	munmap(part, 8192);
	close(fd);
	assert_true(allow_pinning(false));
}

static void dmabuf_for_reading_is_all_that_a_rdonly_handle_gives(void **state)
{
	struct ivshmem *shm;
	int fd;

	if (!allow_pinning(true))
		skip_because("no dma-bufs of this device");
	shm = open_region(node, IVSHMEM_RDONLY);
	assert_int_equal(ivshmem_export_dmabuf(shm, 0, 4096, 0), -EACCES);
	fd = ivshmem_export_dmabuf(shm, 0, 4096, IVSHMEM_RDONLY);
	assert_true(fd >= 0);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	close(fd);
	ivshmem_close(shm);
	assert_true(allow_pinning(false));
}

static void plain_device_has_no_interrupts(void **state)
{
	struct ivshmem *shm = open_region(node, 0);
	enum ivshmem_peer_change change;
	unsigned int peer;

	if (ivshmem_kind(shm) != IVSHMEM_PLAIN) {
		ivshmem_close(shm);
		skip_because("needs a plain device");
	}
	assert_int_equal(ivshmem_vectors(shm), 0);
	assert_int_equal(ivshmem_peer_id(shm), -ENOTSUP);
	assert_int_equal(ivshmem_notify(shm, 0, 0), -ENOTSUP);
	assert_int_equal(ivshmem_event_fd(shm, 0), -ENOTSUP);
	assert_int_equal(ivshmem_wait(shm, 0, -1), -ENOTSUP);
	assert_int_equal(ivshmem_peers(shm, NULL, 0), -ENOTSUP);
	assert_int_equal(ivshmem_peer_next(shm, -1, &change, &peer), -ENOTSUP);
	ivshmem_close(shm);
}

static void assert_same_memory(const char *where)
{
	struct ivshmem *a = map_region(node, 0);
	struct ivshmem *b = map_region(where, 0);
	char *in_a = ivshmem_data(a), *in_b = ivshmem_data(b);

	assert_string_equal(ivshmem_path(b), node);
	assert_string_equal(ivshmem_location(b), address);
	assert_true(ivshmem_size(b) == size);
	snprintf(in_a + size - 64, 64, "by %s", where);
	assert_string_equal(in_b + size - 64, in_a + size - 64);
	in_b[0] = 0x55;
	assert_int_equal(in_a[0], 0x55);
	in_b[0] = 0x2a;
	assert_int_equal(in_a[0], 0x2a);
	assert_int_equal(ivshmem_sync(b), 0);
	ivshmem_close(a);
	ivshmem_close(b);
}

static void open_by_node_reaches_the_memory(void **state)
{
	assert_same_memory(node);
}

static void open_by_pci_address_reaches_the_memory(void **state)
{
	assert_same_memory(address);
	if (!strncmp(address, "0000:", 5))
		assert_same_memory(address + 5);
}

static void open_by_link_reaches_the_memory(void **state)
{
	assert_int_equal(symlink(node, in_shm("link")), 0);
	assert_same_memory(in_shm("link"));
}

static void open_by_path_name_reaches_the_memory(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/ivshmem/by-path/pci-%s", address);
	if (access(path, F_OK))
		skip_because("no by-path names: no udev rules here");
	assert_same_memory(path);
}

static void rdonly_mapping_of_device_can_never_be_written(void **state)
{
	struct ivshmem *shm = map_region(node, IVSHMEM_RDONLY);
	void *data = ivshmem_data(shm);

	assert_int_equal(in_child(touch, data), SIGSEGV);
	assert_int_equal(mprotect(data, 4096, PROT_READ | PROT_WRITE), -1);
	assert_int_equal(errno, EACCES);
	ivshmem_close(shm);
}

static void open_of_node_without_permission_fails_eacces(void **state)
{
	struct stat st;

	assert_int_equal(stat(node, &st), 0);
	if (st.st_mode & 07)
		skip_because("the node is open to all");
	assert_int_equal(seteuid(NOBODY), 0);
	assert_open_fails(node, 0, -EACCES);
	assert_open_fails(address, IVSHMEM_RDONLY, -EACCES);
}

static void create_on_node_fails(void **state)
{
	assert_create_fails(node, size, 0600, 0, -EEXIST);
	assert_create_fails(node, size, 0600, IVSHMEM_EXIST_OK, -ENOTSUP);
}

static void unbound_device_tells_enodev(void **state)
{
	struct ivshmem *shm = map_region(node, 0);
	struct ivshmem *unmapped = open_region(node, 0);
	struct pollfd poller = { .fd = ivshmem_fd(shm), .events = POLLIN };
	char *data = ivshmem_data(shm);

	unbind();
	assert_int_equal(ivshmem_check(shm), -ENODEV);
	assert_int_equal(ivshmem_sync(shm), -ENODEV);
	assert_int_equal(ivshmem_map(unmapped), -ENODEV);
	assert_null(ivshmem_data(unmapped));
	assert_int_equal(poll(&poller, 1, 0), 1);
	assert_int_equal(poller.revents & (POLLHUP | POLLERR), POLLHUP | POLLERR);
	assert_int_equal(in_child(touch, data), SIGBUS);
	assert_true(ivshmem_size(shm) == size);
	assert_string_equal(ivshmem_location(shm), address);
	bind();
	assert_int_equal(ivshmem_check(shm), -ENODEV);
	assert_int_equal(in_child(touch, data), SIGBUS);
	assert_int_equal(ivshmem_unmap(shm), 0);
	ivshmem_close(shm);
	ivshmem_close(unmapped);
}

static void unbound_device_is_listed_without_node(void **state)
{
	const struct ivshmem_device *device;
	struct ivshmem_device_list *list;

	unbind();
	assert_int_equal(ivshmem_list(&list), 0);
	device = find(list);
	assert_non_null(device);
	assert_null(ivshmem_device_node(device));
	assert_null(ivshmem_device_driver(device));
	assert_true(ivshmem_device_size(device) == size);
	ivshmem_list_free(list);
	assert_open_fails(address, 0, -ENODEV);
	bind();
}

static void stale_node_fails_enodev(void **state)
{
	struct statvfs fs;
	struct stat st;

	assert_int_equal(statvfs(fixture.shm, &fs), 0);
	assert_int_equal(stat(node, &st), 0);
	if (fs.f_flag & ST_NODEV || mknod(in_shm("stale"), S_IFCHR | 0600, st.st_rdev))
		skip_because("no device nodes in /dev/shm here");
	unbind();
	assert_open_fails(in_shm("stale"), 0, -ENODEV);
	bind();
}

static void memory_survives_rebinding(void **state)
{
	struct ivshmem *shm = map_region(node, 0);

	strcpy(ivshmem_data(shm), "still here");
	ivshmem_close(shm);
	unbind();
	bind();
	shm = map_region(address, 0);
	assert_string_equal(ivshmem_data(shm), "still here");
	ivshmem_close(shm);
}

static void monitor_tells_unbind_and_bind(void **state)
{
	struct ivshmem_monitor *monitor;
	struct ivshmem_device *device;
	enum ivshmem_change change;

	if (access("/run/udev/control", F_OK))
		skip_because("no udevd here");
	/* What the tests before have done may not be told yet. */
	assert_int_equal(system("udevadm settle"), 0);
	assert_int_equal(ivshmem_monitor_open(&monitor), 0);

	unbind();
	assert_int_equal(ivshmem_monitor_next(monitor, PATIENCE_MS, &change, &device), 0);
	assert_int_equal(change, IVSHMEM_REMOVED);
	assert_string_equal(ivshmem_device_address(device), address);
	assert_string_equal(ivshmem_device_node(device), node);
	assert_null(ivshmem_device_driver(device));
	ivshmem_device_free(device);

	bind();
	assert_int_equal(ivshmem_monitor_next(monitor, PATIENCE_MS, &change, &device), 0);
	assert_int_equal(change, IVSHMEM_ADDED);
	assert_string_equal(ivshmem_device_address(device), address);
	assert_string_equal(ivshmem_device_node(device), node);
	assert_string_equal(ivshmem_device_driver(device), "ivshmem");
	assert_true(ivshmem_device_size(device) == size);
	ivshmem_device_free(device);

	assert_int_equal(ivshmem_monitor_next(monitor, 200, &change, &device), -ETIMEDOUT);
	ivshmem_monitor_close(monitor);
}

static void resource2_has_the_same_facts(void **state)
{
	struct ivshmem *shm = open_region(node, 0);
	int kind = ivshmem_kind(shm);
	char real[PATH_MAX];

	ivshmem_close(shm);
	unbind();
	shm = open_region(in_pci_folder("resource2"), 0);
	assert_true(ivshmem_size(shm) == size);
	assert_string_equal(ivshmem_location(shm), address);
	assert_int_equal(ivshmem_side(shm), IVSHMEM_GUEST);
	assert_int_equal(ivshmem_kind(shm), kind);
	assert_string_equal(ivshmem_mapping(shm), "resource2");
	assert_string_equal(ivshmem_cache(shm), "uncached");
	assert_non_null(realpath(in_pci_folder("resource2"), real));
	assert_string_equal(ivshmem_path(shm), real);
	assert_int_equal(ivshmem_check(shm), 0);
	ivshmem_close(shm);
	bind();
}

/* Whether a claimed BAR can be mapped is the kernel's choice. */
static void claimed_resource2_can_be_mapped_or_fails_ebusy_at_open(void **state)
{
	struct ivshmem *shm = NULL;
	int err;

	err = ivshmem_open(&shm, in_pci_folder("resource2"), 0);
	if (err)
		assert_int_equal(err, -EBUSY);
	else
		assert_int_equal(ivshmem_map(shm), 0);
	ivshmem_close(shm);

	unbind();
	shm = open_region(in_pci_folder("resource2"), 0);
	bind();
	assert_int_equal(ivshmem_map(shm), err);
	ivshmem_close(shm);
}

static void resource2_without_driver_reaches_the_memory(void **state)
{
	struct ivshmem *shm = map_region(node, 0);

	strcpy(ivshmem_data(shm), "by node");
	ivshmem_close(shm);

	unbind();
	shm = map_region(in_pci_folder("resource2"), 0);
	assert_string_equal(ivshmem_data(shm), "by node");
	strcpy(ivshmem_data(shm), "by resource2");
	assert_int_equal(ivshmem_sync(shm), 0);
	ivshmem_close(shm);

	bind();
	shm = map_region(node, 0);
	assert_string_equal(ivshmem_data(shm), "by resource2");
	ivshmem_close(shm);
}

static void address_without_driver_opens_resource2_only_where_the_caller_allows(void **state)
{
	struct ivshmem *shm = NULL;

	shm = open_region(address, IVSHMEM_RESOURCE2 | IVSHMEM_RDONLY);
	assert_string_equal(ivshmem_path(shm), node);
	ivshmem_close(shm);

	unbind();
	assert_open_fails(address, 0, -ENODEV);
	shm = map_region(address, IVSHMEM_RESOURCE2);
	assert_string_equal(ivshmem_mapping(shm), "resource2");
	assert_string_equal(ivshmem_location(shm), address);
	strcpy(ivshmem_data(shm), "by address");
	ivshmem_close(shm);

	bind();
	shm = map_region(node, 0);
	assert_string_equal(ivshmem_data(shm), "by address");
	ivshmem_close(shm);
}

static void resource2_with_decoding_off_gets_switched_on(void **state)
{
	uint16_t command, off;
	struct ivshmem *shm;
	int fd;

	shm = map_region(node, 0);
	strcpy(ivshmem_data(shm), "decoded");
	ivshmem_close(shm);

	unbind();
	fd = open(in_pci_folder("config"), O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &command, 2, 4), 2);
	off = command & (uint16_t)~2;
	assert_int_equal(pwrite(fd, &off, 2, 4), 2);
	shm = map_region(in_pci_folder("resource2"), 0);
	assert_int_equal(pread(fd, &command, 2, 4), 2);
	assert_int_equal(command & 2, 2);
	assert_string_equal(ivshmem_data(shm), "decoded");
	ivshmem_close(shm);
	close(fd);
	assert_true(write_sysfs(in_pci_folder("enable"), "0"));
	bind();
}

static void other_file_of_the_device_fails_enotsup(void **state)
{
	assert_open_fails(in_pci_folder("config"), 0, -ENOTSUP);
	assert_open_fails(in_pci_folder("resource"), IVSHMEM_RDONLY, -ENOTSUP);
	assert_open_fails(in_pci_folder("resource0"), 0, -ENOTSUP);
}

static void removed_device_is_gone_everywhere(void **state)
{
	struct ivshmem_device_list *list;
	struct ivshmem *shm, *resource2;

	unbind();
	resource2 = open_region(in_pci_folder("resource2"), 0);
	bind();
	shm = map_region(node, 0);
	assert_true(write_sysfs(in_pci_folder("remove"), "1"));
	assert_int_equal(ivshmem_check(shm), -ENODEV);
	assert_int_equal(ivshmem_check(resource2), -ENODEV);
	assert_int_equal(in_child(touch, ivshmem_data(shm)), SIGBUS);
	assert_open_fails(address, 0, -ENOENT);
	assert_open_fails(node, 0, -ENOENT);
	assert_int_equal(ivshmem_list(&list), 0);
	assert_null(find(list));
	ivshmem_list_free(list);

	assert_true(write_sysfs("/sys/bus/pci/rescan", "1"));
	wait_for_node();
	assert_int_equal(ivshmem_check(shm), -ENODEV);
	assert_int_equal(ivshmem_check(resource2), -ENODEV);
	ivshmem_close(shm);
	ivshmem_close(resource2);
}

static bool choose_device(void)
{
	const struct ivshmem_device *device;
	struct ivshmem_device_list *list;
	size_t i;

	if (ivshmem_list(&list))
		return false;
	for (i = 0; (device = ivshmem_list_get(list, i)); i++) {
		if (!ivshmem_device_node(device))
			continue;
		snprintf(address, sizeof(address), "%s", ivshmem_device_address(device));
		snprintf(node, sizeof(node), "%s", ivshmem_device_node(device));
		size = ivshmem_device_size(device);
		break;
	}
	ivshmem_list_free(list);
	return size;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUEST_TEST(list_shows_the_device_with_its_facts),
		GUEST_TEST(list_is_sorted),
		GUEST_TEST(guest_facts_agree_with_sysfs),
		GUEST_TEST(dmabuf_without_leave_to_pin_fails),
		GUEST_TEST(dmabuf_of_a_part_shows_that_part),
		GUEST_TEST(dmabuf_for_reading_is_all_that_a_rdonly_handle_gives),
		GUEST_TEST(plain_device_has_no_interrupts),
		GUEST_TEST(open_by_node_reaches_the_memory),
		GUEST_TEST(open_by_pci_address_reaches_the_memory),
		GUEST_TEST(open_by_link_reaches_the_memory),
		GUEST_TEST(open_by_path_name_reaches_the_memory),
		GUEST_TEST(rdonly_mapping_of_device_can_never_be_written),
		GUEST_TEST(open_of_node_without_permission_fails_eacces),
		GUEST_TEST(create_on_node_fails),
		GUEST_TEST(unbound_device_tells_enodev),
		GUEST_TEST(unbound_device_is_listed_without_node),
		GUEST_TEST(stale_node_fails_enodev),
		GUEST_TEST(memory_survives_rebinding),
		GUEST_TEST(monitor_tells_unbind_and_bind),
		GUEST_TEST(resource2_has_the_same_facts),
		GUEST_TEST(claimed_resource2_can_be_mapped_or_fails_ebusy_at_open),
		GUEST_TEST(resource2_without_driver_reaches_the_memory),
		GUEST_TEST(address_without_driver_opens_resource2_only_where_the_caller_allows),
		GUEST_TEST(resource2_with_decoding_off_gets_switched_on),
		GUEST_TEST(other_file_of_the_device_fails_enotsup),
		GUEST_TEST(removed_device_is_gone_everywhere),
	};

	if (getuid() || !choose_device()) {
		printf("1..0 # SKIP %s\n", getuid() ? "needs root" : "no /dev/ivshmem0");
		return 0;
	}
	return run("guest", tests, ARRAY_SIZE(tests));
}
