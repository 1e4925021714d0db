// SPDX-License-Identifier: MIT
/*
 * Pairs of programs that know nothing of each other, and share a region: each round
 * every pair opens a channel of a new name, and there are no more slots than pairs.
 */
#include "../channels.h"

#include <sys/socket.h>

#define PAIRS		8
#define ROUNDS		1000

/* Until the other program of the pair is there, too. */
static bool meet(int socket)
{
	char byte = 0;

	return write(socket, &byte, 1) == 1 && read(socket, &byte, 1) == 1;
}

static int tell(const char *name, const char *what, int err)
{
	print_error("# %s: %s: %s\n", name, what, ivshmem_strerror(err));
	return 1;
}

/* Who sends is told of a close even where all was taken, so nobody closes before. */
static int create_and_send(struct ivshmem *shm, const char *name, int socket)
{
	struct ivshmem_channel *channel;
	int err = ivshmem_channel_create(&channel, shm, name, 0, PATIENCE_MS);

	if (err)
		return tell(name, "create", err);
	err = ivshmem_channel_send(channel, name, strlen(name), PATIENCE_MS);
	if (!err && !meet(socket))
		return 1;
	ivshmem_channel_close(channel);
	return err ? tell(name, "send", err) : 0;
}

static int connect_and_receive(struct ivshmem *shm, const char *name, int socket)
{
	char message[IVSHMEM_NAME_SIZE] = "";
	struct ivshmem_channel *channel;
	int err = ivshmem_channel_connect(&channel, shm, name, 0, PATIENCE_MS);
	ssize_t length;

	if (err)
		return tell(name, "connect", err);
	length = ivshmem_channel_recv(channel, message, sizeof(message) - 1, PATIENCE_MS);
	if (length >= 0 && !meet(socket))
		return 1;
	ivshmem_channel_close(channel);
	if (length < 0)
		return tell(name, "recv", (int)length);
	if (strcmp(message, name)) {
		print_error("# %s: received what was sent in %s\n", name, message);
		return 1;
	}
	return 0;
}

typedef int (*round_fn)(struct ivshmem *shm, const char *name, int socket);

static int run_program(int number, int socket, round_fn one_round)
{
	char name[IVSHMEM_NAME_SIZE];
	struct ivshmem *shm;
	int round, result = 0;

	if (ivshmem_open(&shm, in_shm("region"), 0))
		return 1;
	for (round = 0; round < ROUNDS && !result; round++) {
		snprintf(name, sizeof(name), "pair-%d-round-%d", number, round);
		result = one_round(shm, name, socket) || !meet(socket);
	}
	ivshmem_close(shm);
	return result;
}

static pid_t start_program(int number, const int sockets[2], int which)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(sockets[!which]);
	_exit(run_program(number, sockets[which], which ? connect_and_receive : create_and_send));
}

static void pairs_with_names_of_their_own_do_not_disturb_each_other(void **state)
{
	pid_t programs[PAIRS][2];
	int i, which, sockets[2];
	struct ivshmem *shm;

	(void)state;
	shm = open_region(make_file("region", 1 * MIB), 0);
	assert_int_equal(ivshmem_format(shm, "", PAIRS, 32 * KIB, 0), 0);
	ivshmem_close(shm);
	for (i = 0; i < PAIRS; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
		for (which = 0; which < 2; which++)
			programs[i][which] = start_program(i, sockets, which);
		close(sockets[0]);
		close(sockets[1]);
	}
	for (i = 0; i < PAIRS; i++)
		for (which = 0; which < 2; which++)
			assert_other_succeeds(programs[i][which]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pairs_with_names_of_their_own_do_not_disturb_each_other),
	};

	return run("neighbours", tests, ARRAY_SIZE(tests));
}
