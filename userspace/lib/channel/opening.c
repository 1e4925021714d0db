// SPDX-License-Identifier: MIT
/*
 * Opening a channel, in steps that do not wait: find the slot and take an end of it, then
 * agree with the other side on a session. Whoever wants to wait repeats them.
 */
#include <errno.h>

#include "end.h"
#include "loop.h"
#include "loss.h"
#include "object.h"
#include "session.h"
#include "waiting.h"

#define FIRST_PAUSE_NS		20000
#define LONGEST_PAUSE_NS	NS_PER_MS

static int check_arguments(struct ivshmem_channel **channel, const struct ivshmem *shm,
			   const char *name, enum ivshmem_end end, unsigned int flags)
{
	if (!channel || (unsigned int)end > IVSHMEM_END_CONNECTOR ||
	    flags & ~IVSHMEM_CHANNEL_TAKE_OVER)
		return -EINVAL;
	return ivshmem_object_check(shm, name, true);
}

/* What the directory says of its rings is checked here: anybody may have written it. */
static int check_rings(const struct ivshmem_channel *channel, uint64_t size, uint64_t rings[2])
{
	unsigned int side;
	uint32_t units;
	int err;

	for (side = 0; side < 2; side++) {
		err = ivshmem_object_fact(&channel->directory, &channel->object,
					  FACT_CREATOR_RING + side, &units);
		if (err)
			return err;
		rings[side] = (uint64_t)units * BLOCK_UNIT;
		if (!rings[side] || rings[side] > MAX_RING_SIZE)
			return -EUCLEAN;
	}
	return rings[0] + rings[1] <= size ? 0 : -EUCLEAN;
}

static int map_rings(struct ivshmem_channel *channel)
{
	struct ivshmem_extent extent;
	uint64_t rings[2];
	char *data[2];
	int err;

	err = ivshmem_object_extent(&channel->directory, &channel->object, &extent);
	if (!err)
		err = check_rings(channel, extent.size, rings);
	if (!err)
		err = ivshmem_region_reserve(channel->shm, extent.offset, rings[0] + rings[1]);
	if (!err)
		err = ivshmem_window_map(&channel->rings, channel->shm, extent.offset,
					 rings[0] + rings[1]);
	if (err)
		return err;
	data[0] = channel->rings.data;
	data[1] = data[0] + rings[0];
	channel->max_length = ivshmem_ring_max_length(rings[channel->side]);
	err = ivshmem_receiver_init(&channel->receiver, data[!channel->side],
				    rings[!channel->side], &channel->own->received,
				    &channel->own->turned);
	return err ?: ivshmem_sender_init(&channel->sender, data[channel->side],
					  rings[channel->side], &channel->own->sent,
					  &channel->own->begun, &channel->own->progress);
}

/* -EAGAIN: the other side has not created the channel yet. */
static int find_object(struct ivshmem_channel *channel)
{
	struct ivshmem_directory *directory = &channel->directory;
	struct ivshmem_spec spec;
	int err;

	if (channel->origin)
		return channel->origin->find(channel);
	if (channel->side == IVSHMEM_END_CONNECTOR) {
		err = ivshmem_object_find(directory, channel->name, IVSHMEM_CHANNEL,
					  &channel->object);
		return err == -ENOENT ? -EAGAIN : err;
	}
	ivshmem_spec_channel(&spec, &directory->superblock, 0, 0);
	return ivshmem_object_claim(directory, channel->name, &spec, &channel->object);
}

/* 0: this channel has its end of the slot; -EAGAIN. */
static int find_end(struct ivshmem_channel *channel)
{
	int err;

	err = find_object(channel);
	if (err)
		return err;
	err = ivshmem_end_take(channel, channel->flags & IVSHMEM_CHANNEL_TAKE_OVER);
	if (err) {
		if (channel->origin)
			channel->origin->missed(channel);
		return err;
	}
	/* Was the slot given to another object meanwhile? */
	err = ivshmem_object_keep(&channel->directory, &channel->object) ? -EAGAIN :
	      map_rings(channel);
	if (err) {
		ivshmem_end_give_back(channel);
		ivshmem_channel_unmap_rings(channel);
	}
	return err == -ENOENT ? -EAGAIN : err;
}

