/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: every update anybody ever held or sent, what is known about it, and whether it is
 * committed. Checked when something enters it, in the moment it becomes visible.
 */
#include "replication/crc.h"
#include "tests/sim/sim.h"

#define UPDATE_SLOTS 65536u
#define ORIGIN_SLOTS 32768u
#define UPDATE_FLAGS (ENTRY_RMW | ENTRY_TOMBSTONE)

/* The committed update of one client request. */
struct done {
	struct origin origin; /* client 0: free */
	struct op_ts ts;
	uint32_t key;
};

struct sim_ledger {
	uint32_t updates, origins;
	struct sim_update update[UPDATE_SLOTS];
	struct done done[ORIGIN_SLOTS];
};

uint64_t sim_ledger_bytes(void)
{
	return sizeof(struct sim_ledger);
}

void sim_ledger_reset(struct sim_ledger *l)
{
	memset(l, 0, sizeof(*l));
}

static struct sim_ledger *ledger_of(struct sim *s)
{
	return sim_watch_ledger(s->watch);
}

/* All updates of a key with one version begin at the same place. */
static uint64_t place_of(uint32_t key, uint64_t version)
{
	return rng_mix(version * 0x9e3779b97f4a7c15ull ^ (uint64_t)key << 48);
}

/* find: the update, or the free place for it. */
static struct sim_update *find(struct sim_ledger *l, uint32_t key, struct op_ts ts)
{
	for (uint64_t at = place_of(key, ts.version);; at++) {
		struct sim_update *u = &l->update[at % UPDATE_SLOTS];

		if (u->ts.version == 0)
			return u;
		if (u->key == key && u->ts.version == ts.version && u->ts.writer == ts.writer)
			return u;
	}
}

static struct sim_update *add(struct sim_ledger *l, struct sim_update *place, uint32_t key,
			      struct op_ts ts)
{
	*place = (struct sim_update){ .ts = ts, .key = (uint8_t)key };
	must(++l->updates < UPDATE_SLOTS / 8 * 7);
	return place;
}

/* ---- S-ONCE ---------------------------------------------------------------------------------- */

/* settle_origin: S-ONCE: a client's request takes effect at most once, whoever executes it. */
static void settle_origin(struct sim *s, const struct sim_update *u)
{
	struct sim_ledger *l = ledger_of(s);
	uint64_t at = rng_mix(u->origin.client + u->origin.request * 0x9e3779b97f4a7c15ull);
	struct done *d;

	if (u->origin.client == 0)
		return;
	for (;; at++) {
		d = &l->done[at % ORIGIN_SLOTS];
		if (d->origin.client == 0) {
			*d = (struct done){ u->origin, u->ts, u->key };
			must(++l->origins < ORIGIN_SLOTS / 8 * 7);
			return;
		}
		if (d->origin.client == u->origin.client && d->origin.request == u->origin.request)
			break;
	}
	if (d->key != u->key || op_ts_compare(d->ts, u->ts) != 0)
		sim_violation(s, "S-ONCE: request %llu of one client took effect on key %u at "
				 "%llu.%u.%u and on key %u at %llu.%u.%u",
			      (unsigned long long)d->origin.request, d->key,
			      (unsigned long long)d->ts.version, writer_node(d->ts.writer),
			      writer_incarnation(d->ts.writer), u->key,
			      (unsigned long long)u->ts.version, writer_node(u->ts.writer),
			      writer_incarnation(u->ts.writer));
}

/* ---- H-RMW-EXCL ------------------------------------------------------------------------------ */

static struct op_ts base_of(const struct sim_update *u)
{
	return u->flags & ENTRY_RMW && u->base != 0 ?
		       (struct op_ts){ u->ts.version - 1, u->base } :
		       (struct op_ts){ 0, 0 };
}

/*
 * excludes: H-RMW-EXCL: `rmw` was computed from the update right before it, so no other committed
 * one lies between: no second RMW of the same version number, no write that lost the tie to it,
 * none that beat its base.
 */
static bool excludes(const struct sim_update *rmw, const struct sim_update *other)
{
	struct op_ts base = base_of(rmw);

	if (!(rmw->flags & ENTRY_RMW) || rmw == other)
		return false;
	if (other->ts.version == rmw->ts.version)
		return (other->flags & ENTRY_RMW) || op_ts_compare(other->ts, rmw->ts) < 0;
	return base.version != 0 && other->ts.version == base.version &&
	       op_ts_compare(other->ts, base) > 0;
}

static void check_pair(struct sim *s, const struct sim_update *a, const struct sim_update *b)
{
	if (!excludes(a, b) && !excludes(b, a))
		return;
	sim_violation(s, "H-RMW-EXCL: key %u: %llu.%u.%u and %llu.%u.%u are both committed, one "
			 "of them an RMW that skipped the other", a->key,
		      (unsigned long long)a->ts.version, writer_node(a->ts.writer),
		      writer_incarnation(a->ts.writer), (unsigned long long)b->ts.version,
		      writer_node(b->ts.writer), writer_incarnation(b->ts.writer));
}

