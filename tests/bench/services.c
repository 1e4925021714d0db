// SPDX-License-Identifier: MIT
/*
 * What a client of a service costs, while so many others are connected. The server is a
 * process of its own, and accepts in one thread.
 *
 * Prints, for CLIENTS that are connected:
 *	connect/CLIENTS NANOSECONDS	until ivshmem_connect() has returned
 *	close/CLIENTS NANOSECONDS	until ivshmem_channel_close() has returned
 *	heap/CLIENTS BYTES		of the client's process, for each client
 *	tables/CLIENTS BYTES		page tables of the client's process, likewise
 *	mappings/CLIENTS COUNT		of the client's process, likewise
 *	region/CLIENTS BYTES		of the region, likewise
 *
 * Use: services CLIENTS CONNECTS
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "bench.h"
#include "check.h"

#define OBJECTS		4096
#define RING		4096
#define MOST		2000
#define REGION_SIZE	(64ull << 20)
#define PATIENCE_MS	20000

static struct ivshmem_channel *channels[MOST];

/* Keeps its clients until they have closed. One after the other, so it looks at few. */
static void serve(struct ivshmem *shm, unsigned int kept)
{
	struct ivshmem_listener *listener;
	struct ivshmem_channel *channel;
	char text[8];
	int ret;

	check("listen", ivshmem_listen(&listener, shm, "service", 0));
	check("limit", ivshmem_listener_set_limit(listener, OBJECTS));
	for (;;) {
		check("accept", ivshmem_accept(&channel, listener, -1));
		if (kept) {
			kept--;
			continue;
		}
		ret = (int)ivshmem_channel_recv(channel, text, sizeof(text), PATIENCE_MS);
		if (ret != -EPIPE)
			check("recv", ret);
		ivshmem_channel_close(channel);
	}
}

static pid_t start_server(const char *path, unsigned int kept)
{
	struct ivshmem *shm;
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	check(path, ivshmem_open(&shm, path, 0));
	serve(shm, kept);
	_exit(0);
}

/* Of /proc/self/status, in kB. */
static double status_of(const char *field)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[128];
	double value = 0;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field)))
			value = atof(line + strlen(field) + 1);
	if (file)
		fclose(file);
	return value;
}

static double count_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	double count = 0;
	int c;

	while (file && (c = getc(file)) != EOF)
		count += c == '\n';
	if (file)
		fclose(file);
	return count;
}

static uint64_t room_in(struct ivshmem *shm)
{
	struct ivshmem_layout *layout;
	uint64_t bytes;

	check("layout", ivshmem_layout_read(&layout, shm));
	bytes = ivshmem_layout_free_bytes(layout);
	ivshmem_layout_free(layout);
	return bytes;
}

/* And what they take. */
static void connect_clients(struct ivshmem *shm, unsigned int clients)
{
	double heap, tables = status_of("VmPTE"), mappings = count_mappings();
	uint64_t room = room_in(shm);
	unsigned int i;

	heap = (double)(mallinfo2().uordblks + mallinfo2().hblkhd);
	for (i = 0; i < clients; i++)
		check("connect", ivshmem_connect(&channels[i], shm, "service", PATIENCE_MS));
	if (!clients)
		return;
	heap = (double)(mallinfo2().uordblks + mallinfo2().hblkhd) - heap;
	printf("heap/%u %.0f\n", clients, heap / clients);
	printf("tables/%u %.0f\n", clients, (status_of("VmPTE") - tables) * 1024 / clients);
	printf("mappings/%u %.2f\n", clients, (count_mappings() - mappings) / clients);
	printf("region/%u %.0f\n", clients, (double)(room - room_in(shm)) / clients);
}

static void connect_and_close(struct ivshmem *shm, unsigned int clients, unsigned int connects)
{
	double *opened = calloc(connects, sizeof(*opened));
	double *closed = calloc(connects, sizeof(*closed));
	struct ivshmem_channel *channel;
	uint64_t start, middle;
	unsigned int i;

	if (!opened || !closed)
		err(1, "calloc");
	for (i = 0; i < connects; i++) {
		start = now_ns();
		check("connect", ivshmem_connect(&channel, shm, "service", PATIENCE_MS));
		middle = now_ns();
		ivshmem_channel_close(channel);
		closed[i] = (double)(now_ns() - middle);
		opened[i] = (double)(middle - start);
	}
	printf("connect/%u %.0f\n", clients, median_of(opened, connects));
	printf("close/%u %.0f\n", clients, median_of(closed, connects));
}

int main(int argc, char **argv)
{
	unsigned int clients, connects;
	struct ivshmem *shm;
	char path[64];
	pid_t server;

	if (argc != 3)
		errx(2, "use: services CLIENTS CONNECTS");
	clients = (unsigned int)strtoul(argv[1], NULL, 10);
	connects = (unsigned int)strtoul(argv[2], NULL, 10);
	if (clients > MOST || !connects)
		errx(2, "at most %d clients, and at least one connect", MOST);
	snprintf(path, sizeof(path), "/dev/shm/ivshmem-bench-services-%d", getpid());
	check(path, ivshmem_create(&shm, path, REGION_SIZE, 0600, IVSHMEM_PREALLOCATE));
	check("format", ivshmem_format(shm, "", OBJECTS, RING, 0));
	server = start_server(path, clients);
	connect_clients(shm, clients);
	connect_and_close(shm, clients, connects);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	unlink(path);
	return 0;
}
