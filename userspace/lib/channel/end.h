/* SPDX-License-Identifier: MIT */
#ifndef END_H
#define END_H

#include "channel.h"

static inline struct ivshmem_slot *slots_of(const struct ivshmem_channel *channel)
{
	return channel->header.data;
}

int ivshmem_end_take(struct ivshmem_channel *channel, unsigned int slot, bool take_over);
bool ivshmem_end_lock_again(struct ivshmem_channel *channel);
void ivshmem_end_give_back(struct ivshmem_channel *channel);

#endif /* END_H */
