/* SPDX-License-Identifier: Apache-2.0 */
/* test_store.c: the store against a naive model; full stores; merge order. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "replication/slot.h"
#include "storage/store.h"

#define MODEL_KEYS 100000u

static uint64_t random_state = 1;

static uint64_t random_next(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static struct store *make(uint32_t keys_max, uint64_t blob_bytes, uint64_t seed)
{
	struct store_config config = { keys_max, blob_bytes, seed, 1 };
	void *mem = aligned_alloc(64, round_up(store_size(&config), 64));

	assert_non_null(mem);
	return store_init(mem, &config);
}

static struct entry *find(struct store *s, const void *key, uint32_t n)
{
	return store_find(s, store_hash(s, key, n), key, n);
}

static struct entry *insert(struct store *s, const void *key, uint32_t n, uint32_t value_bytes)
{
	return store_insert(s, store_hash(s, key, n), key, n, value_bytes);
}

/* Key i of the model: 8 to 47 bytes, made from i alone. */
static uint32_t model_key(uint32_t i, uint8_t *key)
{
	uint32_t n = 8 + i % 40;

	memset(key, (int)(i % 251), n);
	memcpy(key + n - 4, &i, 4);
	return n;
}

static void against_a_model(void **state)
{
	struct store *s = make(MODEL_KEYS, 256u << 20, 7);
	uint32_t *length = calloc(MODEL_KEYS, sizeof(*length));
	uint8_t *fill = calloc(MODEL_KEYS, 1), key[64], expected[VALUE_BYTES_MAX];

	(void)state;
	for (uint32_t round = 0; round < 3 * MODEL_KEYS; round++) {
		uint32_t i = (uint32_t)(random_next() % MODEL_KEYS);
		uint32_t n = model_key(i, key);
		uint32_t value_bytes = (uint32_t)(random_next() % (VALUE_BYTES_MAX + 1));
		struct entry *e = find(s, key, n);

		assert_true((e == NULL) == (length[i] == 0));
		e = insert(s, key, n, value_bytes);
		assert_non_null(e);
		assert_true(store_reserve(s, e, value_bytes));
		e->value_bytes = (uint16_t)value_bytes;
		memset(e->blob + e->key_bytes, (int)(fill[i] = (uint8_t)round), value_bytes);
		length[i] = value_bytes + 1;
		if (round % 5 == 0)
			store_fit(s, e);
	}
	for (uint32_t i = 0; i < MODEL_KEYS; i++) {
		uint32_t n = model_key(i, key);
		struct entry *e = find(s, key, n);

		assert_true((e == NULL) == (length[i] == 0));
		if (e == NULL)
			continue;
		assert_int_equal(e->value_bytes, length[i] - 1);
		assert_memory_equal(e->blob, key, n);
		memset(expected, fill[i], sizeof(expected));
		assert_memory_equal(entry_value(e), expected, e->value_bytes);
	}
	free(length);
	free(fill);
	free(s);
}

/*
 * Removing: a crowded index, keys that come and go; every key that is there is found, every one
 * that is not is not, entries stay in their places and these are used again.
 */
static void removal_against_a_model(void **state)
{
	enum { KEYS = 2000, ROOM = 1000 };
	static struct entry *at[KEYS];
	struct store *s = make(ROOM, 4u << 20, 11);
	uint32_t held = 0;
	uint8_t key[64];

	(void)state;
	memset(at, 0, sizeof(at));
	for (uint32_t round = 0; round < 60000; round++) {
		uint32_t i = (uint32_t)(random_next() % KEYS);
		uint32_t n = model_key(i, key);

		assert_ptr_equal(find(s, key, n), at[i]);
		if (at[i]) {
			assert_memory_equal(at[i]->blob, key, n);
			store_remove(s, at[i]);
			at[i] = NULL;
			held--;
		} else {
			at[i] = insert(s, key, n, (uint32_t)(random_next() % 500));
			assert_true((at[i] == NULL) == (held == ROOM));
			held += at[i] != NULL;
		}
		assert_int_equal(store_usage(s).keys, held);
		if (round % 1000 != 0)
			continue;
		for (uint32_t k = 0; k < KEYS; k++) {
			n = model_key(k, key);
			assert_ptr_equal(find(s, key, n), at[k]);
		}
	}
	assert_true(store_usage(s).keys_end <= ROOM);
	for (uint32_t k = 0; k < KEYS; k++) {
		if (at[k])
			store_remove(s, at[k]);
	}
	assert_int_equal(store_usage(s).keys, 0);
	assert_true(store_usage(s).blob_used == 0);
	for (uint32_t i = 0; i < store_usage(s).keys_end; i++)
		assert_null(store_entry(s, i));
	free(s);
}

