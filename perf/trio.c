/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/trio.h"

#include <stdlib.h>

#define NODES	3u
#define QUEUE	256u
#define TICK_NS 1000000u

struct packet {
	uint8_t from, to;
	struct wire_message message;
	uint8_t body[KEY_BYTES_MAX + VALUE_BYTES_MAX];
};

struct trio {
	struct replica *replica[NODES];
	struct store *store[NODES];
	void *replica_mem[NODES], *store_mem[NODES];
	uint64_t persisted[NODES]; /* last log sequence handed out */
	uint64_t durable[NODES];   /* last one reported back */
	uint64_t session[NODES];
	uint64_t request_id[NODES]; /* of each session: 1, 2, ... */
	uint64_t now_ns, events;
	uint32_t head, tail;
	struct wire_message reply;
	bool replied;
	struct actions actions;
	struct packet queue[QUEUE];
};

static struct replica_config config_of(uint8_t node)
{
	return (struct replica_config) { .cluster = 1,
					 .fingerprint = 2,
					 .seed = 3 + node,
					 .incarnation = 1,
					 .shard_count = 1,
					 .node = node,
					 .node_count = NODES,
					 .ops_max = 256,
					 .held_max = 1024,
					 .sessions_max = 4,
					 .session_window = SESSION_WINDOW,
					 .retransmit_ns = 1000000000,
					 .replay_ns = 1000000000,
					 .hello_ns = 1000000000 };
}

static bool make_node(struct trio *t, uint8_t node, uint32_t keys_max)
{
	struct replica_config config = config_of(node);
	struct store_config store = { .keys_max = keys_max,
				      .blob_bytes = keys_max * 2048ull,
				      .seed = 7 };

	t->replica_mem[node] = aligned_alloc(64, round_up(replica_size(&config), 64));
	t->store_mem[node] = aligned_alloc(64, round_up(store_size(&store), 64));
	if (!t->replica_mem[node] || !t->store_mem[node])
		return false;
	memset(t->replica_mem[node], 0, replica_size(&config));
	memset(t->store_mem[node], 0, store_size(&store));
	t->replica[node] = replica_init(t->replica_mem[node], &config);
	t->store[node] = store_init(t->store_mem[node], &store);
	return true;
}

static void send(struct trio *t, uint8_t from, const struct action *a)
{
	const struct wire_message *m = &a->message;

	for (uint8_t to = 0; to < NODES; to++) {
		struct packet *p = &t->queue[t->tail % QUEUE];

		if (!(a->to & 1u << to))
			continue;
		must(t->tail - t->head < QUEUE);
		t->tail++;
		p->from = from;
		p->to = to;
		p->message = *m;
		if (m->key_bytes)
			memcpy(p->body, m->key, m->key_bytes);
		if (m->value_bytes)
			memcpy(p->body + m->key_bytes, m->value, m->value_bytes);
		p->message.key = p->body;
		p->message.value = p->body + m->key_bytes;
	}
}

static void step(struct trio *t, uint8_t node, struct event event)
{
	enum step_next next = STEP_TICK;

	while (next != STEP_DONE) {
		event.now_ns = t->now_ns;
		event.persist_seq_next = t->persisted[node] + 1;
		next = replica_step(t->replica[node], &event, &t->actions);
		t->events++;
		for (uint32_t i = 0; i < t->actions.count; i++) {
			const struct action *a = &t->actions.list[i];

			if (a->kind == ACTION_SEND)
				send(t, node, a);
			else if (a->kind == ACTION_PERSIST || a->kind == ACTION_NOTE)
				t->persisted[node]++;
			else if (!t->replied) {
				t->replied = true;
				t->reply = a->message;
				if (a->message.type == WIRE_OPENED)
					t->session[node] = load_u64(a->message.value);
			}
		}
		if (next == STEP_TICK)
			event = (struct event) { .kind = EVENT_TICK };
	}
}

/* The entry a message needs, as the worker finds it (step.h). */
static struct entry *entry_for(struct trio *t, uint8_t node, const struct wire_message *m)
{
	struct store *s = t->store[node];
	uint32_t room = m->type == WIRE_INCR ? INCR_BYTES_MAX : m->value_bytes;
	struct entry *e;
	uint64_t hash;

