/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/replica_rig.h"

#include <stdlib.h>

#define SETTLE_MAX 10000 /* rounds; more is a storm */

struct rig_node rig_nodes[NODES_MAX];
struct rig_packet rig_net[RIG_QUEUE];
uint64_t rig_now;
uint8_t rig_count;
void (*rig_adjust)(struct replica_config *config);
struct wire_message rig_result[RIG_IDS];
uint8_t rig_value[RIG_IDS][VALUE_BYTES_MAX];
int rig_answers[RIG_IDS];
bool rig_lease_marked[RIG_IDS];

static bool with_views;
static uint8_t bytes_of_key[RIG_KEYS];

/* ---- entries --------------------------------------------------------------------------------- */

struct entry *rig_entry(uint8_t n, uint8_t key)
{
	struct rig_node *node = &rig_nodes[n];
	struct entry *e = &node->e[key];

	if (node->present[key])
		return e;
	node->present[key] = true;
	*e = (struct entry){ .blob = node->blob[key], .key_bytes = 1, .hash = key + 1u,
			     .blob_capacity = sizeof(node->blob[key]), .op = OP_NONE,
			     .wait = OP_NONE };
	node->blob[key][0] = bytes_of_key[key];
	return e;
}

void rig_forget(uint8_t n, uint8_t key)
{
	rig_nodes[n].present[key] = false;
}

static uint8_t key_of(const uint8_t *bytes)
{
	assert_true(bytes[0] >= 'k' && bytes[0] < 'k' + RIG_KEYS);
	return (uint8_t)(bytes[0] - 'k');
}

/* entry_for: what step.h says an event brings. */
static struct entry *entry_for(uint8_t n, const struct wire_message *m)
{
	uint8_t key;

	if (m->key_bytes == 0)
		return NULL;
	key = key_of(m->key);
	if (m->type == WIRE_INV || m->type == WIRE_COPY || m->type == WIRE_PUT ||
	    m->type == WIRE_CAS || m->type == WIRE_INCR || m->type == WIRE_CASV)
		return rig_entry(n, key);
	return rig_nodes[n].present[key] ? &rig_nodes[n].e[key] : NULL;
}

/* ---- actions --------------------------------------------------------------------------------- */

static void log_record(struct rig_node *node, const struct action *x)
{
	struct rig_record *r = &node->log[node->log_count++];

	assert_true(node->log_count <= RIG_RECORDS);
	assert_int_equal(x->persist_seq, node->persist_next);
	node->persist_next++;
	*r = (struct rig_record){ .kind = x->kind, .origin = x->origin };
	if (x->kind == ACTION_PERSIST) {
		const struct entry *e = x->entry;

		assert_int_equal(e->persist_seq, x->persist_seq);
		r->key = (uint8_t)(e - node->e);
		r->flags = e->flags;
		r->base = e->base;
		r->ts = entry_ts(e);
		r->value_bytes = e->value_bytes;
		memcpy(r->value, entry_value(e), e->value_bytes);
	} else if (x->kind == ACTION_NOTE || x->kind == ACTION_FORGET) {
		r->ts = x->message.ts;
		if (x->message.key_bytes)
			r->key = key_of(x->message.key);
	}
}

static void send_packets(uint8_t n, const struct action *x)
{
	const struct wire_message *m = &x->message;

	assert_int_equal(x->to & 1u << n, 0);
	for (uint8_t to = 0; to < rig_count; to++) {
		struct rig_packet *p = rig_net;

		if (!(x->to & 1u << to))
			continue;
		while (p < rig_net + RIG_QUEUE && p->used)
			p++;
		assert_true(p < rig_net + RIG_QUEUE);
		*p = (struct rig_packet){
			.used = true, .from = n, .to = to,
			.from_incarnation = rig_nodes[n].incarnation,
			.to_incarnation = replica_peer_incarnation(rig_nodes[n].r, to),
			.epoch = replica_epoch(rig_nodes[n].r),
			.m = *m,
		};
		if (m->key_bytes)
			memcpy(p->bytes, m->key, m->key_bytes);
		if (m->value_bytes)
			memcpy(p->bytes + m->key_bytes, m->value, m->value_bytes);
	}
}

