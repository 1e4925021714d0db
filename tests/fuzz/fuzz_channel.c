// SPDX-License-Identifier: MIT
/*
 * libFuzzer: another side that writes anything anywhere in the region, before any
 * look of this side at it. The input is a sequence of pieces of three bytes or more:
 * what this side is to do, and what the other side writes meanwhile; see turn() and
 * other_strikes(). This side sees time pass only by what it does, so a run takes no time and
 * is the same each time.
 *
 * Nothing may crash or read or write outside of what is mapped; every call ends
 * within its timeout; this side writes nowhere but to its own end of its own channel;
 * it gives only the errors that are documented; and what is kept is neither given back
 * nor, once it is copied, changed until it is released, in whatever order.
 */

#include "other_side.h"

#include <errno.h>
#include <string.h>

#include <ivshmem/area.h>

#include "channel/channel.h"
#include "format/superblock.h"

#define OBJECTS		2
#define RING_SIZE	(3 * PAGE)	/* so both objects have room */
#define TIMEOUT_MS	3
#define BLOCKS_OFFSET	(2 * PAGE)	/* behind two slots and the block map */
#define MAX_KEPT	(REGION_SIZE / RECORD_ALIGN)
#define MAIL_LENGTH	sizeof(((struct ivshmem_mail *)NULL)->message)

static struct {
	uint8_t shadow[REGION_SIZE];	/* what was written by the other side, and only that */
	bool reformatted;
	bool superblock_lied;		/* the other side wrote there */
	bool has_others;		/* this side made or removed objects beforehand */
	bool directory_lied;		/* the same: keys, names, facts or block map */
	struct ivshmem_channel *channel;
	unsigned int side;
} run;

/* --- the other side --- */

/* Those of the ends and of the mailbox are no part of the directory. */
static bool is_of_directory(size_t offset)
{
	size_t in_slot = (offset - SLOTS_OFFSET) % sizeof(struct ivshmem_slot);

	return offset >= SLOTS_OFFSET && offset < BLOCKS_OFFSET &&
	       (offset >= ivshmem_slot_offset(OBJECTS) ||
		in_slot < offsetof(struct ivshmem_slot, ends) ||
		in_slot >= offsetof(struct ivshmem_slot, facts));
}

static void other_writes(size_t offset, const void *bytes, size_t length)
{
	size_t i;

	if (offset >= REGION_SIZE)
		return;
	if (length > REGION_SIZE - offset)
		length = REGION_SIZE - offset;
	for (i = offset; i < offset + length; i++) {
		run.superblock_lied |= i < SUPERBLOCK_SIZE;
		run.directory_lied |= is_of_directory(i);
	}
	memcpy(other.region + offset, bytes, length);
	memcpy(run.shadow + offset, bytes, length);
}

static void other_writes_word(size_t offset, uint32_t value)
{
	other_writes(offset, &value, sizeof(value));
}

static size_t end_offset(unsigned int side)
{
	return SLOTS_OFFSET + offsetof(struct ivshmem_slot, ends) +
	       side * sizeof(struct ivshmem_slot_end);
}

static uint32_t region_word(size_t offset)
{
	uint32_t value;

	memcpy(&value, other.region + offset, sizeof(value));
	return value;
}

/* Where the receiver's ring lies, if nothing in the directory lies. */
static size_t ring_at(unsigned int writer)
{
	return BLOCKS_OFFSET + (2 * run.channel->object.slot + writer) * RING_SIZE;
}

/* What a proper other end would do to come into a session: so that one is reached. */
static void other_agrees(void)
{
	size_t other = end_offset(!run.side), own = end_offset(run.side);
	uint32_t epoch = region_word(own);

	other_writes_word(other + offsetof(struct ivshmem_slot_end, seen), epoch);
	other_writes_word(other + offsetof(struct ivshmem_slot_end, ready), epoch);
}

/* A header that this side takes for the next message, of any length, where it looks. */
static void other_sends_at(uint64_t place, uint32_t length)
{
	uint64_t header = record_header(run.channel->receiver.count + 1, length);

	other_writes(ring_at(!run.side) + place, &header, sizeof(header));
}

