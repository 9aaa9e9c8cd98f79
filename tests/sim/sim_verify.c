/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold in the nodes' stores: every few events, after a restart, when a view is installed,
 * when all is quiet; and in the history. What they say to each other is judged in sim_watch.c.
 */
#include <stdlib.h>

#include "replication/crc.h"
#include "replication/group.h"
#include "replication/hermes.h"
#include "tests/sim/sim.h"

void sim_verify_start(struct sim *s)
{
	s->verify_turn = s->verify_at = 0;
	sim_watch_reset(s->watch);
}

static const char *ts_text(char out[48], struct op_ts ts)
{
	snprintf(out, 48, "%llu.%u.%u", (unsigned long long)ts.version, writer_node(ts.writer),
		 writer_incarnation(ts.writer));
	return out;
}

static struct op_ts ts_of(const struct entry *e)
{
	return e ? entry_ts(e) : (struct op_ts){ 0, 0 };
}

/* absent: no entry, or a tombstone; forgetting one is up to each node. */
static bool absent(const struct entry *e)
{
	return !e || (e->flags & ENTRY_TOMBSTONE) || e->version == 0;
}

static uint64_t floor_of(struct sim *s, uint8_t node, uint32_t key)
{
	return replica_floor(sim_node_replica(s, node, s->key[key].shard));
}

/* ---- who must hold, who may serve ------------------------------------------------------------ */

/*
 * must_hold: everything committed is at this node: it is a member of the newest view, in this very
 * life. Others may lack something: shadows until they have joined, and who was left out.
 */
static bool must_hold(const struct sim *s, uint8_t node)
{
	const struct view *v = sim_view_latest(s);

	if (!s->plan.worker.views)
		return true;
	if (s->plan.service.on)
		return sim_service_member(s, node);
	return v && (v->members >> node & 1) && v->incarnation[node] == s->node[node].incarnation;
}

/* serves: it believes so itself: a member of its view, with a lease, by its own clock. */
static bool serves(struct sim *s, uint8_t node, uint16_t shard)
{
	const struct replica *r = sim_node_replica(s, node, shard);

	return sim_node_holds(s, node) && (replica_view(r)->members >> node & 1) &&
	       sim_node_clock(s, node) < replica_lease_ns(r);
}

/*
 * verify_lease: M-LEASE-GAP: in true time, whoever believes in a lease for a view is still a
 * member, in this life, of every later view that anybody has installed.
 */
static void verify_lease(struct sim *s, uint16_t shard)
{
	for (uint8_t a = 0; a < s->plan.nodes; a++) {
		const struct view *mine;

		if (!serves(s, a, shard))
			continue;
		mine = replica_view(sim_node_replica(s, a, shard));
		for (uint8_t b = 0; b < s->plan.nodes; b++) {
			const struct view *v;

			if (!sim_node_holds(s, b))
				continue;
			v = replica_view(sim_node_replica(s, b, shard));
			if (v->epoch <= mine->epoch ||
			    ((v->members >> a & 1) && v->incarnation[a] == mine->incarnation[a]))
				continue;
			sim_violation(s, "M-LEASE-GAP: node %u serves in view %u while node %u "
					 "has installed view %u without it", a, mine->epoch, b,
				      v->epoch);
		}
	}
}

/* ---- any moment ------------------------------------------------------------------------------ */

/* see_resets: a shard that began anew has lost what it held and is free of what it promised. */
static void see_resets(struct sim *s, uint8_t node, uint16_t shard)
{
	struct sim_node *n = &s->node[node];
	uint64_t resets = replica_counters(sim_node_replica(s, node, shard))->resets;

	if (resets == n->resets[shard])
		return;
	n->resets[shard] = resets;
	sim_watch_void(s, node, shard);
	n->due_index[shard] = 0;
	for (uint32_t key = 0; key < s->plan.keys; key++) {
		if (s->key[key].shard == shard) {
			n->seen[key] = (struct op_ts){ 0, 0 };
			n->due[key] = 0;
		}
	}
}

/* verify_proven: H-LAG-JOIN: who has joined in this life has nothing left from before (CC-24). */
static void verify_proven(struct sim *s, uint8_t node, uint32_t key, const struct entry *e)
{
	const struct replica_counters *c =
		replica_counters(sim_node_replica(s, node, s->key[key].shard));

	if (c->joins != 0 && e && e->version != 0 && e->persist_seq == 0)
		sim_violation(s, "H-LAG-JOIN: node %u has joined, and key %u was never proven",
			      node, key);
}

