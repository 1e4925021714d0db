// SPDX-License-Identifier: MIT
/*
 * libFuzzer: another side that writes anything into a topic, its slot and the rest of the
 * region, before any look of two publishers and three subscribers, one of which only
 * reads. The input says what they do, and what the other side writes meanwhile; see turn() and
 * other_strikes().
 *
 * Nothing may crash or read or write outside of what is mapped; every call ends within its
 * timeout; it gives only the errors that are documented; what is held can be read, and released
 * once; and nobody writes into another object, unless the directory lies.
 */

#include "other_side.h"

#include <errno.h>
#include <string.h>

#include "format/superblock.h"
#include "topic/topic.h"

#define OBJECTS		2
#define TIMEOUT_MS	3
#define PUBLISHERS	2
#define SUBSCRIBERS	3		/* the last one only reads */
#define HOLDS		2
#define LONGEST		300
#define MEMBERS		(PUBLISHERS + SUBSCRIBERS - 1)

/* As it was made: what the other side aims by. */
static struct topic_geometry geometry;
static struct ivshmem_extent blocks, neighbour;

struct held {
	const void *message;
	size_t length;
};

static struct {
	struct ivshmem *shm[2], *reader;
	struct ivshmem_publisher *publishers[PUBLISHERS];
	struct ivshmem_subscriber *subscribers[SUBSCRIBERS];
	struct held held[SUBSCRIBERS][HOLDS];
	bool directory_lied;		/* the other side wrote to it, or this one made objects */
	uint8_t shadow[REGION_SIZE];	/* the other object */
} run;

/* --- the other side --- */

static void other_writes(uint64_t offset, const void *bytes, size_t length)
{
	if (offset >= REGION_SIZE || length > REGION_SIZE - offset)
		return;
	if (offset < blocks.offset)
		run.directory_lied = true;
	memcpy(other.region + offset, bytes, length);
	memcpy(run.shadow + offset, bytes, length);
}

static void other_writes_long(uint64_t offset, uint64_t value)
{
	other_writes(offset, &value, sizeof(value));
}

static void other_writes_word(uint64_t offset, uint32_t value)
{
	other_writes(offset, &value, sizeof(value));
}

/* Often something near what is there, or at an end of what can be. */
static uint64_t value_like(uint64_t offset)
{
	unsigned int how = next_byte();
	uint64_t there = 0;

	if (offset <= REGION_SIZE - sizeof(there))
		memcpy(&there, other.region + offset, sizeof(there));
	switch (how % 8) {
	case 0 ... 2:
		return there + how / 8 - 16;
	case 3:
		return how / 8;
	case 4:
		return ~0ull << how / 8 * 2;
	case 5:
		return 1ull << how / 8 * 2;
	case 6:
		return next_word();
	}
	return next_word() | (uint64_t)next_word() << 32;
}

static void other_strikes_member(void)
{
	static const uint16_t fields[] = {
		offsetof(struct ivshmem_slot_end, epoch),
		offsetof(struct ivshmem_slot_end, receiver),
		offsetof(struct ivshmem_slot_end, sender),
		offsetof(struct ivshmem_slot_end, ready),
		offsetof(struct ivshmem_slot_end, receiver_bell),
		offsetof(struct ivshmem_slot_end, purpose),
		offsetof(struct ivshmem_slot_end, purpose) + 4,
		offsetof(struct ivshmem_slot_end, wake),
		offsetof(struct ivshmem_slot_end, peer_id),
		offsetof(struct ivshmem_slot_end, vector),
		offsetof(struct ivshmem_slot_end, boot_id),
		offsetof(struct ivshmem_slot_end, lock_inode),
		offsetof(struct ivshmem_slot_end, processor),
		offsetof(struct ivshmem_slot_end, set),
		offsetof(struct ivshmem_slot_end, ticket),
	};
	unsigned int which = next_byte();
	uint64_t at = blocks.offset + geometry.members +
		      which % MEMBERS * sizeof(struct ivshmem_slot_end) +
		      fields[next_byte() % (sizeof(fields) / sizeof(fields[0]))];

	other_writes_word(at, (uint32_t)value_like(at));
}

/* Of a publisher: the count, whose it is, and whom it has dropped. */
static void other_strikes_progress(void)
{
	unsigned int which = next_byte();
	uint64_t at = blocks.offset + geometry.publishers +
		      which % PUBLISHERS * geometry.publisher_size;

	if (which & 32)
		other_writes_word(at + 64 + which / 64 * 4, (uint32_t)value_like(at + 64));
	else
		other_writes_long(at + which / 16 % 2 * 8, value_like(at + which / 16 % 2 * 8));
}

