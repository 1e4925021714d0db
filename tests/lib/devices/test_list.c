// SPDX-License-Identifier: MIT
#include "fixture.h"

#include <glob.h>

/* What sysfs has, counted without libudev. */
static size_t count_in_sysfs(void)
{
	char vendor[16] = "", device[16] = "";
	char path[PATH_MAX];
	size_t count = 0, i;
	glob_t found;
	FILE *file;

	if (glob("/sys/bus/pci/devices/*", 0, NULL, &found))
		return 0;
	for (i = 0; i < found.gl_pathc; i++) {
		snprintf(path, sizeof(path), "%s/vendor", found.gl_pathv[i]);
		file = fopen(path, "re");
		assert_non_null(file);
		assert_int_equal(fscanf(file, "%15s", vendor), 1);
		fclose(file);
		snprintf(path, sizeof(path), "%s/device", found.gl_pathv[i]);
		file = fopen(path, "re");
		assert_non_null(file);
		assert_int_equal(fscanf(file, "%15s", device), 1);
		fclose(file);
		count += !strcmp(vendor, "0x1af4") && !strcmp(device, "0x1110");
	}
	globfree(&found);
	return count;
}

static void list_null_fails_einval(void **state)
{
	assert_int_equal(ivshmem_list(NULL), -EINVAL);
}

static void list_has_what_sysfs_has(void **state)
{
	struct ivshmem_device_list *list = NULL;

	assert_int_equal(ivshmem_list(&list), 0);
	assert_non_null(list);
	assert_int_equal(ivshmem_list_count(list), count_in_sysfs());
	ivshmem_list_free(list);
}

static void list_is_the_same_without_privilege(void **state)
{
	struct ivshmem_device_list *list = NULL;

	skip_unless_root();
	assert_int_equal(seteuid(NOBODY), 0);
	assert_int_equal(ivshmem_list(&list), 0);
	assert_int_equal(ivshmem_list_count(list), count_in_sysfs());
	ivshmem_list_free(list);
}

static void get_beyond_the_end_is_null(void **state)
{
	struct ivshmem_device_list *list = NULL;

	assert_int_equal(ivshmem_list(&list), 0);
	assert_null(ivshmem_list_get(list, ivshmem_list_count(list)));
	assert_null(ivshmem_list_get(list, SIZE_MAX));
	ivshmem_list_free(list);
}

static void null_list_is_empty(void **state)
{
	assert_int_equal(ivshmem_list_count(NULL), 0);
	assert_null(ivshmem_list_get(NULL, 0));
	ivshmem_list_free(NULL);
}

static void null_device_has_no_facts(void **state)
{
	assert_null(ivshmem_device_address(NULL));
	assert_null(ivshmem_device_node(NULL));
	assert_null(ivshmem_device_driver(NULL));
	assert_true(ivshmem_device_size(NULL) == 0);
	assert_int_equal(ivshmem_device_kind(NULL), IVSHMEM_PLAIN);
	ivshmem_device_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(list_null_fails_einval),
		TEST(list_has_what_sysfs_has),
		TEST(list_is_the_same_without_privilege),
		TEST(get_beyond_the_end_is_null),
		TEST(null_list_is_empty),
		TEST(null_device_has_no_facts),
	};

	return run("list", tests, ARRAY_SIZE(tests));
}