static void removal_wants_a_quiet_entry(void **state)
{
	struct store *s = make(4, 4096, 1);
	struct entry *e = insert(s, "k", 1, 0);

	(void)state;
	e->op = 3;
	expect_assert_failure(store_remove(s, e));
	e->op = OP_NONE;
	e->wait = 3;
	expect_assert_failure(store_remove(s, e));
	e->wait = OP_NONE;
	store_remove(s, e);
	assert_null(find(s, "k", 1));
	assert_null(store_entry(s, 0));
	assert_ptr_equal(insert(s, "l", 1, 0), e);
	assert_int_equal(store_usage(s).keys_end, 1);
	free(s);
}

#define SHARDS 5u
#define WALKED 4000u

static uint32_t shard_key(uint32_t i, uint8_t *key)
{
	return (uint32_t)snprintf((char *)key, 16, "walk%u", i);
}

/* walk_all: every entry of the shard, in order; looks[] counts per entry. Returns how many. */
static uint32_t walk_all(struct store *s, uint16_t shard, uint8_t *looks, uint32_t chunk)
{
	struct entry *out[8], *last = NULL;
	uint32_t cursor = 0, count = 0, n;

	while (cursor != STORE_END) {
		uint32_t before = cursor;

		n = store_walk(s, shard, 0, &cursor, out, chunk);
		assert_true(n <= chunk && cursor > before);
		assert_true(cursor == STORE_END || cursor - before <= STORE_WALK_LOOKS);
		for (uint32_t i = 0; i < n; i++) {
			assert_true(last == NULL || out[i] > last);
			last = out[i];
			assert_int_equal(slot_shard_of_key(last->blob, last->key_bytes, SHARDS),
					 shard);
			looks[last - store_entry(s, 0)]++;
		}
		count += n;
	}
	return count;
}

static void walk_and_drop_by_shard(void **state)
{
	struct store_config config = { WALKED, 1 << 20, 5, SHARDS };
	void *mem = aligned_alloc(64, round_up(store_size(&config), 64));
	struct store *s = store_init(mem, &config);
	static uint8_t looks[WALKED];
	uint32_t count[SHARDS], total = 0, n;
	uint8_t key[16];

	(void)state;
	for (uint32_t i = 0; i < WALKED; i++) {
		n = shard_key(i, key);
		assert_non_null(insert(s, key, n, 0));
	}
	for (uint32_t i = 1; i < WALKED; i += 7) {
		n = shard_key(i, key);
		store_remove(s, find(s, key, n));
	}
	memset(looks, 0, sizeof(looks));
	for (uint16_t shard = 0; shard < SHARDS; shard++)
		total += count[shard] = walk_all(s, shard, looks, 1 + shard);
	assert_int_equal(total, store_usage(s).keys);
	for (uint32_t i = 0; i < WALKED; i++)
		assert_int_equal(looks[i], i % 7 != 1);
	assert_int_equal(store_drop_shard(s, 2), count[2]);
	assert_int_equal(store_drop_shard(s, 2), 0);
	assert_int_equal(walk_all(s, 2, looks, 8), 0);
	assert_int_equal(store_usage(s).keys, total - count[2]);
	for (uint32_t i = 0; i < WALKED; i++) {
		n = shard_key(i, key);
		assert_true((find(s, key, n) != NULL) ==
			    (i % 7 != 1 && slot_shard_of_key(key, n, SHARDS) != 2));
	}
	free(mem);
}

