// SPDX-License-Identifier: MIT
/*
 * One end is not where the other is any more: a guest has migrated, with a copy of the
 * memory, and a program on the host was left behind. The guest is end b of this process; its
 * end says what that of a program in a guest says.
 */
#include "served_pair.h"

/* Under another kernel, without a lock that programs on the host could ask for. */
static void disguise_as_guest(struct ivshmem *shm)
{
	char *raw = map_raw(shm);
	struct ivshmem_slot_end *end = &slot_of(raw, 0)->ends[IVSHMEM_END_CONNECTOR];

	end->boot_id[0] ^= 1;
	end->wake &= ~(WAKE_LOCKED | WAKE_FILE);
	munmap(raw, ivshmem_size(shm));
}

/* --- where the guest has gone --- */

static struct ivshmem *there;

static int there_teardown(void **state)
{
	ivshmem_close(there);
	there = NULL;
	return pair_teardown(state);
}

static void put_at(void *address, size_t size, off_t offset)
{
	assert_ptr_equal(mmap(address, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			      ivshmem_fd(there), offset), address);
}

/* All that b has mapped is in the other file from now on, whose bytes are the same. */
static void migrate_b(void)
{
	static char bytes[REGION_SIZE];
	struct ivshmem_window *directory = &pair.b->directory.window, *rings = &pair.b->rings;
	char *raw = map_raw(pair.right);

	memcpy(bytes, raw, REGION_SIZE);
	munmap(raw, REGION_SIZE);
	there = open_region(make_file("there", REGION_SIZE), 0);
	raw = map_raw(there);
	memcpy(raw, bytes, REGION_SIZE);
	munmap(raw, REGION_SIZE);
	put_at(directory->base, directory->size, SLOTS_OFFSET);
	put_at(rings->base, rings->size, (off_t)pair.b->directory.superblock.blocks_offset);
}

static void open_pair_of_which_b_has_moved(void)
{
	open_pair();
	talk(pair.a, pair.b);
	disguise_as_guest(pair.left);
	migrate_b();
}

static void host_takes_the_end_that_came_with_a_copy_and_the_guest_is_told(void **state)
{
	pid_t child;

	open_pair_of_which_b_has_moved();
	assert_state(there, 0, IVSHMEM_END_CREATOR, IVSHMEM_END_DEAD);
	assert_state(there, 0, IVSHMEM_END_CONNECTOR, IVSHMEM_END_ATTACHED);
	assert_recv_fails(pair.b, 0, -EAGAIN);
	child = start_other(in_shm("there"), true, "a", 0, wait_for_ever);
	assert_recv_fails(pair.b, PATIENCE_MS, -ECONNRESET);
	assert_send_fails(pair.b, 0, -ECONNRESET);
	kill_other(child);
}

