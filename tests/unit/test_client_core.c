/* SPDX-License-Identifier: Apache-2.0 */
/* The client core against a scripted server made of wire.h: no sockets, no clock. */
#include "tests/unit/client_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "dataplane/client/wheel.h"
#include "replication/slot.h"

static int setup(void **state)
{
	struct rig *r = malloc(sizeof(*r));

	rig_make(r, 1024, 1, 0);
	*state = r;
	return 0;
}

static void test_open_then_put(void **state)
{
	struct rig *r = *state;
	struct client_completion done;

	assert_int_equal(submit(r, WIRE_PUT, "k", 42), STATUS_OK);
	assert_int_equal(client_core_open(r->core), 1);
	answer_open(r);
	assert_true(pull(r));
	assert_int_equal(r->header.session, 100);
	assert_int_equal(r->header.to_incarnation, 3);
	assert_int_equal(r->header.cluster, CLUSTER); /* learned */
	assert_int_equal(r->count, 1);
	assert_int_equal(r->seen[0].id, 1);
	assert_int_equal(r->seen[0].ts.version, 0);
	assert_memory_equal(r->seen[0].key, "k", 1);
	assert_memory_equal(r->seen[0].value, "value", 5);
	assert_false(pull(r));
	expect_none(r);
	answer(r, 100, 1, STATUS_OK);
	done = expect(r, 42, STATUS_OK);
	assert_int_equal(done.ts.version, 18);
	assert_int_equal(done.durability, DURABILITY_ALL);
	assert_int_equal(client_core_open(r->core), 0);
	assert_int_equal(client_core_deadline_ns(r->core) < r->now_ns, 0);
}

static void test_fields_of_each_type(void **state)
{
	struct rig *r = *state;
	struct wire_header h;
	struct wire_message m;
	uint8_t number[8];
	struct client_completion done;

	submit(r, WIRE_GET, "get", 1);
	submit(r, WIRE_CAS, "cas", 2);
	submit(r, WIRE_INCR, "incr", 3);
	submit(r, WIRE_DEL, "del", 4);
	submit(r, WIRE_CASV, "casv", 5);
	answer_open(r);
	assert_true(pull(r));
	assert_int_equal(r->count, 5);
	assert_int_equal(r->seen[4].ts.version, 3);
	assert_int_equal(r->seen[4].value_bytes, 8);
	assert_memory_equal(r->seen[4].value, "oldvalue", 8);
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(r->seen[i].prior, 0);
		assert_int_equal(r->seen[i].patience_ms, 1);
	}
	assert_int_equal(r->seen[0].value_bytes, 0);
	assert_int_equal(r->seen[1].ts.version, 9);
	assert_int_equal(r->seen[1].ts.writer, 1);
	assert_int_equal((int64_t)load_u64(r->seen[2].value), -4);
	assert_int_equal(r->seen[3].value_bytes, 0);
	h = reply_header(r, 100);
	m = (struct wire_message){ .type = WIRE_RESULT, .id = 1, .value = (const uint8_t *)"abc",
				   .value_bytes = 3 };
	push(r, &h, &m);
	done = expect(r, 1, STATUS_OK);
	assert_int_equal(done.value_bytes, 3);
	assert_memory_equal(done.value, "abc", 3);
	store_u64(number, (uint64_t)-11);
	m = (struct wire_message){ .type = WIRE_RESULT, .id = 3, .value = number,
				   .value_bytes = 7 };
	push(r, &h, &m); /* no number */
	m.id = 2;
	push(r, &h, &m); /* a CAS has no value */
	assert_int_equal(counters(r)->drop_result, 2);
	m.id = 3;
	m.value_bytes = 8;
	push(r, &h, &m);
	done = expect(r, 3, STATUS_OK);
	assert_int_equal(done.number, -11);
	assert_int_equal(done.value_bytes, 0);
	answer(r, 100, 2, STATUS_CONFLICT);
	expect(r, 2, STATUS_CONFLICT);
	answer(r, 100, 4, STATUS_NOT_FOUND);
	expect(r, 4, STATUS_NOT_FOUND);
	answer(r, 100, 5, STATUS_CONFLICT);
	expect(r, 5, STATUS_CONFLICT);
	submit(r, WIRE_GET, "get", 6);
	assert_true(pull(r));
	answer(r, 100, 6, STATUS_UNKNOWN); /* a read cannot have these */
	answer(r, 100, 6, STATUS_WAIT);
	answer(r, 100, 6, STATUS_EVICTED);
	assert_int_equal(counters(r)->drop_result, 5);
	expect_none(r);
}

