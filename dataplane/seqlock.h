/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seqlock.h: one writer hands readers in other threads or processes a whole value, and never waits
 * for them. The value lies in atomic words; a reader that met a write in progress gets false and
 * looks again later. C11 atomics only, nothing that only x86 orders.
 */
#ifndef CAIRN_DATAPLANE_SEQLOCK_H
#define CAIRN_DATAPLANE_SEQLOCK_H

#include <stdatomic.h>

#include "replication/base.h"

#define SEQLOCK_WORDS(type) ((sizeof(type) + 7) / 8)

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "words are shared between processes");

/* seqlock_version: even; changes with every write, 0 before the first. */
static inline uint32_t seqlock_version(const _Atomic uint32_t *seq)
{
	return atomic_load_explicit(seq, memory_order_acquire);
}

/* seqlock_write: only ever one writer. */
static inline void seqlock_write(_Atomic uint32_t *seq, _Atomic uint64_t *words, const void *value,
				 size_t bytes)
{
	uint32_t before = atomic_load_explicit(seq, memory_order_relaxed);

	atomic_store_explicit(seq, before + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (size_t at = 0; at < bytes; at += 8) {
		uint64_t word = 0;

		memcpy(&word, (const uint8_t *)value + at, bytes - at < 8 ? bytes - at : 8);
		atomic_store_explicit(&words[at / 8], word, memory_order_relaxed);
	}
	atomic_store_explicit(seq, before + 2, memory_order_release);
}

/* seqlock_read: false: a write came between, *ret_value is of no use; *ret_version on true. */
static inline bool seqlock_read(const _Atomic uint32_t *seq, const _Atomic uint64_t *words,
				void *ret_value, size_t bytes, uint32_t *ret_version)
{
	uint32_t before = atomic_load_explicit(seq, memory_order_acquire);

	for (size_t at = 0; at < bytes; at += 8) {
		uint64_t word = atomic_load_explicit(&words[at / 8], memory_order_relaxed);

		memcpy((uint8_t *)ret_value + at, &word, bytes - at < 8 ? bytes - at : 8);
	}
	atomic_thread_fence(memory_order_acquire);
	if (before % 2 != 0 || atomic_load_explicit(seq, memory_order_relaxed) != before)
		return false;
	*ret_version = before;
	return true;
}

#endif
