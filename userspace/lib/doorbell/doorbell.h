/* SPDX-License-Identifier: MIT */
/*
 * Ringing peers, and waiting for rings. Public, but for what lets several sleep on the
 * rings of one handle.
 */
#ifndef DOORBELL_H
#define DOORBELL_H

#include <ivshmem/doorbell.h>

#include "region/region.h"

/**
 * ivshmem_relay_fd() - For who sleeps on a vector that others of this process take from.
 * @shm: Open handle of a region with a doorbell.
 *
 * ivshmem_wait() reads the vector's eventfd, and epoll(7) drops an event whose descriptor
 * is no longer readable when it looks: the ring would be lost on others that sleep on it.
 * So it writes to this descriptor then, which nobody reads: who watches it edge-triggered
 * is told each time.
 *
 * Return: An eventfd, owned by the handle; -EMFILE, -ENFILE, -ENOMEM.
 */
int ivshmem_relay_fd(struct ivshmem *shm);

#endif /* DOORBELL_H */
