// SPDX-License-Identifier: MIT
/*
 * A second implementation of ivshmem-format(5), written from that page alone: it
 * shares no line with the library.
 *
 *	by_the_page FILE show			print what the superblock says
 *	by_the_page FILE create|connect NAME send	send the lines of stdin
 *	by_the_page FILE create|connect NAME recv	print messages as lines
 *
 * It looks at memory again and again and wakes nobody, as the page allows.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned char *region;
static uint64_t region_size;

static void die(const char *why)
{
	fprintf(stderr, "by_the_page: %s\n", why);
	exit(1);
}

static uint32_t get32(uint64_t at)
{
	return __atomic_load_n((uint32_t *)(region + at), __ATOMIC_ACQUIRE);
}

static void put32(uint64_t at, uint32_t value)
{
	__atomic_store_n((uint32_t *)(region + at), value, __ATOMIC_RELEASE);
}

static uint64_t get64(uint64_t at)
{
	return __atomic_load_n((uint64_t *)(region + at), __ATOMIC_ACQUIRE);
}

static void put64(uint64_t at, uint64_t value)
{
	__atomic_store_n((uint64_t *)(region + at), value, __ATOMIC_RELEASE);
}

/* --- superblock --- */

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
	struct stat st;
	int fd = open(path, O_RDWR);

	if (fd < 0 || fstat(fd, &st) < 0)
		die("no such region");
	region_size = st.st_size;
	region = mmap(NULL, region_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (region == MAP_FAILED)
		die("it can't be mapped");
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

static void show(void)
{
	printf("%s ", region + 56);
	for (int i = 0; i < 16; i++)
		printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", region[40 + i]);
	printf(" %u %llu\n", channels, (unsigned long long)ring_size);
}

/* --- taking an end --- */

static uint64_t slot, own, other, own_mail, other_mail, own_ring, other_ring;
static uint32_t own_epoch, other_epoch;

static uint64_t key_of(const char *name)
{
	uint64_t key = 0xcbf29ce484222325;

	while (*name)
		key = (key ^ (unsigned char)*name++) * 0x100000001b3;
	return key ? key : 1;
}

static bool find_slot(const char *name)
{
	for (uint32_t i = 0; i < channels; i++) {
		slot = 4096 + 1024 * i;
		if (get64(slot) == key_of(name) && !strcmp((char *)region + slot + 8, name))
			return true;
	}
	return false;
}

/* The tests leave slots that were never used. */
static void make_slot(const char *name)
{
	uint64_t never = 0;
	uint32_t i;

	for (i = 0; i < channels; i++) {
		slot = 4096 + 1024 * i;
		if (__atomic_compare_exchange_n((uint64_t *)(region + slot), &never, key_of(name),
						false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
			strcpy((char *)region + slot + 8, name);
			return;
		}
		never = 0;
	}
	die("no slot");
}

static void take_end(const char *name, bool create)
{
	uint32_t epoch, index;

	while (!find_slot(name)) {
		if (create)
			make_slot(name);
		else
			usleep(1000);
	}
	index = (slot - 4096) / 1024;
	own = slot + (create ? 128 : 512);
	other = slot + (create ? 512 : 128);
	own_mail = slot + (create ? 896 : 928);
	other_mail = slot + (create ? 928 : 896);
	own_ring = rings_offset + (2ull * index + !create) * ring_size;
	other_ring = rings_offset + (2ull * index + create) * ring_size;

	epoch = get32(own);
	if (epoch % 4 == 1 || epoch % 4 == 2)
		die("the end is taken");
	own_epoch = epoch ? epoch : (uint32_t)getpid() * 2654435761u;
	own_epoch = own_epoch - own_epoch % 4 + 4 + 1;
	if (!__atomic_compare_exchange_n((uint32_t *)(region + own), &epoch, own_epoch, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		die("somebody was faster");
	for (int field = 4; field <= 16; field += 4)
		put32(own + field, 0);
	put32(own + 64, getpid());
	put32(own + 68, 0);
	memset(region + own + 80, 0, 16);
	put64(own + 256, 0);
	own_epoch++;
	put32(own, own_epoch);
}

/* --- session --- */

static uint64_t sent, sent_messages, received, received_messages, mail_taken;

static void begin_session(void)
{
	uint32_t reset_for = 0, epoch;

	for (;; usleep(100)) {
		epoch = get32(other);
		if (reset_for && epoch != reset_for && get32(other + 20) == reset_for)
			break;
		if (epoch % 4 != 2)
			continue;
		put32(own + 12, epoch);
		if (get32(other + 12) != own_epoch)
			continue;
		if (reset_for != epoch) {
			put64(own_ring, 0);
			put64(own_mail, 0);
			put32(own_mail + 24, 0);
			put64(own + 128, 0);
			put32(own + 16, epoch);
			reset_for = epoch;
		}
		if (get32(other + 16) == own_epoch && get32(other) == epoch)
			break;
	}
	other_epoch = reset_for;
}

static bool session_is_over(void)
{
	return get32(other) != other_epoch;
}

static void close_end(void)
{
	put32(own + 20, own_epoch);
	put32(own, own_epoch + 1);
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
}

static void print_message(uint64_t length)
{
	for (uint64_t i = 0; i < length; i++)
		putchar(region[other_ring + (received + 8 + i) % ring_size]);
	putchar('\n');
	received += record_size(length);
	put64(own + 128, received);
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
	take_end(argv[3], !strcmp(argv[2], "create"));
	begin_session();
	if (!strcmp(argv[4], "send"))
		send_lines();
	else
		receive_all();
	close_end();
	return 0;
}