static void take_reply(uint8_t n, const struct action *x)
{
	const struct wire_message *m = &x->message;

	if (m->type == WIRE_OPENED) {
		rig_nodes[n].session = load_u64(m->value);
		return;
	}
	assert_true(m->id < RIG_IDS);
	rig_result[m->id] = *m;
	rig_lease_marked[m->id] = x->lease;
	if (m->value_bytes)
		memcpy(rig_value[m->id], m->value, m->value_bytes);
	rig_answers[m->id]++;
}

static void execute(uint8_t n, const struct actions *a)
{
	for (uint32_t i = 0; i < a->count; i++) {
		const struct action *x = &a->list[i];

		if (x->kind == ACTION_SEND)
			send_packets(n, x);
		else if (x->kind == ACTION_REPLY)
			take_reply(n, x);
		else
			log_record(&rig_nodes[n], x);
		if (x->kind == ACTION_RESET) {
			memset(rig_nodes[n].present, 0, sizeof(rig_nodes[n].present));
			rig_nodes[n].resets++;
		}
		rig_nodes[n].rejoins += x->kind == ACTION_REJOIN;
		if (x->kind == ACTION_FORGET && x->entry)
			rig_forget(n, (uint8_t)(x->entry - rig_nodes[n].e));
	}
}

/* next_walk: the keys of a node from place `at` on; no two nodes have them in the same places. */
static void next_walk(const struct rig_node *node, uint32_t at, uint32_t max,
		      struct entry **walk, struct event *ev)
{
	uint32_t turn = (uint32_t)(node - rig_nodes) * 7;

	ev->walk_count = 0;
	for (; at < RIG_KEYS && ev->walk_count < max; at++)
		if (node->present[(at + turn) % RIG_KEYS])
			walk[ev->walk_count++] =
				(struct entry *)&node->e[(at + turn) % RIG_KEYS];
	ev->walk = walk;
	ev->walk_next = at < RIG_KEYS ? at : WALK_END;
}

enum step_next rig_step(uint8_t n, struct event *ev)
{
	enum step_next next, first = STEP_DONE;
	struct entry *walk[WALK_STUBS_MAX];
	struct actions a;
	int calls = 0;

	do {
		ev->now_ns = rig_now;
		ev->persist_seq_next = rig_nodes[n].persist_next;
		next = replica_step(rig_nodes[n].r, ev, &a);
		if (calls == 0)
			first = next;
		execute(n, &a);
		if (next == STEP_TICK)
			ev->kind = EVENT_TICK;
		if (next == STEP_WALK) {
			ev->kind = EVENT_WALK;
			next_walk(&rig_nodes[n], replica_walk_from(rig_nodes[n].r), WALK_MAX,
				  walk, ev);
		}
		assert_true(++calls < SETTLE_MAX);
	} while (next != STEP_DONE);
	replica_check(rig_nodes[n].r);
	return first;
}

void rig_tick(uint8_t n, uint64_t ms)
{
	struct event ev = { .kind = EVENT_TICK };

	rig_now += ms * MS;
	rig_step(n, &ev);
}

void rig_durable(uint8_t n)
{
	struct event ev = { .kind = EVENT_DURABLE,
			    .durable_seq = rig_nodes[n].persist_next - 1 };

	rig_nodes[n].durable = ev.durable_seq;
	rig_step(n, &ev);
}

/* ---- messages -------------------------------------------------------------------------------- */

void rig_give(struct rig_packet *p)
{
	struct wire_header h = { .kind = WIRE_PEER, .cluster = RIG_CLUSTER, .epoch = p->epoch,
		.from_incarnation = p->from_incarnation, .to_incarnation = p->to_incarnation,
		.from = p->from, .to = p->to };
	struct event ev = { .kind = EVENT_PEER, .header = &h, .message = &p->m };
	struct rig_node *node = &rig_nodes[p->to];
	uint64_t above;
	struct entry *walk[WALK_STUBS_MAX];

	if (!node->r)
		return;
	p->m.key = p->bytes;
	p->m.value = p->bytes + p->m.key_bytes;
	ev.entry = entry_for(p->to, &p->m);
	if (p->m.type == WIRE_FETCH)
		next_walk(node, (uint32_t)p->m.id, replica_walk(node->r, &p->m, &above),
			  walk, &ev);
	rig_step(p->to, &ev);
}

