/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The per-key protocol. Section numbers are those of docs/protocol.md; CC-n are the corner cases
 * named there. Two rules differ from the published table, both explained in docs/protocol.md:
 * updates start only from Valid, and the live coordinator of an RMW does not acknowledge a replay
 * of it, so that "aborted" is never said of an RMW that somebody else has committed.
 */
#include "replication/hermes.h"

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
	[HERMES_REPLAY] = TO(HERMES_VALID) | TO(HERMES_INVALID) | TO(HERMES_TRANS),
	[HERMES_TRANS] = TO(HERMES_VALID) | TO(HERMES_INVALID) | TO(HERMES_REPLAY),
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

/* ---- sending --------------------------------------------------------------------------------- */

/* send_inv: the key's current update, whoever made it: a retransmission is also a replay. */
static void send_inv(struct replica *r, const struct entry *e, uint8_t to, uint64_t id,
		     struct actions *a)
{
	struct wire_message m = {
		.type = WIRE_INV,
		.flags = e->flags | (e->state == HERMES_REPLAY ? WIRE_REPLAY : 0),
		.key_bytes = e->key_bytes,
		.value_bytes = e->value_bytes,
		.ts = entry_ts(e),
		.id = id,
		.key = e->blob,
		.value = entry_value(e),
	};

	r->counters.inv_sent++;
	replica_send(r, a, to, &m);
}

static void send_val(struct replica *r, const struct entry *e, struct actions *a)
{
	struct wire_message m = {
		.type = WIRE_VAL,
		.key_bytes = e->key_bytes,
		.ts = entry_ts(e),
		.key = e->blob,
	};

	r->counters.val_sent++;
	replica_send(r, a, (uint8_t)(r->all & ~replica_bit(r->config.node)), &m);
}

static uint64_t op_id(const struct replica *r, const struct op *op)
{
	return op->seq << 16 | op_index(r, op);
}

static void persist(struct replica *r, struct entry *e, struct actions *a)
{
	struct action *action = replica_action(a, ACTION_PERSIST);

	e->persist_seq = r->persist_next++;
	action->entry = e;
	action->persist_seq = e->persist_seq;
}

static void arm_backoff(struct replica *r, struct op *op)
{
	uint32_t shift = op->attempts < BACKOFF_SHIFT_MAX ? op->attempts : BACKOFF_SHIFT_MAX;

	if (op->attempts < UINT8_MAX)
		op->attempts++;
	replica_arm(r, op, r->config.retransmit_ns << shift);
}

/* count_self: this node's own durable copy counts as an acknowledgement once it is on disk. */
static void count_self(struct replica *r, struct op *op)
{
	const struct entry *e = op->entry;

	if (e->persist_seq <= r->durable_seq || mutant(2))
		op->acks |= replica_bit(r->config.node);
	else if (held_room(r))
		replica_hold_own(r, e->persist_seq, op);
	/* No room: the next timer tries again. */
}

/* broadcast: asks every other replica to hold the key's update; acks count for `op`. */
static void broadcast(struct replica *r, struct op *op, struct actions *a)
{
	op->target = entry_ts(op->entry);
	op->acks = 0;
	op->newer = false;
	count_self(r, op);
	send_inv(r, op->entry, (uint8_t)(r->all & ~replica_bit(r->config.node)), op_id(r, op), a);
	arm_backoff(r, op);
}

/* ---- finishing an operation ------------------------------------------------------------------ */

static void reply_status(struct replica *r, struct op *op, enum status status, struct op_ts ts,
			 struct actions *a)
{
	struct wire_message m = {
		.type = WIRE_RESULT, .status = (uint8_t)status, .ts = ts, .id = op->request,
	};

	replica_reply(r, a, op, &m);
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
	replica_reply(r, a, op, &m);
}

