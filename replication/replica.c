/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door: checks who speaks and in which incarnation, keeps sessions, timers and held promises,
 * and hands everything about keys to hermes.c.
 */
#include "replication/replica.h"

#include "replication/crc.h"
#include "replication/replica_priv.h"

/* A peer silent for this many HELLO intervals makes updates fail fast instead of hanging. */
#define SILENT_HELLOS 50u

/* ---- memory ---------------------------------------------------------------------------------- */

static void check_config(const struct replica_config *c)
{
	must(c->incarnation >= 1 && c->incarnation <= INCARNATION_MAX);
	must(c->node_count >= 1 && c->node_count <= NODES_MAX);
	must(c->node < c->node_count);
	must(c->shard_count >= 1 && c->shard_count <= SHARDS_MAX);
	must(c->shard < c->shard_count);
	must(c->ops_max >= 1 && c->ops_max <= 65536);
	must(c->held_max >= 2 && (c->held_max & (c->held_max - 1)) == 0);
	must(c->sessions_max >= 1 && c->sessions_max <= SESSIONS_MAX);
	must(c->retransmit_ns >= TICKS_PER_RETRANSMIT);
	must(c->replay_ns > 0 && c->replay_ns <= c->retransmit_ns << BACKOFF_SHIFT_MAX >> 1);
	must(c->hello_ns > 0);
}

/* carve: the next piece of the caller's memory; with base NULL it only measures. */
static void *carve(uint8_t *base, uint64_t *offset, uint64_t bytes)
{
	void *piece = base ? base + *offset : NULL;

	*offset += round_up(bytes, 64);
	return piece;
}

static uint64_t layout(const struct replica_config *c, uint8_t *base, struct replica **ret_r,
		       struct session **ret_sessions)
{
	uint64_t offset = 0;
	struct replica *r = carve(base, &offset, sizeof(*r));
	struct op *ops = carve(base, &offset, (uint64_t)c->ops_max * sizeof(struct op));
	uint8_t *values = carve(base, &offset, (uint64_t)c->ops_max * VALUE_BYTES_MAX);
	struct held *held = carve(base, &offset, (uint64_t)c->held_max * sizeof(struct held));
	uint32_t *ready = carve(base, &offset, (uint64_t)c->ops_max * sizeof(uint32_t));

	*ret_sessions = carve(base, &offset, (uint64_t)c->sessions_max * sizeof(struct session));
	if (r) {
		memset(r, 0, sizeof(*r));
		r->ops = ops;
		r->values = values;
		r->held = held;
		r->ready = ready;
	}
	*ret_r = r;
	return offset;
}

/* update_epoch: a member has a new incarnation. Nothing acknowledged before counts after (CC-5). */
static void update_epoch(struct replica *r)
{
	uint32_t crc = ~0u;

	for (uint8_t n = 0; n < r->config.node_count; n++) {
		crc = crc32c_u64(crc, r->peers[n].incarnation);
		r->peers[n].hello_ns = r->now_ns;
	}
	r->epoch = ~crc;
	for (uint32_t i = 0; i < r->config.ops_max && !mutant(19); i++)
		if (r->ops[i].seq != 0)
			hermes_on_epoch(r, &r->ops[i]);
}

uint64_t replica_size(const struct replica_config *config)
{
	struct replica *r;
	struct session *sessions;

	check_config(config);
	return layout(config, NULL, &r, &sessions);
}

struct replica *replica_init(void *mem, const struct replica_config *config)
{
	struct replica *r;
	struct session *sessions;

	check_config(config);
	layout(config, mem, &r, &sessions);
	r->config = *config;
	r->all = (uint8_t)((1u << config->node_count) - 1);
	r->tick_ns = config->retransmit_ns / TICKS_PER_RETRANSMIT;
	session_table_init(&r->sessions, sessions, config->sessions_max, config->seed);
	for (uint32_t i = 0; i < WHEEL_SLOTS; i++)
		r->wheel[i] = OP_NONE;
	for (uint32_t i = 0; i < config->ops_max; i++) {
		memset(&r->ops[i], 0, sizeof(r->ops[i]));
		r->ops[i].next = i + 1 < config->ops_max ? i + 1 : OP_NONE;
	}
	/* Op ids differ between incarnations too, beside the incarnation check of every frame. */
	r->op_seq = (uint64_t)(config->incarnation & 0xffff) << 32;
	r->peers[config->node].incarnation = config->incarnation;
	update_epoch(r);
	return r;
}

