// SPDX-License-Identifier: MIT
/*
 * dma-bufs of parts of the region: their mappings, importers and end. Importers are
 * vgem, of the stock kernel, and one of the tests' own, whose data can be looked at.
 * Built a second time as a 32-bit program.
 */

#include <linux/dma-buf.h>
#include <stddef.h>

#include "region.h"
#include "import_dmabuf/import_dmabuf.h"

#define RW		(PROT_READ | PROT_WRITE)
#define PFN_NODE	"/dev/ivshmem/by-path/pci-0000:00:06.0"
#define IMPORTER	"/dev/import_dmabuf"
#define VGEM		"/dev/dri/card0"
#define DRIVER		"/sys/bus/pci/drivers/ivshmem/"
#define ADDRESS		"0000:00:04.0"
#define OFFSET		(3 * (2UL << 20) - 2 * PAGE)
#define LEN		(4UL << 20)

static int export_part(int fd, uint64_t offset, uint64_t len, uint32_t flags)
{
	struct ivshmem_dmabuf part = { .offset = offset, .len = len, .flags = flags, .fd = -77 };

	return ioctl(fd, IVSHMEM_IOC_EXPORT_DMABUF, &part) ? -1 : part.fd;
}

static int sync_cpu(int buffer, uint64_t what)
{
	struct dma_buf_sync sync = { .flags = what };

	return ioctl(buffer, DMA_BUF_IOCTL_SYNC, &sync);
}

static unsigned char device_read(int importer, off_t pos)
{
	unsigned char byte = 0xee;

	return pread(importer, &byte, 1, pos) == 1 ? byte : 0xee;
}

FIXTURE(dmabuf) {
	int fd;
	uint64_t size;
	unsigned char *data;		/* of the region */
	int buffer;			/* of LEN bytes at OFFSET */
};

FIXTURE_SETUP(dmabuf)
{
	struct ivshmem_info info;

	memset(&info, 0, sizeof(info));
	self->buffer = -1;
	allow_pinning(1);
	self->fd = open(NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, &info));
	if (info.mapping != IVSHMEM_MAPPING_PAGES)
		return;
	ASSERT_TRUE(info.features & IVSHMEM_FEATURE_DMABUF);
	self->size = info.size;
	self->data = mmap(NULL, self->size, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->data);
	self->buffer = export_part(self->fd, OFFSET, LEN, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->buffer);
}

FIXTURE_TEARDOWN(dmabuf)
{
	munmap(self->data, self->size);
	if (self->buffer >= 0)
		close(self->buffer);
	close(self->fd);
	allow_pinning(0);
}

TEST(dmabuf_has_the_same_layout_everywhere)
{
	EXPECT_EQ(32, sizeof(struct ivshmem_dmabuf));
	EXPECT_EQ(16, offsetof(struct ivshmem_dmabuf, flags));
	EXPECT_EQ(24, offsetof(struct ivshmem_dmabuf, reserved));
}

TEST_F(dmabuf, size_and_flags_are_as_asked)
{
	int other;

	NEEDS_PAGES();
	EXPECT_EQ(LEN, lseek(self->buffer, 0, SEEK_END));
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->buffer, F_GETFD));
	EXPECT_EQ(O_RDWR, fcntl(self->buffer, F_GETFL) & O_ACCMODE);
	other = export_part(self->fd, 0, PAGE, O_RDONLY);
	ASSERT_LE(0, other);
	EXPECT_EQ(0, fcntl(other, F_GETFD));
	EXPECT_EQ(O_RDONLY, fcntl(other, F_GETFL) & O_ACCMODE);
	close(other);
}

