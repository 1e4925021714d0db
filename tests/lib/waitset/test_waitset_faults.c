// SPDX-License-Identifier: MIT
/*
 * Wait sets whose program is killed at any instruction, and beside one who writes anything to
 * the region. SOAK_KILLS= chooses how many kills (60), SOAK_SECONDS= how long the writer goes on
 * (3).
 */
#include "waitsets.h"

#define CHANNELS	4
#define OBJECTS		(2 * CHANNELS + 4)

/* Who writes anything. */
static struct {
	char *raw;
	unsigned int stop;
} chaos;

static int faults_setup(void **state)
{
	memset(&chaos, 0, sizeof(chaos));
	return world_setup(state);
}

static int faults_teardown(void **state)
{
	close_world();
	if (chaos.raw)
		munmap(chaos.raw, ivshmem_size(pair.left));
	return pair_teardown(state);
}

#define FAULT_TEST(name) cmocka_unit_test_setup_teardown(name, faults_setup, faults_teardown)

/* A server, until it is killed. */
static void serve(const char *where)
{
	struct ivshmem_channel *channels[CHANNELS];
	struct ivshmem_ready ready[CHANNELS];
	struct ivshmem_waitset *set;
	struct ivshmem *shm;
	char name[8], text[8];
	ssize_t length;
	int i, count;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ivshmem_open(&shm, where, 0) || ivshmem_waitset_open(&set, shm))
		_exit(1);
	for (i = 0; i < CHANNELS; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		if (ivshmem_channel_begin(&channels[i], shm, name, IVSHMEM_END_CONNECTOR, 0) ||
		    ivshmem_waitset_add_channel(set, channels[i], IVSHMEM_CAN_RECV, 0, channels[i]))
			_exit(2);
	}
	for (;;) {
		count = ivshmem_waitset_wait(set, ready, CHANNELS, PATIENCE_MS);
		for (i = 0; i < count; i++) {
			if (ivshmem_channel_finish(ready[i].data, 0))
				continue;
			length = ivshmem_channel_recv(ready[i].data, text, sizeof(text), 0);
			if (length >= 0 && ivshmem_channel_send(ready[i].data, text, 4, 0))
				_exit(3);
		}
		if (count < 0)
			_exit(4);
	}
}

static int ask(struct ivshmem_channel *channel)
{
	char text[8];
	int err = ivshmem_channel_send(channel, "question", 8, PATIENCE_MS);
	ssize_t length = err ? err : ivshmem_channel_recv(channel, text, sizeof(text), PATIENCE_MS);

	return length == 4 ? 0 : length < 0 ? (int)length : -EBADMSG;
}

static void program_killed_in_a_set_leaves_nothing_behind(void **state)
{
	long kills = number_of("SOAK_KILLS", 60), i;
	unsigned int seed = 1, side, sets = 0;
	struct ivshmem_layout *layout;
	char where[PATH_MAX], name[8];
	int status, k;
	pid_t child;

	strcpy(where, make_formatted(2 * MIB, CHANNELS + 2));
	pair.left = open_region(where, 0);
	for (k = 0; k < CHANNELS; k++) {
		snprintf(name, sizeof(name), "c%d", k);
		assert_int_equal(ivshmem_channel_begin(&world.near[k], pair.left, name,
						       IVSHMEM_END_CREATOR, 0), 0);
	}
	for (i = 0; i < kills; i++) {
		child = fork();
		assert_true(child >= 0);
		if (!child)
			serve(where);
		for (k = 0; k < CHANNELS; k++)
			assert_int_equal(i ? ivshmem_channel_reconnect(world.near[k], PATIENCE_MS) :
					 ivshmem_channel_finish(world.near[k], PATIENCE_MS), 0);
		/* Often while it sleeps: once is enough. */
		for (k = 0; k < 10; k++) {
			if (rand_r(&seed) % 4 == 0)
				usleep((unsigned int)rand_r(&seed) % 500);
			assert_int_equal(ask(world.near[rand_r(&seed) % CHANNELS]), 0);
		}
		assert_int_equal(ivshmem_channel_send(world.near[i % CHANNELS], "last", 4, 0), 0);
		usleep((unsigned int)rand_r(&seed) % 300);
		assert_int_equal(waitpid(child, &status, WNOHANG), 0);
		kill_other(child);
	}
	/* Two objects have room beside the channels: the sets of the dead have made room. */
	assert_int_equal(ivshmem_layout_read(&layout, pair.left), 0);
	for (side = 0; side < ivshmem_layout_objects(layout); side++)
		sets += ivshmem_layout_kind(layout, side) == IVSHMEM_WAITSET;
	ivshmem_layout_free(layout);
	assert_in_range(sets, 1, 2);
}

