/* SPDX-License-Identifier: MIT */
/*
 * What a formatted region holds; ivshmem-format(5) specifies it. All numbers are
 * little-endian, all offsets count from the start of the region.
 *
 *	superblock			4096 bytes
 *	slots				1024 bytes for each object
 *	block map			8 bytes for each block
 *	(up to blocks_offset: nothing)
 *	blocks				what objects need beside their slots
 *
 *	superblock.c	reads it, and checks it
 *	format.c	makes it
 *	liveness.c	tells whether a program lives that has an end
 *	slot.c		has a slot's words
 *	blocks.c	shares the blocks out
 *	end.c		tells for which object a program has an end
 *	directory.c	finds objects, makes them, and takes them away
 *	snapshot.c	shows all that to the user of the library
 */
#ifndef FORMAT_H
#define FORMAT_H

#include <assert.h>
#include <stddef.h>

#include <ivshmem/format.h>

#include "region/region.h"

#define IVSHMEM_MAGIC		0x3246454d48535649ull	/* "IVSHMEF2" */
#define IVSHMEM_FORMAT_VERSION	2

#define SUPERBLOCK_SIZE		4096
#define SLOTS_OFFSET		SUPERBLOCK_SIZE
#define BLOCK_UNIT		4096			/* blocks and rings are multiples of it */
#define MAX_BLOCKS		65536
#define MAX_RING_SIZE		(4ull << 30)
#define NAME_WORDS		14
#define FACTS			8
#define SLOT_HINTS		384
#define TOPIC_HEAD_SIZE		128	/* a topic's ends follow, in its blocks */

/**
 * struct ivshmem_superblock - Written by ivshmem_format(), and never changed.
 * @magic: IVSHMEM_MAGIC, written last.
 * @version: IVSHMEM_FORMAT_VERSION.
 * @slots: Number of slots.
 * @region_size: Size of the region.
 * @block_size: Size of each block, a multiple of 4096.
 * @blocks_offset: Where the first block starts, a multiple of 4096.
 * @blocks: Number of blocks.
 * @ring_units: Size of each ring of a channel that is made without saying, in units of 4096.
 * @uuid: RFC 4122, version 4, in the order of its text.
 * @label: Padded with zeroes, the last of them closes it.
 * @crc: CRC-32 (IEEE 802.3) of everything before.
 */
struct ivshmem_superblock {
	uint64_t magic;
	uint32_t version;
	uint32_t slots;
	uint64_t region_size;
	uint64_t block_size;
	uint64_t blocks_offset;
	uint32_t blocks;
	uint32_t ring_units;
	uint8_t uuid[16];
	char label[IVSHMEM_LABEL_SIZE];
	uint32_t crc;
};

/* The low two bits of an epoch; the rest counts the attachments. */
enum end_state {
	END_NEVER,
	END_ATTACHING,
	END_ATTACHED,
	END_CLOSED,
};

/* The low two bits of a slot's key. */
enum slot_state {
	SLOT_FREE,
	SLOT_CLAIMED,
	SLOT_NAMED,
	SLOT_DOOMED,	/* nobody seemed to use it: whoever looks once more decides */
};

/* What a slot's facts say, by index. Each is of 32 bits. */
enum slot_fact {
	FACT_KIND,		/* an enum ivshmem_kind, and FACT_KEPT */
	FACT_FIRST_BLOCK,
	FACT_BLOCKS,
	FACT_CREATOR_RING,	/* of a channel: size of its rings in units of 4096 bytes */
	FACT_CONNECTOR_RING,
	FACT_TOPIC_LENGTH = FACT_CREATOR_RING,	/* of a topic: see topic/layout.h */
	FACT_TOPIC_HISTORY,
	FACT_TOPIC_MEMBERS,
	FACT_TOPIC_HOLDS,
	/* Of a channel that was made for a client of a service. */
	FACT_SERVICE = FACT_CONNECTOR_RING + 1,	/* the service's slot + 1; 0: none */
	FACT_SERVICE_GENERATION,
};

