/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.c: runs the production step function on one node at a time, the way a worker does, and
 * remembers every outcome. Disk and clock are here; the network and the other nodes are search.c.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/model/node_priv.h"

/* Time stands still but for MODEL_TIMER: longer than every delay, shorter than the wheel. */
#define RETRANSMIT_NS 8u
#define REPLAY_NS 16u
#define TIMER_NS 200u

_Static_assert(TIMER_NS > RETRANSMIT_NS << BACKOFF_SHIFT_MAX, "every timer fires");
_Static_assert(TIMER_NS < WHEEL_SLOTS * (RETRANSMIT_NS / TICKS_PER_RETRANSMIT), "once each");

#define LEASE_NS (UINT64_MAX / 2)
#define STEPS_MAX 64u /* of one event, before it counts as endless */
#define MEMO_NOTHING (MAP_NONE - 1)

#define KEY_HASH 1u

static const uint8_t the_key[1] = { 'k' };

/* Where nodes live while they run, and what they look like when they have just started. */
static struct raw *arena[MODEL_NODES];
static uint8_t *base[MODEL_NODES];
static uint64_t raw_bytes;
static jmp_buf on_fault;
static const char *fault_text;
static char fault_buffer[512];

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	if (!fault_text) {
		fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
		abort();
	}
	snprintf(fault_buffer, sizeof(fault_buffer), "assertion failed: %s (%s:%d)", expression,
		 strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line);
	fault_text = fault_buffer;
	longjmp(on_fault, 1);
}

static _Noreturn void fault(const char *text)
{
	fault_text = text;
	longjmp(on_fault, 1);
}

int64_t model_delta(uint8_t op)
{
	int64_t delta = 1;

	for (uint8_t i = 0; i < op; i++)
		delta *= 10;
	return delta;
}