static void other_sends(uint32_t length)
{
	if (run.channel)
		other_sends_at(run.channel->receiver.position - run.channel->receiver.lap, length);
}

/* The same at the ring's start, and a header that says so. */
static void other_turns(uint32_t length)
{
	if (!run.channel)
		return;
	other_sends_at(0, length);
	other_sends(RECORD_ELSEWHERE);
}

/* A message under way, and how much of it is there. */
static void other_grows(uint32_t length, uint32_t bytes)
{
	uint64_t progress;

	if (!run.channel)
		return;
	progress = (run.channel->receiver.count + 1) << 32 | bytes;
	other_writes(end_offset(!run.side) + offsetof(struct ivshmem_slot_end, progress), &progress,
		     sizeof(progress));
	other_sends(length | RECORD_GROWING);
}

static void other_mails(uint32_t length)
{
	uint64_t header;

	if (!run.channel)
		return;
	header = record_header(run.channel->receiver.count + 1,
			       mailbox_next(&run.channel->mailbox) + length);
	other_writes(SLOTS_OFFSET + offsetof(struct ivshmem_slot, mail[!run.side]), &header,
		     sizeof(header));
}

static void other_consumes(uint64_t consumed)
{
	other_writes(end_offset(!run.side) + offsetof(struct ivshmem_slot_end, consumed), &consumed,
		     sizeof(consumed));
}

static void other_writes_long(size_t offset, uint64_t value)
{
	other_writes(offset, &value, sizeof(value));
}

static uint32_t generation_of_slot(unsigned int slot)
{
	return region_word(ivshmem_slot_offset(slot) + 4);
}

/* Words that look right, but for what they say. */
static void other_lies(unsigned int what)
{
	unsigned int slot = next_byte() % OBJECTS, which = next_byte();
	uint64_t generation = (uint64_t)generation_of_slot(slot) << 32;
	size_t at = ivshmem_slot_offset(slot);

	switch (what % 4) {
	case 0:
		at += offsetof(struct ivshmem_slot, facts) + which % FACTS * 8;
		other_writes_long(at, generation | next_word() << (which & 64 ? 16 : 0));
		break;
	case 1:		/* another claim, name, or doom, or what it was before */
		other_writes_long(at, generation + ((uint64_t)(which & 64) << 26) +
				  (next_byte() * 4 | which % 4));
		break;
	case 2:
		at = ivshmem_slot_offset(OBJECTS) + which * 8;
		other_writes_long(at, generation | next_byte() % (OBJECTS + 3));
		break;
	case 3:		/* a name like this side's, or another */
		at += offsetof(struct ivshmem_slot, name) + which % NAME_WORDS * 8;
		other_writes_long(at, generation | (which & 64 ? next_byte() : 'a'));
		break;
	}
}

/* A superblock that lies, and is no damaged one. */
static void other_mends_crc(void)
{
	size_t offset = offsetof(struct ivshmem_superblock, crc);

	other_writes_word(offset, ivshmem_crc32(other.region, offset));
}

