// SPDX-License-Identifier: MIT
/* The calls that there are. */

#include "fuzz.h"

/*
 * The kernel itself warns of failed allocations, or worse, while it adds and removes
 * devices and memory.
 */
const struct call_kind call_kinds[] = {
	{ "open", call_open, 20, true },
	{ "close", call_close, 8, true },
	{ "read", call_read, 20, true },
	{ "write", call_write, 20, true },
	{ "seek", call_seek, 3, true },
	{ "poll", call_poll, 6, true },
	{ "epoll", call_epoll, 6, true },
	{ "sync", call_sync, 6, true },
	{ "pipe", call_pipe, 6, true },
	{ "splice", call_splice, 12, true },

	{ "info", call_info, 12, true },
	{ "ring", call_ring, 16, true },
	{ "event", call_event, 16, true },
	{ "set_eventfd", call_set_eventfd, 30, true },
	{ "export", call_export, 40, true },
	{ "ioctl", call_ioctl, 3, true },
	{ "buffer", call_buffer, 20, true },
	{ "import", call_import, 30, true },
	{ "importer", call_importer, 16, true },
	{ "attribute", call_attribute, 20, true },
	{ "pinning", call_pinning, 24, false },
	{ "unbind", call_unbind, 6, false },
	{ "bind", call_bind, 6, false },

	{ "map", call_map, 40, true },
	{ "map_anywhere", call_map_anywhere, 8, true },
	{ "unmap", call_unmap, 6, true },
	{ "touch", call_touch, 30, true },
	{ "fork", call_fork, 4, true },
	{ "advise", call_advise, 10, true },
	{ "protect", call_protect, 6, true },
	{ "move", call_move, 6, true },
	{ "vmsplice", call_vmsplice, 10, true },
	{ "copy_memory", call_copy_memory, 10, true },
};

const unsigned int call_kinds_count = sizeof(call_kinds) / sizeof(call_kinds[0]);
