/* SPDX-License-Identifier: Apache-2.0 */
/* Raft messages as bytes: what docs/wire.md says, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "replication/raft_wire.h"

#define ROOM (RAFT_HEAD_BYTES + RAFT_PAYLOAD_MAX)

static uint8_t bytes_of(uint8_t *out, const struct raft_message *m)
{
	raft_message_encode(out, m);
	return (uint8_t)raft_message_bytes(m);
}

static enum wire_verdict verdict(const uint8_t *frame, uint32_t bytes)
{
	struct raft_message m;
	uint32_t offset = 0;

	return raft_message_decode(frame, bytes, &offset, &m);
}

static const struct raft_message append = {
	.type = RAFT_APPEND,
	.flags = 0,
	.term = 0x01020304,
	.index = 0x1112131415161718,
	.log_term = 0x21222324,
	.commit = 0x3132333435363738,
	.id = 0x4142434445464748,
	.entry = { .index = 0x1112131415161719,
		   .term = 0x51525354,
		   .kind = RAFT_ENTRY_DATA,
		   .bytes = 5,
		   .data = (const uint8_t *)"hello" },
};

/* Byte for byte, as the table in raft_wire.h has it. */
static void layout(void **state)
{
	static const uint8_t expected[RAFT_HEAD_BYTES + 5] = {
		5,    0,    5,	  0,	0x04, 0x03, 0x02, 0x01, /* type flags bytes term */
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, /* index */
		0x24, 0x23, 0x22, 0x21, 0x54, 0x53, 0x52, 0x51, /* log term, entry term */
		0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31, /* commit */
		0x48, 0x47, 0x46, 0x45, 0x44, 0x43, 0x42, 0x41, /* id */
		1,    0,    1,	  0,	0,    0,    0,	  0,	/* kind flags there */
		'h',  'e',  'l',  'l',	'o',
	};
	uint8_t out[ROOM];

	(void)state;
	assert_int_equal(bytes_of(out, &append), sizeof(expected));
	assert_memory_equal(out, expected, sizeof(expected));
}

static void round_trip(void **state)
{
	struct raft_message snapshot = { .type = RAFT_SNAPSHOT,
					 .term = 7,
					 .index = 9,
					 .log_term = 6,
					 .payload = (const uint8_t *)"conf+state",
					 .payload_bytes = 10 };
	struct raft_message vote = { .type = RAFT_VOTE,
				     .flags = RAFT_TRANSFER,
				     .term = 8,
				     .index = 4,
				     .log_term = 3,
				     .id = 77 };
	struct raft_message stripped = append, m;
	uint8_t frame[2 * ROOM];
	uint32_t bytes, offset = 0;

	(void)state;
	stripped.entry.flags = RAFT_STRIPPED;
	stripped.entry.bytes = 0;
	bytes = bytes_of(frame, &append);
	bytes += bytes_of(frame + bytes, &snapshot);
	bytes += bytes_of(frame + bytes, &vote);
	bytes += bytes_of(frame + bytes, &stripped);

	assert_int_equal(raft_message_decode(frame, bytes, &offset, &m), WIRE_OK);
	assert_int_equal(m.index, append.index);
	assert_int_equal(m.commit, append.commit);
	assert_int_equal(m.entry.index, append.index + 1);
	assert_int_equal(m.entry.term, append.entry.term);
	assert_int_equal(m.entry.kind, RAFT_ENTRY_DATA);
	assert_int_equal(m.entry.bytes, 5);
	assert_memory_equal(m.entry.data, "hello", 5);
	assert_int_equal(m.payload_bytes, 0);

	assert_int_equal(raft_message_decode(frame, bytes, &offset, &m), WIRE_OK);
	assert_int_equal(m.type, RAFT_SNAPSHOT);
	assert_int_equal(m.entry.index, 0);
	assert_int_equal(m.payload_bytes, 10);
	assert_memory_equal(m.payload, "conf+state", 10);

	assert_int_equal(raft_message_decode(frame, bytes, &offset, &m), WIRE_OK);
	assert_int_equal(m.flags, RAFT_TRANSFER);
	assert_int_equal(m.term, 8);
	assert_int_equal(m.log_term, 3);
	assert_int_equal(m.id, 77);

	assert_int_equal(raft_message_decode(frame, bytes, &offset, &m), WIRE_OK);
	assert_int_equal(m.entry.flags, RAFT_STRIPPED);
	assert_int_equal(m.entry.bytes, 0);
	assert_int_equal(offset, bytes);
	assert_int_equal(raft_message_decode(frame, bytes, &offset, &m), WIRE_SHORT);
}

/* The largest entry and the largest payload fit one frame; nothing larger is taken. */
static void largest(void **state)
{
	static uint8_t data[RAFT_PAYLOAD_MAX + 1];
	struct raft_message m = append;
	uint8_t frame[ROOM + 1];

	(void)state;
	m.entry.data = data;
	m.entry.bytes = RAFT_ENTRY_BYTES_MAX;
	assert_true(WIRE_HEADER_BYTES + raft_message_bytes(&m) <= FRAME_PAYLOAD_MAX);
	raft_message_encode(frame, &m);
	assert_int_equal(verdict(frame, raft_message_bytes(&m)), WIRE_OK);
	store_u16(frame + 2, RAFT_PAYLOAD_MAX + 1);
	assert_int_equal(verdict(frame, sizeof(frame)), WIRE_BAD_LENGTH);
	m.entry.bytes = RAFT_ENTRY_BYTES_MAX + 1;
	expect_assert_failure(raft_message_encode(frame, &m));
}

