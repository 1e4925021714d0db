/* SPDX-License-Identifier: MIT */
/*
 * Where the memory of a region's file lies, and whether it is there already. For files
 * of tmpfs (/dev/shm, memfd) and hugetlbfs: there the kernel keeps to it for all who map
 * the file, as long as the file is there.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define MEMORY_NODE_MAX		1023
#define MEMORY_ANY_NODE		(-1)

/**
 * struct memory_options - What was asked for.
 * @node: The NUMA node, or MEMORY_ANY_NODE.
 * @preallocate: All of it is to be there at once.
 */
struct memory_options {
	int node;
	bool preallocate;
};

int memory_parse_node(const char *verb, const char *text, struct memory_options *options);
int memory_place(int fd, uint64_t size, const struct memory_options *options);
void memory_explain(const char *subject, const struct memory_options *options, int error);

#endif /* MEMORY_H */
