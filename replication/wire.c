/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and messages: the one place that knows their byte layout. */
#include "replication/wire.h"

#include "replication/crc.h"

static const char *const verdict_names[WIRE_VERDICT_COUNT] = {
	[WIRE_OK] = "ok",
	[WIRE_SHORT] = "short",
	[WIRE_BAD_MAGIC] = "bad_magic",
	[WIRE_BAD_FORMAT] = "bad_format",
	[WIRE_BAD_KIND] = "bad_kind",
	[WIRE_BAD_CHECKSUM] = "bad_checksum",
	[WIRE_BAD_LENGTH] = "bad_length",
	[WIRE_BAD_FIELD] = "bad_field",
};

const char *wire_verdict_name(enum wire_verdict verdict)
{
	return (unsigned)verdict < WIRE_VERDICT_COUNT ? verdict_names[verdict] : "invalid";
}

/* What each message type may carry; a type without a kind is unknown. */
struct shape {
	uint8_t kind;
	uint8_t flags; /* bits allowed */
	uint16_t key_min, key_max, value_min, value_max;
};

#define KEY 1, KEY_BYTES_MAX
#define NO_KEY 0, 0
#define VALUE 0, VALUE_BYTES_MAX
#define EXACTLY(n) n, n

static const struct shape shapes[] = {
	[WIRE_INV] = { WIRE_PEER, WIRE_RMW | WIRE_TOMBSTONE | WIRE_REPLAY, KEY, VALUE },
	[WIRE_ACK] = { WIRE_PEER, 0, NO_KEY, EXACTLY(0) },
	[WIRE_VAL] = { WIRE_PEER, 0, KEY, EXACTLY(0) },
	[WIRE_HELLO] = { WIRE_PEER, 0, NO_KEY, EXACTLY(WIRE_HELLO_BYTES) },
	[WIRE_OPEN] = { WIRE_REQUEST, 0, NO_KEY, EXACTLY(WIRE_OPEN_BYTES) },
	[WIRE_GET] = { WIRE_REQUEST, 0, KEY, EXACTLY(0) },
	[WIRE_PUT] = { WIRE_REQUEST, 0, KEY, VALUE },
	[WIRE_DEL] = { WIRE_REQUEST, 0, KEY, EXACTLY(0) },
	[WIRE_CAS] = { WIRE_REQUEST, 0, KEY, VALUE },
	[WIRE_INCR] = { WIRE_REQUEST, 0, KEY, EXACTLY(8) },
	[WIRE_OPENED] = { WIRE_REPLY, 0, NO_KEY, EXACTLY(WIRE_OPEN_BYTES) },
	[WIRE_RESULT] = { WIRE_REPLY, 0, NO_KEY, VALUE },
};

void wire_header_encode(uint8_t *payload, const struct wire_header *h)
{
	store_u16(payload, WIRE_MAGIC);
	payload[2] = WIRE_FORMAT;
	payload[3] = (uint8_t)h->kind;
	store_u32(payload + 4, 0);
	store_u64(payload + 8, h->cluster);
	if (h->kind == WIRE_PEER) {
		store_u32(payload + 16, h->epoch);
		store_u32(payload + 20, h->from_incarnation);
	} else {
		store_u64(payload + 16, h->session);
	}
	store_u32(payload + 24, h->to_incarnation);
	payload[28] = h->from;
	payload[29] = h->to;
	store_u16(payload + 30, h->shard);
}

/* payload_crc: over everything but the checksum field itself, which counts as zero. */
static uint32_t payload_crc(const uint8_t *payload, uint32_t bytes)
{
	uint32_t crc = crc32c_u64(~0u, load_u32(payload));

	return ~crc32c_update(crc, payload + 8, bytes - 8);
}

void wire_seal(uint8_t *payload, uint32_t bytes)
{
	must(bytes >= WIRE_HEADER_BYTES && bytes <= FRAME_PAYLOAD_MAX);
	store_u32(payload + 4, payload_crc(payload, bytes));
}

static bool header_nodes_ok(enum wire_kind kind, uint8_t from, uint8_t to)
{
	bool from_node = from < NODES_MAX;
	bool to_node = to < NODES_MAX;

	switch (kind) {
	case WIRE_PEER:
		return from_node && to_node;
	case WIRE_REQUEST:
		return from == WIRE_NODE_CLIENT && to_node;
	case WIRE_REPLY:
		return from_node && to == WIRE_NODE_CLIENT;
	}
	return false;
}

enum wire_verdict wire_header_decode(const uint8_t *payload, uint32_t bytes,
				     struct wire_header *ret_header)
{
	struct wire_header h = { 0 };

