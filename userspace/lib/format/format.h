/* SPDX-License-Identifier: MIT */
/*
 * What a formatted region holds; ivshmem-format(5) specifies it. All numbers are
 * little-endian, all offsets count from the start of the region.
 *
 *	superblock			4096 bytes
 *	slots				1024 bytes for each channel
 *	(up to rings_offset: nothing)
 *	rings				two of ring_size for each channel: first the
 *					one that its creator writes, then the other
 */
#ifndef FORMAT_H
#define FORMAT_H

#include <assert.h>
#include <stddef.h>

#include <ivshmem/format.h>

#include "region/region.h"

#define IVSHMEM_MAGIC		0x4c4e4843534d5649ull	/* "IVMSCHNL" */
#define IVSHMEM_FORMAT_VERSION	1

#define SUPERBLOCK_SIZE		4096
#define SLOTS_OFFSET		SUPERBLOCK_SIZE
#define RING_UNIT		4096			/* rings are multiples of it */
#define MAX_RING_SIZE		(4ull << 30)
#define NAME_WORDS		14

/**
 * struct ivshmem_superblock - Written by ivshmem_format(), and never changed.
 * @magic: IVSHMEM_MAGIC, written last.
 * @version: IVSHMEM_FORMAT_VERSION.
 * @channels: Number of slots.
 * @region_size: Size of the region.
 * @rings_offset: Where the first ring starts.
 * @ring_size: Size of each ring, a multiple of 4096.
 * @uuid: RFC 4122, version 4, in the order of its text.
 * @label: Padded with zeroes, the last of them closes it.
 * @crc: CRC-32 (IEEE 802.3) of everything before.
 */
struct ivshmem_superblock {
	uint64_t magic;
	uint32_t version;
	uint32_t channels;
	uint64_t region_size;
	uint64_t rings_offset;
	uint64_t ring_size;
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
};

/* The low two bits of a waiting word; the rest counts the waits. */
enum waiting_state {
	WAITING_AWAKE,
	WAITING_DROWSY,
	WAITING_ASLEEP,
};

/* How an end can be woken, and can wake. */
#define WAKE_CAN_RING	(1u << 0)	/* it can ring others */
#define WAKE_RINGABLE	(1u << 1)	/* others can ring it, by peer_id and vector */
#define WAKE_FUTEX	(1u << 2)	/* futexes work in its mapping */
#define WAKE_LOCKED	(1u << 3)	/* it holds the lock of this end on the region's file */

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
 * @purpose: Which channel it is there for: in the low half a hash of the name, in the
 *           high half the epoch that said so, with a state of 0.
 * @pid: Its process, for display.
 * @wake: Of the WAKE_ flags.
 * @peer_id: See WAKE_RINGABLE.
 * @vector: See WAKE_RINGABLE.
 * @boot_id: The kernel under which it runs, /proc/sys/kernel/random/boot_id.
 * @lock_device: Of the file that its lock is on: st_dev of stat(2).
 * @lock_inode: The same: st_ino.
 * @processor: Where it waited last, counted from 1; 0: unknown.
 * @consumed: Bytes that it has taken from the other's ring.
 * @received: What it has taken: ivshmem_session_start(), and 1 for each message. It looks
 *            whether that is still there: else the region went back in time.
 * @sent: The same of what it has sent.
 * @begun: Changes with what is written and not sent yet: it looks at that, too.
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
	uint8_t reserved_116[12];
	uint64_t consumed;
	uint8_t reserved_136[56];
	uint64_t received;
	uint8_t reserved_200[56];
	uint64_t sent;
	uint64_t begun;
	uint8_t reserved_272[112];
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
 * struct ivshmem_slot - A channel.
 * @key: Its state in the low two bits, then 30 bits of the hash of its name, then 32
 *       bits of a generation, which each change makes another one; but that a named
 *       slot keeps the generation of its claim.
 * @name: Four bytes in the low half of each word, padded with zeroes; in the high
 *        half the generation of the key that they belong to.
 * @ends: The creator's, then the connector's.
 * @mail: The creator's, then the connector's.
 */
struct ivshmem_slot {
	uint64_t key;
	uint64_t name[NAME_WORDS];
	uint8_t reserved_120[8];
	struct ivshmem_slot_end ends[2];
	struct ivshmem_mail mail[2];
	uint8_t reserved_960[64];
};

