/* SPDX-License-Identifier: MIT */
/*
 * The command "ivshmem": one file a verb, each with one struct command.
 *
 * Results go to stdout, everything else to stderr.
 */

#ifndef IVSHMEM_CLI_H
#define IVSHMEM_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <ivshmem.h>

#include "text/text.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* EXIT_SUCCESS and EXIT_FAILURE have their usual meaning. */
#define EXIT_MISUSE	2

/**
 * struct command - One verb.
 * @name: As typed.
 * @summary: One line for "ivshmem --help".
 * @help: What follows "Usage: ivshmem NAME " in "ivshmem NAME --help".
 * @run: Takes main()'s arguments from the verb on, where argv[0] has become
 *       "ivshmem: NAME", which getopt_long() puts before its messages.
 *       Returns the exit status.
 */
struct command {
	const char *name;
	const char *summary;
	const char *help;
	int (*run)(int argc, char **argv);
};

extern const struct command cmd_list;
extern const struct command cmd_info;
extern const struct command cmd_top;
extern const struct command cmd_create;
extern const struct command cmd_read;
extern const struct command cmd_write;
extern const struct command cmd_format;
extern const struct command cmd_make;
extern const struct command cmd_rm;
extern const struct command cmd_send;
extern const struct command cmd_recv;
extern const struct command cmd_publish;
extern const struct command cmd_subscribe;
extern const struct command cmd_answer;
extern const struct command cmd_bench;
extern const struct command cmd_call;
extern const struct command cmd_notify;
extern const struct command cmd_wait;
extern const struct command cmd_serve;
extern const struct command cmd_peers;
extern const struct command cmd_qemu;
extern const struct command cmd_libvirt;

/* message.c */
int show_help(const struct command *command);
int misuse(const struct command *command);
const char *only_argument(const struct command *command, int argc, char **argv,
			  const char *what);

/* output.c */
void flush_stdout(void);
int close_stdout(int status);

/* clock.c */
int64_t now_ms(void);
int remaining_ms(int64_t end);

/* timeout.c */
int parse_seconds(const char *verb, const char *option, const char *text,
		  int64_t *milliseconds);
int parse_timeout(const char *verb, const char *text, int *timeout_ms);

/* stop.c */
void catch_signals(struct ivshmem *shm);
bool stopped(void);
void release_signals(void);

/* region.c */

/* For getopt_long(), of verbs that open a region: it returns RESOURCE2. */
#define REGION_OPTIONS	{ "resource2", no_argument, NULL, RESOURCE2 }
#define RESOURCE2	'2'

int open_region(struct ivshmem **shm, const char *where, unsigned int flags);
int check_range(const struct ivshmem *shm, const char *where, uint64_t offset,
		uint64_t length);
int backing_file_size(const char *path, uint64_t *size);

/* vm_options.c */

/* Those that "qemu" and "libvirt" share. */
#define VM_OPTIONS							\
		{ "size", required_argument, NULL, 's' },		\
		{ "doorbell", no_argument, NULL, 'd' },			\
		{ "socket", required_argument, NULL, 'S' },		\
		{ "vectors", required_argument, NULL, 'v' },		\
		{ "master", required_argument, NULL, 'm' },		\
		{ "help", no_argument, NULL, 'h' }

/* Whether the region goes along where a VM is migrated. */
enum vm_master {
	VM_MASTER_UNSAID,	/* as QEMU likes it, which is VM_MASTER_OFF */
	VM_MASTER_ON,
	VM_MASTER_OFF,
};

/**
 * struct vm_options - What device a VM is to have.
 * @size: Of the region; 0 where it was not given.
 * @doorbell: With interrupts.
 * @socket: Of the server, with @doorbell.
 * @vectors: With @doorbell.
 * @vectors_given: Was "--vectors" given?
 * @master: What "--master" says.
 */
struct vm_options {
	uint64_t size;
	bool doorbell;
	const char *socket;
	unsigned int vectors;
	bool vectors_given;
	enum vm_master master;
};

int parse_vm_option(const char *verb, int option, const char *value,
		    struct vm_options *options);
int check_vm_options(const char *verb, const struct vm_options *options);

/* escape.c */
void put_quoted(const char *text);
void put_escaped(const char *text);
char *double_commas(const char *text);

/* diagnose.c */
void explain_no_device(const char *where);
bool explain_device(const char *where, const struct ivshmem_device *device);
void explain_open(const char *where, unsigned int flags, int error);

/* module.c */
enum module_state {
	MODULE_UNKNOWN,
	MODULE_MISSING,		/* not installed for the running kernel */
	MODULE_INSTALLED,	/* but not loaded */
	MODULE_LOADED,		/* or built into the kernel */
};

