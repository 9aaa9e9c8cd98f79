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
	bool prior;    /* the field may be used */
	uint16_t key_min, key_max, value_min, value_max;
};

#define KEY 1, KEY_BYTES_MAX
#define NO_KEY 0, 0
#define MAYBE_KEY 0, KEY_BYTES_MAX
#define VALUE 0, VALUE_BYTES_MAX
#define EXACTLY(n) n, n
#define INV_FLAGS (WIRE_RMW | WIRE_TOMBSTONE | WIRE_REPLAY | WIRE_OVERTAKEN)
#define COPY_FLAGS (WIRE_RMW | WIRE_TOMBSTONE | WIRE_VALID | WIRE_STUB)

static const struct shape shapes[] = {
	[WIRE_INV] = { WIRE_PEER, INV_FLAGS, true, KEY, VALUE },
	[WIRE_ACK] = { WIRE_PEER, 0, false, MAYBE_KEY, EXACTLY(0) },
	[WIRE_VAL] = { WIRE_PEER, 0, false, KEY, EXACTLY(0) },
	[WIRE_HELLO] = { WIRE_PEER, 0, false, NO_KEY, EXACTLY(WIRE_HELLO_BYTES) },
	[WIRE_FETCH] = { WIRE_PEER, 0, true, NO_KEY, EXACTLY(0) },
	[WIRE_COPY] = { WIRE_PEER, COPY_FLAGS, true, KEY, VALUE },
	[WIRE_COPY_SESSION] = { WIRE_PEER, 0, false, NO_KEY, VALUE },
	[WIRE_COPIED] = { WIRE_PEER, 0, false, NO_KEY, EXACTLY(WIRE_COPIED_BYTES) },
	[WIRE_OPEN] = { WIRE_REQUEST, 0, false, NO_KEY, EXACTLY(WIRE_OPEN_BYTES) },
	[WIRE_GET] = { WIRE_REQUEST, 0, false, KEY, EXACTLY(0) },
	[WIRE_PUT] = { WIRE_REQUEST, WIRE_OLD, true, KEY, VALUE },
	[WIRE_DEL] = { WIRE_REQUEST, WIRE_OLD, true, KEY, EXACTLY(0) },
	[WIRE_CAS] = { WIRE_REQUEST, WIRE_OLD, true, KEY, VALUE },
	[WIRE_INCR] = { WIRE_REQUEST, WIRE_OLD, true, KEY, EXACTLY(8) },
	[WIRE_CASV] = { WIRE_REQUEST, WIRE_OLD, true, KEY, VALUE },
	[WIRE_OPENED] = { WIRE_REPLY, 0, false, NO_KEY, EXACTLY(WIRE_OPEN_BYTES) },
	[WIRE_RESULT] = { WIRE_REPLY, 0, false, NO_KEY, VALUE },
};

void wire_header_encode(uint8_t *payload, const struct wire_header *h)
{
	store_u16(payload, WIRE_MAGIC);
	payload[2] = WIRE_FORMAT;
	payload[3] = (uint8_t)h->kind;
	store_u32(payload + 4, 0);
	store_u64(payload + 8, h->cluster);
	if (h->kind == WIRE_PEER || h->kind == WIRE_RAFT) {
		store_u32(payload + 16, h->kind == WIRE_RAFT ? h->ident : h->epoch);
		store_u32(payload + 20, h->from_incarnation);
	} else {
		store_u64(payload + 16, h->session);
	}
	store_u32(payload + 24, h->kind == WIRE_RAFT ? h->to_ident : h->to_incarnation);
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
	case WIRE_RAFT:
		return from_node && to_node;
	case WIRE_REQUEST:
		return from == WIRE_NODE_CLIENT && to_node;
	case WIRE_REPLY:
		return from_node && to == WIRE_NODE_CLIENT;
	}
	return false;
}