int64_t model_put_value(uint8_t op)
{
	return (op + 1) * 10000000ll;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static struct replica_config node_config(const struct model *m, uint8_t node, uint32_t incarnation)
{
	return (struct replica_config){
		.cluster = MODEL_CLUSTER,
		.fingerprint = 1,
		.seed = 1000 + node,
		.incarnation = incarnation,
		.shard_count = 1,
		.node = node,
		.node_count = (uint8_t)m->nodes,
		.ops_max = m->config->op_count + 2u,
		.held_max = 16,
		.sessions_max = MODEL_OPS + 2,
		.session_window = 4,
		.views = true,
		.broadcast_acks = m->config->broadcast_acks,
		.retransmit_ns = RETRANSMIT_NS,
		.replay_ns = REPLAY_NS,
		.hello_ns = 1ull << 50,
	};
}

/* A packed node: runs of 8-byte words that differ from base: u16 first, u16 count, the words. */
static void put_away(struct model *m, struct raw *w, struct local_facts *f)
{
	const uint8_t *new = (const uint8_t *)w, *old = base[w->node];
	uint32_t words = (uint32_t)(raw_bytes / 8);
	uint8_t *out;

	m->raws = grow(m->raws, &m->raws_room, m->raws_used + 2 * raw_bytes, 1);
	out = m->raws + m->raws_used;
	f->raw_at = m->raws_used;
	for (uint32_t i = 0; i < words; i++) {
		uint32_t first = i;

		if (i % 8 == 0 && memcmp(new + 8 * i, old + 8 * i, 64) == 0) {
			i += 7;
			continue;
		}
		while (i < words && memcmp(new + 8 * i, old + 8 * i, 8) != 0)
			i++;
		if (i == first)
			continue;
		store_u16(out, (uint16_t)first);
		store_u16(out + 2, (uint16_t)(i - first));
		memcpy(out + 4, new + 8 * first, 8 * (i - first));
		out += 4 + 8 * (i - first);
		i--;
	}
	f->raw_bytes = (uint32_t)(out - m->raws - m->raws_used);
	m->raws_used += f->raw_bytes;
}

static struct raw *bring_back(const struct model *m, uint32_t local)
{
	const struct local_facts *f = &m->facts[local];
	const uint8_t *in = m->raws + f->raw_at, *end = in + f->raw_bytes;
	uint8_t *to = (uint8_t *)arena[f->node];

	memcpy(to, base[f->node], raw_bytes);
	while (in < end) {
		uint32_t words = load_u16(in + 2);

		memcpy(to + 8 * load_u16(in), in + 4, 8 * words);
		in += 4 + 8 * words;
	}
	return arena[f->node];
}

/* ---- executing actions ----------------------------------------------------------------------- */

static int64_t number_of(const uint8_t *text, uint32_t bytes)
{
	char copy[MODEL_VALUE + 1] = { 0 };

	must(bytes <= MODEL_VALUE);
	memcpy(copy, text, bytes);
	return strtoll(copy, NULL, 10);
}

static void do_send(struct model *m, struct raw *w, const struct action *a,
		    struct model_outcome *o)
{
	struct replica *r = raw_replica(w);
	const struct wire_message *wm = &a->message;
	struct model_message mm = {
		.ts = wm->ts,
		.id = wm->id,
		.origin = wm->origin,
		.epoch = replica_epoch(r),
		.from_incarnation = w->incarnation,
		.prior = wm->prior,
		.key_bytes = wm->key_bytes,
		.value_bytes = wm->value_bytes,
		.type = (uint8_t)wm->type,
		.flags = wm->flags,
		.from = w->node,
	};

	if (wm->type == WIRE_HELLO)
		return;
	must(wm->value_bytes <= MODEL_PACK);
	if (wm->value_bytes != 0)
		memcpy(mm.value, wm->value, wm->value_bytes);
	if (wm->type == WIRE_INV)
		mm.id = raw_op_name(w, wm->id);
	for (uint8_t to = 0; to < m->nodes; to++) {
		bool new;

		if (!(a->to & 1u << to))
			continue;
		must(o->sends < MODEL_SENDS);
		mm.to = to;
		mm.to_incarnation = replica_peer_incarnation(r, to);
		o->send[o->sends++] = intern_put(&m->messages, &mm, sizeof(mm), &new);
	}
}

static struct raw_record *log_record(struct raw *w, const struct action *a, enum record_kind kind)
{
	struct raw_record *d = &w->record[w->records++];

	must(w->records <= MODEL_RECORDS);
	if (a->persist_seq != w->seq_next)
		fault("a record was given another log sequence than the next");
	*d = (struct raw_record){ .seq = w->seq_next++, .kind = (uint8_t)kind,
				  .origin = a->origin };
	return d;
}

static void do_persist(struct raw *w, const struct action *a, struct op_ts before,
		       struct model_outcome *o)
{
	struct raw_record *d = log_record(w, a, RECORD_UPDATE);
	const struct entry *e = a->entry;
	struct model_made *made = &o->made[o->mades++];

	must(o->mades <= ARRAY_LEN(o->made));
	d->ts = entry_ts(e);
	d->base = e->base;
	d->flags = e->flags;
	d->value_bytes = (uint8_t)e->value_bytes;
	memcpy(d->value, entry_value(e), e->value_bytes);
	*made = (struct model_made){
		.ts = d->ts,
		.base = before,
		.value = e->flags & ENTRY_TOMBSTONE ? 0 : number_of(d->value, d->value_bytes),
		.op = a->origin.client >= MODEL_CLIENT ?
			      (uint8_t)(a->origin.client - MODEL_CLIENT) : NOBODY,
		.flags = e->flags,
		.node = w->node,
		.own = d->ts.writer == writer_make(w->node, w->incarnation),
	};
}

static void do_reply(const struct model *m, const struct action *a, struct model_outcome *o)
{
	const struct wire_message *wm = &a->message;
	struct model_reply *reply;

	if (wm->type != WIRE_RESULT)
		return;
	must(o->replies < ARRAY_LEN(o->reply));
	reply = &o->reply[o->replies++];
	*reply = (struct model_reply){
		.ts = wm->ts,
		.op = (uint8_t)(a->client.port - MODEL_CLIENT),
		.status = wm->status,
		.has_value = wm->value_bytes != 0,
	};
	/* INCR answers in binary, GET with the text. */
	if (reply->op < m->config->op_count && m->config->op[reply->op].type == WIRE_INCR)
		reply->value = wm->value_bytes == 8 ? (int64_t)load_u64(wm->value) : 0;
	else if (wm->value_bytes != 0)
		reply->value = number_of(wm->value, wm->value_bytes);
}

static void do_action(struct model *m, struct raw *w, const struct action *a, struct op_ts before,
		      struct model_outcome *o)
{
	struct raw_record *d;

	switch (a->kind) {
	case ACTION_SEND:
		do_send(m, w, a, o);
		return;
	case ACTION_PERSIST:
		do_persist(w, a, before, o);
		return;
	case ACTION_REPLY:
		do_reply(m, a, o);
		return;
	case ACTION_RESET:
		log_record(w, a, RECORD_RESET);
		w->has_entry = false;
		return;
	case ACTION_NOTE:
		d = log_record(w, a, RECORD_NOTE);
		d->ts = a->message.ts;
		d->flags = a->message.flags;
		return;
	case ACTION_REJOIN:
	case ACTION_FORGET:
		must(false); /* join by delta */
		return;
	case ACTION_RAFT_SEND:
	case ACTION_RAFT_PERSIST:
		must(false); /* the raft engine's */
	}
}

/* ---- stepping -------------------------------------------------------------------------------- */

/* held_ts: as of which update the node knows the key; without an entry: absent as of its floor. */
static struct op_ts held_ts(struct raw *w)
{
	if (w->has_entry && w->entry.version != 0)
		return entry_ts(&w->entry);
	return (struct op_ts){ w->alive ? replica_floor(raw_replica(w)) : 0, 0 };
}

static void make_entry(struct raw *w)
{
	if (w->has_entry)
		return;
	w->has_entry = true;
	memcpy(w->blob, the_key, sizeof(the_key));
	w->entry = (struct entry){ .blob = w->blob,
				   .hash = KEY_HASH,
				   .key_bytes = sizeof(the_key),
				   .blob_capacity = RAW_BLOB,
				   .op = OP_NONE,
				   .wait = OP_NONE };
}

/* drop_void_entry: made for a frame that turned out to be none of ours. */
static void drop_void_entry(struct raw *w)
{
	const struct entry *e = &w->entry;

	if (w->has_entry && e->version == 0 && e->state == HERMES_VALID && e->op == OP_NONE &&
	    e->wait == OP_NONE)
		w->has_entry = false;
}

/* step: one event, and what the contract of step.h wants after it. */
static void step(struct model *m, struct raw *w, struct event *ev, struct model_outcome *o)
{
	static struct actions actions;
	struct replica *r = raw_replica(w);
	enum step_next next;
	uint32_t rounds = 0;

	do {
		struct op_ts before = held_ts(w);

		if (++rounds > STEPS_MAX)
			fault("an event never ends");
		ev->now_ns = max_u64(ev->now_ns, r->now_ns);
		ev->persist_seq_next = w->seq_next;
		m->steps++;
		next = replica_step(r, ev, &actions);
		for (uint32_t i = 0; i < actions.count; i++)
			do_action(m, w, &actions.list[i], before, o);
		if (next == STEP_TICK)
			*ev = (struct event){ .kind = EVENT_TICK };
	} while (next != STEP_DONE);
	drop_void_entry(w);
}

static void forget_before_reset(struct raw *w)
{
	uint32_t keep = 0;

	for (uint32_t i = 1; i < w->records; i++)
		if (w->record[i].kind == RECORD_RESET && w->record[i].seq <= w->durable)
			keep = i;
	w->records = (uint8_t)(w->records - keep);
	memmove(w->record, w->record + keep, w->records * sizeof(w->record[0]));
	memset(w->record + w->records, 0, keep * sizeof(w->record[0]));
}

static void make_durable(struct model *m, struct raw *w, uint64_t seq, struct model_outcome *o)
{
	struct event ev = { .kind = EVENT_DURABLE, .durable_seq = seq };

	w->durable = seq;
	forget_before_reset(w);
	step(m, w, &ev, o);
}

/* run: the event, and the disk, unless that has events of its own. */
static void run(struct model *m, struct raw *w, struct event *ev, struct model_outcome *o)
{
	step(m, w, ev, o);
	while (!m->config->disk && w->durable + 1 < w->seq_next)
		make_durable(m, w, w->seq_next - 1, o);
}

static void deliver(struct model *m, struct raw *w, uint32_t id, struct model_outcome *o)
{
	struct model_message mm = *(const struct model_message *)intern_get(&m->messages, id);
	struct wire_header header = { .kind = WIRE_PEER,
				      .cluster = MODEL_CLUSTER,
				      .epoch = mm.epoch,
				      .from_incarnation = mm.from_incarnation,
				      .to_incarnation = mm.to_incarnation,
				      .from = mm.from,
				      .to = mm.to };
	struct wire_message wm = { .type = (enum wire_type)mm.type,
				   .flags = mm.flags,
				   .key_bytes = mm.key_bytes,
				   .value_bytes = mm.value_bytes,
				   .ts = mm.ts,
				   .prior = mm.prior,
				   .id = mm.id,
				   .origin = mm.origin,
				   .key = the_key,
				   .value = mm.value };
	struct event ev = { .kind = EVENT_PEER, .header = &header, .message = &wm };
	struct entry *walk = &w->entry;
	struct replica *r = raw_replica(w);

	if (mm.type == WIRE_INV && !replica_can_hold(r))
		return;
	if (mm.type == WIRE_INV || mm.type == WIRE_COPY)
		make_entry(w);
	ev.entry = w->has_entry && mm.key_bytes != 0 ? &w->entry : NULL;
	if (mm.type == WIRE_ACK && mm.id != 0) {
		/* Back to what the coordinator calls it; for an op that is gone, its place. */
		wm.id = w->has_entry && w->entry.op != OP_NONE ? w->entry.op : 0;
		for (uint32_t i = 0; i < r->config.ops_max; i++)
			if (r->ops[i].seq != 0 &&
			    raw_op_name(w, r->ops[i].seq << 16 | i) == mm.id)
				wm.id = r->ops[i].seq << 16 | i;
	}
	if (mm.type == WIRE_FETCH) {
		ev.walk = &walk;
		ev.walk_count = w->has_entry && (uint32_t)mm.id == 0;
		ev.walk_next = WALK_END;
	}
	run(m, w, &ev, o);
}

/* ---- clients --------------------------------------------------------------------------------- */

static uint16_t print_value(uint8_t *out, int64_t value)
{
	return (uint16_t)snprintf((char *)out, MODEL_VALUE, "%lld", (long long)value);
}

static void client_sends(struct model *m, struct raw *w, uint64_t client,
			 const struct wire_message *wm, struct model_outcome *o)
{
	struct session *s = session_of(&raw_replica(w)->sessions, client);
	struct wire_header header = { .kind = WIRE_REQUEST,
				      .cluster = MODEL_CLUSTER,
				      .session = wm->type == WIRE_OPEN || !s ? 0 : s->id,
				      .to_incarnation = wm->type == WIRE_OPEN ? 0 : w->incarnation,
				      .from = WIRE_NODE_CLIENT,
				      .to = w->node };
	struct event ev = { .kind = EVENT_REQUEST,
			    .header = &header,
			    .message = wm,
			    .from = { .port = (uint16_t)client, .ip = 9 } };

	if (wm->type != WIRE_OPEN && wm->type != WIRE_GET && wm->type != WIRE_DEL)
		make_entry(w);
	ev.entry = w->has_entry && wm->type != WIRE_OPEN ? &w->entry : NULL;
	run(m, w, &ev, o);
}

static void open_session(struct model *m, struct raw *w, uint64_t client, struct model_outcome *o)
{
	uint8_t first[WIRE_OPEN_BYTES] = { 1 };
	struct wire_message wm = { .type = WIRE_OPEN, .id = client, .value = first,
				   .value_bytes = WIRE_OPEN_BYTES };
	struct session *s = session_of(&raw_replica(w)->sessions, client);

	if (!s || s->id == 0)
		client_sends(m, w, client, &wm, o);
}

static void request(struct model *m, struct raw *w, uint8_t op, uint32_t prior,
		    struct model_outcome *o)
{
	const struct model_op *mo = &m->config->op[op];
	uint8_t value[2 * MODEL_VALUE] = { 0 };
	struct wire_message wm = { .type = (enum wire_type)mo->type,
				   .id = 1,
				   .prior = prior,
				   .key_bytes = sizeof(the_key),
				   .key = the_key,
				   .value = value };

	if (mo->type == WIRE_INCR) {
		store_u64(value, (uint64_t)model_delta(op));
		wm.value_bytes = 8;
	} else if (mo->type == WIRE_PUT || mo->type == WIRE_CAS) {
		wm.value_bytes = print_value(value, model_put_value(op));
	} else if (mo->type == WIRE_CASV) {
		wm.ts.version = print_value(value, mo->expect);
		wm.value_bytes = (uint16_t)(wm.ts.version +
					    print_value(value + wm.ts.version,
							model_put_value(op)));
	}
	if (mo->type == WIRE_CAS && mo->expect != 0)
		wm.ts = (struct op_ts){ mo->expect, writer_make(mo->expect_node, 1) };
	client_sends(m, w, MODEL_CLIENT + op, &wm, o);
}

static void issue(struct model *m, struct raw *w, uint8_t op, uint32_t prior,
		  struct model_outcome *o)
{
	open_session(m, w, MODEL_CLIENT + op, o);
	request(m, w, op, prior, o);
}

/* issue_again: the very request once more; without its session it is no request of ours. */
static void issue_again(struct model *m, struct raw *w, uint8_t op, struct model_outcome *o)
{
	const struct session *s = session_of(&raw_replica(w)->sessions, MODEL_CLIENT + op);

	if (s && s->id != 0)
		request(m, w, op, 0, o);
}

/* ---- life and views -------------------------------------------------------------------------- */

static void install_view(struct model *m, struct raw *w, uint32_t arg, struct model_outcome *o)
{
	struct view v = *(const struct view *)intern_get(&m->views, arg >> 1);
	struct event view = { .kind = EVENT_VIEW, .view = &v };
	struct event lease = { .kind = EVENT_LEASE, .lease_epoch = v.epoch, .lease_ns = LEASE_NS };

	run(m, w, &view, o);
	if (arg & 1)
		run(m, w, &lease, o);
}

static void crash(struct raw *w)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < w->records; i++) {
		if (w->record[i].seq > w->durable)
			continue;
		w->record[kept] = w->record[i];
		w->record[kept++].seq = 0;
	}
	memset(w->record + kept, 0, (w->records - kept) * sizeof(w->record[0]));
	w->records = (uint8_t)kept;
	w->alive = w->has_entry = false;
	w->seq_next = 1;
	w->durable = 0;
	memset(&w->entry, 0, sizeof(w->entry));
	memset(w->blob, 0, sizeof(w->blob));
	memset(w->mem, 0, raw_bytes - sizeof(*w));
}