TEST_F(dmabuf, bad_ranges_and_flags_fail_einval)
{
	struct ivshmem_dmabuf part = { .len = PAGE, .flags = O_RDWR, .reserved = 1 };

	NEEDS_PAGES();
	EXPECT_ERRNO(EINVAL, export_part(self->fd, 0, 0, O_RDWR));
	EXPECT_ERRNO(EINVAL, export_part(self->fd, 1, PAGE, O_RDWR));
	EXPECT_ERRNO(EINVAL, export_part(self->fd, 0, PAGE + 1, O_RDWR));
	EXPECT_ERRNO(EINVAL, export_part(self->fd, self->size, PAGE, O_RDWR));
	EXPECT_ERRNO(EINVAL, export_part(self->fd, self->size - PAGE, 2 * PAGE, O_RDWR));
	EXPECT_ERRNO(EINVAL, export_part(self->fd, PAGE, ~0ULL << 12, O_RDWR));
	EXPECT_ERRNO(EINVAL, export_part(self->fd, ~0ULL << 12, PAGE, O_RDWR));
	EXPECT_ERRNO(EINVAL, export_part(self->fd, 0, PAGE, O_WRONLY));
	EXPECT_ERRNO(EINVAL, export_part(self->fd, 0, PAGE, O_RDWR | O_NONBLOCK));
	EXPECT_ERRNO(EINVAL, export_part(self->fd, 0, PAGE, O_RDWR | 1u << 31));
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, IVSHMEM_IOC_EXPORT_DMABUF, &part));
}

TEST_F(dmabuf, bad_pointers_fail_efault_and_leave_no_descriptor)
{
	struct ivshmem_dmabuf *part = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int before = dup(self->fd), after;

	NEEDS_PAGES();
	close(before);
	part->len = PAGE;
	part->flags = O_RDWR;
	mprotect(part, PAGE, PROT_READ);
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, IVSHMEM_IOC_EXPORT_DMABUF, part));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, IVSHMEM_IOC_EXPORT_DMABUF, NULL));
	after = dup(self->fd);
	EXPECT_EQ(before, after);
	close(after);
	munmap(part, PAGE);
}

TEST_F(dmabuf, export_asks_for_the_access_of_the_open_file)
{
	int readable = open(NODE, O_RDONLY | O_CLOEXEC);
	int writable = open(NODE, O_WRONLY | O_CLOEXEC);
	int buffer;

	NEEDS_PAGES();
	EXPECT_ERRNO(EACCES, export_part(readable, 0, PAGE, O_RDWR));
	EXPECT_ERRNO(EACCES, export_part(writable, 0, PAGE, O_RDWR));
	EXPECT_ERRNO(EACCES, export_part(writable, 0, PAGE, O_RDONLY));
	buffer = export_part(readable, 0, PAGE, O_RDONLY);
	EXPECT_LE(0, buffer);
	close(buffer);
	close(readable);
	close(writable);
}

TEST(region_without_pages_fails_eopnotsupp)
{
	int fd = open(PFN_NODE, O_RDWR | O_CLOEXEC);
	struct ivshmem_info info;

	memset(&info, 0, sizeof(info));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, IVSHMEM_IOC_GET_INFO, &info));
	EXPECT_EQ(0, info.features & IVSHMEM_FEATURE_DMABUF);
	EXPECT_ERRNO(EOPNOTSUPP, export_part(fd, 0, PAGE, O_RDWR));
	close(fd);
}

TEST_F(dmabuf, mapping_shows_the_part_of_the_region)
{
	unsigned char *data = mmap(NULL, LEN, RW, MAP_SHARED, self->buffer, 0), *last;

	NEEDS_PAGES();
	ASSERT_NE(MAP_FAILED, data);
	data[0] = 0x11;
	data[LEN - 1] = 0x12;
	EXPECT_EQ(0x11, self->data[OFFSET]);
	EXPECT_EQ(0x12, self->data[OFFSET + LEN - 1]);
	last = mmap(NULL, PAGE, RW, MAP_SHARED, self->buffer, LEN - PAGE);
	ASSERT_NE(MAP_FAILED, last);
	EXPECT_EQ(0x12, last[PAGE - 1]);
	munmap(last, PAGE);
	munmap(data, LEN);
}

TEST_F(dmabuf, mapping_reaches_no_further_than_the_part)
{
	NEEDS_PAGES();
	EXPECT_ERRNO(EINVAL, mmap(NULL, LEN + PAGE, RW, MAP_SHARED, self->buffer, 0));
	EXPECT_ERRNO(EINVAL, mmap(NULL, PAGE, RW, MAP_SHARED, self->buffer, LEN));
	EXPECT_ERRNO(EINVAL, mmap(NULL, PAGE, RW, MAP_PRIVATE, self->buffer, 0));
	EXPECT_ERRNO(EPERM, mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, self->buffer, 0));
}