/* --- one who writes anything --- */

static void scribble(unsigned int *seed, void *at, size_t size)
{
	unsigned char *byte = (unsigned char *)at + (unsigned int)rand_r(seed) % size;
	unsigned int kind = (unsigned int)rand_r(seed) % 3;

	*(volatile unsigned char *)byte = kind ? kind - 1 : (unsigned char)rand_r(seed);
}

static void *write_anything(void *unused)
{
	unsigned int seed = 7, i, kind;
	struct ivshmem_slot *slot;
	uint32_t facts;

	while (!__atomic_load_n(&chaos.stop, __ATOMIC_RELAXED)) {
		for (i = 0; i < OBJECTS; i++) {
			slot = slot_of(chaos.raw, i);
			facts = (uint32_t)slot->facts[FACT_KIND];
			kind = facts & 0xff;
			if (kind == IVSHMEM_WAITSET && rand_r(&seed) % 4)
				scribble(&seed, slot->hints, SLOT_HINTS);
			else if (kind == IVSHMEM_WAITSET && rand_r(&seed) % 64 == 0)
				scribble(&seed, &slot->end, sizeof(slot->end));
			else if (kind == IVSHMEM_WAITSET)
				scribble(&seed, &slot->end.receiver, 8);
			else if (kind == IVSHMEM_CHANNEL)
				scribble(&seed, &slot->ends[rand_r(&seed) % 2].set, 12);
		}
		if (rand_r(&seed) % 16 == 0)
			usleep(50);
	}
	return NULL;
}

static void *answer_all(void *unused)
{
	struct ivshmem_ready ready[CHANNELS];
	char text[8];
	int i, count;

	while (!__atomic_load_n(&chaos.stop, __ATOMIC_RELAXED)) {
		count = ivshmem_waitset_wait(world.set, ready, CHANNELS, 100);
		if (count < 0 && count != -ETIMEDOUT)
			return (void *)(intptr_t)count;
		for (i = 0; i < count; i++)
			if (ivshmem_channel_recv(ready[i].data, text, sizeof(text), 0) >= 0 &&
			    ivshmem_channel_send(ready[i].data, text, 4, 0))
				return (void *)(intptr_t)-EBADMSG;
	}
	return NULL;
}

/* Late by a second or two, each question is answered all the same. */
static void set_beside_one_who_writes_anything_serves_all(void **state)
{
	int64_t begin, end = now_ms() + number_of("SOAK_SECONDS", 3) * 1000, longest = 0;
	unsigned int seed = 3, asked = 0;
	pthread_t writer, server;
	void *result;
	char name[8];
	int i;

	pair.left = open_region(make_formatted(2 * MIB, OBJECTS), 0);
	pair.right = open_region(in_shm("region"), 0);
	chaos.raw = map_raw(pair.left);
	assert_int_equal(ivshmem_waitset_open(&world.set, pair.left), 0);
	for (i = 0; i < CHANNELS; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		open_both(pair.left, &world.near[i], pair.right, &world.far[i], name);
		assert_int_equal(ivshmem_waitset_add_channel(world.set, world.near[i],
							     IVSHMEM_CAN_RECV, 0, world.near[i]),
				 0);
	}
	assert_int_equal(pthread_create(&server, NULL, answer_all, NULL), 0);
	assert_int_equal(pthread_create(&writer, NULL, write_anything, NULL), 0);
	while (now_ms() < end) {
		if (rand_r(&seed) % 8 == 0)
			usleep((unsigned int)rand_r(&seed) % 2000);
		begin = now_ms();
		assert_int_equal(ask(world.far[rand_r(&seed) % CHANNELS]), 0);
		longest = now_ms() - begin > longest ? now_ms() - begin : longest;
		asked++;
	}
	__atomic_store_n(&chaos.stop, 1, __ATOMIC_RELAXED);
	pthread_join(writer, NULL);
	assert_int_equal(pthread_join(server, &result), 0);
	print_message("# %u questions, the longest took %lld ms\n", asked, (long long)longest);
	assert_int_equal((intptr_t)result, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TEST(program_killed_in_a_set_leaves_nothing_behind),
		FAULT_TEST(set_beside_one_who_writes_anything_serves_all),
	};

	return run("waitset_faults", tests, ARRAY_SIZE(tests));
}
