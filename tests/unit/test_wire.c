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
		.ts = { 7, 0x01000005 }, .id = 99, .key = (const uint8_t *)"key",
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

	(void)state;
	assert_int_equal(n, 32 + 32 + 8 + 32);
	assert_int_equal(load_u16(p), 0x4e43);
	assert_int_equal(p[2], 1);
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
	assert_int_equal(load_u64(p + 56), 99);
	assert_memory_equal(p + 64, "keyvalue", 8);
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
	assert_memory_equal(m.value, "value", 5);
	assert_int_equal(wire_message_decode(p, n, h.kind, &offset, &m), WIRE_OK);
	assert_int_equal(m.id, 100);
	assert_int_equal(offset, n);
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

static void bodies_are_checked(void **state)
{
	static uint8_t key[KEY_BYTES_MAX];
	struct wire_message m = { .type = WIRE_GET, .key_bytes = 4, .key = key };

	(void)state;
	assert_int_equal(decode_one(&m, WIRE_REQUEST, 0), WIRE_OK);
	for (uint32_t cut = 1; cut < 36; cut++)
		assert_int_equal(decode_one(&m, WIRE_REQUEST, cut), WIRE_SHORT);
	assert_int_equal(decode_one(&m, WIRE_PEER, 0), WIRE_BAD_KIND);
	m.key_bytes = 0;
	assert_int_equal(decode_one(&m, WIRE_REQUEST, 0), WIRE_BAD_LENGTH);
	m.key_bytes = 4;
	m.flags = 1;
	assert_int_equal(decode_one(&m, WIRE_REQUEST, 0), WIRE_BAD_FIELD);
	m.flags = 0;
	m.status = 1;
	assert_int_equal(decode_one(&m, WIRE_REQUEST, 0), WIRE_BAD_FIELD);
	m.status = 0;
	m.type = 0;
	assert_int_equal(decode_one(&m, WIRE_REQUEST, 0), WIRE_BAD_KIND);
	m.type = 200;
	assert_int_equal(decode_one(&m, WIRE_REQUEST, 0), WIRE_BAD_KIND);
	m = (struct wire_message){ .type = WIRE_INV, .flags = WIRE_TOMBSTONE, .key_bytes = 1,
				   .value_bytes = 1, .key = key, .value = key };
	assert_int_equal(decode_one(&m, WIRE_PEER, 0), WIRE_BAD_FIELD);
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
		cmocka_unit_test(damage_is_refused),	cmocka_unit_test(bodies_are_checked),
		cmocka_unit_test(slots),		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
