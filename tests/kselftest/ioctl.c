// SPDX-License-Identifier: MIT
/* The ioctls. Built a second time as a 32-bit program. */

#include <inttypes.h>
#include <stddef.h>

#include "region.h"

/* Poison in all that the kernel writes, zero in what it reads. */
static struct ivshmem_info poisoned_info(void)
{
	struct ivshmem_info info;

	memset(&info, 0xa5, sizeof(info));
	info.flags = 0;
	memset(info.reserved, 0, sizeof(info.reserved));
	return info;
}

static uint64_t sysfs_number(const char *path)
{
	unsigned long long number = ~0ULL;
	char line[64];

	if (read_line(path, line, sizeof(line)) > 0)
		sscanf(line, "%llu", &number);
	return number;
}

TEST(info_has_the_same_layout_everywhere)
{
	EXPECT_EQ(72, sizeof(struct ivshmem_info));
	EXPECT_EQ(8, offsetof(struct ivshmem_info, size));
	EXPECT_EQ(32, offsetof(struct ivshmem_info, pci_domain));
	EXPECT_EQ(40, offsetof(struct ivshmem_info, page_size));
	EXPECT_EQ(56, offsetof(struct ivshmem_info, reserved));
}

TEST_F(region, get_info_fills_every_field)
{
	static const char *const kinds[] = { "plain", "doorbell" };
	static const char *const mappings[] = { "pfn", "pages" };
	static const char *const caches[] = { "unknown", "write-back", "write-through",
		"write-combining", "uncached-minus", "uncached" };
	struct ivshmem_info info = poisoned_info();
	char line[64], address[64];
	size_t i;

	ASSERT_EQ(0, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, &info));
	EXPECT_EQ(sysfs_number(SYSFS "size"), info.size);
	EXPECT_EQ(sysfs_number(SYSFS "peer_id"), info.peer_id);
	EXPECT_EQ(sysfs_number(SYSFS "vectors"), info.vectors);
	ASSERT_LT(info.kind, 2);
	read_line(SYSFS "kind", line, sizeof(line));
	EXPECT_STREQ(kinds[info.kind], line);
	ASSERT_LT(info.mapping, 2);
	read_line(SYSFS "mapping", line, sizeof(line));
	EXPECT_STREQ(mappings[info.mapping], line);
	ASSERT_LT(info.cache, 6);
	read_line(SYSFS "cache", line, sizeof(line));
	EXPECT_STREQ(caches[info.cache], line);

	memset(line, 0, sizeof(line));
	ASSERT_LT(0, readlink(SYSFS "device", line, sizeof(line) - 1));
	snprintf(address, sizeof(address), "%04x:%02x:%02x.%x", info.pci_domain, info.pci_bus,
		 info.pci_device, info.pci_function);
	EXPECT_EQ(0, strncmp(address, strrchr(line, '/') ? strrchr(line, '/') + 1 : line,
			     strlen(address)));
	EXPECT_EQ(1, info.pci_revision);
	EXPECT_EQ(sysfs_number(SYSFS "page_size"), info.page_size);
	EXPECT_EQ(info.mapping == IVSHMEM_MAPPING_PAGES,
		  !!(info.features & IVSHMEM_FEATURE_PIN));
	EXPECT_EQ(info.mapping == IVSHMEM_MAPPING_PAGES,
		  !!(info.features & IVSHMEM_FEATURE_DMABUF));
	EXPECT_EQ(0, info.features & ~3ULL);
	EXPECT_EQ(0, info.flags);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, info.reserved[i]);
}

TEST_F(region, get_info_works_on_a_read_only_open)
{
	struct ivshmem_info info = poisoned_info();
	int fd = open(NODE, O_RDONLY);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, IVSHMEM_IOC_GET_INFO, &info));
	EXPECT_EQ(self->size, info.size);
	close(fd);
}

TEST_F(region, get_info_with_flags_fails_einval_and_writes_nothing)
{
	struct ivshmem_info info = poisoned_info(), before;
	int bit;

	for (bit = 0; bit < 32; bit++) {
		info.flags = 1u << bit;
		before = info;
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, &info));
		EXPECT_EQ(0, memcmp(&before, &info, sizeof(info)));
	}
}

TEST_F(region, get_info_with_nonzero_reserved_fails_einval)
{
	struct ivshmem_info info;
	size_t i;

	for (i = 0; i < sizeof(info.reserved); i++) {
		info = poisoned_info();
		((unsigned char *)info.reserved)[i] = 0x80;
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, &info));
	}
}

TEST_F(region, get_info_with_bad_pointers_fails_efault)
{
	unsigned char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, pages);
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, NULL));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, (void *)-8L));
	munmap(pages + PAGE, PAGE);
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, pages + PAGE - 8));
	mprotect(pages, PAGE, PROT_READ);
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, pages));
	munmap(pages, PAGE);
}

TEST_F(region, unknown_ioctls_fail_enotty)
{
	struct ivshmem_info info = poisoned_info();
	unsigned int nr;

	for (nr = 0x40; nr < 0x100; nr++)
		EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IO(IVSHMEM_IOC_MAGIC, nr), &info));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IOWR('z', 0x00, struct ivshmem_info), &info));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, 0, &info));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, ~0UL, &info));
}

TEST_F(region, ioctl_of_another_size_or_direction_fails_enotty)
{
	struct ivshmem_info info = poisoned_info();

	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IOC(_IOC_READ | _IOC_WRITE, IVSHMEM_IOC_MAGIC, 0,
						  sizeof(info) - 8), &info));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IOC(_IOC_READ | _IOC_WRITE, IVSHMEM_IOC_MAGIC, 0,
						  sizeof(info) + 8), &info));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IOR(IVSHMEM_IOC_MAGIC, 0, struct ivshmem_info),
				   &info));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IO(IVSHMEM_IOC_MAGIC, 0), &info));
}

TEST_HARNESS_MAIN
