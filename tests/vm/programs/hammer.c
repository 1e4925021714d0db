// SPDX-License-Identifier: MIT
/*
 * Uses a device in every way at once until it goes, and checks how it went.
 *
 *   hammer NODE READY
 *
 * One thread stores to and loads from every page of a mapping, one reads,
 * writes and asks for facts through the file. The file READY is made once both
 * are at it. Exit status 0: the mapping ended in SIGBUS, the file in ENODEV,
 * and poll reports a hangup.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uapi/ivshmem.h"

static int fd;
static volatile unsigned char *data;
static uint64_t size;
static sigjmp_buf gone;
static atomic_int rounds[2];

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr, start = (uintptr_t)data;

	if (at < start || at >= start + size)
		_exit(9);
	siglongjmp(gone, 1);
}

static void *use_mapping(void *result)
{
	uint64_t at;

	if (sigsetjmp(gone, 1))
		return NULL;
	for (;;) {
		for (at = 0; at < size; at += 4096)
			data[at]++;
		atomic_fetch_add(&rounds[0], 1);
	}
}

/* Returns the error that ended it. */
static void *use_file(void *result)
{
	struct ivshmem_info info;
	char bytes[5000];

	for (;;) {
		memset(&info, 0, sizeof(info));
		if (pread(fd, bytes, sizeof(bytes), size / 2) < 0 ||
		    pwrite(fd, bytes, sizeof(bytes), size / 2 + 100) < 0 ||
		    ioctl(fd, IVSHMEM_IOC_GET_INFO, &info) < 0)
			return (void *)(intptr_t)errno;
		atomic_fetch_add(&rounds[1], 1);
	}
}

static int die(const char *what)
{
	fprintf(stderr, "hammer: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	struct ivshmem_info info = { 0 };
	struct pollfd poll_fd = { 0 };
	pthread_t threads[2];
	void *error;

	if (argc != 3)
		return 2;
	fd = open(argv[1], O_RDWR);
	if (fd < 0 || ioctl(fd, IVSHMEM_IOC_GET_INFO, &info))
		return die(argv[1]);
	size = info.size;
	data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return die("mmap");
	sigaction(SIGBUS, &action, NULL);
	if (pthread_create(&threads[0], NULL, use_mapping, NULL) ||
	    pthread_create(&threads[1], NULL, use_file, NULL))
		return die("pthread_create");
	while (!rounds[0] || !rounds[1])
		usleep(1000);
	close(open(argv[2], O_CREAT | O_WRONLY, 0600));

	pthread_join(threads[0], NULL);
	pthread_join(threads[1], &error);
	errno = (intptr_t)error;
	if (errno != ENODEV)
		return die("the file ended with another error than ENODEV");
	poll_fd.fd = fd;
	if (poll(&poll_fd, 1, 10000) != 1 || poll_fd.revents != (POLLHUP | POLLERR))
		return die("poll tells nothing of the hangup");
	return 0;
}
