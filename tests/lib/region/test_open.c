// SPDX-License-Identifier: MIT
#include "fixture.h"

#include <glob.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

static void open_null_handle_fails_einval(void **state)
{
	assert_int_equal(ivshmem_open(NULL, make_file("region", MIB), 0), -EINVAL);
}

static void open_null_where_fails_einval(void **state)
{
	assert_open_fails(NULL, 0, -EINVAL);
}

static void open_empty_where_fails_einval(void **state)
{
	assert_open_fails("", 0, -EINVAL);
}

static void open_unknown_flag_fails_einval(void **state)
{
	const char *path = make_file("region", MIB);

	assert_open_fails(path, IVSHMEM_EXIST_OK, -EINVAL);
	assert_open_fails(path, 1u << 31, -EINVAL);
}

static void open_file_with_resource2_allowed_is_a_host_region(void **state)
{
	struct ivshmem *shm = open_region(make_file("region", MIB), IVSHMEM_RESOURCE2);

	assert_string_equal(ivshmem_mapping(shm), "file");
	ivshmem_close(shm);
}

static void open_missing_file_fails_enoent(void **state)
{
	assert_open_fails(in_shm("nothing"), 0, -ENOENT);
	assert_false(exists(in_shm("nothing")));
	assert_open_fails(in_shm("no/such/folder"), 0, -ENOENT);
}

static void open_directory_fails_eisdir(void **state)
{
	assert_open_fails(fixture.shm, 0, -EISDIR);
	assert_open_fails(in_shm(""), 0, -EISDIR);
	assert_open_fails(in_shm("."), 0, -EISDIR);
	assert_open_fails(in_shm(".."), IVSHMEM_RDONLY, -EISDIR);
	assert_open_fails("/", 0, -EISDIR);
	assert_open_fails(".", 0, -EISDIR);
}

static void open_file_with_slash_fails_enotdir(void **state)
{
	make_file("region", MIB);
	assert_open_fails(in_shm("region/"), 0, -ENOTDIR);
	assert_open_fails(in_shm("region/x"), 0, -ENOTDIR);
}

static void open_long_path_fails_enametoolong(void **state)
{
	char path[PATH_MAX + 2];

	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_open_fails(path, 0, -ENAMETOOLONG);
	path[NAME_MAX + 1] = '\0';
	assert_open_fails(path, 0, -ENAMETOOLONG);
	path[NAME_MAX] = '\0';
	assert_open_fails(path, 0, -ENOENT);
}

static void open_fifo_fails_enotsup(void **state)
{
	const char *path = in_shm("fifo");

	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(5);
	assert_open_fails(path, 0, -ENOTSUP);
	assert_open_fails(path, IVSHMEM_RDONLY, -ENOTSUP);
	alarm(0);
}

static void open_socket_fails_enotsup(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, in_shm("socket"));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_open_fails(address.sun_path, 0, -ENOTSUP);
	close(fd);
}

static void open_block_device_fails_enotsup(void **state)
{
	const char *path = in_shm("block");

	skip_unless_root();
	assert_int_equal(mknod(path, S_IFBLK | 0600, makedev(7, 0)), 0);
	assert_open_fails(path, 0, -ENOTSUP);
}

static void open_foreign_device_fails_enotty(void **state)
{
	assert_open_fails("/dev/null", 0, -ENOTTY);
	assert_open_fails("/dev/zero", IVSHMEM_RDONLY, -ENOTTY);
	assert_open_fails("/dev/ptmx", 0, -ENOTTY);
	assert_open_fails("/dev/tty", 0, -ENOTTY);
}

static void open_number_without_driver_fails_enodev(void **state)
{
	const char *path = in_shm("stale");

	skip_unless_root();
	assert_int_equal(mknod(path, S_IFCHR | 0600, makedev(4095, 0)), 0);
	assert_open_fails(path, 0, -ENODEV);
}

