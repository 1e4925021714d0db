// SPDX-License-Identifier: MIT
/*
 * A copy of a topic as it is at a time, without its messages: for who only looks, and maps
 * nothing.
 */
#include <errno.h>
#include <stdlib.h>

#include "topic.h"

/*
 * @directory: may be a copy, too. -ENOENT, -EUCLEAN: there is no such topic. What is copied
 * lies before the entries.
 */
int ivshmem_topic_copy(struct topic *topic, const struct ivshmem_directory *directory,
		       const struct ivshmem_object *object)
{
	struct ivshmem_extent extent;
	int err;

	*topic = (struct topic) {
		.shm = directory->shm, .directory = *directory, .object = *object,
	};
	err = ivshmem_object_extent(directory, object, &extent);
	if (!err)
		err = ivshmem_topic_read(&topic->geometry, directory, object, extent.size);
	if (err)
		return err;
	topic->offset = extent.offset;
	topic->window.data = malloc(topic->geometry.entries);
	if (!topic->window.data)
		return -ENOMEM;
	topic->head = topic->window.data;
	err = ivshmem_region_read(topic->shm, topic->window.data, topic->offset,
				  topic->geometry.entries);
	if (err)
		ivshmem_topic_free_copy(topic);
	return err;
}

void ivshmem_topic_free_copy(struct topic *topic)
{
	free(topic->window.data);
	topic->window.data = NULL;
}

/* As it is now; a long message is not there. */
int ivshmem_topic_copy_entry(const struct topic *topic, unsigned int publisher, uint64_t number,
			     struct topic_entry *entry)
{
	return ivshmem_region_read(topic->shm, entry,
				   topic->offset + topic_entry_offset(&topic->geometry, publisher,
								      number),
				   sizeof(*entry));
}
