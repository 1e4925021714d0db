// SPDX-License-Identifier: MIT
/*
 * Two programs that open an end each, stepped through the orders of what they do: each
 * access to shared memory is a step, and the two take turns three times at any steps.
 * One of them may also stop for ever at any step. They run in contexts of their own,
 * on one thread, so that each run is the same each time.
 */
#define ivshmem_slot_change	stepped_slot_change
#define ivshmem_slot_write_name	stepped_slot_write_name
#define ivshmem_slot_write_fact	stepped_slot_write_fact
#define ivshmem_slot_is_called	stepped_slot_is_called
#define ivshmem_slot_name	stepped_slot_name
#define ivshmem_slot_fact	stepped_slot_fact
#define ivshmem_slot_is_object	stepped_slot_is_object
#define ivshmem_blocks_take	stepped_blocks_take
#define ivshmem_blocks_give_back	stepped_blocks_give_back
#define ivshmem_blocks_free	stepped_blocks_free
#define ivshmem_end_tell_purpose	stepped_end_tell_purpose
#define ivshmem_end_is_for	stepped_end_is_for
#define ivshmem_end_check	stepped_end_check
#define ivshmem_directory_open	stepped_directory_open
#define ivshmem_directory_has_layout	stepped_directory_has_layout
#define ivshmem_directory_is_current	stepped_directory_is_current
#define ivshmem_directory_close	stepped_directory_close
#define ivshmem_object_find	stepped_object_find
#define ivshmem_object_claim	stepped_object_claim
#define ivshmem_object_keep	stepped_object_keep
#define ivshmem_object_stays	stepped_object_stays
#define ivshmem_slot_has_object	stepped_slot_has_object
#define ivshmem_object_fact	stepped_object_fact
#define ivshmem_object_extent	stepped_object_extent
#define ivshmem_object_remove	stepped_object_remove
#define ivshmem_object_evict	stepped_object_evict
#define ivshmem_object_drop	stepped_object_drop
#define ivshmem_end_evict	stepped_end_evict

#include "../fixture.h"

#include <ucontext.h>

#include "format/blocks.h"
#include "format/slot.h"
#include "format/superblock.h"

static void step(const volatile void *word);

#define __atomic_load_n(pointer, order) ({				\
	step(pointer);							\
	__atomic_load_n(pointer, order);				\
})
#define __atomic_compare_exchange_n(pointer, from, to, ...) ({		\
	step(pointer);							\
	__atomic_compare_exchange_n(pointer, from, to, __VA_ARGS__);	\
})
#define ivshmem_end_state_of(slots, slot, side, fd) ({			\
	step(&(slots)[slot].ends[side]);				\
	ivshmem_end_state_of(slots, slot, side, fd);			\
})

/* There is no region behind these slots. */
#define ivshmem_region_reserve(shm, offset, size)	\
	((void)(shm), (void)(offset), (void)(size), 0)

#include "format/slot.c"
#undef WORD_TRIES
#include "format/blocks.c"
#include "format/end.c"
#include "format/directory.c"

#define MAX_SLOTS	3
#define TRIES		4
#define STEPPED_WORDS	2		/* names differ in these */
#define STEPPED_FACTS	3
#define BLOCKS		4		/* of which each object has one */
#define STACK_SIZE	(256 * KIB)
#define FOR_EVER	1000000

struct program {
	const char *name;
	enum ivshmem_end side;
	int result;			/* the slot, or an error */
	struct ivshmem_object object;
	bool removes;			/* and does not open */
	bool done;
	unsigned int steps_left;
	ucontext_t context;
	char *stack;
};

static struct ivshmem_slot slots[MAX_SLOTS];
static uint64_t blocks[BLOCKS];
/* Of a file without locks. */
static struct ivshmem handle = { .lock_fd = -1 };
static struct ivshmem_directory directory = {
	.shm = &handle,
	.superblock = { .block_size = 4096, .blocks_offset = 8192, .blocks = BLOCKS },
	.slots = slots,
	.blocks = blocks,
};

