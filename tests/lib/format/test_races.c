// SPDX-License-Identifier: MIT
/* Programs that make, find and remove objects at once, some of which die amid that. */
#include "../channels.h"

#include <signal.h>
#include <sys/wait.h>

#include <ivshmem/area.h>

#define MAKERS		4
#define NAMES		8
#define ROUNDS		10000
#define KILLS		1000

/* A child that does not come back from @work. */
static pid_t start(void (*work)(struct ivshmem *shm, unsigned int seed), unsigned int seed)
{
	pid_t pid = fork();
	struct ivshmem *shm;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ivshmem_open(&shm, in_shm("region"), 0))
		_exit(2);
	work(shm, seed);
	_exit(0);
}

static void formatted_pair(unsigned int objects)
{
	pair.left = open_region(make_file("region", MIB), 0);
	assert_int_equal(ivshmem_format(pair.left, "", objects, 4096, 0), 0);
}

static void remove_all(struct ivshmem *shm)
{
	char name[2] = "a";

	for (; name[0] < 'a' + NAMES; name[0]++)
		assert_int_not_equal(ivshmem_remove(shm, name, 0), -EBUSY);
}

/* --- one name --- */

struct maker {
	struct ivshmem *shm;
	pthread_barrier_t *barrier;
	unsigned int which;
	int err;
};

static void *make_one(void *data)
{
	struct maker *maker = data;

	pthread_barrier_wait(maker->barrier);
	/* Each another size: who is told that it has made the object, has it as it asked. */
	maker->err = ivshmem_make_area(maker->shm, "a", 4096 * (1 + maker->which));
	return NULL;
}

static void check_made(struct ivshmem *shm, const struct maker *makers)
{
	struct ivshmem_area *area;
	unsigned int i, made = 0;

	assert_int_equal(ivshmem_area_open(&area, shm, "a"), 0);
	for (i = 0; i < MAKERS; i++) {
		if (makers[i].err) {
			assert_int_equal(makers[i].err, -EEXIST);
			continue;
		}
		made++;
		assert_true(ivshmem_area_size(area) == 4096 * (1 + i));
	}
	assert_int_equal(made, 1);
	ivshmem_area_close(area);
}

static void of_many_that_make_one_name_at_once_one_does(void **state)
{
	struct maker makers[MAKERS];
	pthread_t threads[MAKERS];
	pthread_barrier_t barrier;
	unsigned int i, round;

	formatted_pair(8);
	pthread_barrier_init(&barrier, NULL, MAKERS);
	for (round = 0; round < 1500; round++) {
		for (i = 0; i < MAKERS; i++) {
			makers[i] = (struct maker) { pair.left, &barrier, i, 0 };
			assert_int_equal(pthread_create(&threads[i], NULL, make_one, &makers[i]),
					 0);
		}
		for (i = 0; i < MAKERS; i++)
			assert_int_equal(pthread_join(threads[i], NULL), 0);
		check_made(pair.left, makers);
		assert_int_equal(ivshmem_remove(pair.left, "a", 0), 0);
	}
	pthread_barrier_destroy(&barrier);
}

/* --- many names --- */

static unsigned int next(unsigned int *seed)
{
	return (*seed = *seed * 1103515245 + 12345) >> 16;
}

/* Errors that come with what the others do. */
static void allow(int err)
{
	if (!err || err == -EEXIST || err == -ENOENT || err == -ENOSPC || err == -EBUSY ||
	    err == -EPROTOTYPE)
		return;
	fprintf(stderr, "# %s\n", ivshmem_strerror(err));
	_exit(1);
}

static void make_find_remove(struct ivshmem *shm, unsigned int seed)
{
	struct ivshmem_area *area;
	char name[2] = "";
	int err;

	name[0] = (char)('a' + next(&seed) % NAMES);
	if (next(&seed) % 2)
		allow(ivshmem_make_area(shm, name, 4096 * (1 + next(&seed) % 40)));
	else
		allow(ivshmem_make_channel(shm, name, 4096, 4096 * (1 + next(&seed) % 40)));
	name[0] = (char)('a' + next(&seed) % NAMES);
	err = ivshmem_area_open(&area, shm, name);
	allow(err);
	/* Nobody else has its memory as long as it is open. */
	if (!err) {
		uint64_t *word = ivshmem_area_data(area), value = next(&seed);

		__atomic_fetch_add(word, value, __ATOMIC_RELAXED);
		ivshmem_area_close(area);
	}
	allow(ivshmem_remove(shm, name, 0));
}

static void make_find_remove_often(struct ivshmem *shm, unsigned int seed)
{
	unsigned int i;

	for (i = 0; i < ROUNDS / 2; i++)
		make_find_remove(shm, seed + i);
}

static void make_find_remove_for_ever(struct ivshmem *shm, unsigned int seed)
{
	for (;;)
		make_find_remove(shm, seed++);
}

static void programs_that_make_and_remove_at_once_leave_all_room(void **state)
{
	uint64_t empty;
	pid_t pids[2];
	int i, status;

	formatted_pair(NAMES);
	empty = free_bytes(pair.left);
	for (i = 0; i < 2; i++)
		pids[i] = start(make_find_remove_often, 77 * i);
	for (i = 0; i < 2; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	remove_all(pair.left);
	assert_true(free_bytes(pair.left) == empty);
}

/* While another one goes on, which finds what they have left. */
static void programs_killed_amid_making_and_removing_leave_all_room(void **state)
{
	pid_t steady, pid;
	unsigned int i, seed = 1;
	uint64_t empty;
	int status;

	formatted_pair(NAMES);
	empty = free_bytes(pair.left);
	steady = start(make_find_remove_for_ever, 1);
	for (i = 0; i < KILLS; i++) {
		pid = start(make_find_remove_for_ever, 1000 * i);
		usleep(next(&seed) % 1000);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
	}
	assert_int_equal(waitpid(steady, &status, WNOHANG), 0);
	kill(steady, SIGKILL);
	assert_int_equal(waitpid(steady, &status, 0), steady);
	remove_all(pair.left);
	/* Claims that were left give way to whoever needs the room. */
	assert_int_equal(ivshmem_make_area(pair.left, "all", empty), 0);
	assert_int_equal(ivshmem_remove(pair.left, "all", 0), 0);
	assert_true(free_bytes(pair.left) == empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(of_many_that_make_one_name_at_once_one_does),
		PAIR_TEST(programs_that_make_and_remove_at_once_leave_all_room),
		PAIR_TEST(programs_killed_amid_making_and_removing_leave_all_room),
	};

	return run("races", tests, ARRAY_SIZE(tests));
}