/* ---- actions, for hermes.c ------------------------------------------------------------------- */

struct action *replica_action(struct actions *a, enum action_kind kind)
{
	struct action *action = &a->list[a->count++];

	must(a->count <= ACTIONS_MAX);
	action->kind = kind;
	return action;
}

void replica_send(struct replica *r, struct actions *a, uint8_t to,
		  const struct wire_message *message)
{
	struct action *action;

	must((to & replica_bit(r->config.node)) == 0);
	if (to == 0)
		return;
	action = replica_action(a, ACTION_SEND);
	action->to = to;
	action->message = *message;
}

static void reply(struct actions *a, uint64_t session, const struct client_addr *client,
		  const struct wire_message *result)
{
	struct action *action = replica_action(a, ACTION_REPLY);

	action->session = session;
	action->client = *client;
	action->message = *result;
	action->message.durability = DURABILITY_ALL;
}

void replica_reply(struct replica *r, struct actions *a, const struct op *op,
		   const struct wire_message *result)
{
	struct session *s = op_is_update(op) ? session_find(&r->sessions, op->session) : NULL;

	if (s) {
		struct session_outcome o = {
			.request = op->request,
			.ts = result->ts,
			.status = result->status,
			.has_number = op->type == WIRE_INCR && result->value_bytes == 8,
		};

		if (o.has_number)
			o.number = (int64_t)load_u64(result->value);
		session_finish(s, &o);
	}
	r->counters.busy += result->status == STATUS_BUSY;
	r->counters.no_space += result->status == STATUS_NO_SPACE;
	reply(a, op->session, &op->client, result);
}

/* ---- promises held for the disk -------------------------------------------------------------- */

static void send_ack(struct replica *r, uint8_t to, struct op_ts ts, uint64_t id,
		     struct actions *a)
{
	struct wire_message m = { .type = WIRE_ACK, .ts = ts, .id = id };

	r->counters.ack_sent++;
	replica_send(r, a, replica_bit(to), &m);
}

/*
 * replica_hold_ack: promises what the key holds now, which may be newer than what was asked for; as
 * soon as it is durable.
 */
void replica_hold_ack(struct replica *r, const struct event *ev, struct actions *a)
{
	uint64_t persist_seq = ev->entry->persist_seq;
	struct op_ts ts = entry_ts(ev->entry);
	uint8_t to = ev->header->from;

	if (mutant(3) && op_ts_compare(ts, ev->message->ts) > 0)
		persist_seq = 0;
	if (persist_seq <= r->durable_seq || mutant(1)) {
		send_ack(r, to, ts, ev->message->id, a);
		return;
	}
	must(held_room(r)); /* the worker asks replica_can_hold() before it brings an INV */
	r->counters.acks_held++;
	r->held[r->held_tail++ & (r->config.held_max - 1)] = (struct held){
		.persist_seq = persist_seq,
		.ts = ts,
		.id = ev->message->id,
		.incarnation = r->epoch,
		.to = to,
	};
}

void replica_hold_own(struct replica *r, uint64_t persist_seq, const struct op *op)
{
	must(held_room(r));
	r->held[r->held_tail++ & (r->config.held_max - 1)] = (struct held){
		.persist_seq = persist_seq,
		.ts = op->target,
		.id = op->seq,
		.incarnation = op_index(r, op),
		.to = HELD_OWN,
	};
}

static void release_held(struct replica *r, struct actions *a)
{
	while (r->held_head != r->held_tail && actions_room(a)) {
		struct held h = r->held[r->held_head & (r->config.held_max - 1)];

		if (h.persist_seq > r->durable_seq)
			return;
		r->held_head++;
		if (h.to == HELD_OWN) {
			struct op *op = &r->ops[h.incarnation];

			if (op->seq == h.id)
				hermes_on_durable(r, op, h.ts, a);
		} else if (r->epoch == h.incarnation) {
			send_ack(r, h.to, h.ts, h.id, a);
		}
	}
}

static bool held_releasable(const struct replica *r)
{
	return r->held_head != r->held_tail &&
	       r->held[r->held_head & (r->config.held_max - 1)].persist_seq <= r->durable_seq;
}

bool replica_can_hold(const struct replica *r)
{
	return held_room(r);
}

/* ---- ops, ready ring, timer wheel ------------------------------------------------------------ */

