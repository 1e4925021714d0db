// SPDX-License-Identifier: MIT
/*
 * A server under a service manager of its own, for scripts: prints the path of the
 * socket, then reads commands, one a line.
 *
 *   kill	kill -9 the server, and say "ready" when the next one is
 *   stop	end it, say what was counted, and exit
 *
 *   keeper VECTORS
 */

#include "fixture.h"
#include "manager.h"

static int stop(int kills)
{
	int starts = manager->starts, most = manager->most, dropped = manager->dropped;
	int status = manager_stop();

	printf("kills %d starts %d most %d dropped %d status %d\n", kills, starts, most,
	       dropped, status);
	if (log_has("dropped:"))
		printf("peers were dropped\n");
	fixture_teardown(NULL);
	return status;
}

/* A script that gives up. */
static void give_up(int signal)
{
	kill(manager->pid, SIGKILL);
	kill(manager_pid, SIGKILL);
	_exit(1);
}

int main(int argc, char **argv)
{
	const struct start start = {
		.args = { "--vectors", argv[1], "--mode", "0666", "--max-peers", "64" },
		.size = "4M",
	};
	char line[16];
	int kills = 0;

	if (argc != 2 || fixture_setup(NULL))
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	manager_start(&start, 1024);
	signal(SIGTERM, give_up);
	printf("%s\n", fixture.socket);
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "kill\n"))
			break;
		kill_server();
		kills++;
		printf("ready\n");
	}
	return stop(kills);
}