/* A cursor from a peer may be anything. */
static void walk_from_anywhere(void **state)
{
	struct store *s = make(4, 4096, 1);
	struct entry *out[8], *a = insert(s, "a", 1, 0), *b = insert(s, "b", 1, 0);
	uint32_t cursor = 0;

	(void)state;
	assert_int_equal(store_walk(s, 0, 0, &cursor, out, 1), 1);
	assert_true(out[0] == a && cursor == 1);
	assert_int_equal(store_walk(s, 0, 0, &cursor, out, 8), 1);
	assert_true(out[0] == b && cursor == STORE_END);
	for (uint32_t shift = 1; shift < 32; shift++) {
		cursor = 1u << shift;
		assert_int_equal(store_walk(s, 0, 0, &cursor, out, 8), 0);
		assert_true(cursor == STORE_END);
	}
	free(s);
}

static void insert_gives_a_fresh_entry(void **state)
{
	struct store *s = make(4, 4096, 1);
	struct entry *e = insert(s, "k", 1, 100);

	(void)state;
	assert_int_equal((uintptr_t)e % 64, 0);
	assert_true(e->version == 0 && e->writer == 0 && e->state == 0 && e->flags == 0);
	assert_true(e->op == OP_NONE && e->wait == OP_NONE);
	assert_true(e->base == 0 && e->origin == 0 && e->acks == 0 && e->view == 0);
	assert_true(e->value_bytes == 0 && e->key_bytes == 1 && e->blob_capacity >= 101);
	assert_ptr_equal(insert(s, "k", 1, 5), e);
	assert_null(find(s, "l", 1));
	assert_int_equal(store_usage(s).keys, 1);
	assert_int_equal(store_usage(s).keys_end, 1);
	assert_ptr_equal(store_entry(s, 0), e);
	free(s);
}

static void out_of_entries(void **state)
{
	struct store *s = make(100, 1 << 20, 3);
	char key[16];

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_non_null(insert(s, key, (uint32_t)snprintf(key, 16, "%d", i), 10));
	assert_null(insert(s, "x", 1, 10));
	assert_int_equal(store_usage(s).keys, 100);
	for (int i = 0; i < 100; i++)
		assert_non_null(find(s, key, (uint32_t)snprintf(key, 16, "%d", i)));
	free(s);
}

/* A store full of large values takes new ones again after deletes, and keeps count exactly. */
static void out_of_blobs_and_back(void **state)
{
	struct store *s = make(100000, 256 << 10, 3);
	struct store_usage before;
	uint64_t held = 0;
	char key[16];
	int n = 0;

	(void)state;
	while (insert(s, key, (uint32_t)snprintf(key, 16, "big%d", n), 800) != NULL) {
		struct entry *e = store_entry(s, (uint32_t)n++);

		memset(e->blob + e->key_bytes, 7, 800);
		e->value_bytes = 800;
	}
	assert_true(n > 250);
	while (insert(s, key, (uint32_t)snprintf(key, 16, "small%d", n), 0) != NULL)
		n++;
	before = store_usage(s);
	assert_true(before.blob_used <= before.blob_bytes);
	assert_true(before.blob_bytes - before.blob_used < 16);
	for (uint32_t i = 0; i < 250; i++) {
		store_entry(s, i)->value_bytes = 0;
		store_fit(s, store_entry(s, i));
		assert_in_range(store_entry(s, i)->blob_capacity, 16, 64);
	}
	for (uint32_t i = 0; i < store_usage(s).keys; i++)
		held += store_entry(s, i)->blob_capacity;
	assert_int_equal(store_usage(s).blob_used, held);
	for (int i = 0; i < 250; i++)
		assert_non_null(insert(s, key, (uint32_t)snprintf(key, 16, "new%d", i), 700));
	assert_memory_equal(store_entry(s, 3)->blob, "big3", 4);
	free(s);
}

static void reserve_and_fit_keep_the_value(void **state)
{
	struct store *s = make(10, 64 << 10, 3);
	struct entry *e = insert(s, "key", 3, 8);
	uint8_t *old;

	(void)state;
	memcpy(e->blob + 3, "12345678", 8);
	e->value_bytes = 8;
	assert_true(store_reserve(s, e, VALUE_BYTES_MAX));
	assert_memory_equal(e->blob, "key12345678", 11);
	old = e->blob;
	store_fit(s, e);
	assert_memory_equal(e->blob, "key12345678", 11);
	assert_int_equal(e->blob_capacity, 16);
	assert_true(store_reserve(s, e, VALUE_BYTES_MAX));
	assert_ptr_equal(e->blob, old); /* the freed one is used again */
	free(s);
}

