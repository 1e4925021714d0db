// SPDX-License-Identifier: MIT
#include <errno.h>

#include <ivshmem/doorbell.h>

#include "client/client.h"
#include "region/region.h"
#include "system/system.h"

static int check_handle(const struct ivshmem *shm)
{
	if (!shm)
		return -EINVAL;
	if (shm->inherited)
		return -ECHILD;
	return shm->connection ? 0 : -ENOTSUP;
}

int ivshmem_peers(const struct ivshmem *shm, uint16_t *ids, size_t max)
{
	const struct ivshmem_protocol *protocol;
	size_t i, count;
	int err;

	err = check_handle(shm);
	if (err)
		return err;
	if (!ids && max)
		return -EINVAL;
	protocol = &shm->connection->protocol;
	pthread_mutex_lock(&shm->connection->lock);
	count = protocol->count;
	for (i = 0; i < count && i < max; i++)
		ids[i] = protocol->peers[i].id;
	pthread_mutex_unlock(&shm->connection->lock);
	return (int)count;
}

int ivshmem_peer_vectors(const struct ivshmem *shm, unsigned int id)
{
	const struct ivshmem_peer *peer;
	int err, vectors;

	err = check_handle(shm);
	if (err)
		return err;
	if (id > IVSHMEM_MAX_PEER)
		return -EINVAL;
	pthread_mutex_lock(&shm->connection->lock);
	peer = ivshmem_protocol_find(&shm->connection->protocol, id);
	vectors = peer && peer->vectors ? peer->vectors : -ENXIO;
	pthread_mutex_unlock(&shm->connection->lock);
	return vectors;
}

int ivshmem_peer_fd(const struct ivshmem *shm)
{
	int err;

	err = check_handle(shm);
	return err ? err : ivshmem_connection_news_fd(shm->connection);
}

int ivshmem_peer_next(struct ivshmem *shm, int timeout_ms,
		      enum ivshmem_peer_change *change, unsigned int *peer)
{
	int64_t deadline = ivshmem_deadline(timeout_ms);
	unsigned int id;
	int event;

	event = check_handle(shm);
	if (event)
		return event;
	if (!change || !peer)
		return -EINVAL;
	event = ivshmem_connection_next(shm->connection, deadline, &shm->cancel, &id);
	if (event < 0)
		return event;
	*change = event == IVSHMEM_EVENT_JOINED ? IVSHMEM_PEER_JOINED : IVSHMEM_PEER_LEFT;
	*peer = id;
	return 0;
}
