// SPDX-License-Identifier: MIT
/* Wait sets of channels: what is told, and what becomes of a set and of what is in it. */
#include "waitsets.h"

#define MANY	MOST

static struct ivshmem_ready news[MANY];

#define SET_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

static void add(int i, unsigned int events)
{
	assert_int_equal(ivshmem_waitset_add_channel(world.set, world.near[i], events, 1,
						     &world.near[i]), 0);
}

/* So many channels, all of them in the set, and room for one object more. */
static void open_world(int channels)
{
	char name[16];
	int i;

	pair.left = open_region(make_formatted(4 * MIB, MANY + 2), 0);
	pair.right = open_region(in_shm("region"), 0);
	assert_int_equal(ivshmem_waitset_open(&world.set, pair.left), 0);
	for (i = 0; i < channels; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		open_both(pair.left, &world.near[i], pair.right, &world.far[i], name);
		add(i, IVSHMEM_CAN_RECV);
	}
}

static int wait_for(unsigned int most, int timeout_ms)
{
	return ivshmem_waitset_wait(world.set, news, most, timeout_ms);
}

static void assert_ready(int index, unsigned int events)
{
	assert_int_equal(wait_for(MANY, PATIENCE_MS), 1);
	assert_ptr_equal(news[0].data, &world.near[index]);
	assert_int_equal(news[0].events, events);
}

/* All members sleep: none is looked at before it is hinted at. */
static void arm_all(void)
{
	int64_t end = now_ms() + PATIENCE_MS;
	unsigned int i, awake = 1;

	while (awake && now_ms() < end) {
		assert_int_equal(wait_for(1, 5), -ETIMEDOUT);
		for (i = awake = 0; i < world.set->end; i++)
			awake += world.set->members[i] &&
				 world.set->members[i]->state != WAITING_IN_SET;
	}
	assert_int_equal(awake, 0);
}

static void set_of_nothing_tells_nothing(void **state)
{
	open_world(0);
	assert_int_equal(wait_for(MANY, 0), -EAGAIN);
	assert_int_equal(wait_for(MANY, SHORT_MS), -ETIMEDOUT);
}

static void channel_with_a_message_is_told_until_that_is_taken(void **state)
{
	open_world(3);
	assert_int_equal(wait_for(MANY, 0), -EAGAIN);
	send_text(world.far[1], "one");
	send_text(world.far[1], "two");
	assert_ready(1, IVSHMEM_CAN_RECV);
	assert_ready(1, IVSHMEM_CAN_RECV);
	recv_text(world.near[1], "one");
	assert_ready(1, IVSHMEM_CAN_RECV);
	recv_text(world.near[1], "two");
	assert_int_equal(wait_for(MANY, 0), -EAGAIN);
	assert_int_equal(wait_for(MANY, SHORT_MS), -ETIMEDOUT);
}

static void all_that_have_something_are_told_at_once(void **state)
{
	unsigned int seen = 0;
	int i;

	open_world(MANY);
	arm_all();
	for (i = 0; i < MANY; i += 2)
		send_text(world.far[i], "x");
	assert_int_equal(wait_for(MANY, PATIENCE_MS), MANY / 2);
	for (i = 0; i < MANY / 2; i++)
		seen |= 1u << ((struct ivshmem_channel **)news[i].data - world.near);
	assert_int_equal(seen, 0x555);
}

static void where_there_is_less_room_each_has_its_turn(void **state)
{
	int told[MANY] = { 0 };
	int i;

	open_world(MANY);
	for (i = 0; i < MANY; i++)
		send_text(world.far[i], "x");
	for (i = 0; i < 3 * MANY; i++) {
		assert_int_equal(wait_for(1, PATIENCE_MS), 1);
		told[(struct ivshmem_channel **)news[0].data - world.near]++;
	}
	for (i = 0; i < MANY; i++)
		assert_int_equal(told[i], 3);
}