#define FACT_KEPT	(1u << 8)	/* it stays when nobody uses it */

/* The low two bits of a waiting word; the rest counts the waits. */
enum waiting_state {
	WAITING_AWAKE,
	WAITING_DROWSY,
	WAITING_ASLEEP,
	WAITING_IN_SET,		/* like asleep, but a wait set is to be told: see hints */
};

/* How an end can be woken, and can wake. */
#define WAKE_CAN_RING	(1u << 0)	/* it can ring others */
#define WAKE_RINGABLE	(1u << 1)	/* others can ring it, by peer_id and vector */
#define WAKE_FUTEX	(1u << 2)	/* futexes work in its mapping */
#define WAKE_LOCKED	(1u << 3)	/* it holds the lock of this end on the region's file */
#define WAKE_FILE	(1u << 4)	/* to it the region is a file in memory */

/**
 * struct ivshmem_slot_end - One end of a channel, written by that end alone.
 * @epoch: Counts the attachments, and says what became of the last one.
 * @receiver: Its waiting word as a receiver; shares eight bytes with @epoch, since a
 *            sender looks at both after each message.
 * @sender: Its waiting word as a sender.
 * @seen: The epoch of the other end that it has seen: it is done with what the
 *        one before had written.
 * @ready: The epoch of the other end that its own ring and @consumed were reset for.
 * @closed: The last of its epochs that was closed after a session: the other end may
 *          find that out late, when the next epoch is there already.
 * @receiver_bell: Counts how often it has rung the other's receiver by futex, which
 *                 sleeps on this word.
 * @sender_bell: The same for the other's sender.
 * @lost: The last of its epochs whose session it gave up, since the region no longer is
 *        what it was: it went back in time, or was moved.
 * @purpose: Which object it is there for: in the low half the slot's generation, in the
 *           high half the epoch that said so, with a state of 0.
 * @pid: Its process, for display.
 * @wake: Of the WAKE_ flags.
 * @peer_id: See WAKE_RINGABLE.
 * @vector: See WAKE_RINGABLE.
 * @boot_id: The kernel under which it runs, /proc/sys/kernel/random/boot_id.
 * @lock_device: Of the file that its lock is on: st_dev of stat(2).
 * @lock_inode: The same: st_ino.
 * @processor: Where it waited last, counted from 1; 0: unknown. Of a sleeper for many: how
 *             it is woken, see wakeup/sleeper.h.
 * @set: The wait set that it is in: the slot's index + 1; 0: none.
 * @set_generation: Of that slot.
 * @ticket: Which of the set's hints are for it.
 * @consumed: Bytes that it has taken from the other's ring.
 * @received: What it has taken: ivshmem_session_start(), and 1 for each message. It looks
 *            whether that is still there: else the region went back in time.
 * @sent: The same of what it has sent.
 * @begun: Changes with what is written and not sent yet: it looks at that, too.
 * @progress: Of the last message with RECORD_GROWING: in the high half the low one of its
 *            number, in the low half how many of its bytes are there.
 * @wakeups: How often it has rung others since it was attached; for display, as the next ones.
 * @missed: Of a subscriber, messages that it did not get; of a publisher, subscribers that it
 *          has dropped.
 * @turned: How many of the bytes of @consumed were no message's, but the rest of the ring
 *          where the other end went back to its start.
 */
struct ivshmem_slot_end {
	union {
		uint64_t epoch_and_receiver;
		struct {
			uint32_t epoch;
			uint32_t receiver;
		};
	};
	uint32_t sender;
	uint32_t seen;
	uint32_t ready;
	uint32_t closed;
	uint32_t receiver_bell;
	uint32_t sender_bell;
	uint64_t purpose;
	uint32_t lost;
	uint8_t reserved_44[20];
	uint32_t pid;
	uint32_t wake;
	uint32_t peer_id;
	uint32_t vector;
	uint8_t boot_id[16];
	uint64_t lock_device;
	uint64_t lock_inode;
	uint32_t processor;
	uint32_t set;
	uint32_t set_generation;
	uint32_t ticket;
	uint64_t consumed;
	uint8_t reserved_136[56];
	uint64_t received;
	uint8_t reserved_200[56];
	uint64_t sent;
	uint64_t begun;
	uint64_t progress;
	uint8_t reserved_280[40];
	uint64_t wakeups;
	uint64_t missed;
	uint64_t turned;
	uint8_t reserved_344[40];
};

