/* SPDX-License-Identifier: Apache-2.0 */
/* Raft messages in frames: the one place that knows their byte layout. */
#include "replication/raft_wire.h"

#include "replication/raft_priv.h"

#define RAFT_TYPE_USER_MAX 63u

/* raft_wire_known: the types of raft.h, or the user's own. */
static bool raft_wire_known(uint8_t type)
{
	return (type >= RAFT_PRE_VOTE && type <= RAFT_READ_ACK) ||
	       (type >= RAFT_TYPE_USER && type <= RAFT_TYPE_USER_MAX);
}

void raft_message_encode(uint8_t *out, const struct raft_message *m)
{
	bool entry = m->entry.index != 0;
	uint32_t bytes = entry ? m->entry.bytes : m->payload_bytes;
	const uint8_t *from = entry ? m->entry.data : m->payload;

	must(bytes <= RAFT_PAYLOAD_MAX);
	must(!entry || m->entry.index == m->index + 1);
	memset(out, 0, RAFT_HEAD_BYTES);
	out[0] = m->type;
	out[1] = m->flags;
	store_u16(out + 2, (uint16_t)bytes);
	store_u32(out + 4, m->term);
	store_u64(out + 8, m->index);
	store_u32(out + 16, m->log_term);
	store_u64(out + 24, m->commit);
	store_u64(out + 32, m->id);
	store_u32(out + 44, m->promise_us);
	if (entry) {
		store_u32(out + 20, m->entry.term);
		out[40] = m->entry.kind;
		out[41] = m->entry.flags;
		out[42] = 1;
	}
	if (bytes)
		memcpy(out + RAFT_HEAD_BYTES, from, bytes);
}

/* raft_wire_entry: the fields of an entry, zero where there is none. */
static enum wire_verdict raft_wire_entry(const uint8_t *in, uint16_t bytes, struct raft_message *m)
{
	if (in[42] == 0)
		return load_u32(in + 20) == 0 && in[40] == 0 && in[41] == 0 ? WIRE_OK
									    : WIRE_BAD_FIELD;
	if (in[42] != 1 || m->type != RAFT_APPEND || in[40] > RAFT_ENTRY_CONF)
		return WIRE_BAD_FIELD;
	if ((in[41] & ~RAFT_STRIPPED) != 0 || m->index > RAFT_INDEX_MAX)
		return WIRE_BAD_FIELD;
	if ((in[41] & RAFT_STRIPPED) && (bytes != 0 || in[40] != RAFT_ENTRY_DATA))
		return WIRE_BAD_FIELD;
	if (bytes > RAFT_ENTRY_BYTES_MAX || (in[40] == RAFT_ENTRY_CONF && bytes != RAFT_CONF_BYTES))
		return WIRE_BAD_LENGTH;
	m->entry = (struct raft_entry) { .index = m->index + 1,
					 .term = load_u32(in + 20),
					 .kind = in[40],
					 .flags = in[41],
					 .bytes = bytes,
					 .data = in + RAFT_HEAD_BYTES };
	return WIRE_OK;
}

enum wire_verdict raft_message_decode(const uint8_t *payload, uint32_t bytes, uint32_t *offset,
				      struct raft_message *ret_message)
{
	const uint8_t *in = payload + *offset;
	uint32_t left = bytes - *offset;
	struct raft_message m = { 0 };
	enum wire_verdict verdict;
	uint16_t behind;

	if (left < RAFT_HEAD_BYTES)
		return WIRE_SHORT;
	if (!raft_wire_known(in[0]))
		return WIRE_BAD_KIND;
	behind = load_u16(in + 2);
	if (behind > RAFT_PAYLOAD_MAX)
		return WIRE_BAD_LENGTH;
	if (left < RAFT_HEAD_BYTES + behind)
		return WIRE_SHORT;
	m.type = in[0];
	m.promise_us = load_u32(in + 44);
	if (in[43] != 0 || (m.promise_us != 0 && m.type != RAFT_HEARTBEAT_ACK))
		return WIRE_BAD_FIELD;
	m.flags = in[1];
	m.term = load_u32(in + 4);
	m.index = load_u64(in + 8);
	m.log_term = load_u32(in + 16);
	m.commit = load_u64(in + 24);
	m.id = load_u64(in + 32);
	verdict = raft_wire_entry(in, behind, &m);
	if (verdict != WIRE_OK)
		return verdict;
	if (m.entry.index == 0) {
		if (behind != 0 && m.type != RAFT_SNAPSHOT && m.type < RAFT_TYPE_USER)
			return WIRE_BAD_LENGTH;
		m.payload = in + RAFT_HEAD_BYTES;
		m.payload_bytes = behind;
	}
	*offset += RAFT_HEAD_BYTES + behind;
	*ret_message = m;
	return WIRE_OK;
}

void raft_conf_encode(uint8_t *out, const struct raft_conf *conf)
{
	out[0] = conf->voters;
	out[1] = conf->voters_old;
	out[2] = conf->learners;
	out[3] = conf->witnesses;
}

bool raft_conf_decode(const uint8_t *in, struct raft_conf *ret_conf)
{
	struct raft_conf conf = { in[0], in[1], in[2], in[3] };

	if (!raft_conf_valid(&conf))
		return false;
	*ret_conf = conf;
	return true;
}
