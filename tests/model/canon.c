/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canon.c: what matters about a node, and nothing else. Left out: the clock, when timers will fire
 * (only whether they run), counters, free places, retransmission counts. Renamed: log sequences (by
 * how far they are from durable), op slots and ids (by the client that asked), view counts (this
 * view or an earlier one). Whatever else two nodes differ in makes them two.
 */
#include "tests/model/node_priv.h"

struct writer {
	uint8_t *at, *end;
};

static void put(struct writer *out, uint64_t v)
{
	uint32_t bytes = 1;

	/* Small numbers are most of it: a length byte, then as many bytes as the number has. */
	while (bytes < 8 && v >> 8 * bytes != 0)
		bytes++;
	must(out->end - out->at >= 9);
	*out->at++ = (uint8_t)bytes;
	memcpy(out->at, &v, bytes);
	out->at += bytes;
}

static void put_ts(struct writer *out, struct op_ts ts)
{
	put(out, ts.version);
	put(out, ts.writer);
}

static void put_bytes(struct writer *out, const uint8_t *data, uint32_t bytes)
{
	put(out, bytes);
	must((uint64_t)(out->end - out->at) >= bytes);
	memcpy(out->at, data, bytes);
	out->at += bytes;
}

/* put_seq: recovered, durable, or the n-th that is not. */
static void put_seq(struct writer *out, const struct replica *r, uint64_t seq)
{
	put(out, seq == 0 ? 0 : seq <= r->durable_seq ? 1 : seq - r->durable_seq + 1);
}

static uint64_t client_of(struct replica *r, const struct op *op)
{
	struct session *s = session_find(&r->sessions, op->session);

	return s ? s->client : 0;
}

uint64_t raw_op_name(struct raw *w, uint64_t id)
{
	struct replica *r = raw_replica(w);
	uint32_t index = (uint32_t)(id & 0xffff);

	if (id == 0 || index >= r->config.ops_max || r->ops[index].seq != id >> 16)
		return 0;
	return client_of(r, &r->ops[index]) - MODEL_CLIENT + 1;
}

static void put_op(struct writer *out, struct replica *r, struct op *op)
{
	put(out, client_of(r, op));
	put(out, op->request);
	put(out, op->type);
	put_ts(out, op->ts);
	put_ts(out, op->target);
	put_ts(out, op->expected);
	put(out, (uint64_t)op->result);
	put(out, op->expires_ns);
	put(out, op->link != 0);
	put(out, op->acks);
	put_ts(out, op->tried);
	put(out, op->newer | op->retry << 1 | op->armed << 2 | op->ready << 3);
	if (op_started(op) || op->type == WIRE_INCR)
		put(out, op->value_bytes); /* its value is the key's, or was never kept */
	else
		put_bytes(out, op_value(r, op), op->value_bytes);
}

static void put_entry(struct writer *out, struct raw *w)
{
	struct replica *r = raw_replica(w);
	struct entry *e = &w->entry;
	bool now = e->view == (r->view_count & ENTRY_VIEW_MASK);
	struct origin origin = { 0 };
	uint32_t index = e->wait;

	put(out, w->has_entry);
	if (!w->has_entry)
		return;
	put(out, e->state);
	put(out, e->flags);
	put_ts(out, entry_ts(e));
	put_bytes(out, entry_value(e), e->value_bytes);
	put_seq(out, r, e->persist_seq);
	put(out, e->base);
	if (e->origin != 0)
		origin = session_origin(&r->sessions, e->origin);
	put(out, origin.client);
	put(out, origin.request);
	put(out, now);
	put(out, now ? e->acks : 0);
	put(out, e->op != OP_NONE);
	if (e->op != OP_NONE)
		put_op(out, r, &r->ops[e->op]);
	while (index != OP_NONE) {
		index = r->ops[index].next;
		put(out, 1);
		put_op(out, r, &r->ops[index]);
		if (index == e->wait)
			break;
	}
	put(out, 0);
}

static bool same_held(const struct held *a, const struct held *b)
{
	return a->persist_seq == b->persist_seq && a->to == b->to && a->id == b->id &&
	       a->about == b->about && op_ts_compare(a->ts, b->ts) == 0;
}

