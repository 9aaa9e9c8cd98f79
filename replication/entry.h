/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.h: what one replica knows about one key. The store (storage/) owns the memory and finds
 * entries by key; the protocol (hermes.c) owns every field below "protocol". One cache line.
 *
 * A key that has no entry is a key that is Valid and absent (CC-13), at timestamp {0, 0}; its next
 * update gets a version above replica_floor(). A delete leaves a tombstone, which may be removed
 * when no frame from before it can arrive any more (replica_can_collect).
 */
#ifndef CAIRN_REPLICATION_ENTRY_H
#define CAIRN_REPLICATION_ENTRY_H

#include "replication/types.h"

#define OP_NONE UINT32_MAX

/* Flags of the stored update. They travel in INV and in log records. */
#define ENTRY_RMW 0x01u	      /* installed by a read-modify-write; a replay needs to know (3.6) */
#define ENTRY_TOMBSTONE 0x02u /* the update is a delete */

struct entry {
	/* store */
	uint8_t *blob;		/* key, then value; the store allocates and moves it */
	uint64_t hash;		/* of the key */
	uint16_t key_bytes;	/* 1..KEY_BYTES_MAX */
	uint16_t value_bytes;	/* 0..VALUE_BYTES_MAX; 0 when a tombstone */
	uint16_t blob_capacity; /* bytes blob can hold, >= key_bytes + value_bytes */

	/* protocol: hermes.c alone writes these (recovery installs them through store_merge) */
	uint8_t state; /* enum hermes_state; only hermes_move() and recovery write it */
	uint8_t flags; /* ENTRY_* */
	uint32_t writer;
	uint32_t op; /* index of the op this node runs on the key, or OP_NONE */
	uint64_t version;
	uint64_t persist_seq; /* log sequence of its newest record; 0: recovered, durable */
	uint32_t wait;	      /* last op waiting for the key, its `next` the first; or OP_NONE */
	uint32_t base;	      /* writer of the version the update was made from; 0: unknown */
	uint32_t origin;      /* where the session table keeps the update's outcome, or 0 */
	uint32_t acks : 8;    /* O3: replicas known to hold exactly this ts durably, in `view` */
	uint32_t view : 24;   /* count of views installed when acks began, or it became Valid */
};

_Static_assert(sizeof(struct entry) == 64, "one cache line");

static inline struct op_ts entry_ts(const struct entry *e)
{
	return (struct op_ts){ e->version, e->writer };
}

static inline const uint8_t *entry_value(const struct entry *e)
{
	return e->blob + e->key_bytes;
}

/* entry_base: the version the update was made from; {0, 0}: unknown, or none (docs/protocol.md). */
static inline struct op_ts entry_base(const struct entry *e)
{
	uint64_t step = e->flags & ENTRY_RMW ? 1 : 2;

	if (e->base == 0 || e->version <= step)
		return (struct op_ts){ 0, 0 };
	return (struct op_ts){ e->version - step, e->base };
}

/*
 * entry_is_unbased: an RMW of a key that its coordinator had no entry of, its tombstone forgotten:
 * the version says nothing about the one before (docs/protocol.md, Tombstones).
 */
static inline bool entry_is_unbased(uint8_t flags, uint64_t version, uint32_t base)
{
	return (flags & ENTRY_RMW) && base == 0 && version > 1;
}

/* entry_exists: the key holds a value (it was written, and not by a delete). */
static inline bool entry_exists(const struct entry *e)
{
	return e->version != 0 && !(e->flags & ENTRY_TOMBSTONE);
}

#endif
