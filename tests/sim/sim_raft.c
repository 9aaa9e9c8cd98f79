/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_raft.h"

#include <stdlib.h>

#include "replication/crc.h"
#include "replication/wire.h"
#include "tests/sim/sim.h"

struct sim_rafts {
	uint32_t count;
	struct sim_group group[SIM_GROUPS_MAX];
};

struct sim_rafts *sim_raft_create(void)
{
	return calloc(1, sizeof(struct sim_rafts));
}

void sim_raft_destroy(struct sim_rafts *rafts)
{
	free(rafts);
}

static void clear(struct sim_group *g)
{
	memset(g->log, 0, (g->known + 1) * sizeof(g->log[0]));
	g->committed = g->known = g->elections = 0;
	memset(g->leader, 0, sizeof(g->leader));
	memset(g->member, 0, sizeof(g->member));
}

void sim_raft_reset(struct sim_rafts *rafts, uint32_t groups)
{
	for (uint32_t i = 0; i < SIM_GROUPS_MAX; i++)
		clear(&rafts->group[i]);
	rafts->count = groups;
}

uint64_t sim_raft_committed(const struct sim_rafts *rafts, uint32_t group)
{
	return rafts->group[group].committed;
}

uint64_t sim_raft_held(const struct sim_rafts *rafts, uint32_t group, uint8_t node)
{
	return rafts->group[group].member[node].held.index;
}

uint64_t sim_raft_elections(const struct sim_rafts *rafts)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < rafts->count; i++)
		sum += rafts->group[i].elections;
	return sum;
}

static const char *group_name(uint32_t group, char out[16])
{
	snprintf(out, 16, group == SIM_GROUP_VIEW ? "views" : "shard %u", (uint16_t)(group - 1));
	return out;
}

/* hash_of: what all must agree on; a witness's copy has lost the data, and says nothing of it. */
static uint64_t hash_of(const struct raft_entry *e)
{
	uint64_t hash = (uint64_t)e->kind << 56 | e->term;

	return hash ^ (uint64_t)crc32c(e->data, e->bytes) << 24 ^ (uint64_t)e->bytes << 8;
}

/* see_committed: R-STATE-SAFE: what is committed at one index is the same at all, for ever. */
static void see_committed(struct sim *s, uint8_t node, uint32_t group, const struct raft *r,
			  uint64_t index)
{
	struct sim_group *g = &s->rafts->group[group];
	struct sim_log_entry *kept;
	struct raft_entry e;
	char name[16];

	if (index >= SIM_LOG_KEPT)
		return;
	kept = &g->log[index];
	raft_entry(r, index, &e);
	g->known = max_u64(g->known, index);
	if (kept->term == 0)
		kept->term = e.term;
	if (kept->hash == 0 && !(e.flags & RAFT_STRIPPED))
		kept->hash = hash_of(&e);
	if (kept->term != e.term || (!(e.flags & RAFT_STRIPPED) && kept->hash != hash_of(&e)))
		sim_violation(s, "R-STATE-SAFE: %s: node %u has committed another entry at index "
				 "%llu (term %u, was %u)", group_name(group, name), node,
			      (unsigned long long)index, e.term, kept->term);
}

/* hold: a disk that is replaced later was a copy all the same. */
static void hold(struct sim_raft_member *m, uint64_t index, uint32_t term)
{
	if (term > m->held.term || (term == m->held.term && index > m->held.index))
		m->held = (struct sim_held){ index, term };
}

/* see_durable: what its disk holds for sure. */
static void see_durable(struct sim *s, uint8_t node, uint32_t group, const struct raft *r)
{
	uint64_t index = raft_match(r, node);
	struct raft_entry e;

	if (index <= raft_base(r))
		return;
	raft_entry(r, index, &e);
	hold(&s->rafts->group[group].member[node], index, e.term);
}

/* copies_of: disks of data nodes, learners too, that hold the committed entry (log matching). */
static uint32_t copies_of(const struct sim_group *g, const struct raft_conf *c, uint64_t index)
{
	uint8_t data = (c->voters | c->voters_old | c->learners) & (uint8_t)~c->witnesses;
	uint32_t copies = 0;

	for (uint32_t n = 0; n < NODES_MAX; n++)
		copies += (data >> n & 1) && g->member[n].held.index >= index &&
			  g->member[n].held.term >= g->log[index].term;
	return copies;
}

static uint8_t copies_wanted(struct sim *s, uint8_t node, uint32_t group)
{
	const struct replica *r = group == SIM_GROUP_VIEW ?
		NULL : sim_node_replica(s, node, (uint16_t)(group - 1));

	return r ? replica_view(r)->copies_min : 0;
}

