/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The per-key protocol. CC-n are the corner cases of docs/protocol.md, where the rules that differ
 * from the published table are explained, too: updates start only from Valid; nobody validates a
 * value that has a rival; and the live coordinator of an RMW does not acknowledge a replay of it,
 * so that "aborted" is never said of an RMW that somebody else has committed.
 */
#include "replication/hermes.h"

#include "replication/number.h"
#include "replication/replica_priv.h"

static const char *const state_names[HERMES_STATE_COUNT] = {
	[HERMES_VALID] = "valid",     [HERMES_INVALID] = "invalid", [HERMES_WRITE] = "write",
	[HERMES_REPLAY] = "replay",   [HERMES_TRANS] = "trans",
};

#define TO(state) (1u << (state))

static const uint8_t moves[HERMES_STATE_COUNT] = {
	[HERMES_VALID] = TO(HERMES_INVALID) | TO(HERMES_WRITE),
	[HERMES_INVALID] = TO(HERMES_VALID) | TO(HERMES_REPLAY),
	[HERMES_WRITE] = TO(HERMES_VALID) | TO(HERMES_INVALID) | TO(HERMES_TRANS),
	[HERMES_REPLAY] = TO(HERMES_VALID) | TO(HERMES_INVALID),
	[HERMES_TRANS] = TO(HERMES_VALID) | TO(HERMES_INVALID),
};

const char *hermes_state_name(enum hermes_state state)
{
	return (unsigned)state < HERMES_STATE_COUNT ? state_names[state] : "?";
}

bool hermes_can_move(enum hermes_state from, enum hermes_state to)
{
	return (moves[from] & TO(to)) != 0;
}

void hermes_move(struct entry *e, enum hermes_state to)
{
	must(e->state < HERMES_STATE_COUNT);
	must(hermes_can_move((enum hermes_state)e->state, to));
	e->state = (uint8_t)to;
}

static struct op *front(const struct replica *r, const struct entry *e)
{
	return e->op == OP_NONE ? NULL : &r->ops[e->op];
}

