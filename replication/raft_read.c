/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heartbeat rounds, and what rests on them: check-quorum (dissertation 6.2), leases (6.4.1) and
 * read indexes (6.4). A round has a number, unique in its term; an answer counts for that round and
 * those before it, and for nothing newer (R09). A read waits for a round begun after it came, so
 * one round serves all reads that came before it; a lease runs from when a round began.
 */
#include "replication/raft_priv.h"

#define PPM	     1000000u
#define READ_ID_MASK ((1ull << 40) - 1)
#define PATIENCE     3u /* a read is refused after so many election_ns */

static struct raft_read *raft_read_slot(const struct raft *r, uint64_t position)
{
	return &r->reads[position & (r->config.reads_max - 1)];
}

/* raft_read_id: of a forwarded read; no other question of any life of this node has it (R09). */
static uint64_t raft_read_id(const struct raft *r, uint64_t position)
{
	return (uint64_t)(mutant(136) ? 0 : r->config.incarnation) << 40 |
	       (position & READ_ID_MASK);
}

/* raft_read_round: begins one. Not while a transfer is under way: see raft_election.c. */
void raft_read_round(struct raft *r)
{
	r->beat_due = raft_targets(r);
	r->notice_due = 0;
	r->beat_ns = r->now_ns + r->config.heartbeat_ns;
	r->counters.heartbeats_sent += raft_bits(r->beat_due);
	if (r->transfer_sent) {
		r->transfer_due = true;
		return;
	}
	r->round++;
	r->round_wanted = false;
	r->round_ns[r->round & (RAFT_ROUNDS - 1)] = r->now_ns;
	for (uint32_t i = 0; i < NODES_MAX; i++)
		r->peers[i].beat_next = r->peers[i].next;
}

void raft_read_lead(struct raft *r)
{
	r->round = r->quorum_round = 0;
	r->lease_ns = 0;
	r->transfer_to = RAFT_NODE_NONE;
	r->transfer_sent = r->transfer_due = false;
	r->transfer_round = 0;
	r->read_indexed = r->read_tail;
	raft_read_round(r);
}

void raft_read_refuse_all(struct raft *r)
{
	r->read_refuse = r->read_tail;
}

/* Heartbeat: an empty AppendEntries (5.2). Round 0 wants no answer. */
void raft_read_on_heartbeat(struct raft *r, uint8_t from, const struct raft_message *m)
{
	if (!raft_election_heed(r, from, m->id))
		return;
	raft_append_learn(r, m->commit);
	if (m->id != 0)
		r->beat_ack_due = true;
}

void raft_read_on_heartbeat_ack(struct raft *r, uint8_t from, const struct raft_message *m)
{
	struct raft_peer *p = &r->peers[from];
	uint64_t sent = p->beat_next, received = max_u64(m->index, m->commit);

	if (r->role != RAFT_LEADER || m->id > r->round || (m->flags & RAFT_REJECT) ||
	    !(raft_targets(r) & raft_bit(from)))
		return;
	p->acked_ns = r->now_ns;
	if (m->id >= p->round)
		p->promise_us = m->promise_us;
	p->round = mutant(113) ? r->round : max_u64(p->round, m->id);
	raft_append_matched(r, from, m);
	if (m->id != r->round || p->state != RAFT_REPLICATE || received + 1 >= sent || mutant(139))
		return;
	/* Sent before this round, and not there. Below match: it forgot what was not proven. */
	raft_append_lost(r, p, max_u64(p->match, min_u64(received, r->last)));
	if (received < p->match)
		raft_append_ask(r, p);
}

/* raft_read_promised_ns: the shortest promise: timers may differ while they are being changed. */
static uint64_t raft_read_promised_ns(const struct raft *r)
{
	uint32_t least_us = raft_promise_us(r);

	for (uint32_t i = 0; i < NODES_MAX; i++) {
		uint32_t promise_us = r->peers[i].promise_us;

		if (promise_us != 0 && promise_us < least_us && !mutant(308))
			least_us = promise_us;
	}
	return least_us == raft_promise_us(r) ? r->config.election_ns : least_us * 1000ull;
}