TEST_F(dmabuf, read_only_export_can_never_be_written)
{
	int buffer = export_part(self->fd, OFFSET, LEN, O_RDONLY | O_CLOEXEC);
	int importer = open(IMPORTER, O_RDWR);
	unsigned char *data = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, buffer, 0);

	NEEDS_PAGES();
	ASSERT_NE(MAP_FAILED, data);
	EXPECT_ERRNO(EACCES, mprotect(data, PAGE, RW));
	EXPECT_ERRNO(EACCES, mmap(NULL, PAGE, RW, MAP_SHARED, buffer, 0));
	EXPECT_ERRNO(EACCES, ioctl(importer, IMPORT_DMABUF_STATIC, buffer));
	EXPECT_ERRNO(EACCES, ioctl(importer, IMPORT_DMABUF_DYNAMIC, buffer));
	self->data[OFFSET] = 0x29;
	EXPECT_EQ(0, ioctl(importer, IMPORT_DMABUF_READING_STATIC, buffer));
	EXPECT_EQ(0x29, device_read(importer, 0));
	close(importer);
	munmap(data, PAGE);
	close(buffer);
}

TEST_F(dmabuf, read_only_export_takes_a_dynamic_importer_that_reads_or_refuses_it)
{
	int buffer = export_part(self->fd, OFFSET, LEN, O_RDONLY | O_CLOEXEC);
	int importer = open(IMPORTER, O_RDWR), ret;

	NEEDS_PAGES();
	self->data[OFFSET] = 0x2b;
	/* Before 6.14 the kernel maps for it both ways. */
	ret = ioctl(importer, IMPORT_DMABUF_READING, buffer);
	EXPECT_TRUE(ret ? errno == EACCES : device_read(importer, 0) == 0x2b);
	close(importer);
	close(buffer);
}

/* The importer's file can be written, what it shows can't. */
TEST_F(dmabuf, read_only_export_can_not_be_written_through_an_importer)
{
	int buffer = export_part(self->fd, OFFSET, LEN, O_RDONLY | O_CLOEXEC);
	int importer = open(IMPORTER, O_RDWR);
	unsigned char *data;

	NEEDS_PAGES();
	ASSERT_EQ(0, ioctl(importer, IMPORT_DMABUF_READING_STATIC, buffer));
	EXPECT_ERRNO(EACCES, mmap(NULL, PAGE, RW, MAP_SHARED, importer, 0));
	data = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, importer, 0);
	ASSERT_NE(MAP_FAILED, data);
	self->data[OFFSET] = 0x2a;
	EXPECT_EQ(0x2a, data[0]);
	EXPECT_ERRNO(EACCES, mprotect(data, PAGE, RW));
	munmap(data, PAGE);
	close(importer);
	close(buffer);
}

TEST_F(dmabuf, importer_without_a_device_reaches_the_part)
{
	int importer = open(IMPORTER, O_RDWR), byte;

	NEEDS_PAGES();
	self->data[OFFSET + LEN - 1] = 0x33;
	ASSERT_EQ(0, ioctl(importer, IMPORT_DMABUF_STATIC, self->buffer));
	byte = ioctl(importer, IMPORT_DMABUF_PROCESSOR, LEN - 1);
	if (byte < 0 && errno == EOPNOTSUPP)
		SKIP(return, "dma-bufs have none of that before Linux 5.18");
	EXPECT_EQ(0x33, byte);
	EXPECT_EQ(0x34, self->data[OFFSET + LEN - 1]);
	close(importer);
}

