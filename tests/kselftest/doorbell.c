// SPDX-License-Identifier: MIT
/*
 * Interrupts. Needs a second device, of kind doorbell with 4 vectors, whose only
 * peer is this guest: it rings itself.
 */

#include <sys/eventfd.h>
#include <sys/mount.h>

#include "region.h"

#define DOORBELL_NODE	"/dev/ivshmem1"
#define VECTORS		4

FIXTURE(doorbell) {
	int fd;
	unsigned int peer;
};

FIXTURE_SETUP(doorbell)
{
	struct ivshmem_info info;

	memset(&info, 0, sizeof(info));
	self->fd = open(DOORBELL_NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioctl(self->fd, IVSHMEM_IOC_GET_INFO, &info));
	ASSERT_EQ(IVSHMEM_KIND_DOORBELL, info.kind);
	ASSERT_EQ(VECTORS, info.vectors);
	self->peer = info.peer_id;
}

FIXTURE_TEARDOWN(doorbell)
{
	close(self->fd);
}

static int ring(int fd, unsigned int peer, unsigned int vector)
{
	struct ivshmem_ring arg = { .peer = peer, .vector = vector };

	return ioctl(fd, IVSHMEM_IOC_RING_DOORBELL, &arg);
}

static int set(int fd, unsigned int vector, int eventfd, unsigned int flags)
{
	struct ivshmem_eventfd arg = { .vector = vector, .fd = eventfd, .flags = flags };

	return ioctl(fd, IVSHMEM_IOC_SET_EVENTFD, &arg);
}

/* Binds a new eventfd, without what was kept for it. */
static int bind_new(int fd, unsigned int vector)
{
	int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t count;

	if (event < 0 || set(fd, vector, event, 0))
		return -1;
	usleep(20000);
	(void)!read(event, &count, sizeof(count));
	return event;
}