enum module_state module_state(void);

/* copy.c */
/* Large enough for full speed, small enough for progress to be seen. */
#define COPY_CHUNK	((size_t)128 * 1024)

/**
 * struct copy - Bytes on their way between a mapping and a descriptor.
 * @where: The region's name in messages.
 * @memory: Where the bytes lie in the mapping.
 * @length: How many there are, or at most come.
 * @expected: What progress counts up to; 0 where that is not known.
 * @fd: The other end.
 * @in: From the descriptor into the mapping; else the other way.
 * @done: Bytes copied so far.
 */
struct copy {
	const char *where;
	char *memory;
	uint64_t length;
	uint64_t expected;
	int fd;
	bool in;
	uint64_t done;
};

int copy_run(struct copy *copy);
ssize_t read_some(int fd, void *buffer, size_t length);
ssize_t read_full(int fd, void *buffer, size_t length);
ssize_t write_some(int fd, const void *buffer, size_t length);
uint64_t input_left(void);
void explain_input(int error);
void explain_copy(const struct copy *copy, const struct ivshmem *shm, int error);

/* progress.c */
struct progress {
	const char *where;
	uint64_t expected;
	double started;
	double shown;		/* 0: nothing is on the terminal */
	bool wanted;
};

void progress_start(struct progress *progress, const char *where,
		    uint64_t expected);
void progress_update(struct progress *progress, uint64_t done);
void progress_end(struct progress *progress);

/* channel.c */
/**
 * struct attachment - One end of a channel, or a client of a service, and how to come by it.
 * @verb: Whose options these are.
 * @where: The region.
 * @name: The channel, or the service.
 * @is_client: It is a client of a service.
 * @create: Create the channel; else connect to it.
 * @open_flags: For ivshmem_open().
 * @flags: For ivshmem_channel_create() and ivshmem_channel_connect().
 * @timeout_ms: For each call that waits; negative: for ever.
 * @shm: Open while use_channel() runs, as @channel.
 * @channel: See @shm.
 */
struct attachment {
	const char *verb;
	const char *where;
	const char *name;
	bool is_client;
	bool create;
	unsigned int open_flags;
	unsigned int flags;
	int timeout_ms;
	struct ivshmem *shm;
	struct ivshmem_channel *channel;
};

/* For getopt_long(): parse_attachment() takes what it returns for these. */
#define ATTACHMENT_SHORT	"t:"
#define ATTACHMENT_OPTIONS						\
	{ "create", no_argument, NULL, 'C' },				\
	{ "connect", no_argument, NULL, 'K' },				\
	{ "take-over", no_argument, NULL, 'T' },			\
	REGION_OPTIONS,							\
	{ "timeout", required_argument, NULL, 't' }

/* Room for what explain_channel() says at the end. */
#define OUTCOME_MAX	80

int parse_attachment(struct attachment *attachment, int option, const char *value);
int parse_names(struct attachment *attachment, int argc, char **argv);
int use_channel(struct attachment *attachment, int (*use)(void *request), void *request);
void explain_channel(const struct attachment *attachment, enum ivshmem_task task, int error,
		     const char *outcome);

/* json.c */
struct json_object;

int json_add(struct json_object *object, const char *name, struct json_object *value);
int json_add_string(struct json_object *object, const char *name, const char *value);
int json_add_number(struct json_object *object, const char *name, uint64_t value);
void json_print(struct json_object *object);

/* status_names.c */
const char *kind_name(unsigned int kind);
const char *role_name(enum ivshmem_role role);
const char *state_name(enum ivshmem_end_state state);

/* status_json.c */
struct json_object *status_json(const struct ivshmem_status *status);

/* rates.c */
/**
 * struct rate - What a member does in a second.
 * @is_known: It was there before, and has counted on.
 * @sent: Messages that it passes on.
 * @received: Messages that it takes.
 * @bytes: Of a publisher, what it passes on, as far as its newest messages tell; of an end of
 *         a channel, what it takes.
 * @skipped: Messages that it does not get.
 * @wakeups: How often it wakes others.
 * @idle: Seconds since it was seen to do something, or was seen first.
 */
struct rate {
	bool is_known;
	double sent;
	double received;
	double bytes;
	double skipped;
	double wakeups;
	double idle;
};

struct rates;

struct rates *rates_new(void);
void rates_free(struct rates *rates);
int rates_update(struct rates *rates, const struct ivshmem_status *status, double time);
struct rate rates_of(const struct rates *rates, unsigned int index, unsigned int member);

/* status_table.c */
struct libscols_table;