/**
 * struct ivshmem_mail - One end's half of a channel's mailbox.
 * @header: As of a record, but that the length has eight bits only. The other 24 of the
 *          low half count this end's messages through the mailbox, from 1 in each
 *          session. The message's number counts with those of the records.
 * @message: Up to 16 bytes.
 * @taken: Messages of the other end's half that this end is done with. An end writes
 *         to its half only where this number, in the other's half, is that of all
 *         messages which it has sent that way in this session.
 */
struct ivshmem_mail {
	uint64_t header;
	uint64_t message[2];
	uint32_t taken;
	uint8_t reserved_28[4];
};

/**
 * struct ivshmem_slot - A named object. What lies between the name and the facts is laid
 * out for a channel here; other kinds have their own.
 * @key: Its state in the low two bits, then 30 bits that count its changes, then 32 bits of
 *       a generation: another one each time that the slot is claimed.
 * @name: Four bytes in the low half of each word, padded with zeroes; in the high
 *        half the generation that they belong to.
 * @ends: The creator's, then the connector's.
 * @end: Of a service or a wait set: its only end.
 * @hints: Of these: a byte for each thing that it should look at. Who has something for it
 *         writes 1; the end itself writes 0 before it looks. So no byte needs more than plain
 *         stores, which also hold where one side's atomic additions are not atomic to the other.
 * @mail: The creator's, then the connector's.
 * @facts: By enum slot_fact, in the low half of each word; in the high half the generation.
 */
struct ivshmem_slot {
	uint64_t key;
	uint64_t name[NAME_WORDS];
	uint8_t reserved_120[8];
	union {
		struct ivshmem_slot_end ends[2];
		struct {
			struct ivshmem_slot_end end;
			uint8_t hints[SLOT_HINTS];
		};
	};
	struct ivshmem_mail mail[2];
	uint64_t facts[FACTS];
};