/* covers: everybody an update needs has acknowledged. */
static bool covers(const struct replica *r, uint8_t acks)
{
	return (r->write_set & (uint8_t)~acks) == 0;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* send_inv: the key's current update, whoever made it: a retransmission is also a replay. */
static void send_inv(struct replica *r, const struct entry *e, uint8_t to, uint64_t id,
		     struct actions *a)
{
	struct wire_message *m = replica_send(r, a, to, WIRE_INV);

	m->flags = e->flags | (e->state == HERMES_REPLAY ? WIRE_REPLAY : 0);
	if (mutant(23) && e->state == HERMES_REPLAY)
		m->flags &= (uint8_t)~WIRE_RMW;
	m->key_bytes = e->key_bytes;
	m->value_bytes = e->value_bytes;
	m->ts = entry_ts(e);
	m->prior = e->base;
	m->id = id;
	m->origin = origin_of(r, e);
	m->key = e->blob;
	m->value = entry_value(e);
	r->counters.inv_sent++;
}

static void send_val(struct replica *r, const struct entry *e, struct actions *a)
{
	struct wire_message *m = replica_send(r, a, replica_others(r), WIRE_VAL);

	m->key_bytes = e->key_bytes;
	m->ts = entry_ts(e);
	m->key = e->blob;
	r->counters.val_sent++;
}

/* tell_ack: O3: everybody hears that this node holds the key's update durably. */
static void tell_ack(struct replica *r, const struct entry *e, uint8_t to, struct actions *a)
{
	struct wire_message *m = replica_send(r, a, to, WIRE_ACK);

	m->key_bytes = e->key_bytes;
	m->ts = entry_ts(e);
	m->key = e->blob;
}

static uint64_t op_id(const struct replica *r, const struct op *op)
{
	return op->seq << 16 | op_index(r, op);
}

static void arm_backoff(struct replica *r, struct op *op)
{
	uint32_t shift = op->attempts < BACKOFF_SHIFT_MAX ? op->attempts : BACKOFF_SHIFT_MAX;

	if (op->attempts < UINT8_MAX)
		op->attempts++;
	replica_arm(r, op, r->config.retransmit_ns << shift);
}

/* count_self: this node's own durable copy counts as an acknowledgement once it is on disk. */
static void count_self(struct replica *r, struct op *op, struct actions *a)
{
	const struct entry *e = op->entry;

	if (e->persist_seq <= r->durable_seq || mutant(2)) {
		op->acks |= replica_bit(r->config.node);
		if (r->config.broadcast_acks)
			tell_ack(r, e, replica_others(r), a);
	} else if (held_room(r))
		replica_hold_own(r, e->persist_seq, op);
	/* No room: the next timer tries again. */
}

/* send_own: the front's update, overtaken here by a newer one (Trans), as it was first sent. */
static void send_own(struct replica *r, const struct op *op, uint8_t to, struct actions *a)
{
	const struct entry *e = op->entry;
	struct wire_message *m = replica_send(r, a, to, WIRE_INV);

	m->flags = WIRE_OVERTAKEN | (op->type == WIRE_DEL ? WIRE_TOMBSTONE : 0);
	m->key_bytes = e->key_bytes;
	m->value_bytes = op->value_bytes;
	m->ts = op->ts;
	m->prior = op->base;
	m->id = op_id(r, op);
	m->origin = (struct origin){ session_origin(&r->sessions, op->link).client, op->request };
	m->key = e->blob;
	m->value = op_value(r, op);
	r->counters.inv_sent++;
}

/* broadcast: asks every other replica to hold the key's update; acks count for `op`. */
static void broadcast(struct replica *r, struct op *op, struct actions *a)
{
	op->target = entry_ts(op->entry);
	op->acks = 0;
	op->newer = false;
	count_self(r, op, a);
	send_inv(r, op->entry, replica_others(r), op_id(r, op), a);
	arm_backoff(r, op);
}

/* ---- finishing an operation ------------------------------------------------------------------ */

static void reply_status(struct replica *r, struct op *op, enum status status, struct op_ts ts,
			 struct actions *a)
{
	struct wire_message m = {
		.type = WIRE_RESULT, .status = (uint8_t)status, .ts = ts, .id = op->request,
	};

	request_finish(r, a, op, &m, false);
}

/* reply_committed: the update of a started op is on every replica's disk. */
static void reply_committed(struct replica *r, struct op *op, struct actions *a)
{
	struct wire_message m = {
		.type = WIRE_RESULT, .status = STATUS_OK, .ts = op->ts, .id = op->request,
	};

	if (op->type == WIRE_INCR) {
		m.value = (const uint8_t *)&op->result;
		m.value_bytes = sizeof(op->result);
	}
	r->counters.commits++;
	request_finish(r, a, op, &m, false);
}

/* key_ts: which version the key has; {0, 0}: absent, never written or long forgotten. */
static struct op_ts key_ts(const struct entry *e)
{
	return e ? entry_ts(e) : (struct op_ts){ 0, 0 };
}

/* reply_seen: an answer that rests on a look at the key: only under a lease (H-READ-VALID). */
static void reply_seen(struct replica *r, struct op *op, const struct wire_message *m,
		       struct actions *a)
{
	if (r->now_ns >= r->lease_ns && !mutant(22)) {
		r->counters.lease_refused++;
		reply_status(r, op, STATUS_NOT_SERVING, (struct op_ts){ 0, 0 }, a);
		return;
	}
	request_finish(r, a, op, m, !mutant(22));
}

static void reply_read(struct replica *r, struct op *op, const struct entry *e, struct actions *a)
{
	struct wire_message m = { .type = WIRE_RESULT, .id = op->request, .ts = key_ts(e) };

	if (e && entry_exists(e)) {
		m.value = entry_value(e);
		m.value_bytes = e->value_bytes;
	} else {
		m.status = STATUS_NOT_FOUND;
		r->counters.not_found++;
	}
	reply_seen(r, op, &m, a);
}

/* release_front: the front op is done; the key may take the next one. */
static void release_front(struct replica *r, struct entry *e)
{
	struct op *op = front(r, e);

	replica_disarm(r, op);
	e->op = OP_NONE;
	replica_op_free(r, op);
}

/* ---- starting updates ------------------------------------------------------------------------ */

/* start_update: installs the new value under a new timestamp and sends it (HWrite, HRMW). */
static void start_update(struct replica *r, struct entry *e, struct op *op, struct op_ts ts,
			 struct actions *a)
{
	struct session_outcome *o = session_at(&r->sessions, op->link);

	must(op_ts_compare(ts, entry_ts(e)) > 0);
	e->base = e->writer;
	e->version = ts.version;
	e->writer = ts.writer;
	e->origin = op->link;
	e->acks = 0;
	e->view = r->view_count & ENTRY_VIEW_MASK;
	if (o) {
		must(o->running && o->request == op->request);
		o->ts = ts;
		o->key = e->hash;
		o->fate = OUTCOME_SEEN;
		o->noted = true;
		o->has_number = op->type == WIRE_INCR;
		o->number = op->result;
	}
	op->ts = ts;
	op->tried = ts;
	op->attempts = 0;
	hermes_move(e, HERMES_WRITE);
	replica_persist(r, e, origin_of(r, e), a);
	broadcast(r, op, a);
}

static struct op_ts next_ts(const struct replica *r, const struct entry *e, uint64_t step)
{
	uint32_t incarnation = mutant(9) ? 1 : r->config.incarnation;
	/* Above whatever tombstone of the key may have been collected, anywhere. */
	uint64_t version = (e->version != 0 ? e->version : r->floor) + step;

	must(version <= VERSION_MAX);
	if (mutant(39))
		version = (uint32_t)version;
	return (struct op_ts){ version, writer_make(r->config.node, incarnation) };
}

static void set_value(struct entry *e, const uint8_t *value, uint16_t value_bytes, uint8_t flags)
{
	must((uint32_t)e->key_bytes + value_bytes <= e->blob_capacity);
	if (value_bytes)
		memcpy(e->blob + e->key_bytes, value, value_bytes);
	e->value_bytes = value_bytes;
	e->flags = flags;
}

static void start_write(struct replica *r, struct entry *e, struct op *op, const uint8_t *value,
			struct actions *a)
{
	uint8_t rmw = op->retry && !mutant(92) ? ENTRY_RMW : 0;

	origin_settle(r, e, true, entry_ts(e));
	if (op->type == WIRE_DEL)
		set_value(e, NULL, 0, ENTRY_TOMBSTONE | rmw);
	else
		set_value(e, value, op->value_bytes, rmw);
	start_update(r, e, op, next_ts(r, e, mutant(12) || rmw ? 1 : 2), a);
}

/*
 * matches: CAS: the expected version is the key's (writer 0: the key must not exist). CASV: the key
 * has the expected value.
 */
static bool matches(const struct entry *e, const struct op *op, const uint8_t *value)
{
	if (op->type == WIRE_CASV)
		return entry_exists(e) && e->value_bytes == op->expected.version &&
		       (mutant(87) || memcmp(entry_value(e), value, e->value_bytes) == 0);
	if (op->expected.writer == 0)
		return mutant(94) ? e->version == 0 : !entry_exists(e);
	return op_ts_compare(entry_ts(e), op->expected) == 0;
}

/*
 * start_rmw: from Valid only, because it must read the newest committed value (3.6). Returns the
 * status to refuse with, or STATUS_OK when it has started.
 */
static enum status start_rmw(struct replica *r, struct entry *e, struct op *op,
			     const uint8_t *value, struct actions *a)
{
	uint16_t skip = op->type == WIRE_CASV ? (uint16_t)op->expected.version : 0;
	uint8_t text[INCR_BYTES_MAX];
	int64_t number = 0;

	if (op->type != WIRE_INCR) {
		if (!matches(e, op, value))
			return STATUS_CONFLICT;
		origin_settle(r, e, true, entry_ts(e));
		set_value(e, value + skip, (uint16_t)(op->value_bytes - skip), ENTRY_RMW);
	} else {
		if (entry_exists(e) && !number_parse(entry_value(e), e->value_bytes, &number))
			return STATUS_NOT_A_NUMBER;
		if (__builtin_add_overflow(number, op->delta, &number))
			return STATUS_OVERFLOW;
		op->result = number;
		origin_settle(r, e, true, entry_ts(e));
		set_value(e, text, number_print(text, number), ENTRY_RMW);
	}
	start_update(r, e, op, next_ts(r, e, 1), a);
	return STATUS_OK;
}

/*
 * resolve: a request that more than one node may work on, at a key that is Valid. What took effect
 * then is answered, what may have is UNKNOWN for ever; what has not can be done now. e NULL: the
 * key has no entry. Returns true when the op is answered.
 */
static bool resolve(struct replica *r, const struct entry *e, struct op *op, struct actions *a)
{
	struct wire_message m = { .type = WIRE_RESULT, .id = op->request };
	struct session_outcome *o = session_at(&r->sessions, op->link);

	must(o && o->running && o->request == op->request);
	if (op->tried.version != 0 && op_ts_compare(o->ts, op->tried) == 0)
		o->fate = OUTCOME_NONE; /* this node's own try since, aborted for good */
	if (mutant(32))
		return false;
	if (o->fate == OUTCOME_SEEN && e && op_ts_compare(o->ts, entry_ts(e)) == 0)
		o->fate = OUTCOME_TOOK;
	else if (o->fate == OUTCOME_SEEN)
		o->fate = OUTCOME_UNSURE;
	/* Meanwhile an update came that may have been this one: nobody knew its origin any more. */
	if (o->fate == OUTCOME_NONE && op->retry && r->sessions.blind)
		o->fate = OUTCOME_UNSURE;
	if (o->fate == OUTCOME_NONE || o->fate == OUTCOME_DEAD)
		return false;
	r->counters.retries_resolved++;
	if (o->fate != OUTCOME_TOOK || (op->type == WIRE_INCR && !o->has_number)) {
		reply_status(r, op, STATUS_UNKNOWN, (struct op_ts){ 0, 0 }, a);
		return true;
	}
	m.ts = o->ts;
	if (op->type == WIRE_INCR) {
		m.value = (const uint8_t *)&o->number;
		m.value_bytes = sizeof(o->number);
	}
	request_finish(r, a, op, &m, false);
	return true;
}

/* obstacle: why an update that could start now must not; STATUS_OK: nothing. */
static enum status obstacle(struct replica *r, const struct op *op)
{
	if (r->failed)
		return STATUS_NOT_SERVING;
	if (r->space == SPACE_FULL)
		return STATUS_NO_SPACE;
	if (op->expires_ns != 0 && r->now_ns >= op->expires_ns && !mutant(88)) {
		r->counters.expired++; /* nobody waits for it: let the next one go */
		return STATUS_BUSY;
	}
	return held_room(r) ? STATUS_OK : STATUS_BUSY;
}

/*
 * execute: the key is Valid and the op is its front. Returns true when the op is finished (and
 * answered), false when it has started an update.
 */
static bool execute(struct replica *r, struct entry *e, struct op *op, const uint8_t *value,
		    struct actions *a)
{
	struct wire_message m = { .type = WIRE_RESULT, .id = op->request, .ts = key_ts(e) };
	enum status status;

	/* An aborted update may have been carried out by another node meanwhile. */
	if ((op->retry || op->tried.version != 0) && resolve(r, e, op, a))
		return true;
	if (op->type == WIRE_GET || (op->type == WIRE_DEL && !entry_exists(e))) {
		reply_read(r, op, e, a);
		return true;
	}
	status = obstacle(r, op);
	if (status != STATUS_OK) {
		reply_status(r, op, status, (struct op_ts){ 0, 0 }, a);
		return true;
	}
	if (op->type == WIRE_PUT || op->type == WIRE_DEL) {
		start_write(r, e, op, value, a);
		return false;
	}
	status = start_rmw(r, e, op, value, a);
	if (status == STATUS_OK)
		return false;
	r->counters.conflicts += status == STATUS_CONFLICT;
	m.status = (uint8_t)status;
	reply_seen(r, op, &m, a);
	return true;
}

/* ---- the queue of a key ---------------------------------------------------------------------- */

static void enqueue(struct replica *r, struct entry *e, struct op *op)
{
	uint32_t index = op_index(r, op);

	if (e->wait == OP_NONE) {
		op->next = index;
	} else {
		op->next = r->ops[e->wait].next;
		r->ops[e->wait].next = index;
	}
	e->wait = index;
}

static bool is_this_read(const struct op *op, const struct op *read)
{
	return op->type == WIRE_GET && op->session == read->session && op->request == read->request;
}

/* waits_already: this read is in the queue; a copy of its request would only lengthen it. */
static bool waits_already(const struct replica *r, const struct entry *e, const struct op *read)
{
	uint32_t index = e->wait;

	if (e->op != OP_NONE && is_this_read(&r->ops[e->op], read))
		return true;
	if (index == OP_NONE)
		return false;
	do {
		index = r->ops[index].next;
		if (is_this_read(&r->ops[index], read))
			return true;
	} while (index != e->wait);
	return false;
}

static void dequeue_to_front(struct replica *r, struct entry *e)
{
	uint32_t index = r->ops[e->wait].next;

	if (index == e->wait)
		e->wait = OP_NONE;
	else
		r->ops[e->wait].next = r->ops[index].next;
	r->ops[index].next = OP_NONE;
	e->op = index;
}

/* await_valid: the front waits on an Invalid key; its timer replays it, if need be (CC-17). */
static void await_valid(struct replica *r, struct entry *e, struct op *op)
{
	/*
	 * After recovery nobody is going to send a VAL: replay at the next turn. Otherwise spread
	 * the replayers, so that one of them usually gets there first (CC-2).
	 */
	uint64_t delay = e->persist_seq == 0 ? 0 : r->config.replay_ns;

	delay += delay / 8 * ((e->hash + r->config.node) % r->config.node_count);
	op->attempts = 0;
	replica_arm(r, op, delay);
}

static void run_queue(struct replica *r, struct entry *e, struct actions *a)
{
	/* A reply to a read points at the value: no update may start in the same step. */
	bool value_lent = false;

	for (;;) {
		struct op *op;

		if (e->op == OP_NONE) {
			if (e->wait == OP_NONE)
				return;
			dequeue_to_front(r, e);
			if (e->state == HERMES_INVALID)
				await_valid(r, e, front(r, e));
		}
		op = front(r, e);
		if (e->state != HERMES_VALID || op_started(op))
			return;
		if (!actions_room(a) || (value_lent && op_is_update(op))) {
			replica_ready(r, op);
			return;
		}
		value_lent |= op->type == WIRE_GET;
		if (!execute(r, e, op, op_value(r, op), a))
			return;
		release_front(r, e);
	}
}

void hermes_run(struct replica *r, struct entry *e, struct actions *a)
{
	if (e->op != OP_NONE || e->wait != OP_NONE)
		run_queue(r, e, a);
}

void hermes_submit(struct replica *r, const struct event *ev, struct op *op, struct actions *a)
{
	struct entry *e = ev->entry;

	if (!e) { /* never written: Valid and absent (CC-13) */
		must(op->type == WIRE_GET || op->type == WIRE_DEL);
		if (!op->retry || !resolve(r, NULL, op, a))
			reply_read(r, op, NULL, a);
		replica_op_free(r, op);
		return;
	}
	if (op->type == WIRE_CASV) /* may run again, and then needs what it expects once more */
		memcpy(op_value(r, op), ev->message->value, op->value_bytes);
	op->entry = e;
	if (e->op == OP_NONE && e->state == HERMES_VALID) {
		e->op = op_index(r, op);
		if (execute(r, e, op, ev->message->value, a))
			release_front(r, e);
		return;
	}
	if (mutant(5) && op->type == WIRE_GET) {
		reply_read(r, op, e, a);
		replica_op_free(r, op);
		return;
	}
	if (op->type == WIRE_GET && waits_already(r, e, op)) {
		r->counters.duplicate_requests++;
		replica_op_free(r, op);
		return;
	}
	if (op->value_bytes)
		memcpy(op_value(r, op), ev->message->value, op->value_bytes);
	r->counters.reads_queued += op->type == WIRE_GET;
	enqueue(r, e, op);
	hermes_run(r, e, a);
}

/* ---- commit ---------------------------------------------------------------------------------- */

/*
 * become_valid: the key's update is on every replica's disk. A started front op is answered; but an
 * overtaken one has to wait until everybody has seen its own INV: should the answer be lost, its
 * client may ask any of them (S-ONCE).
 */
static void become_valid(struct replica *r, struct entry *e, bool tell_peers, struct actions *a)
{
	struct op *op = front(r, e);

	if (e->state == HERMES_TRANS && !covers(r, op->acks) && !mutant(99)) {
		op->validated = true;
		return;
	}
	hermes_move(e, HERMES_VALID);
	e->view = r->view_count & ENTRY_VIEW_MASK;
	if (op) {
		replica_disarm(r, op);
		if (op_started(op)) {
			reply_committed(r, op, a);
			release_front(r, e);
		}
	}
	if (tell_peers)
		send_val(r, e, a);
	hermes_run(r, e, a);
}

/*
 * commit_overtaken: the op's update is on every disk, or something newer is. The key stays Invalid
 * and nobody gets a VAL (O1): a read here would be right, but an RMW would miss the newer update.
 */
static void commit_overtaken(struct replica *r, struct entry *e, struct actions *a)
{
	struct op *op = front(r, e);

	hermes_move(e, HERMES_INVALID);
	if (op_started(op)) {
		reply_committed(r, op, a);
		release_front(r, e);
	} else {
		op->target = (struct op_ts){ 0, 0 };
		await_valid(r, e, op);
	}
	hermes_run(r, e, a);
}

/* try_commit: every replica holds the op's target durably; no lease is needed to say so (CC-11). */
static void try_commit(struct replica *r, struct op *op, struct actions *a)
{
	struct entry *e = op->entry;
	uint8_t missing = r->write_set & (uint8_t)~op->acks;

	if (mutant(67))
		missing &= r->view.members;
	if (missing != 0 && !(mutant(7) && (missing & (missing - 1)) == 0))
		return;
	if (e->state == HERMES_TRANS) {
		/* O1: no VAL; the coordinator of the newer update will validate the key. */
		if (mutant(13) || op->validated)
			become_valid(r, e, mutant(13), a);
		else
			commit_overtaken(r, e, a);
		return;
	}
	must(e->state == HERMES_WRITE || e->state == HERMES_REPLAY);
	must(op_ts_compare(op->target, entry_ts(e)) == 0);
	if (op->newer && !mutant(18))
		commit_overtaken(r, e, a);
	else /* O3: followers have each other's ACKs; but those of a replay were perhaps not seen */
		become_valid(r, e, !r->config.broadcast_acks || e->state == HERMES_REPLAY, a);
}

void hermes_on_durable(struct replica *r, struct op *op, struct op_ts ts, struct actions *a)
{
	if (op->target.version == 0 || op_ts_compare(ts, op->target) < 0)
		return;
	op->acks |= replica_bit(r->config.node);
	if (r->config.broadcast_acks && op_ts_compare(ts, entry_ts(op->entry)) == 0)
		tell_ack(r, op->entry, replica_others(r), a);
	try_commit(r, op, a);
}

/*
 * count_ack: O3: `from` durably holds exactly the key's update. When everybody does, it is
 * committed, and the coordinator need not say so. An ACK before its INV is of no use (CC-18).
 */
static void count_ack(struct replica *r, struct entry *e, struct op_ts ts, uint8_t from,
		      struct actions *a)
{
	uint8_t acks;

	if (op_ts_compare(ts, entry_ts(e)) != 0 ||
	    (e->state != HERMES_INVALID && e->state != HERMES_TRANS))
		return;
	if (e->view != (r->view_count & ENTRY_VIEW_MASK)) { /* H-ACK-EPOCH */
		e->view = r->view_count & ENTRY_VIEW_MASK;
		e->acks = 0;
	}
	e->acks |= replica_bit(from);
	acks = (uint8_t)e->acks;
	if (mutant(36))
		acks |= replica_bit(writer_node(ts.writer));
	if (mutant(37))
		acks |= replica_bit(r->config.node);
	if (!covers(r, acks))
		return;
	r->counters.ack_validated++;
	become_valid(r, e, false, a);
}

void hermes_tell_ack(struct replica *r, struct entry *e, struct op_ts ts, uint8_t except,
		     struct actions *a)
{
	if (op_ts_compare(ts, entry_ts(e)) != 0)
		return; /* overtaken meanwhile: nobody waits for it */
	tell_ack(r, e, replica_others(r) & (uint8_t)~replica_bit(except), a);
	count_ack(r, e, ts, r->config.node, a);
}

void hermes_on_ack(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	uint32_t index = (uint32_t)(m->id & 0xffff);
	struct op *op = index < r->config.ops_max ? &r->ops[index] : NULL;
	bool ours = op && op->seq != 0 && op->seq == m->id >> 16;

	if (m->key_bytes != 0) {
		if (ev->entry && r->config.broadcast_acks)
			count_ack(r, ev->entry, m->ts, ev->header->from, a);
		return;
	}
	if (mutant(8))
		ours = op && op->seq != 0 && op->target.version != 0;
	else if (ours)
		ours = op->target.version != 0 && op_ts_compare(m->ts, op->target) >= 0;
	if (!ours) {
		r->counters.ack_unmatched++; /* late, duplicate, or for what a replay replaced */
		return;
	}
	r->counters.ack_received++;
	op->acks |= replica_bit(ev->header->from);
	op->newer |= op_ts_compare(m->ts, op->target) > 0;
	if (op->entry->state != HERMES_VALID && op->entry->state != HERMES_INVALID)
		try_commit(r, op, a);
}

void hermes_on_val(struct replica *r, const struct event *ev, struct actions *a)
{
	struct entry *e = ev->entry;
	bool same = e && op_ts_compare(ev->message->ts, entry_ts(e)) == 0;

	r->counters.val_received++;
	if (mutant(4))
		same = e != NULL;
	/* VAL before its INV (CC-1), for another update, or for a key already Valid: no effect. */
	if (!same || e->state == HERMES_VALID || (mutant(85) && e->state == HERMES_WRITE)) {
		r->counters.val_ignored++;
		return;
	}
	/*
	 * The sender has everybody's durable ACK, ours too; so in Write and Replay our own op is
	 * committed (CC-4), and in Trans our older one is, since all hold something newer.
	 */
	must(e->persist_seq <= r->durable_seq || !r->member || (e->flags & ENTRY_TOMBSTONE));
	become_valid(r, e, false, a);
}

bool hermes_base_validates(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct entry *e = ev->entry;
	struct op_ts base = { m->ts.version - (m->flags & WIRE_RMW ? 1 : 2), m->prior };

	if (m->prior == 0 || e->state == HERMES_VALID || e->version != base.version || mutant(83))
		return false;
	if (e->writer != base.writer && !mutant(24))
		return false;
	must(e->persist_seq <= r->durable_seq || !r->member || (e->flags & ENTRY_TOMBSTONE));
	r->counters.base_validated++;
	become_valid(r, e, false, a);
	return e->state != HERMES_TRANS;
}

/* ---- INV ------------------------------------------------------------------------------------- */

/*
 * abort_update: the front's own RMW was overtaken, or its blind write by an unbased RMW, or what it
 * replayed. It goes on, from the start, when the key is Valid.
 */
static void abort_update(struct replica *r, struct op *op)
{
	r->counters.rmw_aborts += op_started(op);
	op->ts = (struct op_ts){ 0, 0 };
	op->target = (struct op_ts){ 0, 0 };
	await_valid(r, op->entry, op);
}

/* save_value: an update may have to run again after its value was overwritten: keep it. */
static void save_value(struct replica *r, struct op *op)
{
	if (op->type != WIRE_CAS && op->type != WIRE_PUT)
		return;
	memcpy(op_value(r, op), entry_value(op->entry), op->entry->value_bytes);
}

/*
 * drop_unclear: what overtakes our own update was made from an absence. Whoever made it did not
 * see our PUT, having no entry: it is not committed, and runs again. Our delete, or a PUT under
 * another delete, may be that very absence: nobody here can tell. True: the op was let go.
 */
static bool drop_unclear(struct replica *r, struct entry *e, struct actions *a)
{
	struct op *op = front(r, e);

	if (op->type == WIRE_PUT && !(e->state == HERMES_TRANS && (e->flags & ENTRY_TOMBSTONE)))
		return false;
	hermes_move(e, HERMES_INVALID);
	reply_status(r, op, STATUS_UNKNOWN, (struct op_ts){ 0, 0 }, a);
	release_front(r, e);
	hermes_run(r, e, a);
	return true;
}

/*
 * make_way: what a newer update does to our own op. The answer to an aborted RMW is given only when
 * the newer update is known committed (CC-6), because it runs again from Valid.
 */
static void make_way(struct replica *r, struct entry *e, const struct wire_message *m,
		     struct actions *a)
{
	struct op *op = front(r, e);
	bool unbased = entry_is_unbased(m->flags, m->ts.version, m->prior) && !mutant(96);
	bool absent = m->prior == 0 && m->ts.version > (m->flags & WIRE_RMW ? 1 : 2);

	if (op && op_started(op) && (op_is_rmw(op) ? absent && op->type == WIRE_DEL : unbased) &&
	    drop_unclear(r, e, a))
		return;

	switch ((enum hermes_state)e->state) {
	case HERMES_VALID:
		hermes_move(e, HERMES_INVALID);
		return;
	case HERMES_WRITE:
		save_value(r, op);
		op->base = e->base;
		op->validated = false;
		if ((!op_is_rmw(op) && !unbased) || mutant(15)) {
			hermes_move(e, HERMES_TRANS);
			return;
		}
		hermes_move(e, HERMES_INVALID);
		abort_update(r, op);
		if (mutant(62) && op->type == WIRE_CAS) { /* the newer may never commit (CC-6) */
			reply_status(r, op, STATUS_CONFLICT, entry_ts(e), a);
			release_front(r, e);
		}
		return;
	case HERMES_REPLAY:
		must(!op_started(op));
		hermes_move(e, HERMES_INVALID);
		abort_update(r, op);
		return;
	case HERMES_TRANS:
		op->validated = false;
		if (unbased) {
			hermes_move(e, HERMES_INVALID);
			abort_update(r, op);
		}
		return;
	case HERMES_INVALID:
	case HERMES_STATE_COUNT:
		return;
	}
}

/* same_update: one timestamp, one value (CC-21, H-UNIQUE-TS). */
static bool same_update(const struct entry *e, const struct wire_message *m)
{
	return e->value_bytes == m->value_bytes &&
	       e->flags == (m->flags & (ENTRY_RMW | ENTRY_TOMBSTONE)) &&
	       memcmp(entry_value(e), m->value, m->value_bytes) == 0;
}

/* install: the key's update is this one now. */
static void install(struct replica *r, struct entry *e, const struct wire_message *m,
		    struct actions *a)
{
	make_way(r, e, m, a);
	origin_settle_by(r, e, m);
	set_value(e, m->value, m->value_bytes, m->flags & (ENTRY_RMW | ENTRY_TOMBSTONE));
	e->version = m->ts.version;
	e->writer = m->ts.writer;
	e->base = m->prior;
	e->origin = origin_note(r, m, e->hash, OUTCOME_SEEN);
	r->sessions.blind |= m->origin.client == 0 && m->type == WIRE_INV;
	e->acks = 0;
	e->view = r->view_count & ENTRY_VIEW_MASK;
	replica_persist(r, e, m->origin, a);
}

void hermes_on_copy(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct entry *e = ev->entry;
	int order = op_ts_compare(m->ts, entry_ts(e));

	if (order < 0 && !mutant(26))
		return; /* something newer came by itself (CC-19, H11) */
	if (order != 0)
		install(r, e, m, a);
	else
		must(same_update(e, m)); /* CC-21 */
	/* The donor has it Valid in this very epoch: as good as a VAL. */
	if ((m->flags & WIRE_VALID) && e->state != HERMES_VALID)
		become_valid(r, e, false, a);
}

static void adopt(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct entry *e = ev->entry;

	install(r, e, m, a);
	replica_hold_ack(r, ev, e->persist_seq, a);
}

/*
 * refuses: whether a stale INV is answered with the newer update. An RMW that lost; a replay of
 * what is not the newest; and a blind write below an unbased RMW, which may not know of it: it
 * cannot be said to have happened just before.
 */
static bool refuses(const struct entry *e, const struct wire_message *m)
{
	if (entry_is_unbased(e->flags, e->version, e->base) && !mutant(96))
		return true;
	if (m->flags & WIRE_RMW)
		return !mutant(6);
	return (m->flags & WIRE_REPLAY) && !mutant(6) && !mutant(65);
}

void hermes_on_inv(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct entry *e = ev->entry;
	int order = op_ts_compare(m->ts, entry_ts(e));

	r->counters.inv_received++;
	if (order > 0 && (m->flags & WIRE_OVERTAKEN) && !mutant(100))
		return; /* a tombstone forgotten here may be newer; the sender sends it, too */
	if (order > 0) {
		adopt(r, ev, a);
		return;
	}
	if (order == 0) {
		must(same_update(e, m));
		if (mutant(84) && e->state == HERMES_VALID)
			hermes_move(e, HERMES_INVALID);
		/*
		 * A duplicate, or somebody replays it: acknowledge, change nothing (CC-3, CC-4).
		 * Except for our own RMW under way: while we say nothing, only we can commit it,
		 * and an abort is final.
		 */
		if (e->state == HERMES_WRITE && (e->flags & ENTRY_RMW) && !mutant(63))
			return;
		replica_hold_ack(r, ev, e->persist_seq, a);
		return;
	}
	r->counters.inv_stale++;
	if (refuses(e, m)) {
		/*
		 * An RMW that lost, or a replay of what is not the newest: tell the sender what
		 * beat it (the NACK of 3.6 and of 3.11).
		 */
		r->counters.inv_refused++;
		send_inv(r, e, replica_bit(ev->header->from), 0, a);
		return;
	}
	/*
	 * Stale: acknowledged because we hold something newer, which the lower write may precede.
	 * But not before that something is durable, or both could be lost (3.11).
	 */
	replica_hold_ack(r, ev, max_u64(e->persist_seq, origin_note_stale(r, m, e->hash, a)), a);
}

void hermes_on_epoch(struct replica *r, struct op *op)
{
	if (op->target.version == 0)
		return;
	op->acks = 0;
	op->newer = false;
	op->attempts = 0;
	replica_arm(r, op, 0);
}

/* ---- timers ---------------------------------------------------------------------------------- */

void hermes_on_timer(struct replica *r, struct op *op, struct actions *a)
{
	struct entry *e = op->entry;

	switch ((enum hermes_state)e->state) {
	case HERMES_WRITE:
	case HERMES_TRANS:
	case HERMES_REPLAY: {
		uint8_t self = replica_bit(r->config.node);
		uint8_t missing = r->write_set & (uint8_t)~op->acks;

		if (missing & self)
			count_self(r, op, a);
		if (missing & ~self && !mutant(16)) {
			r->counters.retransmits++;
			if (e->state == HERMES_TRANS) {
				/* First what is newer: only who holds it can take the older one. */
				send_inv(r, e, missing & (uint8_t)~self, 0, a);
				send_own(r, op, missing & (uint8_t)~self, a);
			} else {
				send_inv(r, e, missing & (uint8_t)~self, op_id(r, op), a);
			}
		}
		arm_backoff(r, op);
		if (covers(r, op->acks))
			try_commit(r, op, a);
		return;
	}
	case HERMES_INVALID:
		if (mutant(81)) {
			await_valid(r, e, op);
			return;
		}
		/* Nobody validated it in time: finish it, same ts, value, flags (CC-1, CC-2). */
		r->counters.replays++;
		if (mutant(17))
			e->version++;
		hermes_move(e, HERMES_REPLAY);
		broadcast(r, op, a);
		if (covers(r, op->acks))
			try_commit(r, op, a);
		return;
	case HERMES_VALID:
	case HERMES_STATE_COUNT:
		return;
	}
}