static void test_batching(void **state)
{
	struct rig *r = *state;
	uint32_t total = 0, datagrams = 0;
	uint8_t big[VALUE_BYTES_MAX];
	char key[KEY_BYTES_MAX];
	struct client_op op = { .type = WIRE_PUT, .key = (uint8_t *)key, .key_bytes = sizeof(key),
				.value = big, .value_bytes = sizeof(big) };

	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(submit(r, WIRE_GET, "sixteen bytes key", i), STATUS_OK);
	answer_open(r);
	while (pull(r)) {
		total += r->count;
		datagrams++;
	}
	assert_int_equal(total, 100);
	assert_int_equal(datagrams, 4); /* (1472 - 32) / (32 + 17) = 29 to a datagram */
	memset(key, 'k', sizeof(key));
	memset(big, 1, sizeof(big));
	client_core_submit(r->core, &op, r->now_ns);
	client_core_submit(r->core, &op, r->now_ns);
	assert_true(pull(r));
	assert_int_equal(r->count, 1);
	assert_int_equal(r->bytes, WIRE_HEADER_BYTES + WIRE_MESSAGE_BYTES + KEY_BYTES_MAX +
					   VALUE_BYTES_MAX);
	assert_true(pull(r));
	assert_false(pull(r));
}

static void test_submit_refuses(void **state)
{
	struct rig *r = *state;
	uint8_t big[VALUE_BYTES_MAX + 1] = { 0 };
	struct client_op op = { .type = WIRE_PUT, .key = big, .key_bytes = 0 };

	assert_int_equal(client_core_submit(r->core, &op, 0), STATUS_BAD_REQUEST);
	op.key_bytes = KEY_BYTES_MAX + 1;
	assert_int_equal(client_core_submit(r->core, &op, 0), STATUS_TOO_LARGE);
	op.key_bytes = 1;
	op.value = big;
	op.value_bytes = sizeof(big);
	assert_int_equal(client_core_submit(r->core, &op, 0), STATUS_TOO_LARGE);
	op.value_bytes = 0;
	op.server = SERVERS;
	assert_int_equal(client_core_submit(r->core, &op, 0), STATUS_BAD_REQUEST);
	op.server = 0;
	op.type = WIRE_OPEN;
	assert_int_equal(client_core_submit(r->core, &op, 0), STATUS_BAD_REQUEST);
	op.type = WIRE_CASV;
	op.compare = op.value = big;
	op.compare_bytes = VALUE_BYTES_MAX - 8;
	op.value_bytes = 9;
	assert_int_equal(client_core_submit(r->core, &op, 0), STATUS_TOO_LARGE);
	op.value_bytes = 8;
	assert_int_equal(client_core_submit(r->core, &op, 0), STATUS_OK);
	for (uint32_t i = 1; i < 1024; i++)
		assert_int_equal(submit(r, WIRE_GET, "k", i), STATUS_OK);
	assert_int_equal(submit(r, WIRE_GET, "k", 0), STATUS_BUSY);
}