/* One thing that the other side does. */
void other_strikes(void)
{
	unsigned int what = next_byte();
	uint8_t bytes[8];
	size_t i;

	switch (what % 16) {
	case 0:		/* anything anywhere */
		i = next_word();
		bytes[0] = (uint8_t)next_byte();
		other_writes(i, bytes, 1);
		break;
	case 1:		/* eight bytes of anything in the slot */
		i = SLOTS_OFFSET + next_byte() * 8 % sizeof(struct ivshmem_slot);
		for (unsigned int b = 0; b < sizeof(bytes); b++)
			bytes[b] = (uint8_t)next_byte();
		other_writes(i, bytes, sizeof(bytes));
		break;
	case 2:
		other_writes_word(end_offset(!run.side), next_byte() * 4 + END_ATTACHED);
		break;
	case 3:
		other_writes_word(end_offset(run.side), next_byte());
		break;
	case 4 ... 5:
		other_agrees();
		break;
	case 6:
		if (what & 32)
			other_lies(what / 64);
		else
			other_agrees();
		break;
	case 7:
		if (what & 32)
			other_turns(next_byte());
		else
			other_sends(next_byte());
		break;
	case 8:
		other_sends(next_word() * (what & 16 ? 65537 : 1));
		break;
	case 9:
		other_mails(next_byte() % 32);
		break;
	case 10:
		other_consumes(next_byte() * 64);
		break;
	case 11:
		if (run.channel)
			other_consumes(run.channel->sender.position - next_byte() % 4 * 64);
		break;
	case 12:
		other_writes_word(end_offset(!run.side) + 4 + what / 16 % 2 * 4, next_byte());
		break;
	case 13:
		if (what & 32) {
			other_grows(next_word(), next_word() * 16);
			break;
		}
		other_writes_word(SLOTS_OFFSET + offsetof(struct ivshmem_slot, mail[!run.side]) +
				  offsetof(struct ivshmem_mail, taken), next_byte() % 8);
		break;
	case 14:
		other_writes_word(end_offset(!run.side), region_word(end_offset(!run.side)) + 1);
		break;
	case 15:
		i = next_byte() * 4 % 124;
		other_writes_word(i, next_word() << (what & 32 ? 12 : 0));
		if (what & 16)
			other_mends_crc();
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
	case -ENOTCONN:
	case -EPROTO:
	case -EBUSY:
	case -EINVAL:
	case -ESTALE:
	case -ENOSPC:
	case -ENOMEDIUM:
	case -EMEDIUMTYPE:
	case -EPROTONOSUPPORT:
	case -EUCLEAN:
	case -EEXIST:
	case -ENOENT:
	case -EPROTOTYPE:
	case -ENOTEMPTY:
		return true;
	}
	return err >= 0;
}

/* What was peeked at and not released. */
static struct {
	unsigned int count;
	struct kept {
		const void *message;
		uint64_t at;			/* where its record begins, or UINT64_MAX */
		char mail[MAIL_LENGTH];
	} messages[MAX_KEPT];
} keeps;

static bool is_in_mailbox(const void *message)
{
	const struct ivshmem_mailbox *box = &run.channel->mailbox;

	return (uintptr_t)message - (uintptr_t)box->places < sizeof(box->places);
}

static void keep(const void *message, uint64_t at)
{
	struct kept *kept = &keeps.messages[keeps.count++];

	check(keeps.count < MAX_KEPT);
	kept->message = message;
	kept->at = is_in_mailbox(message) ? UINT64_MAX : at;
	if (is_in_mailbox(message))
		memcpy(kept->mail, message, MAIL_LENGTH);
}

static void release_one(unsigned int which)
{
	struct kept kept;

	if (!keeps.count)
		return;
	kept = keeps.messages[which % keeps.count];
	keeps.messages[which % keeps.count] = keeps.messages[--keeps.count];
	if (kept.at == UINT64_MAX)
		check(!memcmp(kept.message, kept.mail, MAIL_LENGTH));
	check(!ivshmem_channel_release(run.channel, kept.message));
	check(ivshmem_channel_release(run.channel, kept.message) == -EINVAL);
}

static void release_what_is_not_kept(unsigned int where)
{
	uintptr_t ring = (uintptr_t)run.channel->receiver.data;	/* NULL between two channels */
	const void *message = (const void *)(ring + RECORD_HEADER + where);
	unsigned int i;

	for (i = 0; i < keeps.count; i++)
		if (keeps.messages[i].message == message)
			return;
	check(ivshmem_channel_release(run.channel, message) == -EINVAL);
}

