// SPDX-License-Identifier: MIT
/*
 * Round-trip times through doorbells, of 64 bytes in the region and a ring each
 * way, beside those of other links, that take turns in each round:
 *
 *   between guest and host	"tcp", "serial" (virtio-serial), "doorbell", and
 *				doorbells where one side looks for rings before it
 *				sleeps, or both do: "guest-busy", "host-busy", "busy"
 *   between two guests		"guests"
 *   between host programs	"eventfd" (bare eventfds), "programs" (doorbells)
 *   within the guest		"guest-eventfd" (bare eventfds of two processes),
 *				"self" (it rings itself)
 *
 * And "ring/write NANOSECONDS": how long a write to the doorbell takes the guest,
 * of a peer that is not there.
 *
 * Else nobody spins, so two guests and a host program do with two cores. While the
 * host measures by itself, both guests wait and their processors sleep.
 *
 * Use: doorbell host  ROUNDS WHERE PEER-GUEST SERIAL-SOCKET
 *	prints "port N" and "peer ID" first
 *      doorbell guest ROUNDS WHERE PEER-HOST PEER-OTHER SERIAL-PORT ADDRESS PORT
 *      doorbell other ROUNDS WHERE PEER-GUEST
 */

#include <poll.h>
#include <sys/eventfd.h>

#include "check.h"
#include "trips.h"

#define ROUND_LIMIT_S	60
#define WAIT_MS		60000
#define PAUSE_US	300000
#define BUSY_US		200
#define RINGS		2000
#define NOBODY		65535

/* The guest rings the host at this one once it has measured by itself. */
#define VECTOR_DONE	1

enum { TCP, SERIAL, DOORBELL, GUEST_BUSY, HOST_BUSY, BUSY, GUESTS, EVENTFD, PROGRAMS, LINKS };

static void doorbell_send(struct link *link, const struct message *message)
{
	memcpy(link->line, message, sizeof(*message));
	check(link->name, ivshmem_notify(link->shm, link->peer, link->vector));
}

static void doorbell_receive(struct link *link, struct message *message)
{
	check(link->name, ivshmem_set_busy_poll(link->shm, link->busy_us));
	check(link->name, ivshmem_wait(link->shm, link->vector, WAIT_MS));
	memcpy(message, link->line, sizeof(*message));
}

static void eventfd_send(struct link *link, const struct message *message)
{
	const uint64_t one = 1;

	if (write(link->fd, &one, sizeof(one)) < 0)
		err(1, "%s: write", link->name);
}

static void eventfd_receive(struct link *link, struct message *message)
{
	uint64_t count;

	if (read(link->from, &count, sizeof(count)) < 0)
		err(1, "%s: read", link->name);
}

static void self_send(struct link *link, const struct message *message)
{
	check(link->name, ivshmem_notify(link->shm, link->peer, link->vector));
}

static void self_receive(struct link *link, struct message *message)
{
	check(link->name, ivshmem_wait(link->shm, link->vector, WAIT_MS));
}

static struct ivshmem *open_shm(const char *where)
{
	struct ivshmem *shm;
	int ret = ivshmem_open(&shm, where, 0);

	if (!ret)
		ret = ivshmem_map(shm);
	check(where, ret);
	return shm;
}

/* Each has a page of the region and, in a guest, a vector that is bound now. */
static void use_doorbell(struct link *link, struct ivshmem *shm, unsigned int page,
			 unsigned int peer, unsigned int vector)
{
	link->shm = shm;
	link->line = (struct message *)((char *)ivshmem_data(shm) + page * sysconf(_SC_PAGESIZE));
	link->peer = peer;
	link->vector = vector;
	check(link->name, ivshmem_event_fd(shm, vector));
}

/* Those between guest and host, one at a time. */
static void use_doorbells(struct link *links, struct ivshmem *shm, unsigned int peer)
{
	unsigned int i;

	for (i = DOORBELL; i <= BUSY; i++)
		use_doorbell(&links[i], shm, 0, peer, 0);
	links[BUSY].busy_us = BUSY_US;
}

static void measure_eventfds(struct link *link)
{
	struct link other;

	link->fd = eventfd(0, EFD_CLOEXEC);
	link->from = eventfd(0, EFD_CLOEXEC);
	if (link->fd < 0 || link->from < 0)
		err(1, "eventfd");
	other = *link;
	other.fd = link->from;
	other.from = link->fd;
	measure_pair(link, &other, ROUND_LIMIT_S);
	close(link->fd);
	close(link->from);
}

static void learn_of(struct ivshmem *shm, int id)
{
	enum ivshmem_peer_change change;
	unsigned int peer;

	do {
		check("programs", ivshmem_peer_next(shm, WAIT_MS, &change, &peer));
	} while (peer != (unsigned int)id);
}

