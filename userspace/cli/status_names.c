// SPDX-License-Identifier: MIT
/* What objects, and who uses them, are called in tables and JSON. */

#include "cli.h"

const char *state_name(enum ivshmem_end_state state)
{
	switch (state) {
	case IVSHMEM_END_FREE:
		return "free";
	case IVSHMEM_END_ATTACHED:
		return "attached";
	case IVSHMEM_END_DEAD:
		return "dead";
	}
	return "unknown";
}

/* NULL: a kind that this version does not know. */
const char *kind_name(unsigned int kind)
{
	switch (kind) {
	case IVSHMEM_CHANNEL:
		return "channel";
	case IVSHMEM_AREA:
		return "area";
	case IVSHMEM_TOPIC:
		return "topic";
	case IVSHMEM_SERVICE:
		return "service";
	case IVSHMEM_WAITSET:
		return "wait set";
	}
	return NULL;
}

const char *role_name(enum ivshmem_role role)
{
	switch (role) {
	case IVSHMEM_ROLE_NONE:
		break;
	case IVSHMEM_ROLE_CREATOR:
		return "creator";
	case IVSHMEM_ROLE_CONNECTOR:
		return "connector";
	case IVSHMEM_ROLE_PUBLISHER:
		return "publisher";
	case IVSHMEM_ROLE_SUBSCRIBER:
		return "subscriber";
	case IVSHMEM_ROLE_USER:
		return "user";
	case IVSHMEM_ROLE_LISTENER:
		return "listener";
	case IVSHMEM_ROLE_WAITER:
		return "waiter";
	}
	return "?";
}
