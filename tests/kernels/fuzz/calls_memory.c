// SPDX-License-Identifier: MIT
/* Mappings of the region, and what can be done with them. */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define PAGE	4096UL

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif

static int some_mappable(uint32_t arg)
{
	enum resource resource = NODES;

	if ((arg >> 8 & 7) < 2)
		resource = BUFFERS;
	else if ((arg >> 8 & 7) == 2)
		resource = IMPORTS;
	return resource_get(resource, arg);
}

static int some_protection(uint32_t arg)
{
	static const int protection[] = {
		PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ,
		PROT_READ, PROT_WRITE, PROT_NONE, PROT_READ | PROT_EXEC,
	};

	return protection[arg & 7];
}

static int some_sharing(uint32_t arg)
{
	static const int sharing[] = {
		MAP_SHARED, MAP_SHARED, MAP_SHARED | MAP_POPULATE, MAP_SHARED, MAP_SHARED_VALIDATE,
		MAP_PRIVATE, MAP_SHARED | MAP_LOCKED, MAP_SHARED | MAP_NONBLOCK,
	};

	return sharing[arg & 7];
}

static uint64_t room(uint32_t arg)
{
	uint64_t len = number_length(arg);

	return len < MAP_ROOM / 2 ? len : MAP_ROOM / 2;
}

/* Within the room of a map: at its begin, on another page, or anywhere. */
static char *some_place(uint32_t arg)
{
	uint64_t offset = number_offset(arg >> 2) % (MAP_ROOM / 2);

	return map_at(arg) + (arg & 0x80000000 ? offset : offset / PAGE * PAGE);
}

void call_map(struct runner *me, const uint32_t *arg)
{
	mmap(map_at(arg[1]) + (arg[1] >> 8 & 0x30 ? 0 : (arg[1] >> 16) % 512 * PAGE), room(arg[3]),
	     some_protection(arg[0] >> 16), some_sharing(arg[0] >> 20) | MAP_FIXED,
	     some_mappable(arg[0]), number_offset(arg[2]));
}

/* Where the module likes it; a length that the region can't have tells of that, too. */
void call_map_anywhere(struct runner *me, const uint32_t *arg)
{
	uint64_t len = number_length(arg[3]);
	char *hint = arg[1] & 1 ? map_at(arg[1] >> 1) : NULL;
	char *at = mmap(hint, len, some_protection(arg[0] >> 16), some_sharing(arg[0] >> 20),
			some_mappable(arg[0]), number_offset(arg[2]));

	if (at == MAP_FAILED)
		return;
	touch(me, at, arg[1] & 2);
	touch(me, at + len - 1, arg[1] & 2);
	munmap(at, len);
}

void call_unmap(struct runner *me, const uint32_t *arg)
{
	munmap(some_place(arg[0]), room(arg[1]));
}

void call_touch(struct runner *me, const uint32_t *arg)
{
	touch(me, some_place(arg[0]), arg[1] & 1);
	touch(me, some_place(arg[2]), arg[3] & 1);
}

/* The child has copies of the mappings for a while. */
void call_fork(struct runner *me, const uint32_t *arg)
{
	pid_t child = fork();

	if (child < 0)
		return;
	if (!child) {
		touch(me, some_place(arg[0]), arg[1] & 1);
		touch(me, some_place(arg[2]), arg[3] & 1);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

void call_advise(struct runner *me, const uint32_t *arg)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_WILLNEED, MADV_DONTFORK,
		MADV_DOFORK, MADV_REMOVE, MADV_FREE, MADV_COLD, MADV_PAGEOUT, MADV_MERGEABLE,
		MADV_DODUMP, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_COLLAPSE, MADV_RANDOM,
	};
	static unsigned char resident[MAP_ROOM / PAGE];
	char *at = some_place(arg[0]);
	uint64_t len = room(arg[1]);

	switch (arg[2] & 0x70) {
	case 0:
		mlock(at, len);
		break;
	case 0x10:
		msync(at, len, arg[3] & 7);
		break;
	case 0x20:
		mincore(at, len, resident);
		break;
	case 0x30:
		munlock(at, len);
		break;
	default:
		madvise(at, len, advice[arg[2] & 0xf]);
	}
}

void call_protect(struct runner *me, const uint32_t *arg)
{
	mprotect(some_place(arg[0]), room(arg[1]), some_protection(arg[2]));
}

void call_move(struct runner *me, const uint32_t *arg)
{
	char *to = map_at(arg[2]);

	if (arg[3] & 1)
		mremap(some_place(arg[0]), room(arg[1]), room(arg[3] >> 1),
		       MREMAP_MAYMOVE | MREMAP_FIXED, to);
	else
		mremap(some_place(arg[0]), room(arg[1]), room(arg[3] >> 1), 0);
}

/* Pins pages until the pipe goes. */
void call_vmsplice(struct runner *me, const uint32_t *arg)
{
	struct iovec vector = { .iov_base = some_place(arg[0]), .iov_len = room(arg[1]) };

	vmsplice(resource_get(PIPE_WRITERS, arg[2]), &vector, 1, SPLICE_F_NONBLOCK);
}

void call_copy_memory(struct runner *me, const uint32_t *arg)
{
	struct iovec mine = { .iov_base = me->memory, .iov_len = MEMORY };
	struct iovec there = { .iov_base = some_place(arg[0]), .iov_len = room(arg[1]) };

	if (arg[2] & 1)
		process_vm_readv(getpid(), &mine, 1, &there, 1, 0);
	else
		process_vm_writev(getpid(), &mine, 1, &there, 1, 0);
}
