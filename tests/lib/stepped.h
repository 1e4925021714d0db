/* SPDX-License-Identifier: MIT */
/* A program that goes on step by step, as its parent traces it. */

#ifndef STEPPED_H
#define STEPPED_H

#include "fixture.h"

#include <sys/prctl.h>
#include <sys/ptrace.h>

/* Stops when @body says so, by raise(SIGSTOP), and waits for steps. */
static inline pid_t start_stepped(int (*body)(struct ivshmem *shm))
{
	struct ivshmem *shm;
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) ||
		    ivshmem_open(&shm, in_shm("region"), 0))
			_exit(100);
		_exit(body(shm));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSTOPPED(status));
	return child;
}

#endif /* STEPPED_H */
