/* SPDX-License-Identifier: Apache-2.0 */
/* raft_watch.c: what may happen to a Raft group, and what must not: the invariants R-*. */
#include "tests/model/raft_model.h"

static const struct raft_facts *facts(const uint8_t *const all[EXPLORE_NODES], uint32_t node)
{
	return (const struct raft_facts *)(const void *)all[node];
}

void raft_watch_begin(const void *config, uint8_t *ghost)
{
	struct raft_ghost *g = (struct raft_ghost *)(void *)ghost;

	(void)config;
	g->commit = 1;
	g->chain[1] = 1;
	g->by_term[1] = 1;
}

/* ---- what may happen ------------------------------------------------------------------------- */

static void leader_events(const struct raft_model_config *c, const struct raft_ghost *g,
			  const struct raft_facts *f, uint8_t n, struct explore_events *ret)
{
	uint8_t others = (f->conf.voters | f->conf.voters_old) & (uint8_t)~raft_bit(n);

	if (f->can_propose && g->proposals < c->proposals)
		explore_may(ret, RAFT_MODEL_PROPOSE, n, g->proposals + 1u);
	if (f->can_propose && g->confs < ARRAY_LEN(c->next) && c->next[g->confs] != 0)
		explore_may(ret, RAFT_MODEL_CONFIGURE, n, c->next[g->confs]);
	for (uint8_t i = 0; i < EXPLORE_NODES && g->transfers < c->transfers; i++)
		if (!f->transferring && (others >> i & 1))
			explore_may(ret, RAFT_MODEL_TRANSFER, n, i);
}

static void node_events(const struct raft_model_config *c, const struct raft_ghost *g,
			const struct raft_facts *f, uint8_t n, struct explore_events *ret)
{
	if (!f->alive) {
		explore_may(ret, RAFT_MODEL_RESTART, n, 0);
		return;
	}
	if (f->due)
		explore_may(ret, RAFT_MODEL_TICKS, n, 0);
	if (f->pending != 0)
		explore_may(ret, RAFT_MODEL_DURABLE, n, 0);
	for (uint8_t i = 0; i <= f->pending && g->crashes < c->crashes; i++)
		if (n == 0 || !c->no_crash_of_others)
			explore_may(ret, RAFT_MODEL_CRASH, n, i);
	if (g->reads < c->reads && g->read_id == 0 && f->leader != RAFT_NODE_NONE)
		explore_may(ret, RAFT_MODEL_READ, n, g->reads + 1u);
	if (g->compacts < c->compacts && f->commit > f->base + 1)
		explore_may(ret, RAFT_MODEL_COMPACT, n, f->commit);
	if (f->role == RAFT_LEADER)
		leader_events(c, g, f, n, ret);
}

void raft_watch_events(const void *config, const uint8_t *ghost,
		       const uint8_t *const all[EXPLORE_NODES], struct explore_events *ret)
{
	const struct raft_ghost *g = (const struct raft_ghost *)(const void *)ghost;

	for (uint8_t n = 0; n < EXPLORE_NODES; n++)
		node_events(config, g, facts(all, n), n, ret);
}

bool raft_watch_beyond(const void *config, const uint8_t *ghost,
		       const uint8_t *const all[EXPLORE_NODES])
{
	const struct raft_model_config *c = config;

	(void)ghost;
	for (uint32_t n = 0; n < EXPLORE_NODES; n++)
		if (facts(all, n)->term > c->term_max || facts(all, n)->last + 2u >= RAFT_MODEL_LOG)
			return true;
	return false;
}

/* ---- what must not --------------------------------------------------------------------------- */

static void count(struct raft_ghost *g, const struct explore_event *e, const struct raft_facts *was,
		  const struct raft_facts *is)
{
	if (e->kind == RAFT_MODEL_CRASH)
		g->crashes++;
	if (e->kind == RAFT_MODEL_PROPOSE)
		g->proposals++;
	if (e->kind == RAFT_MODEL_TRANSFER)
		g->transfers++;
	if (e->kind == RAFT_MODEL_COMPACT)
		g->compacts++;
	if (e->kind == RAFT_MODEL_CONFIGURE && is->conf_index != was->conf_index)
		g->confs++;
	if (e->kind == RAFT_MODEL_READ) {
		g->reads++;
		g->read_node = e->node;
		g->read_id = (uint8_t)e->arg;
		g->fence = g->commit;
	}
	if (e->kind == RAFT_MODEL_CRASH && g->read_node == e->node)
		g->read_id = g->read_node = g->fence = 0;
}