static bool header_shard_ok(enum wire_kind kind, uint16_t shard)
{
	return shard < SHARDS_MAX || (kind == WIRE_RAFT && shard == WIRE_SHARD_VIEW);
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
	if (payload[3] < WIRE_PEER || payload[3] > WIRE_RAFT)
		return WIRE_BAD_KIND;
	if (bytes > FRAME_PAYLOAD_MAX)
		return WIRE_BAD_LENGTH;
	if (payload_crc(payload, bytes) != load_u32(payload + 4))
		return WIRE_BAD_CHECKSUM;
	h.kind = (enum wire_kind)payload[3];
	h.cluster = load_u64(payload + 8);
	if (h.kind == WIRE_PEER || h.kind == WIRE_RAFT) {
		h.epoch = h.kind == WIRE_PEER ? load_u32(payload + 16) : 0;
		h.ident = h.kind == WIRE_RAFT ? load_u32(payload + 16) : 0;
		h.from_incarnation = load_u32(payload + 20);
	} else {
		h.session = load_u64(payload + 16);
	}
	if (h.kind == WIRE_RAFT)
		h.to_ident = load_u32(payload + 24);
	else
		h.to_incarnation = load_u32(payload + 24);
	h.from = payload[28];
	h.to = payload[29];
	h.shard = load_u16(payload + 30);
	if (!header_nodes_ok(h.kind, h.from, h.to) || !header_shard_ok(h.kind, h.shard))
		return WIRE_BAD_FIELD;
	if (h.from_incarnation > INCARNATION_MAX || h.to_incarnation > INCARNATION_MAX)
		return WIRE_BAD_FIELD;
	*ret_header = h;
	return WIRE_OK;
}

static bool has_origin(enum wire_type type)
{
	return type == WIRE_INV || type == WIRE_COPY;
}

void wire_message_encode(uint8_t *out, const struct wire_message *m)
{
	bool request = m->type >= WIRE_OPEN && m->type < WIRE_OPENED;
	uint32_t head_bytes = WIRE_MESSAGE_BYTES;

	must_dbg(m->key_bytes <= KEY_BYTES_MAX);
	must_dbg(m->value_bytes <= VALUE_BYTES_MAX);
	out[0] = (uint8_t)m->type;
	out[1] = m->flags;
	store_u16(out + 2, m->key_bytes);
	store_u16(out + 4, m->value_bytes);
	out[6] = request ? (uint8_t)m->patience_ms : m->status;
	out[7] = request ? (uint8_t)(m->patience_ms >> 8) : m->durability;
	store_u64(out + 8, m->ts.version);
	store_u32(out + 16, m->ts.writer);
	store_u32(out + 20, m->prior);
	store_u64(out + 24, m->id);
	if (has_origin(m->type)) {
		store_u64(out + 32, m->origin.client);
		store_u64(out + 40, m->origin.request);
		head_bytes += WIRE_ORIGIN_BYTES;
	}
	if (m->key_bytes)
		memcpy(out + head_bytes, m->key, m->key_bytes);
	if (m->value_bytes)
		memcpy(out + head_bytes + m->key_bytes, m->value, m->value_bytes);
}

/* fields_ok: what means different things in different kinds of messages; fills these fields. */
static bool fields_ok(const uint8_t *in, enum wire_kind kind, struct wire_message *m)
{
	if (kind == WIRE_REQUEST) {
		m->patience_ms = load_u16(in + 6);
		return m->type != WIRE_CASV || m->ts.version <= m->value_bytes;
	}
	if (kind == WIRE_REPLY) {
		m->status = in[6];
		m->durability = in[7];
		return in[6] < STATUS_COUNT && in[7] <= DURABILITY_ALL;
	}
	if (has_origin(m->type)) {
		m->origin = (struct origin){ load_u64(in + 32), load_u64(in + 40) };
		/* No update ever gets near the end of 64 bits (H13); nor has any version 0. */
		if (m->ts.version == 0 || m->ts.version > VERSION_MAX)
			return false;
	}
	return in[6] == 0 && in[7] == 0;
}

enum wire_verdict wire_message_decode(const uint8_t *payload, uint32_t bytes, enum wire_kind kind,
				      uint32_t *offset, struct wire_message *ret_message)
{
	const uint8_t *in = payload + *offset;
	uint32_t left = bytes - *offset;
	uint32_t head_bytes = WIRE_MESSAGE_BYTES;
	struct wire_message m = { 0 };
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
	m.type = (enum wire_type)in[0];
	if (has_origin(m.type))
		head_bytes += WIRE_ORIGIN_BYTES;
	if (left < head_bytes + m.key_bytes + m.value_bytes)
		return WIRE_SHORT;
	m.flags = in[1];
	m.ts = (struct op_ts){ load_u64(in + 8), load_u32(in + 16) };
	m.prior = load_u32(in + 20);
	m.id = load_u64(in + 24);
	if ((in[1] & ~shape->flags) != 0 || (m.prior != 0 && !shape->prior))
		return WIRE_BAD_FIELD;
	if ((in[1] & WIRE_TOMBSTONE) && m.value_bytes != 0)
		return WIRE_BAD_FIELD;
	if (!fields_ok(in, kind, &m))
		return WIRE_BAD_FIELD;
	m.key = in + head_bytes;
	m.value = m.key + m.key_bytes;
	*offset += wire_message_bytes(&m);
	*ret_message = m;
	return WIRE_OK;
}
