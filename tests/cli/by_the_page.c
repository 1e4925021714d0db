// SPDX-License-Identifier: MIT
/*
 * A second implementation of ivshmem-format(5), written from that page alone: it
 * shares no line with the library.
 *
 *	by_the_page FILE show			print what the superblock says
 *	by_the_page FILE create|connect NAME send	send the lines of stdin
 *	by_the_page FILE create|connect NAME recv	print messages as lines
 *
 * It waits by looking at memory again and again, as the page allows, and wakes by futex.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned char *region;
static uint64_t region_size;
static int region_fd;
static struct stat file;
static unsigned char boot_id[16];

static void die(const char *why)
{
	fprintf(stderr, "by_the_page: %s\n", why);
	exit(1);
}

static uint32_t get32(uint64_t at)
{
	return __atomic_load_n((uint32_t *)(region + at), __ATOMIC_SEQ_CST);
}

static void put32(uint64_t at, uint32_t value)
{
	__atomic_store_n((uint32_t *)(region + at), value, __ATOMIC_RELEASE);
}

static uint64_t get64(uint64_t at)
{
	return __atomic_load_n((uint64_t *)(region + at), __ATOMIC_SEQ_CST);
}

static void put64(uint64_t at, uint64_t value)
{
	__atomic_store_n((uint64_t *)(region + at), value, __ATOMIC_RELEASE);
}

/* What the tests let happen at step STEP of those that decide something. */
static void meanwhile(void)
{
	static int steps;
	const char *command = getenv("MEANWHILE");
	char step[16];

	if (!command)
		return;
	snprintf(step, sizeof(step), "%d", ++steps);
	setenv("STEP", step, 1);
	if (system(command))
		die("what is done in between failed");
}