/* merge: what store_merge does with a record of the log. */
static void merge(struct raw *w, const struct raw_record *d)
{
	struct wire_message wm = { .type = WIRE_INV,
				   .flags = d->flags,
				   .key_bytes = sizeof(the_key),
				   .value_bytes = d->value_bytes,
				   .ts = d->ts,
				   .prior = d->base,
				   .origin = d->origin,
				   .key = the_key,
				   .value = d->value };
	struct replica *r = raw_replica(w);
	uint32_t origin = replica_recover(r, w->has_entry ? &w->entry : NULL, &wm,
					  KEY_HASH);

	if (w->has_entry && op_ts_compare(d->ts, entry_ts(&w->entry)) <= 0)
		return;
	make_entry(w);
	memcpy(w->blob + sizeof(the_key), d->value, d->value_bytes);
	w->entry.value_bytes = d->value_bytes;
	w->entry.version = d->ts.version;
	w->entry.writer = d->ts.writer;
	w->entry.flags = d->flags;
	w->entry.base = d->base;
	w->entry.origin = origin;
	w->entry.state = HERMES_INVALID;
}

static void restart(struct model *m, struct raw *w)
{
	struct replica_config c;

	w->incarnation++;
	w->alive = true;
	w->seq_next = 1;
	w->durable = 0;
	c = node_config(m, w->node, w->incarnation);
	must(replica_init(w->mem, &c) == raw_replica(w));
	for (uint32_t i = 0; i < w->records; i++) {
		const struct raw_record *d = &w->record[i];

		if (d->kind == RECORD_UPDATE) {
			merge(w, d);
		} else if (d->kind == RECORD_NOTE) {
			replica_recover_note(raw_replica(w), &d->origin, d->ts);
		} else {
			replica_recover_reset(raw_replica(w));
			w->has_entry = false;
		}
	}
}

