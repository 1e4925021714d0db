// SPDX-License-Identifier: MIT
/*
 * Calls that belong together: each needs what those before it made, on the same device and
 * with the same descriptors. At random they come together too rarely.
 */

#include "fuzz.h"

/* These bits of an argument are so; the others are random. */
struct argument {
	uint32_t mask;
	uint32_t value;
};

struct step {
	void (*make)(struct runner *me, const uint32_t *arg);
	bool of_device;		/* the first argument is the number of the chain's device */
	struct argument arg[ARGS];
};

enum need { NOTHING, VECTORS, PINNING };

struct chain {
	enum need need;
	struct step step[CHAIN_MAX];
};

#define ANY		{ 0, 0 }
#define IS(value)	{ ~0U, value }
/* The first or the second of its kind, and never one of another kind. */
#define SLOT(number)	{ 0xf0000001, number }
/* Memory that is there. */
#define GOOD		{ 0x3f, 0x3f }

/* What else is in the first argument of ioctls: fields that must be zero are zero. */
#define IOCTL(bits, value) { 0xf00f0f01 | (bits), value }

#define OPEN		{ call_open, true, { ANY, { 0x73, 0 }, SLOT(0) } }
#define CLOSE		{ call_close, false, { IS(NODES), IS(0) } }
#define EVENT(number)	{ call_event, false, { SLOT(number), ANY } }
#define BIND_EVENT(number) \
	{ call_set_eventfd, false, { IOCTL(0x10, 0), GOOD, IS(0), IS(number) } }
#define UNBIND_EVENT(number) \
	{ call_set_eventfd, false, { IOCTL(0x10, 0x10), GOOD, IS(0), IS(number) } }
#define UNBIND_EVENTS	UNBIND_EVENT(0x30)
#define RING		{ call_ring, false, { IOCTL(0, 0), GOOD, IS(0), IS(0) } }
/* Any part, one to the end or a little beyond, or one that fits. */
#define EXPORT_ANY	{ call_export, false, { IOCTL(0x700020, 0), GOOD, ANY, ANY } }
#define EXPORT_TO_END	{ call_export, false, { IOCTL(0x700020, 0x100000), GOOD, ANY, ANY } }
#define EXPORT		{ call_export, false, { IOCTL(0x700020, 0x200000), GOOD, ANY, ANY } }
#define IMPORT		{ call_import, false, { SLOT(0), SLOT(0), ANY } }
#define IMPORTER	{ call_importer, false, { SLOT(0), ANY, ANY } }
#define SYNC		{ call_buffer, false, { SLOT(0), GOOD, ANY, IS(1) } }
/* To be read and written, shared; of the node, or of the dma-buf. */
#define MAP_FILE(what) \
	{ call_map, false, { { 0xf0770701, what }, { 0x3001, 0x3000 }, { 0xf, 0xf }, ANY } }
#define MAP		MAP_FILE(0x300)
#define MAP_BUFFER	MAP_FILE(0)
/* The first page of it, and another. */
#define TOUCH		{ call_touch, false, { { 0x3d, 0x3c }, ANY, { 0x1, 0 }, ANY } }
/* Allowed, or forbidden. */
#define PIN		{ call_pinning, true, { ANY, { 0x5, 0 } } }
#define PIPE		{ call_pipe, false, { SLOT(0) } }
#define VMSPLICE	{ call_vmsplice, false, { { 0x3d, 0x3c }, { 0xf, 0xf }, SLOT(0) } }
#define UNBIND		{ call_unbind, true, { ANY } }
#define BIND		{ call_bind, true, { ANY } }

static const struct chain chains[] = {
	{ VECTORS, { OPEN, EVENT(0), EVENT(1), BIND_EVENT(0), BIND_EVENT(1), UNBIND_EVENTS,
		     BIND_EVENT(0), UNBIND_EVENTS, BIND_EVENT(1), UNBIND_EVENT(1) } },
	{ VECTORS, { OPEN, EVENT(0), BIND_EVENT(0), RING, UNBIND_EVENTS, RING, BIND_EVENT(0),
		     RING, CLOSE } },
	{ PINNING, { OPEN, EXPORT_TO_END, IMPORT, IMPORTER, IMPORTER } },
	{ PINNING, { OPEN, EXPORT_ANY, MAP_BUFFER, TOUCH, CLOSE, TOUCH } },
	{ PINNING, { OPEN, EXPORT, IMPORT, SYNC, IMPORTER, UNBIND, IMPORTER, SYNC } },
	{ PINNING, { OPEN, EXPORT, CLOSE, PIN, IMPORT, IMPORTER, MAP_BUFFER, TOUCH } },
	{ PINNING, { OPEN, MAP, TOUCH, PIPE, VMSPLICE, CLOSE, PIN, TOUCH } },
	{ NOTHING, { OPEN, MAP, PIN, TOUCH, PIN, TOUCH } },
	{ NOTHING, { OPEN, MAP, TOUCH, UNBIND, TOUCH, BIND, TOUCH } },
};

#define CHAINS		(sizeof(chains) / sizeof(chains[0]))
#define DEVICE_TRIES	8

static bool suits(const struct device *device, enum need need)
{
	switch (need) {
	case VECTORS:
		return device->vectors;
	case PINNING:
		return device->pinning;
	default:
		return true;
	}
}

/* There may be none that suits. */
static unsigned int some_device(enum need need)
{
	unsigned int tries, device = 0;

	for (tries = 0; tries < DEVICE_TRIES; tries++) {
		device = random_below(fuzz.devices);
		if (suits(&fuzz.device[device], need))
			break;
	}
	return device;
}

static uint8_t kind_of(const struct step *step)
{
	unsigned int i;

	for (i = 0; i + 1 < call_kinds_count && call_kinds[i].make != step->make; i++)
		;
	return i;
}

/* In half of them both threads do all, and no step fails for want of memory in most. */
unsigned int chain_make(struct call *call)
{
	const struct chain *chain = &chains[random_below(CHAINS)];
	bool together = random_once_in(2), faults = random_once_in(4);
	unsigned int device = some_device(chain->need), i, n;
	const struct argument *argument;

	for (n = 0; n < CHAIN_MAX && chain->step[n].make; n++) {
		random_call(&call[n], kind_of(&chain->step[n]));
		if (together)
			call[n].thread = BY_BOTH;
		if (!faults)
			call[n].fault = 0;
		for (i = 0; i < ARGS; i++) {
			argument = &chain->step[n].arg[i];
			call[n].arg[i] = (call[n].arg[i] & ~argument->mask) | argument->value;
		}
		if (chain->step[n].of_device)
			call[n].arg[0] = device;
	}
	return n;
}
