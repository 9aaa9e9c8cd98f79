/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and messages: byte layout, round trips, every truncation, every bit flip. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/slot.h"
#include "replication/wire.h"

static uint32_t build(uint8_t *p)
{
	struct wire_header h = {
		.kind = WIRE_PEER, .cluster = 0x1122334455667788ull, .epoch = 1,
		.from_incarnation = 5, .to_incarnation = 6, .from = 1, .to = 2, .shard = 3,
	};
	struct wire_message inv = {
		.type = WIRE_INV, .flags = WIRE_RMW, .key_bytes = 3, .value_bytes = 5,
		.ts = { 7, 0x01000005 }, .prior = 0x02000006, .id = 99,
		.origin = { 0x8877665544332211ull, 41 }, .key = (const uint8_t *)"key",
		.value = (const uint8_t *)"value",
	};
	struct wire_message ack = { .type = WIRE_ACK, .ts = { 9, 1 }, .id = 100 };
	uint32_t n = WIRE_HEADER_BYTES;

	wire_header_encode(p, &h);
	wire_message_encode(p + n, &inv);
	n += wire_message_bytes(&inv);
	wire_message_encode(p + n, &ack);
	n += wire_message_bytes(&ack);
	wire_seal(p, n);
	return n;
}

static void layout_is_documented(void **state)
{
	uint8_t p[FRAME_PAYLOAD_MAX];
	uint32_t n = build(p);
	struct wire_header h;

	(void)state;
	assert_int_equal(n, 32 + 32 + 16 + 8 + 32);
	assert_int_equal(load_u16(p), 0x4e43);
	assert_int_equal(p[2], 4);
	assert_int_equal(p[3], WIRE_PEER);
	assert_int_equal(load_u64(p + 8), 0x1122334455667788ull);
	assert_int_equal(load_u32(p + 16), 1);
	assert_int_equal(load_u32(p + 20), 5);
	assert_int_equal(load_u32(p + 24), 6);
	assert_int_equal(p[28], 1);
	assert_int_equal(p[29], 2);
	assert_int_equal(load_u16(p + 30), 3);
	assert_int_equal(p[32], WIRE_INV);
	assert_int_equal(p[33], WIRE_RMW);
	assert_int_equal(load_u16(p + 34), 3);
	assert_int_equal(load_u16(p + 36), 5);
	assert_int_equal(load_u64(p + 40), 7);
	assert_int_equal(load_u32(p + 48), 0x01000005);
	assert_int_equal(load_u32(p + 52), 0x02000006);
	assert_int_equal(load_u64(p + 56), 99);
	assert_int_equal(load_u64(p + 64), 0x8877665544332211ull);
	assert_int_equal(load_u64(p + 72), 41);
	assert_memory_equal(p + 80, "keyvalue", 8);
	p[2] = 3; /* the format before */
	wire_seal(p, n);
	assert_int_equal(wire_header_decode(p, n, &h), WIRE_BAD_FORMAT);
}

static void round_trip(void **state)
{
	uint8_t p[FRAME_PAYLOAD_MAX];
	uint32_t n = build(p);
	uint32_t offset = WIRE_HEADER_BYTES;
	struct wire_header h;
	struct wire_message m;

	(void)state;
	assert_int_equal(wire_header_decode(p, n, &h), WIRE_OK);
	assert_int_equal(h.from, 1);
	assert_int_equal(h.to, 2);
	assert_int_equal(h.from_incarnation, 5);
	assert_int_equal(wire_message_decode(p, n, h.kind, &offset, &m), WIRE_OK);
	assert_int_equal(m.type, WIRE_INV);
	assert_int_equal(m.prior, 0x02000006);
	assert_int_equal(m.origin.client, 0x8877665544332211ull);
	assert_int_equal(m.origin.request, 41);
	assert_memory_equal(m.key, "key", 3);
	assert_memory_equal(m.value, "value", 5);
	assert_int_equal(wire_message_decode(p, n, h.kind, &offset, &m), WIRE_OK);
	assert_int_equal(m.id, 100);
	assert_int_equal(offset, n);
}

