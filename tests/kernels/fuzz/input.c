// SPDX-License-Identifier: MIT
/* Inputs: made at random, changed at random, printed. */

#include <stdio.h>
#include <string.h>

#include "fuzz.h"

static uint32_t random_argument(void)
{
	uint32_t number = random_number();

	switch (random_below(4)) {
	case 0:
		return number & 0xf;
	case 1:
		return number & 0xffff;
	default:
		return number;
	}
}

static uint8_t random_kind(void)
{
	unsigned int all = 0, chosen, i;

	for (i = 0; i < call_kinds_count; i++)
		all += call_kinds[i].weight;
	chosen = random_below(all);
	for (i = 0; chosen >= call_kinds[i].weight; i++)
		chosen -= call_kinds[i].weight;
	return i;
}

/* A few: most calls need no more allocations. */
static uint8_t random_fault(void)
{
	return random_once_in(8) ? 1 + random_below(random_once_in(4) ? 64 : 8) : 0;
}

static uint8_t random_thread(void)
{
	return random_once_in(2) ? BY_BOTH : random_below(THREADS);
}

void random_call(struct call *call, uint8_t kind)
{
	unsigned int i;

	call->kind = kind;
	call->thread = random_thread();
	call->fault = random_fault();
	for (i = 0; i < ARGS; i++)
		call->arg[i] = random_argument();
}

/* As many as there is room for, at one place. */
static void insert(struct input *input, const struct call *call, unsigned int count)
{
	unsigned int at = random_below(input->count + 1), room = CALLS_MAX - input->count;

	if (count > room)
		count = room;
	memmove(&input->call[at + count], &input->call[at], (input->count - at) * sizeof(*call));
	memcpy(&input->call[at], call, count * sizeof(*call));
	input->count += count;
}

static void insert_chain(struct input *input)
{
	struct call chain[CHAIN_MAX];

	insert(input, chain, chain_make(chain));
}

/* Most begin with an open node, that kind is the first; pinning is for those without. */
static void make_random(struct input *input)
{
	unsigned int i, opens = random_once_in(4) ? 0 : 2;

	input->count = 4 + random_below(CALLS_MAX - 4);
	for (i = 0; i < input->count; i++)
		random_call(&input->call[i], i < opens ? 0 : random_kind());
}

void input_make(struct input *input, bool racing)
{
	memset(input, 0, sizeof(*input));
	input->racing = racing;
	if (random_once_in(2))
		insert_chain(input);
	else
		make_random(input);
}

static void delete(struct input *input)
{
	unsigned int at = random_below(input->count);

	if (input->count == 1)
		return;
	input->count--;
	memmove(&input->call[at], &input->call[at + 1],
		(input->count - at) * sizeof(input->call[0]));
}

/* From a place on the calls are those of another. */
static void splice(struct input *input, const struct input *other)
{
	unsigned int at = random_below(input->count), from = random_below(other->count);

	while (at < CALLS_MAX && from < other->count)
		input->call[at++] = other->call[from++];
	input->count = at;
}

static void change_argument(struct call *call)
{
	uint32_t *arg = &call->arg[random_below(ARGS)];

	switch (random_below(3)) {
	case 0:
		*arg ^= 1U << random_below(32);
		break;
	case 1:
		*arg += random_below(9) - 4;
		break;
	default:
		*arg = random_argument();
	}
}

static void mutate_once(struct input *input, const struct input *other)
{
	struct call *call = &input->call[random_below(input->count)], fresh;

	switch (random_below(11)) {
	case 0:
		delete(input);
		break;
	case 1:
		splice(input, other);
		break;
	case 2:
		call->fault = random_fault();
		break;
	case 3:
		call->thread = random_thread();
		break;
	case 4:
		fresh = *call;
		insert(input, &fresh, 1);
		break;
	case 5:
	case 6:
		random_call(&fresh, random_kind());
		insert(input, &fresh, 1);
		break;
	case 7:
	case 8:
		insert_chain(input);
		break;
	default:
		change_argument(call);
	}
}

void input_mutate(struct input *input, const struct input *other)
{
	unsigned int times = 1 + random_below(6);

	while (times--)
		mutate_once(input, other);
}

void input_print(const struct input *input)
{
	const struct call *call;
	unsigned int i;

	printf("%s\n", input->racing ? "by two threads" : "by one thread");
	for (i = 0; i < input->count; i++) {
		call = &input->call[i];
		printf("  %u %s(%#x, %#x, %#x, %#x) fault %u\n", call->thread,
		       call_kinds[call->kind].name, call->arg[0], call->arg[1], call->arg[2],
		       call->arg[3], call->fault);
	}
}