/*
 * tick: a joiner that asks again does so under a new number, without end. Here nothing is ever
 * lost, so it may as well go on with the number it has.
 */
static void tick(struct model *m, struct raw *w, struct event *ev, struct model_outcome *o)
{
	struct join *j = &raw_replica(w)->join;
	struct lane *at = &j->lanes.list[0];
	struct join was = *j;
	bool asked = j->active && at->chunk != 0;

	if (asked)
		j->lanes.chunk--;
	run(m, w, ev, o);
	if (!asked)
		return;
	j->lanes.chunk = was.lanes.chunk;
	if (j->active && j->donor == was.donor && at->cursor == was.lanes.list[0].cursor &&
	    j->sessions == was.sessions) {
		at->got = was.lanes.list[0].got;
		at->expected = was.lanes.list[0].expected;
	}
}

static void dispatch(struct model *m, struct raw *w, uint32_t event, struct model_outcome *o)
{
	uint32_t arg = event_arg_of(event);
	struct event ev = { 0 };

	switch (event_kind_of(event)) {
	case MODEL_DELIVER:
		deliver(m, w, arg, o);
		return;
	case MODEL_TIMER:
		ev.kind = EVENT_TICK;
		ev.now_ns = raw_replica(w)->now_ns + TIMER_NS;
		tick(m, w, &ev, o);
		return;
	case MODEL_DURABLE:
		make_durable(m, w, w->durable + 1, o);
		return;
	case MODEL_ISSUE:
		if (arg & MODEL_AGAIN)
			issue_again(m, w, (uint8_t)arg, o);
		else
			issue(m, w, (uint8_t)arg, 0, o);
		return;
	case MODEL_RETRY:
		issue(m, w, (uint8_t)arg,
			writer_make(m->config->op[(uint8_t)arg].node, arg >> 8), o);
		return;
	case MODEL_INSTALL:
		install_view(m, w, arg, o);
		return;
	case MODEL_LAPSE:
		ev.kind = EVENT_LEASE;
		ev.lease_epoch = replica_epoch(raw_replica(w));
		run(m, w, &ev, o);
		return;
	case MODEL_CRASH:
		crash(w);
		return;
	case MODEL_RESTART:
		restart(m, w);
		return;
	case MODEL_COLLECT:
		replica_collect(raw_replica(w), &w->entry);
		w->has_entry = false;
		return;
	case MODEL_POWER:
		break;
	}
	must(false);
}

