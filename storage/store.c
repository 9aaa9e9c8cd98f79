/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c: index, entries and blobs, carved from one piece of memory in this order: struct store,
 * slots, entries, arena. A find touches one slot line, the entry's line and the key.
 */
#include "storage/store.h"

#include <errno.h>

#include "replication/slot.h"

#define BLOB_BYTES_MAX (KEY_BYTES_MAX + VALUE_BYTES_MAX)
#define BLOB_UNIT      16u
#define CLASSES_MAX    40u
#define LINE_BYTES     64u

__extension__ typedef unsigned __int128 u128;

/* One place of the index. entry is the entry's number + 1, so that zeroed memory is empty. */
struct store_slot {
	uint32_t tag;
	uint32_t entry;
};

struct store {
	struct store_slot *slots;
	struct entry *entries;
	uint64_t slot_mask;
	uint64_t hash_key[3];
	uint32_t keys;
	uint32_t keys_end;
	uint32_t keys_max;
	uint32_t free_entry; /* number + 1 of a removed entry, its hash the next; 0: none */
	uint16_t shard_count;
	uint8_t *arena;
	uint64_t arena_bytes;
	uint64_t arena_used; /* carved so far; freed blobs stay carved */
	uint64_t blob_used;
	uint8_t *free_list[CLASSES_MAX]; /* linked through the blobs' first bytes */
	uint16_t class_bytes[CLASSES_MAX];
	uint32_t class_count;
	uint8_t class_of[BLOB_BYTES_MAX / BLOB_UNIT + 1]; /* smallest class holding i units */
};

_Static_assert(BLOB_BYTES_MAX % BLOB_UNIT == 0, "the largest class is exact");
_Static_assert(sizeof(uint8_t *) <= BLOB_UNIT, "a free blob holds its link");

static uint64_t slot_count(const struct store_config *config)
{
	uint64_t n = 8;

	while (n < (uint64_t)config->keys_max * 2)
		n *= 2;
	return n;
}

static uint64_t arena_bytes(const struct store_config *config)
{
	return round_up(config->blob_bytes, LINE_BYTES);
}

uint64_t store_size(const struct store_config *config)
{
	return round_up(sizeof(struct store), LINE_BYTES) +
	       slot_count(config) * sizeof(struct store_slot) +
	       (uint64_t)config->keys_max * sizeof(struct entry) + arena_bytes(config);
}

/* init_classes: steps of 16 to 128, then of an eighth: no blob wastes more than that. */
static void init_classes(struct store *s)
{
	uint32_t bytes = BLOB_UNIT, class = 0, unit = 0;

	for (;;) {
		must(class < CLASSES_MAX);
		s->class_bytes[class] = (uint16_t)bytes;
		for (; unit * BLOB_UNIT <= bytes; unit++)
			s->class_of[unit] = (uint8_t) class;
		class ++;
		if (bytes == BLOB_BYTES_MAX)
			break;
		bytes = bytes < 128 ? bytes + BLOB_UNIT
				    : (uint32_t)round_up(bytes + bytes / 8, BLOB_UNIT);
		bytes = bytes < BLOB_BYTES_MAX ? bytes : BLOB_BYTES_MAX;
	}
	s->class_count = class;
}

