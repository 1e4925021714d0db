// SPDX-License-Identifier: MIT
/*
 * Channels between two programs of one machine, beside what else there is, that take
 * turns in each round. The two ends run on two processors, 0 and 1.
 *
 * Prints "trip/LINK/LENGTH NANOSECONDS" (the median of a round), of the links
 *	line	one cache line that both write, the limit
 *	lines	two, of one writer each
 *	channel, pipe, socket (UNIX, stream), mq (POSIX)
 * "rate/HOW MESSAGES-A-SECOND" of 56 bytes one way: copied, placed, batched;
 * "move/HOW MB-A-SECOND" of 1 MiB: placed, and memcpy of the same;
 * "sleep/LINK NANOSECONDS" of a round trip each millisecond, "sleep/LINK/cpu PERCENT";
 * "idle PERCENT" of a processor, of a receiver to which nobody sends;
 * "crowd/COUNT NANOSECONDS" of a round trip in a region with so many channels in use.
 *
 * Use: channel ROUNDS FOLDER [PART], one of trips, rates, moves, sleeps and crowd.
 */

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "bench.h"
#include "check.h"

#define FOR_EVER	(-1)
#define TRIPS		4000
#define WARM_UP		500
#define TOGETHER	10
#define LONGEST		(1u << 20)
#define MESSAGES	3000000
#define SHORT		56
#define BATCH		32
#define BLOCKS		400
#define SLEEPS		200
#define IDLE_MS		1000

static const size_t lengths[] = { 8, 56, 256, 1024, 4096, 16384, 65536, LONGEST };
static unsigned char buffer[LONGEST];

