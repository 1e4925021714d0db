// SPDX-License-Identifier: MIT
/*
 * Unbinds a device while a page fault on its mapping is held up half-way:
 *
 *   preempted_fault NODE PCI-ADDRESS 0|1
 *
 * with its pages pinnable, 1, or not.
 *
 * One process faults on processor 1, until another one of a higher priority takes
 * the processor away from it at a random moment, in which the device is unbound.
 * Wherever that caught the fault, unbind has to return once it goes on, and the
 * mapping has to be gone. Needs a kernel that preempts itself, and a processor 1
 * that nobody else uses. Prints in how many rounds unbind had to wait. Exit status
 * 3: in too few, so this proves nothing.
 */

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DRIVER	"/sys/bus/pci/drivers/ivshmem/"
#define HUGE	(2UL << 20)
#define ROUNDS	400
#define CAUGHT	20
/*
 * Longer than an unbind that waits for nothing, shorter than what the scheduler
 * grants to real-time processes of each second.
 */
#define HOLD_NS	500000000L
#define LIMIT_S	60

static struct shared {
	atomic_bool faulting;
	atomic_bool held;
	atomic_bool unbound;
} *shared;

static sigjmp_buf gone;

static void on_sigbus(int signal)
{
	siglongjmp(gone, 1);
}

static void use_processor(int number)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(2, "sched_setaffinity");
}

static long elapsed_ns(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000000000L + now.tv_nsec - since->tv_nsec;
}

/* Exit status 1: the mapping has survived the device. */
static void fault(const char *node)
{
	int fd = open(node, O_RDWR);
	volatile char *data = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (data == MAP_FAILED)
		err(2, "%s", node);
	use_processor(1);
	signal(SIGBUS, on_sigbus);
	if (sigsetjmp(gone, 1))
		_exit(0);
	while (!shared->held) {
		/* Page frames know no MADV_DONTNEED. */
		if (mmap((void *)data, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			 0) != data)
			_exit(errno == ENODEV ? 0 : 2);
		data[0] = 1;
		shared->faulting = true;
	}
	while (!shared->unbound)
		usleep(1000);
	data[0] = 1;
	_exit(1);
}

/* Exit status 1: unbind had to wait until the fault went on. */
static void hold_up(unsigned int delay_us)
{
	struct sched_param priority = { .sched_priority = 10 };
	struct timespec since;

	use_processor(1);
	if (sched_setscheduler(0, SCHED_FIFO, &priority))
		err(2, "sched_setscheduler");
	while (!shared->faulting)
		usleep(1000);
	usleep(delay_us);
	shared->held = true;
	clock_gettime(CLOCK_MONOTONIC, &since);
	while (!shared->unbound)
		if (elapsed_ns(&since) > HOLD_NS)
			_exit(1);
	_exit(0);
}

static void write_address(const char *file, const char *address)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0 || write(fd, address, strlen(address)) < 0)
		err(2, "%s", file);
	close(fd);
}

/* A helper of udev may have the node open for a moment. */
static void set_pinning(const char *node, const char *value)
{
	char path[128];
	int fd, tries;

	snprintf(path, sizeof(path), "/sys/class/ivshmem/%s/pinning", strrchr(node, '/') + 1);
	fd = open(path, O_WRONLY);
	for (tries = 0; fd < 0 || write(fd, value, 1) < 0; tries++) {
		if (fd < 0 || errno != EBUSY || tries == 1000)
			err(2, "%s", path);
		usleep(10000);
	}
	close(fd);
}

static int status_of(pid_t process)
{
	int status;

	if (waitpid(process, &status, 0) < 0)
		err(2, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static pid_t faulter;

/* Unbind does not return while the mapping lasts. */
static void on_alarm(int signal)
{
	static const char message[] = "unbind waits for a mapping that it left behind\n";

	(void)!write(STDERR_FILENO, message, sizeof(message) - 1);
	kill(faulter, SIGKILL);
}

/* Returns whether unbind had to wait. */
static bool run_round(const char *node, const char *address)
{
	unsigned int delay_us;
	pid_t holder;
	int waited;

	*shared = (struct shared){ 0 };
	faulter = fork();
	if (!faulter)
		fault(node);
	delay_us = 1000 + random() % 1000;
	holder = fork();
	if (!holder)
		hold_up(delay_us);
	while (!shared->held)
		usleep(50);
	alarm(LIMIT_S);
	write_address(DRIVER "unbind", address);
	alarm(0);
	shared->unbound = true;
	waited = status_of(holder);
	if (waited > 1)
		exit(2);
	if (status_of(faulter)) {
		fprintf(stderr, "a mapping is left after unbind\n");
		exit(1);
	}
	write_address(DRIVER "bind", address);
	return waited;
}

int main(int argc, char **argv)
{
	int round, caught = 0;

	if (argc != 4)
		return 2;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		err(2, "mmap");
	srandom(getpid());
	signal(SIGALRM, on_alarm);
	use_processor(0);
	for (round = 0; round < ROUNDS && caught < CAUGHT; round++) {
		set_pinning(argv[1], argv[3]);
		caught += run_round(argv[1], argv[2]);
	}
	printf("unbind waited in %d of %d rounds\n", caught, round);
	return caught < CAUGHT ? 3 : 0;
}
