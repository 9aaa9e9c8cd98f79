/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h: the keys and values of one worker, in memory sized at start. An index finds an entry by
 * key; a pool of blobs in size classes holds key and value. The protocol changes entries in place;
 * the store only finds, makes and moves them. One thread owns a store. No system calls, no
 * allocation after store_init.
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
};

struct store_usage {
	uint32_t keys;		/* entries in use, tombstones included */
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

/*
 * store_merge: recovery. Installs the update if its ts is newer than the entry's (max-timestamp
 * merge, 3.11). Installed entries get the given state (Invalid: nothing is known to be validated).
 * Returns 0, or -ENOSPC when the store is too small for the log. A record with the entry's ts but
 * another value is a broken promise (CC-21): -EBADMSG.
 */
int store_merge(struct store *s, const struct record *r, uint8_t state);

struct store_usage store_usage(const struct store *s);

/* store_entry: the i-th entry, 0 <= i < store_usage().keys: for sweeps, checks and digests. */
struct entry *store_entry(struct store *s, uint32_t index);

#endif