static void run_on(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* --- links --- */

/**
 * struct link - A way to the other end and back; each end has one of its own.
 * @line: Where this end writes.
 * @other: Where the other end writes.
 */
struct link {
	const char *name;
	void (*send)(struct link *link, size_t length);
	void (*receive)(struct link *link, size_t length);
	size_t longest;
	int in, out;
	mqd_t mq_in, mq_out;
	struct ivshmem_channel *channel;
	uint64_t *line;
	const uint64_t *other;
	uint64_t turn;
};

static void line_send(struct link *link, size_t length)
{
	__atomic_store_n(link->line, ++link->turn, __ATOMIC_RELEASE);
}

static void line_receive(struct link *link, size_t length)
{
	link->turn += link->line == link->other;
	while (__atomic_load_n(link->other, __ATOMIC_ACQUIRE) <
	       link->turn + (link->line != link->other))
		;
}

/* Of two lines each counts by itself, and the one who asks is one ahead. */
static void lines_receive_answer(struct link *link, size_t length)
{
	while (__atomic_load_n(link->other, __ATOMIC_ACQUIRE) != link->turn)
		;
}

static void fd_send(struct link *link, size_t length)
{
	size_t done = 0;
	ssize_t part;

	for (; done < length; done += (size_t)part) {
		part = write(link->out, buffer + done, length - done);
		if (part < 0)
			err(1, "%s: write", link->name);
	}
}

static void fd_receive(struct link *link, size_t length)
{
	size_t done = 0;
	ssize_t part;

	for (; done < length; done += (size_t)part) {
		part = read(link->in, buffer + done, length - done);
		if (part <= 0)
			err(1, "%s: read", link->name);
	}
}

static void mq_send_one(struct link *link, size_t length)
{
	if (mq_send(link->mq_out, (char *)buffer, length, 0))
		err(1, "mq_send");
}

static void mq_receive_one(struct link *link, size_t length)
{
	if (mq_receive(link->mq_in, (char *)buffer, 8192, NULL) < 0)
		err(1, "mq_receive");
}

static void channel_send(struct link *link, size_t length)
{
	check("send", ivshmem_channel_send(link->channel, buffer, length, FOR_EVER));
}

static void channel_receive(struct link *link, size_t length)
{
	check("recv", ivshmem_channel_recv(link->channel, buffer, sizeof(buffer), FOR_EVER));
}

enum { LINE, LINES, CHANNEL, PIPE, SOCKET, MQ, LINKS };

/* --- both ends --- */

static struct ivshmem_channel *open_channel(struct ivshmem *shm, int side, const char *name)
{
	struct ivshmem_channel *channel;

	check(name, (side ? ivshmem_channel_connect : ivshmem_channel_create)
	      (&channel, shm, name, 0, 30000));
	return channel;
}

static struct ivshmem *open_region(const char *folder, const char *name)
{
	struct ivshmem *shm;
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	check(path, ivshmem_open(&shm, path, 0));
	return shm;
}

/*
 * The rings share what the directory, with its block map, leaves. What is large begins at a
 * multiple of 2 MiB, and so do the blocks of a region of 32 MiB or more.
 */
static void make_region(const char *folder, const char *name, uint64_t size, unsigned int channels)
{
	uint64_t directory = channels == 1 || size >= 32 << 20 ? 2 << 20 :
			     8192 + 1024ull * channels + size / 4096 * 8;
	uint64_t ring = (size - directory) / (2ull * channels) / 4096 * 4096;
	struct ivshmem *shm;
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	check(path, ivshmem_create(&shm, path, size, 0600, IVSHMEM_PREALLOCATE));
	check(path, ivshmem_format(shm, "", channels, ring, 0));
	ivshmem_close(shm);
}

/* The clock is looked at for several trips together, since it takes as long as one. */
static uint64_t trips_of(struct link *link, size_t length, unsigned int trips)
{
	static uint64_t times[TRIPS / TOGETHER];
	unsigned int i;
	uint64_t start = 0;

	for (i = 0; i < WARM_UP + trips; i++) {
		if (i >= WARM_UP && (i - WARM_UP) % TOGETHER == 0)
			start = now_ns();
		link->send(link, length);
		link->receive(link, length);
		if (i >= WARM_UP && (i - WARM_UP) % TOGETHER == TOGETHER - 1)
			times[(i - WARM_UP) / TOGETHER] = (now_ns() - start) / TOGETHER;
	}
	qsort(times, trips / TOGETHER, sizeof(times[0]), compare);
	return times[trips / TOGETHER / 2];
}

static void answer(struct link *link, size_t length, unsigned int trips)
{
	unsigned int i;

	for (i = 0; i < WARM_UP + trips; i++) {
		link->receive(link, length);
		link->send(link, length);
	}
}

static unsigned int trips_for(size_t length)
{
	return length > 4096 ? TRIPS / 16 : TRIPS;
}

static void all_trips(struct link *links, int side)
{
	size_t l;
	int i;

	for (l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
		for (i = 0; i < LINKS; i++) {
			if (lengths[l] > links[i].longest)
				continue;
			if (side)
				answer(&links[i], lengths[l], trips_for(lengths[l]));
			else
				printf("trip/%s/%zu %llu\n", links[i].name, lengths[l],
				       (unsigned long long)trips_of(&links[i], lengths[l],
								    trips_for(lengths[l])));
		}
	}
}

/* --- one way --- */

enum how { COPIED, PLACED, BATCHED, HOWS };

static const char *const how_names[] = { "copied", "placed", "batched" };

static void send_many(struct ivshmem_channel *channel, enum how how)
{
	unsigned int i;
	void *room;

	for (i = 1; i <= MESSAGES; i++) {
		if (how == COPIED) {
			check("send", ivshmem_channel_send(channel, buffer, SHORT, FOR_EVER));
			continue;
		}
		check("reserve", ivshmem_channel_reserve(channel, &room, SHORT, FOR_EVER));
		memcpy(room, buffer, SHORT);
		check("commit", ivshmem_channel_commit(channel, SHORT, how == BATCHED && i % BATCH ?
						       IVSHMEM_MORE : 0));
	}
}

static void receive_many(struct ivshmem_channel *channel, enum how how)
{
	const void *message;
	unsigned int i;

	for (i = 1; i <= MESSAGES; i++) {
		if (how == COPIED) {
			check("recv", ivshmem_channel_recv(channel, buffer, SHORT, FOR_EVER));
			continue;
		}
		check("peek", ivshmem_channel_peek(channel, &message, FOR_EVER));
		memcpy(buffer, message, SHORT);
		if (how == PLACED)
			ivshmem_channel_release(channel, message);
		else if (!(i % BATCH))
			ivshmem_channel_release_all(channel);
	}
	ivshmem_channel_release_all(channel);
}

static void all_rates(struct link *link, int side)
{
	uint64_t start;
	int how;

	for (how = 0; how < HOWS; how++) {
		start = now_ns();
		if (side)
			receive_many(link->channel, (enum how)how);
		else
			send_many(link->channel, (enum how)how);
		/* The answer, so that all has arrived. */
		if (side)
			channel_send(link, 8);
		else
			channel_receive(link, 8);
		if (!side)
			printf("rate/%s %.0f\n", how_names[how],
			       MESSAGES * 1e9 / (double)(now_ns() - start));
	}
}

static void print_speed(const char *how, uint64_t start)
{
	printf("move/%s %.0f\n", how, (double)BLOCKS * LONGEST * 1000 / (double)(now_ns() - start));
}

/* Into memory of the same kind as the channel's, and as much of it. */
static void copy_blocks(char *to, size_t blocks)
{
	uint64_t start = now_ns();
	size_t i;

	for (i = 0; i < BLOCKS; i++) {
		memcpy(to + i % blocks * LONGEST, buffer, LONGEST);
		__asm__ volatile("" : : "r"(to) : "memory");
	}
	print_speed("memcpy", start);
}

static void move_blocks(struct link *link, int side, const char *folder)
{
	size_t blocks = ivshmem_channel_max_length(link->channel) * 2 / LONGEST;
	struct ivshmem *shm = open_region(folder, "spare");
	const void *message;
	uint64_t start;
	void *room;
	int i;

	check("map", ivshmem_map(shm));
	start = now_ns();
	for (i = 0; i < BLOCKS; i++) {
		if (side) {
			check("peek", ivshmem_channel_peek(link->channel, &message, FOR_EVER));
			ivshmem_channel_release(link->channel, message);
			continue;
		}
		check("reserve", ivshmem_channel_reserve(link->channel, &room, LONGEST, FOR_EVER));
		memcpy(room, buffer, LONGEST);
		check("commit", ivshmem_channel_commit(link->channel, LONGEST, 0));
	}
	if (side) {
		channel_send(link, 8);
	} else {
		channel_receive(link, 8);
		print_speed("placed", start);
		memset(ivshmem_data(shm), 0, blocks * LONGEST);
		copy_blocks(ivshmem_data(shm), blocks);
	}
	ivshmem_close(shm);
}

/* --- sleeping --- */

static double cpu_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void sleepy_trips(struct link *link, int side)
{
	static uint64_t times[SLEEPS];
	double cpu = cpu_s();
	uint64_t begin = now_ns(), start;
	int i;

	for (i = 0; i < SLEEPS; i++) {
		if (side) {
			link->receive(link, 8);
			link->send(link, 8);
			continue;
		}
		usleep(1000);
		start = now_ns();
		link->send(link, 8);
		link->receive(link, 8);
		times[i] = now_ns() - start;
	}
	if (side)
		return;
	qsort(times, SLEEPS, sizeof(times[0]), compare);
	printf("sleep/%s %llu\n", link->name, (unsigned long long)times[SLEEPS / 2]);
	printf("sleep/%s/cpu %.2f\n", link->name,
	       (cpu_s() - cpu) * 1e11 / (double)(now_ns() - begin));
}

static void wait_idly(struct link *link, int side)
{
	double cpu = cpu_s();
	long result;

	if (side) {
		usleep((IDLE_MS + 100) * 1000);
		return;
	}
	result = ivshmem_channel_recv(link->channel, buffer, sizeof(buffer), IDLE_MS);
	if (result != -ETIMEDOUT)
		check("receiver", result);
	printf("idle %.3f\n", (cpu_s() - cpu) * 1e5 / IDLE_MS);
}

/* --- the program --- */

static void trip_among(const char *folder, int side, unsigned int count)
{
	struct ivshmem *shm = open_region(folder, count > 1 ? "crowd" : "single");
	struct ivshmem_channel **channels = calloc(count, sizeof(*channels));
	struct link link = { .name = "one", .send = channel_send, .receive = channel_receive };
	unsigned int i;
	char name[16];

	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		channels[i] = open_channel(shm, side, name);
	}
	link.channel = channels[count - 1];
	if (side)
		answer(&link, 8, TRIPS);
	else
		printf("crowd/%u %llu\n", count, (unsigned long long)trips_of(&link, 8, TRIPS));
	for (i = 0; i < count; i++)
		ivshmem_channel_close(channels[i]);
	ivshmem_close(shm);
	free(channels);
}