struct op *replica_op_alloc(struct replica *r)
{
	struct op *op;
	bool ready;

	if (r->ops_open == r->config.ops_max)
		return NULL;
	op = &r->ops[r->op_free];
	must(op->seq == 0 && !op->armed);
	r->op_free = op->next;
	r->ops_open++;
	ready = op->ready;
	*op = (struct op){ .seq = ++r->op_seq, .next = OP_NONE, .ready = ready };
	return op;
}

void replica_op_free(struct replica *r, struct op *op)
{
	must(op->seq != 0 && !op->armed);
	op->seq = 0;
	op->entry = NULL;
	op->next = r->op_free;
	r->op_free = op_index(r, op);
	r->ops_open--;
}

void replica_ready(struct replica *r, const struct op *op)
{
	struct op *o = &r->ops[op_index(r, op)];

	if (o->ready)
		return;
	o->ready = true;
	r->ready[r->ready_tail++ % r->config.ops_max] = op_index(r, op);
}

/* resume_ready: fronts left by earlier steps; those left by this one have lent their values. */
static void resume_ready(struct replica *r, uint64_t limit, struct actions *a)
{
	while (r->ready_head != limit && actions_room(a)) {
		struct op *op = &r->ops[r->ready[r->ready_head++ % r->config.ops_max]];

		op->ready = false;
		if (op->entry)
			hermes_run(r, op->entry, a);
	}
}

void replica_disarm(struct replica *r, struct op *op)
{
	if (!op->armed)
		return;
	op->armed = false;
	r->armed--;
	if (op->wheel_next != OP_NONE)
		r->ops[op->wheel_next].wheel_prev = op->wheel_prev;
	if (op->wheel_prev >= r->config.ops_max) /* head of slot (prev - ops_max) */
		r->wheel[op->wheel_prev - r->config.ops_max] = op->wheel_next;
	else
		r->ops[op->wheel_prev].wheel_next = op->wheel_next;
}

void replica_arm(struct replica *r, struct op *op, uint64_t delay_ns)
{
	uint64_t tick = (r->now_ns + delay_ns) / r->tick_ns + 1;
	uint32_t slot;

	replica_disarm(r, op);
	tick = max_u64(tick, r->tick + 1);
	tick = min_u64(tick, r->tick + WHEEL_SLOTS - 1);
	slot = (uint32_t)(tick % WHEEL_SLOTS);
	op->wheel_next = r->wheel[slot];
	op->wheel_prev = r->config.ops_max + slot;
	if (op->wheel_next != OP_NONE)
		r->ops[op->wheel_next].wheel_prev = op_index(r, op);
	r->wheel[slot] = op_index(r, op);
	op->armed = true;
	r->armed++;
}

static uint64_t tick_now(const struct replica *r)
{
	return r->now_ns / r->tick_ns;
}

/* turn_wheel: fires what is due, as far as there is room. */
static void turn_wheel(struct replica *r, struct actions *a)
{
	uint64_t now = tick_now(r);

	if (r->armed == 0)
		r->tick = max_u64(r->tick, now);
	else if (now > r->tick + WHEEL_SLOTS)
		r->tick = now - WHEEL_SLOTS; /* a long pause: visit every slot once */
	while (r->tick < now) {
		uint32_t slot = (uint32_t)((r->tick + 1) % WHEEL_SLOTS);

		while (r->wheel[slot] != OP_NONE) {
			struct op *op = &r->ops[r->wheel[slot]];

			if (!actions_room(a))
				return;
			replica_disarm(r, op);
			hermes_on_timer(r, op, a);
		}
		r->tick++;
	}
}

/* ---- peers ----------------------------------------------------------------------------------- */

static void send_hello(struct replica *r, uint8_t node, struct actions *a)
{
	struct wire_message m = {
		.type = WIRE_HELLO, .value = r->hello, .value_bytes = WIRE_HELLO_BYTES,
	};

	memset(r->hello, 0, sizeof(r->hello));
	store_u64(r->hello, r->config.fingerprint);
	r->hello[8] = r->space;
	for (uint8_t n = 0; n < NODES_MAX; n++)
		store_u32(r->hello + 16 + 4 * n, r->peers[n].incarnation);
	replica_send(r, a, replica_bit(node), &m);
}