static void busy_channel_does_not_keep_others_from_being_told(void **state)
{
	int64_t end = now_ms() + PATIENCE_MS;
	bool is_told = false;
	unsigned int i;
	int count;

	open_world(MANY);
	send_text(world.far[0], "always");
	/* One after the other is armed, though the set never sleeps. */
	while (world.set->armed[WAY_FUTEX] + world.set->armed[WAYS] < MANY - 1) {
		assert_true(now_ms() < end);
		assert_ready(0, IVSHMEM_CAN_RECV);
		usleep(50);
	}
	send_text(world.far[7], "x");
	for (i = 0; i < 10 && !is_told; i++) {
		count = wait_for(MANY, PATIENCE_MS);
		assert_in_range(count, 1, 2);
		is_told = count == 2;
	}
	assert_true(is_told);
}

static void *send_late(void *channel)
{
	usleep(5000);
	return (void *)(intptr_t)ivshmem_channel_send(channel, "late", 4, PATIENCE_MS);
}

static void assert_woken_by(struct ivshmem_channel *far, int index)
{
	int64_t begin = now_ms();
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, send_late, far), 0);
	assert_ready(index, IVSHMEM_CAN_RECV);
	assert_true(now_ms() - begin < 900);	/* the sleep's own end would be later */
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
	recv_text(world.near[index], "late");
}

static void sleeping_set_is_woken(void **state)
{
	int i;

	open_world(3);
	for (i = 0; i < 30; i++)
		assert_woken_by(world.far[i % 3], i % 3);
}

/* Its own waiting word has said something else meanwhile. */
static void set_is_woken_by_a_channel_that_was_received_from_in_between(void **state)
{
	char buffer[8];

	open_world(2);
	arm_all();
	assert_int_equal(ivshmem_channel_recv(world.near[0], buffer, sizeof(buffer), 20),
			 -ETIMEDOUT);
	assert_woken_by(world.far[0], 0);
	arm_all();
	send_text(world.far[0], "x");
	recv_text(world.near[0], "x");
	assert_woken_by(world.far[0], 0);
}

static void channel_in_a_set_wakes_its_own_calls(void **state)
{
	pthread_t thread;
	void *result;

	open_world(2);
	arm_all();
	assert_int_equal(pthread_create(&thread, NULL, send_late, world.far[0]), 0);
	recv_text(world.near[0], "late");
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
	assert_woken_by(world.far[1], 1);
}

static void room_is_told_where_it_is_waited_for(void **state)
{
	static char message[40000];
	int sent = 0;

	open_world(2);
	add(0, IVSHMEM_CAN_SEND | IVSHMEM_CAN_RECV);
	assert_ready(0, IVSHMEM_CAN_SEND);
	while (!ivshmem_channel_send(world.near[0], message, sizeof(message), 0))
		sent++;
	assert_int_equal(ivshmem_waitset_add_channel(world.set, world.near[0], IVSHMEM_CAN_SEND,
						     sizeof(message), &world.near[0]), 0);
	arm_all();
	while (sent--)
		assert_int_equal(ivshmem_channel_recv(world.far[0], message, sizeof(message), 0),
				 sizeof(message));
	assert_ready(0, IVSHMEM_CAN_SEND);
	add(0, IVSHMEM_CAN_RECV);
	assert_int_equal(wait_for(MANY, 0), -EAGAIN);
}

static void close_of_the_other_side_is_told(void **state)
{
	open_world(2);
	arm_all();
	close_end(&world.far[1]);
	assert_ready(1, IVSHMEM_CAN_RECV);
	assert_recv_fails(world.near[1], 0, -EPIPE);
	assert_ready(1, IVSHMEM_CAN_RECV);
}

static void death_of_the_other_side_is_told(void **state)
{
	pid_t child;

	open_world(1);
	child = start_other(in_shm("region"), false, "other", 0, wait_for_ever);
	assert_int_equal(ivshmem_channel_create(&world.near[1], pair.left, "other", 0,
						PATIENCE_MS), 0);
	add(1, IVSHMEM_CAN_RECV);
	arm_all();
	kill_other(child);
	assert_ready(1, IVSHMEM_CAN_RECV);
	assert_recv_fails(world.near[1], 0, -ECONNRESET);
}

