/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/group_rig.h"

#include <stdlib.h>

#define STEP_NS 100000ull /* the world moves on in steps of this */
#define RESEND_NS (30 * GR_MS)
#define PACKETS 40000u

struct packet {
	uint64_t at_ns;
	bool used, raft;
	uint8_t from, to;
	uint32_t from_incarnation, to_incarnation;
	struct wire_message m;
	uint32_t bytes;
	uint8_t data[FRAME_PAYLOAD_MAX];
};

struct gr_world gr;
void (*gr_adjust)(struct replica_config *config);
static struct packet *net;
static uint32_t net_end;

/* ---- small things ---------------------------------------------------------------------------- */

uint64_t gr_rand(uint64_t below)
{
	uint64_t z = (gr.random += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return below == 0 ? 0 : (z ^ z >> 31) % below;
}

static uint8_t key_of(const uint8_t *bytes)
{
	assert_true(bytes[0] >= 'A' && bytes[0] < 'A' + GR_KEYS);
	return (uint8_t)(bytes[0] - 'A');
}

static struct entry *entry_of(uint8_t n, uint8_t key, bool make)
{
	struct gr_node *node = &gr.node[n];
	struct entry *e = &node->e[key];

	if (node->present[key])
		return e;
	if (!make)
		return NULL;
	node->present[key] = true;
	*e = (struct entry){ .blob = node->blob[key], .key_bytes = 1, .hash = key + 1u,
			     .blob_capacity = sizeof(node->blob[key]), .op = OP_NONE,
			     .wait = OP_NONE };
	node->blob[key][0] = (uint8_t)('A' + key);
	return e;
}

int64_t gr_value(uint8_t n, uint8_t key)
{
	const struct entry *e = entry_of(n, key, false);
	int64_t number = 0;

	if (!e || !entry_exists(e))
		return 0;
	assert_true(number_parse(entry_value(e), e->value_bytes, &number));
	return number;
}

/* ---- actions --------------------------------------------------------------------------------- */

static struct packet *packet_for(uint8_t from, uint8_t to)
{
	uint32_t i = 0;

	if ((gr.cut[from] >> to & 1) || gr_rand(1000) < gr.loss_permille)
		return NULL;
	while (i < net_end && net[i].used)
		i++;
	assert_true(i < PACKETS);
	if (i == net_end)
		net_end++;
	net[i] = (struct packet){ .used = true, .from = from, .to = to,
				  .at_ns = gr.now + 20000 + gr_rand(gr.delay_max_us) * 1000,
				  .from_incarnation = gr.node[from].incarnation };
	return &net[i];
}

static void send_raft(uint8_t n, const struct action *x)
{
	assert_int_equal(x->to & 1u << n, 0);
	for (uint8_t to = 0; to < gr.nodes; to++) {
		struct packet *p = x->to & 1u << to ? packet_for(n, to) : NULL;

		if (!p)
			continue;
		p->raft = true;
		p->bytes = raft_message_bytes(x->raft);
		raft_message_encode(p->data, x->raft);
		if (gr_rand(1000) < gr.loss_permille) {
			struct packet copy = *p, *q = packet_for(n, to);

			if (q) {
				copy.at_ns = q->at_ns + gr_rand(50) * GR_MS;
				*q = copy;
			}
		}
	}
}

static void send_peer(uint8_t n, const struct action *x)
{
	for (uint8_t to = 0; to < gr.nodes; to++) {
		struct packet *p = x->to & 1u << to ? packet_for(n, to) : NULL;

		if (!p)
			continue;
		p->to_incarnation = replica_peer_incarnation(gr.node[n].r, to);
		p->m = x->message;
		p->bytes = wire_message_bytes(&x->message);
		assert_true(p->bytes <= FRAME_PAYLOAD_MAX);
		if (p->m.key_bytes)
			memcpy(p->data, x->message.key, p->m.key_bytes);
		if (p->m.value_bytes)
			memcpy(p->data + p->m.key_bytes, x->message.value, p->m.value_bytes);
	}
}

/* log_next: room for one more record; there is room for the next power of two of them. */
static struct gr_record *log_next(struct gr_node *node)
{
	uint32_t count = node->log_count++;

	if ((count & (count - 1)) == 0)
		node->log = realloc(node->log, max_u64(2 * count, 1) * sizeof(*node->log));
	return &node->log[count];
}

static void log_append(uint8_t n, const struct action *x)
{
	struct gr_node *node = &gr.node[n];
	struct gr_record *rec;
	const uint8_t *data = NULL;

	rec = log_next(node);
	*rec = (struct gr_record){ .kind = x->kind };
	assert_int_equal(x->persist_seq, node->log_count - node->log_start);
	if (x->kind == ACTION_RAFT_PERSIST) {
		rec->raft = *x->record;
		rec->bytes = x->record->kind == RAFT_RECORD_HARD ? 0 : x->record->entry.bytes;
		data = x->record->entry.data;
	} else if (x->kind == ACTION_PERSIST) {
		rec->key = (uint8_t)(x->entry - node->e);
		rec->flags = x->entry->flags;
		rec->version = x->entry->version;
		rec->bytes = x->entry->value_bytes;
		data = entry_value(x->entry);
	} else {
		assert_int_equal(x->kind, ACTION_RESET);
		memset(node->present, 0, sizeof(node->present));
		node->resets++;
	}
	rec->data = malloc(rec->bytes + 1u);
	if (rec->bytes)
		memcpy(rec->data, data, rec->bytes);
}

/* log_forget: as the worker does: the tombstone goes from memory, and what says so into the log. */
static void log_forget(uint8_t n, uint8_t key)
{
	struct gr_node *node = &gr.node[n];
	struct gr_record *rec = log_next(node);

	*rec = (struct gr_record){ .kind = ACTION_FORGET, .key = key,
				   .version = node->e[key].version, .data = malloc(1) };
	node->forgotten++;
}

static void on_reply(uint8_t n, const struct action *x);

static void execute(uint8_t n, const struct actions *a)
{
	for (uint32_t i = 0; i < a->count; i++) {
		const struct action *x = &a->list[i];

		if (x->kind == ACTION_RAFT_SEND)
			send_raft(n, x);
		else if (x->kind == ACTION_SEND)
			send_peer(n, x);
		else if (x->kind == ACTION_REPLY)
			on_reply(n, x);
		else
			log_append(n, x);
	}
}

static void step(uint8_t n, struct event *ev)
{
	struct gr_node *node = &gr.node[n];
	struct actions a;
	enum step_next next;
	int calls = 0;

	do {
		ev->now_ns = node->stale_ns ? node->stale_ns : gr.now;
		ev->persist_seq_next = node->log_count - node->log_start + 1;
		next = replica_step(node->r, ev, &a);
		execute(n, &a);
		if (next == STEP_APPLY) {
			const struct wire_message *m = replica_apply_message(node->r);

			ev->kind = EVENT_APPLY;
			ev->entry = entry_of(n, key_of(m->key), m->type == WIRE_PUT);
		} else {
			ev->kind = EVENT_TICK;
		}
		assert_true(++calls < 100000);
	} while (next != STEP_DONE);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* recover_entries: applies what recovery asks for. */
static void recover_entries(uint8_t n, enum step_next next)
{
	struct gr_node *node = &gr.node[n];
	struct event ev = { .kind = EVENT_APPLY, .persist_seq_next = 1 };
	struct actions a;

	while (next == STEP_APPLY) {
		const struct wire_message *m = replica_apply_message(node->r);

		ev.entry = entry_of(n, key_of(m->key), m->type == WIRE_PUT);
		next = replica_step(node->r, &ev, &a);
		assert_int_equal(a.count, 0);
	}
	assert_int_equal(next, STEP_DONE);
}

static void recover_forget(uint8_t n, const struct gr_record *rec)
{
	struct gr_node *node = &gr.node[n];
	struct op_ts ts = { rec->version, GROUP_WRITER };
	struct entry *e;

	recover_entries(n, replica_recover_forget(node->r, rec->version));
	e = entry_of(n, rec->key, false);
	if (e && e->version == rec->version)
		node->present[rec->key] = false;
	replica_recover_note(node->r, &(struct origin){ 0, 0 }, ts);
}

static void recover_one(uint8_t n, const struct gr_record *rec)
{
	struct gr_node *node = &gr.node[n];
	struct raft_record raft = rec->raft;

	if (rec->kind == ACTION_RESET) {
		memset(node->present, 0, sizeof(node->present));
		replica_recover_reset(node->r);
	} else if (rec->kind == ACTION_FORGET) {
		recover_forget(n, rec);
	} else if (rec->kind == ACTION_PERSIST) {
		struct entry *e = entry_of(n, rec->key, true);

		if (rec->version > e->version) {
			e->version = rec->version;
			e->writer = GROUP_WRITER;
			e->flags = rec->flags;
			e->value_bytes = rec->bytes;
			memcpy(e->blob + 1, rec->data, rec->bytes);
		}
	} else {
		raft.entry.data = rec->data;
		recover_entries(n, replica_recover_raft(node->r, &raft));
	}
}

void gr_start(uint8_t n, uint8_t founders)
{
	struct gr_node *node = &gr.node[n];
	struct replica_config c = { .cluster = GR_CLUSTER, .fingerprint = 5,
		.seed = n + 1u + gr.random, .incarnation = ++node->incarnation, .shard_count = 1,
		.node = n, .node_count = gr.nodes, .ops_max = 64, .held_max = 2,
		.sessions_max = 64, .session_window = 16, .retransmit_ns = 8 * GR_MS,
		.replay_ns = 8 * GR_MS, .hello_ns = 20 * GR_MS, .engine = 1,
		.founders = founders,
		.raft = { .heartbeat_ns = 5 * GR_MS, .election_ns = 40 * GR_MS,
			  .disk_ns = 200 * GR_MS, .drift_ppm = 100, .entries_max = 256,
			  .bytes_max = 128 * 1024 } };

	if (gr_adjust)
		gr_adjust(&c);
	node->founders = founders;
	node->mem = aligned_alloc(64, round_up(replica_size(&c), 64));
	memset(node->mem, 0xa5, replica_size(&c));
	node->r = replica_init(node->mem, &c);
	memset(node->present, 0, sizeof(node->present));
	memset(node->session, 0, sizeof(node->session));
	node->stale_ns = node->paused_ns = 0;
	for (uint32_t i = 0; i < node->log_count; i++)
		recover_one(n, &node->log[i]);
	node->log_start = node->log_count;
	node->log_durable = node->log_count;
	node->writing = 0;
}

void gr_crash(uint8_t n)
{
	struct gr_node *node = &gr.node[n];
	uint32_t keep = node->log_durable;

	if (!node->r)
		return;
	if (node->writing > keep)
		keep += (uint32_t)gr_rand(node->writing - keep + 1);
	while (node->log_count > keep)
		free(node->log[--node->log_count].data);
	free(node->mem);
	node->r = NULL;
}

void gr_wipe(uint8_t n)
{
	struct gr_node *node = &gr.node[n];

	gr_crash(n);
	while (node->log_count > 0)
		free(node->log[--node->log_count].data);
	node->log_durable = 0;
}

void gr_record(uint8_t n, const struct raft_record *raft)
{
	struct gr_node *node = &gr.node[n];
	uint16_t bytes = raft->kind == RAFT_RECORD_HARD ? 0 : raft->entry.bytes;
	struct gr_record *rec;

	assert_null(node->r);
	rec = log_next(node);
	*rec = (struct gr_record){ .kind = ACTION_RAFT_PERSIST, .raft = *raft, .bytes = bytes };
	rec->data = malloc(bytes + 1u);
	if (bytes)
		memcpy(rec->data, raft->entry.data, bytes);
	node->log_durable = node->log_count;
}

void gr_pause(uint8_t n, uint64_t ms)
{
	gr.node[n].paused_ns = gr.now + ms * GR_MS;
	gr.node[n].stale_ns = gr.now;
}

void gr_begin(uint8_t nodes, uint64_t seed, uint8_t founders)
{
	memset(&gr, 0, sizeof(gr));
	gr.nodes = nodes;
	gr.random = seed * 77777 + 5;
	gr.now = GR_MS;
	gr.delay_max_us = 100;
	gr.disk_us = 200;
	gr.asked = (uint8_t)((1u << nodes) - 1);
	net = calloc(PACKETS, sizeof(*net));
	net_end = 0;
	for (uint8_t n = 0; n < nodes; n++)
		if (founders == 0 || (founders >> n & 1))
			gr_start(n, founders);
}

void gr_end(void)
{
	for (uint8_t n = 0; n < gr.nodes; n++) {
		gr_wipe(n);
		free(gr.node[n].log);
	}
	free(net);
}

void gr_cut(uint8_t a, uint8_t b, bool on)
{
	gr.cut[a] = (uint8_t)((gr.cut[a] & ~(1u << b)) | (unsigned)on << b);
	gr.cut[b] = (uint8_t)((gr.cut[b] & ~(1u << a)) | (unsigned)on << a);
}

void gr_heal(void)
{
	memset(gr.cut, 0, sizeof(gr.cut));
	gr.loss_permille = 0;
}

void gr_view(const struct view *v)
{
	for (uint8_t n = 0; n < gr.nodes; n++) {
		struct event ev = { .kind = EVENT_VIEW, .view = v };

		if (gr.node[n].r)
			step(n, &ev);
	}
}

/* ---- clients --------------------------------------------------------------------------------- */

static void send_open(uint32_t c, uint8_t n)
{
	uint8_t value[WIRE_OPEN_BYTES] = { 0 };
	struct wire_header h = { .kind = WIRE_REQUEST, .cluster = GR_CLUSTER, .from = 0xff,
				 .to = n };
	struct wire_message m = { .type = WIRE_OPEN, .id = c + 1, .value = value,
				  .value_bytes = WIRE_OPEN_BYTES };
	struct event ev = { .kind = EVENT_REQUEST, .header = &h, .message = &m };

	store_u64(value, gr.client[c].id + 1);
	gr.client[c].first_used[n] = gr.client[c].id + 1;
	step(n, &ev);
}

static void send_request(uint8_t n, uint64_t session, struct wire_message *m)
{
	struct wire_header h = { .kind = WIRE_REQUEST, .cluster = GR_CLUSTER,
				 .session = session, .to_incarnation = gr.node[n].incarnation,
				 .from = 0xff, .to = n };
	struct event ev = { .kind = EVENT_REQUEST, .header = &h, .message = m };

	ev.entry = m->type == WIRE_GET ? entry_of(n, key_of(m->key), false) : NULL;
	ev.from.port = (uint16_t)(session & 0xffff);
	step(n, &ev);
}

/* client_send: the request of this client, to the node it has chosen. */
static void client_send(uint32_t c)
{
	struct gr_client *k = &gr.client[c];
	struct gr_node *node = &gr.node[k->node];
	uint8_t key = (uint8_t)('A' + k->key), delta[8];
	struct wire_message m = { .type = k->type, .key = &key, .key_bytes = 1, .id = k->id };

	k->sent_ns = gr.now;
	if (!node->r || gr.now < node->paused_ns)
		return;
	if (node->session[c] == 0)
		send_open(c, k->node);
	if (node->session[c] == 0)
		return;
	if (k->type != WIRE_GET) {
		store_u64(delta, 1);
		m.value = delta;
		m.value_bytes = k->type == WIRE_DEL ? 0 : 8;
		if (k->prior == 0) {
			k->prior = writer_make(k->node, node->incarnation);
			k->home = k->node;
		} else if (k->prior != writer_make(k->node, node->incarnation)) {
			k->moved = true;
		}
		if (k->moved) {
			m.prior = (uint32_t)k->prior;
			m.flags = k->first_used[k->node] > k->id ? WIRE_OLD : 0;
		}
	}
	send_request(k->node, node->session[c], &m);
}

static void client_begin(uint32_t c)
{
	struct gr_client *k = &gr.client[c];
	uint8_t n = (uint8_t)gr_rand(gr.nodes);

	if (!(gr.asked >> n & 1) || gr.quiet)
		return;
	k->node = n;
	if (gr.node[n].r && gr.node[n].session[c] == 0 && gr.now >= gr.node[n].paused_ns)
		send_open(c, n);
	k->type = gr_rand(10) < 7 ? WIRE_INCR : WIRE_GET;
	k->key = (uint8_t)gr_rand(GR_COUNTERS);
	if (gr_rand(3) == 0) {
		static const enum wire_type types[] = { WIRE_PUT, WIRE_DEL, WIRE_DEL, WIRE_CAS };

		k->type = types[gr_rand(4)];
		k->key = (uint8_t)(GR_COUNTERS + gr_rand(GR_KEYS - GR_COUNTERS));
	}
	k->id++;
	k->begun_ns = gr.now;
	k->prior = 0;
	k->moved = false;
	k->floor_ok = gr.ok[k->key] > gr.seen[k->key] ? gr.ok[k->key] : gr.seen[k->key];
	client_send(c);
}

static void client_look(uint32_t c)
{
	struct gr_client *k = &gr.client[c];

	if (k->type == 0) {
		if (gr_rand(20) == 0)
			client_begin(c);
		return;
	}
	if (gr.now - k->sent_ns < RESEND_NS)
		return;
	if (gr_rand(3) == 0)
		k->node = (uint8_t)((k->node + 1) % gr.nodes);
	if (!(gr.asked >> k->node & 1))
		k->node = (uint8_t)__builtin_ctz(gr.asked);
	client_send(c);
}

static void seen(uint8_t key, int64_t number)
{
	if (number > gr.seen[key])
		gr.seen[key] = number;
}

static void update_done(struct gr_client *k, uint8_t n, const struct wire_message *m)
{
	bool refused = m->status == STATUS_BUSY || m->status == STATUS_NOT_SERVING ||
		       m->status == STATUS_NO_SPACE;

	if (k->type != WIRE_INCR && !refused) {
		k->done++;
	} else if (m->status == STATUS_OK) {
		gr.ok[k->key]++;
		k->done++;
		assert_int_equal(m->value_bytes, 8);
		seen(k->key, (int64_t)load_u64(m->value));
	} else if (m->status == STATUS_UNKNOWN || m->status == STATUS_EVICTED) {
		gr.maybe[k->key]++;
		k->unknown += m->status == STATUS_UNKNOWN;
		k->evicted += m->status == STATUS_EVICTED;
	} else if (refused) {
		if (k->moved || n != k->home)
			return; /* says nothing about the first attempt: ask again later */
		k->refused++;
	} else {
		fail_msg("answer %s", status_name((enum status)m->status));
	}
	k->type = 0;
}

static void read_done(struct gr_client *k, const struct wire_message *m)
{
	int64_t number = 0;

	if (m->status != STATUS_OK && m->status != STATUS_NOT_FOUND) {
		k->refused++;
		k->type = 0;
		return;
	}
	if (m->status == STATUS_OK)
		assert_true(number_parse(m->value, m->value_bytes, &number));
	if (number < k->floor_ok)
		fail_msg("stale read: %lld, %lld were acknowledged before", (long long)number,
			 (long long)k->floor_ok);
	seen(k->key, number);
	gr.reads++;
	k->type = 0;
}

static void on_reply(uint8_t n, const struct action *x)
{
	struct wire_message m = x->message;
	struct gr_node *node = &gr.node[n];

	if (m.type == WIRE_OPENED) {
		if (m.status == STATUS_OK)
			node->session[m.id - 1] = load_u64(m.value);
		return;
	}
	if (x->lease && gr.now >= replica_lease_ns(node->r)) {
		m.status = STATUS_NOT_SERVING;
		m.value_bytes = 0;
	}
	for (uint32_t c = 0; c < GR_CLIENTS; c++) {
		struct gr_client *k = &gr.client[c];

		if (node->session[c] != x->session || x->session == 0)
			continue;
		if (gr.by_hand && c == gr.hand) {
			gr.result = m;
			if (m.value_bytes)
				memcpy(gr.result_value, m.value, m.value_bytes);
			gr.results++;
			return;
		}
		if (m.status == STATUS_NO_SESSION) {
			node->session[c] = 0;
			return;
		}
		if (k->type == 0 || m.id != k->id)
			return;
		if (k->type == WIRE_GET)
			read_done(k, &m);
		else
			update_done(k, n, &m);
		gr.last_progress = gr.now;
		return;
	}
}

void gr_request(uint8_t n, enum wire_type type, uint8_t key, uint64_t id, const char *value,
		struct op_ts expected)
{
	uint8_t byte = (uint8_t)('A' + key), delta[8];
	struct wire_message m = { .type = type, .key = &byte, .key_bytes = 1, .id = id,
				  .ts = expected, .prior = gr.prior };

	gr.by_hand = true;
	if (gr.node[n].session[gr.hand] == 0)
		send_open(gr.hand, n);
	if (type == WIRE_INCR) {
		store_u64(delta, (uint64_t)strtoll(value, NULL, 10));
		m.value = delta;
		m.value_bytes = 8;
	} else if (value) {
		m.value = (const uint8_t *)value;
		m.value_bytes = (uint16_t)strlen(value);
	}
	send_request(n, gr.node[n].session[gr.hand], &m);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void give(struct packet *p)
{
	struct wire_header h = { .kind = p->raft ? WIRE_RAFT : WIRE_PEER, .cluster = GR_CLUSTER,
				 .from_incarnation = p->from_incarnation,
				 .to_incarnation = p->to_incarnation, .from = p->from,
				 .to = p->to };
	struct event ev = { .header = &h };
	struct entry *walk[WALK_MAX];
	struct raft_message raft;
	uint32_t offset = 0;
	uint64_t above;

	if (p->raft) {
		ev.kind = EVENT_RAFT;
		assert_int_equal(raft_message_decode(p->data, p->bytes, &offset, &raft), WIRE_OK);
		ev.raft = &raft;
		step(p->to, &ev);
		return;
	}
	ev.kind = EVENT_PEER;
	ev.message = &p->m;
	p->m.key = p->data;
	p->m.value = p->data + p->m.key_bytes;
	if (p->m.type == WIRE_COPY)
		ev.entry = entry_of(p->to, key_of(p->m.key), true);
	if (p->m.type == WIRE_FETCH && replica_walk(gr.node[p->to].r, &p->m, &above)) {
		uint32_t at = (uint32_t)p->m.id;

		for (; at < GR_KEYS && ev.walk_count < WALK_MAX; at++)
			if (gr.node[p->to].present[at] && gr.node[p->to].e[at].version > above)
				walk[ev.walk_count++] = &gr.node[p->to].e[at];
		ev.walk = walk;
		ev.walk_next = at < GR_KEYS ? at : WALK_END;
	}
	step(p->to, &ev);
}

static void disk(uint8_t n)
{
	struct gr_node *node = &gr.node[n];

	if (node->writing != 0 && gr.now >= node->durable_at_ns) {
		struct event ev = { .kind = EVENT_DURABLE,
				    .durable_seq = node->writing - node->log_start };

		node->log_durable = node->writing;
		node->writing = 0;
		step(n, &ev);
	}
	if (node->writing == 0 && node->log_count > node->log_durable) {
		node->writing = node->log_count;
		node->durable_at_ns = gr.now + (gr.disk_us / 2 + gr_rand(gr.disk_us)) * 1000;
	}
}

/* space: what a worker with one shard would say of it. */
static void space(struct replica *r, enum space space)
{
	replica_set_space(r, space, gr.room ? gr.room : UINT32_MAX);
}

static void sweep(uint8_t n)
{
	uint8_t key = (uint8_t)gr_rand(GR_KEYS);
	struct gr_node *node = &gr.node[n];

	if (!node->present[key] || entry_exists(&node->e[key]))
		return;
	if (node->e[key].version == 0) {
		node->present[key] = false;
		return;
	}
	space(node->r, gr.greedy ? SPACE_LOW : SPACE_OK);
	if (replica_can_collect(node->r, &node->e[key])) {
		log_forget(n, key);
		replica_collect(node->r, &node->e[key]);
		node->present[key] = false;
	}
	space(node->r, SPACE_OK);
}

static void turn(void)
{
	gr.now += STEP_NS;
	for (uint32_t i = 0; i < net_end; i++) {
		struct packet p;

		if (!net[i].used || net[i].at_ns > gr.now)
			continue;
		if (gr.node[net[i].to].r && gr.now < gr.node[net[i].to].paused_ns)
			continue;
		p = net[i];
		net[i].used = false;
		if (gr.node[p.to].r)
			give(&p);
	}
	while (net_end > 0 && !net[net_end - 1].used)
		net_end--;
	for (uint8_t n = 0; n < gr.nodes; n++) {
		struct event ev = { .kind = EVENT_TICK };

		if (!gr.node[n].r || gr.now < gr.node[n].paused_ns)
			continue;
		disk(n);
		if (gr.room)
			space(gr.node[n].r, SPACE_OK);
		if (replica_deadline_ns(gr.node[n].r) <= gr.now)
			step(n, &ev);
		sweep(n);
	}
	for (uint32_t c = 0; c < gr.clients; c++)
		client_look(c);
	for (uint8_t n = 0; n < gr.nodes; n++)
		if (gr.node[n].stale_ns && gr.now >= gr.node[n].paused_ns)
			gr.node[n].stale_ns = 0;
}

void gr_run(uint64_t ms)
{
	for (uint64_t i = 0; i < ms * GR_MS / STEP_NS; i++) {
		turn();
		if (i % 16 == 0)
			for (uint8_t n = 0; n < gr.nodes; n++)
				if (gr.node[n].r)
					replica_check(gr.node[n].r);
	}
}

int gr_leader(void)
{
	for (uint8_t n = 0; n < gr.nodes; n++)
		if (gr.node[n].r && raft_ready(replica_raft(gr.node[n].r)))
			return n;
	return -1;
}

bool gr_all_applied(void)
{
	uint64_t commit = 0;

	for (uint8_t n = 0; n < gr.nodes; n++)
		if (gr.node[n].r)
			commit = max_u64(commit, raft_last(replica_raft(gr.node[n].r)));
	for (uint8_t n = 0; n < gr.nodes; n++)
		if (gr.node[n].r && group_applied(gr.node[n].r) < commit)
			return false;
	return true;
}

/* gr_settle: clients finish what they have begun, everybody applies everything. */
void gr_settle(uint64_t ms)
{
	for (uint64_t passed = 0; passed < ms; passed += 10) {
		bool idle = true;

		gr_run(10);
		for (uint32_t c = 0; c < gr.clients; c++)
			idle &= gr.client[c].type == 0;
		if (idle && gr_all_applied() && gr_leader() >= 0)
			return;
	}
	fail_msg("not quiet after %llu ms", (unsigned long long)ms);
}

/* ---- checks ---------------------------------------------------------------------------------- */

static void same_sessions(uint8_t a, uint8_t b)
{
	struct group *x = gr.node[a].r->group, *y = gr.node[b].r->group;

	assert_int_equal(x->dropped, y->dropped);
	for (uint32_t i = 0; i < x->sessions.count; i++) {
		const struct session *s = &x->sessions.list[i];
		const struct session *t = s->client ? session_of(&y->sessions, s->client) : NULL;

		if (s->client == 0)
			continue;
		assert_non_null(t);
		assert_int_equal(s->used_ns, t->used_ns);
		assert_int_equal(s->floor, t->floor);
		assert_int_equal(s->id, t->id);
		for (uint32_t w = 0; w < x->sessions.window; w++) {
			assert_int_equal(s->window[w].request, t->window[w].request);
			assert_int_equal(s->window[w].fate == 0, t->window[w].fate == 0);
			if (s->window[w].fate == OUTCOME_DONE &&
			    t->window[w].fate == OUTCOME_DONE) {
				assert_int_equal(s->window[w].status, t->window[w].status);
				assert_int_equal(s->window[w].number, t->window[w].number);
				assert_int_equal(s->window[w].ts.version,
						 t->window[w].ts.version);
			}
		}
	}
}

void gr_check_same(void)
{
	int first = -1;

	for (uint8_t n = 0; n < gr.nodes; n++) {
		if (!gr.node[n].r || gr.node[n].r->config.witness)
			continue;
		if (first < 0) {
			first = n;
			continue;
		}
		assert_int_equal(group_applied(gr.node[n].r), group_applied(gr.node[first].r));
		for (uint8_t k = 0; k < GR_KEYS; k++) {
			const struct entry *x = entry_of((uint8_t)first, k, false);
			const struct entry *y = entry_of(n, k, false);
			bool there = x && entry_exists(x);

			assert_int_equal(there, y && entry_exists(y));
			if (!there)
				continue;
			assert_int_equal(x->version, y->version);
			assert_int_equal(x->value_bytes, y->value_bytes);
			assert_memory_equal(entry_value(x), entry_value(y), x->value_bytes);
		}
		same_sessions((uint8_t)first, n);
	}
}

void gr_check_counts(void)
{
	int n = gr_leader();

	assert_true(n >= 0);
	for (uint8_t k = 0; k < GR_COUNTERS; k++) {
		int64_t value = gr_value((uint8_t)n, k);

		if (value < gr.ok[k] || value > gr.ok[k] + gr.maybe[k])
			fail_msg("key %u: %lld, acknowledged %lld, perhaps %lld more", k,
				 (long long)value, (long long)gr.ok[k], (long long)gr.maybe[k]);
	}
}

void gr_finish(void)
{
	gr_heal();
	for (uint8_t n = 0; n < gr.nodes; n++)
		if (!gr.node[n].r)
			gr_start(n, (uint8_t)gr.node[n].founders);
	gr.quiet = true;
	gr_settle(10000);
	gr_check_same();
	gr_check_counts();
}