/* ---- locals and outcomes --------------------------------------------------------------------- */

/* probe: what a read would be answered with now, by asking. Ruins the arena. */
static void probe(struct model *m, struct raw *w, struct local_facts *f)
{
	static struct model_outcome o;
	struct wire_message get = { .type = WIRE_GET, .id = 1, .key = the_key,
				    .key_bytes = sizeof(the_key) };

	o.replies = o.sends = o.mades = 0;
	open_session(m, w, MODEL_CLIENT_PROBE, &o);
	client_sends(m, w, MODEL_CLIENT_PROBE, &get, &o);
	for (uint32_t i = 0; i < o.replies; i++) {
		const struct model_reply *reply = &o.reply[i];

		if (reply->op != (uint8_t)(MODEL_CLIENT_PROBE - MODEL_CLIENT) ||
		    (reply->status != STATUS_OK && reply->status != STATUS_NOT_FOUND))
			continue;
		f->readable = true;
		f->read_exists = reply->status == STATUS_OK;
		f->read = reply->ts;
		f->read_value = reply->value;
	}
}

/* listen: what the node waits for, and a number for all of it (search.c, is_void). */
static void listen(struct model *m, struct raw *w, struct local_facts *f)
{
	struct replica *r = raw_replica(w);
	struct {
		uint32_t epoch, incarnation, chunk, node, live;
	} voice = { .epoch = w->alive ? replica_epoch(r) : 0, .incarnation = w->incarnation,
		    .node = w->node };
	bool new;

	for (uint32_t i = 0; w->alive && i < r->config.ops_max; i++) {
		uint64_t name = raw_op_name(w, r->ops[i].seq << 16 | i);

		if (r->ops[i].seq == 0 || name == 0)
			continue;
		f->live |= (uint8_t)(1u << (name - 1));
		f->target[name - 1] = r->ops[i].target;
	}
	if (w->alive && r->join.active)
		f->chunk = voice.chunk = r->join.lanes.chunk;
	f->resetting = w->alive && r->join.active && r->join.guard != 0;
	voice.live = f->live;
	f->voice = intern_put(&m->voices, &voice, sizeof(voice), &new);
}

