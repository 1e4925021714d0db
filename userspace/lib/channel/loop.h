/* SPDX-License-Identifier: MIT */
#ifndef CHANNEL_LOOP_H
#define CHANNEL_LOOP_H

#include "channel.h"

void ivshmem_channel_pace(struct ivshmem_channel *channel, int64_t longest);

#endif /* CHANNEL_LOOP_H */
