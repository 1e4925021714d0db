// SPDX-License-Identifier: MIT
#include "fixture.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#define CREATORS	8

static struct stat stat_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void create_region(const char *path, uint64_t size, mode_t mode,
			  unsigned int flags)
{
	struct ivshmem *shm = NULL;

	assert_int_equal(ivshmem_create(&shm, path, size, mode, flags), 0);
	assert_true(ivshmem_size(shm) == size);
	ivshmem_close(shm);
}

static void create_null_arguments_fail_einval(void **state)
{
	assert_int_equal(ivshmem_create(NULL, in_shm("new"), MIB, 0600, 0), -EINVAL);
	assert_false(exists(in_shm("new")));
	assert_create_fails(NULL, MIB, 0600, 0, -EINVAL);
	assert_create_fails("", MIB, 0600, 0, -EINVAL);
}

static void create_unknown_flag_fails_einval(void **state)
{
	assert_create_fails(in_shm("new"), MIB, 0600, IVSHMEM_RDONLY, -EINVAL);
	assert_create_fails(in_shm("new"), MIB, 0600, 1u << 31, -EINVAL);
	assert_false(exists(in_shm("new")));
}

static void create_bad_mode_fails_einval(void **state)
{
	assert_create_fails(in_shm("new"), MIB, 010000, 0, -EINVAL);
	assert_create_fails(in_shm("new"), MIB, S_IFREG | 0600, 0, -EINVAL);
	assert_create_fails(in_shm("new"), MIB, (mode_t)-1, 0, -EINVAL);
	assert_false(exists(in_shm("new")));
}

static void create_bad_size_fails_einval(void **state)
{
	const uint64_t sizes[] = { 0, 1, 2 * KIB, 4 * KIB + 1, 12 * KIB, MIB - 1,
				   3 * GIB, UINT64_MAX, INT64_MAX };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_create_fails(in_shm("new"), sizes[i], 0600, 0, -EINVAL);
	assert_false(exists(in_shm("new")));
}

static void create_beyond_off_t_fails_efbig(void **state)
{
	assert_create_fails(in_shm("new"), 1ull << 63, 0600, 0, -EFBIG);
	assert_false(exists(in_shm("new")));
}

static void create_every_power_of_two_succeeds(void **state)
{
	uint64_t size;

	for (size = (uint64_t)sysconf(_SC_PAGESIZE); size <= 8 * GIB; size *= 2) {
		create_region(in_shm("new"), size, 0600, 0);
		assert_true((uint64_t)stat_of(in_shm("new")).st_size == size);
		unlink(in_shm("new"));
	}
}

static void create_outside_tmpfs_succeeds(void **state)
{
	snprintf(fixture.path, sizeof(fixture.path), "%s/new", fixture.tmp);
	create_region(fixture.path, MIB, 0600, 0);
	ivshmem_close(map_region(fixture.path, 0));
}

static void create_gives_zeroes_and_facts(void **state)
{
	const char *path = in_shm("new");
	struct ivshmem *shm = NULL;
	const char *data;
	size_t i;

	assert_int_equal(ivshmem_create(&shm, path, MIB, 0600, 0), 0);
	assert_string_equal(ivshmem_path(shm), path);
	assert_string_equal(ivshmem_location(shm), path);
	assert_int_equal(ivshmem_side(shm), IVSHMEM_HOST);
	assert_null(ivshmem_data(shm));
	assert_int_equal(ivshmem_map(shm), 0);
	data = ivshmem_data(shm);
	for (i = 0; i < MIB; i++)
		assert_int_equal(data[i], 0);
	ivshmem_close(shm);
	assert_true(exists(path));
}

static void create_relative_path_succeeds(void **state)
{
	struct ivshmem *shm = NULL;

	assert_int_equal(chdir(fixture.shm), 0);
	assert_int_equal(ivshmem_create(&shm, "new", MIB, 0600, 0), 0);
	assert_string_equal(ivshmem_path(shm), in_shm("new"));
	ivshmem_close(shm);
}

