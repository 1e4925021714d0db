// SPDX-License-Identifier: MIT
/*
 * Signals that end the program ask it to end: whoever has a channel closes it
 * first, so that the other side is told.
 */

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "cli.h"

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
static volatile sig_atomic_t signalled;
static struct ivshmem *volatile region;		/* whose calls a signal ends */

static void on_signal(int number)
{
	if (number != SIGALRM)
		signalled = number;
	ivshmem_cancel(region);
	/*
	 * A signal that comes just before read(2) or write(2) sleeps would be lost on
	 * it: this one comes again, until the program has ended.
	 */
	alarm(1);
}

/*
 * From now on these signals end calls that wait: those of @shm and its channels with
 * -ECANCELED, of others with EINTR. stopped() tells of them.
 */
void catch_signals(struct ivshmem *shm)
{
	struct sigaction action = { .sa_handler = on_signal }, old = { .sa_handler = SIG_DFL };
	size_t i;

	region = shm;
	sigaction(SIGALRM, &action, NULL);
	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		/* As nohup(1) has it: what was ignored stays ignored. */
		if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
}

bool stopped(void)
{
	return signalled;
}

/*
 * Undoes catch_signals(), before its handle is closed. Where a signal came, the program
 * dies of it here, so that a shell knows.
 */
void release_signals(void)
{
	struct sigaction now = { .sa_handler = SIG_DFL };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		if (!sigaction(signals[i], NULL, &now) && now.sa_handler == on_signal)
			signal(signals[i], SIG_DFL);
	}
	if (signalled)
		raise(signalled);
}