struct rig_packet *rig_find(enum wire_type type, int from, int to)
{
	for (struct rig_packet *p = rig_net; p < rig_net + RIG_QUEUE; p++)
		if (p->used && p->m.type == type && (from < 0 || p->from == from) &&
		    (to < 0 || p->to == to))
			return p;
	return NULL;
}

uint32_t rig_flying(enum wire_type type)
{
	uint32_t count = 0;

	for (struct rig_packet *p = rig_net; p < rig_net + RIG_QUEUE; p++)
		count += p->used && p->m.type == type;
	return count;
}

void rig_deliver(enum wire_type type, int from, int to)
{
	struct rig_packet *p = rig_find(type, from, to);
	struct rig_packet copy;

	assert_non_null(p);
	copy = *p;
	p->used = false;
	rig_give(&copy);
}

void rig_drop(enum wire_type type, int from, int to)
{
	struct rig_packet *p = rig_find(type, from, to);

	assert_non_null(p);
	p->used = false;
}

void rig_drop_all(void)
{
	for (uint32_t i = 0; i < RIG_QUEUE; i++)
		rig_net[i].used = false;
}

void rig_settle(void)
{
	int rounds = 0;

	for (bool moved = true; moved;) {
		moved = false;
		assert_true(++rounds < SETTLE_MAX);
		for (uint8_t n = 0; n < rig_count; n++) {
			struct rig_node *node = &rig_nodes[n];

			if (!node->r || node->durable + 1 == node->persist_next)
				continue;
			rig_durable(n);
			moved = true;
		}
		for (uint32_t i = 0; i < RIG_QUEUE; i++) {
			struct rig_packet copy = rig_net[i];

			if (!copy.used)
				continue;
			rig_net[i].used = false;
			rig_give(&copy);
			moved = true;
		}
	}
}

void rig_run(uint64_t ms)
{
	rig_settle();
	for (uint64_t passed = 0; passed < ms; passed += 2) {
		rig_now += 2 * MS;
		for (uint8_t n = 0; n < rig_count; n++)
			if (rig_nodes[n].r)
				rig_tick(n, 0);
		rig_settle();
	}
}

/* ---- requests -------------------------------------------------------------------------------- */

void rig_request(uint8_t n, const struct wire_message *m)
{
	struct rig_node *node = &rig_nodes[n];
	struct wire_header h = { .kind = WIRE_REQUEST, .cluster = RIG_CLUSTER,
		.session = node->session, .to_incarnation = node->incarnation, .from = 0xff,
		.to = n };
	struct event ev = { .kind = EVENT_REQUEST, .header = &h, .message = m,
		.entry = entry_for(n, m) };

	rig_step(n, &ev);
}

static void ask(uint8_t n, uint8_t key, struct wire_message m, const char *value)
{
	uint8_t delta[8];

	m.key = &bytes_of_key[key];
	m.key_bytes = 1;
	if (m.type == WIRE_INCR) {
		store_u64(delta, (uint64_t)strtoll(value, NULL, 10));
		m.value = delta;
		m.value_bytes = 8;
	} else if (value) {
		m.value = (const uint8_t *)value;
		m.value_bytes = (uint16_t)strlen(value);
	}
	rig_request(n, &m);
}

void rig_do(uint8_t n, enum wire_type type, uint8_t key, uint64_t id, const char *value,
	    struct op_ts expected)
{
	ask(n, key, (struct wire_message){ .type = type, .id = id, .ts = expected }, value);
}

void rig_put(uint8_t n, uint8_t key, uint64_t id, const char *value)
{
	ask(n, key, (struct wire_message){ .type = WIRE_PUT, .id = id }, value);
}