/* The room of what is kept is not given back, so nothing that is kept overlaps. */
static void check_kept(void)
{
	const struct ivshmem_receiver *receiver = &run.channel->receiver;
	unsigned int i, in_ring = 0;

	for (i = 0; i < keeps.count; i++) {
		if (keeps.messages[i].at == UINT64_MAX)
			continue;
		check(keeps.messages[i].at >= receiver->released);
		in_ring++;
	}
	check(receiver->kept - in_ring <= 1);	/* and what is read in part */
	check(receiver->kept || receiver->released == receiver->position);
	check(receiver->told <= receiver->released);
	check(receiver->position - receiver->released <= receiver->size);
}

/* Other objects of the same region. */
static int use_directory(struct ivshmem *shm, unsigned int what)
{
	static const char *const names[] = { "a", "b", "c", "" };
	const char *name = names[next_byte() % 4];
	struct ivshmem_area *area;
	int err;

	run.has_others = true;
	switch (what / 128 + (what & 16 ? 2 : 0)) {
	case 0:
		return ivshmem_make_area(shm, name, next_word());
	case 1:
		return ivshmem_make_channel(shm, name, next_word(), next_word());
	case 2:
		return ivshmem_remove(shm, name, next_byte() % 2);
	}
	err = ivshmem_area_open(&area, shm, name);
	if (!err) {
		use(ivshmem_area_data(area), ivshmem_area_size(area));
		ivshmem_area_close(area);
	}
	return err;
}

/* One thing that this side does. */
static void turn(struct ivshmem *shm)
{
	static uint8_t buffer[REGION_SIZE];
	struct ivshmem_channel *channel = run.channel;
	unsigned int what = next_byte();
	int timeout = what & 16 ? TIMEOUT_MS : 0;
	size_t length = what & 32 ? next_word() : next_byte();
	const void *message;
	ssize_t result = 0;
	void *room;

	other.looks = 0;
	switch (what % 16) {
	case 0 ... 2:
		result = ivshmem_channel_send(channel, buffer, length, timeout);
		break;
	case 3:
		if (what & 128) {
			result = ivshmem_channel_unreserve(channel);
			break;
		}
		result = ivshmem_channel_reserve(channel, &room, length, timeout);
		if (!result)
			memset(room, 0x5a, length);
		break;
	case 4:
		result = ivshmem_channel_commit(channel, length, what & 64 ? IVSHMEM_MORE : 0);
		break;
	case 5 ... 7:
		result = ivshmem_channel_recv(channel, buffer, length, timeout);
		check(result <= (ssize_t)length);
		break;
	case 8 ... 9:
		result = ivshmem_channel_peek(channel, &message, timeout);
		if (result > 0)
			use(message, (size_t)result);
		check(result <= (ssize_t)ivshmem_channel_max_length(channel));
		if (result < 0)
			break;
		check(result <= (ssize_t)MAIL_LENGTH || !is_in_mailbox(message));
		keep(message, channel->receiver.position - ivshmem_record_size(result));
		break;
	case 10:
		if (what & 128) {
			result = ivshmem_channel_release_all(channel);
			keeps.count = 0;
		} else if (what & 64) {
			release_what_is_not_kept((unsigned int)length);
		} else {
			release_one((unsigned int)length);
		}
		break;
	case 11:
		result = ivshmem_channel_read(channel, buffer, length + 1, timeout);
		check(result <= (ssize_t)length + 1);
		break;
	case 12:
		result = ivshmem_channel_write(channel, buffer, length, timeout);
		break;
	case 13:
		result = ivshmem_channel_reconnect(channel, timeout);
		keeps.count = 0;
		break;
	case 14:
		result = read_all(shm);
		break;
	case 15:
		result = what & 64 ? use_directory(shm, what) : ivshmem_format(shm, "", 1, 0, 0);
		run.reformatted |= !(what & 64) && !result;
		break;
	}
	check(is_documented(result));
	check_kept();
}

static void ignore(size_t offset, size_t size)
{
	memcpy(run.shadow + offset, other.region + offset, size);
}

static void ignore_pages(uint64_t pages)
{
	size_t i;

	for (i = 0; i < REGION_SIZE / PAGE; i++)
		if (pages >> i & 1)
			ignore(i * PAGE, PAGE);
}