static void create_applies_mode_without_umask(void **state)
{
	const mode_t modes[] = { 0, 0400, 0600, 0640, 0660, 0666, 0777 };
	const mode_t masks[] = { 0, 022, 077, 0777 };
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		for (j = 0; j < ARRAY_SIZE(masks); j++) {
			umask(masks[j]);
			create_region(in_shm("new"), MIB, modes[i], 0);
			assert_int_equal(stat_of(in_shm("new")).st_mode & 07777, modes[i]);
			assert_int_equal(umask(masks[j]), masks[j]);
			unlink(in_shm("new"));
		}
	}
}

static void create_sets_cloexec(void **state)
{
	struct ivshmem *shm = NULL;

	assert_int_equal(ivshmem_create(&shm, in_shm("new"), MIB, 0600, 0), 0);
	assert_true(fcntl(ivshmem_fd(shm), F_GETFD) & FD_CLOEXEC);
	ivshmem_close(shm);
}

static void create_is_sparse_unless_preallocated(void **state)
{
	create_region(in_shm("sparse"), MIB, 0600, 0);
	assert_int_equal(stat_of(in_shm("sparse")).st_blocks, 0);
	create_region(in_shm("full"), MIB, 0600, IVSHMEM_PREALLOCATE);
	assert_int_equal(stat_of(in_shm("full")).st_blocks, MIB / 512);
}

static void create_preallocated_without_room_fails_enospc(void **state)
{
	struct statfs fs;

	assert_int_equal(statfs(fixture.shm, &fs), 0);
	if (!fs.f_blocks || fs.f_blocks > (1ull << 40) / (uint64_t)fs.f_bsize)
		skip_because("/dev/shm has no limit");
	assert_create_fails(in_shm("new"), 1ull << 40, 0600, IVSHMEM_PREALLOCATE,
			    -ENOSPC);
	assert_false(exists(in_shm("new")));
}

static int create_past_limit(void *path)
{
	const struct rlimit limit = { .rlim_cur = MIB, .rlim_max = MIB };
	struct ivshmem *shm = NULL;

	if (setrlimit(RLIMIT_FSIZE, &limit))
		return 1;
	if (ivshmem_create(&shm, path, 2 * MIB, 0600, 0) != -EFBIG)
		return 2;
	if (ivshmem_create(&shm, path, 2 * MIB, 0600, IVSHMEM_PREALLOCATE) != -EFBIG)
		return 3;
	if (exists(path))
		return 4;
	if (ivshmem_create(&shm, path, MIB, 0600, 0))
		return 5;
	ivshmem_close(shm);
	return 0;
}

static void create_past_file_size_limit_fails_efbig_without_signal(void **state)
{
	assert_int_equal(in_child(create_past_limit, (void *)in_shm("new")), 0);
}

static void create_existing_fails_eexist_and_leaves_it_alone(void **state)
{
	const char *path = make_file("old", MIB);

	assert_create_fails(path, MIB, 0666, 0, -EEXIST);
	assert_create_fails(path, 2 * MIB, 0666, IVSHMEM_PREALLOCATE, -EEXIST);
	assert_int_equal(stat_of(path).st_size, MIB);
	assert_int_equal(stat_of(path).st_mode, S_IFREG | 0600);
}

static void create_on_anything_existing_fails_eexist(void **state)
{
	assert_create_fails(fixture.shm, MIB, 0600, 0, -EEXIST);
	if (make_null_device("null"))
		assert_create_fails(in_shm("null"), MIB, 0600, 0, -EEXIST);
	assert_int_equal(symlink("nothing", in_shm("dangling")), 0);
	assert_create_fails(in_shm("dangling"), MIB, 0600, 0, -EEXIST);
	assert_false(exists(in_shm("nothing")));
	assert_true(exists(in_shm("dangling")));
	assert_int_equal(mkfifo(in_shm("fifo"), 0600), 0);
	alarm(5);
	assert_create_fails(in_shm("fifo"), MIB, 0600, 0, -EEXIST);
	alarm(0);
}