/* Of a subscriber: what it has taken, and what it holds. */
static void other_strikes_taken(void)
{
	unsigned int which = next_byte();
	uint64_t at = blocks.offset + geometry.subscribers +
		      which % 2 * geometry.subscriber_size + which / 2 % (PUBLISHERS + HOLDS) * 8;

	if (which & 64)
		other_writes_long(at, (uint64_t)(which & 1) << 32 | next_byte() % 40);
	else
		other_writes_long(at, value_like(at));
}

static void other_strikes_entry(void)
{
	unsigned int which = next_byte();
	uint64_t at = blocks.offset + geometry.entries +
		      which % (PUBLISHERS * geometry.layout.history) * sizeof(struct topic_entry);
	static const uint8_t fields[] = { 0, 0, 8, 12, 16, 24, 24, 32 };
	unsigned int field = fields[next_byte() % sizeof(fields)];

	if (field)
		other_writes_word(at + field, (uint32_t)value_like(at + field));
	else
		other_writes_long(at, value_like(at));
}

/* Words that look right, but for what they say. */
static void other_strikes_slot(void)
{
	unsigned int which = next_byte();
	uint64_t at = ivshmem_slot_offset(0), generation;
	uint64_t fact = at + offsetof(struct ivshmem_slot, facts) + which % FACTS * 8;

	memcpy(&generation, other.region + at, sizeof(generation));
	generation &= ~0ull << 32;
	if (which & 128)
		other_writes_long(at, generation + ((uint64_t)(which & 64) << 26) +
				      (next_byte() * 4 | which % 4));
	else if (which & 64)
		other_writes_long(fact, generation | (uint32_t)value_like(fact));
	else
		other_writes_long(at + which % 16 * 8, value_like(at + which % 16 * 8));
}

/* A superblock that lies, and is no damaged one. */
static void other_strikes_superblock(void)
{
	size_t crc = offsetof(struct ivshmem_superblock, crc);
	unsigned int which = next_byte();
	uint64_t at = which % 32 * 4;

	other_writes_word(at, (uint32_t)value_like(at));
	if (which & 128)
		other_writes_word(crc, ivshmem_crc32(other.region, crc));
}

void other_strikes(void)
{
	unsigned int what = next_byte();
	uint64_t at;

	switch (what % 12) {
	case 0:		/* anything anywhere */
		at = next_word();
		other_writes_word(at, (uint32_t)value_like(at));
		break;
	case 1 ... 2:
		other_strikes_member();
		break;
	case 3 ... 4:
		other_strikes_progress();
		break;
	case 5:
		other_strikes_taken();
		break;
	case 6 ... 8:
		other_strikes_entry();
		break;
	case 9:
		at = blocks.offset + (what & 16 ? 64 : what & 32 ? 4 : 0);
		other_writes_word(at, (uint32_t)value_like(at));
		break;
	case 10:
		at = blocks.offset + next_word() % blocks.size / 8 * 8;
		other_writes_long(at, value_like(at));
		break;
	case 11:
		if (what >= 192)
			other_strikes_superblock();
		else if (what >= 128)
			other_strikes_slot();
		break;
	}
}

/* --- this side --- */

static bool is_documented(ssize_t err)
{
	switch (err) {
	case -EAGAIN:
	case -ETIMEDOUT:
	case -EMSGSIZE:
	case -EPIPE:
	case -ECONNRESET:
	case -EBUSY:
	case -ENOBUFS:
	case -EINVAL:
		return true;
	}
	return err >= 0;
}

/* Of what looks for the topic first. */
static bool is_documented_of_opening(int err)
{
	switch (err) {
	case -ENOENT:
	case -EPROTOTYPE:
	case -EBUSY:
	case -EUCLEAN:
	case -EACCES:
	case -ESTALE:
	case -ENOSPC:
	case -EAGAIN:
	case -EEXIST:
	case -ENOMEDIUM:
	case -EMEDIUMTYPE:
	case -EPROTONOSUPPORT:
		return true;
	}
	return !err;
}

static void open_publisher(unsigned int i)
{
	other.looks = 0;
	check(is_documented_of_opening(ivshmem_publisher_open(&run.publishers[i], run.shm[0],
							      "t")));
}

