/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_load.c: what users and operators ask for, and what must be true when all is calm. */
#include "tests/raft/fuzz.h"

#define LL(n) ((unsigned long long)(n))

static uint8_t any_node(struct fuzz *f)
{
	return (uint8_t)rng_below(&f->load_rng, f->rig->nodes);
}

static uint8_t some_leader(struct fuzz *f)
{
	uint8_t from = any_node(f);

	for (uint32_t i = 0; i < f->rig->nodes; i++) {
		const struct rig_node *n = &f->rig->node[(from + i) % f->rig->nodes];

		if (n->up && n->role == RAFT_LEADER && f->node[n->node].pause_ns == 0)
			return n->node;
	}
	return from;
}

static bool awake(const struct fuzz *f, uint8_t node)
{
	return f->rig->node[node].up && f->node[node].pause_ns == 0;
}

static void propose(struct fuzz *f, uint8_t node)
{
	static uint8_t data[RAFT_ENTRY_BYTES_MAX];
	uint32_t bytes = (uint32_t)rng_range(&f->load_rng, 8, f->plan.entry_bytes);

	if (f->rig->last_max + 1000 > RIG_INDEX_MAX)
		return;
	store_u64(data, ++f->proposals);
	for (uint32_t i = 8; i < bytes; i++)
		data[i] = (uint8_t)(f->proposals + i);
	rig_propose(f->rig, node, data, bytes);
}

/* change_one: one change of who takes part; false: none that makes sense was drawn. */
static bool change_one(struct fuzz *f, const struct rig_node *leader, struct raft_conf *c)
{
	uint8_t node = any_node(f), bit = (uint8_t)(1u << node);
	bool witness = f->rig->node[node].witness;

	if ((c->voters & bit) != 0) {
		c->voters &= (uint8_t)~bit;
		c->witnesses &= (uint8_t)~bit;
		if (rng_below(&f->load_rng, 3) == 0)
			c->learners |= bit;
	} else if ((c->learners & bit) != 0 && rng_below(&f->load_rng, 4) != 0) {
		if (raft_match(leader->raft, node) == 0 && rng_below(&f->load_rng, 8) != 0)
			return false;
		c->learners &= (uint8_t)~bit;
		c->voters |= bit;
	} else if ((c->learners & bit) != 0) {
		c->learners &= (uint8_t)~bit;
		c->witnesses &= (uint8_t)~bit;
	} else {
		c->learners |= bit;
	}
	if (witness && ((c->voters | c->learners) & bit) != 0)
		c->witnesses |= bit;
	return true;
}

static void configure(struct fuzz *f, uint8_t node)
{
	const struct rig_node *n = &f->rig->node[node];
	struct raft_conf c = *raft_conf(n->raft);
	uint32_t changes = (uint32_t)rng_range(&f->load_rng, 1, 3);

	if (n->role != RAFT_LEADER)
		return;
	if (raft_configuring(n->raft) && rng_below(&f->load_rng, 8) != 0)
		return;
	c.voters_old = 0;
	for (uint32_t i = 0; i < changes; i++)
		change_one(f, n, &c);
	/* The data voters alone are a majority: what only witnesses hold nobody can lead with. */
	if (raft_bits(c.voters & (uint8_t)~c.witnesses) * 2 <= raft_bits(c.voters))
		return;
	if (rig_configure(f->rig, node, &c) != 0)
		fuzz_note(f, "%c configures: voters %x learners %x witnesses %x", 'a' + node,
			  c.voters, c.learners, c.witnesses);
}

static void hold(struct fuzz *f, uint8_t node)
{
	struct rig_node *n = &f->rig->node[node];
	uint64_t index = 0;

	if (n->hold == 0 || rng_below(&f->load_rng, 4) == 0)
		index = n->mirror.last + rng_below(&f->load_rng, 8);
	f->holds++;
	rig_hold(f->rig, node, index);
}

static void look_after_disk(struct fuzz *f, uint8_t node)
{
	struct rig_node *n = &f->rig->node[node];
	uint64_t base = raft_base(n->raft);

	if (rng_below(&f->load_rng, 2) == 0 && n->applied > base) {
		f->compactions++;
		rig_compact(f->rig, node, rng_range(&f->load_rng, base + 1, n->applied));
	} else {
		fuzz_checkpoint(f, node);
	}
}

