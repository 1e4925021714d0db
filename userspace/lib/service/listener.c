// SPDX-License-Identifier: MIT
#include <errno.h>

#include "service.h"

/* For a client: there is something to look at in @slot. */
void ivshmem_service_hint(const struct ivshmem_directory *directory,
			  const struct ivshmem_object *service, unsigned int slot)
{
	struct ivshmem_rung rung = { .count = 0 };

	if (ivshmem_object_seems_there(directory, service))
		ivshmem_tell_slot(directory, &directory->slots[service->slot], slot, &rung);
}

/* Now and then: 0; -ECONNRESET: the service is another's by now. */
int ivshmem_listener_check(struct ivshmem_sleeper *sleeper)
{
	struct ivshmem_listener *listener = listener_of(sleeper);

	if (listener->failed)
		return listener->failed;
	if (!ivshmem_place_is_own(sleeper) ||
	    !ivshmem_slot_has_object(&listener->directory, &listener->object) ||
	    ivshmem_directory_has_layout(&listener->directory))
		listener->failed = -ECONNRESET;
	return listener->failed;
}
