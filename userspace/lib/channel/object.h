/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_H
#define OBJECT_H

#include "channel.h"

struct ivshmem_channel *ivshmem_channel_new(struct ivshmem *shm, enum ivshmem_end side,
					    const char *name, unsigned int flags);
void ivshmem_channel_unmap_rings(struct ivshmem_channel *channel);

#endif /* OBJECT_H */
