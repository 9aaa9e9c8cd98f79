/* SPDX-License-Identifier: Apache-2.0 */
/* test_record.c: records and batch heads: round trips, layout, every truncation, every bit flip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replication/crc.h"
#include "storage/record.h"

static const uint8_t key[KEY_BYTES_MAX] = "some/key/of/ours";
static const uint8_t value[VALUE_BYTES_MAX] = "and the value that it has";

static struct record sample(uint16_t key_bytes, uint16_t value_bytes)
{
	return (struct record) { .key = key,
				 .value = value,
				 .ts = { .version = 0x1122334455667788ull, .writer = 0x02000003u },
				 .origin = { .client = 0x99aabbccddeeff01ull, .request = 77 },
				 .epoch = 9,
				 .base = 0x01000002u,
				 .key_bytes = key_bytes,
				 .value_bytes = value_bytes,
				 .shard = 5,
				 .flags = ENTRY_RMW };
}

/* other: a record of another kind, with nothing in it that the kind does not have. */
static struct record other(enum record_kind kind)
{
	struct record r = sample(kind == RECORD_RESET ? 0 : 11, 0);

	r.kind = (uint8_t)kind;
	r.base = 0;
	if (kind == RECORD_FORGET)
		r.flags = ENTRY_TOMBSTONE;
	if (kind != RECORD_NOTE)
		r.origin = (struct origin) { 0, 0 };
	if (kind == RECORD_RESET) {
		r.ts = (struct op_ts) { 0, 0 };
		r.flags = 0;
		r.key = r.value = NULL;
	}
	return r;
}

static void expect_same(const struct record *got, const struct record *r)
{
	assert_int_equal(got->kind, r->kind);
	assert_int_equal(got->key_bytes, r->key_bytes);
	assert_int_equal(got->value_bytes, r->value_bytes);
	assert_int_equal(op_ts_compare(got->ts, r->ts), 0);
	assert_true(got->origin.client == r->origin.client);
	assert_true(got->origin.request == r->origin.request);
	assert_int_equal(got->epoch, r->epoch);
	assert_int_equal(got->base, r->base);
	assert_int_equal(got->shard, r->shard);
	assert_int_equal(got->flags, r->flags);
	if (r->key_bytes != 0)
		assert_memory_equal(got->key, r->key, r->key_bytes);
	if (r->value_bytes != 0)
		assert_memory_equal(got->value, r->value, r->value_bytes);
}

static void round_trip(void **state)
{
	static const uint16_t keys[] = { 1, 2, 7, 8, 9, 16, 511, KEY_BYTES_MAX };
	static const uint16_t values[] = { 0, 1, 7, 8, 25, VALUE_BYTES_MAX - 1, VALUE_BYTES_MAX };
	uint8_t out[RECORD_BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys) * ARRAY_LEN(values); i++) {
		struct record r =
			sample(keys[i / ARRAY_LEN(values)], values[i % ARRAY_LEN(values)]);
		struct record got = { 0 };
		uint32_t offset = 0;
		uint32_t n = record_encode(out, &r);

		assert_int_equal(n, record_bytes(&r));
		assert_int_equal(n % 8, 0);
		assert_int_equal(record_decode(out, n, &offset, &got), RECORD_OK);
		assert_int_equal(offset, n);
		expect_same(&got, &r);
	}
	for (uint8_t kind = RECORD_NOTE; kind <= RECORD_FORGET; kind++) {
		struct record r = other(kind), got = { 0 };
		uint32_t offset = 0;
		uint32_t n = record_encode(out, &r);

		assert_int_equal(n, kind == RECORD_RESET ? 48 : 64);
		assert_int_equal(record_decode(out, n, &offset, &got), RECORD_OK);
		assert_int_equal(offset, n);
		expect_same(&got, &r);
	}
}

/* The table of docs/storage-format.md, byte by byte. */
static void record_layout(void **state)
{
	uint8_t out[RECORD_BYTES_MAX];
	struct record r = sample(3, 4);

	(void)state;
	assert_int_equal(record_encode(out, &r), 56);
	assert_int_equal(load_u32(out), crc32c(out + 4, 48 + 7 - 4));
	assert_int_equal(load_u16(out + 4), 3);
	assert_int_equal(load_u16(out + 6), 4);
	assert_true(load_u64(out + 8) == r.ts.version);
	assert_int_equal(load_u32(out + 16), r.ts.writer);
	assert_int_equal(load_u16(out + 20), 5);
	assert_int_equal(out[22], ENTRY_RMW);
	assert_int_equal(out[23], 0);
	assert_int_equal(load_u32(out + 24), 9);
	assert_int_equal(load_u32(out + 28), 0x01000002u);
	assert_true(load_u64(out + 32) == 0x99aabbccddeeff01ull && load_u64(out + 40) == 77);
	assert_memory_equal(out + 48, "somand \0", 8);
}

