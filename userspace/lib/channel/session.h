/* SPDX-License-Identifier: MIT */
#ifndef SESSION_H
#define SESSION_H

#include "channel.h"

void ivshmem_session_leave(struct ivshmem_channel *channel);
int ivshmem_session_attach(struct ivshmem_channel *channel, uint32_t from, bool locked);
int ivshmem_session_advance(struct ivshmem_channel *channel);
void ivshmem_session_end(struct ivshmem_channel *channel);

/* Has no other program taken this end, and nobody formatted the region anew? */
static inline bool ivshmem_session_has_end(const struct ivshmem_channel *channel)
{
	return __atomic_load_n(&channel->own->epoch, __ATOMIC_RELAXED) == channel->epoch;
}

/**
 * ivshmem_session_check() - Is the session still on?
 * @channel: Channel.
 *
 * Return: 0; -EPIPE (the other end was closed); -ECONNRESET (the other end was
 * replaced, or is known to be dead, or this end was taken over).
 */
static inline int ivshmem_session_check(const struct ivshmem_channel *channel)
{
	uint32_t other = __atomic_load_n(&channel->other->epoch, __ATOMIC_ACQUIRE);

	if (!ivshmem_session_has_end(channel))
		return -ECONNRESET;
	if (other == channel->other_epoch)
		return __atomic_load_n(&channel->other_died, __ATOMIC_RELAXED) ? -ECONNRESET : 0;
	return __atomic_load_n(&channel->other->closed, __ATOMIC_RELAXED) ==
		       channel->other_epoch ? -EPIPE : -ECONNRESET;
}

#endif /* SESSION_H */
