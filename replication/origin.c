/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of clients' updates, as far as this node can tell (S-ONCE, H22): written down when an
 * update becomes a key's newest, settled when it is overtaken, asked when a client comes again.
 */
#include "replication/group.h"
#include "replication/number.h"
#include "replication/replica_priv.h"

/* outcome_of: that of the key's newest update; NULL when it was forgotten. */
static struct session_outcome *outcome_of(const struct replica *r, const struct entry *e)
{
	struct session_outcome *o = session_at(&r->sessions, e->origin);

	/* The place may be another request's by now, of another key with this very timestamp. */
	if (!o || o->key != e->hash || op_ts_compare(o->ts, entry_ts(e)) != 0)
		return NULL;
	return o;
}

/*
 * origin_settle: the key's update is overtaken by one made from version `base`; {0,0} with known
 * false: nobody knows. If it was made from this very update, then everybody has that, and it took
 * effect. If not, they are rivals: nobody ever validated an RMW that has a rival, and never will;
 * while a blind write may have happened just before, or be known to nobody else
 * (docs/protocol.md, Retries).
 */
void origin_settle(struct replica *r, const struct entry *e, bool known, struct op_ts base)
{
	struct session_outcome *o = outcome_of(r, e);

	if (!o || o->fate != OUTCOME_SEEN)
		return;
	if (known && op_ts_compare(base, entry_ts(e)) == 0)
		o->fate = mutant(34) ? OUTCOME_DEAD : OUTCOME_TOOK;
	else if (known && (e->flags & ENTRY_RMW))
		o->fate = mutant(33) ? OUTCOME_TOOK : OUTCOME_DEAD;
	else
		o->fate = mutant(102) ? OUTCOME_TOOK : OUTCOME_UNSURE;
}

/* origin_settle_by: overtaken by the update of this INV, COPY or recovered record. */
void origin_settle_by(struct replica *r, const struct entry *e, const struct wire_message *m)
{
	uint64_t step = m->flags & WIRE_RMW ? 1 : 2;

	if (e->origin == 0)
		return;
	if (m->prior != 0)
		origin_settle(r, e, true, (struct op_ts){ m->ts.version - step, m->prior });
	else /* made from nothing, or by somebody who no longer knew */
		origin_settle(r, e, m->ts.version <= step, (struct op_ts){ 0, 0 });
}

/* origin_note: remembers whose update this is. Returns the link for entry->origin. */
uint32_t origin_note(struct replica *r, const struct wire_message *m, uint64_t key,
		     enum outcome_fate fate)
{
	struct session_outcome *o;
	uint32_t link;

	if (m->origin.client == 0)
		return 0;
	link = session_seen(&r->sessions, &m->origin, key, m->ts, fate, r->now_ns, &o);
	if (o)
		o->noted = true;
	/* Should it have been an INCR, then this is what its client is to be told. */
	if (o && (m->flags & WIRE_RMW) && m->value_bytes <= INCR_BYTES_MAX)
		o->has_number = number_parse(m->value, m->value_bytes, &o->number);
	return link;
}

uint32_t replica_recover(struct replica *r, const struct entry *e, const struct wire_message *m,
			 uint64_t hash)
{
	if (e && op_ts_compare(m->ts, entry_ts(e)) > 0)
		origin_settle_by(r, e, m);
	/* Whose it is was not known then, and is not now: it may be anybody's. */
	r->sessions.blind |= m->origin.client == 0;
	return origin_note(r, m, hash, OUTCOME_SEEN);
}

void replica_recover_note(struct replica *r, const struct origin *origin, struct op_ts ts)
{
	struct wire_message m = { .type = WIRE_INV, .ts = ts, .origin = *origin };

	if (origin->client == 0)
		r->floor = max_u64(r->floor, ts.version);
	else
		origin_note(r, &m, 0, OUTCOME_UNSURE);
}

/*
 * origin_note_stale: a blind write happens without ever being the key's newest here. Its client
 * may ask again one day, even after a restart, and then this node must not do it anew: remember it,
 * in the log, too. Returns the sequence of that record, or 0.
 */
uint64_t origin_note_stale(struct replica *r, const struct wire_message *m, uint64_t key,
			   struct actions *a)
{
	struct session_outcome *o = NULL;
	struct action *action;

	if (m->origin.client == 0 || mutant(35))
		return 0;
	session_seen(&r->sessions, &m->origin, key, m->ts, OUTCOME_UNSURE, r->now_ns, &o);
	if (!o || o->fate != OUTCOME_UNSURE || o->has_number)
		return 0;
	if (o->noted)
		return (uint64_t)o->number;
	action = replica_action(a, ACTION_NOTE);
	action->origin = m->origin;
	action->message = *m;
	action->persist_seq = r->persist_next++;
	o->noted = true;
	o->number = (int64_t)action->persist_seq;
	return action->persist_seq;
}

struct origin origin_of(const struct replica *r, const struct entry *e)
{
	if (!outcome_of(r, e))
		return (struct origin){ 0, 0 };
	return session_origin(&r->sessions, e->origin);
}

void replica_recover_reset(struct replica *r)
{
	if (r->group) {
		group_recover_reset(r);
		return;
	}
	r->floor = 0;
	session_table_clear(&r->sessions, false);
}

void replica_recover_rejoin(struct replica *r)
{
	session_table_clear(&r->sessions, false);
	/* Of keys that were confirmed later nothing was logged: whose they are is not known. */
	r->sessions.blind = true;
}
