// SPDX-License-Identifier: MIT
#include <errno.h>

#include "layout.h"

#define LINE		64
#define PAGE		4096
#define SPARE_BUFFERS	2	/* beside what can be in use: one to write, one to come */

static unsigned int power_of_two(unsigned int at_least)
{
	unsigned int power = 2;

	while (power < at_least)
		power *= 2;
	return power;
}

static bool can_be(const struct ivshmem_topic_layout *layout)
{
	return layout->max_length >= 1 && layout->max_length <= MAX_LENGTH &&
	       layout->history >= 2 && layout->history <= MAX_HISTORY &&
	       layout->publishers >= 1 && layout->publishers <= MAX_PUBLISHERS &&
	       layout->subscribers >= 1 && layout->subscribers <= MAX_SUBSCRIBERS &&
	       layout->holds <= MAX_HOLDS && !(layout->flags & ~IVSHMEM_TOPIC_LOSSLESS);
}

/* So many that looking for those that are held costs little for each message. */
static uint32_t count_buffers(const struct ivshmem_topic_layout *layout)
{
	uint32_t held = layout->subscribers * layout->holds;
	uint32_t spare = layout->max_length < PAGE ? held / 4 + 8 : SPARE_BUFFERS;

	return layout->history + held + spare;
}

/* False: there can be no such topic. No sum here comes near 2^64. */
bool ivshmem_topic_measure(struct topic_geometry *geometry,
			   const struct ivshmem_topic_layout *layout)
{
	uint64_t members, words;

	if (!can_be(layout))
		return false;
	*geometry = (struct topic_geometry) { .layout = *layout };
	geometry->layout.history = power_of_two(layout->history);
	layout = &geometry->layout;
	members = (uint64_t)layout->publishers + layout->subscribers;
	words = (uint64_t)layout->publishers + layout->holds;
	geometry->members = TOPIC_HEAD_SIZE;
	geometry->publishers = TOPIC_HEAD_SIZE + members * sizeof(struct ivshmem_slot_end);
	geometry->publisher_size = LINE + round_up(layout->subscribers * sizeof(uint32_t), LINE);
	geometry->subscribers = geometry->publishers +
				layout->publishers * geometry->publisher_size;
	geometry->subscriber_size = round_up(words * sizeof(uint64_t), LINE);
	geometry->entries = round_up(geometry->subscribers +
				     layout->subscribers * geometry->subscriber_size, 128);
	geometry->buffers = geometry->entries + (uint64_t)layout->publishers * layout->history *
						sizeof(struct topic_entry);
	geometry->size = geometry->buffers;
	if (layout->max_length <= INLINE_SIZE)
		return true;
	geometry->buffer_count = count_buffers(layout);
	geometry->buffer_size = round_up(layout->max_length,
					 layout->max_length < PAGE ? LINE : PAGE);
	geometry->buffers = round_up(geometry->buffers, PAGE);
	geometry->size = geometry->buffers + (uint64_t)layout->publishers *
					     geometry->buffer_count * geometry->buffer_size;
	return true;
}

void ivshmem_topic_spec(struct ivshmem_spec *spec, const struct topic_geometry *geometry)
{
	const struct ivshmem_topic_layout *layout = &geometry->layout;

	*spec = (struct ivshmem_spec) {
		.kind = IVSHMEM_TOPIC, .kept = true, .must_be_new = true, .size = geometry->size,
	};
	spec->facts[FACT_TOPIC_LENGTH - FACT_TOPIC_LENGTH] = (uint32_t)layout->max_length;
	spec->facts[FACT_TOPIC_HISTORY - FACT_TOPIC_LENGTH] = layout->history;
	spec->facts[FACT_TOPIC_MEMBERS - FACT_TOPIC_LENGTH] =
		layout->publishers | layout->subscribers << 16;
	spec->facts[FACT_TOPIC_HOLDS - FACT_TOPIC_LENGTH] = layout->holds |
		(layout->flags & IVSHMEM_TOPIC_LOSSLESS ? LOSSLESS_FACT : 0);
}

/* @size: of its blocks. -EUCLEAN: it can't be so. */
int ivshmem_topic_read(struct topic_geometry *geometry,
		       const struct ivshmem_directory *directory,
		       const struct ivshmem_object *object, uint64_t size)
{
	struct ivshmem_topic_layout layout = { .flags = 0 };
	uint32_t facts[4];
	unsigned int i;
	int err;

	for (i = 0; i < 4; i++) {
		err = ivshmem_object_fact(directory, object, FACT_TOPIC_LENGTH + i, &facts[i]);
		if (err)
			return err;
	}
	layout.max_length = facts[0];
	layout.history = facts[1];
	layout.publishers = facts[2] & 0xffff;
	layout.subscribers = facts[2] >> 16;
	layout.holds = facts[3] & 0xffff;
	layout.flags = facts[3] & LOSSLESS_FACT ? IVSHMEM_TOPIC_LOSSLESS : 0;
	if (facts[1] & (facts[1] - 1) || !ivshmem_topic_measure(geometry, &layout) ||
	    geometry->size > size)
		return -EUCLEAN;
	return 0;
}