static void look(struct model *m, struct raw *w, struct local_facts *f)
{
	struct replica *r = raw_replica(w);

	f->node = w->node;
	f->alive = w->alive;
	f->incarnation = w->incarnation;
	f->ts = held_ts(w);
	f->undurable = w->durable + 1 < w->seq_next;
	for (uint32_t i = 0; i < w->records; i++) {
		const struct raw_record *d = &w->record[i];

		if (d->seq > w->durable)
			continue;
		if (d->kind == RECORD_RESET)
			f->durable = (struct op_ts){ 0, 0 };
		else if (d->ts.writer != 0 && op_ts_compare(d->ts, f->durable) > 0)
			f->durable = d->ts;
	}
	listen(m, w, f);
	if (!w->alive)
		return;
	f->floor = replica_floor(r);
	f->state = w->has_entry ? w->entry.state : 0;
	f->epoch = replica_epoch(r);
	f->member = r->member;
	f->write_set = r->write_set;
	f->joined = replica_joined(r);
	f->timer = r->armed != 0 || r->join.active;
	f->collectable = w->has_entry && replica_can_collect(r, &w->entry);
	put_away(m, w, f);
	probe(m, w, f);
}

/* keep: the local that the arena holds. */
static uint32_t keep(struct model *m, struct raw *w)
{
	uint8_t canon[CANON_MAX];
	uint32_t bytes = canon_write(w, canon);
	bool new;
	uint32_t local = intern_put(&m->locals, canon, bytes, &new);

	if (!new)
		return local;
	m->facts = grow(m->facts, &m->facts_room, (uint64_t)local + 1, sizeof(*m->facts));
	m->facts[local] = (struct local_facts){ 0 };
	if (!w->alive)
		put_away(m, w, &m->facts[local]);
	else
		replica_check(raw_replica(w));
	look(m, w, &m->facts[local]);
	return local;
}

