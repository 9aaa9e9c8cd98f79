/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h: the keys and values of one worker, in memory sized at start. An index finds an entry by
 * key; a pool of blobs in size classes holds key and value. The protocol changes entries in place;
 * the store only finds, makes and removes them and moves their blobs: an entry stays where it is
 * until it is removed. One thread owns a store. No system calls, no allocation after store_init.
 *
 * The shards of a worker share its store; the key says which shard an entry is of (slot.h).
 *
 * Limit: a freed blob serves its own class, or a smaller one once the memory is used up; freed
 * neighbours are not joined. A full store that changes to larger values may refuse them early.
 */
#ifndef CAIRN_STORAGE_STORE_H
#define CAIRN_STORAGE_STORE_H

#include "storage/record.h"

struct store;

struct store_config {
	uint32_t keys_max;   /* entries, tombstones included; 1..2^31 */
	uint64_t blob_bytes; /* memory for keys and values */
	uint64_t seed;	     /* keys the hash, so that nobody can aim at one bucket */
	uint16_t shard_count; /* of the cluster; 0 means 1 */
};

#define STORE_END UINT32_MAX
#define STORE_WALK_LOOKS 1024u /* places one store_walk looks at, at most */

struct store_usage {
	uint32_t keys;		/* entries in use, tombstones included */
	uint32_t keys_end;	/* behind the highest index ever in use: for store_entry */
	uint32_t keys_max;
	uint64_t blob_used;	/* bytes handed out, rounded up to their class */
	uint64_t blob_bytes;
};

/* store_size: bytes store_init needs. store_init: mem (64-byte aligned) stays the caller's. */
uint64_t store_size(const struct store_config *config);
struct store *store_init(void *mem, const struct store_config *config);

/* store_hash: the hash of a key under this store's seed; pass it to find and insert. */
uint64_t store_hash(const struct store *s, const uint8_t *key, uint32_t key_bytes);

/* store_prefetch: touch what store_find(hash) will read, a burst ahead of it. */
void store_prefetch(const struct store *s, uint64_t hash);

/* store_find: the entry of key, or NULL. */
struct entry *store_find(const struct store *s, uint64_t hash, const uint8_t *key,
			 uint32_t key_bytes);

/*
 * store_insert: the entry of key, made if missing (timestamp {0,0}, state 0 = Valid, absent, room
 * for value_bytes). NULL when entries or blobs have run out; then nothing has changed.
 */
struct entry *store_insert(struct store *s, uint64_t hash, const uint8_t *key, uint32_t key_bytes,
			   uint32_t value_bytes);

/*
 * store_reserve: makes the blob hold a value of value_bytes, moving it if it must; the current
 * value stays. false: no room, nothing has changed.
 */
bool store_reserve(struct store *s, struct entry *e, uint32_t value_bytes);

/* store_fit: gives back what a blob larger than needed holds (after a delete). May move it. */
void store_fit(struct store *s, struct entry *e);

/* store_remove: the key has no entry any more. No op may run on it or wait for it (a must). */
void store_remove(struct store *s, struct entry *e);

/*
 * store_drop_shard: removes all entries of a shard, ops or not; looks at every entry of the store.
 * Returns how many there were.
 */
uint32_t store_drop_shard(struct store *s, uint16_t shard);

/*
 * store_merge: recovery. Installs the update (kind UPDATE) if its ts is newer than the entry's
 * (max-timestamp merge, 3.11). Installed entries get the given state (Invalid: nothing is known to
 * be validated). Returns 1: installed, *ret_entry says where; 0: what is there is as new; -ENOSPC:
 * the store is too small for the log. A record with the entry's ts but another value is a broken
 * promise (CC-21): -EBADMSG.
 */
int store_merge(struct store *s, const struct record *r, uint8_t state, struct entry **ret_entry);

struct store_usage store_usage(const struct store *s);

/*
 * store_entry: the entry at an index, 0 <= index < store_usage().keys_end; NULL where there is none
 * (removed). For sweeps, checks and digests: an index stays an entry's own until it is removed, and
 * is used again then.
 */
struct entry *store_entry(struct store *s, uint32_t index);

/*
 * store_walk: entries of a shard at index >= *cursor, in order, at most max, into out; returns how
 * many. above: only those with a higher version; 0: all. *cursor moves behind the last place looked
 * at, to STORE_END when that was the last. It looks at a bounded number of places, so it may
 * return less than max, even 0, before the end. An entry that stays is met exactly once by a walk
 * from 0 to the end; one made meanwhile perhaps not.
 */
uint32_t store_walk(struct store *s, uint16_t shard, uint64_t above, uint32_t *cursor,
		    struct entry **out, uint32_t max);

#endif
