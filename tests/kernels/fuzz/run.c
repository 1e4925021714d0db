// SPDX-License-Identifier: MIT
/* Runs an input in a process of its own, which takes all with it that the calls made. */

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define MEETING_TRIES	200
#define ROUNDS		4

static struct runner runners[THREADS];
static __thread struct runner *self;
static atomic_uint arrived, meeting[ROUNDS * CALLS_MAX];

/* The memory is the parent's: each child has its copy. */
void run_open(void)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		runners[i].number = i;
		runners[i].memory = mmap(NULL, MEMORY + 4096, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (runners[i].memory == MAP_FAILED ||
		    mprotect(runners[i].memory + MEMORY, 4096, PROT_NONE))
			die("memory");
	}
}

static void on_signal(int signal)
{
	if (!self || !self->touching)
		_exit(100 + signal);
	siglongjmp(self->jump, 1);
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Memory that may not be there. */
void touch(struct runner *me, char *at, bool write)
{
	me->touching = true;
	if (!sigsetjmp(me->jump, 0)) {
		if (write)
			*(volatile char *)at = 1;
		else
			(void)*(volatile char *)at;
	}
	me->touching = false;
}

static void set_fault(struct runner *me, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	if (me->fail_nth >= 0)
		(void)!pwrite(me->fail_nth, text, len, 0);
}

static void make_call(struct runner *me, const struct call *call)
{
	const struct call_kind *kind = &call_kinds[call->kind];
	bool faulty = fuzz.faults && call->fault && kind->may_fault;

	if (faulty)
		set_fault(me, call->fault);
	kind->make(me, call->arg);
	/* The first try may be what fails. */
	if (faulty) {
		set_fault(me, 0);
		set_fault(me, 0);
	}
}

/*
 * What both do, they do at once; but neither waits for long, since the other one may wait
 * for this one, as who unbinds a device does.
 */
static void meet(unsigned int place)
{
	unsigned int tries;

	atomic_fetch_add(&meeting[place], 1);
	for (tries = 0; tries < MEETING_TRIES && atomic_load(&meeting[place]) < THREADS; tries++)
		sched_yield();
}

static void make_calls_once(struct runner *me, unsigned int round)
{
	const struct input *input = me->input;
	const struct call *call;
	unsigned int i;

	for (i = 0; i < input->count; i++) {
		call = &input->call[i];
		if (input->racing && call->thread == BY_BOTH)
			meet(round * CALLS_MAX + i);
		if (!input->racing || call->thread == me->number || call->thread == BY_BOTH)
			make_call(me, call);
	}
}

/* A race needs luck: so two threads make their calls several times. */
static void make_calls(struct runner *me)
{
	unsigned int round;

	for (round = 0; round < (me->input->racing ? ROUNDS : 1); round++)
		make_calls_once(me, round);
	resources_let_go();
}

static void *other_thread(void *data)
{
	self = data;
	self->fail_nth = fuzz.faults ? open("/proc/thread-self/fail-nth", O_RDWR) : -1;
	coverage_begin(self->number);
	atomic_fetch_add(&arrived, 1);
	while (atomic_load(&arrived) < THREADS)
		sched_yield();
	make_calls(self);
	coverage_end(self->number);
	return NULL;
}

static void run_child(const struct input *input)
{
	pthread_t thread;
	unsigned int i;

	maps_reserve();
	catch_signals();
	for (i = 0; i < THREADS; i++)
		runners[i].input = input;
	if (input->racing && pthread_create(&thread, NULL, other_thread, &runners[1]))
		die("a thread");
	self = &runners[0];
	self->fail_nth = fuzz.faults ? open("/proc/thread-self/fail-nth", O_RDWR) : -1;
	coverage_begin(0);
	atomic_fetch_add(&arrived, 1);
	while (input->racing && atomic_load(&arrived) < THREADS)
		sched_yield();
	make_calls(self);
	if (input->racing)
		pthread_join(thread, NULL);
	resources_close();
	coverage_end(0);
	_exit(0);
}

/*
 * Is it well? The kernel ends a process whose signal it can't deliver since it could not
 * write to its stack; a copy to user space may have failed for no more than our wish.
 */
static bool ended_well(int status)
{
	return !status || (fuzz.faults && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

void run_input(const struct input *input)
{
	int status;
	pid_t child;

	child = fork();
	if (child < 0)
		die("fork");
	if (!child)
		run_child(input);
	if (waitpid(child, &status, 0) != child)
		die("waitpid");
	if (!ended_well(status)) {
		input_print(input);
		printf("it ended with status %#x\n", status);
		exit(1);
	}
	devices_restore();
}
