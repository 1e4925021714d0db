// SPDX-License-Identifier: MIT
/*
 * Round-trip times between host and guest, over links that take turns in each
 * round: "tcp" and "serial", 64 bytes each; "line", one cache line of the region,
 * of which each side writes one word; "message", 64 bytes in one line of the
 * region; "channel" and "channel-64", 8 and 64 bytes through a channel in a region of
 * its own. And "limit": what "line" takes between two processes of the host, since
 * it depends on how far apart the machine's cores are, which a virtual machine's
 * host may change at any time.
 *
 * The host sends and measures (its clock is the cheaper one), the guest answers.
 * It must not spin while the host pauses or measures the limit, so "tcp" comes
 * first, and "limit" before "serial".
 *
 * Use: pingpong host  ROUNDS REGION SERIAL-SOCKET CHANNEL-REGION
 *	prints "port N" first, once the region of the channel is formatted
 *      pingpong guest ROUNDS REGION SERIAL-PORT CHANNEL-REGION ADDRESS PORT
 */

#include "check.h"
#include "trips.h"

#define CHANNEL_WAIT_MS	30000
#define TIME_LIMIT_S	120
#define PAUSE_US	500000

enum { TCP, LIMIT, SERIAL, LINE, MESSAGE, CHANNEL, CHANNEL_64, LINKS };

/*
 * Neither side tells the processor that it spins (PAUSE): under TCG it ends the
 * translated code, and under KVM it may end the vCPU's time slice.
 */
static void region_send(struct link *link, const struct message *message)
{
	unsigned int i;

	for (i = 1; i < link->words; i++)
		__atomic_store_n(&link->line->word[i], message->word[i], __ATOMIC_RELAXED);
	__atomic_store_n(&link->line->word[0], ++link->turn, __ATOMIC_RELEASE);
}

static void region_receive(struct link *link, struct message *message)
{
	unsigned int i;

	link->turn++;
	while (__atomic_load_n(&link->line->word[0], __ATOMIC_ACQUIRE) != link->turn)
		;
	for (i = 1; i < link->words; i++)
		message->word[i] = __atomic_load_n(&link->line->word[i], __ATOMIC_RELAXED);
}

static void channel_send(struct link *link, const struct message *message)
{
	check(link->name, ivshmem_channel_send(link->channel, message,
					       link->words * sizeof(message->word[0]), -1));
}

static void channel_receive(struct link *link, struct message *message)
{
	check(link->name, ivshmem_channel_recv(link->channel, message, sizeof(*message), -1));
}

static void set_channel(struct link *links, struct ivshmem_channel *channel)
{
	links[CHANNEL].channel = channel;
	links[CHANNEL_64].channel = channel;
}

/* The links lie a page apart, so that no prefetcher brings two of them. */
static void open_region(struct link *links, const char *path)
{
	struct source source = { .name = path, .fd = open_path(path) };
	size_t page = sysconf(_SC_PAGESIZE);
	char *data = source_map(&source, 3 * page);

	links[LINE].line = (struct message *)data;
	links[MESSAGE].line = (struct message *)(data + page);
	links[LIMIT].line = (struct message *)(data + 2 * page);
	close(source.fd);
}

/* The guest starts once the port is printed, so the lines are cleared before. */
static void be_host(struct link *links, char **argv)
{
	unsigned long rounds = strtoul(argv[2], NULL, 10);
	struct ivshmem_channel *channel;
	struct ivshmem *shm;
	struct link other;
	int i;

	check(argv[5], ivshmem_open(&shm, argv[5], 0));
	check(argv[5], ivshmem_format(shm, "bench", 1, ivshmem_size(shm) / 4,
				      IVSHMEM_FORMAT_FORCE));
	open_region(links, argv[3]);
	for (i = 0; i < LINKS; i++)
		if (links[i].line)
			memset(links[i].line, 0, sizeof(*links[i].line));
	links[SERIAL].fd = connect_to_serial(argv[4]);
	links[TCP].fd = accept_guest(listen_on_loopback());
	waiting_for = "the guest's end of the channel";
	check("channel", ivshmem_channel_create(&channel, shm, "bench", 0, CHANNEL_WAIT_MS));
	set_channel(links, channel);

	while (rounds--) {
		usleep(PAUSE_US);
		measure(&links[TCP]);
		other = links[LIMIT];
		measure_pair(&links[LIMIT], &other, TIME_LIMIT_S);
		for (i = SERIAL; i < LINKS; i++)
			measure(&links[i]);
	}
}

static void be_guest(struct link *links, char **argv)
{
	unsigned long rounds = strtoul(argv[2], NULL, 10);
	struct ivshmem_channel *channel;
	struct ivshmem *shm;
	int i;

	open_region(links, argv[3]);
	links[SERIAL].fd = open_path(argv[4]);
	check(argv[5], ivshmem_open(&shm, argv[5], 0));
	links[TCP].fd = connect_to_host(argv[6], argv[7]);
	check("channel", ivshmem_channel_connect(&channel, shm, "bench", 0, CHANNEL_WAIT_MS));
	set_channel(links, channel);

	while (rounds--)
		for (i = 0; i < LINKS; i++)
			if (i != LIMIT)
				answer(&links[i]);
}

int main(int argc, char **argv)
{
	struct link links[LINKS] = {
		[TCP] = { .name = "tcp", .warm_up = 20, .trips = 1000, .words = WORDS,
			  .send = stream_send, .receive = stream_receive },
		[LIMIT] = { .name = "limit", .warm_up = 2000, .trips = 20000, .words = 1,
			    .send = region_send, .receive = region_receive },
		[SERIAL] = { .name = "serial", .warm_up = 20, .trips = 1000, .words = WORDS,
			     .send = stream_send, .receive = stream_receive },
		[LINE] = { .name = "line", .warm_up = 2000, .trips = 20000, .words = 1,
			   .send = region_send, .receive = region_receive },
		[MESSAGE] = { .name = "message", .warm_up = 2000, .trips = 20000, .words = WORDS,
			      .send = region_send, .receive = region_receive },
		[CHANNEL] = { .name = "channel", .warm_up = 2000, .trips = 20000, .words = 1,
			      .send = channel_send, .receive = channel_receive },
		[CHANNEL_64] = { .name = "channel-64", .warm_up = 2000, .trips = 20000,
				 .words = WORDS, .send = channel_send,
				 .receive = channel_receive },
	};

	set_time_limit(TIME_LIMIT_S);
	if (argc == 6 && !strcmp(argv[1], "host"))
		be_host(links, argv);
	else if (argc == 8 && !strcmp(argv[1], "guest"))
		be_guest(links, argv);
	else
		errx(2, "use: pingpong host ROUNDS REGION SERIAL-SOCKET CHANNEL-REGION\n"
		     "     pingpong guest ROUNDS REGION SERIAL-PORT CHANNEL-REGION ADDRESS PORT");
	return 0;
}