static const struct ivshmem_spec spec = { .kind = IVSHMEM_CHANNEL, .size = 4096 };
static struct program programs[2];
static struct program *running;
static ucontext_t scheduler;

static void step(const volatile void *word)
{
	size_t at = (size_t)((const volatile char *)word - (char *)slots);

	if (at < sizeof(slots)) {
		at %= sizeof(struct ivshmem_slot);
		if ((at >= offsetof(struct ivshmem_slot, name[STEPPED_WORDS]) &&
		     at < offsetof(struct ivshmem_slot, reserved_120)) ||
		    at >= offsetof(struct ivshmem_slot, facts[STEPPED_FACTS]))
			return;
	}
	if (!running || running->steps_left--)
		return;
	swapcontext(&running->context, &scheduler);
	running->steps_left--;
}

/* As session.c and opening.c do, less what has to do with the other end. */
static int attach(struct program *program)
{
	const struct ivshmem_object *object = &program->object;
	struct ivshmem_slot_end *end = &slots[object->slot].ends[program->side];
	uint32_t from = __atomic_load_n(&end->epoch, __ATOMIC_SEQ_CST);
	uint32_t epoch = (from & ~3u) + 4;
	uint32_t attaching = epoch + END_ATTACHING;
	int err;

	err = ivshmem_end_check(&directory, object, program->side, from);
	if (err)
		return err;
	if (!__atomic_compare_exchange_n(&end->epoch, &from, attaching, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return -EAGAIN;
	if (!ivshmem_end_tell_purpose(end, attaching, object->generation) ||
	    !__atomic_compare_exchange_n(&end->epoch, &attaching, epoch + END_ATTACHED, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return -EAGAIN;
	if (!ivshmem_object_keep(&directory, object))
		return (int)object->slot;
	epoch += END_ATTACHED;
	__atomic_compare_exchange_n(&end->epoch, &epoch, epoch - END_ATTACHED + END_CLOSED, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return -EAGAIN;
}

static int open_once(struct program *program)
{
	int err;

	if (program->removes)
		return ivshmem_object_remove(&directory, program->name, false);
	if (program->side == IVSHMEM_END_CREATOR)
		err = ivshmem_object_claim(&directory, program->name, &spec, &program->object);
	else
		err = ivshmem_object_find(&directory, program->name, spec.kind, &program->object);
	return err ? err : attach(program);
}

static void open_end(void)
{
	struct program *program = running;
	int tries;

	for (tries = 0; tries < TRIES; tries++) {
		program->result = open_once(program);
		if (program->result != -EAGAIN)
			break;
	}
	program->done = true;
	swapcontext(&program->context, &scheduler);
}

static void run_steps(struct program *program, unsigned int steps)
{
	if (program->done)
		return;
	program->steps_left = steps;
	running = program;
	swapcontext(&scheduler, &program->context);
	running = NULL;
}

static void start_programs(const struct program two[2])
{
	int i;

	for (i = 0; i < 2; i++) {
		char *stack = programs[i].stack;

		programs[i] = two[i];
		programs[i].result = -EAGAIN;
		programs[i].stack = stack;
		getcontext(&programs[i].context);
		programs[i].context.uc_stack.ss_sp = stack;
		programs[i].context.uc_stack.ss_size = STACK_SIZE;
		makecontext(&programs[i].context, open_end, 0);
	}
}

/* Slots that "old-0" and so on have used, and left. */
static void make_slots(void)
{
	struct ivshmem_object object;
	char name[16];
	unsigned int i;

	memset(slots, 0, sizeof(slots));
	memset(blocks, 0, sizeof(blocks));
	for (i = 0; i < directory.superblock.slots; i++) {
		snprintf(name, sizeof(name), "old-%u", i);
		assert_int_equal(ivshmem_object_claim(&directory, name, &spec, &object), 0);
		slots[i].ends[0].epoch = slots[i].ends[1].epoch = 4 + END_CLOSED;
	}
}

static const char *text_of(const struct program *program)
{
	static char text[2][64];
	int which = program == &programs[1];

	snprintf(text[which], sizeof(text[which]), "%s of %s: %d",
		 program->side == IVSHMEM_END_CREATOR ? "creator" : "connector", program->name,
		 program->result);
	return text[which];
}

#define expect(condition, i, j, k) do {					\
	if (!(condition))						\
		fail_msg("%u slots, steps %u, %u, %u; %s; %s: " #condition,	\
			 directory.superblock.slots, i, j, k,			\
			 text_of(&programs[0]), text_of(&programs[1]));		\
} while (0)

static bool owns_blocks(const struct ivshmem_object *object, const struct ivshmem_extent *extent)
{
	uint64_t first = (extent->offset - directory.superblock.blocks_offset) / 4096;

	return blocks[first] == block_word(object);
}

/*
 * Who has an end has the slot to itself and its like; where the slot has lost its name to
 * somebody who died amid a claim, it gets it back.
 */
static void check_owner(const struct program *program, unsigned int i, unsigned int j,
			unsigned int k)
{
	struct ivshmem_object object;
	struct ivshmem_extent extent;

	if (!program->done || program->result < 0)
		return;
	if (program->removes)
		return;
	expect(!ivshmem_object_keep(&directory, &program->object), i, j, k);
	expect(!ivshmem_object_find(&directory, program->name, spec.kind, &object) &&
	       object.slot == program->object.slot, i, j, k);
	expect(!ivshmem_object_extent(&directory, &object, &extent) && extent.size == spec.size,
	       i, j, k);
	expect(owns_blocks(&object, &extent), i, j, k);
}

static void check_both(unsigned int i, unsigned int j, unsigned int k)
{
	const struct program *a = &programs[0], *b = &programs[1];
	bool same = !strcmp(a->name, b->name);

	check_owner(a, i, j, k);
	check_owner(b, i, j, k);
	if (a->removes || b->removes)
		return;
	if (a->result >= 0 && b->result >= 0)
		expect((a->result == b->result) == same, i, j, k);
	if (same && a->side == b->side)
		expect((a->result == -EBUSY) != (b->result == -EBUSY), i, j, k);
	/* A creator fails only where another one has the name, or the slot. */
	if (a->side == IVSHMEM_END_CREATOR)
		expect(a->result >= 0 || b->result >= 0, i, j, k);
	if (a->side == IVSHMEM_END_CREATOR && !same && directory.superblock.slots > 1)
		expect(a->result >= 0, i, j, k);
	if (b->side == IVSHMEM_END_CREATOR && !same && directory.superblock.slots > 1)
		expect(b->result >= 0, i, j, k);
}

/* The first of both is dead: nothing of its may be in the way of the second. */
static void check_survivor(unsigned int i, unsigned int j, unsigned int k)
{
	const struct program *b = &programs[1];

	check_owner(b, i, j, k);
	if (!b->removes && b->side == IVSHMEM_END_CREATOR && strcmp(b->name, programs[0].name))
		expect(b->result >= 0 || directory.superblock.slots == 1, i, j, k);
}

/* Which of the three turns were the last of their programs. */
struct order {
	unsigned int turns[3];
	bool ended[3];
};

static void run_order(const struct program two[2], struct order *order, bool dies)
{
	const unsigned int *turns = order->turns;
	int turn;

	make_slots();
	start_programs(two);
	for (turn = 0; turn < 3; turn++) {
		run_steps(&programs[turn % 2], turns[turn]);
		order->ended[turn] = programs[turn % 2].done;
	}
	run_steps(&programs[1], FOR_EVER);
	if (dies && !programs[0].done) {
		check_survivor(turns[0], turns[1], turns[2]);
		return;
	}
	run_steps(&programs[0], FOR_EVER);
	check_both(turns[0], turns[1], turns[2]);
}

static void run_all_orders(const struct program two[2], unsigned int max_slots, bool dies)
{
	struct order order = { .turns = { 0 } };
	unsigned int *turns = order.turns, count = 0, slots_here;

	for (slots_here = 1; slots_here <= max_slots; slots_here++) {
		directory.superblock.slots = slots_here;
		for (turns[0] = 0; !turns[0] || !order.ended[0]; turns[0]++) {
			for (turns[1] = 1; turns[1] == 1 || !order.ended[1]; turns[1]++) {
				for (turns[2] = 1; turns[2] == 1 || !order.ended[2]; turns[2]++) {
					run_order(two, &order, dies);
					count++;
				}
			}
		}
	}
	print_message("# %u orders\n", count);
}

/* @a begins; then it may stop for ever, too. */
static void run_pair(const struct program *a, const struct program *b, unsigned int max_slots)
{
	const struct program two[] = { *a, *b };

	run_all_orders(two, max_slots, false);
	run_all_orders(two, max_slots, true);
}

static const struct program creator = { .name = "new", .side = IVSHMEM_END_CREATOR };
static const struct program another_creator = { .name = "other", .side = IVSHMEM_END_CREATOR };
static const struct program old_creator = { .name = "old-0", .side = IVSHMEM_END_CREATOR };
static const struct program connector = { .name = "new", .side = IVSHMEM_END_CONNECTOR };
static const struct program old_connector = { .name = "old-0", .side = IVSHMEM_END_CONNECTOR };

static const struct program remover = { .name = "old-0", .removes = true };

/* Either it was removed first, or it is in use. */
static void removed_object_is_in_nobodys_hands_in_any_order(void **state)
{
	run_pair(&remover, &old_connector, 2);
	run_pair(&old_connector, &remover, 2);
	run_pair(&remover, &old_creator, 2);
	run_pair(&old_creator, &remover, 2);
	run_pair(&remover, &creator, 2);
	run_pair(&remover, &remover, 2);
}

static void creators_of_two_names_get_a_slot_each_in_any_order(void **state)
{
	run_pair(&creator, &another_creator, MAX_SLOTS);
}

static void creators_of_one_name_get_one_slot_in_any_order(void **state)
{
	run_pair(&creator, &creator, 2);
}

static void creator_of_a_name_that_was_left_keeps_its_slot_in_any_order(void **state)
{
	run_pair(&old_creator, &creator, MAX_SLOTS);
	run_pair(&creator, &old_creator, MAX_SLOTS);
}

static void connector_of_a_name_that_was_left_keeps_its_slot_in_any_order(void **state)
{
	run_pair(&old_connector, &creator, MAX_SLOTS);
	run_pair(&creator, &old_connector, MAX_SLOTS);
}

static void both_ends_of_a_name_get_one_slot_in_any_order(void **state)
{
	run_pair(&creator, &connector, MAX_SLOTS);
	run_pair(&connector, &creator, MAX_SLOTS);
}

static int make_stacks(void **state)
{
	programs[0].stack = malloc(STACK_SIZE);
	programs[1].stack = malloc(STACK_SIZE);
	return programs[0].stack && programs[1].stack ? 0 : -1;
}

static int free_stacks(void **state)
{
	free(programs[0].stack);
	free(programs[1].stack);
	return 0;
}

#define STEPPED_TEST(name) cmocka_unit_test_setup_teardown(name, make_stacks, free_stacks)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STEPPED_TEST(creators_of_two_names_get_a_slot_each_in_any_order),
		STEPPED_TEST(creators_of_one_name_get_one_slot_in_any_order),
		STEPPED_TEST(creator_of_a_name_that_was_left_keeps_its_slot_in_any_order),
		STEPPED_TEST(connector_of_a_name_that_was_left_keeps_its_slot_in_any_order),
		STEPPED_TEST(both_ends_of_a_name_get_one_slot_in_any_order),
		STEPPED_TEST(removed_object_is_in_nobodys_hands_in_any_order),
	};

	handle.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return run("directory", tests, ARRAY_SIZE(tests));
}
