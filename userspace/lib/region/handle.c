// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/client.h"
#include "system/system.h"
#include "kinds.h"

static int check_size(const struct ivshmem *shm)
{
	if (!shm->size)
		return -ENODATA;
	if (shm->size % (uint64_t)sysconf(_SC_PAGESIZE))
		return -EINVAL;
	if (shm->size > SIZE_MAX)
		return -EFBIG;
	return 0;
}

/*
 * Not every file lets one take locks: who has none is simply not known to be dead. Where
 * descriptors or memory have run out, this must not come of it.
 */
static int open_lock(struct ivshmem *shm)
{
	struct stat st;
	int fd;

	if (fstat(shm->fd, &st) < 0)
		return -errno;
	shm->whereabouts.device = st.st_dev;
	shm->whereabouts.inode = st.st_ino;
	ivshmem_boot_id(shm->whereabouts.boot_id);
	/* A child must not get it without knowing of it. */
	pthread_mutex_lock(&shm->lock);
	fd = ivshmem_path_reopen(shm->fd, shm->readonly ? O_RDONLY : O_RDWR);
	shm->lock_fd = fd < 0 ? -1 : fd;
	pthread_mutex_unlock(&shm->lock);
	return fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM ? fd : 0;
}

/* In a child that fork(2) made: the handle is inert, but for its memory. */
static void disown(struct ivshmem_heir *heir)
{
	struct ivshmem *shm = container_of(heir, struct ivshmem, heir);
	struct ivshmem_holder *holder;

	shm->inherited = true;
	if (shm->lock_fd >= 0)
		close(shm->lock_fd);
	shm->lock_fd = -1;
	for (holder = shm->holders; holder; holder = holder->next)
		if (holder->disown)
			holder->disown(holder);
}

/* Takes @fd over where it succeeds. */
int ivshmem_attach(struct ivshmem **out, int fd,
		   const struct ivshmem_backend *backend, bool readonly)
{
	struct ivshmem *shm = calloc(1, sizeof(*shm));
	int err;

	if (!shm)
		return -ENOMEM;
	shm->backend = backend;
	shm->fd = fd;
	shm->readonly = readonly;
	shm->cancel = IVSHMEM_CANCEL_INIT;
	pthread_mutex_init(&shm->lock, NULL);
	shm->relay_fd = -1;
	shm->lock_fd = -1;

	err = ivshmem_path_of(fd, &shm->path);
	if (err)
		goto err_free_shm;
	err = backend->probe(shm);
	if (err)
		goto err_free_path;
	err = check_size(shm);
	if (err)
		goto err_release;
	shm->heir = (struct ivshmem_heir) { .lock = &shm->lock, .disown = disown };
	err = ivshmem_fork_watch(&shm->heir);
	if (err)
		goto err_release;
	err = open_lock(shm);
	if (err)
		goto err_unwatch;
	*out = shm;
	return 0;

err_unwatch:
	ivshmem_fork_unwatch(&shm->heir);
err_release:
	if (backend->release)
		backend->release(shm);
err_free_path:
	free(shm->path);
err_free_shm:
	pthread_mutex_destroy(&shm->lock);
	free(shm);
	return err;
}

void ivshmem_free(struct ivshmem *shm)
{
	ivshmem_fork_unwatch(&shm->heir);
	if (shm->backend->release)
		shm->backend->release(shm);
	if (shm->relay_fd >= 0)
		close(shm->relay_fd);
	if (shm->lock_fd >= 0)
		close(shm->lock_fd);
	ivshmem_cancel_close(&shm->cancel);
	close(shm->fd);
	pthread_mutex_destroy(&shm->lock);
	free(shm->path);
	free(shm);
}

int ivshmem_map_fd(struct ivshmem *shm)
{
	int prot = shm->readonly ? PROT_READ : PROT_READ | PROT_WRITE;
	void *data = mmap(NULL, (size_t)shm->size, prot, MAP_SHARED, shm->fd, 0);

	if (data == MAP_FAILED)
		return -errno;
	__atomic_store_n(&shm->data, data, __ATOMIC_RELEASE);
	return 0;
}

