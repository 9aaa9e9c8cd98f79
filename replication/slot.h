/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.h: from key to shard. 16384 hash slots by CRC16/XMODEM of the key, or of the part inside the
 * first {...} when that is not empty, exactly as the Redis Cluster specification defines them, so
 * that its clients can route later. Slots map to shards in equal contiguous ranges.
 */
#ifndef CAIRN_REPLICATION_SLOT_H
#define CAIRN_REPLICATION_SLOT_H

#include "replication/types.h"

/* slot_of_key: 0..SLOT_COUNT-1. */
uint16_t slot_of_key(const uint8_t *key, uint32_t key_bytes);

/* slot_shard: the shard that owns a slot, 0..shard_count-1. */
static inline uint16_t slot_shard(uint16_t slot, uint16_t shard_count)
{
	return (uint16_t)((uint32_t)slot * shard_count / SLOT_COUNT);
}

/* slot_shard_of_key: both in one; free of hashing when there is one shard. */
static inline uint16_t slot_shard_of_key(const uint8_t *key, uint32_t key_bytes,
					 uint16_t shard_count)
{
	return shard_count == 1 ? 0 : slot_shard(slot_of_key(key, key_bytes), shard_count);
}

#endif