/* The count of an eventfd, waiting for it; 0 where none came in time. */
static uint64_t taken(int event, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = event, .events = POLLIN };
	uint64_t count;

	if (poll(&poll_fd, 1, timeout_ms) != 1 ||
	    read(event, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

TEST_F(doorbell, ring_signals_the_vector_and_no_other)
{
	int events[VECTORS], i, j;

	for (i = 0; i < VECTORS; i++) {
		events[i] = bind_new(self->fd, i);
		ASSERT_LE(0, events[i]);
	}
	for (i = 0; i < VECTORS; i++) {
		ASSERT_EQ(0, ring(self->fd, self->peer, i));
		EXPECT_EQ(1, taken(events[i], 30000));
		for (j = 0; j < VECTORS; j++)
			EXPECT_EQ(0, taken(events[j], 5));
	}
	for (i = 0; i < VECTORS; i++)
		close(events[i]);
}

TEST_F(doorbell, ring_that_found_nothing_bound_is_kept_for_the_first_binding)
{
	int first, second;

	/* The first binding takes what earlier tests left. */
	first = bind_new(self->fd, 2);
	ASSERT_EQ(0, set(self->fd, 2, first, IVSHMEM_EVENTFD_UNBIND));
	ASSERT_EQ(0, ring(self->fd, self->peer, 2));
	usleep(100000);
	EXPECT_EQ(0, taken(first, 0));
	ASSERT_EQ(0, set(self->fd, 2, first, 0));
	EXPECT_EQ(1, taken(first, 0));
	second = eventfd(0, EFD_NONBLOCK);
	ASSERT_EQ(0, set(self->fd, 2, second, 0));
	EXPECT_EQ(0, taken(second, 20));
	close(first);
	close(second);
}

TEST_F(doorbell, every_eventfd_of_every_file_is_signalled)
{
	int other = open(DOORBELL_NODE, O_RDWR);
	int a = bind_new(self->fd, 1), b = bind_new(self->fd, 1), c = bind_new(other, 1);

	ASSERT_LE(0, c);
	ASSERT_EQ(0, ring(self->fd, self->peer, 1));
	EXPECT_EQ(1, taken(a, 30000));
	EXPECT_EQ(1, taken(b, 30000));
	EXPECT_EQ(1, taken(c, 30000));
	close(other);
	ASSERT_EQ(0, ring(self->fd, self->peer, 1));
	EXPECT_EQ(1, taken(a, 30000));
	EXPECT_EQ(0, taken(c, 20));
	close(a);
	close(b);
	close(c);
}

TEST_F(doorbell, one_eventfd_serves_several_vectors)
{
	int event = bind_new(self->fd, 0);

	ASSERT_EQ(0, set(self->fd, 3, event, 0));
	usleep(20000);
	taken(event, 0);
	ASSERT_EQ(0, ring(self->fd, self->peer, 0));
	ASSERT_EQ(1, taken(event, 30000));
	ASSERT_EQ(0, ring(self->fd, self->peer, 3));
	ASSERT_EQ(1, taken(event, 30000));
	close(event);
}

TEST_F(doorbell, closed_eventfd_stays_bound_without_harm)
{
	int event = bind_new(self->fd, 0);

	close(event);
	ASSERT_EQ(0, ring(self->fd, self->peer, 0));
	usleep(20000);
	EXPECT_EQ(0, set(self->fd, 0, -1, IVSHMEM_EVENTFD_UNBIND));
}

TEST_F(doorbell, thousand_rings_arrive_at_least_once_after_the_last)
{
	int event = bind_new(self->fd, 0), i;
	uint64_t sum = 0;

	for (i = 0; i < 1000; i++)
		ASSERT_EQ(0, ring(self->fd, self->peer, 0));
	while (i) {
		i = taken(event, 200);
		sum += i;
	}
	EXPECT_LE(1, sum);
	EXPECT_GE(1000, sum);
	close(event);
}

TEST_F(doorbell, bind_twice_fails_eexist)
{
	int event = bind_new(self->fd, 0);

	EXPECT_ERRNO(EEXIST, set(self->fd, 0, event, 0));
	ASSERT_EQ(0, ring(self->fd, self->peer, 0));
	EXPECT_EQ(1, taken(event, 30000));
	close(event);
}

TEST_F(doorbell, bindings_of_one_file_have_an_end)
{
	int events[65], i;

	for (i = 0; i < 65; i++)
		events[i] = eventfd(0, EFD_NONBLOCK);
	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, set(self->fd, 0, events[i], 0));
	EXPECT_ERRNO(ENOSPC, set(self->fd, 0, events[64], 0));
	EXPECT_EQ(0, set(self->fd, 1, events[64], 0));
	ASSERT_EQ(0, set(self->fd, 0, events[3], IVSHMEM_EVENTFD_UNBIND));
	EXPECT_EQ(0, set(self->fd, 0, events[64], 0));
	for (i = 0; i < 65; i++)
		close(events[i]);
}

#define TRACING	"/sys/kernel/tracing/"

/* The largest number of eventfds that the interrupt handler signalled; -1: unknown. */
static int most_signalled_at_once(void)
{
	FILE *trace = fopen(TRACING "trace", "re");
	char line[256], *found;
	int most = -1, count;

	while (trace && fgets(line, sizeof(line), trace)) {
		found = strstr(line, "ivshmem_interrupt: ivshmem1 vector=0 bound signalled=");
		if (found && sscanf(strstr(found, "signalled="), "signalled=%d", &count) == 1 &&
		    count > most)
			most = count;
	}
	if (trace)
		fclose(trace);
	return most;
}

TEST_F(doorbell, all_of_1024_bindings_are_signalled_but_few_with_interrupts_off)
{
	int files[16], events[64], i, j;
	uint64_t sum;

	mount("none", TRACING, "tracefs", 0, NULL);
	ASSERT_EQ(0, write_line(TRACING "events/ivshmem/ivshmem_interrupt/enable", "1"));
	for (j = 0; j < 64; j++)
		events[j] = bind_new(self->fd, 0);
	for (i = 0; i < 15; i++) {
		files[i] = open(DOORBELL_NODE, O_RDWR);
		ASSERT_LE(0, files[i]);
		for (j = 0; j < 64; j++)
			ASSERT_EQ(0, set(files[i], 0, events[j], 0));
	}
	ASSERT_EQ(0, ring(self->fd, self->peer, 0));
	for (j = 0; j < 64; j++)
		for (sum = 0; sum < 16;) {
			uint64_t more = taken(events[j], 30000);

			ASSERT_NE(0, more);
			sum += more;
		}
	/* Each once, and no more. */
	for (j = 0; j < 64; j++)
		EXPECT_EQ(0, taken(events[j], 1));
	EXPECT_EQ(4, most_signalled_at_once());
	for (i = 0; i < 15; i++)
		close(files[i]);
	for (j = 0; j < 64; j++)
		close(events[j]);
	write_line(TRACING "events/ivshmem/ivshmem_interrupt/enable", "0");
}

TEST_F(doorbell, bindings_of_one_vector_have_an_end)
{
	int files[16], events[64], i, j;

	for (j = 0; j < 64; j++)
		events[j] = eventfd(0, EFD_NONBLOCK);
	for (i = 0; i < 16; i++) {
		files[i] = open(DOORBELL_NODE, O_RDWR);
		ASSERT_LE(0, files[i]);
		for (j = 0; j < 64; j++)
			ASSERT_EQ(0, set(files[i], 0, events[j], 0));
	}
	EXPECT_ERRNO(ENOSPC, set(self->fd, 0, events[0], 0));
	EXPECT_EQ(0, set(self->fd, 1, events[0], 0));
	close(files[0]);
	EXPECT_EQ(0, set(self->fd, 0, events[0], 0));
	for (i = 1; i < 16; i++)
		close(files[i]);
	for (j = 0; j < 64; j++)
		close(events[j]);
}

TEST_F(doorbell, unbind_ends_the_signals)
{
	int a = bind_new(self->fd, 0), b = bind_new(self->fd, 0);

	ASSERT_EQ(0, set(self->fd, 0, a, IVSHMEM_EVENTFD_UNBIND));
	ASSERT_EQ(0, ring(self->fd, self->peer, 0));
	EXPECT_EQ(1, taken(b, 30000));
	EXPECT_EQ(0, taken(a, 20));
	EXPECT_EQ(0, set(self->fd, 0, -1, IVSHMEM_EVENTFD_UNBIND));
	ASSERT_EQ(0, ring(self->fd, self->peer, 0));
	EXPECT_EQ(0, taken(b, 50));
	close(a);
	close(b);
}

TEST_F(doorbell, unbind_of_what_is_not_bound_fails_enoent)
{
	int event = eventfd(0, 0), other = open(DOORBELL_NODE, O_RDWR);

	EXPECT_ERRNO(ENOENT, set(self->fd, 0, event, IVSHMEM_EVENTFD_UNBIND));
	EXPECT_ERRNO(ENOENT, set(self->fd, 0, -1, IVSHMEM_EVENTFD_UNBIND));
	ASSERT_EQ(0, set(other, 0, event, 0));
	EXPECT_ERRNO(ENOENT, set(self->fd, 0, event, IVSHMEM_EVENTFD_UNBIND));
	close(other);
	close(event);
}

TEST_F(doorbell, bind_with_bad_arguments_fails)
{
	struct ivshmem_eventfd arg = { .vector = 0 };
	int event = eventfd(0, 0), bit;

	EXPECT_ERRNO(EINVAL, set(self->fd, VECTORS, event, 0));
	EXPECT_ERRNO(EINVAL, set(self->fd, ~0U, event, 0));
	EXPECT_ERRNO(EBADF, set(self->fd, 0, -1, 0));
	EXPECT_ERRNO(EBADF, set(self->fd, 0, 999, 0));
	EXPECT_ERRNO(EBADF, set(self->fd, 0, -2, IVSHMEM_EVENTFD_UNBIND));
	EXPECT_ERRNO(EINVAL, set(self->fd, 0, self->fd, 0));
	for (bit = 1; bit < 32; bit++)
		EXPECT_ERRNO(EINVAL, set(self->fd, 0, event, 1U << bit));
	arg.fd = event;
	arg.reserved = 1;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, IVSHMEM_IOC_SET_EVENTFD, &arg));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, IVSHMEM_IOC_SET_EVENTFD, NULL));
	close(event);
}