	if (bytes < WIRE_HEADER_BYTES)
		return WIRE_SHORT;
	if (load_u16(payload) != WIRE_MAGIC)
		return WIRE_BAD_MAGIC;
	if (payload[2] != WIRE_FORMAT)
		return WIRE_BAD_FORMAT;
	if (payload[3] < WIRE_PEER || payload[3] > WIRE_REPLY)
		return WIRE_BAD_KIND;
	if (bytes > FRAME_PAYLOAD_MAX)
		return WIRE_BAD_LENGTH;
	if (payload_crc(payload, bytes) != load_u32(payload + 4))
		return WIRE_BAD_CHECKSUM;
	h.kind = (enum wire_kind)payload[3];
	h.cluster = load_u64(payload + 8);
	if (h.kind == WIRE_PEER) {
		h.epoch = load_u32(payload + 16);
		h.from_incarnation = load_u32(payload + 20);
	} else {
		h.session = load_u64(payload + 16);
	}
	h.to_incarnation = load_u32(payload + 24);
	h.from = payload[28];
	h.to = payload[29];
	h.shard = load_u16(payload + 30);
	if (!header_nodes_ok(h.kind, h.from, h.to) || h.shard >= SHARDS_MAX)
		return WIRE_BAD_FIELD;
	if (h.from_incarnation > INCARNATION_MAX || h.to_incarnation > INCARNATION_MAX)
		return WIRE_BAD_FIELD;
	*ret_header = h;
	return WIRE_OK;
}

void wire_message_encode(uint8_t *out, const struct wire_message *m)
{
	must_dbg(m->key_bytes <= KEY_BYTES_MAX);
	must_dbg(m->value_bytes <= VALUE_BYTES_MAX);
	out[0] = (uint8_t)m->type;
	out[1] = m->flags;
	store_u16(out + 2, m->key_bytes);
	store_u16(out + 4, m->value_bytes);
	out[6] = m->status;
	out[7] = m->durability;
	store_u64(out + 8, m->ts.version);
	store_u32(out + 16, m->ts.writer);
	store_u32(out + 20, 0);
	store_u64(out + 24, m->id);
	if (m->key_bytes)
		memcpy(out + WIRE_MESSAGE_BYTES, m->key, m->key_bytes);
	if (m->value_bytes)
		memcpy(out + WIRE_MESSAGE_BYTES + m->key_bytes, m->value, m->value_bytes);
}

enum wire_verdict wire_message_decode(const uint8_t *payload, uint32_t bytes, enum wire_kind kind,
				      uint32_t *offset, struct wire_message *ret_message)
{
	const uint8_t *in = payload + *offset;
	uint32_t left = bytes - *offset;
	struct wire_message m;
	const struct shape *shape;

	if (left < WIRE_MESSAGE_BYTES)
		return WIRE_SHORT;
	if (in[0] >= ARRAY_LEN(shapes) || shapes[in[0]].kind != kind)
		return WIRE_BAD_KIND;
	shape = &shapes[in[0]];
	m.key_bytes = load_u16(in + 2);
	m.value_bytes = load_u16(in + 4);
	if (m.key_bytes < shape->key_min || m.key_bytes > shape->key_max)
		return WIRE_BAD_LENGTH;
	if (m.value_bytes < shape->value_min || m.value_bytes > shape->value_max)
		return WIRE_BAD_LENGTH;
	if (left < WIRE_MESSAGE_BYTES + m.key_bytes + m.value_bytes)
		return WIRE_SHORT;
	if ((in[1] & ~shape->flags) != 0 || load_u32(in + 20) != 0)
		return WIRE_BAD_FIELD;
	if (kind != WIRE_REPLY && (in[6] != 0 || in[7] != 0))
		return WIRE_BAD_FIELD;
	if (in[6] >= STATUS_COUNT || in[7] > DURABILITY_ALL)
		return WIRE_BAD_FIELD;
	if ((in[1] & WIRE_TOMBSTONE) && m.value_bytes != 0)
		return WIRE_BAD_FIELD;
	m.type = (enum wire_type)in[0];
	m.flags = in[1];
	m.status = in[6];
	m.durability = in[7];
	m.ts = (struct op_ts){ load_u64(in + 8), load_u32(in + 16) };
	m.id = load_u64(in + 24);
	m.key = in + WIRE_MESSAGE_BYTES;
	m.value = m.key + m.key_bytes;
	*offset += wire_message_bytes(&m);
	*ret_message = m;
	return WIRE_OK;
}
