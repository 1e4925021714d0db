/* SPDX-License-Identifier: MIT */
/*
 * A fuzzer of the module's calls, guided by coverage.
 *
 * An input is a sequence of calls. A call's arguments are numbers; what they stand for is
 * up to the call, so that each input means something. Each input runs in a process of its
 * own, by one thread or by two at once. Inputs that reach new code of the module are kept,
 * and later ones made of them.
 */

#ifndef FUZZ_H
#define FUZZ_H

#include <limits.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALLS_MAX	32
#define CHAIN_MAX	10
#define ARGS		4
#define THREADS		2
#define DEVICES_MAX	4

/* struct call.thread: which threads make the call, where there are two */
#define BY_BOTH		THREADS

struct call {
	uint8_t kind;		/* index into call_kinds */
	uint8_t thread;		/* number of a thread, or BY_BOTH */
	uint8_t fault;		/* this allocation or copy of the call fails; 0: none */
	uint32_t arg[ARGS];
};

struct input {
	bool racing;		/* by two threads */
	uint8_t count;
	struct call call[CALLS_MAX];
};

struct device {
	const char *address;	/* of PCI */
	uint64_t size;		/* of the region */
	bool vectors;		/* it has some */
	bool pinning;		/* programs may pin it, between two inputs */
};

/* What all of a run know. */
struct fuzz {
	struct device device[DEVICES_MAX];
	unsigned int devices;
	bool faults;		/* the kernel can make allocations fail */
};

extern struct fuzz fuzz;

/* A thread that runs an input. */
struct runner {
	const struct input *input;
	unsigned int number;
	int fail_nth;
	bool touching;
	sigjmp_buf jump;	/* where a signal goes to while touching */
	char *memory;		/* MEMORY bytes, and a page that is not there */
};

#define MEMORY		(256UL << 10)

/* random.c */
void random_seed(uint64_t seed);
uint32_t random_number(void);
uint32_t random_below(uint32_t limit);
bool random_once_in(uint32_t times);

/* input.c */
void input_make(struct input *input, bool racing);
void input_mutate(struct input *input, const struct input *other);
void input_print(const struct input *input);
void random_call(struct call *call, uint8_t kind);

/* chains.c */
unsigned int chain_make(struct call *call);

/* calls.c, calls_device.c, calls_file.c, calls_memory.c */
struct call_kind {
	const char *name;
	void (*make)(struct runner *me, const uint32_t *arg);
	unsigned int weight;	/* how often it is chosen, compared with others */
	bool may_fault;		/* the kernel itself survives failures in it */
};

extern const struct call_kind call_kinds[];
extern const unsigned int call_kinds_count;

void call_open(struct runner *me, const uint32_t *arg);
void call_close(struct runner *me, const uint32_t *arg);
void call_read(struct runner *me, const uint32_t *arg);
void call_write(struct runner *me, const uint32_t *arg);
void call_seek(struct runner *me, const uint32_t *arg);
void call_poll(struct runner *me, const uint32_t *arg);
void call_epoll(struct runner *me, const uint32_t *arg);
void call_sync(struct runner *me, const uint32_t *arg);
void call_pipe(struct runner *me, const uint32_t *arg);
void call_splice(struct runner *me, const uint32_t *arg);

void call_info(struct runner *me, const uint32_t *arg);
void call_ring(struct runner *me, const uint32_t *arg);
void call_event(struct runner *me, const uint32_t *arg);
void call_set_eventfd(struct runner *me, const uint32_t *arg);
void call_export(struct runner *me, const uint32_t *arg);
void call_ioctl(struct runner *me, const uint32_t *arg);
void call_buffer(struct runner *me, const uint32_t *arg);
void call_import(struct runner *me, const uint32_t *arg);
void call_importer(struct runner *me, const uint32_t *arg);
void call_attribute(struct runner *me, const uint32_t *arg);
void call_pinning(struct runner *me, const uint32_t *arg);
void call_unbind(struct runner *me, const uint32_t *arg);
void call_bind(struct runner *me, const uint32_t *arg);

void call_map(struct runner *me, const uint32_t *arg);
void call_map_anywhere(struct runner *me, const uint32_t *arg);
void call_unmap(struct runner *me, const uint32_t *arg);
void call_touch(struct runner *me, const uint32_t *arg);
void call_fork(struct runner *me, const uint32_t *arg);
void call_advise(struct runner *me, const uint32_t *arg);
void call_protect(struct runner *me, const uint32_t *arg);
void call_move(struct runner *me, const uint32_t *arg);
void call_vmsplice(struct runner *me, const uint32_t *arg);
void call_copy_memory(struct runner *me, const uint32_t *arg);

/* devices.c */
void devices_add(const char *address);
int device_open(unsigned int device, int flags);
bool device_write(unsigned int device, const char *attribute, const char *text);
bool device_read(unsigned int device, const char *attribute, char *text, size_t size);
bool device_bind(unsigned int device);
bool device_unbind(unsigned int device);
void devices_choose_pinning(unsigned int bits);
void devices_restore(void);

/* run.c */
void run_open(void);
void run_input(const struct input *input);
void touch(struct runner *me, char *at, bool write);

/* coverage.c */
void coverage_open(void);
void coverage_begin(unsigned int thread);
void coverage_end(unsigned int thread);
bool coverage_take(void);
void coverage_report(void);

/* resources.c: what calls make and later ones use */
enum resource { NODES, EVENTS, BUFFERS, IMPORTS, PIPE_READERS, PIPE_WRITERS, POLLS, RESOURCES };

#define SLOTS		2
#define MAPS		2
#define MAP_ROOM	(64UL << 20)

int resource_get(enum resource resource, uint32_t arg);
void resource_put(enum resource resource, uint32_t arg, int fd);
void resources_let_go(void);
void resources_close(void);
void maps_reserve(void);
char *map_at(uint32_t arg);

/* numbers.c: what the numbers of a call stand for */
uint64_t number_offset(uint32_t arg);
uint64_t number_length(uint32_t arg);
void *number_pointer(struct runner *me, uint32_t arg, const void *data, size_t size);

void die(const char *what) __attribute__((noreturn));

#endif /* FUZZ_H */