static void test_open_lost_and_doubled(void **state)
{
	struct rig *r = *state;
	uint8_t value[WIRE_OPEN_BYTES];
	uint64_t nonce;
	struct wire_header h;
	struct wire_message m;

	submit(r, WIRE_GET, "k", 1);
	assert_true(pull(r));
	nonce = r->seen[0].id;
	assert_false(pull(r));
	tick(r, RETRANSMIT - 1);
	assert_false(pull(r));
	tick(r, 1);
	assert_true(pull(r));
	assert_int_equal(r->seen[0].id, nonce);
	h = reply_header(r, 0);
	m = opened(r, value, nonce + 1);
	push(r, &h, &m);
	assert_int_equal(counters(r)->drop_open, 1);
	assert_false(pull(r));
	r->shards = 2; /* not the cluster we were told of */
	m = opened(r, value, nonce);
	push(r, &h, &m);
	assert_int_equal(counters(r)->drop_shape, 1);
	r->shards = 1;
	m = opened(r, value, nonce);
	push(r, &h, &m);
	r->session = 101; /* the second OPEN made another session: we keep the first */
	m = opened(r, value, nonce);
	push(r, &h, &m);
	assert_int_equal(counters(r)->drop_open, 2);
	assert_true(pull(r));
	assert_int_equal(r->header.session, 100);
}

static void test_open_refused(void **state)
{
	struct rig *r = *state;
	uint8_t zero[WIRE_OPEN_BYTES] = { 0 };
	struct wire_header h;
	struct wire_message m;

	submit(r, WIRE_PUT, "a", 1);
	submit(r, WIRE_GET, "b", 2);
	assert_true(pull(r));
	h = reply_header(r, 0);
	m = (struct wire_message){ .type = WIRE_OPENED, .id = r->seen[0].id, .value = zero,
				   .value_bytes = WIRE_OPEN_BYTES, .status = STATUS_BUSY };
	push(r, &h, &m);
	expect(r, 1, STATUS_BUSY);
	expect(r, 2, STATUS_BUSY);
	assert_false(pull(r));
	submit(r, WIRE_PUT, "a", 3);
	answer_open(r);
	assert_true(pull(r));
}

static void test_retransmit_backs_off(void **state)
{
	struct rig *r = *state;
	uint64_t waits[] = { 1, 2, 4, 8, 16, 16, 16 };

	submit(r, WIRE_PUT, "k", 1);
	answer_open(r);
	assert_true(pull(r));
	for (uint32_t i = 0; i < ARRAY_LEN(waits); i++) {
		tick(r, waits[i] * RETRANSMIT - 1);
		assert_false(pull(r));
		assert_true(client_core_deadline_ns(r->core) <= r->now_ns + 1);
		tick(r, 1);
		assert_true(pull(r));
		assert_int_equal(r->count, 1);
		assert_int_equal(r->seen[0].id, 1);
		assert_int_equal(r->header.session, 100);
	}
	assert_int_equal(counters(r)->retransmits, ARRAY_LEN(waits));
	answer(r, 100, 1, STATUS_OK);
	expect(r, 1, STATUS_OK);
	answer(r, 100, 1, STATUS_OK);
	assert_int_equal(counters(r)->drop_unmatched, 1);
	expect_none(r);
	assert_int_equal(client_core_deadline_ns(r->core) == UINT64_MAX ||
			 client_core_deadline_ns(r->core) > r->now_ns, 1);
	tick(r, 10 * TIMEOUT);
	assert_false(pull(r));
	assert_true(client_core_deadline_ns(r->core) == UINT64_MAX);
}

static void test_replies_in_any_order(void **state)
{
	struct rig *r = *state;

	for (uint32_t i = 1; i <= 20; i++)
		submit(r, WIRE_PUT, "k", i);
	answer_open(r);
	assert_true(pull(r));
	assert_int_equal(r->count, 20);
	for (uint64_t id = 20; id >= 1; id--) {
		answer(r, 100, id, STATUS_OK);
		answer(r, 100, id, STATUS_OK);
		expect(r, id, STATUS_OK);
		expect_none(r);
	}
	assert_int_equal(counters(r)->drop_unmatched, 20);
}

