/* SPDX-License-Identifier: MIT */
/*
 * libivshmem: QEMU's inter-VM shared memory, for programs in a guest and on
 * the host.
 *
 * Both sides use the same calls; only the @where given to ivshmem_open()
 * differs. Functions that can fail return 0 or a positive count on success and
 * a negative errno on failure; objects come through out-parameters, which are
 * left alone on failure. The library never prints, never exits, starts no
 * thread and installs no signal handler.
 *
 * Thread-safety: different handles may be used from different threads at the
 * same time. One handle may be used from several threads as long as none of
 * them opens, maps, unmaps or closes it meanwhile.
 *
 * Trust: the other side may write anything into the region at any time. Copy
 * what you read into private memory, check the copy, and use only that.
 *
 * Versions to come may add values to every enum: treat one that you don't know as
 * "something else".
 */
#ifndef IVSHMEM_H
#define IVSHMEM_H

#include <ivshmem/area.h>
#include <ivshmem/channel.h>
#include <ivshmem/devices.h>
#include <ivshmem/doorbell.h>
#include <ivshmem/errors.h>
#include <ivshmem/format.h>
#include <ivshmem/region.h>
#include <ivshmem/service.h>
#include <ivshmem/status.h>
#include <ivshmem/topic.h>
#include <ivshmem/version.h>
#include <ivshmem/waitset.h>

#endif /* IVSHMEM_H */