static void reply_read(struct replica *r, struct op *op, const struct entry *e, struct actions *a)
{
	struct wire_message m = { .type = WIRE_RESULT, .id = op->request };

	if (e)
		m.ts = entry_ts(e);
	if (e && entry_exists(e)) {
		m.value = entry_value(e);
		m.value_bytes = e->value_bytes;
	} else {
		m.status = STATUS_NOT_FOUND;
		r->counters.not_found++;
	}
	replica_reply(r, a, op, &m);
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

/* parse_number: a decimal 64-bit number, optional minus, nothing else. */
static bool parse_number(const uint8_t *text, uint32_t bytes, int64_t *ret_number)
{
	bool negative = bytes > 0 && text[0] == '-';
	uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
	uint64_t n = 0;
	uint32_t i = negative ? 1 : 0;

	if (i == bytes)
		return false;
	for (; i < bytes; i++) {
		uint64_t digit = (uint64_t)text[i] - '0';

		if (digit > 9 || n > (limit - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*ret_number = negative ? (int64_t)(0 - n) : (int64_t)n;
	return true;
}

static uint16_t print_number(uint8_t *out, int64_t number)
{
	uint8_t digits[INCR_BYTES_MAX];
	uint64_t n = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
	uint16_t count = 0;
	uint16_t bytes = 0;

	do {
		digits[count++] = (uint8_t)('0' + n % 10);
		n /= 10;
	} while (n != 0);
	if (number < 0)
		out[bytes++] = '-';
	while (count > 0)
		out[bytes++] = digits[--count];
	return bytes;
}

/* start_update: installs the new value under a new timestamp and sends it (HWrite, HRMW). */
static void start_update(struct replica *r, struct entry *e, struct op *op, struct op_ts ts,
			 struct actions *a)
{
	must(op_ts_compare(ts, entry_ts(e)) > 0);
	e->version = ts.version;
	e->writer = ts.writer;
	op->ts = ts;
	op->attempts = 0;
	hermes_move(e, HERMES_WRITE);
	persist(r, e, a);
	broadcast(r, op, a);
}

static struct op_ts next_ts(const struct replica *r, const struct entry *e, uint64_t step)
{
	uint32_t incarnation = mutant(9) ? 1 : r->config.incarnation;

	return (struct op_ts){ e->version + step, writer_make(r->config.node, incarnation) };
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
	if (op->type == WIRE_DEL)
		set_value(e, NULL, 0, ENTRY_TOMBSTONE);
	else
		set_value(e, value, op->value_bytes, 0);
	start_update(r, e, op, next_ts(r, e, mutant(12) ? 1 : 2), a);
}

/* cas_matches: the expected version is the key's; {0,0} expects that the key does not exist. */
static bool cas_matches(const struct entry *e, const struct op *op)
{
	if (op->expected.version == 0)
		return !entry_exists(e);
	return op_ts_compare(entry_ts(e), op->expected) == 0;
}

/*
 * start_rmw: from Valid only, because it must read the newest committed value (3.6). Returns the
 * status to refuse with, or STATUS_OK when it has started.
 */
static enum status start_rmw(struct replica *r, struct entry *e, struct op *op,
			     const uint8_t *value, struct actions *a)
{
	uint8_t text[INCR_BYTES_MAX];
	int64_t number = 0;

	if (op->type == WIRE_CAS) {
		if (!cas_matches(e, op))
			return STATUS_CONFLICT;
		set_value(e, value, op->value_bytes, ENTRY_RMW);
	} else {
		if (entry_exists(e) && !parse_number(entry_value(e), e->value_bytes, &number))
			return STATUS_NOT_A_NUMBER;
		if (__builtin_add_overflow(number, op->delta, &number))
			return STATUS_OVERFLOW;
		op->result = number;
		set_value(e, text, print_number(text, number), ENTRY_RMW);
	}
	start_update(r, e, op, next_ts(r, e, 1), a);
	return STATUS_OK;
}

/*
 * execute: the key is Valid and the op is its front. Returns true when the op is finished (and
 * answered), false when it has started an update.
 */
static bool execute(struct replica *r, struct entry *e, struct op *op, const uint8_t *value,
		    struct actions *a)
{
	enum status status;

	if (op->type == WIRE_GET || (op->type == WIRE_DEL && !entry_exists(e))) {
		reply_read(r, op, e, a);
		return true;
	}
	if (r->failed || r->space == SPACE_FULL || !held_room(r)) {
		status = r->failed		    ? STATUS_NOT_SERVING :
			 r->space == SPACE_FULL ? STATUS_NO_SPACE :
						  STATUS_BUSY;
		reply_status(r, op, status, (struct op_ts){ 0, 0 }, a);
		return true;
	}
	if (!op_is_rmw(op)) {
		start_write(r, e, op, value, a);
		return false;
	}
	status = start_rmw(r, e, op, value, a);
	if (status == STATUS_OK)
		return false;
	r->counters.conflicts += status == STATUS_CONFLICT;
	reply_status(r, op, status, entry_ts(e), a);
	return true;
}

/* ---- the queue of a key ---------------------------------------------------------------------- */

static void enqueue(struct replica *r, struct entry *e, struct op *op)
{
	uint32_t index = op_index(r, op);

	op->next = OP_NONE;
	if (e->wait_first == OP_NONE)
		e->wait_first = index;
	else
		r->ops[e->wait_last].next = index;
	e->wait_last = index;
}

/* waits_already: this read is in the queue; a copy of its request would only lengthen it. */
static bool waits_already(const struct replica *r, const struct entry *e, const struct op *read)
{
	uint32_t index = e->op == OP_NONE ? e->wait_first : e->op;

	while (index != OP_NONE) {
		const struct op *op = &r->ops[index];

		if (op->type == WIRE_GET && op->session == read->session &&
		    op->request == read->request)
			return true;
		index = index == e->op ? e->wait_first : op->next;
	}
	return false;
}

static void dequeue_to_front(struct replica *r, struct entry *e)
{
	uint32_t index = e->wait_first;

	e->wait_first = r->ops[index].next;
	r->ops[index].next = OP_NONE;
	e->op = index;
}

/* await_valid: the front waits on an Invalid key; its timer replays what nobody validates. */
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

void hermes_run(struct replica *r, struct entry *e, struct actions *a)
{
	/* A reply to a read points at the value: no update may start in the same step. */
	bool value_lent = false;

	for (;;) {
		struct op *op;

		if (e->op == OP_NONE) {
			if (e->wait_first == OP_NONE)
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

void hermes_submit(struct replica *r, const struct event *ev, struct op *op, struct actions *a)
{
	struct entry *e = ev->entry;

	if (!e) { /* never written: Valid and absent (CC-13) */
		must(op->type == WIRE_GET || op->type == WIRE_DEL);
		reply_read(r, op, NULL, a);
		replica_op_free(r, op);
		return;
	}
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

/* become_valid: the key's update is on every replica's disk. A started front op is answered. */
static void become_valid(struct replica *r, struct entry *e, bool tell_peers, struct actions *a)
{
	struct op *op = front(r, e);

	hermes_move(e, HERMES_VALID);
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

/* try_commit: every replica holds the op's target durably. */
static void try_commit(struct replica *r, struct op *op, struct actions *a)
{
	struct entry *e = op->entry;
	uint8_t missing = r->all & (uint8_t)~op->acks;

	if (missing != 0 && !(mutant(7) && (missing & (missing - 1)) == 0))
		return;
	if (e->state == HERMES_TRANS) {
		/* O1: no VAL; the coordinator of the newer update will validate the key. */
		if (mutant(13)) {
			become_valid(r, e, true, a);
			return;
		}
		commit_overtaken(r, e, a);
		return;
	}
	must(e->state == HERMES_WRITE || e->state == HERMES_REPLAY);
	must(op_ts_compare(op->target, entry_ts(e)) == 0);
	if (op->newer && !mutant(18))
		commit_overtaken(r, e, a);
	else
		become_valid(r, e, true, a);
}

void hermes_on_durable(struct replica *r, struct op *op, struct op_ts ts, struct actions *a)
{
	if (op->target.version == 0 || op_ts_compare(ts, op->target) < 0)
		return;
	op->acks |= replica_bit(r->config.node);
	try_commit(r, op, a);
}

void hermes_on_ack(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	uint32_t index = (uint32_t)(m->id & 0xffff);
	struct op *op = index < r->config.ops_max ? &r->ops[index] : NULL;
	bool ours = op && op->seq != 0 && op->seq == m->id >> 16;

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
	if (!same || e->state == HERMES_VALID) {
		r->counters.val_ignored++;
		return;
	}
	/*
	 * The sender has everybody's durable ACK, ours too; so in Write and Replay our own op is
	 * committed (CC-4), and in Trans our older one is, since all hold something newer.
	 */
	must(e->persist_seq <= r->durable_seq);
	become_valid(r, e, false, a);
}

/* ---- INV ------------------------------------------------------------------------------------- */

/* abort_rmw: overtaken by a newer update. It runs again, from the start, when the key is Valid. */
static void abort_rmw(struct replica *r, struct op *op)
{
	op->ts = (struct op_ts){ 0, 0 };
	op->target = (struct op_ts){ 0, 0 };
	r->counters.rmw_aborts++;
	await_valid(r, op->entry, op);
}

/* save_value: an RMW may have to run again after its value was overwritten; keep what it wrote. */
static void save_value(struct replica *r, struct op *op)
{
	if (op->type != WIRE_CAS)
		return;
	memcpy(op_value(r, op), entry_value(op->entry), op->entry->value_bytes);
}

/*
 * make_way: what a newer update does to our own op. The answer to an aborted RMW is given only when
 * the newer update is known committed (CC-6), because it runs again from Valid.
 */
static void make_way(struct replica *r, struct entry *e)
{
	struct op *op = front(r, e);

	switch ((enum hermes_state)e->state) {
	case HERMES_VALID:
		hermes_move(e, HERMES_INVALID);
		return;
	case HERMES_WRITE:
		if (!op_is_rmw(op) || mutant(15)) {
			hermes_move(e, HERMES_TRANS);
			return;
		}
		save_value(r, op);
		hermes_move(e, HERMES_INVALID);
		abort_rmw(r, op);
		return;
	case HERMES_REPLAY:
		if (op_started(op)) { /* a Trans that had begun to replay: still owed (CC-7) */
			hermes_move(e, HERMES_TRANS);
			return;
		}
		hermes_move(e, HERMES_INVALID);
		op->target = (struct op_ts){ 0, 0 };
		await_valid(r, e, op);
		return;
	case HERMES_INVALID:
	case HERMES_TRANS:
	case HERMES_STATE_COUNT:
		return;
	}
}

static void adopt(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct entry *e = ev->entry;

	make_way(r, e);
	set_value(e, m->value, m->value_bytes, m->flags & (uint8_t)~WIRE_REPLAY);
	e->version = m->ts.version;
	e->writer = m->ts.writer;
	persist(r, e, a);
	replica_hold_ack(r, ev, a);
}

/* same_update: one timestamp, one value (CC-21, H-UNIQUE-TS). */
static bool same_update(const struct entry *e, const struct wire_message *m)
{
	return e->value_bytes == m->value_bytes && e->flags == (m->flags & ~WIRE_REPLAY) &&
	       memcmp(entry_value(e), m->value, m->value_bytes) == 0;
}

void hermes_on_inv(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct entry *e = ev->entry;
	int order = op_ts_compare(m->ts, entry_ts(e));

	r->counters.inv_received++;
	if (order > 0) {
		adopt(r, ev, a);
		return;
	}
	if (order == 0) {
		must(same_update(e, m));
		/*
		 * A duplicate, or somebody replays it: acknowledge, change nothing (CC-3, CC-4).
		 * Except for our own RMW under way: while we say nothing, only we can commit it,
		 * and an abort is final.
		 */
		if (e->state == HERMES_WRITE && (e->flags & ENTRY_RMW))
			return;
		replica_hold_ack(r, ev, a);
		return;
	}
	r->counters.inv_stale++;
	if ((m->flags & (WIRE_RMW | WIRE_REPLAY)) && !mutant(6)) {
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
	replica_hold_ack(r, ev, a);
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
	case HERMES_REPLAY: {
		uint8_t self = replica_bit(r->config.node);
		uint8_t missing = r->all & (uint8_t)~op->acks;

		if (missing & self)
			count_self(r, op);
		if (missing & ~self && !mutant(16)) {
			r->counters.retransmits++;
			send_inv(r, e, missing & (uint8_t)~self, op_id(r, op), a);
		}
		arm_backoff(r, op);
		if (op->acks == r->all)
			try_commit(r, op, a);
		return;
	}
	case HERMES_INVALID:
	case HERMES_TRANS:
		/* Nobody validated it in time: finish it, same ts, value, flags (CC-1, CC-2). */
		r->counters.replays++;
		if (mutant(17))
			e->version++;
		hermes_move(e, HERMES_REPLAY);
		broadcast(r, op, a);
		if (op->acks == r->all)
			try_commit(r, op, a);
		return;
	case HERMES_VALID:
	case HERMES_STATE_COUNT:
		return;
	}
}
