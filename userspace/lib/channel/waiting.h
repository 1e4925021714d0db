/* SPDX-License-Identifier: MIT */
#ifndef WAITING_H
#define WAITING_H

#include "channel.h"

/* Is what is waited for there? 1, 0, or a negative errno. */
typedef int (*ivshmem_ready_fn)(struct ivshmem_channel *channel, uint64_t need);

int ivshmem_look(struct ivshmem_channel *channel, ivshmem_ready_fn is_ready, uint64_t need);
int ivshmem_look_at_server(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter);
int ivshmem_look_at_life(struct ivshmem_channel *channel);
void ivshmem_look_for_life(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter,
			   int64_t now);
bool ivshmem_shares_processor(struct ivshmem_channel *channel);
int64_t ivshmem_longest_pause(const struct ivshmem_channel *channel);
int ivshmem_wait_for(struct ivshmem_channel *channel, struct ivshmem_waiter *waiter,
		     ivshmem_ready_fn is_ready, uint64_t need, int timeout_ms);

#endif /* WAITING_H */