void rig_get(uint8_t n, uint8_t key, uint64_t id)
{
	ask(n, key, (struct wire_message){ .type = WIRE_GET, .id = id }, NULL);
}

void rig_retry(uint8_t n, enum wire_type type, uint8_t key, uint64_t id, const char *value,
	       uint32_t prior)
{
	ask(n, key, (struct wire_message){ .type = type, .id = id, .prior = prior }, value);
}

void rig_open(uint8_t n, uint64_t client, uint64_t first)
{
	uint8_t value[WIRE_OPEN_BYTES] = { 0 };
	struct wire_header h = { .kind = WIRE_REQUEST, .cluster = RIG_CLUSTER, .from = 0xff,
		.to = n };
	struct wire_message m = { .type = WIRE_OPEN, .id = client, .value = value,
		.value_bytes = WIRE_OPEN_BYTES };
	struct event ev = { .kind = EVENT_REQUEST, .header = &h, .message = &m };

	store_u64(value, first);
	rig_nodes[n].session = 0;
	rig_nodes[n].client = client;
	rig_step(n, &ev);
}

/* ---- worlds ---------------------------------------------------------------------------------- */

void rig_start(uint8_t n, uint32_t incarnation)
{
	struct replica_config c = { .cluster = RIG_CLUSTER, .fingerprint = 5, .seed = n + 1u,
		.incarnation = incarnation, .shard_count = 1, .node = n, .node_count = rig_count,
		.ops_max = 32, .held_max = 64, .sessions_max = 8, .session_window = 16,
		.retransmit_ns = 8 * MS, .replay_ns = 10 * MS, .hello_ns = 1000 * MS,
		.views = with_views };
	struct rig_node *node = &rig_nodes[n];

	if (rig_adjust)
		rig_adjust(&c);
	free(node->mem);
	node->mem = aligned_alloc(64, round_up(replica_size(&c), 64));
	assert_non_null(node->mem);
	memset(node->mem, 0xdd, replica_size(&c)); /* it must not count on zeroed memory */
	node->r = replica_init(node->mem, &c);
	node->incarnation = incarnation;
	node->persist_next = 1;
	node->durable = 0;
	node->log_count = 0;
}

/* recover_one: what worker_recover does with one record. */
static void recover_one(struct rig_node *node, uint8_t n, const struct rig_record *r)
{
	struct wire_message m = { .type = WIRE_INV, .flags = r->flags, .key_bytes = 1,
		.value_bytes = r->value_bytes, .ts = r->ts, .prior = r->base,
		.origin = r->origin, .key = &bytes_of_key[r->key], .value = r->value };
	struct entry *e = node->present[r->key] ? &node->e[r->key] : NULL;
	uint32_t link;

	if (r->kind == ACTION_RESET) {
		memset(node->present, 0, sizeof(node->present));
		replica_recover_reset(node->r);
		return;
	}
	if (r->kind == ACTION_REJOIN) {
		replica_recover_rejoin(node->r);
		return;
	}
	if (r->kind == ACTION_FORGET) {
		node->present[r->key] &= e && op_ts_compare(entry_ts(e), r->ts) != 0;
		return;
	}
	if (r->kind == ACTION_NOTE) {
		replica_recover_note(node->r, &r->origin, r->ts);
		return;
	}
	link = replica_recover(node->r, e, &m, r->key + 1u);
	if (e && op_ts_compare(r->ts, entry_ts(e)) <= 0)
		return;
	e = rig_entry(n, r->key);
	memcpy(e->blob + 1, r->value, r->value_bytes);
	e->value_bytes = r->value_bytes;
	e->flags = r->flags;
	e->version = r->ts.version;
	e->writer = r->ts.writer;
	e->base = r->base;
	e->origin = link;
	e->state = HERMES_INVALID;
}

void rig_recover(uint8_t n, uint32_t incarnation)
{
	struct rig_node *node = &rig_nodes[n];
	uint32_t kept = (uint32_t)node->durable;
	uint32_t first = node->log_count - (uint32_t)(node->persist_next - 1);

	memset(node->present, 0, sizeof(node->present));
	rig_start(n, incarnation);
	for (uint32_t i = 0; i < first + kept; i++)
		recover_one(node, n, &node->log[i]);
	node->log_count = first + kept;
}