/* Only (server, shard, session, request id) matches. Mutant 51 ignores the id. */
static void test_replies_of_others_ignored(void **state)
{
	struct rig *r = *state;
	struct wire_header h;
	struct wire_message m = { .type = WIRE_RESULT, .id = 1 };

	submit(r, WIRE_PUT, "k", 1);
	answer_open(r);
	assert_true(pull(r));
	h = reply_header(r, 100);
	answer(r, 100, 1 + SESSION_WINDOW, STATUS_OK);
	expect_none(r);
	assert_int_equal(counters(r)->drop_unmatched, 1);
	answer(r, 99, 1, STATUS_OK);
	answer(r, 99, 1, STATUS_NO_SESSION);
	assert_int_equal(counters(r)->drop_session, 2);
	h.from = 1; /* node 1 says it, where no session is open */
	push(r, &h, &m);
	assert_int_equal(counters(r)->drop_session, 3);
	h.from = 0;
	h.shard = 1;
	push(r, &h, &m);
	assert_int_equal(counters(r)->drop_shard, 1);
	h.shard = 0;
	h.cluster = CLUSTER + 1;
	push(r, &h, &m);
	assert_int_equal(counters(r)->drop_cluster, 1);
	expect_none(r);
	assert_int_equal(counters(r)->sessions_lost, 0);
}

/* S-UNKNOWN, without retries. Mutant 50 sends the lost update again, as a new one. */
static void test_session_lost(void **state)
{
	struct rig *r = *state;

	submit(r, WIRE_PUT, "a", 1);
	submit(r, WIRE_GET, "b", 2);
	submit(r, WIRE_INCR, "c", 3);
	answer_open(r);
	assert_true(pull(r));
	submit(r, WIRE_PUT, "d", 4); /* never sent under the old session */
	r->incarnation = 4;
	answer(r, 100, 2, STATUS_NO_SESSION);
	expect(r, 1, STATUS_UNKNOWN);
	expect(r, 3, STATUS_UNKNOWN);
	expect_none(r);
	assert_int_equal(counters(r)->outcomes_unknown, 2);
	r->session = 200;
	answer_open(r);
	assert_true(pull(r));
	assert_int_equal(r->header.session, 200);
	assert_int_equal(r->header.to_incarnation, 4);
	assert_int_equal(r->count, 2);
	assert_int_equal(r->seen[0].type, WIRE_GET); /* keeps its id */
	assert_int_equal(r->seen[0].id, 2);
	assert_int_equal(r->seen[1].type, WIRE_PUT);
	assert_memory_equal(r->seen[1].key, "d", 1);
	assert_int_equal(r->seen[1].id, 4); /* ids go on, whatever the session */
	answer(r, 100, 4, STATUS_OK); /* of the old life */
	expect_none(r);
	answer(r, 200, 4, STATUS_OK);
	expect(r, 4, STATUS_OK);
	answer(r, 200, 2, STATUS_OK);
	expect(r, 2, STATUS_OK);
	assert_false(pull(r));
}

static void test_other_incarnation_is_a_lost_session(void **state)
{
	struct rig *r = *state;

	submit(r, WIRE_DEL, "a", 1);
	answer_open(r);
	assert_true(pull(r));
	r->incarnation = 9;
	answer(r, 100, 1, STATUS_OK);
	expect(r, 1, STATUS_UNKNOWN);
	assert_int_equal(counters(r)->sessions_lost, 1);
	assert_false(pull(r)); /* nobody waits: no session is opened */
}

static void test_deadlines(void **state)
{
	struct rig *r = *state;

	submit(r, WIRE_PUT, "never sent", 1);
	tick(r, TIMEOUT - 1);
	expect_none(r);
	tick(r, 1);
	expect(r, 1, STATUS_NOT_SERVING);
	submit(r, WIRE_PUT, "sent", 2);
	submit(r, WIRE_GET, "read", 3);
	answer_open(r);
	assert_true(pull(r));
	tick(r, TIMEOUT);
	expect(r, 2, STATUS_UNKNOWN);
	expect(r, 3, STATUS_NOT_SERVING);
	assert_int_equal(counters(r)->timeouts, 3);
	answer(r, 100, 1, STATUS_OK); /* too late */
	expect_none(r);
	assert_false(pull(r));
	/* The window moved on. */
	submit(r, WIRE_PUT, "next", 4);
	assert_true(pull(r));
	assert_int_equal(r->seen[0].id, 3);
}

