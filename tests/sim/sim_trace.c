/* SPDX-License-Identifier: Apache-2.0 */
/* What happens, one line per event, for people who replay a seed. */
#include <stdarg.h>

#include "replication/membership.h"
#include "replication/raft_wire.h"
#include "tests/sim/sim.h"

void sim_trace(struct sim *s, const char *format, ...)
{
	va_list args;

	if (!s->trace)
		return;
	fprintf(s->trace, "%12llu ", (unsigned long long)s->now_ns);
	va_start(args, format);
	vfprintf(s->trace, format, args);
	va_end(args);
	fputc('\n', s->trace);
}

static const char *type_name(enum wire_type type)
{
	switch (type) {
	case WIRE_INV:
		return "INV";
	case WIRE_ACK:
		return "ACK";
	case WIRE_VAL:
		return "VAL";
	case WIRE_HELLO:
		return "HELLO";
	case WIRE_FETCH:
		return "FETCH";
	case WIRE_COPY:
		return "COPY";
	case WIRE_COPY_SESSION:
		return "COPY_SESSION";
	case WIRE_COPIED:
		return "COPIED";
	case WIRE_CASV:
		return "CASV";
	case WIRE_OPEN:
		return "OPEN";
	case WIRE_GET:
		return "GET";
	case WIRE_PUT:
		return "PUT";
	case WIRE_DEL:
		return "DEL";
	case WIRE_CAS:
		return "CAS";
	case WIRE_INCR:
		return "INCR";
	case WIRE_OPENED:
		return "OPENED";
	case WIRE_RESULT:
		return "RESULT";
	}
	return "?";
}

static const char *port_name(const struct sim *s, uint16_t port, char *buffer, size_t bytes)
{
	bool node = port < s->plan.nodes;

	snprintf(buffer, bytes, "%c%u", node ? 'n' : 'c', node ? port : port - s->plan.nodes);
	return buffer;
}

static void trace_message(const struct sim *s, const struct wire_message *m)
{
	fprintf(s->trace, " %s", type_name(m->type));
	if (m->key_bytes != 0)
		fprintf(s->trace, " %.*s", m->key_bytes, (const char *)m->key);
	fprintf(s->trace, " %llu.%u.%u", (unsigned long long)m->ts.version,
		writer_node(m->ts.writer), writer_incarnation(m->ts.writer));
	if (m->type == WIRE_RESULT)
		fprintf(s->trace, " %s", status_name((enum status)m->status));
	if (m->flags != 0)
		fprintf(s->trace, " flags %u", m->flags);
	if (m->origin.client != 0)
		fprintf(s->trace, " by %llx/%llu", (unsigned long long)m->origin.client,
			(unsigned long long)m->origin.request);
	if (m->prior != 0)
		fprintf(s->trace, " prior %u.%u", writer_node(m->prior),
			writer_incarnation(m->prior));
	if (m->value_bytes != 0 && (m->type == WIRE_INV || m->type == WIRE_PUT ||
				    m->type == WIRE_CAS || m->type == WIRE_RESULT ||
				    m->type == WIRE_COPY))
		fprintf(s->trace, " '%.*s'", m->value_bytes < 12 ? m->value_bytes : 12,
			(const char *)m->value);
	fprintf(s->trace, " #%llx;", (unsigned long long)m->id);
}

static const char *raft_type_name(uint8_t type)
{
	static const char *const names[] = {
		[RAFT_PRE_VOTE] = "PRE_VOTE",
		[RAFT_PRE_VOTE_ACK] = "PRE_VOTE_ACK",
		[RAFT_VOTE] = "VOTE",
		[RAFT_VOTE_ACK] = "VOTE_ACK",
		[RAFT_APPEND] = "APPEND",
		[RAFT_APPEND_ACK] = "APPEND_ACK",
		[RAFT_HEARTBEAT] = "HEARTBEAT",
		[RAFT_HEARTBEAT_ACK] = "HEARTBEAT_ACK",
		[RAFT_SNAPSHOT] = "SNAPSHOT",
		[RAFT_SNAPSHOT_ACK] = "SNAPSHOT_ACK",
		[RAFT_TIMEOUT_NOW] = "TIMEOUT_NOW",
		[RAFT_READ] = "READ",
		[RAFT_READ_ACK] = "READ_ACK",
		[MEMBERSHIP_REPORT] = "REPORT",
		[MEMBERSHIP_GRANT] = "GRANT",
		[MEMBERSHIP_COMMAND] = "COMMAND",
		[MEMBERSHIP_RESULT] = "RESULT",
	};

	return type < ARRAY_LEN(names) && names[type] ? names[type] : "USER";
}

static void trace_raft(const struct sim *s, const struct wire_header *h, const uint8_t *payload,
		       uint32_t bytes)
{
	uint32_t offset = WIRE_HEADER_BYTES;
	struct raft_message m;

	fprintf(s->trace, " disk %x->%x", h->ident, h->to_ident);
	while (offset < bytes && raft_message_decode(payload, bytes, &offset, &m) == WIRE_OK) {
		fprintf(s->trace, " %s%s term %u index %llu.%u commit %llu id %llx",
			raft_type_name(m.type), m.flags & RAFT_REJECT ? " NO" : "", m.term,
			(unsigned long long)m.index, m.log_term, (unsigned long long)m.commit,
			(unsigned long long)m.id);
		if (m.entry.index != 0)
			fprintf(s->trace, " entry %llu.%u kind %u, %u bytes",
				(unsigned long long)m.entry.index, m.entry.term, m.entry.kind,
				m.entry.bytes);
		fputc(';', s->trace);
	}
}

void sim_trace_frame(struct sim *s, const struct sim_delivery *delivery)
{
	const uint8_t *payload = delivery->data + FRAME_HEADERS_BYTES;
	char from[8], to[8];
	struct wire_header h;
	struct wire_message m;
	uint32_t bytes, offset = WIRE_HEADER_BYTES;

	if (!s->trace)
		return;
	fprintf(s->trace, "%12llu %s->%s", (unsigned long long)s->now_ns,
		port_name(s, delivery->from, from, sizeof(from)),
		port_name(s, delivery->to, to, sizeof(to)));
	/* Padding is not ours to know here: the UDP length says where the payload ends. */
	bytes = delivery->bytes < FRAME_HEADERS_BYTES ? 0 :
		(uint32_t)delivery->data[38] << 8 | delivery->data[39];
	bytes = bytes < 8 || bytes - 8 + FRAME_HEADERS_BYTES > delivery->bytes ? 0 : bytes - 8;
	if (wire_header_decode(payload, bytes, &h) != WIRE_OK) {
		fprintf(s->trace, " frame of %u bytes\n", delivery->bytes);
		return;
	}
	fprintf(s->trace, " shard %u inc %u->%u", h.shard, h.from_incarnation, h.to_incarnation);
	if (h.kind == WIRE_PEER)
		fprintf(s->trace, " epoch %u", h.epoch);
	if (h.kind == WIRE_RAFT)
		trace_raft(s, &h, payload, bytes);
	else if (h.kind != WIRE_PEER)
		fprintf(s->trace, " session %llx", (unsigned long long)h.session);
	while (h.kind != WIRE_RAFT && offset < bytes &&
	       wire_message_decode(payload, bytes, h.kind, &offset, &m) == WIRE_OK)
		trace_message(s, &m);
	fputc('\n', s->trace);
}