void fuzz_load_draw(struct fuzz *f)
{
	const struct fuzz_plan *p = &f->plan;
	uint8_t node = rng_below(&f->load_rng, 4) == 0 ? any_node(f) : some_leader(f);
	uint64_t lot = rng_below(&f->load_rng, 100);

	if (f->calm)
		return;
	fuzz_net_push(f, f->rig->now_ns + 1 + rng_exponential(&f->load_rng, p->load_ns), FUZZ_LOAD,
		      NODES_MAX, 0);
	if (!awake(f, node))
		return;
	if (rng_below(&f->load_rng, 1000) < p->conf_weight) {
		configure(f, node);
	} else if (rng_below(&f->load_rng, 1000) < p->transfer_weight) {
		f->transfers++;
		rig_transfer(f->rig, node,
			     rng_below(&f->load_rng, 4) == 0 ? RAFT_NODE_ANY : any_node(f));
	} else if (rng_below(&f->load_rng, 1000) < p->hold_weight) {
		hold(f, node);
	} else if (lot < p->read_weight) {
		node = lot % 2 == 0 ? any_node(f) : node;
		if (awake(f, node))
			rig_read(f->rig, node);
	} else if (lot < p->read_weight + p->compact_weight) {
		node = any_node(f);
		if (awake(f, node))
			look_after_disk(f, node);
	} else {
		for (uint64_t i = rng_below(&f->load_rng, 4); i < 4 && !f->rig->failed; i++)
			propose(f, node);
	}
	if (f->rig->node[node].up && !f->rig->failed)
		fuzz_after(f, node);
}

/* ask: in the calm everybody wants something. */
static bool ask(struct fuzz *f, uint8_t leader)
{
	const struct rig_node *l = &f->rig->node[leader];

	if (!raft_ready(l->raft) || raft_configuring(l->raft) || !raft_can_propose(l->raft, 64))
		return false;
	for (uint32_t i = 0; i < 3; i++)
		propose(f, leader);
	fuzz_after(f, leader);
	for (uint8_t i = 0; i < f->rig->nodes && !f->rig->failed; i++) {
		rig_read(f->rig, i);
		if (!f->rig->failed)
			fuzz_after(f, i);
	}
	return true;
}

/* lags: why this node is not where it should be; NULL: it is. */
static const char *lags(const struct fuzz *f, const struct rig_node *l, const struct rig_node *n)
{
	const struct raft_conf *c = raft_conf(l->raft);

	if (n->reads_open != 0)
		return "has reads without an answer";
	if (((c->voters | c->learners) >> n->node & 1) == 0)
		return NULL;
	if (n->restoring || n->mirror.last != l->mirror.last)
		return "has another log than the leader";
	if (n->mirror.log[n->mirror.last].chain != l->mirror.log[l->mirror.last].chain)
		return "holds other entries than the leader";
	if (raft_commit(n->raft) != l->mirror.last || n->applied != l->mirror.last)
		return "has not applied everything";
	if (f->rig->node[n->node].durable_count != n->record_count)
		return "waits for its disk";
	return NULL;
}

static const char *unsettled(struct fuzz *f, uint8_t *ret_node)
{
	const struct rig_node *l = NULL;
	const char *why;

	*ret_node = 0;
	for (uint8_t i = 0; i < f->rig->nodes; i++) {
		const struct rig_node *n = &f->rig->node[i];

		if (n->role == RAFT_LEADER && (!l || n->term > l->term))
			l = n;
	}
	if (!l)
		return "X-PROGRESS: nobody leads";
	*ret_node = l->node;
	if (!f->asked)
		f->asked = ask(f, l->node);
	if (!f->asked)
		return "leads and is not ready";
	if (raft_configuring(l->raft) || raft_conf(l->raft)->voters_old != 0)
		return "leads and does not end its change of conf (R34)";
	for (uint8_t i = 0; i < f->rig->nodes; i++) {
		*ret_node = i;
		why = lags(f, l, &f->rig->node[i]);
		if (why)
			return why;
	}
	*ret_node = l->node;
	return NULL;
}

bool fuzz_load_settle(struct fuzz *f)
{
	struct rig *rig = f->rig;
	uint64_t election_ns = rig->node[0].config.election_ns;
	uint8_t node;
	const char *why;

	/* Who applied everything makes room; a full memory takes nothing more. */
	for (uint8_t i = 0; i < rig->nodes && !rig->failed; i++) {
		struct rig_node *n = &rig->node[i];

		rig_apply(rig, i, UINT64_MAX);
		if (!rig->failed && n->applied > raft_base(n->raft) + f->plan.keep_entries / 2) {
			rig_compact(rig, i, n->applied);
			fuzz_after(f, i);
		}
	}
	why = rig->failed ? "" : unsettled(f, &node);
	if (rig->failed)
		return true;
	if (why) {
		f->settled_ns = 0;
		if (rig->now_ns > f->calm_ns + 40 * election_ns + 1000 * FUZZ_MS)
			rig_fail(rig, "X-PROGRESS: all is calm since %llu ns, and %c (term %u) %s",
				 LL(rig->now_ns - f->calm_ns), 'a' + node, rig->node[node].term,
				 why);
		return rig->failed;
	}
	if (f->settled_ns == 0) {
		f->settled_ns = rig->now_ns;
		f->settled_term = rig->node[node].term;
	} else if (rig->node[node].term != f->settled_term) {
		rig_fail(rig, "R-TERM-CALM: all is calm, and term %u becomes %u", f->settled_term,
			 rig->node[node].term);
	}
	return rig->failed || rig->now_ns > f->settled_ns + 5 * election_ns;
}
