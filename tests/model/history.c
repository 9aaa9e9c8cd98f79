/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.c: what clients can see, and whether it can be. Timestamps order the updates; that order
 * must be one in which every answer makes sense, and must agree with the order of events in time:
 *
 *   H-UNIQUE-TS  one timestamp, one update
 *   H-READ       what a node serves is an update that was made, none older than any client could
 *                know of (H-AGREE: two nodes that serve differ; H-MONO: time runs backwards)
 *   H-COMMIT     an update answered OK is newer than all that was known when it was asked for
 *   H-RMW-EXCL   between a read-modify-write and what it was made from there is no other update
 *   S-ONCE       of one request at most one update takes effect; of one refused, none
 *
 * An update is committed here once a client was told of it or a node would show it to a reader.
 */
#include "tests/model/model.h"

/* below: a is older than b. Writer 0: an absent key, newer than all up to that version. */
static bool below(struct op_ts a, struct op_ts b)
{
	if (a.writer == 0)
		return a.version < b.version;
	if (b.writer == 0)
		return a.version <= b.version;
	return op_ts_compare(a, b) < 0;
}

static struct history_update *find(struct history *h, struct op_ts ts)
{
	for (uint32_t i = 0; i < h->update_count; i++)
		if (op_ts_compare(h->update[i].ts, ts) == 0)
			return &h->update[i];
	return NULL;
}

static bool is_rmw(const struct history_update *u)
{
	return (u->flags & ENTRY_RMW) != 0;
}

static bool said_no(const struct history_request *q)
{
	return q->state == REQUEST_DONE && q->status != STATUS_OK && q->status != STATUS_UNKNOWN &&
	       q->status != STATUS_EVICTED;
}

static const char *check_exclusive(const struct history *h, const struct history_update *new)
{
	for (uint32_t i = 0; i < h->update_count; i++) {
		const struct history_update *u = &h->update[i];

		if (!u->committed || u == new)
			continue;
		if (u->op == new->op)
			return "S-ONCE: one request took effect twice";
		if (is_rmw(new) && below(new->base, u->ts) && below(u->ts, new->ts))
			return "H-RMW-EXCL: a read-modify-write skipped an update";
		if (is_rmw(u) && below(u->base, new->ts) && below(new->ts, u->ts))
			return "H-RMW-EXCL: an update between a read-modify-write and its base";
	}
	return NULL;
}

static const char *commit(struct history *h, struct history_update *u)
{
	const char *wrong;

	if (u->committed)
		return NULL;
	u->committed = true;
	if (below(h->known, u->ts))
		h->known = u->ts;
	if (said_no(&h->request[u->op]))
		return "H-ABORT: a request that was refused took effect";
	wrong = check_exclusive(h, u);
	if (!wrong && is_rmw(u) && u->base.writer != 0) {
		struct history_update *base = find(h, u->base);

		wrong = base ? commit(h, base) : "an update was made from one that never was";
	}
	return wrong;
}

const char *history_issue(struct history *h, uint8_t op, uint8_t incarnation)
{
	struct history_request *q = &h->request[op];

	if (q->state != REQUEST_NOT_YET)
		return NULL;
	*q = (struct history_request){ .known = h->known, .state = REQUEST_OPEN,
				       .incarnation = incarnation };
	return NULL;
}

/* follows: the value is what its op makes of the value it was made from. */
static bool follows(struct history *h, const struct model_config *c,
		    const struct model_made *made)
{
	const struct history_update *base = made->base.writer ? find(h, made->base) : NULL;
	const struct model_op *op = &c->op[made->op];
	int64_t before = base ? base->value : 0;

	if (made->base.writer != 0 && !base)
		return false;
	switch (op->type) {
	case WIRE_INCR:
		return made->value == before + model_delta(made->op);
	case WIRE_CAS:
		return made->value == model_put_value(made->op) &&
		       (op->expect == 0 ? !base || base->flags & ENTRY_TOMBSTONE :
					  made->base.version == op->expect &&
						  made->base.writer ==
							  writer_make(op->expect_node, 1));
	case WIRE_CASV:
		return made->value == model_put_value(made->op) && before == op->expect;
	case WIRE_DEL:
		return made->flags & ENTRY_TOMBSTONE;
	default:
		return made->value == model_put_value(made->op);
	}
}

const char *history_made(struct history *h, const struct model_config *c,
			 const struct model_made *made)
{
	struct history_update *u = find(h, made->ts);

	/* Whose it was may be forgotten; who pretends to know must be right. */
	if (u)
		return (u->op == made->op || made->op == NOBODY) && u->value == made->value &&
				       u->flags == made->flags ?
			       NULL : "H-UNIQUE-TS: one timestamp, two updates";
	if (!made->own)
		return "H-UNIQUE-TS: an update nobody made";
	if (made->op >= c->op_count || h->request[made->op].state == REQUEST_NOT_YET)
		return "an update nobody asked for";
	if (!follows(h, c, made))
		return "H-RMW: the new value does not follow from the old one";
	must(h->update_count < MODEL_UPDATES);
	u = &h->update[h->update_count];
	/* Kept in the order of timestamps, so that equal histories are equal. */
	while (u > h->update && op_ts_compare(made->ts, u[-1].ts) < 0) {
		*u = u[-1];
		u--;
	}
	h->update_count++;
	*u = (struct history_update){ .ts = made->ts, .base = made->base, .value = made->value,
				      .op = made->op, .flags = made->flags };
	return NULL;
}

