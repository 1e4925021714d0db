/* SPDX-License-Identifier: MIT */
/*
 * A way for messages from one process to another, of which tests/bench/topics compares
 * several. A program has one of them, and oneway.c.
 */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct peer - The way there and back.
 * @name: Its name in the results.
 * @make: Before the fork: make what both ends share, for messages of this length. May be NULL.
 * @open: After it: open this end, and wait for the other. May be NULL.
 * @send: Send a message to the other end.
 * @receive: Wait for the next message of the other end; it stays until @done.
 * @done: May be NULL.
 * @close: Give up this end, of which each process has one. May be NULL.
 */
struct peer {
	const char *name;
	void (*make)(size_t length);
	void (*open)(int side, size_t length);
	void (*send)(const void *message, size_t length);
	const void *(*receive)(size_t length);
	void (*done)(void);
	void (*close)(void);
};

extern const struct peer peer;

/* Memory that both processes have, of zeroes, in pages that are there already. */
void *peer_memory(size_t size);

/* For what a peer receives by copying; aligned to a page. */
extern char peer_buffer[1 << 20];

#ifdef __cplusplus
}
#endif

#endif /* PEER_H */