/* look_copies: M-MIN-SIZE: what a leader commits is on as many disks as its view asks for. */
static void look_copies(struct sim *s, uint8_t node, uint32_t group, const struct raft *r,
			uint64_t index)
{
	struct sim_group *g = &s->rafts->group[group];
	uint32_t wanted = copies_wanted(s, node, group);
	struct raft_entry e;
	uint32_t copies;
	char name[16];

	if (wanted > g->member[node].copies)
		wanted = g->member[node].copies; /* the view may be of this very round */
	raft_entry(r, index, &e);
	if (e.kind != RAFT_ENTRY_DATA || wanted < 2 || raft_role(r) != RAFT_LEADER ||
	    raft_conf_index(r) > g->member[node].commit || index >= SIM_LOG_KEPT)
		return;
	copies = copies_of(g, raft_conf(r), index);
	if (copies < wanted)
		sim_violation(s, "M-MIN-SIZE: %s: node %u commits entry %llu with %u copies, %u "
				 "are asked for", group_name(group, name), node,
			      (unsigned long long)index, copies, wanted);
}

static void look_commit(struct sim *s, uint8_t node, uint32_t group, const struct raft *r)
{
	struct sim_group *g = &s->rafts->group[group];
	struct sim_raft_member *m = &g->member[node];
	uint64_t commit = raft_commit(r);
	char name[16];

	if (commit < m->commit)
		sim_violation(s, "R-STATE-SAFE: %s: node %u takes its commit index back to %llu",
			      group_name(group, name), node, (unsigned long long)commit);
	for (uint64_t i = max_u64(m->commit, raft_base(r)) + 1; i <= commit && !s->violated; i++)
		see_committed(s, node, group, r, i);
	for (uint64_t i = max_u64(g->committed, raft_base(r)) + 1;
	     i <= commit && group != SIM_GROUP_VIEW && !s->violated; i++)
		look_copies(s, node, group, r, i);
	m->commit = commit;
	g->committed = max_u64(g->committed, commit);
}

/*
 * look_complete: R-LEADER-COMPLETE: who leads has all that is known as committed in terms before
 * its own. Votes that come late may still make a leader of an old term: it misses what came after.
 */
static void look_complete(struct sim *s, uint8_t node, uint32_t group, const struct raft *r)
{
	struct sim_group *g = &s->rafts->group[group];
	uint64_t due = min_u64(g->committed, SIM_LOG_KEPT - 1);
	struct raft_entry e;
	char name[16];

	while (due > 0 && g->log[due].term >= raft_term(r))
		due--;
	if (raft_last(r) < due) {
		sim_violation(s, "R-LEADER-COMPLETE: %s: node %u leads in term %u with entries up "
				 "to %llu, %llu are committed", group_name(group, name), node,
			      raft_term(r), (unsigned long long)raft_last(r),
			      (unsigned long long)due);
		return;
	}
	if (due <= raft_base(r) || g->log[due].term == 0)
		return;
	raft_entry(r, due, &e);
	if (e.term != g->log[due].term)
		sim_violation(s, "R-LEADER-COMPLETE: %s: node %u leads in term %u with another "
				 "entry at %llu", group_name(group, name), node, raft_term(r),
			      (unsigned long long)due);
}

/* look_leader: R-ONE-LEADER. */
static void look_leader(struct sim *s, uint8_t node, uint32_t group, const struct raft *r)
{
	struct sim_group *g = &s->rafts->group[group];
	uint32_t term = raft_term(r);
	uint64_t *leader = &g->leader[term % SIM_TERMS_KEPT];
	char name[16];

	if (*leader >> 8 != term) {
		*leader = (uint64_t)term << 8 | node;
		g->elections++;
		sim_trace(s, "%s: node %u leads in term %u", group_name(group, name), node, term);
	}
	if ((*leader & 0xff) != node)
		sim_violation(s, "R-ONE-LEADER: %s: nodes %u and %u lead in term %u",
			      group_name(group, name), (uint32_t)(*leader & 0xff), node, term);
	look_complete(s, node, group, r);
}

void sim_raft_look(struct sim *s, uint8_t node, uint32_t group, const struct raft *r)
{
	struct sim_raft_member *m = &s->rafts->group[group].member[node];
	bool led = m->role == RAFT_LEADER && m->term == raft_term(r);
	char name[16];

	if (raft_term(r) < m->term)
		sim_violation(s, "R-TERM-MONO: %s: node %u goes from term %u to %u",
			      group_name(group, name), node, m->term, raft_term(r));
	m->term = raft_term(r);
	m->role = (uint8_t)raft_role(r);
	see_durable(s, node, group, r);
	if (m->role == RAFT_LEADER && !led)
		look_leader(s, node, group, r);
	if (raft_commit(r) != m->commit)
		look_commit(s, node, group, r);
	m->copies = copies_wanted(s, node, group);
}