/* put_held: in order; a promise that is there twice is kept twice, which says no more than once. */
static void put_held(struct writer *out, struct raw *w)
{
	struct replica *r = raw_replica(w);
	uint32_t mask = r->config.held_max - 1;

	for (uint64_t i = r->held_head; i != r->held_tail; i++) {
		const struct held *h = &r->held[i & mask];
		bool own = h->to == HELD_OWN;
		uint64_t first = r->held_head;

		while (!same_held(&r->held[first & mask], h))
			first++;
		if (first != i)
			continue;
		put_seq(out, r, h->persist_seq);
		put_ts(out, h->ts);
		put(out, h->to);
		put(out, own ? raw_op_name(w, h->id << 16 | h->about) : h->id);
		put(out, own || h->about == r->view_count);
		put(out, h->entry != NULL);
	}
	put(out, 0xff);
}

static void put_session(struct writer *out, struct replica *r, uint64_t client)
{
	struct session *s = session_of(&r->sessions, client);
	const struct session_outcome *o;

	put(out, s != NULL);
	if (!s)
		return;
	o = &s->window[1];
	put(out, s->id != 0);
	put(out, s->floor);
	put(out, s->running);
	put(out, o->request);
	put(out, o->key);
	put_ts(out, o->ts);
	put(out, o->fate);
	put(out, o->status);
	put(out, o->has_number | o->running << 1 | o->noted << 2 | o->lease << 3);
	if (o->has_number)
		put(out, (uint64_t)o->number);
	else if (o->lease)
		put(out, (uint64_t)o->number == r->view_count);
	else
		put_seq(out, r, (uint64_t)o->number);
}

static void put_join(struct writer *out, const struct replica *r)
{
	const struct join *j = &r->join;
	const struct lane *at = &j->lanes.list[0];

	put(out, j->active | j->done << 1 | j->sessions << 2 | j->complete << 3 | j->guard << 4);
	if (!j->active)
		return;
	put(out, j->donor);
	put(out, j->donor_incarnation);
	must(j->lanes.count <= 1);
	put(out, j->lanes.chunk);
	put(out, at->chunk);
	put(out, at->cursor);
	put(out, at->got);
	put(out, at->expected);
	put(out, at->next);
	put_seq(out, r, j->persist_seq);
}

static void put_view(struct writer *out, const struct replica *r)
{
	const struct view *v = &r->view;

	put(out, v->epoch);
	put(out, v->members);
	put(out, v->shadows);
	put(out, v->recovered);
	for (uint32_t n = 0; n < MODEL_NODES; n++) {
		put(out, v->incarnation[n]);
		put(out, v->since[n]);
		put(out, r->peers[n].incarnation);
	}
	put(out, r->write_set);
	put(out, r->member | r->failed << 1 | r->was_in << 2 | r->spent << 3);
	put(out, r->lease_ns > r->now_ns);
	put(out, r->floor);
}

static void put_disk(struct writer *out, const struct raw *w)
{
	put(out, w->records);
	for (uint32_t i = 0; i < w->records; i++) {
		const struct raw_record *d = &w->record[i];

		put(out, d->seq > w->durable);
		put(out, d->kind);
		put(out, d->flags);
		put(out, d->base);
		put_ts(out, d->ts);
		put(out, d->origin.client);
		put_bytes(out, d->value, d->value_bytes);
	}
}

uint32_t canon_write(struct raw *w, uint8_t *out)
{
	struct writer to = { .at = out, .end = out + CANON_MAX };
	struct replica *r = raw_replica(w);

	put(&to, w->node);
	put(&to, w->alive);
	put(&to, w->incarnation);
	put_disk(&to, w);
	if (!w->alive)
		return (uint32_t)(to.at - out);
	put_view(&to, r);
	put_entry(&to, w);
	put_held(&to, w);
	put_join(&to, r);
	put(&to, r->sessions.complete | r->sessions.blind << 1);
	put(&to, r->sessions.dropped);
	for (uint32_t i = 0; i < MODEL_OPS; i++)
		put_session(&to, r, MODEL_CLIENT + i);
	put(&to, r->ops_open);
	put(&to, (uint64_t)(r->ready_tail - r->ready_head));
	return (uint32_t)(to.at - out);
}