void node_init(struct model *m)
{
	struct replica_config c = node_config(m, 0, 1);

	raw_bytes = round_up(sizeof(struct raw) + replica_size(&c), 64);
	for (uint8_t n = 0; n < m->nodes; n++) {
		arena[n] = aligned_alloc(64, raw_bytes);
		base[n] = aligned_alloc(64, raw_bytes);
		must(arena[n] != NULL && base[n] != NULL);
		memset(arena[n], 0, raw_bytes);
		arena[n]->node = n;
		restart(m, arena[n]);
		memcpy(base[n], arena[n], raw_bytes);
	}
}

void node_free(struct model *m)
{
	for (uint8_t n = 0; n < m->nodes; n++) {
		free(arena[n]);
		free(base[n]);
	}
}

uint32_t node_start(struct model *m, uint8_t node)
{
	struct raw *w = arena[node];

	memcpy(w, base[node], raw_bytes);
	return keep(m, w);
}

static uint32_t add_fault(struct model *m, const char *text)
{
	m->fault = grow(m->fault, &m->fault_room, (uint64_t)m->fault_count + 1, sizeof(*m->fault));
	m->fault[m->fault_count++] = strdup(text);
	return m->fault_count;
}

/* Compact: head, sends, replies, mades, one behind the other. */
#define OUTCOME_HEAD offsetof(struct model_outcome, send)