/**
 * struct status_view - What a table shows.
 * @status: Of which snapshot.
 * @rates: What is done in a second; NULL: show totals.
 * @hide_idle: With @rates, only members that did something.
 * @columns: Those that a table before had, which this one has, too; NULL: only those that have
 *           something to say.
 */
struct status_view {
	const struct ivshmem_status *status;
	const struct rates *rates;
	bool hide_idle;
	uint32_t *columns;
};

unsigned int status_objects_used(const struct ivshmem_status *status);
struct libscols_table *status_table(const struct status_view *view);

/* screen.c */
#define SCREEN_HEAD	2	/* lines above the table */

enum screen_key {
	SCREEN_TIMEOUT,		/* none was pressed */
	SCREEN_QUIT,		/* or nobody is there to press any */
	SCREEN_IDLE,
	SCREEN_UP,
	SCREEN_DOWN,
	SCREEN_PAGE_UP,
	SCREEN_PAGE_DOWN,
	SCREEN_LEFT,
	SCREEN_RIGHT,
	SCREEN_HOME,
	SCREEN_OTHER,		/* such as another size of the terminal */
};

int screen_open(void);
void screen_close(void);
enum screen_key screen_wait(int ms);
unsigned int screen_room(void);
void screen_show(const char *head, const char *table, unsigned int first, unsigned int left);

/* objects.c */

/* For getopt_long(), of verbs that make objects: parse_object() takes what it returns. */
#define OBJECT_OPTIONS						\
	{ "channel", required_argument, NULL, 'C' },		\
	{ "area", required_argument, NULL, 'A' },		\
	{ "topic", required_argument, NULL, 'P' },		\
	{ "service", required_argument, NULL, 'S' }

/* For their help. */
#define OBJECT_HELP								\
	"      --channel NAME[:SIZE[:SIZE]]\n"						\
	"                     make a channel that stays, with rings of these sizes: the one\n"	\
	"                     that its creator writes, and the other way; a message has up to\n" \
	"                     half of its ring\n"						\
	"      --area NAME:SIZE\n"							\
	"                     make an area: raw memory with a name\n"			\
	"      --topic NAME:LENGTH[,history=N][,publishers=N][,subscribers=N][,holds=N][,lossless]\n" \
	"                     make a topic for messages of up to so many bytes: see\n"	\
	"                     ivshmem(1)\n"						\
	"      --service NAME[:SIZE[:SIZE]]\n"						\
	"                     make a service whose clients get rings of these sizes: the one\n"	\
	"                     that each client writes, and the other way\n"

struct wish;

/**
 * struct wishes - Objects that are to be made.
 * @list: In the order of the options.
 * @count: How many.
 */
struct wishes {
	struct wish *list;
	size_t count;
};

int parse_object(const char *verb, struct wishes *wishes, int option, const char *value);
int make_objects(struct ivshmem *shm, const char *where, const struct wishes *wishes);
void free_wishes(struct wishes *wishes);

/* lines.c */
/**
 * struct lines - The lines of a descriptor.
 * @fd: Descriptor to read from.
 * @max: The longest line that is taken, in bytes, without its end.
 * @buffer: What was read; @room bytes, of which those from @start to @end count.
 * @room: See @buffer.
 * @start: See @buffer.
 * @end: See @buffer.
 * @ended: The descriptor has no more.
 */
struct lines {
	int fd;
	size_t max;
	char *buffer;
	size_t room;
	size_t start;
	size_t end;
	bool ended;
};

int lines_next(struct lines *lines, const char **line, size_t *length);
void lines_free(struct lines *lines);

/* histogram.c */
struct histogram;

struct histogram *histogram_new(void);
void histogram_add(struct histogram *histogram, uint64_t value);
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);
uint64_t histogram_max(const struct histogram *histogram);
void histogram_free(struct histogram *histogram);

/* measure.c */
enum test {
	TEST_LATENCY,
	TEST_THROUGHPUT,
};

/**
 * struct measurement - One test of "ivshmem bench", and what came out.
 * @test: Which one.
 * @size: Of each message, in bytes, at least 1.
 * @seconds: In: how long to measure. Out: how long it took.
 * @messages: Out: messages to the other side.
 * @p50: Out: nanoseconds that this share of the round trips did not exceed;
 *       TEST_LATENCY only, as the next ones.
 * @p99: See @p50.
 * @p999: See @p50.
 * @max: Out: nanoseconds of the longest round trip.
 */
struct measurement {
	enum test test;
	uint64_t size;
	double seconds;
	uint64_t messages;
	uint64_t p50;
	uint64_t p99;
	uint64_t p999;
	uint64_t max;
};

int measure(struct ivshmem_channel *channel, struct measurement *measurement);
int answer(struct ivshmem_channel *channel);

#endif /* IVSHMEM_CLI_H */