/* saw: somebody was, or would be, shown that the key is at ts. */
static const char *saw(struct history *h, struct op_ts ts, const bool *exists,
		       const int64_t *value)
{
	const struct history_update *known = h->known.writer ? find(h, h->known) : NULL;
	struct history_update *u;

	if (ts.writer == 0) {
		if (known && !(known->flags & ENTRY_TOMBSTONE))
			return "H-READ: the key is absent at a node that serves it";
		return exists && *exists ? "H-READ: a value without an update" : NULL;
	}
	u = find(h, ts);
	if (!u)
		return "H-READ: a read of an update nobody made";
	if (below(ts, h->known))
		return "H-READ: a read older than what clients may know of";
	if (exists && *exists != !(u->flags & ENTRY_TOMBSTONE))
		return "H-READ: a delete read as a value, or the other way round";
	if (exists && *exists && *value != u->value)
		return "H-READ: another value than the update's";
	return commit(h, u);
}

const char *history_readable(struct history *h, const struct local_facts *f)
{
	return saw(h, f->read, &f->read_exists, &f->read_value);
}

static const char *took_effect(struct history *h, const struct model_op *op,
			       const struct model_reply *reply)
{
	struct history_request *q = &h->request[reply->op];
	struct history_update *u = find(h, reply->ts);

	if (!u || u->op != reply->op)
		return "H-COMMIT: OK at a timestamp that is not the request's";
	if (op->type == WIRE_INCR && (!reply->has_value || reply->value != u->value))
		return "H-COMMIT: OK with another number than the update's";
	if (q->state == REQUEST_DONE && q->status == STATUS_OK && u->committed)
		return NULL;
	if (q->state == REQUEST_DONE && q->status != STATUS_UNKNOWN)
		return "S-CACHE: another answer than before";
	if (!below(q->known, reply->ts))
		return "H-COMMIT: an update older than what was known when it was asked for";
	return commit(h, u);
}

/* conflicts: the version the reply names is none the CAS would have taken. */
static const char *conflicts(struct history *h, const struct model_op *op,
			     const struct model_reply *reply)
{
	const struct history_update *u = reply->ts.writer ? find(h, reply->ts) : NULL;
	bool exists = u && !(u->flags & ENTRY_TOMBSTONE);
	const char *wrong = saw(h, reply->ts, NULL, NULL);
	bool match;

	if (op->type == WIRE_CASV)
		match = exists && u->value == op->expect;
	else if (op->expect == 0)
		match = !exists;
	else
		match = u && u->ts.version == op->expect &&
			u->ts.writer == writer_make(op->expect_node, 1);
	return wrong || !match ? wrong : "H-RMW: refused what it should have taken";
}

static bool is_final(const struct model_config *c, const struct history_request *q,
		     const struct model_reply *reply, bool first)
{
	if (reply->status == STATUS_OK || reply->status == STATUS_NOT_FOUND ||
	    reply->status == STATUS_CONFLICT || reply->status == STATUS_EVICTED)
		return true;
	if (reply->status == STATUS_UNKNOWN) /* somebody else may know better */
		return !first || c->op[reply->op].retry == NOBODY;
	/* At the second node it says nothing about what the first did. */
	return first && !q->moved;
}

static const char *refused(struct history *h, const struct model_reply *reply)
{
	if (reply->status == STATUS_UNKNOWN || reply->status == STATUS_EVICTED)
		return NULL;
	for (uint32_t i = 0; i < h->update_count; i++)
		if (h->update[i].committed && h->update[i].op == reply->op)
			return "H-ABORT: refused, but it took effect";
	return NULL;
}

const char *history_reply(struct history *h, const struct model_config *c,
			  const struct model_reply *reply, uint8_t node)
{
	struct history_request *q = &h->request[reply->op];
	const struct model_op *op = &c->op[reply->op];
	bool exists = reply->status == STATUS_OK;
	const char *wrong;

	must(reply->op < c->op_count);
	if (q->state == REQUEST_NOT_YET)
		return "an answer to what nobody asked";
	if (!is_final(c, q, reply, node == op->node))
		return NULL;
	if (op->type == WIRE_GET && (exists || reply->status == STATUS_NOT_FOUND))
		wrong = saw(h, reply->ts, &exists, &reply->value);
	else if (exists)
		wrong = took_effect(h, op, reply);
	else if (reply->status == STATUS_CONFLICT)
		wrong = conflicts(h, op, reply);
	else if (reply->status == STATUS_NOT_FOUND)
		wrong = saw(h, reply->ts, &exists, &reply->value);
	else
		wrong = NULL;
	if (!wrong && !exists && op->type != WIRE_GET)
		wrong = refused(h, reply);
	if (q->state == REQUEST_DONE && q->status == STATUS_OK) {
		/* Somebody who cannot tell contradicts nobody; everybody else does. */
		bool vague = reply->status == STATUS_UNKNOWN || reply->status == STATUS_EVICTED;

		return wrong || exists || vague ? wrong : "S-CACHE: another answer than before";
	}
	q->state = REQUEST_DONE;
	q->status = op->type == WIRE_GET ? STATUS_UNKNOWN : reply->status;
	q->known = (struct op_ts){ 0, 0 };
	return wrong;
}

bool history_answered(const struct history *h, const struct model_config *c)
{
	for (uint32_t i = 0; i < c->op_count; i++)
		if (h->request[i].state != REQUEST_DONE)
			return false;
	return true;
}
