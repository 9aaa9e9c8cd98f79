/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elections (Ongaro and Ousterhout 5.2, 5.4.1; dissertation 3.4, 3.10, 9.6).
 *
 *              timeout               a majority would vote        a majority voted
 *   FOLLOWER -----------> PRE_CANDIDATE -----------> CANDIDATE -----------> LEADER
 *      ^  |                                            ^   |                  |
 *      |  +------- the leader asks for it (3.10) ------+   | timeout:         |
 *      |                                                   | PRE_CANDIDATE    |
 *      +---- a leader is heard, a newer term, no quorum, the disk ------------+
 *
 * A voter promises a leader it hears not to vote for anybody else for election_ns (9.6); leases
 * rest on that (6.4.1). The one exception is a vote that the leader itself asked for. It names the
 * heartbeat round in which the leader did, and a voter that has heard a later round refuses: so the
 * leader can be sure, after a transfer that failed, that nobody will act on it any more (R10).
 */
#include "replication/raft_priv.h"

static const uint8_t raft_moves[] = {
	[RAFT_FOLLOWER] = 1u << RAFT_PRE_CANDIDATE | 1u << RAFT_CANDIDATE,
	[RAFT_PRE_CANDIDATE] =
		1u << RAFT_FOLLOWER | 1u << RAFT_PRE_CANDIDATE | 1u << RAFT_CANDIDATE,
	[RAFT_CANDIDATE] = 1u << RAFT_FOLLOWER | 1u << RAFT_PRE_CANDIDATE | 1u << RAFT_LEADER,
	[RAFT_LEADER] = 1u << RAFT_FOLLOWER,
};

void raft_election_move(struct raft *r, enum raft_role to)
{
	must(raft_moves[r->role] & 1u << to);
	r->role = to;
	r->votes = 0;
}

void raft_election_rearm(struct raft *r, uint64_t least_ns)
{
	r->election_at_ns = r->now_ns + least_ns + raft_random(r, r->config.election_ns);
}

/* raft_election_term: a new term begins here; what was of the old one is void (R03). */
static void raft_election_term(struct raft *r, uint32_t term, uint8_t vote)
{
	r->term = term;
	r->vote = vote;
	r->hard_dirty = true;
	r->matched = r->commit;
	r->beat_round = 0;
	r->farewell = RAFT_NODE_NONE;
	r->reject_due = r->ack_due = r->ack_now = r->beat_ack_due = false;
	for (uint32_t i = 0; i < NODES_MAX; i++)
		r->peers[i].vote = RAFT_OWED_NOTHING;
	r->counters.term_changes++;
}

/* raft_election_follow: a follower of nobody. */
static void raft_election_follow(struct raft *r)
{
	if (r->role == RAFT_LEADER) {
		r->counters.step_downs++;
		r->ready = r->settled = r->noop_due = r->round_wanted = false;
		r->beat_due = r->notice_due = r->leaving = 0;
		r->lease_ns = 0;
		r->transfer_to = RAFT_NODE_NONE;
		r->transfer_sent = r->transfer_due = false;
		r->matched = r->commit;
		raft_election_rearm(r, r->config.election_ns);
	}
	if (r->role != RAFT_FOLLOWER)
		raft_election_move(r, RAFT_FOLLOWER);
	if (r->leader != RAFT_NODE_NONE)
		raft_read_refuse_all(r);
	r->leader = RAFT_NODE_NONE;
}

void raft_election_adopt(struct raft *r, uint32_t term)
{
	must(term > r->term);
	raft_election_follow(r);
	raft_election_term(r, term, RAFT_NODE_NONE);
}

void raft_election_step_down(struct raft *r)
{
	must(r->role == RAFT_LEADER);
	raft_election_follow(r);
}

void raft_election_farewell(struct raft *r)
{
	uint8_t best = raft_conf_best(r);
	uint64_t round = r->round;

	raft_election_step_down(r);
	r->farewell = best;
	r->farewell_id = round;
	/* The others first. */
	raft_election_rearm(r, 2 * r->config.election_ns);
}

