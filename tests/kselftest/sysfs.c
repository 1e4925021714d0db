// SPDX-License-Identifier: MIT
/* The attributes of the class device. */

#include "region.h"

static const char *const attributes[] = {
	"size", "kind", "peer_id", "vectors", "mapping", "cache", "page_size", "pinning",
};

TEST(attributes_are_one_line_and_read_only_but_for_pinning)
{
	char path[128], text[128];
	struct stat st;
	size_t i;
	FILE *file;

	for (i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		snprintf(path, sizeof(path), SYSFS "%s", attributes[i]);
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(strcmp(attributes[i], "pinning") ? 0444 : 0644, st.st_mode & 07777);
		file = fopen(path, "r");
		ASSERT_NE(NULL, file);
		ASSERT_NE(NULL, fgets(text, sizeof(text), file));
		EXPECT_EQ('\n', text[strlen(text) - 1]);
		EXPECT_LT(1, strlen(text));
		EXPECT_EQ(NULL, fgets(text, sizeof(text), file));
		fclose(file);
	}
}

TEST(parent_is_the_pci_device_bound_to_ivshmem)
{
	char target[256] = "";

	ASSERT_LT(0, readlink(SYSFS "device/driver", target, sizeof(target) - 1));
	EXPECT_STREQ("ivshmem", strrchr(target, '/') + 1);
}

TEST(size_is_the_size_of_bar_2)
{
	unsigned long long start, end, size;
	char line[128];
	FILE *file = fopen(SYSFS "device/resource", "r");

	ASSERT_NE(NULL, file);
	fgets(line, sizeof(line), file);
	fgets(line, sizeof(line), file);
	ASSERT_NE(NULL, fgets(line, sizeof(line), file));
	fclose(file);
	ASSERT_EQ(2, sscanf(line, "%llx %llx", &start, &end));
	ASSERT_LT(0, read_line(SYSFS "size", line, sizeof(line)));
	ASSERT_EQ(1, sscanf(line, "%llu", &size));
	EXPECT_EQ(end - start + 1, size);
}

TEST_HARNESS_MAIN
