/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door: keeps timers and promises held for the disk, and hands on what comes in: views and
 * frames to view.c, clients to request.c, the bulk copy to join.c, everything about keys to
 * hermes.c.
 */
#include "replication/replica.h"

#include "replication/group.h"
#include "replication/membership.h"
#include "replication/replica_priv.h"

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
	must(c->session_window >= 4 && c->session_window <= SESSION_WINDOW);
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
		       void **ret_sessions)
{
	bool hermes = c->engine == ENGINE_HERMES;
	uint64_t ops_max = hermes ? c->ops_max : 0, held_max = hermes ? c->held_max : 0;
	uint64_t offset = 0;
	struct replica *r = carve(base, &offset, sizeof(*r));
	struct op *ops = carve(base, &offset, ops_max * sizeof(struct op));
	uint8_t *values = carve(base, &offset, ops_max * VALUE_BYTES_MAX);
	struct held *held = carve(base, &offset, held_max * sizeof(struct held));
	uint32_t *ready = carve(base, &offset, ops_max * sizeof(uint32_t));

	*ret_sessions = carve(base, &offset,
			      session_table_size(c->sessions_max, c->session_window));
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

uint64_t replica_size(const struct replica_config *config)
{
	struct replica *r;
	void *sessions;

	check_config(config);
	return layout(config, NULL, &r, &sessions) +
	       (config->engine == ENGINE_RAFT ? group_size(config) : 0);
}

/* begin_group: the other engine. Its wheel never stands still: where deadlines look for it. */
static void begin_group(struct replica *r, void *mem)
{
	r->dismiss_next = r->config.ops_max;
	r->armed = 1;
	group_init(mem, r);
}

struct replica *replica_init(void *mem, const struct replica_config *config)
{
	struct replica *r;
	void *sessions;
	uint64_t bytes;

	check_config(config);
	bytes = layout(config, mem, &r, &sessions);
	r->config = *config;
	r->silent_ns = config->hello_ns * SILENT_HELLOS;
	r->tick_ns = config->retransmit_ns / TICKS_PER_RETRANSMIT;
	session_table_init(&r->sessions, sessions, config->sessions_max, config->session_window,
			   config->seed);
	if (config->engine == ENGINE_RAFT) {
		begin_group(r, (uint8_t *)mem + bytes);
		return r;
	}
	for (uint32_t i = 0; i < WHEEL_SLOTS; i++)
		r->wheel[i] = OP_NONE;
	for (uint32_t i = 0; i < config->ops_max; i++) {
		memset(&r->ops[i], 0, sizeof(r->ops[i]));
		r->ops[i].next = i + 1 < config->ops_max ? i + 1 : OP_NONE;
	}
	/* Op ids differ between incarnations too, beside the incarnation check of every frame. */
	r->op_seq = (uint64_t)(config->incarnation & 0xffff) << 32;
	view_start(r);
	return r;
}

/* ---- actions, for hermes.c ------------------------------------------------------------------- */

struct action *replica_action(struct actions *a, enum action_kind kind)
{
	struct action *action = &a->list[a->count++];

	must(a->count <= ACTIONS_MAX);
	action->kind = kind;
	action->origin = (struct origin){ 0, 0 };
	action->lease = false;
	return action;
}

struct wire_message *replica_send(const struct replica *r, struct actions *a, uint8_t to,
				  enum wire_type type)
{
	struct action *action;

	must_dbg((to & replica_bit(r->config.node)) == 0);
	action = replica_action(a, ACTION_SEND);
	a->count -= to == 0; /* there is nobody to tell: the next action takes its place */
	action->to = to;
	memset(&action->message, 0, sizeof(action->message));
	action->message.type = type;
	return &action->message;
}

struct action *replica_reply(struct actions *a, uint64_t session, const struct client_addr *client,
			     const struct wire_message *result)
{
	struct action *action = replica_action(a, ACTION_REPLY);

	action->session = session;
	action->client = *client;
	action->message = *result;
	action->message.durability = DURABILITY_ALL;
	return action;
}

void replica_persist(struct replica *r, struct entry *e, struct origin origin, struct actions *a)
{
	struct action *action = replica_action(a, ACTION_PERSIST);

	e->persist_seq = r->persist_next++;
	action->entry = e;
	action->origin = origin;
	action->persist_seq = e->persist_seq;
}

/* ---- promises held for the disk -------------------------------------------------------------- */

static void send_ack(struct replica *r, struct entry *e, uint8_t to, struct op_ts ts, uint64_t id,
		     struct actions *a)
{
	struct wire_message *m = replica_send(r, a, replica_bit(to), WIRE_ACK);

	m->ts = ts;
	m->id = id;
	r->counters.ack_sent++;
	if (r->config.broadcast_acks)
		hermes_tell_ack(r, e, ts, to, a);
}

/*
 * replica_hold_ack: promises what the key holds now, which may be newer than what was asked for; as
 * soon as that record, persist_seq, is durable.
 */
void replica_hold_ack(struct replica *r, const struct event *ev, uint64_t persist_seq,
		      struct actions *a)
{
	struct op_ts ts = entry_ts(ev->entry);
	uint8_t to = ev->header->from;

	if (mutant(3) && op_ts_compare(ts, ev->message->ts) > 0)
		persist_seq = 0;
	if (persist_seq <= r->durable_seq || mutant(1)) {
		send_ack(r, ev->entry, to, ts, ev->message->id, a);
		return;
	}
	must(held_room(r)); /* the worker asks replica_can_hold() before it brings an INV */
	r->counters.acks_held++;
	r->held[r->held_tail++ & (r->config.held_max - 1)] = (struct held){
		.persist_seq = persist_seq,
		.ts = ts,
		.id = ev->message->id,
		.entry = ev->entry,
		.about = r->view_count,
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
		.about = op_index(r, op),
		.to = HELD_OWN,
	};
}

/* release_held: what has become durable. False when there is more of it than room to say so. */
static bool release_held(struct replica *r, struct actions *a)
{
	while (r->held_head != r->held_tail) {
		const struct held *first = &r->held[r->held_head & (r->config.held_max - 1)];
		struct held h;

		if (first->persist_seq > r->durable_seq)
			return true;
		if (!actions_room(a))
			return false;
		h = *first;
		r->held_head++;
		if (h.to == HELD_OWN) {
			struct op *op = &r->ops[h.about];

			if (op->seq == h.id)
				hermes_on_durable(r, op, h.ts, a);
		} else if (r->view_count == h.about || mutant(66)) {
			send_ack(r, h.entry, h.to, h.ts, h.id, a);
		}
	}
	return true;
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
	if (r->armed == 0 && !r->turning) /* the wheel has stood still: nothing was on it */
		r->tick = max_u64(r->tick, r->now_ns / r->tick_ns);
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
	r->turning = true;
	while (r->tick < now) {
		uint32_t slot = (uint32_t)((r->tick + 1) % WHEEL_SLOTS);

		while (r->wheel[slot] != OP_NONE) {
			struct op *op = &r->ops[r->wheel[slot]];

			if (!actions_room(a)) {
				r->turning = false;
				return;
			}
			replica_disarm(r, op);
			hermes_on_timer(r, op, a);
		}
		r->tick++;
	}
	r->turning = false;
}

/* ---- peers ----------------------------------------------------------------------------------- */

typedef void handler(struct replica *r, const struct event *ev, struct actions *a);

/* Beside INV, ACK and VAL, which on_peer knows by name: they are most of what comes. */
static handler *const handlers[] = {
	[WIRE_FETCH] = join_on_fetch,
	[WIRE_COPY] = join_on_copy,
	[WIRE_COPY_SESSION] = join_on_copy_session,
	[WIRE_COPIED] = join_on_copied,
};

static enum step_next on_peer(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_header *h = ev->header;

	must(h->from < r->config.node_count && h->from != r->config.node);
	if (h->cluster != r->config.cluster) {
		r->counters.foreign_cluster++;
		return STEP_DONE;
	}
	if (r->failed)
		return STEP_DONE;
	if (ev->message->type == WIRE_HELLO) {
		view_on_hello(r, ev);
		return STEP_DONE;
	}
	if ((r->closed && join_guards(r, ev, a)) || !view_accepts(r, ev))
		return STEP_DONE;
	r->peers[h->from].heard_ns = r->now_ns;
	if (ev->message->type == WIRE_ACK) {
		hermes_on_ack(r, ev, a);
		return STEP_DONE;
	}
	if (ev->message->type == WIRE_INV) {
		/* Readers and the next update first: they have waited for the version it names. */
		if (r->ready_head != r->ready_tail) {
			resume_ready(r, r->ready_tail, a);
			return STEP_SAME;
		}
		if (hermes_base_validates(r, ev, a))
			return STEP_SAME;
		hermes_on_inv(r, ev, a);
		return STEP_DONE;
	}
	if (ev->message->type == WIRE_VAL) {
		hermes_on_val(r, ev, a);
		return STEP_DONE;
	}
	/* wire_message_decode lets no other type through in a peer frame. */
	must(ev->message->type < ARRAY_LEN(handlers) && handlers[ev->message->type]);
	handlers[ev->message->type](r, ev, a);
	return STEP_DONE;
}

/* ---- the door -------------------------------------------------------------------------------- */

static void on_tick(struct replica *r, uint64_t ready_limit, struct actions *a)
{
	turn_wheel(r, a);
	view_send_hellos(r, a);
	resume_ready(r, ready_limit, a);
	join_tick(r, a);
}

/* after_tick: what is left to do when all that waited for it has been said. */
static enum step_next after_tick(const struct replica *r)
{
	if (r->armed != 0 && r->tick < tick_now(r))
		return STEP_TICK;
	return join_walk_due(r) ? STEP_WALK : STEP_DONE;
}

enum step_next replica_step(struct replica *r, const struct event *event, struct actions *actions)
{
	uint64_t ready_limit = r->ready_tail;
	enum step_next next = STEP_DONE;
	bool released;

	if (r->group)
		return group_step(r, event, actions);
	must(r->ready_head == r->ready_tail || event->kind == EVENT_PEER ||
	     event->kind == EVENT_TICK);
	must(event->now_ns >= r->now_ns);
	actions->count = 0;
	r->now_ns = event->now_ns;
	r->persist_next = event->persist_seq_next;
	switch (event->kind) {
	case EVENT_PEER:
		next = on_peer(r, event, actions);
		break;
	case EVENT_REQUEST:
		request_on(r, event, actions);
		break;
	case EVENT_DURABLE:
		must(event->durable_seq >= r->durable_seq);
		r->durable_seq = event->durable_seq;
		break;
	case EVENT_TICK:
		on_tick(r, ready_limit, actions);
		break;
	case EVENT_VIEW:
		view_install(r, event->view);
		break;
	case EVENT_LEASE:
		view_lease(r, event);
		break;
	case EVENT_WALK:
		join_on_walk(r, event, actions);
		break;
	case EVENT_RAFT:
	case EVENT_APPLY:
		break; /* of the other engine */
	}
	if (r->upheaval) {
		view_dismiss(r, actions);
		r->upheaval = view_dismissing(r) || (r->join.guard & GUARD_RESET) != 0;
	}
	released = release_held(r, actions);
	if (next == STEP_SAME)
		return STEP_SAME;
	if (!released || r->ready_head != r->ready_tail || r->upheaval)
		return STEP_TICK;
	return event->kind == EVENT_TICK ? after_tick(r) : STEP_DONE;
}

uint64_t replica_deadline_ns(const struct replica *r)
{
	uint64_t deadline = join_deadline_ns(r);

	if (r->armed != 0 && r->group)
		return group_deadline_ns(r);
	for (uint8_t n = 0; n < r->config.node_count; n++)
		if (n != r->config.node)
			deadline = min_u64(deadline, r->peers[n].hello_ns);
	if (r->armed != 0)
		deadline = min_u64(deadline, (r->tick + 1) * r->tick_ns);
	return deadline;
}

const struct wire_message *replica_apply_message(const struct replica *r)
{
	return group_apply_message(r);
}

uint32_t replica_walk(const struct replica *r, const struct wire_message *fetch,
		      uint64_t *ret_above)
{
	if (r->group)
		return group_walk(r, fetch, ret_above) ? WALK_MAX : 0;
	*ret_above = 0;
	return (uint32_t)fetch->id != WALK_END ? join_walk_max(fetch) : 0;
}

const struct raft *replica_raft(const struct replica *r)
{
	return r->group ? group_raft(r) : NULL;
}

uint8_t replica_groups(const struct replica *r)
{
	return r->group ? group_nodes(r) : 0;
}

enum step_next replica_recover_raft(struct replica *r, const struct raft_record *record)
{
	must(r->group != NULL);
	return group_recover_raft(r, record);
}

enum step_next replica_recover_forget(struct replica *r, uint64_t version)
{
	return r->group ? group_recover_to(r, version) : STEP_DONE;
}

void replica_set_space(struct replica *r, enum space space, uint32_t keys)
{
	r->space = (uint8_t)space;
	if (r->group)
		group_set_room(r, keys);
}

uint64_t replica_unapplied(const struct replica *r)
{
	return r->group ? group_unapplied(r) : 0;
}

void replica_fail(struct replica *r)
{
	r->failed = true;
}

bool replica_entry_can_shrink(const struct entry *e)
{
	if (!(e->flags & ENTRY_TOMBSTONE) || e->wait != OP_NONE)
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
	return r->group ? group_ops(r) : r->ops_open;
}

void replica_check(const struct replica *r)
{
	uint32_t open = 0;
	uint32_t armed = 0;

	if (r->group) {
		group_check(r);
		return;
	}
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
