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

#endif /* SESSION_H */
