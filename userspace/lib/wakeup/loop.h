/* SPDX-License-Identifier: MIT */
#ifndef LOOP_H
#define LOOP_H

#define LOOP_FIRST_PAUSE_NS	50000

struct ivshmem_futex_fd;
struct ivshmem_link;

/**
 * struct ivshmem_loop - What a channel or a wait set has for an event loop of the caller's.
 * @epoll: For the caller's poll(2); -1 until asked for. The rest is in it.
 * @timer: Ends a wait that nothing else ends.
 * @futex: Wakes it where others wake by futex; NULL until needed.
 * @no_futex: There is no such thing here.
 * @rung: The doorbell is in it.
 * @joins: As struct ivshmem_link has it, when that was added.
 * @moved: How many messages had been sent and received, or members told, when the timer was
 *	set.
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

int ivshmem_loop_open(struct ivshmem_loop *loop);
void ivshmem_loop_close(struct ivshmem_loop *loop);
int ivshmem_loop_add_doorbell(struct ivshmem_loop *loop, const struct ivshmem_link *link);
void ivshmem_loop_add_futex(struct ivshmem_loop *loop);
int ivshmem_loop_take(struct ivshmem_loop *loop, struct ivshmem_link *link);
void ivshmem_loop_pace(struct ivshmem_loop *loop, struct ivshmem_link *link, uint64_t moved,
		       int64_t longest);
void ivshmem_loop_limit(struct ivshmem_loop *loop, uint64_t moved);

#endif /* LOOP_H */
