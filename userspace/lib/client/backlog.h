/* SPDX-License-Identifier: MIT */
/*
 * News that nobody has asked for yet, in their order. Each peer has at most two there:
 * that one with its ID has left, and that another has come. So the memory is bounded,
 * and everything takes the same time however many there are.
 */
#ifndef BACKLOG_H
#define BACKLOG_H

#include "protocol.h"

struct ivshmem_news;

/**
 * struct ivshmem_backlog - The news.
 * @news: A place for all that there can be.
 * @fd: An eventfd, readable while there are some.
 */
struct ivshmem_backlog {
	struct ivshmem_news *news;
	int fd;
};

int ivshmem_backlog_init(struct ivshmem_backlog *backlog);
void ivshmem_backlog_free(struct ivshmem_backlog *backlog);
void ivshmem_backlog_add(struct ivshmem_backlog *backlog, enum ivshmem_protocol_event event,
			 unsigned int peer);
enum ivshmem_protocol_event ivshmem_backlog_take(struct ivshmem_backlog *backlog,
						 unsigned int *peer);
bool ivshmem_backlog_is_empty(const struct ivshmem_backlog *backlog);

#endif /* BACKLOG_H */