/* on_vote: R-VOTE-ONCE, over restarts, too. */
static void on_vote(struct sim *s, uint8_t node, uint8_t candidate, uint32_t group, uint32_t term)
{
	struct sim_raft_member *m = &s->rafts->group[group].member[node];
	uint64_t *vote = &m->vote[term % SIM_TERMS_KEPT];
	uint64_t cast = (uint64_t)term << 8 | candidate;
	char name[16];

	if (*vote >> 8 == term && *vote != cast)
		sim_violation(s, "R-VOTE-ONCE: %s: node %u votes for %u and for %u in term %u",
			      group_name(group, name), node, (uint32_t)(*vote & 0xff), candidate,
			      term);
	*vote = cast;
	m->promised_term = (uint32_t)max_u64(m->promised_term, term);
}

void sim_raft_frame(struct sim *s, uint8_t node, const struct wire_header *h, uint32_t group,
		    const struct raft_message *m)
{
	struct sim_raft_member *member = &s->rafts->group[group].member[node];
	bool accepts = !(m->flags & RAFT_REJECT);

	if (m->type == RAFT_VOTE_ACK && accepts)
		on_vote(s, node, h->to, group, m->term);
	else if (m->type == RAFT_VOTE)
		on_vote(s, node, node, group, m->term);
	if ((m->type != RAFT_APPEND_ACK && m->type != RAFT_HEARTBEAT_ACK) || !accepts)
		return;
	if (m->term > member->acked_term) {
		member->acked_term = m->term;
		member->acked = 0;
	}
	if (m->term == member->acked_term)
		member->acked = max_u64(member->acked, m->index);
	hold(member, m->index, m->term);
}

void sim_raft_started(struct sim *s, uint8_t node, uint32_t group, const struct raft *r)
{
	struct sim_group *g = &s->rafts->group[group];
	struct sim_raft_member *m = &g->member[node];
	char name[16];

	/* An entry of the term in which it was acknowledged, committed: it can never have gone. */
	if (m->acked != 0 && m->acked < SIM_LOG_KEPT && m->acked <= g->committed &&
	    g->log[m->acked].term == m->acked_term && raft_last(r) < m->acked)
		sim_violation(s, "R-DURABLE-ACK: %s: node %u has acknowledged entries up to %llu "
				 "and comes back with %llu", group_name(group, name), node,
			      (unsigned long long)m->acked, (unsigned long long)raft_last(r));
	if (raft_term(r) < m->promised_term)
		sim_violation(s, "R-DURABLE-ACK: %s: node %u has voted in term %u and comes back "
				 "in term %u", group_name(group, name), node, m->promised_term,
			      raft_term(r));
	m->term = raft_term(r);
	m->role = RAFT_FOLLOWER;
	m->copies = 0;
	m->commit = 0;
	look_commit(s, node, group, r);
}

void sim_raft_lied(struct sim *s, uint8_t node)
{
	for (uint32_t i = 0; i < s->rafts->count; i++) {
		struct sim_raft_member *m = &s->rafts->group[i].member[node];
		struct sim_held held = m->held;

		memset(m, 0, sizeof(*m));
		m->held = held;
	}
}

void sim_raft_applied(struct sim *s, uint8_t node, uint32_t group, uint64_t index, uint32_t digest)
{
	struct sim_group *g = &s->rafts->group[group];
	char name[16];

	if (index >= SIM_LOG_KEPT)
		return;
	g->known = max_u64(g->known, index);
	if (g->log[index].state == 0)
		g->log[index].state = digest;
	if (g->log[index].state != digest)
		sim_violation(s, "C-EQUAL: %s: node %u has another state than others at index %llu",
			      group_name(group, name), node, (unsigned long long)index);
}

void sim_raft_shown(struct sim_rafts *rafts, uint32_t group, uint64_t index, uint32_t key,
		    bool deleted)
{
	struct sim_group *g = &rafts->group[group];

	if (index >= SIM_LOG_KEPT)
		return;
	g->known = max_u64(g->known, index);
	g->log[index].key = (uint8_t)(key + 1);
	g->log[index].deleted = deleted;
}

uint32_t sim_raft_key(const struct sim_rafts *rafts, uint32_t group, uint64_t index,
		      bool *ret_deleted)
{
	const struct sim_log_entry *e = &rafts->group[group].log[index];

	if (index >= SIM_LOG_KEPT || e->key == 0)
		return SIM_NONE;
	*ret_deleted = e->deleted;
	return e->key - 1u;
}
