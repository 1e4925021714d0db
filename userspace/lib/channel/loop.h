/* SPDX-License-Identifier: MIT */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct ivshmem_channel;
struct ivshmem_futex_fd;

/**
 * struct ivshmem_loop - What a channel has for an event loop of the caller's.
 * @epoll: For the caller's poll(2); -1 until asked for. The rest is in it.
 * @timer: Ends a wait that nothing else ends.
 * @futex: Wakes it where the other end wakes by futex; NULL until needed.
 * @no_futex: There is no such thing here.
 * @rung: The doorbell is in it.
 * @joins: As struct ivshmem_link has it, when that was added.
 * @moved: How many messages had been sent and received when the timer was set.
 * @pause: The next time, where only the timer ends a wait.
 */
struct ivshmem_loop {
	int epoll;
	int timer;
	struct ivshmem_futex_fd *futex;
	bool no_futex;
	bool rung;
	unsigned int joins;
	uint64_t moved;
	int64_t pause;
};

void ivshmem_loop_close(struct ivshmem_loop *loop);
void ivshmem_loop_pace(struct ivshmem_channel *channel, int64_t longest);

#endif /* LOOP_H */