static void check_neighbours(struct sim *s, const struct sim_update *u)
{
	struct sim_ledger *l = ledger_of(s);
	uint64_t low = u->ts.version > 1 ? u->ts.version - 1 : 1;

	for (uint64_t version = low; version <= u->ts.version + 1; version++) {
		for (uint64_t at = place_of(u->key, version);; at++) {
			const struct sim_update *other = &l->update[at % UPDATE_SLOTS];

			if (other->ts.version == 0)
				break;
			if (other->key == u->key && other->ts.version == version &&
			    other->committed)
				check_pair(s, u, other);
		}
	}
}

bool sim_ledger_seen(struct sim *s, uint32_t key, struct op_ts ts)
{
	return find(ledger_of(s), key, ts)->seen;
}

bool sim_ledger_forgotten(const struct sim *s, uint32_t key, struct op_ts ts, uint64_t floor)
{
	return floor >= ts.version && op_ts_compare(s->key[key].deleted, ts) >= 0;
}

bool sim_ledger_committed(struct sim *s, uint32_t key, struct op_ts ts)
{
	const struct sim_update *u = find(ledger_of(s), key, ts);

	return u->ts.version != 0 && u->committed;
}

void sim_ledger_commit(struct sim *s, uint32_t key, struct op_ts ts)
{
	struct sim_update *u = find(ledger_of(s), key, ts);

	if (u->ts.version == 0)
		u = add(ledger_of(s), u, key, ts);
	if (u->committed)
		return;
	u->committed = true;
	if (op_ts_compare(ts, s->key[key].committed) > 0)
		s->key[key].committed = ts;
	if (u->seen)
		check_neighbours(s, u);
	settle_origin(s, u);
}

/* ---- seeing updates -------------------------------------------------------------------------- */

/* check_new: who made this ts? Only its writer can be the first to have it. */
static void check_new(struct sim *s, uint8_t node, const struct sim_update *u)
{
	if (writer_node(u->ts.writer) != node && !sim_is_raft(s))
		sim_violation(s, "H-UNIQUE-TS: node %u has key %u at %llu.%u.%u, which its writer "
				 "never sent", node, u->key, (unsigned long long)u->ts.version,
			      writer_node(u->ts.writer), writer_incarnation(u->ts.writer));
	if (sim_watch_evicted(s, node, u->key, &u->origin))
		sim_violation(s, "S-EVICT: node %u answered EVICTED to request %llu, and executes "
				 "it now", node, (unsigned long long)u->origin.request);
}

static bool differs(const struct sim_update *was, const struct sim_update *u)
{
	if (was->hash != u->hash || was->flags != u->flags)
		return true;
	if (was->base != 0 && u->base != 0 && was->base != u->base)
		return true;
	return was->origin.client != 0 && u->origin.client != 0 &&
	       (was->origin.client != u->origin.client ||
		was->origin.request != u->origin.request);
}

static void learn(struct sim *s, struct sim_update *was, const struct sim_update *u)
{
	if (was->base == 0)
		was->base = u->base;
	if (was->origin.client == 0 && u->origin.client != 0) {
		was->origin = u->origin;
		if (was->committed)
			settle_origin(s, was);
	}
}

struct sim_update *sim_ledger_see(struct sim *s, uint8_t node, const struct sim_update *u)
{
	struct sim_ledger *l = ledger_of(s);
	struct sim_update *was = find(l, u->key, u->ts);

	if (was->ts.version == 0) {
		add(l, was, u->key, u->ts);
		check_new(s, node, u);
	}
	if (!was->seen) {
		bool committed = was->committed;
		struct op_ts *deleted = &s->key[u->key].deleted;

		if ((u->flags & ENTRY_TOMBSTONE) && op_ts_compare(u->ts, *deleted) > 0)
			*deleted = u->ts;

		*was = *u;
		was->seen = true;
		was->committed = false;
		if (committed)
			sim_ledger_commit(s, u->key, u->ts);
		return was;
	}
	/* One ts, one update, ever, anywhere; a replay carries what it was (CC-21). */
	if (differs(was, u))
		sim_violation(s, "%s: key %u at %llu.%u.%u is another update at node %u",
			      was->hash != u->hash ? "H-UNIQUE-TS" : "H-REPLAY-SAME", u->key,
			      (unsigned long long)u->ts.version, writer_node(u->ts.writer),
			      writer_incarnation(u->ts.writer), node);
	learn(s, was, u);
	return was;
}

struct sim_update *sim_ledger_see_entry(struct sim *s, uint8_t node, uint32_t key,
					const struct entry *e)
{
	struct sim_update u = {
		.ts = entry_ts(e),
		.hash = (uint64_t)crc32c(entry_value(e), e->value_bytes) << 32 | e->value_bytes,
		.base = e->base,
		.key = (uint8_t)key,
		.flags = e->flags & UPDATE_FLAGS,
	};

	return sim_ledger_see(s, node, &u);
}
