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
	struct store_config config = { keys_max, blob_bytes, seed };
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

static void insert_gives_a_fresh_entry(void **state)
{
	struct store *s = make(4, 4096, 1);
	struct entry *e = insert(s, "k", 1, 100);

	(void)state;
	assert_int_equal((uintptr_t)e % 64, 0);
	assert_true(e->version == 0 && e->writer == 0 && e->state == 0 && e->flags == 0);
	assert_true(e->op == OP_NONE && e->wait_first == OP_NONE && e->wait_last == OP_NONE);
	assert_true(e->value_bytes == 0 && e->key_bytes == 1 && e->blob_capacity >= 101);
	assert_ptr_equal(insert(s, "k", 1, 5), e);
	assert_null(find(s, "l", 1));
	assert_int_equal(store_usage(s).keys, 1);
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
			    .flags = flags };

	return store_merge(s, &r, 1);
}

static void merge_order(void **state)
{
	struct record other = { .key = (const uint8_t *)"l", .key_bytes = 1, .ts = { 1, 1 } };
	struct store *s = make(1, 4096, 3);
	struct entry *e;

	(void)state;
	assert_int_equal(merge(s, "five", 5, 1, 0), 0);
	e = find(s, "k", 1);
	assert_true(e->version == 5 && e->writer == 1 && e->state == 1);
	assert_int_equal(merge(s, "four", 4, 9, 0), 0);
	assert_memory_equal(e->blob, "kfive", 5);
	assert_int_equal(merge(s, "five again", 5, 2, ENTRY_RMW), 0);
	assert_memory_equal(entry_value(e), "five again", 10);
	assert_int_equal(merge(s, "five again", 5, 2, ENTRY_RMW), 0);
	assert_int_equal(merge(s, "five other", 5, 2, ENTRY_RMW), -EBADMSG);
	assert_int_equal(merge(s, "five again", 5, 2, 0), -EBADMSG);
	assert_int_equal(merge(s, "five again", 5, 1, 0), 0);
	assert_memory_equal(entry_value(e), "five again", 10);
	assert_int_equal(merge(s, "", 6, 0, ENTRY_TOMBSTONE), 0);
	assert_true(!entry_exists(e) && e->value_bytes == 0 && e->version == 6);
	assert_int_equal(store_merge(s, &other, 1), -ENOSPC);
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
		cmocka_unit_test(out_of_entries),
		cmocka_unit_test(out_of_blobs_and_back),
		cmocka_unit_test(reserve_and_fit_keep_the_value),
		cmocka_unit_test(merge_order),
		cmocka_unit_test(hash_spreads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