/* raft_read_lease: from the beginning of a round that a quorum answered (6.4.1). */
static void raft_read_lease(struct raft *r)
{
	uint64_t promised_ns = raft_read_promised_ns(r);
	uint64_t drift_ns = promised_ns / PPM * r->config.drift_ppm +
			    promised_ns % PPM * r->config.drift_ppm / PPM + 1;

	if (mutant(130))
		drift_ns = 0;
	if (r->round - r->quorum_round >= RAFT_ROUNDS || promised_ns <= drift_ns)
		return;
	if (r->quorum_round <= r->transfer_round && !mutant(114))
		return;
	r->lease_ns =
		r->round_ns[r->quorum_round & (RAFT_ROUNDS - 1)] + promised_ns - drift_ns;
}

uint64_t raft_lease_ns(const struct raft *r)
{
	if (mutant(114))
		return r->role == RAFT_LEADER ? r->lease_ns : 0;
	if (r->role != RAFT_LEADER || !r->ready || r->transfer_to != RAFT_NODE_NONE)
		return 0;
	return r->quorum_round > r->transfer_round ? r->lease_ns : 0;
}

/* raft_read_add: one more in the ring; there is room. */
static void raft_read_add(struct raft *r, enum raft_read_state what, uint64_t id, uint8_t from)
{
	struct raft_read *s = raft_read_slot(r, r->read_tail++);

	must(r->read_tail - r->read_head <= r->config.reads_max);
	*s = (struct raft_read) { .what = what,
				  .id = id,
				  .from = from,
				  .round = r->round + (mutant(135) ? 0 : 1),
				  .until_ns = r->now_ns + PATIENCE * r->config.election_ns };
	r->counters.reads++;
}

static bool raft_read_full(const struct raft *r)
{
	return r->read_tail - r->read_head >= r->config.reads_max;
}

static void raft_read_answer(struct raft_actions *a, uint64_t id, uint64_t index)
{
	struct raft_action *action = raft_act(a, RAFT_ACTION_READ);

	action->id = id;
	action->index = index;
}

void raft_read_on_event(struct raft *r, uint64_t id, struct raft_actions *a)
{
	if (r->failed || raft_read_full(r) || r->leader == RAFT_NODE_NONE) {
		r->counters.reads_refused++;
		raft_read_answer(a, id, 0);
		return;
	}
	raft_read_add(r, RAFT_READ_HERE, id, r->config.node);
}

/* Read: a follower asks its leader for a read index (6.4). */
void raft_read_on_read(struct raft *r, uint8_t from, const struct raft_message *m)
{
	if (r->role != RAFT_LEADER || raft_read_full(r))
		return; /* it asks again */
	raft_read_add(r, RAFT_READ_REMOTE, m->id, from);
}

void raft_read_on_read_ack(struct raft *r, uint8_t from, const struct raft_message *m,
			   struct raft_actions *a)
{
	uint64_t position = r->read_head + ((m->id - r->read_head) & READ_ID_MASK);
	struct raft_read *s;

	if (r->role != RAFT_FOLLOWER || r->leader != from)
		return;
	if (position >= r->read_sent || position < r->read_refuse ||
	    raft_read_id(r, position) != m->id)
		return;
	s = raft_read_slot(r, position);
	if (s->what != RAFT_READ_HERE)
		return;
	s->what = RAFT_READ_DONE;
	if (m->flags & RAFT_REJECT)
		r->counters.reads_refused++;
	else
		raft_append_learn(r, m->index); /* committed, or it would not be a read index */
	raft_read_answer(a, s->id, m->flags & RAFT_REJECT ? 0 : m->index);
}

/* raft_read_quorum: the newest round that a quorum answered. */
static void raft_read_quorum(struct raft *r)
{
	uint64_t value[NODES_MAX], quorum;

	for (uint32_t i = 0; i < NODES_MAX; i++)
		value[i] = r->peers[i].round;
	value[r->config.node] = r->round;
	quorum = raft_kth(r, value);
	if (quorum <= r->quorum_round)
		return;
	r->quorum_round = quorum;
	raft_read_lease(r);
}