static void send_hellos(struct replica *r, struct actions *a)
{
	for (uint8_t n = 0; n < r->config.node_count; n++) {
		struct peer *p = &r->peers[n];

		if (n == r->config.node || r->now_ns < p->hello_ns || !actions_room(a))
			continue;
		p->hello_ns = r->now_ns + r->config.hello_ns;
		if (!r->failed) /* a node that promises nothing any more had better look dead */
			send_hello(r, n, a);
	}
}

/* learn_incarnations: the sender's own, and what it has heard of the others. */
static void learn_incarnations(struct replica *r, const struct event *ev)
{
	const struct wire_header *h = ev->header;
	bool changed = h->from_incarnation > r->peers[h->from].incarnation;

	r->peers[h->from].incarnation = h->from_incarnation;
	for (uint8_t n = 0; n < r->config.node_count; n++) {
		uint32_t heard = load_u32(ev->message->value + 16 + 4 * n);

		if (n == r->config.node || heard <= r->peers[n].incarnation ||
		    heard > INCARNATION_MAX)
			continue;
		r->peers[n].incarnation = heard;
		changed = true;
	}
	if (changed)
		update_epoch(r);
}

static void on_hello(struct replica *r, const struct event *ev)
{
	const struct wire_header *h = ev->header;
	struct peer *p = &r->peers[h->from];

	if (load_u64(ev->message->value) != r->config.fingerprint) {
		r->counters.shape_mismatch++;
		return;
	}
	if (h->from_incarnation == 0 || h->from_incarnation < p->incarnation) {
		r->counters.stale_incarnation++;
		return;
	}
	/* Answer at once whoever does not know us yet, or has just come back. */
	if (h->to_incarnation != r->config.incarnation || h->epoch != r->epoch)
		p->hello_ns = r->now_ns;
	learn_incarnations(r, ev);
	p->heard_ns = r->now_ns;
	p->space = ev->message->value[8];
}

static void on_peer(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_header *h = ev->header;
	struct peer *p = &r->peers[h->from];

	must(h->from < r->config.node_count && h->from != r->config.node);
	if (h->cluster != r->config.cluster) {
		r->counters.foreign_cluster++;
		return;
	}
	if (r->failed)
		return;
	if (ev->message->type == WIRE_HELLO) {
		on_hello(r, ev);
		return;
	}
	/* H-ACK-EPOCH, M-INCARN: both ends speak in the epoch and incarnations they mean. */
	if (h->epoch != r->epoch && !mutant(10)) {
		r->counters.stale_epoch++;
		return;
	}
	if ((p->incarnation == 0 || h->from_incarnation != p->incarnation ||
	     h->to_incarnation != r->config.incarnation) && !mutant(10)) {
		r->counters.stale_incarnation++;
		return;
	}
	p->heard_ns = r->now_ns;
	if (ev->message->type == WIRE_INV)
		hermes_on_inv(r, ev, a);
	else if (ev->message->type == WIRE_ACK)
		hermes_on_ack(r, ev, a);
	else
		hermes_on_val(r, ev, a);
}

bool replica_linked(const struct replica *r)
{
	for (uint8_t n = 0; n < r->config.node_count; n++)
		if (n != r->config.node && r->peers[n].incarnation == 0)
			return false;
	return true;
}

uint32_t replica_peers_heard(const struct replica *r)
{
	uint32_t count = 0;

	for (uint8_t n = 0; n < r->config.node_count; n++) {
		const struct peer *p = &r->peers[n];

		if (n != r->config.node && p->incarnation != 0)
			count += r->now_ns - p->heard_ns < r->config.hello_ns * SILENT_HELLOS;
	}
	return count;
}

uint32_t replica_epoch(const struct replica *r)
{
	return r->epoch;
}

uint32_t replica_peer_incarnation(const struct replica *r, uint8_t node)
{
	must(node < r->config.node_count);
	return r->peers[node].incarnation;
}

/* ---- clients --------------------------------------------------------------------------------- */