static int merge(struct store *s, const char *value, uint64_t version, uint32_t writer,
		 uint8_t flags)
{
	struct record r = { .key = (const uint8_t *)"k",
			    .key_bytes = 1,
			    .value = (const uint8_t *)value,
			    .value_bytes = (uint16_t)strlen(value),
			    .ts = { version, writer },
			    .base = (uint32_t)version * 16,
			    .flags = flags };
	struct entry *e = NULL;
	int rc = store_merge(s, &r, 1, &e);

	if (rc == 1)
		assert_ptr_equal(e, find(s, "k", 1));
	else
		assert_null(e);
	return rc;
}

static void merge_order(void **state)
{
	struct record other = { .key = (const uint8_t *)"l", .key_bytes = 1, .ts = { 1, 1 } };
	struct store *s = make(1, 4096, 3);
	struct entry *e, *none = NULL;
	bool by_lot = op_ts_compare((struct op_ts) { 5, 2 }, (struct op_ts) { 5, 1 }) > 0;
	uint32_t low = by_lot ? 1 : 2, high = by_lot ? 2 : 1;

	(void)state;
	assert_int_equal(merge(s, "five", 5, low, 0), 1);
	e = find(s, "k", 1);
	assert_true(e->version == 5 && e->writer == low && e->state == 1 && e->base == 80);
	assert_int_equal(merge(s, "four", 4, 9, 0), 0);
	assert_memory_equal(e->blob, "kfive", 5);
	e->origin = 3;
	assert_int_equal(merge(s, "five again", 5, high, ENTRY_RMW), 1);
	assert_memory_equal(entry_value(e), "five again", 10);
	assert_int_equal(e->origin, 0);
	assert_int_equal(merge(s, "five again", 5, high, ENTRY_RMW), 0);
	assert_int_equal(merge(s, "five other", 5, high, ENTRY_RMW), -EBADMSG);
	assert_int_equal(merge(s, "five again", 5, high, 0), -EBADMSG);
	assert_int_equal(merge(s, "five again", 5, low, 0), 0);
	assert_memory_equal(entry_value(e), "five again", 10);
	assert_int_equal(merge(s, "", 6, 0, ENTRY_TOMBSTONE), 1);
	assert_true(!entry_exists(e) && e->value_bytes == 0 && e->version == 6 && e->base == 96);
	assert_int_equal(store_merge(s, &other, 1, &none), -ENOSPC);
	assert_null(none);
	free(s);
}

/* Keys that differ in few bits must spread: no probe run gets long. */
static void hash_spreads(void **state)
{
	struct store *s = make(1, 64, 99), *t = make(1, 64, 100);
	static uint32_t buckets[4096];
	uint8_t key[24] = { 0 };
	uint32_t most = 0;

	(void)state;
	for (uint32_t i = 0; i < 4096 * 16; i++) {
		memcpy(key + 5, &i, 4);
		most = (uint32_t)max_u64(most, ++buckets[store_hash(s, key, 24) % 4096]);
	}
	assert_in_range(most, 17, 48);
	assert_true(store_hash(s, key, 24) != store_hash(t, key, 24));
	assert_true(store_hash(s, key, 23) != store_hash(s, key, 24));
	for (uint32_t n = 1; n < 24; n++) {
		for (uint32_t bit = 0; bit < n * 8; bit++) {
			uint64_t h = store_hash(s, key, n);

			key[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_true(h != store_hash(s, key, n));
			key[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
	free(s);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(insert_gives_a_fresh_entry),
		cmocka_unit_test(against_a_model),
		cmocka_unit_test(removal_against_a_model),
		cmocka_unit_test(removal_wants_a_quiet_entry),
		cmocka_unit_test(walk_and_drop_by_shard),
		cmocka_unit_test(walk_from_anywhere),
		cmocka_unit_test(out_of_entries),
		cmocka_unit_test(out_of_blobs_and_back),
		cmocka_unit_test(reserve_and_fit_keep_the_value),
		cmocka_unit_test(merge_order),
		cmocka_unit_test(hash_spreads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
