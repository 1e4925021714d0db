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

static void on_signal(int number)
{
	if (number != SIGALRM)
		signalled = number;
	/*
	 * A signal that comes just before a call sleeps would be lost on it: this
	 * one comes again, until the program has ended.
	 */
	alarm(1);
}

/* From now on these signals interrupt calls, and stopped() tells of them. */
void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal }, old;
	size_t i;

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

/* Dies of the signal that came, so that a shell knows; returns where none did. */
void die_if_stopped(void)
{
	if (!signalled)
		return;
	signal(signalled, SIG_DFL);
	raise(signalled);
}