static void test_opening_stops_when_nobody_waits(void **state)
{
	struct rig *r = *state;
	uint32_t opens = 0;

	submit(r, WIRE_GET, "k", 1);
	for (uint32_t i = 0; i < 4 * TIMEOUT / RETRANSMIT; i++) {
		while (pull(r))
			opens++;
		tick(r, RETRANSMIT);
	}
	expect(r, 1, STATUS_NOT_SERVING);
	assert_in_range(opens, 6, 12);
	assert_true(client_core_deadline_ns(r->core) == UINT64_MAX);
}

/* The span of open ids stays below the window, whatever is answered first. */
static void test_window(void **state)
{
	struct rig *r = *state;
	uint32_t total = 0;

	r->window = 8;
	for (uint32_t i = 1; i <= 30; i++)
		submit(r, WIRE_PUT, "k", i);
	answer_open(r);
	while (pull(r))
		total += r->count;
	assert_int_equal(total, 8);
	for (uint64_t id = 2; id <= 8; id++)
		answer(r, 100, id, STATUS_OK);
	assert_false(pull(r)); /* id 1 is still open */
	answer(r, 100, 1, STATUS_OK);
	assert_true(pull(r));
	assert_int_equal(r->count, 8);
	assert_int_equal(r->seen[0].id, 9);
	assert_int_equal(r->seen[7].id, 16);
	assert_false(pull(r));
}

static void test_shards_learned(void **state)
{
	struct rig *r = *state;
	char key[16];
	uint32_t total = 0;

	free(r->mem);
	rig_make(r, 256, 0, 0);
	r->shards = 4;
	for (uint32_t i = 0; i < 64; i++) {
		snprintf(key, sizeof(key), "key-%u", i);
		submit(r, WIRE_GET, key, i);
	}
	answer_open(r); /* shard 0 tells how many there are */
	assert_int_equal(client_core_shard_count(r->core), 4);
	assert_int_equal(client_core_cluster(r->core), CLUSTER);
	for (uint32_t round = 0; round < 32 && total < 64; round++) {
		uint8_t value[WIRE_OPEN_BYTES];

		if (!pull(r))
			break;
		if (r->seen[0].type == WIRE_OPEN) {
			struct wire_header h = reply_header(r, 0);
			struct wire_message m;

			r->session++;
			m = opened(r, value, r->seen[0].id);
			push(r, &h, &m);
			continue;
		}
		for (uint32_t i = 0; i < r->count; i++)
			assert_int_equal(slot_shard_of_key(r->seen[i].key, r->seen[i].key_bytes, 4),
					 r->shard);
		total += r->count;
	}
	assert_int_equal(total, 64);
	assert_int_equal(counters(r)->sessions_opened, 4);
}