static_assert(offsetof(struct ivshmem_superblock, version) == 8, "format");
static_assert(offsetof(struct ivshmem_superblock, channels) == 12, "format");
static_assert(offsetof(struct ivshmem_superblock, region_size) == 16, "format");
static_assert(offsetof(struct ivshmem_superblock, rings_offset) == 24, "format");
static_assert(offsetof(struct ivshmem_superblock, ring_size) == 32, "format");
static_assert(offsetof(struct ivshmem_superblock, uuid) == 40, "format");
static_assert(offsetof(struct ivshmem_superblock, label) == 56, "format");
static_assert(offsetof(struct ivshmem_superblock, crc) == 120, "format");
static_assert(offsetof(struct ivshmem_slot, name) == 8, "format");
static_assert(offsetof(struct ivshmem_slot, ends) == 128, "format");
static_assert(offsetof(struct ivshmem_slot, mail) == 896, "format");
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
static_assert(offsetof(struct ivshmem_slot_end, consumed) == 128, "format");
static_assert(offsetof(struct ivshmem_slot_end, received) == 192, "format");
static_assert(offsetof(struct ivshmem_slot_end, sent) == 256, "format");
static_assert(offsetof(struct ivshmem_slot_end, begun) == 264, "format");
static_assert(sizeof(struct ivshmem_slot_end) == 384, "format");

/*
 * A record of a ring starts at a multiple of 64 bytes, which positions and sizes
 * keep, with eight bytes, its header: the length of the message in the low half, and
 * in the high half the number of the message, counted from 1 in each session, with
 * the top bit set. The message follows. A ring goes on at its start where it ends,
 * also within a record.
 *
 * A receiver knows which number comes next, so the header is also the sign that
 * the record is there. Whatever else may lie in its place must not look like it:
 * before a sender writes a header, the eight bytes where the next header will be hold
 * a header of an earlier number, or zero.
 */
#define RECORD_ALIGN	64
#define RECORD_HEADER	8
#define RECORD_MARK	0x80000000u
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

static inline uint64_t ivshmem_ring_offset(const struct ivshmem_superblock *superblock,
					   unsigned int slot, unsigned int writer)
{
	return superblock->rings_offset + (2ull * slot + writer) * superblock->ring_size;
}

/* liveness.c */
bool ivshmem_end_is_local(const struct ivshmem_slot_end *end, const struct ivshmem *shm);
uint64_t ivshmem_end_byte(unsigned int slot, unsigned int side);
int ivshmem_end_lock(const struct ivshmem *shm, unsigned int slot, unsigned int side);
void ivshmem_end_unlock(const struct ivshmem *shm, unsigned int slot, unsigned int side);
void ivshmem_end_tell_whereabouts(struct ivshmem_slot_end *own, const struct ivshmem *shm);
bool ivshmem_end_lock_is_here(const struct ivshmem_slot_end *end, const struct ivshmem *shm);
int ivshmem_end_is_alive(const struct ivshmem_slot_end *end, unsigned int slot,
			 unsigned int side, const struct ivshmem *shm);
enum ivshmem_end_state ivshmem_end_state_of(const struct ivshmem_slot *slots, unsigned int slot,
					    unsigned int side, const struct ivshmem *shm);

/* directory.c */
uint32_t ivshmem_name_hash(const char *name);
bool ivshmem_end_tell_purpose(struct ivshmem_slot_end *own, uint32_t epoch, uint32_t name_hash);
bool ivshmem_end_is_for(const struct ivshmem_slot_end *end, uint32_t epoch, uint32_t name_hash);
int ivshmem_end_check(const struct ivshmem_slot *slots, unsigned int slot, unsigned int side,
		      uint32_t epoch, const char *name, const struct ivshmem *shm);
bool ivshmem_slot_is_named(const struct ivshmem_slot *slot, const char *name);
bool ivshmem_slot_name(const struct ivshmem_slot *slot, char name[IVSHMEM_CHANNEL_NAME_SIZE]);
int ivshmem_slot_find(const struct ivshmem_slot *slots, unsigned int count, const char *name);
int ivshmem_slot_claim(struct ivshmem_slot *slots, unsigned int count, const char *name,
		       const struct ivshmem *shm);
int ivshmem_slot_keep(struct ivshmem_slot *slots, unsigned int count, unsigned int slot,
		      const char *name);

#endif /* FORMAT_H */
