// SPDX-License-Identifier: MIT
#include <string.h>

#include "wakeup.h"

/*
 * What was passed on before is seen by who takes the hint. After it comes the look at the
 * sleeper's waiting word.
 */
void ivshmem_hint_write(struct ivshmem_slot *slot, unsigned int hint)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&slot->hints[hint], 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/*
 * The first hint from @from on that is there, taken away; SLOT_HINTS: there is none. A
 * hint that is written while it is taken may be taken with it: what it is for is there by then,
 * since the writer's first fence comes before the one here.
 */
unsigned int ivshmem_hint_take(struct ivshmem_slot *slot, unsigned int from)
{
	const uint64_t *words = (const uint64_t *)(const void *)slot->hints;

	while (from < SLOT_HINTS) {
		if (!__atomic_load_n(&words[from / 8], __ATOMIC_RELAXED)) {
			from = (from | 7) + 1;
			continue;
		}
		if (__atomic_load_n(&slot->hints[from], __ATOMIC_ACQUIRE)) {
			__atomic_store_n(&slot->hints[from], 0, __ATOMIC_RELAXED);
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			return from;
		}
		from++;
	}
	return SLOT_HINTS;
}