static void open_subscriber(unsigned int i, unsigned int history)
{
	struct ivshmem *shm = i < SUBSCRIBERS - 1 ? run.shm[1] : run.reader;

	other.looks = 0;
	check(is_documented_of_opening(ivshmem_subscriber_open(&run.subscribers[i], shm, "t",
							       history)));
}

static void close_publisher(unsigned int i)
{
	other.looks = 0;
	ivshmem_publisher_close(run.publishers[i]);
	run.publishers[i] = NULL;
}

static void close_subscriber(unsigned int i)
{
	other.looks = 0;
	ivshmem_subscriber_close(run.subscribers[i]);
	run.subscribers[i] = NULL;
	memset(run.held[i], 0, sizeof(run.held[i]));
}

static ssize_t publish(unsigned int i, size_t length, int timeout)
{
	static char data[LONGEST + 1];
	struct iovec parts[2] = {
		{ data, length / 3 }, { data + length / 3, length - length / 3 },
	};

	return ivshmem_publish(run.publishers[i], parts, 2, 7, length & 1 ? IVSHMEM_STAMP : 0,
			       timeout);
}

static ssize_t publish_in_place(unsigned int i, size_t length, int timeout)
{
	void *room;
	int err = ivshmem_publisher_reserve(run.publishers[i], &room);

	if (err)
		return err;
	memset(room, 0x5a, ivshmem_publisher_max_length(run.publishers[i]));
	return ivshmem_publisher_commit(run.publishers[i], length, 0, 0, timeout);
}

static void check_info(const struct ivshmem_message_info *info)
{
	check(info->publisher < MAX_PUBLISHERS);
	check(info->number && info->skipped < UINT64_MAX / 2);
}

static ssize_t receive(unsigned int i, size_t length, unsigned int flags, int timeout)
{
	struct ivshmem_message_info info;
	static uint8_t buffer[REGION_SIZE];
	ssize_t result;

	result = ivshmem_subscriber_recv(run.subscribers[i], buffer, length, &info, flags,
					 timeout);
	check(result <= (ssize_t)length);
	if (result >= 0)
		check_info(&info);
	return result;
}

static void keep(unsigned int i, const void *message, size_t length)
{
	unsigned int h;

	for (h = 0; h < HOLDS && run.held[i][h].message; h++)
		;
	check(h < HOLDS);
	run.held[i][h] = (struct held) { message, length };
}

static ssize_t hold(unsigned int i, unsigned int flags, int timeout)
{
	struct ivshmem_subscriber *subscriber = run.subscribers[i];
	struct ivshmem_message_info info;
	const void *message;
	ssize_t result;

	/* The facts may have said that it may hold more, when it was opened. */
	if (i == SUBSCRIBERS - 1 || (run.held[i][0].message && run.held[i][1].message))
		return 0;
	result = ivshmem_subscriber_hold(subscriber, &message, &info, flags, timeout);
	if (result < 0)
		return result;
	check(result <= (ssize_t)ivshmem_subscriber_max_length(subscriber));
	check_info(&info);
	use(message, (size_t)result);
	keep(i, message, (size_t)result);
	return result;
}

static ssize_t release(unsigned int i, unsigned int h)
{
	struct held *held = &run.held[i][h];
	const void *message = held->message;
	unsigned int other_one;

	if (!message)
		return 0;
	use(message, held->length);
	held->message = NULL;
	check(!ivshmem_subscriber_release(run.subscribers[i], message));
	other_one = run.held[i][!h].message == message;
	return other_one ? 0 : ivshmem_subscriber_release(run.subscribers[i], message) + EINVAL;
}

/* The topic goes, and comes back. */
static void remake(unsigned int what)
{
	struct ivshmem_topic_layout layout = geometry.layout;
	int err;

	run.directory_lied = true;
	if (what & 64)
		layout.flags ^= IVSHMEM_TOPIC_LOSSLESS;
	err = ivshmem_remove(run.shm[0], "t", what & 32 ? IVSHMEM_REMOVE_FORCE : 0);
	check(is_documented_of_opening(err));
	other.looks = 0;
	err = ivshmem_make_topic(run.shm[1], "t", &layout);
	check(is_documented_of_opening(err));
}

static ssize_t publisher_turn(unsigned int what, unsigned int i)
{
	int timeout = what & 16 ? TIMEOUT_MS : 0;
	size_t length = next_byte() + (what & 64 ? 46 : 0);

	switch (what % 8) {
	case 0:
		return publish_in_place(i, length, timeout);
	case 1:
		return ivshmem_publisher_subscribers(run.publishers[i]);
	}
	return publish(i, length, timeout);
}