/* The region went back to before this program had attached here: it does so again. */
static int attach_again(struct ivshmem_channel *channel)
{
	uint32_t epoch = __atomic_load_n(&channel->own->epoch, __ATOMIC_ACQUIRE);

	if (!ivshmem_session_keeps_end(channel, epoch))
		return -EBUSY;
	return ivshmem_session_attach(channel, epoch, ivshmem_end_lock_again(channel));
}

static void search_again(struct ivshmem_channel *channel)
{
	ivshmem_end_give_back(channel);
	ivshmem_channel_unmap_rings(channel);
	channel->stage = CHANNEL_SEARCHES;
}

/*
 * The object was removed, or is not there yet, since the region went back: it is to be found,
 * or made, again.
 */
static bool object_is_gone(const struct ivshmem_channel *channel)
{
	return !ivshmem_slot_has_object(&channel->directory, &channel->object);
}

/* The slot, or the end of it, is another's by now. -EAGAIN: look for the channel again. */
static int leave_slot(struct ivshmem_channel *channel)
{
	bool is_gone = object_is_gone(channel);
	int err;

	err = ivshmem_directory_is_current(&channel->directory);
	if (err)
		return err;
	if (!is_gone && !attach_again(channel))
		return -EAGAIN;
	if (!is_gone && channel->was_open)
		return -EBUSY;
	search_again(channel);
	return is_gone && channel->origin ? channel->origin->gone(channel) : -EAGAIN;
}

/* One look at the other end: 1 once the channel is open; 0; a negative errno. */
static int agree(struct ivshmem_channel *channel)
{
	int err = ivshmem_session_advance(channel);

	if (err == -EREMCHG)
		return leave_slot(channel);
	if (err >= 0 && channel->origin && channel->origin->look(channel) && !err) {
		search_again(channel);
		return -EAGAIN;
	}
	return err;
}

/* As far as was told. Who can't send after a close may still have something to receive. */
static bool is_lost(const struct ivshmem_channel *channel)
{
	return channel->news.failed || (channel->room.failed && channel->room.failed != -EPIPE);
}

/* 0 once the channel is open; -EAGAIN as long as it depends on the other side. */
static int step(struct ivshmem_channel *channel)
{
	int err = 0;

	if (channel->stage == CHANNEL_HAS_LEFT)
		return -ENOTCONN;
	if (channel->stage == CHANNEL_IS_OPEN)
		return is_lost(channel) ? -ENOTCONN : 0;
	if (channel->stage == CHANNEL_SEARCHES)
		err = find_end(channel);
	if (err)
		return err;
	if (channel->stage == CHANNEL_SEARCHES)
		channel->stage = CHANNEL_AGREES;
	if (channel->stage == CHANNEL_AGREES) {
		err = agree(channel);
		if (err <= 0)
			return err ? err : -EAGAIN;
		channel->stage = CHANNEL_IS_OPEN;
		channel->was_open = true;
	}
	return 0;
}

static int begin(struct ivshmem_channel **out, struct ivshmem_channel *channel)
{
	int err;

	err = ivshmem_directory_open(&channel->directory, channel->shm);
	if (!err)
		err = step(channel);
	if (err && err != -EAGAIN) {
		ivshmem_channel_close(channel);
		return err;
	}
	*out = channel;
	return 0;
}

int ivshmem_channel_begin(struct ivshmem_channel **out, struct ivshmem *shm, const char *name,
			  enum ivshmem_end end, unsigned int flags)
{
	struct ivshmem_channel *channel;
	int err;