static_assert(offsetof(struct ivshmem_superblock, version) == 8, "format");
static_assert(offsetof(struct ivshmem_superblock, slots) == 12, "format");
static_assert(offsetof(struct ivshmem_superblock, region_size) == 16, "format");
static_assert(offsetof(struct ivshmem_superblock, block_size) == 24, "format");
static_assert(offsetof(struct ivshmem_superblock, blocks_offset) == 32, "format");
static_assert(offsetof(struct ivshmem_superblock, blocks) == 40, "format");
static_assert(offsetof(struct ivshmem_superblock, ring_units) == 44, "format");
static_assert(offsetof(struct ivshmem_superblock, uuid) == 48, "format");
static_assert(offsetof(struct ivshmem_superblock, label) == 64, "format");
static_assert(offsetof(struct ivshmem_superblock, crc) == 128, "format");
static_assert(offsetof(struct ivshmem_slot, name) == 8, "format");
static_assert(offsetof(struct ivshmem_slot, ends) == 128, "format");
static_assert(offsetof(struct ivshmem_slot, hints) == 512, "format");
static_assert(offsetof(struct ivshmem_slot, mail) == 896, "format");
static_assert(offsetof(struct ivshmem_slot, facts) == 960, "format");
static_assert(sizeof(struct ivshmem_slot) == 1024, "format");
static_assert(offsetof(struct ivshmem_mail, message) == 8, "format");
static_assert(offsetof(struct ivshmem_mail, taken) == 24, "format");
static_assert(sizeof(struct ivshmem_mail) == 32, "format");
static_assert(offsetof(struct ivshmem_slot_end, epoch) == 0, "format");
static_assert(offsetof(struct ivshmem_slot_end, receiver) == 4, "format");
static_assert(offsetof(struct ivshmem_slot_end, sender) == 8, "format");
static_assert(offsetof(struct ivshmem_slot_end, seen) == 12, "format");
static_assert(offsetof(struct ivshmem_slot_end, ready) == 16, "format");
static_assert(offsetof(struct ivshmem_slot_end, closed) == 20, "format");
static_assert(offsetof(struct ivshmem_slot_end, receiver_bell) == 24, "format");
static_assert(offsetof(struct ivshmem_slot_end, sender_bell) == 28, "format");
static_assert(offsetof(struct ivshmem_slot_end, purpose) == 32, "format");
static_assert(offsetof(struct ivshmem_slot_end, lost) == 40, "format");
static_assert(offsetof(struct ivshmem_slot_end, pid) == 64, "format");
static_assert(offsetof(struct ivshmem_slot_end, wake) == 68, "format");
static_assert(offsetof(struct ivshmem_slot_end, peer_id) == 72, "format");
static_assert(offsetof(struct ivshmem_slot_end, vector) == 76, "format");
static_assert(offsetof(struct ivshmem_slot_end, boot_id) == 80, "format");
static_assert(offsetof(struct ivshmem_slot_end, lock_device) == 96, "format");
static_assert(offsetof(struct ivshmem_slot_end, lock_inode) == 104, "format");
static_assert(offsetof(struct ivshmem_slot_end, processor) == 112, "format");
static_assert(offsetof(struct ivshmem_slot_end, set) == 116, "format");
static_assert(offsetof(struct ivshmem_slot_end, set_generation) == 120, "format");
static_assert(offsetof(struct ivshmem_slot_end, ticket) == 124, "format");
static_assert(offsetof(struct ivshmem_slot_end, consumed) == 128, "format");
static_assert(offsetof(struct ivshmem_slot_end, received) == 192, "format");
static_assert(offsetof(struct ivshmem_slot_end, sent) == 256, "format");
static_assert(offsetof(struct ivshmem_slot_end, begun) == 264, "format");
static_assert(offsetof(struct ivshmem_slot_end, progress) == 272, "format");
static_assert(offsetof(struct ivshmem_slot_end, wakeups) == 320, "format");
static_assert(offsetof(struct ivshmem_slot_end, missed) == 328, "format");
static_assert(offsetof(struct ivshmem_slot_end, turned) == 336, "format");
static_assert(sizeof(struct ivshmem_slot_end) == 384, "format");

/*
 * A record of a ring starts at a multiple of 64 bytes, which positions and sizes
 * keep, with eight bytes, its header: the length of the message in the low half, and
 * in the high half the number of the message, counted from 1 in each session, with
 * the top bit set. The message follows. No record crosses the ring's end: a header with
 * the next number and the length RECORD_ELSEWHERE says that this record is at the ring's
 * start.
 *
 * RECORD_GROWING in the length says that the message may still be written: the sender's
 * progress tells how much of it is there.
 *
 * A receiver knows which number comes next, so the header is also the sign that
 * the record is there. Whatever else may lie in its place must not look like it:
 * before a sender writes a header, the eight bytes where the next header will be hold
 * a header of an earlier number, or zero.
 */
#define RECORD_ALIGN	64
#define RECORD_HEADER	8
#define RECORD_MARK	0x80000000u
#define RECORD_ELSEWHERE UINT32_MAX
#define RECORD_GROWING	0x80000000u
#define MAIL_COUNT_SHIFT 8
#define MAX_REST	(1u << 29)	/* messages, before the ring has to move on */

/*
 * Where an end's sent and received start from: another number in each session, so that what
 * the region held in an earlier one never looks like this one's.
 */
static inline uint64_t ivshmem_session_start(uint32_t own_epoch, uint32_t other_epoch)
{
	return (uint64_t)((own_epoch & ~3u) * 0x9e3779b1u + (other_epoch & ~3u) + 1) << 32;
}