void raft_read_settle(struct raft *r)
{
	if (r->role != RAFT_LEADER)
		return;
	/* Not before an entry of this term is committed: until then commit may lag (R08). */
	while ((r->ready || mutant(112)) && r->read_indexed < r->read_tail) {
		struct raft_read *s = raft_read_slot(r, r->read_indexed++);

		s->index = max_u64(r->commit, 1);
		if (s->round > r->round)
			r->round_wanted = true;
	}
	raft_read_quorum(r);
	if (r->round_wanted && r->quorum_round >= r->round && !r->transfer_sent) {
		raft_read_round(r);
		raft_read_quorum(r); /* a single voter */
	}
}

/* raft_read_pump_head: the oldest read, if it can be answered; false: it cannot, or no room. */
static bool raft_read_pump_head(struct raft *r, struct raft_actions *a)
{
	struct raft_read *s = raft_read_slot(r, r->read_head);
	bool refuse = r->read_head < r->read_refuse || r->now_ns >= s->until_ns;
	bool answer = r->role == RAFT_LEADER && s->index != 0 && s->round <= r->quorum_round;

	if (s->what != RAFT_READ_DONE) {
		if ((!refuse && !answer) || !raft_room(a))
			return false;
		if (refuse)
			r->counters.reads_refused++;
		if (s->what == RAFT_READ_HERE) {
			raft_read_answer(a, s->id, refuse ? 0 : s->index);
		} else if (!refuse || raft_hard_durable(r)) {
			struct raft_message *m = raft_send(r, a, raft_bit(s->from), RAFT_READ_ACK);

			m->id = s->id;
			m->index = refuse ? 0 : s->index;
			m->flags = (uint8_t)(refuse ? RAFT_REJECT : 0);
		}
	}
	r->read_head++;
	r->read_sent = max_u64(r->read_sent, r->read_head);
	return true;
}

/* raft_read_forward: reads of this node's user to the leader. */
static void raft_read_forward(struct raft *r, struct raft_actions *a)
{
	if (r->read_sent > r->read_head && r->now_ns >= r->read_retry_ns)
		r->read_sent = r->read_head; /* lost, or the leader is slow: once more */
	for (; r->read_sent < r->read_tail && raft_room(a); r->read_sent++) {
		if (raft_read_slot(r, r->read_sent)->what != RAFT_READ_HERE)
			continue;
		r->read_retry_ns = r->now_ns + 2 * r->config.heartbeat_ns;
		raft_send(r, a, raft_bit(r->leader), RAFT_READ)->id = raft_read_id(r, r->read_sent);
	}
}

uint64_t raft_read_deadline_ns(const struct raft *r)
{
	uint64_t ns = UINT64_MAX;

	if (r->read_head < r->read_tail)
		ns = raft_read_slot(r, r->read_head)->until_ns;
	if (r->role == RAFT_FOLLOWER && r->read_sent > r->read_head &&
	    r->leader != RAFT_NODE_NONE && raft_hard_durable(r))
		ns = min_u64(ns, r->read_retry_ns);
	return ns;
}

bool raft_read_pump(struct raft *r, struct raft_actions *a)
{
	while (r->read_head < r->read_tail && raft_read_pump_head(r, a))
		;
	if (r->role == RAFT_LEADER && (r->beat_due | r->notice_due) != 0) {
		uint8_t to = r->beat_due ? r->beat_due : r->notice_due;
		struct raft_message *m;

		if (!raft_room(a))
			return true;
		m = raft_send(r, a, to, RAFT_HEARTBEAT);
		m->commit = r->commit;
		m->id = r->beat_due ? r->round : 0;
		r->beat_due = r->notice_due = 0;
	}
	if (r->role == RAFT_FOLLOWER && r->leader != RAFT_NODE_NONE && raft_hard_durable(r))
		raft_read_forward(r, a);
	return !raft_room(a);
}