static void channel_that_reconnects_is_told_when_it_is_open(void **state)
{
	open_world(2);
	arm_all();
	close_end(&world.far[1]);
	assert_ready(1, IVSHMEM_CAN_RECV);
	assert_recv_fails(world.near[1], 0, -EPIPE);
	assert_int_equal(ivshmem_channel_reconnect(world.near[1], 0), -ETIMEDOUT);
	assert_int_equal(wait_for(MANY, SHORT_MS), -ETIMEDOUT);
	assert_int_equal(ivshmem_channel_begin(&world.far[1], pair.right, "c1",
					       IVSHMEM_END_CONNECTOR, 0), 0);
	while (ivshmem_channel_finish(world.far[1], 1))
		wait_for(MANY, 1);
	assert_int_equal(ivshmem_channel_finish(world.near[1], PATIENCE_MS), 0);
	assert_woken_by(world.far[1], 1);
	arm_all();
	assert_woken_by(world.far[0], 0);
}

static void channel_that_is_closed_leaves_the_set(void **state)
{
	open_world(3);
	arm_all();
	close_end(&world.near[1]);
	close_end(&world.near[2]);
	assert_woken_by(world.far[0], 0);
	assert_int_equal(world.set->end, 1);
}

static void channels_outlive_the_set_that_they_slept_in(void **state)
{
	pthread_t thread;
	void *result;

	open_world(2);
	arm_all();
	ivshmem_waitset_close(world.set);
	world.set = NULL;
	assert_int_equal(pthread_create(&thread, NULL, send_late, world.far[0]), 0);
	recv_text(world.near[0], "late");
	assert_int_equal(pthread_join(thread, &result), 0);
	talk(world.near[1], world.far[1]);
	assert_int_equal(ivshmem_waitset_open(&world.set, pair.left), 0);
	add(1, IVSHMEM_CAN_RECV);
	assert_woken_by(world.far[1], 1);
}

static void handle_that_is_closed_first_stays_for_the_set(void **state)
{
	open_world(1);
	ivshmem_close(pair.left);
	pair.left = NULL;
	assert_woken_by(world.far[0], 0);
}

static void channel_that_is_taken_out_is_not_told(void **state)
{
	open_world(2);
	arm_all();
	assert_int_equal(ivshmem_waitset_remove_channel(world.set, world.near[0]), 0);
	assert_int_equal(ivshmem_waitset_remove_channel(world.set, world.near[0]), -ENOENT);
	send_text(world.far[0], "x");
	assert_int_equal(wait_for(MANY, SHORT_MS), -ETIMEDOUT);
	add(0, IVSHMEM_CAN_RECV);
	assert_ready(0, IVSHMEM_CAN_RECV);
}

static void what_can_t_be_is_refused(void **state)
{
	struct ivshmem_waitset *other = POISON;
	struct ivshmem *readonly;

	open_world(1);
	assert_int_equal(ivshmem_waitset_open(NULL, pair.left), -EINVAL);
	assert_int_equal(ivshmem_waitset_open(&other, NULL), -EINVAL);
	readonly = open_region(in_shm("region"), IVSHMEM_RDONLY);
	assert_int_equal(ivshmem_waitset_open(&other, readonly), -EACCES);
	ivshmem_close(readonly);
	assert_ptr_equal(other, POISON);
	assert_int_equal(ivshmem_waitset_wait(world.set, news, 0, 0), -EINVAL);
	assert_int_equal(ivshmem_waitset_wait(world.set, NULL, 1, 0), -EINVAL);
	assert_int_equal(ivshmem_waitset_add_channel(world.set, world.near[0], 0, 0, NULL),
			 -EINVAL);
	assert_int_equal(ivshmem_waitset_add_channel(world.set, world.near[0], 4, 0, NULL),
			 -EINVAL);
	assert_int_equal(ivshmem_waitset_add_channel(world.set, world.near[0], IVSHMEM_CAN_SEND,
						     4 * MIB, NULL), -EMSGSIZE);
	assert_int_equal(ivshmem_waitset_add_channel(world.set, world.far[0], IVSHMEM_CAN_RECV,
						     0, NULL), -EXDEV);
	assert_int_equal(ivshmem_waitset_open(&other, pair.left), 0);
	assert_int_equal(ivshmem_waitset_add_channel(other, world.near[0], IVSHMEM_CAN_RECV, 0,
						     NULL), -EBUSY);
	assert_int_equal(ivshmem_waitset_remove_channel(other, world.near[0]), -ENOENT);
	assert_int_equal(ivshmem_channel_arm(world.near[0], IVSHMEM_CAN_RECV, 0), -EBUSY);
	ivshmem_waitset_close(other);
}