/* Frames of Raft groups: ident instead of the epoch; the view service has a shard of its own. */
static void raft_headers(void **state)
{
	struct wire_header h = {
		.kind = WIRE_RAFT, .cluster = 7, .ident = 0x01020304, .to_ident = 0xa1a2a3a4,
		.from_incarnation = 5,
		.from = 6, .to = 0, .shard = WIRE_SHARD_VIEW,
	};
	struct wire_header out;
	uint8_t p[WIRE_HEADER_BYTES];
	uint32_t offset = 0;
	struct wire_message m;

	(void)state;
	wire_header_encode(p, &h);
	wire_seal(p, sizeof(p));
	assert_int_equal(p[3], 4);
	assert_int_equal(load_u32(p + 16), 0x01020304);
	assert_int_equal(load_u32(p + 20), 5);
	assert_int_equal(load_u32(p + 24), 0xa1a2a3a4);
	assert_int_equal(wire_header_decode(p, sizeof(p), &out), WIRE_OK);
	assert_int_equal(out.kind, WIRE_RAFT);
	assert_int_equal(out.ident, h.ident);
	assert_int_equal(out.to_ident, h.to_ident);
	assert_int_equal(out.to_incarnation, 0);
	assert_int_equal(out.from_incarnation, 5);
	assert_int_equal(out.shard, WIRE_SHARD_VIEW);
	assert_int_equal(wire_message_decode(p, sizeof(p), WIRE_RAFT, &offset, &m), WIRE_BAD_KIND);
	store_u16(p + 30, SHARDS_MAX);
	wire_seal(p, sizeof(p));
	assert_int_equal(wire_header_decode(p, sizeof(p), &out), WIRE_BAD_FIELD);
	store_u16(p + 30, WIRE_SHARD_VIEW);
	p[28] = WIRE_NODE_CLIENT;
	wire_seal(p, sizeof(p));
	assert_int_equal(wire_header_decode(p, sizeof(p), &out), WIRE_BAD_FIELD);
	p[28] = 6;
	p[3] = WIRE_PEER;
	wire_seal(p, sizeof(p));
	assert_int_equal(wire_header_decode(p, sizeof(p), &out), WIRE_BAD_FIELD);
	p[3] = WIRE_RAFT + 1;
	wire_seal(p, sizeof(p));
	assert_int_equal(wire_header_decode(p, sizeof(p), &out), WIRE_BAD_KIND);
}

