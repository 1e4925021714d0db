// SPDX-License-Identifier: MIT
/*
 * Linked into tests under ThreadSanitizer, in front of mmap(2) and munmap(2). That sanitizer
 * knows memory by its address. So a file is mapped once here, as a whole, for all who may
 * write it: what one handle does in a region then meets what another one does there.
 * With 64-bit offsets, as everything here is built, mmap() calls mmap64().
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAX_FILES	16

void *__real_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t size);
void *__wrap_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *address, size_t size);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct file {
	dev_t device;
	ino_t inode;
	char *data;		/* NULL: no file */
	size_t size;
	unsigned int users;
} files[MAX_FILES];

static struct file *find_file(const struct stat *st)
{
	struct file *file;

	for (file = files; file < files + MAX_FILES; file++)
		if (file->data && file->device == st->st_dev && file->inode == st->st_ino)
			return file;
	return NULL;
}

static struct file *add_file(const struct stat *st, int fd)
{
	struct file *file;
	void *data;

	for (file = files; file < files + MAX_FILES && file->data; file++)
		;
	if (file == files + MAX_FILES)
		return NULL;
	data = __real_mmap64(NULL, (size_t)st->st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return NULL;
	*file = (struct file) {
		.device = st->st_dev, .inode = st->st_ino, .data = data,
		.size = (size_t)st->st_size,
	};
	return file;
}

/* NULL: it needs a map of its own. */
static void *map_part(size_t size, int fd, off_t offset)
{
	struct file *file;
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size)
		return NULL;
	file = find_file(&st);
	if (!file)
		file = add_file(&st, fd);
	if (!file || size > file->size || (size_t)offset > file->size - size)
		return NULL;
	file->users++;
	return file->data + offset;
}

void *__wrap_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	void *data = NULL;

	if (!address && fd >= 0 && flags == MAP_SHARED && protection & PROT_WRITE) {
		pthread_mutex_lock(&lock);
		data = map_part(size, fd, offset);
		pthread_mutex_unlock(&lock);
	}
	return data ? data : __real_mmap64(address, size, protection, flags, fd, offset);
}

static bool unmap_part(const char *data)
{
	struct file *file;

	for (file = files; file < files + MAX_FILES; file++) {
		if (!file->data || (uintptr_t)data - (uintptr_t)file->data >= file->size)
			continue;
		if (!--file->users) {
			__real_munmap(file->data, file->size);
			file->data = NULL;
		}
		return true;
	}
	return false;
}

int __wrap_munmap(void *address, size_t size)
{
	bool is_part;

	pthread_mutex_lock(&lock);
	is_part = unmap_part(address);
	pthread_mutex_unlock(&lock);
	return is_part ? 0 : __real_munmap(address, size);
}