static void create_exist_ok_takes_file_of_same_size(void **state)
{
	const char *path = make_file("old", MIB);
	struct ivshmem *shm = map_region(path, 0);
	struct ivshmem *taken = NULL;

	strcpy(ivshmem_data(shm), "kept");
	assert_int_equal(ivshmem_create(&taken, path, MIB, 0666, IVSHMEM_EXIST_OK), 0);
	assert_int_equal(ivshmem_map(taken), 0);
	assert_string_equal(ivshmem_data(taken), "kept");
	assert_int_equal(stat_of(path).st_mode, S_IFREG | 0600);
	ivshmem_close(taken);
	ivshmem_close(shm);
}

static void create_exist_ok_makes_missing_file(void **state)
{
	create_region(in_shm("new"), MIB, 0600, IVSHMEM_EXIST_OK | IVSHMEM_PREALLOCATE);
	assert_int_equal(stat_of(in_shm("new")).st_size, MIB);
}

static void create_exist_ok_other_size_fails_emsgsize(void **state)
{
	const off_t sizes[] = { 0, 1, 4096, 5000, MIB / 2, MIB + 4096, 2 * MIB };
	const char *path;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		path = make_file("old", sizes[i]);
		assert_create_fails(path, MIB, 0600, IVSHMEM_EXIST_OK, -EMSGSIZE);
		assert_int_equal(stat_of(path).st_size, sizes[i]);
		unlink(path);
	}
}

static int size_later(void *path)
{
	usleep(5000);
	return truncate(path, MIB) ? 1 : 0;
}

static void create_exist_ok_waits_for_its_creator(void **state)
{
	const char *path = make_file("old", 0);
	struct ivshmem *shm = NULL;
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child)
		_exit(size_later((void *)path));
	assert_int_equal(ivshmem_create(&shm, path, MIB, 0600, IVSHMEM_EXIST_OK), 0);
	ivshmem_close(shm);
	assert_int_equal(waitpid(child, &status, 0), child);
}

static void create_exist_ok_on_no_file_fails(void **state)
{
	assert_create_fails(fixture.shm, MIB, 0600, IVSHMEM_EXIST_OK, -EISDIR);
	if (make_null_device("null"))
		assert_create_fails(in_shm("null"), MIB, 0600, IVSHMEM_EXIST_OK, -ENOTTY);
	assert_int_equal(mkfifo(in_shm("fifo"), 0600), 0);
	alarm(5);
	assert_create_fails(in_shm("fifo"), MIB, 0600, IVSHMEM_EXIST_OK, -ENOTSUP);
	alarm(0);
}

static void create_exist_ok_on_foreign_link_fails_eloop(void **state)
{
	skip_unless_root();
	make_file("old", MIB);
	assert_int_equal(symlink("old", in_shm("link")), 0);
	assert_int_equal(lchown(in_shm("link"), NOBODY, NOBODY), 0);
	assert_int_equal(chmod(fixture.shm, 01777), 0);
	assert_create_fails(in_shm("link"), MIB, 0600, IVSHMEM_EXIST_OK, -ELOOP);
}

static void create_without_folder_fails(void **state)
{
	assert_create_fails(in_shm("no/new"), MIB, 0600, 0, -ENOENT);
	make_file("file", MIB);
	assert_create_fails(in_shm("file/new"), MIB, 0600, 0, -ENOTDIR);
}

static void create_without_permission_fails_eacces(void **state)
{
	skip_unless_root();
	assert_int_equal(chmod(fixture.shm, 0755), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_create_fails(in_shm("new"), MIB, 0600, 0, -EACCES);
}

/* What one of several creators does at the same moment; 0 for a winner. */
static int race(const char *path, int start, unsigned int flags)
{
	struct ivshmem *shm = NULL;
	char byte;
	int err;

	if (read(start, &byte, 1))
		return 1;
	err = ivshmem_create(&shm, path, MIB, 0600, flags);
	if (err)
		return err == -EEXIST ? 2 : 3;
	if (ivshmem_map(shm) || ivshmem_size(shm) != MIB)
		return 4;
	ivshmem_close(shm);
	return 0;
}

static int count_winners(const char *path, unsigned int flags, int *losers)
{
	pid_t children[CREATORS];
	int start[2], status, winners = 0;
	size_t i;

	*losers = 0;
	assert_int_equal(pipe(start), 0);
	for (i = 0; i < CREATORS; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (!children[i]) {
			close(start[1]);
			_exit(race(path, start[0], flags));
		}
	}
	close(start[0]);
	close(start[1]);	/* the starting gun */
	for (i = 0; i < CREATORS; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status));
		winners += WEXITSTATUS(status) == 0;
		*losers += WEXITSTATUS(status) == 2;
	}
	return winners;
}