/* Every truncation and every flipped bit is refused, and outputs stay untouched. */
static void damage_is_refused(void **state)
{
	uint8_t p[FRAME_PAYLOAD_MAX];
	uint32_t n = build(p);
	struct wire_header h, untouched;

	(void)state;
	memset(&untouched, 0xa5, sizeof(untouched));
	for (uint32_t cut = 0; cut < n; cut++) {
		h = untouched;
		assert_int_not_equal(wire_header_decode(p, cut, &h), WIRE_OK);
		assert_memory_equal(&h, &untouched, sizeof(h));
	}
	for (uint32_t bit = 0; bit < n * 8; bit++) {
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		h = untouched;
		assert_int_not_equal(wire_header_decode(p, n, &h), WIRE_OK);
		assert_memory_equal(&h, &untouched, sizeof(h));
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static enum wire_verdict decode_one(const struct wire_message *m, enum wire_kind kind, uint32_t cut)
{
	uint8_t p[FRAME_PAYLOAD_MAX] = { 0 };
	uint32_t offset = 0;
	struct wire_message out;

	wire_message_encode(p, m);
	return wire_message_decode(p, wire_message_bytes(m) - cut, kind, &offset, &out);
}

static uint8_t any[FRAME_PAYLOAD_MAX];

/* The table of types in docs/wire.md: what each may carry, and nothing else. */
static const struct shape {
	enum wire_type type;
	enum wire_kind kind;
	uint32_t key_min, key_max, value_min, value_max;
	uint8_t flags;
	bool prior, version; /* version: must not be 0 */
} shapes[] = {
	{ WIRE_INV, WIRE_PEER, 1, 512, 0, 848, 23, true, true },
	{ WIRE_ACK, WIRE_PEER, 0, 512, 0, 0, 0, false, false },
	{ WIRE_VAL, WIRE_PEER, 1, 512, 0, 0, 0, false, false },
	{ WIRE_HELLO, WIRE_PEER, 0, 0, 48, 48, 0, false, false },
	{ WIRE_FETCH, WIRE_PEER, 0, 0, 0, 0, 0, true, false },
	{ WIRE_COPY, WIRE_PEER, 1, 512, 0, 848, 75, true, true },
	{ WIRE_COPY_SESSION, WIRE_PEER, 0, 0, 0, 848, 0, false, false },
	{ WIRE_COPIED, WIRE_PEER, 0, 0, 16, 16, 0, false, false },
	{ WIRE_OPEN, WIRE_REQUEST, 0, 0, 32, 32, 0, false, false },
	{ WIRE_GET, WIRE_REQUEST, 1, 512, 0, 0, 0, false, false },
	{ WIRE_PUT, WIRE_REQUEST, 1, 512, 0, 848, 32, true, false },
	{ WIRE_DEL, WIRE_REQUEST, 1, 512, 0, 0, 32, true, false },
	{ WIRE_CAS, WIRE_REQUEST, 1, 512, 0, 848, 32, true, false },
	{ WIRE_INCR, WIRE_REQUEST, 1, 512, 8, 8, 32, true, false },
	{ WIRE_CASV, WIRE_REQUEST, 1, 512, 0, 848, 32, true, false },
	{ WIRE_OPENED, WIRE_REPLY, 0, 0, 32, 32, 0, false, false },
	{ WIRE_RESULT, WIRE_REPLY, 0, 0, 0, 848, 0, false, false },
};

static struct wire_message smallest(const struct shape *s)
{
	return (struct wire_message){
		.type = s->type, .key_bytes = (uint16_t)s->key_min,
		.value_bytes = (uint16_t)s->value_min, .key = any, .value = any, .ts = { 2, 1 },
	};
}

/* decode_lengths: with these lengths, also if the encoder would not take them. */
static enum wire_verdict decode_lengths(const struct shape *s, uint32_t key, uint32_t value)
{
	uint8_t p[3 * FRAME_PAYLOAD_MAX] = { 0 };
	uint32_t offset = 0;
	struct wire_message m = smallest(s), out;

	if (s->type == WIRE_CASV)
		m.ts.version = 0;
	wire_message_encode(p, &m);
	store_u16(p + 2, (uint16_t)key);
	store_u16(p + 4, (uint16_t)value);
	return wire_message_decode(p, sizeof(p), s->kind, &offset, &out);
}

static void lengths_are_checked(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(shapes); i++) {
		const struct shape *s = &shapes[i];
		uint32_t k = s->key_min, v = s->value_min;

		assert_int_equal(decode_lengths(s, s->key_min, v), WIRE_OK);
		assert_int_equal(decode_lengths(s, s->key_max, s->value_max), WIRE_OK);
		assert_int_equal(decode_lengths(s, s->key_max + 1, v), WIRE_BAD_LENGTH);
		assert_int_equal(decode_lengths(s, k, s->value_max + 1), WIRE_BAD_LENGTH);
		if (k > 0)
			assert_int_equal(decode_lengths(s, k - 1, v), WIRE_BAD_LENGTH);
		if (v > 0)
			assert_int_equal(decode_lengths(s, k, v - 1), WIRE_BAD_LENGTH);
	}
}

static void fields_are_checked(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(shapes); i++) {
		const struct shape *s = &shapes[i];
		struct wire_message m = smallest(s);

		if (s->type == WIRE_CASV)
			m.ts.version = 0;
		for (enum wire_kind kind = WIRE_PEER; kind <= WIRE_REPLY; kind++)
			assert_int_equal(decode_one(&m, kind, 0),
					 kind == s->kind ? WIRE_OK : WIRE_BAD_KIND);
		for (uint32_t cut = 1; cut <= wire_message_bytes(&m); cut++)
			assert_int_equal(decode_one(&m, s->kind, cut), WIRE_SHORT);
		for (uint32_t bit = 0; bit < 8; bit++) {
			m.flags = (uint8_t)(1u << bit);
			assert_int_equal(decode_one(&m, s->kind, 0),
					 s->flags & m.flags ? WIRE_OK : WIRE_BAD_FIELD);
		}
		m.flags = 0;
		m.prior = 1;
		assert_int_equal(decode_one(&m, s->kind, 0), s->prior ? WIRE_OK : WIRE_BAD_FIELD);
		m.prior = 0;
		m.ts.version = 0;
		assert_int_equal(decode_one(&m, s->kind, 0), s->version ? WIRE_BAD_FIELD : WIRE_OK);
	}
}