/* The example of docs/wire.md, sent by the core itself: every byte, with its checksum. */
static void test_wire_example(void **state)
{
	static const uint8_t example[] = {
		0x43, 0x4e, 0x04, 0x02, 0x21, 0x76, 0xc0, 0x29, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33,
		0x22, 0x11, 0x01, 0x00, 0xf6, 0xe5, 0xd4, 0xc3, 0xb2, 0xa1, 0x03, 0x00, 0x00, 0x00,
		0xff, 0x02, 0x01, 0x00, 0x12, 0x00, 0x05, 0x00, 0x07, 0x00, 0x88, 0x13, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x73, 0x6c, 0x61, 0x74, 0x65, 0x67,
		0x72, 0x61, 0x6e, 0x69, 0x74, 0x65,
	};
	struct client_core_config config = {
		.seed = 1, .cluster = 0x1122334455667788ull, .retransmit_ns = RETRANSMIT,
		.timeout_ns = 5000000000, .ops_max = 8, .server_count = 3, .shard_count = 2,
	};
	struct client_op op = { .type = WIRE_PUT, .server = 2, .key = (const uint8_t *)"slate",
				.key_bytes = 5, .value = (const uint8_t *)"granite",
				.value_bytes = 7 };
	struct rig *r = *state;
	uint8_t value[WIRE_OPEN_BYTES];
	struct wire_header h;
	struct wire_message m;

	free(r->mem);
	r->mem = malloc(client_core_size(&config));
	r->core = client_core_init(r->mem, &config);
	r->session = 0xa1b2c3d4e5f60001ull;
	r->shards = 2;
	assert_int_equal(slot_shard_of_key(op.key, op.key_bytes, 2), 1);
	for (uint32_t i = 0; i < 7; i++)
		client_core_submit(r->core, &op, r->now_ns);
	assert_true(pull(r));
	h = reply_header(r, 0);
	h.cluster = config.cluster;
	m = opened(r, value, r->seen[0].id);
	push(r, &h, &m);
	assert_true(pull(r)); /* the seventh message is the example's */
	assert_int_equal(r->count, 7);
	assert_memory_equal(r->payload + r->bytes - 44, example + 32, 44);
	memmove(r->payload + 32, r->payload + r->bytes - 44, 44);
	wire_seal(r->payload, sizeof(example));
	assert_memory_equal(r->payload, example, sizeof(example));
}

static void test_malformed(void **state)
{
	struct rig *r = *state;
	uint8_t frame[FRAME_PAYLOAD_MAX + 64], copy[FRAME_PAYLOAD_MAX];
	uint64_t random = 88172645463325252ull;
	struct wire_header h;
	struct wire_message m = { .type = WIRE_RESULT, .id = 1,
				  .value = (const uint8_t *)"0123456789", .value_bytes = 10 };
	uint32_t bytes;

	submit(r, WIRE_GET, "k", 1);
	answer_open(r);
	assert_true(pull(r));
	h = reply_header(r, 100);
	bytes = frame_make(frame, &h, &m);
	for (uint32_t cut = 0; cut < bytes; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1); /* so that a sanitizer sees overreads */

		memcpy(exact, frame, cut);
		client_core_input(r->core, 0, exact, cut, r->now_ns);
		if (cut >= WIRE_HEADER_BYTES) { /* and with a right checksum */
			wire_seal(exact, cut);
			if (cut > WIRE_HEADER_BYTES)
				client_core_input(r->core, 0, exact, cut, r->now_ns);
		}
		free(exact);
	}
	for (uint32_t bit = 0; bit < bytes * 8; bit++) {
		memcpy(copy, frame, bytes);
		copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		client_core_input(r->core, 0, copy, bytes, r->now_ns);
	}
	expect_none(r);
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t size = (uint32_t)(random_next(&random) % sizeof(frame));

		for (uint32_t j = 0; j < size && j < 128; j++)
			frame[j] = (uint8_t)random_next(&random);
		if (i % 2 && size >= WIRE_HEADER_BYTES && size <= FRAME_PAYLOAD_MAX) {
			wire_header_encode(frame, &h); /* random messages in a good frame */
			frame[WIRE_HEADER_BYTES] = (uint8_t)(32 + random % 2);
			wire_seal(frame, size);
		}
		client_core_input(r->core, (uint8_t)(random % 5), frame, size, r->now_ns);
	}
	expect_none(r);
	bytes = frame_make(frame, &h, &m);
	client_core_input(r->core, 0, frame, bytes, r->now_ns);
	assert_int_equal(expect(r, 1, STATUS_OK).value_bytes, 10);
}

