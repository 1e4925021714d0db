// SPDX-License-Identifier: MIT
/* poll(2) while the device is there; for its removal see removal.c. */

#include <sys/epoll.h>

#include "region.h"

TEST_F(region, poll_is_always_readable_and_writable)
{
	struct pollfd poll_fd = { .fd = self->fd, .events = POLLIN | POLLOUT };

	ASSERT_EQ(1, poll(&poll_fd, 1, 0));
	EXPECT_EQ(POLLIN | POLLOUT, poll_fd.revents);
}

TEST_F(region, poll_for_nothing_waits)
{
	struct pollfd poll_fd = { .fd = self->fd };

	EXPECT_EQ(0, poll(&poll_fd, 1, 20));
}

TEST_F(region, epoll_takes_the_node)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, epoll_ctl(fd, EPOLL_CTL_ADD, self->fd, &event));
	ASSERT_EQ(1, epoll_wait(fd, &event, 1, 0));
	EXPECT_EQ((uint32_t)EPOLLIN, event.events);
	close(fd);
}

TEST_HARNESS_MAIN