static const char *votes(struct raft_ghost *g, uint8_t n, const struct raft_said *said,
			 const struct raft_facts *is)
{
	if (said->acked > is->dlast)
		return "R-DURABLE-ACK: an acknowledgement of what is not on the disk";
	for (uint32_t i = 0; i < said->votes; i++) {
		uint32_t term = said->vote_term[i];
		uint8_t *vote;

		if (term >= RAFT_MODEL_TERMS)
			continue;
		vote = &g->vote[n][term];
		if (*vote != 0 && *vote != said->vote_to[i] + 1)
			return "R-VOTE-ONCE: two votes in one term";
		if (is->dterm < term || (is->dterm == term && is->dvote != said->vote_to[i]))
			return "R-DURABLE-ACK: a vote that is not on the disk";
		*vote = said->vote_to[i] + 1;
	}
	return NULL;
}

static const char *new_leader(struct raft_ghost *g, uint8_t n, const struct raft_facts *f)
{
	uint8_t voted = raft_bit(n);

	if (g->leader[f->term] != 0 &&
	    (g->leader[f->term] != n + 1 || g->life[f->term] != f->life))
		return "R-ONE-LEADER: two leaders in one term";
	g->leader[f->term] = n + 1;
	g->life[f->term] = f->life;
	if (f->term > g->leader_term)
		g->leader_term = (uint8_t)f->term;
	for (uint8_t i = 0; i < EXPLORE_NODES; i++)
		if (g->vote[i][f->term] == n + 1)
			voted |= raft_bit(i);
	if (!raft_conf_quorum(&f->conf, voted))
		return "R-ONE-LEADER: a leader without a majority of votes";
	for (uint32_t i = f->base; i <= g->commit; i++)
		if (g->by_term[i] < f->term && g->by_term[i] != 0 && f->chain[i] != g->chain[i])
			return "R-LEADER-COMPLETE: a leader lacks what was committed before";
	return NULL;
}

/* on_disks: who holds this entry of f's log on its disk. */
static uint8_t on_disks(const struct raft_facts *f, uint32_t index,
			const uint8_t *const after[EXPLORE_NODES])
{
	uint8_t have = 0;

	for (uint8_t i = 0; i < EXPLORE_NODES; i++) {
		const struct raft_facts *other = facts(after, i);

		if (other->dchain[index] == f->chain[index] || other->dbase > index)
			have |= raft_bit(i);
	}
	return have;
}

/*
 * on_quorum: who commits first leads, and it is on a majority of disks; the last of it is of the
 * leader's term, or on the disks of every voter: of the conf at what it knew to be committed, and
 * of each one behind that in its log.
 */
static const char *on_quorum(const struct raft_facts *was, const struct raft_facts *f,
			     uint32_t index, const uint8_t *const after[EXPLORE_NODES])
{
	uint32_t known = was->commit > f->base ? was->commit : f->base;
	uint8_t all = on_disks(f, f->commit, after);

	if (f->role != RAFT_LEADER && was->role != RAFT_LEADER)
		return "R-COMMIT-TERM: a node that does not lead commits first";
	for (uint32_t i = known; i <= f->last && f->terms[f->commit] != f->term; i++)
		if (f->voters[i] & (uint8_t)~all)
			return "R-COMMIT-TERM: an older term's entry is committed by counting";
	if (!raft_conf_quorum(&f->conf, on_disks(f, index, after)))
		return "R-DURABLE-ACK: committed, and not on the disks of a majority";
	return NULL;
}

static const char *commits(struct raft_ghost *g, const struct raft_facts *was,
			   const struct raft_facts *is, const uint8_t *const after[EXPLORE_NODES])
{
	uint32_t from = is->life == was->life && was->alive ? was->commit + 1u : is->base;

	if (is->life == was->life && was->alive &&
	    (is->commit < was->commit || is->term < was->term))
		return "R-APPLY-ONCE: commit or term goes back";
	for (uint32_t i = from > is->base ? from : is->base; i <= is->commit; i++) {
		if (i == 0)
			continue;
		if (i > g->commit) {
			const char *wrong = on_quorum(was, is, i, after);

			if (wrong)
				return wrong;
			g->commit = (uint8_t)i;
			g->chain[i] = is->chain[i];
			g->by_term[i] = (uint8_t)is->term;
		} else if (is->chain[i] != g->chain[i]) {
			return "R-STATE-SAFE: two nodes commit different entries";
		}
	}
	return NULL;
}