static ssize_t subscriber_turn(unsigned int what, unsigned int i)
{
	unsigned int flags = what & 64 ? IVSHMEM_LATEST : 0;
	int timeout = what & 16 ? TIMEOUT_MS : 0;

	switch (what % 8) {
	case 0 ... 1:
		return hold(i, flags, timeout);
	case 2:
		return release(i, what >> 5 & 1);
	case 3:
		return receive(i, next_byte(), flags, timeout);
	}
	return receive(i, REGION_SIZE, flags, timeout);
}

/* One thing that this side does. Who was told that its topic is gone comes back. */
static void turn(void)
{
	unsigned int what = next_byte(), i = what % (PUBLISHERS + SUBSCRIBERS), s = i - PUBLISHERS;
	ssize_t result;

	other.looks = 0;
	if (what == 255) {
		remake(next_byte());
	} else if (what == 254) {
		check(is_documented_of_opening(read_all(run.shm[1])));
	} else if (i < PUBLISHERS && !run.publishers[i]) {
		open_publisher(i);
	} else if (i >= PUBLISHERS && !run.subscribers[s]) {
		open_subscriber(s, next_byte());
	} else if (what >= 240) {
		if (i < PUBLISHERS)
			close_publisher(i);
		else
			close_subscriber(s);
	} else {
		result = i < PUBLISHERS ? publisher_turn(next_byte(), i) :
					  subscriber_turn(next_byte(), s);
		check(is_documented(result));
		if (result == -ECONNRESET && i < PUBLISHERS)
			close_publisher(i);
		else if (result == -ECONNRESET)
			close_subscriber(s);
	}
}

/* --- a run --- */

static struct ivshmem_extent extent_of(const char *name, enum ivshmem_kind kind)
{
	struct ivshmem_directory directory;
	struct ivshmem_object object;
	struct ivshmem_extent extent;

	check(!ivshmem_directory_open(&directory, run.shm[0]));
	check(!ivshmem_object_find(&directory, name, kind, &object));
	check(!ivshmem_object_extent(&directory, &object, &extent));
	ivshmem_directory_close(&directory);
	return extent;
}

static void make_objects(bool lossless)
{
	const struct ivshmem_topic_layout layout = {
		.max_length = LONGEST, .history = 4, .publishers = PUBLISHERS,
		.subscribers = SUBSCRIBERS - 1, .holds = HOLDS,
		.flags = lossless ? IVSHMEM_TOPIC_LOSSLESS : 0,
	};

	check(!ivshmem_format(run.shm[0], "fuzz", OBJECTS, 0, 0));
	check(!ivshmem_make_topic(run.shm[0], "t", &layout));
	check(!ivshmem_make_area(run.shm[0], "a", 4 * PAGE));
	check(ivshmem_topic_measure(&geometry, &layout));
	blocks = extent_of("t", IVSHMEM_TOPIC);
	neighbour = extent_of("a", IVSHMEM_AREA);
	check(blocks.offset + blocks.size <= neighbour.offset);
	memcpy(run.shadow, other.region, REGION_SIZE);
}

static void open_all(void)
{
	unsigned int i;

	for (i = 0; i < PUBLISHERS; i++)
		open_publisher(i);
	for (i = 0; i < SUBSCRIBERS; i++)
		open_subscriber(i, i);
}

static void close_all(void)
{
	unsigned int i;

	for (i = 0; i < PUBLISHERS; i++)
		close_publisher(i);
	for (i = 0; i < SUBSCRIBERS; i++)
		close_subscriber(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = region_fd();

	begin_run();
	run.directory_lied = false;
	run.shm[0] = open_region(fd, 0);
	run.shm[1] = open_region(fd, 0);
	run.reader = open_region(fd, IVSHMEM_RDONLY);
	make_objects(size && *data & 1);
	open_all();
	other.data = data;
	other.size = size;
	next_byte();
	while (other.size && has_arena())
		turn();
	other.size = 0;
	close_all();
	if (!run.directory_lied)
		check(!memcmp(run.shadow + neighbour.offset, other.region + neighbour.offset,
			      neighbour.size));
	ivshmem_close(run.shm[0]);
	ivshmem_close(run.shm[1]);
	ivshmem_close(run.reader);
	end_run();
	return 0;
}
