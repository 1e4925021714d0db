// SPDX-License-Identifier: MIT
/* Unbind under open files and live mappings. */

#include <linux/userfaultfd.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "region.h"

#define DRIVER "/sys/bus/pci/drivers/ivshmem/"

/* PCI address of the first device, known while it is bound. */
static char address[32];

static int find_address(void)
{
	char target[256] = "";

	if (readlink(SYSFS "device", target, sizeof(target) - 1) < 0)
		return -1;
	snprintf(address, sizeof(address), "%.31s", strrchr(target, '/') + 1);
	return 0;
}

static int unbind(void)
{
	return write_line(DRIVER "unbind", address);
}

static int bind(void)
{
	return write_line(DRIVER "bind", address);
}

FIXTURE(unbound) {
	int fd;
	uint64_t size;
	unsigned char *data;
};

/* Open and mapped while the device was there, gone now. */
FIXTURE_SETUP(unbound)
{
	struct ivshmem_info info;

	memset(&info, 0, sizeof(info));
	ASSERT_EQ(0, find_address());
	self->fd = open(NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, &info));
	self->size = info.size;
	self->data = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->data);
	self->data[0] = 0x5e;
	ASSERT_EQ(0, unbind());
}

FIXTURE_TEARDOWN(unbound)
{
	munmap(self->data, self->size);
	close(self->fd);
	EXPECT_EQ(0, bind());
}

TEST_F(unbound, every_call_fails_enodev)
{
	struct ivshmem_info info;
	char byte;

	memset(&info, 0, sizeof(info));
	EXPECT_ERRNO(ENODEV, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, &info));
	EXPECT_ERRNO(ENODEV, ioctl(self->fd, 0, NULL));
	EXPECT_ERRNO(ENODEV, pread(self->fd, &byte, 1, 0));
	EXPECT_ERRNO(ENODEV, pread(self->fd, &byte, 1, self->size));
	EXPECT_ERRNO(ENODEV, pwrite(self->fd, "x", 1, 0));
	EXPECT_ERRNO(ENODEV, lseek(self->fd, 0, SEEK_SET));
	EXPECT_ERRNO(ENODEV, fsync(self->fd));
	EXPECT_ERRNO(ENODEV, msync(self->data, PAGE, MS_SYNC));
	EXPECT_ERRNO(ENODEV, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0));
}

TEST_F(unbound, poll_reports_hangup_and_error)
{
	struct pollfd poll_fd = { .fd = self->fd, .events = POLLIN | POLLOUT };

	ASSERT_EQ(1, poll(&poll_fd, 1, 0));
	EXPECT_EQ(POLLHUP | POLLERR, poll_fd.revents);
}

TEST_F(unbound, touching_the_mapping_raises_sigbus)
{
	EXPECT_EQ(SIGBUS, touch_signal(self->data, 0));
	EXPECT_EQ(SIGBUS, touch_signal(self->data, 1));
	EXPECT_EQ(SIGBUS, touch_signal(self->data + self->size - 1, 0));
}

TEST_F(unbound, node_is_gone)
{
	EXPECT_ERRNO(ENOENT, access(NODE, F_OK));
	EXPECT_ERRNO(ENOENT, access(SYSFS, F_OK));
}

TEST_F(unbound, opening_the_old_node_again_fails)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	errno = 0;
	EXPECT_EQ(-1, open(path, O_RDWR));
	EXPECT_TRUE(errno == ENODEV || errno == ENXIO);
}

TEST_F(unbound, old_file_stays_dead_after_the_device_came_back)
{
	struct pollfd poll_fd = { .fd = self->fd, .events = POLLIN };
	unsigned char byte;
	int fd;

	ASSERT_EQ(0, bind());
	fd = open(NODE, O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, pread(fd, &byte, 1, 0));
	EXPECT_EQ(0x5e, byte);
	EXPECT_ERRNO(ENODEV, pread(self->fd, &byte, 1, 0));
	EXPECT_EQ(SIGBUS, touch_signal(self->data, 0));
	ASSERT_EQ(1, poll(&poll_fd, 1, 0));
	EXPECT_EQ(POLLHUP | POLLERR, poll_fd.revents);
	close(fd);
	ASSERT_EQ(0, unbind());
}

FIXTURE(bound) {
	int fd;
};