bool raft_election_heed(struct raft *r, uint8_t from, uint64_t round)
{
	bool alive = round > r->beat_round || mutant(59);

	if (r->role == RAFT_LEADER || (r->leader != RAFT_NODE_NONE && r->leader != from))
		return false;
	if (r->leader == RAFT_NODE_NONE && !alive)
		return false;
	if (r->role != RAFT_FOLLOWER)
		raft_election_move(r, RAFT_FOLLOWER);
	if (r->leader == RAFT_NODE_NONE) {
		raft_append_follow(r);
		r->leader = from;
	}
	if (alive) {
		r->beat_round = max_u64(r->beat_round, round);
		r->protected_ns = r->now_ns + r->config.election_ns;
		r->promised_term = r->term;
		r->promised_round = round;
		raft_election_rearm(r, r->config.election_ns);
	}
	return true;
}

/*
 * raft_election_may: a voter with data. One that the newest conf leaves out still leads until that
 * is committed (4.2.2): perhaps nobody else has it, and others need its vote.
 */
static bool raft_election_may(const struct raft *r)
{
	uint8_t may = raft_voters(r) & (uint8_t)~r->conf.witnesses;
	struct raft_conf before;

	if (r->conf_index > r->commit) {
		raft_log_conf_at(r, r->conf_index - 1, &before);
		may |= (before.voters | before.voters_old) & (uint8_t)~before.witnesses;
		may &= (uint8_t)~r->conf.witnesses;
	}
	return may & raft_bit(r->config.node);
}

static bool raft_election_can_stand(const struct raft *r)
{

	if (r->failed || r->config.passive || r->now_ns < r->silent_ns)
		return false;
	if (!raft_election_may(r) || r->stripped != 0 || r->term >= RAFT_TERM_MAX)
		return false;
	if (r->is_void && !mutant(265))
		return false;
	/* A snapshot that is not in place yet: what this node has is hard to say. */
	if (r->restoring != 0 || r->durable < r->base)
		return false;
	return r->now_ns < raft_disk_ns(r);
}

/* raft_election_campaign: a new term, its own vote (5.2). */
static void raft_election_campaign(struct raft *r, bool by_transfer, uint64_t id)
{
	raft_election_move(r, RAFT_CANDIDATE);
	raft_election_term(r, r->term + 1, r->config.node);
	r->leader = RAFT_NODE_NONE;
	r->by_transfer = by_transfer;
	r->transfer_id = id;
	r->retry_ns = r->now_ns;
	raft_election_rearm(r, r->config.election_ns);
	r->counters.elections++;
}

/* raft_election_stand: asks whether it could win before it disturbs anybody (9.6). */
static void raft_election_stand(struct raft *r)
{
	raft_election_move(r, RAFT_PRE_CANDIDATE);
	r->votes = raft_bit(r->config.node);
	r->retry_ns = r->now_ns;
	r->counters.pre_votes++;
}

void raft_election_tick(struct raft *r)
{
	if (r->role == RAFT_LEADER || r->now_ns < r->election_at_ns)
		return;
	raft_election_follow(r);
	raft_election_rearm(r, r->config.election_ns);
	if (raft_election_can_stand(r))
		raft_election_stand(r);
	if (mutant(128) && r->role == RAFT_PRE_CANDIDATE)
		raft_election_campaign(r, false, 0);
}

/* raft_election_current: the candidate's log is not behind ours (5.4.1). */
static bool raft_election_current(const struct raft *r, const struct raft_message *m)
{
	uint32_t term = raft_log_term(r, r->last);

	return m->log_term > term || (m->log_term == term && m->index >= r->last) || mutant(122);
}

/* raft_election_promised: this node promised a leader to vote for nobody else yet (9.6). */
static bool raft_election_promised(const struct raft *r)
{
	if (mutant(115))
		return false;
	return r->role == RAFT_LEADER || r->now_ns < r->protected_ns;
}

/* raft_election_mute: it may have promised what it does not know of: it just started (6.4.1), or
 * its disk is a blank one, and others remember a vote of the last (R19). */
