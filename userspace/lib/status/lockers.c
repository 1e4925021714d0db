// SPDX-License-Identifier: MIT
/*
 * Which programs have locks on the region's file: /proc tells it of those that this program may
 * look at, and of no others.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lockers.h"

#define PATH_ROOM	64

static int add(struct status_lockers *lockers, const struct status_locker *locker)
{
	struct status_locker *list;

	if (lockers->count == lockers->room) {
		size_t room = lockers->room ? 2 * lockers->room : 16;

		list = realloc(lockers->list, room * sizeof(*list));
		if (!list)
			return -ENOMEM;
		lockers->list = list;
		lockers->room = room;
	}
	lockers->list[lockers->count++] = *locker;
	return 0;
}

/* What follows these lines may be long. */
static bool is_before_locks(const char *line)
{
	return !strncmp(line, "pos:", 4) || !strncmp(line, "flags:", 6) ||
	       !strncmp(line, "mnt_id:", 7) || !strncmp(line, "ino:", 4);
}

/* False: it is no lock on that file. */
static bool read_lock(const char *line, const struct stat *region, struct status_locker *locker)
{
	unsigned long long inode, first, last;
	unsigned int high, low;

	if (sscanf(line, "lock: %*d: OFDLCK %*s %*s %*d %x:%x:%llu %llu %llu", &high, &low,
		   &inode, &first, &last) != 5 ||
	    makedev(high, low) != region->st_dev || inode != region->st_ino)
		return false;
	locker->first = first;
	locker->last = last;
	return true;
}

static int read_descriptor(struct status_lockers *lockers, const char *path,
			   const struct stat *region, uint32_t pid)
{
	struct status_locker locker = { .pid = pid };
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	if (!file)
		return 0;
	while (!err && getline(&line, &size, file) > 0) {
		if (read_lock(line, region, &locker))
			err = add(lockers, &locker);
		else if (!is_before_locks(line) && strncmp(line, "lock:", 5))
			break;
	}
	free(line);
	fclose(file);
	return err;
}

/* One that has ended meanwhile, or that this program may not look at, has none. */
static int read_program(struct status_lockers *lockers, const struct stat *region, uint32_t pid)
{
	struct dirent *entry;
	char path[PATH_ROOM];
	int err = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%u/fdinfo", pid);
	folder = opendir(path);
	if (!folder)
		return 0;
	while (!err && (entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%u/fdinfo/%.16s", pid, entry->d_name);
		err = read_descriptor(lockers, path, region, pid);
	}
	closedir(folder);
	return err;
}

int ivshmem_lockers_find(struct status_lockers *lockers, const struct ivshmem *shm)
{
	struct dirent *entry;
	struct stat region;
	unsigned long pid;
	int err = 0;
	DIR *folder;
	char *end;

	if (fstat(shm->fd, &region) < 0)
		return 0;
	folder = opendir("/proc");
	if (!folder)
		return 0;
	while (!err && (entry = readdir(folder)) != NULL) {
		pid = strtoul(entry->d_name, &end, 10);
		if (end != entry->d_name && !*end)
			err = read_program(lockers, &region, (uint32_t)pid);
	}
	closedir(folder);
	return err;
}

/* The program of one that covers the byte, from the one at @from on; 0: there is no more. */
uint32_t ivshmem_locker_of(const struct status_lockers *lockers, uint64_t byte, size_t *from)
{
	for (; *from < lockers->count; ++*from) {
		const struct status_locker *locker = &lockers->list[*from];

		if (locker->first <= byte && byte <= locker->last) {
			++*from;
			return locker->pid;
		}
	}
	return 0;
}