/*
 * verify_held: H-COMMIT-ALL: what is committed is there, whoever knows that it is. H-NO-RESURRECT:
 * after a delete, too. H-LAG-JOIN: also at a node that has just become a member.
 */
static void verify_held(struct sim *s, uint8_t node, uint32_t key, const struct entry *e)
{
	const struct sim_key *k = &s->key[key];
	const struct view *v = sim_view_latest(s);
	bool joins = s->plan.worker.views && v && s->node[node].member_epoch < v->epoch;
	bool deleted = op_ts_compare(k->deleted, k->committed) == 0;
	char held[48], committed[48];

	if (op_ts_compare(ts_of(e), k->committed) >= 0)
		return;
	if (ts_of(e).version == 0 &&
	    sim_ledger_forgotten(s, key, k->committed, floor_of(s, node, key)))
		return;
	sim_violation(s, "%s: node %u holds key %u at %s, but %s is committed",
		      joins   ? "H-LAG-JOIN" :
		      deleted ? "H-NO-RESURRECT" :
				"H-COMMIT-ALL",
		      node, key, ts_text(held, ts_of(e)), ts_text(committed, k->committed));
}

/*
 * show: engine raft: a store holds what is committed, so whoever asks from now on sees this version
 * or a newer one: the history has it as a read that ended now. It also tells the checker what
 * updates of unknown outcome did.
 */
static void show(struct sim *s, uint32_t key, const struct entry *e)
{
	struct check_op *o = &s->shown[s->shown_count++];

	sim_raft_shown(s->rafts, s->key[key].shard + 1u, e->version, key, absent(e));
	must(s->shown_count < SIM_SHOWN_MAX);
	*o = (struct check_op){ .key = key,
				.version = e->version,
				.writer = e->writer,
				.end_ns = s->now_ns,
				.client = SIM_CLIENTS_MAX,
				.kind = CHECK_GET,
				.outcome = STATUS_NOT_FOUND };
	if (absent(e))
		return;
	o->outcome = STATUS_OK;
	check_value(o, entry_value(e), e->value_bytes);
}

/* see_entry: the node's store holds this. */
static void see_entry(struct sim *s, uint8_t node, uint32_t key, const struct entry *e)
{
	if (sim_is_raft(s) && !sim_ledger_seen(s, key, entry_ts(e)))
		show(s, key, e);
	sim_ledger_see_entry(s, node, key, e);
}

/* verify_mono: H-MONO: within one life a key never goes back; forgetting a tombstone is no step. */
static void verify_mono(struct sim *s, uint8_t node, uint32_t key, const struct entry *e)
{
	struct op_ts ts = ts_of(e), *seen = &s->node[node].seen[key];
	char now[48], before[48];
	int order = op_ts_compare(ts, *seen);

	if (order > 0)
		see_entry(s, node, key, e);
	if (order < 0 && (ts.version != 0 || floor_of(s, node, key) < seen->version))
		sim_violation(s, "H-MONO: key %u at node %u went back to %s from %s, floor %llu",
			      key, node, ts_text(now, ts), ts_text(before, *seen),
			      (unsigned long long)floor_of(s, node, key));
	*seen = ts;
}

static void verify_agree(struct sim *s, uint32_t key, const struct entry *a,
			 const struct entry *b)
{
	char first[48], second[48];

	if (op_ts_compare(entry_ts(a), entry_ts(b)) != 0)
		sim_violation(s, "H-AGREE: key %u is valid at %s and at %s", key,
			      ts_text(first, entry_ts(a)), ts_text(second, entry_ts(b)));
}

/* look_entry: what the node holds and may trust, NULL: nothing. */
static const struct entry *look_entry(struct sim *s, uint8_t node, uint32_t key)
{
	const struct entry *e = sim_node_entry(s, node, key);

	if (e && !replica_proven(sim_node_replica(s, node, s->key[key].shard), e))
		e = NULL; /* as good as dropped */
	verify_mono(s, node, key, e);
	return e;
}

static void verify_key(struct sim *s, uint32_t key)
{
	uint16_t shard = s->key[key].shard;
	const struct entry *valid = NULL;

	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		const struct entry *e;

		if (!sim_node_holds(s, n))
			continue;
		see_resets(s, n, shard);
		e = look_entry(s, n, key);
		if (sim_is_raft(s))
			continue;
		if (must_hold(s, n))
			verify_held(s, n, key, e);
		verify_proven(s, n, key, e);
		if (!e || e->state != HERMES_VALID || e->version == 0 || !serves(s, n, shard))
			continue;
		if (valid)
			verify_agree(s, key, valid, e);
		else
			sim_ledger_commit(s, key, entry_ts(e));
		valid = e;
	}
}

