// SPDX-License-Identifier: MIT
/*
 * Use: fuzz_calls [-s SEED] [-n EXECUTIONS] [-r] [-v] PCI-ADDRESS...
 *
 * -r: two threads make the calls of each input. -v: print each input before it runs. Where
 * the kernel can (/proc/self/fail-nth), allocations and copies of some calls fail.
 *
 * The same seed makes the same inputs, as long as the module is the same and there are
 * no threads. Exits with 0 once all have run and left the devices as they were; the
 * kernel's log tells of the rest.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"

#define CORPUS_MAX	4096
#define INPUTS_EACH	20	/* with the same devices to pin */

static struct input corpus[CORPUS_MAX];
static unsigned int kept;

void die(const char *what)
{
	perror(what);
	exit(2);
}

static void next_input(struct input *input, bool racing)
{
	if (!kept || random_once_in(10)) {
		input_make(input, racing);
		return;
	}
	*input = corpus[random_below(kept)];
	input_mutate(input, &corpus[random_below(kept)]);
}

static void run(unsigned long executions, bool racing, bool verbose)
{
	struct input input;
	unsigned long i;

	for (i = 0; i < executions; i++) {
		if (i % INPUTS_EACH == 0)
			devices_choose_pinning(random_number());
		next_input(&input, racing);
		if (verbose) {
			printf("input %lu: ", i);
			input_print(&input);
			fflush(stdout);
		}
		run_input(&input);
		if (coverage_take() && kept < CORPUS_MAX)
			corpus[kept++] = input;
	}
	devices_choose_pinning(0);
	coverage_report();
	printf("executions: %lu, inputs kept: %u\n", executions, kept);
}

int main(int argc, char **argv)
{
	unsigned long seed = 1, executions = 1000;
	bool racing = false, verbose = false;
	int option;

	while ((option = getopt(argc, argv, "s:n:rv")) != -1) {
		switch (option) {
		case 's':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 'n':
			executions = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			racing = true;
			break;
		case 'v':
			verbose = true;
			break;
		default:
			return 2;
		}
	}
	for (; optind < argc; optind++)
		devices_add(argv[optind]);
	if (!fuzz.devices)
		return 2;
	fuzz.faults = !access("/proc/self/fail-nth", W_OK);
	random_seed(seed);
	run_open();
	coverage_open();
	run(executions, racing, verbose);
	return 0;
}
