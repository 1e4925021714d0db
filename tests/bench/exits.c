// SPDX-License-Identifier: MIT
/*
 * Counts how often KVM leaves a guest, and why, while the guest and its host use a
 * region: see tests/bench/kvm. In the guest runs an agent, which does what the host's
 * program orders through the first page of a region of their own, the gate. Between
 * orders it looks at the gate, and nothing else, so that it causes no exit.
 *
 * After each measurement the same time passes with both sides looking at memory only:
 * what KVM counts then is the guest's and the host's timers, and all else that has
 * nothing to do with the region.
 *
 * Use: exits guest GATE DOORBELL CHANNEL REGION...
 *      exits host  GATE DOORBELL CHANNEL NAME...	as many names as regions
 * Prints "MEASUREMENT/count N", and for each counter "MEASUREMENT/busy/KIND/KEY N" and
 * "MEASUREMENT/idle/KIND/KEY N". KIND is "exit", KEY the hardware's reason; or "user",
 * a reason for an exit to QEMU; or "kvm", a name in /sys/kernel/debug/kvm.
 */

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

#include "bench.h"
#include "check.h"

#define MESSAGES	1000000
#define RINGS		1000
#define WARM_UP		100
#define WARM_MESSAGES	100000
#define WAIT_MS		120000
#define PAGE		4096

enum order { RING, TAKE_BUSY, TAKE_ASLEEP, TOUCH, EXCHANGE, END };

/*
 * The host writes @order and @argument, then @given; the guest does it, and writes
 * @done. @peer is the guest's, @ready that it looks, @taken how many rings it took.
 */
struct gate {
	uint32_t order, argument, given;
	uint32_t done, peer, ready, taken;
};

struct side {
	struct gate *gate;
	struct ivshmem *doorbell;
	struct ivshmem_channel *channel;
	unsigned int peer;
};

static struct ivshmem *open_shm(const char *where)
{
	struct ivshmem *shm;

	check(where, ivshmem_open(&shm, where, 0));
	check(where, ivshmem_map(shm));
	return shm;
}

static uint32_t look(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void tell(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static void await(const uint32_t *word, uint32_t value)
{
	uint64_t deadline = now_ns() + WAIT_MS * 1000000ull;
	unsigned int i;

	for (i = 1; look(word) != value; i++)
		if (!i && now_ns() > deadline)
			errx(1, "the other side does not answer");
}

static void ring(struct side *side, unsigned int peer)
{
	check("ring", ivshmem_notify(side->doorbell, peer, 0));
}

/* Both sides do the same, and neither ever waits. */
static void exchange(struct ivshmem_channel *channel, unsigned long messages)
{
	unsigned long sent = 0, received = 0;
	uint64_t message;
	long ret;

	while (sent < messages || received < messages) {
		ret = -EAGAIN;
		if (sent < messages)
			ret = ivshmem_channel_send(channel, &sent, sizeof(sent), 0);
		if (!ret)
			sent++;
		else if (ret != -EAGAIN)
			check("send", ret);
		ret = ivshmem_channel_recv(channel, &message, sizeof(message), 0);
		if (ret == -EAGAIN)
			continue;
		check("receive", ret);
		if (message != received++)
			errx(1, "a message was lost");
	}
}

static void take(struct side *side, unsigned int rings)
{
	while (rings--) {
		check("wait", ivshmem_wait(side->doorbell, 0, WAIT_MS));
		tell(&side->gate->taken, side->gate->taken + 1);
	}
}

/* A child waits for the rings, while the processor has no time to sleep. */
static void take_busily(struct side *side, unsigned int rings)
{
	pid_t child = fork();

	if (child < 0)
		err(1, "fork");
	if (!child) {
		take(side, rings);
		_exit(0);
	}
	await(&side->gate->taken, rings);
	waitpid(child, NULL, 0);
}

static void touch(const char *path)
{
	struct ivshmem *shm = open_shm(path);
	volatile char *data = ivshmem_data(shm);
	uint64_t offset, size = ivshmem_size(shm);

	for (offset = 0; offset < size; offset += PAGE)
		data[offset] = 1;
	ivshmem_close(shm);
}

static void obey(struct side *side, char **regions)
{
	const struct gate *gate = side->gate;
	uint32_t i;

	switch (gate->order) {
	case RING:
		for (i = 0; i < gate->argument; i++)
			ring(side, side->peer);
		break;
	case TAKE_BUSY:
		take_busily(side, gate->argument);
		break;
	case TAKE_ASLEEP:
		take(side, gate->argument);
		break;
	case TOUCH:
		touch(regions[gate->argument]);
		break;
	case EXCHANGE:
		exchange(side->channel, gate->argument);
		break;
	}
}

/* The host's peer is in @peer until the guest's stands there. */
static void be_guest(struct side *side, const char *region, char **regions)
{
	struct ivshmem *shm = open_shm(region);
	uint32_t done = 0;

	side->peer = side->gate->peer;
	check("vector", ivshmem_event_fd(side->doorbell, 0));
	check("channel", ivshmem_channel_connect(&side->channel, shm, "exits", 0, WAIT_MS));
	tell(&side->gate->peer, ivshmem_peer_id(side->doorbell));
	tell(&side->gate->ready, 1);
	for (;;) {
		while (look(&side->gate->given) == done)
			;
		if (side->gate->order == END)
			break;
		obey(side, regions);
		tell(&side->gate->done, ++done);
	}
	tell(&side->gate->done, ++done);
}

/* --- the host ---------------------------------------------------------------- */

#define MAX_KEY		2048

static const char *const gauges[] = { "pf_fixed", "pages_4k", "pages_2m", "pages_1g" };

#define GAUGES	(sizeof(gauges) / sizeof(gauges[0]))

struct counters {
	unsigned long exit[MAX_KEY], user[MAX_KEY], kvm[GAUGES];
};

/* A histogram that tests/bench/kvm has set: "{ exit_reason: 96 } hitcount: 12". */
static void read_histogram(const char *event, unsigned long *counts)
{
	char path[128], line[256];
	unsigned long key, count;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/tracing/events/kvm/%s/hist", event);
	file = fopen(path, "re");
	if (!file)
		err(1, "%s", path);
	memset(counts, 0, MAX_KEY * sizeof(*counts));
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "{ %*[^:]: %lu } hitcount: %lu", &key, &count) == 2 &&
		    key < MAX_KEY)
			counts[key] = count;
	fclose(file);
}