TEST_F(doorbell, ring_with_bad_arguments_fails)
{
	struct ivshmem_ring arg = { .peer = self->peer };
	int bit;

	EXPECT_ERRNO(EINVAL, ring(self->fd, IVSHMEM_PEER_MAX + 1, 0));
	EXPECT_ERRNO(EINVAL, ring(self->fd, ~0U, 0));
	EXPECT_ERRNO(EINVAL, ring(self->fd, self->peer, IVSHMEM_VECTOR_MAX + 1));
	EXPECT_ERRNO(EINVAL, ring(self->fd, self->peer, ~0U));
	for (bit = 0; bit < 32; bit++) {
		arg.flags = 1U << bit;
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, IVSHMEM_IOC_RING_DOORBELL, &arg));
	}
	arg.flags = 0;
	arg.reserved = 1;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, IVSHMEM_IOC_RING_DOORBELL, &arg));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, IVSHMEM_IOC_RING_DOORBELL, NULL));
}

TEST_F(doorbell, ring_of_an_absent_peer_or_vector_succeeds)
{
	EXPECT_EQ(0, ring(self->fd, IVSHMEM_PEER_MAX, 0));
	EXPECT_EQ(0, ring(self->fd, self->peer, IVSHMEM_VECTOR_MAX));
}