static void create_by_many_at_once_has_one_winner(void **state)
{
	int round, losers;

	for (round = 0; round < 20; round++) {
		assert_int_equal(count_winners(in_shm("new"), 0, &losers), 1);
		assert_int_equal(losers, CREATORS - 1);
		unlink(in_shm("new"));
	}
}

static void create_exist_ok_by_many_at_once_succeeds_for_all(void **state)
{
	int round, losers;

	for (round = 0; round < 20; round++) {
		assert_int_equal(count_winners(in_shm("new"), IVSHMEM_EXIST_OK, &losers),
				 CREATORS);
		unlink(in_shm("new"));
	}
}

static int on_hugetlbfs(void *folder)
{
	char path[PATH_MAX];
	struct ivshmem *shm = NULL;
	struct statfs fs;
	int fd;

	snprintf(path, sizeof(path), "%s/new", (const char *)folder);
	if (unshare(CLONE_NEWNS) || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", folder, "hugetlbfs", 0, NULL) || statfs(folder, &fs))
		return 100;
	if (ivshmem_create(&shm, path, (uint64_t)fs.f_bsize / 2, 0600, 0) != -EINVAL)
		return 1;
	if (exists(path))
		return 2;
	if (ivshmem_create(&shm, path, (uint64_t)fs.f_bsize, 0640, 0))
		return 3;
	if (ivshmem_size(shm) != (uint64_t)fs.f_bsize)
		return 4;
	ivshmem_close(shm);
	fd = open(path, O_RDWR);
	if (fd < 0 || ftruncate(fd, 0) || ivshmem_open(&shm, path, 0) != -ENODATA)
		return 5;
	close(fd);
	return 0;
}

static void create_on_hugetlbfs_needs_whole_huge_pages(void **state)
{
	int result;

	skip_unless_root();
	result = in_child(on_hugetlbfs, fixture.tmp);
	if (result == 100)
		skip_because("no hugetlbfs here");
	assert_int_equal(result, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(create_null_arguments_fail_einval),
		TEST(create_unknown_flag_fails_einval),
		TEST(create_bad_mode_fails_einval),
		TEST(create_bad_size_fails_einval),
		TEST(create_beyond_off_t_fails_efbig),
		TEST(create_every_power_of_two_succeeds),
		TEST(create_outside_tmpfs_succeeds),
		TEST(create_gives_zeroes_and_facts),
		TEST(create_relative_path_succeeds),
		TEST(create_applies_mode_without_umask),
		TEST(create_sets_cloexec),
		TEST(create_is_sparse_unless_preallocated),
		TEST(create_preallocated_without_room_fails_enospc),
		TEST(create_past_file_size_limit_fails_efbig_without_signal),
		TEST(create_existing_fails_eexist_and_leaves_it_alone),
		TEST(create_on_anything_existing_fails_eexist),
		TEST(create_exist_ok_takes_file_of_same_size),
		TEST(create_exist_ok_makes_missing_file),
		TEST(create_exist_ok_other_size_fails_emsgsize),
		TEST(create_exist_ok_waits_for_its_creator),
		TEST(create_exist_ok_on_no_file_fails),
		TEST(create_exist_ok_on_foreign_link_fails_eloop),
		TEST(create_without_folder_fails),
		TEST(create_without_permission_fails_eacces),
		TEST(create_by_many_at_once_has_one_winner),
		TEST(create_exist_ok_by_many_at_once_succeeds_for_all),
		TEST(create_on_hugetlbfs_needs_whole_huge_pages),
	};

	return run("create", tests, ARRAY_SIZE(tests));
}