static const char *matches(uint8_t n, const uint8_t *const after[EXPLORE_NODES])
{
	const struct raft_facts *a = facts(after, n);

	for (uint32_t k = 0; k < EXPLORE_NODES; k++) {
		const struct raft_facts *b = facts(after, k);

		if (k == n || !b->alive)
			continue;
		for (uint32_t i = a->base > b->base ? a->base : b->base;
		     i <= a->last && i <= b->last; i++)
			if (i != 0 && a->terms[i] == b->terms[i] && a->chain[i] != b->chain[i])
				return "R-LOG-MATCH: same index and term, another log";
	}
	return NULL;
}

static const char *leases(const struct raft_ghost *g, const uint8_t *const after[EXPLORE_NODES])
{
	for (uint32_t n = 0; n < EXPLORE_NODES; n++) {
		const struct raft_facts *f = facts(after, n);

		if (!f->alive || !f->lease)
			continue;
		if (f->term < g->leader_term)
			return "R-READ-FENCE: a lease runs, and another node leads a newer term";
		if (f->commit < g->commit)
			return "R-READ-FENCE: a lease runs at a leader that lacks a commit";
	}
	return NULL;
}

static const char *answers(struct raft_ghost *g, uint8_t n, const struct raft_said *said)
{
	if (!said->answered)
		return NULL;
	if (g->read_id == 0 || g->read_node != n || g->read_id != said->read_id)
		return "R-READ-FENCE: an answer to a read that is not open";
	if (said->read_index != 0 && said->read_index < g->fence)
		return "R-READ-FENCE: a read index below what was committed when it was asked";
	g->read_id = g->read_node = g->fence = 0;
	return NULL;
}

static const char *confs(const struct explore_event *e, const struct raft_facts *was,
			 const struct raft_facts *is, const uint8_t *const after[EXPLORE_NODES])
{
	uint8_t voters = is->conf.voters | is->conf.voters_old;

	if (is->conf_astray)
		return "R-CONF-ONE: what is in force is not the newest conf of the log";
	for (uint8_t i = 0; i < EXPLORE_NODES && is->conf_index > was->conf_index; i++)
		if (e->kind == RAFT_MODEL_CONFIGURE && (voters >> i & 1) &&
		    facts(after, i)->dlast == 0)
			return "R-CONF-ONE: a node that holds nothing becomes a voter";
	if (e->kind == RAFT_MODEL_CONFIGURE && is->conf_index > was->conf_index &&
	    (was->conf_index > was->commit || !was->ready))
		return "R-CONF-ONE: a change of conf begins before the one before is committed";
	if (is->role == RAFT_LEADER && is->conf_index <= is->commit && !(voters >> e->node & 1))
		return "R-CONF-ONE: who has left the group leads it";
	return NULL;
}

const char *raft_watch_step(const void *config, uint8_t *ghost, const struct explore_event *event,
			    const uint8_t *const before[EXPLORE_NODES],
			    const uint8_t *const after[EXPLORE_NODES], const uint8_t *said)
{
	struct raft_ghost *g = (struct raft_ghost *)(void *)ghost;
	const struct raft_said *s = (const struct raft_said *)(const void *)said;
	const struct raft_facts *was = facts(before, event->node), *is = facts(after, event->node);
	const char *wrong = NULL;

	(void)config;
	if (!said)
		return leases(g, after);
	count(g, event, was, is);
	wrong = votes(g, event->node, s, is);
	if (is->alive) {
		if (!wrong && is->role == RAFT_LEADER &&
		    (was->role != RAFT_LEADER || was->term != is->term))
			wrong = new_leader(g, event->node, is);
		if (!wrong)
			wrong = commits(g, was, is, after);
		if (!wrong)
			wrong = matches(event->node, after);
		if (!wrong)
			wrong = confs(event, was, is, after);
		if (!wrong)
			wrong = answers(g, event->node, s);
	}
	return wrong ? wrong : leases(g, after);
}