/* One byte changed, the verdict; and neither offset nor message are touched. */
static void refused(void **state)
{
	static const struct {
		uint8_t at, value;
		enum wire_verdict verdict;
	} cases[] = {
		{ 0, 0, WIRE_BAD_KIND },   { 0, 14, WIRE_BAD_KIND },
		{ 0, 31, WIRE_BAD_KIND },  { 0, 64, WIRE_BAD_KIND },
		{ 0, 255, WIRE_BAD_KIND }, { 0, RAFT_SNAPSHOT, WIRE_BAD_FIELD },
		{ 2, 6, WIRE_SHORT },	   { 15, 0xff, WIRE_BAD_FIELD },
		{ 40, 3, WIRE_BAD_FIELD }, { 40, RAFT_ENTRY_CONF, WIRE_BAD_LENGTH },
		{ 41, 2, WIRE_BAD_FIELD }, { 41, RAFT_STRIPPED, WIRE_BAD_FIELD },
		{ 42, 0, WIRE_BAD_FIELD }, { 42, 2, WIRE_BAD_FIELD },
		{ 43, 1, WIRE_BAD_FIELD }, { 47, 1, WIRE_BAD_FIELD },
	};
	uint8_t frame[ROOM];

	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t bytes = bytes_of(frame, &append), offset = 0;
		struct raft_message m = { .id = 99 };

		frame[cases[i].at] = cases[i].value;
		assert_int_equal(raft_message_decode(frame, bytes, &offset, &m), cases[i].verdict);
		assert_int_equal(offset, 0);
		assert_int_equal(m.id, 99);
	}
	for (uint32_t bytes = 0; bytes < raft_message_bytes(&append); bytes++) {
		bytes_of(frame, &append);
		assert_int_equal(verdict(frame, bytes), WIRE_SHORT);
	}
}

/* Bytes behind a head that is not known to carry any. */
static void stray_payload(void **state)
{
	struct raft_message m = { .type = RAFT_HEARTBEAT,
				  .term = 1,
				  .payload = (const uint8_t *)"x",
				  .payload_bytes = 1 };
	uint8_t frame[ROOM];

	(void)state;
	assert_int_equal(verdict(frame, bytes_of(frame, &m)), WIRE_BAD_LENGTH);
	m.type = RAFT_TYPE_USER + 5;
	assert_int_equal(verdict(frame, bytes_of(frame, &m)), WIRE_OK);
}

/* Any bytes at all: a verdict, nothing read beyond the end. */
static void noise(void **state)
{
	uint64_t z = 1;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t bytes = i % 97;
		uint8_t *frame = malloc(bytes + 1);

		assert_non_null(frame);
		for (uint32_t k = 0; k < bytes; k++) {
			z = z * 6364136223846793005ull + 1442695040888963407ull;
			frame[k] = z >> 62 ? (uint8_t)(z >> 33) % 3 : (uint8_t)(z >> 40);
		}
		verdict(frame, bytes);
		free(frame);
	}
}

static void conf(void **state)
{
	static const struct {
		uint8_t in[RAFT_CONF_BYTES];
		bool valid;
	} cases[] = {
		{ { 0x07, 0, 0, 0 }, true },	   { { 0x1f, 0x07, 0, 0 }, true },
		{ { 0x03, 0, 0x04, 0 }, true },	   { { 0x07, 0, 0, 0x04 }, true },
		{ { 0x03, 0x07, 0x04, 0 }, true }, /* a voter becomes a learner */
		{ { 0x03, 0x07, 0, 0x04 }, true }, /* a witness leaves */
		{ { 0, 0, 0, 0 }, false },	   { { 0, 0x07, 0, 0 }, false },
		{ { 0x80, 0, 0, 0 }, false },	   { { 0x07, 0x80, 0, 0 }, false },
		{ { 0x07, 0, 0x80, 0 }, false },   { { 0x07, 0, 0x04, 0 }, false },
		{ { 0x07, 0, 0, 0x08 }, false },   { { 0x03, 0, 0, 0x03 }, false },
	};

	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct raft_conf c = { 9, 9, 9, 9 };
		uint8_t out[RAFT_CONF_BYTES];

		assert_int_equal(raft_conf_decode(cases[i].in, &c), cases[i].valid);
		assert_true(cases[i].valid || c.voters == 9);
		if (!cases[i].valid)
			continue;
		raft_conf_encode(out, &c);
		assert_memory_equal(out, cases[i].in, RAFT_CONF_BYTES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout),	 cmocka_unit_test(round_trip),
		cmocka_unit_test(largest),	 cmocka_unit_test(refused),
		cmocka_unit_test(stray_payload), cmocka_unit_test(noise),
		cmocka_unit_test(conf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