static bool raft_election_mute(const struct raft *r)
{
	return r->now_ns < r->silent_ns || (r->conf.voters == 0 && !mutant(123)) ||
	       (r->is_void && mutant(267));
}

/* PreVote (9.6): a question. It changes nothing here but what is owed (R-PREVOTE-PURE). */
void raft_election_on_pre_vote(struct raft *r, uint8_t from, const struct raft_message *m)
{
	struct raft_peer *p = &r->peers[from];
	bool yes = m->term > r->term && !raft_election_promised(r) && raft_election_current(r, m);

	if (raft_election_mute(r))
		return;
	p->pre_vote = yes ? RAFT_OWED_YES : RAFT_OWED_NO;
	p->pre_vote_term = m->term;
}

/* raft_election_by_leader: the leader this voter has promised asked for this vote itself. */
static bool raft_election_by_leader(const struct raft *r, const struct raft_message *m)
{
	bool leads = r->role == RAFT_LEADER;
	uint64_t heard = leads ? r->round : r->promised_round;
	uint32_t term = leads ? r->term : r->promised_term;

	return (m->flags & RAFT_TRANSFER) && m->term == term + 1 && m->id >= heard;
}

/* RequestVote (5.2, 5.4.1). */
void raft_election_on_vote(struct raft *r, uint8_t from, const struct raft_message *m)
{
	bool promised = raft_election_promised(r) && !raft_election_by_leader(r, m);

	if (raft_election_mute(r))
		return;
	/* The promise holds in every term: a newer one may have been heard of in between. */
	if (promised && m->term == r->term && r->vote == RAFT_NODE_NONE && !mutant(57))
		return;
	if (m->term > r->term) {
		if (promised)
			return; /* not even its term counts (9.6, R11) */
		raft_election_adopt(r, m->term);
	}
	if (m->term < r->term || r->leader != RAFT_NODE_NONE || !raft_election_current(r, m) ||
	    (r->vote != RAFT_NODE_NONE && r->vote != from)) {
		r->peers[from].vote = RAFT_OWED_NO;
		r->counters.votes_refused++;
		return;
	}
	if (r->vote == RAFT_NODE_NONE) {
		r->vote = from;
		r->hard_dirty = !mutant(132);
		r->counters.votes_granted++;
	}
	r->peers[from].vote = RAFT_OWED_YES;
	raft_election_rearm(r, r->config.election_ns);
}

void raft_bury(struct raft *r, uint8_t node, uint64_t now_ns)
{
	if (r->role != RAFT_FOLLOWER || r->leader != node)
		return;
	r->now_ns = max_u64(r->now_ns, now_ns);
	raft_election_follow(r);
	r->protected_ns = 0;
	/* Not all at once: the others heard the same word. */
	r->election_at_ns = r->now_ns + raft_random(r, r->config.heartbeat_ns);
}

/* Answers: a promise of a vote is not a vote (R07). */
void raft_election_on_vote_ack(struct raft *r, uint8_t from, const struct raft_message *m)
{
	if (m->flags & RAFT_REJECT)
		return;
	if (m->type == RAFT_PRE_VOTE_ACK) {
		bool mine = r->role == RAFT_PRE_CANDIDATE && m->term == r->term + 1;

		if (mutant(104) && r->role == RAFT_CANDIDATE && m->term == r->term)
			mine = true;
		if (mine)
			r->votes |= raft_bit(from);
	} else if (r->role == RAFT_CANDIDATE && m->term == r->term) {
		r->votes |= raft_bit(from);
	}
}

/* TimeoutNow (3.10). */
void raft_election_on_timeout_now(struct raft *r, uint8_t from, const struct raft_message *m)
{
	if (r->role != RAFT_FOLLOWER || r->leader != from || m->term != r->term)
		return;
	/* A late one: the leader has gone on since, and counts on our promise again. */
	if (m->id < r->beat_round || !raft_election_can_stand(r) || mutant(256))
		return;
	raft_election_follow(r);
	raft_election_campaign(r, true, m->id);
}

static void raft_election_lead(struct raft *r)
{
	raft_election_move(r, RAFT_LEADER);
	r->leader = r->config.node;
	r->counters.leaderships++;
	raft_append_lead(r);
	raft_conf_lead(r);
	raft_read_lead(r);
}

