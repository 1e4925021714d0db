// SPDX-License-Identifier: MIT
/*
 * libnuma would do this for memory of this process; mbind(2) is all that a file takes.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "text/text.h"
#include "memory.h"

#define LONG_BITS	(CHAR_BIT * sizeof(unsigned long))

/* -EINVAL after a message. */
int memory_parse_node(const char *verb, const char *text, struct memory_options *options)
{
	unsigned int node;
	int ret;

	ret = parse_integer(verb, "--numa-node", text, 0, MEMORY_NODE_MAX, &node);
	if (!ret)
		options->node = (int)node;
	return ret;
}

/* Elsewhere the kernel forgets the node with the mapping. */
static bool keeps_node(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && (fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC);
}

/* The mapping is for the call only, and can't be touched: so it takes no memory. */
static int bind_to_node(int fd, uint64_t size, unsigned int node)
{
	unsigned long nodes[(MEMORY_NODE_MAX + 1) / LONG_BITS] = { 0 };
	void *memory;
	int ret;

	if (!keeps_node(fd))
		return -ENOTSUP;
	memory = mmap(NULL, size, PROT_NONE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	nodes[node / LONG_BITS] = 1ul << node % LONG_BITS;
	/* One more than there are bits: the kernel takes one off. */
	ret = syscall(SYS_mbind, memory, size, MPOL_BIND, nodes, MEMORY_NODE_MAX + 2, 0) < 0 ?
	      -errno : 0;
	munmap(memory, size);
	return ret == -EINVAL ? -ENXIO : ret;
}

/*
 * The node first: memory that is there already stays where it is. -ENXIO: there is no such
 * node, or it has no memory; -ENOTSUP: the file's filesystem keeps no node.
 */
int memory_place(int fd, uint64_t size, const struct memory_options *options)
{
	int ret = 0;

	if (options->node != MEMORY_ANY_NODE)
		ret = bind_to_node(fd, size, (unsigned int)options->node);
	if (!ret && options->preallocate)
		ret = -posix_fallocate(fd, 0, (off_t)size);
	return ret;
}

void memory_explain(const char *subject, const struct memory_options *options, int error)
{
	switch (error) {
	case -ENXIO:
		complain(subject, "there is no NUMA node %d with memory: /sys/devices/system/node/has_memory has those that there are",
			 options->node);
		break;
	case -ENOTSUP:
		complain(subject, "the filesystem keeps no memory on a NUMA node: put the file into /dev/shm, or on a hugetlbfs");
		break;
	case -ENOSYS:
		complain(subject, "this kernel knows nothing of NUMA nodes: leave --numa-node away");
		break;
	case -EPERM:
		complain(subject, "this program may not use NUMA node %d: see AllowedMemoryNodes= of systemd, or cpuset(7)",
			 options->node);
		break;
	case -ENOSPC:
	case -ENOMEM:
		complain(subject, "there is not enough free memory to preallocate it%s",
			 options->node == MEMORY_ANY_NODE ? "" : " on this NUMA node");
		break;
	default:
		complain(subject, "its memory can't be placed: %s", strerror(-error));
	}
}