	err = check_arguments(out, shm, name, end, flags);
	if (err)
		return err;
	channel = ivshmem_channel_new(shm, end, name, flags);
	return channel ? begin(out, channel) : -ENOMEM;
}

/* Arguments were checked. @origin belongs to the channel from now on, also where that fails. */
int ivshmem_channel_begin_from(struct ivshmem_channel **out, struct ivshmem *shm,
			       struct ivshmem_origin *origin, enum ivshmem_end end,
			       unsigned int flags)
{
	struct ivshmem_channel *channel = ivshmem_channel_new(shm, end, "", flags);

	if (!channel) {
		origin->free(origin);
		return -ENOMEM;
	}
	channel->origin = origin;
	return begin(out, channel);
}

int ivshmem_channel_finish(struct ivshmem_channel *channel, int timeout_ms)
{
	int64_t deadline = ivshmem_deadline(timeout_ms);
	int64_t pause = FIRST_PAUSE_NS;
	int err;

	if (!channel)
		return -EINVAL;
	if (channel->shm->inherited)
		return -ECHILD;
	while ((err = step(channel)) == -EAGAIN) {
		err = ivshmem_link_pause(&channel->link, &pause, LONGEST_PAUSE_NS, deadline);
		if (err) {
			ivshmem_channel_pace(channel, LONGEST_PAUSE_NS);
			return err;
		}
	}
	return err;
}

/* All of a channel that was begun, unless that failed with @err; else nothing is left of it. */
int ivshmem_channel_complete(struct ivshmem_channel **out, struct ivshmem_channel *channel,
			     int err, int timeout_ms)
{
	if (!err)
		err = ivshmem_channel_finish(channel, timeout_ms);
	if (err) {
		ivshmem_channel_close(channel);
		return err;
	}
	*out = channel;
	return 0;
}

static int open_end(struct ivshmem_channel **out, struct ivshmem *shm, enum ivshmem_end end,
		    const char *name, unsigned int flags, int timeout_ms)
{
	struct ivshmem_channel *channel = NULL;
	int err;

	err = out ? ivshmem_channel_begin(&channel, shm, name, end, flags) : -EINVAL;
	return ivshmem_channel_complete(out, channel, err, timeout_ms);
}

int ivshmem_channel_create(struct ivshmem_channel **channel, struct ivshmem *shm,
			   const char *name, unsigned int flags, int timeout_ms)
{
	return open_end(channel, shm, IVSHMEM_END_CREATOR, name, flags, timeout_ms);
}

int ivshmem_channel_connect(struct ivshmem_channel **channel, struct ivshmem *shm,
			    const char *name, unsigned int flags, int timeout_ms)
{
	return open_end(channel, shm, IVSHMEM_END_CONNECTOR, name, flags, timeout_ms);
}

/* An attempt that is under way goes on; else a new one begins. */
static int begin_again(struct ivshmem_channel *channel)
{
	int err;

	if (channel->stage == CHANNEL_SEARCHES)
		return 0;
	if (channel->stage == CHANNEL_IS_OPEN) {
		ivshmem_session_leave(channel);
		channel->stage = CHANNEL_HAS_LEFT;
	}
	err = ivshmem_directory_is_current(&channel->directory);
	if (err || (channel->stage == CHANNEL_AGREES && ivshmem_session_has_end(channel)))
		return err;
	if (object_is_gone(channel)) {
		search_again(channel);
		return 0;
	}
	err = attach_again(channel);
	if (!err)
		channel->stage = CHANNEL_AGREES;
	return err;
}

int ivshmem_channel_reconnect(struct ivshmem_channel *channel, int timeout_ms)
{
	int err;

	if (!channel)
		return -EINVAL;
	if (channel->shm->inherited)
		return -ECHILD;
	err = begin_again(channel);
	return err ? err : ivshmem_channel_finish(channel, timeout_ms);
}