static void on_open(struct replica *r, const struct event *ev, struct actions *a)
{
	uint8_t *value = r->opened;
	bool foreign = ev->header->cluster != 0 && ev->header->cluster != r->config.cluster;
	bool evicted;
	struct session *s = foreign ? NULL :
				      session_open(&r->sessions, ev->message->id, r->now_ns,
						   &evicted);
	struct wire_message m = {
		.type = WIRE_OPENED, .id = ev->message->id, .value = value,
		.value_bytes = WIRE_OPEN_BYTES,
	};

	memset(value, 0, WIRE_OPEN_BYTES);
	if (!s) {
		m.status = foreign ? STATUS_NOT_SERVING : STATUS_BUSY;
		reply(a, 0, &ev->from, &m);
		r->counters.foreign_cluster += foreign;
		r->counters.busy += !foreign;
		return;
	}
	r->counters.sessions_opened++;
	r->counters.sessions_evicted += evicted;
	s->client = ev->from;
	store_u64(value, s->id);
	store_u32(value + 8, r->config.incarnation);
	store_u16(value + 12, r->config.shard_count);
	value[14] = r->config.node_count;
	value[15] = r->config.node;
	store_u16(value + 16, SESSION_WINDOW);
	store_u16(value + 18, KEY_BYTES_MAX);
	store_u16(value + 20, VALUE_BYTES_MAX);
	reply(a, s->id, &ev->from, &m);
}

static void resend(struct replica *r, const struct session *s, const struct session_outcome *o,
		   struct actions *a)
{
	struct wire_message m = {
		.type = WIRE_RESULT, .status = o->status, .ts = o->ts, .id = o->request,
	};

	if (o->has_number) {
		m.value = (const uint8_t *)&o->number;
		m.value_bytes = 8;
	}
	r->counters.replies_resent++;
	reply(a, s->id, &s->client, &m);
}

/* refusal: why this node cannot take the request now; STATUS_OK: it can. */
static enum status refusal(const struct replica *r, const struct event *ev)
{
	enum wire_type type = ev->message->type;
	uint8_t space = r->space;

	if (r->failed || !replica_linked(r))
		return STATUS_NOT_SERVING;
	if (type == WIRE_GET)
		return STATUS_OK;
	if (replica_peers_heard(r) + 1 < r->config.node_count)
		return STATUS_NOT_SERVING;
	for (uint8_t n = 0; n < r->config.node_count; n++)
		if (r->peers[n].space > space)
			space = r->peers[n].space;
	if (space == SPACE_FULL || (space == SPACE_LOW && type != WIRE_DEL))
		return STATUS_NO_SPACE;
	if (!ev->entry && type != WIRE_DEL)
		return STATUS_NO_SPACE;
	return STATUS_OK;
}

static void count_request(struct replica *r, enum wire_type type)
{
	r->counters.reads += type == WIRE_GET;
	r->counters.writes += type == WIRE_PUT;
	r->counters.deletes += type == WIRE_DEL;
	r->counters.cas += type == WIRE_CAS;
	r->counters.incrs += type == WIRE_INCR;
}

static void fill_op(struct op *op, const struct event *ev)
{
	const struct wire_message *m = ev->message;

	op->type = m->type;
	op->session = ev->header->session;
	op->request = m->id;
	op->client = ev->from;
	op->expected = m->ts;
	op->value_bytes = m->value_bytes;
	if (m->type == WIRE_INCR)
		op->delta = (int64_t)load_u64(m->value);
}

static void execute(struct replica *r, const struct event *ev, struct actions *a)
{
	enum status status = refusal(r, ev);
	struct op *op = status == STATUS_OK ? replica_op_alloc(r) : NULL;

	count_request(r, ev->message->type);
	if (!op) {
		struct op refused = { 0 };
		struct wire_message m = {
			.type = WIRE_RESULT,
			.status = (uint8_t)(status == STATUS_OK ? STATUS_BUSY : status),
			.id = ev->message->id,
		};

		fill_op(&refused, ev);
		r->counters.not_linked += status == STATUS_NOT_SERVING;
		replica_reply(r, a, &refused, &m);
		return;
	}
	fill_op(op, ev);
	hermes_submit(r, ev, op, a);
}

static void on_request(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	const struct session_outcome *outcome;
	struct session *s;

	if (m->type == WIRE_OPEN) {
		on_open(r, ev, a);
		return;
	}
	if (m->id == 0) {
		r->counters.bad_request++;
		return;
	}
	s = session_find(&r->sessions, ev->header->session);
	if (!s || ev->header->to_incarnation != r->config.incarnation) {
		struct wire_message no = {
			.type = WIRE_RESULT, .status = STATUS_NO_SESSION, .id = m->id,
		};

		r->counters.no_session++;
		reply(a, ev->header->session, &ev->from, &no);
		return;
	}
	s->used_ns = r->now_ns;
	s->client = ev->from;
	if (m->type == WIRE_GET) {
		execute(r, ev, a);
		return;
	}
	switch (session_check(s, m->id, &outcome)) {
	case SESSION_NEW:
		session_begin(s, m->id);
		execute(r, ev, a);
		return;
	case SESSION_DONE:
		r->counters.duplicate_requests++;
		resend(r, s, outcome, a);
		return;
	case SESSION_UNDER_WAY:
	case SESSION_OLD:
	case SESSION_FULL:
		r->counters.duplicate_requests++;
		return;
	}
}