static void truncations_and_flips(void **state)
{
	uint8_t out[RECORD_BYTES_MAX];
	struct record r = sample(13, 20), got = { .shard = 77 };
	uint32_t n = record_encode(out, &r), offset;

	(void)state;
	for (uint32_t bytes = 0; bytes < n; bytes++) {
		offset = 0;
		assert_int_equal(record_decode(out, bytes, &offset, &got), RECORD_SHORT);
		assert_int_equal(offset, 0);
	}
	for (uint32_t bit = 0; bit < n * 8; bit++) {
		out[bit / 8] ^= (uint8_t)(1u << bit % 8);
		offset = 0;
		assert_int_not_equal(record_decode(out, n, &offset, &got), RECORD_OK);
		assert_int_equal(offset, 0);
		assert_int_equal(got.shard, 77);
		out[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* A faulty writer checksums nonsense just as well. */
static void fields_under_a_good_checksum(void **state)
{
	static const struct {
		uint32_t at;
		uint8_t byte;
		enum record_verdict verdict;
	} cases[] = {
		{ 4, 0, RECORD_BAD_LENGTH }, { 5, 3, RECORD_BAD_LENGTH },
		{ 7, 4, RECORD_BAD_LENGTH }, { 20, SHARDS_MAX, RECORD_BAD_FIELD },
		{ 21, 1, RECORD_BAD_FIELD }, { 22, 4, RECORD_BAD_FIELD },
		{ 23, 8, RECORD_BAD_FIELD }, { 23, 255, RECORD_BAD_FIELD },
		{ 23, RECORD_NOTE, RECORD_BAD_LENGTH }, { 23, RECORD_RESET, RECORD_BAD_LENGTH },
		{ 23, RECORD_FORGET, RECORD_BAD_LENGTH },
		{ 22, ENTRY_TOMBSTONE, RECORD_BAD_FIELD },
	};
	uint8_t out[RECORD_BYTES_MAX];
	struct record r = sample(13, 20), got;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t n = record_encode(out, &r), offset = 0;

		out[cases[i].at] = cases[i].byte;
		store_u32(out, crc32c(out + 4, 48 + 33 - 4));
		assert_int_equal(record_decode(out, n, &offset, &got), cases[i].verdict);
	}
}

/* What a kind does not use must be zero: else two readers could read one record differently. */
static void fields_of_the_other_kinds(void **state)
{
	static const struct {
		enum record_kind kind;
		uint8_t at;
		enum record_verdict verdict;
	} cases[] = {
		{ RECORD_NOTE, 6, RECORD_BAD_LENGTH },	 { RECORD_NOTE, 28, RECORD_BAD_FIELD },
		{ RECORD_FORGET, 6, RECORD_BAD_LENGTH }, { RECORD_FORGET, 28, RECORD_BAD_FIELD },
		{ RECORD_FORGET, 32, RECORD_BAD_FIELD }, { RECORD_FORGET, 40, RECORD_BAD_FIELD },
		{ RECORD_RESET, 4, RECORD_BAD_LENGTH },	 { RECORD_RESET, 9, RECORD_BAD_FIELD },
		{ RECORD_RESET, 16, RECORD_BAD_FIELD },	 { RECORD_RESET, 22, RECORD_BAD_FIELD },
		{ RECORD_RESET, 28, RECORD_BAD_FIELD },	 { RECORD_RESET, 39, RECORD_BAD_FIELD },
		{ RECORD_RESET, 47, RECORD_BAD_FIELD },
	};
	uint8_t out[RECORD_BYTES_MAX] = { 0 };
	struct record got;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct record r = other(cases[i].kind);
		uint32_t n = record_encode(out, &r), offset = 0;
		uint32_t end = 48u + r.key_bytes;

		out[cases[i].at] ^= 1;
		store_u32(out, crc32c(out + 4, end - 4));
		assert_int_equal(record_decode(out, n + 8, &offset, &got), cases[i].verdict);
	}
	struct record r = other(RECORD_FORGET); /* only deletes are forgotten, or what is void */
	uint32_t n = record_encode(out, &r), offset = 0;
	out[22] = ENTRY_RMW;
	store_u32(out, crc32c(out + 4, 48 + 11 - 4));
	assert_int_equal(record_decode(out, n, &offset, &got), RECORD_BAD_FIELD);
}

/* raft_sample: one record of each kind that Raft groups keep, with data. */
static struct raft_record raft_sample(enum raft_record_kind kind, uint16_t bytes)
{
	static uint8_t data[RAFT_ENTRY_BYTES_MAX];
	struct raft_record r = { .kind = kind };

	memset(data, 'd', sizeof(data));
	if (kind == RAFT_RECORD_HARD) {
		r.term = 9;
		r.vote = bytes % 2 ? RAFT_NODE_NONE : 3;
		return r;
	}
	r.entry = (struct raft_entry){ .index = 77, .term = 8, .bytes = bytes, .data = data };
	if (kind == RAFT_RECORD_ENTRY || kind == RAFT_RECORD_USER) {
		r.entry.kind = RAFT_ENTRY_DATA;
		r.entry.flags = bytes % 2 ? RAFT_STRIPPED : 0;
	}
	return r;
}

static void raft_round_trip(void **state)
{
	static const uint16_t sizes[] = { 0, 1, 8, 9, RAFT_ENTRY_BYTES_MAX };
	static const uint16_t shards[] = { 0, SHARDS_MAX - 1, RECORD_SHARD_VIEW };
	uint8_t out[RECORD_BYTES_MAX];

	(void)state;
	for (uint32_t i = 0; i < 4 * ARRAY_LEN(sizes) * ARRAY_LEN(shards); i++) {
		struct raft_record in = raft_sample((enum raft_record_kind)(i % 4),
						    sizes[i / 4 % ARRAY_LEN(sizes)]);
		struct raft_record back;
		struct record r, got = { 0 };
		uint32_t offset = 0, n;

		record_of_raft(&r, shards[i / 4 / ARRAY_LEN(sizes)], &in);
		n = record_encode(out, &r);
		assert_int_equal(record_decode(out, n, &offset, &got), RECORD_OK);
		assert_int_equal(offset, n);
		expect_same(&got, &r);
		assert_true(record_is_raft(&got));
		record_to_raft(&got, &back);
		assert_int_equal(back.kind, in.kind);
		assert_int_equal(back.term, in.term);
		assert_int_equal(back.vote, in.vote);
		assert_true(back.entry.index == in.entry.index);
		assert_int_equal(back.entry.term, in.entry.term);
		assert_int_equal(back.entry.kind, in.entry.kind);
		assert_int_equal(back.entry.flags, in.entry.flags);
		assert_int_equal(back.entry.bytes, in.entry.bytes);
		if (in.entry.bytes != 0)
			assert_memory_equal(back.entry.data, in.entry.data, in.entry.bytes);
	}
}

static void raft_fields(void **state)
{
	static const struct {
		enum raft_record_kind kind;
		uint8_t at, byte;
		enum record_verdict verdict;
	} cases[] = {
		{ RAFT_RECORD_ENTRY, 20, SHARDS_MAX, RECORD_BAD_FIELD },
		{ RAFT_RECORD_ENTRY, 4, 1, RECORD_BAD_LENGTH },
		{ RAFT_RECORD_ENTRY, 7, 6, RECORD_BAD_LENGTH },
		{ RAFT_RECORD_ENTRY, 8, 0, RECORD_BAD_FIELD },
		{ RAFT_RECORD_ENTRY, 15, 128, RECORD_BAD_FIELD },
		{ RAFT_RECORD_ENTRY, 16, 0, RECORD_BAD_FIELD },
		{ RAFT_RECORD_ENTRY, 22, 1, RECORD_BAD_FIELD },
		{ RAFT_RECORD_ENTRY, 24, 1, RECORD_BAD_FIELD },
		{ RAFT_RECORD_ENTRY, 28, 3, RECORD_BAD_FIELD },
		{ RAFT_RECORD_ENTRY, 29, 2, RECORD_BAD_FIELD },
		{ RAFT_RECORD_ENTRY, 32, 1, RECORD_BAD_FIELD },
		{ RAFT_RECORD_ENTRY, 47, 1, RECORD_BAD_FIELD },
		{ RAFT_RECORD_HARD, 6, 1, RECORD_BAD_LENGTH },
		{ RAFT_RECORD_HARD, 8, 1, RECORD_BAD_FIELD },
		{ RAFT_RECORD_HARD, 28, NODES_MAX, RECORD_BAD_FIELD },
		{ RAFT_RECORD_SNAPSHOT, 28, 1, RECORD_BAD_FIELD },
	};
	uint8_t out[RECORD_BYTES_MAX + 512] = { 0 };
	struct record got;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct raft_record in = raft_sample(cases[i].kind, 16);
		struct record r;
		uint32_t n, offset = 0;

		record_of_raft(&r, 5, &in);
		n = record_encode(out, &r);
		out[cases[i].at] = cases[i].byte;
		store_u32(out, crc32c(out + 4, 48u + r.value_bytes - 4));
		assert_int_equal(record_decode(out, n + 8, &offset, &got), cases[i].verdict);
	}
}

