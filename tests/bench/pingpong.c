// SPDX-License-Identifier: MIT
/*
 * Round-trip times between host and guest, over links that take turns in each
 * round: "tcp" and "serial", 64 bytes each; "line", one cache line of the region,
 * of which each side writes one word; "message", 64 bytes in one line of the
 * region. And "limit": what "line" takes between two processes of the host, since
 * it depends on how far apart the machine's cores are, which a virtual machine's
 * host may change at any time.
 *
 * The host sends and measures (its clock is the cheaper one), the guest answers
 * with each bit inverted. It must not spin while the host pauses or measures the
 * limit, so "tcp" comes first, and "limit" before "serial".
 *
 * Use: pingpong host  ROUNDS REGION SERIAL-SOCKET   prints "port N" first
 *      pingpong guest ROUNDS REGION SERIAL-PORT ADDRESS PORT
 * Prints "rtt/LINK/median NANOSECONDS" and "rtt/LINK/p99 NANOSECONDS".
 */

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "bench.h"

#define TIME_LIMIT_S	120
#define PAUSE_US	500000
#define WORDS		8

struct message {
	uint64_t word[WORDS];
};

_Static_assert(sizeof(struct message) == 64, "one cache line");

/* In the region, word 0 says whose turn it is: the host makes it odd. */
struct link {
	const char *name;
	unsigned int warm_up, trips;
	void (*send)(struct link *link, const struct message *message);
	void (*receive)(struct link *link, struct message *message);
	unsigned int words;
	int fd;
	struct message *line;
	uint64_t turn;
};

enum { TCP, LIMIT, SERIAL, LINE, MESSAGE, LINKS };

static const char *volatile waiting_for = "start";

static void time_is_up(int signal)
{
	static const char text[] = "pingpong: time is up while waiting for: ";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ||
	    write(STDERR_FILENO, waiting_for, strlen(waiting_for)) < 0 ||
	    write(STDERR_FILENO, "\n", 1) < 0)
		_exit(2);
	_exit(1);
}

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

static void stream_send(struct link *link, const struct message *message)
{
	const char *from = (const char *)message;
	size_t done = 0;
	ssize_t part;

	for (; done < sizeof(*message); done += part) {
		part = write(link->fd, from + done, sizeof(*message) - done);
		if (part < 0)
			err(1, "%s: write", link->name);
	}
}

static void stream_receive(struct link *link, struct message *message)
{
	char *to = (char *)message;
	size_t done = 0;
	ssize_t part;

	for (; done < sizeof(*message); done += part) {
		part = read(link->fd, to + done, sizeof(*message) - done);
		if (part < 0)
			err(1, "%s: read", link->name);
		if (!part)
			errx(1, "%s: the other side is gone", link->name);
	}
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

static void set_no_delay(int fd)
{
	int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		err(1, "tcp: TCP_NODELAY");
}

static int listen_on_loopback(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)&address, &length))
		err(1, "tcp: listen on 127.0.0.1");
	printf("port %d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static int accept_guest(int listener)
{
	int fd;

	waiting_for = "the guest's TCP connection";
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		err(1, "tcp: accept");
	close(listener);
	set_no_delay(fd);
	return fd;
}

static int connect_to_host(const char *host, const char *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(strtoul(port, NULL, 10)),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1)
		errx(1, "tcp: no socket for %s", host);
	waiting_for = "the TCP connection to the host";
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "tcp: connect to %s:%s", host, port);
	set_no_delay(fd);
	return fd;
}

static int connect_to_serial(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		errx(1, "%s: too long a path for a socket", path);
	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "serial: %s", path);
	return fd;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void report(const struct link *link, uint64_t *times)
{
	qsort(times, link->trips, sizeof(*times), compare);
	printf("rtt/%s/median %lu\n", link->name, (unsigned long)times[link->trips / 2]);
	printf("rtt/%s/p99 %lu\n", link->name, (unsigned long)times[link->trips * 99ul / 100]);
}

static uint64_t ping(struct link *link, uint64_t number)
{
	struct message message, answer;
	uint64_t start, end;
	unsigned int i;

	for (i = 0; i < link->words; i++)
		message.word[i] = number * WORDS + i;
	start = now_ns();
	link->send(link, &message);
	link->receive(link, &answer);
	end = now_ns();
	for (i = 1; i < link->words; i++)
		if (answer.word[i] != ~message.word[i])
			errx(1, "%s: trip %lu came back wrong", link->name, (unsigned long)number);
	return end - start;
}

static void measure(struct link *link)
{
	uint64_t *times = calloc(link->trips, sizeof(*times));
	unsigned int i;

	if (!times)
		err(1, "calloc");
	waiting_for = link->name;
	for (i = 0; i < link->warm_up; i++)
		ping(link, i);
	for (i = 0; i < link->trips; i++)
		times[i] = ping(link, i);
	report(link, times);
	free(times);
}

static void answer(struct link *link)
{
	struct message message;
	unsigned int i, w;

	waiting_for = link->name;
	for (i = 0; i < link->warm_up + link->trips; i++) {
		link->receive(link, &message);
		for (w = 0; w < link->words; w++)
			message.word[w] = ~message.word[w];
		link->send(link, &message);
	}
}

static void set_time_limit(void)
{
	struct sigaction action = { .sa_handler = time_is_up };

	sigaction(SIGALRM, &action, NULL);
	alarm(TIME_LIMIT_S);
}

/* What the guest's program does, in a process that dies with this one. */
static void measure_limit(struct link *link)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		err(1, "fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		set_time_limit();
		answer(link);
		_exit(0);
	}
	measure(link);
	if (waitpid(child, &status, 0) != child || status)
		errx(1, "%s: the answering process failed", link->name);
}

/* The guest starts once the port is printed, so the lines are cleared before. */
static void be_host(struct link *links, char **argv)
{
	unsigned long rounds = strtoul(argv[2], NULL, 10);
	int i;

	open_region(links, argv[3]);
	for (i = 0; i < LINKS; i++)
		if (links[i].line)
			memset(links[i].line, 0, sizeof(*links[i].line));
	links[SERIAL].fd = connect_to_serial(argv[4]);
	links[TCP].fd = accept_guest(listen_on_loopback());

	while (rounds--) {
		usleep(PAUSE_US);
		measure(&links[TCP]);
		measure_limit(&links[LIMIT]);
		for (i = SERIAL; i < LINKS; i++)
			measure(&links[i]);
	}
}

static void be_guest(struct link *links, char **argv)
{
	unsigned long rounds = strtoul(argv[2], NULL, 10);
	int i;

	open_region(links, argv[3]);
	links[SERIAL].fd = open_path(argv[4]);
	links[TCP].fd = connect_to_host(argv[5], argv[6]);

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
	};

	set_time_limit();
	if (argc == 5 && !strcmp(argv[1], "host"))
		be_host(links, argv);
	else if (argc == 7 && !strcmp(argv[1], "guest"))
		be_guest(links, argv);
	else
		errx(2, "use: pingpong host ROUNDS REGION SERIAL-SOCKET\n"
		     "     pingpong guest ROUNDS REGION SERIAL-PORT ADDRESS PORT");
	return 0;
}