	if (m->key_bytes == 0)
		return NULL;
	hash = store_hash(s, m->key, m->key_bytes);
	if (m->type == WIRE_GET || m->type == WIRE_DEL || m->type == WIRE_VAL)
		return store_find(s, hash, m->key, m->key_bytes);
	e = store_insert(s, hash, m->key, m->key_bytes, room);
	return e && e->blob_capacity < e->key_bytes + room && !store_reserve(s, e, room) ? NULL : e;
}

static void deliver_all(struct trio *t)
{
	for (;;) {
		bool idle = t->head == t->tail;

		while (t->head != t->tail) {
			struct packet *p = &t->queue[t->head % QUEUE];
			struct wire_header header = {
				.kind = WIRE_PEER,
				.cluster = 1,
				.epoch = replica_epoch(t->replica[p->from]),
				.from_incarnation = 1,
				.from = p->from,
				.to = p->to,
				.to_incarnation = p->message.type == WIRE_HELLO ? 0 : 1,
			};

			step(t, p->to,
			     (struct event) { .kind = EVENT_PEER,
					      .header = &header,
					      .message = &p->message,
					      .entry = entry_for(t, p->to, &p->message) });
			t->head++;
		}
		for (uint8_t n = 0; n < NODES; n++) {
			if (t->durable[n] == t->persisted[n])
				continue;
			idle = false;
			t->durable[n] = t->persisted[n];
			step(t, n,
			     (struct event) { .kind = EVENT_DURABLE,
					      .durable_seq = t->durable[n] });
		}
		if (idle && t->head == t->tail)
			return;
	}
}

enum status trio_request(struct trio *t, uint8_t node, const struct wire_message *m)
{
	struct wire_message message = *m;
	struct wire_header header = { .kind = WIRE_REQUEST,
				      .cluster = 1,
				      .session = t->session[node],
				      .to_incarnation = 1,
				      .from = WIRE_NODE_CLIENT,
				      .to = WIRE_NODE_CLIENT };

	if (m->type == WIRE_OPEN) {
		header.session = header.to_incarnation = 0;
		message.id = 100u + node; /* the client's number: one client per node */
	} else {
		message.id = ++t->request_id[node];
	}
	t->replied = false;
	t->now_ns += 1000;
	step(t, node,
	     (struct event) { .kind = EVENT_REQUEST,
			      .header = &header,
			      .message = &message,
			      .entry = entry_for(t, node, &message) });
	deliver_all(t);
	return t->replied ? (enum status)t->reply.status : STATUS_UNKNOWN;
}

static void link_all(struct trio *t)
{
	static const uint8_t first_request[WIRE_OPEN_BYTES] = { 1 };
	struct wire_message open = { .type = WIRE_OPEN,
				     .value = first_request,
				     .value_bytes = WIRE_OPEN_BYTES };

	for (uint32_t round = 0; round < 8; round++) {
		t->now_ns += 2000000000;
		for (uint8_t n = 0; n < NODES; n++)
			step(t, n, (struct event) { .kind = EVENT_TICK });
		deliver_all(t);
	}
	for (uint8_t n = 0; n < NODES; n++) {
		must(replica_linked(t->replica[n]));
		must(trio_request(t, n, &open) == STATUS_OK);
		must(t->session[n] != 0);
	}
}

struct trio *trio_create(uint32_t keys_max)
{
	struct trio *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->now_ns = TICK_NS;
	for (uint8_t n = 0; n < NODES; n++) {
		if (!make_node(t, n, keys_max)) {
			trio_destroy(t);
			return NULL;
		}
	}
	link_all(t);
	return t;
}

void trio_destroy(struct trio *t)
{
	for (uint32_t n = 0; n < NODES; n++) {
		free(t->replica_mem[n]);
		free(t->store_mem[n]);
	}
	free(t);
}

uint64_t trio_events(const struct trio *t)
{
	return t->events;
}