/* Neither ring nor take what was kept for whoever may write. */
TEST_F(doorbell, read_only_open_can_neither_ring_nor_bind)
{
	int reader = open(DOORBELL_NODE, O_RDONLY | O_CLOEXEC);
	int event = bind_new(self->fd, 2), other = eventfd(0, EFD_NONBLOCK);

	ASSERT_LE(0, reader);
	EXPECT_ERRNO(EACCES, ring(reader, self->peer, 2));
	EXPECT_EQ(0, taken(event, 100));
	ASSERT_EQ(0, set(self->fd, 2, event, IVSHMEM_EVENTFD_UNBIND));
	ASSERT_EQ(0, ring(self->fd, self->peer, 2));
	usleep(100000);
	EXPECT_ERRNO(EACCES, set(reader, 2, other, 0));
	EXPECT_ERRNO(EACCES, set(reader, 2, -1, IVSHMEM_EVENTFD_UNBIND));
	EXPECT_EQ(0, taken(other, 0));
	ASSERT_EQ(0, set(self->fd, 2, event, 0));
	EXPECT_EQ(1, taken(event, 0));
	close(other);
	close(event);
	close(reader);
}

TEST_F(doorbell, write_only_open_rings_and_binds)
{
	int writer = open(DOORBELL_NODE, O_WRONLY | O_CLOEXEC);
	int event = bind_new(writer, 2);

	ASSERT_LE(0, event);
	EXPECT_EQ(0, ring(writer, self->peer, 2));
	EXPECT_EQ(1, taken(event, 30000));
	close(event);
	close(writer);
}

TEST_F(doorbell, removal_signals_every_bound_eventfd)
{
	static const char driver[] = "/sys/bus/pci/drivers/ivshmem/";
	char unbind[64], bind[64];
	int a = bind_new(self->fd, 0), b = bind_new(self->fd, 3);

	snprintf(unbind, sizeof(unbind), "%sunbind", driver);
	snprintf(bind, sizeof(bind), "%sbind", driver);
	ASSERT_EQ(0, write_line(unbind, "0000:00:05.0"));
	EXPECT_EQ(1, taken(a, 0));
	EXPECT_EQ(1, taken(b, 0));
	EXPECT_ERRNO(ENODEV, ring(self->fd, self->peer, 0));
	EXPECT_ERRNO(ENODEV, set(self->fd, 0, a, 0));
	ASSERT_EQ(0, write_line(bind, "0000:00:05.0"));
	EXPECT_EQ(0, access(DOORBELL_NODE, F_OK));
	close(a);
	close(b);
}

TEST_F(region, plain_device_has_no_doorbell)
{
	int event = eventfd(0, 0);

	EXPECT_ERRNO(EOPNOTSUPP, ring(self->fd, 0, 0));
	EXPECT_ERRNO(EOPNOTSUPP, set(self->fd, 0, event, 0));
	EXPECT_ERRNO(EOPNOTSUPP, set(self->fd, 0, -1, IVSHMEM_EVENTFD_UNBIND));
	close(event);
}

TEST_HARNESS_MAIN
