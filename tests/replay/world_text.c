/* SPDX-License-Identifier: Apache-2.0 */
/* What the world says: messages, replies, states of keys, as text and in the digest. */
#include "replication/crc.h"
#include "replication/hermes.h"
#include "replication/session.h"
#include "tests/replay/world.h"

static const struct {
	uint8_t type;
	const char *name;
} type_names[] = {
	{ WIRE_INV, "INV" },	   { WIRE_ACK, "ACK" },
	{ WIRE_VAL, "VAL" },	   { WIRE_HELLO, "HELLO" },
	{ WIRE_FETCH, "FETCH" },   { WIRE_COPY, "COPY" },
	{ WIRE_COPIED, "COPIED" }, { WIRE_COPY_SESSION, "COPY_SESSION" },
	{ WIRE_OPENED, "OPENED" }, { WIRE_RESULT, "RESULT" },
};

uint8_t world_type(const char *name)
{
	for (uint32_t i = 0; i < ARRAY_LEN(type_names); i++) {
		if (strcmp(name, type_names[i].name) == 0)
			return type_names[i].type;
	}
	return 0;
}

static const char *type_name(uint8_t type)
{
	for (uint32_t i = 0; i < ARRAY_LEN(type_names); i++) {
		if (type_names[i].type == type)
			return type_names[i].name;
	}
	return "?";
}

char world_letter(uint32_t node)
{
	return (char)('a' + node);
}

void world_fold(struct world *w, const void *data, size_t bytes)
{
	if (bytes != 0)
		w->digest = w->digest * 0x9e3779b97f4a7c15ull + crc32c(data, bytes) + bytes;
}

static void print_writer(struct world *w, uint32_t writer)
{
	fprintf(w->out, "%c.%u", world_letter(writer_node(writer)), writer_incarnation(writer));
}

void world_print_ts(struct world *w, struct op_ts ts)
{
	fprintf(w->out, " %llu", (unsigned long long)ts.version);
	if (ts.writer == 0)
		return;
	fputc('.', w->out);
	print_writer(w, ts.writer);
}

void world_print_flags(struct world *w, uint8_t flags)
{
	if (flags & WIRE_RMW)
		fputs(" rmw", w->out);
	if (flags & WIRE_TOMBSTONE)
		fputs(" tombstone", w->out);
	if (flags & WIRE_REPLAY)
		fputs(" replay", w->out);
	if (flags & WIRE_VALID)
		fputs(" valid", w->out);
	if (flags & WIRE_OVERTAKEN)
		fputs(" overtaken", w->out);
}

static void print_value(struct world *w, const struct wire_message *m)
{
	if (m->value_bytes != 0)
		fprintf(w->out, " '%.*s'", m->value_bytes, (const char *)m->value);
	if (m->prior != 0) {
		fputs(" after ", w->out);
		print_writer(w, m->prior);
	}
}

/* print_chunk: the number and the place of a part of the bulk copy. */
static void print_chunk(struct world *w, const struct wire_message *m)
{
	uint32_t place = (uint32_t)m->id;

	fprintf(w->out, " %u:", (uint32_t)(m->id >> 32));
	if (place == WALK_END)
		fputs("end", w->out);
	else
		fprintf(w->out, "%u", place);
}

void world_print_message(struct world *w, const struct wire_message *m)
{
	fprintf(w->out, " %s", type_name((uint8_t)m->type));
	if (m->type == WIRE_FETCH || m->type == WIRE_COPIED || m->type == WIRE_COPY_SESSION)
		print_chunk(w, m);
	if (m->type == WIRE_FETCH && m->ts.version == WIRE_WALK_SOME) {
		fprintf(w->out, " %llu, %x of them", (unsigned long long)m->ts.version,
			m->ts.writer);
		return;
	}
	if (m->type == WIRE_COPIED) {
		fprintf(w->out, " floor %llu, %u sent", (unsigned long long)load_u64(m->value),
			load_u32(m->value + 8));
		return;
	}
	if (m->type == WIRE_COPY_SESSION) {
		fprintf(w->out, " %u outcomes",
			(m->value_bytes - SESSION_PACK_HEAD) / SESSION_PACK_ONE);
		return;
	}
	if (m->key_bytes != 0)
		fprintf(w->out, " %.*s", m->key_bytes, (const char *)m->key);
	world_print_ts(w, m->ts);
	world_print_flags(w, m->flags);
	if (m->flags & WIRE_STUB)
		fputs(" stub", w->out);
	else if (m->type == WIRE_INV || m->type == WIRE_COPY)
		print_value(w, m);
}

/* print_result: an INCR answers its number in binary, everything else in a script is text. */
static void print_result(struct world *w, const struct wire_message *m)
{
	bool text = m->value_bytes != 0;

	for (uint32_t i = 0; i < m->value_bytes; i++)
		text &= m->value[i] >= ' ' && m->value[i] <= '~';
	if (text)
		fprintf(w->out, " '%.*s'", m->value_bytes, (const char *)m->value);
	else if (m->value_bytes == sizeof(uint64_t))
		fprintf(w->out, " = %lld", (long long)load_u64(m->value));
}

void world_print_reply(struct world *w, uint32_t node, const struct action *a, bool late)
{
	const struct wire_message *m = &a->message;
	enum status status = late ? STATUS_NOT_SERVING : (enum status)m->status;

	fprintf(w->out, "  %c reply ", world_letter(node));
	if (a->client.ip != node)
		fprintf(w->out, "%c.", world_letter(a->client.ip));
	fprintf(w->out, "%llu %s", (unsigned long long)m->id, status_name(status));
	world_fold(w, &status, sizeof(status));
	if (late) {
		fputs(", its lease is over\n", w->out);
		return;
	}
	world_print_ts(w, m->ts);
	print_result(w, m);
	fputc('\n', w->out);
	world_fold(w, &m->ts.version, sizeof(m->ts.version));
	world_fold(w, m->value, m->value_bytes);
}

void world_show(struct world *w, const char *key)
{
	for (uint32_t i = 0; i < w->nodes; i++) {
		const struct entry *e =
			world_entry(&w->node[i], (const uint8_t *)key, (uint32_t)strlen(key));

		fprintf(w->out, "  %c", world_letter(i));
		if (w->node[i].dead || !e) {
			fputs(w->node[i].dead ? " dead\n" : " unknown\n", w->out);
			continue;
		}
		fprintf(w->out, " %s", hermes_state_name((enum hermes_state)e->state));
		world_print_ts(w, entry_ts(e));
		world_print_flags(w, e->flags);
		if (entry_exists(e))
			fprintf(w->out, " '%.*s'", e->value_bytes, (const char *)entry_value(e));
		fputc('\n', w->out);
	}
}

void world_queues(struct world *w)
{
	for (uint32_t from = 0; from < w->nodes; from++) {
		for (uint32_t to = 0; to < w->nodes; to++) {
			for (uint32_t i = 0; i < w->link[from][to].count; i++) {
				const struct world_packet *p = &w->link[from][to].list[i];

				fprintf(w->out, "  %c->%c %s\n", world_letter(from),
					world_letter(to), type_name(p->data[0]));
			}
		}
	}
}

void world_joined(struct world *w, uint32_t node)
{
	bool joined = replica_joined(w->node[node].replica);

	world_fold(w, &joined, sizeof(joined));
	fprintf(w->out, "  %c %s\n", world_letter(node), joined ? "joined" : "has not joined");
}