void raft_election_settle(struct raft *r)
{
	if (r->role == RAFT_PRE_CANDIDATE && raft_conf_quorum(&r->conf, r->votes))
		raft_election_campaign(r, false, 0);
	if (r->role == RAFT_CANDIDATE && (raft_hard_durable(r) || mutant(108))) {
		r->votes |= raft_bit(r->config.node);
		if (raft_conf_quorum(&r->conf, r->votes) ||
		    (mutant(121) && raft_is_majority(r->votes, r->conf.voters)))
			raft_election_lead(r);
	}
}

/* raft_election_answer: what is owed to one candidate. */
static void raft_election_answer(struct raft *r, uint8_t node, struct raft_actions *a)
{
	struct raft_peer *p = &r->peers[node];
	struct raft_message *m;

	if (p->pre_vote != RAFT_OWED_NOTHING) {
		bool yes = p->pre_vote == RAFT_OWED_YES && p->pre_vote_term > r->term;

		m = raft_send(r, a, raft_bit(node), RAFT_PRE_VOTE_ACK);
		m->flags = (uint8_t)(yes ? 0 : RAFT_REJECT);
		if (yes)
			m->term = p->pre_vote_term;
		p->pre_vote = RAFT_OWED_NOTHING;
	}
	if (p->vote != RAFT_OWED_NOTHING) {
		m = raft_send(r, a, raft_bit(node), RAFT_VOTE_ACK);
		m->flags = (uint8_t)(p->vote == RAFT_OWED_YES ? 0 : RAFT_REJECT);
		p->vote = RAFT_OWED_NOTHING;
	}
}

static void raft_election_ask(struct raft *r, struct raft_actions *a)
{
	bool pre = r->role == RAFT_PRE_CANDIDATE;
	uint8_t to = raft_voters(r) & (uint8_t) ~(r->votes | raft_bit(r->config.node));
	uint64_t index = mutant(108) ? r->last : r->durable;
	struct raft_message *m;

	r->retry_ns = r->now_ns + r->config.heartbeat_ns;
	if (to == 0)
		return;
	m = raft_send(r, a, to, pre ? RAFT_PRE_VOTE : RAFT_VOTE);
	if (pre)
		m->term = r->term + 1;
	m->index = index; /* what is durable, nothing else (R02) */
	m->log_term = raft_log_term(r, index);
	if (!pre && r->by_transfer) {
		m->flags = RAFT_TRANSFER;
		m->id = r->transfer_id;
	}
}

/* raft_election_asking: it stands, and what it says about itself is on the disk (R02). */
bool raft_election_asking(const struct raft *r)
{
	if (r->role != RAFT_PRE_CANDIDATE && r->role != RAFT_CANDIDATE)
		return false;
	return (raft_hard_durable(r) || mutant(108)) && r->durable >= r->base;
}

bool raft_election_pump(struct raft *r, struct raft_actions *a)
{
	bool durable = raft_hard_durable(r);

	for (uint8_t i = 0; i < NODES_MAX && (durable || mutant(109)); i++) {
		const struct raft_peer *p = &r->peers[i];

		if (p->pre_vote == RAFT_OWED_NOTHING && p->vote == RAFT_OWED_NOTHING)
			continue;
		if (a->count + 2 > RAFT_ACTIONS_MAX)
			return true;
		raft_election_answer(r, i, a);
	}
	if (raft_election_asking(r) && r->now_ns >= r->retry_ns) {
		if (!raft_room(a))
			return true;
		raft_election_ask(r, a);
	}
	return false;
}

bool raft_election_pump_farewell(struct raft *r, struct raft_actions *a)
{
	if (r->farewell == RAFT_NODE_NONE || !raft_hard_durable(r))
		return false;
	if (!raft_room(a))
		return true;
	raft_send(r, a, raft_bit(r->farewell), RAFT_TIMEOUT_NOW)->id = r->farewell_id;
	r->farewell = RAFT_NODE_NONE;
	return false;
}
