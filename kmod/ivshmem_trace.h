/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ivshmem

#if !defined(IVSHMEM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define IVSHMEM_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(ivshmem_ring,
	TP_PROTO(int index, u32 peer, u32 vector),
	TP_ARGS(index, peer, vector),
	TP_STRUCT__entry(
		__field(int, index)
		__field(u32, peer)
		__field(u32, vector)
	),
	TP_fast_assign(
		__entry->index = index;
		__entry->peer = peer;
		__entry->vector = vector;
	),
	TP_printk("ivshmem%d peer=%u vector=%u", __entry->index, __entry->peer, __entry->vector)
);

TRACE_EVENT(ivshmem_interrupt,
	TP_PROTO(int index, u32 vector, bool bound, u32 signalled),
	TP_ARGS(index, vector, bound, signalled),
	TP_STRUCT__entry(
		__field(int, index)
		__field(u32, vector)
		__field(bool, bound)
		__field(u32, signalled)
	),
	TP_fast_assign(
		__entry->index = index;
		__entry->vector = vector;
		__entry->bound = bound;
		__entry->signalled = signalled;
	),
	TP_printk("ivshmem%d vector=%u %s signalled=%u", __entry->index, __entry->vector,
		  __entry->bound ? "bound" : "kept", __entry->signalled)
);

#endif /* IVSHMEM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE ivshmem_trace
#include <trace/define_trace.h>
