// SPDX-License-Identifier: MIT
/*
 * The region that the server hands out.
 *
 * A memfd is sealed: whatever a peer does with its descriptor, the region keeps
 * its size. A file cannot be: whoever may write to it may truncate it, and the
 * others then die of SIGBUS.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ivshmem.h>

#include "text/text.h"
#include "server.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL	0x0008U		/* Linux 6.3 */
#endif

#define SEALS	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int new_memfd(unsigned int flags)
{
	int fd;

	flags |= MFD_CLOEXEC | MFD_ALLOW_SEALING;
	fd = memfd_create("ivshmem", flags | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("ivshmem", flags);
	return fd;
}

/* Huge pages that are missing show here, and not as SIGBUS in a guest. */
static int reserve_huge_pages(const struct region *region)
{
	void *memory = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			    region->fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	munmap(memory, region->size);
	return 0;
}

static void explain_memfd(const struct region *region, bool huge, int error)
{
	char text[SIZE_TEXT_MAX];

	size_text(text, region->size);
	if (huge && error == ENOMEM)
		complain("serve", "there are not enough free huge pages for %s: raise vm.nr_hugepages",
			 text);
	else if (huge && error == EINVAL)
		complain("serve", "--size %s is no multiple of the huge page size", text);
	else if (huge && (error == ENODEV || error == ENOSYS))
		complain("serve", "this kernel has no huge pages");
	else if (error == EFBIG)
		complain("serve", "--size %s is beyond the file size limit: raise it (ulimit -f)",
			 text);
	else
		complain("serve", "no memory region of %s: %s", text, strerror(error));
}

static int open_memfd(struct region *region, bool huge)
{
	int error;

	region->fd = new_memfd(huge ? MFD_HUGETLB : 0);
	if (region->fd < 0) {
		error = errno;
		goto err_explain;
	}
	if (ftruncate(region->fd, region->size) < 0 ||
	    fcntl(region->fd, F_ADD_SEALS, SEALS) < 0) {
		error = errno;
		goto err_close;
	}
	if (huge) {
		error = -reserve_huge_pages(region);
		if (error)
			goto err_close;
	}
	region->sealed = true;
	return 0;

err_close:
	close(region->fd);
	region->fd = -1;
err_explain:
	explain_memfd(region, huge, error);
	return -error;
}

static int take_fd(struct region *region, const char *path, struct ivshmem *shm,
		   bool created)
{
	region->fd = fcntl(ivshmem_fd(shm), F_DUPFD_CLOEXEC, 3);
	if (region->fd < 0)
		goto err_complain;
	region->size = ivshmem_size(shm);
	if (!created)
		return 0;
	region->created = absolute_path(path);
	if (region->created)
		return 0;
	close(region->fd);
	region->fd = -1;
err_complain:
	complain(path, "%s", strerror(errno));
	if (created)
		unlink(path);
	return -ENOMEM;
}

static int explain_create(const struct region *region, const char *path, int error)
{
	char text[SIZE_TEXT_MAX];
	struct stat there;

	if (error != -EEXIST)
		complain(path, "a file of %s can't be created: %s",
			 size_text(text, region->size), ivshmem_strerror(error));
	else if (!lstat(path, &there) && S_ISLNK(there.st_mode))
		complain(path, "a symbolic link to a file that is not there: make that file, or remove the link");
	else
		complain(path, "the file exists: serve it as it is with --file, or remove it");
	return error;
}

static int create_file(struct region *region, const char *path)
{
	struct ivshmem *shm;
	int ret;

	if (!region->size) {
		complain(path, "no such file: say how large the region is to be, as --size 64M");
		return -ENOENT;
	}
	ret = ivshmem_create(&shm, path, region->size, 0600, 0);
	if (ret < 0)
		return explain_create(region, path, ret);
	ret = take_fd(region, path, shm, true);
	ivshmem_close(shm);
	return ret;
}

static int check_file(const char *path, const struct ivshmem *shm, uint64_t wanted)
{
	char there[SIZE_TEXT_MAX], asked[SIZE_TEXT_MAX];
	uint64_t size = ivshmem_size(shm);

	if (wanted && size != wanted) {
		complain(path, "the file has %s, not %s: leave --size away, or remove the file",
			 size_text(there, size), size_text(asked, wanted));
		return -EMSGSIZE;
	}
	return size_fits_device(path, size) ? 0 : -EINVAL;
}

static int open_existing(struct region *region, const char *path)
{
	struct ivshmem *shm;
	int ret;

	ret = ivshmem_open(&shm, path, 0);
	if (ret < 0) {
		complain(path, "%s", ivshmem_strerror(ret));
		return ret;
	}
	ret = check_file(path, shm, region->size);
	if (!ret)
		ret = take_fd(region, path, shm, false);
	ivshmem_close(shm);
	return ret;
}

static int open_file(struct region *region, const char *path)
{
	struct stat st;
	int error;

	if (stat(path, &st) < 0) {
		error = errno;
		if (error == ENOENT)
			return create_file(region, path);
		complain(path, "the file can't be looked at: %s", strerror(error));
		return -error;
	}
	if (!S_ISREG(st.st_mode)) {
		complain(path, "not a regular file: a region lies in a file, best in /dev/shm");
		return -ENOTSUP;
	}
	return open_existing(region, path);
}

/* Where the options have the file that the region lies in, if it lies in one. */
static bool file_of(const struct server_options *options, char path[PATH_MAX])
{
	if (options->backing == BACKING_SHM)
		return snprintf(path, PATH_MAX, "/dev/shm/%s", options->name) < PATH_MAX;
	return options->backing == BACKING_FILE &&
	       snprintf(path, PATH_MAX, "%s", options->name) < PATH_MAX;
}

/*
 * The one that another process opened, which was killed or has handed over. @created: it
 * made the file, too. Takes over @fd.
 */
int region_resume(struct region *region, const struct server_options *options, int fd,
		  bool created)
{
	char path[PATH_MAX];
	struct stat st;
	int seals;

	*region = (struct region){ .fd = fd };
	if (fstat(fd, &st) < 0) {
		complain("serve", "the region of the process before can't be had: %s",
			 strerror(errno));
		return -EINVAL;
	}
	region->size = (uint64_t)st.st_size;
	seals = fcntl(fd, F_GET_SEALS);
	region->sealed = seals >= 0 && seals & F_SEAL_SHRINK;
	if (created && file_of(options, path))
		region->created = absolute_path(path);
	return 0;
}

static int open_backing(struct region *region, const struct server_options *options)
{
	char path[PATH_MAX];

	switch (options->backing) {
	case BACKING_SHM:
		file_of(options, path);
		return create_file(region, path);
	case BACKING_FILE:
		return open_file(region, options->name);
	case BACKING_HUGEPAGES:
		return open_memfd(region, true);
	case BACKING_MEMFD:
		break;
	}
	return open_memfd(region, false);
}

/* After a message where it fails. */
int region_open(struct region *region, const struct server_options *options)
{
	int ret;

	*region = (struct region){ .fd = -1, .size = options->size };
	ret = open_backing(region, options);
	if (ret < 0)
		return ret;
	ret = memory_place(region->fd, region->size, &options->memory);
	if (ret < 0) {
		memory_explain(options->name ?: "serve", &options->memory, ret);
		region_close(region);
	}
	return ret;
}

/* Still as large as it was: a peer that mapped less would die of SIGBUS. */
bool region_is_whole(const struct region *region)
{
	struct stat st;

	return region->sealed || (!fstat(region->fd, &st) &&
				  (uint64_t)st.st_size >= region->size);
}

/* What lies at the path by now may be somebody else's. */
static void remove_created(struct region *region)
{
	struct stat ours, there;

	if (region->created && !fstat(region->fd, &ours) &&
	    !lstat(region->created, &there) && ours.st_dev == there.st_dev &&
	    ours.st_ino == there.st_ino)
		unlink(region->created);
	free(region->created);
	region->created = NULL;
}

void region_close(struct region *region)
{
	if (region->fd < 0)
		return;
	remove_created(region);
	close(region->fd);
	region->fd = -1;
}