int ivshmem_map(struct ivshmem *shm)
{
	int err;

	if (!shm)
		return -EINVAL;
	pthread_mutex_lock(&shm->lock);
	err = shm->data ? -EBUSY : shm->backend->map(shm);
	pthread_mutex_unlock(&shm->lock);
	return err;
}

int ivshmem_unmap(struct ivshmem *shm)
{
	int err = 0;

	if (!shm)
		return -EINVAL;
	pthread_mutex_lock(&shm->lock);
	if (!shm->data)
		err = -EINVAL;
	else if (munmap(shm->data, (size_t)shm->size) < 0)
		err = -errno;
	if (!err)
		__atomic_store_n(&shm->data, NULL, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&shm->lock);
	return err;
}

void *ivshmem_data(const struct ivshmem *shm)
{
	return shm ? __atomic_load_n(&shm->data, __ATOMIC_ACQUIRE) : NULL;
}

int ivshmem_sync(struct ivshmem *shm)
{
	void *data = ivshmem_data(shm);

	if (!data)
		return -EINVAL;
	atomic_thread_fence(memory_order_seq_cst);
	if (msync(data, (size_t)shm->size, MS_SYNC) < 0)
		return -errno;
	return shm->backend->check(shm);
}

int ivshmem_check(const struct ivshmem *shm)
{
	int err = shm ? shm->backend->check(shm) : -EINVAL;

	if (err || !shm->connection || shm->inherited)
		return err;
	ivshmem_connection_hear(shm->connection);
	return ivshmem_connection_has_ended(shm->connection) ? -ECONNRESET : 0;
}

int ivshmem_cancel(struct ivshmem *shm)
{
	if (!shm)
		return -EINVAL;
	if (shm->inherited)
		return -ECHILD;
	ivshmem_cancel_raise(&shm->cancel);
	return 0;
}

int ivshmem_uncancel(struct ivshmem *shm)
{
	if (!shm)
		return -EINVAL;
	if (shm->inherited)
		return -ECHILD;
	ivshmem_cancel_lower(&shm->cancel);
	return 0;
}

int ivshmem_sealed(const struct ivshmem *shm)
{
	int seals;

	if (!shm)
		return -EINVAL;
	if (shm->backend->side != IVSHMEM_HOST)
		return -ENOTSUP;
	seals = fcntl(shm->fd, F_GET_SEALS);
	return seals >= 0 && seals & F_SEAL_SHRINK;
}

int ivshmem_fd(const struct ivshmem *shm)
{
	return shm ? shm->fd : -EINVAL;
}

uint64_t ivshmem_size(const struct ivshmem *shm)
{
	return shm ? shm->size : 0;
}

const char *ivshmem_path(const struct ivshmem *shm)
{
	return shm ? shm->path : NULL;
}

const char *ivshmem_location(const struct ivshmem *shm)
{
	if (!shm)
		return NULL;
	return shm->address[0] ? shm->address : shm->path;
}

int ivshmem_side(const struct ivshmem *shm)
{
	return shm ? (int)shm->backend->side : -EINVAL;
}

int ivshmem_kind(const struct ivshmem *shm)
{
	return shm ? (int)shm->kind : -EINVAL;
}

const char *ivshmem_mapping(const struct ivshmem *shm)
{
	return shm ? shm->mapping : NULL;
}

uint64_t ivshmem_page_size(const struct ivshmem *shm)
{
	return shm ? shm->page_size : 0;
}

int ivshmem_export_dmabuf(struct ivshmem *shm, uint64_t offset, uint64_t len,
			  unsigned int flags)
{
	if (!shm || flags & ~IVSHMEM_RDONLY)
		return -EINVAL;
	if (!len || (offset | len) % (uint64_t)sysconf(_SC_PAGESIZE) ||
	    offset >= shm->size || len > shm->size - offset)
		return -EINVAL;
	if (shm->readonly && !(flags & IVSHMEM_RDONLY))
		return -EACCES;
	if (!shm->backend->export_dmabuf)
		return -ENOTSUP;
	return shm->backend->export_dmabuf(shm, offset, len, flags & IVSHMEM_RDONLY);
}

const char *ivshmem_cache(const struct ivshmem *shm)
{
	return shm ? shm->cache : NULL;
}