static bool cas32(uint64_t at, uint32_t old, uint32_t value)
{
	meanwhile();
	return __atomic_compare_exchange_n((uint32_t *)(region + at), &old, value, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static bool cas64(uint64_t at, uint64_t old, uint64_t value)
{
	meanwhile();
	return __atomic_compare_exchange_n((uint64_t *)(region + at), &old, value, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* --- superblock --- */

static unsigned char superblock[128];
static uint32_t channels;
static uint64_t rings_offset, ring_size;

static uint32_t crc32_of(const unsigned char *bytes, size_t count)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < 8 * count; i++) {
		if (i % 8 == 0)
			crc ^= bytes[i / 8];
		crc = crc & 1 ? (crc >> 1) ^ 0xedb88320 : crc >> 1;
	}
	return crc ^ 0xffffffff;
}

static void open_region(const char *path)
{
	region_fd = open(path, O_RDWR);
	if (region_fd < 0 || fstat(region_fd, &file) < 0)
		die("no such region");
	region_size = file.st_size;
	region = mmap(NULL, region_size, PROT_READ | PROT_WRITE, MAP_SHARED, region_fd, 0);
	if (region == MAP_FAILED)
		die("it can't be mapped");
	memcpy(superblock, region, sizeof(superblock));
	if (memcmp(region, "IVMSCHNL", 8))
		die("raw");
	if (get32(8) != 1)
		die("newer");
	channels = get32(12);
	rings_offset = get64(24);
	ring_size = get64(32);
	if (get32(120) != crc32_of(region, 120) || get64(16) != region_size ||
	    rings_offset + 2 * channels * ring_size > region_size)
		die("damaged");
}

static void read_boot_id(void)
{
	FILE *stream = fopen("/proc/sys/kernel/random/boot_id", "r");

	for (int i = 0; stream && i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			getc(stream);
		if (fscanf(stream, "%2hhx", &boot_id[i]) != 1)
			die("no boot ID");
	}
	if (!stream || fclose(stream))
		die("no boot ID");
}

static void show(void)
{
	printf("%s ", region + 56);
	for (int i = 0; i < 16; i++)
		printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", region[40 + i]);
	printf(" %u %llu\n", channels, (unsigned long long)ring_size);
}

/* --- names --- */

enum { FREE, CLAIMED, NAMED };
enum { FUTEX = 4, LOCKED = 8 };

static uint32_t hash_of(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325;

	while (*name)
		hash = (hash ^ (unsigned char)*name++) * 0x100000001b3;
	return (uint32_t)hash ^ (uint32_t)(hash >> 32);
}

static uint64_t make_key(unsigned int state, uint32_t hash, uint32_t generation)
{
	return (uint64_t)generation << 32 | (hash & ~3u) | state;
}

static uint32_t generation_of(uint64_t key_or_word)
{
	return key_or_word >> 32;
}

static unsigned int state_of(uint64_t key)
{
	return key % 4 > NAMED ? NAMED : key % 4;
}

static bool same_hash(uint64_t key, uint32_t hash)
{
	return ((uint32_t)key & ~3u) == (hash & ~3u);
}

static uint64_t slot_at(uint32_t index)
{
	return 4096 + 1024ull * index;
}

static bool is_name(const char *text)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+";

	return *text && *text != '.' && strlen(text) < 56 &&
	       text[strspn(text, allowed)] == 0;
}

/* The name that goes with the key. */
static bool read_name(uint64_t at, uint64_t key, char name[57])
{
	for (int i = 0; i < 14; i++) {
		uint64_t word = get64(at + 8 + 8 * i);

		if (generation_of(word) != generation_of(key))
			return false;
		memcpy(name + 4 * i, &word, 4);
	}
	name[56] = 0;
	return state_of(key) == NAMED && is_name(name);
}

static bool has_name(uint64_t at, uint64_t key, const char *name)
{
	char there[57];

	return same_hash(key, hash_of(name)) && read_name(at, key, there) && !strcmp(there, name);
}

static bool find_slot(const char *name, uint64_t *at)
{
	for (uint32_t i = 0; i < channels; i++) {
		*at = slot_at(i);
		if (has_name(*at, get64(*at), name))
			return true;
	}
	return false;
}

/* --- life --- */

static struct flock lock_of(uint64_t end)
{
	uint64_t at = end / 1024 * 1024;

	return (struct flock){
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = at + (end != at + 128),
		.l_len = 1,
	};
}

static bool is_locked(uint64_t end)
{
	struct flock lock = lock_of(end);

	return fcntl(region_fd, F_OFD_GETLK, &lock) || lock.l_type != F_UNLCK;
}

static bool is_dead(uint64_t end)
{
	uint32_t epoch = get32(end);
	bool tells = get32(end + 68) & LOCKED && !memcmp(region + end + 80, boot_id, 16) &&
		     get64(end + 96) == file.st_dev && get64(end + 104) == file.st_ino;

	return (tells || epoch % 4 == 1) && !is_locked(end) && get32(end) == epoch;
}

static uint64_t purpose_for(uint32_t hash, uint32_t epoch)
{
	return (uint64_t)(epoch & ~3u) << 32 | hash;
}

static bool counts(uint64_t end, uint64_t key)
{
	uint32_t epoch = get32(end);
	uint64_t purpose = get64(end + 32);

	if (epoch % 4 != 2 || is_dead(end))
		return false;
	return state_of(key) != NAMED ||
	       (purpose >> 32 == (epoch & ~3u) && same_hash(key, (uint32_t)purpose));
}

static bool is_used(uint64_t at, uint64_t key)
{
	return counts(at + 128, key) || counts(at + 512, key);
}

/* --- claiming a slot --- */

/* True where the region is full now, and was the same at the last look. */
static bool is_full(void)
{
	static uint64_t last;
	uint64_t look = 1;
	bool settled = true;

	for (uint32_t i = 0; i < channels; i++) {
		uint64_t at = slot_at(i), key = get64(at);
		uint64_t seen[] = { key, get32(at + 128), get32(at + 512) };

		for (int j = 0; j < 3; j++)
			look = (look ^ seen[j]) * 0x9e3779b97f4a7c15;
		settled = settled && (state_of(key) == NAMED || !is_used(at, key));
	}
	settled = settled && look == last;
	last = look;
	return settled;
}

static bool choose_slot(uint64_t *at, uint64_t *key)
{
	static const unsigned int order[] = { FREE, NAMED, CLAIMED };

	for (uint32_t i = 0; i < 3 * channels; i++) {
		*at = slot_at(i % channels);
		*key = get64(*at);
		if (state_of(*key) == order[i / channels] && !is_used(*at, *key))
			return true;
	}
	return false;
}

static bool free_slot(uint64_t at, uint64_t claim)
{
	return cas64(at, claim, make_key(FREE, 0, generation_of(claim) + 1));
}

static bool is_rival(uint64_t key, const char *name)
{
	return state_of(key) == CLAIMED && same_hash(key, hash_of(name));
}

/* From the fourth step of "To claim a slot" on. */
static void name_slot(uint64_t at, uint64_t claim, const char *name)
{
	uint32_t generation = generation_of(claim);
	char padded[56] = "";

	memcpy(padded, name, strlen(name));
	for (uint32_t i = 0; i < channels; i++) {
		uint64_t rival = slot_at(i), key = get64(rival);

		if (rival == at)
			continue;
		if (has_name(rival, key, name) || (is_rival(key, name) && !free_slot(rival, key))) {
			free_slot(at, claim);
			return;
		}
	}
	for (int i = 0; i < 14; i++) {
		uint64_t old, word = 0;

		memcpy(&word, padded + 4 * i, 4);
		word |= (uint64_t)generation << 32;
		do {
			old = get64(at + 8 + 8 * i);
			if ((int32_t)(generation - generation_of(old)) <= 0 && get64(at) != claim)
				return;
		} while (!cas64(at + 8 + 8 * i, old, word));
	}
	cas64(at, claim, claim - CLAIMED + NAMED);
}

/* One try: whether the name is there now shows when it is looked for. */
static void claim_slot(const char *name)
{
	uint64_t at, key, claim;
	char was[57];
	bool named;

	if (!choose_slot(&at, &key)) {
		if (is_full())
			die("the region is full");
		return;
	}
	named = read_name(at, key, was);
	if (is_used(at, key))
		return;
	claim = make_key(CLAIMED, hash_of(name), generation_of(key) + 1);
	if (!cas64(at, key, claim))
		return;
	if (!is_used(at, key)) {
		name_slot(at, claim, name);
	} else if (named) {
		key = make_key(CLAIMED, hash_of(was), generation_of(claim) + 1);
		if (cas64(at, claim, key))
			name_slot(at, key, was);
	} else {
		free_slot(at, claim);
	}
}

/* --- taking an end --- */

static uint64_t slot, own, other, own_mail, other_mail, own_ring, other_ring;
static uint32_t own_epoch, other_epoch;

static void set_places(bool create)
{
	uint64_t index = (slot - 4096) / 1024;

	own = slot + (create ? 128 : 512);
	other = slot + (create ? 512 : 128);
	own_mail = slot + (create ? 896 : 928);
	other_mail = slot + (create ? 928 : 896);
	own_ring = rings_offset + (2 * index + !create) * ring_size;
	other_ring = rings_offset + (2 * index + create) * ring_size;
}

static void drop_lock(void)
{
	struct flock lock = lock_of(own);

	lock.l_type = F_UNLCK;
	fcntl(region_fd, F_OFD_SETLK, &lock);
}

/* Who closes an end has the lock for a moment longer. */
static bool take_lock(void)
{
	struct flock lock = lock_of(own);

	for (int i = 0; i < 100; i++, usleep(1000))
		if (!fcntl(region_fd, F_OFD_SETLK, &lock))
			return true;
	return false;
}

static void leave_end(void)
{
	cas32(own, own_epoch, own_epoch + 1);
	drop_lock();
}

/* False where the end is lost. */
static bool write_purpose(const char *name)
{
	uint64_t old;

	do {
		old = get64(own + 32);
		if (get32(own) != own_epoch)
			return false;
	} while (!cas64(own + 32, old, purpose_for(hash_of(name), own_epoch)));
	return true;
}

/* False where the end is for another channel now, or changes. */
static bool may_take(uint32_t epoch, uint64_t purpose, const char *name)
{
	if (epoch % 4 == 0 || epoch % 4 == 3 || is_dead(own))
		return true;
	if (epoch % 4 == 1 || !has_name(slot, get64(slot), name))
		return false;
	if (purpose != purpose_for(hash_of(name), epoch))
		return true;
	die("the end is taken");
	return false;
}

static void tell_whereabouts(bool locked)
{
	put32(own + 64, getpid());
	put32(own + 68, locked ? FUTEX | LOCKED : FUTEX);
	memcpy(region + own + 80, boot_id, 16);
	put64(own + 96, file.st_dev);
	put64(own + 104, file.st_ino);
}

static bool attach_end(const char *name, uint32_t epoch, bool locked)
{
	own_epoch = epoch ? epoch : (uint32_t)getpid() * 2654435761u;
	own_epoch = (own_epoch & ~3u) + 4 + 1;
	if (!cas32(own, epoch, own_epoch))
		return false;
	put32(own + 12, 0);
	put32(own + 16, 0);
	put32(own + 4, 0);
	put32(own + 8, 0);
	put64(own + 256, 0);
	if (!write_purpose(name))
		return false;
	tell_whereabouts(locked);
	own_epoch++;
	return cas32(own, own_epoch - 1, own_epoch);
}

/* False where the slot is to be looked for again. */
static bool take_end(const char *name)
{
	uint32_t epoch = get32(own);
	uint64_t purpose = get64(own + 32);
	bool locked;

	if (!may_take(epoch, purpose, name))
		return false;
	locked = take_lock();
	if (!attach_end(name, epoch, locked)) {
		if (locked)
			drop_lock();
		return false;
	}
	if (has_name(slot, get64(slot), name))
		return true;
	leave_end();
	return false;
}

/* False where the slot, or the end, is another's by now. */
static bool keep_slot(const char *name)
{
	uint64_t key = get64(slot), first, claim;

	if (get32(own) != own_epoch)
		return false;
	if (state_of(key) == NAMED)
		return has_name(slot, key, name);
	if (find_slot(name, &first))
		return first == slot;
	claim = make_key(CLAIMED, hash_of(name), generation_of(key) + 1);
	if (cas64(slot, key, claim))
		name_slot(slot, claim, name);
	return true;
}

static void attach(const char *name, bool create)
{
	for (;; usleep(1000)) {
		if (memcmp(region, superblock, sizeof(superblock)))
			die("the region was formatted again");
		if (find_slot(name, &slot)) {
			set_places(create);
			if (take_end(name))
				return;
		} else if (create) {
			claim_slot(name);
		}
	}
}

/* --- session --- */

static uint64_t sent, sent_messages, received, received_messages, mail_taken;

/* False where the end must be taken anew. */
static bool begin_session(const char *name)
{
	uint32_t reset_for = 0, epoch;

	for (;; usleep(100)) {
		if (!keep_slot(name))
			return false;
		epoch = get32(other);
		if (reset_for && epoch != reset_for && get32(other + 20) == reset_for)
			break;
		if (epoch % 4 != 2 || get64(other + 32) != purpose_for(hash_of(name), epoch))
			continue;
		put32(own + 12, epoch);
		if (get32(other + 12) != own_epoch)
			continue;
		if (reset_for != epoch) {
			put64(own_ring, 0);
			put64(own_mail, 0);
			put32(own_mail + 24, 0);
			put64(own + 128, 0);
			reset_for = epoch;
		}
		put32(own + 16, epoch);
		if (get32(other + 16) == own_epoch && get32(other) == epoch)
			break;
	}
	other_epoch = reset_for;
	return true;
}

static bool session_is_over(void)
{
	return get32(other) != other_epoch;
}

enum { RECEIVER = 4, SENDER = 8 };

/* Whoever waits at the other end as a receiver or sender. */
static void wake(int waiting)
{
	static uint32_t handled[SENDER + 1];
	uint64_t bell = own + (waiting == RECEIVER ? 24 : 28);
	uint32_t word = get32(other + waiting);

	if (word % 4 == 1 && word != handled[waiting]) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		word = get32(other + waiting);
	}
	if (word % 4 != 2 || word == handled[waiting] || !(get32(other + 68) & FUTEX))
		return;
	handled[waiting] = word;
	put32(bell, get32(bell) + 1);
	syscall(SYS_futex, region + bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void close_end(void)
{
	put32(own + 20, own_epoch);
	leave_end();
	wake(RECEIVER);
	wake(SENDER);
}

/* --- rings --- */

static uint64_t record_size(uint64_t length)
{
	return (length + 8 + 63) / 64 * 64;
}

/* Byte by byte: a record may go on at the ring's start. */
static void put_bytes(uint64_t position, const char *bytes, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		region[own_ring + (position + i) % ring_size] = bytes[i];
}

static void send_message(const char *message, uint64_t length)
{
	uint64_t record = record_size(length), number = ++sent_messages & 0x7fffffff;

	if (length > ring_size / 2 - 8)
		die("too long");
	while (sent + record - get64(other + 128) > ring_size - 64)
		if (session_is_over())
			die("the other side is gone");
	put_bytes(sent + 8, message, length);
	put64(own_ring + (sent + record) % ring_size, 0);
	put64(own_ring + sent % ring_size, (number | 0x80000000) << 32 | length);
	sent += record;
	put64(own + 256, sent_messages);
	wake(RECEIVER);
}

static void print_message(uint64_t length)
{
	for (uint64_t i = 0; i < length; i++)
		putchar(region[other_ring + (received + 8 + i) % ring_size]);
	putchar('\n');
	received += record_size(length);
	put64(own + 128, received);
	wake(SENDER);
}

/* One message from where it is; false where there is none. */
static bool receive_message(void)
{
	uint64_t wanted = ((received_messages + 1) & 0x7fffffff) | 0x80000000;
	uint64_t header = get64(other_ring + received % ring_size);
	uint64_t mail = get64(other_mail);

	if (header >> 32 == wanted) {
		if ((uint32_t)header > ring_size / 2 - 8)
			die("too long a message");
		print_message((uint32_t)header);
	} else if (mail >> 32 == wanted &&
		   (mail >> 8 & 0xffffff) == ((mail_taken + 1) & 0xffffff)) {
		if ((mail & 0xff) > 16)
			die("too long a mail");
		printf("%.*s\n", (int)(mail & 0xff), region + other_mail + 8);
		put32(own_mail + 24, ++mail_taken);
	} else {
		return false;
	}
	received_messages++;
	return true;
}

static void send_lines(void)
{
	size_t room = 0;
	char *line = NULL;
	ssize_t length;

	while ((length = getline(&line, &room, stdin)) > 0)
		send_message(line, length - (line[length - 1] == '\n'));
	free(line);
}

static void receive_all(void)
{
	while (receive_message() || !session_is_over() || receive_message())
		;
	if (get32(other + 20) != other_epoch)
		die("the other side was lost");
}

int main(int argc, char **argv)
{
	if (argc < 3)
		die("use: FILE show, or FILE create|connect NAME send|recv");
	open_region(argv[1]);
	if (argc < 5) {
		show();
		return 0;
	}
	read_boot_id();
	do
		attach(argv[3], !strcmp(argv[2], "create"));
	while (!begin_session(argv[3]) && (leave_end(), true));
	if (!strcmp(argv[4], "send"))
		send_lines();
	else
		receive_all();
	close_end();
	return 0;
}