/* verify_replica: one replica in turn looks itself over, which costs more than all the rest. */
static void verify_replica(struct sim *s)
{
	uint64_t turn = s->verify_turn++;
	uint8_t n = (uint8_t)(turn % s->plan.nodes);
	uint16_t shard = (uint16_t)(turn / s->plan.nodes % s->plan.shards);

	if (sim_node_holds(s, n))
		replica_check(sim_node_replica(s, n, shard));
	if (s->plan.worker.views && !sim_is_raft(s))
		verify_lease(s, shard);
}

static void see_members(struct sim *s)
{
	const struct view *v = sim_view_latest(s);

	for (uint8_t n = 0; v && n < s->plan.nodes; n++)
		if (must_hold(s, n))
			s->node[n].member_epoch = v->epoch;
}

void sim_verify_step(struct sim *s)
{
	for (uint32_t key = 0; key < s->plan.keys; key++)
		verify_key(s, key);
	verify_replica(s);
	if (s->plan.worker.views)
		see_members(s);
}

void sim_verify_resets(struct sim *s, uint8_t node)
{
	for (uint16_t shard = 0; sim_node_holds(s, node) && shard < s->plan.shards; shard++)
		see_resets(s, node, shard);
}

void sim_verify_view(struct sim *s, uint8_t node)
{
	if (!sim_node_holds(s, node))
		return;
	for (uint16_t shard = 0; shard < s->plan.shards; shard++) {
		see_resets(s, node, shard);
		if (!sim_is_raft(s))
			verify_lease(s, shard);
	}
	for (uint32_t key = 0; key < s->plan.keys && !sim_is_raft(s); key++)
		if (must_hold(s, node))
			verify_held(s, node, key, sim_node_entry(s, node, key));
}

/* ---- engine raft ----------------------------------------------------------------------------- */

/* digest: of what the shard holds; a tombstone is forgotten when each node likes. */
static uint32_t digest(struct sim *s, uint8_t node, uint16_t shard)
{
	uint64_t sum = 1;

	for (uint32_t key = 0; key < s->plan.keys; key++) {
		const struct entry *e;

		if (s->key[key].shard != shard)
			continue;
		e = sim_node_entry(s, node, key);
		if (absent(e))
			continue;
		sum = rng_mix(sum + key) ^ e->version;
		sum = rng_mix(sum) ^ crc32c(entry_value(e), e->value_bytes) ^ e->flags;
	}
	return (uint32_t)(rng_mix(sum) | 1);
}

/*
 * copied_ahead: what came by copy may be newer than what was applied, and lacks what was deleted
 * since: until the log has caught up with the donor's, this is nobody else's state.
 */
static bool copied_ahead(struct sim *s, uint8_t node, uint16_t shard, const struct replica *r)
{
	struct sim_node *n = &s->node[node];
	uint64_t copied = replica_counters(r)->copies_merged + replica_counters(r)->resets;

	if (copied != n->copied[shard])
		n->copied_index[shard] = sim_raft_committed(s->rafts, shard + 1u);
	n->copied[shard] = copied;
	return group_applied(r) < n->copied_index[shard];
}

/*
 * verify_applied: H-LAG-JOIN, at whoever has joined and ever after: it holds what the entries it
 * has applied have left behind, as other stores showed it, or something newer.
 */
static void verify_applied(struct sim *s, uint8_t node, uint16_t shard, uint64_t applied,
			   bool ahead)
{
	struct sim_node *n = &s->node[node];
	bool deleted = false;

	for (uint64_t i = n->due_index[shard] + 1; i <= applied; i++) {
		uint32_t key = sim_raft_key(s->rafts, shard + 1u, i, &deleted);

		if (key != SIM_NONE)
			n->due[key] = i;
	}
	n->due_index[shard] = max_u64(n->due_index[shard], applied);
	for (uint32_t key = 0; key < s->plan.keys; key++) {
		const struct entry *e;

		if (s->key[key].shard != shard || n->due[key] == 0)
			continue;
		e = sim_node_entry(s, node, key);
		sim_raft_key(s->rafts, shard + 1u, n->due[key], &deleted);
		if (ts_of(e).version >= n->due[key] ||
		    (ts_of(e).version == 0 && (deleted || ahead)))
			continue;
		sim_violation(s, "H-LAG-JOIN: node %u has applied entry %llu and holds key %u at "
				 "%llu, not at %llu", node, (unsigned long long)applied, key,
			      (unsigned long long)ts_of(e).version,
			      (unsigned long long)n->due[key]);
	}
}

