/* SPDX-License-Identifier: MIT */
#ifndef END_H
#define END_H

#include "channel.h"

int ivshmem_end_take(struct ivshmem_channel *channel, bool take_over);
bool ivshmem_end_lock_again(struct ivshmem_channel *channel);
void ivshmem_end_give_back(struct ivshmem_channel *channel);

#endif /* END_H */
