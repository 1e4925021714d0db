// SPDX-License-Identifier: MIT
/*
 * The book: all that a server must know to go on where another process was killed, and
 * that is no descriptor. It lies in a memfd, which the service manager keeps, or which
 * the next process inherits.
 *
 * The process may be killed between any two instructions. What it has stored by then
 * is in the book, in the order of the program: all that needs is that the compiler
 * keeps to it. So each change is one store that makes it true (the state of a record),
 * or one that can be made again. One thing can't: to send a message, which must be
 * told neither twice nor not at all. So the book says which one it is, and the kernel
 * writes beside that, in the call that sends, that it was sent: see struct outbox.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server.h"

#define BOOK_MAGIC	0x3130306b6f6f6276ull	/* "vbook001", the other way round */
#define PAGE		4096ull

static size_t record_size(unsigned int vectors)
{
	size_t size = sizeof(struct record) + vectors * sizeof(uint32_t);

	return (size + 63) / 64 * 64;
}

/* Where the leaves lie, behind the header and the records. */
static size_t leaves_offset(unsigned int slots, unsigned int vectors)
{
	size_t end = PAGE + (size_t)slots * record_size(vectors);

	return (end + PAGE - 1) / PAGE * PAGE;
}

static size_t book_size(unsigned int slots, unsigned int vectors)
{
	return leaves_offset(slots, vectors) + (size_t)slots * LEAVES_SIZE;
}

struct record *book_record(const struct book *book, unsigned int slot)
{
	const struct book_header *header = book->header;

	return (struct record *)((char *)header + PAGE + slot * record_size(header->vectors));
}

uint64_t *book_leaves(const struct book *book, unsigned int slot)
{
	const struct book_header *header = book->header;
	size_t offset = leaves_offset(header->slots, header->vectors);

	return (uint64_t *)((char *)header + offset + (size_t)slot * LEAVES_SIZE);
}

static void mark_used(struct ids *ids, unsigned int slot)
{
	ids->used[slot / 64] |= 1ull << slot % 64;
}

/* Not free for a record: those that have one, and those that there are none of. */
static void find_used(struct book *book)
{
	unsigned int slot;

	memset(&book->used, 0, sizeof(book->used));
	for (slot = 0; slot < book->header->top; slot++)
		if (book_record(book, slot)->state != RECORD_FREE)
			mark_used(&book->used, slot);
	for (slot = book->header->slots; slot < SERVER_IDS_MAX; slot++)
		mark_used(&book->used, slot);
}

static int map(struct book *book, int fd, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*book = (struct book){ .fd = fd, .header = memory, .size = size };
	return 0;
}

/* A new one. */
int book_create(struct book *book, unsigned int slots, unsigned int vectors)
{
	size_t size = book_size(slots, vectors);
	int fd = memfd_create("ivshmem-book", MFD_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = ftruncate(fd, (off_t)size) < 0 ? -errno : map(book, fd, size);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	book->header->slots = slots;
	book->header->vectors = vectors;
	book_order();
	book->header->magic = BOOK_MAGIC;
	find_used(book);
	return 0;
}

static bool is_valid(const struct book_header *header, off_t size)
{
	return header->magic == BOOK_MAGIC && !header->has_ended &&
	       header->vectors >= 1 && header->vectors <= SERVER_VECTORS_MAX &&
	       header->slots >= 1 && header->slots <= SERVER_IDS_MAX &&
	       header->top <= header->slots &&
	       (size_t)size == book_size(header->slots, header->vectors);
}

/*
 * One that another process wrote. Takes over @fd on success only; -EINVAL: there is
 * nothing to go on with, or another version of this program wrote it.
 */
int book_open(struct book *book, int fd)
{
	struct stat st;
	int ret;

	if (fstat(fd, &st) < 0 || st.st_size < (off_t)PAGE)
		return -EINVAL;
	ret = map(book, fd, (size_t)st.st_size);
	if (ret < 0)
		return ret;
	if (!is_valid(book->header, st.st_size)) {
		munmap(book->header, book->size);
		*book = (struct book){ .fd = -1 };
		return -EINVAL;
	}
	find_used(book);
	return 0;
}

void book_close(struct book *book)
{
	if (book->fd < 0)
		return;
	munmap(book->header, book->size);
	close(book->fd);
	*book = (struct book){ .fd = -1 };
}

/* The slot of a new record, never 0, whose state is RECORD_WAITING; -ENOSPC: there is none. */
int book_take(struct book *book, const struct credentials *credentials)
{
	struct record *record;
	int slot;

	book->used.next = 0;
	slot = ids_take(&book->used);
	if (slot < 0)
		return slot;
	if ((unsigned int)slot >= book->header->top)
		book->header->top = slot + 1;
	book_order();
	record = book_record(book, slot);
	memset(record, 0, record_size(book->header->vectors));
	record->credentials = *credentials;
	book_order();
	record->state = RECORD_WAITING;
	return slot;
}

void book_give_back(struct book *book, unsigned int slot)
{
	book_record(book, slot)->state = RECORD_FREE;
	ids_give_back(&book->used, slot);
}

static unsigned int step_of(const struct peer *client, const struct message *message)
{
	switch (message->kind) {
	case NEWS_INTRODUCTION:
		return client->record->introduced;
	case NEWS_VECTOR:
		return message->vector;
	default:
		return 0;
	}
}

/* Before it is sent. */
void book_send(struct book *book, const struct peer *client, const struct message *message)
{
	struct outbox *outbox = &book->header->outbox;

	outbox->wire.msg_len = 0;
	outbox->kind = message->kind;
	outbox->value = message->value;
	outbox->step = step_of(client, message);
	outbox->number = message->peer ? message->peer->record->number : 0;
	book_order();
	outbox->to = client->slot + 1;
	book_order();
}

/* All that follows from it is in the book, or it was not sent. */
void book_sent(struct book *book)
{
	book_order();
	book->header->outbox.to = 0;
	book_order();
}