/* ---- the door -------------------------------------------------------------------------------- */

bool replica_step(struct replica *r, const struct event *event, struct actions *actions)
{
	uint64_t ready_limit = r->ready_tail;

	must(event->now_ns >= r->now_ns);
	must(event->kind == EVENT_TICK || r->ready_head == r->ready_tail);
	actions->count = 0;
	r->now_ns = event->now_ns;
	r->persist_next = event->persist_seq_next;
	if (r->armed == 0)
		r->tick = max_u64(r->tick, tick_now(r));
	switch (event->kind) {
	case EVENT_PEER:
		on_peer(r, event, actions);
		break;
	case EVENT_REQUEST:
		on_request(r, event, actions);
		break;
	case EVENT_DURABLE:
		must(event->durable_seq >= r->durable_seq);
		r->durable_seq = event->durable_seq;
		break;
	case EVENT_TICK:
		turn_wheel(r, actions);
		send_hellos(r, actions);
		resume_ready(r, ready_limit, actions);
		break;
	}
	release_held(r, actions);
	return held_releasable(r) || r->ready_head != r->ready_tail ||
	       (event->kind == EVENT_TICK && r->armed != 0 && r->tick < tick_now(r));
}

uint64_t replica_deadline_ns(const struct replica *r)
{
	uint64_t deadline = UINT64_MAX;

	for (uint8_t n = 0; n < r->config.node_count; n++)
		if (n != r->config.node)
			deadline = min_u64(deadline, r->peers[n].hello_ns);
	if (r->armed != 0)
		deadline = min_u64(deadline, (r->tick + 1) * r->tick_ns);
	return deadline;
}

void replica_set_space(struct replica *r, enum space space)
{
	r->space = (uint8_t)space;
}

void replica_fail(struct replica *r)
{
	r->failed = true;
}

bool replica_entry_can_shrink(const struct entry *e)
{
	if (!(e->flags & ENTRY_TOMBSTONE) || e->wait_first != OP_NONE)
		return false;
	return e->op == OP_NONE || e->state == HERMES_WRITE;
}

bool replica_session_known(struct replica *r, const struct wire_header *header)
{
	return session_find(&r->sessions, header->session) != NULL;
}

const struct replica_config *replica_config(const struct replica *r)
{
	return &r->config;
}

const struct replica_counters *replica_counters(const struct replica *r)
{
	return &r->counters;
}

uint32_t replica_ops(const struct replica *r)
{
	return r->ops_open;
}

void replica_check(const struct replica *r)
{
	uint32_t open = 0;
	uint32_t armed = 0;

	must(r->held_tail - r->held_head <= r->config.held_max);
	must(r->ready_tail - r->ready_head <= r->config.ops_max);
	for (uint32_t i = 0; i < r->config.ops_max; i++) {
		const struct op *op = &r->ops[i];
		const struct entry *e = op->entry;

		open += op->seq != 0;
		armed += op->armed;
		if (op->seq == 0)
			continue;
		must(e != NULL);
		must(op_started(op) == false || e->op == i);
		if (e->op != i)
			continue;
		/* Only a front that was left for want of room may sit on a Valid key. */
		must(e->state != HERMES_VALID || op->ready);
		must(e->state == HERMES_VALID || op->armed);
		if (e->state == HERMES_WRITE)
			must(op_ts_compare(op->ts, entry_ts(e)) == 0);
		if (e->state == HERMES_TRANS)
			must(op_ts_compare(op->ts, entry_ts(e)) < 0);
	}
	must(open == r->ops_open);
	must(armed == r->armed);
	for (uint32_t slot = 0; slot < WHEEL_SLOTS; slot++)
		for (uint32_t i = r->wheel[slot]; i != OP_NONE; i = r->ops[i].wheel_next)
			must(r->ops[i].armed);
}
