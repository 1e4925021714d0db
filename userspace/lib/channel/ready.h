/* SPDX-License-Identifier: MIT */
#ifndef READY_H
#define READY_H

#include "channel.h"

unsigned int ivshmem_look_at_both(struct ivshmem_channel *channel, unsigned int events,
				  uint64_t record);
void ivshmem_announce_both(struct ivshmem_channel *channel, unsigned int events,
			   enum waiting_state state);

#endif /* READY_H */