/* superblock.c */
int ivshmem_superblock_read(struct ivshmem *shm, struct ivshmem_superblock *superblock);
bool ivshmem_is_name(const char *name, size_t size);

/* Of a superblock that ivshmem_superblock_read() has checked. */
static inline uint64_t ivshmem_slot_offset(unsigned int slot)
{
	return SLOTS_OFFSET + (uint64_t)slot * sizeof(struct ivshmem_slot);
}

/* Behind the slots and the block map. */
static inline uint64_t ivshmem_directory_end(const struct ivshmem_superblock *superblock)
{
	return ivshmem_slot_offset(superblock->slots) +
	       (uint64_t)superblock->blocks * sizeof(uint64_t);
}

/**
 * struct ivshmem_directory - A region's slots and block map, mapped.
 * @shm: The region.
 * @superblock: As it was when the directory was opened, checked.
 * @window: Where they are mapped.
 * @slots: The slots.
 * @blocks: The block map: a word for each block, with the generation of the slot that has
 *	it in the high half, and in the low half that slot's index + 1. Of another
 *	generation than the slot's, or in a free slot, it says nothing: the block is free.
 */
struct ivshmem_directory {
	struct ivshmem *shm;
	struct ivshmem_superblock superblock;
	struct ivshmem_window window;
	struct ivshmem_slot *slots;
	uint64_t *blocks;
};

/**
 * struct ivshmem_object - An object of a directory: it is another one when the slot has
 * another generation.
 * @slot: Its slot.
 * @generation: Of the slot.
 */
struct ivshmem_object {
	unsigned int slot;
	uint32_t generation;
};

/**
 * struct ivshmem_spec - What an object is to be.
 * @kind: Its kind.
 * @kept: It stays when nobody uses it.
 * @must_be_new: If there is one of that name, it is another one.
 * @size: Bytes of the blocks that it needs, beside its slot.
 * @facts: From FACT_CREATOR_RING on, as its kind says.
 */
struct ivshmem_spec {
	enum ivshmem_kind kind;
	bool kept;
	bool must_be_new;
	uint64_t size;
	uint32_t facts[FACTS - FACT_CREATOR_RING];
};

/**
 * struct ivshmem_extent - Where an object's blocks lie: within the region's blocks.
 * @offset: In the region.
 * @size: In bytes; may be 0.
 */
struct ivshmem_extent {
	uint64_t offset;
	uint64_t size;
};

/* directory.c */
int ivshmem_directory_open(struct ivshmem_directory *directory, struct ivshmem *shm);
int ivshmem_directory_has_layout(const struct ivshmem_directory *directory);
int ivshmem_directory_is_current(const struct ivshmem_directory *directory);
void ivshmem_directory_close(struct ivshmem_directory *directory);
int ivshmem_object_find(const struct ivshmem_directory *directory, const char *name,
			enum ivshmem_kind kind, struct ivshmem_object *object);
int ivshmem_object_claim(const struct ivshmem_directory *directory, const char *name,
			 const struct ivshmem_spec *spec, struct ivshmem_object *object);
int ivshmem_object_keep(const struct ivshmem_directory *directory,
			const struct ivshmem_object *object);
int ivshmem_object_stays(const struct ivshmem_directory *directory,
			 const struct ivshmem_object *object);
bool ivshmem_slot_has_object(const struct ivshmem_directory *directory,
			     const struct ivshmem_object *object);
int ivshmem_object_fact(const struct ivshmem_directory *directory,
			const struct ivshmem_object *object, enum slot_fact fact,
			uint32_t *value);
int ivshmem_object_extent(const struct ivshmem_directory *directory,
			  const struct ivshmem_object *object, struct ivshmem_extent *extent);
int ivshmem_object_remove(const struct ivshmem_directory *directory, const char *name,
			  bool force);
void ivshmem_object_evict(const struct ivshmem_directory *directory,
			  const struct ivshmem_object *object);
void ivshmem_object_drop(const struct ivshmem_directory *directory,
			 const struct ivshmem_object *object);