/* To open a watchdog starts it: a look must do. */
static void open_foreign_thing_does_not_open_it(void **state)
{
	static const char * const things[] = { "fifo", "null" };
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct inotify_event event;
	struct ivshmem *shm;
	size_t i;

	assert_true(fd >= 0);
	assert_int_equal(mkfifo(in_shm("fifo"), 0600), 0);
	make_null_device("null");
	for (i = 0; i < ARRAY_SIZE(things); i++) {
		if (!exists(in_shm(things[i])))
			continue;
		assert_true(inotify_add_watch(fd, in_shm(things[i]), IN_OPEN) >= 0);
		assert_true(ivshmem_open(&shm, in_shm(things[i]), 0) < 0);
	}
	assert_int_equal(read(fd, &event, sizeof(event)), -1);
	assert_int_equal(errno, EAGAIN);
	close(fd);
}

static void open_empty_file_fails_enodata(void **state)
{
	assert_open_fails(make_file("empty", 0), 0, -ENODATA);
}

static void open_odd_size_fails_einval(void **state)
{
	const off_t sizes[] = { 1, 4095, 4097, MIB + 1, MIB - 1, 4 * GIB + 1 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_open_fails(make_file("odd", sizes[i]), 0, -EINVAL);
		unlink(in_shm("odd"));
	}
}

static void open_any_page_multiple_succeeds(void **state)
{
	const uint64_t sizes[] = { 4 * KIB, 12 * KIB, MIB, 2 * GIB, 4 * GIB - 4 * KIB,
				   4 * GIB, 4 * GIB + 4 * KIB, 8 * GIB };
	struct ivshmem *shm;
	size_t i;

	if (sysconf(_SC_PAGESIZE) != 4096)
		skip_because("pages are not of 4 KiB");
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		shm = open_region(make_file("region", (off_t)sizes[i]), 0);
		assert_true(ivshmem_size(shm) == sizes[i]);
		ivshmem_close(shm);
		unlink(in_shm("region"));
	}
}

static void open_leaves_file_alone(void **state)
{
	const char *path = make_file("region", MIB);
	struct stat before, after;

	assert_int_equal(stat(path, &before), 0);
	ivshmem_close(open_region(path, 0));
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
}