FIXTURE_SETUP(bound)
{
	ASSERT_EQ(0, find_address());
	self->fd = open(NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(bound)
{
	close(self->fd);
}

/* Unbinds in a child after a while, with this process in the middle of a call. */
static pid_t unbind_later(void)
{
	pid_t pid = fork();

	if (!pid) {
		usleep(100 * 1000);
		_exit(unbind() ? 1 : 0);
	}
	return pid;
}

TEST_F(bound, unbind_wakes_poll)
{
	struct pollfd poll_fd = { .fd = self->fd };
	pid_t pid = unbind_later();
	int status;

	EXPECT_EQ(1, poll(&poll_fd, 1, 30000));
	EXPECT_EQ(POLLHUP | POLLERR, poll_fd.revents);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, bind());
}

TEST_F(bound, unbind_wakes_edge_triggered_epoll)
{
	struct epoll_event event = { .events = EPOLLET };
	int fd = epoll_create1(EPOLL_CLOEXEC), status;
	pid_t pid;

	ASSERT_EQ(0, epoll_ctl(fd, EPOLL_CTL_ADD, self->fd, &event));
	pid = unbind_later();
	ASSERT_EQ(1, epoll_wait(fd, &event, 1, 30000));
	EXPECT_EQ((uint32_t)(EPOLLHUP | EPOLLERR), event.events);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	close(fd);
	ASSERT_EQ(0, bind());
}

TEST_F(bound, unbind_wakes_every_exclusive_waiter)
{
	int i, fd, status;
	pid_t waiters[3], pid;

	for (i = 0; i < 3; i++) {
		waiters[i] = fork();
		if (!waiters[i]) {
			struct epoll_event event = { .events = EPOLLEXCLUSIVE };

			fd = epoll_create1(EPOLL_CLOEXEC);
			epoll_ctl(fd, EPOLL_CTL_ADD, self->fd, &event);
			_exit(epoll_wait(fd, &event, 1, 30000) == 1 ? 0 : 1);
		}
	}
	usleep(100 * 1000);
	pid = unbind_later();
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(waiters[i], waitpid(waiters[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, bind());
}

TEST_F(bound, unbind_takes_mappings_of_every_node_and_every_process)
{
	unsigned char *one, *two;
	struct stat st;
	int fd, status, go[2], ready[2];
	char byte;
	pid_t pid;

	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_EQ(0, mknod("/tmp/other-node", S_IFCHR | 0600, st.st_rdev));
	fd = open("/tmp/other-node", O_RDONLY);
	ASSERT_LE(0, fd);
	one = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	two = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, one);
	ASSERT_NE(MAP_FAILED, two);
	two[0] = 0x66;
	EXPECT_EQ(0x66, one[0]);

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	if (!pid) {
		(void)*(volatile unsigned char *)two;
		if (write(ready[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(3);
		_exit(touch_signal(two, 0) == SIGBUS && touch_signal(one, 0) == SIGBUS ? 0 : 4);
	}
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ(0, unbind());
	ASSERT_EQ(1, write(go[1], "x", 1));
	EXPECT_EQ(SIGBUS, touch_signal(one, 0));
	EXPECT_EQ(SIGBUS, touch_signal(two, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	munmap(one, PAGE);
	munmap(two, PAGE);
	close(fd);
	unlink("/tmp/other-node");
	ASSERT_EQ(0, bind());
}

/* A page that nobody serves, at which a read would wait for ever. */
static void *page_without_end(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register area = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	area.range.start = (unsigned long)page;
	area.range.len = PAGE;
	if (fd < 0 || page == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &area))
		return NULL;
	return page;
}

TEST_F(bound, reader_that_waits_in_a_page_fault_does_not_hold_up_unbind)
{
	struct timespec before, after;
	int status;
	pid_t pid = fork();

	if (!pid) {
		void *page = page_without_end();

		if (!page)
			_exit(2);
		pread(self->fd, page, PAGE, 0);
		_exit(3);
	}
	usleep(200 * 1000);
	ASSERT_EQ(0, waitpid(pid, &status, WNOHANG));
	clock_gettime(CLOCK_MONOTONIC, &before);
	EXPECT_EQ(0, unbind());
	clock_gettime(CLOCK_MONOTONIC, &after);
	EXPECT_GT(60, after.tv_sec - before.tv_sec);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(0, bind());
}

TEST_F(bound, number_is_free_again_while_old_files_are_open)
{
	ASSERT_EQ(0, unbind());
	ASSERT_EQ(0, bind());
	EXPECT_EQ(0, access(NODE, F_OK));
}

TEST_HARNESS_MAIN