static int objects_used(void)
{
	struct ivshmem_layout *layout;
	unsigned int i;
	int used = 0;

	assert_int_equal(ivshmem_layout_read(&layout, pair.right), 0);
	for (i = 0; i < ivshmem_layout_objects(layout); i++)
		used += ivshmem_layout_kind(layout, i) == IVSHMEM_WAITSET;
	ivshmem_layout_free(layout);
	return used;
}

static void set_takes_one_object_and_gives_it_back(void **state)
{
	struct ivshmem_waitset *others[4], *more = POISON;
	int i;

	pair.left = open_region(make_formatted(MIB, ARRAY_SIZE(others)), 0);
	pair.right = open_region(in_shm("region"), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(ivshmem_waitset_open(&others[i], pair.left), 0);
	assert_int_equal(objects_used(), 4);
	assert_int_equal(ivshmem_waitset_open(&more, pair.left), -ENOSPC);
	assert_ptr_equal(more, POISON);
	for (i = 0; i < 4; i++)
		ivshmem_waitset_close(others[i]);
	assert_int_equal(objects_used(), 0);
}

static void set_of_a_program_that_was_killed_makes_room(void **state)
{
	struct ivshmem *shm;
	pid_t child;
	int ready[2];
	char byte;

	pair.left = open_region(make_formatted(MIB, 1), 0);
	pair.right = open_region(in_shm("region"), 0);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ivshmem_open(&shm, in_shm("region"), 0) ||
		    ivshmem_waitset_open(&world.set, shm) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(ivshmem_waitset_open(&world.set, pair.left), -ENOSPC);
	kill_other(child);
	assert_int_equal(ivshmem_waitset_open(&world.set, pair.left), 0);
}

static void *cancel_late(void *set)
{
	usleep(20000);
	return (void *)(intptr_t)ivshmem_waitset_cancel(set);
}

static void cancel_ends_a_wait_until_it_is_taken_back(void **state)
{
	pthread_t thread;
	void *result;

	open_world(2);
	assert_int_equal(pthread_create(&thread, NULL, cancel_late, world.set), 0);
	assert_int_equal(wait_for(MANY, PATIENCE_MS), -ECANCELED);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
	assert_int_equal(wait_for(MANY, PATIENCE_MS), -ECANCELED);
	send_text(world.far[0], "x");
	assert_ready(0, IVSHMEM_CAN_RECV);
	recv_text(world.near[0], "x");
	assert_int_equal(ivshmem_waitset_uncancel(world.set), 0);
	assert_int_equal(wait_for(MANY, SHORT_MS), -ETIMEDOUT);
	assert_int_equal(ivshmem_cancel(pair.left), 0);
	assert_int_equal(wait_for(MANY, PATIENCE_MS), -ECANCELED);
	assert_int_equal(ivshmem_uncancel(pair.left), 0);
}

static void child_s_copy_is_inert(void **state)
{
	pid_t child;

	open_world(2);
	arm_all();
	child = fork();
	if (!child) {
		if (wait_for(MANY, 0) != -ECHILD || ivshmem_waitset_cancel(world.set) != -ECHILD ||
		    ivshmem_waitset_add_channel(world.set, world.near[0], 1, 0, NULL) != -ECHILD ||
		    ivshmem_waitset_remove_channel(world.set, world.near[0]) != -ECHILD)
			_exit(1);
		ivshmem_channel_close(world.near[0]);
		ivshmem_waitset_close(world.set);
		ivshmem_channel_close(world.near[1]);
		_exit(0);
	}
	assert_other_succeeds(child);
	assert_woken_by(world.far[0], 0);
	assert_woken_by(world.far[1], 1);
}

static void set_that_was_removed_by_force_goes_on(void **state)
{
	int i;

	open_world(2);
	for (i = 0; i < 3; i++) {
		arm_all();
		assert_int_equal(ivshmem_remove(pair.right, world.set->name,
						IVSHMEM_REMOVE_FORCE), 0);
		assert_int_equal(wait_for(MANY, 0), -EAGAIN);
		arm_all();
		assert_woken_by(world.far[1], 1);
	}
	assert_int_equal(objects_used(), 1);
}

static void region_that_is_formatted_anew_is_told(void **state)
{
	char buffer[8];
	int i, told;

	open_world(2);
	arm_all();
	assert_int_equal(ivshmem_format(pair.right, "", 4, 0, IVSHMEM_FORMAT_FORCE), 0);
	told = wait_for(MANY, PATIENCE_MS);
	assert_int_equal(told, 2);
	for (i = 0; i < told; i++)
		assert_int_equal(ivshmem_channel_recv(*(struct ivshmem_channel **)
						      news[i].data, buffer, 8, 0),
				 -ECONNRESET);
	for (i = 0; i < told; i++)
		assert_int_equal(ivshmem_waitset_remove_channel(world.set, world.near[i]), 0);
	assert_int_equal(wait_for(MANY, PATIENCE_MS), -ESTALE);
}

/* --- lies --- */

static void hint_that_was_taken_away_makes_a_message_late(void **state)
{
	int64_t begin;

	open_world(3);
	arm_all();
	send_text(world.far[2], "x");
	memset(waitset_slot(world.set)->hints, 0, SLOT_HINTS);
	begin = now_ms();
	assert_ready(2, IVSHMEM_CAN_RECV);
	assert_true(now_ms() - begin < 5000);
}

static void hints_for_nobody_tell_nothing(void **state)
{
	int i;

	open_world(3);
	for (i = 0; i < 20; i++) {
		memset(waitset_slot(world.set)->hints, i % 2 ? 1 : 0xff, SLOT_HINTS);
		assert_int_equal(wait_for(MANY, 1), -ETIMEDOUT);
	}
	arm_all();
	assert_woken_by(world.far[2], 2);
}

/* What sends to it hits nothing but wait sets. */
static void end_that_names_another_object_as_its_set_damages_nothing(void **state)
{
	struct ivshmem_slot before, *slot;
	struct ivshmem_slot_end *own;
	unsigned int i;

	open_world(2);
	own = world.near[0]->own;
	slot = &world.set->directory.slots[world.near[1]->object.slot];
	memcpy(&before, slot, sizeof(before));
	for (i = 0; i < 8; i++) {
		static const uint32_t sets[] = { 0, 1, 2, 3, MANY + 2, MANY + 3, UINT32_MAX, 5000 };

		arm_all();
		own->set = i == 1 ? world.near[1]->object.slot + 1 : sets[i];
		own->set_generation = i == 1 ? world.near[1]->object.generation : 1;
		own->ticket = UINT32_MAX - i;
		send_text(world.far[0], "x");
		assert_ready(0, IVSHMEM_CAN_RECV);
		recv_text(world.near[0], "x");
	}
	assert_memory_equal(&before.ends[1].purpose, &slot->ends[1].purpose, 8);
	assert_memory_equal(&before.ends[1].sent, &slot->ends[1].sent, 128);
	talk(world.near[1], world.far[1]);
}

/* --- many --- */

#define CROWD	(2 * SLOT_HINTS + 10)

static struct ivshmem_channel *crowd[CROWD], *callers[CROWD];

static void close_crowd(void)
{
	int i;

	for (i = 0; i < CROWD; i++) {
		ivshmem_channel_close(crowd[i]);
		ivshmem_channel_close(callers[i]);
	}
}

static void assert_crowd_tells(int i)
{
	struct ivshmem_ready ready[2];

	send_text(callers[i], "x");
	assert_int_equal(ivshmem_waitset_wait(world.set, ready, 2, PATIENCE_MS), 1);
	assert_ptr_equal(ready[0].data, crowd[i]);
	recv_text(crowd[i], "x");
}

static void more_members_than_hints_are_told_apart(void **state)
{
	struct ivshmem_ready ready[2];
	char name[16];
	int i;

	pair.left = open_region(make_file("region", 16 * MIB), 0);
	pair.right = open_region(in_shm("region"), 0);
	assert_int_equal(ivshmem_format(pair.left, "", CROWD + 1, 4096, 0), 0);
	assert_int_equal(ivshmem_waitset_open(&world.set, pair.left), 0);
	for (i = 0; i < CROWD; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		assert_int_equal(ivshmem_channel_begin(&crowd[i], pair.left, name,
						       IVSHMEM_END_CREATOR, 0), 0);
		assert_int_equal(ivshmem_channel_begin(&callers[i], pair.right, name,
						       IVSHMEM_END_CONNECTOR, 0), 0);
		while (ivshmem_channel_finish(crowd[i], 0) |
		       ivshmem_channel_finish(callers[i], 0))
			;
		assert_int_equal(ivshmem_waitset_add_channel(world.set, crowd[i],
							     IVSHMEM_CAN_RECV, 0, crowd[i]), 0);
	}
	assert_int_equal(ivshmem_waitset_wait(world.set, ready, 2, 1), -ETIMEDOUT);
	for (i = 0; i < 3; i++) {
		assert_crowd_tells(5 + i * SLOT_HINTS);
		assert_int_equal(ivshmem_waitset_wait(world.set, ready, 2, 1), -ETIMEDOUT);
	}
	close_crowd();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SET_TEST(set_of_nothing_tells_nothing),
		SET_TEST(channel_with_a_message_is_told_until_that_is_taken),
		SET_TEST(all_that_have_something_are_told_at_once),
		SET_TEST(where_there_is_less_room_each_has_its_turn),
		SET_TEST(busy_channel_does_not_keep_others_from_being_told),
		SET_TEST(sleeping_set_is_woken),
		SET_TEST(set_is_woken_by_a_channel_that_was_received_from_in_between),
		SET_TEST(channel_in_a_set_wakes_its_own_calls),
		SET_TEST(room_is_told_where_it_is_waited_for),
		SET_TEST(close_of_the_other_side_is_told),
		SET_TEST(death_of_the_other_side_is_told),
		SET_TEST(channel_that_reconnects_is_told_when_it_is_open),
		SET_TEST(channel_that_is_closed_leaves_the_set),
		SET_TEST(channels_outlive_the_set_that_they_slept_in),
		SET_TEST(handle_that_is_closed_first_stays_for_the_set),
		SET_TEST(channel_that_is_taken_out_is_not_told),
		SET_TEST(what_can_t_be_is_refused),
		SET_TEST(set_takes_one_object_and_gives_it_back),
		SET_TEST(set_of_a_program_that_was_killed_makes_room),
		SET_TEST(cancel_ends_a_wait_until_it_is_taken_back),
		SET_TEST(child_s_copy_is_inert),
		SET_TEST(set_that_was_removed_by_force_goes_on),
		SET_TEST(region_that_is_formatted_anew_is_told),
		SET_TEST(hint_that_was_taken_away_makes_a_message_late),
		SET_TEST(hints_for_nobody_tell_nothing),
		SET_TEST(end_that_names_another_object_as_its_set_damages_nothing),
		SET_TEST(more_members_than_hints_are_told_apart),
	};

	return run("waitset", tests, ARRAY_SIZE(tests));
}
