/* SPDX-License-Identifier: MIT */
#ifndef LOSS_H
#define LOSS_H

#include "channel.h"

/* Further than one thread gets while another looks; nearer than another session's numbers. */
#define MOST_AHEAD	(1ull << 33)

void ivshmem_end_clear(struct ivshmem_slot_end *own);
uint32_t ivshmem_next_attaching(const struct ivshmem_channel *channel, uint32_t epoch);

bool ivshmem_message_is_missing(const struct ivshmem_channel *channel);
int ivshmem_session_check(struct ivshmem_channel *channel);
int ivshmem_session_lose(struct ivshmem_channel *channel);
bool ivshmem_session_keeps_end(const struct ivshmem_channel *channel, uint32_t epoch);

#endif /* LOSS_H */