static void make_world(uint8_t nodes)
{
	rig_free();
	memset(rig_net, 0, sizeof(rig_net));
	memset(rig_answers, 0, sizeof(rig_answers));
	rig_count = nodes;
	rig_now = 1000 * MS;
	for (uint8_t k = 0; k < RIG_KEYS; k++)
		bytes_of_key[k] = (uint8_t)('k' + k);
	for (uint8_t n = 0; n < nodes; n++) {
		memset(rig_nodes[n].present, 0, sizeof(rig_nodes[n].present));
		rig_nodes[n].resets = rig_nodes[n].rejoins = 0;
		rig_start(n, 1);
	}
}

void rig_world(uint8_t nodes)
{
	with_views = false;
	make_world(nodes);
	for (int round = 0; round < 2; round++) {
		for (uint8_t n = 0; n < nodes; n++)
			rig_tick(n, 0);
		rig_settle();
	}
	for (uint8_t n = 0; n < nodes; n++) {
		assert_true(replica_linked(rig_nodes[n].r));
		rig_open(n, 1000u + n, 1);
		assert_int_not_equal(rig_nodes[n].session, 0);
	}
}

void rig_views(uint8_t nodes, uint8_t members)
{
	struct view v = { .epoch = 1, .members = members, .recovered = members };

	with_views = true;
	make_world(nodes);
	for (uint8_t n = 0; n < nodes; n++)
		if (members & 1u << n) {
			v.incarnation[n] = 1;
			v.since[n] = 1;
		}
	rig_install(&v);
	rig_settle();
	for (uint8_t n = 0; n < nodes; n++)
		if (members & 1u << n) {
			rig_open(n, 1000u + n, 1);
			assert_int_not_equal(rig_nodes[n].session, 0);
		}
}

void rig_view(uint8_t n, const struct view *v)
{
	struct event ev = { .kind = EVENT_VIEW, .view = v };

	rig_step(n, &ev);
}

void rig_lease(uint8_t n, uint32_t epoch, uint64_t ns)
{
	struct event ev = { .kind = EVENT_LEASE, .lease_epoch = epoch, .lease_ns = ns };

	rig_step(n, &ev);
}

void rig_install(const struct view *v)
{
	for (uint8_t n = 0; n < rig_count; n++)
		if (view_write_set(v) & 1u << n) {
			rig_view(n, v);
			rig_lease(n, v->epoch, UINT64_MAX);
		}
}

void rig_free(void)
{
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		free(rig_nodes[n].mem);
		rig_nodes[n].mem = NULL;
		rig_nodes[n].r = NULL;
	}
}

/* ---- what is expected ------------------------------------------------------------------------ */

void rig_holds(uint8_t n, uint8_t key, enum hermes_state state, uint64_t version,
	       const char *value)
{
	const struct entry *e = rig_entry(n, key);

	assert_string_equal(hermes_state_name((enum hermes_state)e->state),
			    hermes_state_name(state));
	assert_int_equal(e->version, version);
	assert_int_equal(e->value_bytes, strlen(value));
	assert_memory_equal(entry_value(e), value, strlen(value));
}

void rig_answered(uint64_t id, enum status status, uint64_t version)
{
	assert_int_equal(rig_answers[id], 1);
	assert_string_equal(status_name((enum status)rig_result[id].status), status_name(status));
	assert_int_equal(rig_result[id].ts.version, version);
	assert_int_equal(rig_result[id].durability, DURABILITY_ALL);
}

uint8_t rig_newer(uint8_t a, uint8_t b, uint64_t version)
{
	struct op_ts of_a = { version, writer_make(a, 1) };
	struct op_ts of_b = { version, writer_make(b, 1) };

	return op_ts_compare(of_a, of_b) > 0 ? a : b;
}

const struct replica_counters *rig_counters(uint8_t n)
{
	return replica_counters(rig_nodes[n].r);
}