static bool wants(const char *part, const char *name)
{
	return !part || !strcmp(part, name);
}

static void be_end(struct link *links, int side, const char *folder, unsigned long rounds,
		   const char *part)
{
	struct ivshmem *shm;

	run_on(side);
	shm = open_region(folder, "region");
	links[CHANNEL].channel = open_channel(shm, side, "bench");
	while (rounds--) {
		if (wants(part, "trips"))
			all_trips(links, side);
		if (wants(part, "rates"))
			all_rates(&links[CHANNEL], side);
		if (wants(part, "moves"))
			move_blocks(&links[CHANNEL], side, folder);
		if (wants(part, "sleeps")) {
			sleepy_trips(&links[CHANNEL], side);
			sleepy_trips(&links[PIPE], side);
			wait_idly(&links[CHANNEL], side);
		}
		if (wants(part, "crowd")) {
			trip_among(folder, side, 1);
			trip_among(folder, side, 1000);
		}
		fflush(stdout);
	}
}

static void make_links(struct link ends[2][LINKS])
{
	int to[2], back[2], pair[2], side, i;
	struct mq_attr attributes = { .mq_maxmsg = 8, .mq_msgsize = 8192 };
	char *lines = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			   -1, 0);
	mqd_t queues[2];
	char name[64];

	if (lines == MAP_FAILED || pipe2(to, O_CLOEXEC) || pipe2(back, O_CLOEXEC) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		err(1, "links");
	for (i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "/ivshmem-bench-%d-%d", getpid(), i);
		queues[i] = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
		if (queues[i] < 0)
			err(1, "mq_open");
		mq_unlink(name);
	}
	for (side = 0; side < 2; side++) {
		const struct link all[LINKS] = {
			[LINE] = { .name = "line", .send = line_send, .receive = line_receive,
				   .longest = 8, .line = (uint64_t *)lines,
				   .other = (uint64_t *)lines },
			[LINES] = { .name = "lines", .send = line_send, .longest = 8,
				    .receive = side ? line_receive : lines_receive_answer,
				    .line = (uint64_t *)(lines + 4096 * (1 + side)),
				    .other = (uint64_t *)(lines + 4096 * (2 - side)) },
			[CHANNEL] = { .name = "channel", .send = channel_send,
				      .receive = channel_receive, .longest = LONGEST },
			[PIPE] = { .name = "pipe", .send = fd_send, .receive = fd_receive,
				   .longest = LONGEST, .in = side ? to[0] : back[0],
				   .out = side ? back[1] : to[1] },
			[SOCKET] = { .name = "socket", .send = fd_send, .receive = fd_receive,
				     .longest = LONGEST, .in = pair[side], .out = pair[side] },
			[MQ] = { .name = "mq", .send = mq_send_one, .receive = mq_receive_one,
				 .longest = 4096, .mq_in = queues[!side], .mq_out = queues[side] },
		};

		memcpy(ends[side], all, sizeof(all));
	}
}

int main(int argc, char **argv)
{
	static struct link ends[2][LINKS];
	unsigned long rounds;
	pid_t child;
	int status;

	if (argc != 3 && argc != 4)
		errx(2, "use: channel ROUNDS FOLDER [trips|rates|moves|sleeps|crowd]");
	rounds = strtoul(argv[1], NULL, 10);
	memset(buffer, 0x5a, sizeof(buffer));
	make_region(argv[2], "region", 32 << 20, 1);
	make_region(argv[2], "single", 16 << 20, 1);
	make_region(argv[2], "spare", 32 << 20, 1);
	make_region(argv[2], "crowd", 64 << 20, 1000);
	make_links(ends);
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		be_end(ends[1], 1, argv[2], rounds, argv[3]);
		_exit(0);
	}
	be_end(ends[0], 0, argv[2], rounds, argv[3]);
	if (waitpid(child, &status, 0) != child || status)
		errx(1, "the other end failed");
	return 0;
}