TEST_F(dmabuf, survives_the_closing_of_the_node)
{
	unsigned char *data;

	NEEDS_PAGES();
	self->data[OFFSET + 5] = 0x35;
	munmap(self->data, self->size);
	close(self->fd);
	data = mmap(NULL, PAGE, RW, MAP_SHARED, self->buffer, 0);
	ASSERT_NE(MAP_FAILED, data);
	EXPECT_EQ(0x35, data[5]);
	data[5] = 0x36;
	munmap(data, PAGE);
	close(self->buffer);
	self->buffer = -1;
	self->fd = open(NODE, O_RDWR | O_CLOEXEC);
	self->data = mmap(NULL, self->size, RW, MAP_SHARED, self->fd, 0);
	EXPECT_EQ(0x36, self->data[OFFSET + 5]);
}

TEST_F(dmabuf, cpu_access_begins_and_ends)
{
	int importer = open(IMPORTER, O_RDWR);

	NEEDS_PAGES();
	ASSERT_EQ(0, ioctl(importer, IMPORT_DMABUF_DYNAMIC, self->buffer));
	EXPECT_EQ(0, sync_cpu(self->buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	EXPECT_EQ(0, sync_cpu(self->buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	close(importer);
}

TEST_F(dmabuf, importers_reach_the_part)
{
	static const unsigned int kinds[] = { IMPORT_DMABUF_STATIC, IMPORT_DMABUF_DYNAMIC };
	int importer = open(IMPORTER, O_RDWR);
	size_t i;

	NEEDS_PAGES();
	ASSERT_LE(0, importer);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ioctl(importer, kinds[i], self->buffer));
		self->data[OFFSET] = 0x41 + i;
		self->data[OFFSET + LEN - 1] = 0x51 + i;
		EXPECT_EQ(0x41 + i, device_read(importer, 0));
		EXPECT_EQ(0x51 + i, device_read(importer, LEN - 1));
		EXPECT_ERRNO(ENXIO, pread(importer, &i, 1, LEN));
		EXPECT_EQ(1, pwrite(importer, "x", 1, 2 * PAGE + 9));
		EXPECT_EQ('x', self->data[OFFSET + 2 * PAGE + 9]);
		self->data[OFFSET + 2 * PAGE + 9] = 0;
		ASSERT_EQ(0, ioctl(importer, IMPORT_DMABUF_RELEASE, 0));
	}
	close(importer);
}

/* Of drm.h, which few machines have. */
struct drm_gem_close {
	uint32_t handle, pad;
};

struct drm_prime_handle {
	uint32_t handle, flags;
	int32_t fd;
};

#define DRM_IOCTL_GEM_CLOSE		_IOW('d', 0x09, struct drm_gem_close)
#define DRM_IOCTL_PRIME_HANDLE_TO_FD	_IOWR('d', 0x2d, struct drm_prime_handle)
#define DRM_IOCTL_PRIME_FD_TO_HANDLE	_IOWR('d', 0x2e, struct drm_prime_handle)

/* The importer of the stock kernel. */
static int vgem_import(int card, int buffer, uint32_t *handle)
{
	struct drm_prime_handle prime = { .fd = buffer };

	if (ioctl(card, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime))
		return -1;
	*handle = prime.handle;
	return 0;
}

TEST_F(dmabuf, vgem_imports_and_exports_again)
{
	struct drm_prime_handle again = { .flags = O_CLOEXEC | O_RDWR };
	struct drm_gem_close gem = { 0 };
	int card = open(VGEM, O_RDWR);
	unsigned char *data;

	NEEDS_PAGES();
	if (card < 0)
		SKIP(return, "no vgem in this kernel");
	ASSERT_EQ(0, vgem_import(card, self->buffer, &gem.handle));
	again.handle = gem.handle;
	ASSERT_EQ(0, ioctl(card, DRM_IOCTL_PRIME_HANDLE_TO_FD, &again));
	data = mmap(NULL, LEN, RW, MAP_SHARED, again.fd, 0);
	ASSERT_NE(MAP_FAILED, data);
	data[LEN / 2] = 0x61;
	EXPECT_EQ(0x61, self->data[OFFSET + LEN / 2]);
	munmap(data, LEN);
	close(again.fd);
	EXPECT_EQ(0, ioctl(card, DRM_IOCTL_GEM_CLOSE, &gem));
	close(card);
}

#define IS_STUCK_MS	500
#define ENDS_MS		20000	/* also where the machine has much else to do */

/* Unbinds in a child, and tells whether that ended in time. */
static pid_t unbind_begins(int *ended, int timeout_ms)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(write_line(DRIVER "unbind", ADDRESS) ? 1 : 0);
	for (*ended = 0; !*ended && timeout_ms > 0; timeout_ms -= 20) {
		usleep(20000);
		*ended = waitpid(pid, &status, WNOHANG) == pid && !status;
	}
	return pid;
}

TEST_F(dmabuf, ends_with_the_device)
{
	unsigned char *data = mmap(NULL, LEN, RW, MAP_SHARED, self->buffer, 0);
	int importer = open(IMPORTER, O_RDWR), ended;

	NEEDS_PAGES();
	data[0] = 1;
	ASSERT_EQ(0, ioctl(importer, IMPORT_DMABUF_DYNAMIC, self->buffer));
	unbind_begins(&ended, ENDS_MS);
	ASSERT_EQ(1, ended);
	EXPECT_EQ(1, ioctl(importer, IMPORT_DMABUF_MOVES, 0));
	EXPECT_ERRNO(ENXIO, pread(importer, &ended, 1, 0));
	EXPECT_EQ(SIGBUS, touch_signal(data, 0));
	EXPECT_EQ(SIGBUS, touch_signal(data + LEN - 1, 1));
	EXPECT_ERRNO(ENODEV, mmap(NULL, PAGE, RW, MAP_SHARED, self->buffer, 0));
	EXPECT_ERRNO(ENODEV, sync_cpu(self->buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	EXPECT_EQ(0, ioctl(importer, IMPORT_DMABUF_RELEASE, 0));
	EXPECT_ERRNO(ENODEV, ioctl(importer, IMPORT_DMABUF_STATIC, self->buffer));
	EXPECT_ERRNO(ENODEV, ioctl(importer, IMPORT_DMABUF_DYNAMIC, self->buffer));
	EXPECT_ERRNO(ENODEV, export_part(self->fd, 0, PAGE, O_RDWR));
	ASSERT_EQ(0, write_line(DRIVER "bind", ADDRESS));
	/* Not even the same device that came back. */
	EXPECT_EQ(SIGBUS, touch_signal(data, 0));
	EXPECT_ERRNO(ENODEV, ioctl(importer, IMPORT_DMABUF_STATIC, self->buffer));
	munmap(data, LEN);
	close(importer);
}

TEST_F(dmabuf, removal_waits_for_an_importer_that_cannot_move)
{
	int importer = open(IMPORTER, O_RDWR), ended, status;
	pid_t pid;

	NEEDS_PAGES();
	ASSERT_EQ(0, ioctl(importer, IMPORT_DMABUF_STATIC, self->buffer));
	self->data[OFFSET + PAGE] = 0x71;
	pid = unbind_begins(&ended, IS_STUCK_MS);
	EXPECT_EQ(0, ended);
	EXPECT_EQ(0x71, device_read(importer, PAGE));
	ASSERT_EQ(0, ioctl(importer, IMPORT_DMABUF_RELEASE, 0));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, write_line(DRIVER "bind", ADDRESS));
	close(importer);
}

TEST_F(dmabuf, vgem_lets_removal_go_on_when_it_closes)
{
	struct drm_gem_close gem = { 0 };
	int card = open(VGEM, O_RDWR), ended, status;
	pid_t pid;

	NEEDS_PAGES();
	if (card < 0)
		SKIP(return, "no vgem in this kernel");
	ASSERT_EQ(0, vgem_import(card, self->buffer, &gem.handle));
	pid = unbind_begins(&ended, IS_STUCK_MS);
	EXPECT_EQ(0, ioctl(card, DRM_IOCTL_GEM_CLOSE, &gem));
	/* A newer vgem maps nothing before it has to, and holds nothing up. */
	if (!ended) {
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
	}
	EXPECT_EQ(-1, vgem_import(card, self->buffer, &gem.handle));
	ASSERT_EQ(0, write_line(DRIVER "bind", ADDRESS));
	close(card);
}

TEST_HARNESS_MAIN
