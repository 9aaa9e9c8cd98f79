/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client_rig.h"

#include <stdlib.h>

#ifdef CAIRN_MUTANTS
int mutant_active __attribute__((weak)); /* the mutant rig brings its own */
#endif

void rig_make(struct rig *r, uint32_t ops_max, uint32_t shard_count, uint64_t failover_ns)
{
	struct client_core_config config = {
		.seed = 7, .retransmit_ns = RETRANSMIT, .timeout_ns = TIMEOUT, .ops_max = ops_max,
		.server_count = SERVERS, .shard_count = shard_count,
		.failover_ns = failover_ns,
	};

	memset(r, 0, sizeof(*r));
	r->mem = malloc(client_core_size(&config));
	assert_non_null(r->mem);
	memset(r->mem, 0xa5, client_core_size(&config));
	r->core = client_core_init(r->mem, &config);
	r->now_ns = 5000000000ull;
	r->session = 100;
	r->incarnation = 3;
	r->shards = (uint16_t)(shard_count ? shard_count : 1);
	r->window = SESSION_WINDOW;
	for (uint32_t i = 0; i < SERVERS; i++) {
		r->lives[i] = 3;
		r->sessions[i] = 100 * (i + 1);
	}
}

int rig_teardown(void **state)
{
	struct rig *r = *state;

	free(r->mem);
	free(r);
	return 0;
}

bool pull(struct rig *r)
{
	uint32_t offset = WIRE_HEADER_BYTES;

	r->count = 0;
	r->bytes = client_core_output(r->core, r->payload, &r->server, &r->shard, r->now_ns);
	if (r->bytes == 0)
		return false;
	assert_int_equal(wire_header_decode(r->payload, r->bytes, &r->header), WIRE_OK);
	assert_int_equal(r->header.kind, WIRE_REQUEST);
	assert_int_equal(r->header.to, r->server);
	assert_int_equal(r->header.shard, r->shard);
	while (offset < r->bytes) {
		assert_true(r->count < SEEN_MAX);
		assert_int_equal(wire_message_decode(r->payload, r->bytes, WIRE_REQUEST, &offset,
						     &r->seen[r->count++]), WIRE_OK);
	}
	return true;
}

struct wire_header reply_header(const struct rig *r, uint64_t session)
{
	return (struct wire_header){
		.kind = WIRE_REPLY, .cluster = CLUSTER, .session = session,
		.to_incarnation = r->incarnation, .from = r->server, .to = WIRE_NODE_CLIENT,
		.shard = r->shard,
	};
}

uint32_t frame_make(uint8_t *out, const struct wire_header *h, const struct wire_message *m)
{
	wire_header_encode(out, h);
	wire_message_encode(out + WIRE_HEADER_BYTES, m);
	wire_seal(out, WIRE_HEADER_BYTES + wire_message_bytes(m));
	return WIRE_HEADER_BYTES + wire_message_bytes(m);
}

void push(struct rig *r, const struct wire_header *h, const struct wire_message *m)
{
	uint8_t frame[FRAME_PAYLOAD_MAX];
	uint32_t bytes = frame_make(frame, h, m);

	client_core_input(r->core, h->from, frame, bytes, r->now_ns);
}

struct wire_message opened(const struct rig *r, uint8_t value[WIRE_OPEN_BYTES], uint64_t nonce)
{
	memset(value, 0, WIRE_OPEN_BYTES);
	store_u64(value, r->session);
	store_u32(value + 8, r->incarnation);
	store_u16(value + 12, r->shards);
	value[14] = SERVERS;
	value[15] = r->server;
	store_u16(value + 16, r->window);
	return (struct wire_message){ .type = WIRE_OPENED, .id = nonce, .value = value,
				      .value_bytes = WIRE_OPEN_BYTES };
}

void answer_open(struct rig *r)
{
	uint8_t value[WIRE_OPEN_BYTES];
	struct wire_header h;
	struct wire_message m;

	assert_true(pull(r));
	assert_int_equal(r->count, 1);
	assert_int_equal(r->seen[0].type, WIRE_OPEN);
	assert_int_equal(r->seen[0].value_bytes, WIRE_OPEN_BYTES);
	assert_int_equal(r->header.session, 0);
	assert_int_equal(r->header.to_incarnation, 0);
	h = reply_header(r, r->session);
	m = opened(r, value, r->seen[0].id);
	push(r, &h, &m);
}

void answer(struct rig *r, uint64_t session, uint64_t id, enum status status)
{
	struct wire_header h = reply_header(r, session);
	struct wire_message m = { .type = WIRE_RESULT, .id = id, .status = (uint8_t)status,
				  .durability = DURABILITY_ALL, .ts = { 18, writer_make(2, 3) } };

	push(r, &h, &m);
}

enum status submit(struct rig *r, enum wire_type type, const char *key, uint64_t tag)
{
	struct client_op op = {
		.type = type, .key = (const uint8_t *)key, .key_bytes = (uint32_t)strlen(key),
		.value = (const uint8_t *)"value", .value_bytes = 5, .tag = tag, .delta = -4,
		.expected = { 9, 1 }, .any = r->any, .server = r->begin,
		.timeout_ns = r->timeout_ns,
		.compare = (const uint8_t *)"old", .compare_bytes = 3,
	};

	return client_core_submit(r->core, &op, r->now_ns);
}

struct client_completion expect(struct rig *r, uint64_t tag, enum status status)
{
	struct client_completion done;

	assert_true(client_core_complete(r->core, &done));
	assert_int_equal(done.tag, tag);
	assert_string_equal(status_name(done.status), status_name(status));
	return done;
}

void expect_none(struct rig *r)
{
	struct client_completion done;

	assert_false(client_core_complete(r->core, &done));
}

void tick(struct rig *r, uint64_t later_ns)
{
	r->now_ns += later_ns;
	client_core_tick(r->core, r->now_ns);
}

const struct client_counters *counters(const struct rig *r)
{
	return client_core_counters(r->core);
}

uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}
