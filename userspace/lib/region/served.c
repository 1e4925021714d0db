// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/client.h"
#include "system/system.h"
#include "kinds.h"

/*
 * The region's descriptor, for the caller to keep. One for reading is opened
 * anew: a mapping of a writable file could be made writable at any time.
 */
static int take_region(struct ivshmem_connection *connection, bool readonly)
{
	int fd = connection->protocol.region;
	int flags = fcntl(fd, F_GETFL);
	struct stat st;
	int reopened;

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (flags & O_PATH || !S_ISREG(st.st_mode))
		return -EPROTO;
	if (!readonly && (flags & O_ACCMODE) != O_RDWR)
		return -EACCES;
	connection->protocol.region = -1;
	if (!readonly)
		return fd;
	reopened = ivshmem_path_reopen(fd, O_RDONLY);
	close(fd);
	return reopened;
}

int ivshmem_served_open(struct ivshmem **shm, const char *path, bool readonly)
{
	struct ivshmem_connection *connection = NULL;
	int fd, err;

	err = ivshmem_connection_open(&connection, path);
	if (err)
		return err;
	fd = take_region(connection, readonly);
	if (fd < 0) {
		err = fd;
		goto err_close_connection;
	}
	err = ivshmem_attach(shm, fd, &ivshmem_served_backend, readonly);
	if (err)
		goto err_close_fd;
	(*shm)->connection = connection;
	/* What the region's file is called is the server's business, if it has a name. */
	free((*shm)->path);
	(*shm)->path = connection->path;
	connection->path = NULL;
	return 0;

err_close_fd:
	close(fd);
err_close_connection:
	ivshmem_connection_close(connection);
	return err;
}

/* --- to be a peer again --- */

static bool is_same_file(int a, int b)
{
	struct stat one, other;

	return !fstat(a, &one) && !fstat(b, &other) && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

/* The region of the next server is another one: may it take the place of this one? */
static int check_other(const struct ivshmem *shm, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size != shm->size)
		return -EMSGSIZE;
	return shm->holders ? -EBUSY : 0;
}

/* In one step: whoever touches it meanwhile finds the one or the other. */
static int map_over(const struct ivshmem *shm, int fd)
{
	int prot = shm->readonly ? PROT_READ : PROT_READ | PROT_WRITE;
	size_t size = (size_t)shm->size;
	void *there;

	if (!shm->data)
		return 0;
	there = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
	if (there == MAP_FAILED)
		return -errno;
	if (mremap(there, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, shm->data) != MAP_FAILED)
		return 0;
	munmap(there, size);
	return -ENOMEM;
}

/* Keeps the numbers of descriptors, too. @fd stays the caller's. */
static int take_other(struct ivshmem *shm, int fd)
{
	struct stat st;
	int lock_fd = -1, err;

	if (shm->lock_fd >= 0)
		lock_fd = ivshmem_path_reopen(fd, O_RDWR);
	if (shm->lock_fd >= 0 && lock_fd < 0)
		return lock_fd;
	err = fstat(fd, &st) < 0 ? -errno : map_over(shm, fd);
	if (!err) {
		dup3(fd, shm->fd, O_CLOEXEC);
		if (lock_fd >= 0)
			dup3(lock_fd, shm->lock_fd, O_CLOEXEC);
		shm->whereabouts.device = st.st_dev;
		shm->whereabouts.inode = st.st_ino;
	}
	if (lock_fd >= 0)
		close(lock_fd);
	return err;
}

/* 1: it is another region, and took the place of the old one. */
static int take_region_over(struct ivshmem *shm, int fd)
{
	bool other;
	int err = 0;

	pthread_mutex_lock(&shm->lock);
	other = !is_same_file(fd, shm->fd);
	if (other)
		err = check_other(shm, fd) ?: take_other(shm, fd);
	pthread_mutex_unlock(&shm->lock);
	return err ?: other;
}