static unsigned long read_gauge(const char *name)
{
	unsigned long value;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%s", name);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%lu", &value) != 1)
		err(1, "%s", path);
	fclose(file);
	return value;
}

static void read_counters(struct counters *counters)
{
	unsigned int i;

	read_histogram("kvm_exit", counters->exit);
	read_histogram("kvm_userspace_exit", counters->user);
	for (i = 0; i < GAUGES; i++)
		counters->kvm[i] = read_gauge(gauges[i]);
}

static void print_one(const char *name, const char *when, const char *kind, unsigned int key,
		      unsigned long count)
{
	if (count)
		printf("%s/%s/%s/%u %lu\n", name, when, kind, key, count);
}

static void print_difference(const char *name, const char *when, const struct counters *before,
			     const struct counters *after)
{
	unsigned int i;

	for (i = 0; i < MAX_KEY; i++) {
		print_one(name, when, "exit", i, after->exit[i] - before->exit[i]);
		print_one(name, when, "user", i, after->user[i] - before->user[i]);
	}
	for (i = 0; i < GAUGES; i++)
		printf("%s/%s/kvm/%s %ld\n", name, when, gauges[i],
		       (long)(after->kvm[i] - before->kvm[i]));
}

/* What the host does meanwhile, until the guest has done its part. */
static void take_part(struct side *side, enum order order, unsigned int argument)
{
	unsigned int i;

	if (order == EXCHANGE)
		exchange(side->channel, argument);
	for (i = 1; (order == TAKE_BUSY || order == TAKE_ASLEEP) && i <= argument; i++) {
		ring(side, side->gate->peer);
		await(&side->gate->taken, i);
	}
	await(&side->gate->done, side->gate->given);
}

static void give(struct side *side, enum order order, unsigned int argument)
{
	side->gate->taken = 0;
	side->gate->order = order;
	side->gate->argument = argument;
	tell(&side->gate->given, side->gate->given + 1);
	take_part(side, order, argument);
}

static void measure(struct side *side, const char *name, enum order order, unsigned int argument,
		    unsigned long count)
{
	static struct counters before, between, after;
	uint64_t start, spent;

	fprintf(stderr, "# bench: exits, %s\n", name);
	if (order != TOUCH)
		give(side, order, order == EXCHANGE ? WARM_MESSAGES : WARM_UP);
	read_counters(&before);
	start = now_ns();
	give(side, order, argument);
	spent = now_ns() - start;
	read_counters(&between);
	start = now_ns();
	while (now_ns() - start < spent)
		;
	read_counters(&after);
	printf("%s/count %lu\n%s/ms %lu\n", name, count, name, (unsigned long)(spent / 1000000));
	print_difference(name, "busy", &before, &between);
	print_difference(name, "idle", &between, &after);
	fflush(stdout);
}

static void be_host(struct side *side, const char *region, char **names)
{
	struct ivshmem *shm = open_shm(region);
	char name[64];
	unsigned int i;

	check(region, ivshmem_format(shm, "exits", 1, ivshmem_size(shm) / 4, IVSHMEM_FORMAT_FORCE));
	memset(side->gate, 0, sizeof(*side->gate));
	side->gate->peer = ivshmem_peer_id(side->doorbell);
	puts("ready");
	fflush(stdout);
	check("channel", ivshmem_channel_create(&side->channel, shm, "exits", 0, WAIT_MS));
	await(&side->gate->ready, 1);
	measure(side, "ring-from-guest", RING, RINGS, RINGS);
	if (ivshmem_wait(side->doorbell, 0, 0) < RINGS)
		errx(1, "the guest's rings did not arrive");
	measure(side, "ring-asleep", TAKE_ASLEEP, RINGS, RINGS);
	for (i = 0; names[i]; i++) {
		snprintf(name, sizeof(name), "touch-%s", names[i]);
		measure(side, name, TOUCH, i, 1);
	}
	measure(side, "channel", EXCHANGE, MESSAGES, 2 * MESSAGES);
	measure(side, "ring-busy", TAKE_BUSY, RINGS, RINGS);
	give(side, END, 0);
}

int main(int argc, char **argv)
{
	struct side side = { 0 };

	if (argc < 5 || (strcmp(argv[1], "host") && strcmp(argv[1], "guest")))
		errx(2, "use: exits host|guest GATE DOORBELL CHANNEL NAME-OR-REGION...");
	side.gate = ivshmem_data(open_shm(argv[2]));
	side.doorbell = open_shm(argv[3]);
	if (!strcmp(argv[1], "host"))
		be_host(&side, argv[4], argv + 5);
	else
		be_guest(&side, argv[4], argv + 5);
	return 0;
}
