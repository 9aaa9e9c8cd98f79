/* SPDX-License-Identifier: Apache-2.0 */
/* Clients at the door: sessions, requests that come twice, requests that were elsewhere before. */
#include "replication/replica_priv.h"

static void refuse(struct actions *a, const struct event *ev, enum status status)
{
	struct wire_message m = {
		.type = WIRE_RESULT, .status = (uint8_t)status, .id = ev->message->id,
	};

	replica_reply(a, ev->header->session, &ev->from, &m);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static struct session *open_session(struct replica *r, const struct event *ev)
{
	uint64_t first = load_u64(ev->message->value);
	bool evicted;
	struct session *s = session_open(&r->sessions, ev->message->id, max_u64(first, 1),
					 r->now_ns, &evicted);

	r->counters.sessions_evicted += evicted;
	r->counters.sessions_opened += s != NULL;
	if (s)
		s->addr = ev->from;
	return s;
}

static void on_open(struct replica *r, const struct event *ev, struct actions *a)
{
	uint8_t *value = r->opened;
	bool foreign = ev->header->cluster != 0 && ev->header->cluster != r->config.cluster;
	bool serving = !foreign && (r->member || !r->config.views) && ev->message->id != 0;
	struct session *s = serving ? open_session(r, ev) : NULL;
	struct wire_message m = {
		.type = WIRE_OPENED, .id = ev->message->id, .value = value,
		.value_bytes = WIRE_OPEN_BYTES,
	};

	memset(value, 0, WIRE_OPEN_BYTES);
	if (!s) {
		m.status = serving ? STATUS_BUSY : STATUS_NOT_SERVING;
		replica_reply(a, 0, &ev->from, &m);
		r->counters.foreign_cluster += foreign;
		r->counters.busy += serving;
		return;
	}
	store_u64(value, s->id);
	store_u32(value + 8, r->config.incarnation);
	store_u16(value + 12, r->config.shard_count);
	value[14] = r->config.node_count;
	value[15] = r->config.node;
	store_u16(value + 16, r->config.session_window);
	store_u16(value + 18, KEY_BYTES_MAX);
	store_u16(value + 20, VALUE_BYTES_MAX);
	replica_reply(a, s->id, &ev->from, &m);
}

/* ---- outcomes -------------------------------------------------------------------------------- */

void request_finish(struct replica *r, struct actions *a, const struct op *op,
		    const struct wire_message *result, bool lease)
{
	struct session *s = op_is_update(op) ? session_find(&r->sessions, op->session) : NULL;
	struct session_outcome *o = s ? session_at(&r->sessions, op->link) : NULL;

	if (o && o->running && o->request == op->request) {
		session_stop(s, o);
		/* UNKNOWN, WAIT: this node, or another one, can still find out. */
		if (result->status != STATUS_UNKNOWN && result->status != STATUS_WAIT) {
			o->fate = OUTCOME_DONE;
			o->status = result->status;
			o->ts = result->ts;
			o->lease = lease;
			o->has_number = result->value_bytes == 8 && op->type == WIRE_INCR;
			/* A resolved retry's value is this very number. */
			o->number = o->has_number ? (int64_t)load_u64(result->value) :
						    (int64_t)r->view_count;
		}
	}
	if (result->status != STATUS_OK) {
		r->counters.busy += result->status == STATUS_BUSY;
		r->counters.no_space += result->status == STATUS_NO_SPACE;
	}
	replica_reply(a, op->session, &op->client, result)->lease = lease && !mutant(80);
}

/*
 * resend: the recorded outcome once more. A refusal that rested on a look at the key stands only if
 * the lease of then is known to have held: the view is the same, and there is a lease for it now.
 */
static void resend(struct replica *r, const struct session *s, const struct session_outcome *o,
		   struct actions *a)
{
	bool stands = !o->lease ||
		      ((uint64_t)o->number == r->view_count && r->now_ns < r->lease_ns);
	struct wire_message m = {
		.type = WIRE_RESULT, .status = stands ? o->status : STATUS_NOT_SERVING,
		.ts = stands ? o->ts : (struct op_ts){ 0, 0 }, .id = o->request,
	};

	if (o->has_number && !mutant(93)) {
		m.value = (const uint8_t *)&o->number;
		m.value_bytes = 8;
	}
	r->counters.replies_resent++;
	replica_reply(a, s->id, &s->addr, &m)->lease = o->lease;
}

/* ---- execution ------------------------------------------------------------------------------- */

/*
 * refusal: why this node cannot take the request now; STATUS_OK: it can. Before anything is sent:
 * some node that has no room, or is not heard of, would hold up the key at all others (CC-14,
 * CC-15, CC-22).
 */
static enum status refusal(const struct replica *r, const struct event *ev)
{
	enum wire_type type = ev->message->type;
	uint8_t space = r->space;

	if (r->failed || !replica_linked(r))
		return STATUS_NOT_SERVING;
	if (type == WIRE_GET)
		return STATUS_OK;
	/* Cut off: nothing begun now is done before the others go on without this node. */
	if (r->lease_ns != 0 && r->now_ns >= r->lease_ns && !mutant(232))
		return STATUS_NOT_SERVING;
	for (uint32_t left = replica_others(r); left != 0; left &= left - 1) {
		const struct peer *p = &r->peers[__builtin_ctz(left)];

		if (!view_heard(r, p))
			return STATUS_NOT_SERVING;
		if (p->space > space && !mutant(95))
			space = p->space;
	}
	if (space == SPACE_FULL || (space == SPACE_LOW && type != WIRE_DEL))
		return STATUS_NO_SPACE;
	if (!ev->entry && type != WIRE_DEL)
		return STATUS_NO_SPACE;
	return STATUS_OK;
}

static void count_request(struct replica *r, enum wire_type type)
{
	if (type == WIRE_GET)
		r->counters.reads++;
	else if (type == WIRE_PUT)
		r->counters.writes++;
	else if (type == WIRE_DEL)
		r->counters.deletes++;
	else if (type == WIRE_INCR)
		r->counters.incrs++;
	else
		r->counters.cas++;
}

static void fill_op(const struct replica *r, struct op *op, const struct event *ev)
{
	const struct wire_message *m = ev->message;

	op->type = m->type;
	op->session = ev->header->session;
	op->request = m->id;
	op->client = ev->from;
	op->expected = m->ts;
	op->value_bytes = m->value_bytes;
	if (m->patience_ms != 0)
		op->expires_ns = r->now_ns + m->patience_ms * 1000000ull;
	if (m->type == WIRE_INCR)
		op->delta = (int64_t)load_u64(m->value);
}

static void submit(struct replica *r, const struct event *ev, uint32_t link, bool retry,
		    struct actions *a)
{
	enum status status = refusal(r, ev);
	struct op *op = status == STATUS_OK ? replica_op_alloc(r) : NULL;

	count_request(r, ev->message->type);
	if (!op) {
		struct op refused = { .link = link };
		struct wire_message m = {
			.type = WIRE_RESULT,
			.status = (uint8_t)(status == STATUS_OK ? STATUS_BUSY : status),
			.id = ev->message->id,
		};

		r->counters.not_linked += status == STATUS_NOT_SERVING;
		if (retry) /* it may have taken effect before: nothing final can be said now */
			m.status = STATUS_WAIT;
		fill_op(r, &refused, ev);
		request_finish(r, a, &refused, &m, false);
		return;
	}
	fill_op(r, op, ev);
	op->link = link;
	op->retry = retry;
	hermes_submit(r, ev, op, a);
}

/* ---- updates --------------------------------------------------------------------------------- */

/*
 * may_retry: may this node decide what became of a request that somebody was asked before? Not
 * while `prior`, whom the client asked, or the coordinator of what was seen of it, may still carry
 * it out: until both have left this node's view, in that incarnation (H22).
 */
static bool may_retry(struct replica *r, const struct event *ev, uint32_t prior,
		      const struct session_outcome *known, struct actions *a)
{
	uint32_t self = writer_make(r->config.node, r->config.incarnation);
	bool busy = prior != 0 && prior != self && !view_gone(r, prior);

	if (known && known->ts.writer != self)
		busy |= !view_gone(r, known->ts.writer);
	if (!replica_linked(r) || r->failed) {
		/* Not recorded. NOT_SERVING would say that it certainly was not applied. */
		refuse(a, ev, known ? STATUS_UNKNOWN : STATUS_NOT_SERVING);
		return false;
	}
	if (busy && !mutant(30)) {
		r->counters.retries_waiting++;
		refuse(a, ev, STATUS_WAIT);
		return false;
	}
	r->counters.retries++;
	return true;
}

/* evict: this node may have known the request, and has forgotten: not to be executed (S-EVICT). */
static void evict(struct replica *r, const struct event *ev, struct session *s, struct actions *a)
{
	r->counters.evicted_requests++;
	session_forget(&r->sessions, s, ev->message->id);
	refuse(a, ev, STATUS_EVICTED);
}

static void on_update(struct replica *r, const struct event *ev, struct session *s,
		      struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct session_outcome *o;
	enum session_verdict verdict = session_check(&r->sessions, s, m->id, &o);
	bool known = verdict == SESSION_KNOWN && o->fate != OUTCOME_NONE;
	bool elsewhere = m->prior != 0 &&
			 m->prior != writer_make(r->config.node, r->config.incarnation);

	switch (verdict) {
	case SESSION_NEW:
	case SESSION_KNOWN:
		/* It was here, or may have been, before this session was made. */
		if (!known && (m->id < s->floor || (s->floor != 0 && (m->flags & WIRE_OLD)))) {
			evict(r, ev, s, a);
			return;
		}
		if ((known || elsewhere) &&
		    !may_retry(r, ev, m->prior, known ? o : NULL, a))
			return;
		/* Some update may have been it: nobody knew its origin any more. */
		if (!known && elsewhere && r->sessions.blind) {
			evict(r, ev, s, a);
			return;
		}
		session_begin(&r->sessions, s, m->id);
		submit(r, ev, session_place(&r->sessions, s, m->id), known || elsewhere, a);
		return;
	case SESSION_DONE:
		r->counters.duplicate_requests++;
		resend(r, s, o, a);
		return;
	case SESSION_RUNNING:
	case SESSION_OLD:
	case SESSION_FULL:
		r->counters.duplicate_requests++;
		return;
	}
}

void request_on(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
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
		r->counters.no_session++;
		refuse(a, ev, STATUS_NO_SESSION);
		return;
	}
	s->used_ns = r->now_ns;
	s->addr = ev->from;
	if (m->type == WIRE_GET)
		submit(r, ev, 0, false, a);
	else
		on_update(r, ev, s, a);
}