/* Closes @fresh where it fails: then nothing has changed. */
static int take_server(struct ivshmem *shm, struct ivshmem_connection *fresh, int fd)
{
	int copies[IVSHMEM_MAX_VECTORS], count, ret;

	count = ivshmem_connection_copy(shm->connection, copies);
	ret = count < 0 ? count : take_region_over(shm, fd);
	if (ret >= 0) {
		ivshmem_connection_renew(shm->connection, fresh, copies, count);
		return ret;
	}
	while (count > 0)
		close(copies[--count]);
	ivshmem_connection_close(fresh);
	return ret;
}

int ivshmem_rejoin(struct ivshmem *shm)
{
	struct ivshmem_connection *fresh = NULL;
	int err, fd;

	if (!shm)
		return -EINVAL;
	if (shm->inherited)
		return -ECHILD;
	if (!shm->connection)
		return -ENOTSUP;
	ivshmem_connection_hear(shm->connection);
	if (!ivshmem_connection_has_ended(shm->connection))
		return 0;
	err = ivshmem_connection_open(&fresh, shm->path);
	if (err)
		return err;
	fd = take_region(fresh, shm->readonly);
	if (fd < 0) {
		ivshmem_connection_close(fresh);
		return fd;
	}
	err = take_server(shm, fresh, fd);
	close(fd);
	return err;
}

/* --- the table of operations --- */

static int served_probe(struct ivshmem *shm)
{
	int err;

	err = ivshmem_file_probe(shm);
	shm->kind = IVSHMEM_DOORBELL;
	return err;
}

static void served_release(struct ivshmem *shm)
{
	if (shm->connection)
		ivshmem_connection_close(shm->connection);
}

static int served_peer_id(const struct ivshmem *shm)
{
	int id;

	pthread_mutex_lock(&shm->connection->lock);
	id = shm->connection->protocol.self.id;
	pthread_mutex_unlock(&shm->connection->lock);
	return id;
}

static int served_vectors(const struct ivshmem *shm)
{
	int vectors;

	pthread_mutex_lock(&shm->connection->lock);
	vectors = shm->connection->protocol.self.vectors;
	pthread_mutex_unlock(&shm->connection->lock);
	return vectors;
}

/*
 * A counter that is full says already all that there is to say. The server could
 * have made the eventfd a blocking one again, so it is asked first.
 */
static int signal_event_fd(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLOUT };
	const uint64_t one = 1;

	if (poll(&poller, 1, 0) < 1 || !(poller.revents & POLLOUT))
		return 0;
	return write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN ? -errno : 0;
}

static int served_ring(struct ivshmem *shm, unsigned int id, unsigned int vector)
{
	const struct ivshmem_peer *peer;
	int err = -ENXIO;

	ivshmem_connection_hear(shm->connection);
	pthread_mutex_lock(&shm->connection->lock);
	peer = ivshmem_protocol_find(&shm->connection->protocol, id);
	if (peer && vector < peer->vectors)
		err = signal_event_fd(peer->fds[vector]);
	pthread_mutex_unlock(&shm->connection->lock);
	return err;
}

static int served_event_fd(struct ivshmem *shm, unsigned int vector)
{
	int fd;

	pthread_mutex_lock(&shm->connection->lock);
	fd = shm->connection->protocol.self.fds[vector];
	pthread_mutex_unlock(&shm->connection->lock);
	return fd;
}

static const struct ivshmem_doorbell served_doorbell = {
	.peer_id = served_peer_id,
	.vectors = served_vectors,
	.ring = served_ring,
	.event_fd = served_event_fd,
};

const struct ivshmem_backend ivshmem_served_backend = {
	.side = IVSHMEM_HOST,
	.probe = served_probe,
	.map = ivshmem_file_map,
	.check = ivshmem_file_check_size,
	.read = ivshmem_read_fd,
	.release = served_release,
	.doorbell = &served_doorbell,
};