static void guest_that_moved_reconnects_to_a_program_there(void **state)
{
	struct ivshmem_channel *channel;
	pthread_t thread;
	struct opening opening;

	open_pair_of_which_b_has_moved();
	opening = (struct opening) { ivshmem_channel_create, NULL, there, "a", 0, 0 };
	assert_int_equal(pthread_create(&thread, NULL, open_in_thread, &opening), 0);
	assert_recv_fails(pair.b, PATIENCE_MS, -ECONNRESET);
	assert_int_equal(ivshmem_channel_reconnect(pair.b, PATIENCE_MS), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(opening.err, 0);
	channel = opening.channel;
	talk(channel, pair.b);
	assert_recv_fails(pair.a, 0, -EAGAIN);
	ivshmem_channel_close(channel);
}

static void program_in_another_guest_can_not_tell_of_an_end_that_came_with_a_copy(void **state)
{
	struct ivshmem_channel *channel = POISON;

	open_pair_of_which_b_has_moved();
	there->is_file = false;		/* as to a guest */
	assert_state(there, 0, IVSHMEM_END_CREATOR, IVSHMEM_END_ATTACHED);
	assert_int_equal(ivshmem_channel_create(&channel, there, "a", 0, 0), -EBUSY);
	assert_ptr_equal(channel, POISON);
}

/* As in a container, whose boot_id may be another, and whose device numbers may be. */
static void living_end_of_another_boot_id_and_device_is_not_taken(void **state)
{
	struct ivshmem_channel *channel = POISON;
	struct ivshmem_slot_end *end;
	struct ivshmem *third;
	char *raw;

	open_pair();
	raw = map_raw(pair.left);
	end = &slot_of(raw, 0)->ends[IVSHMEM_END_CREATOR];
	end->boot_id[0] ^= 1;
	end->lock_device++;
	assert_int_equal(ivshmem_channel_alive(pair.b), 1);
	third = open_region(in_shm("region"), 0);
	assert_int_equal(ivshmem_channel_create(&channel, third, "a", 0, 0), -EBUSY);
	assert_ptr_equal(channel, POISON);
	talk(pair.a, pair.b);
	close_end(&pair.a);
	assert_recv_fails(pair.b, 0, -EPIPE);
	ivshmem_close(third);
	munmap(raw, REGION_SIZE);
}

/* --- where it has left --- */

static bool open_pair_with_a_guest(void)
{
	if (!start_server())
		return false;
	talk(pair.a, pair.b);
	disguise_as_guest(pair.left);
	assert_int_equal(ivshmem_channel_alive(pair.a), -ENOTSUP);
	return true;
}

/* As after hibernation. Gives the new peer. */
static struct ivshmem *come_back(void)
{
	struct ivshmem *peer;
	char where[PATH_MAX + 8];
	char *raw = map_raw(pair.left);

	snprintf(where, sizeof(where), "unix:%s", in_shm("socket"));
	peer = open_region(where, 0);
	slot_of(raw, 0)->ends[IVSHMEM_END_CONNECTOR].peer_id = (uint32_t)ivshmem_peer_id(peer);
	munmap(raw, ivshmem_size(pair.left));
	return peer;
}

/* With what it ends. */
static int fill_ring(struct ivshmem_channel *channel)
{
	int err;

	do {
		err = ivshmem_channel_send(channel, "x", 1, 0);
	} while (!err);
	return err;
}

static void guest_that_leaves_the_server_is_told_once_in_each_direction(void **state)
{
	if (!open_pair_with_a_guest())
		skip_because("no command to serve");
	send_text(pair.b, "before");
	drop_right();
	assert_int_equal(ivshmem_channel_alive(pair.a), -EHOSTDOWN);
	recv_text(pair.a, "before");
	assert_recv_fails(pair.a, PATIENCE_MS, -EHOSTDOWN);
	assert_recv_fails(pair.a, 0, -EAGAIN);
	assert_recv_fails(pair.a, SHORT_MS, -ETIMEDOUT);
	assert_int_equal(fill_ring(pair.a), -EHOSTDOWN);
	assert_int_equal(fill_ring(pair.a), -EAGAIN);
	assert_send_fails(pair.a, SHORT_MS, -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_alive(pair.a), -EHOSTDOWN);
}

static void who_sleeps_is_told_that_the_guest_has_left(void **state)
{
	if (!open_pair_with_a_guest())
		skip_because("no command to serve");
	drop_right();
	assert_recv_fails(pair.a, PATIENCE_MS, -EHOSTDOWN);
	assert_recv_fails(pair.a, 2500, -ETIMEDOUT);
}

static void who_only_sends_is_told_that_the_guest_has_left(void **state)
{
	int64_t end = now_ms() + PATIENCE_MS;
	int err;

	if (!open_pair_with_a_guest())
		skip_because("no command to serve");
	drop_right();
	do {
		usleep(10000);
		err = ivshmem_channel_send(pair.a, "long enough to go by way of the ring", 36, 0);
	} while (!err && now_ms() < end);
	assert_int_equal(err, -EHOSTDOWN);
	assert_int_equal(ivshmem_channel_send(pair.a, "x", 1, 0), 0);
}

static void armed_loop_is_told_that_the_guest_has_left(void **state)
{
	struct pollfd poller = { .events = POLLIN };
	int64_t end = now_ms() + PATIENCE_MS;

	if (!open_pair_with_a_guest())
		skip_because("no command to serve");
	poller.fd = ivshmem_channel_fd(pair.a);
	drop_right();
	while (!ivshmem_channel_arm(pair.a, IVSHMEM_CAN_RECV, 0)) {
		assert_true(now_ms() < end);
		poll(&poller, 1, PATIENCE_MS);
	}
	assert_recv_fails(pair.a, 0, -EHOSTDOWN);
	assert_int_equal(ivshmem_channel_arm(pair.a, IVSHMEM_CAN_RECV, 0), 0);
}

static void session_goes_on_when_the_guest_comes_back_and_the_next_time_is_told(void **state)
{
	struct ivshmem *peer;

	if (!open_pair_with_a_guest())
		skip_because("no command to serve");
	drop_right();
	assert_recv_fails(pair.a, PATIENCE_MS, -EHOSTDOWN);
	peer = come_back();
	while (ivshmem_channel_alive(pair.a) != -ENOTSUP)
		usleep(1000);
	talk(pair.a, pair.b);
	assert_recv_fails(pair.a, 0, -EAGAIN);
	ivshmem_close(peer);
	assert_recv_fails(pair.a, PATIENCE_MS, -EHOSTDOWN);
}

static void stream_that_was_sent_in_part_is_told_by_the_next_call(void **state)
{
	static char bytes[REGION_SIZE];
	ssize_t sent;

	if (!open_pair_with_a_guest())
		skip_because("no command to serve");
	drop_right();
	sent = ivshmem_channel_write(pair.a, bytes, sizeof(bytes), PATIENCE_MS);
	assert_in_range(sent, 1, sizeof(bytes) - 1);
	assert_int_equal(ivshmem_channel_write(pair.a, bytes, sizeof(bytes), 0), -EHOSTDOWN);
	assert_int_equal(ivshmem_channel_write(pair.a, bytes, sizeof(bytes), 0), -EAGAIN);
}

/* It may have come back since. */
static void who_has_no_server_any_more_can_not_tell_of_a_guest_that_has_left(void **state)
{
	if (!open_pair_with_a_guest())
		skip_because("no command to serve");
	drop_right();
	kill(server_pid, SIGKILL);
	waitpid(server_pid, NULL, 0);
	server_pid = 0;
	assert_recv_fails(pair.a, 2500, -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_alive(pair.a), -ENOTSUP);
}

/* Its program lives, and the lock says so, whether the server knows it or not. */
static void program_under_the_same_kernel_that_leaves_the_server_lives(void **state)
{
	if (!start_server())
		skip_because("no command to serve");
	drop_right();
	assert_int_equal(ivshmem_channel_alive(pair.a), 1);
	assert_recv_fails(pair.a, 2500, -ETIMEDOUT);
}

#define THERE_TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, there_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		THERE_TEST(host_takes_the_end_that_came_with_a_copy_and_the_guest_is_told),
		THERE_TEST(guest_that_moved_reconnects_to_a_program_there),
		THERE_TEST(program_in_another_guest_can_not_tell_of_an_end_that_came_with_a_copy),
		PAIR_TEST(living_end_of_another_boot_id_and_device_is_not_taken),
		SERVED_TEST(guest_that_leaves_the_server_is_told_once_in_each_direction),
		SERVED_TEST(who_sleeps_is_told_that_the_guest_has_left),
		SERVED_TEST(who_only_sends_is_told_that_the_guest_has_left),
		SERVED_TEST(armed_loop_is_told_that_the_guest_has_left),
		SERVED_TEST(session_goes_on_when_the_guest_comes_back_and_the_next_time_is_told),
		SERVED_TEST(stream_that_was_sent_in_part_is_told_by_the_next_call),
		SERVED_TEST(who_has_no_server_any_more_can_not_tell_of_a_guest_that_has_left),
		SERVED_TEST(program_under_the_same_kernel_that_leaves_the_server_lives),
	};

	return run("away", tests, ARRAY_SIZE(tests));
}