/* Which object the slot has, if any. */
static inline struct ivshmem_object ivshmem_object_at(const struct ivshmem_directory *directory,
						      unsigned int slot)
{
	uint64_t key = __atomic_load_n(&directory->slots[slot].key, __ATOMIC_ACQUIRE);

	return (struct ivshmem_object) { .slot = slot, .generation = (uint32_t)(key >> 32) };
}

/* Without a fence: for who looks before each use, and is told a moment later, too. */
static inline bool ivshmem_object_seems_there(const struct ivshmem_directory *directory,
					      const struct ivshmem_object *object)
{
	uint64_t key = __atomic_load_n(&directory->slots[object->slot].key, __ATOMIC_RELAXED);

	return key >> 32 == object->generation && (key & 3) >= SLOT_NAMED;
}

/* snapshot.c */
void ivshmem_layout_directory(const struct ivshmem_layout *layout,
			      struct ivshmem_directory *directory, struct ivshmem *shm);

/* objects.c */
int ivshmem_object_check(const struct ivshmem *shm, const char *name, bool writes);
int ivshmem_make_object(struct ivshmem *shm, const char *name, const struct ivshmem_spec *spec);
void ivshmem_spec_channel(struct ivshmem_spec *spec, const struct ivshmem_superblock *superblock,
			  uint64_t creator_ring, uint64_t connector_ring);
void ivshmem_spec_service(struct ivshmem_spec *spec, const struct ivshmem_superblock *superblock,
			  uint64_t client_ring, uint64_t server_ring);
typedef void (*ivshmem_specify_fn)(struct ivshmem_spec *spec,
				   const struct ivshmem_superblock *superblock,
				   uint64_t creator_ring, uint64_t connector_ring);
int ivshmem_make_with_rings(struct ivshmem *shm, const char *name, ivshmem_specify_fn specify,
			    uint64_t creator_ring, uint64_t connector_ring);

/* end.c: one end of an object, which a program can have */
bool ivshmem_end_tell_purpose(struct ivshmem_slot_end *own, uint32_t epoch, uint32_t generation);
bool ivshmem_end_is_for(const struct ivshmem_slot_end *end, uint32_t epoch, uint32_t generation);
int ivshmem_end_check(const struct ivshmem_directory *directory,
		      const struct ivshmem_object *object, unsigned int side, uint32_t epoch);
void ivshmem_end_evict(struct ivshmem_slot_end *end, uint32_t generation);

/* liveness.c */
bool ivshmem_end_is_local(const struct ivshmem_slot_end *end, const struct ivshmem *shm);
uint64_t ivshmem_end_byte(unsigned int slot, unsigned int side);
int ivshmem_byte_lock(const struct ivshmem *shm, uint64_t byte);
void ivshmem_byte_unlock(const struct ivshmem *shm, uint64_t byte);
int ivshmem_end_lives(const struct ivshmem_slot_end *end, uint64_t byte,
		      const struct ivshmem *shm);
enum ivshmem_end_state ivshmem_end_state_by(const struct ivshmem_slot_end *end, uint64_t byte,
					    const struct ivshmem *shm);
int ivshmem_end_lock(const struct ivshmem *shm, unsigned int slot, unsigned int side);
void ivshmem_end_unlock(const struct ivshmem *shm, unsigned int slot, unsigned int side);
void ivshmem_end_tell_whereabouts(struct ivshmem_slot_end *own, const struct ivshmem *shm);
bool ivshmem_end_lock_is_here(const struct ivshmem_slot_end *end, const struct ivshmem *shm);
int ivshmem_end_is_alive(const struct ivshmem_slot_end *end, unsigned int slot,
			 unsigned int side, const struct ivshmem *shm);
enum ivshmem_end_state ivshmem_end_state_of(const struct ivshmem_slot *slots, unsigned int slot,
					    unsigned int side, const struct ivshmem *shm);
bool ivshmem_slot_is_locked(const struct ivshmem *shm, unsigned int slot);
uint64_t ivshmem_slot_byte(unsigned int slot);

#endif /* FORMAT_H */