static void open_without_permission_fails_eacces(void **state)
{
	const char *path = make_file("region", MIB);

	skip_unless_root();
	assert_int_equal(chmod(fixture.shm, 0755), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_open_fails(path, 0, -EACCES);
	assert_open_fails(path, IVSHMEM_RDONLY, -EACCES);
}

static void open_in_closed_folder_fails_eacces(void **state)
{
	const char *path = make_file("region", MIB);

	skip_unless_root();
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_open_fails(path, 0, -EACCES);
}

static void open_readonly_file_needs_rdonly(void **state)
{
	const char *path = make_file("region", MIB);

	skip_unless_root();
	assert_int_equal(chmod(fixture.shm, 0755), 0);
	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_open_fails(path, 0, -EACCES);
	ivshmem_close(open_region(path, IVSHMEM_RDONLY));
}

static void open_sets_cloexec(void **state)
{
	struct ivshmem *shm = open_region(make_file("region", MIB), 0);

	assert_true(fcntl(ivshmem_fd(shm), F_GETFD) & FD_CLOEXEC);
	ivshmem_close(shm);
}

static void open_without_free_descriptor_fails_emfile(void **state)
{
	const char *path = make_file("region", MIB);
	struct rlimit old, limit;
	int spare, err, free_count;
	struct ivshmem *shm;

	spare = dup(0);
	close(spare);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (free_count = 0; free_count < 8; free_count++) {
		shm = POISON;
		limit = old;
		limit.rlim_cur = (rlim_t)(spare + free_count);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		err = ivshmem_open(&shm, path, 0);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		if (!err)
			break;
		assert_int_equal(err, -EMFILE);
		assert_ptr_equal(shm, POISON);
	}
	assert_int_equal(err, 0);
	assert_true(free_count > 0);
	ivshmem_close(shm);
}

static void host_facts_are_those_of_the_file(void **state)
{
	const char *path = make_file("region", 64 * MIB);
	struct ivshmem *shm = open_region(path, 0);

	assert_true(ivshmem_size(shm) == 64 * MIB);
	assert_string_equal(ivshmem_path(shm), path);
	assert_string_equal(ivshmem_location(shm), path);
	assert_int_equal(ivshmem_side(shm), IVSHMEM_HOST);
	assert_int_equal(ivshmem_kind(shm), IVSHMEM_PLAIN);
	assert_string_equal(ivshmem_mapping(shm), "file");
	assert_string_equal(ivshmem_cache(shm), "write-back");
	assert_true(ivshmem_page_size(shm) == (uint64_t)sysconf(_SC_PAGESIZE));
	assert_int_equal(ivshmem_export_dmabuf(shm, 0, 4096, 0), -ENOTSUP);
	assert_int_equal(ivshmem_export_dmabuf(shm, 0, 4096, 1u << 7), -EINVAL);
	assert_int_equal(ivshmem_export_dmabuf(shm, 1, 4096, 0), -EINVAL);
	assert_int_equal(ivshmem_export_dmabuf(shm, 0, 0, 0), -EINVAL);
	assert_int_equal(ivshmem_export_dmabuf(shm, ivshmem_size(shm), 4096, 0), -EINVAL);
	assert_true(ivshmem_fd(shm) >= 0);
	assert_int_equal(ivshmem_check(shm), 0);
	ivshmem_close(shm);
}

static void facts_of_null_are_none(void **state)
{
	assert_true(ivshmem_size(NULL) == 0);
	assert_null(ivshmem_path(NULL));
	assert_null(ivshmem_location(NULL));
	assert_int_equal(ivshmem_side(NULL), -EINVAL);
	assert_int_equal(ivshmem_kind(NULL), -EINVAL);
	assert_null(ivshmem_mapping(NULL));
	assert_null(ivshmem_cache(NULL));
	assert_true(ivshmem_page_size(NULL) == 0);
	assert_int_equal(ivshmem_export_dmabuf(NULL, 0, 4096, 0), -EINVAL);
	assert_int_equal(ivshmem_fd(NULL), -EINVAL);
	assert_int_equal(ivshmem_check(NULL), -EINVAL);
}

static void path_is_absolute_and_free_of_links(void **state)
{
	static const char * const spellings[] = {
		"region", "./region", "folder/../region", ".//region", "link",
		"folder/up/region", "folder/link",
	};
	struct ivshmem *shm;
	char expected[PATH_MAX];
	size_t i;

	strcpy(expected, make_file("region", MIB));
	assert_int_equal(chdir(fixture.shm), 0);
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_int_equal(symlink("region", "link"), 0);
	assert_int_equal(symlink("..", "folder/up"), 0);
	assert_int_equal(symlink("../link", "folder/link"), 0);
	for (i = 0; i < ARRAY_SIZE(spellings); i++) {
		shm = open_region(spellings[i], 0);
		assert_string_equal(ivshmem_path(shm), expected);
		ivshmem_close(shm);
	}
}

static void open_by_proc_fd_takes_memfd(void **state)
{
	char path[64];
	struct ivshmem *shm;
	int fd = memfd_create("region", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, MIB), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	shm = open_region(path, 0);
	assert_true(ivshmem_size(shm) == MIB);
	ivshmem_close(shm);
	close(fd);
}

static void open_link_loop_fails_eloop(void **state)
{
	assert_int_equal(symlink("loop", in_shm("loop")), 0);
	assert_open_fails(in_shm("loop"), 0, -ELOOP);
}

static void open_dangling_link_fails_enoent(void **state)
{
	assert_int_equal(symlink("nothing", in_shm("link")), 0);
	assert_open_fails(in_shm("link"), 0, -ENOENT);
}

static void open_chain_of_links_has_the_kernels_limit(void **state)
{
	char from[16], to[16] = "region";
	int fd, i;

	make_file("region", MIB);
	assert_int_equal(chdir(fixture.shm), 0);
	for (i = 1; i <= 41; i++) {
		snprintf(from, sizeof(from), "link%d", i);
		assert_int_equal(symlink(to, from), 0);
		strcpy(to, from);
	}
	fd = open("link40", O_RDONLY);
	assert_true(fd >= 0);
	close(fd);
	ivshmem_close(open_region("link40", 0));
	assert_open_fails("link41", 0, -ELOOP);
}

static void open_own_link_in_shared_folder_succeeds(void **state)
{
	make_file("region", MIB);
	assert_int_equal(symlink("region", in_shm("link")), 0);
	assert_int_equal(chmod(fixture.shm, 01777), 0);
	ivshmem_close(open_region(in_shm("link"), 0));
}

static void open_foreign_link_in_shared_folder_fails_eloop(void **state)
{
	skip_unless_root();
	make_file("region", MIB);
	assert_int_equal(symlink("region", in_shm("link")), 0);
	assert_int_equal(lchown(in_shm("link"), NOBODY, NOBODY), 0);
	assert_int_equal(chmod(fixture.shm, 01777), 0);
	assert_open_fails(in_shm("link"), 0, -ELOOP);
	assert_open_fails(in_shm("link"), IVSHMEM_RDONLY, -ELOOP);
}

static void open_trusted_link_to_foreign_link_fails_eloop(void **state)
{
	char target[PATH_MAX];

	skip_unless_root();
	make_file("region", MIB);
	assert_int_equal(symlink("region", in_shm("link")), 0);
	assert_int_equal(lchown(in_shm("link"), NOBODY, NOBODY), 0);
	assert_int_equal(chmod(fixture.shm, 01777), 0);
	strcpy(target, in_shm("link"));
	snprintf(fixture.path, sizeof(fixture.path), "%s/link", fixture.tmp);
	assert_int_equal(symlink(target, fixture.path), 0);
	assert_open_fails(fixture.path, 0, -ELOOP);
}

static void open_folder_owners_link_in_shared_folder_succeeds(void **state)
{
	skip_unless_root();
	assert_int_equal(chmod(make_file("region", MIB), 0666), 0);
	assert_int_equal(symlink("region", in_shm("link")), 0);
	assert_int_equal(chmod(fixture.shm, 01777), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	ivshmem_close(open_region(in_shm("link"), 0));
}

static void open_foreign_link_in_private_folder_succeeds(void **state)
{
	skip_unless_root();
	make_file("region", MIB);
	assert_int_equal(symlink("region", in_shm("link")), 0);
	assert_int_equal(lchown(in_shm("link"), NOBODY, NOBODY), 0);
	ivshmem_close(open_region(in_shm("link"), 0));
}

static void open_absent_pci_address_fails_enoent(void **state)
{
	assert_open_fails("ffff:ff:1f.7", 0, -ENOENT);
	assert_open_fails("fffffffe:ff:1f.7", 0, -ENOENT);
	assert_open_fails("ff:1f.7", 0, -ENOENT);
}

static void open_pci_address_of_other_device_fails_enoent(void **state)
{
	char text[16];
	glob_t found;
	size_t i;
	int fd;

	if (glob("/sys/bus/pci/devices/*/vendor", 0, NULL, &found))
		skip_because("no PCI devices here");
	for (i = 0; i < found.gl_pathc; i++) {
		fd = open(found.gl_pathv[i], O_RDONLY);
		assert_int_equal(read(fd, text, 6), 6);
		close(fd);
		if (strncmp(text, "0x1af4", 6))
			break;
	}
	if (i == found.gl_pathc) {
		globfree(&found);
		skip_because("no PCI device of another vendor here");
	}
	*strrchr(found.gl_pathv[i], '/') = '\0';
	assert_open_fails(strrchr(found.gl_pathv[i], '/') + 1, 0, -ENOENT);
	globfree(&found);
}

/* What is no address in full is a path. */
static void open_file_named_like_half_an_address_succeeds(void **state)
{
	static const char * const names[] = {
		"00:04", "0:4.0", "00:04.8", "00:20.0", "00:04.0x", "000:00:04.0",
		"00:04.00", "0000:00:04", " 00:04.0", "+0:04.0", "000000000:00:04.0",
	};
	struct ivshmem *shm;
	size_t i;

	assert_int_equal(chdir(fixture.shm), 0);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		make_file(names[i], MIB);
		shm = open_region(names[i], 0);
		assert_string_equal(ivshmem_path(shm), in_shm(names[i]));
		ivshmem_close(shm);
	}
}

static void open_file_named_like_an_address_needs_its_path(void **state)
{
	assert_int_equal(chdir(fixture.shm), 0);
	make_file("ff:1f.7", MIB);
	assert_open_fails("ff:1f.7", 0, -ENOENT);
	ivshmem_close(open_region("./ff:1f.7", 0));
}

static void open_other_sysfs_file_fails_enotsup(void **state)
{
	if (access("/sys/kernel/uevent_seqnum", F_OK))
		skip_because("no sysfs here");
	assert_open_fails("/sys/kernel/uevent_seqnum", 0, -ENOTSUP);
	assert_open_fails("/sys/kernel/uevent_seqnum", IVSHMEM_RDONLY, -ENOTSUP);
}

static void open_resource2_of_other_device_fails_enodev(void **state)
{
	char text[16], path[PATH_MAX];
	glob_t found;
	size_t i;
	int fd;

	skip_unless_root();
	if (glob("/sys/bus/pci/devices/*/resource2", 0, NULL, &found))
		skip_because("no PCI device with a resource2 here");
	for (i = 0; i < found.gl_pathc; i++) {
		snprintf(path, sizeof(path), "%.*s/device",
			 (int)(strrchr(found.gl_pathv[i], '/') - found.gl_pathv[i]),
			 found.gl_pathv[i]);
		fd = open(path, O_RDONLY);
		assert_int_equal(read(fd, text, 6), 6);
		close(fd);
		if (strncmp(text, "0x1110", 6))
			break;
	}
	if (i == found.gl_pathc) {
		globfree(&found);
		skip_because("no other PCI device with a resource2 here");
	}
	assert_open_fails(found.gl_pathv[i], 0, -ENODEV);
	globfree(&found);
}

/* Only a resource2 of sysfs is one. */
static void open_file_named_resource2_is_a_host_region(void **state)
{
	struct ivshmem *shm = open_region(make_file("resource2", MIB), 0);

	assert_int_equal(ivshmem_side(shm), IVSHMEM_HOST);
	ivshmem_close(shm);
}

static void close_null_does_nothing(void **state)
{
	ivshmem_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(open_null_handle_fails_einval),
		TEST(open_null_where_fails_einval),
		TEST(open_empty_where_fails_einval),
		TEST(open_unknown_flag_fails_einval),
		TEST(open_file_with_resource2_allowed_is_a_host_region),
		TEST(open_missing_file_fails_enoent),
		TEST(open_directory_fails_eisdir),
		TEST(open_file_with_slash_fails_enotdir),
		TEST(open_long_path_fails_enametoolong),
		TEST(open_fifo_fails_enotsup),
		TEST(open_socket_fails_enotsup),
		TEST(open_block_device_fails_enotsup),
		TEST(open_foreign_device_fails_enotty),
		TEST(open_number_without_driver_fails_enodev),
		TEST(open_foreign_thing_does_not_open_it),
		TEST(open_empty_file_fails_enodata),
		TEST(open_odd_size_fails_einval),
		TEST(open_any_page_multiple_succeeds),
		TEST(open_leaves_file_alone),
		TEST(open_without_permission_fails_eacces),
		TEST(open_in_closed_folder_fails_eacces),
		TEST(open_readonly_file_needs_rdonly),
		TEST(open_sets_cloexec),
		TEST(open_without_free_descriptor_fails_emfile),
		TEST(host_facts_are_those_of_the_file),
		TEST(facts_of_null_are_none),
		TEST(path_is_absolute_and_free_of_links),
		TEST(open_by_proc_fd_takes_memfd),
		TEST(open_link_loop_fails_eloop),
		TEST(open_dangling_link_fails_enoent),
		TEST(open_chain_of_links_has_the_kernels_limit),
		TEST(open_own_link_in_shared_folder_succeeds),
		TEST(open_foreign_link_in_shared_folder_fails_eloop),
		TEST(open_trusted_link_to_foreign_link_fails_eloop),
		TEST(open_folder_owners_link_in_shared_folder_succeeds),
		TEST(open_foreign_link_in_private_folder_succeeds),
		TEST(open_absent_pci_address_fails_enoent),
		TEST(open_pci_address_of_other_device_fails_enoent),
		TEST(open_file_named_like_half_an_address_succeeds),
		TEST(open_file_named_like_an_address_needs_its_path),
		TEST(open_other_sysfs_file_fails_enotsup),
		TEST(open_resource2_of_other_device_fails_enodev),
		TEST(open_file_named_resource2_is_a_host_region),
		TEST(close_null_does_nothing),
	};

	return run("open", tests, ARRAY_SIZE(tests));
}
