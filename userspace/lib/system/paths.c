// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "system.h"

#define MAX_LINKS	40	/* as many as the kernel follows */

/* Where a walk has got to: @name in the folder @dir. */
struct walk {
	int dir;
	char name[NAME_MAX + 1];
};

static int walk_enter(struct walk *walk, char *path)
{
	char *slash = strrchr(path, '/');
	char *last = slash ? slash + 1 : path;
	int dir;

	if (strlen(last) > NAME_MAX)
		return -ENAMETOOLONG;
	strcpy(walk->name, *last ? last : ".");
	*last = '\0';

	dir = openat(walk->dir, *path ? path : ".",
		     O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	if (walk->dir >= 0)
		close(walk->dir);
	walk->dir = dir;
	return 0;
}

/*
 * In a sticky folder nobody but its owner and the link's can replace a link,
 * so one that passes here is the one that is read afterwards.
 */
static int check_link_owner(const struct walk *walk, const struct stat *link)
{
	struct stat dir;

	if (fstat(walk->dir, &dir) < 0)
		return -errno;
	if (!(dir.st_mode & S_ISVTX) || !(dir.st_mode & S_IWOTH))
		return 0;
	if (link->st_uid == geteuid() || link->st_uid == dir.st_uid)
		return 0;
	return -ELOOP;
}

/* The links of /proc/PID/fd lead to files that need not have a path. */
static bool links_are_magic(const struct walk *walk)
{
	struct statfs fs;

	return !fstatfs(walk->dir, &fs) && fs.f_type == PROC_SUPER_MAGIC;
}

static int read_link(int fd, char path[PATH_MAX])
{
	ssize_t length = readlinkat(fd, "", path, PATH_MAX);

	if (length < 0)
		return -errno;
	if (length == PATH_MAX)
		return -ENAMETOOLONG;
	path[length] = '\0';
	return length ? 0 : -ENOENT;
}

/*
 * One step: the O_PATH descriptor of what lies at the end, or, after a link,
 * -EAGAIN with @path to go on with.
 */
static int walk_step(struct walk *walk, char path[PATH_MAX])
{
	struct stat st;
	int fd, err;

	err = walk_enter(walk, path);
	if (err)
		return err;
	fd = openat(walk->dir, walk->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err = -errno;
		goto err_close_fd;
	}
	if (!S_ISLNK(st.st_mode))
		return fd;

	err = check_link_owner(walk, &st);
	if (err)
		goto err_close_fd;
	if (links_are_magic(walk)) {
		close(fd);
		fd = openat(walk->dir, walk->name, O_PATH | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	err = read_link(fd, path);
	if (!err)
		err = -EAGAIN;

err_close_fd:
	if (fd >= 0)
		close(fd);
	return err;
}

/* An O_PATH descriptor: looks at the thing and does not open it. */
int ivshmem_path_resolve(const char *where)
{
	struct walk walk = { .dir = AT_FDCWD };
	char path[PATH_MAX];
	int fd = -EAGAIN;
	int links;

	if (strlen(where) >= sizeof(path))
		return -ENAMETOOLONG;
	strcpy(path, where);
	for (links = 0; fd == -EAGAIN && links <= MAX_LINKS; links++)
		fd = walk_step(&walk, path);
	if (walk.dir >= 0)
		close(walk.dir);
	return fd == -EAGAIN ? -ELOOP : fd;
}

/* A path that leads to what @fd is. */
void ivshmem_path_link(int fd, char link[FD_LINK_SIZE])
{
	snprintf(link, FD_LINK_SIZE, "/proc/self/fd/%d", fd);
}

/* Opens what @path_fd is, whatever its path leads to by now. */
int ivshmem_path_reopen(int path_fd, int access)
{
	char link[FD_LINK_SIZE];
	int fd;

	ivshmem_path_link(path_fd, link);
	fd = open(link, access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENXIO:	/* the device went away meanwhile */
		return -ENODEV;
	case ENOENT:	/* no /proc */
		return -ENOSYS;
	default:
		return -errno;
	}
}

int ivshmem_path_of(int fd, char **path)
{
	return ivshmem_path_in(AT_FDCWD, fd, path);
}

/* The folder that has the paths of descriptors, for when /proc is out of reach. */
int ivshmem_path_folder(void)
{
	int folder = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return folder >= 0 ? folder : errno == ENOENT ? -ENOSYS : -errno;
}

/* @folder: that folder, or AT_FDCWD. */
int ivshmem_path_in(int folder, int fd, char **path)
{
	char link[FD_LINK_SIZE];
	char target[PATH_MAX];
	ssize_t length;

	ivshmem_path_link(fd, link);
	length = readlinkat(folder, folder == AT_FDCWD ? link : strrchr(link, '/') + 1, target,
			    sizeof(target));
	if (length < 0)
		return errno == ENOENT ? -ENOSYS : -errno;
	if (length == sizeof(target))
		return -ENAMETOOLONG;
	*path = strndup(target, (size_t)length);
	return *path ? 0 : -ENOMEM;
}