static void be_host(struct link *links, unsigned long rounds, char **argv)
{
	struct ivshmem *second = open_shm(argv[3]), *first = open_shm(argv[3]);
	struct link answering = links[PROGRAMS];
	unsigned int i;

	learn_of(second, ivshmem_peer_id(first));
	use_doorbells(links, first, strtoul(argv[4], NULL, 10));
	links[HOST_BUSY].busy_us = BUSY_US;
	use_doorbell(&links[PROGRAMS], first, 2, ivshmem_peer_id(second), 0);
	use_doorbell(&answering, second, 2, ivshmem_peer_id(first), 0);
	links[SERIAL].fd = connect_to_serial(argv[5]);
	printf("peer %d\n", ivshmem_peer_id(first));
	links[TCP].fd = accept_guest(listen_on_loopback());

	while (rounds--) {
		usleep(PAUSE_US);
		for (i = TCP; i <= BUSY; i++)
			measure(&links[i]);
		waiting_for = "the guest";
		check("guest", ivshmem_wait(first, VECTOR_DONE, WAIT_MS));
		measure_eventfds(&links[EVENTFD]);
		measure_pair(&links[PROGRAMS], &answering, ROUND_LIMIT_S);
		fflush(stdout);
	}
}

/* A message to nobody is written by the processor, and goes no further. */
static void measure_writes(struct ivshmem *shm)
{
	uint64_t start = now_ns();
	unsigned int i;

	for (i = 0; i < RINGS; i++)
		check("write", ivshmem_notify(shm, NOBODY, 0));
	printf("ring/write %lu\n", (unsigned long)((now_ns() - start) / RINGS));
}

static void be_guest(struct link *links, unsigned long rounds, char **argv)
{
	unsigned int host = strtoul(argv[4], NULL, 10);
	struct link self = { .name = "self", .warm_up = 20, .trips = 1000, .words = 1,
			     .send = self_send, .receive = self_receive };
	struct ivshmem *shm = open_shm(argv[3]);
	unsigned int i;

	use_doorbells(links, shm, host);
	links[GUEST_BUSY].busy_us = BUSY_US;
	use_doorbell(&links[GUESTS], shm, 1, strtoul(argv[5], NULL, 10), 1);
	use_doorbell(&self, shm, 3, ivshmem_peer_id(shm), 0);
	links[EVENTFD].name = "guest-eventfd";
	links[SERIAL].fd = open_path(argv[6]);
	links[TCP].fd = connect_to_host(argv[7], argv[8]);

	while (rounds--) {
		for (i = TCP; i <= BUSY; i++)
			answer(&links[i]);
		measure(&links[GUESTS]);
		measure(&self);
		measure_eventfds(&links[EVENTFD]);
		measure_writes(shm);
		check("host", ivshmem_notify(shm, host, VECTOR_DONE));
	}
}

static void be_other(struct link *links, unsigned long rounds, char **argv)
{
	use_doorbell(&links[GUESTS], open_shm(argv[3]), 1, strtoul(argv[4], NULL, 10), 1);
	while (rounds--)
		answer(&links[GUESTS]);
}

int main(int argc, char **argv)
{
	struct link links[LINKS] = {
		[TCP] = { .name = "tcp", .warm_up = 20, .trips = 1000, .words = WORDS,
			  .send = stream_send, .receive = stream_receive },
		[SERIAL] = { .name = "serial", .warm_up = 20, .trips = 1000, .words = WORDS,
			     .send = stream_send, .receive = stream_receive },
		[DOORBELL] = { .name = "doorbell", .warm_up = 20, .trips = 1000, .words = WORDS,
			       .send = doorbell_send, .receive = doorbell_receive },
		[GUEST_BUSY] = { .name = "guest-busy", .warm_up = 20, .trips = 1000, .words = WORDS,
				 .send = doorbell_send, .receive = doorbell_receive },
		[HOST_BUSY] = { .name = "host-busy", .warm_up = 20, .trips = 1000, .words = WORDS,
				.send = doorbell_send, .receive = doorbell_receive },
		[BUSY] = { .name = "busy", .warm_up = 20, .trips = 1000, .words = WORDS,
			   .send = doorbell_send, .receive = doorbell_receive },
		[GUESTS] = { .name = "guests", .warm_up = 20, .trips = 1000, .words = WORDS,
			     .send = doorbell_send, .receive = doorbell_receive },
		[EVENTFD] = { .name = "eventfd", .warm_up = 20, .trips = 1000, .words = 1,
			      .send = eventfd_send, .receive = eventfd_receive },
		[PROGRAMS] = { .name = "programs", .warm_up = 20, .trips = 1000, .words = WORDS,
			       .send = doorbell_send, .receive = doorbell_receive },
	};
	unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;

	set_time_limit(rounds * ROUND_LIMIT_S);
	if (argc == 6 && !strcmp(argv[1], "host"))
		be_host(links, rounds, argv);
	else if (argc == 9 && !strcmp(argv[1], "guest"))
		be_guest(links, rounds, argv);
	else if (argc == 5 && !strcmp(argv[1], "other"))
		be_other(links, rounds, argv);
	else
		errx(2, "use: doorbell host ROUNDS WHERE PEER-GUEST SERIAL-SOCKET\n"
		     "     doorbell guest ROUNDS WHERE PEER-HOST PEER-OTHER SERIAL-PORT ADDRESS PORT\n"
		     "     doorbell other ROUNDS WHERE PEER-GUEST");
	return 0;
}