/* What this side writes of a slot. */
static void ignore_slot(unsigned int i)
{
	size_t slot = ivshmem_slot_offset(i);

	ignore(slot, offsetof(struct ivshmem_slot, reserved_120));
	ignore(slot + offsetof(struct ivshmem_slot, facts), sizeof(uint64_t) * FACTS);
	ignore(slot + offsetof(struct ivshmem_slot, ends[run.side]),
	       sizeof(struct ivshmem_slot_end));
	ignore(slot + offsetof(struct ivshmem_slot, mail[run.side]), sizeof(struct ivshmem_mail));
	/* It evicts by force. */
	ignore(end_offset(!run.side) + i * sizeof(struct ivshmem_slot), sizeof(uint32_t));
}

/*
 * All but this side's ends, halves of mailboxes, rings, and the directory is as the other side
 * left it. Who believes a directory that lies has its rings anywhere in the blocks. Under a
 * superblock that lies slots may lie anywhere, too; the superblock is no part of them.
 */
static void check_untouched(void)
{
	uint64_t directory = pages_of(SLOTS_OFFSET, BLOCKS_OFFSET - SLOTS_OFFSET);
	unsigned int i;

	if (run.superblock_lied) {
		ignore_pages(other.mapped);
	} else {
		for (i = 0; i < OBJECTS; i++) {
			ignore_slot(i);
			ignore(BLOCKS_OFFSET + (2 * i + run.side) * RING_SIZE, RING_SIZE);
		}
		ignore(ivshmem_slot_offset(OBJECTS), BLOCKS_OFFSET - ivshmem_slot_offset(OBJECTS));
	}
	if (run.directory_lied || run.has_others)
		ignore_pages(other.mapped & ~directory);
	check(!memcmp(run.shadow, other.region, REGION_SIZE));
}

static int open_channel(struct ivshmem *shm)
{
	unsigned int flags = next_byte() & 1 ? IVSHMEM_CHANNEL_TAKE_OVER : 0;
	int err;

	other.looks = 0;
	other.until_strike = 0;
	if (run.side)
		err = ivshmem_channel_connect(&run.channel, shm, "a", flags, TIMEOUT_MS);
	else
		err = ivshmem_channel_create(&run.channel, shm, "a", flags, TIMEOUT_MS);
	check(is_documented(err));
	return err;
}

/* The slot that the other side, and nobody else, has used before. */
static void prepare_slot(struct ivshmem *shm)
{
	struct ivshmem_directory directory;
	struct ivshmem_object object;
	struct ivshmem_spec spec;

	other.in_strike = true;
	check(!ivshmem_directory_open(&directory, shm));
	check(directory.superblock.blocks_offset == BLOCKS_OFFSET);
	ivshmem_spec_channel(&spec, &directory.superblock, 0, 0);
	check(!ivshmem_object_claim(&directory, "a", &spec, &object) && !object.slot);
	ivshmem_directory_close(&directory);
	other.in_strike = false;
	memcpy(run.shadow, other.region, REGION_SIZE);
	other_writes_long(end_offset(!run.side) + offsetof(struct ivshmem_slot_end, purpose),
			  4ull << 32 | object.generation);
	other_writes_word(end_offset(!run.side), 4 + END_ATTACHED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = region_fd();
	struct ivshmem *shm;

	begin_run();
	run.channel = NULL;
	keeps.count = 0;
	run.reformatted = run.superblock_lied = run.directory_lied = run.has_others = false;
	shm = open_region(fd, 0);
	check(!ivshmem_format(shm, "fuzz", OBJECTS, RING_SIZE, 0));
	other.data = data;
	other.size = size;
	run.side = next_byte() & 1;
	prepare_slot(shm);
	if (!open_channel(shm)) {
		while (other.size && has_arena())
			turn(shm);
		other.size = 0;
		other.looks = 0;
		ivshmem_channel_close(run.channel);
	}
	run.channel = NULL;
	if (!run.reformatted)
		check_untouched();
	ivshmem_close(shm);
	end_run();
	return 0;
}