static uint64_t key_from(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

struct store *store_init(void *mem, const struct store_config *config)
{
	struct store *s = mem;
	uint8_t *p = mem;
	uint64_t seed = config->seed;

	must((uintptr_t)mem % LINE_BYTES == 0);
	must(config->keys_max >= 1 && config->keys_max <= 1u << 31);
	memset(s, 0, sizeof(*s));
	p += round_up(sizeof(*s), LINE_BYTES);
	s->slots = (struct store_slot *)p;
	s->slot_mask = slot_count(config) - 1;
	memset(p, 0, slot_count(config) * sizeof(struct store_slot));
	p += slot_count(config) * sizeof(struct store_slot);
	s->entries = (struct entry *)p;
	s->keys_max = config->keys_max;
	s->shard_count = config->shard_count ? config->shard_count : 1;
	p += (uint64_t)config->keys_max * sizeof(struct entry);
	s->arena = p;
	s->arena_bytes = arena_bytes(config);
	for (uint32_t i = 0; i < ARRAY_LEN(s->hash_key); i++)
		s->hash_key[i] = key_from(&seed);
	init_classes(s);
	return s;
}

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	u128 product = (u128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/*
 * Sixteen bytes per multiplication. Both factors are masked with secrets made from the seed: with
 * public constants a caller could choose words that make a factor zero and so meet in one bucket.
 */
uint64_t store_hash(const struct store *s, const uint8_t *key, uint32_t key_bytes)
{
	uint64_t h = s->hash_key[0] ^ key_bytes;
	uint64_t a = 0, b = 0;
	uint32_t n = key_bytes;

	for (; n > 16; n -= 16, key += 16)
		h = mix(load_u64(key) ^ s->hash_key[1], load_u64(key + 8) ^ h);
	if (n >= 8) {
		a = load_u64(key);
		b = load_u64(key + n - 8);
	} else if (n >= 4) {
		a = load_u32(key);
		b = load_u32(key + n - 4);
	} else if (n > 0) {
		a = (uint64_t)key[0] << 16 | (uint64_t)key[n / 2] << 8 | key[n - 1];
	}
	h = mix(a ^ s->hash_key[1], b ^ h);
	return mix(h ^ s->hash_key[2], s->hash_key[0]);
}

void store_prefetch(const struct store *s, uint64_t hash)
{
	__builtin_prefetch(&s->slots[hash & s->slot_mask]);
}

static inline bool key_equal(const uint8_t *a, const uint8_t *b, uint32_t n)
{
	if (n < 8)
		return memcmp(a, b, n) == 0;
	for (uint32_t i = 0; i + 8 < n; i += 8) {
		if (load_u64(a + i) != load_u64(b + i))
			return false;
	}
	return load_u64(a + n - 8) == load_u64(b + n - 8);
}

/* probe: the slot of key, or the empty slot where it would go. Half of the slots are empty. */
static inline struct store_slot *probe(const struct store *s, uint64_t hash, const uint8_t *key,
				       uint32_t key_bytes)
{
	uint32_t tag = (uint32_t)(hash >> 32);

	for (uint64_t i = hash & s->slot_mask;; i = (i + 1) & s->slot_mask) {
		struct store_slot *slot = &s->slots[i];
		const struct entry *e;

		if (slot->entry == 0)
			return slot;
		if (slot->tag != tag)
			continue;
		e = &s->entries[slot->entry - 1];
		if (e->key_bytes == key_bytes && key_equal(e->blob, key, key_bytes))
			return slot;
	}
}

struct entry *store_find(const struct store *s, uint64_t hash, const uint8_t *key,
			 uint32_t key_bytes)
{
	const struct store_slot *slot = probe(s, hash, key, key_bytes);

	return slot->entry == 0 ? NULL : &s->entries[slot->entry - 1];
}

static uint32_t class_for(const struct store *s, uint32_t bytes)
{
	must_dbg(bytes <= BLOB_BYTES_MAX);
	return s->class_of[(bytes + BLOB_UNIT - 1) / BLOB_UNIT];
}

static uint8_t **link_of(uint8_t *blob)
{
	return (uint8_t **)(void *)blob;
}

static uint8_t *take_free(struct store *s, uint32_t class)
{
	uint8_t *blob = s->free_list[class];

	s->free_list[class] = *link_of(blob);
	return blob;
}

static void put_free(struct store *s, uint8_t *blob, uint32_t class)
{
	*link_of(blob) = s->free_list[class];
	s->free_list[class] = blob;
}

/* blob_take: a blob of at least class, of less than class_end. NULL when there is none. */
static uint8_t *blob_take(struct store *s, uint32_t class, uint32_t class_end,
			  uint16_t *ret_capacity)
{
	uint32_t bytes = s->class_bytes[class];
	uint8_t *blob;

	if (s->free_list[class] != NULL) {
		blob = take_free(s, class);
	} else if (s->arena_bytes - s->arena_used >= bytes) {
		blob = s->arena + s->arena_used;
		s->arena_used += bytes;
	} else {
		do {
			if (++class >= class_end)
				return NULL;
		} while (s->free_list[class] == NULL);
		blob = take_free(s, class);
	}
	*ret_capacity = s->class_bytes[class];
	s->blob_used += *ret_capacity;
	return blob;
}

static void blob_give(struct store *s, uint8_t *blob, uint16_t capacity)
{
	put_free(s, blob, class_for(s, capacity));
	s->blob_used -= capacity;
}

/* blob_split: keeps the first class of the blob, frees the rest in the largest pieces that fit. */
static void blob_split(struct store *s, struct entry *e, uint32_t class)
{
	uint32_t keep = s->class_bytes[class];
	uint32_t rest = e->blob_capacity - keep;
	uint8_t *p = e->blob + keep;

	s->blob_used -= rest;
	while (rest > 0) {
		uint32_t c = class_for(s, rest);

		if (s->class_bytes[c] > rest)
			c--;
		put_free(s, p, c);
		p += s->class_bytes[c];
		rest -= s->class_bytes[c];
	}
	e->blob_capacity = (uint16_t)keep;
}

/* entry_take: an unused place for an entry; there is one. */
static struct entry *entry_take(struct store *s)
{
	struct entry *e;

	s->keys++;
	if (s->free_entry == 0)
		return &s->entries[s->keys_end++];
	e = &s->entries[s->free_entry - 1];
	s->free_entry = (uint32_t)e->hash;
	return e;
}

struct entry *store_insert(struct store *s, uint64_t hash, const uint8_t *key, uint32_t key_bytes,
			   uint32_t value_bytes)
{
	struct store_slot *slot = probe(s, hash, key, key_bytes);
	struct entry *e;
	uint16_t capacity;
	uint8_t *blob;

	must(key_bytes >= 1 && key_bytes <= KEY_BYTES_MAX && value_bytes <= VALUE_BYTES_MAX);
	if (slot->entry != 0)
		return &s->entries[slot->entry - 1];
	if (s->keys == s->keys_max)
		return NULL;
	blob = blob_take(s, class_for(s, key_bytes + value_bytes), s->class_count, &capacity);
	if (blob == NULL)
		return NULL;
	memcpy(blob, key, key_bytes);
	e = entry_take(s);
	*e = (struct entry) { .blob = blob,
			      .hash = hash,
			      .key_bytes = (uint16_t)key_bytes,
			      .blob_capacity = capacity,
			      .op = OP_NONE,
			      .wait = OP_NONE };
	*slot = (struct store_slot) { .tag = (uint32_t)(hash >> 32),
				      .entry = (uint32_t)(e - s->entries) + 1 };
	return e;
}

static void blob_move(struct store *s, struct entry *e, uint8_t *blob, uint16_t capacity)
{
	memcpy(blob, e->blob, (size_t)e->key_bytes + e->value_bytes);
	blob_give(s, e->blob, e->blob_capacity);
	e->blob = blob;
	e->blob_capacity = capacity;
}

bool store_reserve(struct store *s, struct entry *e, uint32_t value_bytes)
{
	uint32_t bytes = e->key_bytes + value_bytes;
	uint16_t capacity;
	uint8_t *blob;

	must(value_bytes <= VALUE_BYTES_MAX);
	if (bytes <= e->blob_capacity)
		return true;
	blob = blob_take(s, class_for(s, bytes), s->class_count, &capacity);
	if (blob == NULL)
		return false;
	blob_move(s, e, blob, capacity);
	return true;
}

void store_fit(struct store *s, struct entry *e)
{
	uint32_t wanted = class_for(s, (uint32_t)e->key_bytes + e->value_bytes);
	uint32_t held = class_for(s, e->blob_capacity);
	uint16_t capacity;
	uint8_t *blob;

	if (wanted >= held)
		return;
	/*
	 * Moving keeps the large blob whole for the next large value. Only when no blob of about
	 * the right size is left is it cut up: a full store must get room back from a delete.
	 */
	blob = blob_take(s, wanted, held < wanted + 4 ? held : wanted + 4, &capacity);
	if (blob == NULL)
		blob_split(s, e, wanted);
	else
		blob_move(s, e, blob, capacity);
}

/*
 * slot_clear: empties place i of the index. Whatever stands behind it in the same run, and would no
 * longer be found past the gap, moves into it.
 */
static void slot_clear(struct store *s, uint64_t i)
{
	const uint64_t mask = s->slot_mask;

	for (uint64_t j = (i + 1) & mask; s->slots[j].entry != 0; j = (j + 1) & mask) {
		uint64_t home = s->entries[s->slots[j].entry - 1].hash & mask;

		if (((j - home) & mask) < ((j - i) & mask) || mutant(48))
			continue;
		s->slots[i] = s->slots[j];
		i = j;
	}
	s->slots[i] = (struct store_slot) { 0 };
}

static void remove_entry(struct store *s, struct entry *e)
{
	uint32_t number = (uint32_t)(e - s->entries) + 1;
	uint64_t i = e->hash & s->slot_mask;

	must(e->blob != NULL);
	while (s->slots[i].entry != number)
		i = (i + 1) & s->slot_mask;
	slot_clear(s, i);
	blob_give(s, e->blob, e->blob_capacity);
	*e = (struct entry) { .hash = s->free_entry };
	s->free_entry = number;
	s->keys--;
}

void store_remove(struct store *s, struct entry *e)
{
	must(e->op == OP_NONE && e->wait == OP_NONE);
	remove_entry(s, e);
}

static bool of_shard(const struct store *s, const struct entry *e, uint16_t shard)
{
	return e->blob != NULL && slot_shard_of_key(e->blob, e->key_bytes, s->shard_count) == shard;
}

uint32_t store_drop_shard(struct store *s, uint16_t shard)
{
	uint32_t before = s->keys;

	for (uint32_t i = 0; i < s->keys_end; i++) {
		struct entry *e = &s->entries[i];

		if (of_shard(s, e, shard) || (mutant(79) && e->blob != NULL))
			remove_entry(s, e);
	}
	return before - s->keys;
}

static bool same_update(const struct entry *e, const struct record *r)
{
	return e->value_bytes == r->value_bytes && e->flags == r->flags &&
	       memcmp(entry_value(e), r->value, r->value_bytes) == 0;
}

int store_merge(struct store *s, const struct record *r, uint8_t state, struct entry **ret_entry)
{
	uint64_t hash = store_hash(s, r->key, r->key_bytes);
	struct entry *e = store_find(s, hash, r->key, r->key_bytes);
	struct op_ts held = e == NULL ? (struct op_ts) { 0 } : entry_ts(e);
	int order = op_ts_compare(r->ts, held);

	must_dbg(r->kind == RECORD_UPDATE);
	if (mutant(43))
		order = 1;
	if (order < 0)
		return 0;
	if (order == 0)
		return e == NULL || same_update(e, r) ? 0 : -EBADMSG;
	if (e == NULL)
		e = store_insert(s, hash, r->key, r->key_bytes, r->value_bytes);
	if (e == NULL || !store_reserve(s, e, r->value_bytes))
		return -ENOSPC;
	if (r->value_bytes != 0)
		memcpy(e->blob + e->key_bytes, r->value, r->value_bytes);
	e->value_bytes = r->value_bytes;
	e->version = r->ts.version;
	e->writer = r->ts.writer;
	e->flags = r->flags;
	e->state = state;
	e->persist_seq = 0;
	e->base = mutant(77) ? 0 : r->base;
	e->origin = 0;
	e->acks = 0;
	e->view = 0;
	if (r->flags & ENTRY_TOMBSTONE)
		store_fit(s, e);
	*ret_entry = e;
	return 1;
}

struct store_usage store_usage(const struct store *s)
{
	return (struct store_usage) { .keys = s->keys,
				      .keys_end = s->keys_end,
				      .keys_max = s->keys_max,
				      .blob_used = s->blob_used,
				      .blob_bytes = s->arena_bytes };
}

struct entry *store_entry(struct store *s, uint32_t index)
{
	must(index < s->keys_end);
	return s->entries[index].blob == NULL ? NULL : &s->entries[index];
}

uint32_t store_walk(struct store *s, uint16_t shard, uint64_t above, uint32_t *cursor,
		    struct entry **out, uint32_t max)
{
	uint32_t from = *cursor, count = 0, i;
	uint32_t end = s->keys_end;

	if (from < end && end - from > STORE_WALK_LOOKS)
		end = from + STORE_WALK_LOOKS;
	for (i = from; i < end && count < max; i++) {
		if (of_shard(s, &s->entries[i], shard) &&
		    (above == 0 || s->entries[i].version > above))
			out[count++] = &s->entries[i];
	}
	*cursor = i < s->keys_end ? i : STORE_END;
	return count;
}