/* A network that loses, doubles and delays, and a server that remembers: everything is answered. */
static void test_bad_network(void **state)
{
	struct rig *r = *state;
	uint64_t random = 4711;
	uint32_t finished = 0, submitted = 0;
	struct client_completion done;
	struct { uint8_t server; uint64_t id; uint8_t type; } late[64];
	uint32_t late_count = 0;

	for (uint32_t step = 0; step < 40000 && finished < 3000; step++) {
		while (submitted < 3000 && submitted - finished < 200) {
			submit(r, submitted % 2 ? WIRE_PUT : WIRE_DEL, "k", submitted);
			submitted++;
		}
		while (pull(r)) {
			for (uint32_t i = 0; i < r->count; i++) {
				uint8_t value[WIRE_OPEN_BYTES];
				struct wire_header h = reply_header(r, 100);
				struct wire_message m = opened(r, value, r->seen[i].id);

				if (random_next(&random) % 4 == 0)
					continue;
				if (r->seen[i].type == WIRE_OPEN)
					push(r, &h, &m);
				else if (random % 3 == 0 && late_count < ARRAY_LEN(late))
					late[late_count++].id = r->seen[i].id;
				else
					answer(r, 100, r->seen[i].id, STATUS_OK);
			}
		}
		if (late_count) {
			answer(r, 100, late[late_count - 1].id, STATUS_OK);
			answer(r, 100, late[--late_count].id, STATUS_OK);
		}
		while (client_core_complete(r->core, &done)) {
			assert_int_equal(done.status, STATUS_OK);
			finished++;
		}
		tick(r, 100);
	}
	assert_int_equal(finished, 3000);
	assert_int_equal(client_core_open(r->core), 0);
	assert_true(counters(r)->retransmits > 100);
}

static void test_wheel(void **state)
{
	struct wheel_timer timers[64];
	uint64_t at[64] = { 0 };
	uint64_t now = 1000000, random = 99;
	struct wheel w;

	(void)state;
	wheel_init(&w, timers, 64, 50);
	for (uint32_t step = 0; step < 50000; step++) {
		uint32_t timer = (uint32_t)(random_next(&random) % 64);
		uint64_t soonest = UINT64_MAX;

		if (random_next(&random) % 4 == 0) {
			wheel_disarm(&w, timer);
			at[timer] = 0;
		} else {
			at[timer] = now + random_next(&random) % (random % 8 ? 5000 : 100000);
			wheel_arm(&w, timer, at[timer]);
		}
		for (uint32_t i = 0; i < 64; i++)
			soonest = at[i] ? min_u64(soonest, at[i]) : soonest;
		assert_true(wheel_soonest_ns(&w) <= soonest);
		now += random_next(&random) % (random % 64 ? 200 : 40000);
		wheel_collect(&w, now);
		while ((timer = wheel_take(&w)) != WHEEL_NONE) {
			assert_true(at[timer] != 0 && at[timer] <= now);
			at[timer] = 0;
		}
		for (uint32_t i = 0; i < 64; i++)
			assert_true(at[i] == 0 || at[i] > now);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_open_then_put),
		TEST(test_fields_of_each_type),
		TEST(test_batching),
		TEST(test_submit_refuses),
		TEST(test_open_lost_and_doubled),
		TEST(test_open_refused),
		TEST(test_retransmit_backs_off),
		TEST(test_replies_in_any_order),
		TEST(test_replies_of_others_ignored),
		TEST(test_session_lost),
		TEST(test_other_incarnation_is_a_lost_session),
		TEST(test_deadlines),
		TEST(test_opening_stops_when_nobody_waits),
		TEST(test_window),
		TEST(test_shards_learned),
		TEST(test_wire_example),
		TEST(test_malformed),
		TEST(test_bad_network),
		cmocka_unit_test(test_wheel),
	};

#ifdef CAIRN_MUTANTS
	if (getenv("CAIRN_MUTANT"))
		mutant_active = (int)strtol(getenv("CAIRN_MUTANT"), NULL, 10);
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