static struct batch_head sample_head(void)
{
	return (struct batch_head) { .device_id = 0xabcdef,
				     .offset = 8 * BLOCK_BYTES,
				     .seq = 9,
				     .durable_seq = 7,
				     .incarnation = 3,
				     .previous_crc = 0x12345678,
				     .body_bytes = 128,
				     .record_count = 2,
				     .body_crc = 0x9abcdef0 };
}

static void batch_head_round_trip_and_flips(void **state)
{
	struct batch_head h = sample_head(), got = { .seq = 55 };
	uint8_t out[BATCH_HEAD_BYTES];

	(void)state;
	batch_head_encode(out, &h);
	assert_memory_equal(out, "CAIRNBAT", 8);
	assert_true(load_u64(out + 8) == h.device_id && load_u64(out + 16) == h.offset);
	assert_true(load_u64(out + 24) == 9 && load_u64(out + 32) == 7);
	assert_true(load_u32(out + 40) == 3 && load_u32(out + 44) == h.previous_crc);
	assert_true(load_u32(out + 48) == 128 && load_u32(out + 52) == 2);
	assert_true(load_u32(out + 56) == h.body_crc && load_u32(out + 60) == h.crc);
	for (uint32_t bit = 0; bit < sizeof(out) * 8; bit++) {
		out[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(batch_head_decode(out, &got), RECORD_OK);
		assert_int_equal(got.seq, 55);
		out[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(batch_head_decode(out, &got), RECORD_OK);
	assert_memory_equal(&got, &h, sizeof(h));
}

static enum record_verdict decode_with(struct batch_head h)
{
	uint8_t out[BATCH_HEAD_BYTES];
	struct batch_head got;

	batch_head_encode(out, &h);
	return batch_head_decode(out, &got);
}

static void batch_head_fields(void **state)
{
	struct batch_head h;

	(void)state;
	h = sample_head(), h.seq = 0;
	assert_int_equal(decode_with(h), BATCH_BAD_FIELD);
	h = sample_head(), h.durable_seq = 9;
	assert_int_equal(decode_with(h), BATCH_BAD_FIELD);
	h = sample_head(), h.offset = 4097;
	assert_int_equal(decode_with(h), BATCH_BAD_FIELD);
	h = sample_head(), h.offset = 0;
	assert_int_equal(decode_with(h), BATCH_BAD_FIELD);
	h = sample_head(), h.body_bytes = 81;
	assert_int_equal(decode_with(h), BATCH_BAD_FIELD);
	h = sample_head(), h.body_bytes = BLOCKDEV_TRANSFER_MAX;
	assert_int_equal(decode_with(h), BATCH_BAD_FIELD);
	h = sample_head(), h.record_count = 3;
	assert_int_equal(decode_with(h), BATCH_BAD_FIELD);
	h = sample_head(), h.record_count = 0;
	assert_int_equal(decode_with(h), BATCH_BAD_FIELD);
	h = sample_head(), h.incarnation = INCARNATION_MAX + 1;
	assert_int_equal(decode_with(h), BATCH_BAD_FIELD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(record_layout),
		cmocka_unit_test(truncations_and_flips),
		cmocka_unit_test(fields_under_a_good_checksum),
		cmocka_unit_test(fields_of_the_other_kinds),
		cmocka_unit_test(raft_round_trip),
		cmocka_unit_test(raft_fields),
		cmocka_unit_test(batch_head_round_trip_and_flips),
		cmocka_unit_test(batch_head_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