static uint32_t remember(struct model *m, const struct model_outcome *o)
{
	static uint8_t packed[sizeof(struct model_outcome)];
	uint32_t at = OUTCOME_HEAD;
	bool new;

	memcpy(packed, o, OUTCOME_HEAD);
	memcpy(packed + at, o->send, o->sends * sizeof(o->send[0]));
	at += (uint32_t)(o->sends * sizeof(o->send[0]));
	memcpy(packed + at, o->reply, o->replies * sizeof(o->reply[0]));
	at += (uint32_t)(o->replies * sizeof(o->reply[0]));
	memcpy(packed + at, o->made, o->mades * sizeof(o->made[0]));
	at += (uint32_t)(o->mades * sizeof(o->made[0]));
	return intern_put(&m->outcomes, packed, at, &new);
}

static const struct model_outcome *recall(const struct model *m, uint32_t id)
{
	static struct model_outcome o;
	const uint8_t *in = intern_get(&m->outcomes, id);

	memcpy(&o, in, OUTCOME_HEAD);
	in += OUTCOME_HEAD;
	memcpy(o.send, in, o.sends * sizeof(o.send[0]));
	in += o.sends * sizeof(o.send[0]);
	memcpy(o.reply, in, o.replies * sizeof(o.reply[0]));
	in += o.replies * sizeof(o.reply[0]);
	memcpy(o.made, in, o.mades * sizeof(o.made[0]));
	return &o;
}

static uint32_t execute(struct model *m, uint32_t local, uint32_t event)
{
	static struct model_outcome o;

	memset(&o, 0, sizeof(o));
	o.local = local;
	fault_text = "";
	if (setjmp(on_fault) == 0) {
		struct raw *w = bring_back(m, local);

		dispatch(m, w, event, &o);
		o.local = keep(m, w);
	} else {
		o.fault = add_fault(m, fault_text);
	}
	fault_text = NULL;
	if (o.local == local && o.fault == 0 && o.sends + o.replies + o.mades == 0)
		return MEMO_NOTHING;
	return remember(m, &o);
}

const struct model_outcome *node_outcome(struct model *m, uint32_t local, uint32_t event)
{
	uint32_t id = map_find(&m->memo, local, event);

	if (id == MAP_NONE) {
		id = execute(m, local, event);
		map_add(&m->memo, local, event, id);
	}
	return id == MEMO_NOTHING ? NULL : recall(m, id);
}

void node_dump(struct model *m, uint32_t local)
{
	const struct local_facts *f = facts(m, local);
	struct raw *w;

	printf("# %c", 'a' + f->node);
	if (!f->alive) {
		puts(" dead");
		return;
	}
	printf(" incarnation %u, epoch %u%s%s, key %s %llu.%c.%u", f->incarnation, f->epoch,
	       f->member ? ", member" : "", f->joined ? ", joined" : "",
	       hermes_state_name((enum hermes_state)f->state), (unsigned long long)f->ts.version,
	       'a' + writer_node(f->ts.writer), writer_incarnation(f->ts.writer));
	w = bring_back(m, local);
	if (w->has_entry)
		printf(" '%.*s'", w->entry.value_bytes, (const char *)entry_value(&w->entry));
	puts(f->readable ? ", readable" : "");
}
