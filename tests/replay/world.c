/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/replay/world.h"

#include <stdlib.h>

#include "replication/crc.h"
#include "replication/hermes.h"

#define MS 1000000ull
#define CLUSTER 0x5eedull

static void world_step(struct world *w, uint32_t node, struct event *ev);

static const struct {
	uint8_t type;
	const char *name;
} type_names[] = {
	{ WIRE_INV, "INV" },	 { WIRE_ACK, "ACK" },	    { WIRE_VAL, "VAL" },
	{ WIRE_HELLO, "HELLO" }, { WIRE_OPENED, "OPENED" }, { WIRE_RESULT, "RESULT" },
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

static char letter(uint32_t node)
{
	return (char)('a' + node);
}

static void print_ts(struct world *w, struct op_ts ts)
{
	if (ts.version == 0)
		fputs(" 0", w->out);
	else
		fprintf(w->out, " %llu.%c.%u", (unsigned long long)ts.version,
			letter(writer_node(ts.writer)), writer_incarnation(ts.writer));
}

static void print_flags(struct world *w, uint8_t flags)
{
	if (flags & ENTRY_RMW)
		fputs(" rmw", w->out);
	if (flags & ENTRY_TOMBSTONE)
		fputs(" tombstone", w->out);
}

static void print_message(struct world *w, const struct wire_message *m)
{
	fprintf(w->out, " %s", type_name((uint8_t)m->type));
	if (m->key_bytes != 0)
		fprintf(w->out, " %.*s", m->key_bytes, (const char *)m->key);
	if (m->type == WIRE_RESULT)
		fprintf(w->out, " %s", status_name((enum status)m->status));
	print_ts(w, m->ts);
	print_flags(w, m->flags);
	if (m->value_bytes != 0 && m->type == WIRE_INV)
		fprintf(w->out, " '%.*s'", m->value_bytes, (const char *)m->value);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void start_node(struct world *w, uint32_t node, bool first)
{
	struct world_node *n = &w->node[node];
	struct replica_config config = {
		.cluster = CLUSTER,
		.fingerprint = 1,
		.seed = 1000 + node * 100 + n->incarnation,
		.incarnation = n->incarnation,
		.shard_count = 1,
		.node = (uint8_t)node,
		.node_count = WORLD_NODES,
		.ops_max = 16,
		.held_max = 32,
		.sessions_max = 4,
		.retransmit_ns = 10 * MS,
		.replay_ns = 20 * MS,
		.hello_ns = 100000 * MS,
	};

	if (first) {
		n->mem = aligned_alloc(64, round_up(replica_size(&config), 64));
		must(n->mem != NULL);
	}
	n->replica = replica_init(n->mem, &config);
	n->session = 0;
	n->request = 0;
	n->seq_next = 1;
	n->durable = 0;
}

struct world *world_create(FILE *out)
{
	struct world *w = calloc(1, sizeof(*w));

	must(w != NULL);
	w->out = out;
	for (uint32_t i = 0; i < WORLD_NODES; i++) {
		w->node[i].incarnation = 1;
		start_node(w, i, true);
	}
	return w;
}

void world_destroy(struct world *w)
{
	for (uint32_t i = 0; i < WORLD_NODES; i++)
		free(w->node[i].mem);
	free(w);
}

static struct entry *find_entry(struct world_node *n, const uint8_t *key, uint32_t key_bytes)
{
	for (uint32_t i = 0; i < n->keys; i++) {
		if (n->entry[i].key_bytes == key_bytes &&
		    memcmp(n->blob[i], key, key_bytes) == 0)
			return &n->entry[i];
	}
	return NULL;
}

static struct entry *make_entry(struct world_node *n, const struct wire_message *m)
{
	struct entry *e = find_entry(n, m->key, m->key_bytes);

	if (e)
		return e;
	must(n->keys < WORLD_KEYS);
	e = &n->entry[n->keys];
	*e = (struct entry){ .blob = n->blob[n->keys],
			     .hash = crc32c(m->key, m->key_bytes),
			     .key_bytes = m->key_bytes,
			     .blob_capacity = WORLD_BLOB,
			     .op = OP_NONE,
			     .wait_first = OP_NONE,
			     .wait_last = OP_NONE };
	memcpy(e->blob, m->key, m->key_bytes);
	n->keys++;
	return e;
}

static struct entry *entry_for(struct world_node *n, const struct wire_message *m)
{
	if (m->key_bytes == 0)
		return NULL;
	if (m->type == WIRE_INV || m->type == WIRE_PUT || m->type == WIRE_CAS ||
	    m->type == WIRE_INCR)
		return make_entry(n, m);
	return find_entry(n, m->key, m->key_bytes);
}

/* ---- actions --------------------------------------------------------------------------------- */

static void fold(struct world *w, const void *data, size_t bytes)
{
	w->digest = w->digest * 0x9e3779b97f4a7c15ull + crc32c(data, bytes) + bytes;
}

static void do_send(struct world *w, uint32_t node, const struct action *a)
{
	struct world_node *n = &w->node[node];

	for (uint32_t to = 0; to < WORLD_NODES; to++) {
		struct world_link *link = &w->link[node][to];
		struct world_packet *p;

		if (!(a->to & 1u << to))
			continue;
		must(link->count < WORLD_QUEUE);
		p = &link->list[link->count++];
		p->header = (struct wire_header){
			.kind = WIRE_PEER,
			.cluster = CLUSTER,
			.epoch = replica_epoch(n->replica),
			.from_incarnation = n->incarnation,
			.to_incarnation = replica_peer_incarnation(n->replica, (uint8_t)to),
			.from = (uint8_t)node,
			.to = (uint8_t)to,
		};
		p->bytes = wire_message_bytes(&a->message);
		wire_message_encode(p->data, &a->message);
		fold(w, p->data, p->bytes);
		if (a->message.type == WIRE_HELLO || w->quiet)
			continue;
		fprintf(w->out, "  %c->%c", letter(node), letter(to));
		print_message(w, &a->message);
		fputc('\n', w->out);
	}
}

static void do_persist(struct world *w, uint32_t node, const struct action *a)
{
	struct world_node *n = &w->node[node];
	struct world_record *r = &n->record[n->records++];

	must(n->records <= WORLD_RECORDS);
	must(a->persist_seq == n->seq_next);
	*r = (struct world_record){ .seq = n->seq_next++,
				    .key = (uint32_t)(a->entry - n->entry),
				    .value_bytes = a->entry->value_bytes,
				    .ts = entry_ts(a->entry),
				    .flags = a->entry->flags };
	memcpy(r->value, entry_value(a->entry), r->value_bytes);
	fold(w, &r->ts.version, sizeof(r->ts.version));
	fprintf(w->out, "  %c log %.*s", letter(node), a->entry->key_bytes,
		(const char *)a->entry->blob);
	print_ts(w, r->ts);
	print_flags(w, r->flags);
	fputc('\n', w->out);
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

static void do_reply(struct world *w, uint32_t node, const struct action *a)
{
	const struct wire_message *m = &a->message;

	if (m->type == WIRE_OPENED) {
		w->node[node].session = load_u64(m->value);
		return;
	}
	fprintf(w->out, "  %c reply %llu", letter(node), (unsigned long long)m->id);
	fprintf(w->out, " %s", status_name((enum status)m->status));
	print_ts(w, m->ts);
	print_result(w, m);
	fputc('\n', w->out);
	fold(w, &m->ts.version, sizeof(m->ts.version));
	fold(w, m->value, m->value_bytes);
}

static void world_step(struct world *w, uint32_t node, struct event *ev)
{
	static struct actions actions;
	struct world_node *n = &w->node[node];
	bool more;

	do {
		ev->now_ns = w->now_ns;
		ev->persist_seq_next = n->seq_next;
		more = replica_step(n->replica, ev, &actions);
		for (uint32_t i = 0; i < actions.count; i++) {
			const struct action *a = &actions.list[i];

			if (a->kind == ACTION_SEND)
				do_send(w, node, a);
			else if (a->kind == ACTION_PERSIST)
				do_persist(w, node, a);
			else
				do_reply(w, node, a);
		}
		ev->kind = EVENT_TICK;
	} while (more);
	replica_check(n->replica);
}

static void arrive(struct world *w, uint32_t node, const struct world_packet *p)
{
	struct wire_message m;
	uint32_t offset = 0;
	struct event ev = { .header = &p->header, .message = &m };

	must(wire_message_decode(p->data, p->bytes, p->header.kind, &offset, &m) == WIRE_OK);
	ev.kind = p->header.kind == WIRE_PEER ? EVENT_PEER : EVENT_REQUEST;
	ev.entry = entry_for(&w->node[node], &m);
	ev.from = (struct client_addr){ .port = 9, .ip = 9 };
	world_step(w, node, &ev);
}

/* ---- what scripts do ------------------------------------------------------------------------- */

static void client_send(struct world *w, uint32_t node, const struct wire_message *m)
{
	struct world_node *n = &w->node[node];

	n->last.header = (struct wire_header){
		.kind = WIRE_REQUEST,
		.cluster = CLUSTER,
		.session = m->type == WIRE_OPEN ? 0 : n->session,
		.to_incarnation = m->type == WIRE_OPEN ? 0 : n->incarnation,
		.from = WIRE_NODE_CLIENT,
		.to = (uint8_t)node,
	};
	n->last.bytes = wire_message_bytes(m);
	wire_message_encode(n->last.data, m);
	arrive(w, node, &n->last);
}

void world_request(struct world *w, uint32_t node, const struct wire_message *m)
{
	static const uint8_t zeros[WIRE_OPEN_BYTES];
	struct wire_message request = *m;

	if (w->node[node].session == 0) {
		struct wire_message open = {
			.type = WIRE_OPEN, .id = 77, .value = zeros, .value_bytes = WIRE_OPEN_BYTES,
		};

		client_send(w, node, &open);
		must(w->node[node].session != 0);
	}
	request.id = ++w->node[node].request;
	client_send(w, node, &request);
}

void world_again(struct world *w, uint32_t node)
{
	arrive(w, node, &w->node[node].last);
}

/* take: the oldest packet of that type, removed unless keep. */
static bool take(struct world_link *link, uint8_t type, bool keep, struct world_packet *ret_packet)
{
	for (uint32_t i = 0; i < link->count; i++) {
		if (type != 0 && link->list[i].data[0] != type)
			continue;
		*ret_packet = link->list[i];
		if (!keep) {
			link->count--;
			memmove(&link->list[i], &link->list[i + 1],
				(link->count - i) * sizeof(link->list[0]));
		}
		return true;
	}
	return false;
}

bool world_deliver(struct world *w, uint32_t from, uint32_t to, uint8_t type, bool keep)
{
	struct world_packet p;

	if (!take(&w->link[from][to], type, keep, &p))
		return false;
	arrive(w, to, &p);
	return true;
}

bool world_drop(struct world *w, uint32_t from, uint32_t to, uint8_t type)
{
	struct world_packet p;

	return take(&w->link[from][to], type, false, &p);
}

void world_durable(struct world *w, uint32_t node)
{
	struct world_node *n = &w->node[node];
	struct event ev = { .kind = EVENT_DURABLE, .durable_seq = n->seq_next - 1 };

	n->durable = n->seq_next - 1;
	world_step(w, node, &ev);
}

void world_tick(struct world *w, uint64_t ns)
{
	w->now_ns += ns;
	for (uint32_t i = 0; i < WORLD_NODES; i++) {
		struct event ev = { .kind = EVENT_TICK };

		world_step(w, i, &ev);
	}
}

void world_link(struct world *w)
{
	/* HELLOs answer HELLOs of unknown incarnations and pass on what was heard. */
	for (uint32_t round = 0; round < 4; round++) {
		world_tick(w, 0);
		for (uint32_t from = 0; from < WORLD_NODES; from++) {
			for (uint32_t to = 0; to < WORLD_NODES; to++) {
				while (world_deliver(w, from, to, WIRE_HELLO, false))
					;
			}
		}
	}
	for (uint32_t i = 0; i < WORLD_NODES; i++) {
		if (!replica_linked(w->node[i].replica))
			fprintf(w->out, "  %c is not linked\n", letter(i));
	}
}

/* recover: what storage would do: the newest durable record of each key, state Invalid. */
static void recover(struct world_node *n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n->keys; i++) {
		n->entry[i].version = 0;
		n->entry[i].writer = 0;
		n->entry[i].value_bytes = 0;
		n->entry[i].flags = 0;
		n->entry[i].persist_seq = 0;
		n->entry[i].state = HERMES_INVALID;
		n->entry[i].op = n->entry[i].wait_first = n->entry[i].wait_last = OP_NONE;
	}
	for (uint32_t i = 0; i < n->records; i++) {
		const struct world_record *r = &n->record[i];
		struct entry *e = &n->entry[r->key];

		if (r->seq > n->durable)
			continue;
		if (op_ts_compare(r->ts, entry_ts(e)) > 0) {
			e->version = r->ts.version;
			e->writer = r->ts.writer;
			e->flags = r->flags;
			e->value_bytes = (uint16_t)r->value_bytes;
			memcpy(e->blob + e->key_bytes, r->value, r->value_bytes);
		}
		/* From an older life: durable whatever the new one counts. */
		n->record[kept] = *r;
		n->record[kept++].seq = 0;
	}
	n->records = kept;
	/* A key without a durable record is a key never seen: Valid and absent. */
	for (uint32_t i = 0; i < n->keys; i++) {
		if (n->entry[i].version == 0)
			n->entry[i].state = HERMES_VALID;
	}
}

void world_restart(struct world *w, uint32_t node)
{
	struct world_node *n = &w->node[node];

	recover(n);
	n->incarnation++;
	start_node(w, node, false);
}

void world_show(struct world *w, const char *key)
{
	for (uint32_t i = 0; i < WORLD_NODES; i++) {
		const struct entry *e =
			find_entry(&w->node[i], (const uint8_t *)key, (uint32_t)strlen(key));

		fprintf(w->out, "  %c", letter(i));
		if (!e) {
			fputs(" unknown\n", w->out);
			continue;
		}
		fprintf(w->out, " %s", hermes_state_name((enum hermes_state)e->state));
		print_ts(w, entry_ts(e));
		print_flags(w, e->flags);
		if (entry_exists(e))
			fprintf(w->out, " '%.*s'", e->value_bytes, (const char *)entry_value(e));
		fputc('\n', w->out);
	}
}

void world_queues(struct world *w)
{
	for (uint32_t from = 0; from < WORLD_NODES; from++) {
		for (uint32_t to = 0; to < WORLD_NODES; to++) {
			for (uint32_t i = 0; i < w->link[from][to].count; i++) {
				const struct world_packet *p = &w->link[from][to].list[i];

				fprintf(w->out, "  %c->%c %s\n", letter(from), letter(to),
					type_name(p->data[0]));
			}
		}
	}
}