void sim_verify_groups(struct sim *s, uint8_t node)
{
	for (uint16_t shard = 0; shard < s->plan.shards && !s->violated; shard++) {
		const struct replica *r = sim_node_replica(s, node, shard);
		bool ahead;

		if (!r)
			continue;
		sim_raft_look(s, node, shard + 1u, replica_raft(r));
		ahead = copied_ahead(s, node, shard, r);
		if (!sim_node_holds(s, node))
			continue;
		see_resets(s, node, shard);
		for (uint32_t key = 0; key < s->plan.keys; key++)
			if (s->key[key].shard == shard)
				look_entry(s, node, key);
		if (!replica_joined(r))
			continue;
		verify_applied(s, node, shard, group_applied(r), ahead);
		if (!ahead)
			sim_raft_applied(s, node, shard + 1u, group_applied(r),
					 digest(s, node, shard));
	}
}

/* ---- after a restart ------------------------------------------------------------------------- */

/* W-PREFIX: it still has all that any client was told is committed, unless it was left out. */
void sim_verify_recovered(struct sim *s, uint8_t node)
{
	char held[48], acked[48];

	for (uint32_t key = 0; key < s->plan.keys; key++) {
		const struct entry *e = sim_node_entry(s, node, key);

		bool lacks = op_ts_compare(ts_of(e), s->key[key].acked) < 0 &&
			     (e || floor_of(s, node, key) < s->key[key].acked.version);

		if (!s->plan.worker.views && lacks)
			sim_violation(s, "W-PREFIX: node %u recovered key %u at %s, but %s was "
					 "acknowledged", node, key, ts_text(held, ts_of(e)),
				      ts_text(acked, s->key[key].acked));
		if (e)
			see_entry(s, node, key, e);
		s->node[node].seen[key] = ts_of(e);
		s->node[node].due[key] = 0;
	}
	memset(s->node[node].due_index, 0, sizeof(s->node[node].due_index));
}

/* ---- when all is quiet ----------------------------------------------------------------------- */

static void verify_equal(struct sim *s, uint32_t key, const struct entry *a, uint8_t node)
{
	const struct entry *b = sim_node_entry(s, node, key);

	if (b && b->state != HERMES_VALID)
		sim_violation(s, "H-INVALID-BOUND: key %u is %s at node %u when all is quiet", key,
			      hermes_state_name((enum hermes_state)b->state), node);
	if (absent(a) && absent(b) && (!a || !b))
		return;
	if (!a || !b || op_ts_compare(entry_ts(a), entry_ts(b)) != 0 || a->flags != b->flags ||
	    a->value_bytes != b->value_bytes ||
	    memcmp(entry_value(a), entry_value(b), a->value_bytes) != 0)
		sim_violation(s, "H-AGREE: node %u differs on key %u when all is quiet", node, key);
}

void sim_verify_quiet(struct sim *s)
{
	uint8_t first = sim_view_holds(s, 0) ? 0 : 1;

	for (uint32_t key = 0; key < s->plan.keys; key++) {
		for (uint8_t n = 0; n < s->plan.nodes; n++)
			if (sim_node_holds(s, n))
				verify_equal(s, key, sim_node_entry(s, first, key), n);
	}
	/* X-LEAK: workers hold no buffers between rounds. */
	for (uint16_t port = 0; port < s->plan.nodes + s->plan.clients; port++) {
		if (sim_net_held(s->net, port) != 0)
			sim_violation(s, "X-LEAK: port %u still holds %u buffers", port,
				      sim_net_held(s->net, port));
	}
}

void sim_verify_history(struct sim *s)
{
	struct check_result result;
	uint32_t count = s->op_count + s->shown_count;
	struct check_op *all = malloc(count * sizeof(*all));

	for (uint32_t i = 0; s->abandoned && i < s->op_count; i++)
		if (s->op[i].end_ns == 0)
			s->op[i].outcome = STATUS_UNKNOWN;
	must(all != NULL);
	memcpy(all, s->op, s->op_count * sizeof(*all));
	memcpy(all + s->op_count, s->shown, s->shown_count * sizeof(*all));
	must((sim_is_raft(s) ? check_history_log : check_history)(all, count, &result) == 0);
	free(all);
	if (!result.ok)
		sim_violation(s, "S-LIN: key %u: %s", (uint32_t)result.key, result.text);
}