/* What shares its place: patience of requests, status and durability of replies, zero of peers. */
static void shared_places(void **state)
{
	struct wire_message m = { .type = WIRE_GET, .key_bytes = 4, .key = any,
				  .patience_ms = 0xfedc };
	struct wire_message back;
	uint8_t p[FRAME_PAYLOAD_MAX] = { 0 };
	uint32_t offset = 0;

	(void)state;
	wire_message_encode(p, &m);
	assert_int_equal(load_u16(p + 6), 0xfedc);
	assert_int_equal(wire_message_decode(p, 36, WIRE_REQUEST, &offset, &back), WIRE_OK);
	assert_int_equal(back.patience_ms, 0xfedc);
	assert_int_equal(back.status, 0);
	m = (struct wire_message){ .type = WIRE_RESULT, .status = STATUS_WAIT, .durability = 2 };
	assert_int_equal(decode_one(&m, WIRE_REPLY, 0), WIRE_OK);
	m.status = STATUS_COUNT;
	assert_int_equal(decode_one(&m, WIRE_REPLY, 0), WIRE_BAD_FIELD);
	m.status = 0;
	m.durability = 3;
	assert_int_equal(decode_one(&m, WIRE_REPLY, 0), WIRE_BAD_FIELD);
	m = (struct wire_message){ .type = WIRE_ACK, .durability = 1 };
	assert_int_equal(decode_one(&m, WIRE_PEER, 0), WIRE_BAD_FIELD);
	m = (struct wire_message){ .type = WIRE_ACK, .status = 1 };
	assert_int_equal(decode_one(&m, WIRE_PEER, 0), WIRE_BAD_FIELD);
}

static void bodies_are_checked(void **state)
{
	struct wire_message m = { .type = WIRE_INV, .flags = WIRE_TOMBSTONE, .key_bytes = 1,
				  .value_bytes = 1, .ts = { 2, 1 }, .key = any, .value = any };

	(void)state;
	assert_int_equal(decode_one(&m, WIRE_PEER, 0), WIRE_BAD_FIELD);
	m.value_bytes = 0;
	assert_int_equal(decode_one(&m, WIRE_PEER, 0), WIRE_OK);
	m = (struct wire_message){ .type = (enum wire_type)0, .key_bytes = 1, .key = any };
	assert_int_equal(decode_one(&m, WIRE_REQUEST, 0), WIRE_BAD_KIND);
	m.type = (enum wire_type)200;
	assert_int_equal(decode_one(&m, WIRE_REQUEST, 0), WIRE_BAD_KIND);
	/* The expected value of a CASV lies within its value. */
	m = (struct wire_message){ .type = WIRE_CASV, .key_bytes = 1, .key = any, .value = any,
				   .value_bytes = 5, .ts = { 5, 0 } };
	assert_int_equal(decode_one(&m, WIRE_REQUEST, 0), WIRE_OK);
	m.ts.version = 6;
	assert_int_equal(decode_one(&m, WIRE_REQUEST, 0), WIRE_BAD_FIELD);
}

/* The published examples of the Redis Cluster specification and a few by hand. */
static void slots(void **state)
{
	(void)state;
	assert_int_equal(slot_of_key((const uint8_t *)"123456789", 9), 0x31c3 & 16383);
	assert_int_equal(slot_of_key((const uint8_t *)"{user1000}.following", 20),
			 slot_of_key((const uint8_t *)"user1000", 8));
	assert_int_equal(slot_of_key((const uint8_t *)"foo{}{bar}", 10) ==
				 slot_of_key((const uint8_t *)"bar", 3),
			 0);
	assert_int_equal(slot_of_key((const uint8_t *)"foo{{bar}}zap", 13),
			 slot_of_key((const uint8_t *)"{bar", 4));
	assert_int_equal(slot_shard(0, 7), 0);
	assert_int_equal(slot_shard(SLOT_COUNT - 1, 7), 6);
}

static void names(void **state)
{
	(void)state;
	for (int i = 0; i < STATUS_COUNT; i++)
		assert_non_null(status_name((enum status)i));
	assert_string_equal(status_name((enum status)99), "INVALID");
	for (int i = 0; i < WIRE_VERDICT_COUNT; i++)
		assert_non_null(wire_verdict_name((enum wire_verdict)i));
	assert_string_equal(wire_verdict_name((enum wire_verdict)99), "invalid");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_is_documented), cmocka_unit_test(round_trip),
		cmocka_unit_test(damage_is_refused),
		cmocka_unit_test(raft_headers),	cmocka_unit_test(bodies_are_checked),
		cmocka_unit_test(lengths_are_checked),	cmocka_unit_test(fields_are_checked),
		cmocka_unit_test(shared_places),
		cmocka_unit_test(slots),		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
